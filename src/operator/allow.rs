//! Who may use a ClusterFusionAuthInstance, and for what. Pure.

use std::collections::BTreeMap;

use crate::manifest::Object;
use crate::model::{Adoption, AllowedNamespaces, InstanceAllow};

/// Whether an entry of the list lets this object use the instance; else why none does.
///
/// # Errors
/// The reason, for a person.
pub fn judge(
    allowed: &[InstanceAllow],
    object: &Object,
    namespace_labels: &BTreeMap<String, String>,
) -> Result<(), String> {
    let namespace = &*object.address.namespace;
    let mut why = format!("no entry of its allow-list names the namespace {namespace}");
    for entry in allowed.iter().filter(|entry| names(&entry.namespaces, namespace, namespace_labels)) {
        match refuses(entry, object) {
            None => return Ok(()),
            Some(reason) => why = reason,
        }
    }
    Err(why)
}

fn names(namespaces: &AllowedNamespaces, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
    let by_name = namespaces.names.iter().flatten().any(|name| name == namespace);
    // An empty selector names nobody: a slip must not open an instance to everybody.
    let by_label = namespaces.selector.as_ref().is_some_and(|selector| {
        !selector.match_labels.is_empty()
            && selector.match_labels.iter().all(|(name, value)| labels.get(name) == Some(value))
    });
    by_name || by_label
}

fn refuses(entry: &InstanceAllow, object: &Object) -> Option<String> {
    let kind = object.address.kind;
    if !entry.kinds.contains(&kind) {
        return Some(format!("its allow-list withholds the kind {kind} from the namespace"));
    }
    if object.spec.id().is_some() && !entry.ids {
        return Some("its allow-list withholds explicit ids (spec.id)".to_owned());
    }
    if object.spec.policy().adoption() != Adoption::Never && !entry.adoption {
        return Some("its allow-list withholds adoption (policy.adoption)".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::one::{Stored, Typed, stored};
    use crate::model::Kind;

    fn object(kind: Kind, spec: &str) -> Object {
        let labels = BTreeMap::new();
        let of = Stored { kind, namespace: "team-a", name: "x", labels: &labels, moved_from: None, spec };
        match stored(&of) {
            Ok(Typed::Object(object)) => *object,
            other => panic!("{other:?}"),
        }
    }

    fn allowed(text: &str) -> Vec<InstanceAllow> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_not_listed_is_refused() {
        let user = object(Kind::User, r#"{"email":"a@b.c"}"#);
        let none = BTreeMap::new();
        let team = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        assert!(judge(&[], &user, &none).is_err());
        assert!(judge(&allowed(r#"[{"namespaces":{"names":["team-a"]}}]"#), &user, &none).is_ok());
        assert!(judge(&allowed(r#"[{"namespaces":{"names":["team-b"]}}]"#), &user, &none).is_err());
        let selector = allowed(r#"[{"namespaces":{"selector":{"matchLabels":{"team":"a"}}}}]"#);
        assert!(judge(&selector, &user, &team).is_ok());
        assert!(judge(&selector, &user, &none).is_err());
        let empty = allowed(r#"[{"namespaces":{"selector":{"matchLabels":{}}}}]"#);
        assert!(judge(&empty, &user, &team).is_err());
    }

    #[test]
    fn kinds_ids_and_adoption_are_withheld_unless_given() {
        let none = BTreeMap::new();
        let plain = allowed(r#"[{"namespaces":{"names":["team-a"]}}]"#);
        let lambda = object(Kind::Lambda, r#"{"type":"JWTPopulate","body":"function populate() {}"}"#);
        let id = r#"{"email":"a@b.c","id":"3c219e58-ed0e-4b18-ad48-f4f92793ae32"}"#;
        let adopting = r#"{"email":"a@b.c","policy":{"adoption":"Match"}}"#;
        for (refused, given) in [
            (lambda, r#"[{"namespaces":{"names":["team-a"]},"kinds":["Lambda"]}]"#),
            (object(Kind::User, id), r#"[{"namespaces":{"names":["team-a"]},"ids":true}]"#),
            (object(Kind::User, adopting), r#"[{"namespaces":{"names":["team-a"]},"adoption":true}]"#),
        ] {
            assert!(judge(&plain, &refused, &none).is_err());
            assert!(judge(&allowed(given), &refused, &none).is_ok());
        }
    }
}
