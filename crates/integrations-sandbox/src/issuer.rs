//! A fake OAuth 2.0 issuer, for the fakes of vendors that have one (RFC 6749, RFC 7636, RFC 7009).
//!
//! The user always consents. Tokens are invented from the seed, so that the same requests get the same ones.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, CACHE_CONTROL, LOCATION, WWW_AUTHENTICATE};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{Answer, Call, World};

/// The letters of base62.
pub(crate) const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A code is good for this long (RFC 6749 section 4.1.2 recommends ten minutes at most).
const CODE_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// An application that is known to an issuer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its secret, unless it has none.
    pub secret: Option<String>, // tidy: not a secret, an invented application has it
    /// It may go without a secret where a code challenge or a refresh token that came of one vouches for it.
    pub public: bool,
    /// Where users may be sent back to.
    pub redirects: Vec<String>,
    /// What it may ask for.
    pub scopes: Vec<String>,
}

/// When a refresh gives a new refresh token and kills the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// Never: the answer has no refresh token.
    Never,
    /// At every refresh.
    Always,
    /// At every refresh by an application that showed no secret.
    Public,
}

/// What an issuer's tokens look like and how long they live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// What access tokens begin with.
    pub access_prefix: &'static str,
    /// What refresh tokens and codes begin with.
    pub refresh_prefix: &'static str,
    /// How long an access token lives, in seconds.
    pub access_seconds: i64,
    /// How long a refresh token lives, counted from the user's consent, in seconds.
    pub refresh_seconds: Option<i64>,
    /// Whether refresh tokens are replaced.
    pub rotation: Rotation,
}

/// What a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The application.
    pub client: String,
    /// The user, unless the application acts for itself.
    pub subject: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it ends; never if absent.
    pub expires: Option<Timestamp>,
    /// It was given to an application that showed no secret.
    pub public: bool,
}

impl Grant {
    /// What an application may do for a user, or for itself.
    pub fn new(client: &str, subject: Option<&str>, scopes: &[&str]) -> Self {
        Self {
            client: client.to_owned(),
            subject: subject.map(ToOwned::to_owned),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            expires: None,
            public: false,
        }
    }
}

/// How a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It is good.
    Good(&'a Grant),
    /// It was good once.
    Dead,
    /// Nobody gave it out.
    Unknown,
}

/// A fake issuer.
#[derive(Debug, Clone)]
pub struct Issuer {
    seed: u64,
    policy: Policy,
    subject: String,
    clients: Vec<Client>,
    given: u64,
    codes: BTreeMap<String, Code>,
    access: BTreeMap<String, Token>,
    refresh: BTreeMap<String, Token>,
}

#[derive(Debug, Clone)]
struct Code {
    grant: Grant,
    redirect: String,
    challenge: Option<String>,
    until: Timestamp,
    /// The tokens that it was changed for.
    family: Option<u64>,
}

#[derive(Debug, Clone)]
struct Token {
    grant: Grant,
    family: u64,
    is_dead: bool,
}

/// An error of RFC 6749 section 5.2.
struct Refusal {
    error: &'static str,
    about: &'static str,
    /// The application showed itself by the header, so the answer names that way.
    by_header: bool,
}

const fn refusal(error: &'static str, about: &'static str) -> Refusal {
    Refusal { error, about, by_header: false }
}

/// The application of a request.
struct Caller {
    client: Client,
    /// It showed its secret.
    is_proven: bool,
}

type Form = Vec<(String, String)>;

impl Issuer {
    /// An issuer where this user consents to everything.
    pub fn new(seed: u64, policy: Policy, subject: &str) -> Self {
        Self {
            seed,
            policy,
            subject: subject.to_owned(),
            clients: Vec::new(),
            given: 0,
            codes: BTreeMap::new(),
            access: BTreeMap::new(),
            refresh: BTreeMap::new(),
        }
    }

    /// Registers an application.
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.clients.push(client);
        self
    }

    /// Gives out an access token as if it had been asked for before.
    pub fn give_access(&mut self, grant: Grant) -> String {
        let family = self.given;
        self.access_token(grant, family)
    }

    /// Gives out a refresh token as if it had been asked for before.
    pub fn give_refresh(&mut self, grant: Grant) -> String {
        let family = self.given;
        self.refresh_token(grant, family)
    }

    /// How an access token stands.
    pub fn standing(&self, token: &str, now: Timestamp) -> Standing<'_> {
        standing(&self.access, token, now)
    }

    /// Ends an access token before its time; what it stood for.
    pub fn end_access(&mut self, token: &str) -> Option<Grant> {
        let token = self.access.get_mut(token)?;
        token.is_dead = true;
        Some(token.grant.clone())
    }

    /// Answers a request to the page where users consent: they are sent back at once.
    pub fn authorize(&mut self, call: &Call<'_>, world: &World<'_>) -> Answer {
        let client = call.query("client_id").and_then(|id| self.client(id)).cloned();
        let Some(client) = client else { return page("INVALID_CLIENT: Invalid client") };
        let redirect = call.query("redirect_uri").unwrap_or_default();
        if !client.redirects.iter().any(|known| is_redirect(known, redirect)) {
            // Nobody is sent to an address that was not registered (RFC 6749 section 4.1.2.1).
            return page("INVALID_CLIENT: Invalid redirect URI");
        }
        let result = self.code(call, &client, redirect, world.now);
        let (name, value) = match &result {
            Ok(code) => ("code", code.as_str()),
            Err(error) => ("error", *error),
        };
        let mut address =
            format!("{redirect}{}{name}={value}", if redirect.contains('?') { '&' } else { '?' });
        if let Some(state) = call.query("state") {
            address += &format!("&state={}", utf8_percent_encode(state, NON_ALPHANUMERIC));
        }
        Answer::empty(302).header(LOCATION, &address)
    }

    fn code(
        &mut self,
        call: &Call<'_>,
        client: &Client,
        redirect: &str,
        now: Timestamp,
    ) -> Result<String, &'static str> {
        let challenge = call.query("code_challenge").map(ToOwned::to_owned);
        if call.query("response_type") != Some("code") {
            return Err("unsupported_response_type");
        }
        if challenge.is_some() && call.query("code_challenge_method") != Some("S256")
            || challenge.is_none() && client.secret.is_none()
        {
            return Err("invalid_request");
        }
        let scopes: Vec<&str> = call.query("scope").unwrap_or_default().split_whitespace().collect();
        if scopes.iter().any(|scope| !client.scopes.iter().any(|known| known == scope)) {
            return Err("invalid_scope");
        }
        let grant = Grant::new(&client.id, Some(&self.subject), &scopes);
        let code = self.invent("code", self.policy.refresh_prefix, 120);
        let until = now.saturating_add(CODE_LIFETIME).unwrap_or(now);
        let redirect = redirect.to_owned();
        self.codes.insert(code.clone(), Code { grant, redirect, challenge, until, family: None });
        Ok(code)
    }

    /// Answers a request for a token.
    pub fn token(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        self.tokens(call, world).unwrap_or_else(refused)
    }

    fn tokens(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Result<Answer, Refusal> {
        let form = call.form();
        let caller = self.caller(call, &form)?;
        let kind = field(&form, "grant_type")
            .ok_or(refusal("invalid_request", "grant_type parameter is missing"))?;
        let answer = match kind {
            "authorization_code" => self.by_code(&caller, &form, world.now),
            "refresh_token" => self.by_refresh(&caller, &form, world.now),
            "client_credentials" => self.by_client(&caller, world.now),
            _ => Err(refusal("unsupported_grant_type", "grant_type must be one that is supported")),
        }?;
        world.ledger.set("issue_token", format!("{kind}:{}", caller.client.id));
        Ok(answer)
    }

    fn by_code(&mut self, caller: &Caller, form: &Form, now: Timestamp) -> Result<Answer, Refusal> {
        let invalid = refusal("invalid_grant", "Invalid authorization code");
        let name = field(form, "code").ok_or(refusal("invalid_request", "code must be supplied"))?;
        let code = self.codes.get(name).cloned().filter(|code| code.grant.client == caller.client.id);
        let Some(code) = code else { return Err(invalid) };
        if let Some(family) = code.family {
            // A code that comes a second time was stolen: RFC 6749 section 4.1.2.
            self.end_family(family);
            return Err(invalid);
        }
        if code.until < now {
            return Err(refusal("invalid_grant", "Authorization code expired"));
        }
        if field(form, "redirect_uri") != Some(code.redirect.as_str()) {
            return Err(refusal("invalid_grant", "Invalid redirect URI"));
        }
        let verifier = field(form, "code_verifier");
        match (&code.challenge, verifier) {
            (Some(challenge), Some(verifier)) if *challenge == s256(verifier) => {}
            (None, None) if caller.is_proven => {}
            (None, None) => return Err(refusal("invalid_client", "Invalid client secret")),
            _ => return Err(refusal("invalid_grant", "code_verifier was incorrect")),
        }
        let family = self.given;
        if let Some(code) = self.codes.get_mut(name) {
            code.family = Some(family);
        }
        let mut grant = code.grant;
        grant.public = !caller.is_proven;
        let end = self.policy.refresh_seconds.and_then(|seconds| later(now, seconds));
        let refresh = self.refresh_token(Grant { expires: end, ..grant.clone() }, family);
        Ok(self.answer(grant, family, Some(refresh), now))
    }

    fn by_refresh(&mut self, caller: &Caller, form: &Form, now: Timestamp) -> Result<Answer, Refusal> {
        let name = field(form, "refresh_token")
            .ok_or(refusal("invalid_request", "refresh_token must be supplied"))?;
        let token = match standing(&self.refresh, name, now) {
            Standing::Good(grant) if grant.client == caller.client.id => self.refresh.get(name).cloned(),
            Standing::Dead => return Err(refusal("invalid_grant", "Refresh token revoked")),
            _ => None,
        };
        let Some(Token { grant, family, .. }) = token else {
            return Err(refusal("invalid_grant", "Invalid refresh token"));
        };
        if !caller.is_proven && !grant.public {
            return Err(refusal("invalid_client", "Invalid client secret"));
        }
        let scopes = match field(form, "scope") {
            None => grant.scopes.clone(),
            Some(text) => text.split_whitespace().map(ToOwned::to_owned).collect(),
        };
        if scopes.iter().any(|scope| !grant.scopes.contains(scope)) {
            return Err(refusal("invalid_scope", "Invalid scope"));
        }
        let rotates = match self.policy.rotation {
            Rotation::Never => false,
            Rotation::Always => true,
            Rotation::Public => !caller.is_proven,
        };
        let next = rotates.then(|| {
            if let Some(old) = self.refresh.get_mut(name) {
                old.is_dead = true;
            }
            self.refresh_token(grant.clone(), family)
        });
        Ok(self.answer(Grant { scopes, ..grant }, family, next, now))
    }

    fn by_client(&mut self, caller: &Caller, now: Timestamp) -> Result<Answer, Refusal> {
        if !caller.is_proven {
            return Err(refusal("invalid_client", "Invalid client secret"));
        }
        let family = self.given;
        Ok(self.answer(Grant::new(&caller.client.id, None, &[]), family, None, now))
    }

    fn answer(&mut self, grant: Grant, family: u64, refresh: Option<String>, now: Timestamp) -> Answer {
        let seconds = self.policy.access_seconds;
        let scope = grant.scopes.join(" ");
        let access = self.access_token(Grant { expires: later(now, seconds), ..grant }, family);
        let mut body = json!({"access_token": access, "token_type": "Bearer", "expires_in": seconds});
        if !scope.is_empty() {
            body["scope"] = scope.into();
        }
        if let Some(refresh) = refresh {
            body["refresh_token"] = refresh.into();
        }
        Answer::json(200, &body).header(CACHE_CONTROL, "no-store")
    }

    /// Answers a request to end a token (RFC 7009): a token that nobody knows is no error.
    pub fn revoke(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let form = call.form();
        let caller = match self.caller(call, &form) {
            Ok(caller) => caller,
            Err(refusal) => return refused(refusal),
        };
        let Some(name) = field(&form, "token") else {
            return refused(refusal("invalid_request", "token must be supplied"));
        };
        let is_own = |token: &&mut Token| token.grant.client == caller.client.id;
        if let Some(token) = self.access.get_mut(name).filter(is_own) {
            token.is_dead = true;
        }
        if let Some(family) = self.refresh.get_mut(name).filter(is_own).map(|token| token.family) {
            self.end_family(family);
        }
        world.ledger.set("revoke_token", &caller.client.id);
        Answer::empty(200)
    }

    fn end_family(&mut self, family: u64) {
        let tokens = self.access.values_mut().chain(self.refresh.values_mut());
        tokens.filter(|token| token.family == family).for_each(|token| token.is_dead = true);
    }

    /// Who asks: by the header or by the body, never by both (RFC 6749 section 2.3).
    fn caller(&self, call: &Call<'_>, form: &Form) -> Result<Caller, Refusal> {
        let basic = call.header(AUTHORIZATION.as_str()).map(basic);
        let by_header = basic.is_some();
        let (id, secret) = match (basic, field(form, "client_secret")) {
            (Some(_), Some(_)) => {
                return Err(refusal("invalid_request", "Only one way to show the client is allowed"));
            }
            (Some(pair), None) => pair.map(|(id, secret)| (id, Some(secret))).unwrap_or_default(),
            (None, secret) => {
                (field(form, "client_id").unwrap_or_default().to_owned(), secret.map(ToOwned::to_owned))
            }
        };
        let about = "Invalid client";
        let wrong = Refusal { error: "invalid_client", about, by_header };
        let Some(client) = self.client(&id).cloned() else { return Err(wrong) };
        let is_proven = secret.is_some() && secret == client.secret;
        let may_go_without = secret.is_none() && (client.public || client.secret.is_none());
        if is_proven || may_go_without { Ok(Caller { client, is_proven }) } else { Err(wrong) }
    }

    fn client(&self, id: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.id == id)
    }

    fn access_token(&mut self, grant: Grant, family: u64) -> String {
        let token = self.invent("access", self.policy.access_prefix, 180);
        self.access.insert(token.clone(), Token { grant, family, is_dead: false });
        token
    }

    fn refresh_token(&mut self, grant: Grant, family: u64) -> String {
        let token = self.invent("refresh", self.policy.refresh_prefix, 129);
        self.refresh.insert(token.clone(), Token { grant, family, is_dead: false });
        token
    }

    fn invent(&mut self, kind: &str, prefix: &str, length: usize) -> String {
        self.given += 1;
        let text = invented(BASE62, self.seed, &format!("{kind}:{}", self.given), length);
        format!("{prefix}{text}")
    }
}

fn standing<'a>(tokens: &'a BTreeMap<String, Token>, name: &str, now: Timestamp) -> Standing<'a> {
    match tokens.get(name) {
        None => Standing::Unknown,
        Some(token) if token.is_dead || token.grant.expires.is_some_and(|end| end <= now) => Standing::Dead,
        Some(token) => Standing::Good(&token.grant),
    }
}

fn later(now: Timestamp, seconds: i64) -> Option<Timestamp> {
    now.checked_add(SignedDuration::from_secs(seconds)).ok()
}

fn page(text: &str) -> Answer {
    Answer::text(400, "text/html; charset=utf-8", text)
}

fn refused(refusal: Refusal) -> Answer {
    let body = json!({"error": refusal.error, "error_description": refusal.about});
    let status = if refusal.by_header { 401 } else { 400 };
    let answer = Answer::json(status, &body).header(CACHE_CONTROL, "no-store");
    if refusal.by_header { answer.header(WWW_AUTHENTICATE, "Basic realm=\"token\"") } else { answer }
}

fn field<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Both halves are written as in a form (RFC 6749 section 2.3.1).
fn basic(header: &str) -> Option<(String, String)> {
    let text = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((decoded(id), decoded(secret)))
}

fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// Exactly the same; a literal loopback address that was registered without a port takes any (RFC 8252 section 7.3).
fn is_redirect(known: &str, given: &str) -> bool {
    let loopback = |host: &str| {
        let (known, given) = (known.strip_prefix(host)?, given.strip_prefix(host)?);
        let behind_port = given.strip_prefix(':')?.trim_start_matches(|letter: char| letter.is_ascii_digit());
        Some(!known.starts_with(':') && known == behind_port)
    };
    known == given
        || ["http://127.0.0.1", "http://[::1]"].iter().any(|host| loopback(host).unwrap_or_default())
}

/// Text that nobody can guess and that is the same for the same seed and label.
pub(crate) fn invented(letters: &[u8], seed: u64, label: &str, length: usize) -> String {
    let blocks = (0_u64..).flat_map(|block| {
        let mut hash = Sha256::new();
        hash.update(seed.to_be_bytes());
        hash.update(block.to_be_bytes());
        hash.update(label.as_bytes());
        hash.finalize().to_vec()
    });
    blocks.take(length).map(|byte| char::from(letters[usize::from(byte) % letters.len()])).collect()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, Uri};
    use serde_json::Value;

    use super::*;
    use crate::Ledger;

    const NOW: Timestamp = Timestamp::constant(1_772_452_800, 0);

    fn issuer(rotation: Rotation) -> Issuer {
        let policy = Policy {
            access_prefix: "at_",
            refresh_prefix: "rt_",
            access_seconds: 60,
            refresh_seconds: None,
            rotation,
        };
        let client = Client { id: "app".to_owned(), secret: Some("s p:1".to_owned()), ..Client::default() };
        let other = Client { id: "other".to_owned(), secret: Some("two".to_owned()), ..Client::default() };
        Issuer::new(0, policy, "user").with_client(client).with_client(other)
    }

    fn post(act: impl FnOnce(&Call<'_>, &mut World<'_>) -> Answer, client: &str, body: &str) -> (u16, Value) {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Basic {}", STANDARD.encode(client)).parse().unwrap());
        let uri = Uri::from_static("https://issuer.example/token");
        let call = Call::new(&Method::POST, &uri, &headers, body.as_bytes());
        let (mut ledger, mut random) = (Ledger::default(), fastrand::Rng::with_seed(0));
        let mut world =
            World { now: NOW, ledger: &mut ledger, random: &mut random, lags: false, loops: false };
        let answer = act(&call, &mut world);
        (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn refresh(issuer: &mut Issuer, token: &str) -> (u16, Value) {
        let body = format!("grant_type=refresh_token&refresh_token={token}");
        post(|call, world| issuer.token(call, world), "app:s%20p%3A1", &body)
    }

    #[test]
    fn refresh_tokens_rotate_as_the_policy_says() {
        for (rotation, gives) in
            [(Rotation::Never, false), (Rotation::Always, true), (Rotation::Public, false)]
        {
            let mut issuer = issuer(rotation);
            let token = issuer.give_refresh(Grant::new("app", Some("user"), &["read"]));
            let (status, body) = refresh(&mut issuer, &token);
            assert_eq!((status, body.get("refresh_token").is_some()), (200, gives), "{rotation:?}");
            assert_eq!(refresh(&mut issuer, &token).0, if gives { 400 } else { 200 }, "{rotation:?}");
        }
    }

    #[test]
    fn a_revoked_refresh_token_takes_its_access_tokens_along() {
        let mut issuer = issuer(Rotation::Never);
        let token = issuer.give_refresh(Grant::new("app", Some("user"), &["read"]));
        let access = refresh(&mut issuer, &token).1["access_token"].as_str().unwrap().to_owned();
        assert!(matches!(issuer.standing(&access, NOW), Standing::Good(grant) if grant.scopes == ["read"]));
        let body = format!("token={token}");
        assert_eq!(post(|call, world| issuer.revoke(call, world), "other:two", &body).0, 200);
        assert!(
            matches!(issuer.standing(&access, NOW), Standing::Good(_)),
            "only its own application ends it"
        );
        assert_eq!(post(|call, world| issuer.revoke(call, world), "app:s%20p%3A1", &body).0, 200);
        assert_eq!(issuer.standing(&access, NOW), Standing::Dead);
        assert_eq!(refresh(&mut issuer, &token).1["error"], "invalid_grant");
        assert_eq!(post(|call, world| issuer.revoke(call, world), "app:s%20p%3A1", "token=unknown").0, 200);
        assert_eq!(post(|call, world| issuer.revoke(call, world), "app:wrong", &body).0, 401);
    }

    #[test]
    fn what_is_given_first_stays_apart() {
        let mut issuer = issuer(Rotation::Never);
        let one = issuer.give_refresh(Grant::new("app", Some("user"), &[]));
        let two = issuer.give_access(Grant::new("app", Some("user"), &[]));
        let body = format!("token={one}");
        assert_eq!(post(|call, world| issuer.revoke(call, world), "app:s%20p%3A1", &body).0, 200);
        assert!(matches!(issuer.standing(&two, NOW), Standing::Good(_)));
        assert!(issuer.end_access(&two).is_some());
        assert_eq!(issuer.standing(&two, NOW), Standing::Dead);
        assert_eq!(issuer.standing("unknown", NOW), Standing::Unknown);
    }
}
