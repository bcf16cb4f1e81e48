//! Where a declaration stands: kind, namespace, name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, de};

use super::Kind;

/// The namespace of a manifest that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// An object's address: `Kind/name`, or `Kind/namespace/name` outside the namespace `default`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    pub kind: Kind,
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

impl Address {
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Address { kind, namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if &*self.namespace == DEFAULT_NAMESPACE {
            write!(formatter, "{}/{}", self.kind, self.name)
        } else {
            write!(formatter, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// Text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no address; write Kind/name or Kind/namespace/name")]
pub struct ParseAddressError(pub String);

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseAddressError(text.to_owned());
        let mut parts = text.split('/');
        let kind = parts.next().and_then(|kind| kind.parse().ok()).ok_or_else(error)?;
        let (namespace, name) = match (parts.next(), parts.next(), parts.next()) {
            (Some(name), None, None) => (DEFAULT_NAMESPACE, name),
            (Some(namespace), Some(name), None) => (namespace, name),
            _ => return Err(error()),
        };
        if namespace.is_empty() || name.is_empty() {
            return Err(error());
        }
        Ok(Address::new(kind, namespace, name))
    }
}

impl Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_print() {
        for text in ["User/richard", "Entity/team-a/raviga"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("User/default/x".parse::<Address>().unwrap().to_string(), "User/x");
        for text in ["User", "User/", "Nothing/x", "User/a/b/c", "User//x"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
