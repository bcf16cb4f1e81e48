//! Routes with their values. Ids need no escaping in a path; query values are escaped when they are sent.

use uuid::Uuid;

use crate::model::{Kind, row};
use crate::reconcile::{Call, ContentType, Method, Purpose};

/// A route, its path and its query.
pub(super) struct Route {
    route: String,
    path: String,
    query: Vec<(String, String)>,
}

impl Route {
    fn new(route: &str, values: &[(&str, Uuid)]) -> Self {
        let mut path = route.to_owned();
        for (name, value) in values {
            path = path.replace(&format!("{{{name}}}"), &value.to_string());
        }
        Route { route: route.to_owned(), path, query: Vec::new() }
    }

    pub fn user(id: Uuid) -> Self {
        Route::new("/api/user/{userId}", &[("userId", id)])
    }

    pub fn import() -> Self {
        Route::new("/api/user/import", &[])
    }

    pub fn verify_email() -> Self {
        Route::new("/api/user/verify-email", &[])
    }

    pub fn verify_registration() -> Self {
        Route::new("/api/user/verify-registration", &[])
    }

    /// Where registrations are created: alone, or together with their user.
    pub fn registrations(user: Uuid) -> Self {
        Route::new("/api/user/registration/{userId}", &[("userId", user)])
    }

    /// The application's id stands in the URL, for a PATCH without it overwrites (wire notes §3).
    pub fn registration(user: Uuid, application: &str) -> Self {
        let mut route = Route::new("/api/user/registration/{userId}/{applicationId}", &[("userId", user)]);
        route.path = route.path.replace("{applicationId}", application);
        route
    }

    /// An object of a kind with an id and a route of its own.
    pub fn object(kind: Kind, id: Uuid) -> Self {
        let name = match kind {
            Kind::EntityType => "entityTypeId",
            Kind::Lambda => "lambdaId",
            Kind::Entity => "entityId",
            _ => "userId",
        };
        Route::new(&format!("{}/{{{name}}}", row(kind).route), &[(name, id)])
    }

    pub fn permissions(entity_type: Uuid) -> Self {
        Route::new("/api/entity/type/{entityTypeId}/permission", &[("entityTypeId", entity_type)])
    }

    pub fn permission(entity_type: Uuid, id: Uuid) -> Self {
        Route::new(
            "/api/entity/type/{entityTypeId}/permission/{permissionId}",
            &[("entityTypeId", entity_type), ("permissionId", id)],
        )
    }

    pub fn grant(entity: Uuid) -> Self {
        Route::new("/api/entity/{entityId}/grant", &[("entityId", entity)])
    }

    pub fn link() -> Self {
        Route::new("/api/identity-provider/link", &[])
    }

    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    pub fn call(self, purpose: Purpose, method: Method) -> Call {
        Call {
            purpose,
            method,
            route: self.route,
            path: self.path,
            query: self.query,
            content_type: ContentType::Json,
            body: None,
            secrets: Vec::new(),
            part: None,
        }
    }
}
