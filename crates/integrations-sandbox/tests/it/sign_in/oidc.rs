//! The fake of an issuer by the book.

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
