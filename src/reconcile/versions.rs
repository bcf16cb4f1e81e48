//! Fields and values that are newer than the server.

use serde_json::Value;

use crate::model::{Kind, LambdaType, Since, row};

use super::{Desired, PlanContext, Problem};

/// Before it there was `sendSetPasswordEmail` (wire notes §4, which date the change; that an older server passes the new
/// name over, as any unknown field, and sends nothing is inferred).
const SEND_SET_PASSWORD_IDENTITY_TYPE: Since = Since(1, 59);

/// What is declared and the server does not know yet, each with the version that brought it. A removal is no
/// problem: what the server does not know is not there.
pub(super) fn too_new(desired: &Desired, context: &PlanContext) -> Vec<Problem> {
    let mut problems = Vec::new();
    let server = Since(context.server_version.0, context.server_version.1);
    let mut judge = |what: String, since: Since| {
        if since > server {
            let (major, minor) = context.server_version;
            let message = format!("{what} came with FusionAuth {since}, and the server is {major}.{minor}");
            let hint = format!("remove it from the manifest, or upgrade FusionAuth to {since}");
            problems.push(Problem::error("newer-than-server", message, hint).at(desired));
        }
    };
    let kind = desired.address.kind;
    let newer = row(kind).fields.iter().filter_map(|rule| Some((rule.path, rule.since?)));
    for (name, since) in newer.filter(|(_, since)| *since > server) {
        let declared = desired.fields.get(name).or_else(|| desired.initial.get(name));
        if declared.is_some_and(|value| !value.is_null()) {
            judge(name.to_owned(), since);
        }
    }
    let sends = desired.options.get("sendSetPasswordIdentityType").and_then(Value::as_str);
    if sends.is_some_and(|sends| sends != "doNotSend") {
        judge("sendSetPasswordIdentityType".to_owned(), SEND_SET_PASSWORD_IDENTITY_TYPE);
    }
    if let (Kind::Lambda, Some(name)) = (kind, desired.fields.get("type"))
        && let Ok(of) = serde_json::from_value::<LambdaType>(name.clone())
    {
        judge(format!("the lambda type {}", name.as_str().unwrap_or_default()), of.since());
    }
    problems
}
