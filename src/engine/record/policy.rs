//! Whether a record that was read is this run's to write: the same rules wherever it is kept.

use serde_json::Value;

use crate::model::{Address, Fields};

use super::{Acquire, Foreign, Holder, Loaded, RECORD_VERSION, RecordContext, RecordError, Trust};

/// This run, for whoever finds the lock taken.
pub(super) fn holder(context: &RecordContext) -> Holder {
    Holder {
        runner: context.runner.id.clone(),
        host: context.runner.host.clone(),
        started_at: jiff::Timestamp::now().as_millisecond(),
        expires_at: None,
    }
}

/// A version is read before anything else: a newer one may differ in all the rest.
pub(super) fn check_version(fields: &Fields) -> Result<(), RecordError> {
    match fields.get("version").and_then(Value::as_u64) {
        Some(RECORD_VERSION) => Ok(()),
        Some(found) if found > RECORD_VERSION => Err(RecordError::NewerVersion { found }),
        _ => Err(RecordError::Damaged { what: "it has no version".to_owned() }),
    }
}

/// The record's writer, when it is not this run's runner and URL.
pub(super) fn foreign(context: &RecordContext, runner: &str, url: &str) -> Option<Foreign> {
    let ours = runner == context.runner.id && url == context.url;
    (!ours).then(|| Foreign { runner: runner.to_owned(), url: url.to_owned() })
}

/// What `adopt` may set aside.
#[derive(Clone, Copy, Debug)]
pub struct Rebuild {
    /// This run has a runner key.
    pub has_key: bool,
    /// `--take-over`: a record that none of this run's keys verifies as well, for its key may be lost.
    pub take_over: bool,
}

/// A record, or a part of one, that `adopt` sets aside.
#[derive(Clone, Debug)]
pub struct Discarded {
    pub why: RecordError,
    /// What it spoke of, as far as it could be read. Nobody vouches for it.
    pub addresses: Vec<Address>,
}

impl Rebuild {
    /// Why a record of this trust is set aside.
    pub(super) fn discards(self, trust: Trust) -> Option<RecordError> {
        match trust {
            // Whoever may write groups could have written it.
            Trust::Unsigned if self.has_key => Some(RecordError::NotSigned),
            Trust::Unverified(key_id) if self.has_key && self.take_over => {
                Some(RecordError::NotVerified { key_id })
            }
            Trust::Absent | Trust::Verified | Trust::Unsigned | Trust::Unverified(_) => None,
        }
    }
}

/// What `adopt` starts from, where a record was read: nothing, where it cannot be used or not be trusted.
///
/// # Errors
/// What not even `adopt` goes over.
pub(super) fn rebuilt(
    loaded: Result<Loaded, RecordError>,
    how: Rebuild,
) -> Result<(Loaded, Option<Discarded>), RecordError> {
    match loaded {
        Err(why) if why.can_be_rebuilt() => {
            Ok((Loaded::default(), Some(Discarded { why, addresses: Vec::new() })))
        }
        Ok(loaded) => Ok(match how.discards(loaded.trust) {
            Some(why) => {
                let addresses = loaded.entries.iter().map(|entry| entry.address.clone()).collect();
                let Loaded { foreign, holder, .. } = loaded;
                let empty = Loaded { foreign, holder, ..Loaded::default() };
                (empty, Some(Discarded { why, addresses }))
            }
            None => (loaded, None),
        }),
        Err(error) => Err(error),
    }
}

/// # Errors
/// The record is another runner's, or its seal does not let this run write it.
pub(super) fn may_write(loaded: &Loaded, how: &Acquire, context: &RecordContext) -> Result<(), RecordError> {
    let rebuild = Rebuild { has_key: context.keys.is_some(), take_over: how.take_over };
    match loaded.trust {
        trust if how.rebuild && rebuild.discards(trust).is_some() => {}
        Trust::Unverified(key_id) => return Err(RecordError::NotVerified { key_id }),
        Trust::Unsigned if context.keys.is_some() => return Err(RecordError::NotSigned),
        Trust::Absent | Trust::Verified | Trust::Unsigned => {}
    }
    match &loaded.foreign {
        Some(foreign) if !how.take_over => Err(RecordError::Foreign(foreign.clone())),
        _ => Ok(()),
    }
}
