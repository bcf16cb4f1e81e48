//! The declarations of entity types, entities, grants, lambdas and links.

use std::collections::BTreeSet;

use super::Judge;
use crate::model::{
    EntityGrantSpec, EntitySpec, EntityTypeSpec, IdentityProviderLinkSpec, LambdaSpec, PendingLinkId,
    Reference,
};

impl Judge {
    pub(super) fn entity_type(&mut self, spec: &EntityTypeSpec) {
        self.not_empty("/spec/name", spec.name.as_ref());
        let seconds = spec.jwt_configuration.set().and_then(|jwt| jwt.time_to_live_in_seconds.set());
        if seconds.is_some_and(|seconds| *seconds <= 0) {
            self.invalid("/spec/jwtConfiguration/timeToLiveInSeconds", "tokens live for at least one second");
        }
        let mut names = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for (index, permission) in spec.permissions.set().into_iter().flatten().enumerate() {
            let pointer = format!("/spec/permissions/{index}");
            self.not_empty(&format!("{pointer}/name"), Some(&permission.name));
            if !names.insert(&permission.name) {
                let message = format!(
                    "the permission \"{}\" twice in one entity type",
                    super::shorten(&permission.name)
                );
                self.error("duplicate", format!("{pointer}/name"), message);
            }
            if permission.id.as_ref().is_some_and(|id| !ids.insert(id)) {
                self.error(
                    "duplicate",
                    format!("{pointer}/id"),
                    "the id of another permission of this entity type",
                );
            }
        }
    }

    pub(super) fn lambda(&mut self, spec: &LambdaSpec) {
        self.not_empty("/spec/name", spec.name.as_ref());
        self.not_empty("/spec/body", spec.body.as_ref());
        self.not_empty("/spec/bodyFile", spec.body_file.as_ref());
        if let Some(source) = &spec.body_from {
            self.body_source("/spec/bodyFrom", source);
        }
    }

    pub(super) fn entity(&mut self, spec: &EntitySpec) {
        self.not_empty("/spec/name", spec.name.as_ref());
        self.not_empty("/spec/clientId", spec.client_id.as_ref());
        if spec.entity_type != Reference::default() {
            self.reference("/spec/type", &spec.entity_type);
        }
        if let Some(source) = spec.client_secret.as_ref() {
            self.source("/spec/clientSecret", source);
        }
    }

    pub(super) fn grant(&mut self, spec: &EntityGrantSpec) {
        self.entity_reference("/spec/entity", &spec.entity);
        if let Some(user) = &spec.user {
            self.user_reference("/spec/user", user);
        }
        if let Some(entity) = &spec.recipient_entity {
            self.entity_reference("/spec/recipientEntity", entity);
            if *entity == spec.entity {
                self.invalid("/spec/recipientEntity", "an entity cannot hold a grant on itself");
            }
        }
        for (index, permission) in spec.permissions.set().into_iter().flatten().enumerate() {
            self.not_empty(&format!("/spec/permissions/{index}"), Some(permission));
        }
    }

    pub(super) fn link(&mut self, spec: &IdentityProviderLinkSpec) {
        self.reference("/spec/identityProvider", &spec.identity_provider);
        self.user_reference("/spec/user", &spec.user);
        self.not_empty("/spec/identityProviderUserId", spec.identity_provider_user_id.as_ref());
        if spec.identity_provider_user_id.is_absent() && spec.pending_link.is_none() {
            self.error("missing-field", "/spec", "`spec.identityProviderUserId` is missing")
                .hint("it may be left out with `pendingLink` only");
        }
        match spec.pending_link.as_ref().map(|pending| &pending.id) {
            Some(PendingLinkId::Plain(id)) => self.not_empty("/spec/pendingLink/id", Some(id)),
            Some(PendingLinkId::Source(source)) => self.source("/spec/pendingLink/id", source),
            None => {}
        }
        if let Some(initial) = &spec.initial {
            if let Some(source) = initial.token.as_ref() {
                self.source("/spec/initial/token", source);
            }
            self.not_empty("/spec/initial/displayName", initial.display_name.as_ref());
        }
    }
}
