//! A nonce as the tables of the SQL backends keep it.

use ring::digest;

use crate::nonce::Claim;

/// Bytes of the application's digest, which the nonce's 16 or 32 follow.
const APP_BYTES: usize = 16;

pub(super) struct NonceEntry {
    pub(super) key: Vec<u8>,
    /// In microseconds.
    pub(super) fresh_until: i64,
}

impl NonceEntry {
    pub(super) fn of(claim: &Claim<'_>) -> Self {
        let app = digest::digest(&digest::SHA256, claim.app.as_str().as_bytes());
        let mut key = app.as_ref()[..APP_BYTES].to_vec();
        key.extend_from_slice(claim.nonce.as_bytes());
        Self {
            key,
            fresh_until: claim.fresh_until.timestamp_micros(),
        }
    }
}
