//! Skeleton: replaced by the real thing.
use serde::{Deserialize, Serialize};

/// Keyed digest of a code.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct CodeDigest(pub(crate) [u8; 32]);

/// A sealed code.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct SealedCode(pub(crate) Vec<u8>);
