//! A set of keys, each with a tag, in 10 to 16 bytes an entry where segments are well filled: open
//! addressing in many small segments.
//!
//! ```text
//! key     = segment : 32 . the caller's : 32 . rest : 64            ; high bits first
//! line    = 7 rests, 7 tags, a count: 64 bytes
//! segment = as many lines as it needs
//! ```
//!
//! 1. An entry is looked for from the line that its rest names, on to the first line that has an
//!    empty place. Nearly always that is one line of the processor's cache.
//! 2. Two keys are taken for one if they agree in the rest and the segment. A segment has 512
//!    entries at most, so that chance does it to one new key in 3 x 10^16.
//! 3. Nothing is ever removed by itself. Entries whose tag has died are left out when their segment
//!    is built anew, which happens when it is full, and to one segment after another while
//!    [`KeySet::sweep`] is called.
//! 4. A segment grows by half, and is small: no claim pays for more than several hundred entries,
//!    whatever number there is.

use std::collections::VecDeque;

/// Names what an entry lives and dies with.
pub(super) type Tag = u8;

/// Entries of a line.
const LINE: usize = 7;
/// Entries for each segment at the set's full capacity.
const SEGMENT: usize = 512;
/// Most segments of a set. One of more than 33 million keys has larger segments.
const MAX_SEGMENTS: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct KeySet {
    segments: Box<[Segment]>,
    /// The segment that is swept next.
    next: usize,
    /// Counts the tags that have died.
    deaths: u32,
}

#[derive(Debug, Default)]
struct Segment {
    lines: Box<[Line]>,
    used: u32,
    /// The count of deaths when the segment was built or looked through: no entry in it had died.
    clean_at: u32,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Line {
    rests: [u64; LINE],
    tags: [Tag; LINE],
    /// How many places are taken: the first ones.
    used: u8,
}

impl KeySet {
    /// A set for about `capacity` keys. It takes room for them as they come.
    pub(super) fn new(capacity: usize) -> Self {
        let segments = capacity.div_ceil(SEGMENT).clamp(1, MAX_SEGMENTS);
        Self {
            segments: (0..segments).map(|_| Segment::default()).collect(),
            next: 0,
            deaths: 0,
        }
    }

    /// Takes note that a tag has died: its entries are to be swept.
    pub(super) fn note_death(&mut self) {
        self.deaths = self.deaths.wrapping_add(1);
    }

    /// Whether `key` is there with a tag that is alive.
    pub(super) fn contains(&self, key: u128, tags: &Tags) -> bool {
        self.segments[self.segment_of(key)].contains(rest_of(key), tags)
    }

    /// Enters `key`, which is not there with a tag that is alive.
    pub(super) fn insert(&mut self, key: u128, tag: Tag, tags: &Tags) {
        let segment = self.segment_of(key);
        let segment = &mut self.segments[segment];
        if segment.is_full() {
            segment.rebuild(1, self.deaths, tags);
        }
        segment.insert(rest_of(key), tag);
    }

    /// Rids the next segment of entries that have died, and of the room that they took.
    pub(super) fn sweep(&mut self, tags: &Tags) {
        let count = self.segments.len();
        let segment = &mut self.segments[self.next];
        self.next = (self.next + 1) % count;
        if segment.clean_at == self.deaths {
            return;
        }
        if segment.entries().all(|(_, tag)| tags.is_alive(tag)) {
            segment.clean_at = self.deaths;
        } else {
            segment.rebuild(0, self.deaths, tags);
        }
    }

    /// How many segments have to be swept for each tag that is taken, so that all of them have been
    /// before a tag that was freed is taken again.
    pub(super) fn sweeps_for_each_tag(&self) -> usize {
        self.segments.len().div_ceil(TAGS - MAX_ALIVE)
    }

    fn segment_of(&self, key: u128) -> usize {
        scale(key >> 96, self.segments.len())
    }
}

impl Segment {
    /// Whether seven of eight places are taken: there always is an empty one.
    fn is_full(&self) -> bool {
        self.used as usize >= self.lines.len() * LINE * 7 / 8
    }

    fn entries(&self) -> impl Iterator<Item = (u64, Tag)> {
        self.lines.iter().flat_map(Line::entries)
    }

    /// The lines in the order in which `rest` is looked for: their numbers.
    #[inline]
    fn probe(&self, rest: u64) -> impl Iterator<Item = usize> + use<> {
        let home = scale(u128::from(rest >> 32), self.lines.len());
        (home..self.lines.len()).chain(0..home)
    }

    fn contains(&self, rest: u64, tags: &Tags) -> bool {
        for line in self.probe(rest) {
            let line = &self.lines[line];
            // Without an early exit: where the first empty place is, no processor can predict.
            let same = line.rests.iter().map(|r| u8::from(*r == rest));
            let seems_there = same.fold(0, |any, one| any | one) != 0;
            if seems_there
                && line
                    .entries()
                    .any(|(r, tag)| r == rest && tags.is_alive(tag))
            {
                return true;
            }
            if usize::from(line.used) < LINE {
                return false;
            }
        }
        false
    }

    fn insert(&mut self, rest: u64, tag: Tag) {
        for line in self.probe(rest) {
            let line = &mut self.lines[line];
            let place = usize::from(line.used);
            if place < LINE {
                line.rests[place] = rest;
                line.tags[place] = tag;
                line.used += 1;
                self.used += 1;
                return;
            }
        }
        // To go on would be to accept the key twice.
        unreachable!("a segment that is not full has no place");
    }

    /// Builds the segment anew with what is alive and room for `more`, such that half as many as
    /// there are can be entered until it is full again: building costs each of them a few steps.
    fn rebuild(&mut self, more: usize, deaths: u32, tags: &Tags) {
        let alive = self
            .entries()
            .filter(|(_, tag)| tags.is_alive(*tag))
            .count();
        let mut next = Self {
            clean_at: deaths,
            ..Self::default()
        };
        if alive + more > 0 {
            let lines = ((alive + more) * 7 / 4).div_ceil(LINE);
            next.lines = vec![Line::default(); lines].into();
        }
        for (rest, tag) in self.entries() {
            if tags.is_alive(tag) {
                next.insert(rest, tag);
            }
        }
        *self = next;
    }
}

impl Line {
    fn entries(&self) -> impl Iterator<Item = (u64, Tag)> {
        let places = self.rests.into_iter().zip(self.tags);
        places.take(usize::from(self.used))
    }
}

/// What an entry keeps of its key.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low bits are what is wanted"
)]
fn rest_of(key: u128) -> u64 {
    key as u64
}

/// A number below `count`, by the low 32 of `bits`, evenly.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low bits are what is wanted"
)]
fn scale(bits: u128, count: usize) -> usize {
    ((u64::from(bits as u32) * count as u64) >> 32) as usize
}

/// Tags that there are.
const TAGS: usize = 256;
/// Tags that are in use at most. So a tag that is freed waits for as many others to be taken first.
const MAX_ALIVE: usize = TAGS / 2;

/// The tags that are in use.
#[derive(Debug)]
pub(super) struct Tags {
    alive: [u64; TAGS / 64],
    /// The others, longest free first.
    free: VecDeque<Tag>,
}

impl Tags {
    pub(super) fn new() -> Self {
        Self {
            alive: [0; TAGS / 64],
            free: (0..=Tag::MAX).collect(),
        }
    }

    /// The tag that has been free for longest; `None` if [`MAX_ALIVE`] are in use.
    pub(super) fn take(&mut self) -> Option<Tag> {
        if TAGS - self.free.len() == MAX_ALIVE {
            return None;
        }
        let tag = self.free.pop_front()?;
        let (word, bit) = place(tag);
        self.alive[word] |= bit;
        Some(tag)
    }

    pub(super) fn free(&mut self, tag: Tag) {
        let (word, bit) = place(tag);
        self.alive[word] &= !bit;
        self.free.push_back(tag);
    }

    pub(super) fn is_alive(&self, tag: Tag) -> bool {
        let (word, bit) = place(tag);
        self.alive[word] & bit != 0
    }
}

/// Where a tag's bit is: the word and the bit in it.
fn place(tag: Tag) -> (usize, u64) {
    (usize::from(tag / 64), 1 << (tag % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    /// These tags alive, and no other.
    fn alive(tags: impl IntoIterator<Item = Tag>) -> Tags {
        let mut alive = Tags::new();
        for tag in tags {
            let (word, bit) = place(tag);
            alive.alive[word] |= bit;
        }
        alive
    }

    /// Spreads small numbers over the bits that choose segment and line.
    fn key(number: u64) -> u128 {
        u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) | 1 << 16
    }

    proptest! {
        /// Against a map that does the same: entered, killed by the tag, swept.
        #[test]
        fn it_holds_what_was_entered_as_long_as_its_tag_lives(
            steps in prop::collection::vec((0..400_u64, 1..6_u8, 0..40_u8), 0..1_000),
            capacity in 1..2_000_usize,
        ) {
            let (mut set, all) = (KeySet::new(capacity), alive(1..6));
            let mut model = HashMap::new();
            for (number, tag, action) in steps {
                match action {
                    0 => {
                        model.retain(|_, held| *held != tag);
                        set.note_death();
                        let others = alive((1..6).filter(|other| *other != tag));
                        (0..set.segments.len()).for_each(|_| set.sweep(&others));
                    }
                    _ if !set.contains(key(number), &all) => {
                        prop_assert_eq!(model.insert(number, tag), None);
                        set.insert(key(number), tag, &all);
                    }
                    _ => prop_assert!(model.contains_key(&number)),
                }
            }
            for number in 0..400 {
                let held = set.contains(key(number), &all);
                prop_assert_eq!(held, model.contains_key(&number), "{}", number);
            }
            let entries: usize = set.segments.iter().map(|segment| segment.entries().count()).sum();
            prop_assert_eq!(entries, model.len());
        }
    }

    #[test]
    fn an_entry_that_has_died_is_not_found_and_its_key_can_be_entered_again() {
        let mut set = KeySet::new(10);
        set.insert(key(7), 1, &alive([1]));
        assert!(set.contains(key(7), &alive([1])));
        assert!(!set.contains(key(7), &alive([2])));
        set.insert(key(7), 2, &alive([2]));
        assert!(set.contains(key(7), &alive([2])));
    }

    #[test]
    fn keys_that_differ_in_the_segment_alone_are_two_and_one_that_is_zero_is_one() {
        let (mut set, tags) = (KeySet::new(100_000), alive([0]));
        assert!(!set.contains(0, &tags));
        set.insert(0, 0, &tags);
        assert!(set.contains(0, &tags));
        assert!(!set.contains(1 << 127, &tags));
    }

    #[test]
    fn an_entry_takes_at_most_17_bytes_and_a_swept_set_none() {
        let (mut set, tags) = (KeySet::new(100_000), alive([1]));
        let mut entered = 0;
        for most in [50_000, 60_000, 75_000, 100_000] {
            (entered..most).for_each(|number| set.insert(key(number), 1, &tags));
            entered = most;
            let lines: usize = set.segments.iter().map(|s| s.lines.len()).sum();
            let bytes = lines * size_of::<Line>();
            assert!(bytes <= 17 * usize::try_from(most).unwrap(), "{bytes}");
        }
        set.note_death();
        (0..set.segments.len()).for_each(|_| set.sweep(&alive([])));
        assert!(set.segments.iter().all(|segment| segment.lines.is_empty()));
    }

    #[test]
    fn every_segment_is_swept_before_a_tag_comes_round_again() {
        let mut set = KeySet::new(usize::MAX);
        assert_eq!(set.segments.len(), MAX_SEGMENTS);
        assert_eq!(KeySet::new(0).segments.len(), 1);
        let mut tags = Tags::new();
        // As many in use as may be, throughout: the fewest wait before one that is freed.
        let mut used: VecDeque<_> = (0..MAX_ALIVE).filter_map(|_| tags.take()).collect();
        let freed = used.pop_front().unwrap();
        tags.free(freed);
        set.note_death();
        loop {
            let tag = tags.take().unwrap();
            if tag == freed {
                break;
            }
            (0..set.sweeps_for_each_tag()).for_each(|_| set.sweep(&tags));
            used.push_back(tag);
            tags.free(used.pop_front().unwrap());
        }
        assert!(
            set.segments
                .iter()
                .all(|segment| segment.clean_at == set.deaths)
        );
    }

    #[test]
    fn a_tag_in_use_is_not_given_twice_and_none_past_the_bound() {
        let mut tags = Tags::new();
        let taken: HashSet<_> = std::iter::from_fn(|| tags.take()).collect();
        assert_eq!(taken.len(), MAX_ALIVE);
        assert!(taken.iter().all(|tag| tags.is_alive(*tag)));
        tags.free(7);
        assert!(!tags.is_alive(7));
        let next = tags.take().unwrap();
        assert!(!taken.contains(&next), "the one that was just freed waits");
        assert_eq!(tags.take(), None);
    }
}
