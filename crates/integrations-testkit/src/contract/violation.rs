//! What is wrong, as data.

use std::fmt;

use serde_json::Value;

/// The longest value that a violation shows, in characters.
const SHOWN: usize = 32;

/// The longest segment of a path that is shown, in bytes.
const SHOWN_SEGMENT: usize = 18;

/// Parts of names whose values are never shown.
const SECRET_NAMES: &[&str] =
    &["auth", "cookie", "token", "secret", "passw", "key", "credential", "signature", "assertion", "session"];

/// Which rule a request or a response breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rule {
    /// No operation has this method and path.
    UnknownOperation,
    /// The operation has no such query parameter.
    UnknownParameter,
    /// A required parameter of path, query or header is not given.
    MissingParameter,
    /// A parameter is written in another style than the described one.
    Style,
    /// A value has another type than the described one.
    Type,
    /// A value is none of the listed ones.
    Enum,
    /// A text is not of the described format.
    Format,
    /// A text does not match the described pattern.
    Pattern,
    /// A length, a number or a count is out of the described limits.
    Limit,
    /// A value is none of the described alternatives, or one that is excluded.
    Alternatives,
    /// A required field is missing.
    MissingField,
    /// A field that the description does not name.
    UnknownField,
    /// A request sets a field that only the service may set.
    ReadOnly,
    /// The content type is none of the described ones.
    ContentType,
    /// There is a body, and the operation takes or gives none.
    UnexpectedBody,
    /// There is no body, and the operation requires one.
    MissingBody,
    /// The body is not what its content type says.
    Malformed,
    /// The description knows no answer of this status.
    UnknownStatus,
}

impl Rule {
    /// The name in reports, such as `unknown-field`.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownOperation => "unknown-operation",
            Self::UnknownParameter => "unknown-parameter",
            Self::MissingParameter => "missing-parameter",
            Self::Style => "style",
            Self::Type => "type",
            Self::Enum => "enum",
            Self::Format => "format",
            Self::Pattern => "pattern",
            Self::Limit => "limit",
            Self::Alternatives => "alternatives",
            Self::MissingField => "missing-field",
            Self::UnknownField => "unknown-field",
            Self::ReadOnly => "read-only",
            Self::ContentType => "content-type",
            Self::UnexpectedBody => "unexpected-body",
            Self::MissingBody => "missing-body",
            Self::Malformed => "malformed",
            Self::UnknownStatus => "unknown-status",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that is wrong. Its `Display` is one line.
///
/// A value is quoted only when it is short and its name does not look like a secret's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Where: `query limit`, `header x-version`, `path id`, or `body` with the JSON pointer, as in `body /items/0`.
    pub at: String,
    /// What is wrong there, in one line.
    pub what: String,
    /// The rule that is broken.
    pub rule: Rule,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.at, self.what, self.rule)
    }
}

impl Violation {
    pub(super) fn new(at: impl Into<String>, rule: Rule, what: impl Into<String>) -> Self {
        // One line each, whatever a name of the description or of the request holds.
        let one_line = |text: String| text.replace(char::is_control, " ");
        Self { at: one_line(at.into()), what: one_line(what.into()), rule }
    }
}

/// The value, if it may be shown at this place.
pub(super) fn shown(at: &str, value: &Value) -> String {
    let place = at.to_ascii_lowercase();
    let text = value.to_string();
    let is_secret = SECRET_NAMES.iter().any(|part| place.contains(part));
    let is_short = !value.is_object() && !value.is_array() && text.chars().count() <= SHOWN;
    if is_short && !is_secret { text } else { "the value".to_owned() }
}

/// A path without its long segments: addresses of webhooks carry their secret there.
pub(super) fn shown_path(path: &str) -> String {
    let shown = |segment| if str::len(segment) > SHOWN_SEGMENT { "…" } else { segment };
    path.split('/').map(shown).collect::<Vec<_>>().join("/")
}
