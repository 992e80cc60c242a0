//! The fakes of services that say who somebody is: whole flows with plain requests, and what they refuse.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, Method, Uri};
use integrations_sandbox::{Answer, Call, FAKES, Sandbox, Trouble};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

mod contract;
mod entra;
mod github;
mod google;
mod oidc;
mod spotify;

/// The verifier and its challenge of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "https://app.example/callback";

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A fake, and where its flow goes.
struct Fake {
    sandbox: Sandbox,
    authorize: String,
    token: String,
}

impl Fake {
    fn new(provider: &str, authorize: &str, token: &str) -> Self {
        let sandbox = Sandbox::of(provider, 0).unwrap();
        Self { sandbox, authorize: authorize.to_owned(), token: token.to_owned() }
    }

    fn setting(&self, name: &str) -> String {
        let settings = self.sandbox.settings();
        settings.into_iter().find(|(known, _)| *known == name).unwrap().1
    }

    fn known(&self, name: &str) -> String {
        self.sandbox.known().get(name).unwrap_or_else(|| panic!("no {name}")).to_owned()
    }

    fn ask(&self, method: &Method, url: &str, headers: Pairs<'_>, body: &str) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let uri: Uri = url.parse().unwrap();
        self.sandbox.answer(&Call::new(method, &uri, &map, body.as_bytes()))
    }

    /// The answer of `GET`, with a token.
    fn get(&self, url: &str, token: &str) -> (u16, Value) {
        parts(&self.ask(
            &Method::GET,
            url,
            &[(AUTHORIZATION.as_str(), &format!("Bearer {token}")), ("user-agent", "test")],
            "",
        ))
    }

    fn post(&self, url: &str, body: Pairs<'_>) -> (u16, Value) {
        parts(&self.ask(&Method::POST, url, &[("accept", "application/json")], &form(body)))
    }

    /// The address that the user's browser is sent to, and its parameters. `more` is put over what is usual.
    fn consent(&self, more: Pairs<'_>) -> (String, Vec<(String, String)>) {
        let id = self.setting("client_id");
        let usual = [
            ("response_type", "code"),
            ("client_id", id.as_str()),
            ("redirect_uri", REDIRECT),
            ("state", "s t"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let answer =
            self.ask(&Method::GET, &format!("{}?{}", self.authorize, form(&over(&usual, more))), &[], "");
        assert_eq!(answer.status, 302, "{:?}", answer.body);
        let location = answer.headers[LOCATION].to_str().unwrap();
        let (address, query) = location.split_once('?').unwrap();
        (address.to_owned(), pairs(query))
    }

    /// The code that a user's consent gives.
    fn code(&self, more: Pairs<'_>) -> String {
        let (address, query) = self.consent(more);
        assert_eq!(address, REDIRECT);
        assert_eq!(value(&query, "state").as_deref(), Some("s t"));
        value(&query, "code").unwrap_or_else(|| panic!("{query:?}"))
    }

    /// What the page's refusal is called.
    fn refusal(&self, more: Pairs<'_>) -> String {
        let (_, query) = self.consent(more);
        assert_eq!(value(&query, "code"), None);
        value(&query, "error").unwrap()
    }

    /// What a code is changed for. `more` is put over what is usual.
    fn exchange(&self, code: &str, more: Pairs<'_>) -> (u16, Value) {
        let (id, secret) = (self.setting("client_id"), self.setting("client_secret"));
        let usual = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
            ("client_id", id.as_str()),
            ("client_secret", secret.as_str()),
        ];
        self.post(&self.token, &over(&usual, more))
    }

    /// The tokens of a whole flow.
    fn tokens(&self, more: Pairs<'_>) -> Value {
        let (status, body) = self.exchange(&self.code(more), &[]);
        assert_eq!(status, 200, "{body}");
        body
    }

    fn refresh(&self, token: &str) -> (u16, Value) {
        let (id, secret) = (self.setting("client_id"), self.setting("client_secret"));
        self.post(
            &self.token,
            &[
                ("grant_type", "refresh_token"),
                ("refresh_token", token),
                ("client_id", &id),
                ("client_secret", &secret),
            ],
        )
    }

    fn basic(&self) -> String {
        let pair = format!("{}:{}", self.setting("client_id"), self.setting("client_secret"));
        format!("Basic {}", STANDARD.encode(pair))
    }

    /// Whether the ledger has it.
    fn has_noted(&self, what: &str) -> bool {
        self.sandbox.ledger().changes().iter().any(|change| change.what == what)
    }

    fn control(&self, what: &str, body: Pairs<'_>) -> Answer {
        self.ask(&Method::POST, &format!("https://any.example/__sandbox/{what}"), &[], &form(body))
    }

    /// The claims of a token, verified by another library against the keys that are served.
    fn verified(&self, keys: &str, token: &str, issuer: &str, algorithm: Algorithm) -> Option<Value> {
        let answer = self.ask(&Method::GET, keys, &[], "");
        assert_eq!(answer.status, 200);
        assert!(answer.headers["cache-control"].to_str().unwrap().contains("max-age="));
        let keys: JwkSet = serde_json::from_slice(&answer.body).unwrap();
        let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
        let key = DecodingKey::from_jwk(keys.find(&kid)?).unwrap();
        let mut validation = Validation::new(algorithm);
        // The time of the sandbox is not that of this machine; the tests look at the claims themselves.
        validation.validate_exp = false;
        validation.set_audience(&[self.setting("client_id")]);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        jsonwebtoken::decode::<Value>(token, &key, &validation).ok().map(|token| token.claims)
    }
}

/// What a token says, whoever signed it.
fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn parts(answer: &Answer) -> (u16, Value) {
    (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn error(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"].as_str().unwrap_or_default())
}

fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}"))
}

fn form(pairs: Pairs<'_>) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect::<Vec<_>>()
        .join("&")
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    query.split('&').filter_map(|pair| pair.split_once('=')).map(|(a, b)| (decoded(a), decoded(b))).collect()
}

fn value(pairs: &[(String, String)], name: &str) -> Option<String> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

/// An empty value takes a pair away.
fn over<'a>(usual: Pairs<'a>, more: Pairs<'a>) -> Vec<(&'a str, &'a str)> {
    let replaced = |name: &str| more.iter().any(|(other, _)| *other == name);
    let kept = usual.iter().filter(|(name, _)| !replaced(name));
    kept.chain(more).copied().filter(|(_, value)| !value.is_empty()).collect()
}

#[test]
fn every_fake_words_its_troubles_and_has_its_settings() {
    for (provider, settings) in [
        ("oidc", &["issuer", "client_id", "client_secret", "redirect_uri"][..]),
        ("google-sign-in", &["client_id", "client_secret", "redirect_uri"]),
        ("entra", &["tenant", "client_id", "client_secret", "redirect_uri"]),
        ("github-sign-in", &["client_id", "client_secret", "redirect_uri"]),
        ("spotify-sign-in", &["client_id", "client_secret", "redirect_uri"]),
    ] {
        let fake = FAKES.iter().find(|fake| fake.provider == provider).unwrap();
        let vendor = (fake.make)(0);
        let names: Vec<_> = vendor.settings().into_iter().map(|(name, _)| name).collect();
        assert_eq!((fake.category, names.as_slice()), ("auth", settings), "{provider}");
        let status = |trouble| vendor.word(trouble).map(|answer| answer.status.as_u16());
        assert_eq!(status(Trouble::RateLimited(None)), Some(429), "{provider}");
        assert_eq!(status(Trouble::Unauthorized), Some(401), "{provider}");
        for broken in [500, 502, 503, 504] {
            assert_eq!(status(Trouble::Broken(broken)), Some(broken), "{provider}");
        }
        let known = vendor.known();
        for name in [
            "client_id",
            "user_id",
            "email",
            "email_verified",
            "name",
            "access_token",
            "refresh_token",
            "other_user",
            "denied_user",
        ] {
            assert!(known.get(name).is_some(), "{provider} {name}");
        }
    }
}
