//! The runner key: what fingerprints of secrets, the record's seal and the signature of plans come from.
//!
//! Keys are text or bytes that only runners know. They never leave this module: there is no way to print,
//! serialise or read one back, and their memory is zeroised. What leaves are key ids and MACs, neither of which
//! says anything about a key or about a value that was put in.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{hkdf, hmac};
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::Kind;
use crate::reconcile::{Key, Recipient, SecretComparison, SecretFingerprint};

/// The fewest bytes of a key.
pub const SHORTEST_KEY: usize = 32;
/// How one makes a key.
pub const MAKE_A_KEY: &str = "make one with `openssl rand -hex 32` and give it as FUSIONKEEP_KEY";

/// HKDF's salt. It must never change: fingerprints, seals and signatures would all be another key's.
const SALT: &[u8] = b"fusionkeep.dev runner key v1";

/// Text that holds no usable key. It never says what the text was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseKeyError {
    #[error("the runner key is empty")]
    Empty,
    #[error(
        "runner key {place} is shorter than {SHORTEST_KEY} bytes (keys are separated by blanks, commas or lines)"
    )]
    TooShort {
        /// Which one, from 1.
        place: usize,
    },
    #[error("runner key {place} is the same as an earlier one")]
    Twice {
        /// Which one, from 1.
        place: usize,
    },
}

impl ParseKeyError {
    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            ParseKeyError::Empty | ParseKeyError::TooShort { .. } => MAKE_A_KEY,
            ParseKeyError::Twice { .. } => "list each key once: the first signs, all verify",
        }
    }
}

/// A key's public name: 16 hexadecimal digits that are derived from it and say nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Text that is no key id, fingerprint or MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key id, fingerprint or MAC")]
pub struct ParseMacError;

impl FromStr for KeyId {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = lower.then(|| u64::from_str_radix(text, 16)).and_then(Result::ok);
        number.map(|number| KeyId(number.to_be_bytes())).ok_or(ParseMacError)
    }
}

impl TryFrom<String> for KeyId {
    type Error = ParseMacError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> String {
        id.to_string()
    }
}

/// What a MAC is for. Each purpose has a key of its own, so that none can stand for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Fingerprints of write-only secrets.
    Fingerprint,
    /// The record's header and shards.
    Record,
    /// Saved plans.
    Plan,
    /// Journals, by which a run is undone.
    Journal,
}

impl Purpose {
    fn info(self) -> &'static [u8] {
        match self {
            Purpose::Fingerprint => b"secret fingerprint",
            Purpose::Record => b"record",
            Purpose::Plan => b"plan",
            Purpose::Journal => b"journal",
        }
    }
}

/// A MAC and the key that made it; as text `keyId.mac`, the MAC in URL-safe base64.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac {
    pub key_id: KeyId,
    bytes: Vec<u8>,
}

/// A MAC in the making.
pub struct MacContext {
    key_id: KeyId,
    context: hmac::Context,
}

impl MacContext {
    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    pub fn sign(self) -> Mac {
        Mac { key_id: self.key_id, bytes: self.context.sign().as_ref().to_vec() }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.key_id, URL_SAFE_NO_PAD.encode(&self.bytes))
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Mac {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key_id, mac) = text.split_once('.').ok_or(ParseMacError)?;
        let bytes = URL_SAFE_NO_PAD.decode(mac).map_err(|_| ParseMacError)?;
        if bytes.len() != MAC_BYTES {
            return Err(ParseMacError);
        }
        Ok(Mac { key_id: key_id.parse()?, bytes })
    }
}

impl TryFrom<String> for Mac {
    type Error = ParseMacError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}

const MAC_BYTES: usize = 32;
/// Fingerprints are cut to 128 bits, so that an object costs few bytes in the record.
const FINGERPRINT_BYTES: usize = 16;

/// How a MAC stands to the keys at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    Right,
    Wrong,
    /// Made with a key that is not here.
    UnknownKey,
}

/// Whose secret a fingerprint speaks of. Two users with one password have different fingerprints.
#[derive(Clone, Copy, Debug)]
pub struct SecretOf<'a> {
    pub kind: Kind,
    /// The live object.
    pub key: &'a Key,
    /// The field's wire name, `password`.
    pub field: &'a str,
}

struct RunnerKey {
    id: KeyId,
    material: SecretSlice<u8>,
}

/// The runner's keys: the first signs, all verify.
pub struct RunnerKeys(Vec<RunnerKey>);

impl fmt::Debug for RunnerKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<KeyId> = self.0.iter().map(|key| key.id).collect();
        write!(formatter, "RunnerKeys({ids:?})")
    }
}

impl RunnerKeys {
    /// Reads keys from the bytes of `FUSIONKEEP_KEY` or of its file.
    ///
    /// Text is taken as it is written, not decoded: the digits of `openssl rand -hex 32`, base64 and any other
    /// text of 32 bytes or more are keys alike, and blanks, commas or line ends separate several of them. Bytes
    /// that are not UTF-8 are one key as a whole.
    ///
    /// # Errors
    /// No key, one that is too short, or one that stands twice.
    pub fn parse(bytes: &SecretSlice<u8>) -> Result<Self, ParseKeyError> {
        let bytes = bytes.expose_secret();
        let parts: Vec<&[u8]> = match std::str::from_utf8(bytes) {
            Ok(text) => text
                .split(|character: char| character.is_whitespace() || character == ',')
                .filter(|part| !part.is_empty())
                .map(str::as_bytes)
                .collect(),
            Err(_) => vec![bytes],
        };
        let mut keys: Vec<RunnerKey> = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            if part.len() < SHORTEST_KEY {
                return Err(ParseKeyError::TooShort { place: index + 1 });
            }
            let key = RunnerKey { id: key_id(part), material: SecretSlice::from(part.to_vec()) };
            if keys.iter().any(|other| other.id == key.id) {
                return Err(ParseKeyError::Twice { place: index + 1 });
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(ParseKeyError::Empty) } else { Ok(RunnerKeys(keys)) }
    }

    /// The key that signs.
    pub fn signing_id(&self) -> Option<KeyId> {
        self.0.first().map(|key| key.id)
    }

    /// The ids of all keys, the signing one first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.0.iter().map(|key| key.id)
    }

    /// A MAC over `message` by the first key. None only when there is no key, which `parse` excludes.
    pub fn sign(&self, purpose: Purpose, message: &[u8]) -> Option<Mac> {
        let key = self.0.first()?;
        let tag = hmac::sign(&derive(&key.material, purpose)?, message);
        Some(Mac { key_id: key.id, bytes: tag.as_ref().to_vec() })
    }

    /// The same for a message that comes in pieces.
    pub fn mac_context(&self, purpose: Purpose) -> Option<MacContext> {
        let key = self.0.first()?;
        let context = hmac::Context::with_key(&derive(&key.material, purpose)?);
        Some(MacContext { key_id: key.id, context })
    }

    /// Whether a MAC is right, by whichever key made it.
    pub fn verify(&self, purpose: Purpose, message: &[u8], mac: &Mac) -> Verification {
        let Some(key) = self.0.iter().find(|key| key.id == mac.key_id) else {
            return Verification::UnknownKey;
        };
        match derive(&key.material, purpose).map(|key| hmac::verify(&key, message, &mac.bytes)) {
            Some(Ok(())) => Verification::Right,
            Some(Err(_)) | None => Verification::Wrong,
        }
    }

    /// The fingerprint of a secret by the first key: what the record and a saved plan hold of it.
    pub fn fingerprint(&self, of: SecretOf<'_>, value: &[u8]) -> Option<SecretFingerprint> {
        let key = self.0.first()?;
        Some(SecretFingerprint { key_id: key.id.to_string(), digest: digest(key, of, value)? })
    }

    /// Whether a secret is the one of a fingerprint: `Equal`, `Changed`, or `OtherKey` when the fingerprint was
    /// made with a key that is not here and so says nothing, least of all "changed".
    pub fn compare(&self, recorded: &SecretFingerprint, of: SecretOf<'_>, value: &[u8]) -> SecretComparison {
        let key = self.0.iter().find(|key| key.id.to_string() == recorded.key_id);
        match key.and_then(|key| digest(key, of, value)) {
            Some(digest) if digest == recorded.digest => SecretComparison::Equal,
            Some(_) => SecretComparison::Changed,
            None => SecretComparison::OtherKey,
        }
    }
}

fn digest(key: &RunnerKey, of: SecretOf<'_>, value: &[u8]) -> Option<String> {
    let mut context = hmac::Context::with_key(&derive(&key.material, Purpose::Fingerprint)?);
    let (key_id, object) = (key.id.to_string(), key_text(of.key));
    // Each part with its length before it, so that no two contexts run into each other.
    let parts: [&[u8]; 5] =
        [key_id.as_bytes(), of.kind.as_str().as_bytes(), object.as_bytes(), of.field.as_bytes(), value];
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    Some(URL_SAFE_NO_PAD.encode(context.sign().as_ref().get(..FINGERPRINT_BYTES)?))
}

/// A key as text, for hashing: of a link without its user, since (provider, its user id) is unique in a tenant
/// whoever holds it (wire notes §7).
pub(crate) fn key_text(key: &Key) -> String {
    let parts = |name: &str, parts: [&str; 3]| serde_json::json!([name, parts]).to_string();
    match key {
        Key::Id(id) => id.to_string(),
        Key::Grant { entity, recipient } => {
            let (role, id): (&str, Uuid) = match recipient {
                Recipient::User(id) => ("user", *id),
                Recipient::Entity(id) => ("entity", *id),
            };
            parts("grant", [&entity.to_string(), role, &id.to_string()])
        }
        Key::Link { identity_provider, identity_provider_user_id, .. } => {
            parts("link", [&identity_provider.to_string(), identity_provider_user_id, ""])
        }
    }
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(material: &[u8], info: &[u8]) -> Option<[u8; N]> {
    let key = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(material);
    let mut output = [0; N];
    key.expand(&[info], Length(N)).ok()?.fill(&mut output).ok()?;
    Some(output)
}

/// Derived anew for each use, so that nothing but `material` lives on, and that is zeroised.
fn derive(material: &SecretSlice<u8>, purpose: Purpose) -> Option<hmac::Key> {
    let mut bytes = expand::<32>(material.expose_secret(), purpose.info())?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
    zeroize::Zeroize::zeroize(&mut bytes);
    Some(key)
}

fn key_id(material: &[u8]) -> KeyId {
    // HKDF fails only beyond 255 hash lengths of output (RFC 5869 §2.3), which 8 bytes are not.
    KeyId(expand::<8>(material, b"key id").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> RunnerKeys {
        RunnerKeys::parse(&SecretSlice::from(text.as_bytes().to_vec())).unwrap()
    }

    const OLD: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const NEW: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";

    fn error(bytes: &[u8]) -> ParseKeyError {
        RunnerKeys::parse(&SecretSlice::from(bytes.to_vec())).unwrap_err()
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        assert_eq!(keys(&format!("{NEW}\n{OLD}\n")).ids().count(), 2);
        assert_eq!(keys(&format!(" {NEW} , {OLD}")).signing_id(), keys(NEW).signing_id());
        let raw: Vec<u8> = (0..32).map(|byte| 0xff - byte).collect();
        assert_eq!(RunnerKeys::parse(&SecretSlice::from(raw)).unwrap().ids().count(), 1);
        assert_eq!(error(b" \n"), ParseKeyError::Empty);
        assert_eq!(error(b"short"), ParseKeyError::TooShort { place: 1 });
        assert_eq!(error(&[0xff; 31]), ParseKeyError::TooShort { place: 1 });
        assert_eq!(error(format!("{OLD}\n{OLD}").as_bytes()), ParseKeyError::Twice { place: 2 });
    }

    /// Frozen (computed by RFC 5869 and RFC 2104 outside this crate): a change here would make every record
    /// "signed by another key".
    #[test]
    fn derivation_is_frozen() {
        let keys = keys(OLD);
        assert_eq!(keys.signing_id().unwrap().to_string(), "eb3c42fff5f710c9");
        let of = SecretOf { kind: Kind::User, key: &Key::Id(Uuid::nil()), field: "password" };
        assert_eq!(keys.fingerprint(of, b"hunter2").unwrap().digest, "zVS-Ci0BCnJXustybUzlwQ");
    }

    #[test]
    fn the_first_signs_and_all_verify() {
        let (old, both, new) = (keys(OLD), keys(&format!("{NEW} {OLD}")), keys(NEW));
        let mac = old.sign(Purpose::Record, b"text").unwrap();
        assert_eq!(both.verify(Purpose::Record, b"text", &mac), Verification::Right);
        assert_eq!(both.verify(Purpose::Record, b"Text", &mac), Verification::Wrong);
        assert_eq!(both.verify(Purpose::Plan, b"text", &mac), Verification::Wrong, "purposes do not mix");
        assert_eq!(new.verify(Purpose::Record, b"text", &mac), Verification::UnknownKey);
        assert_eq!(both.sign(Purpose::Record, b"text"), new.sign(Purpose::Record, b"text"));
        assert_eq!(mac.to_string().parse::<Mac>().unwrap(), mac);
    }

    #[test]
    fn fingerprints_tell_objects_apart() {
        let keys = keys(OLD);
        let (one, two) = (Key::Id(Uuid::from_u128(1)), Key::Id(Uuid::from_u128(2)));
        let of = |key| SecretOf { kind: Kind::User, key, field: "password" };
        let first = keys.fingerprint(of(&one), b"same").unwrap();
        assert_ne!(first, keys.fingerprint(of(&two), b"same").unwrap(), "equal passwords do not look equal");
        assert_eq!(keys.compare(&first, of(&one), b"same"), SecretComparison::Equal);
        assert_eq!(keys.compare(&first, of(&one), b"other"), SecretComparison::Changed);
        let new = super::tests::keys(NEW);
        assert_eq!(new.compare(&first, of(&one), b"same"), SecretComparison::OtherKey);
    }

    #[test]
    fn nothing_prints_a_key() {
        let shown = format!("{:?}", keys(OLD));
        assert!(!shown.contains("0123456789abcdef0123"), "{shown}");
    }
}
