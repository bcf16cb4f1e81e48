//! The one integration-test binary: whole runs of the command, the sandbox's rules, the client, the laws.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;
mod command;
mod engine;
mod laws;
mod manifest;
mod record;
mod safety;
mod sandbox;
