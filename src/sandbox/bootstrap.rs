//! What an installation holds before anyone has called it: the default tenant, FusionAuth's own application, the key
//! that the sandbox was started with; then Kickstart. Ids that are fixed in FusionAuth are fixed here (wire notes §2).

use std::path::PathBuf;
use std::sync::PoisonError;

use serde_json::{Value, json};
use uuid::Uuid;

use super::config::Error;
use super::kickstart::{Kickstart, Report};
use super::server::Server;
use super::store::{Object, State, StoreError, Table, Transaction};

/// FusionAuth's own application.
pub const FUSIONAUTH_APPLICATION: Uuid = Uuid::from_u128(0x3c219e58_ed0e_4b18_ad48_f4f92793ae32);
/// The default theme.
pub const DEFAULT_THEME: Uuid = Uuid::from_u128(0x75a068fd_e94b_451a_9aeb_3ddb9a3b5987);
/// FusionAuth's own connector, which every user has by default.
pub const DEFAULT_CONNECTOR: Uuid = Uuid::from_u128(0xe3306678_a53a_4964_9040_1c96f36dda72);

/// What a reset starts from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The key of `--api-key`, or the one that was made.
    pub api_key: String,
    /// Whether the key was given, not made.
    pub key_was_given: bool,
    pub default_tenant: Uuid,
    pub kickstart: Option<PathBuf>,
    pub faults: Option<PathBuf>,
}

/// The name of the application that 1.58 and newer have for managing tenants.
pub const TENANT_MANAGER: &str = "Tenant Manager";

/// The roles of FusionAuth's own application.
const FUSIONAUTH_ROLES: [&str; 35] = [
    "acl_deleter",
    "acl_manager",
    "admin",
    "api_key_manager",
    "application_deleter",
    "application_manager",
    "audit_log_viewer",
    "connector_deleter",
    "connector_manager",
    "consent_deleter",
    "consent_manager",
    "email_template_manager",
    "entity_manager",
    "event_log_viewer",
    "form_deleter",
    "form_manager",
    "group_deleter",
    "group_manager",
    "key_manager",
    "lambda_manager",
    "message_template_deleter",
    "message_template_manager",
    "messenger_deleter",
    "messenger_manager",
    "reactor_manager",
    "report_viewer",
    "system_manager",
    "tenant_deleter",
    "tenant_manager",
    "theme_manager",
    "user_action_manager",
    "user_deleter",
    "user_manager",
    "user_support_manager",
    "webhook_manager",
];

/// Lambdas that every installation has (wire notes §6).
const DEFAULT_LAMBDAS: [(&str, &str); 6] = [
    ("AppleReconcile", "Apple"),
    ("FacebookReconcile", "Facebook"),
    ("GoogleReconcile", "Google"),
    ("OpenIDReconcile", "OpenID Connect"),
    ("SAMLv2Reconcile", "SAML v2"),
    ("TwitterReconcile", "Twitter"),
];

/// Creates the default objects in an empty state.
fn install(server: &Server, tenant: Uuid, tenant_manager: Option<Uuid>) -> Result<(), StoreError> {
    let now = server.clock.now();
    let mut tx = server.begin(false);
    put(&mut tx, Table::TENANT, tenant, Value::Object(super::tenants::default_tenant()))?;
    let roles: Vec<Value> = FUSIONAUTH_ROLES
        .iter()
        .map(|name| {
            json!({
                "description": format!("FusionAuth {}", name.replace('_', " ")), "id": Uuid::new_v4(),
                "insertInstant": now, "isDefault": false, "isSuperRole": *name == "admin", "lastUpdateInstant": now,
                "name": name,
            })
        })
        .collect();
    let application = json!({
        "active": true, "data": {}, "name": "FusionAuth", "roles": roles, "state": "Active", "tenantId": tenant,
    });
    put(&mut tx, Table::APPLICATION, FUSIONAUTH_APPLICATION, application)?;
    if server.version.since(58) {
        let id = tenant_manager.unwrap_or_else(Uuid::new_v4);
        let application = json!({
            "active": true, "data": {}, "name": TENANT_MANAGER, "roles": [], "state": "Active", "tenantId": tenant,
        });
        put(&mut tx, Table::APPLICATION, id, application)?;
    }
    super::generic::install(&mut tx, now)?;
    super::signing_keys::install(&mut tx, now)?;
    for (kind, label) in DEFAULT_LAMBDAS {
        let lambda = json!({
            "body": "function reconcile(user, registration) {\n}\n", "debug": false, "engineType": "GraalJS",
            "name": format!("[FusionAuth Default] {label} Reconcile"), "type": kind,
        });
        put(&mut tx, Table::LAMBDA, Uuid::new_v4(), lambda)?;
    }
    tx.commit()
}

/// Adds the key that the sandbox was started with, unless the store has it.
pub fn install_key(server: &Server, value: &str) -> Result<(), StoreError> {
    let mut tx = server.begin(false);
    let key = super::store::UniqueKey::global(super::store::Unique::ApiKey, value);
    if tx.holder(&key).is_none() {
        let object = json!({
            "key": value, "keyManager": true, "permissions": { "endpoints": {} }, "retrievable": true,
            "metaData": { "attributes": { "description": "The key that the sandbox was started with" } },
        });
        put(&mut tx, Table::API_KEY, Uuid::new_v4(), object)?;
    }
    tx.commit()
}

/// Puts an object with its id and instants.
fn put(tx: &mut Transaction<'_>, table: Table, id: Uuid, value: Value) -> Result<(), StoreError> {
    let Value::Object(mut object) = value else { return Ok(()) };
    let now = tx.now();
    stamp(&mut object, id, now);
    tx.put(table, id, &object)
}

/// Sets what the server sets on a new object.
pub fn stamp(object: &mut Object, id: Uuid, now: i64) {
    object.insert("id".to_owned(), json!(id));
    object.insert("insertInstant".to_owned(), json!(now));
    object.insert("lastUpdateInstant".to_owned(), json!(now));
}

/// Empties everything and starts anew, Kickstart included; gives Kickstart's report.
pub fn reset(server: &Server) -> Result<Option<Report>, Error> {
    {
        let mut state = server.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = &server.database {
            let database = database.lock().unwrap_or_else(PoisonError::into_inner);
            database.clear().map_err(|error| Error::Write(error.to_string()))?;
        }
        *state = State::default();
    }
    server.clock.reset();
    server.journal.clear_requests();
    server.journal.clear_messages();
    server.faults.reload(server.origin.faults.as_deref())?;
    fill(server)
}

/// Fills an empty state: defaults, key, Kickstart.
pub fn fill(server: &Server) -> Result<Option<Report>, Error> {
    let failed = |error: StoreError| Error::Write(error.to_string());
    let kickstart = server.origin.kickstart.as_deref().map(Kickstart::read).transpose()?;
    let chosen = |id: fn(&Kickstart) -> Result<Option<Uuid>, Error>| match &kickstart {
        Some(kickstart) => id(kickstart),
        None => Ok(None),
    };
    let tenant = chosen(Kickstart::default_tenant)?.unwrap_or(server.origin.default_tenant);
    install(server, tenant, chosen(Kickstart::tenant_manager)?).map_err(failed)?;
    install_key(server, &server.origin.api_key).map_err(failed)?;
    kickstart.map(|kickstart| kickstart.run(server)).transpose()
}
