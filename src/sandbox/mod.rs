//! The emulator: a house of its own, which imports nothing of this crate.
