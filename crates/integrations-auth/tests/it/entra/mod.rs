//! The provider against its fake.

use integrations_auth::entra::{Entra, EntraBuilder, spec};
use integrations_auth::{AuthCap, EmailClaim, LogoutRequest, SignIn, SignInRequest};
use integrations_core::ErrorKind;
use integrations_sandbox::Sandbox;
use integrations_testkit::golden::setup;

use crate::openid::{control, hint, known, refused, sign_in};

fn sandbox() -> Sandbox {
    Sandbox::of("entra", 0).unwrap()
}

fn builder(sandbox: &Sandbox, tenant: &str) -> EntraBuilder {
    let setup = setup(&spec::SPEC, sandbox).unwrap();
    Entra::builder()
        .tenant(tenant)
        .client_id(setup.text("client_id").unwrap())
        .client_secret(setup.secret("client_secret").unwrap().clone())
        .redirect_uri(setup.text("redirect_uri").unwrap())
        .transport(sandbox.clone())
        .clock(sandbox.clock())
}

fn entra(sandbox: &Sandbox, tenant: &str) -> SignIn {
    SignIn::new(builder(sandbox, tenant).build().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_person_is_known_by_tenant_and_object() {
    let sandbox = sandbox();
    let tenant = known(&sandbox, "tenant");
    for at in ["common", "organizations", &tenant] {
        let signed_in = sign_in(&entra(&sandbox, at), &sandbox, SignInRequest::new()).await.unwrap();
        let identity = signed_in.identity;
        assert_eq!(identity.key.issuer, format!("https://login.microsoftonline.com/{tenant}/v2.0"));
        assert_eq!(identity.key.subject, format!("{tenant}.{}", known(&sandbox, "user_id")));
        assert_eq!(identity.organisation.as_ref(), Some(&tenant));
        assert!(matches!(identity.email, Some(EmailClaim::Verified(_))), "{identity:?}");
        assert!(signed_in.tokens.refresh.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_somebody_wrote_into_their_account_proves_nothing() {
    let sandbox = sandbox();
    let signed_in =
        sign_in(&entra(&sandbox, "common"), &sandbox, hint(known(&sandbox, "impostor_user"))).await;
    let identity = signed_in.unwrap().identity;
    let claim = identity.email.as_ref().unwrap();
    assert!(claim.verified().is_none() && matches!(claim, EmailClaim::Unknown(_)), "{claim:?}");
    assert_eq!(identity.organisation, Some(known(&sandbox, "other_tenant")));
}

#[tokio::test(start_paused = true)]
async fn only_tenants_that_are_admitted_come_in() {
    let sandbox = sandbox();
    let (tenant, other) = (known(&sandbox, "tenant"), known(&sandbox, "other_tenant"));
    let only = SignIn::new(builder(&sandbox, "common").tenants(vec![tenant.clone()]).build().unwrap());
    sign_in(&only, &sandbox, SignInRequest::new()).await.unwrap();
    for outsider in ["impostor_user", "consumer_user"] {
        refused(sign_in(&only, &sandbox, hint(known(&sandbox, outsider))).await, "claim_mismatch");
    }
    let consumers = entra(&sandbox, "consumers");
    sign_in(&consumers, &sandbox, hint(known(&sandbox, "consumer_user"))).await.unwrap();
    let lie = format!(r#"{{"tid": "{other}"}}"#);
    control(&sandbox, "id-token", &[("claims", &lie)]);
    refused(sign_in(&entra(&sandbox, "common"), &sandbox, SignInRequest::new()).await, "claim_mismatch");
    let domain = builder(&sandbox, &known(&sandbox, "tenant_domain"));
    assert_eq!(domain.build().map(drop).unwrap_err().kind(), ErrorKind::Config);
    let domain = SignIn::new(domain.tenants(vec![tenant]).build().unwrap());
    sign_in(&domain, &sandbox, SignInRequest::new()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn tokens_are_refreshed_and_browsers_signed_out() {
    let sandbox = sandbox();
    let entra = entra(&sandbox, &known(&sandbox, "tenant"));
    let tokens = sign_in(&entra, &sandbox, SignInRequest::new()).await.unwrap().tokens;
    let next = entra.refresh(&tokens).await.unwrap();
    assert_ne!(next.access.expose(), tokens.access.expose());
    let mut request = LogoutRequest::default();
    request.id_token = tokens.id_token;
    request.return_to = Some(known(&sandbox, "post_logout_redirect_uri"));
    request.state = Some("s 1".to_owned());
    let back = crate::openid::consent(&sandbox, &entra.logout_url(&request).await.unwrap());
    assert!(
        back.starts_with(&known(&sandbox, "post_logout_redirect_uri")) && back.contains("state=s"),
        "{back}"
    );
    assert!(!entra.can(AuthCap::Profile), "what userinfo says names nobody by tenant and object");
}

#[cfg(feature = "dynamic")]
#[test]
fn goldens_hold_and_bear_hostile_answers() {
    use std::sync::Arc;

    use integrations_auth::entra::ops::OPS;
    use integrations_core::{Bearer, ByStatus};
    use integrations_testkit::golden::{Goldens, setup};
    use integrations_testkit::hostile;

    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/entra/golden");
    let load = || Goldens::load(&spec::SPEC, OPS, folder).unwrap();
    let connect = |sandbox: &Sandbox| {
        let proof = Bearer::new(integrations_core::SecretString::from(known(sandbox, "access_token")));
        let setup = setup(&spec::SPEC, sandbox)?.authorize(Arc::new(proof));
        Ok(Entra::open(&setup)?.caller().clone())
    };
    load().check(connect).unwrap();
    hostile::check(&load(), &ByStatus).unwrap();
}
