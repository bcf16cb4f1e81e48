//! `cargo bench`: what plan and apply cost at scale, beside the same HTTP exchanges made bare.
//!
//! For each number of users (1,000 and 10,000, or the numbers given as arguments), with a tenth as many entities and
//! a hundredth as many lambdas, without passwords, on one sandbox: create everything, plan without a change, update
//! 1 % of the users. The exchanges of each run, as the sandbox logged them, are then made again by concurrent
//! reqwest with no work around them. Once without latency and once with 5 ms on each request. Beside it stands
//! reading the manifests: as `validate` does it, on all cores and with everything judged, and by the YAML library alone into
//! the same types. Times are whole processes; ratios compare figures of the same run, and processor time ("CPU s") holds under load. Nothing is
//! asserted: it prints.
//!
//! `cargo bench -- sandbox` measures the sandbox itself, `cargo bench -- hostile` files that are made to be slow; both
//! also run without arguments.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod hostile;
mod manifests;
mod process;
mod replay;
mod sandbox;
mod server;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use process::Cost;
use server::Server;

/// Requests in flight: the command's default.
const PARALLELISM: usize = 16;

fn fusionkeep(server: &Server, folder: &Path, arguments: &[&str]) -> Cost {
    let cost = process::run(
        Command::new(env!("CARGO_BIN_EXE_fusionkeep"))
            .args(arguments)
            .arg("-f")
            .arg(folder)
            .env("FUSIONKEEP_URL", &server.url)
            .env("FUSIONKEEP_API_KEY", server::API_KEY)
            .env("FUSIONKEEP_OWNER", "bench")
            .env("FUSIONKEEP_KEY", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
            .current_dir(folder.parent().unwrap()),
    );
    assert!(cost.success, "{arguments:?}: {}", cost.stderr);
    cost
}

/// What reading the manifests takes: by the command, and by the library alone.
struct Reading {
    own: Duration,
    bare: Duration,
}

fn row(what: &str, run: &Cost, exchanges: &[replay::Exchange], bare: &replay::Replayed, reading: &Reading) {
    let seconds = |time: Duration| time.as_secs_f64();
    println!(
        "| {what} | {} | {:.2} | {:.2} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
        exchanges.len(),
        seconds(run.time),
        seconds(run.processor),
        run.peak,
        seconds(bare.time),
        seconds(bare.processor),
        seconds(run.time) / seconds(bare.time),
        seconds(run.time) / seconds(bare.time + reading.own),
        seconds(run.time) / seconds(bare.time + reading.bare),
    );
    if bare.refused > 0 {
        println!("|   of the bare exchanges {} were refused | | | | | | | | | |", bare.refused);
    }
}

const APPLY: &[&str] = &["apply", "--auto-approve"];

/// The exchanges of the three runs, from a sandbox that logs them; the timed one does not, for logging costs.
fn exchanges(folder: &Path, input: &Path, users: usize) -> [Vec<replay::Exchange>; 3] {
    let server = Server::start(folder, 0, true);
    let create = server.exchanges_of(|| fusionkeep(&server, input, APPLY));
    let plan = server.exchanges_of(|| fusionkeep(&server, input, &["plan"]));
    manifests::write(input, users, "B");
    let update = server.exchanges_of(|| fusionkeep(&server, input, APPLY));
    manifests::write(input, users, "A");
    [create, plan, update]
}

fn measure(users: usize, latency: u64) {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("manifests");
    let bytes = manifests::write(&input, users, "A");
    let own = manifests::reading(&input);
    let reading = Reading { own: own.time, bare: manifests::bare_reading(&input) };
    println!(
        "\n{users} users, {} entities, {} lambdas: {:.1} MB of YAML, validated in {:.2} s ({:.2} CPU s, {:.0} MiB), \
         read into types by the library alone in {:.2} s; {latency} ms latency\n",
        users / 10,
        users / 100,
        bytes as f64 / 1e6,
        own.time.as_secs_f64(),
        own.processor.as_secs_f64(),
        own.peak,
        reading.bare.as_secs_f64(),
    );
    println!(
        "| run | requests | s | CPU s | peak MiB | bare s | bare CPU s | run / bare | run / (bare + validate) | \
         run / (bare + library) |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let [create, plan, update] = exchanges(folder.path(), &input, users);
    let server = Server::start(folder.path(), latency, false);
    let run_create = fusionkeep(&server, &input, APPLY);
    let run_plan = fusionkeep(&server, &input, &["plan"]);
    manifests::write(&input, users, "B");
    let run_update = fusionkeep(&server, &input, APPLY);
    // The same from the same beginning: what a run created cannot be created again.
    server.reset();
    let bare_create = replay::replay(&server, &create, PARALLELISM);
    let bare_plan = replay::replay(&server, &plan, PARALLELISM);
    let bare_update = replay::replay(&server, &update, PARALLELISM);
    row("create", &run_create, &create, &bare_create, &reading);
    row("plan, no change", &run_plan, &plan, &bare_plan, &reading);
    row("update 1 %", &run_update, &update, &bare_update, &reading);
    if latency > 0 {
        server.reset();
        let one_by_one = replay::replay(&server, &create, 1);
        println!(
            "\ncreating one request after another: {:.2} s; the run was {:.1} times as fast",
            one_by_one.time.as_secs_f64(),
            one_by_one.time.as_secs_f64() / run_create.time.as_secs_f64()
        );
    }
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let all = arguments.is_empty();
    let named = |name: &str| all || arguments.iter().any(|argument| argument == name);
    let sizes: Vec<usize> = match all {
        true => vec![1_000, 10_000],
        false => arguments.iter().filter_map(|argument| argument.parse().ok()).collect(),
    };
    for users in sizes {
        for latency in [0, 5] {
            measure(users, latency);
        }
    }
    if named("sandbox") {
        sandbox::measure();
    }
    if named("hostile") {
        hostile::measure();
    }
}
