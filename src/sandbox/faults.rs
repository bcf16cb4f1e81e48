//! Injected faults: rules say which requests fail and how, a seed makes the choice reproducible. Knows routes by
//! name, no endpoint.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::Error;
use super::reply::{Reply, general_error};
use super::store::Object;

/// A fault file: `{"rules": [{"fault": "tooManyRequests", "method": "POST", "route": "/api/user*", "share": 0.1}]}`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    pub rules: Vec<Rule>,
    /// Overrides the seed that the sandbox was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// Which requests, and what happens to them. Without `share`, `nth` and `from`, every request that matches.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    pub fault: Fault,
    /// The HTTP method; any without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A route as `/api/user/{userId}` or a path, `*` standing for anything; any without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The share of the matching requests, 0 to 1, drawn by the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// The how manieth matching requests, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<OneOrMany>,
    /// Every matching request from this one on, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// At most so many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// For `latency` and `freshKey`: how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
    /// For `tooManyRequests` and `unavailable`: the Retry-After header in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(u64),
    Many(Vec<u64>),
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// The answer takes `milliseconds` longer.
    Latency,
    /// 429 with Retry-After.
    TooManyRequests,
    /// 500 without a body.
    InternalError,
    /// 503 with a proxy's HTML page.
    Unavailable,
    /// 504: a webhook's transaction failed.
    GatewayTimeout,
    /// 409 `[retryableConflict]`.
    Conflict,
    /// The connection is reset before anything is done.
    ResetBefore,
    /// The connection is reset after the write is done.
    ResetAfter,
    /// Half of the body arrives.
    Truncate,
    /// API keys younger than `milliseconds` answer 401.
    FreshKey,
    /// A search's page lacks its last row; the total counts it.
    ShortPage,
    /// The write is answered and then lost to a concurrent one.
    LostWrite,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::TooManyRequests => "tooManyRequests",
            Self::InternalError => "internalError",
            Self::Unavailable => "unavailable",
            Self::GatewayTimeout => "gatewayTimeout",
            Self::Conflict => "conflict",
            Self::ResetBefore => "resetBefore",
            Self::ResetAfter => "resetAfter",
            Self::Truncate => "truncate",
            Self::FreshKey => "freshKey",
            Self::ShortPage => "shortPage",
            Self::LostWrite => "lostWrite",
        }
    }
}

/// What is to happen to one request.
#[derive(Debug, Default)]
pub struct Verdict {
    pub latency: Duration,
    pub name: Option<&'static str>,
    /// Answered instead of the endpoint.
    pub instead: Option<Reply>,
    pub reset_before: bool,
    pub reset_after: bool,
    pub truncate: bool,
    pub lose_writes: bool,
    short_page: bool,
}

impl Verdict {
    /// Applies what is done to a finished answer.
    pub fn after(&self, reply: Reply) -> Reply {
        if !self.short_page || reply.status != 200 {
            return reply;
        }
        let Ok(Value::Object(mut body)) = serde_json::from_slice::<Value>(&reply.body) else { return reply };
        // `expandable` lists names of fields, not rows.
        let mut lists = body.iter_mut().filter(|(name, _)| *name != "expandable");
        let Some(rows) = lists.find_map(|(_, value)| value.as_array_mut().filter(|list| !list.is_empty()))
        else {
            return reply;
        };
        rows.pop();
        Reply::ok(&body)
    }
}

struct Active {
    rule: Rule,
    matched: AtomicU64,
    injected: AtomicU64,
}

/// The rules at work.
pub struct Faults {
    seed: u64,
    active: RwLock<(u64, Vec<Active>)>,
}

impl Faults {
    /// Reads the rules file, if there is one.
    pub fn open(path: Option<&Path>, seed: u64) -> Result<Self, Error> {
        let faults = Self { seed, active: RwLock::new((seed, Vec::new())) };
        if let Some(path) = path {
            let bytes =
                std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
            let rules = serde_json::from_slice(&bytes)
                .map_err(|error| error.to_string())
                .and_then(|rules: Rules| rules.check().map(|()| rules));
            match rules {
                Ok(rules) => faults.replace(rules),
                Err(reason) => return Err(Error::Faults { path: path.to_owned(), reason }),
            }
        }
        Ok(faults)
    }

    /// Puts other rules in place; all counts begin anew.
    pub fn replace(&self, rules: Rules) {
        let active = rules
            .rules
            .into_iter()
            .map(|rule| Active { rule, matched: AtomicU64::new(0), injected: AtomicU64::new(0) })
            .collect();
        *self.active.write().unwrap_or_else(PoisonError::into_inner) =
            (rules.seed.unwrap_or(self.seed), active);
    }

    /// Puts the rules of the start in place again; all counts begin anew.
    pub fn reload(&self, path: Option<&Path>) -> Result<(), Error> {
        let fresh = Self::open(path, self.seed)?;
        let rules = fresh.active.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = rules;
        Ok(())
    }

    /// The rules with how often each matched and struck.
    pub fn report(&self) -> Value {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        let rules: Vec<Value> = active
            .1
            .iter()
            .map(|active| {
                let (matched, injected) =
                    (active.matched.load(Ordering::SeqCst), active.injected.load(Ordering::SeqCst));
                serde_json::json!({ "rule": active.rule, "matched": matched, "injected": injected })
            })
            .collect();
        serde_json::json!({ "seed": active.0, "rules": rules })
    }

    /// Decides about one request.
    pub fn decide(&self, method: &str, pattern: &str, path: &str) -> Verdict {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        let mut verdict = Verdict::default();
        for (index, active_rule) in active.1.iter().enumerate() {
            let rule = &active_rule.rule;
            if rule.fault == Fault::FreshKey || !rule.matches(method, pattern, path) {
                continue;
            }
            let is_decided = verdict.name.is_some();
            if is_decided && rule.fault != Fault::Latency {
                continue;
            }
            let count = active_rule.matched.fetch_add(1, Ordering::SeqCst) + 1;
            if rule.strikes(active.0, index as u64, count, &active_rule.injected) {
                verdict.apply(rule);
            }
        }
        verdict
    }

    /// Whether a rule makes so young a key answer 401 still. `request` is its method, route and path.
    pub fn key_is_too_fresh(&self, key: &Object, now: i64, request: (&str, &str, &str)) -> bool {
        let (method, pattern, path) = request;
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        let mut rules = active.1.iter().filter(|active| {
            active.rule.fault == Fault::FreshKey && active.rule.matches(method, pattern, path)
        });
        rules.any(|active| {
            let born = key.get("insertInstant").and_then(Value::as_i64).unwrap_or(0);
            let limit = i64::try_from(active.rule.milliseconds.unwrap_or(1_000)).unwrap_or(i64::MAX);
            let fresh = now.saturating_sub(born) < limit;
            if fresh {
                active.injected.fetch_add(1, Ordering::SeqCst);
            }
            fresh
        })
    }
}

impl Rules {
    /// What serde cannot say: shares between 0 and 1, counts from 1.
    pub fn check(&self) -> Result<(), String> {
        for (index, rule) in self.rules.iter().enumerate() {
            if rule.share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
                return Err(format!("rules[{index}].share is not between 0 and 1"));
            }
            let zero = match &rule.nth {
                Some(OneOrMany::One(n)) => *n == 0,
                Some(OneOrMany::Many(list)) => list.contains(&0),
                None => false,
            };
            if zero || rule.from == Some(0) {
                return Err(format!("rules[{index}]: requests are counted from 1"));
            }
        }
        Ok(())
    }
}

impl Rule {
    fn matches(&self, method: &str, pattern: &str, path: &str) -> bool {
        if self.method.as_ref().is_some_and(|wanted| !wanted.eq_ignore_ascii_case(method)) {
            return false;
        }
        let fits_route =
            self.route.as_ref().is_none_or(|wanted| wildcard(wanted, pattern) || wildcard(wanted, path));
        fits_route && (self.fault != Fault::LostWrite || method != "GET")
    }

    fn strikes(&self, seed: u64, index: u64, count: u64, injected: &AtomicU64) -> bool {
        let chosen = match &self.nth {
            Some(OneOrMany::One(n)) => *n == count,
            Some(OneOrMany::Many(list)) => list.contains(&count),
            None => true,
        } && self.from.is_none_or(|from| count >= from)
            && self.share.is_none_or(|share| draw(seed, index, count) < share);
        if !chosen {
            return false;
        }
        let before = injected.fetch_add(1, Ordering::SeqCst);
        if self.times.is_some_and(|times| before >= times) {
            injected.fetch_sub(1, Ordering::SeqCst);
            return false;
        }
        true
    }
}

impl Verdict {
    fn apply(&mut self, rule: &Rule) {
        if rule.fault == Fault::Latency {
            self.latency += Duration::from_millis(rule.milliseconds.unwrap_or(100));
            return;
        }
        self.name = Some(rule.fault.name());
        let retry_after = rule.retry_after.map(|seconds| seconds.to_string());
        match rule.fault {
            Fault::Latency | Fault::FreshKey => {}
            Fault::TooManyRequests => {
                let seconds = retry_after.unwrap_or_else(|| "1".to_owned());
                self.instead = Some(Reply::empty(429).with_header("retry-after", seconds));
            }
            Fault::InternalError => self.instead = Some(Reply::empty(500)),
            Fault::Unavailable => self.instead = Some(unavailable(retry_after)),
            Fault::GatewayTimeout => self.instead = Some(Reply::empty(504)),
            Fault::Conflict => {
                self.instead = Some(general_error(
                    409,
                    "retryableConflict",
                    "The request could not be completed because of a conflict. Please use an exponential backoff and \
                     try again.",
                ));
            }
            Fault::ResetBefore => self.reset_before = true,
            Fault::ResetAfter => self.reset_after = true,
            Fault::Truncate => self.truncate = true,
            Fault::ShortPage => self.short_page = true,
            Fault::LostWrite => self.lose_writes = true,
        }
    }
}

/// What a proxy in front of FusionAuth says when there is nothing behind it.
fn unavailable(retry_after: Option<String>) -> Reply {
    let page = "<html><head><title>503 Service Temporarily Unavailable</title></head>\
                <body><h1>503 Service Temporarily Unavailable</h1></body></html>";
    let mut reply = Reply::json_bytes(503, page.as_bytes().to_vec());
    reply.content_type = Some("text/html");
    match retry_after {
        Some(seconds) => reply.with_header("retry-after", seconds),
        None => reply,
    }
}

/// A number from 0 to 1 that depends on nothing but its arguments (the splitmix64 finaliser).
fn draw(seed: u64, index: u64, count: u64) -> f64 {
    let mut x = seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ count.wrapping_mul(0xd1b5_4a32_d192_ed03);
    for _ in 0..2 {
        x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
    }
    let bits = u32::try_from(x >> 32).unwrap_or(u32::MAX);
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

/// Whether a text fits a pattern in which `*` stands for anything.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or(""),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_anything() {
        assert!(
            wildcard("/api/user*", "/api/user/{userId}") && wildcard("*", "") && wildcard("/a*b*c", "/axbyc")
        );
        assert!(
            !wildcard("/api/user", "/api/user/x") && !wildcard("/a*b*c", "/acb") && !wildcard("x*", "/x")
        );
    }

    #[test]
    fn a_seed_repeats_its_draws() {
        let hits = |seed| (0..1000).filter(|n| draw(seed, 0, *n) < 0.25).collect::<Vec<_>>();
        assert_eq!(hits(7), hits(7));
        assert_ne!(hits(7), hits(8));
        assert!((200..300).contains(&hits(7).len()), "{}", hits(7).len());
    }
}
