//! `provider.toml`: its shape, and what must hold beyond the shape.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

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
    /// Left out of the category's feature: it brings an SDK or a native library.
    #[serde(default)]
    pub(crate) heavy: bool,
    #[serde(default)]
    pub(crate) caps: Vec<Word>,
    pub(crate) pagination: Pagination,
    pub(crate) webhook: WebhookScheme,
    pub(crate) api: Option<Api>,
    #[serde(default, rename = "host")]
    pub(crate) hosts: Vec<Host>,
    pub(crate) auth: Auth,
    #[serde(default)]
    pub(crate) env: Vec<Env>,
    #[serde(default, rename = "bucket")]
    pub(crate) buckets: Vec<Bucket>,
    #[serde(default, rename = "quirk")]
    pub(crate) quirks: Vec<Quirk>,
    #[serde(default, rename = "op")]
    pub(crate) ops: Vec<Op>,
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
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    pub(crate) kind: Spanned<AuthKind>,
    pub(crate) oauth: Option<OAuth>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OAuth {
    pub(crate) token_url: Word,
    pub(crate) authorize_url: Option<Word>,
    pub(crate) revoke_url: Option<Word>,
    pub(crate) device_url: Option<Word>,
    #[serde(default = "yes")]
    pub(crate) pkce: bool,
    pub(crate) scope_separator: Option<char>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Env {
    pub(crate) name: Word,
    pub(crate) about: Word,
    #[serde(default)]
    pub(crate) optional: bool,
    #[serde(default)]
    pub(crate) secret: bool,
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
    /// The folder of `provider.toml`.
    pub(crate) folder: PathBuf,
}

impl Provider {
    /// Reads the facts in `folder`; a failure lists every problem as `file:line: problem`.
    pub(crate) fn load(root: &Path, folder: &Path) -> Outcome<Self> {
        let path = folder.join("provider.toml");
        let text = workspace::read(&path)?;
        let place = workspace::relative(root, &path);
        let facts: Facts = toml::from_str(&text).map_err(|e| {
            let line = e.span().map_or(1, |span| line_of(&text, span.start));
            format!("{place}:{line}: {}", with_suggestion(e.message()))
        })?;
        let module = folder.file_name().unwrap_or_default().to_string_lossy();
        let problems = Judge::new(&facts).judge(&module);
        if problems.is_empty() {
            return Ok(Self { facts, folder: folder.to_path_buf() });
        }
        let lines: Vec<String> =
            problems.iter().map(|p| format!("{place}:{}: {}", line_of(&text, p.at), p.message)).collect();
        Err(lines.join("\n"))
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

fn line_of(text: &str, at: usize) -> usize {
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
fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
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

struct Problem {
    at: usize,
    message: String,
}

/// Collects what is wrong in facts of the right shape.
struct Judge<'a> {
    facts: &'a Facts,
    problems: Vec<Problem>,
}

impl<'a> Judge<'a> {
    fn new(facts: &'a Facts) -> Self {
        Self { facts, problems: Vec::new() }
    }

    fn judge(mut self, module: &str) -> Vec<Problem> {
        let facts = self.facts;
        self.words(&[&facts.name, &facts.summary]);
        self.urls(&[&facts.terms]);
        self.spelled(&facts.id, is_kebab, "kebab-case");
        let expected = facts.id.as_ref().replace('-', "_");
        self.when(module != expected, facts.id.span(), format!("the folder is `{module}`, not `{expected}`"));
        self.unique("capability", facts.caps.iter());
        self.api();
        self.hosts();
        self.auth();
        self.env();
        self.quotas();
        facts.ops.iter().for_each(|op| self.op(op));
        self.unique("operation", facts.ops.iter().map(|op| &op.name));
        self.problems
    }

    fn api(&mut self) {
        let Some(api) = &self.facts.api else { return };
        self.words(&[&api.pin]);
        self.urls(&[&api.source]);
        for day in [&api.released, &api.sunset].into_iter().flatten() {
            let is_day = day.as_ref().date.is_some() && day.as_ref().time.is_none();
            self.when(!is_day, day.span(), "a day is written as 2027-01-31".to_owned());
        }
    }

    fn hosts(&mut self) {
        let hosts = &self.facts.hosts;
        self.unique("environment", hosts.iter().map(|host| &host.environment));
        for host in hosts {
            self.urls(&[&host.url]);
            let has_slash = host.url.as_ref().ends_with('/');
            self.when(has_slash, host.url.span(), "a host's address ends without a slash".to_owned());
        }
    }

    fn auth(&mut self) {
        let auth = &self.facts.auth;
        let is_oauth = *auth.kind.as_ref() == AuthKind::OAuth2;
        let message = "`[auth.oauth]` belongs to kind `oauth2`, and only to it";
        self.when(is_oauth != auth.oauth.is_some(), auth.kind.span(), message.to_owned());
        let Some(oauth) = &auth.oauth else { return };
        self.urls(&[&oauth.token_url]);
        for url in [&oauth.authorize_url, &oauth.revoke_url, &oauth.device_url].into_iter().flatten() {
            self.urls(&[url]);
        }
    }

    fn env(&mut self) {
        let env = &self.facts.env;
        self.unique("variable", env.iter().map(|variable| &variable.name));
        for variable in env {
            self.words(&[&variable.about]);
            self.spelled(&variable.name, is_screaming, "SCREAMING_SNAKE_CASE");
        }
    }

    fn quotas(&mut self) {
        let facts = self.facts;
        self.unique("bucket", facts.buckets.iter().map(|bucket| &bucket.name));
        for bucket in &facts.buckets {
            self.words(&[&bucket.name, &bucket.unit]);
            self.urls(&[&bucket.source]);
            let per = &bucket.per_seconds;
            self.when(*per.as_ref() == 0, per.span(), "a window lasts at least one second".to_owned());
        }
        self.unique("quirk", facts.quirks.iter().map(|quirk| &quirk.id));
        for quirk in &facts.quirks {
            self.words(&[&quirk.id, &quirk.about]);
            self.urls(&[&quirk.source]);
        }
    }

    fn op(&mut self, op: &Op) {
        self.words(&[&op.page]);
        self.urls(&[&op.doc]);
        self.spelled(&op.name, is_snake, "snake_case");
        self.http(op);
        self.one_of(&op.bucket, "bucket", self.facts.buckets.iter().map(|bucket| bucket.name.as_ref()));
        if let Some(cap) = &op.cap {
            self.one_of(cap, "capability", self.facts.caps.iter().map(Spanned::as_ref));
        }
        let named = [&op.description_id, &op.undescribed].into_iter().flatten().count();
        let message = "give `description_id`, or say in `undescribed` why the vendor's description lacks it";
        self.when(named != 1, op.name.span(), message.to_owned());
        self.safety(op);
    }

    fn http(&mut self, op: &Op) {
        match (&op.method, &op.path) {
            (None, None) => {}
            (Some(method), Some(path)) => {
                self.one_of(method, "method", METHODS.iter().copied());
                let starts = path.as_ref().starts_with('/');
                self.when(!starts, path.span(), "a path starts with `/`".to_owned());
            }
            _ => self.push(op.name.span(), "`method` and `path` go together".to_owned()),
        }
    }

    fn safety(&mut self, op: &Op) {
        let safety = *op.safety.as_ref();
        let keyed = safety == Safety::Keyed;
        if let Some(lifetime) = &op.key_lifetime_seconds {
            self.when(!keyed, lifetime.span(), "only a `keyed` operation has a key".to_owned());
        }
        if let Some(replays) = &op.replays_failures {
            self.when(!keyed, replays.span(), "only a `keyed` operation has a key".to_owned());
        }
        if let Some(cache) = &op.cache {
            self.when(safety != Safety::Read, cache.span(), "only a `read` may be cached".to_owned());
        }
        if let Some(cost) = &op.cost {
            self.when(*cost.as_ref() == 0, cost.span(), "an attempt costs at least one unit".to_owned());
        }
        for status in &op.not_executed {
            let is_error = (400..600).contains(status.as_ref());
            self.when(!is_error, status.span(), "only 400 to 599 can mean \"not executed\"".to_owned());
        }
    }

    fn words(&mut self, words: &[&Word]) {
        for word in words {
            self.when(word.as_ref().trim().is_empty(), word.span(), "must not be empty".to_owned());
        }
    }

    fn urls(&mut self, urls: &[&Word]) {
        for url in urls {
            let is_url = url.as_ref().starts_with("https://") && !url.as_ref().contains(char::is_whitespace);
            self.when(!is_url, url.span(), format!("`{}` is not an https address", url.as_ref()));
        }
    }

    fn spelled(&mut self, word: &Word, is_right: fn(&str) -> bool, style: &str) {
        self.when(!is_right(word.as_ref()), word.span(), format!("`{}` is not {style}", word.as_ref()));
    }

    fn unique(&mut self, what: &str, words: impl Iterator<Item = &'a Word>) {
        let mut seen = BTreeSet::new();
        for word in words {
            let again = !seen.insert(word.as_ref());
            self.when(again, word.span(), format!("the {what} `{}` stands here twice", word.as_ref()));
        }
    }

    fn one_of<'b>(
        &mut self,
        word: &Word,
        what: &str,
        names: impl Iterator<Item = &'b (impl AsRef<str> + ?Sized + 'b)>,
    ) {
        let names: Vec<&str> = names.map(AsRef::as_ref).collect();
        if names.contains(&word.as_ref().as_str()) {
            return;
        }
        let suggestion = nearest(word.as_ref(), names.iter().copied());
        let suggestion = suggestion.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        self.push(word.span(), format!("there is no {what} `{}`{suggestion}", word.as_ref()));
    }

    fn when(&mut self, is_wrong: bool, span: Range<usize>, message: String) {
        if is_wrong {
            self.push(span, message);
        }
    }

    fn push(&mut self, span: Range<usize>, message: String) {
        self.problems.push(Problem { at: span.start, message });
    }
}

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// Lower-case letters, digits and `-`, a letter first.
pub(crate) fn is_kebab(text: &str) -> bool {
    starts_with_letter(text) && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_snake(text: &str) -> bool {
    starts_with_letter(text) && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_screaming(text: &str) -> bool {
    starts_with_letter(text) && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

fn starts_with_letter(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codegen::fixture::{Fixture, NOTES};

    fn problems(from: &str, to: &str) -> String {
        assert!(NOTES.contains(from), "the fixture has no `{from}`");
        let fixture = Fixture::new(&[("example", "notes", &NOTES.replacen(from, to, 1))]);
        let folder = fixture.root().join("crates/integrations-example/src/notes");
        Provider::load(fixture.root(), &folder).map_or_else(|e| e, |_| String::new())
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

    #[test]
    fn each_rule_beyond_the_shape_is_enforced() {
        let table = [
            ("safety = \"read\"", "safety = \"reed\"", "did you mean `read`?"),
            ("doc = \"https", "doc = \"http", "is not an https address"),
            ("doc = ", "# doc = ", "missing field `doc`"),
            ("id = \"notes\"", "id = \"other\"", "the folder is `notes`, not `other`"),
            ("bucket = \"api\"", "bucket = \"apy\"", "there is no bucket `apy`; did you mean `api`?"),
            ("cap = \"read\"", "cap = \"raed\"", "did you mean `read`?"),
            ("method = \"GET\"", "method = \"GTE\"", "there is no method `GTE`; did you mean `GET`?"),
            ("path = \"/notes/{id}\"", "path = \"notes/{id}\"", "a path starts with `/`"),
            ("path = ", "# path = ", "`method` and `path` go together"),
            ("description_id = ", "# description_id = ", "say in `undescribed`"),
            ("name = \"get_note\"", "name = \"create_note\"", "stands here twice"),
            ("kind = \"bearer\"", "kind = \"oauth2\"", "`[auth.oauth]` belongs to kind `oauth2`"),
            ("NOTES_TOKEN", "notes_token", "is not SCREAMING_SNAKE_CASE"),
            ("sunset = 2027-06-30", "sunset = 2027-06-30T00:00:00", "a day is written as"),
            ("per_seconds = 60", "per_seconds = 0", "at least one second"),
            ("https://api.notes.example/v1\"", "https://api.notes.example/v1/\"", "without a slash"),
            ("safety = \"keyed\"", "safety = \"once\"", "only a `keyed` operation has a key"),
            ("cache = true", "cache = true\nnot_executed = [200]", "only 400 to 599"),
            ("summary = \"A", "summary = \"\" # \"A", "must not be empty"),
        ];
        for (from, to, expected) in table {
            let error = problems(from, to);
            assert!(error.contains(expected), "{from} -> {to}: {error}");
        }
    }
}
