//! Who may use a ClusterFusionAuthInstance, and for what. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{Address, AllowedNamespaces, InstanceAllow, Kind};

/// What an object asks of an instance, as far as a list of those who may use it withholds anything. Read from the stored
/// spec, so that an object that cannot be read as a whole is judged as well.
#[derive(Clone, Debug)]
pub struct Use<'a> {
    pub address: &'a Address,
    pub spec: &'a Value,
}

/// Whether an entry of the list lets this object use the instance; else why none does.
///
/// # Errors
/// The reason, for a person.
pub fn judge(
    allowed: &[InstanceAllow],
    used: &Use<'_>,
    namespace_labels: &BTreeMap<String, String>,
) -> Result<(), String> {
    let namespace = &*used.address.namespace;
    let mut why = format!("no entry of its allow-list names the namespace {namespace}");
    for entry in allowed.iter().filter(|entry| names(&entry.namespaces, namespace, namespace_labels)) {
        match refuses(entry, used) {
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

fn refuses(entry: &InstanceAllow, used: &Use<'_>) -> Option<String> {
    let kind = used.address.kind;
    if !entry.kinds.contains(&kind) {
        return Some(format!("its allow-list withholds the kind {kind} from the namespace"));
    }
    if !used.spec["id"].is_null() && !entry.ids {
        return Some("its allow-list withholds explicit ids (spec.id)".to_owned());
    }
    let adoption = &used.spec["policy"]["adoption"];
    if !adoption.is_null() && adoption != "Never" && !entry.adoption {
        return Some("its allow-list withholds adoption (policy.adoption)".to_owned());
    }
    let others = used.of_others().filter(|_| !entry.ids);
    others.map(|field| {
        format!(
            "its allow-list withholds explicit ids: {field} has to name an object of the namespace by its name, and \
             nobody else's"
        )
    })
}

impl Use<'_> {
    /// The field by which the object would change what somebody else has: a sign-in to another's account, permissions on
    /// another's entity. Whoever receives a grant is none of these.
    fn of_others(&self) -> Option<&'static str> {
        let field = match self.address.kind {
            Kind::IdentityProviderLink => "user",
            Kind::EntityGrant => "entity",
            _ => return None,
        };
        let reference = self.spec[field].as_object()?;
        reference.iter().any(|(by, value)| by != "name" && !value.is_null()).then_some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judges an object of the namespace team-a.
    fn of_team_a(
        allow: &str,
        kind: Kind,
        spec: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let address = Address::new(kind, "team-a", "x");
        let spec = serde_json::from_str(spec).unwrap();
        judge(&allowed(allow), &Use { address: &address, spec: &spec }, labels)
    }

    fn allowed(text: &str) -> Vec<InstanceAllow> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_not_listed_is_refused() {
        let none = BTreeMap::new();
        let team = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        let user = |allow: &str, labels| of_team_a(allow, Kind::User, r#"{"email":"a@b.c"}"#, labels);
        assert!(user("[]", &none).is_err());
        assert!(user(r#"[{"namespaces":{"names":["team-a"]}}]"#, &none).is_ok());
        assert!(user(r#"[{"namespaces":{"names":["team-b"]}}]"#, &none).is_err());
        let selector = r#"[{"namespaces":{"selector":{"matchLabels":{"team":"a"}}}}]"#;
        assert!(user(selector, &team).is_ok());
        assert!(user(selector, &none).is_err());
        assert!(user(r#"[{"namespaces":{"selector":{"matchLabels":{}}}}]"#, &team).is_err());
    }

    #[test]
    fn kinds_ids_and_adoption_are_withheld_unless_given() {
        let none = BTreeMap::new();
        let plain = r#"[{"namespaces":{"names":["team-a"]}}]"#;
        let kinds = r#"[{"namespaces":{"names":["team-a"]},"kinds":["Lambda"]}]"#;
        let ids = r#"[{"namespaces":{"names":["team-a"]},"ids":true}]"#;
        let adoption = r#"[{"namespaces":{"names":["team-a"]},"adoption":true}]"#;
        let link = |user: &str| {
            format!(r#"{{"identityProvider":{{"name":"G"}},"user":{user},"identityProviderUserId":"1"}}"#)
        };
        let grant = |entity: &str, user: &str| format!(r#"{{"entity":{entity},"user":{user}}}"#);
        let id = r#"{"id":"3c219e58-ed0e-4b18-ad48-f4f92793ae32"}"#;
        for (kind, spec, given) in [
            (Kind::Lambda, r#"{"type":"JWTPopulate","body":"x"}"#.to_owned(), kinds),
            (Kind::User, r#"{"email":"a@b.c","id":"3c219e58-ed0e-4b18-ad48-f4f92793ae32"}"#.to_owned(), ids),
            (Kind::User, r#"{"email":"a@b.c","policy":{"adoption":"Match"}}"#.to_owned(), adoption),
            // Another's account, to which a link would be a way in.
            (Kind::IdentityProviderLink, link(id), ids),
            (Kind::IdentityProviderLink, link(r#"{"email":"admin@b.c"}"#), ids),
            (Kind::IdentityProviderLink, link(r#"{"username":"admin"}"#), ids),
            (Kind::IdentityProviderLink, link(r#"{"phoneNumber":"+13035551212"}"#), ids),
            // Another's entity, on which nobody here has anything to give.
            (Kind::EntityGrant, grant(id, r#"{"name":"a"}"#), ids),
            (Kind::EntityGrant, grant(r#"{"clientId":"theirs"}"#, r#"{"name":"a"}"#), ids),
        ] {
            assert!(of_team_a(plain, kind, &spec, &none).is_err(), "{spec}");
            assert!(of_team_a(given, kind, &spec, &none).is_ok(), "{spec}");
        }
        for (kind, spec) in [
            (Kind::IdentityProviderLink, link(r#"{"name":"a","email":null}"#)),
            (Kind::EntityGrant, grant(r#"{"name":"a"}"#, r#"{"email":"guest@b.c"}"#)),
            (Kind::User, r#"{"email":"a@b.c","id":null,"policy":{"adoption":"Never"}}"#.to_owned()),
        ] {
            assert_eq!(of_team_a(plain, kind, &spec, &none), Ok(()), "{spec}");
        }
    }
}
