//! The fake of sign-in with GitHub: an OAuth app.
//!
//! From docs.github.com/apps/oauth-apps and api.github.com's description. The paths of both hosts stand side by side. It
//! knows an application whose tokens expire and one whose tokens do not, unless they are asked for with `offline_access`.
//! The parameter `login` chooses the account, and `login_hint` does, for those who know no other name for it.

#![allow(clippy::result_large_err, reason = "a refusal is an answer like any other")]

mod people;

use http::header::{ACCEPT, AUTHORIZATION, HeaderName, USER_AGENT};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::issuer::{Client, Consent, Grant, Issuer, Policy, Refusal, Rotation, Standing, basic, invented};
use crate::{Answer, Call, Fake, Known, Trouble, Vendor, World};

use people::{Person, people};

/// The fake.
pub const FAKE: Fake = Fake::new("github-sign-in", "auth", |seed| Box::new(Service::new(seed)));

const API: &str = "https://api.github.com";
const DOCS: &str = "https://docs.github.com/rest";
const REDIRECT: &str = "https://app.example/callback";
const HEX: &[u8] = b"0123456789abcdef";

/// What may be asked for. Anything else is left out without a word.
const SCOPES: &[&str] = &["user", "read:user", "user:email", "offline_access", "repo", "gist", "read:org"];

/// Requests of a token in an hour.
const HOURLY: u64 = 5000;

const POLICY: Policy = Policy {
    access_prefix: "gho_",
    refresh_prefix: "ghr_",
    access_seconds: 28_800,
    refresh_seconds: Some(REFRESH_SECONDS),
    rotation: Rotation::Strict,
};

const REFRESH_SECONDS: i64 = 15_811_200;

struct Service {
    issuer: Issuer,
    people: Vec<Person>,
    /// An application whose tokens expire.
    client: (String, String),
    /// One whose tokens do not.
    classic: (String, String),
    /// The hour, and how many requests have come in it.
    used: (i64, u64),
    known: Known,
}

impl Service {
    fn new(seed: u64) -> Self {
        let pair = |name: &str| {
            let id = format!("Ov23li{}", invented(crate::issuer::BASE62, seed, &format!("{name}:id"), 14));
            (id, invented(HEX, seed, &format!("{name}:secret"), 40))
        };
        let (client, classic) = (pair("expiring"), pair("classic"));
        let people = people(seed);
        let registered = |(id, secret): &(String, String)| Client {
            id: id.clone(),
            secret: Some(secret.clone()),
            redirects: vec![REDIRECT.to_owned()],
            scopes: SCOPES.iter().map(|&scope| scope.to_owned()).collect(),
            ..Client::default()
        };
        let mut issuer = Issuer::new(seed, POLICY, &people[0].id.to_string())
            .with_client(registered(&client))
            .with_client(registered(&classic));
        let id = people[0].id.to_string();
        let grant = Grant::new(&client.0, Some(&id), &["read:user", "user:email"]);
        let narrow = Grant::new(&client.0, Some(&id), &[]);
        let foreign = Grant::new(&classic.0, Some(&id), &["read:user", "user:email"]);
        let known = Known::new()
            .with("access_token", issuer.give_access(grant.clone()))
            .with("refresh_token", issuer.give_refresh(grant))
            .with("narrow_token", issuer.give_access(narrow))
            .with("foreign_token", issuer.give_access(foreign))
            .with("client_id", &client.0)
            .with("classic_client_id", &classic.0)
            .with("classic_client_secret", &classic.1);
        let known = people::with_people(known, &people);
        Self { issuer, people, client, classic, used: (0, 0), known }
    }

    fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.id.to_string() == id)
    }

    fn authorize(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let mut asked = call.clone();
        if asked.query("redirect_uri").is_none() {
            asked.query.push(("redirect_uri".to_owned(), REDIRECT.to_owned()));
        }
        let given: Vec<(String, String)> = [("response_type".to_owned(), "code".to_owned())]
            .into_iter()
            .chain(asked.query.into_iter().filter(|(name, _)| name != "response_type"))
            .map(
                |(name, value)| {
                    if name == "scope" { (name, scopes(&value).join(" ")) } else { (name, value) }
                },
            )
            .collect();
        asked.query = given;
        let is_known = |id: &str| id == self.client.0 || id == self.classic.0;
        if asked.query("client_id").is_some_and(is_known) && asked.query("redirect_uri") != Some(REDIRECT) {
            return mismatch(&asked);
        }
        let hint = asked.query("login").or(asked.query("login_hint"));
        let named = self.people.iter().find(|person| hint == Some(person.login));
        let person = named.unwrap_or(&self.people[0]);
        let expires = asked.query("client_id") == Some(self.client.0.as_str())
            || asked.query("scope").is_some_and(|scope| scope.split(' ').any(|one| one == "offline_access"));
        let consent = Consent { subject: person.id.to_string(), offline: expires, sign_in: None };
        let (consent, more): (_, &[_]) =
            if person.refuses { (Err("access_denied"), DENIED) } else { (Ok(consent), &[]) };
        self.issuer.decide(&asked, world, consent, more)
    }

    /// Errors come with status 200 too.
    fn token(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let mut form = call.form();
        let has = |form: &[(String, String)], name: &str| form.iter().any(|(key, _)| key == name);
        if !has(&form, "grant_type") {
            form.push(("grant_type".to_owned(), "authorization_code".to_owned()));
        }
        if !has(&form, "redirect_uri") {
            let code = form.iter().find(|(name, _)| name == "code").map(|(_, code)| code.as_str());
            let redirect = code.and_then(|code| self.issuer.redirect_of(code)).map(ToOwned::to_owned);
            form.extend(redirect.map(|redirect| ("redirect_uri".to_owned(), redirect)));
        }
        let body = people::form(form.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let asked = Call { body: body.as_bytes(), ..call.clone() };
        let result = self.issuer.issue(&asked, world);
        let body = match result {
            Ok(issued) => self.worded(issued.body),
            Err(refusal) => refused(refusal),
        };
        if call.header(ACCEPT.as_str()).is_some_and(|kind| kind.contains("json")) {
            return Answer::json(200, &body);
        }
        let members = body.as_object().into_iter().flatten();
        let pairs: Vec<(String, String)> = members
            .map(|(name, value)| {
                (name.clone(), value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned))
            })
            .collect();
        let text = people::form(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Answer::text(200, "application/x-www-form-urlencoded; charset=utf-8", text)
    }

    fn worded(&mut self, issued: Value) -> Value {
        let mut body = json!({
            "access_token": issued["access_token"],
            "token_type": "bearer",
            "scope": issued["scope"].as_str().unwrap_or_default().replace(' ', ","),
        });
        if issued["refresh_token"].is_null() {
            self.issuer.keep_access(issued["access_token"].as_str().unwrap_or_default());
        } else {
            body["expires_in"] = issued["expires_in"].clone();
            body["refresh_token"] = issued["refresh_token"].clone();
            body["refresh_token_expires_in"] = REFRESH_SECONDS.into();
        }
        body
    }

    fn api(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        if call.header(USER_AGENT.as_str()).is_none_or(|agent| agent.trim().is_empty()) {
            let text = "\r\nRequest forbidden by administrative rules. Please make sure your request has a User-Agent header (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). Check https://developer.github.com for other possible causes.\r\n";
            return Answer::text(403, "text/html", text);
        }
        let answer = match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", ["user"]) => self.user(call, world.now),
            ("GET", ["user", "emails"]) => self.emails(call, world.now),
            (_, ["applications", client, what @ ("token" | "grant")]) => {
                self.application(call, client, what, world)
            }
            _ => Err(message(404, "Not Found")),
        };
        self.counted(answer.unwrap_or_else(|wrong| wrong), world.now)
    }

    /// Every answer tells what is left of the hour.
    fn counted(&mut self, answer: Answer, now: Timestamp) -> Answer {
        let hour = now.as_second().div_euclid(3600);
        self.used = if self.used.0 == hour { (hour, self.used.1 + 1) } else { (hour, 1) };
        let used = self.used.1.min(HOURLY);
        let numbers = [
            ("x-ratelimit-limit", HOURLY.to_string()),
            ("x-ratelimit-remaining", (HOURLY - used).to_string()),
            ("x-ratelimit-used", used.to_string()),
            ("x-ratelimit-reset", ((hour + 1) * 3600).to_string()),
            ("x-ratelimit-resource", "core".to_owned()),
        ];
        numbers
            .into_iter()
            .fold(answer, |answer, (name, value)| answer.header(HeaderName::from_static(name), &value))
    }

    fn session(&self, call: &Call<'_>, now: Timestamp) -> Result<(&Person, &Grant), Answer> {
        let header = call.header(AUTHORIZATION.as_str());
        let header = header.ok_or_else(|| message(401, "Requires authentication"))?;
        let token = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("token "));
        let Some(Standing::Good(grant)) = token.map(|token| self.issuer.standing(token, now)) else {
            return Err(message(401, "Bad credentials"));
        };
        let person = grant.subject.as_deref().and_then(|subject| self.person(subject));
        person.map(|person| (person, grant)).ok_or_else(|| message(401, "Bad credentials"))
    }

    fn user(&self, call: &Call<'_>, now: Timestamp) -> Result<Answer, Answer> {
        let (person, grant) = self.session(call, now)?;
        let is_private = grant.scopes.iter().any(|scope| matches!(scope.as_str(), "user" | "read:user"));
        Ok(with_scopes(Answer::json(200, &person.profile(is_private)), grant))
    }

    fn emails(&self, call: &Call<'_>, now: Timestamp) -> Result<Answer, Answer> {
        let (person, grant) = self.session(call, now)?;
        if !grant.scopes.iter().any(|scope| matches!(scope.as_str(), "user" | "user:email")) {
            return Err(with_scopes(message(404, "Not Found"), grant));
        }
        Ok(with_scopes(Answer::json(200, &person.addresses()), grant))
    }

    /// What an application asks about a token, or ends.
    fn application(
        &mut self,
        call: &Call<'_>,
        client: &str,
        what: &str,
        world: &mut World<'_>,
    ) -> Result<Answer, Answer> {
        let shown = call.header(AUTHORIZATION.as_str()).and_then(basic);
        let (id, secret) = shown.ok_or_else(|| message(401, "Requires authentication"))?;
        if id != client || !self.issuer.is_client(&id, &secret) {
            return Err(message(404, "Not Found"));
        }
        let token = call.json().and_then(|body| Some(body.get("access_token")?.as_str()?.to_owned()));
        let token = token.ok_or_else(|| message(422, "Validation Failed"))?;
        let grant = match self.issuer.standing(&token, world.now) {
            Standing::Good(grant) if grant.client == client => grant.clone(),
            _ if *call.method == http::Method::POST => return Err(message(404, "Not Found")),
            _ => return Err(message(422, "Validation Failed")),
        };
        let user = grant.subject.clone().unwrap_or_default();
        match (call.method.as_str(), what) {
            ("POST", "token") => return Ok(Answer::json(200, &self.authorization(&token, &grant))),
            ("DELETE", "token") => {
                self.issuer.end_consent(&token);
                world.ledger.set("revoke_token", client);
            }
            ("DELETE", "grant") => {
                self.issuer.end_all(client, &user);
                world.ledger.set("revoke_grant", format!("{client}:{user}"));
            }
            _ => return Err(message(404, "Not Found")),
        }
        Ok(Answer::empty(204))
    }

    fn authorization(&self, token: &str, grant: &Grant) -> Value {
        let person = grant.subject.as_deref().and_then(|subject| self.person(subject));
        let hash = Sha256::digest(token).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let time = "2026-03-02T11:50:00Z";
        json!({
            "id": 1,
            "url": format!("{API}/authorizations/1"),
            "scopes": grant.scopes,
            "token": token,
            "token_last_eight": &token[token.len().saturating_sub(8)..],
            "hashed_token": hash,
            "app": {"client_id": grant.client, "name": "Sandbox", "url": "https://app.example"},
            "note": null,
            "note_url": null,
            "updated_at": time,
            "created_at": time,
            "fingerprint": null,
            "user": person.map(Person::simple),
            "expires_at": grant.expires.map(|end| end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        })
    }
}

const DENIED: &[(&str, &str)] = &[
    ("error_description", "The user has denied your application access."),
    ("error_uri", "/apps/managing-oauth-apps/troubleshooting-authorization-request-errors/#access-denied"),
];

/// They are asked for with spaces between them, or commas.
fn scopes(text: &str) -> Vec<&str> {
    text.split([' ', ',']).filter(|scope| SCOPES.contains(scope)).collect()
}

/// A user is sent to the address that is registered.
fn mismatch(call: &Call<'_>) -> Answer {
    let about = "The redirect_uri MUST match the registered callback URL for this application.";
    let pairs = [("error", "redirect_uri_mismatch"), ("error_description", about)];
    let state = call.query("state").map(|state| ("state", state));
    let address = crate::issuer::with_query(REDIRECT, pairs.into_iter().chain(state));
    Answer::empty(302).header(http::header::LOCATION, &address)
}

fn refused(refusal: Refusal) -> Value {
    let (error, about) = match (refusal.error, refusal.about) {
        ("invalid_client", _) => {
            ("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.")
        }
        (_, "Invalid redirect URI") => (
            "redirect_uri_mismatch",
            "The redirect_uri MUST match the registered callback URL for this application.",
        ),
        (_, "Refresh token revoked" | "Invalid refresh token") => {
            ("bad_refresh_token", "The refresh token passed is incorrect or expired.")
        }
        ("unsupported_grant_type", _) => ("unsupported_grant_type", "The grant type is not supported."),
        _ => ("bad_verification_code", "The code passed is incorrect or expired."),
    };
    let page = "/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors/";
    json!({"error": error, "error_description": about, "error_uri": format!("{page}#{}", error.replace('_', "-"))})
}

fn message(status: u16, text: &str) -> Answer {
    Answer::json(status, &json!({"message": text, "documentation_url": DOCS, "status": status.to_string()}))
}

fn with_scopes(answer: Answer, grant: &Grant) -> Answer {
    answer.header(HeaderName::from_static("x-oauth-scopes"), &grant.scopes.join(", "))
}

impl Vendor for Service {
    fn answer(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", ["login", "oauth", "authorize"]) => self.authorize(call, world),
            ("POST", ["login", "oauth", "access_token"]) => self.token(call, world),
            _ => self.api(call, world),
        }
    }

    fn word(&self, trouble: Trouble) -> Option<Answer> {
        match trouble {
            Trouble::RateLimited(_) => Some(message(
                429,
                "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
            )),
            Trouble::Unauthorized => Some(message(401, "Bad credentials")),
            Trouble::Broken(502) => Some(message(502, "Server Error")),
            Trouble::Broken(status) => {
                let page = "<html><body>Unicorn! We had issues producing the response to your request.</body></html>";
                Some(Answer::text(status, "text/html; charset=utf-8", page))
            }
            Trouble::QuotaExhausted | Trouble::FailedWithSuccess => None,
        }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("client_id", self.client.0.clone()),
            ("client_secret", self.client.1.clone()),
            ("redirect_uri", REDIRECT.to_owned()),
        ]
    }

    fn known(&self) -> Known {
        self.known.clone()
    }
}
