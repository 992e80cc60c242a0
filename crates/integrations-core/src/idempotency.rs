//! Keys that let a vendor, and our own journal, recognise a repeated intent.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::random;

/// The longest key that every vendor takes (Stripe allows 255, PayPal 108, Square 45; a longer one than a
/// vendor allows is refused by that provider).
const MAX_LEN: usize = 255;

/// The key of one intent: equal on all attempts of a call, across restarts and re-clicks.
///
/// Build it from what the intent is (tenant, order number, operation), not from the request's bytes, so that a
/// second click finds the first one. Where the caller gives none, the pipeline mints a random one per call,
/// which guards that call's retries and nothing more.
///
/// ```
/// use integrations_core::IdempotencyKey;
/// let key = IdempotencyKey::new("acme/order-4711/charge")?;
/// assert_eq!(key.to_string(), "acme/order-4711/charge");
/// assert!(IdempotencyKey::new("").is_err());
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Given(Arc<str>),
    Minted(u128),
}

impl IdempotencyKey {
    /// A key of 1 to 255 visible ASCII characters, because it travels in headers.
    pub fn new(key: &str) -> Result<Self> {
        if key.is_empty() || key.len() > MAX_LEN || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::invalid_request("an idempotency key has 1 to 255 visible ASCII characters"));
        }
        Ok(Self(Repr::Given(key.into())))
    }

    /// A random key (UUID version 4).
    pub fn mint() -> Result<Self> {
        let random = u128::from_le_bytes(random_bytes()?);
        let version_4 = (random & !(0xf << 76) & !(0b11 << 62)) | (0x4 << 76) | (0b10 << 62);
        Ok(Self(Repr::Minted(version_4)))
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Given(key) => f.write_str(key),
            Repr::Minted(id) => {
                let part = |high: u32, digits: u32| (id >> (high - digits * 4)) & ((1 << (digits * 4)) - 1);
                let (a, b, c, d, e) = (part(128, 8), part(96, 4), part(80, 4), part(64, 4), part(48, 12));
                write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
            }
        }
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKey({self})")
    }
}

/// Bytes from the system's generator, fetched 512 at a time: a system call per key would cost more than the
/// rest of the pipeline.
fn random_bytes() -> Result<[u8; 16]> {
    const POOL: usize = 512;
    thread_local! {
        static RANDOM: RefCell<([u8; POOL], usize)> = const { RefCell::new(([0; POOL], POOL)) };
    }
    RANDOM.with_borrow_mut(|(pool, used)| {
        if *used == POOL {
            random::fill(pool)?;
            *used = 0;
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&pool[*used..*used + 16]);
        pool[*used..*used + 16].fill(0);
        *used += 16;
        Ok(bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minted_keys_are_distinct_version_4_uuids() {
        let keys: std::collections::HashSet<_> =
            (0..1000).map(|_| IdempotencyKey::mint().unwrap().to_string()).collect();
        assert_eq!(keys.len(), 1000);
        for key in keys {
            let dashes: Vec<_> = key.match_indices('-').map(|(i, _)| i).collect();
            assert_eq!((key.len(), dashes), (36, vec![8, 13, 18, 23]));
            assert_eq!(&key[14..15], "4");
            assert!(matches!(&key[19..20], "8" | "9" | "a" | "b"), "{key}");
        }
    }

    #[test]
    fn keys_that_no_header_can_carry_are_refused() {
        for bad in ["", "a b", "a\nb", "ü", &"x".repeat(256)] {
            assert!(IdempotencyKey::new(bad).is_err(), "{bad:?}");
        }
        assert!(IdempotencyKey::new(&"x".repeat(255)).is_ok());
    }
}
