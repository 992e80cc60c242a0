//! The fake of an issuer that does what OpenID Connect says and nothing of its own (OpenID Connect Core 1.0, Discovery 1.0,
//! RP-Initiated Logout 1.0, Back-Channel Logout 1.0).
//!
//! It wants a code challenge from everybody, gives refresh tokens for `offline_access`, and replaces them at every use. A
//! `login_hint` chooses who sits before the browser.

use serde_json::{Value, json};

use crate::issuer::{Client, Issuer, Policy, Refusal, Rotation, invented, unstored};
use crate::openid::{OpenId, Person, Style};
use crate::{Answer, Call, Fake, Known, Trouble, Vendor, World};

/// The fake.
pub const FAKE: Fake = Fake::new("oidc", "auth", |seed| Box::new(Service::new(seed)));

const ISSUER: &str = "https://issuer.example";
const REDIRECT: &str = "https://app.example/callback";
const SIGNED_OUT: &str = "https://app.example/signed-out";
const SCOPES: &[&str] = &["openid", "profile", "email", "offline_access"];
const HEX: &[u8] = b"0123456789abcdef";

const POLICY: Policy = Policy {
    access_prefix: "at-",
    refresh_prefix: "rt-",
    access_seconds: 3600,
    refresh_seconds: Some(30 * 24 * 3600),
    rotation: Rotation::Always,
};

const STYLE: Style = Style { at_hash: true, auth_time: true, sid: true };

struct Service {
    openid: OpenId,
    client: (String, String),
    known: Known,
}

impl Service {
    fn new(seed: u64) -> Self {
        let text = |label: &str, length| invented(HEX, seed, label, length);
        let client = (format!("app-{}", text("client", 12)), text("secret", 40));
        let public_client = format!("app-{}", text("public", 12));
        let people = people(seed);
        let registered = |id: &str, secret: Option<&str>| Client {
            id: id.to_owned(),
            secret: secret.map(ToOwned::to_owned),
            redirects: vec![REDIRECT.to_owned()],
            scopes: SCOPES.iter().map(|&scope| scope.to_owned()).collect(),
            ..Client::default()
        };
        let issuer = Issuer::new(seed, POLICY, &people[0].id)
            .named(ISSUER)
            .with_client(registered(&client.0, Some(&client.1)))
            .with_client(registered(&public_client, None));
        let mut openid = OpenId::new(seed, issuer, STYLE, people.clone());
        let grant = openid.grant(&client.0, &people[0].id, SCOPES);
        let known = Known::new()
            .with("access_token", openid.issuer.give_access(grant.clone()))
            .with("refresh_token", openid.issuer.give_refresh(grant))
            .with("client_id", &client.0)
            .with("public_client_id", &public_client)
            .with("user_id", &people[0].id)
            .with("email", "ada@example.org")
            .with("email_verified", "true")
            .with("name", "Ada Lovelace")
            .with("other_user", people[1].login)
            .with("other_user_id", &people[1].id)
            .with("other_email", "grace@example.org")
            .with("unverified_user", people[2].login)
            .with("unverified_user_id", &people[2].id)
            .with("unverified_email", "edsger@example.org")
            .with("denied_user", people[3].login)
            .with("post_logout_redirect_uri", SIGNED_OUT);
        Self { openid, client, known }
    }

    fn authorize(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let asks = |scope: &str| call.query("scope").unwrap_or_default().split(' ').any(|one| one == scope);
        let consent = if call.query("code_challenge").is_none() {
            Err("invalid_request")
        } else {
            let person = self.openid.choice(call.query("login_hint")).clone();
            self.openid.consent(call, &person, asks("offline_access"), world.now)
        };
        self.openid.issuer.decide(call, world, consent, &[])
    }

    fn token(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let own = |person: &Person, _: &_| own(person);
        self.openid.issue(call, world, own).map_or_else(Refusal::answer, |body| unstored(&body))
    }

    fn userinfo(&mut self, call: &Call<'_>, world: &World<'_>) -> Answer {
        let own = |person: &Person, _: &_| json!({"sub": person.id});
        self.openid.userinfo(call, world.now, own).map_or_else(|wrong| wrong, |body| Answer::json(200, &body))
    }
}

fn own(person: &Person) -> Value {
    json!({"iss": ISSUER, "sub": person.id})
}

fn people(seed: u64) -> Vec<Person> {
    let person = |login: &'static str, name: &str, refuses: bool, is_verified: bool| {
        let (given, family) = name.split_once(' ').unwrap_or((name, ""));
        Person {
            id: invented(HEX, seed, &format!("user:{login}"), 32),
            login,
            refuses,
            claims: json!({
                "name": name,
                "given_name": given,
                "family_name": family,
                "preferred_username": login.split('@').next(),
                "picture": format!("https://cdn.issuer.example/{given}.png"),
                "email": login,
                "email_verified": is_verified,
            }),
        }
    };
    vec![
        person("ada@example.org", "Ada Lovelace", false, true),
        person("grace@example.org", "Grace Hopper", false, true),
        person("edsger@example.org", "Edsger Dijkstra", false, false),
        person("niklaus@example.org", "Niklaus Wirth", true, true),
    ]
}

fn metadata() -> Value {
    let at = |path: &str| format!("{ISSUER}{path}");
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/keys"),
        "revocation_endpoint": at("/revoke"),
        "end_session_endpoint": at("/logout"),
        "scopes_supported": SCOPES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "name", "given_name",
            "family_name", "preferred_username", "picture", "email", "email_verified"
        ],
        "prompt_values_supported": ["none", "login", "consent"],
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    })
}

impl Vendor for Service {
    fn answer(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        if let Some(answer) = self.openid.control(call, world, &self.client.0, own) {
            return answer;
        }
        match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", [".well-known", "openid-configuration"]) => self.openid.metadata(metadata()),
            ("GET", ["keys"]) => self.openid.keys.set(3600, &Value::Null),
            ("GET", ["authorize"]) => self.authorize(call, world),
            ("POST", ["token"]) => self.token(call, world),
            ("GET" | "POST", ["userinfo"]) => self.userinfo(call, world),
            ("POST", ["revoke"]) => self.openid.issuer.revoke(call, world),
            ("GET", ["logout"]) => self.openid.end_session(call, world, &[SIGNED_OUT]),
            _ => Answer::json(404, &json!({"error": "not_found"})),
        }
    }

    fn word(&self, trouble: Trouble) -> Option<Answer> {
        let error = |status, error: &str| Some(Answer::json(status, &json!({"error": error})));
        match trouble {
            Trouble::RateLimited(_) => error(429, "temporarily_unavailable"),
            Trouble::Unauthorized => error(401, "invalid_token"),
            Trouble::Broken(503) => error(503, "temporarily_unavailable"),
            Trouble::Broken(status) => error(status, "server_error"),
            Trouble::QuotaExhausted | Trouble::FailedWithSuccess => None,
        }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("issuer", ISSUER.to_owned()),
            ("client_id", self.client.0.clone()),
            ("client_secret", self.client.1.clone()),
            ("redirect_uri", REDIRECT.to_owned()),
        ]
    }

    fn known(&self) -> Known {
        self.known.clone()
    }
}
