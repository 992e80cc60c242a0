//! The settings of one instance, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::provider::SettingKind;
use crate::secret::{LiveSecret, SecretRef, SecretString};

/// The value of one setting.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Value {
    /// Text that may be shown.
    Text(String),
    /// A secret, and where it was found.
    Secret {
        /// The secret.
        secret: SecretString,
        /// The reference that named it.
        found: SecretRef,
    },
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Flag(bool),
    /// A span of time.
    Duration(Duration),
    /// Several texts.
    List(Vec<String>),
}

impl Value {
    /// Reads the text of a variable or of a DSN's parameter as `kind`. [`ErrorKind::Config`](crate::ErrorKind) that says
    /// what was expected and never quotes the text.
    ///
    /// A duration is seconds (`30`, `0.5`) or a number with `ms`, `s`, `m`, `h` or `d`; a list is separated by commas.
    ///
    /// ```
    /// use integrations_core::provider::SettingKind;
    /// use integrations_core::setup::Value;
    /// use std::time::Duration;
    /// let value = Value::parse(SettingKind::Duration, "500ms")?;
    /// assert_eq!(value, Value::Duration(Duration::from_millis(500)));
    /// # Ok::<(), integrations_core::Error>(())
    /// ```
    pub fn parse(kind: SettingKind, text: &str) -> Result<Self> {
        match kind {
            SettingKind::Secret if text.is_empty() => Err(Error::config("a secret is empty")),
            SettingKind::Secret => Ok(SecretString::from(text).into()),
            SettingKind::Integer => {
                text.parse().map(Self::Integer).map_err(|_| Error::config("a whole number is expected"))
            }
            SettingKind::Flag => match text {
                "true" | "1" => Ok(Self::Flag(true)),
                "false" | "0" => Ok(Self::Flag(false)),
                _ => Err(Error::config("`true` or `false` is expected")),
            },
            SettingKind::Duration => duration(text).map(Self::Duration).ok_or_else(|| {
                Error::config("seconds, or a number with `ms`, `s`, `m`, `h` or `d` is expected")
            }),
            SettingKind::Url => match text.parse::<http::Uri>() {
                Ok(uri) if uri.scheme().is_some() && uri.authority().is_some() => {
                    Ok(Self::Text(text.to_owned()))
                }
                _ => {
                    Err(Error::config("an absolute address, such as `https://api.example.com`, is expected"))
                }
            },
            SettingKind::List => Ok(Self::List(text.split(',').map(|item| item.trim().to_owned()).collect())),
            SettingKind::Text => Ok(Self::Text(text.to_owned())),
        }
    }
}

fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let number: f64 = number.trim_end().parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

impl PartialEq for Value {
    /// Secrets are compared in constant time.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Secret { secret: a, .. }, Self::Secret { secret: b, .. }) => a.ct_eq(b.expose()),
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Flag(a), Self::Flag(b)) => a == b,
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            _ => false,
        }
    }
}

impl From<SecretString> for Value {
    fn from(secret: SecretString) -> Self {
        Self::Secret { found: SecretRef::Inline(secret.clone()), secret }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Duration> for Value {
    fn from(duration: Duration) -> Self {
        Self::Duration(duration)
    }
}

impl From<Vec<String>> for Value {
    fn from(list: Vec<String>) -> Self {
        Self::List(list)
    }
}

/// The settings of one instance, by name. Each getter gives `None` for what is not set, and
/// [`ErrorKind::Config`](crate::ErrorKind) for what is set and of another kind.
#[derive(Clone, Default, PartialEq)]
pub struct Settings(BTreeMap<String, Entry>);

#[derive(Clone)]
struct Entry {
    value: Value,
    /// What follows the source of a secret: one for all clients that have this entry, however many tenants they are for.
    live: Option<Arc<OnceLock<LiveSecret>>>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Settings {
    /// No settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) -> &mut Self {
        let value = value.into();
        let live = match &value {
            Value::Secret { found, .. } if found.can_change() => Some(Arc::default()),
            _ => None,
        };
        self.0.insert(name.into(), Entry { value, live });
        self
    }

    /// One setting, of whatever kind.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).map(|entry| &entry.value)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, entry)| (name.as_str(), &entry.value))
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These settings with those of `upper` over them.
    #[must_use]
    pub fn overlaid(&self, upper: &Self) -> Self {
        let mut all = self.0.clone();
        all.extend(upper.0.iter().map(|(name, entry)| (name.clone(), entry.clone())));
        Self(all)
    }

    /// A text.
    pub fn text(&self, name: &str) -> Result<Option<&str>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(other_kind(name, "a text")),
        }
    }

    /// A secret.
    pub fn secret(&self, name: &str) -> Result<Option<&SecretString>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Secret { secret, .. }) => Ok(Some(secret)),
            Some(_) => Err(other_kind(name, "a secret")),
        }
    }

    /// Follows the source of a secret, which `watch` begins; `None` for a secret that stays as it is.
    pub(super) fn live(
        &self,
        name: &str,
        watch: impl FnOnce(&SecretString, &SecretRef) -> LiveSecret,
    ) -> Option<LiveSecret> {
        let Entry { value: Value::Secret { secret, found }, live: Some(live) } = self.0.get(name)? else {
            return None;
        };
        Some(live.get_or_init(|| watch(secret, found)).clone())
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Result<Option<i64>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Integer(number)) => Ok(Some(*number)),
            Some(_) => Err(other_kind(name, "a whole number")),
        }
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Flag(flag)) => Ok(Some(*flag)),
            Some(_) => Err(other_kind(name, "`true` or `false`")),
        }
    }

    /// A span of time.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Duration(duration)) => Ok(Some(*duration)),
            Some(_) => Err(other_kind(name, "a span of time")),
        }
    }

    /// Several texts.
    pub fn list(&self, name: &str) -> Result<Option<&[String]>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::List(list)) => Ok(Some(list)),
            Some(_) => Err(other_kind(name, "a list")),
        }
    }
}

fn other_kind(name: &str, wanted: &str) -> Error {
    Error::config(format!("the setting `{name}` must be {wanted}"))
}
