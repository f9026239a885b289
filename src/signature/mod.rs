//! Skeleton: replaced by the real thing.

/// A public key.
#[derive(Clone, Debug)]
pub struct VerifyingKey;

/// What is wrong with a key.
#[derive(Debug, thiserror::Error)]
#[error("skeleton")]
pub struct KeyError;

impl VerifyingKey {
    /// Reads a key.
    pub fn from_pem(_: &str) -> Result<Self, KeyError> {
        Err(KeyError)
    }
}
