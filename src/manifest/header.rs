//! The head of a document: which kind it is, whether it is ours, and its `metadata`.

use std::collections::BTreeMap;

use super::diagnostic::nearest;
use super::finding::{Finding, shorten};
use super::values;
use super::yaml::{Value, View};
use crate::model::{API_VERSION, Address, DEFAULT_NAMESPACE, GROUP, Kind};

/// Fields of `metadata` that mean something, with what they mean.
pub(super) const METADATA: &[(&str, &str)] = &[
    ("name", "The name of the object in its namespace."),
    ("namespace", "The namespace; `default` when absent."),
    ("labels", "Labels, for selecting objects."),
    ("annotations", "Annotations; those of fusionkeep.dev are checked."),
];

/// Fields of `metadata` that an API server writes and `kubectl get -o yaml` prints.
pub(super) const SERVER_METADATA: &[&str] = &[
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "finalizers",
    "ownerReferences",
    "clusterName",
];

/// Says where an object stood before it was renamed.
pub const MOVED_FROM: &str = "fusionkeep.dev/moved-from";

/// Annotations of our group that mean something, to the command or to the operator.
pub(super) const ANNOTATIONS: &[&str] =
    &[MOVED_FROM, "fusionkeep.dev/allow-deletes", "fusionkeep.dev/reconcile", "fusionkeep.dev/take-over"];

/// Findings that are told of one document's head.
const MOST_FINDINGS: usize = 100;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Ours(Kind),
    /// A list: `v1` `List`, or of one of our kinds.
    List(Option<Kind>),
    Secret,
    ConfigMap,
    Others,
}

/// Tells what a document is; a near miss of our group is an error, or a person would drop out of management by a slip.
pub fn classify(root: Value<'_>, list: Option<Kind>) -> Result<Class, Finding> {
    let text = |key: &str| root.get(key).and_then(|value| value.as_text());
    let (version, kind) = (text("apiVersion"), text("kind"));
    if let (Some(kind), None, None) = (list, version, kind) {
        // Items of a list of one kind may leave both out, as the API server's typed lists do.
        return Ok(Class::Ours(kind));
    }
    let parsed: Option<Kind> = kind.and_then(|kind| kind.parse().ok());
    if let Some(finding) = no_string(root, version, parsed) {
        return Err(finding);
    }
    match (version, kind) {
        (Some(API_VERSION), Some(name)) => {
            match (parsed, name.strip_suffix("List").map(str::parse::<Kind>)) {
                (Some(kind), _) => Ok(Class::Ours(kind)),
                (None, Some(Ok(kind))) => Ok(Class::List(Some(kind))),
                _ => Err(unknown_kind(root, name)),
            }
        }
        (Some(API_VERSION), None) => Err(missing(root, "kind")),
        (Some("v1"), Some("List")) => Ok(Class::List(None)),
        (Some("v1"), Some("Secret")) => Ok(Class::Secret),
        (Some("v1"), Some("ConfigMap")) => Ok(Class::ConfigMap),
        (Some(version), _) if is_near_miss(version) => Err(near_miss(root, version)),
        (Some("v1"), Some(name)) if is_like_ours(name) => {
            let message = format!("{name} is a kind of {GROUP}, not of v1");
            Err(at(root, "apiVersion", "api-version", message)
                .hint(format!("write apiVersion: {API_VERSION}")))
        }
        (None, Some(_)) if parsed.is_some() && root.get("apiVersion").is_none_or(|value| value.is_null()) => {
            Err(missing(root, "apiVersion"))
        }
        (None, _) => miswritten_keys(root),
        (Some(_), _) => Ok(Class::Others),
    }
}

/// Whether a kind is one of ours or a list of it, in any case.
fn is_like_ours(name: &str) -> bool {
    let is_kind = |name: &str| Kind::ALL.iter().any(|kind| kind.as_str().eq_ignore_ascii_case(name));
    is_kind(name) || name.strip_suffix("List").is_some_and(is_kind)
}

/// Whether a document has the shape of Kubernetes' objects, but does not say what it is.
fn is_headless(root: Value<'_>) -> bool {
    let is_mapping = |field| root.get(field).is_some_and(|value| value.entries().is_some());
    is_mapping("metadata")
        && is_mapping("spec")
        && root.get("apiVersion").is_none()
        && root.get("kind").is_none()
}

/// An `apiVersion` or `kind` that is no string, beside one of ours.
fn no_string(root: Value<'_>, version: Option<&str>, kind: Option<Kind>) -> Option<Finding> {
    let field = match (version, kind) {
        (Some(version), None) if version == API_VERSION || is_near_miss(version) => "kind",
        (None, Some(_)) => "apiVersion",
        _ => return None,
    };
    let value = root.get(field)?;
    if matches!(value.view(), View::Text(_) | View::Null | View::Invalid) {
        return None;
    }
    let message = format!("`{field}` is a string, but this is {}", value.kind_name());
    let finding = at(root, field, "wrong-type", message);
    Some(if field == "kind" { finding } else { finding.hint(format!("write apiVersion: {API_VERSION}")) })
}

/// A document without `apiVersion`: others', unless one of its keys is that in another case, or it has the shape of
/// ours.
fn miswritten_keys(root: Value<'_>) -> Result<Class, Finding> {
    let Some(entries) = root.entries() else { return Ok(Class::Others) };
    for (key, value) in entries {
        let Some(name) = key.as_text() else { continue };
        let like_version =
            matches!(name.to_ascii_lowercase().as_str(), "apiversion" | "api_version" | "api-version");
        if like_version && value.as_text().is_some_and(|text| is_near_miss(text) || text == API_VERSION) {
            let message = format!("unknown field `{}` in the document", shorten(name));
            return Err(Finding::error("unknown-field", message, key.at(), name.len())
                .hint("did you mean `apiVersion`?"));
        }
    }
    if is_headless(root) {
        let message = "`apiVersion` and `kind` are missing";
        return Err(Finding::error("missing-field", message, root.at(), 1)
            .hint(format!("write apiVersion: {API_VERSION} and a kind")));
    }
    Ok(Class::Others)
}

fn at(root: Value<'_>, field: &str, code: &'static str, message: String) -> Finding {
    let value = root.get(field).unwrap_or(root);
    Finding::error(code, message, value.at(), value.written().len().max(1))
}

fn missing(root: Value<'_>, field: &str) -> Finding {
    let hint = if field == "apiVersion" {
        format!("write apiVersion: {API_VERSION}")
    } else {
        format!("one of: {}", Kind::ALL.map(Kind::as_str).join(", "))
    };
    // Written without a value it is pointed at by its key.
    let (at, length) = root.entry(field).map_or((root.at(), 1), |(key, _)| (key.at(), field.len()));
    Finding::error("missing-field", format!("`{field}` is missing"), at, length).hint(hint)
}

fn unknown_kind(root: Value<'_>, name: &str) -> Finding {
    let kinds = Kind::ALL.map(Kind::as_str);
    let hint = match nearest(name, kinds) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("one of: {}", kinds.join(", ")),
    };
    at(root, "kind", "unknown-kind", format!("{GROUP} has no kind \"{}\"", shorten(name))).hint(hint)
}

/// Whether an annotation is of our group, or nearly so.
pub fn is_of_our_group(annotation: &str) -> bool {
    annotation.split_once('/').is_some_and(|(prefix, _)| is_near_miss(prefix))
}

/// Whether an `apiVersion` was probably meant to be ours: our group in another version or with a slip.
fn is_near_miss(version: &str) -> bool {
    let group = version.split('/').next().unwrap_or_default().to_lowercase();
    if group.len() > 64 {
        return false;
    }
    group.contains("fusionkeep")
        || strsim::damerau_levenshtein(&group, GROUP) <= 3
        || group.split('.').next().is_some_and(|name| strsim::damerau_levenshtein(name, "fusionkeep") <= 2)
}

fn near_miss(root: Value<'_>, version: &str) -> Finding {
    let shown = shorten(version);
    let message = match version.split_once('/') {
        Some((GROUP, other)) => format!("{GROUP} has no version \"{}\"", shorten(other)),
        _ => format!("\"{shown}\" is not this group, but looks like it"),
    };
    at(root, "apiVersion", "api-version", message).hint(format!("write apiVersion: {API_VERSION}"))
}

/// `metadata`, read.
#[derive(Clone, Debug)]
pub struct Header {
    pub address: Address,
    pub labels: BTreeMap<String, String>,
    pub moved_from: Option<Address>,
}

/// Reads `metadata`. What is wrong with types is left to the schema's explanation: the answer is then none, without a
/// finding.
pub fn read(kind: Kind, root: Value<'_>, findings: &mut Vec<Finding>) -> Option<Header> {
    let metadata = root.get("metadata")?;
    let known =
        |name: &str| METADATA.iter().any(|(known, _)| *known == name) || SERVER_METADATA.contains(&name);
    let mut fits = metadata.entries()?.all(|(key, _)| key.as_text().is_some_and(known));
    let name_value = metadata.get("name")?;
    let name = name_value.as_text()?;
    if !values::is_object_name(name) {
        let message = format!("\"{}\" is no name of an object", shorten(name));
        findings.push(Finding::error("name", message, name_value.at(), name_value.written().len()).hint(
            "a to z, 0 to 9, \"-\" and \".\", with a letter or digit at both ends, at most 253 characters",
        ));
        fits = false;
    }
    let namespace = match metadata.get("namespace").filter(|value| !value.is_null()) {
        None => DEFAULT_NAMESPACE,
        Some(value) => {
            let namespace = value.as_text()?;
            fits &= namespace_fits(kind, namespace, value, findings);
            namespace
        }
    };
    let labels = strings(metadata.get("labels"), &mut fits, findings, true);
    let annotations = strings(metadata.get("annotations"), &mut fits, findings, false);
    let address = Address::new(kind, namespace, name);
    let moved_from = check_annotations(&address, metadata, &annotations, findings);
    fits.then_some(Header { address, labels, moved_from })
}

fn namespace_fits(kind: Kind, namespace: &str, value: Value<'_>, findings: &mut Vec<Finding>) -> bool {
    let length = value.written().len();
    if kind == Kind::ClusterFusionAuthInstance {
        let message = format!("a {kind} belongs to no namespace");
        findings.push(Finding::error("name", message, value.at(), length).hint("remove `namespace`"));
        return false;
    }
    if values::is_namespace(namespace) {
        return true;
    }
    let message = format!("\"{}\" is no name of a namespace", shorten(namespace));
    findings.push(
        Finding::error("name", message, value.at(), length)
            .hint("a to z, 0 to 9 and \"-\", with a letter or digit at both ends, at most 63 characters"),
    );
    false
}

/// Labels or annotations; null is the empty text, as in Kubernetes.
fn strings(
    value: Option<Value<'_>>,
    fits: &mut bool,
    findings: &mut Vec<Finding>,
    labels: bool,
) -> BTreeMap<String, String> {
    let mut strings = BTreeMap::new();
    let Some(value) = value.filter(|value| !value.is_null()) else { return strings };
    let Some(entries) = value.entries() else {
        *fits = false;
        return strings;
    };
    for (key, value) in entries {
        if findings.len() >= MOST_FINDINGS {
            break;
        }
        let (name, text) = match (key.as_text(), value.view()) {
            (Some(name), View::Text(text)) => (name, text),
            (Some(name), View::Null) => (name, ""),
            _ => {
                *fits = false;
                continue;
            }
        };
        let what = if labels { "label" } else { "annotation" };
        if !values::is_qualified_name(name) {
            let message = format!("\"{}\" is no key of a {what}", shorten(name))
                .replace("a annotation", "an annotation");
            findings.push(Finding::error("name", message, key.at(), key.written().len()));
        } else if labels && !values::is_label_value(text) {
            let message = format!("\"{}\" is no value of a label", shorten(text));
            let finding = Finding::error("name", message, value.at(), value.written().len());
            findings.push(finding.hint("letters, digits, \"-\", \"_\" and \".\", at most 63 characters"));
        }
        strings.insert(name.to_owned(), text.to_owned());
    }
    strings
}

fn check_annotations(
    address: &Address,
    metadata: Value<'_>,
    annotations: &BTreeMap<String, String>,
    findings: &mut Vec<Finding>,
) -> Option<Address> {
    let place = |name: &str| metadata.get("annotations").and_then(|annotations| annotations.entry(name));
    for name in annotations.keys().filter(|name| is_of_our_group(name)) {
        if findings.len() >= MOST_FINDINGS {
            break;
        }
        if !ANNOTATIONS.contains(&name.as_str()) {
            let at = place(name).map_or(0, |(key, _)| key.at());
            let hint = match nearest(name, ANNOTATIONS.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("known are {}", ANNOTATIONS.join(", ")),
            };
            let message = format!("unknown annotation \"{}\"", shorten(name));
            findings.push(Finding::error("unknown-annotation", message, at, name.len()).hint(hint));
        }
    }
    let text = annotations.get(MOVED_FROM)?;
    let at = place(MOVED_FROM).map_or(0, |(_, value)| value.at());
    let (namespace, name) = text.split_once('/').unwrap_or((&address.namespace, text));
    let from = Address::new(address.kind, namespace, name);
    let message = if !address.kind.is_object() {
        Some(format!("a {} cannot be moved", address.kind))
    } else if !values::is_object_name(name) || !values::is_namespace(namespace) {
        Some(format!("\"{}\" is no [namespace/]name", shorten(text)))
    } else if from == *address {
        Some("the object was not moved: this is its own name".to_owned())
    } else {
        return Some(from);
    };
    findings.extend(message.map(|message| Finding::error("moved-from", message, at, text.len())));
    None
}
