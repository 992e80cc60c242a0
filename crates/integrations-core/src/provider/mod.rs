//! A provider's facts as data: where it is, which version of its API we speak, how it authenticates and limits, what
//! it can do. One [`ProviderSpec`] per provider, made by `cargo xtask codegen` from the provider's `provider.toml`.
//!
//! Everything is `&'static` and const-constructible. The structs are `#[non_exhaustive]` and built by chained const
//! functions, because generated code in other crates must go on compiling when a fact is added.
//!
//! ```
//! use integrations_core::provider::{AuthKind, Bucket, Host, OpRow, ProviderSpec, Status};
//! use integrations_core::{Op, Safety};
//!
//! static GET_NOTE: Op = Op::new("notes", "get_note", Safety::Read).http("GET", "/notes/{id}");
//! static SPEC: ProviderSpec = ProviderSpec::new("notes", "Notes", "example", Status::Full)
//!     .hosts(&[Host::new("production", "https://api.notes.example/v1")])
//!     .auth(AuthKind::Bearer)
//!     .buckets(&[Bucket::new("default", 60, 60, "requests", "https://notes.example/docs/limits")])
//!     .ops(&[OpRow::new(&GET_NOTE, "Get a note", "https://notes.example/docs/get-note").cap("read")]);
//!
//! assert_eq!(SPEC.host("production"), Some("https://api.notes.example/v1"));
//! assert_eq!(SPEC.op("get_note").and_then(|row| row.cap), Some("read"));
//! ```

mod oauth;
mod setting;

use std::time::Duration;

use jiff::civil::Date;

use crate::error::Error;
use crate::op::Op;

pub use oauth::{ClientAuth, Exchange, OAuth, Pkce, Refresh, TokenBody};
pub use setting::{Mode, Setting, SettingKind, Shape};

/// How much of a service its provider covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Everything that the category asks for and the vendor has.
    Full,
    /// A part; the capability matrix says which.
    Partial,
    /// The vendor admits few or no new applications, or asks for an approval of each.
    RestrictedByVendor,
    /// The vendor has shut the API down or announced the day.
    Retired,
}

impl Status {
    /// The status as written in `provider.toml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::RestrictedByVendor => "restricted-by-vendor",
            Self::Retired => "retired",
        }
    }
}

/// How calls prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthKind {
    /// Not at all.
    None,
    /// A name and a password in the `Authorization` header.
    Basic,
    /// A long-lived token in the `Authorization` header.
    Bearer,
    /// A key in a header or parameter of the vendor's own.
    ApiKey,
    /// OAuth 2, with the parameters in [`ProviderSpec::oauth`].
    OAuth2,
    /// OAuth 1.0a signatures.
    OAuth1,
    /// Each request is signed (SigV4, HMAC).
    Signature,
    /// A signed JWT, by itself or exchanged for a token.
    ServiceAccount,
}

impl AuthKind {
    /// The kind as written in `provider.toml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
            Self::ApiKey => "api-key",
            Self::OAuth2 => "oauth2",
            Self::OAuth1 => "oauth1",
            Self::Signature => "signature",
            Self::ServiceAccount => "service-account",
        }
    }
}

/// How lists are cut into pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pagination {
    /// There are no lists, or they come whole.
    None,
    /// Each answer holds an opaque cursor or token for the next page.
    Cursor,
    /// The caller counts items: offset and limit.
    Offset,
    /// The caller counts pages.
    Page,
    /// The `Link` header (RFC 8288) or a field holds the whole next address.
    Link,
    /// The id of the last item seen is sent back.
    LastId,
    /// It differs from operation to operation.
    Mixed,
}

impl Pagination {
    /// The style as written in `provider.toml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Cursor => "cursor",
            Self::Offset => "offset",
            Self::Page => "page",
            Self::Link => "link",
            Self::LastId => "last-id",
            Self::Mixed => "mixed",
        }
    }
}

/// How the vendor's webhooks are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebhookScheme {
    /// The vendor sends none.
    None,
    /// A keyed hash over the raw body, often with a time stamp.
    Hmac,
    /// An Ed25519 signature.
    Ed25519,
    /// A JWT whose keys are published.
    JwtJwks,
    /// An RSA signature under a certificate chain.
    RsaCertChain,
    /// A keyed hash over the address and the form's fields.
    UrlForm,
    /// A name and a password of the receiver.
    BasicAuth,
    /// Unsigned: a delivery is a claim, to be confirmed through the API.
    Refetch,
}

impl WebhookScheme {
    /// The scheme as written in `provider.toml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Hmac => "hmac",
            Self::Ed25519 => "ed25519",
            Self::JwtJwks => "jwt-jwks",
            Self::RsaCertChain => "rsa-cert-chain",
            Self::UrlForm => "url-form",
            Self::BasicAuth => "basic-auth",
            Self::Refetch => "refetch",
        }
    }
}

/// The address of a service in one of its environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Host {
    /// `production`, `sandbox`, or a region such as `eu`.
    pub environment: &'static str,
    /// The base address, with the path that all operations share and without a trailing slash.
    pub url: &'static str,
    /// Whether calls there are real.
    pub mode: Mode,
}

impl Host {
    /// A host where calls are real.
    pub const fn new(environment: &'static str, url: &'static str) -> Self {
        Self { environment, url, mode: Mode::Live }
    }

    /// Says that this is the vendor's test mode or sandbox.
    #[must_use]
    pub const fn test(mut self) -> Self {
        self.mode = Mode::Test;
        self
    }
}

/// The version of the vendor's API that we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiVersion {
    /// The version as the vendor spells it.
    pub pin: &'static str,
    /// The vendor's page that says so.
    pub source: &'static str,
    /// When the vendor released it.
    pub released: Option<Date>,
    /// When the vendor will stop to serve it; `None` when no day is announced.
    pub sunset: Option<Date>,
}

impl ApiVersion {
    /// A version and the page that documents it.
    pub const fn new(pin: &'static str, source: &'static str) -> Self {
        Self { pin, source, released: None, sunset: None }
    }

    /// Sets the day of release. Panics, in a constant at compile time, when there is no such day.
    #[must_use]
    pub const fn released(mut self, year: i16, month: i8, day: i8) -> Self {
        self.released = Some(Date::constant(year, month, day));
        self
    }

    /// Sets the day of sunset. Panics, in a constant at compile time, when there is no such day.
    #[must_use]
    pub const fn sunset(mut self, year: i16, month: i8, day: i8) -> Self {
        self.sunset = Some(Date::constant(year, month, day));
        self
    }
}

/// A quota that several operations share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bucket {
    /// The name that [`Op::bucket`] refers to.
    pub name: &'static str,
    /// How many units fit in one window; 0 when the vendor does not say.
    pub limit: u64,
    /// The length of a window.
    pub per: Duration,
    /// What is counted: `requests`, `points`, `messages`.
    pub unit: &'static str,
    /// The vendor's page that says so.
    pub source: &'static str,
    /// The dialect of the headers that tell what is left, by its name in core's quota module.
    pub headers: Option<&'static str>,
}

impl Bucket {
    /// A quota of `limit` units in `per_seconds` seconds.
    pub const fn new(
        name: &'static str,
        limit: u64,
        per_seconds: u64,
        unit: &'static str,
        source: &'static str,
    ) -> Self {
        Self { name, limit, per: Duration::from_secs(per_seconds), unit, source, headers: None }
    }

    /// Sets the dialect of the headers.
    #[must_use]
    pub const fn headers(mut self, dialect: &'static str) -> Self {
        self.headers = Some(dialect);
        self
    }
}

/// Where a vendor departs from what its category promises; printed in the provider's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quirk {
    /// A stable name that a conformance suite may ask for.
    pub id: &'static str,
    /// What differs, in one sentence.
    pub about: &'static str,
    /// The vendor's page or the issue that shows it.
    pub source: &'static str,
}

impl Quirk {
    /// A departure with its evidence.
    pub const fn new(id: &'static str, about: &'static str, source: &'static str) -> Self {
        Self { id, about, source }
    }
}

/// An operation with what documents and checks need beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpRow {
    /// The operation.
    pub op: &'static Op,
    /// The title of the vendor's page.
    pub page: &'static str,
    /// The address of the vendor's page.
    pub doc: &'static str,
    /// The operation's id in the vendor's own machine-readable description.
    pub description_id: Option<&'static str>,
    /// Why there is no such id, when there is none.
    pub undescribed: Option<&'static str>,
    /// The capability that the operation serves, one of [`ProviderSpec::caps`].
    pub cap: Option<&'static str>,
}

impl OpRow {
    /// An operation and the vendor's page about it.
    pub const fn new(op: &'static Op, page: &'static str, doc: &'static str) -> Self {
        Self { op, page, doc, description_id: None, undescribed: None, cap: None }
    }

    /// Sets the id in the vendor's description.
    #[must_use]
    pub const fn description_id(mut self, id: &'static str) -> Self {
        self.description_id = Some(id);
        self
    }

    /// Says why the vendor's description does not have the operation.
    #[must_use]
    pub const fn undescribed(mut self, reason: &'static str) -> Self {
        self.undescribed = Some(reason);
        self
    }

    /// Sets the capability.
    #[must_use]
    pub const fn cap(mut self, cap: &'static str) -> Self {
        self.cap = Some(cap);
        self
    }
}

/// All facts of one provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderSpec {
    /// The id: feature, DSN scheme and the label of metrics, e.g. `google-calendar`.
    pub id: &'static str,
    /// The name as the vendor spells it.
    pub name: &'static str,
    /// The category, e.g. `calendar`.
    pub category: &'static str,
    /// How much is covered.
    pub status: Status,
    /// One sentence about the service.
    pub summary: &'static str,
    /// The addresses, the default first.
    pub hosts: &'static [Host],
    /// The API's version; `None` for a protocol that has none.
    pub api: Option<ApiVersion>,
    /// How calls prove who they are.
    pub auth: AuthKind,
    /// The parameters of [`AuthKind::OAuth2`].
    pub oauth: Option<OAuth>,
    /// What an instance is configured with.
    pub settings: &'static [Setting],
    /// The vendor's quotas.
    pub buckets: &'static [Bucket],
    /// How lists are cut.
    pub pagination: Pagination,
    /// How webhooks are verified.
    pub webhook: WebhookScheme,
    /// Whether the vendor counts quota by the user's connection; else by the application.
    pub quota_per_connection: bool,
    /// What the provider can do, in the words of its category.
    pub caps: &'static [&'static str],
    /// The vendor's own descriptions of its API, which requests and answers are checked against: files below the
    /// folder that the check is given.
    pub descriptions: &'static [&'static str],
    /// Where it departs from its category's promises.
    pub quirks: &'static [Quirk],
    /// Every remote call.
    pub ops: &'static [OpRow],
    /// The address of the vendor's terms.
    pub terms: &'static str,
    /// What the terms ask an application to show, when they do.
    pub attribution: Option<&'static str>,
}

impl ProviderSpec {
    /// A provider without hosts, operations or authentication.
    pub const fn new(id: &'static str, name: &'static str, category: &'static str, status: Status) -> Self {
        Self {
            id,
            name,
            category,
            status,
            summary: "",
            hosts: &[],
            api: None,
            auth: AuthKind::None,
            oauth: None,
            settings: &[],
            buckets: &[],
            pagination: Pagination::None,
            webhook: WebhookScheme::None,
            quota_per_connection: false,
            caps: &[],
            descriptions: &[],
            quirks: &[],
            ops: &[],
            terms: "",
            attribution: None,
        }
    }

    /// Sets the sentence about the service.
    #[must_use]
    pub const fn summary(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    /// Sets the addresses, the default first.
    #[must_use]
    pub const fn hosts(mut self, hosts: &'static [Host]) -> Self {
        self.hosts = hosts;
        self
    }

    /// Sets the API's version.
    #[must_use]
    pub const fn api(mut self, api: ApiVersion) -> Self {
        self.api = Some(api);
        self
    }

    /// Sets how calls prove who they are.
    #[must_use]
    pub const fn auth(mut self, auth: AuthKind) -> Self {
        self.auth = auth;
        self
    }

    /// Sets the parameters of OAuth 2.
    #[must_use]
    pub const fn oauth(mut self, oauth: OAuth) -> Self {
        self.oauth = Some(oauth);
        self
    }

    /// Sets what an instance is configured with.
    #[must_use]
    pub const fn settings(mut self, settings: &'static [Setting]) -> Self {
        self.settings = settings;
        self
    }

    /// Sets the quotas.
    #[must_use]
    pub const fn buckets(mut self, buckets: &'static [Bucket]) -> Self {
        self.buckets = buckets;
        self
    }

    /// Sets how lists are cut.
    #[must_use]
    pub const fn pagination(mut self, pagination: Pagination) -> Self {
        self.pagination = pagination;
        self
    }

    /// Sets how webhooks are verified.
    #[must_use]
    pub const fn webhook(mut self, webhook: WebhookScheme) -> Self {
        self.webhook = webhook;
        self
    }

    /// Says that the vendor counts quota by the user's connection.
    #[must_use]
    pub const fn quota_per_connection(mut self) -> Self {
        self.quota_per_connection = true;
        self
    }

    /// Sets what the provider can do.
    #[must_use]
    pub const fn caps(mut self, caps: &'static [&'static str]) -> Self {
        self.caps = caps;
        self
    }

    /// Sets the vendor's own descriptions.
    #[must_use]
    pub const fn descriptions(mut self, files: &'static [&'static str]) -> Self {
        self.descriptions = files;
        self
    }

    /// Sets the departures.
    #[must_use]
    pub const fn quirks(mut self, quirks: &'static [Quirk]) -> Self {
        self.quirks = quirks;
        self
    }

    /// Sets the operations.
    #[must_use]
    pub const fn ops(mut self, ops: &'static [OpRow]) -> Self {
        self.ops = ops;
        self
    }

    /// Sets the address of the vendor's terms.
    #[must_use]
    pub const fn terms(mut self, url: &'static str) -> Self {
        self.terms = url;
        self
    }

    /// Sets what the terms ask an application to show.
    #[must_use]
    pub const fn attribution(mut self, text: &'static str) -> Self {
        self.attribution = Some(text);
        self
    }

    /// The address in an environment.
    pub fn host(&self, environment: &str) -> Option<&'static str> {
        self.hosts.iter().find(|host| host.environment == environment).map(|host| host.url)
    }

    /// The operation of this name.
    pub fn op(&self, name: &str) -> Option<&'static OpRow> {
        self.ops.iter().find(|row| row.op.name == name)
    }

    /// The setting of this name.
    pub fn setting(&self, name: &str) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// The quota of this name.
    pub fn bucket(&self, name: &str) -> Option<&'static Bucket> {
        self.buckets.iter().find(|bucket| bucket.name == name)
    }

    /// Whether the provider has a capability.
    pub fn can(&self, cap: &str) -> bool {
        self.caps.contains(&cap)
    }

    /// [`ErrorKind::Config`](crate::ErrorKind) for a setting that is needed and not there. It says where the setting comes
    /// from.
    pub fn missing(&self, setting: &str) -> Error {
        let error = Error::config(format!("`{}` needs the setting `{setting}`", self.id));
        match self.setting(setting) {
            Some(Setting { env: Some(env), about, .. }) => {
                error.with_hint(format!("set `{setting}`, or the variable `{env}`: {about}"))
            }
            Some(Setting { about, .. }) => error.with_hint(format!("set `{setting}`: {about}")),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Safety;

    static SEND: Op = Op::new("post", "send", Safety::Once).bucket("mail");
    static SPEC: ProviderSpec = ProviderSpec::new("post", "Post", "email", Status::Partial)
        .summary("Letters.")
        .hosts(&[
            Host::new("production", "https://api.example.com"),
            Host::new("eu", "https://eu.example.com"),
        ])
        .api(ApiVersion::new("v3", "https://example.com/changes").released(2024, 2, 29).sunset(2027, 1, 31))
        .auth(AuthKind::OAuth2)
        .oauth(OAuth::new("https://example.com/token").pkce(Pkce::None).scope_separator(','))
        .settings(&[
            Setting::new("token", "the token").env("POST_TOKEN").secret().shapes(&[Shape::live("pt_")]),
            Setting::new("region", "eu or us").optional(),
        ])
        .buckets(&[Bucket::new("mail", 10, 60, "messages", "https://example.com/limits").headers("ietf")])
        .caps(&["send"])
        .ops(&[OpRow::new(&SEND, "Send", "https://example.com/send")
            .undescribed("no description")
            .cap("send")]);

    #[test]
    fn facts_are_found_by_name() {
        assert_eq!(SPEC.host("eu"), Some("https://eu.example.com"));
        assert_eq!(SPEC.host("us"), None);
        assert_eq!(SPEC.op("send").map(|row| row.page), Some("Send"));
        assert!(SPEC.op("receive").is_none());
        assert_eq!(SPEC.bucket(SEND.bucket).map(|b| (b.limit, b.per)), Some((10, Duration::from_secs(60))));
        assert!(SPEC.can("send") && !SPEC.can("templates"));
    }

    #[test]
    fn builders_set_exactly_what_they_name() {
        let api = SPEC.api.unwrap();
        assert_eq!(api.released.map(|d| d.to_string()).as_deref(), Some("2024-02-29"));
        assert_eq!(api.sunset.map(|d| d.to_string()).as_deref(), Some("2027-01-31"));
        let flags: Vec<_> = SPEC.settings.iter().map(|s| (s.env, s.required, s.is_secret())).collect();
        assert_eq!(flags, [(Some("POST_TOKEN"), true, true), (None, false, false)]);
        let oauth = SPEC.oauth.unwrap();
        assert_eq!((oauth.pkce, oauth.scope_separator), (Pkce::None, ','));
    }
}
