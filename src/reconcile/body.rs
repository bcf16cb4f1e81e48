//! A call's JSON body.

use std::fmt;

use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// JSON as text, but JSON wherever it is written: a plan holds a body for each of its calls from beginning to end, and
/// as a tree of values it takes ten times the memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(Box<str>);

impl Body {
    /// The body as `T`: as a [`Value`], or as what one wants to know of it.
    ///
    /// # Errors
    /// It has another shape. As a value it can be read always, for its text was written from one.
    pub fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(&self.0)
    }

    /// The body as a value.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub fn value(&self) -> serde_json::Result<Value> {
        self.read()
    }
}

impl From<Value> for Body {
    fn from(value: Value) -> Self {
        Body(value.to_string().into_boxed_str())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = Body::from(Value::deserialize(deserializer)?);
        // Deeper than a reader of JSON follows: it could not be sent.
        body.value().map_err(D::Error::custom)?;
        Ok(body)
    }
}
