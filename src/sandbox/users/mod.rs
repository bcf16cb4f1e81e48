//! Users, their registrations, passwords and verifications: the User and Registration APIs, and `/api/login`.
//!
//! | what | module |
//! |---|---|
//! | a user as it is stored and as it is shown | `model`, `view` |
//! | what a request says about a user | `input` |
//! | who holds a sign-in name | `names` |
//! | the endpoints | `create`, `retrieve`, `update`, `remove`, `import`, `find`, `registration`, `verification`, `identities`, `passwords`, `login` |
//! | ids that are handed out, messages that go out | `tokens`, `effects` |
//! | what tenants and applications configure | `settings` |
//! | users as the search index sees them | `index` |

mod create;
mod effects;
mod find;
mod identities;
mod import;
mod index;
mod input;
mod login;
mod model;
mod names;
mod passwords;
mod registration;
mod remove;
mod retrieve;
mod settings;
mod tokens;
mod update;
mod verification;
mod view;

use super::router::{Access, Route};

pub use registration::{application_removed, role_removed};
pub use remove::remove;

/// The permission that registrations stand under.
const REGISTRATION: &str = "/api/user/registration";

pub fn routes() -> Vec<Route> {
    [user_routes(), registration_routes(), workflow_routes(), identity_routes()]
        .into_iter()
        .flatten()
        .collect()
}

fn user_routes() -> Vec<Route> {
    let user = |method, pattern, handler| Route::new(method, pattern, "/api/user", handler);
    let search = |method, handler| Route::new(method, "/api/user/search", "/api/user/search", handler);
    vec![
        user("POST", "/api/user", create::create).heavy(),
        user("POST", "/api/user/{userId}", create::create).heavy(),
        user("GET", "/api/user", retrieve::by_parameter).access(Access::KeyOrJwt),
        user("GET", "/api/user/{userId}", retrieve::by_id),
        user("PUT", "/api/user/{userId}", update::put).heavy(),
        user("PATCH", "/api/user/{userId}", update::patch).heavy(),
        user("DELETE", "/api/user/{userId}", remove::delete),
        Route::new("DELETE", "/api/user/bulk", "/api/user/bulk", remove::bulk).heavy(),
        Route::new("POST", "/api/user/import", "/api/user/import", import::import).heavy(),
        search("GET", find::by_parameters).heavy(),
        search("POST", find::by_body).heavy(),
        search("PUT", find::flush),
    ]
}

fn registration_routes() -> Vec<Route> {
    let route = |method, pattern, handler| Route::new(method, pattern, REGISTRATION, handler);
    let (by_user, by_both) =
        ("/api/user/registration/{userId}", "/api/user/registration/{userId}/{applicationId}");
    vec![
        route("POST", REGISTRATION, registration::create).heavy(),
        route("POST", by_user, registration::create).heavy(),
        route("POST", by_both, registration::create).heavy(),
        route("GET", by_both, registration::retrieve),
        route("PUT", by_user, registration::put),
        route("PUT", by_both, registration::put),
        route("PATCH", by_user, registration::patch),
        route("PATCH", by_both, registration::patch),
        route("DELETE", by_both, registration::delete),
    ]
}

/// Those that a person without a key may call (wire notes §4).
fn workflow_routes() -> Vec<Route> {
    let open = |method, pattern, permission, handler| {
        Route::new(method, pattern, permission, handler).access(Access::Open)
    };
    let (email, registration) = ("/api/user/verify-email", "/api/user/verify-registration");
    let change = "/api/user/change-password";
    vec![
        open("POST", email, email, verification::verify_email),
        open("POST", "/api/user/verify-email/{verificationId}", email, verification::verify_email),
        open("PUT", email, email, verification::resend_email),
        open("POST", registration, registration, verification::verify_registration),
        open(
            "POST",
            "/api/user/verify-registration/{verificationId}",
            registration,
            verification::verify_registration,
        ),
        open("PUT", registration, registration, verification::resend_registration),
        open("POST", "/api/user/forgot-password", "/api/user/forgot-password", passwords::forgot),
        open("GET", change, change, passwords::check),
        open("GET", "/api/user/change-password/{changePasswordId}", change, passwords::check),
        open("POST", change, change, passwords::change).heavy(),
        open("POST", "/api/user/change-password/{changePasswordId}", change, passwords::change).heavy(),
        open("POST", "/api/login", "/api/login", login::login).heavy(),
    ]
}

fn identity_routes() -> Vec<Route> {
    vec![
        Route::new("POST", "/api/identity/verify", "/api/identity/verify", identities::verify),
        Route::new("POST", "/api/identity/verify/start", "/api/identity/verify/start", identities::start),
        Route::new("POST", "/api/identity/verify/send", "/api/identity/verify/send", identities::send),
        Route::new(
            "POST",
            "/api/identity/verify/complete",
            "/api/identity/verify/complete",
            identities::complete,
        ),
    ]
}
