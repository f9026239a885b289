//! Keyed digests for what is kept in this process alone: nobody outside can look for two values
//! that share one.

use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
};

use siphasher::sip128::{Hash128, SipHasher13};

/// Both halves of a key or a digest.
pub(crate) type Halves = (u64, u64);

/// Random for each process, by the standard library's generator of such keys.
pub(crate) fn process_key() -> Halves {
    static KEY: LazyLock<Halves> = LazyLock::new(|| {
        let random = RandomState::new();
        (random.hash_one(0), random.hash_one(1))
    });
    *KEY
}

/// SipHash-1-3 of `bytes`, 128 bits.
pub(crate) fn sip128((first, second): Halves, bytes: &[u8]) -> Halves {
    let Hash128 { h1, h2 } = SipHasher13::new_with_keys(first, second).hash(bytes);
    (h1, h2)
}
