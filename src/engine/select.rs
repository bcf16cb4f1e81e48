//! Which objects a run is about: `--target KIND/NAME` and `-l label=selector`.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::manifest::Object;
use crate::model::Address;

/// The objects of a run; everything else serves references alone.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Empty: all.
    pub targets: BTreeSet<Address>,
    pub labels: Option<LabelSelector>,
}

impl Selection {
    pub fn is_everything(&self) -> bool {
        self.targets.is_empty() && self.labels.is_none()
    }

    pub fn selects(&self, object: &Object) -> bool {
        self.selects_address(&object.address)
            && self.labels.as_ref().is_none_or(|labels| labels.matches(&object.labels))
    }

    /// Of an object that is known by its address alone, such as one of the record.
    pub fn selects_address(&self, address: &Address) -> bool {
        self.targets.is_empty() || self.targets.contains(address)
    }
}

/// Kubernetes' label selector: `a=b`, `a==b`, `a!=b`, `a`, `!a`, `a in (b,c)`, `a notin (b,c)`, joined by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    /// As in Kubernetes, an object without the label fits too.
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

impl LabelSelector {
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Missing(key) => !labels.contains_key(key),
        })
    }
}

/// Text that is no label selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no label selector; write label=value, label!=value, label, !label or label in (a,b)")]
pub struct ParseSelectorError(String);

impl FromStr for LabelSelector {
    type Err = ParseSelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let requirements: Option<Vec<Requirement>> =
            split(text).into_iter().map(|part| requirement(part.trim())).collect();
        requirements.map(LabelSelector).ok_or_else(|| ParseSelectorError(text.to_owned()))
    }
}

/// At the commas outside parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.split(move |c| {
        match c {
            '(' => inside = true,
            ')' => inside = false,
            _ => {}
        }
        c == ',' && !inside
    })
    .collect()
}

fn requirement(text: &str) -> Option<Requirement> {
    if let Some(key) = text.strip_prefix('!') {
        return label(key).map(Requirement::Missing);
    }
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = text.split_once(operator) {
            let (key, values) = (label(key)?, vec![value_of(value)?]);
            return Some(if equal { Requirement::In(key, values) } else { Requirement::NotIn(key, values) });
        }
    }
    if let Some(list) = text.strip_suffix(')') {
        let (head, list) = list.split_once('(')?;
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        let values = list.split(',').map(value_of).collect::<Option<Vec<_>>>()?;
        return match operator {
            "in" => Some(Requirement::In(label(key)?, values)),
            "notin" => Some(Requirement::NotIn(label(key)?, values)),
            _ => None,
        };
    }
    label(text).map(Requirement::Exists)
}

fn label(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    fits.then(|| text.to_owned())
}

fn value_of(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_read_as_in_kubernetes() {
        let labels: BTreeMap<String, String> =
            [("team", "a"), ("tier", "web")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        for (text, fits) in [
            ("team=a", true),
            ("team==a,tier!=db", true),
            ("team=b", false),
            ("team", true),
            ("!team", false),
            ("!other", true),
            ("team in (a, b),tier", true),
            ("tier notin (web)", false),
            ("other notin (web)", true),
        ] {
            assert_eq!(text.parse::<LabelSelector>().unwrap().matches(&labels), fits, "{text}");
        }
        for bad in ["", "=a", "a in b", "a within (b)", "a b", "a=b=c", "(a)"] {
            assert!(bad.parse::<LabelSelector>().is_err(), "{bad}");
        }
    }
}
