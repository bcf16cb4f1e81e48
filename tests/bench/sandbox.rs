//! The sandbox itself: an import of 100,000 users, memory a user, requests a second on one core.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures::StreamExt;

use crate::process::{memory, processor_time};
use crate::replay::client;
use crate::server::{API_KEY, Server};

const USERS: usize = 100_000;
/// Users of one import.
const BATCH: usize = 10_000;
const REQUESTS: usize = 20_000;

pub fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), 0, false);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = client();
    let resident = || memory(server.process(), "VmRSS:").unwrap();
    let before = resident();
    let (time, processor) = timed(&server, || {
        for begin in (0..USERS).step_by(BATCH) {
            let request = client.post(format!("{}/api/user/import", server.url)).body(users(begin));
            assert_eq!(runtime.block_on(answer(request)), 200);
        }
    });
    println!("\nsandbox: {USERS} users without passwords imported in {time:.2} s ({processor:.2} CPU s)");
    println!("sandbox: {:.0} bytes of memory a plain user", (resident() - before) * 1048576.0 / USERS as f64);
    let get = |number: usize| client.get(format!("{}/api/user/{}", server.url, id(number)));
    requests(&server, &runtime, "retrievals", |number| get(number % USERS));
    let post = |number: usize| {
        let body =
            format!("{{\"user\":{{\"email\":\"new-{number}@example.com\",\"data\":{{\"seat\":{number}}}}}}}");
        client
            .post(format!("{}/api/user/{}?sendSetPasswordEmail=false", server.url, id(USERS + number)))
            .body(body)
    };
    requests(&server, &runtime, "creations", post);
}

/// The sandbox serves on one thread, so its processor time is that of one core.
fn requests(
    server: &Server,
    runtime: &tokio::runtime::Runtime,
    what: &str,
    request: impl Fn(usize) -> reqwest::RequestBuilder,
) {
    let all = || {
        let answers = futures::stream::iter(0..REQUESTS).map(|number| answer(request(number)));
        let bad = answers.buffer_unordered(16).filter(|status| std::future::ready(*status != 200)).count();
        assert_eq!(runtime.block_on(bad), 0);
    };
    let (time, processor) = timed(server, all);
    let rate = |seconds: f64| REQUESTS as f64 / seconds;
    println!("sandbox: {:.0} {what} a second of its core, {:.0} by the clock", rate(processor), rate(time));
}

async fn answer(request: reqwest::RequestBuilder) -> u16 {
    let request = request.header("Authorization", API_KEY).header("Content-Type", "application/json");
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    assert!(status < 400, "{status}: {text}");
    status
}

/// Seconds by the clock, and of the sandbox's processor time.
fn timed(server: &Server, work: impl FnOnce()) -> (f64, f64) {
    let (start, before) = (Instant::now(), processor_time(server.process()));
    work();
    let processor: Duration = processor_time(server.process()) - before;
    (start.elapsed().as_secs_f64(), processor.as_secs_f64())
}

fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn users(begin: usize) -> String {
    let mut body = "{\"users\":[".to_owned();
    for number in begin..begin + BATCH {
        let comma = if number > begin { "," } else { "" };
        let _ = write!(
            body,
            "{comma}{{\"id\":\"{}\",\"active\":true,\"email\":\"user-{number}@example.com\",\"firstName\":\"Somebody\"}}",
            id(number)
        );
    }
    body + "]}"
}
