//! Webhook events: what a real server would have sent to the webhooks that are configured here goes to the journal.

use serde_json::{Value, json};
use uuid::Uuid;

use super::call::Call;
use super::journal::Message;
use super::store::{State, Table};

/// Where the generic store keeps webhooks.
pub const WEBHOOK: Table = Table("webhook");

/// Records an event for every webhook that has it enabled and serves this tenant. Call it after the commit.
pub fn emit(call: &Call<'_>, name: &str, tenant: Option<Uuid>, content: Value) {
    let state = call.read();
    emit_with(call, &state, name, tenant, content);
}

/// As [`emit`], for who holds the state already.
pub fn emit_with(call: &Call<'_>, state: &State, name: &str, tenant: Option<Uuid>, content: Value) {
    if state.len(WEBHOOK) == 0 {
        return;
    }
    let mut event = content;
    if let Value::Object(event) = &mut event {
        event.insert("type".to_owned(), json!(name));
        event.insert("id".to_owned(), json!(Uuid::new_v4()));
        event.insert("createInstant".to_owned(), json!(call.now()));
        event.insert("tenantId".to_owned(), json!(tenant));
    }
    for (_, webhook) in state.objects(WEBHOOK) {
        let is_enabled =
            webhook.get("eventsEnabled").and_then(|events| events.get(name)) == Some(&Value::Bool(true));
        let everywhere = webhook.get("global").and_then(Value::as_bool) != Some(false);
        let serves = everywhere
            || tenant.is_some_and(|tenant| {
                let text = tenant.to_string();
                let tenants = webhook.get("tenantIds").and_then(Value::as_array);
                tenants.is_some_and(|list| list.iter().any(|id| id.as_str() == Some(&text)))
            });
        if is_enabled && serves {
            call.server.journal.message(
                call.now(),
                Message {
                    channel: "webhook",
                    name: name.to_owned(),
                    tenant,
                    recipient: webhook.get("url").and_then(Value::as_str).map(str::to_owned),
                    content: json!({ "event": event }),
                },
            );
        }
    }
}
