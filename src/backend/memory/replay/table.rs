//! One shard's entries, in buckets by the time that they may be forgotten. Pure: times are
//! arguments, in microseconds since 1970.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
};

use super::keys::{KeySet, Tag, Tags};
use crate::nonce::ClaimOutcome;

/// An entry that is fresh for this many widths or more goes to a bucket of twice the width, and so
/// on by powers of two: however far off times are, there are few buckets, and none is held for
/// more than an eighth of its entries' lives after them.
const FINE_WIDTHS: i64 = 16;

/// Claims from one sweep of a segment to the next, where no bucket begins in between. What a flood
/// took is given back within a few times as many claims as it had.
const CLAIMS_PER_SWEEP: u32 = 64;

/// A nonce to be entered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Keyed digest of application and nonce.
    pub(super) key: u128,
    /// Keyed digest of the application.
    pub(super) app: u128,
    /// Last microsecond at which the nonce is fresh.
    pub(super) fresh_until: i64,
}

/// What a table holds at most, and how finely it forgets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Entries in all.
    pub(super) capacity: usize,
    /// Entries of one application.
    pub(super) share: usize,
    /// Microseconds that the finest bucket spans; positive.
    pub(super) width: i64,
}

/// What an entry found no room in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    Table,
    Share,
}

#[derive(Debug)]
pub(super) struct Table {
    limits: Limits,
    keys: KeySet,
    /// Those of the buckets.
    tags: Tags,
    /// In the order of `last`, no two with the same.
    buckets: VecDeque<Bucket>,
    apps: HashMap<u128, usize, PassThrough>,
    live: usize,
    /// No entry that was fresh after this has been forgotten.
    forgotten_until: i64,
    claims_until_sweep: u32,
    /// Segments to be swept before the next bucket is made: one with each claim.
    sweeps_owed: usize,
}

/// Entries that are forgotten together, when `last` has passed: what is left of them in `keys` is
/// found no more, and leaves when there is need of its place.
#[derive(Debug)]
struct Bucket {
    last: i64,
    tag: Tag,
    entries: usize,
    apps: HashMap<u128, usize, PassThrough>,
}

impl Table {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            keys: KeySet::new(limits.capacity),
            tags: Tags::new(),
            buckets: VecDeque::new(),
            apps: HashMap::default(),
            live: 0,
            forgotten_until: i64::MIN,
            claims_until_sweep: CLAIMS_PER_SWEEP,
            sweeps_owed: 0,
        }
    }

    pub(super) fn live(&self) -> usize {
        self.live
    }

    pub(super) fn capacity(&self) -> usize {
        self.limits.capacity
    }

    /// Enters what is not there, after forgetting what has passed.
    pub(super) fn claim(&mut self, entry: Entry, now: i64) -> Result<ClaimOutcome, NoRoom> {
        self.forget(now);
        if self.keys.contains(entry.key, &self.tags) {
            return Ok(ClaimOutcome::Replayed);
        }
        // Something forgotten may have been fresh at the nonce's end, or still be fresh now, if
        // the clock has stepped back.
        if entry.fresh_until.min(now) <= self.forgotten_until {
            return Ok(ClaimOutcome::Unknowable);
        }
        if self.live >= self.limits.capacity {
            return Err(NoRoom::Table);
        }
        let held = self.apps.get(&entry.app).copied().unwrap_or_default();
        if held >= self.limits.share {
            return Err(NoRoom::Share);
        }
        let tag = self.enter_in_bucket(entry, now).ok_or(NoRoom::Table)?;
        self.keys.insert(entry.key, tag, &self.tags);
        self.live += 1;
        *self.apps.entry(entry.app).or_default() += 1;
        self.claims_until_sweep -= 1;
        if self.claims_until_sweep == 0 || self.sweeps_owed > 0 {
            self.sweep();
        }
        Ok(ClaimOutcome::Claimed)
    }

    fn sweep(&mut self) {
        self.keys.sweep(&self.tags);
        self.claims_until_sweep = CLAIMS_PER_SWEEP;
        self.sweeps_owed = self.sweeps_owed.saturating_sub(1);
    }

    /// Drops the buckets that have passed: the cost is one step for each bucket and each
    /// application in it, whatever number of entries there are.
    ///
    /// They are kept for one width after they have passed, so that a claim whose time was read
    /// just before another's, or a clock that is set back a little, meets nothing forgotten.
    fn forget(&mut self, now: i64) {
        let passed = now.saturating_sub(self.limits.width);
        while let Some(bucket) = self.buckets.pop_front_if(|bucket| bucket.last < passed) {
            self.forgotten_until = self.forgotten_until.max(bucket.last);
            self.live -= bucket.entries;
            self.tags.free(bucket.tag);
            self.keys.note_death();
            for (app, count) in bucket.apps {
                let held = self.apps.entry(app).or_default();
                *held -= count;
                if *held == 0 {
                    self.apps.remove(&app);
                }
            }
        }
    }

    /// The end of the bucket for an entry: never before the entry's own end.
    fn last_of_bucket(&self, fresh_until: i64, now: i64) -> i64 {
        let life = fresh_until.saturating_sub(now);
        let mut width = self.limits.width;
        while life / FINE_WIDTHS >= width {
            width = width.saturating_mul(2);
        }
        fresh_until
            .div_euclid(width)
            .saturating_mul(width)
            .saturating_add(width - 1)
    }

    /// Counts an entry in its bucket, and tells that bucket's tag; `None` if a new one is needed and
    /// no tag is left: 128 buckets come from a clock that leaps, or from a window that was set far
    /// too short.
    fn enter_in_bucket(&mut self, entry: Entry, now: i64) -> Option<Tag> {
        let last = self.last_of_bucket(entry.fresh_until, now);
        let at = self.buckets.partition_point(|bucket| bucket.last < last);
        if self
            .buckets
            .get(at)
            .is_none_or(|bucket| bucket.last != last)
        {
            let tag = self.tags.take()?;
            // Few are left where claims are many.
            while self.sweeps_owed > 0 {
                self.sweep();
            }
            self.sweeps_owed = self.keys.sweeps_for_each_tag();
            let bucket = Bucket {
                last,
                tag,
                entries: 0,
                apps: HashMap::default(),
            };
            self.buckets.insert(at, bucket);
        }
        let bucket = &mut self.buckets[at];
        bucket.entries += 1;
        *bucket.apps.entry(entry.app).or_default() += 1;
        Some(bucket.tag)
    }
}

/// Keys are keyed digests already: hashing them again would add nothing.
#[derive(Clone, Copy, Debug, Default)]
struct LowBits(u64);

type PassThrough = BuildHasherDefault<LowBits>;

impl Hasher for LowBits {
    fn finish(&self) -> u64 {
        self.0
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low bits are what is wanted"
    )]
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }

    /// Never called for a `u128`; right, if slow, for anything else.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_what_has_been_forgotten() {
        let mut table = Table::new(Limits {
            capacity: 100,
            share: 100,
            width: 10,
        });
        for number in 0..100 {
            let entry = Entry {
                key: number << 64 | number,
                app: number,
                fresh_until: 50,
            };
            assert_eq!(table.claim(entry, 0), Ok(ClaimOutcome::Claimed));
        }
        table.forget(1_000);
        assert_eq!(table.live(), 0);
        assert!(table.apps.is_empty() && table.buckets.is_empty());
    }
}
