//! Master keys of the operator's.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::aead::{self, KEY, NONCE};
use super::service::{KeyService, Wrapped};
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::secret::{Secret, SecretString};

/// The longest id: shorter than a key in base64, so that a key in an id's place is not taken for one and shown.
const LONGEST_ID: usize = 40;

/// Master keys of the operator's, in the memory of this process: a [`KeyService`] without a service.
///
/// Cheap to clone; clones are one set of keys, so that [`replace`](LocalKeys::replace) reaches envelopes over them.
/// One key may wrap 2^32 data keys (NIST SP 800-38D): a thousand processes that make a hundred a day need a century.
///
/// ```
/// use integrations_core::seal::{KeyService, LocalKeys};
/// let line = LocalKeys::generate()?; // put this into a file, once
/// let keys = LocalKeys::parse(&line)?;
/// assert!(line.expose().starts_with(&keys.current_key_id()));
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Clone)]
pub struct LocalKeys(Arc<RwLock<Arc<Keys>>>);

struct Keys {
    current: MasterKey,
    /// Only unwrap.
    others: Vec<MasterKey>,
    /// Whichever key an id has named so far, also one that is gone. Data keys in use are stored with the id alone: with
    /// another key under it they would never open again.
    named: BTreeMap<String, Fingerprint>,
}

/// SHA-256 of a key, from which nobody learns the key: it is random.
type Fingerprint = Vec<u8>;

struct MasterKey {
    id: String,
    key: Secret<Vec<u8>>,
}

impl fmt::Debug for LocalKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys();
        let ids: Vec<_> = keys.all().map(|key| &key.id).collect();
        f.debug_struct("LocalKeys").field("ids", &ids).finish_non_exhaustive()
    }
}

impl LocalKeys {
    /// Reads entries `id:key` on lines of their own, or with commas between them. An id has 1 to 40 letters, digits,
    /// `-`, `_` and `.`; a key is 32 bytes in base64. The first one is current; the others only unwrap.
    ///
    /// `Config` for anything else, told by the number of the entry: no error quotes the text.
    pub fn parse(text: &SecretString) -> Result<Self> {
        Ok(Self(Arc::new(RwLock::new(Arc::new(Keys::parse(text)?)))))
    }

    /// A new entry for [`parse`](LocalKeys::parse), with a random id and a random key.
    pub fn generate() -> Result<SecretString> {
        let (id, key) = (u32::from_be_bytes(aead::random()?), aead::random_key()?);
        // Room for all of it, because a text that grows leaves its old buffer unwiped.
        let mut line = String::with_capacity(64);
        line.push_str(&format!("k{id:08x}:"));
        STANDARD.encode_string(key.expose(), &mut line);
        Ok(SecretString::new(line))
    }

    /// Takes other keys, of the same notation, for everything from now on. An error leaves the present ones: besides
    /// those of [`parse`](LocalKeys::parse), `Config` for an id that has named another key until now.
    ///
    /// What was sealed under a key that is missing from `text` does not open any more, at the latest after 5 minutes.
    pub fn replace(&self, text: &SecretString) -> Result<()> {
        let mut keys = Keys::parse(text)?;
        let mut present = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (id, fingerprint) in &present.named {
            if keys.named.get(id).is_some_and(|other| other != fingerprint) {
                return Err(renamed(id));
            }
            keys.named.insert(id.clone(), fingerprint.clone());
        }
        *present = Arc::new(keys);
        Ok(())
    }

    fn keys(&self) -> Arc<Keys> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl KeyService for LocalKeys {
    fn current_key_id(&self) -> String {
        self.keys().current.id.clone()
    }

    async fn wrap(&self, data_key: &Secret<Vec<u8>>, context: &str) -> Result<Wrapped> {
        self.keys().current.wrap(data_key, context)
    }

    async fn unwrap(&self, wrapped: &Wrapped, context: &str) -> Result<Secret<Vec<u8>>> {
        let keys = self.keys();
        let key = keys.all().find(|key| key.id == wrapped.key_id).ok_or_else(|| unknown(&wrapped.key_id))?;
        key.unwrap(&wrapped.bytes, context).ok_or_else(|| not_its_key(&wrapped.key_id))
    }
}

impl Keys {
    fn parse(text: &SecretString) -> Result<Self> {
        let mut keys: Vec<MasterKey> = Vec::new();
        let entries = text.expose().split(['\n', ',']).map(str::trim).filter(|entry| !entry.is_empty());
        for entry in entries {
            let number = keys.len() + 1;
            let key = MasterKey::parse(entry).map_err(|why| malformed(number, &why))?;
            if let Some(earlier) = keys.iter().position(|other| other.id == key.id) {
                return Err(malformed(number, &format!("it has the id of entry {}", earlier + 1)));
            }
            keys.push(key);
        }
        let named = keys.iter().map(|key| (key.id.clone(), key.fingerprint())).collect();
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or_else(|| how_to(Error::config("there is no master key")))?;
        Ok(Self { current, others: keys.collect(), named })
    }

    fn all(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.current).chain(&self.others)
    }
}

impl MasterKey {
    fn parse(entry: &str) -> Result<Self, String> {
        let (id, key) = entry.split_once(':').ok_or("it has no `:` between id and key")?;
        if !is_id(id) {
            return Err(format!("its id is not 1 to {LONGEST_ID} letters, digits, `-`, `_` and `.`"));
        }
        let key = Secret::new(STANDARD.decode(key).map_err(|_| "its key is not base64")?);
        match key.expose().len() {
            KEY => Ok(Self { id: id.to_owned(), key }),
            length => Err(format!("its key has {length} bytes and not {KEY}")),
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        digest(&SHA256, self.key.expose()).as_ref().to_vec()
    }

    /// Nonce, ciphertext and tag.
    fn wrap(&self, data_key: &Secret<Vec<u8>>, context: &str) -> Result<Wrapped> {
        let nonce = aead::random::<NONCE>()?;
        let sealed = aead::seal(&self.key, nonce, &self.authenticated(context), data_key.expose())?;
        Ok(Wrapped { key_id: self.id.clone(), bytes: [&nonce[..], &sealed].concat() })
    }

    fn unwrap(&self, bytes: &[u8], context: &str) -> Option<Secret<Vec<u8>>> {
        let (nonce, sealed) = bytes.split_first_chunk()?;
        aead::open(&self.key, *nonce, &self.authenticated(context), sealed)
    }

    /// The id too: the same key under another id is another key. An id has no `/`, so no two pairs give one text.
    fn authenticated(&self, context: &str) -> Vec<u8> {
        format!("integrations-local-key/{}/{context}", self.id).into_bytes()
    }
}

fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(allowed)
}

fn malformed(number: usize, why: &str) -> Error {
    how_to(Error::config(format!("entry {number} of the master keys is malformed: {why}")))
}

fn how_to(error: Error) -> Error {
    error.with_hint("write `id:key` with 32 bytes in base64; `LocalKeys::generate` makes an entry")
}

fn renamed(id: &str) -> Error {
    Error::config(format!("the master key `{id}` is not the one that had this id until now"))
        .with_hint("give a new key a new id")
}

fn unknown(id: &str) -> Error {
    Error::config(format!("there is no master key `{id}`"))
        .with_hint(format!("add `{id}` to the master keys again, after the current one"))
}

fn not_its_key(id: &str) -> Error {
    let message = format!("a data key does not open under the master key `{id}`");
    Error::new(ErrorKind::Decode, Effect::NotSent, message)
        .with_hint(format!("either it was changed, or `{id}` is not the key that it was"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &str = "test";

    fn parse(text: &str) -> Result<LocalKeys> {
        LocalKeys::parse(&text.into())
    }

    fn entry(id: &str, byte: u8) -> String {
        format!("{id}:{}", STANDARD.encode([byte; KEY]))
    }

    #[tokio::test]
    async fn entries_are_read_from_lines_and_commas_and_the_first_is_current() {
        let (a, b) = (entry("a", 1), entry("b", 2));
        for text in [format!("{a}\n{b}"), format!("{a},{b}"), format!("\r\n {a} ,,\r\n{b}\r\n\n")] {
            let keys = parse(&text).unwrap();
            assert_eq!(keys.current_key_id(), "a");
            let data_key = aead::random_key().unwrap();
            assert_eq!(keys.wrap(&data_key, CONTEXT).await.unwrap().key_id, "a");
            let under_b = parse(&b).unwrap().wrap(&data_key, CONTEXT).await.unwrap();
            assert!(keys.unwrap(&under_b, CONTEXT).await.unwrap().ct_eq(data_key.expose()));
        }
    }

    #[test]
    fn bad_entries_are_told_by_number_and_never_quoted() {
        let good = entry("good", 1);
        let short = STANDARD.encode([0xC4; 16]);
        let canary = STANDARD.encode([0xC4; KEY]);
        for (text, says) in [
            (String::new(), "no master key"),
            (" \n,\r\n".to_owned(), "no master key"),
            (format!("{good}\n{canary}"), "entry 2 of the master keys is malformed: it has no `:`"),
            (format!("{canary}:id"), "entry 1 of the master keys is malformed: its id"),
            (format!("{}:x", canary.trim_end_matches('=')), "its id"),
            (format!(":{canary}"), "its id"),
            (format!("ü:{canary}"), "its id"),
            (format!("{}:{canary}", "k".repeat(41)), "its id"),
            (format!("a:{short}"), "16 bytes and not 32"),
            ("a:".to_owned(), "0 bytes"),
            (format!("a:{}", canary.trim_end_matches('=')), "not base64"),
            (format!("a:b:{canary}"), "not base64"),
            (
                format!("{good},{}", entry("good", 0xC4)),
                "entry 2 of the master keys is malformed: it has the id of entry 1",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let told = format!("{error:?} {}", error.explain());
            assert!(told.contains(says), "{told}");
            assert!(!told.contains(&canary[..8]) && !told.contains("196"), "{told}");
            assert!(error.hint().is_some_and(|hint| hint.contains("generate")));
        }
        parse(&format!("{}:{canary}", "k".repeat(40))).unwrap();
    }

    #[test]
    fn what_is_generated_is_read_and_never_the_same() {
        let lines: Vec<_> = (0..50).map(|_| LocalKeys::generate().unwrap()).collect();
        let all = lines.iter().map(|line| line.expose().as_str()).collect::<Vec<_>>().join("\n");
        assert_eq!(parse(&all).unwrap().keys().all().count(), 50);
        let keys: std::collections::HashSet<_> =
            lines.iter().map(|l| l.expose().split_once(':').unwrap().1).collect();
        assert_eq!(keys.len(), 50);
    }

    #[test]
    fn debug_shows_ids_and_no_key() {
        let shown = format!("{:?}", parse(&entry("a", 0xC4)).unwrap());
        assert_eq!(shown, r#"LocalKeys { ids: ["a"], .. }"#);
    }

    #[tokio::test]
    async fn no_changed_bit_other_id_or_other_context_unwraps() {
        let keys = parse(&format!("{}\n{}", entry("a", 1), entry("twin", 1))).unwrap();
        let data_key = aead::random_key().unwrap();
        let wrapped = keys.wrap(&data_key, CONTEXT).await.unwrap();
        assert!(keys.unwrap(&wrapped, CONTEXT).await.unwrap().ct_eq(data_key.expose()));
        let mut bad = vec![Wrapped { key_id: "twin".to_owned(), ..wrapped.clone() }];
        for bit in 0..wrapped.bytes.len() * 8 {
            bad.push(wrapped.clone());
            bad.last_mut().unwrap().bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for length in 0..wrapped.bytes.len() {
            bad.push(Wrapped { bytes: wrapped.bytes[..length].to_vec(), ..wrapped.clone() });
        }
        for wrapped in bad {
            let error = keys.unwrap(&wrapped, CONTEXT).await.unwrap_err();
            assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Decode, false));
        }
        assert!(keys.unwrap(&wrapped, "other").await.is_err());
    }

    #[tokio::test]
    async fn an_unknown_key_is_named_in_the_hint() {
        let wrapped =
            parse(&entry("gone", 1)).unwrap().wrap(&aead::random_key().unwrap(), CONTEXT).await.unwrap();
        let error = parse(&entry("a", 2)).unwrap().unwrap(&wrapped, CONTEXT).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Config, Effect::NotSent));
        assert!(error.hint().unwrap().contains("`gone`"));
    }

    #[tokio::test]
    async fn other_keys_are_taken_while_running_and_bad_ones_are_not() {
        let keys = parse(&entry("a", 1)).unwrap();
        let clone = keys.clone();
        assert!(keys.replace(&"b:short".into()).is_err());
        let other = keys.replace(&entry("a", 2).as_str().into()).unwrap_err();
        assert_eq!(other.hint(), Some("give a new key a new id"));
        assert_eq!(clone.current_key_id(), "a");
        keys.replace(&format!("{}\n{}", entry("b", 2), entry("a", 1)).as_str().into()).unwrap();
        assert_eq!(clone.current_key_id(), "b");
    }

    #[tokio::test]
    async fn the_id_of_a_key_that_is_gone_names_no_other() {
        let keys = parse(&entry("a", 1)).unwrap();
        for (text, taken) in
            [(entry("b", 2), true), (entry("a", 2), false), (entry("a", 1), true), (entry("b", 1), false)]
        {
            assert_eq!(keys.replace(&text.as_str().into()).is_ok(), taken);
        }
        assert_eq!(keys.current_key_id(), "a");
    }
}
