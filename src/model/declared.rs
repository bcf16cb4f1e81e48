//! Optional fields: absent, null and set are three different declarations.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An optional field that `null` removes. Absent is not ours; null is removed on the live side; set is kept as
/// declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Declared<T> {
    #[default]
    Absent,
    Null,
    Set(T),
}

impl<T> Declared<T> {
    pub fn is_absent(&self) -> bool {
        matches!(self, Declared::Absent)
    }

    pub fn set(&self) -> Option<&T> {
        match self {
            Declared::Set(value) => Some(value),
            Declared::Absent | Declared::Null => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Declared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::<T>::deserialize(deserializer)? {
            Some(value) => Declared::Set(value),
            None => Declared::Null,
        })
    }
}

impl<T: Serialize> Serialize for Declared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.set().serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Declared<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Option::<T>::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        Option::<T>::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<T>::json_schema(generator)
    }
}

/// An optional field that is absent or set: null is a type error (`id`, a name, a secret), or as good as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NonNull<T>(pub Option<T>);

impl<T> Default for NonNull<T> {
    fn default() -> Self {
        NonNull(None)
    }
}

impl<T> NonNull<T> {
    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    pub fn as_ref(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for NonNull<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| NonNull(Some(value)))
    }
}

impl<T: Serialize> Serialize for NonNull<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for NonNull<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// For an optional value that stands in no FusionAuth object, so that there is nothing to remove (`policy.deletion`,
/// `guards.maxDeletes`, `initial.skipVerification`): null is as good as absent.
pub(super) fn null_as_absent<'de, D, T>(deserializer: D) -> Result<NonNull<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(NonNull)
}

/// For an optional field that null may not name: a secret's source.
pub(super) fn never_null<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// For fields that have a default and are nobody's in FusionAuth (`policy`, `suspend`): null is the default, as in
/// Kubernetes, where a key without a value says nothing.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
