//! Against the fake.

use std::sync::Arc;

use integrations_auth::github_sign_in::{Errors, GithubSignIn, ops, spec::SPEC};
use integrations_auth::{EmailClaim, SignIn, SignInRequest, SignedIn};
use integrations_core::setup::Setup;
use integrations_core::{Bearer, ErrorKind, Result, SecretString};
use integrations_sandbox::Sandbox;
use integrations_testkit::golden::setup;

use crate::judges;
use crate::vendor::returned;

fn sandbox() -> Sandbox {
    Sandbox::of(SPEC.id, 0).unwrap()
}

fn known(sandbox: &Sandbox, name: &str) -> String {
    sandbox.known().get(name).unwrap().to_owned()
}

fn open(setup: &Setup) -> Result<SignIn> {
    GithubSignIn::open(setup).map(SignIn::new)
}

/// With the token of somebody who is signed in already.
fn open_for_user(setup: &Setup) -> Result<SignIn> {
    let token = known(&sandbox(), "access_token");
    open(&setup.clone().authorize(Arc::new(Bearer::new(token.as_str()))))
}

#[test]
fn calls_are_as_recorded() {
    judges::as_recorded(&SPEC, ops::OPS, open_for_user);
}

#[test]
fn hostile_answers_are_borne() {
    judges::bears_hostile_answers(&SPEC, ops::OPS, &Errors);
}

#[test]
fn the_categorys_cases_hold() {
    judges::conforms(&SPEC, open);
}

#[test]
fn they_hold_under_faults() {
    judges::bears_faults(&SPEC, open);
}

async fn signed_in_as(sandbox: &Sandbox, hint: &str) -> Result<SignedIn> {
    let github = open(&setup(&SPEC, sandbox)?)?;
    let begun = github.begin(SignInRequest::new().login_hint(hint)).await?;
    let answer = returned(sandbox, &begun.url);
    github.complete(begun.pending, &answer).await
}

#[tokio::test(start_paused = true)]
async fn a_browser_goes_there_and_comes_back_known() {
    let sandbox = sandbox();
    let signed_in = signed_in_as(&sandbox, &known(&sandbox, "unverified_user")).await.unwrap();
    let identity = &signed_in.identity;
    assert_eq!(identity.key.issuer, "https://github.com");
    assert_eq!(identity.key.subject, known(&sandbox, "unverified_user_id"));
    let claim = identity.email.as_ref().unwrap();
    assert!(
        matches!(claim, EmailClaim::Unverified(_)),
        "the primary address, though another one is verified"
    );
    assert_eq!(claim.unproven().as_str(), known(&sandbox, "unverified_email"));
    assert_eq!(signed_in.tokens.scopes.as_deref().unwrap(), ["read:user", "user:email"]);
    assert!(signed_in.tokens.refresh.is_some(), "this application's tokens end");
    let denied = signed_in_as(&sandbox, &known(&sandbox, "denied_user")).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Declined);
}

/// `/user` answers both; only the check tells them apart.
#[tokio::test(start_paused = true)]
async fn a_token_that_was_given_to_another_application_signs_nobody_in() {
    let sandbox = sandbox();
    let github = GithubSignIn::open(&setup(&SPEC, &sandbox).unwrap()).unwrap();
    let own = SecretString::from(known(&sandbox, "access_token"));
    let foreign = SecretString::from(known(&sandbox, "foreign_token"));
    let key = github.check_token(&own).await.unwrap().key;
    assert_eq!(key.subject, known(&sandbox, "user_id"));
    let error = github.check_token(&foreign).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unauthenticated, Some("token_not_ours")));
    assert_eq!(
        SignIn::new(github).profile(&foreign).await.unwrap().key,
        key,
        "the profile alone proves nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn without_the_scope_the_person_is_who_they_are() {
    let sandbox = sandbox();
    let github = open(&setup(&SPEC, &sandbox).unwrap()).unwrap();
    let identity = github.profile(&known(&sandbox, "narrow_token").into()).await.unwrap();
    assert_eq!(identity.key.subject, known(&sandbox, "user_id"));
    assert!(matches!(identity.email, Some(EmailClaim::Unknown(_))), "{:?}", identity.email);
}

#[tokio::test(start_paused = true)]
async fn a_grant_ends_with_all_its_tokens() {
    let sandbox = sandbox();
    let github = GithubSignIn::open(&setup(&SPEC, &sandbox).unwrap()).unwrap();
    let access = SecretString::from(known(&sandbox, "access_token"));
    let call = ops::DeleteGrant { client_id: known(&sandbox, "client_id"), access_token: access.clone() };
    github.caller().call(&call).await.unwrap();
    let dead = SignIn::new(github).profile(&access).await.unwrap_err();
    assert_eq!(dead.kind(), ErrorKind::Unauthenticated);
}
