//! Whether a record that was read is this run's to write: the same rules wherever it is kept.

use serde_json::Value;

use crate::model::Fields;

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

/// What `adopt` starts from, where a record was read: nothing, where it cannot be used or not be trusted. An
/// unsigned one cannot be by a run that has a key, for whoever may write groups could have written it.
///
/// # Errors
/// What not even `adopt` goes over.
pub fn rebuilt(loaded: Result<Loaded, RecordError>, has_key: bool) -> Result<Loaded, RecordError> {
    match loaded {
        Err(RecordError::Damaged { .. } | RecordError::WrongSeal) => Ok(Loaded::default()),
        Ok(Loaded { trust: Trust::Unsigned, foreign, holder, .. }) if has_key => {
            Ok(Loaded { foreign, holder, ..Loaded::default() })
        }
        other => other,
    }
}

/// # Errors
/// The record is another runner's, or its seal does not let this run write it.
pub(super) fn may_write(loaded: &Loaded, how: &Acquire, context: &RecordContext) -> Result<(), RecordError> {
    match loaded.trust {
        Trust::Unverified(key_id) => return Err(RecordError::NotVerified { key_id }),
        Trust::Unsigned if context.keys.is_some() && !how.rebuild => return Err(RecordError::NotSigned),
        Trust::Absent | Trust::Verified | Trust::Unsigned => {}
    }
    match &loaded.foreign {
        Some(foreign) if !how.take_over => Err(RecordError::Foreign(foreign.clone())),
        _ => Ok(()),
    }
}
