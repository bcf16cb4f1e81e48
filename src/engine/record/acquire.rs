//! Taking a chain: the newest generation is succeeded by one of our own, and the primary key decides among those
//! who try.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::engine::lock::{Lease, Mark, TIME_TO_LIVE};

use super::chain::{Chain, Contents, Generation, LoadError, Survey, writing};
use super::header::{Header, LockState};
use super::held::HeldChain;
use super::store::{Created, Group};
use super::{Acquire, Holder, Loaded, RECORD_VERSION, Rebuild, RecordError, Revision, Scopes, Trust, policy};

/// How long a runner that waits for the lock sleeps between two looks.
const POLL: Duration = Duration::from_secs(2);
/// How often a runner that lost the race for a generation tries the next one at once.
const RACES: usize = 20;

/// What stands where a runner wants to begin.
struct Base {
    /// The newest generation's number; zero when there is none.
    number: u64,
    /// None: there is no record, or under `rebuild` none that can be used.
    generation: Option<Generation>,
    /// It was left by a run that did not end, or cannot be read: shards that nobody lists may be there.
    litter: bool,
}

impl Chain {
    /// Takes the lock, reads the record under it, removes what was superseded. Waiting began at `since`.
    pub async fn acquire(
        &self,
        how: &Acquire,
        since: Mark,
    ) -> Result<(Arc<HeldChain>, Contents), RecordError> {
        let mut races = 0;
        loop {
            let survey = self.survey().await?;
            let base = match self.base(&survey, how)? {
                Ok(base) => base,
                Err(why) => {
                    let left = how.wait.saturating_sub(self.runtime.now().since(since));
                    if left.is_zero() || how.stop.is_cancelled() {
                        return Err(why);
                    }
                    tokio::select! {
                        () = self.runtime.sleep(POLL.min(left)) => {}
                        () = how.stop.cancelled() => {}
                    }
                    continue;
                }
            };
            if let Some((held, survey)) = self.succeed(&base).await? {
                return self.enter(Arc::new(held), &survey, base, how).await;
            }
            races += 1;
            if races >= RACES {
                return Err(RecordError::Damaged {
                    what: format!("generation {} can neither be read nor made", base.number + 1),
                });
            }
        }
    }

    /// What may be succeeded now, or why it has to be waited for.
    fn base(&self, survey: &Survey, how: &Acquire) -> Result<Result<Base, RecordError>, RecordError> {
        let Some((number, group)) = survey.newest() else {
            return Ok(Ok(Base { number: 0, generation: None, litter: false }));
        };
        let generation = match self.newest(survey) {
            Ok(generation) => generation,
            Err(RecordError::Damaged { .. } | RecordError::WrongSeal) if how.rebuild => None,
            Err(error) => return Err(error),
        };
        let Some(generation) = generation else {
            return match self.held_for_at_most(group)? {
                0 => Ok(Ok(Base { number, generation: None, litter: true })),
                seconds => Ok(Err(RecordError::MayBeHeld { seconds })),
            };
        };
        let header = &generation.header;
        let held = header.state == LockState::Held;
        if held {
            let now = self.locks.server_now().ok_or(RecordError::NoServerClock)?;
            if !header.is_over(generation.last_update, now, self.grace()) {
                return Ok(Err(RecordError::Locked(header.holder.clone())));
            }
        }
        let judged = Loaded {
            trust: generation.trust,
            foreign: policy::foreign(&self.context, &header.holder.runner, &header.url),
            ..Loaded::default()
        };
        policy::may_write(&judged, how, &self.context)?;
        let rebuild = Rebuild { has_key: self.context.keys.is_some(), take_over: how.take_over };
        if how.rebuild && rebuild.discards(generation.trust).is_some() {
            return Ok(Ok(Base { number, generation: None, litter: true }));
        }
        let litter = held || header.litter;
        Ok(Ok(Base { number, generation: Some(generation), litter }))
    }

    /// For how many seconds more somebody could hold a generation that cannot be read. Nobody can for longer: its
    /// holder would write it anew with the next renewal. And nobody does where it says that the run let go: whoever
    /// edits a record can take it away as well.
    fn held_for_at_most(&self, group: &Group) -> Result<u64, RecordError> {
        if group.data.get("state").and_then(Value::as_str) == Some("released") {
            return Ok(0);
        }
        let now = self.locks.server_now().ok_or(RecordError::NoServerClock)?;
        let quiet = now.saturating_sub(group.last_update).max(0).unsigned_abs();
        let left = (self.grace().as_millis() as u64 + 1).saturating_sub(quiet);
        Ok(left.div_ceil(1000))
    }

    /// How long after its last renewal a generation may be succeeded though it is held: its lease, and as long
    /// as a request that was begun under it can still be on its way.
    pub fn grace(&self) -> Duration {
        TIME_TO_LIVE + self.locks.longest_request()
    }

    /// A header for the generation after `base`, held by a run of this chain's.
    fn header_after(&self, base: &Base, run: Uuid) -> Header {
        let listed = base.generation.as_ref().map(|generation| generation.header.clone());
        let mut holder = policy::holder(&self.context);
        holder.expires_at = Some(holder.started_at + TIME_TO_LIVE.as_millis() as i64);
        Header {
            version: RECORD_VERSION,
            owner: self.naming.owner.clone(),
            generation: base.number + 1,
            state: LockState::Held,
            run,
            renewal: 0,
            holder,
            succeeded_after: self.grace().as_millis() as u64,
            url: self.context.url.clone(),
            litter: base.litter,
            revision: listed.as_ref().map_or(0, |header| header.revision),
            entries: listed.as_ref().map_or(0, |header| header.entries),
            taken_from: listed.as_ref().map(|header| header.taken_from.clone()).unwrap_or_default(),
            shards: listed.map(|header| header.shards).unwrap_or_default(),
        }
    }

    /// Creates the next generation. None: somebody else did, or it had been made and removed before.
    async fn succeed(&self, base: &Base) -> Result<Option<(HeldChain, Survey)>, RecordError> {
        let header = self.header_after(base, Uuid::new_v4());
        let sent = self.runtime.now();
        if !self.create_generation(&header).await? {
            return Ok(None);
        }
        // A generation that was superseded and removed long ago can be made once more by a runner that was
        // frozen since. A newer one stands then: this one is nobody's.
        let survey = self.survey().await?;
        if survey.newest().map(|(number, _)| number) != Some(header.generation) {
            self.locks.delete(self.naming.header_id(header.generation)).await.map_err(writing)?;
            return Ok(None);
        }
        let older = survey.own.iter().filter(|(number, _)| **number < header.generation);
        let older = older.map(|(_, group)| group.id).collect();
        let lease = Arc::new(Lease::new(self.runtime.clone(), sent));
        Ok(Some((HeldChain::new(self.clone(), lease, header, older), survey)))
    }

    /// Creates a header's group. False: its generation is somebody else's. An answer that was lost is found by
    /// the run that the header names.
    pub async fn create_generation(&self, header: &Header) -> Result<bool, RecordError> {
        let (id, name) =
            (self.naming.header_id(header.generation), self.naming.header_name(header.generation));
        let fields = header.to_fields(&self.naming.place(header.generation), self.context.keys.as_deref())?;
        let created = self.locks.create(id, &name, fields.clone()).await;
        if matches!(created, Ok(Created::Created)) {
            return Ok(true);
        }
        match self.locks.get(id).await {
            // No search by name finds it, and no run can go past it.
            Ok(Some(group)) if group.name != name => Err(RecordError::Renamed { id, name }),
            Ok(Some(group)) => Ok(group.data == fields),
            // It was refused, and it is not there any more: somebody had it and is further by now.
            Ok(None) if created.is_ok() => Ok(false),
            Ok(None) | Err(_) => match created {
                Ok(_) => Ok(false),
                Err(error) => Err(writing(error)),
            },
        }
    }

    /// Reads the record that is now ours alone. What cannot be used lets the lock go again.
    async fn enter(
        &self,
        held: Arc<HeldChain>,
        survey: &Survey,
        base: Base,
        how: &Acquire,
    ) -> Result<(Arc<HeldChain>, Contents), RecordError> {
        let contents = match &base.generation {
            None => Ok(Contents::default()),
            Some(generation) => self.contents_under_lock(survey, generation).await,
        };
        if held.lease.remaining().is_zero() {
            // Whatever was read is another run's by now, and what was not found was removed by it.
            return Err(RecordError::LockLost("reading the record took longer than a lease".to_owned()));
        }
        match contents {
            Ok(contents) => {
                held.remove_superseded().await;
                Ok((held, contents))
            }
            Err(RecordError::Damaged { .. } | RecordError::WrongSeal) if how.rebuild => {
                held.start_anew().await?;
                Ok((held, Contents::default()))
            }
            Err(error) => {
                held.release_after(&error).await;
                Err(error)
            }
        }
    }

    async fn contents_under_lock(
        &self,
        survey: &Survey,
        generation: &Generation,
    ) -> Result<Contents, RecordError> {
        match self.load(&self.naming, &generation.header).await {
            Ok(entries) => self.contents(survey, generation, entries).await,
            Err(LoadError::Gone) => {
                Err(RecordError::Damaged { what: "a group that its header lists is missing".to_owned() })
            }
            Err(LoadError::Record(error)) => Err(error),
        }
    }

    /// Ends whoever's lock: a released generation stands after theirs, which their next renewal finds.
    pub async fn unlock(&self) -> Result<Option<Holder>, RecordError> {
        for _ in 0..RACES {
            let survey = self.survey().await?;
            let Some(generation) = self.newest(&survey)? else { return Ok(None) };
            if generation.header.state == LockState::Released {
                return Ok(None);
            }
            if let Trust::Unverified(key_id) = generation.trust {
                return Err(RecordError::NotVerified { key_id });
            }
            let header = Header {
                generation: generation.number + 1,
                state: LockState::Released,
                run: Uuid::new_v4(),
                litter: true,
                ..generation.header.clone()
            };
            if self.create_generation(&header).await? {
                for group in survey.own.into_values() {
                    self.locks.delete(group.id).await.map_err(writing)?;
                }
                return Ok(Some(generation.header.holder));
            }
        }
        Err(RecordError::LockLost("other runs keep taking it".to_owned()))
    }
}

impl Contents {
    /// The chains of a run as one record.
    pub fn merge(tenant: Contents, global: Contents) -> Loaded {
        let absent = Scopes { tenant: tenant.trust.is_none(), global: global.trust.is_none() };
        let rank = |trust: &Trust| match trust {
            Trust::Absent => 0,
            Trust::Verified => 1,
            Trust::Unsigned => 2,
            Trust::Unverified(_) => 3,
        };
        let trusts = [tenant.trust, global.trust];
        Loaded {
            trust: trusts.into_iter().flatten().max_by_key(rank).unwrap_or(Trust::Absent),
            entries: tenant.entries.into_iter().chain(global.entries).collect(),
            foreign: tenant.foreign.or(global.foreign),
            holder: tenant.holder.or(global.holder),
            taken: tenant.taken.into_iter().chain(global.taken).collect(),
            revision: Revision { tenant: tenant.revision, global: global.revision },
            absent,
            left_behind: Scopes { tenant: tenant.left_behind, global: global.left_behind },
        }
    }
}

/// When a request was sent that took so long that its answer renews nothing.
pub(super) fn in_time(sent: Mark, now: Mark, longest: Duration) -> bool {
    now.since(sent) <= longest
}
