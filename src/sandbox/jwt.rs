//! JSON Web Tokens signed with HS256, as `/api/login` hands them out and `GET /api/user` takes them.
//!
//! Knows RFC 7515 and 7519 and nothing of users: claims are JSON.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};
use thiserror::Error;

/// Why a token is not accepted.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum JwtError {
    /// Not three base64url parts of JSON.
    #[error("the token is malformed")]
    Malformed,
    /// The header's algorithm is not HS256.
    #[error("the token's algorithm is not HS256")]
    Algorithm,
    /// The signature was not made with this key.
    #[error("the token's signature does not match")]
    Signature,
    /// The token's `exp` lies in the past.
    #[error("the token has expired")]
    Expired,
}

/// Signs `claims` with HS256 under `key`; `key_id` goes into the header as `kid`.
pub fn sign(claims: &Value, key: &[u8], key_id: &str) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT", "kid": key_id});
    let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(claims.to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), token.as_bytes());
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(tag.as_ref()));
    token
}

/// The claims of a token whose signature and expiry hold. `now` is in seconds since the epoch.
pub fn verify(token: &str, key: &[u8], now: i64) -> Result<Value, JwtError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(JwtError::Malformed)?;
    if part(header)?.get("alg").and_then(Value::as_str) != Some("HS256") {
        return Err(JwtError::Algorithm);
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| JwtError::Malformed)?;
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes(), &signature)
        .map_err(|_| JwtError::Signature)?;
    let claims = part(claims)?;
    match claims.get("exp").and_then(Value::as_i64) {
        Some(expiry) if expiry > now => Ok(claims),
        _ => Err(JwtError::Expired),
    }
}

fn part(text: &str) -> Result<Value, JwtError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| JwtError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| JwtError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_until_it_expires_and_only_under_its_key() {
        let token = sign(&json!({"sub": "someone", "exp": 100}), b"key", "kid");
        assert_eq!(verify(&token, b"key", 99).unwrap()["sub"], "someone");
        assert_eq!(verify(&token, b"key", 100), Err(JwtError::Expired));
        assert_eq!(verify(&token, b"other", 99), Err(JwtError::Signature));
        assert_eq!(verify("a.b", b"key", 99), Err(JwtError::Malformed));
        let none =
            format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode("{}"));
        assert_eq!(verify(&none, b"key", 99), Err(JwtError::Algorithm));
    }
}
