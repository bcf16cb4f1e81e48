//! Identity without a state file: ids that every runner derives alike.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Address, Scope, row};

/// The fixed namespace of all derived ids. It must never change: live objects are found by it.
const NAMESPACE: Uuid = Uuid::from_u128(0x7f1a_6c0e_52d4_4b0f_9a63_0f5c_1e9b_a8d7);

/// Who owns what: 1 to 63 characters of `[a-z0-9-]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Owner(String);

impl Owner {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Text that is no owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no owner: 1 to 63 characters of a to z, 0 to 9 and \"-\"")]
pub struct ParseOwnerError(String);

impl FromStr for Owner {
    type Err = ParseOwnerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=63).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if fits { Ok(Owner(text.to_owned())) } else { Err(ParseOwnerError(text.to_owned())) }
    }
}

impl TryFrom<String> for Owner {
    type Error = ParseOwnerError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> String {
        owner.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The id of an object without `spec.id`: UUIDv5 of the JSON array `[owner, tenantId, kind, namespace, name]`,
/// tenantId `""` for global kinds. A user's id is unique over all tenants of a server, hence the tenant.
pub fn derived_id(owner: &Owner, tenant_id: Uuid, address: &Address) -> Uuid {
    let tenant = match row(address.kind).scope {
        Scope::Global => String::new(),
        Scope::Tenant => tenant_id.to_string(),
    };
    version_5(&[owner.as_str(), &tenant, address.kind.as_str(), &address.namespace, &address.name])
}

/// The id of the group that is generation `number` of an owner's record in a tenant.
pub fn generation_id(owner: &Owner, tenant_id: Uuid, number: u64) -> Uuid {
    version_5(&[owner.as_str(), &tenant_id.to_string(), &number.to_string()])
}

fn version_5(parts: &[&str]) -> Uuid {
    let array = serde_json::Value::from(parts.to_vec()).to_string();
    Uuid::new_v5(&NAMESPACE, array.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    /// Frozen: a change here would orphan every object that is managed today.
    #[test]
    fn derived_ids_are_frozen() {
        let owner: Owner = "acme-prod".parse().unwrap();
        let tenant = Uuid::from_u128(0x30663132_6464_6665_3032_326466613934);
        let id = |kind, namespace, name| {
            derived_id(&owner, tenant, &Address::new(kind, namespace, name)).to_string()
        };
        assert_eq!(id(Kind::User, "default", "richard"), "a90dba1f-debc-533f-b74c-60bf18541ee7");
        assert_eq!(id(Kind::Lambda, "default", "claims"), "1c59df6a-b608-5f9e-b084-fd5766d3bbb0");
        assert_eq!(id(Kind::Entity, "team \"a\"", "ünï"), "3dd16103-ea3e-5fdd-bf42-3f80500b10f7");
        assert_eq!(generation_id(&owner, tenant, 7).to_string(), "38da8dff-1d9d-5a4f-b531-44ce4995fe90");
        let other = derived_id(&owner, Uuid::nil(), &Address::new(Kind::Lambda, "default", "claims"));
        assert_eq!(other.to_string(), id(Kind::Lambda, "default", "claims"), "global kinds know no tenant");
    }

    #[test]
    fn owners_have_a_form() {
        for good in ["a", "acme-prod", "0", &"x".repeat(63)] {
            assert!(good.parse::<Owner>().is_ok(), "{good}");
        }
        for bad in ["", "Acme", "a_b", "a b", &"x".repeat(64), "é"] {
            assert!(bad.parse::<Owner>().is_err(), "{bad}");
        }
    }
}
