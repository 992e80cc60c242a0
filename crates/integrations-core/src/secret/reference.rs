//! Where configuration says to find a secret.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::SecretString;
use crate::error::{Error, Result};

/// The largest file that is taken for a secret: 1 MiB holds any key, and guards against `/dev/zero`.
const MAX_FILE: u64 = 1024 * 1024;

/// Where to find a secret, as configuration writes it:
///
/// | text | meaning |
/// |---|---|
/// | `${NAME}` | the environment variable `NAME` (letters, digits, `_`) |
/// | `${file:PATH}` | the content of a file up to 1 MiB, without the line ends at its end |
/// | `${vault:PATH#KEY}` | `KEY` (optional) of the entry at `PATH` in a secret store |
/// | `Bearer ${NAME}` | several pieces, joined; the whole is a secret |
/// | anything else | the secret itself |
///
/// `$${` stands for a plain `${`. A secret is never empty.
///
/// ```
/// use integrations_core::secret::SecretRef;
/// let reference: SecretRef = "Bearer ${API_TOKEN}".parse()?;
/// let secret = reference.resolve(&|name| (name == "API_TOKEN").then(|| "abc".to_owned()))?;
/// assert_eq!(secret.expose(), "Bearer abc");
///
/// let e = reference.resolve(&|_| None).unwrap_err();
/// assert!(e.to_string().contains("API_TOKEN"));
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file; a relative path counts from the working directory.
    File(PathBuf),
    /// An entry of a secret store.
    Vault {
        /// The entry's path in the store.
        path: String,
        /// The field of the entry.
        key: Option<String>, // tidy: not a secret, it names the field that holds one
    },
    /// The secret itself.
    Inline(SecretString),
    /// Pieces whose values are joined; plain text between references is an [`SecretRef::Inline`].
    Joined(Vec<SecretRef>),
}

impl SecretRef {
    /// Reads the notation above. `Config` for a reference that is malformed, told by its place in the text: the
    /// text itself may be a secret.
    pub fn parse(text: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut plain = Zeroizing::new(String::with_capacity(text.len()));
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, reference) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                plain.push_str(before);
                plain.push_str("${");
                rest = &reference[2..];
                continue;
            }
            plain.push_str(before);
            push_plain(&mut pieces, &mut plain);
            let place = text.len() - reference.len();
            let end = reference.find('}').ok_or_else(|| malformed(place, "it has no `}`"))?;
            pieces.push(Self::parse_reference(&reference[2..end], place)?);
            rest = &reference[end + 1..];
        }
        plain.push_str(rest);
        push_plain(&mut pieces, &mut plain);
        match pieces.len() {
            0 => Err(Error::config("a secret is empty")),
            1 => Ok(pieces.swap_remove(0)),
            _ => Ok(Self::Joined(pieces)),
        }
    }

    /// Whether the secret stands in the configuration itself, which only development environments allow.
    /// Text around a reference does not count.
    pub fn is_inline(&self) -> bool {
        matches!(self, Self::Inline(_))
    }

    /// Gets the value; `env` looks up a variable, as `&|name| std::env::var(name).ok()` does. Reads files,
    /// blocking.
    ///
    /// `Config` for a variable or file that is missing, empty or not text; `Unsupported` for
    /// [`SecretRef::Vault`], which needs a secret store.
    pub fn resolve(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<SecretString> {
        match self {
            Self::Env(name) => variable(name, env),
            Self::File(path) => file(path),
            Self::Vault { path, .. } => Err(Error::unsupported(
                format!("`${{vault:{path}}}` needs a secret store, and none is set"),
                "set a secret store, or use `${NAME}` or `${file:PATH}`",
            )),
            Self::Inline(secret) => Ok(secret.clone()),
            Self::Joined(pieces) => {
                let values = pieces.iter().map(|piece| piece.resolve(env)).collect::<Result<Vec<_>>>()?;
                Ok(join(&values))
            }
        }
    }

    /// Whether it may have another value later without anybody changing the reference: variables of a running process
    /// stay as they are.
    pub(crate) fn can_change(&self) -> bool {
        match self {
            Self::File(_) | Self::Vault { .. } => true,
            Self::Env(_) | Self::Inline(_) => false,
            Self::Joined(pieces) => pieces.iter().any(Self::can_change),
        }
    }

    /// The same with relative paths of files counted from `folder`.
    #[cfg(feature = "config")]
    pub(crate) fn beside(self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            Self::Joined(pieces) => {
                Self::Joined(pieces.into_iter().map(|piece| piece.beside(folder)).collect())
            }
            other => other,
        }
    }

    fn parse_reference(inner: &str, place: usize) -> Result<Self> {
        match inner.split_once(':') {
            None if is_variable_name(inner) => Ok(Self::Env(inner.to_owned())),
            None => Err(malformed(place, "a variable's name has letters, digits and `_` only")),
            Some(("file" | "vault", "")) => Err(malformed(place, "its path is empty")),
            Some(("file", path)) => Ok(Self::File(PathBuf::from(path))),
            Some(("vault", entry)) => parse_vault(entry, place),
            Some(_) => Err(malformed(place, "it is none of `${NAME}`, `${file:PATH}`, `${vault:PATH#KEY}`")),
        }
    }
}

fn parse_vault(entry: &str, place: usize) -> Result<SecretRef> {
    let (path, key) = match entry.split_once('#') {
        Some((path, key)) => (path, Some(key)),
        None => (entry, None),
    };
    if path.is_empty() || key == Some("") {
        return Err(malformed(place, "its path or key is empty"));
    }
    Ok(SecretRef::Vault { path: path.to_owned(), key: key.map(str::to_owned) })
}

fn push_plain(pieces: &mut Vec<SecretRef>, plain: &mut Zeroizing<String>) {
    if !plain.is_empty() {
        pieces.push(SecretRef::Inline(SecretString::new(std::mem::take(&mut **plain))));
    }
}

fn is_variable_name(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn malformed(place: usize, why: &str) -> Error {
    Error::config(format!("the reference at byte {place} is malformed: {why}"))
        .with_hint("write `$${` for a plain `${`")
}

fn variable(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<SecretString> {
    match env(name) {
        Some(value) if value.is_empty() => Err(Error::config(format!("the variable `{name}` is empty"))),
        Some(value) => Ok(value.into()),
        None => Err(Error::config(format!("the variable `{name}` is not set"))
            .with_hint(format!("set `{name}` in the environment of this process"))),
    }
}

fn file(path: &Path) -> Result<SecretString> {
    let shown = path.display();
    let bytes = read(path).map_err(|e| {
        Error::config(format!("the file `{shown}` with a secret cannot be read")).with_source(e)
    })?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Error::config(format!("the file `{shown}` is too large for a secret (1 MiB)")));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::config(format!("the file `{shown}` with a secret is not UTF-8 text")))?;
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err(Error::config(format!("the file `{shown}` with a secret is empty"))),
        secret => Ok(secret.into()),
    }
}

fn read(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    // Room for all of it at once, because a vector that grows leaves its old buffer unwiped.
    let room = file.metadata()?.len().min(MAX_FILE) as usize + 64;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The values as one.
pub(crate) fn join(values: &[SecretString]) -> SecretString {
    let mut whole = String::with_capacity(values.iter().map(|v| v.expose().len()).sum());
    for value in values {
        whole.push_str(value.expose());
    }
    whole.into()
}

impl FromStr for SecretRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = SecretString::deserialize(deserializer)?;
        Self::parse(text.expose()).map_err(|e| serde::de::Error::custom(e.message()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::{Effect, ErrorKind};

    fn env(name: &str) -> Option<String> {
        match name {
            "KEY" => Some("hunter2".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn resolved(text: &str) -> Result<String> {
        Ok(SecretRef::parse(text)?.resolve(&env)?.expose().clone())
    }

    fn temporary_file(name: &str, content: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("integrations-secret-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn each_notation_is_told_apart() {
        assert!(matches!(SecretRef::parse("${KEY}"), Ok(SecretRef::Env(name)) if name == "KEY"));
        assert!(
            matches!(SecretRef::parse("${file:/a b}"), Ok(SecretRef::File(path)) if path == Path::new("/a b"))
        );
        assert!(matches!(
            SecretRef::parse("${vault:kv/mail#key}"),
            Ok(SecretRef::Vault { path, key: Some(key) }) if path == "kv/mail" && key == "key"
        ));
        assert!(matches!(SecretRef::parse("${vault:kv/mail}"), Ok(SecretRef::Vault { key: None, .. })));
        assert!(SecretRef::parse("hunter2").unwrap().is_inline());
        assert!(!SecretRef::parse("Bearer ${KEY}").unwrap().is_inline());
    }

    #[test]
    fn references_are_replaced_inside_text_and_escapes_are_kept() {
        for (text, value) in [
            ("${KEY}", "hunter2"),
            ("Bearer ${KEY}", "Bearer hunter2"),
            ("${KEY}:${KEY}@", "hunter2:hunter2@"),
            ("pa$$word$", "pa$$word$"),
            ("$${KEY}", "${KEY}"),
            ("a$${KEY}${KEY}", "a${KEY}hunter2"),
            ("}{", "}{"),
            ("ü${KEY}ü", "ühunter2ü"),
        ] {
            assert_eq!(resolved(text).unwrap(), value);
        }
    }

    #[test]
    fn errors_name_the_variable_and_never_a_value() {
        for (text, names) in [
            ("hunter2${MISSING}", "`MISSING` is not set"),
            ("hunter2${EMPTY}", "`EMPTY` is empty"),
            ("", "is empty"),
            ("hunter2${", "at byte 7"),
            ("${}", "at byte 0"),
            ("${hunter2-}", "at byte 0"),
            ("${2hunter}", "at byte 0"),
            ("${hunter2:x}", "at byte 0"),
            ("${file:}", "path is empty"),
            ("${vault:#k}", "path or key is empty"),
            ("${vault:p#}", "path or key is empty"),
        ] {
            let e = resolved(text).unwrap_err();
            assert_eq!((e.kind(), e.effect()), (ErrorKind::Config, Effect::NotSent), "{text}");
            let told = format!("{e} {e:?} {}", e.explain());
            assert!(told.contains(names), "{told}");
            assert!(!told.contains("hunter"), "{told}");
        }
    }

    #[test]
    fn a_store_is_asked_for_with_a_hint() {
        let e = resolved("${vault:kv/mail#key}").unwrap_err();
        assert_eq!((e.kind(), e.effect()), (ErrorKind::Unsupported, Effect::NotSent));
        assert!(e.message().contains("kv/mail") && e.hint().is_some());
    }

    #[test]
    fn files_lose_their_line_end_and_must_be_text() {
        let read = |path: &Path| resolved(&format!("${{file:{}}}", path.display()));
        let good = temporary_file("good", b" key \r\n\n");
        let empty = temporary_file("empty", b"\n");
        let binary = temporary_file("binary", b"\xff\xfe");
        let large = temporary_file("large", &vec![b'x'; MAX_FILE as usize + 1]);
        assert_eq!(read(&good).unwrap(), " key ");
        for (path, says) in [
            (&empty, "is empty"),
            (&binary, "not UTF-8"),
            (&large, "too large"),
            (&PathBuf::from("/no/such/file"), "cannot be read"),
        ] {
            let e = read(path).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Config);
            assert!(e.message().contains(says) && e.message().contains(&*path.to_string_lossy()), "{e}");
        }
        for path in [good, empty, binary, large] {
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn configuration_is_read_without_quoting_values() {
        let good: SecretRef = serde_json::from_str("\"${KEY}\"").unwrap();
        assert!(matches!(good, SecretRef::Env(_)));
        for bad in ["31337", "\"31337${\""] {
            assert!(!serde_json::from_str::<SecretRef>(bad).unwrap_err().to_string().contains("31337"));
        }
    }

    proptest! {
        #[test]
        fn escaped_text_comes_back_as_it_was(text in "[a-z${}:#]{1,16}") {
            let escaped = text.replace("${", "$${");
            prop_assert_eq!(resolved(&escaped).unwrap(), text);
        }
    }
}
