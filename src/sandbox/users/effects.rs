//! What a change sends out: e-mails, text messages, webhook events. They are gathered while the change is made and
//! recorded when it stands.

use serde_json::Value;
use uuid::Uuid;

use super::super::call::Call;
use super::super::events::{self, WEBHOOK};
use super::super::journal::Message;
use super::super::store::State;

/// Messages and events of one request.
#[derive(Debug, Default)]
pub struct Effects {
    messages: Vec<Message>,
    events: Vec<(String, Uuid, Value)>,
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

    /// An event; its content is made only where a webhook could get it.
    pub fn event(&mut self, state: &State, name: &str, tenant: Uuid, content: impl FnOnce() -> Value) {
        if state.len(WEBHOOK) > 0 {
            self.events.push((name.to_owned(), tenant, content()));
        }
    }

    /// Records everything; to be called when the change is committed.
    pub fn record(self, call: &Call<'_>) {
        for message in self.messages {
            call.server.journal.message(call.now(), message);
        }
        for (name, tenant, content) in self.events {
            events::emit(call, &name, Some(tenant), content);
        }
    }
}
