//! The emulator: a house of its own, which imports nothing of this crate.

pub mod jwt;
pub mod password;
pub mod patch;
pub mod search;
