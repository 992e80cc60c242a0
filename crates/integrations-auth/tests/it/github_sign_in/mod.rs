//! The provider by itself, and against its fake.

mod errors;
#[cfg(feature = "dynamic")]
mod sandbox;
mod tokens;

use http::Uri;
use integrations_auth::github_sign_in::{GithubSignIn, GithubSignInBuilder};
use integrations_auth::{AuthCap, EmailClaim, MailAddress, SignIn, SignInRequest};
use integrations_core::ErrorKind;
use serde_json::{Value, json};

use crate::vendor::{Reply, Seen, Service, param, reply, signed_in};

const ME: &str = "GET https://api.github.com/user";
const EMAILS: &str = "GET https://api.github.com/user/emails?per_page=100";
const TOKEN: &str = "POST https://github.com/login/oauth/access_token";

fn builder(service: &Service) -> GithubSignInBuilder {
    GithubSignIn::builder()
        .client_id("app-1")
        .redirect_uri("https://app.example/github")
        .transport(service.clone())
}

fn client(service: &Service) -> GithubSignIn {
    builder(service).client_secret("s3cret-of-the-app").build().unwrap()
}

fn ada() -> Value {
    json!({
        "id": 583_231, "login": "ada", "name": "Ada Lovelace", "email": "public@example.org",
        "avatar_url": "https://avatars.example/583231", "node_id": "MDQ6VXNlcjE=", "type": "User", "plan": {"name": "pro"}
    })
}

/// GitHub with these addresses of the person.
fn github(emails: Reply) -> Service {
    Service::new(move |seen| answer(seen, &emails))
}

fn answer(seen: &Seen, emails: &Reply) -> Reply {
    match seen.line.as_str() {
        TOKEN => reply(
            200,
            &json!({"access_token": "gho_1", "token_type": "bearer", "scope": "read:user,user:email"}),
        ),
        ME => reply(200, &ada()),
        EMAILS => emails.clone(),
        line => panic!("{line}"),
    }
}

fn mail(text: &str) -> MailAddress {
    MailAddress::parse(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_browser_is_sent_with_what_identifies_and_a_proof_key() {
    let service = Service::new(|seen| panic!("{}", seen.line));
    let github = SignIn::new(client(&service));
    let begun =
        github.begin(SignInRequest::new().login_hint("ada").scopes(["repo", "user:email"])).await.unwrap();
    assert!(begun.url.starts_with("https://github.com/login/oauth/authorize?"), "{}", begun.url);
    for (name, value) in [
        ("client_id", "app-1"),
        ("redirect_uri", "https://app.example/github"),
        ("scope", "read:user user:email repo"),
        ("code_challenge_method", "S256"),
        ("login", "ada"),
    ] {
        assert_eq!(param(&begun.url, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(param(&begun.url, "login_hint"), None);
    assert_eq!(param(&begun.url, "code_challenge").unwrap().len(), 43);
    let aged = github.begin(SignInRequest::new().max_age(std::time::Duration::ZERO)).await.unwrap_err();
    assert_eq!(aged.kind(), ErrorKind::Unsupported, "an age that nobody can hold GitHub to");
}

#[tokio::test(start_paused = true)]
async fn a_person_is_the_number_of_their_account() {
    let emails = json!([
        {"email": "old@example.org", "primary": false, "verified": true, "visibility": null},
        {"email": "Ada@Example.org", "primary": true, "verified": true, "visibility": "private"},
    ]);
    let service = github(reply(200, &emails));
    let signed_in = signed_in(&SignIn::new(client(&service))).await.unwrap();
    let identity = signed_in.identity;
    assert_eq!(
        (identity.key.issuer.as_str(), identity.key.subject.as_str()),
        ("https://github.com", "583231")
    );
    assert_eq!(identity.provider, "github-sign-in");
    assert_eq!(identity.email, Some(EmailClaim::Verified(mail("Ada@example.org"))));
    assert_eq!((identity.username.as_deref(), identity.name.as_deref()), (Some("ada"), Some("Ada Lovelace")));
    assert_eq!(identity.picture.as_deref(), Some("https://avatars.example/583231"));
    assert_eq!(Value::from(identity.extra.clone()), json!({"node_id": "MDQ6VXNlcjE=", "type": "User"}));
    assert_eq!(signed_in.tokens.access.expose(), "gho_1");
    assert_eq!(signed_in.tokens.expires_at, None, "this token does not end");

    let seen = service.seen();
    assert_eq!(service.lines(), [TOKEN, ME, EMAILS]);
    assert_eq!(seen[0].header("accept"), "application/json", "or the answer would be a form");
    for part in ["code=c-1", "client_id=app-1", "client_secret=s3cret-of-the-app", "code_verifier="] {
        assert!(seen[0].body.contains(part), "{part}");
    }
    for request in &seen[1..] {
        assert_eq!(request.header("authorization"), "Bearer gho_1");
        assert_eq!(request.header("accept"), "application/vnd.github+json");
        assert_eq!(request.header("x-github-api-version"), "2022-11-28");
        assert!(!request.header("user-agent").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_mail_address_is_the_primary_one_with_what_github_knows_of_it() {
    let one = |primary: bool, verified: Value| json!([{"email": "a@b.example", "primary": primary, "verified": verified}]);
    let public = || Some(EmailClaim::Unknown(mail("public@example.org")));
    let refused = |status| {
        reply(status, &json!({"message": "Not Found", "documentation_url": "https://docs.github.com"}))
    };
    let table = [
        (reply(200, &one(true, json!(true))), Some(EmailClaim::Verified(mail("a@b.example")))),
        (reply(200, &one(true, json!(false))), Some(EmailClaim::Unverified(mail("a@b.example")))),
        (reply(200, &one(true, Value::Null)), Some(EmailClaim::Unknown(mail("a@b.example")))),
        (reply(200, &one(false, json!(true))), public()),
        (reply(200, &json!([{"email": "not an address", "primary": true, "verified": true}])), public()),
        (reply(200, &json!([null, {}])), public()),
        (reply(200, &json!([])), public()),
        (refused(404), public()),
        (refused(403), public()),
    ];
    for (emails, expected) in table {
        let shown = emails.2.clone();
        let signed_in = signed_in(&SignIn::new(client(&github(emails)))).await.unwrap();
        assert_eq!(signed_in.identity.email, expected, "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_number_there_is_nobody() {
    for id in [Value::Null, json!(0), json!("583231"), json!(-1)] {
        let service = Service::new(move |seen| match seen.line.as_str() {
            ME => reply(200, &json!({"id": id, "login": "ada"})),
            _ => answer(seen, &reply(200, &json!([]))),
        });
        let error = signed_in(&SignIn::new(client(&service))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
    }
}

#[tokio::test(start_paused = true)]
async fn people_of_another_server_are_that_servers_people() {
    const API: &str = "https://api.github.com";
    let table = [
        (None, None, Some("https://github.com")),
        (Some(API), None, Some("https://github.com")),
        (Some("https://API.github.com:443/"), Some("https://GitHub.com/"), Some("https://github.com")),
        (
            Some("https://git.acme.example/api/v3"),
            Some("https://git.acme.example"),
            Some("https://git.acme.example"),
        ),
        (Some("https://api.acme.ghe.com"), Some("https://acme.ghe.com"), Some("https://acme.ghe.com")),
        (Some("http://127.0.0.1:4010/api"), Some("http://127.0.0.1:4010"), Some("http://127.0.0.1:4010")),
        (Some("https://git.acme.example/api/v3"), None, None),
        (Some("https://git.acme.example/api/v3"), Some("https://github.com"), None),
        (None, Some("https://git.acme.example"), None),
        (Some(API), Some("https://git.acme.example"), None),
    ];
    for (api, accounts, expected) in table {
        let service = Service::new(|seen| {
            if seen.line.ends_with("/user") { reply(200, &ada()) } else { reply(200, &json!([])) }
        });
        let mut builder = builder(&service);
        if let Some(api) = api {
            builder = builder.base(api.parse::<Uri>().unwrap());
        }
        if let Some(accounts) = accounts {
            builder = builder.accounts_url(accounts);
        }
        let issuer = match builder.build() {
            Ok(client) => {
                let login = SignIn::new(client.clone()).begin(SignInRequest::new()).await.unwrap().url;
                let start = format!("{}/login/oauth/authorize?", accounts.unwrap_or("https://github.com"));
                assert!(login.starts_with(&start.replace(".com//", ".com/")), "{login}");
                let identity = SignIn::new(client).profile(&"gho_1".into()).await.unwrap();
                Some(identity.key.issuer)
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Config);
                None
            }
        };
        assert_eq!(issuer.as_deref(), expected, "{api:?} {accounts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_needs_the_secret_is_absent_without_it() {
    let service = Service::new(|seen| panic!("{}", seen.line));
    let public = builder(&service).build().unwrap();
    let token = "gho_1".into();
    assert_eq!(public.check_token(&token).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let public = SignIn::new(public);
    assert!(!public.can(AuthCap::Revoke) && public.can(AuthCap::Refresh));
    let tokens = integrations_core::TokenSet::new("gho_1", jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(public.revoke(&tokens).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(SignIn::new(client(&service)).can(AuthCap::Revoke));
}
