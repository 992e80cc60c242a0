//! Against the fake.

use std::sync::Arc;

use integrations_auth::spotify_sign_in::{Errors, SpotifySignIn, ops, spec::SPEC};
use integrations_auth::{EmailClaim, SignIn, SignInRequest};
use integrations_core::setup::Setup;
use integrations_core::{Bearer, Result};
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
    SpotifySignIn::open(setup).map(SignIn::new)
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

#[tokio::test(start_paused = true)]
async fn a_browser_goes_there_and_comes_back_known() {
    let sandbox = sandbox();
    let spotify = open(&setup(&SPEC, &sandbox).unwrap()).unwrap();
    for (scope, sees_mail) in [("user-top-read", false), ("user-read-email", true)] {
        let begun = spotify.begin(SignInRequest::new().scopes([scope])).await.unwrap();
        let answer = returned(&sandbox, &begun.url);
        let identity = spotify.complete(begun.pending, &answer).await.unwrap().identity;
        assert_eq!(identity.key.issuer, "https://accounts.spotify.com");
        assert_eq!(identity.key.subject, known(&sandbox, "user_id"));
        assert_eq!(identity.extra["id"], known(&sandbox, "public_id"));
        assert_eq!(matches!(identity.email, Some(EmailClaim::Unverified(_))), sees_mail, "{scope}");
        assert_eq!(identity.email.is_some(), sees_mail);
    }
}

/// An application without a secret proves itself by its key alone.
#[tokio::test(start_paused = true)]
async fn a_public_client_signs_people_in_and_refreshes() {
    let sandbox = sandbox();
    let settings = sandbox.settings();
    let value = |name: &str| settings.iter().find(|(known, _)| *known == name).unwrap().1.clone();
    let spotify = SpotifySignIn::builder().client_id(value("client_id")).redirect_uri(value("redirect_uri"));
    let spotify = SignIn::new(spotify.transport(sandbox.clone()).clock(sandbox.clock()).build().unwrap());
    let begun = spotify.begin(SignInRequest::new()).await.unwrap();
    let signed_in = spotify.complete(begun.pending, &returned(&sandbox, &begun.url)).await.unwrap();
    let next = spotify.refresh(&signed_in.tokens).await.unwrap();
    assert_ne!(next.access.expose(), signed_in.tokens.access.expose());
    assert_eq!(spotify.profile(&next.access).await.unwrap().key, signed_in.identity.key);
}
