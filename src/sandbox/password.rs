//! Password schemes: real hashing and checking, so that a test can prove that a password works.
//!
//! Knows the schemes of FusionAuth's password-hashing reference and nothing of users. Names that are none of them are
//! stored as they are (a plugin may know them) and match no password.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use md5::{Digest as _, Md5};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;
use thiserror::Error;

/// The scheme that hashes plain text when neither user nor tenant names another.
pub const DEFAULT_SCHEME: &str = "salted-pbkdf2-hmac-sha256";

/// Work that one hash may cost, in rounds, so that a request cannot hold a worker for minutes.
const MAX_ROUNDS: u32 = 5_000_000;
/// Bcrypt counts in powers of two; 16 takes seconds.
const MAX_BCRYPT_COST: u32 = 16;

/// A hashed password as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hashed {
    /// The scheme's name; free text for schemes that are not FusionAuth's.
    pub scheme: Box<str>,
    /// Rounds, or bcrypt's cost; 0 where the scheme has none.
    pub factor: u32,
    /// Base64 of the salt (bcrypt and phpass: the salt's own characters); may be empty.
    pub salt: Box<str>,
    /// Base64 of the hash (bcrypt: its own alphabet, 31 characters).
    pub hash: Box<str>,
}

/// Why plain text could not be hashed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PasswordError {
    /// No built-in scheme of that name; answered with 400.
    #[error("no password encryptor is installed for the scheme [{0}]")]
    UnknownScheme(String),
    /// The factor is out of what the scheme, or this emulator, can do; answered with 400.
    #[error("the factor [{0}] is out of range for the scheme")]
    Factor(i64),
    /// The operating system gave no random bytes.
    #[error("no random bytes for a salt")]
    Random,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Md5,
    Sha256,
    HmacSha256,
    Pbkdf2Sha256,
    Pbkdf2Sha256Key512,
    Pbkdf2Sha512Key512,
    Bcrypt,
    PhpassMd5,
    PhpassSha512,
}

impl Scheme {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "salted-md5" => Self::Md5,
            "salted-sha256" => Self::Sha256,
            "salted-hmac-sha256" => Self::HmacSha256,
            "salted-pbkdf2-hmac-sha256" => Self::Pbkdf2Sha256,
            "salted-pbkdf2-hmac-sha256-512" => Self::Pbkdf2Sha256Key512,
            "salted-pbkdf2-hmac-sha512-512" => Self::Pbkdf2Sha512Key512,
            "bcrypt" => Self::Bcrypt,
            "phpass-md5" => Self::PhpassMd5,
            "phpass-sha512" => Self::PhpassSha512,
            _ => return None,
        })
    }

    /// Default factors; 24,000 and 10 are FusionAuth's, the others are inferred.
    fn default_factor(self) -> u32 {
        match self {
            Self::Md5 | Self::Sha256 => 20_000,
            Self::HmacSha256 => 1,
            Self::Pbkdf2Sha256 | Self::Pbkdf2Sha256Key512 | Self::Pbkdf2Sha512Key512 => 24_000,
            Self::Bcrypt => 10,
            Self::PhpassMd5 | Self::PhpassSha512 => 2_048,
        }
    }

    fn takes(self, factor: u32) -> bool {
        match self {
            Self::Bcrypt => (4..=MAX_BCRYPT_COST).contains(&factor),
            _ => (1..=MAX_ROUNDS).contains(&factor),
        }
    }
}

/// Hashes plain text under a fresh random salt. `factor` of none or 0 takes the scheme's default.
pub fn hash(plain: &str, scheme: Option<&str>, factor: Option<i64>) -> Result<Hashed, PasswordError> {
    let name = scheme.unwrap_or(DEFAULT_SCHEME);
    let kind = Scheme::named(name).ok_or_else(|| PasswordError::UnknownScheme(name.to_owned()))?;
    let factor = checked_factor(kind, factor)?;
    let random = SystemRandom::new();
    let mut bytes = [0_u8; 32];
    random.fill(&mut bytes).map_err(|_| PasswordError::Random)?;
    let salt = match kind {
        Scheme::Bcrypt => {
            let mut salt = [0_u8; 16];
            salt.copy_from_slice(&bytes[..16]);
            return Ok(hash_bcrypt(plain, name, factor, salt));
        }
        Scheme::PhpassMd5 | Scheme::PhpassSha512 => STANDARD_NO_PAD.encode(&bytes[..6]),
        _ => STANDARD.encode(bytes),
    };
    let hash = digest_of(kind, plain, &salt, factor).unwrap_or_default();
    Ok(Hashed { scheme: name.into(), factor, salt: salt.into(), hash: hash.into() })
}

/// Takes a value that was hashed elsewhere, as import does. Nothing is computed; unknown schemes are kept.
pub fn pre_hashed(
    scheme: &str,
    factor: Option<i64>,
    salt: &str,
    hash: &str,
) -> Result<Hashed, PasswordError> {
    let factor = match (factor, Scheme::named(scheme)) {
        (None | Some(0), Some(kind)) => kind.default_factor(),
        (None, None) => 0,
        (Some(value), _) => u32::try_from(value).map_err(|_| PasswordError::Factor(value))?,
    };
    Ok(Hashed { scheme: scheme.into(), factor, salt: salt.into(), hash: hash.into() })
}

impl Hashed {
    /// Whether `plain` is this password. A factor beyond this emulator's means matches nothing.
    pub fn matches(&self, plain: &str) -> bool {
        let Some(kind) = Scheme::named(&self.scheme) else { return false };
        if kind == Scheme::Bcrypt {
            // As imported: 22 characters of salt and 31 of hash, or the whole modular-crypt string as the hash.
            let whole = if self.hash.starts_with('$') {
                self.hash.to_string()
            } else {
                format!("$2a${:02}${}{}", self.factor, self.salt, self.hash)
            };
            return kind.takes(self.factor) && bcrypt::verify(plain, &whole).unwrap_or(false);
        }
        kind.takes(self.factor)
            && digest_of(kind, plain, &self.salt, self.factor).is_some_and(|found| same(&found, &self.hash))
    }
}

/// Equality up to base64 padding.
fn same(left: &str, right: &str) -> bool {
    left.trim_end_matches('=') == right.trim_end_matches('=')
}

fn checked_factor(kind: Scheme, factor: Option<i64>) -> Result<u32, PasswordError> {
    let Some(value) = factor.filter(|value| *value != 0) else { return Ok(kind.default_factor()) };
    match u32::try_from(value) {
        Ok(factor) if kind.takes(factor) => Ok(factor),
        _ => Err(PasswordError::Factor(value)),
    }
}

fn hash_bcrypt(plain: &str, name: &str, factor: u32, salt: [u8; 16]) -> Hashed {
    let (salt, hash) = match bcrypt::hash_with_salt(plain, factor, salt) {
        Ok(parts) => {
            let text = parts.format_for_version(bcrypt::Version::TwoA);
            let tail = text.rsplit('$').next().unwrap_or_default();
            let (salt, hash) = tail.split_at_checked(22).unwrap_or_default();
            (salt.to_owned(), hash.to_owned())
        }
        // The cost was checked before and nothing else can fail; an empty hash matches no password.
        Err(_) => (String::new(), String::new()),
    };
    Hashed { scheme: name.into(), factor, salt: salt.into(), hash: hash.into() }
}

/// The base64 hash of every scheme but bcrypt; none when the salt is not base64.
fn digest_of(kind: Scheme, plain: &str, salt: &str, factor: u32) -> Option<String> {
    let decoded = || STANDARD.decode(salt).or_else(|_| STANDARD_NO_PAD.decode(salt)).ok();
    let rounds = NonZeroU32::new(factor)?;
    Some(match kind {
        Scheme::Md5 => {
            let mut state = [plain.as_bytes(), &decoded()?].concat();
            for _ in 0..factor {
                state = Md5::digest(&state).to_vec();
            }
            STANDARD.encode(state)
        }
        Scheme::Sha256 => {
            let mut state = [plain.as_bytes(), &decoded()?].concat();
            for _ in 0..factor {
                state = digest::digest(&digest::SHA256, &state).as_ref().to_vec();
            }
            STANDARD.encode(state)
        }
        Scheme::HmacSha256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &decoded()?);
            STANDARD.encode(hmac::sign(&key, plain.as_bytes()).as_ref())
        }
        Scheme::Pbkdf2Sha256 => pbkdf2_of(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &decoded()?, plain, 32),
        Scheme::Pbkdf2Sha256Key512 => pbkdf2_of(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &decoded()?, plain, 64),
        Scheme::Pbkdf2Sha512Key512 => pbkdf2_of(pbkdf2::PBKDF2_HMAC_SHA512, rounds, &decoded()?, plain, 64),
        Scheme::PhpassMd5 => {
            let mut state = Md5::digest([salt.as_bytes(), plain.as_bytes()].concat()).to_vec();
            for _ in 0..factor {
                state = Md5::digest([state.as_slice(), plain.as_bytes()].concat()).to_vec();
            }
            phpass_base64(&state)
        }
        Scheme::PhpassSha512 => {
            let sha = |input: &[u8]| digest::digest(&digest::SHA512, input).as_ref().to_vec();
            let mut state = sha(&[salt.as_bytes(), plain.as_bytes()].concat());
            for _ in 0..factor {
                state = sha(&[state.as_slice(), plain.as_bytes()].concat());
            }
            phpass_base64(&state).chars().take(43).collect()
        }
        Scheme::Bcrypt => return None,
    })
}

fn pbkdf2_of(
    algorithm: pbkdf2::Algorithm,
    rounds: NonZeroU32,
    salt: &[u8],
    plain: &str,
    length: usize,
) -> String {
    let mut out = vec![0_u8; length];
    pbkdf2::derive(algorithm, rounds, salt, plain.as_bytes(), &mut out);
    STANDARD.encode(out)
}

/// phpass' own base64: little-endian groups of three bytes over `./0-9A-Za-z`.
fn phpass_base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + 2);
    for group in bytes.chunks(3) {
        let value = group.iter().rev().fold(0_u32, |value, byte| (value << 8) | u32::from(*byte));
        for place in 0..=group.len() {
            let digit = (value >> (6 * place)) & 0x3f;
            out.push(char::from(ALPHABET[digit as usize]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_hashes_and_checks() {
        for scheme in [
            "salted-md5",
            "salted-sha256",
            "salted-hmac-sha256",
            "salted-pbkdf2-hmac-sha256",
            "salted-pbkdf2-hmac-sha256-512",
            "salted-pbkdf2-hmac-sha512-512",
            "bcrypt",
            "phpass-md5",
            "phpass-sha512",
        ] {
            let hashed = hash("Setec Astronomy", Some(scheme), Some(5)).unwrap();
            assert_eq!((&*hashed.scheme, hashed.factor), (scheme, 5));
            assert!(hashed.matches("Setec Astronomy"), "{scheme}");
            assert!(!hashed.matches("too many secrets"), "{scheme}");
            let again = hash("Setec Astronomy", Some(scheme), Some(5)).unwrap();
            assert_ne!(hashed.hash, again.hash, "{scheme} salts");
        }
    }

    #[test]
    fn published_hashes_are_accepted() {
        // crypt_blowfish's test vector "U*U", cut into salt and hash as import wants it.
        let bcrypt =
            pre_hashed("bcrypt", Some(5), "CCCCCCCCCCCCCCCCCCCCC.", "E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")
                .unwrap();
        assert!(bcrypt.matches("U*U"));
        // PBKDF2-HMAC-SHA-256 of "passwd" under "salt": one round, 64 bytes.
        let long = "VawEblbjCJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLxJypzM8Xm2RZkWZLOdd+8xfHG4RbHjC9UJESBB06GXgw==";
        let salt = STANDARD.encode("salt");
        assert!(pre_hashed("salted-pbkdf2-hmac-sha256-512", Some(1), &salt, long).unwrap().matches("passwd"));
        // phpass' own test vector: $P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0 is "test12345" with 2^11 rounds.
        let phpass = pre_hashed("phpass-md5", Some(2048), "IQRaTwmf", "eRo7ud9Fh4E2PdI0S3r.L0").unwrap();
        assert!(phpass.matches("test12345"));
        // md5("password"), unsalted, one round, base64.
        let md5 = pre_hashed("salted-md5", Some(1), "", "X03MO1qnZdYdgyfeuILPmQ==").unwrap();
        assert!(md5.matches("password"));
    }

    #[test]
    fn unknown_schemes_are_stored_but_never_match_or_hash() {
        let custom = pre_hashed("example-custom", Some(7), "", "abc").unwrap();
        assert!(!custom.matches("abc"));
        assert_eq!(
            hash("x", Some("example-custom"), None),
            Err(PasswordError::UnknownScheme("example-custom".into()))
        );
        assert_eq!(hash("x", Some("bcrypt"), Some(99)), Err(PasswordError::Factor(99)));
        assert_eq!(hash("x", None, None).unwrap().factor, 24_000);
    }
}
