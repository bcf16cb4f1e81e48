//! A person: identity, profile, registrations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::declared::null_as_absent;
use super::kind::{Compare, Deletion, FieldRule, KindRow, Part, Scope, Sensitivity, Since, Write};
use super::spec::kind_spec;
use super::{
    Data, Declared, Fields, Id, InitialPassword, Instant, Kind, NonNull, Password, Reference, SecretSource,
};

kind_spec! {
    /// A person who signs in.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    #[schemars(title = "User", extend(
        "x-any-of-unless-absent" = ["email", "username", "phoneNumber"],
        "x-never" = [
            {
                "required": ["password", "initial"],
                "properties": { "initial": { "type": "object", "required": ["password"] } },
            },
            {
                "required": ["initial"],
                "properties": {
                    "initial": {
                        "type": "object",
                        "required": ["sendSetPasswordIdentityType"],
                        "properties": { "sendSetPasswordIdentityType": { "enum": ["email", "phone"] } },
                    },
                },
                "anyOf": [
                    { "required": ["password"] },
                    { "properties": { "initial": { "required": ["password"] } } },
                ],
            },
        ],
    ))]
    pub struct UserSpec {
        /// The id in FusionAuth; derived from owner, tenant, namespace and name when absent.
        #[serde(default, skip_serializing_if = "NonNull::is_absent")]
        pub id: NonNull<Id>,
        /// The e-mail address, stored in lower case. A user has an e-mail address, a username or a phone number.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        #[schemars(extend("x-form" = "email"))]
        pub email: Declared<String>,
        /// The username, unique in any case.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        #[schemars(extend("x-form" = "filled"))]
        pub username: Declared<String>,
        /// The phone number to sign in with, in international form (FusionAuth 1.59).
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        #[schemars(extend("x-form" = "phone number"))]
        pub phone_number: Declared<String>,
        /// The state of a moderated username.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub username_status: Declared<UsernameStatus>,
        /// Whether the user may sign in. Absent leaves an existing user as it is.
        #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
        #[schemars(with = "Option<bool>")]
        pub active: NonNull<bool>,
        /// `true`: the user's e-mail address (or other identity) is verified, by an administrative verification.
        #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
        #[schemars(with = "Option<bool>", extend("x-never" = [{ "const": false }]))]
        pub verified: NonNull<bool>,
        /// The date of birth, YYYY-MM-DD.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        #[schemars(extend("x-form" = "date"))]
        pub birth_date: Declared<String>,
        /// Data of your own: a key that is not declared is not touched.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub data: Declared<Data>,
        /// The instant after which the user can no longer sign in: RFC 3339, or milliseconds since the epoch.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub expiry: Declared<Instant>,
        /// The first name.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub first_name: Declared<String>,
        /// The middle name.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub middle_name: Declared<String>,
        /// The last name.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub last_name: Declared<String>,
        /// The full name, which FusionAuth does not derive from the others.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub full_name: Declared<String>,
        /// The URL of a picture.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub image_url: Declared<String>,
        /// A phone number for messages; any text.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub mobile_phone: Declared<String>,
        /// The e-mail address of a child's parent.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        #[schemars(extend("x-form" = "email"))]
        pub parent_email: Declared<String>,
        /// Locales in order of preference, such as `en_US`; at most 20.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        #[schemars(extend("x-form-of-items" = "locale", "x-most-items" = 20))]
        pub preferred_languages: Declared<Vec<String>>,
        /// The time zone by its IANA name.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub timezone: Declared<String>,
        /// The password, enforced: sent again when its version or its value changes.
        #[serde(default, skip_serializing_if = "NonNull::is_absent")]
        pub password: NonNull<Password>,
        /// Applications the user is registered for. Those that are not declared are others'.
        #[serde(default, skip_serializing_if = "Declared::is_absent")]
        pub registrations: Declared<Vec<Registration>>,
        /// Sent when the user is created, never again, never compared.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub initial: Option<UserInitial>,
    }
}

/// A user's registration for an application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// The application, by live name or by id.
    pub application: Reference,
    /// Roles of that application. The whole set: one that was added by hand is drift.
    #[serde(default, skip_serializing_if = "Declared::is_absent")]
    #[schemars(extend("x-form-of-items" = "filled"))]
    pub roles: Declared<Vec<String>>,
    /// Data of your own about this registration.
    #[serde(default, skip_serializing_if = "Declared::is_absent")]
    pub data: Declared<Data>,
    /// Locales in order of preference, for this application.
    #[serde(default, skip_serializing_if = "Declared::is_absent")]
    #[schemars(extend("x-form-of-items" = "locale", "x-most-items" = 20))]
    pub preferred_languages: Declared<Vec<String>>,
    /// The time zone for this application.
    #[serde(default, skip_serializing_if = "Declared::is_absent")]
    pub timezone: Declared<String>,
    /// The username in this application; no sign-in name.
    #[serde(default, skip_serializing_if = "Declared::is_absent")]
    pub username: Declared<String>,
    /// The state of that username when it is moderated.
    #[serde(default, skip_serializing_if = "Declared::is_absent")]
    pub username_status: Declared<UsernameStatus>,
    /// `true`: the registration is verified, by an administrative verification.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<bool>", extend("x-never" = [{ "const": false }]))]
    pub verified: NonNull<bool>,
}

/// What is sent when a user is created, and never again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-never" = [
    // A salt belongs to a hash, and a hash to a scheme, wherever each of them is written.
    { "required": ["salt"], "not": { "required": ["password"] } },
    {
        "anyOf": [
            { "required": ["salt"] },
            { "required": ["password"], "properties": { "password": { "type": "object", "required": ["salt"] } } },
        ],
        "not": { "anyOf": [
            { "required": ["encryptionScheme"], "properties": { "encryptionScheme": { "type": "string" } } },
            { "required": ["password"], "properties": { "password": {
                "type": "object",
                "required": ["encryptionScheme"],
                "properties": { "encryptionScheme": { "type": "string" } },
            } } },
        ] },
    },
    {
        "required": ["salt", "password"],
        "properties": { "password": { "type": "object", "required": ["salt"] } },
    },
    {
        "required": ["encryptionScheme", "password"],
        "properties": {
            "encryptionScheme": { "type": "string" },
            "password": {
                "type": "object",
                "required": ["encryptionScheme"],
                "properties": { "encryptionScheme": { "type": "string" } },
            },
        },
    },
    {
        "required": ["factor", "password"],
        "properties": {
            "factor": { "type": "integer" },
            "password": {
                "type": "object",
                "required": ["factor"],
                "properties": { "factor": { "type": "integer" } },
            },
        },
    },
]))]
pub struct UserInitial {
    /// The first password, or its hash.
    #[serde(default, skip_serializing_if = "NonNull::is_absent")]
    pub password: NonNull<InitialPassword>,
    /// The source of the salt, when the password is a hash; it may be empty.
    #[serde(default, skip_serializing_if = "NonNull::is_absent")]
    pub salt: NonNull<SecretSource>,
    /// The scheme of the hash, or the one by which FusionAuth hashes plain text.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<String>", extend("x-form" = "filled"))]
    pub encryption_scheme: NonNull<String>,
    /// The scheme's factor, usually its number of iterations.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<i64>", extend("x-least" = 0))]
    pub factor: NonNull<i64>,
    /// Whether the password must be changed at the next sign-in.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<bool>")]
    pub password_change_required: NonNull<bool>,
    /// Whether FusionAuth sends a message by which the user sets a password.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<SendSetPassword>")]
    pub send_set_password_identity_type: NonNull<SendSetPassword>,
    /// Create the user without a verification message.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<bool>")]
    pub skip_verification: NonNull<bool>,
    /// Create the registrations without a verification message.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<bool>")]
    pub skip_registration_verification: NonNull<bool>,
    /// Allow an e-mail domain that the tenant blocks.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<bool>")]
    pub disable_domain_block: NonNull<bool>,
    /// The user's id in the system it came from (FusionAuth 1.67); it never changes.
    #[serde(default, deserialize_with = "null_as_absent", skip_serializing_if = "NonNull::is_absent")]
    #[schemars(with = "Option<String>", extend("x-form" = "filled"))]
    pub legacy_identifier: NonNull<String>,
}

/// The state of a moderated username.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum UsernameStatus {
    Active,
    Pending,
    Rejected,
}

/// Where FusionAuth sends its set-password message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SendSetPassword {
    DoNotSend,
    Email,
    Phone,
}

use Sensitivity::{Personal, Public, Secret};

const FIELDS: &[FieldRule] = &[
    FieldRule::new("email", Personal).compare(Compare::Email),
    FieldRule::new("username", Personal).compare(Compare::TrimToNull),
    FieldRule::new("phoneNumber", Personal).compare(Compare::Phone).since(Since(1, 59)),
    FieldRule::new("usernameStatus", Public),
    FieldRule::new("active", Public).write(Write::OwnCall),
    FieldRule::new("verified", Public).write(Write::OwnCall),
    FieldRule::new("birthDate", Personal),
    FieldRule::new("data", Personal).compare(Compare::Data),
    FieldRule::new("expiry", Public),
    FieldRule::new("firstName", Personal).compare(Compare::Trim),
    FieldRule::new("middleName", Personal).compare(Compare::Trim),
    FieldRule::new("lastName", Personal).compare(Compare::Trim),
    FieldRule::new("fullName", Personal).compare(Compare::Trim),
    FieldRule::new("imageUrl", Personal),
    FieldRule::new("mobilePhone", Personal).compare(Compare::Trim),
    // Returned only until the parent has claimed the child (wire notes §4).
    FieldRule::new("parentEmail", Personal).compare(Compare::Email),
    FieldRule::new("preferredLanguages", Public).compare(Compare::Locales),
    FieldRule::new("timezone", Public),
    FieldRule::new("password", Secret).write(Write::WriteOnly),
    FieldRule::new("salt", Secret).write(Write::CreateOnly),
    FieldRule::new("encryptionScheme", Public).write(Write::CreateOnly),
    FieldRule::new("factor", Public).write(Write::CreateOnly),
    FieldRule::new("passwordChangeRequired", Public).write(Write::CreateOnly),
    FieldRule::new("legacyIdentifier", Personal).write(Write::CreateOnly).since(Since(1, 67)),
];

const REGISTRATION: &[FieldRule] = &[
    FieldRule::new("roles", Public).compare(Compare::Set),
    FieldRule::new("data", Personal).compare(Compare::Data),
    FieldRule::new("preferredLanguages", Public).compare(Compare::Locales),
    FieldRule::new("timezone", Public),
    FieldRule::new("username", Personal).compare(Compare::TrimToNull),
    FieldRule::new("usernameStatus", Public),
    FieldRule::new("verified", Public).write(Write::OwnCall),
    FieldRule::new("authenticationToken", Secret).write(Write::ReadOnly),
    FieldRule::new("tokens", Secret).write(Write::ReadOnly),
];

pub(super) const ROW: KindRow = KindRow {
    kind: Kind::User,
    plural: "users",
    route: "/api/user",
    wrapper: "user",
    scope: Scope::Tenant,
    order: 2,
    deletion: Deletion::Deactivate,
    fields: FIELDS,
    part: Some(Part { field: "registrations", key: "applicationId", fields: REGISTRATION }),
    natural_key: "email, username or phoneNumber",
};

impl Registration {
    /// The declared fields under their wire names, without the application.
    pub fn wire_fields(&self) -> Result<Fields, serde_json::Error> {
        let serde_json::Value::Object(mut fields) = serde_json::to_value(self)? else {
            return Ok(Fields::new());
        };
        fields.remove("application");
        Ok(fields)
    }
}
