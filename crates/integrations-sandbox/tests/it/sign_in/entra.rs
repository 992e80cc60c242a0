//! The fake of Microsoft's identity platform.

use super::*;

const HOST: &str = "https://login.microsoftonline.com";
const SCOPE: (&str, &str) = ("scope", "openid profile email offline_access");

fn at(tenant: &str) -> Fake {
    let place = |what: &str| format!("{HOST}/{tenant}/oauth2/v2.0/{what}");
    Fake::new("entra", &place("authorize"), &place("token"))
}

fn keys(tenant: &str) -> String {
    format!("{HOST}/{tenant}/discovery/v2.0/keys")
}

fn issuer(tenant: &str) -> String {
    format!("{HOST}/{tenant}/v2.0")
}

#[test]
fn a_whole_flow_tells_who_signed_in() {
    let fake = at("common");
    let tokens = fake.tokens(&[SCOPE, ("nonce", "n-1")]);
    let tenant = fake.setting("tenant");
    let token = text(&tokens, "id_token");
    let claims = fake.verified(&keys("common"), token, &issuer(&tenant), Algorithm::RS256).unwrap();
    assert_eq!((&claims["nonce"], &claims["tid"]), (&"n-1".into(), &tenant.into()));
    assert_eq!(claims["oid"], fake.known("user_id").as_str());
    assert_eq!(claims["xms_edov"], true);
    assert!(claims.get("at_hash").is_none());
    let (status, info) = fake.get("https://graph.microsoft.com/oidc/userinfo", text(&tokens, "access_token"));
    assert_eq!((status, &info["sub"], info.get("oid")), (200, &claims["sub"], None));
}
