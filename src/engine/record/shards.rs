//! Entries cut into shards: which object falls where, and how large a shard may become.

use std::collections::BTreeSet;

use crate::engine::keys::key_text;
use crate::model::Fields;
use crate::reconcile::{Entry, Key};

use super::document::{Derivation, Document};
use super::{RecordError, seal};

/// The most bytes of a shard's JSON.
pub(super) const LARGEST_SHARD: usize = 512 * 1024;
/// What a shard is planned to hold when the record is cut anew: room to grow.
const PLANNED_SHARD: usize = 320 * 1024;
const MOST_SHARDS: usize = 4096;
/// How many entries are measured before a record is cut.
const SAMPLE: usize = 500;

/// The place of a live object among `count` shards. Of a link only what is unique counts, not its user, so that
/// two owners who claim one look in the same place.
pub(super) fn place(key: &Key, count: usize) -> usize {
    let digest = ring::digest::digest(&ring::digest::SHA256, key_text(key).as_bytes());
    let head = digest.as_ref().iter().take(8).fold(0_u64, |head, byte| head << 8 | u64::from(*byte));
    (head % count.max(1) as u64) as usize
}

/// A shard that is to be written; none where no entry falls.
pub(super) struct Cut {
    pub place: usize,
    pub content: Option<Content>,
}

/// A shard's JSON, as text until it is sent: as a tree of values it takes five times the memory.
pub(super) struct Content {
    text: String,
    pub checksum: String,
}

impl Content {
    pub fn new(document: &Document) -> Result<Self, RecordError> {
        let text = seal::canonical_fields(&document.to_fields()?);
        Ok(Content { checksum: seal::checksum(&text), text })
    }

    /// As what is sent.
    ///
    /// # Errors
    /// None that can occur: the text was written from fields.
    pub fn fields(&self) -> Result<Fields, RecordError> {
        serde_json::from_str(&self.text)
            .map_err(|_| RecordError::Damaged { what: "a shard of it is no JSON".to_owned() })
    }

    fn size(&self) -> usize {
        self.text.len()
    }
}

/// The checksum of a shard as it was read.
pub(super) fn checksum(fields: &Fields) -> String {
    seal::checksum(&seal::canonical_fields(fields))
}

/// The shards that must be written because the entries of `dirty` changed: those, or all of them when one has
/// become too large. Returns the number of shards and the cuts.
pub(super) fn cut(
    entries: &[&Entry],
    dirty: &BTreeSet<&Key>,
    count: usize,
    derivation: &Derivation,
) -> Result<(usize, Vec<Cut>), RecordError> {
    if count > 0 {
        let places: BTreeSet<usize> = dirty.iter().map(|key| place(key, count)).collect();
        let cuts = cut_places(entries, &places, count, derivation)?;
        if fits(&cuts) {
            return Ok((count, cuts));
        }
    }
    let mut count = likely_size(entries, derivation)?.div_ceil(PLANNED_SHARD).max(1);
    loop {
        let cuts = cut_places(entries, &(0..count).collect(), count, derivation)?;
        if fits(&cuts) {
            return Ok((count, cuts));
        }
        if count >= MOST_SHARDS {
            return Err(RecordError::TooLarge { limit: LARGEST_SHARD });
        }
        count *= 2;
    }
}

/// What the entries take in bytes, judged by some of them, spread over all: as one document they would take as much memory
/// as all shards.
fn likely_size(entries: &[&Entry], derivation: &Derivation) -> Result<usize, RecordError> {
    let step = entries.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<&Entry> = entries.iter().step_by(step).copied().collect();
    let size = Content::new(&Document::encode(sample.iter().copied(), derivation))?.size();
    Ok((size * entries.len()).div_ceil(sample.len().max(1)))
}

fn fits(cuts: &[Cut]) -> bool {
    cuts.iter().filter_map(|cut| cut.content.as_ref()).all(|content| content.size() <= LARGEST_SHARD)
}

fn cut_places(
    entries: &[&Entry],
    places: &BTreeSet<usize>,
    count: usize,
    derivation: &Derivation,
) -> Result<Vec<Cut>, RecordError> {
    let mut filled: Vec<Vec<&Entry>> = vec![Vec::new(); count];
    for entry in entries {
        let place = place(&entry.key, count);
        if places.contains(&place)
            && let Some(shard) = filled.get_mut(place)
        {
            shard.push(entry);
        }
    }
    let mut cuts = Vec::with_capacity(places.len());
    for (place, entries) in filled.into_iter().enumerate().filter(|(place, _)| places.contains(place)) {
        let content = match entries.is_empty() {
            true => None,
            false => Some(Content::new(&Document::encode(entries, derivation))?),
        };
        cuts.push(Cut { place, content });
    }
    Ok(cuts)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::model::{Address, Deletion, Kind, Owner};

    fn entries(count: usize, longest_name: usize) -> Vec<Entry> {
        let written = Arc::new(["email".to_owned(), "firstName".to_owned()].into());
        let entry = |number: usize| {
            let address = Address::new(Kind::User, "default", &format!("{number:0>longest_name$}"));
            let key = Key::Id(Uuid::new_v5(&Uuid::nil(), &number.to_be_bytes()));
            Entry { written: Arc::clone(&written), ..Entry::new(address, key, Deletion::Deactivate) }
        };
        (0..count).map(entry).collect()
    }

    fn derivation() -> Derivation {
        let owner: Owner = "acme".parse().unwrap();
        Derivation { owner, tenant_id: Uuid::nil() }
    }

    #[test]
    fn twelve_thousand_objects_need_few_shards_of_bounded_size() {
        let all = entries(12_000, 40);
        let all: Vec<&Entry> = all.iter().collect();
        let (count, cuts) = cut(&all, &BTreeSet::new(), 0, &derivation()).unwrap();
        // A plan reads one search and the shards of two chains: 12 requests at most.
        assert!(count <= 8, "{count}");
        assert!(cuts.len() == count && fits(&cuts));
        let sizes: Vec<usize> =
            cuts.iter().filter_map(|cut| cut.content.as_ref()).map(Content::size).collect();
        assert!(sizes.iter().sum::<usize>() / all.len() < 200, "{sizes:?}");
    }

    #[test]
    fn a_hundred_thousand_objects_are_read_in_a_few_dozen_requests() {
        let all = entries(100_000, 20);
        let all: Vec<&Entry> = all.iter().collect();
        let (count, cuts) = cut(&all, &BTreeSet::new(), 0, &derivation()).unwrap();
        assert!(count <= 36 && fits(&cuts), "{count}");
    }

    #[test]
    fn only_what_changed_is_cut_until_it_does_not_fit() {
        let few = entries(1000, 10);
        let few: Vec<&Entry> = few.iter().collect();
        let dirty: BTreeSet<&Key> = [&few[0].key, &few[1].key].into();
        let places: BTreeSet<usize> = dirty.iter().map(|key| place(key, 64)).collect();
        let (count, cuts) = cut(&few, &dirty, 64, &derivation()).unwrap();
        assert_eq!((count, cuts.len()), (64, places.len()));
        let many = entries(12_000, 40);
        let many: Vec<&Entry> = many.iter().collect();
        let (count, cuts) = cut(&many, &dirty, 1, &derivation()).unwrap();
        assert!(count > 1 && cuts.len() == count && fits(&cuts));
    }
}
