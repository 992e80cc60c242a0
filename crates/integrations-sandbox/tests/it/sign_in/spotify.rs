//! The fake of sign-in with Spotify.

use super::*;

const ME: &str = "https://api.spotify.com/v1/me";

fn fake() -> Fake {
    Fake::new(
        "spotify-sign-in",
        "https://accounts.spotify.com/authorize",
        "https://accounts.spotify.com/api/token",
    )
}

#[test]
fn a_whole_flow_tells_who_signed_in() {
    let fake = fake();
    let tokens = fake.tokens(&[("scope", "user-read-email")]);
    let (status, me) = fake.get(ME, text(&tokens, "access_token"));
    assert_eq!((status, &me["account_id"]), (200, &fake.known("user_id").into()));
    assert_eq!((&me["email"], me.get("country")), (&fake.known("email").into(), None));
    assert_ne!(me["account_id"], me["id"]);
}

#[test]
fn what_does_not_fit_the_code_is_refused() {
    let fake = fake();
    for (name, value, code) in [
        ("code_verifier", "wrong", "invalid_grant"),
        ("redirect_uri", "https://app.example/other", "invalid_grant"),
        ("code", "unknown", "invalid_grant"),
        ("client_secret", "wrong", "invalid_client"),
    ] {
        assert_eq!(error(&fake.exchange(&fake.code(&[]), &[(name, value)])), (400, code), "{name} {value}");
    }
    let code = fake.code(&[]);
    let tokens = fake.exchange(&code, &[]).1;
    assert_eq!(error(&fake.exchange(&code, &[])), (400, "invalid_grant"));
    let (status, body) = fake.get(ME, text(&tokens, "access_token"));
    assert_eq!((status, &body["error"]["message"]), (401, &"The access token expired".into()));
    assert_eq!(fake.refusal(&[("login_hint", &fake.known("denied_user"))]), "access_denied");
}

#[test]
fn scopes_let_a_profile_be_seen() {
    let fake = fake();
    let me = fake.get(ME, &fake.known("narrow_token")).1;
    for name in ["email", "country", "product", "explicit_content"] {
        assert!(me.get(name).is_none(), "{name}");
    }
    let other = fake.tokens(&[("login_hint", &fake.known("other_user")), ("scope", "user-read-private")]);
    let me = fake.get(ME, text(&other, "access_token")).1;
    assert_eq!((&me["account_id"], &me["country"]), (&fake.known("other_user_id").into(), &"GB".into()));
    assert!(me.get("email").is_none());
}

#[test]
fn without_a_secret_the_challenge_vouches_and_refresh_tokens_rotate() {
    let fake = fake();
    let (status, tokens) = fake.exchange(&fake.code(&[]), &[("client_secret", "")]);
    assert_eq!(status, 200);
    let id = fake.setting("client_id");
    let refresh = || {
        fake.post(
            &fake.token,
            &[
                ("grant_type", "refresh_token"),
                ("refresh_token", text(&tokens, "refresh_token")),
                ("client_id", &id),
            ],
        )
    };
    assert!(refresh().1["refresh_token"].is_string());
    assert_eq!(error(&refresh()), (400, "invalid_grant"));
    let kept = fake.tokens(&[]);
    assert!(fake.refresh(text(&kept, "refresh_token")).1.get("refresh_token").is_none());
}

#[tokio::test(start_paused = true)]
async fn consent_lasts_half_a_year() {
    let fake = fake();
    let tokens = fake.tokens(&[]);
    tokio::time::advance(std::time::Duration::from_hours(183 * 24)).await;
    assert_eq!(error(&fake.refresh(text(&tokens, "refresh_token"))), (400, "invalid_grant"));
}
