//! A row of a page, as text until somebody reads it: reading it is most of the work on a page, and can be done on several
//! threads.

use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use uuid::Uuid;

use super::Object;
use super::error::Error;
use super::response::Response;

/// A row that has not been read into a value yet.
#[derive(Clone, Copy)]
pub struct Row<'p> {
    pub id: Uuid,
    pub(super) text: &'p [u8],
    pub(super) page: &'p Response,
}

impl Row<'_> {
    /// The row as `T`.
    ///
    /// # Errors
    /// It is not of this shape.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(self.text).map_err(|error| self.page.json_error(&error))
    }

    /// Those fields of the row that `keep` names. Of a user or an entity most are nobody's to compare.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn fields(&self, keep: impl Fn(&str) -> bool) -> Result<Object, Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(self.text);
        let read = deserializer.deserialize_map(Kept(keep));
        let read = read.and_then(|fields| deserializer.end().map(|()| fields));
        read.map_err(|error| self.page.json_error(&error))
    }
}

/// Reads an object's fields, but for those that are passed over.
struct Kept<K>(K);

impl<'de, K: Fn(&str) -> bool> Visitor<'de> for Kept<K> {
    type Value = Object;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut fields = Object::new();
        while let Some(name) = map.next_key_seed(Name(&self.0))? {
            match name {
                Some(name) => {
                    fields.insert(name, map.next_value()?);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

/// A field's name, where it is kept.
struct Name<'k, K>(&'k K);

impl<'de, K: Fn(&str) -> bool> DeserializeSeed<'de> for Name<'_, K> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<K: Fn(&str) -> bool> Visitor<'_> for Name<'_, K> {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok((self.0)(name).then(|| name.to_owned()))
    }
}
