//! The provider by itself, and against its fake.

#[cfg(feature = "dynamic")]
mod sandbox;

use http::{HeaderMap, StatusCode, Uri};
use integrations_auth::spotify_sign_in::ops::GetMe;
use integrations_auth::spotify_sign_in::{Errors, SpotifySignIn, SpotifySignInBuilder};
use integrations_auth::{AuthCap, EmailClaim, Identity, MailAddress, SignIn, SignInRequest};
use integrations_core::{Classify, Endpoint, ErrorKind, TokenSet, WireResponse};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::vendor::{Service, param, reply, signed_in};

const ME: &str = "GET https://api.spotify.com/v1/me";
const TOKEN: &str = "POST https://accounts.spotify.com/api/token";

fn builder(service: &Service) -> SpotifySignInBuilder {
    SpotifySignIn::builder()
        .client_id("app-1")
        .redirect_uri("https://app.example/spotify")
        .transport(service.clone())
}

fn client(service: &Service) -> SignIn {
    SignIn::new(builder(service).build().unwrap())
}

fn spotify(me: Value) -> Service {
    Service::new(move |seen| match seen.line.as_str() {
        TOKEN => reply(
            200,
            &json!({"access_token": "at-1", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "rt-1"}),
        ),
        ME => reply(200, &me),
        line => panic!("{line}"),
    })
}

async fn identity(me: Value) -> Identity {
    client(&spotify(me)).profile(&"at-1".into()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn no_scope_is_asked_for_unless_the_application_does() {
    let service = Service::new(|seen| panic!("{}", seen.line));
    let spotify = client(&service);
    let begun = spotify.begin(SignInRequest::new()).await.unwrap();
    assert!(begun.url.starts_with("https://accounts.spotify.com/authorize?"), "{}", begun.url);
    assert_eq!(param(&begun.url, "scope"), None);
    assert_eq!(param(&begun.url, "code_challenge_method").as_deref(), Some("S256"));
    let begun = spotify.begin(SignInRequest::new().scopes(["user-read-email"])).await.unwrap();
    assert_eq!(param(&begun.url, "scope").as_deref(), Some("user-read-email"));
    let aged = spotify.begin(SignInRequest::new().max_age(std::time::Duration::ZERO)).await.unwrap_err();
    assert_eq!(aged.kind(), ErrorKind::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn a_person_is_their_account_id_and_their_mail_address_proves_nothing() {
    let service = spotify(json!({
        "account_id": "aB3dE5fG7h", "id": "ada", "display_name": "Ada", "email": "ada@example.org", "product": "premium",
        "images": [{"url": "https://i.example/64", "width": 64}, null, {"url": "https://i.example/300", "width": 300}, {"width": 640}],
        "uri": "spotify:user:ada", "type": "user"
    }));
    let signed_in = signed_in(&client(&service)).await.unwrap();
    let identity = &signed_in.identity;
    assert_eq!(
        (identity.key.issuer.as_str(), identity.key.subject.as_str()),
        ("https://accounts.spotify.com", "aB3dE5fG7h")
    );
    assert_eq!(identity.email, Some(EmailClaim::Unverified(MailAddress::parse("ada@example.org").unwrap())));
    assert_eq!((identity.name.as_deref(), identity.username.as_deref()), (Some("Ada"), None));
    assert_eq!(identity.picture.as_deref(), Some("https://i.example/300"));
    let extra =
        json!({"account_id": "aB3dE5fG7h", "id": "ada", "uri": "spotify:user:ada", "product": "premium"});
    assert_eq!(Value::from(identity.extra.clone()), extra);
    assert_eq!(service.lines(), [TOKEN, ME]);
    let seen = service.seen();
    assert!(
        seen[0].body.contains("client_id=app-1") && seen[0].body.contains("code_verifier="),
        "a public client"
    );
    assert_eq!(seen[1].header("authorization"), "Bearer at-1");
}

/// An `id` was once chosen by its owner, so that Eve may have taken Ada's `account_id` for one.
#[tokio::test(start_paused = true)]
async fn an_id_is_never_another_ones_account_id() {
    let ada = identity(json!({"account_id": "aB3dE5fG7h", "id": "ada"})).await;
    let eve = identity(json!({"id": "aB3dE5fG7h"})).await;
    assert_ne!(ada.key, eve.key);
    assert_eq!(eve.key.subject, "spotify:user:aB3dE5fG7h");
    for nobody in
        [json!({}), json!({"account_id": "", "id": " "}), json!({"account_id": null, "display_name": "Ada"})]
    {
        let error = client(&spotify(nobody)).profile(&"at-1".into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
    }
}

/// A person whom the service named by `id` alone is found again by what `extra` has.
#[tokio::test(start_paused = true)]
async fn who_has_a_new_key_can_be_found_by_the_former_one() {
    let then = identity(json!({"id": "ada"})).await;
    let now = identity(json!({"account_id": "aB3dE5fG7h", "id": "ada"})).await;
    assert_ne!(then.key, now.key);
    assert_eq!(then.key.subject, format!("spotify:user:{}", now.extra["id"].as_str().unwrap()));
    assert_eq!(then.key.issuer, now.key.issuer);
}

#[test]
fn each_refusal_has_its_kind() {
    let answer = |status, body: &str| {
        let status = StatusCode::from_u16(status).unwrap();
        WireResponse::new(GetMe::OP, status, HeaderMap::new(), body.to_owned())
    };
    let spent = r#"{"error":{"status":429,"message":"Too many requests","reason":"QUOTA_EXCEEDED"}}"#;
    let table = [
        (
            401,
            r#"{"error":{"status":401,"message":"The access token expired"}}"#,
            ErrorKind::Unauthenticated,
            None,
            "The access token expired",
        ),
        (
            403,
            "User not registered in the Developer Dashboard",
            ErrorKind::PermissionDenied,
            None,
            "User not registered in the Developer Dashboard",
        ),
        (429, spent, ErrorKind::QuotaExhausted, Some("QUOTA_EXCEEDED"), "Too many requests"),
        (
            429,
            r#"{"error":{"status":429,"message":"API rate limit exceeded"}}"#,
            ErrorKind::RateLimited,
            None,
            "API rate limit exceeded",
        ),
        (
            502,
            "<html>a proxy's page</html>",
            ErrorKind::Unavailable,
            None,
            "the service answered: Bad Gateway",
        ),
        (500, r#"{"odd":1}"#, ErrorKind::Unavailable, None, "the service answered: Internal Server Error"),
    ];
    for (status, body, kind, code, message) in table {
        let error = Errors.classify(GetMe::OP, &answer(status, body)).unwrap();
        assert_eq!((error.kind(), error.code(), error.message()), (kind, code, message), "{body}");
    }
    assert!(Errors.classify(GetMe::OP, &answer(200, spent)).is_none());
}

/// An application with a secret is given no new refresh token, and the present one stays good.
#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_is_not_replaced_is_kept() {
    let service = Service::new(|seen| {
        let is_good = seen.body.contains("refresh_token=rt-1");
        let next = json!({"access_token": "at-2", "token_type": "Bearer", "expires_in": 3600});
        if is_good { reply(200, &next) } else { reply(400, &json!({"error": "invalid_grant"})) }
    });
    let spotify = SignIn::new(builder(&service).client_secret("s3cret").build().unwrap());
    let mut present = TokenSet::new("at-1", Timestamp::UNIX_EPOCH);
    present.refresh = Some("rt-1".into());
    present.scopes = Some(vec!["user-read-email".to_owned()]);
    let next = spotify.refresh(&present).await.unwrap();
    assert_eq!(
        (next.access.expose().as_str(), next.refresh.as_ref().unwrap().expose().as_str()),
        ("at-2", "rt-1")
    );
    assert_eq!(next.scopes, present.scopes);
    present.refresh = Some("rt-0".into());
    assert_eq!(spotify.refresh(&present).await.unwrap_err().kind(), ErrorKind::ReauthRequired);
}

#[tokio::test(start_paused = true)]
async fn what_spotify_does_not_have_is_refused_before_anything_is_sent() {
    let service = Service::new(|seen| panic!("{}", seen.line));
    let spotify = client(&service);
    assert!(!spotify.can(AuthCap::Revoke) && !spotify.can(AuthCap::EmailVerification));
    let tokens = TokenSet::new("at-1", Timestamp::UNIX_EPOCH);
    assert_eq!(spotify.revoke(&tokens).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let service = Service::new(|seen| panic!("{}", seen.line));
    let fake: Uri = "http://127.0.0.1:4010/v1".parse().unwrap();
    for redirect in ["http://127.0.0.1:8080/back", "http://[::1]/back", "https://localhost.example/back"] {
        assert!(builder(&service).redirect_uri(redirect).build().is_ok(), "{redirect}");
    }
    let wrong = [
        builder(&service).redirect_uri("http://localhost:8080/back"),
        builder(&service).redirect_uri("http://LOCALHOST/back"),
        builder(&service).base(fake.clone()),
        builder(&service).accounts_url("http://127.0.0.1:4010"),
        builder(&service).base(fake.clone()).accounts_url("not an address"),
        SpotifySignIn::builder().client_id("app-1"),
    ];
    for builder in wrong {
        assert_eq!(builder.build().err().map(|error| error.kind()), Some(ErrorKind::Config), "{builder:?}");
    }
    assert!(builder(&service).base(fake).accounts_url("http://127.0.0.1:4010").build().is_ok());
}
