//! The way through the browser.

use integrations_auth::{ProofOfControl, SignInRequest, Start};
use integrations_core::{Effect, ErrorKind};

use super::attacks;
use super::world::{Browser, Site, headers};

attacks! {
    /// An answer is replayed in the browser that it came to.
    async fn a_replayed_answer() {
        let (site, mut victim) = (Site::new(), Browser::default());
        let url = victim.click(&site, "google").await;
        let answer = site.google.consent(&url);
        victim.come_back(&site, "google", &answer).await.unwrap();
        let error = victim.come_back(&site, "google", &answer).await.unwrap_err();
        assert_eq!((error.code(), error.effect()), (Some("state_unknown"), Effect::NotSent));
    }

    /// The victim's browser is sent to our address with the attacker's answer, to be signed in as the attacker.
    async fn an_answer_to_another_browser() {
        let (site, mut attacker, mut victim) = (Site::new(), Browser::default(), Browser::default());
        let attackers = site.google.consent(&attacker.click(&site, "google").await);
        let requests = site.google.sandbox.requests();
        let error = victim.come_back(&site, "google", &attackers).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::InvalidRequest, Some("state_unknown")));
        // Also when the victim is on the way to the same service, and nothing was spent on it.
        let url = victim.click(&site, "google").await;
        victim.come_back(&site, "google", &attackers).await.unwrap_err();
        assert_eq!(site.google.sandbox.requests(), requests, "the answer was not even looked into");
        victim.come_back(&site, "google", &site.google.consent(&url)).await.unwrap();
    }

    /// The attacker who saw a victim's answer brings it to their own browser.
    async fn a_stolen_answer() {
        let (site, mut victim, mut attacker) = (Site::new(), Browser::default(), Browser::default());
        let answer = site.google.consent(&victim.click(&site, "google").await);
        attacker.click(&site, "google").await;
        let error = attacker.come_back(&site, "google", &answer).await.unwrap_err();
        assert_eq!(error.code(), Some("state_unknown"));
        // The victim is not locked out by the try.
        victim.come_back(&site, "google", &answer).await.unwrap();
    }

    /// The answer of one service comes to the address of another, so that its code goes to the wrong one (mix-up).
    async fn an_answer_to_another_providers_address() {
        let (site, mut victim) = (Site::new(), Browser::default());
        let url = victim.click(&site, "oidc").await;
        let answer = site.oidc.consent(&url);
        let requests = site.google.sandbox.requests();
        let error = victim.come_back(&site, "google", &answer).await.unwrap_err();
        assert_eq!(error.code(), Some("provider_mismatch"));
        assert_eq!(site.google.sandbox.requests(), requests, "the code went to nobody");
    }

    /// The answer names another issuer than the one that the browser was sent to (RFC 9207).
    async fn an_answer_that_names_another_issuer() {
        let (site, mut victim) = (Site::new(), Browser::default());
        let answer = site.oidc.consent(&victim.click(&site, "oidc").await);
        let without: Vec<&str> = answer.split('&').filter(|pair| !pair.starts_with("iss=")).collect();
        let mixed = format!("{}&iss=https%3A%2F%2Fevil.example", without.join("&"));
        let error = victim.come_back(&site, "oidc", &mixed).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::InvalidRequest, Effect::NotSent));
    }

    /// A code that was got elsewhere is put into the victim's answer (code injection).
    async fn an_injected_code() {
        let (site, mut attacker, mut victim) = (Site::new(), Browser::default(), Browser::default());
        let stolen = site.google.consent(&attacker.click_as(&site, "google", &site.google.known("other_user")).await);
        let own = site.google.consent(&victim.click(&site, "google").await);
        let code = |answer: &str| answer.split('&').find(|pair| pair.starts_with("code=")).unwrap().to_owned();
        let injected = own.replace(&code(&own), &code(&stolen));
        assert_ne!(injected, own);
        let error = victim.come_back(&site, "google", &injected).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReauthRequired, "the proof key is another one: {error:?}");
    }

    /// An answer has a parameter twice, or a code and an error, so that two readers see different things.
    async fn an_answer_that_reads_two_ways() {
        let (site, mut victim) = (Site::new(), Browser::default());
        let answer = site.google.consent(&victim.click(&site, "google").await);
        for odd in [format!("{answer}&state=x"), format!("{answer}&error=access_denied"), format!("code=x&{answer}")] {
            let error = victim.come_back(&site, "google", &odd).await.unwrap_err();
            assert_eq!((error.kind(), error.effect()), (ErrorKind::InvalidRequest, Effect::NotSent), "{odd}");
        }
    }

    /// The path to go on to leads to another site (open redirect).
    async fn a_way_to_another_site() {
        let (site, mut victim) = (Site::new(), Browser::default());
        for elsewhere in ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "/%0d\r\nx: y"] {
            let start = Start::sign_in().return_to(elsewhere);
            let error = victim.start(&site, "google", start, SignInRequest::new()).await.unwrap_err();
            assert_eq!(error.code(), Some("return_to"), "{elsewhere:?}");
        }
    }

    /// Another site of the same domain sets a second cookie of the flow's name (cookie tossing).
    async fn a_cookie_that_is_there_twice() {
        let (site, mut victim) = (Site::new(), Browser::default());
        let answer = site.google.consent(&victim.click(&site, "google").await);
        let own = victim.cookies();
        let (name, _) = own.split_once('=').unwrap();
        let tossed = format!("{own}; {name}=.attackers");
        let error = site.flow.complete("google", &answer, &headers(&tossed)).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::InvalidRequest, Effect::NotSent));
    }

    /// An answer comes after the flow has ended.
    async fn a_late_answer() {
        let (site, mut victim) = (Site::new(), Browser::default());
        let answer = site.google.consent(&victim.click(&site, "google").await);
        tokio::time::advance(std::time::Duration::from_secs(601)).await;
        let error = victim.come_back(&site, "google", &answer).await.unwrap_err();
        assert_eq!((error.code(), error.effect()), (Some("state_unknown"), Effect::NotSent));
    }

    /// The attacker begins to link their identity, and has the victim's browser finish it.
    async fn a_link_that_another_browser_finishes() {
        let (site, mut attacker, mut victim) = (Site::new(), Browser::default(), Browser::default());
        victim.sign_in(&site, "google").await.unwrap();
        let proof = proof_of_mallory(&site, &mut attacker).await;
        let url = attacker.start(&site, "github", Start::link(proof), SignInRequest::new()).await.unwrap();
        let answer = site.github.consent(&url);
        let error = victim.come_back(&site, "github", &answer).await.unwrap_err();
        assert_eq!(error.code(), Some("state_unknown"));
        let finished = attacker.come_back(&site, "github", &answer).await.unwrap();
        assert!(finished.proof.is_some(), "only who began it has the right to link");
    }
}

/// Mallory has signed in, and has just proven it.
async fn proof_of_mallory(site: &Site, browser: &mut Browser) -> ProofOfControl {
    let finished = browser.sign_in_as(site, "oidc", &site.oidc.known("other_user")).await.unwrap();
    super::linking::fresh_proof(site, finished).await.into()
}
