//! What services state about users.

use integrations_auth::{LogoutNotice, SignInRequest};
use integrations_core::{Effect, ErrorKind, SecretString};

use super::attacks;
use super::world::{Browser, Service, Site, oidc_client};

/// Signs in at the issuer that was told to state something wrong; the code of the refusal.
async fn refused(fields: &[(&str, &str)]) -> String {
    let (site, mut victim) = (Site::new(), Browser::default());
    victim.sign_in(&site, "oidc").await.unwrap();
    site.oidc.control("id-token", fields);
    let error = victim.sign_in(&site, "oidc").await.unwrap_err();
    assert_eq!(error.effect(), Effect::Applied, "the code is spent: {error:?}");
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error:?}");
    error.code().unwrap_or_default().to_owned()
}

attacks! {
    /// A statement without a signature (`alg: none`).
    async fn a_statement_that_nobody_signed() {
        let header = r#"{"alg":"none"}"#;
        for signer in ["nobody", "public"] {
            assert!(["algorithm", "malformed"].contains(&&*refused(&[("header", header), ("signer", signer)]).await));
        }
        assert!(["signature", "malformed"].contains(&&*refused(&[("signer", "nobody")]).await));
    }

    /// A statement signed with the public key as if it were a shared secret (key confusion).
    async fn a_statement_under_the_public_key() {
        assert_eq!(refused(&[("header", r#"{"alg":"HS256"}"#), ("signer", "public")]).await, "algorithm");
    }

    /// A statement signed by another key than the one that it names.
    async fn a_statement_under_another_key() {
        assert_eq!(refused(&[("signer", "other")]).await, "signature");
    }

    /// A statement that brings its own key, or names a place to get it from.
    async fn a_statement_with_its_own_key() {
        let header = r#"{"jku":"https://evil.example/jwks","x5u":"https://evil.example/x5"}"#;
        assert_eq!(refused(&[("header", header), ("signer", "other")]).await, "signature");
    }

    /// A statement that was made for another flow (wrong nonce, or none).
    async fn a_statement_of_another_flow() {
        let (site, mut victim) = (Site::new(), Browser::default());
        for claims in [r#"{"nonce":"of another flow"}"#, r#"{"nonce":null}"#] {
            site.oidc.control("id-token", &[("claims", claims)]);
            let error = victim.sign_in(&site, "oidc").await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::Unauthenticated),
                "{claims}: {error:?}"
            );
            assert_eq!(error.effect(), Effect::Applied, "{claims}");
        }
    }

    /// A statement of another issuer, or for another application.
    async fn a_statement_for_somebody_else() {
        for claims in [
            r#"{"iss":"https://evil.example"}"#, r#"{"iss":"https://issuer.example/"}"#, r#"{"aud":"another-app"}"#,
            r#"{"aud":["another-app","and-another"]}"#, r#"{"azp":"another-app"}"#,
        ] {
            assert_eq!(refused(&[("claims", claims)]).await, "claim_mismatch", "{claims}");
        }
    }

    /// A statement that has ended, or has not begun.
    async fn a_statement_of_another_time() {
        assert_eq!(refused(&[("claims", r#"{"exp":1700000000}"#)]).await, "expired");
        assert_eq!(refused(&[("claims", r#"{"iat":1990000000,"exp":1990003600}"#)]).await, "not_yet_valid");
        assert_eq!(refused(&[("claims", r#"{"exp":null}"#)]).await, "missing_claim");
    }

    /// Another kind of token in the place of the statement.
    async fn a_token_of_another_kind() {
        for typ in ["at+jwt", "logout+jwt"] {
            let header = format!(r#"{{"typ":"{typ}"}}"#);
            assert_eq!(refused(&[("header", &header)]).await, "claim_mismatch", "{typ}");
        }
    }

    /// An access token of somebody else beside the victim's statement, so that the profile is another person's.
    async fn a_profile_of_somebody_else() {
        let (site, mut victim) = (Site::new(), Browser::default());
        assert_eq!(refused(&[("claims", r#"{"at_hash":"MTIzNDU2Nzg5MDEyMzQ1Ng"}"#)]).await, "claim_mismatch");
        site.oidc.control("userinfo", &[("claims", r#"{"sub":"somebody-else"}"#)]);
        if let Ok(finished) = victim.sign_in(&site, "oidc").await {
            assert_ne!(finished.signed_in.identity.key.subject, "somebody-else");
        }
    }

    /// A user of a tenant that may not sign in, and a statement that names one tenant and is issued by another.
    async fn another_tenant_of_entra() {
        let (site, mut victim) = (Site::new(), Browser::default());
        let own = victim.sign_in(&site, "entra").await.unwrap();
        let tenant = own.signed_in.identity.organisation.clone().unwrap();
        let claims = r#"{"iss":"https://login.microsoftonline.com/99999999-9999-4999-8999-999999999999/v2.0"}"#;
        site.entra.control("id-token", &[("claims", claims)]);
        let error = victim.sign_in(&site, "entra").await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unauthenticated, Some("claim_mismatch")), "{error:?}");

        let setup = site.entra.setup(&integrations_auth::entra::spec::SPEC).set("tenant", "common").set("tenants", vec!["11111111-2222-4333-8444-555555555555".to_owned()]);
        let strict = integrations_auth::SignIn::new(integrations_auth::entra::Entra::open(&setup).unwrap());
        let begun = strict.begin(SignInRequest::new()).await.unwrap();
        let answer = site.entra.consent(&begun.url);
        let error = strict.complete(begun.pending, &answer).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unauthenticated),
            "{tenant} is not among those that may: {error:?}"
        );
    }

    /// A personal account where only a company's may sign in, by a changed `hd` in the address.
    async fn another_domain_of_google() {
        let site = Site::new();
        let setup = site.google.setup(&integrations_auth::google_sign_in::spec::SPEC).set("hosted_domain", "elsewhere.example");
        let strict = integrations_auth::SignIn::new(integrations_auth::google_sign_in::GoogleSignIn::open(&setup).unwrap());
        let begun = strict.begin(SignInRequest::new()).await.unwrap();
        let answer = site.google.consent(&begun.url.replace("elsewhere.example", ""));
        let error = strict.complete(begun.pending, &answer).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
    }

    /// A GitHub token that another application was given.
    async fn a_token_of_another_application() {
        let site = Site::new();
        let setup = site.github.setup(&integrations_auth::github_sign_in::spec::SPEC);
        let github = integrations_auth::github_sign_in::GithubSignIn::open(&setup).unwrap();
        let ours = SecretString::from(site.github.known("access_token"));
        github.check_token(&ours).await.unwrap();
        let error = github.check_token(&site.github.known("foreign_token").into()).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::NotFound | ErrorKind::ReauthRequired),
            "{error:?}"
        );
    }

    /// A notice of sign-out that is an ordinary statement, is for somebody else, or was seen before.
    async fn a_forged_notice_of_sign_out() {
        let (site, mut victim) = (Site::new(), Browser::default());
        let finished = victim.sign_in(&site, "oidc").await.unwrap();
        let issuer = oidc_client(&site.oidc);
        let statement = finished.signed_in.tokens.id_token.clone().unwrap();
        let error = issuer.logout_notice(&statement).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error:?}");
        for claims in [r#"{"aud":"another-app"}"#, r#"{"nonce":"x"}"#, r#"{"events":{}}"#, r#"{"jti":null}"#] {
            let token = notice(&site.oidc, &[("claims", claims)]);
            let error = issuer.logout_notice(&token).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{claims}: {error:?}");
        }
        let notice: LogoutNotice = issuer.logout_notice(&notice(&site.oidc, &[])).await.unwrap();
        assert_eq!(notice.key.as_ref().map(|key| &key.issuer), Some(&finished.signed_in.identity.key.issuer));
    }

    /// Key ids that nobody has, so that we ask the issuer for each of them.
    async fn invented_key_ids() {
        let (site, mut victim) = (Site::new(), Browser::default());
        victim.sign_in(&site, "oidc").await.unwrap();
        let before = fetches(&site.oidc);
        for n in 0..20 {
            site.oidc.control("id-token", &[("header", &format!(r#"{{"kid":"invented-{n}"}}"#))]);
            let error = victim.sign_in(&site, "oidc").await.unwrap_err();
            assert_eq!(error.code(), Some("unknown_key"), "{error:?}");
        }
        assert!(fetches(&site.oidc) - before <= 1, "{} fetches for invented keys", fetches(&site.oidc) - before);
        victim.sign_in(&site, "oidc").await.unwrap();
    }
}

/// The notice that the issuer would post, or a wrong one.
fn notice(issuer: &Service, fields: &[(&str, &str)]) -> SecretString {
    let answer = issuer.control("logout-token", fields);
    answer["logout_token"].as_str().unwrap().into()
}

fn fetches(issuer: &Service) -> u32 {
    issuer
        .sandbox
        .attempts()
        .iter()
        .filter(|(op, _)| op.contains("jwks") || op.contains("keys"))
        .map(|(_, n)| n)
        .sum()
}
