//! What access tokens say, and which ones are refused.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integrations_auth::jose::{Algorithm, SigningKey};
use integrations_auth::{Grant, IssuerPolicy, MemoryRecords, RecordId, RecordStore, TokenIssuer};
use integrations_core::{ErrorKind, SecretString};
use serde_json::{Map, Value, json};

use super::{API, ISSUER, clock, issuer};

fn grant() -> Grant {
    Grant::new("u1", API)
        .tenant("acme")
        .scopes(["orders:read", "profile"])
        .client_id("cli")
        .claim("plan", "pro")
}

fn part(token: &SecretString, at: usize) -> Value {
    let part = token.expose().split('.').nth(at).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_token_is_as_rfc_9068_has_it_and_says_what_was_granted() {
    let (records, clock) = (Arc::new(MemoryRecords::new()), clock());
    let issuer = issuer(&records, &clock);
    let token = issuer.issue(&grant()).await.unwrap();
    let (header, claims, now) = (part(&token, 0), part(&token, 1), clock.now().as_second());
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    let id = claims["jti"].as_str().unwrap().to_owned();
    assert_eq!(
        claims,
        json!({
            "iss": ISSUER, "sub": "u1", "aud": API, "exp": now + 600, "iat": now, "jti": id, "tid": "acme",
            "scope": "orders:read profile", "client_id": "cli", "plan": "pro",
        })
    );
    assert_eq!(URL_SAFE_NO_PAD.decode(&id).unwrap().len(), 16);

    let known = issuer.verify(token.expose(), API).await.unwrap();
    assert_eq!((known.subject.as_str(), known.tenant.as_str(), &known.id), ("u1", "acme", &id));
    assert!(known.allows("profile") && !known.allows("orders"));
    assert_eq!(known.client_id.as_deref(), Some("cli"));
    assert_eq!(known.expires_at.duration_since(known.issued_at).as_secs(), 600);
    assert_eq!(Value::Object(known.claims), json!({ "plan": "pro" }));
    // Two tokens are never one.
    assert_ne!(part(&issuer.issue(&grant()).await.unwrap(), 1)["jti"], json!(id));

    // What is not granted is not said.
    let bare = issuer.issue(&Grant::new("u1", API)).await.unwrap();
    let claims = part(&bare, 1);
    assert!(["tid", "scope", "client_id"].iter().all(|name| claims.get(name).is_none()), "{claims}");
    let known = issuer.verify(bare.expose(), API).await.unwrap();
    assert_eq!((known.tenant.as_str(), known.scopes.len()), ("", 0));
}

#[tokio::test(start_paused = true)]
async fn a_life_is_bounded_and_over_when_it_is_over() {
    let (records, clock) = (Arc::new(MemoryRecords::new()), clock());
    let hour = IssuerPolicy::default().access_life(Duration::from_secs(3600));
    let long = TokenIssuer::with_policy(records.clone(), clock.clone(), ISSUER, hour);
    for (asked, given) in [(None, 900), (Some(3600), 900), (Some(30), 30), (Some(1), 1)] {
        let mut grant = grant();
        grant.life = asked.map(Duration::from_secs);
        let claims = part(&long.issue(&grant).await.unwrap(), 1);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), given);
    }
    let issuer = issuer(&records, &clock);
    let token = issuer.issue(&grant()).await.unwrap();
    tokio::time::advance(Duration::from_secs(609)).await;
    assert!(issuer.verify(token.expose(), API).await.is_ok(), "within what clocks may differ");
    tokio::time::advance(Duration::from_secs(1)).await;
    let error = issuer.verify(token.expose(), API).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unauthenticated, Some("expired")));
}

#[tokio::test(start_paused = true)]
async fn grants_that_cannot_be_are_refused() {
    let (records, clock) = (Arc::new(MemoryRecords::new()), clock());
    let issuer = issuer(&records, &clock);
    let wrong = [
        Grant::new("", API),
        Grant::new("u1", ""),
        grant().scopes(["two words"]),
        grant().scopes([""]),
        grant().scopes(["quo\"te"]),
        grant().life(Duration::from_millis(999)),
        grant().claim("sub", "admin"),
        grant().claim("tid", "other"),
        grant().claim("exp", 9_999_999_999_i64),
        grant().claim("scope", "everything"),
    ];
    for grant in wrong {
        assert_eq!(issuer.issue(&grant).await.unwrap_err().kind(), ErrorKind::InvalidRequest, "{grant:?}");
    }
}

/// Signs with the issuer's own key, as nobody else could: what then refuses a token is one thing alone.
async fn own_key(records: &MemoryRecords, clock: &integrations_core::Clock) -> SigningKey {
    let place = RecordId::new("", "signing_keys", ISSUER);
    let ring = records.get(&place, clock.now()).await.unwrap().unwrap().draft.value;
    let ring: Value = serde_json::from_slice(ring.expose()).unwrap();
    let pem = SecretString::from(ring[0]["pem"].as_str().unwrap());
    SigningKey::pem(&pem).unwrap().id(ring[0]["kid"].as_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_thing_that_is_wrong_is_enough_to_refuse() {
    let (records, clock) = (Arc::new(MemoryRecords::new()), clock());
    let issuer = issuer(&records, &clock);
    let good = part(&issuer.issue(&grant()).await.unwrap(), 1);
    let key = own_key(&records, &clock).await;
    let signed = |typ: &str, change: &dyn Fn(&mut Map<String, Value>)| {
        let mut claims = good.as_object().unwrap().clone();
        change(&mut claims);
        key.sign(typ, &claims).unwrap()
    };
    let unchanged = signed("at+jwt", &|_| {});
    assert!(issuer.verify(unchanged.expose(), API).await.is_ok());

    let now = clock.now().as_second();
    let set = |name: &'static str, value: Value| {
        move |claims: &mut Map<String, Value>| {
            claims.insert(name.into(), value.clone());
        }
    };
    let unset = |name: &'static str| {
        move |claims: &mut Map<String, Value>| {
            claims.remove(name);
        }
    };
    let cases: Vec<(SecretString, &str)> = vec![
        (signed("JWT", &|_| {}), "claim_mismatch"),
        (signed("logout+jwt", &|_| {}), "claim_mismatch"),
        (signed("at+jwt", &set("iss", json!("https://test.example.org"))), "claim_mismatch"),
        (signed("at+jwt", &set("iss", json!(format!("{ISSUER}/")))), "claim_mismatch"),
        (signed("at+jwt", &set("aud", json!("https://other.example.org"))), "claim_mismatch"),
        (signed("at+jwt", &unset("aud")), "missing_claim"),
        (signed("at+jwt", &set("exp", json!(now - 10))), "expired"),
        (signed("at+jwt", &unset("exp")), "missing_claim"),
        (signed("at+jwt", &set("iat", json!(now + 11))), "not_yet_valid"),
        (signed("at+jwt", &set("nbf", json!(now + 11))), "not_yet_valid"),
        (signed("at+jwt", &unset("iat")), "missing_claim"),
        (signed("at+jwt", &unset("sub")), "missing_claim"),
        (signed("at+jwt", &unset("jti")), "missing_claim"),
        (signed("at+jwt", &set("tid", json!(7))), "malformed"),
        (signed("at+jwt", &set("scope", json!(["a"]))), "malformed"),
    ];
    for (at, (token, code)) in cases.iter().enumerate() {
        let error = issuer.verify(token.expose(), API).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unauthenticated, Some(*code)), "case {at}");
    }
    // A key of one's own, under our key's name; a key without a name; a signature that was cut off.
    let theirs = SigningKey::generate(Algorithm::Es256).unwrap();
    let claims = good.as_object().unwrap();
    let nameless = SigningKey::pem(&key.to_pem().unwrap()).unwrap().sign("at+jwt", claims).unwrap();
    let foreign = theirs.sign("at+jwt", claims).unwrap();
    let disguised = theirs.id(key.kid().unwrap()).sign("at+jwt", claims).unwrap();
    let bare = unchanged.expose().rsplit_once('.').unwrap().0;
    for (token, code) in [
        (disguised.expose().as_str(), "signature"),
        (foreign.expose(), "unknown_key"),
        (nameless.expose(), "missing_claim"),
        (&format!("{bare}."), "malformed"),
        ("", "malformed"),
    ] {
        assert_eq!(issuer.verify(token, API).await.unwrap_err().code(), Some(code));
    }
    assert!(issuer.verify(unchanged.expose(), "https://other.example.org").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn test_and_live_never_accept_each_others_tokens_in_one_store_or_in_two() {
    let (one, two, clock) = (Arc::new(MemoryRecords::new()), Arc::new(MemoryRecords::new()), clock());
    let at = |records: &Arc<MemoryRecords>, url: &str| TokenIssuer::new(records.clone(), clock.clone(), url);
    let issuers = [at(&one, ISSUER), at(&one, "https://test.example.org"), at(&two, ISSUER)];
    for (from, giver) in issuers.iter().enumerate() {
        let token = giver.issue(&grant()).await.unwrap();
        for (to, taker) in issuers.iter().enumerate() {
            assert_eq!(taker.verify(token.expose(), API).await.is_ok(), from == to, "{from} {to}");
        }
    }
}
