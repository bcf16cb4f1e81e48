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
    let mut judge = |what: String, since: Since| {
        if since > Since(context.server_version.0, context.server_version.1) {
            let (major, minor) = context.server_version;
            let message = format!("{what} came with FusionAuth {since}, and the server is {major}.{minor}");
            let hint = format!("remove it from the manifest, or upgrade FusionAuth to {since}");
            problems.push(Problem::error("newer-than-server", message, hint).at(desired));
        }
    };
    let kind = desired.address.kind;
    let declared = desired.fields.iter().chain(&desired.initial).filter(|(_, value)| !value.is_null());
    for (name, _) in declared {
        if let Some(since) =
            row(kind).fields.iter().find(|rule| rule.path == name).and_then(|rule| rule.since)
        {
            judge(name.clone(), since);
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
