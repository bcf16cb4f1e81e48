//! Conditions as kstatus reads them: `Ready` is the answer, `Reconciling` and `Stalled` stand only while they are true.
//! Pure; nothing changes when nothing new is said, so that an equal status is not written.

use super::status::{Condition, Drift, ObjectStatus, RecordedOutcome};

/// How many outcomes a status keeps.
const OUTCOMES: usize = 5;
/// The longest message: conditions take 32 KiB, people less.
const LONGEST: usize = 1024;

/// What a reconcile came to, as `Ready` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// As declared.
    Ready,
    /// Not yet; it goes on by itself.
    Reconciling,
    /// Not without a person.
    Stalled,
}

/// What is said about an object or an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub progress: Progress,
    /// One word in CamelCase.
    pub reason: &'static str,
    pub message: String,
}

impl Verdict {
    pub fn new(progress: Progress, reason: &'static str, message: impl Into<String>) -> Self {
        Verdict { progress, reason, message: shorten(message.into()) }
    }

    pub fn ready(message: impl Into<String>) -> Self {
        Verdict::new(Progress::Ready, "AsDeclared", message)
    }

    pub fn reconciling(reason: &'static str, message: impl Into<String>) -> Self {
        Verdict::new(Progress::Reconciling, reason, message)
    }

    pub fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Verdict::new(Progress::Stalled, reason, message)
    }
}

fn shorten(message: String) -> String {
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message,
    }
}

/// The conditions that say `verdict`, keeping the times of those that stand.
pub fn conditions(old: &[Condition], verdict: &Verdict, generation: i64, now: &str) -> Vec<Condition> {
    let ready = if verdict.progress == Progress::Ready { "True" } else { "False" };
    let also = match verdict.progress {
        Progress::Ready => None,
        Progress::Reconciling => Some("Reconciling"),
        Progress::Stalled => Some("Stalled"),
    };
    let one = |name: &str, status: &str| {
        let since = old
            .iter()
            .find(|condition| condition.condition_type == name && condition.status == status)
            .map_or(now, |condition| &condition.last_transition_time);
        Condition {
            condition_type: name.to_owned(),
            status: status.to_owned(),
            reason: verdict.reason.to_owned(),
            message: verdict.message.clone(),
            last_transition_time: since.to_owned(),
            observed_generation: generation,
        }
    };
    [Some(one("Ready", ready)), also.map(|name| one(name, "True"))].into_iter().flatten().collect()
}

/// Whether the status says that the object was as declared, in this generation.
pub fn was_ready(status: &ObjectStatus, generation: i64) -> bool {
    status.observed_generation == Some(generation)
        && status
            .conditions
            .iter()
            .any(|condition| condition.condition_type == "Ready" && condition.status == "True")
}

/// Puts an outcome first; the same failure again is not news.
pub fn remember(outcomes: &mut Vec<RecordedOutcome>, outcome: &str, message: &str, now: &str) {
    let message = shorten(message.to_owned());
    let failed = matches!(outcome, "Failed" | "Refused" | "DriftDetected");
    let again = outcomes.first().is_some_and(|first| first.outcome == outcome && first.message == message);
    if failed && again {
        return;
    }
    outcomes.insert(0, RecordedOutcome { time: now.to_owned(), outcome: outcome.to_owned(), message });
    outcomes.truncate(OUTCOMES);
}

/// The drift that is seen now, since when it was.
pub fn drift(old: Option<&Drift>, paths: Vec<String>, now: &str) -> Option<Drift> {
    if paths.is_empty() {
        return None;
    }
    let since = old.map_or(now, |drift| &drift.since).to_owned();
    Some(Drift { since, paths })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equal_verdict_changes_nothing() {
        let first = conditions(&[], &Verdict::ready("fine"), 3, "T1");
        assert_eq!(conditions(&first, &Verdict::ready("fine"), 3, "T2"), first);
        let stalled = conditions(&first, &Verdict::stalled("Invalid", "no"), 3, "T2");
        assert_eq!(stalled.len(), 2);
        assert!(stalled.iter().all(|condition| condition.last_transition_time == "T2"));
        let ready = conditions(&stalled, &Verdict::ready("fine"), 4, "T3");
        assert_eq!(ready.len(), 1, "kstatus: no abnormal condition stands on a ready object");
    }

    #[test]
    fn five_outcomes_and_no_repeated_failure() {
        let mut outcomes = Vec::new();
        for time in ["1", "2"] {
            remember(&mut outcomes, "Failed", "down", time);
        }
        assert_eq!(outcomes.len(), 1);
        for time in 0..9 {
            remember(&mut outcomes, "Updated", "", &time.to_string());
        }
        assert_eq!(outcomes.len(), 5);
    }

    #[test]
    fn messages_end() {
        assert!(Verdict::ready("é".repeat(5000)).message.chars().count() <= LONGEST + 1);
    }

    /// Every reason that a status can give is explained in the chart's README.
    #[test]
    fn every_reason_is_explained() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let readme = std::fs::read_to_string(root.join("charts/fusionkeep/README.md")).unwrap();
        let mut reasons = std::collections::BTreeSet::new();
        let mut folders = vec![root.join("src/operator")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                for before in ["reconciling(", "stalled(", "reason: ", "self.hold(", "tell_waiting(", "=> "] {
                    for rest in code.split(before).skip(1) {
                        let quoted =
                            rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                        // Outcomes stand after an arrow too; they are no reasons.
                        let known =
                            ["Created", "Updated", "Deleted", "Adopted", "Unchanged", "DriftCorrected"];
                        reasons.extend(
                            quoted
                                .filter(|word| {
                                    word.starts_with(|first: char| first.is_ascii_uppercase())
                                        && word.chars().all(|character| character.is_ascii_alphabetic())
                                        && !known.contains(word)
                                        && (before != "=> " || path.ends_with("settle.rs"))
                                })
                                .map(str::to_owned),
                        );
                    }
                }
            }
        }
        assert!(reasons.len() > 20, "{reasons:?}");
        let untold: Vec<&String> =
            reasons.iter().filter(|reason| !readme.contains(&format!("`{reason}`"))).collect();
        assert!(untold.is_empty(), "{untold:?} of {reasons:?}");
    }
}
