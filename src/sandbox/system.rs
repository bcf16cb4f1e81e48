//! Version, status and health (wire notes §1).

use serde_json::json;

use super::call::{Call, Caller};
use super::reply::{Outcome, Reply};
use super::router::{Access, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::new("GET", "/api/system/version", "/api/system/version", version),
        Route::new("GET", "/api/status", "/api/status", status).access(Access::Public),
        Route::new("POST", "/api/system/reindex", "/api/system/reindex", reindex).access(Access::GlobalKey),
        Route::new("GET", "/api/system/reindex", "/api/system/reindex", no_reindex).access(Access::GlobalKey),
        Route::new("GET", "/api/health", "/api/health", health).access(Access::Public),
    ]
}

fn version(call: &Call<'_>) -> Outcome {
    Ok(Reply::ok(&json!({ "version": call.version().to_string() })))
}

/// The version is for global keys (wire notes §1, the matrix of endpoints); others learn no more than the code. The
/// emulator says that it is one in either case.
fn status(call: &Call<'_>) -> Outcome {
    let emulator = "fusionkeep sandbox: an emulator, not FusionAuth";
    if matches!(&call.caller, Caller::Key(key) if key.tenant.is_none()) {
        return Ok(Reply::ok(&json!({ "emulator": emulator, "version": call.version().to_string() })));
    }
    Ok(Reply::ok(&json!({ "emulator": emulator })))
}

/// Taken up at once (wire notes §1: 202), so that the index sees everything when it is answered.
fn reindex(call: &Call<'_>) -> Outcome {
    let mut tx = call.write();
    tx.refresh_index();
    tx.commit()?;
    Ok(Reply::empty(202))
}

/// 404: no reindex is under way, for each is done when it is answered.
fn no_reindex(_: &Call<'_>) -> Outcome {
    Err(Reply::not_found())
}

fn health(_: &Call<'_>) -> Outcome {
    Ok(Reply::empty(200))
}
