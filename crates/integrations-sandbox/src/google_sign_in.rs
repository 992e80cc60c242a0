//! The fake of sign-in with Google.
//!
//! From developers.google.com/identity/openid-connect. The paths of all its hosts stand side by side. A `login_hint` chooses
//! the account: one of gmail.com, one of a Workspace domain, one that somebody made with an address elsewhere, and one
//! whose owner refuses.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::issuer::{Client, Issuer, Policy, Refusal, Rotation, invented, unstored};
use crate::openid::{OpenId, Person, Style};
use crate::{Answer, Call, Fake, Known, Trouble, Vendor, World};

/// The fake.
pub const FAKE: Fake = Fake::new("google-sign-in", "auth", |seed| Box::new(Service::new(seed)));

const ISSUER: &str = "https://accounts.google.com";
const REDIRECT: &str = "https://app.example/callback";
const DIGITS: &[u8] = b"0123456789";
const LETTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// What may be asked for, and what the answers call it.
const SCOPES: &[(&str, &str)] = &[
    ("openid", "openid"),
    ("email", "https://www.googleapis.com/auth/userinfo.email"),
    ("profile", "https://www.googleapis.com/auth/userinfo.profile"),
];

const POLICY: Policy = Policy {
    access_prefix: "ya29.",
    refresh_prefix: "1//0",
    access_seconds: 3599,
    refresh_seconds: None,
    rotation: Rotation::Never,
};

const STYLE: Style = Style { at_hash: true, auth_time: false, sid: false };

struct Service {
    openid: OpenId,
    client: (String, String),
    /// Who has consented before: only a first consent gives a refresh token, or one that was asked for again.
    consented: BTreeSet<String>,
    known: Known,
}

impl Service {
    fn new(seed: u64) -> Self {
        let number = invented(DIGITS, seed, "project", 12);
        let id = format!("{number}-{}.apps.googleusercontent.com", invented(LETTERS, seed, "client", 32));
        let client = (id, format!("GOCSPX-{}", invented(crate::issuer::BASE62, seed, "secret", 28)));
        let people = people(seed);
        let names = SCOPES.iter().flat_map(|(short, long)| [short, long]);
        let issuer = Issuer::new(seed, POLICY, &people[0].id).named(ISSUER).with_client(Client {
            id: client.0.clone(),
            secret: Some(client.1.clone()),
            redirects: vec![REDIRECT.to_owned()],
            scopes: names.map(|&scope| scope.to_owned()).collect(),
            ..Client::default()
        });
        let mut openid = OpenId::new(seed, issuer, STYLE, people.clone());
        let grant = openid.grant(&client.0, &people[0].id, &["openid", "email", "profile"]);
        let known = Known::new()
            .with("access_token", openid.issuer.give_access(grant.clone()))
            .with("refresh_token", openid.issuer.give_refresh(grant))
            .with("client_id", &client.0)
            .with("user_id", &people[0].id)
            .with("email", people[0].login)
            .with("email_verified", "true")
            .with("name", "Ada Lovelace")
            .with("other_user", people[1].login)
            .with("other_user_id", &people[1].id)
            .with("workspace_user", people[1].login)
            .with("workspace_domain", WORKSPACE)
            .with("foreign_user", people[2].login)
            .with("foreign_user_id", &people[2].id)
            .with("denied_user", people[3].login);
        let consented = BTreeSet::from([people[0].id.clone()]);
        Self { openid, client, consented, known }
    }

    fn authorize(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let person = self.openid.choice(call.query("login_hint")).clone();
        let prompt = call.query("prompt").unwrap_or_default();
        let asks_again = prompt.split(' ').any(|word| word == "consent");
        let is_first = !self.consented.contains(&person.id);
        let offline = call.query("access_type") == Some("offline") && (is_first || asks_again);
        let consent = self.openid.consent(call, &person, offline, world.now);
        if consent.is_ok() {
            self.consented.insert(person.id);
        }
        let scope = long(call.query("scope").unwrap_or_default());
        let told = [("scope", scope.as_str()), ("authuser", "0"), ("prompt", "consent")];
        let more: &[_] = if consent.is_ok() { &told } else { &[] };
        self.openid.issuer.decide(call, world, consent, more)
    }

    fn token(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let client = self.client.0.clone();
        let own = |person: &Person, _: &_| {
            let mut own = own(person);
            own["azp"] = client.clone().into();
            own
        };
        match self.openid.issue(call, world, own) {
            Ok(mut body) => {
                body["scope"] = long(body["scope"].as_str().unwrap_or_default()).into();
                unstored(&body)
            }
            Err(refusal) => worded(refusal),
        }
    }

    fn userinfo(&mut self, call: &Call<'_>, world: &World<'_>) -> Answer {
        let own = |person: &Person, _: &_| json!({"sub": person.id});
        match self.openid.userinfo(call, world.now, own) {
            Ok(body) => Answer::json(200, &body),
            Err(mut wrong) => {
                wrong.body = error("invalid_request", "Invalid Credentials").to_string().into();
                wrong
            }
        }
    }

    /// Whoever has a token may end it, and all that came of the same consent.
    fn revoke(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let form = call.form();
        let token = form.iter().chain(&call.query).find(|(name, _)| name == "token");
        let ended = token.and_then(|(_, token)| self.openid.issuer.end_consent(token));
        let Some(grant) = ended else {
            return Answer::json(400, &error("invalid_token", "Token expired or revoked"));
        };
        if let Some(user) = &grant.subject {
            self.consented.remove(user);
        }
        world.ledger.set("revoke_token", &grant.client);
        Answer::json(200, &json!({}))
    }
}

fn own(person: &Person) -> Value {
    json!({"iss": ISSUER, "sub": person.id})
}

fn error(error: &str, about: &str) -> Value {
    json!({"error": error, "error_description": about})
}

fn long(scopes: &str) -> String {
    let long = |scope| SCOPES.iter().find(|known| known.0 == scope).map_or(scope, |known| known.1);
    scopes.split_whitespace().map(long).collect::<Vec<_>>().join(" ")
}

fn worded(refusal: Refusal) -> Answer {
    let (status, code, about) = match (refusal.error, refusal.about) {
        ("invalid_client", _) => (401, "invalid_client", "Unauthorized"),
        (_, "Invalid redirect URI") => (400, "redirect_uri_mismatch", "Bad Request"),
        (_, "code_verifier was incorrect") => (400, "invalid_grant", "Invalid code verifier."),
        (_, "Refresh token revoked") => (400, "invalid_grant", "Token has been expired or revoked."),
        (code, _) => (400, code, "Bad Request"),
    };
    Answer::json(status, &error(code, about))
}

const WORKSPACE: &str = "workspace.example";

fn people(seed: u64) -> Vec<Person> {
    let person = |login: &'static str, name: &str, domain: Option<&str>, refuses: bool| {
        let (given, family) = name.split_once(' ').unwrap_or((name, ""));
        let mut claims = json!({
            "name": name,
            "given_name": given,
            "family_name": family,
            "picture": format!("https://lh3.googleusercontent.com/a/{given}=s96-c"),
            "email": login,
            "email_verified": true,
        });
        if let Some(domain) = domain {
            claims["hd"] = domain.into();
        }
        Person { id: format!("1{}", invented(DIGITS, seed, login, 20)), login, refuses, claims }
    };
    vec![
        person("ada.of.the.sandbox@gmail.com", "Ada Lovelace", None, false),
        person("grace@workspace.example", "Grace Hopper", Some(WORKSPACE), false),
        person("edsger@elsewhere.example", "Edsger Dijkstra", None, false),
        person("niklaus.of.the.sandbox@gmail.com", "Niklaus Wirth", None, true),
    ]
}

fn metadata() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
        "device_authorization_endpoint": "https://oauth2.googleapis.com/device/code",
        "token_endpoint": "https://oauth2.googleapis.com/token",
        "userinfo_endpoint": "https://openidconnect.googleapis.com/v1/userinfo",
        "revocation_endpoint": "https://oauth2.googleapis.com/revoke",
        "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "email", "profile"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "claims_supported": [
            "aud", "email", "email_verified", "exp", "family_name", "given_name", "iat", "iss", "name", "picture",
            "sub"
        ],
        "code_challenge_methods_supported": ["plain", "S256"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "authorization_response_iss_parameter_supported": true,
    })
}

impl Vendor for Service {
    fn answer(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        if let Some(answer) = self.openid.control(call, world, &self.client.0, own) {
            return answer;
        }
        match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", [".well-known", "openid-configuration"]) => self.openid.metadata(metadata()),
            ("GET", ["oauth2", "v3", "certs"]) => self.openid.keys.set(21_000, &Value::Null),
            ("GET", ["o", "oauth2", "v2", "auth"]) => self.authorize(call, world),
            ("POST", ["token"]) => self.token(call, world),
            ("GET" | "POST", ["v1", "userinfo"]) => self.userinfo(call, world),
            ("POST", ["revoke"]) => self.revoke(call, world),
            _ => Answer::text(404, "text/html; charset=UTF-8", "<title>Error 404 (Not Found)!!1</title>"),
        }
    }

    fn word(&self, trouble: Trouble) -> Option<Answer> {
        let answer = |status, code, about| Some(Answer::json(status, &error(code, about)));
        match trouble {
            Trouble::RateLimited(_) => answer(429, "rate_limit_exceeded", "Too Many Requests"),
            Trouble::Unauthorized => answer(401, "invalid_request", "Invalid Credentials"),
            Trouble::Broken(status) => answer(status, "internal_failure", "Backend Error"),
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
