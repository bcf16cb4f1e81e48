//! A small pure model of FusionAuth, written from the wire notes alone: it takes calls and refuses what FusionAuth
//! refuses. It shares no code with the core's own normalisation.

use std::collections::{BTreeMap, BTreeSet};

use fusionkeep::model::{Fields, Kind};
use fusionkeep::reconcile::{Call, ContentType, Key, Live, Method, Recipient};
use serde_json::{Value, json};
use uuid::Uuid;

/// What stands on the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Server {
    pub objects: BTreeMap<(Kind, Key), Live>,
    /// Passwords that were sent, by user.
    pub passwords: BTreeMap<Uuid, u32>,
}

type Answer = Result<(), String>;

impl Server {
    pub fn get(&self, kind: Kind, key: &Key) -> Option<&Live> {
        self.objects.get(&(kind, key.clone()))
    }

    pub fn get_mut(&mut self, kind: Kind, key: &Key) -> Option<&mut Live> {
        self.objects.get_mut(&(kind, key.clone()))
    }

    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Live> {
        self.objects.iter().filter(move |((of, _), _)| *of == kind).map(|(_, live)| live)
    }

    /// Answers one call, or says why FusionAuth would not.
    pub fn call(&mut self, call: &Call) -> Answer {
        let body = call.body.as_ref().map_or(Value::Null, |body| body.value().unwrap());
        let patch = call.content_type == ContentType::MergePatch;
        if patch != (call.method == Method::Patch) {
            return Err(format!("{:?} as {:?}", call.method, call.content_type));
        }
        let segments: Vec<&str> = call.path.trim_start_matches("/api/").split('/').collect();
        let id = |at: usize| segments.get(at).and_then(|text| text.parse::<Uuid>().ok()).ok_or("no id");
        match (call.method, call.route.as_str()) {
            (Method::Post, "/api/user/import") => self.import(&body),
            (Method::Post, "/api/user/verify-email") => self.verify_user(&body),
            (Method::Post, "/api/user/verify-registration") => self.verify_registration(&body),
            (Method::Post, "/api/user/registration/{userId}") => self.register(id(2)?, &body),
            (Method::Patch, "/api/user/registration/{userId}/{applicationId}") => {
                let live = self.active_user(id(2)?)?;
                let part = live.parts.get_mut(segments[3]).ok_or("no such registration")?;
                patch_fields(part, &body["registration"]);
                settle_registration(part);
                Ok(())
            }
            (Method::Delete, "/api/user/registration/{userId}/{applicationId}") => {
                let live = self.active_user(id(2)?)?;
                live.parts.remove(segments[3]).map(|_| ()).ok_or("no such registration".into())
            }
            (Method::Post, "/api/user/{userId}") => self.create_user(id(1)?, &body, true),
            (Method::Patch, "/api/user/{userId}") => self.patch_user(id(1)?, call, &body),
            (Method::Put, "/api/user/{userId}") => self.reactivate(id(1)?, call),
            (Method::Delete, "/api/user/{userId}") => self.delete_user(id(1)?, call),
            (Method::Post, "/api/entity/{entityId}/grant") => self.grant(id(1)?, &body),
            (Method::Delete, "/api/entity/{entityId}/grant") => self.revoke(id(1)?, call),
            (_, "/api/identity-provider/link") => self.link(call, &body),
            (method, route) if route.starts_with("/api/entity/type/{entityTypeId}/permission") => {
                self.permission(method, id(2)?, segments.get(4).and_then(|id| id.parse().ok()), &body)
            }
            (method, "/api/entity/type/{entityTypeId}") => {
                self.wrapped(method, Kind::EntityType, id(2)?, &body["entityType"])
            }
            (method, "/api/entity/{entityId}") => self.wrapped(method, Kind::Entity, id(1)?, &body["entity"]),
            (method, "/api/lambda/{lambdaId}") => self.wrapped(method, Kind::Lambda, id(1)?, &body["lambda"]),
            (method, route) => Err(format!("{method:?} {route}: 405")),
        }
    }

    fn user(&mut self, id: Uuid) -> Result<&mut Live, String> {
        self.get_mut(Kind::User, &Key::Id(id)).ok_or(format!("user {id}: 404"))
    }

    fn active_user(&mut self, id: Uuid) -> Result<&mut Live, String> {
        let live = self.user(id)?;
        if live.active { Ok(live) } else { Err(format!("user {id} is inactive: 400")) }
    }

    fn create_user(&mut self, id: Uuid, body: &Value, by_api: bool) -> Answer {
        if self.user(id).is_ok() {
            return Err(format!("duplicate user {id}"));
        }
        let mut fields = object(&body["user"])?;
        if by_api && (fields.contains_key("active") || fields.contains_key("salt")) {
            return Err("the API creates no inactive or hashed users".into());
        }
        self.passwords.entry(id).or_default();
        let verified =
            body["skipVerification"] == json!(true) || fields.get("verified") == Some(&json!(true));
        let active = by_api || fields.get("active") == Some(&json!(true));
        for name in ["active", "id", "registrations", "password", "passwordChangeRequired"] {
            fields.remove(name);
        }
        fields.insert("verified".into(), verified.into());
        settle_user(&mut fields);
        self.is_unique(id, &fields)?;
        let live =
            Live { key: Key::Id(id), fields, parts: BTreeMap::new(), active, secrets_equal: BTreeMap::new() };
        self.objects.insert((Kind::User, Key::Id(id)), live);
        Ok(())
    }

    fn is_unique(&self, id: Uuid, fields: &Fields) -> Answer {
        for name in ["email", "username", "phoneNumber"] {
            let fold = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_lowercase);
            let Some(value) = fold(fields.get(name)) else { continue };
            let taken =
                |live: &&Live| live.key != Key::Id(id) && fold(live.fields.get(name)) == Some(value.clone());
            if self.of(Kind::User).any(|live| taken(&live)) {
                return Err(format!("[duplicate]user.{name} {value}"));
            }
        }
        let named = ["email", "username", "phoneNumber"].iter().any(|name| fields.contains_key(*name));
        if named { Ok(()) } else { Err("[blank]user.email".into()) }
    }

    fn register(&mut self, id: Uuid, body: &Value) -> Answer {
        if !body["user"].is_null() {
            self.create_user(id, body, true)?;
        }
        let live = self.active_user(id)?;
        insert_registration(live, &body["registration"])
    }

    fn import(&mut self, body: &Value) -> Answer {
        if body["validateDbConstraints"] != json!(true) {
            return Err("duplicates would be 500".into());
        }
        for user in body["users"].as_array().ok_or("no users")? {
            let id: Uuid = user["id"].as_str().and_then(|id| id.parse().ok()).ok_or("no id")?;
            self.create_user(id, &json!({ "user": user }), false)?;
            for registration in user["registrations"].as_array().into_iter().flatten() {
                insert_registration(self.user(id)?, registration)?;
            }
        }
        Ok(())
    }

    fn patch_user(&mut self, id: Uuid, call: &Call, body: &Value) -> Answer {
        let sent = object(&body["user"])?;
        if sent.is_empty() && call.secrets.is_empty() {
            return Err("an empty patch".into());
        }
        for name in ["active", "verified", "id", "registrations", "salt"] {
            if sent.contains_key(name) {
                return Err(format!("{name} is ignored in a PATCH"));
            }
        }
        if sent.get("preferredLanguages").is_some_and(Value::is_null) {
            return Err("preferredLanguages: null is 500".into());
        }
        let mut fields = self.active_user(id)?.fields.clone();
        patch_fields(&mut fields, &body["user"]);
        settle_user(&mut fields);
        self.is_unique(id, &fields)?;
        self.active_user(id)?.fields = fields;
        if call.secrets.iter().any(|slot| slot.pointer == "/user/password") {
            *self.passwords.entry(id).or_default() += 1;
        }
        Ok(())
    }

    fn reactivate(&mut self, id: Uuid, call: &Call) -> Answer {
        let asked = call.query == [("reactivate".to_owned(), "true".to_owned())] && call.body.is_none();
        let live = self.user(id)?;
        if !asked {
            return Err("PUT is never used on people".into());
        }
        live.active = true;
        Ok(())
    }

    fn delete_user(&mut self, id: Uuid, call: &Call) -> Answer {
        let live = self.user(id)?;
        if call.query.is_empty() {
            live.active = false;
            return Ok(());
        }
        self.objects.remove(&(Kind::User, Key::Id(id)));
        self.objects.retain(|(_, key), _| match key {
            Key::Link { user, .. } => *user != id,
            Key::Grant { recipient, .. } => *recipient != Recipient::User(id),
            Key::Id(_) => true,
        });
        Ok(())
    }

    fn verify_user(&mut self, body: &Value) -> Answer {
        let id = body["userId"].as_str().and_then(|id| id.parse().ok()).ok_or("no user")?;
        self.user(id)?.fields.insert("verified".into(), true.into());
        Ok(())
    }

    fn verify_registration(&mut self, body: &Value) -> Answer {
        let id = body["userId"].as_str().and_then(|id| id.parse().ok()).ok_or("no user")?;
        let application = body["applicationId"].as_str().ok_or("no application")?;
        let part = self.user(id)?.parts.get_mut(application).ok_or("no such registration")?;
        part.insert("verified".into(), true.into());
        Ok(())
    }

    /// Entity types, lambdas and entities.
    fn wrapped(&mut self, method: Method, kind: Kind, id: Uuid, sent: &Value) -> Answer {
        let key = Key::Id(id);
        match method {
            Method::Post => {
                if self.get(kind, &key).is_some() {
                    return Err(format!("duplicate {kind} {id}"));
                }
                let mut fields = object(sent)?;
                let permissions = fields.remove("permissions").unwrap_or(json!([]));
                self.may_stand(kind, id, &fields)?;
                settle(kind, id, &mut fields);
                let live = Live {
                    key: key.clone(),
                    fields,
                    parts: BTreeMap::new(),
                    active: true,
                    secrets_equal: BTreeMap::new(),
                };
                self.objects.insert((kind, key), live);
                for permission in permissions.as_array().into_iter().flatten() {
                    self.permission(Method::Post, id, None, &json!({ "permission": permission }))?;
                }
                Ok(())
            }
            Method::Patch => {
                let live = self.get(kind, &key).ok_or(format!("{kind} {id}: 404"))?;
                let mut fields = live.fields.clone();
                for name in ["type", "clientId", "permissions"] {
                    if sent.get(name).is_some() {
                        return Err(format!("{name} cannot be patched"));
                    }
                }
                patch_fields(&mut fields, sent);
                settle(kind, id, &mut fields);
                self.may_stand(kind, id, &fields)?;
                self.get_mut(kind, &key).ok_or("404")?.fields = fields;
                Ok(())
            }
            Method::Delete => self.delete(kind, id),
            Method::Get | Method::Put => Err("405".into()),
        }
    }

    fn may_stand(&self, kind: Kind, id: Uuid, fields: &Fields) -> Answer {
        if fields.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(format!("[blank]{kind}.name"));
        }
        let name = if kind == Kind::EntityType { "name" } else { "clientId" };
        let taken = |live: &Live| {
            live.key != Key::Id(id) && fields.get(name).is_some() && live.fields.get(name) == fields.get(name)
        };
        if kind != Kind::Lambda && self.of(kind).any(taken) {
            return Err(format!("[duplicate]{kind}.{name}"));
        }
        if kind == Kind::Entity {
            let of = fields.get("type").and_then(|of| of["id"].as_str()?.parse().ok()).ok_or("no type")?;
            self.get(Kind::EntityType, &Key::Id(of)).ok_or(format!("type {of} is not there"))?;
        }
        if kind == Kind::Lambda && (fields.get("type").is_none() || fields.get("body").is_none()) {
            return Err("[blank]lambda".into());
        }
        Ok(())
    }

    fn delete(&mut self, kind: Kind, id: Uuid) -> Answer {
        self.objects.remove(&(kind, Key::Id(id))).ok_or(format!("{kind} {id}: 404"))?;
        let entities: BTreeSet<Uuid> = match kind {
            Kind::Entity => BTreeSet::from([id]),
            Kind::EntityType => self
                .of(Kind::Entity)
                .filter(|live| live.fields["type"]["id"] == json!(id))
                .filter_map(|live| live.key.id())
                .collect(),
            _ => BTreeSet::new(),
        };
        self.objects.retain(|(_, key), _| match key {
            Key::Grant { entity, recipient } => {
                let holder = matches!(recipient, Recipient::Entity(id) if entities.contains(id));
                !entities.contains(entity) && !holder
            }
            Key::Id(id) => kind != Kind::EntityType || !entities.contains(id),
            Key::Link { .. } => true,
        });
        Ok(())
    }

    fn permission(&mut self, method: Method, of: Uuid, id: Option<Uuid>, body: &Value) -> Answer {
        let live = self.get_mut(Kind::EntityType, &Key::Id(of)).ok_or(format!("type {of}: 404"))?;
        if method == Method::Post {
            let mut fields = object(&body["permission"])?;
            let name =
                fields.remove("name").and_then(|name| name.as_str().map(str::to_owned)).ok_or("no name")?;
            let made = Uuid::new_v5(&of, name.as_bytes());
            fields.entry("id").or_insert(json!(id.unwrap_or(made)));
            settle_common(&mut fields);
            let taken = live.parts.insert(name, fields).is_some();
            return if taken { Err("[duplicate]permission.name".into()) } else { Ok(()) };
        }
        let id = id.ok_or("no permission")?;
        let name =
            live.parts.iter().find(|(_, fields)| fields["id"] == json!(id)).map(|(name, _)| name.clone());
        let name = name.ok_or(format!("permission {id}: 404"))?;
        if method == Method::Delete {
            live.parts.remove(&name);
            let own = self.entities_of(of);
            for ((_, key), live) in &mut self.objects {
                if let (Key::Grant { entity, .. }, Some(Value::Array(held))) =
                    (key, live.fields.get_mut("permissions"))
                    && own.contains(entity)
                {
                    held.retain(|held| *held != json!(name));
                }
            }
            return Ok(());
        }
        let fields = live.parts.get_mut(&name).ok_or("404")?;
        if body["permission"].get("name").is_some() {
            return Err("a permission's name is not editable".into());
        }
        patch_fields(fields, &body["permission"]);
        settle_common(fields);
        Ok(())
    }

    fn entities_of(&self, of: Uuid) -> BTreeSet<Uuid> {
        let of_type = self.of(Kind::Entity).filter(|live| live.fields["type"]["id"] == json!(of));
        of_type.filter_map(|live| live.key.id()).collect()
    }

    fn grant(&mut self, entity: Uuid, body: &Value) -> Answer {
        let mut fields = object(&body["grant"])?;
        let id = |value: Option<Value>| value.and_then(|id| id.as_str()?.parse::<Uuid>().ok());
        let recipient = match (id(fields.remove("userId")), id(fields.remove("recipientEntityId"))) {
            (Some(user), None) => Recipient::User(user),
            (None, Some(entity)) => Recipient::Entity(entity),
            _ => return Err("a grant has one recipient".into()),
        };
        let holder = match recipient {
            Recipient::User(id) => self.get(Kind::User, &Key::Id(id)),
            Recipient::Entity(id) => self.get(Kind::Entity, &Key::Id(id)),
        };
        holder.ok_or("the recipient is not there")?;
        let of = self.get(Kind::Entity, &Key::Id(entity)).ok_or(format!("entity {entity}: 404"))?;
        let of: Uuid = of.fields["type"]["id"].as_str().and_then(|id| id.parse().ok()).ok_or("no type")?;
        let known = &self.get(Kind::EntityType, &Key::Id(of)).ok_or("no type")?.parts;
        let mut permissions: Vec<String> = Vec::new();
        for name in fields.get("permissions").and_then(Value::as_array).into_iter().flatten() {
            let name = name.as_str().ok_or("no name")?;
            if !known.contains_key(name) {
                return Err(format!("no permission {name}"));
            }
            permissions.push(name.to_owned());
        }
        permissions.sort();
        permissions.dedup();
        fields.insert("permissions".into(), json!(permissions));
        settle_common(&mut fields);
        let key = Key::Grant { entity, recipient };
        let live = Live {
            key: key.clone(),
            fields,
            parts: BTreeMap::new(),
            active: true,
            secrets_equal: BTreeMap::new(),
        };
        self.objects.insert((Kind::EntityGrant, key), live);
        Ok(())
    }

    fn revoke(&mut self, entity: Uuid, call: &Call) -> Answer {
        let recipient = match call.query.as_slice() {
            [(name, id)] if name == "userId" => Recipient::User(id.parse().map_err(|_| "id")?),
            [(name, id)] if name == "recipientEntityId" => Recipient::Entity(id.parse().map_err(|_| "id")?),
            _ => return Err("no recipient".into()),
        };
        let key = (Kind::EntityGrant, Key::Grant { entity, recipient });
        self.objects.remove(&key).map(|_| ()).ok_or(format!("{key:?}: 404"))
    }

    fn link(&mut self, call: &Call, body: &Value) -> Answer {
        let of = |name: &str| match call.method {
            Method::Delete => call
                .query
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
                .ok_or("missing"),
            _ => body["identityProviderLink"][name].as_str().map(str::to_owned).ok_or("missing"),
        };
        let id = |name: &str| of(name)?.parse::<Uuid>().map_err(|_| "no id");
        let key = Key::Link {
            identity_provider: id("identityProviderId")?,
            identity_provider_user_id: of("identityProviderUserId")?,
            user: id("userId")?,
        };
        if call.method == Method::Delete {
            return self
                .objects
                .remove(&(Kind::IdentityProviderLink, key))
                .map(|_| ())
                .ok_or("link: 404".into());
        }
        self.user(id("userId")?)?;
        let held = self.of(Kind::IdentityProviderLink).any(|live| match (&live.key, &key) {
            (
                Key::Link { identity_provider: one, identity_provider_user_id: a, .. },
                Key::Link { identity_provider: other, identity_provider_user_id: b, .. },
            ) => one == other && a == b,
            _ => false,
        });
        if held {
            return Err("duplicate link".into());
        }
        let live = Live {
            key: key.clone(),
            fields: Fields::new(),
            parts: BTreeMap::new(),
            active: true,
            secrets_equal: BTreeMap::new(),
        };
        self.objects.insert((Kind::IdentityProviderLink, key), live);
        Ok(())
    }
}

fn object(value: &Value) -> Result<Fields, String> {
    value.as_object().cloned().ok_or(format!("not an object: {value}"))
}

fn insert_registration(live: &mut Live, registration: &Value) -> Answer {
    let mut fields = object(registration)?;
    let application = fields.remove("applicationId").ok_or("no application")?;
    let application = application.as_str().ok_or("no application")?.to_owned();
    settle_registration(&mut fields);
    fields.entry("verified").or_insert(false.into());
    fields.insert("lastLoginInstant".into(), 1.into());
    let taken = live.parts.insert(application, fields).is_some();
    if taken { Err("registered already".into()) } else { Ok(()) }
}

/// RFC 7396.
fn patch_fields(fields: &mut Fields, patch: &Value) {
    for (name, value) in patch.as_object().into_iter().flatten() {
        merge(fields, name, value);
    }
}

fn merge(fields: &mut Fields, name: &str, value: &Value) {
    match value {
        Value::Null => {
            fields.remove(name);
        }
        Value::Object(inner) => {
            let mut target = match fields.remove(name) {
                Some(Value::Object(target)) => target,
                _ => Fields::new(),
            };
            for (name, value) in inner {
                merge(&mut target, name, value);
            }
            fields.insert(name.to_owned(), Value::Object(target));
        }
        value => {
            fields.insert(name.to_owned(), value.clone());
        }
    }
}

/// `data` is always answered; its top-level nulls are dropped, nested ones kept.
fn settle_common(fields: &mut Fields) {
    let data = fields.entry("data").or_insert(json!({}));
    if let Value::Object(data) = data {
        data.retain(|_, value| !value.is_null());
    }
}

fn settle_user(fields: &mut Fields) {
    settle_common(fields);
    let with = |fields: &mut Fields, names: &[&str], change: &dyn Fn(&str) -> Option<String>| {
        for name in names {
            if let Some(text) = fields.get(*name).and_then(Value::as_str).map(str::to_owned) {
                match change(&text) {
                    Some(text) => fields.insert((*name).to_owned(), text.into()),
                    None => fields.remove(*name),
                };
            }
        }
    };
    let some = |text: String| if text.is_empty() { None } else { Some(text) };
    with(fields, &["email", "parentEmail"], &|text| some(text.trim().to_lowercase()));
    with(fields, &["username"], &|text| some(text.trim().to_owned()));
    with(fields, &["firstName", "lastName", "mobilePhone"], &|text| Some(text.trim().to_owned()));
    with(fields, &["phoneNumber"], &|text| some(text.replace([' ', '-', '(', ')'], "")));
    languages(fields);
    fields.entry("usernameStatus").or_insert("ACTIVE".into());
    fields.insert("lastLoginInstant".into(), 1.into());
}

fn languages(fields: &mut Fields) {
    let mut seen: Vec<Value> = Vec::new();
    for language in fields.get("preferredLanguages").and_then(Value::as_array).into_iter().flatten() {
        let language = json!(language.as_str().unwrap_or_default().replace('-', "_"));
        if language != "" && !seen.contains(&language) {
            seen.push(language);
        }
    }
    fields.insert("preferredLanguages".into(), Value::Array(seen));
}

fn settle_registration(fields: &mut Fields) {
    settle_common(fields);
    languages(fields);
    let mut roles: Vec<String> = fields
        .get("roles")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|role| role.as_str().map(str::to_owned))
        .collect();
    roles.sort();
    roles.dedup();
    // As a server may answer a set in any order.
    roles.reverse();
    fields.insert("roles".into(), json!(roles));
    fields.entry("usernameStatus").or_insert("ACTIVE".into());
}

fn settle(kind: Kind, id: Uuid, fields: &mut Fields) {
    match kind {
        Kind::Lambda => {
            fields.entry("debug").or_insert(false.into());
            fields.entry("engineType").or_insert("GraalJS".into());
        }
        Kind::Entity => {
            settle_common(fields);
            fields.entry("clientId").or_insert(json!(id));
        }
        _ => {
            settle_common(fields);
            fields.entry("jwtConfiguration").or_insert(json!({"enabled": false}));
        }
    }
}
