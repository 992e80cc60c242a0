//! Sign-in at every service: through browsers, with answers and statements that are good, bad and forged.

use std::sync::Arc;

use http::HeaderMap;
use http::header::COOKIE;
use integrations_auth::jose::{Algorithm, SigningKey};
use integrations_auth::{
    Expect, Flow, IdTokenVerifier, Identities, JwksCache, LogoutRequest, MemoryRecords, MemoryUsers, Method,
    Recognised, RecordStore, Sent, Sessions, SignIn, SignInRequest, Start, entra, github_sign_in,
    google_sign_in, oidc, spotify_sign_in,
};
use integrations_core::pipeline::{Scope, Stages};
use integrations_core::setup::Setup;
use integrations_core::{Clock, Error, ErrorKind, Result, SecretString, TokenSet};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::lab::{Lab, quick};
use super::super::search::canary;
use super::super::vault::encoded;
use super::issuer::{BAD, CLIENT, Issuer, Target, unsigned};
use super::secret;
use super::stores::{Fault, Stores};

const PROVIDERS: [&str; 5] = ["google", "entra", "oidc", "github", "spotify"];
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

pub(super) async fn all(lab: &mut Lab) -> Result<()> {
    let issuer = Issuer::new(&lab.seen)?;
    let pem = issuer.key.to_pem()?;
    let lines = pem.expose().lines().filter(|line| line.len() >= 32 && !line.starts_with('-'));
    lines.for_each(|line| lab.draw("issuer-key", line));
    lab.debug("a signing key", &*issuer.key);
    for provider in PROVIDERS {
        Box::pin(good(lab, &issuer, provider)).await?;
        for target in [Target::Tokens, Target::Others, Target::All] {
            for bad in 0..BAD {
                Box::pin(badly_answered(lab, &issuer, provider, (target, bad))).await?;
            }
        }
    }
    for provider in ["google", "entra", "oidc"] {
        Box::pin(forged(lab, &issuer, provider)).await?;
    }
    Box::pin(logout_tokens(lab, &issuer)).await?;
    Box::pin(browsers(lab, &issuer)).await?;
    Box::pin(broken_stores(lab, &issuer)).await?;
    let verifiers = std::mem::take(&mut issuer.says().verifiers);
    for verifier in &verifiers {
        lab.draw("code-verifier", verifier);
    }
    Ok(())
}

/// A client with limits of its own.
fn client(issuer: &Issuer, provider: &str) -> Result<SignIn> {
    let spec = match provider {
        "google" => &google_sign_in::spec::SPEC,
        "entra" => &entra::spec::SPEC,
        "github" => &github_sign_in::spec::SPEC,
        "spotify" => &spotify_sign_in::spec::SPEC,
        _ => &oidc::spec::SPEC,
    };
    let setup = Setup::new(spec)
        .transport(Arc::new(issuer.clone()))
        .pipeline(Stages::new().pipeline(Scope::new("acme", provider), quick())?)
        .set("client_id", CLIENT)
        .set("client_secret", secret("signin-secret"))
        .set("redirect_uri", format!("https://app.test/callback/{provider}"));
    Ok(match provider {
        "google" => SignIn::new(google_sign_in::GoogleSignIn::open(&setup)?),
        "entra" => SignIn::new(entra::Entra::open(&setup.set("tenant", "common"))?),
        "github" => SignIn::new(github_sign_in::GithubSignIn::open(&setup)?),
        "spotify" => SignIn::new(spotify_sign_in::SpotifySignIn::open(&setup)?),
        _ => SignIn::new(oidc::Oidc::open(&setup.set("issuer", "https://issuer.test"))?),
    })
}

fn flow(client: &SignIn, provider: &str, records: Arc<dyn RecordStore>) -> Flow {
    Flow::builder(records).provider(provider, client.clone()).provider("other", client.clone()).build()
}

/// A browser that was sent to a service.
struct Visit {
    state: String,
    nonce: String,
    cookie: String,
}

impl Visit {
    fn of(lab: &mut Lab, sent: &Sent) -> Self {
        let query = sent.url.split_once('?').map_or("", |(_, query)| query);
        let param = |name: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_default().to_owned()
        };
        let cookie = String::from_utf8_lossy(sent.set_cookie.as_bytes()).into_owned();
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        let visit = Self { state: param("state"), nonce: param("nonce"), cookie };
        let binding = visit.cookie.rsplit('.').next().unwrap_or_default();
        for (slot, secret) in
            [("state", visit.state.as_str()), ("nonce", visit.nonce.as_str()), ("flow-cookie", binding)]
        {
            if !secret.is_empty() {
                lab.draw(slot, secret);
            }
        }
        visit
    }

    fn headers(&self) -> HeaderMap {
        cookies(&self.cookie)
    }

    fn answer(&self) -> String {
        format!("code={}&state={}", encoded("signin-code"), self.state)
    }
}

fn cookies(text: &str) -> HeaderMap {
    text.parse().map(|text| (COOKIE, text)).into_iter().collect()
}

/// A token that the issuer gives: whoever has its payload and signature has it.
fn draw_token(lab: &mut Lab, slot: &'static str, token: &str) {
    lab.draw(slot, token);
    let parts = token.split('.').skip(1).filter(|part| part.len() >= 32);
    parts.for_each(|part| lab.draw(slot, part));
}

/// Sets what the issuer states, and takes it among the secrets.
fn state(lab: &mut Lab, issuer: &Issuer, claims: &Map<String, Value>) -> Result<SecretString> {
    let token = issuer.sign("JWT", claims)?;
    draw_token(lab, "id-token", token.expose());
    issuer.says().statement.clone_from(token.expose());
    Ok(token)
}

fn tokens(statement: &SecretString) -> TokenSet {
    let mut tokens = TokenSet::new(canary("signin-access"), Timestamp::now());
    tokens.refresh = Some(secret("signin-refresh"));
    tokens.id_token = Some(statement.clone());
    tokens
}

/// The whole way, as an honest person goes it.
async fn good(lab: &mut Lab, issuer: &Issuer, provider: &str) -> Result<()> {
    issuer.says().bad = None;
    let records = Arc::new(MemoryRecords::new());
    let client = client(issuer, provider)?;
    let flow = flow(&client, provider, records.clone());
    lab.debug("a flow", &flow);
    lab.debug("a client of a service", &client);
    let request = SignInRequest::new().login_hint("ada");
    let begun = client.begin(request.clone()).await?;
    lab.draw("state", begun.pending.state().expose());
    lab.debug("what was begun", &begun);
    let sent = flow.begin(provider, Start::sign_in().return_to("/in"), request).await?;
    lab.debug("where a browser is sent", &sent);
    let visit = Visit::of(lab, &sent);
    let statement = state(lab, issuer, &Issuer::claims(provider, &visit.nonce))?;
    let finished = flow.complete(provider, &visit.answer(), &visit.headers()).await?;
    lab.debug("a sign-in", &finished);
    lab.failed("an answer that came again", None, {
        flow.complete(provider, &visit.answer(), &visit.headers()).await
    });

    let (users, clock) = (Arc::new(MemoryUsers::new()), Clock::system());
    let sessions = Sessions::new(records, clock.clone());
    let identities = Identities::new(users, sessions.clone(), clock.clone());
    let recognised = identities.recognise("", &finished.signed_in.identity).await?;
    lab.debug("identities", &(&identities, &recognised));
    let Recognised::Created(user) = recognised else { return Err(Error::config("nobody is new")) };
    let methods = vec![Method::Password];
    let (token, session) = sessions.create_signed_in(&user, &finished.signed_in, methods).await?;
    lab.draw("session-token", token.text().expose());
    lab.debug("a session", &(&token, &session));
    let proof = session.fresh(std::time::Duration::from_secs(60), clock.now())?;
    let only = identities.unlink(proof, &finished.signed_in.identity.key).await;
    lab.failed("the last identity", None, only);

    let tokens = tokens(&statement);
    lab.debug("tokens", &tokens);
    lab.tried("a profile", client.profile(&tokens.access).await);
    // The next statement is of no flow.
    state(lab, issuer, &without(Issuer::claims(provider, ""), "nonce"))?;
    lab.tried("a refresh", client.refresh(&tokens).await);
    lab.tried("an end of tokens", client.revoke(&tokens).await);
    Ok(())
}

fn without(mut claims: Map<String, Value>, name: &str) -> Map<String, Value> {
    claims.remove(name);
    claims
}

async fn badly_answered(lab: &mut Lab, issuer: &Issuer, provider: &str, bad: (Target, usize)) -> Result<()> {
    let path = |what: &str| format!("{what} at {provider} with {bad:?}");
    let client = client(issuer, provider)?;
    let flow = flow(&client, provider, Arc::new(MemoryRecords::new()));
    // What the issuer says about itself is there, unless everything is bad.
    issuer.says().bad = (bad.0 == Target::All).then_some(bad);
    let begun = flow.begin(provider, Start::sign_in(), SignInRequest::new()).await;
    issuer.says().bad = Some(bad);
    let statement = match &begun {
        Ok(sent) => {
            let visit = Visit::of(lab, sent);
            let statement = state(lab, issuer, &Issuer::claims(provider, &visit.nonce))?;
            let finished = flow.complete(provider, &visit.answer(), &visit.headers()).await;
            if bad.0 == Target::Others {
                lab.tried(&path("a sign-in"), finished);
            } else {
                lab.failed(&path("a sign-in"), None, finished);
            }
            statement
        }
        Err(_) => state(lab, issuer, &Issuer::claims(provider, ""))?,
    };
    lab.tried(&path("a beginning"), begun);
    let tokens = tokens(&statement);
    lab.tried(&path("a profile"), client.profile(&tokens.access).await);
    lab.tried(&path("a refresh"), client.refresh(&tokens).await);
    lab.tried(&path("an end of tokens"), client.revoke(&tokens).await);
    if let Some(github) = client.raw::<github_sign_in::GithubSignIn>() {
        lab.tried(&path("a check of a token"), github.check_token(&tokens.access).await);
    }
    let mut logout = LogoutRequest::default();
    logout.id_token = Some(statement.clone());
    lab.debug("a wish to sign out", &logout);
    // What comes is an address with the statement in it, which is for the browser.
    lab.tried(&path("a logout"), client.logout_url(&logout).await.map(drop));
    lab.tried(&path("a notice"), client.logout_notice(&statement).await);
    Ok(())
}

/// Claims that do not hold, with the canary where one can be.
fn forgeries() -> Vec<(&'static str, Value)> {
    let claim = canary("forged-claim");
    let mut forged = vec![
        ("aud", json!([CLIENT, claim])),
        ("sub", json!(claim.repeat(10))),
        ("exp", json!(1)),
        ("iat", Value::Null),
        ("events", json!({ LOGOUT: {}, claim.as_str(): claim })),
    ];
    for name in ["iss", "aud", "azp", "nonce", "exp", "iat", "nbf", "at_hash"] {
        forged.push((name, json!(claim)));
    }
    for name in ["iss", "aud", "sub", "nonce"] {
        forged.push((name, json!([{ claim.as_str(): claim }])));
    }
    forged
}

/// Statements that no key of the issuer's signed, or that are none.
fn unsound(issuer: &Issuer, claims: &Map<String, Value>) -> Result<Vec<String>> {
    let (claim, id) = (canary("forged-claim"), canary("signin-id"));
    let stranger = SigningKey::generate(Algorithm::Es256)?;
    let good = issuer.sign("JWT", claims)?;
    Ok(vec![
        id.clone(),
        format!("{id}.{id}.{id}"),
        String::new(),
        unsigned(&json!({ "alg": "none" }), &claim),
        unsigned(&json!({ "alg": claim }), &claim),
        unsigned(&json!({ "alg": [claim], "crit": [claim], "jwk": { "k": claim } }), &claim),
        unsigned(&json!({ "alg": "ES256", "kid": "k1" }), &claim),
        unsigned(&json!(claim), &claim),
        stranger.sign("JWT", claims)?.expose().clone(),
        stranger.id("k2").sign("JWT", claims)?.expose().clone(),
        issuer.sign("at+jwt", claims)?.expose().clone(),
        good.expose()[..good.expose().len() - 4].to_owned(),
        good.expose().replacen('.', ".A", 1),
    ])
}

async fn forged(lab: &mut Lab, issuer: &Issuer, provider: &str) -> Result<()> {
    let mut ways: Vec<(&str, Option<Value>, usize)> =
        forgeries().into_iter().map(|(name, value)| (name, Some(value), 0)).collect();
    ways.extend((0..unsound(issuer, &Map::new())?.len()).map(|n| ("token", None, n)));
    if provider == "entra" {
        ways.push(("tid", Some(json!(canary("forged-claim"))), 0));
        ways.push(("oid", Some(json!([canary("forged-claim")])), 0));
    }
    issuer.says().bad = None;
    for (name, value, n) in ways {
        let path = |what: &str| format!("{what} of {provider}'s with a forged {name}, {n}");
        let client = client(issuer, provider)?;
        let flow = flow(&client, provider, Arc::new(MemoryRecords::new()));
        let sent = flow.begin(provider, Start::sign_in(), SignInRequest::new()).await?;
        let visit = Visit::of(lab, &sent);
        let mut claims = Issuer::claims(provider, &visit.nonce);
        claims.insert("note".to_owned(), canary("forged-claim").into());
        let token = match value {
            Some(value) => {
                claims.insert(name.to_owned(), value);
                issuer.sign("JWT", &claims)?.expose().clone()
            }
            None => unsound(issuer, &claims)?.swap_remove(n),
        };
        if token.len() >= 32 {
            draw_token(lab, "id-token", &token);
        }
        issuer.says().statement.clone_from(&token);
        let finished = flow.complete(provider, &visit.answer(), &visit.headers()).await;
        lab.failed(&path("a statement"), None, finished);
        lab.tried(&path("a refresh"), client.refresh(&tokens(&token.as_str().into())).await.map(drop));
        lab.tried(&path("a notice"), client.logout_notice(&token.as_str().into()).await.map(drop));
    }
    Ok(())
}

async fn logout_tokens(lab: &mut Lab, issuer: &Issuer) -> Result<()> {
    issuer.says().bad = None;
    let client = client(issuer, "oidc")?;
    let keys = JwksCache::builder("https://issuer.test/keys", Arc::new(issuer.clone()));
    lab.debug("published keys", &keys);
    let keys = keys.build()?;
    let verifier = IdTokenVerifier::new(keys.clone(), "https://issuer.test", CLIENT);
    lab.debug("a verifier", &(&verifier, &keys));
    let mut good = without(Issuer::claims("oidc", ""), "nonce");
    good.insert("jti".to_owned(), "notice-1".into());
    good.insert("events".to_owned(), json!({ LOGOUT: {} }));
    let mut ways = vec![(good.clone(), true)];
    for (name, value) in [("jti", Value::Null), ("sid", json!([canary("forged-claim")]))] {
        ways.push((
            [good.clone(), Map::from_iter([(name.to_owned(), value)])].into_iter().flatten().collect(),
            false,
        ));
    }
    for (name, value) in forgeries().into_iter().filter(|(name, _)| !matches!(*name, "events" | "at_hash")) {
        ways.push((
            [good.clone(), Map::from_iter([(name.to_owned(), value)])].into_iter().flatten().collect(),
            false,
        ));
    }
    ways.push((without(good, "events"), false));
    for (claims, is_good) in ways {
        let token = issuer.sign("logout+jwt", &claims)?;
        draw_token(lab, "logout-token", token.expose());
        for noticed in [client.logout_notice(&token).await, verifier.verify_logout(&token).await] {
            if is_good {
                let notice = noticed?;
                lab.debug("a notice", &notice);
            } else {
                lab.failed("a notice that does not hold", None, noticed);
            }
        }
        let code = secret("signin-code");
        let expect = Expect::new().nonce(&code).access(&code).code(&code);
        lab.debug("what is expected", &expect);
        let believed = verifier.verify(&token, &expect).await;
        lab.failed("a logout token as a statement", ErrorKind::Unauthenticated, believed);
    }
    Ok(())
}

/// What comes back from browsers that somebody may have got at.
async fn browsers(lab: &mut Lab, issuer: &Issuer) -> Result<()> {
    issuer.says().bad = None;
    let client = client(issuer, "oidc")?;
    let flow = flow(&client, "oidc", Arc::new(MemoryRecords::new()));
    let typed = canary("typed-token");
    for path in [format!("https://evil.test/?{typed}"), format!("/{typed} x"), format!("//{typed}")] {
        let begun = flow.begin("oidc", Start::sign_in().return_to(path), SignInRequest::new()).await;
        lab.failed("a path that leads elsewhere", ErrorKind::InvalidRequest, begun);
    }
    lab.failed("a provider that is none", ErrorKind::NotFound, {
        flow.begin("nobody", Start::sign_in(), SignInRequest::new()).await
    });
    let [one, two] = [(); 2].map(|()| flow.begin("oidc", Start::sign_in(), SignInRequest::new()));
    let (one, two) = (Visit::of(lab, &one.await?), Visit::of(lab, &two.await?));
    let name = one.cookie.split('=').next().unwrap_or_default();
    let (good, state, code) = (one.answer(), &one.state, encoded("signin-code"));
    let answers = [
        ("oidc", good.clone(), HeaderMap::new()),
        ("oidc", good.clone(), two.headers()),
        ("oidc", good.clone(), cookies(&format!("{name}={typed}"))),
        ("oidc", good.clone(), cookies(&format!("{name}=.{typed}"))),
        ("oidc", good.clone(), cookies(&format!("{0}; {name}={typed}", one.cookie))),
        ("other", good.clone(), one.headers()),
        ("nobody", good.clone(), one.headers()),
        ("oidc", format!("code={code}"), one.headers()),
        ("oidc", format!("code={code}&code={code}&state={state}"), one.headers()),
        ("oidc", format!("code={code}&state={}", encoded("typed-token")), one.headers()),
        ("oidc", format!("{code}&{state}"), one.headers()),
        ("oidc", format!("code={code}&iss={}&state={state}", encoded("typed-token")), one.headers()),
        ("oidc", format!("error=access_denied&state={}", two.state), two.headers()),
    ];
    for (provider, answer, headers) in answers {
        let finished = flow.complete(provider, &answer, &headers).await;
        lab.failed("an answer of a browser", None, finished);
    }
    Ok(())
}

/// The flow and what follows, over stores that break at each of their calls.
async fn broken_stores(lab: &mut Lab, issuer: &Issuer) -> Result<()> {
    const GARBLED: [&str; 3] = ["{}", r#"{"pending":"{}","provider":"{}"}"#, r#"{"pending":[1],"{}":"{}"}"#];
    issuer.says().bad = None;
    let client = client(issuer, "google")?;
    for call in 0..4 {
        for fault in [Fault::Breaks(call)].into_iter().chain(GARBLED.map(|text| Fault::Garbles(call, text))) {
            let flow = flow(&client, "google", Arc::new(Stores::new(fault)));
            let path = |what: &str| format!("{what} over a store with {fault:?}");
            match flow.begin("google", Start::sign_in(), SignInRequest::new()).await {
                Err(error) => lab.failed(&path("a beginning"), None, Err::<(), _>(error)),
                Ok(sent) => {
                    let visit = Visit::of(lab, &sent);
                    self::state(lab, issuer, &Issuer::claims("google", &visit.nonce))?;
                    let finished = flow.complete("google", &visit.answer(), &visit.headers()).await;
                    lab.tried(&path("a sign-in"), finished);
                }
            }
        }
    }
    Ok(())
}
