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
