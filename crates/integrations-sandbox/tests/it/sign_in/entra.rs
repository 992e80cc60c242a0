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

#[test]
fn metadata_has_the_issuer_or_a_template_for_it() {
    let fake = at("common");
    let metadata =
        |tenant: &str| fake.get(&format!("{HOST}/{tenant}/v2.0/.well-known/openid-configuration"), "");
    let tenant = fake.setting("tenant");
    for (name, id) in [
        ("common", "{tenantid}"),
        ("organizations", "{tenantid}"),
        ("consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"),
        (&tenant, &tenant),
        (&fake.known("tenant_domain"), &tenant),
    ] {
        let (status, body) = metadata(name);
        assert_eq!((status, &body["issuer"]), (200, &issuer(id).into()), "{name}");
        let keys = fake.get(body["jwks_uri"].as_str().unwrap(), "").1;
        assert_eq!((&keys["keys"][0]["issuer"], keys["keys"][0].get("alg")), (&issuer(id).into(), None));
    }
    let (status, body) = metadata("unknown.example");
    assert_eq!(
        (status, &body["error"], &body["error_codes"][0]),
        (400, &"invalid_tenant".into(), &90002.into())
    );
}

#[test]
fn every_kind_of_account_has_its_tenant() {
    let fake = at("common");
    let stated = |name: &str| {
        let tokens = fake.tokens(&[SCOPE, ("login_hint", &fake.known(name))]);
        let claims = claims(text(&tokens, "id_token"));
        assert_eq!(claims["iss"], issuer(claims["tid"].as_str().unwrap()));
        assert_eq!(claims["oid"], fake.known(&format!("{name}_id")).as_str());
        claims
    };
    assert_eq!(stated("other_user")["tid"], fake.known("tenant").as_str());
    let consumer = stated("consumer_user");
    assert_eq!((&consumer["tid"], consumer.get("xms_edov")), (&fake.known("consumer_tenant").into(), None));
    let impostor = stated("impostor_user");
    assert_eq!(impostor["tid"], fake.known("other_tenant").as_str());
    assert_eq!((&impostor["email"], &impostor["xms_edov"]), (&fake.known("email").into(), &false.into()));
    assert_ne!(impostor["preferred_username"], impostor["email"]);
}

#[test]
fn a_tenant_lets_in_its_own() {
    let hint = |fake: &Fake, name: &str| {
        let id = fake.setting("client_id");
        let query = form(&[
            ("client_id", &id),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("scope", "openid"),
            ("login_hint", &fake.known(name)),
        ]);
        fake.ask(&Method::GET, &format!("{}?{query}", fake.authorize), &[], "").status.as_u16()
    };
    let own = at("common").setting("tenant");
    for (tenant, name, status) in [
        (own.as_str(), "other_user", 302),
        (own.as_str(), "impostor_user", 400),
        (own.as_str(), "consumer_user", 400),
        ("organizations", "impostor_user", 302),
        ("organizations", "consumer_user", 400),
        ("consumers", "consumer_user", 302),
        ("consumers", "other_user", 400),
        ("common", "consumer_user", 302),
    ] {
        assert_eq!(hint(&at(tenant), name), status, "{tenant} {name}");
    }
    let consumer = at("consumers").tokens(&[SCOPE]);
    assert_eq!(claims(text(&consumer, "id_token"))["oid"], at("common").known("consumer_user_id").as_str());
}

#[test]
fn refusals_have_numbers() {
    let fake = at("common");
    for (name, value, status, code, number) in [
        ("code_verifier", "wrong", 400, "invalid_grant", 501_481),
        ("redirect_uri", "https://app.example/other", 400, "invalid_grant", 500_112),
        ("code", "unknown", 400, "invalid_grant", 70_000),
        ("client_secret", "wrong", 401, "invalid_client", 7_000_215),
        ("client_secret", "", 401, "invalid_client", 7_000_218),
        ("client_id", "unknown", 400, "unauthorized_client", 700_016),
    ] {
        let answer = fake.exchange(&fake.code(&[SCOPE]), &[(name, value)]);
        assert_eq!(
            (error(&answer), &answer.1["error_codes"][0]),
            ((status, code), &number.into()),
            "{name} {value}"
        );
        assert!(text(&answer.1, "error_description").starts_with(&format!("AADSTS{number}: ")));
        for name in ["timestamp", "trace_id", "correlation_id"] {
            assert!(answer.1[name].is_string(), "{name}");
        }
    }
    let code = fake.code(&[SCOPE]);
    assert_eq!(fake.exchange(&code, &[]).0, 200);
    assert_eq!(error(&fake.exchange(&code, &[])), (400, "invalid_grant"));
    assert_eq!(fake.refusal(&[SCOPE, ("login_hint", &fake.known("denied_user"))]), "access_denied");
}

#[test]
fn a_refresh_gives_another_refresh_token_and_leaves_the_old_one() {
    let fake = at("common");
    let tokens = fake.tokens(&[SCOPE]);
    assert_eq!(tokens["scope"], "openid profile email");
    let old = text(&tokens, "refresh_token");
    let (status, next) = fake.refresh(old);
    assert_eq!(status, 200);
    assert_ne!(next["refresh_token"], old);
    assert_eq!(fake.refresh(old).0, 200);
    assert_eq!(fake.refresh(text(&next, "refresh_token")).0, 200);
    assert!(fake.tokens(&[("scope", "openid")]).get("refresh_token").is_none());
}

#[test]
fn signing_out_goes_by_the_token() {
    let fake = at("common");
    let other = fake.known("other_user");
    let tokens = fake.tokens(&[SCOPE, ("login_hint", &other)]);
    let back = fake.known("post_logout_redirect_uri");
    let query = form(&[("id_token_hint", text(&tokens, "id_token")), ("post_logout_redirect_uri", &back)]);
    let answer = fake.ask(&Method::GET, &format!("{HOST}/common/oauth2/v2.0/logout?{query}"), &[], "");
    assert_eq!((answer.status.as_u16(), answer.headers[LOCATION].to_str().unwrap()), (302, back.as_str()));
    assert_eq!(fake.refusal(&[SCOPE, ("login_hint", &other), ("prompt", "none")]), "login_required");
    fake.code(&[SCOPE, ("prompt", "none")]);
}
