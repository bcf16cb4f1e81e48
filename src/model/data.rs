//! `data`: JSON of the user's own. Held more tightly than `serde_json::Value`, whose objects take more than 600 bytes
//! each, however little is in them: a file of small mappings would take a hundred times its size.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Number;

use super::Fields;

/// A JSON object, its entries by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data(Box<[(Box<str>, Datum)]>);

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
    List(Box<[Datum]>),
    Object(Data),
}

impl Data {
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Datum)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
        let mut entries: Vec<(Box<str>, Datum)> = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        if !entries.is_sorted_by(|left, right| left.0 < right.0) {
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            // Readers tell of a name that stands there twice; the first one is kept.
            entries.dedup_by(|later, earlier| later.0 == earlier.0);
        }
        Ok(Data(entries.into_boxed_slice()))
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DataVisitor)
    }
}

struct DatumVisitor;

impl<'de> Visitor<'de> for DatumVisitor {
    type Value = Datum;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Datum, E> {
        Ok(Datum::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Datum, E> {
        Ok(Datum::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Datum, D::Error> {
        Datum::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Datum, E> {
        Ok(Datum::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Datum, E> {
        Ok(Datum::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Datum, E> {
        Ok(Datum::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Datum, E> {
        Number::from_f64(value).map(Datum::Number).ok_or_else(|| E::custom("JSON has no such number"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Datum, E> {
        Ok(Datum::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Datum, A::Error> {
        let mut list: Vec<Datum> = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Datum::List(list.into_boxed_slice()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Datum, A::Error> {
        DataVisitor.visit_map(map).map(Datum::Object)
    }
}

impl<'de> Deserialize<'de> for Datum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DatumVisitor)
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.entries() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Datum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Datum::Null => serializer.serialize_unit(),
            Datum::Bool(value) => serializer.serialize_bool(*value),
            Datum::Number(value) => value.serialize(serializer),
            Datum::Text(text) => serializer.serialize_str(text),
            Datum::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Datum::Object(data) => data.serialize(serializer),
        }
    }
}

impl JsonSchema for Data {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Fields::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        Fields::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Fields::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_comes_back_as_it_was() {
        let text = r#"{"":null,"a":[1,-2,0.5,true,"x",[],{}],"b":{"c":{"d":9223372036854775807}}}"#;
        let data: Data = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&data).unwrap(), text);
        let turned: Data = serde_json::from_str(r#"{"b":1,"a":2}"#).unwrap();
        assert_eq!(turned, serde_json::from_str(r#"{"a":2,"b":1}"#).unwrap());
        assert!(serde_json::from_str::<Data>("[]").is_err());
        assert!(size_of::<Datum>() <= 24);
    }
}
