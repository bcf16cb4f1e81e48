//! Any bytes as a saved plan: read in full or refused; no panic, and with a key nothing unsigned passes.
#![no_main]

use std::sync::OnceLock;

use fusionkeep::engine::keys::RunnerKeys;
use fusionkeep::engine::saved::parse;
use secrecy::SecretSlice;

static KEYS: OnceLock<RunnerKeys> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let keys = KEYS.get_or_init(|| {
        RunnerKeys::parse(&SecretSlice::from(b"0123456789abcdef0123456789abcdef".to_vec())).expect("a key")
    });
    // Without a key a plan is read and said not to be authenticated.
    let _read = parse(data, None);
    assert!(parse(data, Some(keys)).is_err(), "a plan that this key did not sign passed");
});
