//! Logged exchanges, made again with nothing around them.

use std::time::{Duration, Instant};

use futures::StreamExt;
use serde::Deserialize;
use serde_json::Value;

use crate::process;
use crate::server::{API_KEY, Server};

/// One exchange as the sandbox logs it.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exchange {
    pub method: String,
    pub path: String,
    pub query: String,
    pub request_body: Option<Value>,
    pub tenant_id: Option<String>,
    pub content_type: Option<String>,
}

pub struct Replayed {
    pub time: Duration,
    pub processor: Duration,
    /// Answers that were neither 2xx nor what a plan asks for (404).
    pub refused: usize,
}

/// Makes the exchanges in their order, at most `parallelism` at once.
pub fn replay(server: &Server, exchanges: &[Exchange], parallelism: usize) -> Replayed {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let client = client();
    let requests: Vec<reqwest::Request> =
        exchanges.iter().map(|exchange| request(&client, &server.url, exchange)).collect();
    let own = std::process::id();
    let (start, before) = (Instant::now(), process::processor_time(own));
    let refused = runtime.block_on(async {
        futures::stream::iter(requests)
            .map(|request| {
                let client = client.clone();
                async move {
                    let answer = client.execute(request).await.unwrap();
                    let refused =
                        !answer.status().is_success() && answer.status() != reqwest::StatusCode::NOT_FOUND;
                    let _ = answer.bytes().await.unwrap();
                    usize::from(refused)
                }
            })
            .buffered(parallelism)
            .fold(0, |sum, refused| async move { sum + refused })
            .await
    });
    Replayed { time: start.elapsed(), processor: process::processor_time(own) - before, refused }
}

/// A client without anything around it.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

fn request(client: &reqwest::Client, url: &str, exchange: &Exchange) -> reqwest::Request {
    let query = if exchange.query.is_empty() { String::new() } else { format!("?{}", exchange.query) };
    let method = reqwest::Method::from_bytes(exchange.method.as_bytes()).unwrap();
    let mut builder =
        client.request(method, format!("{url}{}{query}", exchange.path)).header("Authorization", API_KEY);
    if let Some(tenant) = &exchange.tenant_id {
        builder = builder.header("X-FusionAuth-TenantId", tenant);
    }
    if let Some(body) = &exchange.request_body {
        let content_type = exchange.content_type.as_deref().unwrap_or("application/json");
        builder = builder.header("Content-Type", content_type).body(body.to_string());
    }
    builder.build().unwrap()
}
