//! What fusionkeep asks of each endpoint, and how to see without a write whether the key allows it: on an object that
//! does not exist, or with a body that every server refuses, so that only the permission is judged. A refused
//! permission is a 401 before anything else is looked at (wire notes §1).

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fusionauth::{Answer, Call, Idempotency};
use crate::model::Kind;

/// What a permission is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Area {
    /// The server, the tenant, and what manifests refer to by name.
    Target,
    Record,
    Users,
    Entities,
    EntityTypes,
    Lambdas,
    Links,
}

impl Area {
    pub fn words(self) -> &'static str {
        match self {
            Area::Target => "the server, the tenant and references",
            Area::Record => "the record and the lock",
            Area::Users => "users",
            Area::Entities => "entities and grants",
            Area::EntityTypes => "entity types",
            Area::Lambdas => "lambdas",
            Area::Links => "identity-provider links",
        }
    }

    /// Whether objects of the kind need it.
    pub fn serves(self, kind: Kind) -> bool {
        match self {
            Area::Target | Area::Record => true,
            Area::Users => kind == Kind::User,
            Area::Entities => matches!(kind, Kind::Entity | Kind::EntityGrant),
            Area::EntityTypes => kind == Kind::EntityType,
            Area::Lambdas => kind == Kind::Lambda,
            Area::Links => kind == Kind::IdentityProviderLink,
        }
    }
}

/// One thing that fusionkeep does.
pub(super) struct Probe {
    /// As an API key's permissions name it.
    pub endpoint: &'static str,
    pub method: Method,
    pub area: Area,
    route: &'static str,
    /// A body that is refused by every server, or that changes nothing.
    body: Option<Value>,
    /// Query parameters, each given an id that nobody has.
    query: &'static [&'static str],
    /// It answers without a key too, so that an answer says nothing of the key.
    pub open: bool,
}

impl Probe {
    fn new(endpoint: &'static str, method: Method, route: &'static str, area: Area) -> Self {
        Probe { endpoint, method, area, route, body: None, query: &[], open: false }
    }

    fn body(self, body: Value) -> Self {
        Probe { body: Some(body), ..self }
    }

    /// With a body of which no server can make anything, however little it asks of an object: each request is an object
    /// (wire notes §1), and this is none.
    fn unusable(self) -> Self {
        self.body(json!([]))
    }

    fn query(self, query: &'static [&'static str]) -> Self {
        Probe { query, ..self }
    }

    fn open(self) -> Self {
        Probe { open: true, ..self }
    }

    pub fn method_name(&self) -> &'static str {
        match self.method {
            Method::GET => "GET",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            _ => "DELETE",
        }
    }

    pub fn call(&self) -> Call {
        // An id that nobody has.
        let nobody = Uuid::new_v4().to_string();
        let parameters = self.route.matches('{').map(|_| nobody.clone()).collect();
        let mut call = Call::new(self.method.clone(), self.route, parameters, Answer::EmptyOrJson);
        for name in self.query {
            call = call.query(name, nobody.clone());
        }
        if let Some(body) = &self.body {
            call = call.json(body.clone());
        }
        if call.is_write() { call.idempotency(Idempotency::Never) } else { call }
    }
}

/// Every endpoint and method that fusionkeep uses.
pub(super) fn probes() -> Vec<Probe> {
    let mut probes = target();
    probes.extend(record());
    probes.extend(users());
    probes.extend(entities());
    probes.extend(entity_types());
    probes.extend(collection("/api/lambda", "/api/lambda/{lambdaId}", Area::Lambdas));
    probes.push(Probe::new("/api/lambda", Method::GET, "/api/lambda", Area::Lambdas));
    probes.extend(links());
    probes
}

fn target() -> Vec<Probe> {
    ["/api/system/version", "/api/tenant", "/api/application", "/api/identity-provider"]
        .map(|route| Probe::new(route, Method::GET, route, Area::Target))
        .into()
}

fn record() -> Vec<Probe> {
    let group = "/api/group/{groupId}";
    let by_name = json!({ "search": { "name": "fusionkeep/doctor", "numberOfResults": 1 } });
    vec![
        Probe::new("/api/group", Method::GET, group, Area::Record),
        Probe::new("/api/group", Method::POST, group, Area::Record).unusable(),
        Probe::new("/api/group", Method::PUT, group, Area::Record).unusable(),
        Probe::new("/api/group", Method::DELETE, group, Area::Record),
        Probe::new("/api/group/search", Method::POST, "/api/group/search", Area::Record).body(by_name),
    ]
}

/// POST, PATCH and DELETE of a collection.
fn collection(endpoint: &'static str, route: &'static str, area: Area) -> Vec<Probe> {
    vec![
        Probe::new(endpoint, Method::POST, route, area).unusable(),
        Probe::new(endpoint, Method::PATCH, route, area).unusable(),
        Probe::new(endpoint, Method::DELETE, route, area),
    ]
}

fn users() -> Vec<Probe> {
    let user = "/api/user/{userId}";
    let search = "/api/user/search";
    let by_id = json!({ "search": { "ids": [Uuid::new_v4()] } });
    let of_nobody = json!({ "userId": Uuid::new_v4() });
    let mut probes = vec![
        Probe::new("/api/user", Method::GET, user, Area::Users),
        Probe::new("/api/user", Method::POST, "/api/user", Area::Users).unusable(),
        Probe::new("/api/user", Method::PUT, user, Area::Users).query(&["reactivate"]),
        Probe::new("/api/user", Method::PATCH, user, Area::Users).unusable(),
        Probe::new("/api/user", Method::DELETE, user, Area::Users),
        Probe::new(search, Method::POST, search, Area::Users).body(by_id),
        // Has the index write what it holds already.
        Probe::new(search, Method::PUT, search, Area::Users),
        Probe::new("/api/user/import", Method::POST, "/api/user/import", Area::Users).unusable(),
    ];
    for route in ["/api/user/verify-email", "/api/user/verify-registration"] {
        probes.push(Probe::new(route, Method::POST, route, Area::Users).body(of_nobody.clone()).open());
    }
    probes.extend(collection(
        "/api/user/registration",
        "/api/user/registration/{userId}/{applicationId}",
        Area::Users,
    ));
    probes
}

fn entities() -> Vec<Probe> {
    let (search, grants) = ("/api/entity/search", "/api/entity/grant/search");
    let grant = "/api/entity/{entityId}/grant";
    let by_id = json!({ "search": { "ids": [Uuid::new_v4()] } });
    let of_nobody = json!({ "search": { "userId": Uuid::new_v4() } });
    let mut probes = collection("/api/entity", "/api/entity/{entityId}", Area::Entities);
    probes.extend([
        Probe::new("/api/entity", Method::GET, "/api/entity/{entityId}", Area::Entities),
        Probe::new(search, Method::POST, search, Area::Entities).body(by_id),
        Probe::new(search, Method::PUT, search, Area::Entities),
        Probe::new("/api/entity/grant", Method::GET, grant, Area::Entities),
        Probe::new("/api/entity/grant", Method::POST, grant, Area::Entities).unusable(),
        Probe::new("/api/entity/grant", Method::DELETE, grant, Area::Entities).query(&["userId"]),
        Probe::new(grants, Method::POST, grants, Area::Entities).body(of_nobody),
        // What a type's permissions are, and whose type an entity has.
        Probe::new("/api/entity/type", Method::GET, "/api/entity/type", Area::Entities),
    ]);
    probes
}

fn entity_types() -> Vec<Probe> {
    let (types, permission) = ("/api/entity/type", "/api/entity/type/permission");
    let one = "/api/entity/type/{entityTypeId}/permission/{permissionId}";
    let mut probes = collection(types, "/api/entity/type/{entityTypeId}", Area::EntityTypes);
    probes.extend(collection(permission, one, Area::EntityTypes));
    probes.push(Probe::new(types, Method::GET, types, Area::EntityTypes));
    probes
}

fn links() -> Vec<Probe> {
    let link = "/api/identity-provider/link";
    let pending = "/api/identity-provider/link/pending";
    let pair = &["identityProviderId", "identityProviderUserId"];
    let key = &["identityProviderId", "identityProviderUserId", "userId"];
    vec![
        Probe::new(link, Method::GET, link, Area::Links).query(pair),
        Probe::new(link, Method::POST, link, Area::Links).unusable(),
        Probe::new(link, Method::DELETE, link, Area::Links).query(key),
        Probe::new(pending, Method::GET, "/api/identity-provider/link/pending/{pendingLinkId}", Area::Links),
    ]
}
