//! The facts of an OAuth server: their shape, what must hold in them, and the source that they become.
//!
//! They stand in a vendor's file, or in the `provider.toml` of the only provider that has such a server.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use toml::Spanned;

use super::facts::{Word, choices};
use super::problems::{Problems, is_snake};
use super::spec::{Chain, constructor, duration, literal};

/// Names with their values; those of parameters and fields are the standard's.
type Pairs = BTreeMap<Word, Word>;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OAuth {
    pub(super) token_url: Word,
    authorize_url: Option<Word>,
    refresh_url: Option<Word>,
    revoke_url: Option<Word>,
    introspect_url: Option<Word>,
    device_url: Option<Word>,
    issuer: Option<Word>,
    #[serde(default)]
    vars: Pairs,
    pkce: Option<Pkce>,
    client_auth: Option<ClientAuth>,
    token_body: Option<TokenBody>,
    #[serde(default)]
    renames: Pairs,
    scope_separator: Option<char>,
    #[serde(default)]
    default_scopes: Vec<Word>,
    #[serde(default)]
    authorize_params: Pairs,
    #[serde(default)]
    token_params: Pairs,
    #[serde(default)]
    refresh_params: Pairs,
    client_grant: Option<Word>,
    refresh: Option<Refresh>,
    upgrade: Option<Exchange>,
    extend: Option<Exchange>,
    reply_root: Option<Word>,
    #[serde(default)]
    reply_renames: Pairs,
    lifetime_seconds: Option<Spanned<u64>>,
    scheme: Option<Word>,
    #[serde(default)]
    reauth_codes: Vec<Word>,
    #[serde(default)]
    limit_codes: Vec<Word>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    url: Word,
    grant: Word,
    token_param: Word,
    #[serde(default)]
    with_client: bool,
}

choices!(Pkce { S256 = "s256", S256Hex = "s256-hex", None = "none" });
choices!(ClientAuth {
    Basic = "basic",
    Body = "body",
    BasicRaw = "basic-raw",
    BasicSecret = "basic-secret"
});
choices!(TokenBody { Form = "form", Json = "json", Query = "query" });
choices!(Refresh {
    Static = "static",
    Rotating = "rotating",
    Lenient = "lenient",
    Extend = "extend",
    None = "none",
});

/// What `[auth]` says of a provider's OAuth server: the name of a vendor, or its facts.
#[derive(Debug)]
pub(crate) enum Choice {
    Vendor(Word),
    Own(Box<OAuth>),
}

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let choice = Spanned::<NameOrTable>::deserialize(deserializer)?;
        let span = choice.span();
        Ok(match choice.into_inner() {
            NameOrTable::Name(name) => Self::Vendor(Spanned::new(span, name)),
            NameOrTable::Table(oauth) => Self::Own(oauth),
        })
    }
}

enum NameOrTable {
    Name(String),
    Table(Box<OAuth>),
}

impl<'de> Deserialize<'de> for NameOrTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherVisitor)
    }
}

/// An untagged enum would answer a misspelt key with "did not match any variant".
struct EitherVisitor;

impl<'de> Visitor<'de> for EitherVisitor {
    type Value = NameOrTable;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name of a vendor such as \"google\", or a table of facts")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<NameOrTable, E> {
        Ok(NameOrTable::Name(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<NameOrTable, A::Error> {
        OAuth::deserialize(MapAccessDeserializer::new(table)).map(Box::new).map(NameOrTable::Table)
    }
}

impl OAuth {
    /// The value as an expression of Rust.
    pub(super) fn source(&self) -> String {
        let mut chain = Chain::new(constructor("OAuth", &[&self.token_url]));
        for (key, argument) in self.given() {
            chain.call(key.trim_end_matches("_seconds"), &[argument]);
        }
        chain.text
    }

    /// The keys that the file has, besides `token_url`, with their values as expressions of Rust.
    fn given(&self) -> Vec<(&'static str, String)> {
        let text = |word: &Option<Word>| word.as_ref().map(literal);
        let rows = [
            ("authorize_url", text(&self.authorize_url)),
            ("refresh_url", text(&self.refresh_url)),
            ("revoke_url", text(&self.revoke_url)),
            ("introspect_url", text(&self.introspect_url)),
            ("device_url", text(&self.device_url)),
            ("issuer", text(&self.issuer)),
            ("vars", pairs(&self.vars)),
            ("pkce", self.pkce.map(Pkce::path)),
            ("client_auth", self.client_auth.map(ClientAuth::path)),
            ("token_body", self.token_body.map(TokenBody::path)),
            ("renames", pairs(&self.renames)),
            ("scope_separator", self.scope_separator.map(|separator| format!("{separator:?}"))),
            ("default_scopes", texts(&self.default_scopes)),
            ("authorize_params", pairs(&self.authorize_params)),
            ("token_params", pairs(&self.token_params)),
            ("refresh_params", pairs(&self.refresh_params)),
            ("client_grant", text(&self.client_grant)),
            ("refresh", self.refresh.map(Refresh::path)),
            ("upgrade", self.upgrade.as_ref().map(exchange)),
            ("extend", self.extend.as_ref().map(exchange)),
            ("reply_root", text(&self.reply_root)),
            ("reply_renames", pairs(&self.reply_renames)),
            ("lifetime_seconds", self.lifetime_seconds.as_ref().map(|s| duration(*s.as_ref()))),
            ("scheme", text(&self.scheme)),
            ("reauth_codes", texts(&self.reauth_codes)),
            ("limit_codes", texts(&self.limit_codes)),
        ];
        rows.into_iter().filter_map(|(key, argument)| Some((key, argument?))).collect()
    }

    /// The keys that the file has.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once("token_url").chain(self.given().into_iter().map(|(key, _)| key))
    }

    /// What users of a provider should know: a name and a value.
    pub(super) fn told(&self) -> [(&'static str, String); 4] {
        let refresh = self.refresh.unwrap_or(Refresh::Rotating);
        let token_url = format!("`{}`", self.token_url.as_ref());
        [
            ("OAuth, tokens from", token_url),
            ("OAuth, proof key", self.pkce.unwrap_or(Pkce::S256).text().to_owned()),
            (
                "OAuth, client proves itself",
                format!(
                    "{}, {}",
                    self.client_auth.unwrap_or(ClientAuth::Basic).text(),
                    self.token_body.unwrap_or(TokenBody::Form).text()
                ),
            ),
            ("OAuth, refresh tokens", refresh.text().to_owned()),
        ]
    }

    /// What must hold beyond the shape.
    pub(super) fn judge(&self, problems: &mut Problems) {
        self.addresses(problems);
        self.names(problems);
        self.flow(problems);
        self.refreshing(problems);
    }

    fn addresses(&self, problems: &mut Problems) {
        let mut used = BTreeSet::new();
        for url in self.urls() {
            problems.urls(&[url]);
            let Some(parts) = variable_parts(url.as_ref()) else {
                problems.push(url.span(), format!("the braces of `{}` do not match", url.as_ref()));
                continue;
            };
            for part in parts {
                let is_declared = self.vars.keys().any(|name| name.as_ref() == part);
                problems.when(!is_declared, url.span(), format!("`vars` lacks `{part}`"));
                used.insert(part);
            }
        }
        for name in self.vars.keys() {
            problems.spelled(name, is_snake, "snake_case");
            let is_used = used.contains(name.as_ref().as_str());
            problems.when(!is_used, name.span(), format!("no address has a part `{{{}}}`", name.as_ref()));
        }
    }

    fn urls(&self) -> impl Iterator<Item = &Word> {
        let exchanges = [&self.upgrade, &self.extend].into_iter().flatten().map(|exchange| &exchange.url);
        let optional = [
            &self.authorize_url,
            &self.refresh_url,
            &self.revoke_url,
            &self.introspect_url,
            &self.device_url,
            &self.issuer,
        ];
        std::iter::once(&self.token_url).chain(optional.into_iter().flatten()).chain(exchanges)
    }

    fn names(&self, problems: &mut Problems) {
        for (known, what, pairs) in
            [(PARAMETERS, "parameter", &self.renames), (FIELDS, "field of an answer", &self.reply_renames)]
        {
            for (standard, vendors) in pairs {
                problems.one_of(standard, what, known.iter().copied());
                problems.words(&[vendors]);
                let message = format!("`{}` is what the standard calls it", vendors.as_ref());
                problems.when(standard.as_ref() == vendors.as_ref(), vendors.span(), message);
            }
        }
        problems
            .words(&self.reply_root.iter().chain(&self.scheme).chain(&self.client_grant).collect::<Vec<_>>());
        let codes = || self.reauth_codes.iter().chain(&self.limit_codes);
        problems.words(&self.default_scopes.iter().chain(codes()).collect::<Vec<_>>());
        problems.unique("scope", self.default_scopes.iter());
        problems.unique("code", codes());
        for code in &self.reauth_codes {
            let message = "`invalid_grant` means that everywhere".to_owned();
            problems.when(code.as_ref() == "invalid_grant", code.span(), message);
        }
    }

    fn flow(&self, problems: &mut Problems) {
        let without_user = self.authorize_url.is_none();
        for params in [&self.authorize_params, &self.token_params, &self.refresh_params] {
            for name in params.keys() {
                let is_ours = PARAMETERS.contains(&name.as_ref().as_str());
                let message = format!("`{}` is set by the flow itself", name.as_ref());
                problems.when(is_ours, name.span(), message);
            }
        }
        for name in self.authorize_params.keys() {
            let message = "without `authorize_url` there is no address for parameters".to_owned();
            problems.when(without_user, name.span(), message);
        }
        let separates =
            self.scope_separator.is_none_or(|separator| separator == ' ' || separator.is_ascii_punctuation());
        let message = "scopes are separated by a space or a mark".to_owned();
        problems.when(!separates, self.token_url.span(), message);
        if let Some(seconds) = &self.lifetime_seconds {
            problems.when(
                *seconds.as_ref() == 0,
                seconds.span(),
                "a token lives at least one second".to_owned(),
            );
        }
    }

    fn refreshing(&self, problems: &mut Problems) {
        let refresh = self.refresh.unwrap_or(Refresh::Rotating);
        let extends = refresh == Refresh::Extend;
        let message = "`extend` belongs to `refresh = \"extend\"`, and only to it".to_owned();
        problems.when(extends != self.extend.is_some(), self.token_url.span(), message);
        let has_tokens = !matches!(refresh, Refresh::Extend | Refresh::None);
        let message = || "there are no refresh tokens to send there".to_owned();
        if let Some(url) = &self.refresh_url {
            problems.when(!has_tokens, url.span(), message());
        }
        for name in self.refresh_params.keys() {
            problems.when(!has_tokens, name.span(), message());
        }
        for exchange in [&self.upgrade, &self.extend].into_iter().flatten() {
            problems.words(&[&exchange.grant, &exchange.token_param]);
        }
    }
}

/// What the flows send, by the names of RFC 6749, RFC 7636 and OpenID Connect.
const PARAMETERS: &[&str] = &[
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "nonce",
    "redirect_uri",
    "refresh_token",
    "response_type",
    "scope",
    "state",
];

/// What answers hold, by the names of RFC 6749 and those that are usual beside it.
const FIELDS: &[&str] = &[
    "access_token",
    "error",
    "error_description",
    "expires_at",
    "expires_in",
    "id_token",
    "refresh_token",
    "refresh_token_expires_at",
    "refresh_token_expires_in",
    "scope",
    "token_type",
];

/// The names in braces; `None` when a brace is alone.
fn variable_parts(url: &str) -> Option<Vec<&str>> {
    let mut pieces = url.split('{');
    if pieces.next().is_some_and(|start| start.contains('}')) {
        return None;
    }
    let name =
        |piece| str::split_once(piece, '}').filter(|(_, rest)| !rest.contains('}')).map(|(name, _)| name);
    pieces.map(name).collect()
}

fn texts(words: &[Word]) -> Option<String> {
    let words: Vec<String> = words.iter().map(literal).collect();
    (!words.is_empty()).then(|| format!("&[{}]", words.join(", ")))
}

fn pairs(pairs: &Pairs) -> Option<String> {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("({}, {})", literal(name), literal(value))).collect();
    (!pairs.is_empty()).then(|| format!("&[{}]", pairs.join(", ")))
}

fn exchange(exchange: &Exchange) -> String {
    let mut chain =
        Chain::new(constructor("Exchange", &[&exchange.url, &exchange.grant, &exchange.token_param]));
    chain.flag("with_client", exchange.with_client);
    chain.text
}
