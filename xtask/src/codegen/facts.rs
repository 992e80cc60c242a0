//! `provider.toml`: its shape. What must hold beyond the shape stands in [`judge`](super::judge).

use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use toml::Spanned;
use toml::value::Datetime;

use super::judge::Judge;
use super::oauth::{Choice, OAuth};
use super::vendors::Vendors;
use crate::{Outcome, workspace};

/// A word with its place in the file.
pub(crate) type Word = Spanned<String>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    pub(crate) id: Word,
    pub(crate) name: Word,
    pub(crate) category: Word,
    pub(crate) status: Status,
    pub(crate) summary: Word,
    pub(crate) terms: Word,
    pub(crate) attribution: Option<Word>,
    /// What the provider's feature switches on besides its module, in Cargo's spelling.
    #[serde(default)]
    pub(crate) enables: Vec<String>,
    /// Why the provider may have more hand-written lines than others.
    pub(crate) long: Option<Long>,
    /// Left out of the category's feature: it brings an SDK or a native library.
    #[serde(default)]
    pub(crate) heavy: bool,
    #[serde(default)]
    pub(crate) caps: Vec<Word>,
    /// The vendor's own descriptions, as files below the folder of descriptions.
    #[serde(default)]
    pub(crate) descriptions: Vec<Word>,
    pub(crate) pagination: Pagination,
    pub(crate) webhook: WebhookScheme,
    pub(crate) api: Option<Api>,
    #[serde(default, rename = "host")]
    pub(crate) hosts: Vec<Host>,
    pub(crate) auth: Auth,
    #[serde(default, rename = "setting")]
    pub(crate) settings: Vec<Setting>,
    /// The vendor counts quota by the user's connection, not by the application.
    #[serde(default)]
    pub(crate) quota_per_connection: bool,
    #[serde(default, rename = "bucket")]
    pub(crate) buckets: Vec<Bucket>,
    #[serde(default, rename = "quirk")]
    pub(crate) quirks: Vec<Quirk>,
    #[serde(default, rename = "op")]
    pub(crate) ops: Vec<Op>,
}

/// More hand-written lines than a provider may have, and the reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Long {
    pub(crate) most_lines: usize,
    pub(crate) why: String,
}

/// An enum that is written in kebab-case in `provider.toml` and has the same variants in core.
macro_rules! choices {
    ($name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        pub(crate) enum $name {
            $(#[serde(rename = $text)] $variant,)+
        }

        impl $name {
            pub(crate) fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The path of the variant in generated code.
            pub(crate) fn path(self) -> String {
                format!("{}::{self:?}", stringify!($name))
            }
        }
    };
}

pub(super) use choices;

choices!(Status {
    Full = "full",
    Partial = "partial",
    RestrictedByVendor = "restricted-by-vendor",
    Retired = "retired"
});
choices!(Pagination {
    None = "none",
    Cursor = "cursor",
    Offset = "offset",
    Page = "page",
    Link = "link",
    LastId = "last-id",
    Mixed = "mixed",
});
choices!(AuthKind {
    None = "none",
    Basic = "basic",
    Bearer = "bearer",
    ApiKey = "api-key",
    OAuth2 = "oauth2",
    OAuth1 = "oauth1",
    Signature = "signature",
    ServiceAccount = "service-account",
});
choices!(Safety { Read = "read", Idempotent = "idempotent", Keyed = "keyed", Once = "once" });
choices!(SettingKind {
    Text = "text",
    Secret = "secret",
    Integer = "integer",
    Flag = "flag",
    Duration = "duration",
    Url = "url",
    List = "list",
});
choices!(WebhookScheme {
    None = "none",
    Hmac = "hmac",
    Ed25519 = "ed25519",
    JwtJwks = "jwt-jwks",
    RsaCertChain = "rsa-cert-chain",
    UrlForm = "url-form",
    BasicAuth = "basic-auth",
    Refetch = "refetch",
});

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Api {
    pub(crate) pin: Word,
    pub(crate) source: Word,
    pub(crate) released: Option<Spanned<Datetime>>,
    pub(crate) sunset: Option<Spanned<Datetime>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Host {
    pub(crate) environment: Word,
    pub(crate) url: Word,
    /// The vendor's test mode or sandbox: nothing there is real.
    #[serde(default)]
    pub(crate) test: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    pub(crate) kind: Spanned<AuthKind>,
    pub(crate) oauth: Option<Choice>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    pub(crate) name: Word,
    /// The variable that `from_env` reads.
    pub(crate) env: Option<Word>,
    pub(crate) about: Word,
    #[serde(default = "text")]
    pub(crate) kind: SettingKind,
    #[serde(default = "yes")]
    pub(crate) required: bool,
    #[serde(default)]
    pub(crate) shapes: Vec<Spanned<Shape>>,
}

fn text() -> SettingKind {
    SettingKind::Text
}

/// Whether calls with such a value are real.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    Live,
    Test,
}

/// How a value begins: a text, or a table that also says which mode such a value belongs to.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) prefix: String,
    pub(crate) mode: Option<Mode>,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrTable)
    }
}

/// An untagged enum would answer a misspelt key with "did not match any variant".
struct TextOrTable;

impl<'de> Visitor<'de> for TextOrTable {
    type Value = Shape;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a prefix such as \"sk_\", or a table such as { prefix = \"sk_live_\", mode = \"live\" }")
    }

    fn visit_str<E: de::Error>(self, prefix: &str) -> Result<Shape, E> {
        Ok(Shape { prefix: prefix.to_owned(), mode: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Shape, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            prefix: String,
            mode: Option<Mode>,
        }
        let Table { prefix, mode } = Table::deserialize(MapAccessDeserializer::new(table))?;
        Ok(Shape { prefix, mode })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bucket {
    pub(crate) name: Word,
    /// 0 where the vendor does not say.
    pub(crate) limit: u64,
    pub(crate) per_seconds: Spanned<u64>,
    pub(crate) unit: Word,
    pub(crate) source: Word,
    pub(crate) headers: Option<Word>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quirk {
    pub(crate) id: Word,
    pub(crate) about: Word,
    pub(crate) source: Word,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Op {
    pub(crate) name: Word,
    pub(crate) page: Word,
    pub(crate) doc: Word,
    pub(crate) method: Option<Word>,
    pub(crate) path: Option<Word>,
    pub(crate) safety: Spanned<Safety>,
    pub(crate) bucket: Word,
    pub(crate) cost: Option<Spanned<u32>>,
    pub(crate) cap: Option<Word>,
    pub(crate) description_id: Option<Word>,
    pub(crate) undescribed: Option<Word>,
    pub(crate) response_limit: Option<u64>,
    pub(crate) cache: Option<Spanned<bool>>,
    #[serde(default)]
    pub(crate) not_executed: Vec<Spanned<u16>>,
    pub(crate) key_lifetime_seconds: Option<Spanned<u64>>,
    pub(crate) replays_failures: Option<Spanned<bool>>,
}

/// One provider: its facts and where they stand.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) facts: Facts,
    /// Its OAuth server, also where `provider.toml` only names the vendor.
    pub(crate) oauth: Option<OAuth>,
    /// The folder of `provider.toml`.
    pub(crate) folder: PathBuf,
}

impl Provider {
    /// Reads the facts in `folder`; a failure lists every problem as `file:line: problem`.
    pub(crate) fn load(root: &Path, folder: &Path, vendors: &Vendors) -> Outcome<Self> {
        let path = folder.join("provider.toml");
        let text = workspace::read(&path)?;
        let place = workspace::relative(root, &path);
        let facts: Facts = shaped(&place, &text)?;
        let module = folder.file_name().unwrap_or_default().to_string_lossy();
        Judge::new(&facts, vendors).judge(&module).into_outcome(&place, &text)?;
        let oauth = facts.auth.oauth.as_ref().and_then(|choice| vendors.resolve(choice)).cloned();
        Ok(Self { facts, oauth, folder: folder.to_path_buf() })
    }

    pub(crate) fn id(&self) -> &str {
        self.facts.id.as_ref()
    }

    pub(crate) fn category(&self) -> &str {
        self.facts.category.as_ref()
    }

    /// The name of the provider's module: its id in snake_case.
    pub(crate) fn module(&self) -> String {
        self.id().replace('-', "_")
    }

    /// The folder of the provider's crate.
    pub(crate) fn package(&self) -> &Path {
        self.folder.ancestors().nth(2).unwrap_or(&self.folder)
    }
}

/// Reads a file's text; a failure names the line, and what may have been meant.
pub(super) fn shaped<T: DeserializeOwned>(place: &str, text: &str) -> Outcome<T> {
    toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(1, |span| line_of(text, span.start));
        format!("{place}:{line}: {}", with_suggestion(e.message()))
    })
}

pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// Adds "did you mean" to serde's "unknown field `x`, expected one of `a`, `b`".
fn with_suggestion(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let suggestion = quoted.next().and_then(|word| nearest(word, quoted));
    match suggestion {
        Some(name) if message.starts_with("unknown") => format!("{message}; did you mean `{name}`?"),
        _ => message.to_owned(),
    }
}

/// The name that is at most a third of its letters away from `word`.
pub(super) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (distance(word, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance, with one row of memory.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::codegen::fixture::{Fixture, NOTES};

    pub(in super::super) fn problems(from: &str, to: &str) -> String {
        assert!(NOTES.contains(from), "the fixture has no `{from}`");
        let fixture = Fixture::new(&[("example", "notes", &NOTES.replacen(from, to, 1))]);
        let folder = fixture.root().join("crates/integrations-example/src/notes");
        let vendors = Vendors::load(fixture.root()).unwrap();
        Provider::load(fixture.root(), &folder, &vendors).map_or_else(|e| e, |_| String::new())
    }

    #[test]
    fn facts_of_the_right_shape_are_taken() {
        assert_eq!(problems("id", "id"), "");
    }

    #[test]
    fn a_wrong_word_is_named_with_file_line_and_what_was_meant() {
        let place = "crates/integrations-example/src/notes/provider.toml";
        let line = NOTES.lines().position(|l| l.starts_with("safety")).unwrap() + 1;
        let error = problems("safety =", "saftey =");
        assert!(error.starts_with(&format!("{place}:{line}: unknown field `saftey`")), "{error}");
        assert!(error.ends_with("did you mean `safety`?"), "{error}");
    }
}
