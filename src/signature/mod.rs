//! Skeleton: replaced by the real thing.

/// A public key.
#[derive(Clone, Debug)]
pub struct VerifyingKey;
