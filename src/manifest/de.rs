//! Located trees to typed values, without a step between: a serde deserializer that never turns numbers or booleans
//! into strings, notes fields that nobody asked for, and can leave out what is known to be wrong.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};

use super::yaml::{Entries, Items, Value, View};

/// A value that does not fit its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// The byte offset of the innermost value that does not fit.
    pub at: Option<usize>,
    /// What serde says; it may quote the value.
    pub message: String,
    /// The field that the value lacks.
    pub missing: Option<&'static str>,
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl serde::de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        ReadError { at: None, message: message.to_string(), missing: None }
    }

    fn missing_field(field: &'static str) -> Self {
        ReadError {
            missing: Some(field),
            ..serde::de::Error::custom(format_args!("missing field `{field}`"))
        }
    }
}

/// What one reading is told and what it notes.
#[derive(Default)]
pub struct Context {
    /// Values to leave out, by where they stand: those that are reported already.
    pub skip: HashSet<usize>,
    /// Whether a field was found that the type does not have.
    pub unknown: Cell<bool>,
    /// Fields to make up, by where the mapping that lacks them begins: so that the rest of it can be judged.
    pub made_up: HashSet<(usize, &'static str)>,
}

/// Reads a value of type `T`.
pub fn read<'t, T: Deserialize<'t>>(value: Value<'t>, context: &Context) -> Result<T, ReadError> {
    T::deserialize(Reader { value, context }).map_err(|error| at(value, error))
}

fn at(value: Value<'_>, error: ReadError) -> ReadError {
    ReadError { at: error.at.or(Some(value.content_at())), ..error }
}

struct Reader<'t, 'c> {
    value: Value<'t>,
    context: &'c Context,
}

impl<'t> Deserializer<'t> for Reader<'t, '_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value.view() {
            View::Null => visitor.visit_unit(),
            View::Bool(value) => visitor.visit_bool(value),
            View::Int(value) => visitor.visit_i64(value),
            View::Float(value) => visitor.visit_f64(value),
            View::Text(text) => visitor.visit_borrowed_str(text),
            View::Sequence(items) => visitor.visit_seq(Sequence { items, context: self.context }),
            View::Mapping(entries) => {
                let made_up = self.context.made_up_in(self.value);
                visitor.visit_map(Mapping { entries, value: None, made_up, context: self.context })
            }
            View::Invalid => Err(serde::de::Error::custom("an invalid value")),
        }
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// Derived types would take a list for a mapping, field by field.
    fn deserialize_struct<V: Visitor<'t>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.value.view() {
            View::Sequence(_) => Err(serde::de::Error::invalid_type(serde::de::Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.value.view() {
            View::Text(text) => visitor.visit_enum(Variant(text)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    /// Derived types ask for this where they have no field of that name.
    fn deserialize_ignored_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.context.unknown.set(true);
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <V: Visitor<'t>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map identifier
    }
}

/// The name of a variant without content.
struct Variant<'t>(&'t str);

impl<'t> EnumAccess<'t> for Variant<'t> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'t>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        let name: StrDeserializer<'t, ReadError> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'t> VariantAccess<'t> for Variant<'t> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'t>>(self, _seed: T) -> Result<T::Value, ReadError> {
        Err(serde::de::Error::custom("a name without content is no such value"))
    }

    fn tuple_variant<V: Visitor<'t>>(self, _len: usize, _visitor: V) -> Result<V::Value, ReadError> {
        Err(serde::de::Error::custom("a name without content is no such value"))
    }

    fn struct_variant<V: Visitor<'t>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, ReadError> {
        Err(serde::de::Error::custom("a name without content is no such value"))
    }
}

struct Sequence<'t, 'c> {
    items: Items<'t>,
    context: &'c Context,
}

impl<'t> SeqAccess<'t> for Sequence<'t, '_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let context = self.context;
        let Some(value) = self.items.find(|item| !context.skips(*item)) else { return Ok(None) };
        seed.deserialize(Reader { value, context }).map(Some).map_err(|error| at(value, error))
    }

    /// Lists are short and many: without this each has room for four.
    fn size_hint(&self) -> Option<usize> {
        Some(self.items.count_all())
    }
}

struct Mapping<'t, 'c> {
    entries: Entries<'t>,
    value: Option<Value<'t>>,
    made_up: Vec<&'static str>,
    context: &'c Context,
}

impl Context {
    fn made_up_in(&self, mapping: Value<'_>) -> Vec<&'static str> {
        let here = self.made_up.iter().filter(|(at, _)| *at == mapping.content_at());
        here.map(|(_, name)| *name).collect()
    }

    /// Whether the value is left out.
    pub fn skips(&self, value: Value<'_>) -> bool {
        !self.skip.is_empty() && (self.skip.contains(&value.at()) || self.skip.contains(&value.content_at()))
    }
}

impl<'t> MapAccess<'t> for Mapping<'t, '_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'t>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let context = self.context;
        let next = self.entries.find(|(key, value)| !context.skips(*key) && !context.skips(*value));
        let Some((key, value)) = next else {
            let Some(name) = self.made_up.pop() else { return Ok(None) };
            let name: StrDeserializer<'_, ReadError> = name.into_deserializer();
            return seed.deserialize(name).map(Some);
        };
        self.value = Some(value);
        seed.deserialize(Reader { value: key, context }).map(Some).map_err(|error| at(key, error))
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        match self.value.take() {
            Some(value) => {
                seed.deserialize(Reader { value, context: self.context }).map_err(|error| at(value, error))
            }
            None => seed.deserialize(Anything),
        }
    }
}

/// The least value of whatever type is asked for. It stands where a field is missing, and is never kept.
struct Anything;

impl<'t> Deserializer<'t> for Anything {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_str("anything")
    }

    fn deserialize_bool<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_bool(false)
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_none()
    }

    fn deserialize_seq<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_seq(SeqDeserializer::<_, ReadError>::new(std::iter::empty::<bool>()))
    }

    fn deserialize_map<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_map(MapDeserializer::<_, ReadError>::new(std::iter::empty::<(bool, bool)>()))
    }

    /// Nothing in it is set; a type that needs something is then told to need it.
    fn deserialize_struct<V: Visitor<'t>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match variants.first() {
            Some(variant) => visitor.visit_enum(Variant(variant)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        <V: Visitor<'t>>
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        tuple tuple_struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::yaml;
    use crate::model::{Declared, UserSpec};

    fn user(text: &str) -> (Result<UserSpec, ReadError>, bool) {
        let mut answer = None;
        yaml::read(yaml::Format::Yaml, text, 0..text.len(), &mut |document| {
            let tree = document.tree.unwrap();
            let context = Context::default();
            answer = Some((read(tree.root(), &context), context.unknown.get()));
        });
        answer.unwrap()
    }

    #[test]
    fn absent_null_and_set_are_told_apart() {
        let (spec, unknown) = user("email: a@b\nfirstName: ~\ndata: {x: [1, {y1: ~}]}\n");
        let spec = spec.unwrap();
        assert!(!unknown);
        assert_eq!(spec.email, Declared::Set("a@b".to_owned()));
        assert_eq!(spec.first_name, Declared::Null);
        assert_eq!(spec.last_name, Declared::Absent);
        assert_eq!(serde_json::to_value(&spec.data).unwrap().to_string(), r#"{"x":[1,{"y1":null}]}"#);
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_seen() {
        assert!(user("emial: a@b").1);
        assert!(user("registrations: [{application: {name: x, what: 1}}]").1);
        assert!(!user("data: {whatever: {you: like}}").1);
        assert_eq!(user("email: 12").0.unwrap_err().at, Some(7));
        assert_eq!(user("registrations: [{application: {name: [x]}}]").0.unwrap_err().at, Some(37));
        assert!(user("id: ~").0.is_err());
        assert!(user("usernameStatus: active").0.is_err());
    }
}
