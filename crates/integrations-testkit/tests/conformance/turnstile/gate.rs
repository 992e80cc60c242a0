//! The service behind the model: it knows three people, gives codes and tokens, and signs nothing.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::LOCATION;
use integrations_sandbox::{Answer, Call, Fake, Known, Trouble, Vendor, World};
use serde_json::{Value, json};

pub(crate) static GATE: Fake = Fake::new("turnstile", "auth", |_| Box::new(Gate::new()));

/// Ada's address is proven, the other's is not.
pub(crate) const ADA: &str = "u-1";
pub(crate) const ADA_MAIL: &str = "ada@example.org";

#[derive(Default)]
struct Gate {
    given: u32,
    codes: BTreeMap<String, Code>,
    access: BTreeMap<String, &'static str>,
    refresh: BTreeMap<String, &'static str>,
}

struct Code {
    user: &'static str,
    nonce: Option<String>,
    challenge: Option<String>,
    is_used: bool,
}

fn error(name: &str) -> Answer {
    Answer::json(400, &json!({"error": name}))
}

fn user(hint: Option<&str>) -> Option<&'static str> {
    match hint {
        Some("refuser") => None,
        Some("other") => Some("u-2"),
        _ => Some(ADA),
    }
}

impl Gate {
    fn new() -> Self {
        let mut gate = Self::default();
        gate.access.insert("access-of-ada-0000".to_owned(), ADA);
        gate.refresh.insert("refresh-of-ada-0000".to_owned(), ADA);
        gate
    }

    fn invent(&mut self, kind: &str) -> String {
        self.given += 1;
        format!("{kind}-{:08}-{}", self.given, self.given * 7_919)
    }

    fn authorize(&mut self, call: &Call<'_>) -> Answer {
        let own = |name: &str| call.query(name).map(str::to_owned);
        let state = own("state").unwrap_or_default();
        let answer = match user(call.query("login_hint")) {
            None => "error=access_denied".to_owned(),
            Some(user) => {
                let (code, challenge) = (self.invent("code"), own("code_challenge"));
                let kept = Code { user, nonce: own("nonce"), challenge, is_used: false };
                self.codes.insert(code.clone(), kept);
                format!("code={code}")
            }
        };
        let back = own("redirect_uri").unwrap_or_default();
        Answer::empty(302).header(LOCATION, &format!("{back}?{answer}&state={state}"))
    }

    fn token(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let form: BTreeMap<String, String> = call.form().into_iter().collect();
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if field("grant_type") == "refresh_token" {
            let Some(user) = self.refresh.get(field("refresh_token")).copied() else {
                return error("invalid_grant");
            };
            return self.tokens(user, None, world);
        }
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, field("code_verifier").as_bytes()));
        let good = |code: &&mut Code| {
            !code.is_used && code.challenge.as_ref().is_none_or(|asked| *asked == challenge)
        };
        let Some(code) = self.codes.get_mut(field("code")).filter(good) else {
            return error("invalid_grant");
        };
        code.is_used = true;
        world.ledger.added("exchange_code", field("code"));
        let (user, nonce) = (code.user, code.nonce.clone());
        self.tokens(user, Some(nonce), world)
    }

    fn tokens(
        &mut self,
        user: &'static str,
        signed_in: Option<Option<String>>,
        world: &mut World<'_>,
    ) -> Answer {
        let (access, refresh) = (self.invent("access"), self.invent("refresh"));
        self.access.insert(access.clone(), user);
        world.ledger.added("give_tokens", &access);
        let mut body = json!({"access_token": access, "token_type": "Bearer", "expires_in": 3600});
        if let Some(nonce) = signed_in {
            self.refresh.insert(refresh.clone(), user);
            let claims = json!({"sub": user, "nonce": nonce}).to_string();
            body["refresh_token"] = refresh.into();
            body["id_token"] = format!("e30.{}.e30", URL_SAFE_NO_PAD.encode(claims)).into();
        }
        Answer::json(200, &body)
    }

    fn introspect(&self, token: &str) -> Answer {
        let found = self.access.get(token);
        Answer::json(
            200,
            &found.map_or(json!({"active": false}), |user| json!({"active": true, "sub": user})),
        )
    }

    /// One token ends all of its owner's that were given here.
    fn revoke(&mut self, token: &str, world: &mut World<'_>) -> Answer {
        let owner = self.refresh.get(token).or_else(|| self.access.get(token)).copied();
        if let Some(owner) = owner {
            self.access.retain(|token, user| *user != owner || token.starts_with("access-of"));
            self.refresh.retain(|token, user| *user != owner || token.starts_with("refresh-of"));
            world.ledger.set("revoke", token);
        }
        Answer::json(200, &Value::Null)
    }
}

impl Vendor for Gate {
    fn answer(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let form = call.form();
        let token = form.iter().find(|(name, _)| name == "token").map_or("", |(_, token)| token.as_str());
        match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", ["authorize"]) => self.authorize(call),
            ("GET", ["out"]) => {
                let back =
                    format!("https://app.example/out?state={}", call.query("state").unwrap_or_default());
                Answer::empty(302).header(LOCATION, &back)
            }
            ("POST", ["token"]) => self.token(call, world),
            ("POST", ["introspect"]) => self.introspect(token),
            ("POST", ["revoke"]) => self.revoke(token, world),
            _ => Answer::empty(404),
        }
    }

    fn word(&self, trouble: Trouble) -> Option<Answer> {
        match trouble {
            Trouble::RateLimited(_) => Some(Answer::empty(429)),
            Trouble::Broken(status) => Some(Answer::empty(status)),
            _ => None,
        }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("client_id", "app".to_owned()),
            ("client_secret", "secret-of-the-app-0000".to_owned()),
            ("redirect_uri", "https://app.example/back".to_owned()),
        ]
    }

    fn known(&self) -> Known {
        Known::new()
            .with("user_id", ADA)
            .with("email", ADA_MAIL)
            .with("email_verified", "true")
            .with("other_user", "other")
            .with("denied_user", "refuser")
            .with("unverified_user", "other")
            .with("post_logout_redirect_uri", "https://app.example/out")
            .with("access_token", "access-of-ada-0000")
            .with("refresh_token", "refresh-of-ada-0000")
            .with("logout_token", "notice-of-u-1")
    }
}
