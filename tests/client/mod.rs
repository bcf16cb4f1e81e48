//! The API client against small servers with canned answers, made for one test each: what it sends, and what it makes of
//! answers that a real server, a proxy or a broken network can give.

mod families;
mod recognition;
mod retries;
mod safety;
mod search;
mod tls;
mod transport;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fusionkeep::fusionauth::{Client, RetryPolicy, Target};
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

pub const KEY: &str = "canary-api-key-4f1d";
pub const TENANT: Uuid = Uuid::from_u128(0x7e);

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: hyper::HeaderMap,
    pub body: Value,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn line(&self) -> String {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        format!("{} {}{query}", self.method, self.path)
    }
}

/// What the server does with a request.
pub enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Closes the connection without an answer.
    Drop,
    /// Promises more than it sends.
    CutOff(String),
    /// Answers late.
    Late(Duration, Box<Reply>),
}

pub fn reply(status: u16, body: Value) -> Reply {
    Reply::Answer {
        status,
        headers: vec![("content-type", "application/json;charset=UTF-8".into())],
        body: body.to_string(),
    }
}

pub fn empty(status: u16) -> Reply {
    Reply::Answer { status, headers: vec![], body: String::new() }
}

pub fn html(status: u16) -> Reply {
    let headers = vec![("content-type", "text/html".into())];
    Reply::Answer { status, headers, body: "<html>canary-html</html>".into() }
}

pub fn with(reply: Reply, name: &'static str, value: &str) -> Reply {
    match reply {
        Reply::Answer { status, mut headers, body } => {
            headers.push((name, value.to_owned()));
            Reply::Answer { status, headers, body }
        }
        other => other,
    }
}

/// What the version endpoint answers; the client asks it before it believes a 404.
pub fn version() -> Reply {
    reply(200, json!({"version": "1.69.0"}))
}

pub struct Server {
    pub url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// A server that answers the n-th request (from 0) by `handler`.
    pub async fn start(handler: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (handler, log) = (Arc::new(handler), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (handler, log) = (handler.clone(), log.clone());
                let service = service_fn(move |request| answer(request, handler.clone(), log.clone()));
                tokio::spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    // An error is what some tests ask for.
                    drop(http.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { url, seen }
    }

    pub fn target(&self) -> Target {
        let mut target = Target::new(self.url.clone(), SecretString::from(KEY));
        target.tenant_id = Some(TENANT);
        target.environment_proxies = false;
        target.request_timeout = Duration::from_secs(5);
        target.wait_for_key = Duration::ZERO;
        target.retry = RetryPolicy {
            first_wait: Duration::from_millis(2),
            longest_wait: Duration::from_millis(10),
            ..RetryPolicy::default()
        };
        target
    }

    pub fn client(&self) -> Client {
        Client::new(&self.target()).unwrap()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The request lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    handler: Arc<impl Fn(usize, &Seen) -> Reply>,
    log: Arc<Mutex<Vec<Seen>>>,
) -> Result<hyper::Response<BoxBody<Bytes, std::io::Error>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let seen = Seen {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let number = {
        let mut log = log.lock().unwrap();
        log.push(seen.clone());
        log.len() - 1
    };
    let mut reply = handler(number, &seen);
    while let Reply::Late(wait, then) = reply {
        tokio::time::sleep(wait).await;
        reply = *then;
    }
    match reply {
        Reply::Answer { status, headers, body } => {
            let mut response = hyper::Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            let body =
                http_body_util::Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {});
            Ok(response.body(body.boxed()).unwrap())
        }
        Reply::CutOff(body) => {
            let begin = stream::once(async { Ok(Frame::data(Bytes::from(body))) });
            // Late enough for head and beginning to be on their way.
            let cut = stream::once(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(std::io::Error::other("cut"))
            });
            let body = BodyExt::boxed(StreamBody::new(Box::pin(begin.chain(cut))));
            Ok(hyper::Response::builder().header("content-type", "application/json").body(body).unwrap())
        }
        Reply::Drop | Reply::Late(..) => Err(std::io::Error::other("dropped")),
    }
}

/// An id made of a small number.
pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}
