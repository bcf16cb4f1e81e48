//! A successful answer, and the shapes that can be read from it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use reqwest::Method;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Object;
use super::call::{Answer, Call};
use super::error::{Error, ErrorKind};

/// A 2xx answer, read to its end.
#[derive(Clone)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The server's clock when it answered (its `Date` header).
    pub date: Option<jiff::Timestamp>,
    pub(super) method: Method,
    pub(super) route: &'static str,
    pub(super) body: Bytes,
}

impl Response {
    /// An answer that was put together here: to a DELETE that had succeeded before, or from an object found again.
    pub(super) fn made(call: &Call, body: Bytes) -> Self {
        Self { status: 200, date: None, method: call.method.clone(), route: call.route, body }
    }

    /// An error of this answer.
    pub(super) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(&self.method, self.route, kind)
    }

    pub(super) fn unexpected(&self, what: impl Into<String>) -> Error {
        self.error(ErrorKind::UnexpectedShape(what.into()))
    }

    /// Whether there is no body.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// The body as `T`. The error names the place and never a value.
    ///
    /// # Errors
    /// The body is empty, cut off, or not of this shape.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| self.json_error(&error))
    }

    /// serde's message can quote values, so only its place is kept.
    pub(super) fn json_error(&self, error: &serde_json::Error) -> Error {
        if self.body.is_empty() {
            self.unexpected("an empty body where JSON is due")
        } else if error.is_eof() {
            self.error(ErrorKind::CutOff { status: self.status })
        } else {
            let (line, column) = (error.line(), error.column());
            self.unexpected(format!("the body is not the JSON that is due (line {line}, column {column})"))
        }
    }

    /// Whether the body is JSON of the shape that the call is answered with. Nothing is kept of it: a run of many writes
    /// needs to know that each was answered, and no more.
    pub(super) fn judge(&self, answer: Answer) -> Result<(), Error> {
        let error = |error| self.json_error(&error);
        let is_object = |value: &RawValue| value.get().starts_with('{');
        match answer {
            Answer::EmptyOrJson if self.body.is_empty() => Ok(()),
            Answer::EmptyOrJson => serde_json::from_slice(&self.body).map(|IgnoredAny| ()).map_err(error),
            Answer::Object => {
                let value: &RawValue = serde_json::from_slice(&self.body).map_err(error)?;
                if is_object(value) { Ok(()) } else { Err(self.unexpected("not a JSON object")) }
            }
            Answer::Wrapper(key) => {
                let fields: BTreeMap<Cow<'_, str>, &RawValue> =
                    serde_json::from_slice(&self.body).map_err(error)?;
                match fields.get(key) {
                    Some(value) if is_object(value) => Ok(()),
                    _ => Err(self.unexpected(format!("no object `{key}`"))),
                }
            }
        }
    }

    /// The object under `key`.
    ///
    /// # Errors
    /// The body is no JSON object, or has no object under this key.
    pub fn object(&self, key: &'static str) -> Result<Object, Error> {
        match self.parse::<Object>()?.remove(key) {
            Some(Value::Object(object)) => Ok(object),
            _ => Err(self.unexpected(format!("no object `{key}`"))),
        }
    }

    /// The objects of the array under `key`. Only an answer without any content may leave the key out, or say null:
    /// FusionAuth drops nulls from its JSON (wire notes §1). A total of zero and empty lists are no content.
    ///
    /// # Errors
    /// The body is no JSON object, or has something else under this key.
    pub fn objects(&self, key: &'static str) -> Result<Vec<Object>, Error> {
        let mut body = self.parse::<Object>()?;
        let items = match body.remove(key) {
            Some(Value::Array(items)) => items,
            None | Some(Value::Null) if body.values().all(is_void) => Vec::new(),
            _ => return Err(self.unexpected(format!("no array `{key}`"))),
        };
        let object = |item| match item {
            Value::Object(object) => Ok(object),
            _ => Err(self.unexpected(format!("`{key}` holds something that is no object"))),
        };
        items.into_iter().map(object).collect()
    }
}

/// Whether a value beside a list that is left out says that there is nothing.
fn is_void(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::String(_) | Value::Object(_) => false,
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Response({} {} {}, {} bytes)", self.method, self.route, self.status, self.body.len())
    }
}
