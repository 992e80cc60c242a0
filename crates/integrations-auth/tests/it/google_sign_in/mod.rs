//! The provider against its fake.

use integrations_auth::google_sign_in::{GoogleSignIn, GoogleSignInBuilder, spec};
use integrations_auth::{EmailClaim, IdentityKey, SignIn, SignInRequest};
use integrations_core::{Effect, ErrorKind};
use integrations_sandbox::Sandbox;
use integrations_testkit::golden::setup;

use crate::openid::{control, hint, known, refused, sign_in};

fn sandbox() -> Sandbox {
    Sandbox::of("google-sign-in", 0).unwrap()
}

fn builder(sandbox: &Sandbox) -> GoogleSignInBuilder {
    let setup = setup(&spec::SPEC, sandbox).unwrap();
    GoogleSignIn::builder()
        .client_id(setup.text("client_id").unwrap())
        .client_secret(setup.secret("client_secret").unwrap().clone())
        .redirect_uri(setup.text("redirect_uri").unwrap())
        .transport(sandbox.clone())
        .clock(sandbox.clock())
}

fn google(sandbox: &Sandbox) -> SignIn {
    SignIn::new(builder(sandbox).build().unwrap())
}

#[tokio::test(start_paused = true)]
async fn somebody_comes_back_known() {
    let sandbox = sandbox();
    let google = google(&sandbox);
    let signed_in = sign_in(&google, &sandbox, SignInRequest::new()).await.unwrap();
    let identity = &signed_in.identity;
    assert_eq!(identity.key, IdentityKey::new("https://accounts.google.com", known(&sandbox, "user_id")));
    assert_eq!(identity.name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(identity.email.as_ref().unwrap().verified().unwrap().as_str(), known(&sandbox, "email"));
    assert_eq!((identity.organisation.as_deref(), &identity.extra.is_empty()), (None, &true), "{identity:?}");
    let profile = google.profile(&signed_in.tokens.access).await.unwrap();
    assert_eq!((&profile.key, &profile.email), (&identity.key, &identity.email));
}

#[tokio::test(start_paused = true)]
async fn an_organisation_vouches_for_its_own_addresses_alone() {
    let sandbox = sandbox();
    let google = google(&sandbox);
    let staff = sign_in(&google, &sandbox, hint(known(&sandbox, "workspace_user"))).await.unwrap().identity;
    assert_eq!(staff.organisation, Some(known(&sandbox, "workspace_domain")));
    assert!(matches!(staff.email, Some(EmailClaim::Verified(_))), "{staff:?}");
    let foreign = sign_in(&google, &sandbox, hint(known(&sandbox, "foreign_user"))).await.unwrap().identity;
    assert!(matches!(foreign.email, Some(EmailClaim::Unknown(_))), "{foreign:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hosted_domain_is_a_claim_and_not_a_parameter() {
    let sandbox = sandbox();
    let domain = known(&sandbox, "workspace_domain");
    let google = SignIn::new(builder(&sandbox).hosted_domain(domain.to_uppercase()).build().unwrap());
    let url = google.begin(SignInRequest::new()).await.unwrap().url;
    assert!(url.contains(&format!("hd={domain}")), "{url}");
    sign_in(&google, &sandbox, hint(known(&sandbox, "workspace_user"))).await.unwrap();
    for other in [hint(known(&sandbox, "foreign_user")), SignInRequest::new()] {
        let error = sign_in(&google, &sandbox, other).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::PermissionDenied, Effect::Applied));
        assert_eq!(error.code(), Some("hosted_domain"));
    }
}

#[tokio::test(start_paused = true)]
async fn offline_access_is_asked_for_and_a_refresh_keeps_what_is_not_replaced() {
    let sandbox = sandbox();
    let google = google(&sandbox);
    let url = google.begin(SignInRequest::new()).await.unwrap().url;
    assert!(!url.contains("access_type") && !url.contains("prompt") && url.contains("nonce="), "{url}");
    let offline = SignInRequest::new().scopes(["offline_access"]);
    let url = google.begin(offline.clone()).await.unwrap().url;
    assert!(url.contains("access_type=offline") && !url.contains("offline_access"), "{url}");
    let tokens = sign_in(&google, &sandbox, offline.param("prompt", "consent")).await.unwrap().tokens;
    let next = google.refresh(&tokens).await.unwrap();
    assert_eq!(next.refresh.unwrap().expose(), tokens.refresh.as_ref().unwrap().expose());
    google.revoke(&tokens).await.unwrap();
    assert_eq!(google.refresh(&tokens).await.unwrap_err().kind(), ErrorKind::ReauthRequired);
}

#[tokio::test(start_paused = true)]
async fn both_spellings_of_the_issuer_are_one_person_and_no_other_is_believed() {
    let sandbox = sandbox();
    let google = google(&sandbox);
    let usual = sign_in(&google, &sandbox, SignInRequest::new()).await.unwrap().identity;
    control(&sandbox, "id-token", &[("claims", r#"{"iss": "accounts.google.com"}"#)]);
    let legacy = sign_in(&google, &sandbox, SignInRequest::new()).await.unwrap().identity;
    assert_eq!(usual.key, legacy.key);
    for wrong in [r#"{"iss": "https://accounts.google.com.evil.example"}"#, r#"{"aud": "another"}"#] {
        control(&sandbox, "id-token", &[("claims", wrong)]);
        refused(sign_in(&google, &sandbox, SignInRequest::new()).await, "claim_mismatch");
    }
}

#[cfg(feature = "dynamic")]
#[test]
fn goldens_hold_and_bear_hostile_answers() {
    use std::sync::Arc;

    use integrations_auth::google_sign_in::ops::OPS;
    use integrations_core::{Bearer, ByStatus};
    use integrations_testkit::golden::{Goldens, setup};
    use integrations_testkit::hostile;

    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/google_sign_in/golden");
    let load = || Goldens::load(&spec::SPEC, OPS, folder).unwrap();
    let connect = |sandbox: &Sandbox| {
        let proof = Bearer::new(integrations_core::SecretString::from(known(sandbox, "access_token")));
        let setup = setup(&spec::SPEC, sandbox)?.authorize(Arc::new(proof));
        Ok(GoogleSignIn::open(&setup)?.caller().clone())
    };
    load().check(connect).unwrap();
    hostile::check(&load(), &ByStatus).unwrap();
}
