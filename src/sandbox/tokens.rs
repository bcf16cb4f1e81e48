//! Random secrets and ids that are no UUIDs. Knows nothing else.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use uuid::Uuid;

fn random_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    let (left, right) = bytes.split_at_mut(16);
    left.copy_from_slice(Uuid::new_v4().as_bytes());
    right.copy_from_slice(Uuid::new_v4().as_bytes());
    bytes
}

/// An opaque id as FusionAuth makes them for mails and pending links: 43 URL-safe characters.
pub fn opaque_id() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes())
}

/// A client secret: 44 characters of Base64.
pub fn secret() -> String {
    STANDARD.encode(random_bytes())
}
