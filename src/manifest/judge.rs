//! Judges values that fit their types: what one document says about one object. Pure; places are given as JSON
//! pointers into the document, which the caller finds in the file.

mod instance;
mod objects;
mod unset;
mod user;

use super::finding::shorten;
use super::values;
use super::yaml::Value;
use crate::model::{
    BodySource, Declared, Ensure, EntityReference, Id, InitialPassword, InstanceReference, Kind, Password,
    PendingLinkId, Policy, Reference, SecretSource, Spec, UserReference,
};

/// Something wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub code: &'static str,
    /// A JSON pointer into the document.
    pub pointer: String,
    pub message: String,
    pub hint: Option<String>,
    /// The value may hold a secret: its line is not shown.
    pub secret: bool,
}

/// Verdicts that are told of one document.
const MOST_VERDICTS: usize = 200;

/// Collects what is wrong with one document.
#[derive(Default)]
pub struct Judge {
    pub verdicts: Vec<Verdict>,
}

impl Judge {
    fn error(
        &mut self,
        code: &'static str,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> &mut Verdict {
        // A hostile document has more of them than anybody reads: the last one then stands for the rest.
        self.verdicts.truncate(MOST_VERDICTS);
        let last = self.verdicts.len();
        let (pointer, message) = (pointer.into(), message.into());
        self.verdicts.push(Verdict { code, pointer, message, hint: None, secret: false });
        &mut self.verdicts[last]
    }

    /// Whether more verdicts would not be told.
    fn is_full(&self) -> bool {
        self.verdicts.len() > MOST_VERDICTS
    }

    fn invalid(&mut self, pointer: impl Into<String>, message: impl Into<String>) -> &mut Verdict {
        self.error("invalid-value", pointer, message)
    }

    /// A text that may not be empty.
    fn not_empty(&mut self, pointer: &str, text: Option<&String>) {
        if text.is_some_and(|text| text.trim().is_empty()) {
            self.invalid(pointer, "an empty text means nothing here").hint("leave it out, or fill it");
        }
    }

    fn email(&mut self, pointer: &str, text: Option<&String>) {
        if let Some(text) = text.filter(|text| !values::is_email(text)) {
            self.invalid(pointer, format!("\"{}\" is no e-mail address", shorten(text)))
                .hint("one \"@\" with something on both sides, no blanks or line breaks");
        }
    }

    fn phone_number(&mut self, pointer: &str, text: Option<&String>) {
        if let Some(text) = text.filter(|text| !values::is_phone_number(text)) {
            self.invalid(pointer, format!("\"{}\" is no phone number in international form", shorten(text)))
                .hint("write \"+\", the country and the number: \"+13035551212\"");
        }
    }

    fn locales(&mut self, pointer: &str, locales: &Declared<Vec<String>>) {
        /// FusionAuth's limit (users document).
        const MOST: usize = 20;
        let Some(locales) = locales.set() else { return };
        if locales.len() > MOST {
            self.invalid(pointer, format!("{} locales, but FusionAuth takes at most {MOST}", locales.len()));
        }
        for (index, locale) in
            locales.iter().take(MOST).enumerate().filter(|(_, locale)| !values::is_locale(locale))
        {
            let hint = match values::renamed_language(locale) {
                Some(now) => format!("the language's code is \"{now}\" by now"),
                None => "a language and, if wanted, a region: en, en_US, de-DE".to_owned(),
            };
            self.invalid(format!("{pointer}/{index}"), format!("\"{}\" is no known locale", shorten(locale)))
                .hint(hint);
        }
    }

    fn time_zone(&mut self, pointer: &str, zone: Option<&String>) {
        let Some(zone) = zone.filter(|zone| !self.is_full() && !values::time_zones().contains(*zone)) else {
            return;
        };
        let near = super::diagnostic::nearest(zone, values::time_zones().iter().map(String::as_str));
        let hint = near.map_or_else(
            || "an IANA name such as Europe/Berlin".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        self.invalid(pointer, format!("\"{}\" is no known time zone", shorten(zone))).hint(hint);
    }

    fn policy(&mut self, kind: Kind, policy: &Policy) {
        if policy.deletion.0 == Some(crate::model::Deletion::Deactivate) && kind != Kind::User {
            self.invalid("/spec/policy/deletion", "Deactivate is for users only")
                .hint("write Delete or Orphan");
        }
        if policy.ensure.0 == Some(Ensure::Absent) && policy.protected() {
            self.invalid("/spec/policy/protect", "an object cannot be both absent and protected")
                .hint("remove `protect`, or `ensure: Absent`");
        }
    }

    fn instance_ref(&mut self, reference: Option<&InstanceReference>) {
        if let Some(reference) = reference.filter(|reference| !values::is_object_name(&reference.name)) {
            self.invalid(
                "/spec/instanceRef/name",
                format!("\"{}\" is no name of an instance", shorten(&reference.name)),
            );
        }
    }
}

impl Verdict {
    fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    fn secret(&mut self) -> &mut Self {
        self.secret = true;
        self
    }
}

/// Judges an object's declaration. `spec_tree` is its `spec` as written.
pub fn object(spec: &Spec, spec_tree: Value<'_>) -> Vec<Verdict> {
    let mut judge = Judge::default();
    let kind = spec.kind();
    judge.policy(kind, spec.policy());
    judge.instance_ref(spec.instance_ref());
    match spec {
        Spec::EntityType(spec) => judge.entity_type(spec),
        Spec::Lambda(spec) => judge.lambda(spec),
        Spec::User(spec) => judge.user(spec),
        Spec::Entity(spec) => judge.entity(spec),
        Spec::EntityGrant(spec) => judge.grant(spec),
        Spec::IdentityProviderLink(spec) => judge.link(spec),
    }
    if !spec.unset().is_empty() {
        judge.unset(kind, spec.unset(), spec_tree);
    }
    judge.verdicts
}

/// Whether exactly one field of every one-of is there, and all that a living object needs. What is missing is told by
/// the schema's explanation.
pub fn is_well_formed(spec: &Spec) -> bool {
    let absent = spec.policy().absent();
    match spec {
        Spec::EntityType(_) => true,
        Spec::Lambda(spec) => {
            absent
                || (spec.lambda_type.is_some()
                    && one([spec.body.is_some(), spec.body_file.is_some(), spec.body_from.is_some()]))
        }
        Spec::User(spec) => {
            let registrations = spec.registrations.set().map(Vec::as_slice).unwrap_or_default();
            let initial = spec.initial.as_ref();
            registrations.iter().all(|registration| registration.application.is_one())
                && spec.password.as_ref().is_none_or(Password::is_one)
                && initial.and_then(|initial| initial.password.as_ref()).is_none_or(InitialPassword::is_one)
                && initial.and_then(|initial| initial.salt.as_ref()).is_none_or(SecretSource::is_one)
        }
        Spec::Entity(spec) => {
            let undeclared = spec.entity_type == Reference::default();
            (spec.entity_type.is_one() || (absent && undeclared))
                && spec.client_secret.as_ref().is_none_or(SecretSource::is_one)
        }
        Spec::EntityGrant(spec) => {
            one([spec.user.is_some(), spec.recipient_entity.is_some()])
                && spec.entity.is_one()
                && spec.user.as_ref().is_none_or(UserReference::is_one)
                && spec.recipient_entity.as_ref().is_none_or(EntityReference::is_one)
        }
        Spec::IdentityProviderLink(spec) => {
            let token = spec.initial.as_ref().and_then(|initial| initial.token.as_ref());
            let pending = spec.pending_link.as_ref().map(|pending| &pending.id);
            spec.identity_provider.is_one()
                && spec.user.is_one()
                && token.is_none_or(SecretSource::is_one)
                && pending.is_none_or(|id| match id {
                    PendingLinkId::Plain(_) => true,
                    PendingLinkId::Source(source) => source.is_one(),
                })
        }
    }
}

fn one<const N: usize>(present: [bool; N]) -> bool {
    present.into_iter().filter(|present| *present).count() == 1
}

/// A one-of: whether exactly one of its fields is there.
trait OneOf {
    fn is_one(&self) -> bool;
}

impl OneOf for Reference {
    fn is_one(&self) -> bool {
        one([self.name.is_some(), self.id.is_some()])
    }
}

impl OneOf for UserReference {
    fn is_one(&self) -> bool {
        let UserReference { name, id, email, username, phone_number } = self;
        one([name.is_some(), id.is_some(), email.is_some(), username.is_some(), phone_number.is_some()])
    }
}

impl OneOf for EntityReference {
    fn is_one(&self) -> bool {
        one([self.name.is_some(), self.id.is_some(), self.client_id.is_some()])
    }
}

impl OneOf for SecretSource {
    fn is_one(&self) -> bool {
        one([self.from_env.is_some(), self.from_file.is_some(), self.secret_key_ref.is_some()])
    }
}

impl OneOf for Password {
    fn is_one(&self) -> bool {
        one([self.from_env.is_some(), self.from_file.is_some(), self.secret_key_ref.is_some()])
    }
}

impl OneOf for InitialPassword {
    fn is_one(&self) -> bool {
        let InitialPassword { from_env, from_file, secret_key_ref, password, .. } = self;
        one([from_env.is_some(), from_file.is_some(), secret_key_ref.is_some(), password.is_some()])
            && password.as_ref().is_none_or(SecretSource::is_one)
            && self.salt.as_ref().is_none_or(SecretSource::is_one)
    }
}

pub use instance::{instance, is_well_formed_instance};

/// Names in references may not be empty.
fn reference_texts(reference: &UserReference) -> [(&'static str, Option<&String>); 4] {
    [
        ("name", reference.name.as_ref()),
        ("email", reference.email.as_ref()),
        ("username", reference.username.as_ref()),
        ("phoneNumber", reference.phone_number.as_ref()),
    ]
}

impl Judge {
    fn reference(&mut self, pointer: &str, reference: &Reference) {
        self.not_empty(&format!("{pointer}/name"), reference.name.as_ref());
    }

    fn user_reference(&mut self, pointer: &str, reference: &UserReference) {
        for (field, text) in reference_texts(reference) {
            self.not_empty(&format!("{pointer}/{field}"), text);
        }
        self.email(
            &format!("{pointer}/email"),
            reference.email.as_ref().filter(|text| !text.trim().is_empty()),
        );
        self.phone_number(&format!("{pointer}/phoneNumber"), reference.phone_number.as_ref());
    }

    fn entity_reference(&mut self, pointer: &str, reference: &EntityReference) {
        self.not_empty(&format!("{pointer}/name"), reference.name.as_ref());
        self.not_empty(&format!("{pointer}/clientId"), reference.client_id.as_ref());
    }

    /// What a source names may not be empty.
    fn source(&mut self, pointer: &str, source: &SecretSource) {
        self.not_empty(&format!("{pointer}/fromEnv"), source.from_env.as_ref());
        self.not_empty(&format!("{pointer}/fromFile"), source.from_file.as_ref());
        if let Some(reference) = &source.secret_key_ref {
            self.not_empty(&format!("{pointer}/secretKeyRef/name"), Some(&reference.name));
            self.not_empty(&format!("{pointer}/secretKeyRef/key"), Some(&reference.key));
        }
    }

    fn body_source(&mut self, pointer: &str, source: &BodySource) {
        self.not_empty(&format!("{pointer}/configMapKeyRef/name"), Some(&source.config_map_key_ref.name));
        self.not_empty(&format!("{pointer}/configMapKeyRef/key"), Some(&source.config_map_key_ref.key));
    }
}

/// An id as it compares with others.
fn id_text(id: &Id) -> String {
    id.to_string()
}
