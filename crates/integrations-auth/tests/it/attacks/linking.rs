//! Which user an identity belongs to.

use std::time::Duration;

use integrations_auth::{
    EmailClaim, Finished, MailAddress, MailTrust, Method, Reauthenticated, Recognised, SignInRequest, Start,
    User, UserId, UserStore as _,
};
use integrations_core::ErrorKind;

use super::attacks;
use super::world::{Browser, Site};

/// A user who has verified this address and has a password.
async fn user_with(site: &Site, address: &str, is_verified: bool) -> User {
    let mut user = User::new("victim", "", site.clock.now());
    user.email = Some(MailAddress::parse(address).unwrap());
    user.email_verified_at = is_verified.then(|| site.clock.now());
    user.password = Some("$argon2id$of-whoever-made-the-account".into());
    site.users.insert(&user).await.unwrap()
}

/// Whom somebody is taken for after a whole sign-in.
async fn recognised(site: &Site, provider: &str, user: &str) -> Recognised {
    let finished = Browser::default().sign_in_as(site, provider, user).await.unwrap();
    site.identities.recognise("", &finished.signed_in.identity).await.unwrap()
}

/// The proof of somebody who has just signed in, and the session that they did it in.
pub(super) async fn fresh_proof(site: &Site, finished: Finished) -> Reauthenticated {
    let identity = &finished.signed_in.identity;
    let user = match site.identities.recognise("", identity).await.unwrap() {
        Recognised::Known(user) | Recognised::Created(user) => user,
        other => panic!("{other:?}"),
    };
    let methods = vec![Method::Provider(identity.provider.clone())];
    let (_, session) = site.sessions.create(&user, methods).await.unwrap();
    session.fresh(Duration::from_secs(60), site.clock.now()).unwrap()
}

fn everybody() -> MailTrust {
    ["google-sign-in", "entra", "github-sign-in", "spotify-sign-in", "https://issuer.example"]
        .into_iter()
        .fold(MailTrust::nobody(), MailTrust::provider)
        .link_automatically()
}

/// The account is as it was, and whoever signed in is somebody else.
async fn is_untouched(site: &Site, victim: &User, outcome: Recognised) {
    let Recognised::Created(other) = outcome else { panic!("{outcome:?}") };
    assert_ne!(other.id, victim.id);
    assert_eq!(other.email, None, "nobody vouches for the address");
    let now = site.users.user("", &victim.id).await.unwrap().unwrap();
    assert_eq!((now.version, now.identities.len()), (victim.version, 0));
}

attacks! {
    /// An account at GitHub with the victim's address, which GitHub has not verified.
    async fn an_unverified_address_at_github() {
        let site = Site::trusting(everybody());
        let victim = user_with(&site, &site.github.known("unverified_email"), true).await;
        let attacker = site.github.known("unverified_user");
        is_untouched(&site, &victim, recognised(&site, "github", &attacker).await).await;
    }

    /// An account at Spotify with the victim's address, which anybody can type.
    async fn any_address_at_spotify() {
        let site = Site::trusting(everybody());
        let victim = user_with(&site, &site.spotify.known("email"), true).await;
        let finished = Browser::default().sign_in(&site, "spotify").await.unwrap();
        let outcome = site.identities.recognise("", &finished.signed_in.identity).await.unwrap();
        is_untouched(&site, &victim, outcome).await;
    }

    /// A tenant of the attacker's at Entra, where they give a user the victim's address (nOAuth).
    async fn any_address_at_entra() {
        let site = Site::trusting(everybody());
        let victim = user_with(&site, &site.entra.known("email"), true).await;
        let attacker = site.entra.known("impostor_user");
        is_untouched(&site, &victim, recognised(&site, "entra", &attacker).await).await;
    }

    /// An issuer whose word about addresses nobody has asked for.
    async fn a_verified_address_of_an_untrusted_issuer() {
        let site = Site::trusting(MailTrust::nobody().provider("google-sign-in").link_automatically());
        let victim = user_with(&site, &site.oidc.known("email"), true).await;
        let finished = Browser::default().sign_in(&site, "oidc").await.unwrap();
        assert!(matches!(finished.signed_in.identity.email, Some(EmailClaim::Verified(_))));
        let outcome = site.identities.recognise("", &finished.signed_in.identity).await.unwrap();
        is_untouched(&site, &victim, outcome).await;
    }

    /// A company's own issuer that vouches for an address of another domain.
    async fn a_verified_address_of_another_domain() {
        let trust = MailTrust::nobody().provider_in("https://issuer.example", ["company.example"]).link_automatically();
        let site = Site::trusting(trust);
        let victim = user_with(&site, &site.oidc.known("email"), true).await;
        let finished = Browser::default().sign_in(&site, "oidc").await.unwrap();
        let outcome = site.identities.recognise("", &finished.signed_in.identity).await.unwrap();
        is_untouched(&site, &victim, outcome).await;
    }

    /// An account that the attacker made with the victim's address before the victim came (pre-hijacking).
    async fn an_account_that_was_prepared() {
        let site = Site::trusting(MailTrust::nobody().provider("google-sign-in"));
        let prepared = user_with(&site, &site.google.known("email"), false).await;
        let (_, mut attackers) = site.sessions.create(&prepared, vec![Method::Password]).await.unwrap();
        attackers.methods.clear();
        let finished = Browser::default().sign_in(&site, "google").await.unwrap();
        let outcome = site.identities.recognise("", &finished.signed_in.identity).await.unwrap();
        let Recognised::Reclaimed(user) = outcome else { panic!("{outcome:?}") };
        assert!(user.id == prepared.id && user.password.is_none() && user.email_verified_at.is_some());
        assert_eq!(user.identities.len(), 1, "the owner's alone");
        assert_eq!(site.sessions.end_all("", &user.id).await.unwrap(), 0, "the attacker's session is over");
    }

    /// A verified address is the victim's, and linking without asking was not switched on.
    async fn a_verified_address_without_a_decision() {
        let site = Site::trusting(MailTrust::nobody().provider("google-sign-in"));
        let victim = user_with(&site, &site.google.known("email"), true).await;
        let finished = Browser::default().sign_in(&site, "google").await.unwrap();
        let outcome = site.identities.recognise("", &finished.signed_in.identity).await.unwrap();
        assert!(matches!(outcome, Recognised::LinkRequired), "{outcome:?}");
        assert_eq!(site.users.user("", &victim.id).await.unwrap().unwrap().version, victim.version);
    }

    /// An identity that is another user's already.
    async fn an_identity_of_somebody_else() {
        let site = Site::new();
        let theirs = Browser::default().sign_in(&site, "github").await.unwrap();
        site.identities.recognise("", &theirs.signed_in.identity).await.unwrap();
        let mut attacker = Browser::default();
        let finished = attacker.sign_in(&site, "google").await.unwrap();
        let proof = fresh_proof(&site, finished).await;
        let start = Start::link(proof.into());
        let url = attacker.start(&site, "github", start, SignInRequest::new()).await.unwrap();
        let finished = attacker.come_back(&site, "github", &site.github.consent(&url)).await.unwrap();
        let linked = site.identities.link(finished.proof.unwrap(), finished.signed_in.identity).await;
        assert_eq!(linked.unwrap_err().kind(), ErrorKind::Conflict);
    }

    /// The same name at another issuer.
    async fn the_same_subject_at_another_issuer() {
        let site = Site::new();
        let mine = Browser::default().sign_in(&site, "oidc").await.unwrap().signed_in.identity;
        let Recognised::Created(user) = site.identities.recognise("", &mine).await.unwrap() else { panic!() };
        let mut key = mine.key.clone();
        key.issuer = "https://evil.example".to_owned();
        assert!(site.users.by_identity("", &key).await.unwrap().is_none());
        assert!(site.users.by_identity("other", &mine.key).await.unwrap().is_none(), "nor in another tenant");
        assert_eq!(site.users.by_identity("", &mine.key).await.unwrap().unwrap().id, user.id);
    }

    /// A proof that is too old to link with.
    async fn an_old_sign_in() {
        let site = Site::new();
        let user = user_with(&site, "ada@example.org", true).await;
        let (_, session) = site.sessions.create(&user, vec![Method::Password]).await.unwrap();
        tokio::time::advance(Duration::from_secs(301)).await;
        let error = session.fresh(Duration::from_secs(300), site.clock.now()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReauthRequired, "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_honest_person_links_and_unlinks() {
    let site = Site::new();
    let mut browser = Browser::default();
    let finished = browser.sign_in(&site, "google").await.unwrap();
    let google = finished.signed_in.identity.key.clone();
    let proof = fresh_proof(&site, finished).await;
    let url = browser.start(&site, "github", Start::link(proof.into()), SignInRequest::new()).await.unwrap();
    let finished = browser.come_back(&site, "github", &site.github.consent(&url)).await.unwrap();
    let user = site.identities.link(finished.proof.unwrap(), finished.signed_in.identity).await.unwrap();
    assert_eq!(user.identities.len(), 2);

    let again = Browser::default().sign_in(&site, "github").await.unwrap();
    let known = site.identities.recognise("", &again.signed_in.identity).await.unwrap();
    assert!(matches!(&known, Recognised::Known(known) if known.id == user.id), "{known:?}");
    let user = site.identities.unlink(fresh_proof(&site, again).await, &google).await.unwrap();
    let last = Browser::default().sign_in(&site, "github").await.unwrap();
    let key = last.signed_in.identity.key.clone();
    let error = site.identities.unlink(fresh_proof(&site, last).await, &key).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Precondition, Some("last_sign_in")));
    assert_eq!(user.id, known_id(known));
}

fn known_id(known: Recognised) -> UserId {
    match known {
        Recognised::Known(user) => user.id,
        other => panic!("{other:?}"),
    }
}
