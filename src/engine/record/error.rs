//! Why the record could not be read or written, each with the next step. No message quotes what stood in it.

use uuid::Uuid;

use crate::engine::keys::KeyId;
use crate::fusionauth;
use crate::model::{Address, Owner};

use super::{Foreign, Holder, RECORD_VERSION};

/// A record that cannot be read, or is not this run's to write.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RecordError {
    #[error("the record is lost: there is none, but {}", stand(*.objects))]
    Lost { objects: u64 },
    #[error("the record is damaged: {what}")]
    Damaged { what: String },
    #[error("the group {id} of the record was given another name; it is \"{name}\"")]
    Renamed { id: Uuid, name: String },
    #[error("the record's seal does not fit what it holds: it was edited by somebody without the runner key")]
    WrongSeal,
    #[error("the record has version {found}; this fusionkeep knows {RECORD_VERSION}")]
    NewerVersion { found: u64 },
    #[error("the record is signed with the key {key_id}, which this run does not have")]
    NotVerified { key_id: KeyId },
    #[error("the record is not signed, and this run has a runner key")]
    NotSigned,
    #[error("the record was last written by {0}")]
    Foreign(Foreign),
    #[error("the record at {place} is of owner \"{found}\"")]
    OtherOwner { place: String, found: String },
    #[error("the record at {place} is of tenant {found}")]
    OtherTenant { place: String, found: Uuid },
    #[error("another run is at work: {0}")]
    Locked(Holder),
    #[error(
        "the record cannot be read and was changed not long ago: a run could be at work for {seconds} s more"
    )]
    MayBeHeld { seconds: u64 },
    #[error("the lock is lost: {0}")]
    LockLost(String),
    #[error("the server's clock is not known (its answers carry no Date), so that no lock can be judged")]
    NoServerClock,
    #[error("the record of owner \"{owner}\" cannot be read, so that it is not known what it claims: {why}")]
    OtherOwnerUnreadable { owner: Owner, why: String },
    #[error("{first} and {second} of the record are one live object")]
    OneObjectTwice { first: Address, second: Address },
    #[error("an object's entry does not fit into a shard of {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the record of these kinds is not held by this run")]
    NotHeld,
    #[error("the groups of the record stand in the default tenant, which the key may not see")]
    NoDefaultTenant,
    #[error("the record could not be {what}: {error}")]
    Api { what: &'static str, error: fusionauth::Error },
    #[error("{path}: {error}")]
    File { path: String, error: String },
}

fn stand(objects: u64) -> String {
    match objects {
        1 => "1 live object stands under an id that only this owner derives".to_owned(),
        _ => format!("{objects} live objects stand under ids that only this owner derives"),
    }
}

impl RecordError {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            RecordError::Lost { .. } => "`fusionkeep adopt` rebuilds the record from the manifests",
            RecordError::Damaged { .. } | RecordError::WrongSeal => {
                "`fusionkeep adopt` rebuilds the record from the manifests; what is not declared is let go"
            }
            RecordError::Renamed { .. } => {
                "give it this name again, and the record is as it was; or delete the group, and `fusionkeep adopt`"
            }
            RecordError::NewerVersion { .. } => "use the fusionkeep that wrote it, or a newer one",
            RecordError::NotVerified { .. } => {
                "give the key that signed it as FUSIONKEEP_KEY (of several the first signs and all verify); if it \
                 is lost, `fusionkeep adopt --take-over` with a new key rebuilds the record from the manifests"
            }
            RecordError::NotSigned => "`fusionkeep adopt` takes it over and signs it",
            RecordError::Foreign(_) => "--take-over goes on, if that runner is no longer at work",
            RecordError::OtherOwner { .. } | RecordError::OtherTenant { .. } => {
                "give each owner and tenant a record file of its own"
            }
            RecordError::Locked(_) => {
                "--lock-timeout waits for it; `fusionkeep unlock` ends the lock of a run that is dead"
            }
            RecordError::MayBeHeld { seconds } => {
                return Some(format!("--lock-timeout {seconds}s waits until none can be"));
            }
            RecordError::LockLost(_) => "another run has taken over; plan again",
            RecordError::NoServerClock => "let the proxy pass the Date header, or use --record FILE",
            RecordError::OtherOwnerUnreadable { .. } => {
                "use the fusionkeep version that the other owner uses"
            }
            RecordError::OneObjectTwice { .. } => "remove one of the two declarations",
            RecordError::Api { error, .. } if error.is_unauthorized() => {
                "the record needs GET, POST, PUT and DELETE on /api/group and POST on /api/group/search; \
                 --record FILE keeps it in a file instead"
            }
            RecordError::Api { error, .. } if error.is_not_found() => {
                "the record is kept in groups (/api/group), which this server does not take; --record FILE keeps it in \
                 a file instead"
            }
            RecordError::Api { error, .. } => return error.hint(),
            RecordError::TooLarge { .. } => "declare fewer fields on it, or put them under one key of data",
            RecordError::NotHeld => "this is a fault of fusionkeep; please report it",
            RecordError::NoDefaultTenant => {
                "lambdas and entity types need a key that is not locked to a tenant, with GET on /api/application; \
                 --record FILE keeps the record in a file instead"
            }
            RecordError::File { .. } => "check that the path can be written, or give another with --record",
        };
        Some(hint.to_owned())
    }

    /// Whether `adopt` can make a new record instead.
    pub fn can_be_rebuilt(&self) -> bool {
        matches!(self, RecordError::Lost { .. } | RecordError::Damaged { .. } | RecordError::WrongSeal)
    }

    /// Whether this is a refusal (exit status 3) rather than a failure.
    pub fn is_refusal(&self) -> bool {
        !matches!(
            self,
            RecordError::Api { .. }
                | RecordError::File { .. }
                | RecordError::LockLost(_)
                | RecordError::NotHeld
        )
    }

    /// FusionAuth's own error, if it was one.
    pub fn api_error(&self) -> Option<&fusionauth::Error> {
        match self {
            RecordError::Api { error, .. } => Some(error),
            _ => None,
        }
    }
}
