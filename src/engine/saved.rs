//! Saved plans: `plan --out FILE` writes what was shown, `apply FILE` applies exactly that.
//!
//! Under a runner key the file is signed, and then one that is not signed, altered or cut off is refused. Without
//! a key nothing can be authenticated, which [`Authenticity`] says. Secrets stand in it as their sources, and as
//! keyed fingerprints by which a moved one is found.

use std::path::Path;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{Address, Fields};
use crate::reconcile::{Call, Change, Plan, SCHEMA_VERSION, SecretComparison, SecretFingerprint, SecretSlot};

use super::keys::{KeyId, Mac, Purpose, RunnerKeys, SecretOf, Verification};
use super::private_file;
use super::record::canonical;
use super::secrets::SecretValues;

const FORMAT: &str = "fusionkeep-plan";
const SIGNATURE: &str = "signature";

/// Why a saved plan cannot be written, read or trusted. No message quotes what stands in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SavedPlanError {
    #[error("{path}: {error}")]
    File { path: String, error: String },
    #[error("the plan is cut off")]
    CutOff,
    #[error("this is no saved plan: {0}")]
    NotAPlan(&'static str),
    #[error("the plan has schema version {found}; this fusionkeep reads version {SCHEMA_VERSION}")]
    SchemaVersion { found: u64 },
    #[error("the plan is not signed, and this run has a runner key")]
    NotSigned,
    #[error("the plan is signed with the key {key_id}, which this run does not have")]
    OtherKey { key_id: KeyId },
    #[error("the plan was altered after it was signed")]
    Altered,
    #[error("the plan has fields that this fusionkeep does not write, or lacks some that it does")]
    OtherFields,
    #[error("{address}: the call {number} of the plan does not fit its route")]
    CallOffRoute { address: Address, number: usize },
}

impl SavedPlanError {
    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            SavedPlanError::File { .. } => "check the path and its permissions",
            SavedPlanError::OtherKey { .. } => {
                "give the runner key under which it was planned, as FUSIONKEEP_KEY"
            }
            SavedPlanError::NotSigned => "make the plan with the runner key that applies it",
            _ => "make a new plan with `fusionkeep plan --out FILE`",
        }
    }

    /// Whether this is a refusal (exit status 3) rather than a failure to read or write.
    pub fn is_refusal(&self) -> bool {
        !matches!(self, SavedPlanError::File { .. })
    }
}

/// Whether it is known who made the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authenticity {
    /// One of this runner's keys signed it.
    Signed,
    /// This run has no key: it could be anybody's.
    NotAuthenticated,
}

/// A secret as it was when the plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedSecret {
    pub address: Address,
    /// Which of the change's calls sends it, from 0, and where.
    pub call: usize,
    pub pointer: String,
    pub fingerprint: SecretFingerprint,
}

/// A plan that was read.
#[derive(Clone, Debug)]
pub struct SavedPlan {
    pub plan: Plan,
    /// Only of secrets that the planning run could read, under a runner key.
    pub secrets: Vec<PlannedSecret>,
    pub authenticity: Authenticity,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    format: String,
    schema_version: u64,
    plan: Plan,
    secrets: Vec<PlannedSecret>,
}

/// The fingerprints of the secrets that a plan sends, as far as their values are at hand.
pub fn planned_secrets(plan: &Plan, values: &SecretValues, keys: Option<&RunnerKeys>) -> Vec<PlannedSecret> {
    let Some(keys) = keys else { return Vec::new() };
    let planned = slots(plan).filter_map(|(change, call, slot)| {
        let value = values.get(&change.address.namespace, &slot.source)?;
        Some(PlannedSecret {
            address: change.address.clone(),
            call,
            pointer: slot.pointer.clone(),
            fingerprint: keys.fingerprint(secret_of(change, slot), value.expose_secret().as_bytes())?,
        })
    });
    planned.collect()
}

fn slots(plan: &Plan) -> impl Iterator<Item = (&Change, usize, &SecretSlot)> {
    plan.changes.iter().flat_map(|change| {
        let calls = change.calls.iter().enumerate();
        calls.flat_map(move |(number, call)| call.secrets.iter().map(move |slot| (change, number, slot)))
    })
}

fn secret_of<'a>(change: &'a Change, slot: &'a SecretSlot) -> SecretOf<'a> {
    SecretOf { kind: change.kind(), key: &change.key, field: &slot.pointer }
}

impl SavedPlan {
    /// Objects of which a secret's value is another than when the plan was made, with the field's name.
    pub fn moved_secrets(&self, values: &SecretValues, keys: Option<&RunnerKeys>) -> Vec<(Address, String)> {
        let Some(keys) = keys else { return Vec::new() };
        let moved = slots(&self.plan).filter(|(change, call, slot)| {
            let planned = self.secrets.iter().find(|planned| {
                planned.address == change.address && planned.call == *call && planned.pointer == slot.pointer
            });
            let value = values.get(&change.address.namespace, &slot.source);
            planned.zip(value).is_some_and(|(planned, value)| {
                let value = value.expose_secret().as_bytes();
                keys.compare(&planned.fingerprint, secret_of(change, slot), value)
                    == SecretComparison::Changed
            })
        });
        moved
            .map(|(change, _, slot)| {
                let field = slot.pointer.rsplit('/').next().unwrap_or_default();
                (change.address.clone(), field.to_owned())
            })
            .collect()
    }
}

/// Writes a plan: mode 0600, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write(
    path: &Path,
    plan: &Plan,
    secrets: Vec<PlannedSecret>,
    keys: Option<&RunnerKeys>,
) -> Result<(), SavedPlanError> {
    let failed = |error: String| SavedPlanError::File { path: path.display().to_string(), error };
    let envelope = Envelope {
        format: FORMAT.to_owned(),
        schema_version: u64::from(SCHEMA_VERSION),
        plan: plan.clone(),
        secrets,
    };
    let mut file = serde_json::to_value(&envelope).map_err(|error| failed(error.to_string()))?;
    let mac = keys.and_then(|keys| keys.sign(Purpose::Plan, canonical(&file).as_bytes()));
    if let (Some(fields), Some(mac)) = (file.as_object_mut(), mac) {
        fields.insert(SIGNATURE.to_owned(), Value::String(mac.to_string()));
    }
    let mut bytes = serde_json::to_vec_pretty(&file).map_err(|error| failed(error.to_string()))?;
    bytes.push(b'\n');
    private_file::write(path, &bytes).map_err(|error| failed(error.to_string()))
}

/// Reads a plan and judges its signature.
///
/// # Errors
/// It cannot be read, is no plan of this version, or is not what a runner with these keys wrote.
pub fn read(path: &Path, keys: Option<&RunnerKeys>) -> Result<SavedPlan, SavedPlanError> {
    let bytes = std::fs::read(path).map_err(|error| SavedPlanError::File {
        path: path.display().to_string(),
        error: error.to_string(),
    })?;
    parse(&bytes, keys)
}

/// As [`read`], from bytes.
///
/// # Errors
/// As [`read`].
pub fn parse(bytes: &[u8], keys: Option<&RunnerKeys>) -> Result<SavedPlan, SavedPlanError> {
    let mut fields: Fields = match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return Err(SavedPlanError::NotAPlan("it is no JSON object")),
        Err(error) if error.is_eof() => return Err(SavedPlanError::CutOff),
        Err(_) => return Err(SavedPlanError::NotAPlan("it is no JSON")),
    };
    if fields.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err(SavedPlanError::NotAPlan("it does not say that it is one"));
    }
    check_version(fields.get("schemaVersion"))?;
    let signature = fields.remove(SIGNATURE);
    let signed = Value::Object(fields);
    let authenticity = judge(signature.as_ref(), &signed, keys)?;
    // serde's message can quote values, so it is not passed on.
    let envelope: Envelope =
        serde_json::from_value(signed.clone()).map_err(|_| SavedPlanError::OtherFields)?;
    check_version(Some(&Value::from(envelope.plan.schema_version)))?;
    // What is not read would neither be shown nor be applied: a plan is read in full or not at all.
    if serde_json::to_value(&envelope).ok() != Some(signed) {
        return Err(SavedPlanError::OtherFields);
    }
    check_calls(&envelope.plan)?;
    Ok(SavedPlan { plan: envelope.plan, secrets: envelope.secrets, authenticity })
}

fn check_version(version: Option<&Value>) -> Result<(), SavedPlanError> {
    match version.and_then(Value::as_u64) {
        Some(found) if found == u64::from(SCHEMA_VERSION) => Ok(()),
        Some(found) => Err(SavedPlanError::SchemaVersion { found }),
        None => Err(SavedPlanError::NotAPlan("it has no schema version")),
    }
}

fn judge(
    signature: Option<&Value>,
    signed: &Value,
    keys: Option<&RunnerKeys>,
) -> Result<Authenticity, SavedPlanError> {
    let Some(keys) = keys else { return Ok(Authenticity::NotAuthenticated) };
    let mac = signature.ok_or(SavedPlanError::NotSigned)?.as_str().ok_or(SavedPlanError::Altered)?;
    let mac: Mac = mac.parse().map_err(|_| SavedPlanError::Altered)?;
    match keys.verify(Purpose::Plan, canonical(signed).as_bytes(), &mac) {
        Verification::Right => Ok(Authenticity::Signed),
        Verification::Wrong => Err(SavedPlanError::Altered),
        Verification::UnknownKey => Err(SavedPlanError::OtherKey { key_id: mac.key_id }),
    }
}

/// A call goes where its route says, and nowhere that nobody was shown.
fn check_calls(plan: &Plan) -> Result<(), SavedPlanError> {
    for change in &plan.changes {
        for (number, call) in change.calls.iter().enumerate() {
            if !fits_route(call) {
                return Err(SavedPlanError::CallOffRoute {
                    address: change.address.clone(),
                    number: number + 1,
                });
            }
        }
    }
    Ok(())
}

fn fits_route(call: &Call) -> bool {
    let (route, path): (Vec<&str>, Vec<&str>) =
        (call.route.split('/').collect(), call.path.split('/').collect());
    let fits = |(template, segment): (&&str, &&str)| match template.starts_with('{') {
        true => !matches!(*segment, "" | "." | "..") && !segment.contains(['?', '#', '\\']),
        false => template == segment,
    };
    call.route.starts_with("/api/") && route.len() == path.len() && route.iter().zip(&path).all(fits)
}
