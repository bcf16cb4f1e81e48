//! What every kind's `spec` carries beside its own fields.
//!
//! A macro, because serde's `flatten` would take unknown fields without a word, and schemars would then say so too.

/// A kind's `spec`: the fields given, then policy, instance, suspend and unset.
macro_rules! kind_spec {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident { $($(#[$field_attribute:meta])* pub $field:ident: $type:ty,)* }
    ) => {
        $(#[$attribute])*
        pub struct $name {
            $($(#[$field_attribute])* pub $field: $type,)*
            /// What fusionkeep may do with the object.
            #[serde(default, deserialize_with = "crate::model::declared::null_as_default")]
            #[schemars(with = "Option<crate::model::Policy>")]
            pub policy: crate::model::Policy,
            /// The instance the object belongs to.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub instance_ref: Option<crate::model::InstanceReference>,
            /// Leave the object alone for now.
            #[serde(default, deserialize_with = "crate::model::declared::null_as_default")]
            #[schemars(with = "Option<bool>")]
            pub suspend: bool,
            /// Paths of fields to remove, such as `data.team`.
            #[serde(default, deserialize_with = "crate::model::declared::null_as_default")]
            #[schemars(with = "Option<Vec<String>>")]
            pub unset: Vec<String>,
        }
    };
}

pub(super) use kind_spec;
