//! A set of 116-bit keys, each with a 12-bit tag, in 16 bytes an entry: open addressing in many
//! small segments.
//!
//! ```text
//! key     = segment : 32 . line : 32 . rest : 52 . tag : 12       ; high bits first
//! segment = lines of 4 entries, 64 bytes each, as many as it needs
//! ```
//!
//! 1. An entry is looked for from the first line that its key names, on to the first empty place.
//!    Nearly always that is one line of the processor's cache.
//! 2. Nothing is ever removed by itself. Entries whose tag has died are left out when their segment
//!    is built anew, which happens when it is full, and to one segment after another while
//!    [`KeySet::sweep`] is called.
//! 3. A segment grows by half, and is small: no claim pays for more than several hundred
//!    entries, whatever number there is.

use std::num::NonZeroU16;

/// Names what an entry lives and dies with.
pub(super) type Tag = NonZeroU16;

const TAG_BITS: u32 = 12;
/// Entries of a line. An empty one is zero, which no entry is, since no tag is.
const LINE: usize = 4;
/// Entries for each segment at the set's full capacity.
const SEGMENT: usize = 512;
/// Most segments of a set: every one is swept before tags are used again.
pub(super) const MAX_SEGMENTS: usize = 1 << 11;

#[derive(Debug)]
pub(super) struct KeySet {
    segments: Box<[Segment]>,
    /// The segment that is swept next.
    next: usize,
}

#[derive(Debug, Default)]
struct Segment {
    lines: Box<[Line]>,
    used: usize,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Line([u128; LINE]);

impl KeySet {
    /// A set for about `capacity` keys. It takes room for them as they come.
    pub(super) fn new(capacity: usize) -> Self {
        let segments = capacity.div_ceil(SEGMENT).clamp(1, MAX_SEGMENTS);
        Self {
            segments: (0..segments).map(|_| Segment::default()).collect(),
            next: 0,
        }
    }

    /// Whether `key` is there with a tag that is alive.
    pub(super) fn contains(&self, key: u128, is_alive: impl Fn(Tag) -> bool) -> bool {
        let segment = &self.segments[scale(key >> 96, self.segments.len())];
        segment.contains(key, is_alive)
    }

    /// Enters `key`, which is not there with a tag that is alive.
    pub(super) fn insert(&mut self, key: u128, tag: Tag, is_alive: impl Fn(Tag) -> bool) {
        let segment = &mut self.segments[scale(key >> 96, self.segments.len())];
        if segment.used == segment.most() {
            segment.rebuild(1, is_alive);
        }
        segment.insert(entry(key, tag));
    }

    /// Rids the next segment of entries that have died, and of the room that they took.
    pub(super) fn sweep(&mut self, is_alive: impl Fn(Tag) -> bool) {
        let count = self.segments.len();
        let segment = &mut self.segments[self.next];
        self.next = (self.next + 1) % count;
        if segment.entries().any(|entry| !is_alive(tag_of(entry))) {
            segment.rebuild(0, is_alive);
        }
    }
}

impl Segment {
    /// How many entries fit: seven of eight places, so that there always is an empty one.
    fn most(&self) -> usize {
        self.lines.len() * LINE * 7 / 8
    }

    fn entries(&self) -> impl Iterator<Item = u128> {
        let places = self.lines.iter().flat_map(|line| line.0);
        places.filter(|place| *place != 0)
    }

    /// The lines in the order in which `key` is looked for: their numbers.
    #[inline]
    fn probe(&self, key: u128) -> impl Iterator<Item = usize> + use<> {
        let home = scale(key >> 64, self.lines.len());
        (home..self.lines.len()).chain(0..home)
    }

    fn contains(&self, key: u128, is_alive: impl Fn(Tag) -> bool) -> bool {
        for line in self.probe(key) {
            for place in self.lines[line].0 {
                if place == 0 {
                    return false;
                }
                if place >> TAG_BITS == key >> TAG_BITS && is_alive(tag_of(place)) {
                    return true;
                }
            }
        }
        false
    }

    fn insert(&mut self, entry: u128) {
        for line in self.probe(entry) {
            for place in &mut self.lines[line].0 {
                if *place == 0 {
                    *place = entry;
                    self.used += 1;
                    return;
                }
            }
        }
    }

    /// Builds the segment anew with what is alive and room for `more`, such that half as many as
    /// there are can be entered until it is full again: building costs each of them a few steps.
    fn rebuild(&mut self, more: usize, is_alive: impl Fn(Tag) -> bool) {
        let mut alive = 0;
        for entry in self.entries() {
            alive += usize::from(is_alive(tag_of(entry)));
        }
        let mut next = Self::default();
        if alive + more > 0 {
            let lines = ((alive + more) * 7 / 4).div_ceil(LINE);
            next.lines = vec![Line::default(); lines].into();
        }
        for line in &self.lines {
            for place in line.0 {
                if place != 0 && is_alive(tag_of(place)) {
                    next.insert(place);
                }
            }
        }
        *self = next;
    }
}

/// `key` with its last bits replaced by `tag`.
#[inline]
fn entry(key: u128, tag: Tag) -> u128 {
    key >> TAG_BITS << TAG_BITS | u128::from(tag.get())
}

/// The tag of an entry. That of an empty place is never asked for; it would be 1.
#[expect(clippy::cast_possible_truncation, reason = "the tag is the low bits")]
#[inline]
fn tag_of(entry: u128) -> Tag {
    Tag::new(entry as u16 & LAST_TAG).unwrap_or(Tag::MIN)
}

/// A number below `count`, by the low 32 of `bits`, evenly.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low bits are what is wanted"
)]
fn scale(bits: u128, count: usize) -> usize {
    ((u64::from(bits as u32) * count as u64) >> 32) as usize
}

/// The tags that are in use.
#[derive(Debug)]
pub(super) struct Tags {
    alive: Box<[u64; TAGS / 64]>,
    last: u16,
}

const TAGS: usize = 1 << TAG_BITS;
const LAST_TAG: u16 = (1 << TAG_BITS) - 1;

impl Tags {
    pub(super) fn new() -> Self {
        Self {
            alive: Box::new([0; TAGS / 64]),
            last: 0,
        }
    }

    /// A tag that is not in use, and has not been for as long as possible.
    pub(super) fn take(&mut self) -> Tag {
        loop {
            self.last = (self.last + 1) & LAST_TAG;
            match Tag::new(self.last) {
                Some(tag) if !self.is_alive(tag) => {
                    let (word, bit) = place(tag);
                    self.alive[word] |= bit;
                    return tag;
                }
                _ => {}
            }
        }
    }

    pub(super) fn free(&mut self, tag: Tag) {
        let (word, bit) = place(tag);
        self.alive[word] &= !bit;
    }

    pub(super) fn is_alive(&self, tag: Tag) -> bool {
        let (word, bit) = place(tag);
        self.alive[word] & bit != 0
    }
}

/// Where a tag's bit is: the word and the bit in it.
fn place(tag: Tag) -> (usize, u64) {
    let number = usize::from(tag.get());
    (number / 64, 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn tag(number: u16) -> Tag {
        Tag::new(number).unwrap()
    }

    /// Spreads small numbers over the bits that choose segment and line.
    fn key(number: u64) -> u128 {
        u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) | 1 << 16
    }

    proptest! {
        /// Against a map that does the same: entered, killed by the tag, swept.
        #[test]
        fn it_holds_what_was_entered_as_long_as_its_tag_lives(
            steps in prop::collection::vec((0..400_u64, 1..6_u16, 0..40_u8), 0..1_000),
            capacity in 1..2_000_usize,
        ) {
            let mut set = KeySet::new(capacity);
            let mut model = HashMap::new();
            for (number, name, action) in steps {
                let is_alive = |held: Tag| action != 0 || held != tag(name);
                match action {
                    0 => {
                        model.retain(|_, held| *held != tag(name));
                        (0..set.segments.len()).for_each(|_| set.sweep(is_alive));
                    }
                    _ if !set.contains(key(number), is_alive) => {
                        prop_assert_eq!(model.insert(number, tag(name)), None);
                        set.insert(key(number), tag(name), is_alive);
                    }
                    _ => prop_assert!(model.contains_key(&number)),
                }
            }
            for number in 0..400 {
                let held = set.contains(key(number), |_| true);
                prop_assert_eq!(held, model.contains_key(&number), "{}", number);
            }
            let entries: usize = set.segments.iter().map(|segment| segment.entries().count()).sum();
            prop_assert_eq!(entries, model.len());
        }
    }

    #[test]
    fn an_entry_that_has_died_is_not_found_and_its_key_can_be_entered_again() {
        let mut set = KeySet::new(10);
        set.insert(key(7), tag(1), |_| true);
        assert!(set.contains(key(7), |_| true));
        assert!(!set.contains(key(7), |held| held != tag(1)));
        set.insert(key(7), tag(2), |_| true);
        assert!(set.contains(key(7), |held| held == tag(2)));
    }

    #[test]
    fn an_entry_takes_at_most_28_bytes_and_a_swept_set_none() {
        let mut set = KeySet::new(100_000);
        let mut entered = 0;
        for most in [50_000, 60_000, 75_000, 100_000] {
            (entered..most).for_each(|number| set.insert(key(number), tag(1), |_| true));
            entered = most;
            let places: usize = set.segments.iter().map(|s| s.lines.len() * LINE).sum();
            assert!(
                places * 16 <= 28 * usize::try_from(most).unwrap(),
                "{places}"
            );
        }
        (0..set.segments.len()).for_each(|_| set.sweep(|_| false));
        assert!(set.segments.iter().all(|segment| segment.lines.is_empty()));
    }

    #[test]
    fn a_set_without_bounds_takes_no_more_segments_than_can_be_swept() {
        assert_eq!(KeySet::new(usize::MAX).segments.len(), MAX_SEGMENTS);
        assert_eq!(KeySet::new(0).segments.len(), 1);
    }

    #[test]
    fn a_tag_in_use_is_not_given_twice() {
        let mut tags = Tags::new();
        let first = tags.take();
        let others: Vec<_> = (0..TAGS)
            .map(|_| {
                let tag = tags.take();
                tags.free(tag);
                tag
            })
            .collect();
        assert!(!others.contains(&first) && tags.is_alive(first));
        tags.free(first);
        assert!(!tags.is_alive(first));
    }
}
