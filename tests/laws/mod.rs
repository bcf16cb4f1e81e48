//! The laws of the pure core, over a small model of FusionAuth: a plan after apply is empty, a plan of equal states
//! is empty, what others set is never touched, a permuted input gives the same plan, undo restores.

mod objects;
mod plans;
mod run;
mod saved;
mod server;
mod worlds;

use std::collections::BTreeSet;

use fusionkeep::model::{Adoption, Deletion, Kind};
use fusionkeep::reconcile::{Action, Desired, Key, Live};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;

use run::{Record, apply, assert_settled, context, journal, plan, undo};
use server::Server;
use worlds::{input, others_write};

fn config() -> ProptestConfig {
    ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() }
}

fn converge(server: &mut Server, record: &mut Record, declared: &[Desired]) {
    let planned = plan(server, record, declared, &context());
    apply(server, record, &planned);
    assert_settled(server, record, declared, &context());
}

/// Others write into every object, and leave parts of their own.
fn others(server: &mut Server) {
    for ((kind, _), live) in &mut server.objects {
        if matches!(kind, Kind::User | Kind::Entity | Kind::EntityType | Kind::EntityGrant) {
            others_write(&mut live.fields);
        }
        match kind {
            Kind::User => {
                live.fields.insert("imageUrl".into(), json!("https://example.com/theirs.png"));
                let theirs = json!({"roles": ["theirs"], "data": {}, "verified": false});
                live.parts.insert(
                    "00000000-0000-0000-0000-0000000000ff".into(),
                    theirs.as_object().unwrap().clone(),
                );
                live.parts.values_mut().for_each(others_write);
            }
            Kind::EntityType => {
                let theirs = json!({"id": "00000000-0000-0000-0000-0000000000fe", "data": {}});
                live.parts.insert("theirs".into(), theirs.as_object().unwrap().clone());
                live.parts.values_mut().for_each(others_write);
            }
            _ => {}
        }
    }
}

fn assert_others_stand(server: &Server) {
    let written = |fields: &fusionkeep::model::Fields| {
        fields["data"]["theirs"] == json!({"deep": [1, {"er": null}]})
            && fields["data"]["n"]["theirs"] == json!("kept")
    };
    for ((kind, key), live) in &server.objects {
        if matches!(kind, Kind::User | Kind::Entity | Kind::EntityType | Kind::EntityGrant)
            && live.fields["data"].get("theirs").is_some()
        {
            assert!(written(&live.fields), "{key:?}: {:#?}", live.fields);
        }
    }
}

/// The keys of objects that carry others' marks.
fn marked(server: &Server) -> Vec<(Kind, fusionkeep::reconcile::Key)> {
    let marked = server.objects.iter().filter(|(_, live)| {
        live.fields.contains_key("imageUrl")
            || live.fields.get("data").is_some_and(|data| data.get("theirs").is_some())
    });
    marked.map(|(key, _)| key.clone()).collect()
}

/// No law holds by skipping: the worlds drawn here lead to every kind of call, change and reason that can be drawn.
#[test]
fn the_worlds_lead_to_every_call() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for _ in 0..48 {
        let (mut server, mut record) = (Server::default(), Record::new());
        for _ in 0..3 {
            let declared = input().new_tree(&mut runner).unwrap().current();
            let planned = plan(&server, &record, &declared, &context());
            for change in &planned.changes {
                seen.insert(format!("{:?}", change.reason));
                seen.extend(change.calls.iter().map(|call| format!("{:?} {}", call.purpose, change.kind())));
            }
            apply(&mut server, &mut record, &planned);
        }
    }
    let expected = [
        "Missing",
        "Differs",
        "NoLongerDeclared",
        "Pruned",
        "DeclaredAgain",
        "KeyChanged",
        "Create User",
        "CreatePart User",
        "UpdatePart User",
        "DeletePart User",
        "Import User",
        "Update User",
        "Verify User",
        "Reactivate User",
        "Deactivate User",
        "Delete User",
        "Create EntityType",
        "CreatePart EntityType",
        "UpdatePart EntityType",
        "DeletePart EntityType",
        "Update EntityType",
        "Create Entity",
        "Update Entity",
        "Delete Entity",
        "Create Lambda",
        "Update Lambda",
        "Delete Lambda",
        "Grant EntityGrant",
        "Delete EntityGrant",
        "Link IdentityProviderLink",
        "Unlink IdentityProviderLink",
    ];
    for name in expected {
        assert!(seen.contains(name), "{name} was never drawn; seen: {seen:#?}");
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_plan_after_apply_is_empty(first in input(), second in input(), third in input()) {
        let (mut server, mut record) = (Server::default(), Record::new());
        for declared in [&first, &second, &third] {
            converge(&mut server, &mut record, declared);
        }
    }

    #[test]
    fn what_others_set_is_never_touched(first in input(), second in input(), third in input()) {
        let (mut server, mut record) = (Server::default(), Record::new());
        converge(&mut server, &mut record, &first);
        others(&mut server);
        for declared in [keeping_data(second), keeping_data(third)] {
            let declared = &declared;
            let before = marked(&server);
            let planned = plan(&server, &record, declared, &context());
            let gone: Vec<_> = planned
                .changes
                .iter()
                .filter(|change| change.action == Action::Delete || change.reason == fusionkeep::reconcile::Reason::KeyChanged)
                .map(|change| change.kind())
                .collect();
            converge(&mut server, &mut record, declared);
            assert_others_stand(&server);
            for (kind, key) in before {
                let live = server.get(kind, &key);
                let cascade = matches!(kind, Kind::EntityGrant) && !gone.is_empty();
                prop_assert!(live.is_some() || gone.contains(&kind) || cascade, "{kind} {key:?} is gone");
                let Some(live) = live else { continue };
                prop_assert!(live.fields["data"].get("theirs").is_some());
                if kind == Kind::User {
                    prop_assert_eq!(&live.fields["imageUrl"], &json!("https://example.com/theirs.png"));
                    let theirs = &live.parts["00000000-0000-0000-0000-0000000000ff"];
                    prop_assert_eq!(&theirs["roles"], &json!(["theirs"]));
                }
                if kind == Kind::EntityType {
                    prop_assert!(live.parts.contains_key("theirs"));
                }
            }
        }
    }

    #[test]
    fn equal_states_are_adopted_without_a_write(declared in input()) {
        let (mut server, mut record) = (Server::default(), Record::new());
        converge(&mut server, &mut record, &declared);
        let adopting = fusionkeep::reconcile::PlanContext { adoption: Some(Adoption::Match), ..context() };
        let mut adopted = Record::new();
        let planned = plan(&server, &adopted, &declared, &adopting);
        prop_assert!(planned.errors.is_empty(), "{:#?}", planned.errors);
        prop_assert_eq!(planned.changes.len(), declared.len());
        for change in &planned.changes {
            prop_assert_eq!(change.action, Action::Adopt);
            prop_assert!(change.calls.is_empty(), "{change:#?}");
        }
        let before = server.clone();
        apply(&mut server, &mut adopted, &planned);
        prop_assert_eq!(&before, &server);
        assert_settled(&server, &adopted, &declared, &context());
        // Adopted because it was equal, then no longer declared: let go.
        let bare: Vec<Desired> = declared.iter().cloned().map(stripped).collect();
        let planned = plan(&server, &adopted, &bare, &context());
        prop_assert!(planned.changes.is_empty(), "{:#?}", planned.changes);
    }

    #[test]
    fn a_permuted_input_gives_the_same_plan(first in input(), second in input(), seed in any::<u64>()) {
        let (mut server, mut record) = (Server::default(), Record::new());
        converge(&mut server, &mut record, &first);
        let straight = plan(&server, &record, &second, &context());
        let mut shuffled = second.clone();
        let length = shuffled.len() as u64;
        for index in 0..shuffled.len() {
            shuffled.swap(index, (seed.wrapping_mul(index as u64 + 7) % length) as usize);
        }
        let permuted = plan(&server, &record, &shuffled, &context());
        prop_assert_eq!(serde_json::to_string(&straight).unwrap(), serde_json::to_string(&permuted).unwrap());
        prop_assert!(!straight.changes.is_empty() || first == second || straight.unchanged > 0);
    }

    #[test]
    fn undo_after_apply_restores_what_can_be_restored(first in input(), second in input()) {
        let (mut server, mut record) = (Server::default(), Record::new());
        converge(&mut server, &mut record, &first);
        let before = server.clone();
        let planned = plan(&server, &record, &second, &context());
        let journal = journal(&server, &record, &planned);
        apply(&mut server, &mut record, &planned);
        let undone = undo(&server, &record, &journal, &context());
        apply(&mut server, &mut record, &undone);
        let gone: Vec<Key> = planned
            .changes
            .iter()
            .filter(|change| change.kind() == Kind::User && change.deletion == Some(Deletion::Delete))
            .map(|change| change.key.clone())
            .collect();
        for ((kind, key), was) in &before.objects {
            if gone.contains(key) {
                prop_assert!(undone.warnings.iter().any(|warning| warning.code == "cannot-undo"));
                continue;
            }
            let now = server.get(*kind, key);
            prop_assert!(now.is_some(), "{kind} {key:?} did not come back");
            prop_assert_eq!(restorable(now.unwrap()), restorable(was), "{} {:?}", kind, key);
        }
        for ((kind, key), now) in &server.objects {
            let made = !before.objects.contains_key(&(*kind, key.clone()));
            // People are deactivated, all else goes.
            prop_assert!(!made || (*kind == Kind::User && !now.active), "{kind} {key:?} stayed");
        }
        // Nothing of it is done twice.
        let again = undo(&server, &record, &journal, &context());
        prop_assert!(again.changes.is_empty(), "{:#?}", again.changes);
    }

    #[test]
    fn undo_of_an_undo_makes_the_change_again(first in input(), second in input()) {
        let (mut server, mut record) = (Server::default(), Record::new());
        converge(&mut server, &mut record, &first);
        let planned = plan(&server, &record, &second, &context());
        let made = journal(&server, &record, &planned);
        apply(&mut server, &mut record, &planned);
        let after = server.clone();
        let undone = undo(&server, &record, &made, &context());
        let taken_back = journal(&server, &record, &undone);
        apply(&mut server, &mut record, &undone);
        let redone = undo(&server, &record, &taken_back, &context());
        apply(&mut server, &mut record, &redone);
        let lost = ["the link's token and last login", "the former client secret"];
        let said = undone.warnings.iter().chain(&redone.warnings);
        let cannot: BTreeSet<_> = said
            .filter(|warning| warning.code == "cannot-undo" && !lost.contains(&warning.message.as_str()))
            .filter_map(|warning| warning.address.clone())
            .collect();
        for change in planned.changes.iter().filter(|change| !cannot.contains(&change.address)) {
            let (now, was) = (server.get(change.kind(), &change.key), after.get(change.kind(), &change.key));
            prop_assert_eq!(now.map(restorable), was.map(restorable), "{}", change.address);
            let held = record.values().find(|entry| entry.address.kind == change.kind() && entry.key == change.key);
            prop_assert!(now.is_none() || held.is_some(), "{} is nobody's", change.address);
        }
    }
}

/// What undo restores of an object: not the verification of a user, nor what a login moves.
fn restorable(live: &Live) -> Live {
    let mut live = live.clone();
    live.fields.remove("verified");
    live.parts.values_mut().for_each(|part| {
        part.remove("verified");
    });
    live
}

/// `data: null` is a declaration that removes what others keep there as well.
fn keeping_data(mut declared: Vec<Desired>) -> Vec<Desired> {
    for desired in &mut declared {
        desired.fields.retain(|name, value| name != "data" || !value.is_null());
    }
    declared
}

/// The same object with nothing declared that need not be.
fn stripped(mut desired: Desired) -> Desired {
    desired.fields.retain(|name, _| ["email", "name", "type", "body"].contains(&name.as_str()));
    desired.parts = None;
    desired.secrets.clear();
    desired
}
