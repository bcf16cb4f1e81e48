//! What FusionAuth serves and the emulator does not: 501, so that nobody takes it for an object that is not there.

use super::call::Call;
use super::reply::{Outcome, general_error};
use super::router::{Access, Route};

/// The paths of the vendor's OpenAPI document that nothing here serves.
const PATHS: [&str; 67] = [
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/api/email/send/{emailTemplateId}",
    "/api/email/template/preview",
    "/api/identity-provider/login",
    "/api/identity-provider/lookup",
    "/api/identity-provider/start",
    "/api/identity-provider/test",
    "/api/jwt/issue",
    "/api/jwt/public-key",
    "/api/jwt/reconcile",
    "/api/jwt/refresh",
    "/api/jwt/refresh/{tokenId}",
    "/api/jwt/validate",
    "/api/jwt/vend",
    "/api/login/{userId}/{applicationId}",
    "/api/logout",
    "/api/message/template/preview",
    "/api/passwordless/login",
    "/api/passwordless/send",
    "/api/passwordless/start",
    "/api/reactor/metrics",
    "/api/report/daily-active-user",
    "/api/report/login",
    "/api/report/monthly-active-user",
    "/api/report/registration",
    "/api/report/totals",
    "/api/system/audit-log",
    "/api/system/audit-log/search",
    "/api/system/audit-log/{auditLogId}",
    "/api/system/event-log/search",
    "/api/system/event-log/{eventLogId}",
    "/api/system/login-record/search",
    "/api/system/webhook-attempt-log/{webhookAttemptLogId}",
    "/api/system/webhook-event-log/search",
    "/api/system/webhook-event-log/{webhookEventLogId}",
    "/api/tenant-manager/identity-provider/{type}",
    "/api/two-factor/login",
    "/api/two-factor/secret",
    "/api/two-factor/send",
    "/api/two-factor/send/{twoFactorId}",
    "/api/two-factor/start",
    "/api/two-factor/status",
    "/api/two-factor/status/{twoFactorTrustId}",
    "/api/user/action",
    "/api/user/action/{actionId}",
    "/api/user/family/pending",
    "/api/user/family/request",
    "/api/user/recent-login",
    "/api/user/refresh-token/import",
    "/api/user/two-factor/recovery-code/{userId}",
    "/api/user/two-factor/{userId}",
    "/api/webauthn",
    "/api/webauthn/assert",
    "/api/webauthn/import",
    "/api/webauthn/login",
    "/api/webauthn/register/complete",
    "/api/webauthn/register/start",
    "/api/webauthn/start",
    "/api/webauthn/{id}",
    "/oauth2/device/approve",
    "/oauth2/device/user-code",
    "/oauth2/device/validate",
    "/oauth2/device_authorize",
    "/oauth2/introspect",
    "/oauth2/token",
    "/oauth2/userinfo",
];

pub fn routes() -> Vec<Route> {
    let methods = ["DELETE", "GET", "PATCH", "POST", "PUT"];
    let all =
        PATHS.iter().flat_map(|path| methods.map(|method| Route::new(method, path, path, not_emulated)));
    // A ping of a login stands on a path whose other method is served.
    let ping = Route::new("PUT", "/api/login", "/api/login", not_emulated);
    all.chain([ping]).map(|route| route.access(Access::Open)).collect()
}

fn not_emulated(call: &Call<'_>) -> Outcome {
    let message = format!("The sandbox is an emulator and does not serve [{}].", call.route.pattern);
    Err(general_error(501, "NotEmulated", message))
}
