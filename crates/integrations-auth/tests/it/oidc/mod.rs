//! The provider against its fake.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response, StatusCode};
use integrations_auth::oidc::{Oidc, OidcBuilder, spec};
use integrations_auth::{AuthCap, EmailClaim, IdentityKey, LogoutRequest, SignIn, SignInRequest};
use integrations_core::{Body, Effect, ErrorKind, Exchange, Payload, TokenSet, Transport, TransportError};
use integrations_sandbox::Sandbox;
use integrations_testkit::golden::setup;

use crate::openid::{control, hint, known, refused, sign_in};

const ISSUER: &str = "https://issuer.example";

fn sandbox() -> Sandbox {
    Sandbox::of("oidc", 0).unwrap()
}

fn builder(sandbox: &Sandbox) -> OidcBuilder {
    let setup = setup(&spec::SPEC, sandbox).unwrap();
    Oidc::builder()
        .issuer(ISSUER)
        .client_id(setup.text("client_id").unwrap())
        .client_secret(setup.secret("client_secret").unwrap().clone())
        .redirect_uri(setup.text("redirect_uri").unwrap())
        .transport(sandbox.clone())
        .clock(sandbox.clock())
}

fn oidc(sandbox: &Sandbox) -> SignIn {
    SignIn::new(builder(sandbox).build().unwrap())
}

#[tokio::test(start_paused = true)]
async fn somebody_comes_back_known() {
    let sandbox = sandbox();
    let oidc = oidc(&sandbox);
    assert_eq!(sandbox.requests(), 0, "nothing is asked before it is needed");
    let signed_in = sign_in(&oidc, &sandbox, SignInRequest::new()).await.unwrap();
    assert_eq!(signed_in.identity.key, IdentityKey::new(ISSUER, known(&sandbox, "user_id")));
    assert_eq!(signed_in.identity.name.as_deref(), Some("Ada Lovelace"));
    assert!(matches!(signed_in.identity.email, Some(EmailClaim::Verified(_))));
    assert!(signed_in.authenticated_at.is_some() && signed_in.session.is_some());
    let profile = oidc.profile(&signed_in.tokens.access).await.unwrap();
    assert_eq!((&profile.key, &profile.email), (&signed_in.identity.key, &signed_in.identity.email));
    let unproven = sign_in(&oidc, &sandbox, hint(known(&sandbox, "unverified_user"))).await.unwrap();
    assert!(matches!(unproven.identity.email, Some(EmailClaim::Unverified(_))));
}

#[tokio::test(start_paused = true)]
async fn a_public_client_signs_people_in_by_its_proof_key() {
    let sandbox = sandbox();
    let public = Oidc::builder()
        .issuer(ISSUER)
        .client_id(known(&sandbox, "public_client_id"))
        .redirect_uri("https://app.example/callback")
        .transport(sandbox.clone())
        .clock(sandbox.clock());
    sign_in(&SignIn::new(public.build().unwrap()), &sandbox, SignInRequest::new()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn statements_that_do_not_hold_sign_nobody_in() {
    let sandbox = sandbox();
    let oidc = oidc(&sandbox);
    for (wrong, code) in [
        (r#"{"iss": "https://evil.example"}"#, "claim_mismatch"),
        (r#"{"aud": "another"}"#, "claim_mismatch"),
        (r#"{"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}"#, "claim_mismatch"),
        (r#"{"exp": 1}"#, "expired"),
        (r#"{"iat": 99999999999}"#, "not_yet_valid"),
        (r#"{"sub": null}"#, "missing_claim"),
    ] {
        control(&sandbox, "id-token", &[("claims", wrong)]);
        let error = refused(sign_in(&oidc, &sandbox, SignInRequest::new()).await, code);
        assert_eq!(error.effect(), Effect::Applied, "the code is spent");
    }
    control(&sandbox, "id-token", &[("claims", r#"{"nonce": "another"}"#)]);
    let error = sign_in(&oidc, &sandbox, SignInRequest::new()).await.unwrap_err();
    assert!(error.message().contains("nonce"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_age_that_was_asked_for_must_be_told() {
    let sandbox = sandbox();
    let oidc = oidc(&sandbox);
    let request = || SignInRequest::new().max_age(Duration::from_secs(300));
    let signed_in = sign_in(&oidc, &sandbox, request()).await.unwrap();
    assert!(signed_in.authenticated_at.is_some());
    control(&sandbox, "id-token", &[("claims", r#"{"auth_time": null}"#)]);
    refused(sign_in(&oidc, &sandbox, request()).await, "missing_claim");
    control(&sandbox, "id-token", &[("claims", r#"{"auth_time": 1000}"#)]);
    refused(sign_in(&oidc, &sandbox, request()).await, "claim_mismatch");
}

#[tokio::test(start_paused = true)]
async fn what_a_statement_leaves_out_is_asked_for_and_must_be_about_the_same_person() {
    let sandbox = sandbox();
    let oidc = oidc(&sandbox);
    let bare = r#"{"email": null, "email_verified": null, "name": null}"#;
    control(&sandbox, "id-token", &[("claims", bare)]);
    let identity = sign_in(&oidc, &sandbox, SignInRequest::new()).await.unwrap().identity;
    assert!(matches!(identity.email, Some(EmailClaim::Verified(_))), "{identity:?}");
    control(&sandbox, "id-token", &[("claims", bare)]);
    control(&sandbox, "userinfo", &[("claims", r#"{"sub": "another"}"#)]);
    refused(sign_in(&oidc, &sandbox, SignInRequest::new()).await, "claim_mismatch");
}

/// The sandbox, of which one address is down.
struct Broken {
    sandbox: Sandbox,
    down: Mutex<&'static str>,
}

#[async_trait]
impl Transport for Broken {
    async fn send(
        &self,
        request: Request<Body>,
        exchange: Exchange,
    ) -> Result<Response<Payload>, TransportError> {
        let down = *self.down.lock().unwrap();
        if !down.is_empty() && request.uri().path().ends_with(down) {
            let mut busy = Response::new(Payload::Whole("".into()));
            *busy.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return Ok(busy);
        }
        self.sandbox.send(request, exchange).await
    }
}

fn broken(sandbox: &Sandbox) -> (Arc<Broken>, SignIn) {
    let broken = Arc::new(Broken { sandbox: sandbox.clone(), down: Mutex::default() });
    let oidc = builder(sandbox).transport(broken.clone()).build().unwrap();
    (broken, SignIn::new(oidc))
}

#[tokio::test(start_paused = true)]
async fn what_fails_after_the_code_was_spent_is_not_to_be_tried_again_with_it() {
    let sandbox = sandbox();
    for down in ["/userinfo", "/keys"] {
        let (broken, oidc) = broken(&sandbox);
        let begun = oidc.begin(SignInRequest::new()).await.unwrap();
        control(&sandbox, "id-token", &[("claims", r#"{"name": null}"#)]);
        let answer = crate::openid::consent(&sandbox, &begun.url);
        *broken.down.lock().unwrap() = down;
        let error = oidc.complete(begun.pending, &answer).await.unwrap_err();
        assert_eq!((error.effect(), error.is_retryable()), (Effect::Applied, false), "{down}: {error:?}");
        assert!(error.hint().is_some(), "{down}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn new_tokens_are_not_lost_for_want_of_keys() {
    let sandbox = sandbox();
    let request = SignInRequest::new().scopes(["offline_access"]);
    let tokens = sign_in(&oidc(&sandbox), &sandbox, request).await.unwrap().tokens;
    let (broken, oidc) = broken(&sandbox);
    *broken.down.lock().unwrap() = "/keys";
    let next = oidc.refresh(&tokens).await.unwrap();
    assert_ne!(next.access.expose(), tokens.access.expose());
    let statement = |tokens: &TokenSet| tokens.id_token.as_ref().unwrap().expose().clone();
    assert_eq!(statement(&next), statement(&tokens), "one that nobody verified is not handed on");
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_that_was_begun_at_another_issuer_is_not_ended_here() {
    let (here, there) = (sandbox(), sandbox());
    control(&there, "metadata", &[("claims", r#"{"issuer": "https://other.example"}"#)]);
    let other = SignIn::new(builder(&there).issuer("https://other.example").build().unwrap());
    let (ours, theirs) = (oidc(&here), other.begin(SignInRequest::new()).await.unwrap());
    let asked = here.requests();
    let state = theirs.pending.state().expose().clone();
    let error = ours.complete(theirs.pending, &format!("code=c&state={state}")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::InvalidRequest, Effect::NotSent), "{error:?}");
    // It has asked where its own issuer is, and nothing else.
    assert_eq!(here.requests(), asked + 1);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_locks_nobody_out() {
    let sandbox = sandbox();
    let oidc = oidc(&sandbox);
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        control(&sandbox, "rotate-keys", &[("alg", algorithm), ("forget", "true")]);
        sign_in(&oidc, &sandbox, SignInRequest::new()).await.unwrap();
        tokio::time::advance(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_issuer_lacks_is_known_once_it_was_asked() {
    let sandbox = sandbox();
    let oidc = oidc(&sandbox);
    let lacking = [AuthCap::Profile, AuthCap::Revoke, AuthCap::Logout, AuthCap::LogoutNotice];
    assert!(lacking.iter().all(|cap| oidc.can(*cap)), "nobody knows yet");
    let less = r#"{"userinfo_endpoint": null, "revocation_endpoint": null, "end_session_endpoint": null,
        "backchannel_logout_supported": false}"#;
    control(&sandbox, "metadata", &[("claims", less)]);
    let error = oidc.profile(&"at".into()).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unsupported, Effect::NotSent));
    assert!(!lacking.iter().any(|cap| oidc.can(*cap)) && oidc.can(AuthCap::SignIn), "{:?}", oidc.caps());
    let asked = sandbox.requests();
    let error = oidc.logout_url(&LogoutRequest::default()).await.unwrap_err();
    assert_eq!((error.kind(), sandbox.requests()), (ErrorKind::Unsupported, asked));
    // A day later it has learned more.
    tokio::time::advance(Duration::from_secs(24 * 3600)).await;
    oidc.begin(SignInRequest::new()).await.unwrap();
    assert!(lacking.iter().all(|cap| oidc.can(*cap)), "{:?}", oidc.caps());
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_calls_itself_otherwise_signs_nobody_in_and_is_not_asked_in_a_storm() {
    let sandbox = sandbox();
    let oidc = oidc(&sandbox);
    control(&sandbox, "metadata", &[("claims", r#"{"issuer": "https://evil.example"}"#)]);
    assert_eq!(oidc.begin(SignInRequest::new()).await.unwrap_err().kind(), ErrorKind::Config);
    let asked = sandbox.requests();
    let error = oidc.begin(SignInRequest::new()).await.unwrap_err();
    assert_eq!((error.kind(), sandbox.requests()), (ErrorKind::Config, asked));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(5)));
    tokio::time::advance(Duration::from_secs(5)).await;
    sign_in(&oidc, &sandbox, SignInRequest::new()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn signing_out_is_told_in_both_directions() {
    let sandbox = sandbox();
    let oidc = oidc(&sandbox);
    let signed_in = sign_in(&oidc, &sandbox, SignInRequest::new()).await.unwrap();
    let mut request = LogoutRequest::default();
    request.id_token.clone_from(&signed_in.tokens.id_token);
    request.return_to = Some(known(&sandbox, "post_logout_redirect_uri"));
    request.state = Some("s-1".to_owned());
    let back = crate::openid::consent(&sandbox, &oidc.logout_url(&request).await.unwrap());
    assert!(
        back.starts_with(&known(&sandbox, "post_logout_redirect_uri")) && back.contains("state=s-1"),
        "{back}"
    );

    let signed_in = sign_in(&oidc, &sandbox, SignInRequest::new()).await.unwrap();
    let token = |more: &[(&str, &str)]| {
        let answer = control(&sandbox, "logout-token", more);
        let body: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        integrations_core::SecretString::from(body["logout_token"].as_str().unwrap())
    };
    let notice = oidc.logout_notice(&token(&[])).await.unwrap();
    assert_eq!(notice.key.as_ref(), Some(&signed_in.identity.key));
    assert_eq!(notice.session, signed_in.session);
    for forged in [r#"{"nonce": "n"}"#, r#"{"events": null}"#, r#"{"jti": null}"#, r#"{"aud": "another"}"#] {
        let error = oidc.logout_notice(&token(&[("claims", forged)])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{forged}");
    }
    let statement = signed_in.tokens.id_token.as_ref().unwrap();
    assert!(oidc.logout_notice(statement).await.is_err(), "a statement is no notice");
}

#[tokio::test(start_paused = true)]
async fn tokens_are_refreshed_and_revoked() {
    let sandbox = sandbox();
    let oidc = oidc(&sandbox);
    let request = SignInRequest::new().scopes(["offline_access"]);
    let tokens = sign_in(&oidc, &sandbox, request).await.unwrap().tokens;
    let next = oidc.refresh(&tokens).await.unwrap();
    assert_ne!(next.access.expose(), tokens.access.expose());
    oidc.revoke(&next).await.unwrap();
    assert_eq!(oidc.refresh(&next).await.unwrap_err().kind(), ErrorKind::ReauthRequired);
}

#[test]
fn userinfo_is_asked_where_the_metadata_says() {
    use http::{HeaderMap, Uri};
    use integrations_auth::oidc::ops::Userinfo;
    use integrations_core::{Endpoint, WireResponse};

    let userinfo = Userinfo::default();
    for at in ["https://id.example/me", "https://id.example/realm/me/", "https://id.example/me?v=2"] {
        let base: Uri = at.parse().unwrap();
        let request = userinfo.request(&base).unwrap();
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("GET", at));
    }
    let read = |body: &str| {
        let answer = WireResponse::new(Userinfo::OP, StatusCode::OK, HeaderMap::new(), body.to_owned());
        userinfo.response(answer)
    };
    let said = read(r#"{"sub": "1", "name": "Ada"}"#).unwrap();
    assert_eq!((said.sub.as_str(), said.claims["name"].as_str()), ("1", Some("Ada")));
    for bad in [
        "{}",
        r#"{"sub": 1}"#,
        r#"{"sub": ""}"#,
        r#"{"sub": "1", "sub": "2"}"#,
        "[]",
        "eyJhbGciOiJub25lIn0.e30.",
    ] {
        assert_eq!(read(bad).unwrap_err().kind(), ErrorKind::Decode, "{bad}");
    }
}
