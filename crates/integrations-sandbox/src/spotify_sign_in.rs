//! The fake of sign-in with Spotify: the accounts service and the profile of the Web API.
//!
//! From developer.spotify.com/documentation/web-api. The address of an account is what somebody typed: nobody has verified
//! it. The vendor lets nobody choose an account by a parameter; here a `login_hint` does, in place of the user's hand.

use serde_json::{Value, json};

use crate::issuer::{BASE62, Client, Consent, Grant, Issuer, Policy, Rotation, Standing, invented};
use crate::{Answer, Call, Fake, Known, Trouble, Vendor, World};

/// The fake.
pub const FAKE: Fake = Fake::new("spotify-sign-in", "auth", |seed| Box::new(Service::new(seed)));

const REDIRECT: &str = "https://app.example/callback";
const HEX: &[u8] = b"0123456789abcdef";
const LETTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const SCOPES: &[&str] = &["user-read-email", "user-read-private", "user-top-read", "user-library-read"];

const POLICY: Policy = Policy {
    access_prefix: "BQ",
    refresh_prefix: "AQ",
    access_seconds: 3600,
    // Six months from the user's consent, since June 2026.
    refresh_seconds: Some(182 * 24 * 3600),
    rotation: Rotation::Public,
};

struct Service {
    issuer: Issuer,
    people: [Person; 3],
    client: (String, String),
    known: Known,
}

/// An account.
struct Person {
    /// What never changes.
    account_id: String,
    /// What other users see, which may change.
    id: String,
    login: &'static str,
    name: &'static str,
    refuses: bool,
}

impl Service {
    fn new(seed: u64) -> Self {
        let client = (invented(HEX, seed, "client:id", 32), invented(HEX, seed, "client:secret", 32));
        let person = |login: &'static str, name| Person {
            account_id: invented(BASE62, seed, &format!("account:{login}"), 22),
            id: format!("31{}", invented(LETTERS, seed, &format!("user:{login}"), 26)),
            login,
            name,
            refuses: login.starts_with("niklaus"),
        };
        let people = [
            person("ada@example.org", "Ada Lovelace"),
            person("grace@example.org", "Grace Hopper"),
            person("niklaus@example.org", "Niklaus Wirth"),
        ];
        let mut issuer = Issuer::new(seed, POLICY, &people[0].id).with_client(Client {
            id: client.0.clone(),
            secret: Some(client.1.clone()),
            public: true,
            redirects: vec![REDIRECT.to_owned()],
            scopes: SCOPES.iter().map(|&scope| scope.to_owned()).collect(),
        });
        let grant = Grant::new(&client.0, Some(&people[0].id), SCOPES);
        let known = Known::new()
            .with("access_token", issuer.give_access(grant.clone()))
            .with("refresh_token", issuer.give_refresh(grant))
            .with("narrow_token", issuer.give_access(Grant::new(&client.0, Some(&people[0].id), &[])))
            .with("client_id", &client.0)
            .with("user_id", &people[0].account_id)
            .with("public_id", &people[0].id)
            .with("email", people[0].login)
            .with("email_verified", "false")
            .with("name", people[0].name)
            .with("other_user", people[1].login)
            .with("other_user_id", &people[1].account_id)
            .with("denied_user", people[2].login);
        Self { issuer, people, client, known }
    }

    fn authorize(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let hint = call.query("login_hint");
        let named = self.people.iter().find(|person| hint == Some(person.login));
        let person = named.unwrap_or(&self.people[0]);
        let consent = Consent { subject: person.id.clone(), offline: true, sign_in: None };
        let consent = if person.refuses { Err("access_denied") } else { Ok(consent) };
        self.issuer.decide(call, world, consent, &[])
    }

    fn me(&self, call: &Call<'_>, world: &World<'_>) -> Answer {
        let Some(token) = call.bearer() else { return refused(401, "No token provided") };
        let grant = match self.issuer.standing(token, world.now) {
            Standing::Good(grant) => grant,
            Standing::Dead => return refused(401, "The access token expired"),
            Standing::Unknown => return refused(401, "Invalid access token"),
        };
        let person = self.people.iter().find(|person| grant.subject.as_deref() == Some(person.id.as_str()));
        let Some(person) = person else { return refused(401, "Valid user authentication required") };
        let may = |scope: &str| grant.scopes.iter().any(|given| given == scope);
        let private = may("user-read-private").then(|| person.private());
        let email = may("user-read-email").then(|| json!({"email": person.login}));
        let mut profile = person.profile();
        for (name, value) in
            [private, email].iter().flatten().filter_map(Value::as_object).flat_map(|members| members.iter())
        {
            profile[name] = value.clone();
        }
        Answer::json(200, &profile)
    }
}

impl Person {
    fn profile(&self) -> Value {
        let href = format!("https://api.spotify.com/v1/users/{}", self.id);
        json!({
            "account_id": self.account_id,
            "id": self.id,
            "display_name": self.name,
            "external_urls": {"spotify": format!("https://open.spotify.com/user/{}", self.id)},
            "followers": {"href": null, "total": 3},
            "href": href,
            "images": [{"url": format!("https://i.scdn.co/image/{}", self.id), "height": 300, "width": 300}],
            "type": "user",
            "uri": format!("spotify:user:{}", self.id),
        })
    }

    fn private(&self) -> Value {
        json!({
            "country": "GB",
            "product": if self.login.starts_with("ada") { "premium" } else { "free" },
            "explicit_content": {"filter_enabled": false, "filter_locked": false},
        })
    }
}

fn refused(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({"error": {"status": status, "message": message}}))
}

impl Vendor for Service {
    fn answer(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", ["authorize"]) => self.authorize(call, world),
            ("POST", ["api", "token"]) => self.issuer.token(call, world),
            ("GET", ["v1", "me"]) => self.me(call, world),
            _ => refused(404, "Service not found"),
        }
    }

    fn word(&self, trouble: Trouble) -> Option<Answer> {
        match trouble {
            Trouble::RateLimited(_) => Some(refused(429, "API rate limit exceeded")),
            Trouble::Unauthorized => Some(refused(401, "The access token expired")),
            Trouble::Broken(503) => Some(refused(503, "Service unavailable")),
            Trouble::Broken(502) => Some(refused(502, "Bad gateway.")),
            Trouble::Broken(status) => Some(refused(status, "Server error.")),
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
