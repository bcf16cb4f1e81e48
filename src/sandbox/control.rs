//! `/_sandbox/…`: what a test may ask and do that a real server does not know. Takes no credentials.

use serde_json::{Value, json};

use super::bootstrap;
use super::call::Call;
use super::faults::Rules;
use super::reply::{Outcome, Reply, general_error};
use super::router::Route;

pub fn routes() -> Vec<Route> {
    vec![
        Route::control("GET", "/_sandbox", overview),
        Route::control("GET", "/_sandbox/requests", requests),
        Route::control("DELETE", "/_sandbox/requests", clear_requests),
        Route::control("GET", "/_sandbox/exchanges", exchanges),
        Route::control("GET", "/_sandbox/messages", messages),
        Route::control("DELETE", "/_sandbox/messages", clear_messages),
        Route::control("POST", "/_sandbox/reset", reset).heavy(),
        Route::control("GET", "/_sandbox/clock", clock),
        Route::control("POST", "/_sandbox/clock", move_clock),
        Route::control("GET", "/_sandbox/faults", faults),
        Route::control("PUT", "/_sandbox/faults", set_faults),
        Route::control("DELETE", "/_sandbox/faults", clear_faults),
    ]
}

fn overview(call: &Call<'_>) -> Outcome {
    let server = call.server;
    Ok(Reply::ok(&json!({
        "emulator": "fusionkeep sandbox", "version": server.version.to_string(), "storeId": server.store_id,
        "searchEngine": format!("{:?}", server.engine), "licensed": server.licensed,
        "indexDelayMillis": server.index_delay,
    })))
}

fn requests(call: &Call<'_>) -> Outcome {
    Ok(Reply::ok(&call.server.journal.counts()))
}

fn clear_requests(call: &Call<'_>) -> Outcome {
    call.server.journal.clear_requests();
    Ok(Reply::empty(200))
}

fn exchanges(call: &Call<'_>) -> Outcome {
    let after = call.query("after").and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Reply::ok(&json!({ "exchanges": call.server.journal.exchanges(after) })))
}

fn messages(call: &Call<'_>) -> Outcome {
    Ok(Reply::ok(&json!({ "messages": call.server.journal.messages() })))
}

fn clear_messages(call: &Call<'_>) -> Outcome {
    call.server.journal.clear_messages();
    Ok(Reply::empty(200))
}

/// Back to what a fresh start holds: content, counts, messages, faults of the start, the clock.
fn reset(call: &Call<'_>) -> Outcome {
    match bootstrap::reset(call.server) {
        Ok(report) => {
            let report = report.map(|report| report.to_json());
            Ok(Reply::ok(&json!({ "storeId": call.server.store_id, "kickstart": report })))
        }
        Err(error) => Err(general_error(500, "ResetFailed", error.to_string())),
    }
}

fn clock(call: &Call<'_>) -> Outcome {
    Ok(Reply::ok(&json!({ "now": call.now() })))
}

/// `{"advanceMillis": n}` or `{"advanceSeconds": n}` moves the clock, `{"reset": true}` undoes all moving.
fn move_clock(call: &Call<'_>) -> Outcome {
    let body = call.json_object()?;
    let number = |name: &str| body.get(name).and_then(Value::as_i64);
    let moved = match (number("advanceMillis"), number("advanceSeconds"), body.get("reset")) {
        (Some(millis), None, None) => Some(millis),
        (None, Some(seconds), None) => seconds.checked_mul(1_000),
        (None, None, Some(Value::Bool(true))) => {
            call.server.clock.reset();
            Some(0)
        }
        _ => None,
    };
    match moved {
        Some(millis) => call.server.clock.advance(millis),
        None => {
            let hint =
                "one of {\"advanceMillis\": n}, {\"advanceSeconds\": n}, {\"reset\": true} is expected";
            return Err(general_error(400, "InvalidClock", hint));
        }
    }
    clock(call)
}

fn faults(call: &Call<'_>) -> Outcome {
    Ok(Reply::ok(&call.server.faults.report()))
}

/// Replaces all fault rules; the body is a fault file's content.
fn set_faults(call: &Call<'_>) -> Outcome {
    let rules: Result<Rules, String> = serde_json::from_slice(&call.body).map_err(|error| error.to_string());
    match rules.and_then(|rules| rules.check().map(|()| rules)) {
        Ok(rules) => {
            call.server.faults.replace(rules);
            faults(call)
        }
        Err(reason) => Err(general_error(400, "InvalidFaultRules", reason)),
    }
}

fn clear_faults(call: &Call<'_>) -> Outcome {
    call.server.faults.replace(Rules::default());
    Ok(Reply::empty(200))
}
