//! One request as an endpoint sees it: parameters, body, caller, tenant, and the doors to the state. Knows the
//! transport rules of wire notes §1 and §2, no endpoint.

use std::sync::{PoisonError, RwLockReadGuard};

use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

use super::reply::{Errors, Reply, field_error, general_error};
use super::router::Route;
use super::server::Server;
use super::store::{Object, State, StoreError, Table, Transaction};
use super::version::Version;

/// Who calls, after authentication.
#[derive(Debug, Clone)]
pub enum Caller {
    /// No credentials; only endpoints that take none see this.
    Anonymous,
    /// A valid API key that may use this endpoint.
    Key(KeyCaller),
    /// `Authorization: Bearer …`, not yet checked; only endpoints that take a JWT see this.
    Bearer(String),
}

/// What matters of the API key.
#[derive(Debug, Clone)]
pub struct KeyCaller {
    pub id: Uuid,
    /// Set for a tenant-locked key.
    pub tenant: Option<Uuid>,
}

/// One request.
pub struct Call<'a> {
    pub server: &'a Server,
    pub route: &'a Route,
    pub caller: Caller,
    /// The tenant that the request is scoped to: by header or tenant-locked key.
    pub tenant: Option<Uuid>,
    pub content_type: Option<String>,
    pub body: Bytes,
    /// A fault: commits of this request are answered and lost.
    pub lose_writes: bool,
    pub(super) params: Vec<(&'a str, String)>,
    pub(super) query: Vec<(String, String)>,
}

impl<'a> Call<'a> {
    /// The sandbox's time in milliseconds.
    pub fn now(&self) -> i64 {
        self.server.clock.now()
    }

    pub fn version(&self) -> Version {
        self.server.version
    }

    pub fn has_key(&self) -> bool {
        matches!(self.caller, Caller::Key(_))
    }

    /// Reading access. Drop it before [`Call::write`].
    pub fn read(&self) -> RwLockReadGuard<'a, State> {
        self.server.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exclusive access for the writes of this request; nothing stands until it is committed.
    pub fn write(&self) -> Transaction<'a> {
        self.server.begin(self.lose_writes)
    }

    /// A path parameter as text.
    pub fn path(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(param, _)| *param == name).map(|(_, value)| value.as_str())
    }

    /// A path parameter as a UUID; `None` if the route has none, 400 if it is no UUID.
    pub fn path_id(&self, name: &str) -> Result<Option<Uuid>, Reply> {
        self.path(name).map(|text| uuid_of(name, text)).transpose()
    }

    /// A path parameter that the route always has.
    pub fn required_id(&self, name: &str) -> Result<Uuid, Reply> {
        self.path_id(name)?.ok_or_else(Reply::not_found)
    }

    /// The first value of a query parameter; an empty one counts as absent.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// All values of a repeated query parameter.
    pub fn query_all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b str> {
        self.query
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Every query parameter in order, for those with indexes in their names (`sortFields[0].name`).
    pub fn query_pairs(&self) -> &[(String, String)] {
        &self.query
    }

    pub fn query_id(&self, name: &str) -> Result<Option<Uuid>, Reply> {
        self.query(name).filter(|text| is_given(text)).map(|text| uuid_of(name, text)).transpose()
    }

    /// `true` if the parameter says so.
    pub fn query_flag(&self, name: &str) -> Option<bool> {
        self.query(name).filter(|text| is_given(text)).map(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The body as JSON; an empty one is an empty object.
    pub fn json(&self) -> Result<Value, Reply> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Object(Object::new()));
        }
        self.check_content_type()?;
        serde_json::from_slice(&self.body).map_err(|error| {
            general_error(400, "invalidJSON", format!("Unable to parse JSON. The error was [{error}]"))
        })
    }

    /// A body must say that it is JSON (wire notes §1; that anything else is a 400 is inferred). Which JSON a PATCH
    /// takes is checked where it is applied.
    fn check_content_type(&self) -> Result<(), Reply> {
        let media = self.content_type.as_deref().unwrap_or("").split(';').next().unwrap_or("").trim();
        let is_json = media.eq_ignore_ascii_case("application/json");
        if is_json || self.route.method == "PATCH" || self.route.access == super::router::Access::Control {
            return Ok(());
        }
        Err(general_error(400, "InvalidContentType", format!("The Content-Type [{media}] is not supported.")))
    }

    /// The body as a JSON object.
    pub fn json_object(&self) -> Result<Object, Reply> {
        match self.json()? {
            Value::Object(object) => Ok(object),
            _ => Err(general_error(400, "invalidJSON", "Unable to parse JSON. An object is expected.")),
        }
    }

    /// As [`Call::json_object`]; the members that are named must be texts and flags if they are there, for one of
    /// another type must not pass for one that was left away.
    pub fn typed_object(&self, texts: &[&str], flags: &[&str]) -> Result<Object, Reply> {
        let body = self.json_object()?;
        let mut errors = Errors::new();
        let mut check = |names: &[&str], fits: fn(&Value) -> bool, expected: &str| {
            let given = |name: &&&str| body.get(**name).is_some_and(|value| !value.is_null() && !fits(value));
            for name in names.iter().filter(given) {
                invalid_json_in(&mut errors, name, expected);
            }
        };
        check(texts, Value::is_string, "a string is expected");
        check(flags, Value::is_boolean, "true or false is expected");
        errors.check().map(|()| body)
    }

    /// The object under the wrapper key of the request (`{"entity": {…}}`); 400 without it.
    pub fn wrapped(&self, name: &str) -> Result<Object, Reply> {
        match self.json_object()?.remove(name) {
            Some(Value::Object(object)) => Ok(object),
            Some(Value::Null) | None => {
                Err(field_error("missing", name, format!("The [{name}] property is required.")))
            }
            Some(_) => Err(invalid_json(name, "an object is expected")),
        }
    }

    /// The tenant of something new (wire notes §2): the scope, else what the body says, else the only tenant; with
    /// several, 400 `[TenantIdRequired]`.
    pub fn tenant_for_new(&self, state: &State, in_body: Option<Uuid>) -> Result<Uuid, Reply> {
        if let Some(tenant) = self.tenant.or(in_body) {
            if !state.contains(Table::TENANT, tenant) {
                return Err(unknown_tenant(tenant));
            }
            return Ok(tenant);
        }
        self.only_tenant(state)
    }

    /// The only tenant, or 400 `[TenantIdRequired]`.
    pub fn only_tenant(&self, state: &State) -> Result<Uuid, Reply> {
        let mut tenants = state.rows(Table::TENANT).map(|(id, _)| id);
        match (tenants.next(), tenants.next()) {
            (Some(tenant), None) => Ok(tenant),
            _ => Err(tenant_required()),
        }
    }

    /// The scope of a request by Id that needs the tenant when there are several (entities, wire notes §2).
    pub fn required_scope(&self, state: &State) -> Result<Uuid, Reply> {
        self.tenant.map_or_else(|| self.only_tenant(state), Ok)
    }

    /// Whether an object of a tenant is visible: any without a scope, else the scope's own and universal ones.
    pub fn in_scope(&self, tenant: Option<Uuid>) -> bool {
        match (self.tenant, tenant) {
            (Some(scope), Some(tenant)) => scope == tenant,
            _ => true,
        }
    }
}

/// Whether the text of an id, a number or a flag is one at all: the vendor's TypeScript client writes out an argument that was
/// left away as `undefined` or `null` (`recipientEntityId` of a user's grant); that it counts as absent is inferred.
pub fn is_given(text: &str) -> bool {
    !matches!(text, "undefined" | "null")
}

/// 400 `[TenantIdRequired]`, in the words of wire notes §1.
pub fn tenant_required() -> Reply {
    general_error(
        400,
        "TenantIdRequired",
        "A Tenant Id is required to complete this request. To complete this request, you may assign a Tenant to your \
         API key, or add the X-FusionAuth-TenantId HTTP request header with the Tenant Id.",
    )
}

/// 400 for a tenant that does not exist (wire notes §13).
pub fn unknown_tenant(tenant: Uuid) -> Reply {
    general_error(400, "InvalidTenantId", format!("The Tenant Id [{tenant}] does not exist."))
}

/// 400 for a value that cannot be read into its field; FusionAuth's JSON reader names the property.
pub fn invalid_json(field: &str, reason: &str) -> Reply {
    let mut errors = Errors::new();
    invalid_json_in(&mut errors, field, reason);
    errors.reply()
}

pub fn invalid_json_in(errors: &mut Errors, field: &str, reason: &str) {
    let message =
        format!("Unable to parse JSON. The property [{field}] was invalid. The error was [{reason}].");
    errors.field_code("invalidJSON", field, message);
}

fn uuid_of(name: &str, text: &str) -> Result<Uuid, Reply> {
    parse_uuid(text).ok_or_else(|| {
        field_error("couldNotConvert", name, format!("The value [{text}] could not be converted to a UUID."))
    })
}

/// A hyphenated UUID in any case; other spellings are none.
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

/// What a failed write answers: a violated constraint is a 500, as from a database (wire notes §4, import).
impl From<StoreError> for Reply {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "a write was refused");
        Self::empty(500)
    }
}
