//! A user's declaration.

use std::collections::BTreeSet;

use super::{Judge, id_text};
use crate::manifest::values;
use crate::model::{Declared, InitialPassword, SendSetPassword, UserInitial, UserSpec};

impl Judge {
    pub(super) fn user(&mut self, spec: &UserSpec) {
        self.sign_in_names(spec);
        self.email("/spec/parentEmail", spec.parent_email.set());
        self.locales("/spec/preferredLanguages", &spec.preferred_languages);
        self.time_zone("/spec/timezone", spec.timezone.set());
        if let Some(date) = spec.birth_date.set().filter(|date| !values::is_date(date)) {
            let shown = super::shorten(date);
            self.invalid("/spec/birthDate", format!("\"{shown}\" is no day")).hint("write YYYY-MM-DD");
        }
        if spec.verified.0 == Some(false) {
            self.never_unverified("/spec/verified");
        }
        self.passwords(spec);
        self.registrations(spec);
    }

    fn sign_in_names(&mut self, spec: &UserSpec) {
        self.email("/spec/email", spec.email.set());
        self.not_empty("/spec/username", spec.username.set());
        self.phone_number("/spec/phoneNumber", spec.phone_number.set());
        let nameless =
            [&spec.email, &spec.username, &spec.phone_number].iter().all(|name| name.set().is_none());
        if nameless && !spec.policy.absent() {
            self.error(
                "missing-field",
                "/spec",
                "a user needs an e-mail address, a username or a phone number",
            )
            .hint("declare `email`, `username` or `phoneNumber`");
        }
    }

    fn never_unverified(&mut self, pointer: &str) {
        self.invalid(pointer, "`verified: false` cannot be declared")
            .hint("FusionAuth takes no verification back; leave it out, or write true");
    }

    fn passwords(&mut self, spec: &UserSpec) {
        let initial = spec.initial.as_ref();
        let initial_password = initial.and_then(|initial| initial.password.as_ref());
        if spec.password.as_ref().is_some() && initial_password.is_some() {
            self.error("one-of", "/spec/password", "both `password` and `initial.password`")
                .hint("`password` is enforced, `initial.password` is sent once: keep one");
        }
        if let Some(password) = spec.password.as_ref() {
            self.source("/spec/password", &password.source());
            self.scheme("/spec/password", password.encryption_scheme.as_ref(), password.factor.0);
        }
        if let Some(password) = initial_password {
            let inner = if password.password.is_some() {
                "/spec/initial/password/password"
            } else {
                "/spec/initial/password"
            };
            self.source(inner, &password.source());
        }
        if let Some(initial) = initial {
            self.initial(initial);
            let sends = initial.send_set_password_identity_type.0;
            let has_password = spec.password.as_ref().is_some() || initial_password.is_some();
            if has_password && sends.is_some_and(|sends| sends != SendSetPassword::DoNotSend) {
                self.error(
                    "one-of",
                    "/spec/initial/sendSetPasswordIdentityType",
                    "`sendSetPasswordIdentityType` asks for a message to set a password, but there is one already",
                )
                .hint("write doNotSend, or leave the password out");
            }
        }
    }

    fn initial(&mut self, initial: &UserInitial) {
        const PLACE: &str = "/spec/initial";
        self.scheme(PLACE, initial.encryption_scheme.as_ref(), initial.factor.0);
        self.not_empty("/spec/initial/legacyIdentifier", initial.legacy_identifier.as_ref());
        let password = initial.password.as_ref();
        if let Some(password) = password {
            self.scheme("/spec/initial/password", password.encryption_scheme.as_ref(), password.factor.0);
            self.said_twice(initial, password);
        }
        let salt = initial.salt.as_ref().map(|salt| ("/spec/initial/salt", salt));
        let inner = password.and_then(|password| password.salt.as_ref());
        let Some((pointer, salt)) = salt.or(inner.map(|salt| ("/spec/initial/password/salt", salt))) else {
            return;
        };
        self.source(pointer, salt);
        if password.is_none() {
            self.error("missing-field", pointer, "a salt without the hash it belongs to")
                .hint("write the hash's source under `initial.password`");
        }
        let inner_scheme = password.and_then(|password| password.encryption_scheme.as_ref());
        if initial.encryption_scheme.as_ref().or(inner_scheme).is_none() {
            self.error("missing-field", pointer, "a salt without `encryptionScheme`")
                .hint("a hash is imported with salt, encryptionScheme and factor");
        }
    }

    fn said_twice(&mut self, initial: &UserInitial, password: &InitialPassword) {
        for (field, twice) in [
            ("salt", initial.salt.as_ref().is_some() && password.salt.is_some()),
            (
                "encryptionScheme",
                initial.encryption_scheme.as_ref().and(password.encryption_scheme.as_ref()).is_some(),
            ),
            ("factor", initial.factor.0.and(password.factor.0).is_some()),
        ] {
            if twice {
                let message = format!("`{field}` both in `initial` and in `initial.password`");
                self.error("one-of", format!("/spec/initial/{field}"), message).hint("keep one");
            }
        }
    }

    fn scheme(&mut self, pointer: &str, scheme: Option<&String>, factor: Option<i64>) {
        self.not_empty(&format!("{pointer}/encryptionScheme"), scheme);
        if factor.is_some_and(|factor| factor < 0) {
            self.invalid(format!("{pointer}/factor"), "a factor is not negative");
        }
    }

    fn registrations(&mut self, spec: &UserSpec) {
        let Some(registrations) = spec.registrations.set() else { return };
        let mut seen = BTreeSet::new();
        for (index, registration) in registrations.iter().enumerate() {
            let pointer = format!("/spec/registrations/{index}");
            self.reference(&format!("{pointer}/application"), &registration.application);
            let key =
                (registration.application.name.as_ref(), registration.application.id.as_ref().map(id_text));
            if !seen.insert(key) {
                self.error(
                    "duplicate",
                    format!("{pointer}/application"),
                    "the same application twice in one user's registrations",
                )
                .hint("one registration an application: join the two");
            }
            self.locales(&format!("{pointer}/preferredLanguages"), &registration.preferred_languages);
            self.time_zone(&format!("{pointer}/timezone"), registration.timezone.set());
            if registration.verified.0 == Some(false) {
                self.never_unverified(&format!("{pointer}/verified"));
            }
            if let Declared::Set(roles) = &registration.roles {
                for (number, role) in roles.iter().enumerate() {
                    self.not_empty(&format!("{pointer}/roles/{number}"), Some(role));
                }
            }
        }
    }
}
