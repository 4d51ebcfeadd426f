//! Random bytes, and the identifiers and credentials made of them.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use uuid::{Builder, Uuid};

/// A source of random bytes fit for credentials.
pub trait Entropy: Send + Sync {
    /// Fills the whole buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// The kernel's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    /// If the kernel has no randomness to give. There is no safe way to go on: identifiers would collide and
    /// credentials could be guessed.
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the kernel gives random bytes");
    }
}

/// A UUIDv7 whose time part is `now`: later ones sort after earlier ones, to the millisecond.
pub fn uuid_v7(entropy: &dyn Entropy, now: Timestamp) -> Uuid {
    let mut random = [0; 10];
    entropy.fill(&mut random);
    // Before 1970 there is no UUIDv7; a clock that wrong still gets unique identifiers.
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// A random UUID.
pub fn uuid_v4(entropy: &dyn Entropy) -> Uuid {
    let mut random = [0; 16];
    entropy.fill(&mut random);
    Builder::from_random_bytes(random).into_uuid()
}

/// 256 random bits as 43 characters that need no escaping in a URL, a header or a shell.
pub fn token256(entropy: &dyn Entropy) -> String {
    let mut random = [0; 32];
    entropy.fill(&mut random);
    BASE64_URL_SAFE_NO_PAD.encode(random)
}

/// A number from 0 (inclusive) to 1 (exclusive), for jitter.
pub fn unit(entropy: &dyn Entropy) -> f64 {
    let mut random = [0; 8];
    entropy.fill(&mut random);
    // 53 bits are what an f64 holds exactly.
    (u64::from_le_bytes(random) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ones;
    impl Entropy for Ones {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(0xff);
        }
    }

    #[test]
    fn a_uuid_v7_carries_its_time_and_sorts_by_it() {
        let early = uuid_v7(&Ones, Timestamp::from_millisecond(1_700_000_000_000).unwrap());
        let late = uuid_v7(&SystemEntropy, Timestamp::from_millisecond(1_700_000_000_001).unwrap());
        assert_eq!(early.get_version_num(), 7);
        assert!(early.to_string() < late.to_string());
    }

    #[test]
    fn a_time_before_1970_still_gives_a_uuid() {
        assert_eq!(uuid_v7(&Ones, Timestamp::MIN).get_version_num(), 7);
    }

    #[test]
    fn identifiers_and_tokens_are_never_the_same_twice() {
        assert_ne!(uuid_v4(&SystemEntropy), uuid_v4(&SystemEntropy));
        let token = token256(&SystemEntropy);
        assert_eq!(token.len(), 43);
        assert_ne!(token, token256(&SystemEntropy));
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    }

    #[test]
    fn a_unit_is_below_one() {
        assert!(unit(&Ones) < 1.0);
        assert!((0.0..1.0).contains(&unit(&SystemEntropy)));
    }
}
