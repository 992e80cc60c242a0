//! The fake of sign-in with GitHub.

use super::*;

const USER: &str = "https://api.github.com/user";
const EMAILS: &str = "https://api.github.com/user/emails";
const SCOPE: (&str, &str) = ("scope", "read:user user:email");

fn fake() -> Fake {
    Fake::new(
        "github-sign-in",
        "https://github.com/login/oauth/authorize",
        "https://github.com/login/oauth/access_token",
    )
}

#[test]
fn a_whole_flow_tells_who_signed_in() {
    let fake = fake();
    let tokens = fake.tokens(&[SCOPE, ("response_type", "")]);
    assert_eq!((&tokens["token_type"], &tokens["scope"]), (&"bearer".into(), &"read:user,user:email".into()));
    assert_eq!(
        (&tokens["expires_in"], &tokens["refresh_token_expires_in"]),
        (&28800.into(), &15_811_200.into())
    );
    let access = text(&tokens, "access_token");
    let (status, user) = fake.get(USER, access);
    assert_eq!((status, user["id"].to_string()), (200, fake.known("user_id")));
    let (status, emails) = fake.get(EMAILS, access);
    assert_eq!((status, &emails[0]["email"]), (200, &fake.known("email").into()));
    assert_eq!((&emails[0]["primary"], &emails[0]["verified"]), (&true.into(), &true.into()));
}

const TOKEN: &str = "https://github.com/login/oauth/access_token";

fn application(fake: &Fake, method: &Method, what: &str, basic: &str, token: &str) -> (u16, Value) {
    let url = format!("https://api.github.com/applications/{}/{what}", fake.setting("client_id"));
    let body = serde_json::json!({"access_token": token}).to_string();
    parts(&fake.ask(method, &url, &[("authorization", basic), ("user-agent", "test")], &body))
}

#[test]
fn refusals_come_with_status_200() {
    let fake = fake();
    for (name, value, code) in [
        ("code_verifier", "wrong", "bad_verification_code"),
        ("code", "unknown", "bad_verification_code"),
        ("redirect_uri", "https://app.example/other", "redirect_uri_mismatch"),
        ("client_secret", "wrong", "incorrect_client_credentials"),
        ("client_id", "unknown", "incorrect_client_credentials"),
        ("grant_type", "password", "unsupported_grant_type"),
    ] {
        let answer = fake.exchange(&fake.code(&[SCOPE]), &[(name, value)]);
        assert_eq!(error(&answer), (200, code), "{name} {value}");
        assert!(answer.1["error_description"].is_string() && answer.1["error_uri"].is_string());
    }
    assert_eq!(
        fake.exchange(&fake.code(&[SCOPE]), &[("grant_type", ""), ("redirect_uri", "")]).1["token_type"],
        "bearer"
    );
    let code = fake.code(&[SCOPE]);
    let access = text(&fake.exchange(&code, &[]).1, "access_token").to_owned();
    assert_eq!(error(&fake.exchange(&code, &[])), (200, "bad_verification_code"));
    assert_eq!(fake.get(USER, &access).0, 401);
    assert_eq!(error(&fake.refresh("unknown")), (200, "bad_refresh_token"));
}

#[test]
fn whoever_does_not_ask_for_json_gets_a_form() {
    let fake = fake();
    let code = fake.code(&[SCOPE]);
    let (id, secret) = (fake.setting("client_id"), fake.setting("client_secret"));
    let body =
        form(&[("client_id", &id), ("client_secret", &secret), ("code", &code), ("code_verifier", VERIFIER)]);
    let answer = fake.ask(&Method::POST, TOKEN, &[], &body);
    assert!(
        answer.headers["content-type"].to_str().unwrap().starts_with("application/x-www-form-urlencoded")
    );
    let answer = pairs(std::str::from_utf8(&answer.body).unwrap());
    assert_eq!(value(&answer, "scope").as_deref(), Some("read:user,user:email"));
    assert_eq!(fake.get(USER, &value(&answer, "access_token").unwrap()).0, 200);
    let again = fake.ask(&Method::POST, TOKEN, &[], &body);
    let again = pairs(std::str::from_utf8(&again.body).unwrap());
    assert_eq!(value(&again, "error").as_deref(), Some("bad_verification_code"));
}

#[test]
fn the_page_refuses_in_the_callback() {
    let fake = fake();
    let (_, query) = fake.consent(&[SCOPE, ("login", &fake.known("denied_user"))]);
    assert_eq!(value(&query, "error").as_deref(), Some("access_denied"));
    assert_eq!(
        value(&query, "error_description").as_deref(),
        Some("The user has denied your application access.")
    );
    let (address, query) = fake.consent(&[SCOPE, ("redirect_uri", "https://evil.example/")]);
    assert_eq!(
        (address.as_str(), value(&query, "error").as_deref()),
        (REDIRECT, Some("redirect_uri_mismatch"))
    );
}

#[test]
fn accounts_differ_by_their_addresses() {
    let fake = fake();
    let told = |name: &str| {
        let tokens = fake.tokens(&[SCOPE, ("login_hint", &fake.known(name))]);
        let access = text(&tokens, "access_token");
        let user = fake.get(USER, access).1;
        assert_eq!(user["id"].to_string(), fake.known(&format!("{name}_id")));
        (user, fake.get(EMAILS, access).1)
    };
    let (user, emails) = told("other_user");
    assert_eq!((&user["email"], &emails[0]["email"]), (&Value::Null, &fake.known("other_email").into()));
    assert_eq!((&emails[0]["primary"], &emails[0]["verified"]), (&true.into(), &true.into()));
    let (user, emails) = told("unverified_user");
    assert_eq!(
        (&user["email"], &emails[0]["primary"], &emails[0]["verified"]),
        (&Value::Null, &true.into(), &false.into())
    );
    assert_eq!((&emails[1]["primary"], &emails[1]["verified"]), (&false.into(), &true.into()));
}

#[test]
fn scopes_and_the_name_of_the_program_are_needed() {
    let fake = fake();
    let narrow = fake.known("narrow_token");
    assert_eq!(fake.get(EMAILS, &narrow).0, 404);
    let (status, user) = fake.get(USER, &narrow);
    assert_eq!((status, &user["user_view_type"], user.get("plan")), (200, &"public".into(), None));
    assert_eq!(fake.get(USER, &fake.known("access_token")).1["user_view_type"], "private");
    let bearer = format!("Bearer {narrow}");
    assert_eq!(fake.ask(&Method::GET, USER, &[("authorization", &bearer)], "").status, 403);
    assert_eq!(
        fake.get(USER, "unknown"),
        (
            401,
            serde_json::json!({"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest", "status": "401"})
        )
    );
}

#[test]
fn every_answer_counts_down_the_hour() {
    let fake = fake();
    let remaining = || {
        let bearer = format!("Bearer {}", fake.known("access_token"));
        let answer = fake.ask(&Method::GET, USER, &[("authorization", &bearer), ("user-agent", "test")], "");
        assert_eq!(answer.headers["x-ratelimit-reset"], "1772456400");
        answer.headers["x-ratelimit-remaining"].to_str().unwrap().to_owned()
    };
    assert_eq!([remaining(), remaining()], ["4999", "4998"]);
}

#[test]
fn a_refresh_kills_both_old_tokens() {
    let fake = fake();
    let tokens = fake.tokens(&[SCOPE]);
    let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    let (_, next) = fake.refresh(refresh);
    assert_eq!(fake.get(USER, access).0, 401);
    assert_eq!(error(&fake.refresh(refresh)), (200, "bad_refresh_token"));
    assert_eq!(fake.get(USER, text(&next, "access_token")).0, 200);
}

#[tokio::test(start_paused = true)]
async fn tokens_end_unless_the_application_has_none_that_do() {
    let fake = fake();
    let (id, secret) = (fake.known("classic_client_id"), fake.known("classic_client_secret"));
    let own = [("client_id", id.as_str()), ("client_secret", secret.as_str())];
    let classic = |scope: (&'static str, &'static str)| {
        let code = fake.code(&[own[0], scope]);
        fake.exchange(&code, &own).1
    };
    let (forever, asked) = (classic(SCOPE), classic(("scope", "user offline_access")));
    assert_eq!((forever.get("refresh_token"), forever.get("expires_in")), (None, None));
    assert_eq!(asked["expires_in"], 28_800);
    let usual = fake.tokens(&[SCOPE]);
    tokio::time::advance(std::time::Duration::from_hours(9)).await;
    let status = |tokens: &Value| fake.get(USER, text(tokens, "access_token")).0;
    assert_eq!([status(&forever), status(&asked), status(&usual)], [200, 401, 401]);
}

#[test]
fn an_application_asks_about_its_tokens_and_ends_them() {
    let fake = fake();
    let (post, delete, basic) = (Method::POST, Method::DELETE, fake.basic());
    let (first, second) = (fake.tokens(&[SCOPE]), fake.tokens(&[SCOPE]));
    let (first, second) = (text(&first, "access_token"), text(&second, "access_token"));
    let (status, told) = application(&fake, &post, "token", &basic, first);
    assert_eq!((status, &told["app"]["client_id"]), (200, &fake.setting("client_id").into()));
    assert_eq!(told["user"]["id"].to_string(), fake.known("user_id"));
    assert_eq!(application(&fake, &post, "token", &basic, &fake.known("foreign_token")).0, 404);
    assert_eq!(application(&fake, &post, "token", "Basic eDp5", first).0, 404);
    assert_eq!(application(&fake, &delete, "token", &basic, first).0, 204);
    assert_eq!(application(&fake, &delete, "token", &basic, first).0, 422);
    assert_eq!(application(&fake, &post, "token", &basic, first).0, 404);
    assert_eq!((fake.get(USER, first).0, fake.get(USER, second).0), (401, 200));
    assert_eq!(application(&fake, &delete, "grant", &basic, second).0, 204);
    assert_eq!(fake.get(USER, second).0, 401);
    assert_eq!(fake.get(USER, &fake.known("access_token")).0, 401);
    assert_eq!(fake.get(USER, &fake.known("foreign_token")).0, 200);
    assert!(fake.has_noted("revoke_token") && fake.has_noted("revoke_grant"));
}
