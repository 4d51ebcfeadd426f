//! A mark by which a value is known again without being kept.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// The first 64 bits of the hash of a value's JSON. Two that differ have the same mark once in many billion billions.
pub(crate) fn mark(value: &impl Serialize) -> u64 {
    // These types have nothing that JSON cannot hold.
    let digest = Sha256::digest(serde_json::to_vec(value).unwrap_or_default());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}
