use std::sync::Arc;

use async_trait::async_trait;
use http::{Request, Response};
use integrations_core::jose::SigningKey;
use integrations_core::{Body, Effect, ErrorKind, Exchange, Payload, Transport, TransportError};
use serde_json::{Map, Value, json};

use super::*;
use crate::{IdentityKey, id_token::issuer::is_tenant};

const ISSUER: &str = "https://id.example";
const NOW: i64 = 1_800_000_000;

/// The keys of an issuer.
struct Keys(Value);

#[async_trait]
impl Transport for Keys {
    async fn send(&self, _: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        Ok(Response::new(Payload::Whole(self.0.to_string().into())))
    }
}

struct World {
    key: SigningKey,
    verifier: IdTokenVerifier,
}

fn world_of(algorithm: Algorithm, rule: impl Into<IssuerRule>) -> World {
    let key = SigningKey::generate(algorithm).unwrap();
    let keys = Arc::new(Keys(json!({ "keys": [key.public_jwk().unwrap()] })));
    let keys = JwksCache::builder("https://id.example/keys", keys).build().unwrap();
    let clock = Clock::virtual_from(Timestamp::from_second(NOW).unwrap());
    World { key, verifier: IdTokenVerifier::new(keys, rule, "my-app").clock(clock) }
}

fn world() -> World {
    world_of(Algorithm::Es256, ISSUER)
}

fn good() -> Value {
    json!({"iss": ISSUER, "aud": "my-app", "sub": "1", "iat": NOW, "exp": NOW + 300, "nonce": "n-1"})
}

/// Claims with some of them changed; `null` takes one away.
fn with(mut claims: Value, changes: &Value) -> Map<String, Value> {
    let fields = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        fields.insert(name.clone(), value.clone());
    }
    fields.retain(|_, value| !value.is_null());
    fields.clone()
}

impl World {
    async fn verify(&self, typ: &str, changes: &Value, expect: Expect<'_>) -> Result<Claims> {
        let token = self.key.sign(typ, &with(good(), changes)).unwrap();
        self.verifier.verify(&token, &expect).await
    }

    /// The code that these changes are refused with; `None`: they are not.
    async fn code(&self, changes: &Value, expect: Expect<'_>) -> Option<String> {
        let refused = self.verify("JWT", changes, expect).await.err()?;
        assert_eq!((refused.kind(), refused.effect()), (ErrorKind::Unauthenticated, Effect::NotSent));
        Some(refused.code().unwrap().to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn each_claim_is_held_against_what_is_expected() {
    let world = world();
    let nonce = SecretString::from("n-1");
    let table: [(Value, Option<&str>); 39] = [
        (json!({}), None),
        (json!({"iss": "https://id.example/"}), Some("claim_mismatch")),
        (json!({"iss": "https://ID.example"}), Some("claim_mismatch")),
        (json!({"iss": null}), Some("missing_claim")),
        (json!({"iss": ["https://id.example"]}), Some("malformed")),
        (json!({"aud": "other"}), Some("claim_mismatch")),
        (json!({"aud": null}), Some("missing_claim")),
        (json!({"aud": ["my-app"]}), None),
        (json!({"aud": ["my-app", "other"]}), Some("missing_claim")),
        (json!({"aud": ["my-app", "other"], "azp": "other"}), Some("claim_mismatch")),
        (json!({"aud": ["my-app", "other"], "azp": "my-app"}), None),
        (json!({"aud": ["other"], "azp": "my-app"}), Some("claim_mismatch")),
        (json!({"azp": "my-app"}), None),
        (json!({"azp": "other"}), Some("claim_mismatch")),
        (json!({"azp": 7}), Some("malformed")),
        (json!({"exp": null}), Some("missing_claim")),
        (json!({"exp": NOW}), None),
        (json!({"exp": NOW - 59}), None),
        (json!({"exp": NOW - 60}), Some("expired")),
        (json!({"exp": "soon"}), Some("malformed")),
        (json!({"iat": null}), Some("missing_claim")),
        (json!({"iat": NOW + 60}), None),
        (json!({"iat": NOW + 61}), Some("not_yet_valid")),
        (json!({"nbf": NOW + 60}), None),
        (json!({"nbf": NOW + 61}), Some("not_yet_valid")),
        (json!({"nonce": null}), Some("missing_claim")),
        (json!({"nonce": "n-2"}), Some("claim_mismatch")),
        (json!({"nonce": "n-1 "}), Some("claim_mismatch")),
        (json!({"nonce": 1}), Some("malformed")),
        (json!({"sub": null}), Some("missing_claim")),
        (json!({"sub": ""}), Some("malformed")),
        (json!({"sub": 1}), Some("malformed")),
        (json!({"sub": "x".repeat(255)}), None),
        (json!({"sub": "x".repeat(256)}), Some("malformed")),
        (json!({"events": {}}), Some("claim_mismatch")),
        (json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}), None),
        (json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RR"}), Some("claim_mismatch")),
        (json!({"at_hash": ""}), Some("malformed")),
        (json!({"c_hash": "LDktKdoQak3Pk0cnXxCltA"}), None),
    ];
    let access = SecretString::from("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
    for (changes, expected) in table {
        let expect = Expect::new().nonce(&nonce).access(&access);
        assert_eq!(world.code(&changes, expect).await.as_deref(), expected, "{changes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_is_held_against_its_hash() {
    let world = world();
    // OpenID Connect Core 1.0 appendix A.4.
    let code = SecretString::from("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk");
    let expect = Expect::new().code(&code);
    assert_eq!(world.code(&json!({"c_hash": "LDktKdoQak3Pk0cnXxCltA"}), expect).await, None);
    let other = world.code(&json!({"c_hash": "LDktKdoQak3Pk0cnXxCltB"}), expect).await;
    assert_eq!(other.as_deref(), Some("claim_mismatch"));
}

#[tokio::test(start_paused = true)]
async fn the_hash_is_that_of_the_signature() {
    let access = SecretString::from("token");
    // SHA-512 in halves, for Ed25519; computed by another program.
    let half = "ImXaughy_DrvFp0Hk2XlkPDLyO1GwqeYTIpkKAPP2Ww";
    let world = world_of(Algorithm::EdDsa, ISSUER);
    let expect = Expect::new().access(&access);
    assert_eq!(world.code(&json!({ "at_hash": half }), expect).await, None);
    let short = world.code(&json!({ "at_hash": &half[..22] }), expect).await;
    assert_eq!(short.as_deref(), Some("claim_mismatch"));
}

#[tokio::test(start_paused = true)]
async fn a_maximum_age_needs_a_time_that_is_recent() {
    let world = world();
    let expect = Expect::new().max_age(Duration::from_secs(600));
    for (time, expected) in [
        (json!(null), Some("missing_claim")),
        (json!(NOW - 600), None),
        (json!(NOW - 660), None),
        (json!(NOW - 661), Some("claim_mismatch")),
        (json!(NOW + 60), None),
        (json!(NOW + 61), Some("not_yet_valid")),
        (json!("x"), Some("malformed")),
    ] {
        let changes = json!({ "auth_time": time });
        assert_eq!(world.code(&changes, expect).await.as_deref(), expected, "{changes}");
        let unasked = world.code(&changes, Expect::new()).await;
        assert_eq!(unasked, None, "nobody asked: {changes}");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_of_another_kind_are_refused() {
    let world = world();
    for typ in ["JWT", "jwt"] {
        world.verify(typ, &json!({}), Expect::new()).await.unwrap();
    }
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "logout+jwt", "secevent+jwt", "oauth-authz-req+jwt"]
    {
        let refused = world.verify(typ, &json!({}), Expect::new()).await.unwrap_err();
        assert_eq!(refused.details::<JwtError>(), Some(&JwtError::Mismatch("typ")), "{typ}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_signature_decides_before_any_claim() {
    let (world, other) = (world(), world());
    let forged = other.key.sign("JWT", &with(good(), &json!({"exp": 1}))).unwrap();
    let refused = world.verifier.verify(&forged, &Expect::new()).await.unwrap_err();
    assert_eq!(refused.code(), Some("unknown_key"));
    let narrow = world.verifier.clone().allowed([Algorithm::Rs256]);
    let token = world.key.sign("JWT", &with(good(), &json!({}))).unwrap();
    assert_eq!(narrow.verify(&token, &Expect::new()).await.unwrap_err().code(), Some("algorithm"));
    let refused = world.verifier.verify(&"a.b".into(), &Expect::new()).await.unwrap_err();
    assert_eq!(refused.code(), Some("malformed"));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_is_explained() {
    let world = world();
    let late = world.verify("JWT", &json!({"exp": NOW - 92}), Expect::new()).await.unwrap_err();
    assert!(late.hint().unwrap().contains("ahead") && late.hint().unwrap().contains("92 s"), "{late:?}");
    let early = world.verify("JWT", &json!({"iat": NOW + 300}), Expect::new()).await.unwrap_err();
    assert!(early.hint().unwrap().contains("behind") && early.hint().unwrap().contains("300 s"), "{early:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leeway_may_be_smaller_and_never_larger() {
    let world = world();
    let strict = World { verifier: world.verifier.clone().leeway(Duration::ZERO), key: world.key };
    assert_eq!(strict.code(&json!({"exp": NOW}), Expect::new()).await.as_deref(), Some("expired"));
    let lax = World { verifier: world.verifier.leeway(Duration::from_secs(3600)), key: strict.key };
    assert_eq!(lax.code(&json!({"exp": NOW - 61}), Expect::new()).await.as_deref(), Some("expired"));
}

const ACME: &str = "11111111-2222-3333-4444-555555555555";
const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

#[tokio::test(start_paused = true)]
async fn an_issuer_of_many_tenants_is_believed_about_those_that_are_admitted() {
    let iss = |tenant: &str| format!("https://login.example/{tenant}/v2.0");
    let template = "https://login.example/{tenantid}/v2.0";
    let only = || Tenants::Only(vec![ACME.to_owned()]);
    for (tenants, tid, iss, expected) in [
        (Tenants::Any, json!(ACME), iss(ACME), None),
        (Tenants::Any, json!(PERSONAL), iss(PERSONAL), None),
        (Tenants::Any, json!(PERSONAL), iss(ACME), Some("claim_mismatch")),
        (Tenants::Any, json!(null), iss(ACME), Some("missing_claim")),
        (Tenants::Any, json!("acme"), iss("acme"), Some("malformed")),
        (Tenants::Any, json!("../evil"), iss("../evil"), Some("malformed")),
        (Tenants::Any, json!(ACME), format!("{}/", iss(ACME)), Some("claim_mismatch")),
        (Tenants::Any, json!(ACME), template.to_owned(), Some("claim_mismatch")),
        (Tenants::Organizations, json!(ACME), iss(ACME), None),
        (Tenants::Organizations, json!(PERSONAL), iss(PERSONAL), Some("claim_mismatch")),
        (Tenants::Consumers, json!(PERSONAL), iss(PERSONAL), None),
        (Tenants::Consumers, json!(ACME), iss(ACME), Some("claim_mismatch")),
        (only(), json!(ACME), iss(ACME), None),
        (only(), json!(PERSONAL), iss(PERSONAL), Some("claim_mismatch")),
    ] {
        let world = world_of(Algorithm::Es256, IssuerRule::by_tenant(template, tenants.clone()));
        let code = world.code(&json!({"iss": iss, "tid": tid}), Expect::new()).await;
        assert_eq!(code.as_deref(), expected, "{tenants:?} {tid} {iss}");
    }
    assert!(is_tenant(ACME) && !is_tenant(&ACME.replace('-', "1")) && !is_tenant(&PERSONAL.to_uppercase()));
}

fn notice() -> Value {
    json!({
        "iss": ISSUER, "aud": "my-app", "iat": NOW, "exp": NOW + 120, "jti": "j-1", "sub": "1", "sid": "s-1",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    })
}

#[tokio::test(start_paused = true)]
async fn a_notice_says_whose_sessions_end() {
    let world = world();
    let token = world.key.sign("logout+jwt", &with(notice(), &json!({}))).unwrap();
    let read = world.verifier.verify_logout(&token).await.unwrap();
    assert_eq!(read.key, Some(IdentityKey::new(ISSUER, "1")));
    assert_eq!((read.session.as_deref(), read.id.as_str()), (Some("s-1"), "j-1"));
    assert_eq!(read.issued_at.as_second(), NOW);
    let refused = world.verifier.verify(&token, &Expect::new()).await.unwrap_err();
    assert_eq!(refused.code(), Some("claim_mismatch"), "it signs nobody in");
}

#[tokio::test(start_paused = true)]
async fn a_notice_is_held_against_its_rules() {
    let world = world();
    let events = "http://schemas.openid.net/event/backchannel-logout";
    for (typ, changes, expected) in [
        ("JWT", json!({}), None),
        ("application/logout+jwt", json!({}), None),
        ("at+jwt", json!({}), Some("claim_mismatch")),
        ("JWT", json!({"sub": null}), None),
        ("JWT", json!({"sid": null}), None),
        ("JWT", json!({"sub": null, "sid": null}), Some("missing_claim")),
        ("JWT", json!({"sid": 7}), Some("malformed")),
        ("JWT", json!({"nonce": "n"}), Some("claim_mismatch")),
        ("JWT", json!({"events": null}), Some("claim_mismatch")),
        ("JWT", json!({"events": {"other": {}}}), Some("claim_mismatch")),
        ("JWT", json!({"events": [events]}), Some("claim_mismatch")),
        ("JWT", json!({"events": {events: true}}), Some("claim_mismatch")),
        ("JWT", json!({"jti": null}), Some("missing_claim")),
        ("JWT", json!({"aud": "other"}), Some("claim_mismatch")),
        ("JWT", json!({"iss": "https://evil.example"}), Some("claim_mismatch")),
        ("JWT", json!({"iat": null}), Some("missing_claim")),
        ("JWT", json!({"exp": NOW - 60}), Some("expired")),
        ("JWT", json!({"exp": null}), None),
        ("JWT", json!({"exp": null, "iat": NOW - 359}), None),
        ("JWT", json!({"exp": null, "iat": NOW - 360}), Some("expired")),
        ("JWT", json!({"exp": null, "iat": NOW + 61}), Some("not_yet_valid")),
    ] {
        let token = world.key.sign(typ, &with(notice(), &changes)).unwrap();
        let refused = world.verifier.verify_logout(&token).await.err();
        assert_eq!(refused.as_ref().and_then(Error::code), expected, "{typ} {changes}");
    }
    let signed_in = world.key.sign("JWT", &with(good(), &json!({}))).unwrap();
    assert!(world.verifier.verify_logout(&signed_in).await.is_err(), "it signs nobody out");
}
