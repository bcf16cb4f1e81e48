//! The server itself: its version and status.

use super::call::{Answer, Call};
use super::client::Client;
use super::error::Error;
use super::version::ServerVersion;

pub(super) const VERSION: &str = "/api/system/version";
pub(super) const STATUS: &str = "/api/status";

impl Client {
    /// The server's version. Needs a key that may read `/api/system/version`.
    ///
    /// # Errors
    /// As any read; also when the version is no version number.
    pub async fn system_version(&self) -> Result<ServerVersion, Error> {
        let call = Call::get(VERSION, vec![], Answer::Object);
        self.run(&call, |response| {
            let body: serde_json::Value = response.parse()?;
            let version = body.get("version").and_then(serde_json::Value::as_str);
            let version = version.ok_or_else(|| response.unexpected("no `version`"))?;
            version.parse().map_err(|error| response.unexpected(format!("`version` is {error}")))
        })
        .await
    }

    /// The server's status; healthy when it answers at all (an unhealthy one answers 4xx or 5xx, wire notes §1). Anonymous
    /// keys see less of it.
    ///
    /// # Errors
    /// As any read.
    pub async fn status(&self) -> Result<super::Object, Error> {
        let call = Call::get(STATUS, vec![], Answer::Object);
        self.run(&call, super::Response::parse).await
    }
}
