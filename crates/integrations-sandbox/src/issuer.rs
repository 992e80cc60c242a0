//! A fake OAuth 2.0 issuer, for the fakes of vendors that have one (RFC 6749, RFC 7636, RFC 7009).
//!
//! The user always consents. Tokens are invented from the seed, so that the same requests get the same ones.

mod kinds;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, CACHE_CONTROL, LOCATION};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Answer, Call, World};

use kinds::refusal;
pub use kinds::{Client, Consent, Grant, Issued, Policy, Refusal, Rotation, SignIn, Standing};

/// The letters of base62.
pub(crate) const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A code is good for this long (RFC 6749 section 4.1.2 recommends ten minutes at most).
const CODE_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A fake issuer.
#[derive(Debug, Clone)]
pub struct Issuer {
    seed: u64,
    policy: Policy,
    subject: String,
    name: Option<String>,
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
    offline: bool,
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
            name: None,
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

    /// Names itself to applications when it sends users back (RFC 9207).
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
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

    /// Lets an access token live for ever.
    pub fn keep_access(&mut self, token: &str) {
        if let Some(token) = self.access.get_mut(token) {
            token.grant.expires = None;
        }
    }

    /// Ends everything that came of the same consent as this token, an access token or a refresh token; what it stood for.
    pub fn end_consent(&mut self, token: &str) -> Option<Grant> {
        let token = self.access.get(token).or_else(|| self.refresh.get(token))?;
        let (family, grant) = (token.family, token.grant.clone());
        self.end_family(family);
        Some(grant)
    }

    /// Ends everything that an application may do for a user.
    pub fn end_all(&mut self, client: &str, subject: &str) {
        let tokens = self.access.values_mut().chain(self.refresh.values_mut());
        let own = |grant: &Grant| grant.client == client && grant.subject.as_deref() == Some(subject);
        tokens.filter(|token| own(&token.grant)).for_each(|token| token.is_dead = true);
    }

    /// Whether this is the id and the secret of an application.
    pub fn is_client(&self, id: &str, secret: &str) -> bool {
        self.client(id).is_some_and(|client| client.secret.as_deref() == Some(secret))
    }

    /// Where the user of a code was sent back to.
    pub fn redirect_of(&self, code: &str) -> Option<&str> {
        self.codes.get(code).map(|code| code.redirect.as_str())
    }

    /// Answers a request to the page where users consent: they are sent back at once.
    pub fn authorize(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let consent = Consent { subject: self.subject.clone(), offline: true, sign_in: None };
        self.decide(call, world, Ok(consent), &[])
    }

    /// Answers a request to that page where the user is another one, or refuses with an error of RFC 6749 section
    /// 4.1.2.1. `more` is told when they are sent back.
    pub fn decide(
        &mut self,
        call: &Call<'_>,
        world: &mut World<'_>,
        consent: Result<Consent, &'static str>,
        more: &[(&str, &str)],
    ) -> Answer {
        let client = call.query("client_id").and_then(|id| self.client(id)).cloned();
        let Some(client) = client else { return page("INVALID_CLIENT: Invalid client") };
        let redirect = call.query("redirect_uri").unwrap_or_default();
        if !client.redirects.iter().any(|known| is_redirect(known, redirect)) {
            // Nobody is sent to an address that was not registered (RFC 6749 section 4.1.2.1).
            return page("INVALID_CLIENT: Invalid redirect URI");
        }
        let subject = consent.as_ref().map(|consent| consent.subject.clone()).unwrap_or_default();
        let result = self.code(call, &client, redirect, consent, world.now);
        let (name, value) = match &result {
            Ok(code) => ("code", code.as_str()),
            Err(error) => ("error", *error),
        };
        if result.is_ok() {
            world.ledger.set("authorize", format!("{}:{subject}", client.id));
        }
        let state = call.query("state").map(|state| ("state", state));
        let own = self.name.as_deref().map(|name| ("iss", name));
        let pairs = [(name, value)].into_iter().chain(state).chain(own).chain(more.iter().copied());
        Answer::empty(302).header(LOCATION, &with_query(redirect, pairs))
    }

    fn code(
        &mut self,
        call: &Call<'_>,
        client: &Client,
        redirect: &str,
        consent: Result<Consent, &'static str>,
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
        let Consent { subject, offline, sign_in } = consent?;
        let grant = Grant { sign_in, ..Grant::new(&client.id, Some(&subject), &scopes) };
        let code = self.invent("code", self.policy.refresh_prefix, 120);
        let until = now.saturating_add(CODE_LIFETIME).unwrap_or(now);
        let redirect = redirect.to_owned();
        self.codes.insert(code.clone(), Code { grant, redirect, challenge, offline, until, family: None });
        Ok(code)
    }

    /// Answers a request for a token.
    pub fn token(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        match self.issue(call, world) {
            Ok(issued) => unstored(&issued.body),
            Err(refusal) => refusal.answer(),
        }
    }

    /// Gives out what a request for a token asks for, for fakes that word the answer themselves.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn issue(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Result<Issued, Refusal> {
        let form = call.form();
        let caller = self.caller(call, &form)?;
        let kind = field(&form, "grant_type")
            .ok_or(refusal("invalid_request", "grant_type parameter is missing"))?;
        let issued = match kind {
            "authorization_code" => self.by_code(&caller, &form, world.now),
            "refresh_token" => self.by_refresh(&caller, &form, world.now),
            "client_credentials" => self.by_client(&caller, world.now),
            _ => Err(refusal("unsupported_grant_type", "grant_type must be one that is supported")),
        }?;
        world.ledger.set("issue_token", format!("{kind}:{}", caller.client.id));
        Ok(issued)
    }

    fn by_code(&mut self, caller: &Caller, form: &Form, now: Timestamp) -> Result<Issued, Refusal> {
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
        let refresh =
            code.offline.then(|| self.refresh_token(Grant { expires: end, ..grant.clone() }, family));
        Ok(Issued { is_first: true, ..self.issued(grant, family, refresh, now) })
    }

    fn by_refresh(&mut self, caller: &Caller, form: &Form, now: Timestamp) -> Result<Issued, Refusal> {
        let name = field(form, "refresh_token")
            .ok_or(refusal("invalid_request", "refresh_token must be supplied"))?;
        let token = match standing(&self.refresh, name, now) {
            Standing::Good(grant) if grant.client == caller.client.id => self.refresh.get(name).cloned(),
            Standing::Dead => {
                self.used_again(name);
                return Err(refusal("invalid_grant", "Refresh token revoked"));
            }
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
        let next = self.next_refresh(caller, name, &grant, family);
        Ok(self.issued(Grant { scopes, ..grant }, family, next, now))
    }

    fn next_refresh(&mut self, caller: &Caller, old: &str, grant: &Grant, family: u64) -> Option<String> {
        match self.policy.rotation {
            Rotation::Never => return None,
            Rotation::Public if caller.is_proven => return None,
            Rotation::Lenient => {}
            Rotation::Strict => self.end_family(family),
            Rotation::Always | Rotation::Public => {
                if let Some(old) = self.refresh.get_mut(old) {
                    old.is_dead = true;
                }
            }
        }
        Some(self.refresh_token(grant.clone(), family))
    }

    /// A refresh token that comes again after its end was stolen, or its successor was.
    fn used_again(&mut self, name: &str) {
        let family = self.refresh.get(name).map(|token| token.family);
        if let (Rotation::Always, Some(family)) = (self.policy.rotation, family) {
            self.end_family(family);
        }
    }

    fn by_client(&mut self, caller: &Caller, now: Timestamp) -> Result<Issued, Refusal> {
        if !caller.is_proven {
            return Err(refusal("invalid_client", "Invalid client secret"));
        }
        let family = self.given;
        Ok(self.issued(Grant::new(&caller.client.id, None, &[]), family, None, now))
    }

    fn issued(&mut self, grant: Grant, family: u64, refresh: Option<String>, now: Timestamp) -> Issued {
        let seconds = self.policy.access_seconds;
        let scope = grant.scopes.join(" ");
        let access = self.access_token(Grant { expires: later(now, seconds), ..grant.clone() }, family);
        let mut body = json!({"access_token": access, "token_type": "Bearer", "expires_in": seconds});
        if !scope.is_empty() {
            body["scope"] = scope.into();
        }
        if let Some(refresh) = refresh {
            body["refresh_token"] = refresh.into();
        }
        Issued { body, grant, is_first: false }
    }

    /// Answers a request to end a token (RFC 7009): a token that nobody knows is no error.
    pub fn revoke(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let form = call.form();
        let caller = match self.caller(call, &form) {
            Ok(caller) => caller,
            Err(refusal) => return refusal.answer(),
        };
        let Some(name) = field(&form, "token") else {
            return refusal("invalid_request", "token must be supplied").answer();
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
        let wrong = |about| Refusal { error: "invalid_client", about, by_header };
        let Some(client) = self.client(&id).cloned() else { return Err(wrong("Invalid client")) };
        let is_proven = secret.is_some() && secret == client.secret;
        let may_go_without = secret.is_none() && (client.public || client.secret.is_none());
        match secret {
            _ if is_proven || may_go_without => Ok(Caller { client, is_proven }),
            Some(_) => Err(wrong("Invalid client secret")),
            None => Err(wrong("No client secret")),
        }
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

/// An answer with tokens, which nobody keeps (RFC 6749 section 5.1).
pub(crate) fn unstored(body: &Value) -> Answer {
    Answer::json(200, body).header(CACHE_CONTROL, "no-store")
}

/// An address with these pairs behind what it has already.
pub(crate) fn with_query<'a>(address: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    pairs.fold(address.to_owned(), |address, (name, value)| {
        let mark = if address.contains('?') { '&' } else { '?' };
        format!("{address}{mark}{name}={}", utf8_percent_encode(value, RESERVED))
    })
}

fn field<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Both halves are written as in a form (RFC 6749 section 2.3.1).
pub(crate) fn basic(header: &str) -> Option<(String, String)> {
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
