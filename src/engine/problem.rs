//! Problems that the engine itself finds, with "did you mean". Pure.

use uuid::Uuid;

use crate::manifest::Object;
use crate::model::{Address, Place};
use crate::reconcile::{Blame, Problem};

/// Where a problem is told.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    pub address: &'a Address,
    pub place: &'a Place,
}

impl<'a> At<'a> {
    pub fn object(object: &'a Object) -> Self {
        At { address: &object.address, place: &object.place }
    }

    pub fn problem(&self, code: &str, message: impl Into<String>, hint: Option<String>) -> Problem {
        Problem {
            code: code.to_owned(),
            message: message.into(),
            hint,
            address: Some(self.address.clone()),
            place: Some(self.place.clone()),
            pointer: None,
            line: None,
            blame: Blame::Error,
        }
    }

    /// A reference that leads nowhere. `names` are those that are there.
    pub fn unresolved(&self, what: &str, shown: &str, names: impl IntoIterator<Item = String>) -> Problem {
        let hint = did_you_mean(shown, names).map(|name| format!("did you mean \"{name}\"?"));
        self.problem("unresolved-reference", format!("{what} \"{shown}\" does not exist"), hint)
    }

    pub fn ambiguous(&self, what: &str, shown: &str, ids: &[Uuid]) -> Problem {
        let list = ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(", ");
        self.problem(
            "ambiguous-reference",
            format!("{what} \"{shown}\" is the name of {} objects: {list}", ids.len()),
            Some("refer to it by id".to_owned()),
        )
    }
}

/// The name that is near enough to `word` to be meant.
pub fn did_you_mean(word: &str, names: impl IntoIterator<Item = String>) -> Option<String> {
    let folded = word.to_lowercase();
    names
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&folded, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}
