//! What happened: every exchange (counts, a bounded list, the log file) and every message that would have gone out.
//! Secrets in bodies are masked before they are written anywhere.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::config::Error;
use super::numbers;
use super::reply::Reply;
use super::server::Request;

/// How many exchanges and messages are kept in memory.
const KEPT: usize = 20_000;

/// One exchange, as it is recorded.
pub struct Exchange<'a> {
    /// The order in which requests arrived, from 1.
    pub sequence: u64,
    pub started_at: i64,
    pub micros: u64,
    /// The route's pattern; `None` for a path or method that does not exist.
    pub pattern: Option<&'static str>,
    pub key: Option<Uuid>,
    pub status: u16,
    /// The fault that was injected.
    pub fault: Option<&'static str>,
    pub request: &'a Request,
    pub reply: &'a Reply,
}

/// An e-mail, text message or webhook that a real server would have sent.
#[derive(Debug, Clone)]
pub struct Message {
    /// `email`, `sms` or `webhook`.
    pub channel: &'static str,
    /// The event's or template's name, as `user.create` or `set-password`.
    pub name: String,
    pub tenant: Option<Uuid>,
    pub recipient: Option<String>,
    pub content: Value,
}

#[derive(Debug, Default)]
struct Kept {
    counts: BTreeMap<(String, String), BTreeMap<u16, u64>>,
    exchanges: VecDeque<Value>,
    messages: VecDeque<Value>,
}

/// See the module.
pub struct Journal {
    sequence: AtomicU64,
    kept: Mutex<Kept>,
    log: Option<Mutex<BufWriter<File>>>,
}

impl Journal {
    /// `log` is appended to.
    pub fn open(log: Option<&Path>) -> Result<Self, Error> {
        let open = |path: &Path| {
            File::options()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|source| Error::Log { path: path.to_owned(), source })
        };
        let log = log.map(open).transpose()?.map(|file| Mutex::new(BufWriter::new(file)));
        Ok(Self { sequence: AtomicU64::new(0), kept: Mutex::default(), log })
    }

    pub fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Records an exchange that has been answered (or dropped by a fault).
    pub fn record(&self, exchange: Exchange<'_>) {
        let line = brief(&exchange);
        if let Some(log) = &self.log {
            let mut full = line.clone();
            if let Value::Object(object) = &mut full {
                object.insert("contentType".to_owned(), exchange.request.content_type.clone().into());
                object.insert("requestBody".to_owned(), masked_body(&exchange.request.body));
                object.insert("responseBody".to_owned(), masked_body(&exchange.reply.body.clone().into()));
            }
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            let written = serde_json::to_vec(&full)
                .map_err(std::io::Error::from)
                .and_then(|line| log.write_all(&numbers::revealed(line)))
                .and_then(|()| log.write_all(b"\n"))
                .and_then(|()| log.flush());
            if let Err(error) = written {
                tracing::error!(%error, "the log file cannot be written");
            }
        }
        let route = exchange.pattern.unwrap_or(&exchange.request.path).to_owned();
        let mut kept = self.kept();
        *kept
            .counts
            .entry((exchange.request.method.clone(), route))
            .or_default()
            .entry(exchange.status)
            .or_default() += 1;
        push(&mut kept.exchanges, line);
    }

    /// Records a message that a real server would have sent.
    pub fn message(&self, now: i64, message: Message) {
        let line = json!({
            "channel": message.channel, "name": message.name, "tenantId": message.tenant,
            "recipient": message.recipient, "content": message.content, "instant": now,
        });
        push(&mut self.kept().messages, line);
    }

    /// `{total, requests: [{method, route, count, statuses}]}`
    pub fn counts(&self) -> Value {
        let kept = self.kept();
        let mut total = 0;
        let requests: Vec<Value> = kept
            .counts
            .iter()
            .map(|((method, route), statuses)| {
                let count: u64 = statuses.values().sum();
                total += count;
                let statuses: BTreeMap<String, u64> =
                    statuses.iter().map(|(status, count)| (status.to_string(), *count)).collect();
                json!({ "method": method, "route": route, "count": count, "statuses": statuses })
            })
            .collect();
        json!({ "total": total, "requests": requests })
    }

    /// The kept exchanges with a sequence above `after`, oldest first.
    pub fn exchanges(&self, after: u64) -> Vec<Value> {
        let kept = self.kept();
        let is_later =
            |line: &&Value| line.get("sequence").and_then(Value::as_u64).is_some_and(|n| n > after);
        kept.exchanges.iter().filter(is_later).cloned().collect()
    }

    /// The kept messages, oldest first.
    pub fn messages(&self) -> Vec<Value> {
        self.kept().messages.iter().cloned().collect()
    }

    pub fn clear_requests(&self) {
        let mut kept = self.kept();
        kept.counts.clear();
        kept.exchanges.clear();
    }

    pub fn clear_messages(&self) {
        self.kept().messages.clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push(list: &mut VecDeque<Value>, line: Value) {
    if list.len() >= KEPT {
        list.pop_front();
    }
    list.push_back(line);
}

fn brief(exchange: &Exchange<'_>) -> Value {
    let Exchange { sequence, started_at, micros, pattern, key, status, fault, request, reply } = exchange;
    json!({
        "sequence": sequence, "instant": started_at, "micros": micros, "method": request.method,
        "path": request.path, "query": request.query, "route": pattern, "status": status, "fault": fault,
        "keyId": key, "tenantId": request.tenant, "requestBytes": request.body.len(),
        "responseBytes": reply.body.len(), "userAgent": request.user_agent,
    })
}

/// Field names whose values never reach a log.
const SECRET: [&str; 12] = [
    "password",
    "currentPassword",
    "salt",
    "clientSecret",
    "token",
    "refreshToken",
    "key",
    "secret",
    "privateKey",
    "authorization",
    "recoveryCodes",
    "oneTimePassword",
];

fn masked_body(body: &Bytes) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    match serde_json::from_slice::<Value>(&numbers::sheltered(body)) {
        Ok(mut value) => {
            mask(&mut value);
            value
        }
        Err(_) => json!(format!("({} bytes, not JSON)", body.len())),
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let is_text = value.is_string() || value.is_array();
                if is_text && SECRET.contains(&name.as_str()) {
                    *value = json!("(secret)");
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(mask),
        _ => {}
    }
}
