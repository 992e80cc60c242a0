//! The fake of an issuer by the book.

use std::time::Duration;

use super::*;

const ISSUER: &str = "https://issuer.example";
const KEYS: &str = "https://issuer.example/keys";
const SCOPE: (&str, &str) = ("scope", "openid profile email offline_access");

fn fake() -> Fake {
    Fake::new("oidc", "https://issuer.example/authorize", "https://issuer.example/token")
}

#[test]
fn a_whole_flow_tells_who_signed_in() {
    let fake = fake();
    let (status, metadata) = fake.get("https://issuer.example/.well-known/openid-configuration", "");
    assert_eq!((status, &metadata["issuer"]), (200, &fake.setting("issuer").into()));
    assert_eq!(metadata["jwks_uri"], KEYS);
    let (_, query) = fake.consent(&[SCOPE]);
    assert_eq!(value(&query, "iss").as_deref(), Some(ISSUER));
    let tokens = fake.tokens(&[SCOPE, ("nonce", "n-1")]);
    let claims = fake.verified(KEYS, text(&tokens, "id_token"), ISSUER, Algorithm::RS256).unwrap();
    assert_eq!(claims["nonce"], "n-1");
    assert_eq!(claims["sub"], fake.known("user_id").as_str());
    assert_eq!(claims["email"], fake.known("email").as_str());
    assert_eq!(claims["email_verified"], true);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    let (status, info) = fake.get("https://issuer.example/userinfo", text(&tokens, "access_token"));
    assert_eq!((status, &info["sub"], &info["name"]), (200, &claims["sub"], &claims["name"]));
    assert!(fake.has_noted("authorize") && fake.has_noted("issue_token"));
}

/// What a changed exchange is answered.
fn exchange(fake: &Fake, more: Pairs<'_>) -> (u16, Value) {
    fake.exchange(&fake.code(&[SCOPE]), more)
}

#[test]
fn what_does_not_fit_the_code_is_refused() {
    let fake = fake();
    for (name, value, code) in [
        ("code_verifier", "wrong", "invalid_grant"),
        ("code_verifier", "", "invalid_grant"),
        ("redirect_uri", "https://app.example/callback/", "invalid_grant"),
        ("redirect_uri", "", "invalid_grant"),
        ("code", "unknown", "invalid_grant"),
        ("code", "", "invalid_request"),
        ("client_secret", "wrong", "invalid_client"),
        ("client_secret", "", "invalid_client"),
        ("client_id", "unknown", "invalid_client"),
        ("grant_type", "password", "unsupported_grant_type"),
    ] {
        let answer = exchange(&fake, &[(name, value)]);
        assert_eq!(error(&answer), (400, code), "{name} {value}");
        assert!(answer.1.get("access_token").is_none());
    }
    assert_eq!(exchange(&fake, &[]).0, 200);
}

#[test]
fn a_code_of_one_application_is_nothing_to_another() {
    let fake = fake();
    let public = fake.known("public_client_id");
    let answer = exchange(&fake, &[("client_id", &public), ("client_secret", "")]);
    assert_eq!(error(&answer), (400, "invalid_grant"));
    let code = fake.code(&[SCOPE, ("client_id", &public)]);
    let (status, tokens) = fake.exchange(&code, &[("client_id", &public), ("client_secret", "")]);
    assert_eq!((status, &claims(text(&tokens, "id_token"))["aud"]), (200, &public.into()));
}

#[test]
fn nobody_is_sent_to_an_address_that_is_not_registered() {
    let fake = fake();
    for (name, value) in [
        ("redirect_uri", "https://app.example/callback2"),
        ("redirect_uri", "https://app.example.evil.example/callback"),
        ("redirect_uri", ""),
        ("client_id", "unknown"),
    ] {
        let id = fake.setting("client_id");
        let usual = [("response_type", "code"), ("client_id", &id), ("redirect_uri", REDIRECT)];
        let url = format!("{}?{}", fake.authorize, form(&over(&usual, &[(name, value)])));
        let answer = fake.ask(&Method::GET, &url, &[], "");
        assert_eq!((answer.status.as_u16(), answer.headers.get(LOCATION)), (400, None), "{name} {value}");
    }
}

#[test]
fn the_page_refuses_in_the_callback() {
    let fake = fake();
    let denied = fake.known("denied_user");
    for (more, code) in [
        ([("login_hint", denied.as_str())], "access_denied"),
        ([("code_challenge", "")], "invalid_request"),
        ([("code_challenge_method", "plain")], "invalid_request"),
        ([("response_type", "token")], "unsupported_response_type"),
        ([("scope", "openid everything")], "invalid_scope"),
        ([("max_age", "soon")], "invalid_request"),
        ([("prompt", "none login")], "invalid_request"),
    ] {
        assert_eq!(fake.refusal(&more), code, "{more:?}");
    }
    let (_, query) = fake.consent(&[("login_hint", &denied)]);
    assert_eq!(
        (value(&query, "state").as_deref(), value(&query, "iss").as_deref()),
        (Some("s t"), Some(ISSUER))
    );
    assert!(!fake.has_noted("authorize"));
}

#[test]
fn a_code_that_comes_twice_ends_what_it_was_changed_for() {
    let fake = fake();
    let code = fake.code(&[SCOPE]);
    let (_, tokens) = fake.exchange(&code, &[]);
    let userinfo = || fake.get("https://issuer.example/userinfo", text(&tokens, "access_token")).0;
    assert_eq!(userinfo(), 200);
    assert_eq!(error(&fake.exchange(&code, &[])), (400, "invalid_grant"));
    assert_eq!(userinfo(), 401);
    assert_eq!(error(&fake.refresh(text(&tokens, "refresh_token"))), (400, "invalid_grant"));
}

#[tokio::test(start_paused = true)]
async fn codes_and_tokens_end() {
    let fake = fake();
    let code = fake.code(&[SCOPE]);
    let tokens = fake.tokens(&[SCOPE]);
    let userinfo = || fake.get("https://issuer.example/userinfo", text(&tokens, "access_token")).0;
    tokio::time::advance(Duration::from_mins(9)).await;
    assert_eq!(userinfo(), 200);
    tokio::time::advance(Duration::from_mins(2)).await;
    assert_eq!(error(&fake.exchange(&code, &[])), (400, "invalid_grant"));
    tokio::time::advance(Duration::from_mins(50)).await;
    assert_eq!(userinfo(), 401);
    assert_eq!(fake.refresh(text(&tokens, "refresh_token")).0, 200);
    tokio::time::advance(Duration::from_hours(31 * 24)).await;
    let tokens = fake.tokens(&[SCOPE]);
    tokio::time::advance(Duration::from_hours(31 * 24)).await;
    assert_eq!(error(&fake.refresh(text(&tokens, "refresh_token"))), (400, "invalid_grant"));
}

#[test]
fn a_refresh_states_the_same_sign_in_without_its_nonce() {
    let fake = fake();
    let first = fake.tokens(&[SCOPE, ("nonce", "n-1")]);
    let (status, second) = fake.refresh(text(&first, "refresh_token"));
    assert_eq!(status, 200);
    let (before, after) = (claims(text(&first, "id_token")), claims(text(&second, "id_token")));
    for name in ["iss", "sub", "aud", "auth_time", "sid"] {
        assert_eq!(before[name], after[name], "{name}");
    }
    assert!(after.get("nonce").is_none());
    assert_ne!(before["at_hash"], after["at_hash"]);
    // The one that is dead comes again: all of them end.
    assert_eq!(error(&fake.refresh(text(&first, "refresh_token"))), (400, "invalid_grant"));
    assert_eq!(error(&fake.refresh(text(&second, "refresh_token"))), (400, "invalid_grant"));
    let online = fake.tokens(&[("scope", "openid")]);
    assert!(online.get("refresh_token").is_none());
}

#[test]
fn the_time_of_the_sign_in_is_as_fresh_as_it_was_asked_to_be() {
    let fake = fake();
    let time = |more: Pairs<'_>| {
        let more = [&[SCOPE], more].concat();
        let claims = claims(text(&fake.tokens(&more), "id_token"));
        claims["iat"].as_i64().unwrap() - claims["auth_time"].as_i64().unwrap()
    };
    assert_eq!(time(&[]), 600);
    assert_eq!(time(&[("max_age", "3600"), ("prompt", "none")]), 600);
    assert_eq!(fake.refusal(&[("max_age", "60"), ("prompt", "none")]), "login_required");
    assert_eq!(time(&[]), 600);
    assert_eq!(time(&[("max_age", "60")]), 0);
    let other = fake.known("other_user");
    assert_eq!(time(&[("login_hint", &other)]), 600, "another user's sign-in");
    assert_eq!(time(&[("login_hint", &other), ("prompt", "login")]), 0);
}

#[test]
fn users_are_chosen_and_scopes_let_them_be_seen() {
    let fake = fake();
    let stated = |hint: &str, scope: &str| {
        let tokens = fake.tokens(&[("login_hint", hint), ("scope", scope)]);
        let claims = claims(text(&tokens, "id_token"));
        let info = fake.get("https://issuer.example/userinfo", text(&tokens, "access_token")).1;
        for name in ["sub", "name", "email", "email_verified"] {
            assert_eq!(claims.get(name), info.get(name), "{name}");
        }
        claims
    };
    let other = stated(&fake.known("other_user"), "openid email");
    assert_eq!(other["sub"], fake.known("other_user_id").as_str());
    assert_eq!((&other["email"], other.get("name")), (&fake.known("other_email").into(), None));
    let unverified = stated(&fake.known("unverified_user"), "openid email profile");
    assert_eq!(
        (&unverified["sub"], &unverified["email_verified"]),
        (&fake.known("unverified_user_id").into(), &false.into())
    );
    assert_eq!(stated("nobody@example.org", "openid").get("email"), None);
    let plain = fake.tokens(&[("scope", "email")]);
    assert!(plain.get("id_token").is_none());
    assert_eq!(fake.get("https://issuer.example/userinfo", text(&plain, "access_token")).0, 403);
    assert_eq!(fake.get("https://issuer.example/userinfo", "unknown").0, 401);
}

#[test]
fn keys_rotate_and_the_one_before_is_shown_still() {
    let fake = fake();
    let token = |fake: &Fake| text(&fake.tokens(&[SCOPE]), "id_token").to_owned();
    let good = |token: &str, algorithm| fake.verified(KEYS, token, ISSUER, algorithm).is_some();
    let first = token(&fake);
    for (name, algorithm) in
        [("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA), ("RS256", Algorithm::RS256)]
    {
        let before = token(&fake);
        let (status, answer) = parts(&fake.control("rotate-keys", &[("alg", name)]));
        let after = token(&fake);
        let header = jsonwebtoken::decode_header(&after).unwrap();
        assert_eq!(
            (status, header.kid, header.alg),
            (200, answer["kid"].as_str().map(Into::into), algorithm)
        );
        assert!(good(&after, algorithm), "{name}");
        let was = jsonwebtoken::decode_header(&before).unwrap().alg;
        assert!(good(&before, was), "before {name}");
    }
    assert!(!good(&first, Algorithm::RS256), "it is shown no longer");
    let last = token(&fake);
    assert_eq!(fake.control("rotate-keys", &[("forget", "true")]).status, 200);
    assert!(!good(&last, Algorithm::RS256));
    assert!(good(&token(&fake), Algorithm::RS256));
    assert_eq!(fake.control("rotate-keys", &[("alg", "HS256")]).status, 400);
}

#[test]
fn the_next_id_token_is_wrong_in_the_way_that_was_asked_for() {
    let fake = fake();
    let next = |more: Pairs<'_>| {
        assert_eq!(fake.control("id-token", more).status, 204);
        let token = text(&fake.tokens(&[SCOPE, ("nonce", "n-1")]), "id_token").to_owned();
        let right = fake.tokens(&[SCOPE]);
        assert!(
            fake.verified(KEYS, text(&right, "id_token"), ISSUER, Algorithm::RS256).is_some(),
            "the one after"
        );
        token
    };
    let verified = |token: &str, algorithm| fake.verified(KEYS, token, ISSUER, algorithm);
    let other = next(&[("signer", "other")]);
    assert_eq!(verified(&other, Algorithm::RS256), None);
    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(other.split('.').next().unwrap()).unwrap()).unwrap();
    let keys = fake.get(KEYS, "").1;
    assert_eq!(header["kid"], keys["keys"][0]["kid"]);
    let nobody = next(&[("signer", "nobody")]);
    assert!(nobody.ends_with('.') && claims(&nobody)["nonce"] == "n-1");
    let public = next(&[("signer", "public")]);
    let secret = URL_SAFE_NO_PAD.decode(keys["keys"][0]["n"].as_str().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::HS256);
    (validation.validate_exp, validation.validate_aud) = (false, false);
    assert!(jsonwebtoken::decode::<Value>(&public, &DecodingKey::from_secret(&secret), &validation).is_ok());
    let foreign = next(&[("claims", r#"{"aud": "another", "nonce": null}"#)]);
    assert_eq!((verified(&foreign, Algorithm::RS256), &claims(&foreign)["aud"]), (None, &"another".into()));
    assert!(claims(&foreign).get("nonce").is_none());
    let typed = next(&[("header", r#"{"typ": "at+jwt"}"#)]);
    assert_eq!(jsonwebtoken::decode_header(&typed).unwrap().typ.as_deref(), Some("at+jwt"));
    assert!(verified(&typed, Algorithm::RS256).is_some());
    assert_eq!(fake.control("userinfo", &[("claims", r#"{"sub": "another"}"#)]).status, 204);
    let subject =
        || fake.get("https://issuer.example/userinfo", &fake.known("access_token")).1["sub"].clone();
    assert_eq!(subject(), "another");
    assert_eq!(fake.control("metadata", &[("claims", r#"{"issuer": "https://evil.example"}"#)]).status, 204);
    let issuer =
        || fake.get("https://issuer.example/.well-known/openid-configuration", "").1["issuer"].clone();
    assert_eq!([issuer(), issuer()], ["https://evil.example", ISSUER]);
    assert_eq!(subject(), fake.known("user_id").as_str());
}

#[test]
fn what_only_the_sandbox_has_takes_no_slip_for_a_wish() {
    let fake = fake();
    for more in [("claims", "aud=another"), ("claims", "[]"), ("header", "typ"), ("signer", "somebody")] {
        assert_eq!(fake.control("id-token", &[more]).status, 400, "{more:?}");
    }
    assert_eq!(fake.control("unknown", &[]).status, 404);
    let url = "https://issuer.example/__sandbox/rotate-keys";
    assert_eq!(fake.ask(&Method::GET, url, &[], "").status, 400);
}

#[test]
fn signing_out_ends_the_session() {
    let fake = fake();
    let before = fake.tokens(&[SCOPE]);
    let before = text(&before, "id_token");
    let out = |more: Pairs<'_>| {
        fake.ask(&Method::GET, &format!("https://issuer.example/logout?{}", form(more)), &[], "")
    };
    let back = fake.known("post_logout_redirect_uri");
    assert_eq!(out(&[("id_token_hint", &format!("{before}x"))]).status, 400);
    assert_eq!(
        out(&[("id_token_hint", before), ("post_logout_redirect_uri", "https://evil.example/")]).status,
        400
    );
    assert!(!fake.has_noted("end_session"));
    let answer = out(&[("id_token_hint", before), ("post_logout_redirect_uri", &back), ("state", "s t")]);
    assert_eq!(
        (answer.status.as_u16(), answer.headers[LOCATION].to_str().unwrap()),
        (302, format!("{back}?state=s%20t").as_str())
    );
    assert_eq!(fake.refusal(&[("prompt", "none")]), "login_required");
    let after = claims(text(&fake.tokens(&[SCOPE]), "id_token"));
    assert_ne!(after["sid"], claims(before)["sid"]);
    assert_eq!(after["auth_time"], after["iat"]);
    assert_eq!(out(&[]).status, 200);
}

#[test]
fn the_issuer_tells_of_a_sign_out() {
    let fake = fake();
    let sid = claims(text(&fake.tokens(&[SCOPE]), "id_token"))["sid"].clone();
    let (status, body) = parts(&fake.control("logout-token", &[]));
    let token = text(&body, "logout_token");
    let told = fake.verified(KEYS, token, ISSUER, Algorithm::RS256).unwrap();
    assert_eq!((status, &told["sid"], &told["sub"]), (200, &sid, &fake.known("user_id").into()));
    assert_eq!(jsonwebtoken::decode_header(token).unwrap().typ.as_deref(), Some("logout+jwt"));
    assert!(told["events"]["http://schemas.openid.net/event/backchannel-logout"].is_object());
    assert!(told.get("nonce").is_none());
    let (_, second) = parts(&fake.control("logout-token", &[("claims", r#"{"nonce": "n", "sid": null}"#)]));
    let second = claims(text(&second, "logout_token"));
    assert_eq!((&second["nonce"], second.get("sid")), (&"n".into(), None));
    assert_ne!(second["jti"], told["jti"]);
    assert_eq!(fake.refusal(&[("prompt", "none")]), "login_required");
}

#[test]
fn a_revoked_refresh_token_takes_its_access_tokens_along() {
    let fake = fake();
    let tokens = fake.tokens(&[SCOPE]);
    let revoke = |secret: &str, token: &str| {
        let id = fake.setting("client_id");
        fake.post(
            "https://issuer.example/revoke",
            &[("client_id", &id), ("client_secret", secret), ("token", token)],
        )
        .0
    };
    let secret = fake.setting("client_secret");
    assert_eq!(revoke("wrong", text(&tokens, "refresh_token")), 400);
    assert_eq!(fake.get("https://issuer.example/userinfo", text(&tokens, "access_token")).0, 200);
    assert_eq!(revoke(&secret, text(&tokens, "refresh_token")), 200);
    assert_eq!(fake.get("https://issuer.example/userinfo", text(&tokens, "access_token")).0, 401);
    assert_eq!(error(&fake.refresh(text(&tokens, "refresh_token"))), (400, "invalid_grant"));
    assert_eq!(revoke(&secret, "unknown"), 200);
    assert!(fake.has_noted("revoke_token"));
}

#[test]
fn the_same_seed_gives_the_same_answers() {
    let flow = |seed| {
        let sandbox = Sandbox::of("oidc", seed).unwrap();
        let fake = Fake { sandbox, ..fake() };
        let mut tokens = fake.tokens(&[SCOPE]);
        tokens["id_token"] = claims(text(&tokens, "id_token"))["sub"].clone();
        (tokens, fake.sandbox.settings(), fake.sandbox.known())
    };
    assert_eq!(flow(1), flow(1));
    assert_ne!(flow(1).0, flow(2).0);
    assert_ne!(flow(1).1, flow(2).1);
}

#[test]
fn the_tokens_of_the_first_state_are_good() {
    for (provider, url) in [
        ("oidc", "https://issuer.example/userinfo"),
        ("google-sign-in", "https://openidconnect.googleapis.com/v1/userinfo"),
        ("entra", "https://graph.microsoft.com/oidc/userinfo"),
        ("github-sign-in", "https://api.github.com/user"),
        ("spotify-sign-in", "https://api.spotify.com/v1/me"),
    ] {
        let fake = Fake::new(provider, "", "");
        let (status, body) = fake.get(url, &fake.known("access_token"));
        assert_eq!((status, body["email"].as_str()), (200, Some(fake.known("email").as_str())), "{provider}");
    }
}
