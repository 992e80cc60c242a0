//! What OpenID Connect adds to an issuer: who signs in, what is stated about them, and the keys that sign it
//! (OpenID Connect Core 1.0). What only the sandbox has stands in the crate's page.

#![allow(clippy::result_large_err, reason = "a refusal is an answer like any other")]

mod keys;
#[cfg(any(feature = "entra", feature = "oidc"))]
mod logout;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use http::header::WWW_AUTHENTICATE;
use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256, Sha512};

use crate::issuer::{BASE62, Consent, Grant, Issued, Issuer, Refusal, SignIn, Standing, invented};
use crate::{Answer, Call, World};

use keys::{Keys, Signer};
pub(crate) use keys::{algorithm_name, merge, object};

/// 2026-03-02T11:50:00Z: the users proved themselves ten minutes before the first request.
const PROVED: Timestamp = Timestamp::constant(1_772_452_200, 0);

/// An ID token is good for this long, in seconds.
const ID_TOKEN_SECONDS: i64 = 3600;

/// A logout token is good for this long, in seconds.
const LOGOUT_TOKEN_SECONDS: i64 = 120;

/// What a scope lets be seen (OpenID Connect Core 1.0 section 5.4). Everything else is seen always.
const CLAIMS: &[(&str, &[&str])] = &[
    ("email", &["email", "email_verified"]),
    (
        "profile",
        &["name", "given_name", "family_name", "preferred_username", "picture", "locale", "updated_at"],
    ),
];

/// A user of an issuer.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// How the issuer names them.
    pub(crate) id: String,
    /// What they sign in with; a `login_hint` chooses by it.
    pub(crate) login: &'static str,
    /// They refuse every application.
    pub(crate) refuses: bool,
    /// What is stated about them, in JSON.
    pub(crate) claims: Value,
}

/// What a vendor's ID tokens have of what others leave out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// The hash of the access token.
    pub(crate) at_hash: bool,
    /// The time of the sign-in even if nobody asked for it.
    pub(crate) auth_time: bool,
    /// The session.
    pub(crate) sid: bool,
}

/// The issuer of one vendor.
pub(crate) struct OpenId {
    pub(crate) issuer: Issuer,
    pub(crate) keys: Keys,
    style: Style,
    seed: u64,
    people: Vec<Person>,
    sessions: BTreeMap<String, Session>,
    next_id_token: Option<Wrong>,
    next_userinfo: Option<Wrong>,
    next_metadata: Option<Wrong>,
    logouts: u32,
}

/// A user's session in the browser.
#[derive(Debug, Clone, Copy)]
struct Session {
    number: u32,
    since: Timestamp,
    is_over: bool,
}

/// What makes a statement a wrong one.
#[derive(Debug, Clone, Default)]
struct Wrong {
    claims: Value,
    header: Value,
    signer: Signer,
}

impl OpenId {
    /// The issuer of these users, who all signed in there before the first request. The first of them sits before the browser
    /// unless another is asked for.
    pub(crate) fn new(seed: u64, issuer: Issuer, style: Style, people: Vec<Person>) -> Self {
        let session = Session { number: 0, since: PROVED, is_over: false };
        let sessions = people.iter().map(|person| (person.id.clone(), session)).collect();
        Self {
            issuer,
            keys: Keys::new(seed),
            style,
            seed,
            people,
            sessions,
            next_id_token: None,
            next_userinfo: None,
            next_metadata: None,
            logouts: 0,
        }
    }

    /// A user by their id.
    pub(crate) fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    /// Who sits before the browser: whom the hint names, or the first.
    pub(crate) fn choice(&self, hint: Option<&str>) -> &Person {
        let named =
            self.people.iter().find(|person| hint == Some(person.login) || hint == Some(person.id.as_str()));
        named.unwrap_or(&self.people[0])
    }

    /// How a user signs in, or why not (OpenID Connect Core 1.0 section 3.1.2.6).
    pub(crate) fn consent(
        &mut self,
        call: &Call<'_>,
        person: &Person,
        offline: bool,
        now: Timestamp,
    ) -> Result<Consent, &'static str> {
        let prompt: Vec<&str> = call.query("prompt").unwrap_or_default().split_whitespace().collect();
        let max_age = call.query("max_age").map(str::parse::<i64>);
        let Ok(max_age) = max_age.transpose() else { return Err("invalid_request") };
        let Some(mut session) = self.sessions.get(&person.id).copied() else { return Err("login_required") };
        let age = now.duration_since(session.since).as_secs();
        let is_old = session.is_over || max_age.is_some_and(|most| age > most);
        if prompt.contains(&"none") {
            let wrong = if prompt.len() > 1 { Some("invalid_request") } else { None };
            wrong.or(is_old.then_some("login_required")).map_or(Ok(()), Err)?;
        }
        if person.refuses {
            return Err("access_denied");
        }
        if is_old || prompt.contains(&"login") {
            let number = session.number + u32::from(session.is_over);
            session = Session { number, since: now, is_over: false };
            self.sessions.insert(person.id.clone(), session);
        }
        let sign_in = SignIn {
            nonce: call.query("nonce").map(ToOwned::to_owned),
            time: session.since,
            asked_for_time: max_age.is_some(),
            session: self.session_name(&person.id, session),
        };
        Ok(Consent { subject: person.id.clone(), offline, sign_in: Some(sign_in) })
    }

    fn session_name(&self, user: &str, session: Session) -> String {
        invented(BASE62, self.seed, &format!("session:{user}:{}", session.number), 32)
    }

    /// A grant that was given before the first request.
    pub(crate) fn grant(&self, client: &str, user: &str, scopes: &[&str]) -> Grant {
        let session = Session { number: 0, since: PROVED, is_over: false };
        let sign_in = SignIn {
            nonce: None,
            time: PROVED,
            asked_for_time: false,
            session: self.session_name(user, session),
        };
        Grant { sign_in: Some(sign_in), ..Grant::new(client, Some(user), scopes) }
    }

    /// Gives out tokens, with a statement about who signed in where that was asked for. `own` is what the vendor states,
    /// at least the issuer and the subject.
    pub(crate) fn issue(
        &mut self,
        call: &Call<'_>,
        world: &mut World<'_>,
        own: impl Fn(&Person, &Grant) -> Value,
    ) -> Result<Value, Refusal> {
        let Issued { mut body, grant, is_first, .. } = self.issuer.issue(call, world)?;
        let person = grant.subject.as_deref().and_then(|subject| self.person(subject)).cloned();
        let states = grant.scopes.iter().any(|scope| scope == "openid");
        if let (true, Some(person), Some(sign_in)) = (states, person, grant.sign_in.clone()) {
            let mut claims = seen(&person.claims, &grant.scopes);
            let access = body["access_token"].as_str().unwrap_or_default();
            merge(&mut claims, &self.statement(&grant, &sign_in, is_first, access, world.now));
            merge(&mut claims, &own(&person, &grant));
            let wrong = self.next_id_token.take().unwrap_or_default();
            merge(&mut claims, &wrong.claims);
            body["id_token"] = self.keys.sign(&claims, &wrong.header, wrong.signer).into();
        }
        Ok(body)
    }

    fn statement(
        &self,
        grant: &Grant,
        sign_in: &SignIn,
        is_first: bool,
        access: &str,
        now: Timestamp,
    ) -> Value {
        let now = now.as_second();
        let time = (self.style.auth_time || sign_in.asked_for_time).then(|| sign_in.time.as_second());
        json!({
            "aud": grant.client,
            "iat": now,
            "exp": now + ID_TOKEN_SECONDS,
            "auth_time": time,
            // A refresh has none to repeat (OpenID Connect Core 1.0 section 12.2).
            "nonce": if is_first { sign_in.nonce.clone() } else { None },
            "at_hash": self.style.at_hash.then(|| half_hash(self.keys.algorithm(), access)),
            "sid": self.style.sid.then(|| sign_in.session.clone()),
        })
    }

    /// What the issuer says about itself (OpenID Connect Discovery 1.0 section 4.2).
    pub(crate) fn metadata(&mut self, right: Value) -> Answer {
        let mut members = object(right);
        merge(&mut members, &self.next_metadata.take().unwrap_or_default().claims);
        Answer::json(200, &members.into())
    }

    /// What is told to whoever shows an access token, or why not (OpenID Connect Core 1.0 section 5.3).
    pub(crate) fn userinfo(
        &mut self,
        call: &Call<'_>,
        now: Timestamp,
        own: impl Fn(&Person, &Grant) -> Value,
    ) -> Result<Value, Answer> {
        let token = call.bearer().ok_or_else(|| challenge(401, None))?;
        let Standing::Good(grant) = self.issuer.standing(token, now) else {
            return Err(challenge(401, Some("invalid_token")));
        };
        let person = grant.subject.as_deref().and_then(|subject| self.person(subject));
        let person = person.filter(|_| grant.scopes.iter().any(|scope| scope == "openid"));
        let Some(person) = person else { return Err(challenge(403, Some("insufficient_scope"))) };
        let mut claims = seen(&person.claims, &grant.scopes);
        merge(&mut claims, &own(person, grant));
        merge(&mut claims, &self.next_userinfo.take().unwrap_or_default().claims);
        Ok(claims.into())
    }

    fn end(&mut self, user: &str, world: &mut World<'_>) {
        if let Some(session) = self.sessions.get_mut(user) {
            session.is_over = true;
        }
        world.ledger.set("end_session", user);
    }

    /// Answers what only the sandbox has; `None` for any other path. `own` states the issuer and the subject.
    pub(crate) fn control(
        &mut self,
        call: &Call<'_>,
        world: &mut World<'_>,
        client: &str,
        own: impl Fn(&Person) -> Value,
    ) -> Option<Answer> {
        let segments = call.segments();
        let ["__sandbox", what] = segments.as_slice() else { return None };
        let form = call.form();
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let wrong = Wrong::of(field).filter(|_| *call.method == Method::POST);
        let Some(wrong) = wrong else { return Some(Answer::empty(400)) };
        Some(match *what {
            "rotate-keys" => self.rotate(field("alg"), field("forget") == Some("true")),
            "id-token" => {
                self.next_id_token = Some(wrong);
                Answer::empty(204)
            }
            "userinfo" => {
                self.next_userinfo = Some(wrong);
                Answer::empty(204)
            }
            "metadata" => {
                self.next_metadata = Some(wrong);
                Answer::empty(204)
            }
            "logout-token" => {
                let person = self.choice(field("login_hint")).clone();
                let token = self.logout_token(&person, client, &own(&person), &wrong, world);
                Answer::json(200, &json!({"logout_token": token}))
            }
            _ => Answer::empty(404),
        })
    }

    fn rotate(&mut self, algorithm: Option<&str>, forget: bool) -> Answer {
        let all = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
        let wanted = algorithm.unwrap_or("RS256");
        let Some(algorithm) = all.into_iter().find(|known| algorithm_name(*known) == wanted) else {
            return Answer::empty(400);
        };
        self.keys.rotate(algorithm);
        if forget {
            self.keys.forget();
        }
        Answer::json(200, &json!({"kid": self.keys.kid()}))
    }

    fn logout_token(
        &mut self,
        person: &Person,
        client: &str,
        own: &Value,
        wrong: &Wrong,
        world: &mut World<'_>,
    ) -> String {
        let session = self.sessions.get(&person.id).copied();
        let sid = session.map(|session| self.session_name(&person.id, session));
        self.end(&person.id, world);
        self.logouts += 1;
        let now = world.now.as_second();
        let mut claims = object(json!({
            "aud": client,
            "iat": now,
            "exp": now + LOGOUT_TOKEN_SECONDS,
            "jti": invented(BASE62, self.seed, &format!("logout:{}", self.logouts), 24),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        }));
        merge(&mut claims, own);
        merge(&mut claims, &json!({"sid": sid}));
        merge(&mut claims, &wrong.claims);
        let mut header = object(json!({"typ": "logout+jwt"}));
        merge(&mut header, &wrong.header);
        self.keys.sign(&claims, &header.into(), wrong.signer)
    }
}

impl Wrong {
    /// What a form asks for; `None` for one that means nothing, so that a test with a slip in it does not pass.
    fn of<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let members = |name: &str| match field(name) {
            None => Some(Value::Null),
            Some(text) => serde_json::from_str(text).ok().filter(Value::is_object),
        };
        let signer = match field("signer") {
            None => Signer::Own,
            Some("other") => Signer::Other,
            Some("nobody") => Signer::Nobody,
            Some("public") => Signer::Public,
            Some(_) => return None,
        };
        Some(Self { claims: members("claims")?, header: members("header")?, signer })
    }
}

/// What these scopes let be seen of what is stated about a user.
fn seen(claims: &Value, scopes: &[String]) -> Map<String, Value> {
    let mut claims = object(claims.clone());
    claims.retain(|name, _| {
        let mut scope =
            CLAIMS.iter().filter(|(_, names)| names.contains(&name.as_str())).map(|(scope, _)| scope);
        scope.next().is_none_or(|scope| scopes.iter().any(|given| given == scope))
    });
    claims
}

/// The left half of a token's hash, by the algorithm that signs (OpenID Connect Core 1.0 section 3.1.3.6). Ed25519 hashes
/// with SHA-512 (RFC 8032 section 5.1).
fn half_hash(algorithm: Algorithm, token: &str) -> String {
    let hash = match algorithm {
        Algorithm::EdDSA => Sha512::digest(token).to_vec(),
        _ => Sha256::digest(token).to_vec(),
    };
    URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2])
}

/// An answer of RFC 6750 section 3.
fn challenge(status: u16, error: Option<&str>) -> Answer {
    let text = error.map_or("Bearer".to_owned(), |error| format!("Bearer error=\"{error}\""));
    let body = error.map_or(json!({}), |error| json!({"error": error}));
    Answer::json(status, &body).header(WWW_AUTHENTICATE, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_hash_is_the_one_that_the_standard_shows() {
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(half_hash(Algorithm::RS256, token), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(half_hash(Algorithm::EdDSA, token).len(), 43);
    }

    #[test]
    fn scopes_let_be_seen_what_they_name() {
        let claims = json!({"name": "Ada", "email": "ada@example.org", "hd": "example.org"});
        let names = |scopes: &[&str]| {
            let scopes: Vec<String> = scopes.iter().map(|&scope| scope.to_owned()).collect();
            seen(&claims, &scopes).keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(names(&["openid"]), ["hd"]);
        assert_eq!(names(&["openid", "email"]), ["email", "hd"]);
        assert_eq!(names(&["profile"]), ["hd", "name"]);
    }
}
