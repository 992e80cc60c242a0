//! The fake of sign-in with Google.

use super::*;

const ISSUER: &str = "https://accounts.google.com";
const KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";
const USERINFO: &str = "https://openidconnect.googleapis.com/v1/userinfo";
const SCOPE: (&str, &str) = ("scope", "openid email profile");

fn fake() -> Fake {
    Fake::new(
        "google-sign-in",
        "https://accounts.google.com/o/oauth2/v2/auth",
        "https://oauth2.googleapis.com/token",
    )
}

#[test]
fn a_whole_flow_tells_who_signed_in() {
    let fake = fake();
    let tokens = fake.tokens(&[SCOPE, ("nonce", "n-1")]);
    let claims = fake.verified(KEYS, text(&tokens, "id_token"), ISSUER, Algorithm::RS256).unwrap();
    assert_eq!((&claims["nonce"], &claims["azp"]), (&"n-1".into(), &fake.setting("client_id").into()));
    assert_eq!(claims["sub"], fake.known("user_id").as_str());
    assert_eq!(claims["sub"].as_str().unwrap().len(), 21);
    assert!(claims.get("hd").is_none());
    let (status, info) = fake.get(USERINFO, text(&tokens, "access_token"));
    assert_eq!((status, &info["email"]), (200, &fake.known("email").into()));
}

#[test]
fn what_does_not_fit_the_code_is_refused() {
    let fake = fake();
    for (name, value, wrong) in [
        ("code_verifier", "wrong", (400, "invalid_grant")),
        ("redirect_uri", "https://app.example/other", (400, "redirect_uri_mismatch")),
        ("code", "unknown", (400, "invalid_grant")),
        ("client_secret", "wrong", (401, "invalid_client")),
        ("client_secret", "", (401, "invalid_client")),
    ] {
        let answer = fake.exchange(&fake.code(&[SCOPE]), &[(name, value)]);
        assert_eq!(error(&answer), wrong, "{name} {value}");
    }
    let code = fake.code(&[SCOPE]);
    let (_, tokens) = fake.exchange(&code, &[]);
    assert_eq!(error(&fake.exchange(&code, &[])), (400, "invalid_grant"));
    assert_eq!(
        fake.get(USERINFO, text(&tokens, "access_token")),
        (401, serde_json::json!({"error": "invalid_request", "error_description": "Invalid Credentials"}))
    );
    assert_eq!(fake.refusal(&[SCOPE, ("login_hint", &fake.known("denied_user"))]), "access_denied");
}

#[test]
fn a_refresh_token_comes_with_a_first_consent_or_one_that_was_asked_for() {
    let fake = fake();
    let gives = |more: Pairs<'_>| fake.tokens(&[&[SCOPE], more].concat()).get("refresh_token").is_some();
    let offline = ("access_type", "offline");
    assert!(!gives(&[offline]), "this user has consented before");
    assert!(gives(&[offline, ("prompt", "consent")]));
    assert!(!gives(&[("prompt", "consent")]));
    let other = fake.known("other_user");
    assert!(gives(&[offline, ("login_hint", &other)]));
    assert!(!gives(&[offline, ("login_hint", &other)]));
    let tokens = fake.tokens(&[SCOPE, offline, ("prompt", "consent")]);
    let (status, refreshed) = fake.refresh(text(&tokens, "refresh_token"));
    assert_eq!((status, refreshed.get("refresh_token")), (200, None));
    assert_eq!(claims(text(&refreshed, "id_token"))["sub"], fake.known("user_id").as_str());
    assert_eq!(
        refreshed["scope"],
        "openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile"
    );
}

#[test]
fn accounts_differ_by_who_vouches_for_the_address() {
    let fake = fake();
    let stated = |name: &str| {
        let hint = fake.known(name);
        let claims = claims(text(&fake.tokens(&[SCOPE, ("login_hint", &hint)]), "id_token"));
        assert_eq!((&claims["email"], &claims["email_verified"]), (&hint.into(), &true.into()));
        claims
    };
    assert_eq!(stated("workspace_user")["hd"], fake.known("workspace_domain").as_str());
    let foreign = stated("foreign_user");
    assert_eq!((foreign.get("hd"), &foreign["sub"]), (None, &fake.known("foreign_user_id").into()));
}

#[test]
fn the_callback_names_the_issuer_and_more() {
    let fake = fake();
    let (_, query) = fake.consent(&[SCOPE]);
    assert_eq!(value(&query, "iss").as_deref(), Some(ISSUER));
    assert!(value(&query, "scope").unwrap().contains("userinfo.email"));
    let (status, metadata) = fake.get("https://accounts.google.com/.well-known/openid-configuration", "");
    assert_eq!((status, &metadata["issuer"], &metadata["jwks_uri"]), (200, &ISSUER.into(), &KEYS.into()));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    assert_eq!(
        (&metadata["authorization_endpoint"], &metadata["token_endpoint"]),
        (&fake.authorize.clone().into(), &fake.token.clone().into())
    );
}

#[test]
fn a_time_stands_in_the_token_only_if_one_was_asked_for() {
    let fake = fake();
    let time = |more: Pairs<'_>| claims(text(&fake.tokens(more), "id_token")).get("auth_time").cloned();
    assert_eq!(time(&[SCOPE]), None);
    assert!(time(&[SCOPE, ("max_age", "0")]).is_some());
}

#[test]
fn whoever_has_a_token_may_end_the_consent() {
    let fake = fake();
    let tokens = fake.tokens(&[SCOPE, ("access_type", "offline"), ("prompt", "consent")]);
    let revoke = |token: &str| fake.post("https://oauth2.googleapis.com/revoke", &[("token", token)]);
    assert_eq!(error(&revoke("unknown")), (400, "invalid_token"));
    assert_eq!(revoke(text(&tokens, "access_token")).0, 200);
    assert_eq!(error(&fake.refresh(text(&tokens, "refresh_token"))), (400, "invalid_grant"));
    assert_eq!(fake.get(USERINFO, text(&tokens, "access_token")).0, 401);
    assert!(
        fake.tokens(&[SCOPE, ("access_type", "offline")]).get("refresh_token").is_some(),
        "a first consent again"
    );
}
