//! Which endpoint serves a request, who may call it, and under which permission. Knows no endpoint's inside.

use std::collections::HashMap;

use super::call::Call;
use super::reply::Outcome;

/// What an endpoint is.
pub type Handler = fn(&Call<'_>) -> Outcome;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For everybody: a key is recognised when it is valid, and passed over when it is not.
    Public,
    /// No credentials needed; those that are sent must be valid.
    Open,
    /// An API key with the permission.
    Key,
    /// An API key that is not locked to a tenant, with the permission.
    GlobalKey,
    /// A global API key that may manage keys.
    KeyManager,
    /// An API key with the permission, or a user's JWT.
    KeyOrJwt,
    /// The sandbox's own control routes: no credentials, no log, no faults.
    Control,
}

/// One method on one path.
pub struct Route {
    pub method: &'static str,
    /// As `/api/user/{userId}`.
    pub pattern: &'static str,
    /// The endpoint's name in an API key's permissions.
    pub permission: &'static str,
    pub access: Access,
    /// Refused without a licence.
    pub licensed: bool,
    /// Runs on a thread where it may take its time: hashing, imports, scans.
    pub heavy: bool,
    pub handler: Handler,
}

impl Route {
    pub const fn new(
        method: &'static str,
        pattern: &'static str,
        permission: &'static str,
        handler: Handler,
    ) -> Self {
        Self { method, pattern, permission, access: Access::Key, licensed: false, heavy: false, handler }
    }

    /// A control route of the sandbox.
    pub const fn control(method: &'static str, pattern: &'static str, handler: Handler) -> Self {
        Self::new(method, pattern, "", handler).access(Access::Control)
    }

    #[must_use]
    pub const fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    #[must_use]
    pub const fn licensed(mut self) -> Self {
        self.licensed = true;
        self
    }

    #[must_use]
    pub const fn heavy(mut self) -> Self {
        self.heavy = true;
        self
    }
}

/// What a path leads to.
pub enum Match<'r> {
    Found {
        route: &'r Route,
        params: Vec<(&'r str, String)>,
    },
    /// The path exists, the method does not: 405.
    WrongMethod,
    /// 404.
    Nothing,
}

struct Entry {
    segments: Vec<&'static str>,
    route: Route,
}

/// All routes, by their second segment, so that a look-up compares a handful.
pub struct Router {
    entries: HashMap<&'static str, Vec<Entry>>,
}

impl Router {
    pub fn new(routes: impl IntoIterator<Item = Route>) -> Self {
        let mut entries: HashMap<&'static str, Vec<Entry>> = HashMap::new();
        for route in routes {
            let segments: Vec<&'static str> = route.pattern.split('/').skip(1).collect();
            let key = segments.get(1).copied().unwrap_or("");
            entries.entry(key).or_default().push(Entry { segments, route });
        }
        for list in entries.values_mut() {
            // Fixed segments go before parameters: /api/user/search is no user Id.
            list.sort_by_key(|entry| {
                entry.segments.iter().map(|part| part.starts_with('{')).collect::<Vec<_>>()
            });
        }
        Self { entries }
    }

    /// Finds the route. `segments` are the decoded parts of the path.
    pub fn find<'r>(&'r self, method: &str, segments: &[String]) -> Match<'r> {
        let second = segments.get(1).map_or("", String::as_str);
        let Some(list) = self.entries.get(second) else { return Match::Nothing };
        let Some(first) = list.iter().find(|entry| fits(&entry.segments, segments)) else {
            return Match::Nothing;
        };
        // Patterns of one shape may name their parameters differently; the shape decides, then the method.
        for entry in list {
            if entry.route.method == method && same_shape(&entry.segments, &first.segments) {
                let params = entry.segments.iter().zip(segments).filter_map(|(part, value)| {
                    Some((part.strip_prefix('{')?.strip_suffix('}')?, value.clone()))
                });
                return Match::Found { route: &entry.route, params: params.collect() };
            }
        }
        Match::WrongMethod
    }
}

fn same_shape(one: &[&str], other: &[&str]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(a, b)| a == b || a.starts_with('{') && b.starts_with('{'))
}

fn fits(pattern: &[&str], segments: &[String]) -> bool {
    pattern.len() == segments.len()
        && pattern.iter().zip(segments).all(|(part, segment)| part.starts_with('{') || part == segment)
}
