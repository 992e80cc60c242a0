//! What an instance of a provider is configured with, and what its values look like.

/// Whether an address or a credential moves real money and reaches real people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// It does.
    Live,
    /// It is the vendor's test mode or sandbox.
    Test,
}

/// What kind of value a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SettingKind {
    /// Text that may be shown.
    Text,
    /// Text that must be kept out of logs and files.
    Secret,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Flag,
    /// Seconds, or text such as `500ms`.
    Duration,
    /// An absolute address.
    Url,
    /// Several texts.
    List,
}

impl SettingKind {
    /// The kind as written in `provider.toml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Secret => "secret",
            Self::Integer => "integer",
            Self::Flag => "flag",
            Self::Duration => "duration",
            Self::Url => "url",
            Self::List => "list",
        }
    }
}

/// How a value of a setting begins, and what that tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shape {
    /// The value's first characters, e.g. `sk_live_`.
    pub prefix: &'static str,
    /// The mode it belongs to, when the prefix tells.
    pub mode: Option<Mode>,
}

impl Shape {
    /// A prefix that tells nothing of the mode.
    pub const fn new(prefix: &'static str) -> Self {
        Self { prefix, mode: None }
    }

    /// A prefix of live credentials.
    pub const fn live(prefix: &'static str) -> Self {
        Self { prefix, mode: Some(Mode::Live) }
    }

    /// A prefix of test credentials.
    pub const fn test(prefix: &'static str) -> Self {
        Self { prefix, mode: Some(Mode::Test) }
    }
}

/// What an instance of the provider is configured with: a key of the configuration, and the variable that `from_env`
/// reads instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The key in a configuration and the parameter in a DSN, e.g. `client_id`.
    pub name: &'static str,
    /// The variable, e.g. `SPOTIFY_CLIENT_ID`, when there is a usual one.
    pub env: Option<&'static str>,
    /// What it holds and where to get it.
    pub about: &'static str,
    /// What it takes.
    pub kind: SettingKind,
    /// Whether there is no client without it.
    pub required: bool,
    /// How values begin; empty when the vendor does not say. A value that begins otherwise is refused.
    pub shapes: &'static [Shape],
}

impl Setting {
    /// A required text without a variable.
    pub const fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, env: None, about, kind: SettingKind::Text, required: true, shapes: &[] }
    }

    /// Sets the variable.
    #[must_use]
    pub const fn env(mut self, name: &'static str) -> Self {
        self.env = Some(name);
        self
    }

    /// There is a client without it.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// Its value is a secret.
    #[must_use]
    pub const fn secret(self) -> Self {
        self.kind(SettingKind::Secret)
    }

    /// Sets what it takes.
    #[must_use]
    pub const fn kind(mut self, kind: SettingKind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets how values begin.
    #[must_use]
    pub const fn shapes(mut self, shapes: &'static [Shape]) -> Self {
        self.shapes = shapes;
        self
    }

    /// The mode that a value belongs to, when its first characters tell: the longest of the shapes that fits.
    pub fn mode_of(&self, value: &str) -> Option<Mode> {
        let fitting = self.shapes.iter().filter(|shape| value.starts_with(shape.prefix));
        fitting.max_by_key(|shape| shape.prefix.len()).and_then(|shape| shape.mode)
    }

    /// Whether a value begins as one of the shapes says.
    pub(crate) fn fits(&self, value: &str) -> bool {
        self.shapes.iter().any(|shape| value.starts_with(shape.prefix))
    }

    /// Whether its value must be kept out of logs and files.
    pub const fn is_secret(&self) -> bool {
        matches!(self.kind, SettingKind::Secret)
    }
}
