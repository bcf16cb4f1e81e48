//! Scalars with a form of their own: ids and instants.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A UUID in its hyphenated form, in any case. The uuid crate would take other forms too, which FusionAuth
/// does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub Uuid);

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::str::FromStr for Id {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Only the hyphenated form is 36 characters long.
        if text.len() == 36 { Uuid::try_parse(text).map(Id) } else { Uuid::try_parse("").map(Id) }
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), &"a UUID with hyphens"))
    }
}

impl JsonSchema for Id {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "uuid",
            "pattern": "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
            "minLength": 36,
            "maxLength": 36,
        })
    }
}

/// An instant: RFC 3339 with a time, or milliseconds since the epoch, which is FusionAuth's wire form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instant {
    /// Milliseconds since the epoch.
    pub milliseconds: i64,
}

struct InstantVisitor;

impl Visitor<'_> for InstantVisitor {
    type Value = Instant;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an RFC 3339 instant with time and offset, or milliseconds since the epoch")
    }

    fn visit_i64<E: Error>(self, milliseconds: i64) -> Result<Instant, E> {
        Ok(Instant { milliseconds })
    }

    fn visit_u64<E: Error>(self, milliseconds: u64) -> Result<Instant, E> {
        let milliseconds = i64::try_from(milliseconds)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(milliseconds), &self))?;
        Ok(Instant { milliseconds })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Instant, E> {
        let timestamp: jiff::Timestamp =
            text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))?;
        Ok(Instant { milliseconds: timestamp.as_millisecond() })
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InstantVisitor)
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.milliseconds)
    }
}

impl JsonSchema for Instant {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }

    // Kubernetes allows a field of two types by this extension alone.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "integer" }, { "type": "string", "format": "date-time", "x-form": "instant" }],
            "x-kubernetes-int-or-string": true,
        })
    }
}
