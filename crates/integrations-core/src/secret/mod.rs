//! Values that must not reach logs, errors or files, and where configuration says to find them.
//!
//! Invariants:
//! - A [`Secret`] has no `Display` and no `Serialize`, and its `Debug` shows nothing of it.
//! - No error of this module holds a value: it names the variable, the file or the place in the text.
//! - Nothing here reads the process environment: whoever resolves a [`SecretRef`] says where variables come from.

mod generations;
mod live;
mod local;
mod reference;

use std::fmt;

use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

pub use live::{LiveCounts, LiveSecret, SecretStore, Versioned, Watch};
pub use local::LocalSecrets;
pub use reference::SecretRef;
#[cfg(feature = "config")]
pub(crate) use reference::join;

/// A value that is wiped from memory when dropped and that nothing prints.
///
/// It can be read from configuration and never written back. Wiping reaches the value itself, not copies
/// that a parser or an earlier owner made.
///
/// ```
/// use integrations_core::secret::SecretString;
/// let key = SecretString::from("sk_live_4eC39H");
/// assert_eq!(format!("{key:?}"), "Secret(***)");
/// assert_eq!(key.expose(), "sk_live_4eC39H");
/// assert!(key.ct_eq("sk_live_4eC39H"));
/// ```
///
/// It cannot be displayed:
///
/// ```compile_fail,E0277
/// let key = integrations_core::secret::SecretString::from("sk_live_4eC39H");
/// format!("{}", key);
/// ```
///
/// nor serialised:
///
/// ```compile_fail,E0277
/// let key = integrations_core::secret::SecretString::from("sk_live_4eC39H");
/// serde_json::to_string(&key);
/// ```
///
/// nor compared by a comparison that stops at the first difference:
///
/// ```compile_fail,E0369
/// let key = integrations_core::secret::SecretString::from("sk_live_4eC39H");
/// assert!(key == key.clone());
/// ```
#[derive(Clone)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

/// A secret text: an API key, a password, a token.
pub type SecretString = Secret<String>;

impl<T: Zeroize> Secret<T> {
    /// Takes a value into custody.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value. Whoever calls this answers for where it goes.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Compares in a time that depends on the lengths alone, so that a caller who may guess learns nothing
    /// from how long it takes, except the length.
    pub fn ct_eq(&self, other: impl AsRef<[u8]>) -> bool {
        self.0.as_ref().ct_eq(other.as_ref()).into()
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl From<&str> for SecretString {
    fn from(value: &str) -> Self {
        Self::new(value.to_owned())
    }
}

impl<'de, T: Zeroize + Deserialize<'de>> Deserialize<'de> for Secret<T> {
    /// The cause is dropped, because serde quotes the value: ``invalid type: integer `1234` ``.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new).map_err(|_| {
            serde::de::Error::custom("a secret of another type was expected; put text in quotes")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_even_inside_other_values() {
        #[derive(Debug)]
        #[allow(dead_code, reason = "only its Debug matters")]
        struct Config {
            key: SecretString,
            bytes: Option<Secret<Vec<u8>>>,
        }
        let config = Config { key: "hunter2".into(), bytes: Some(Secret::new(b"hunter2".to_vec())) };
        for text in [format!("{config:?}"), format!("{config:#?}")] {
            assert!(!text.contains("hunter2") && !text.contains("104"), "{text}");
        }
    }

    /// Compiles only while neither holds: with a second impl the item's path would be ambiguous. The
    /// `compile_fail` examples show the same, but would pass for any other error too.
    #[test]
    fn it_has_no_display_no_serialize_and_no_equality() {
        trait Absent<Which> {
            const OK: bool = true;
        }
        impl<T> Absent<()> for T {}
        impl<T: fmt::Display> Absent<u8> for T {}
        impl<T: serde::Serialize> Absent<u16> for T {}
        impl<T: PartialEq> Absent<u32> for T {}
        const { assert!(<SecretString as Absent<_>>::OK && <Secret<Vec<u8>> as Absent<_>>::OK) };
    }

    #[test]
    fn the_value_is_wiped_on_drop() {
        struct Probe(std::sync::Arc<std::sync::atomic::AtomicBool>);
        impl Zeroize for Probe {
            fn zeroize(&mut self) {
                self.0.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let wiped = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        drop(Secret::new(Probe(wiped.clone())));
        assert!(wiped.load(std::sync::atomic::Ordering::SeqCst));
    }

    #[test]
    fn comparison_tells_equal_from_different() {
        let key = Secret::new(vec![1, 2, 3]);
        assert!(key.ct_eq([1, 2, 3]));
        for other in [&[1, 2, 4][..], &[1, 2], &[1, 2, 3, 4], &[]] {
            assert!(!key.ct_eq(other));
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_not_quoted() {
        let good: SecretString = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(good.expose(), "hunter2");
        for bad in ["31337", "3.1337", "true", "[\"31337\"]", "{\"31337\":1}"] {
            let e = serde_json::from_str::<SecretString>(bad).unwrap_err().to_string();
            assert!(!e.contains("31337") && !e.contains("true"), "{e}");
        }
    }
}
