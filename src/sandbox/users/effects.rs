//! What a change sends out: e-mails, text messages, webhooks. They are gathered while the change is made and recorded
//! when it stands.

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::call::Call;
use super::super::journal::Message;
use super::super::store::{State, Table};

/// Webhooks are kept by the generic store under this name.
const WEBHOOKS: Table = Table("webhook");

/// Messages of one request.
#[derive(Debug, Default)]
pub struct Effects {
    messages: Vec<Message>,
}

impl Effects {
    pub fn email(&mut self, name: &str, tenant: Uuid, recipient: &str, content: Value) {
        self.push("email", name, tenant, recipient, content);
    }

    pub fn sms(&mut self, name: &str, tenant: Uuid, recipient: &str, content: Value) {
        self.push("sms", name, tenant, recipient, content);
    }

    fn push(&mut self, channel: &'static str, name: &str, tenant: Uuid, recipient: &str, content: Value) {
        let recipient = Some(recipient.to_owned());
        self.messages.push(Message {
            channel,
            name: name.to_owned(),
            tenant: Some(tenant),
            recipient,
            content,
        });
    }

    /// An event, for every webhook that has it enabled for this tenant.
    pub fn event(&mut self, state: &State, name: &str, tenant: Uuid, content: impl FnOnce() -> Value) {
        if state.len(WEBHOOKS) == 0 {
            return;
        }
        let content = json!({"event": {"type": name, "tenantId": tenant, "content": content()}});
        for (_, webhook) in state.objects(WEBHOOKS) {
            let enabled =
                webhook.get("eventsEnabled").and_then(|events| events.get(name)).and_then(Value::as_bool);
            let tenants = webhook.get("tenantIds").and_then(Value::as_array).filter(|list| !list.is_empty());
            let ours =
                tenants.is_none_or(|list| list.iter().any(|id| id.as_str() == Some(&tenant.to_string())));
            if enabled == Some(true) && ours {
                let url = webhook.get("url").and_then(Value::as_str).unwrap_or_default();
                self.push("webhook", name, tenant, url, content.clone());
            }
        }
    }

    /// Records everything; to be called when the change is committed.
    pub fn record(self, call: &Call<'_>) {
        for message in self.messages {
            call.server.journal.message(call.now(), message);
        }
    }
}
