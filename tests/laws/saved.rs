//! Saved plans: read back as they were, stale by every field that they touch, and by nothing else.

use fusionkeep::model::Kind;
use fusionkeep::reconcile::{Action, Change, Live, Plan, Shown, stale};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::run::{Record, context, plan};
use super::server::Server;
use super::worlds::input;
use super::{config, converge};

fn read_back(planned: &Plan) -> Plan {
    serde_json::from_str(&serde_json::to_string(planned).unwrap()).unwrap()
}

/// The steps of a path whose keys are plain, the key of a part in the second place.
fn steps(path: &str) -> Option<Vec<&str>> {
    (!path.contains('"')).then(|| path.split(['.', '[', ']']).filter(|step| !step.is_empty()).collect())
}

/// Another value of the same form, as somebody else may write it.
fn other(value: &Value) -> Value {
    match value {
        Value::Bool(value) => json!(value),
        Value::Number(_) => json!(987_654_321),
        Value::Array(_) => json!(["theirs"]),
        Value::Object(_) => json!({"theirs": true}),
        // Whatever the field is: a telephone number is one of its digits alone.
        Value::Null | Value::String(_) => json!("+4930123456"),
    }
}

/// The same object after somebody wrote at the path; none where that is no field of its body.
fn altered(live: &Live, path: &str, value: Value) -> Option<Live> {
    let mut live = live.clone();
    let steps = steps(path)?;
    let (fields, rest): (&mut Map<String, Value>, &[&str]) = match steps.as_slice() {
        ["registrations", part] => {
            live.parts.entry((*part).to_owned()).or_default().insert("roles".into(), json!(["theirs"]));
            return Some(live);
        }
        ["permissions", part] => {
            live.parts.entry((*part).to_owned()).or_default().insert("description".into(), json!("theirs"));
            return Some(live);
        }
        ["registrations" | "permissions", part, rest @ ..] => (live.parts.get_mut(*part)?, rest),
        rest => (&mut live.fields, rest),
    };
    let (last, above) = rest.split_last()?;
    let mut fields = fields;
    for step in above {
        let inner = fields.entry((*step).to_owned()).or_insert_with(|| json!({}));
        if !inner.is_object() {
            *inner = json!({});
        }
        fields = inner.as_object_mut()?;
    }
    fields.insert((*last).to_owned(), value);
    Some(live)
}

/// Every field that the change writes, and what of it moved is named.
fn assert_sees(change: &Change, live: &Live) -> Result<u64, TestCaseError> {
    let mut seen = 0;
    // What is deleted goes whatever it is like; its fields tell a reader which it is.
    let written = change.fields.iter().filter(|_| change.action != Action::Delete);
    for field in written {
        let (before, after) = match (&field.before, &field.after) {
            (_, Shown::Secret) | (Shown::Secret, _) => continue,
            (Shown::Value(before), Shown::Value(after)) => (before.clone(), after.clone()),
            (Shown::Value(before), Shown::Absent) => (before.clone(), Value::Null),
            (Shown::Absent, Shown::Value(after)) => (after.clone(), after.clone()),
            (Shown::Absent, Shown::Absent) => (Value::Null, Value::Null),
        };
        // There are two of them: it has not moved, or it is there already.
        if before.is_boolean() {
            continue;
        }
        let theirs = other(&before);
        let Some(moved) = altered(live, &field.path, theirs.clone()).filter(|_| theirs != after) else {
            continue;
        };
        let found = stale(change, Some(&moved));
        prop_assert!(!found.is_empty(), "{} of {} moved, and nothing is said", field.path, change.address);
        seen += 1;
    }
    Ok(seen)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn saved_plans_read_back_as_they_were(first in input(), second in input()) {
        let (mut server, mut record) = (Server::default(), Record::new());
        converge(&mut server, &mut record, &first);
        let mut planned = plan(&server, &record, &second, &context());
        // What few plans have.
        for change in &mut planned.changes {
            change.notes.push("a note".to_owned());
            change.risk_notes.push("a risk".to_owned());
            change.protected = true;
        }
        prop_assert_eq!(read_back(&planned), planned);
    }

    #[test]
    fn a_saved_plan_is_stale_by_what_it_touches(first in input(), second in input()) {
        let (mut server, mut record) = (Server::default(), Record::new());
        converge(&mut server, &mut record, &first);
        let planned = read_back(&plan(&server, &record, &second, &context()));
        for change in &planned.changes {
            let live = server.get(change.kind(), &change.key);
            prop_assert_eq!(stale(change, live), Vec::<String>::new(), "{}", change.address);
            let Some(live) = live.filter(|_| change.fingerprint.is_some()) else {
                // Whatever comes to stand where it makes something.
                let squatter = Live {
                    key: change.key.clone(), fields: Map::new(), secrets_equal: Default::default(), parts: Default::default(), active: true };
                prop_assert_eq!(stale(change, Some(&squatter)), ["key"], "{}", change.address);
                continue;
            };
            prop_assert_eq!(stale(change, None), ["key"], "{}", change.address);
            if change.kind() == Kind::User {
                let found = stale(change, Some(&Live { active: !live.active, ..live.clone() }));
                let wanted = change.fields.iter().any(|field| &*field.path == "active");
                prop_assert!(wanted || found == ["active"], "{}: {found:?}", change.address);
            }
            assert_sees(change, live)?;
            // A login, and what nobody here declares.
            let mut elsewhere = live.clone();
            elsewhere.fields.insert("lastLoginInstant".into(), json!(1));
            elsewhere.fields.insert("timezone".into(), json!("Europe/Berlin"));
            if change.kind() != Kind::EntityGrant {
                elsewhere = altered(&elsewhere, "data.ofOthers", json!(1)).unwrap();
            }
            let whole = change.fields.iter().any(|field| &*field.path == "data");
            let found = stale(change, Some(&elsewhere));
            prop_assert!(found.is_empty() || whole, "{}: {found:?}", change.address);
        }
    }
}

/// The law must not hold by skipping.
#[test]
fn the_worlds_touch_fields_of_every_form() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut forms = std::collections::BTreeSet::new();
    let mut seen = 0;
    for _ in 0..128 {
        let (first, second) = (input(), input()).new_tree(&mut runner).unwrap().current();
        let (mut server, mut record) = (Server::default(), Record::new());
        converge(&mut server, &mut record, &first);
        for change in &plan(&server, &record, &second, &context()).changes {
            let live = server.get(change.kind(), &change.key);
            let Some(live) = live.filter(|_| change.fingerprint.is_some()) else { continue };
            seen += assert_sees(change, live).unwrap();
            forms.extend(change.fields.iter().map(|field| {
                let names = field.path.split(['.', '[']).next().unwrap().to_owned();
                (change.kind(), names, field.path.contains("]."), field.path.contains("data."))
            }));
        }
    }
    assert!(seen > 200, "{seen}");
    let with = |name: &str, in_part: bool, in_data: bool| {
        forms.iter().any(|form| form.1 == name && form.2 == in_part && form.3 == in_data)
    };
    assert!(with("registrations", true, false) && with("registrations", true, true), "{forms:#?}");
    assert!(
        with("permissions", true, false) && with("data", false, true) && with("email", false, false),
        "{forms:#?}"
    );
}
