//! Sessions of users who signed in at a service, and the service's notices.

use std::any::Any;

use integrations_auth::{
    AuthCap, Begun, Completed, Identity, LinkedIdentity, PendingSignIn, SignIn, SignInDriver, SignInRequest,
    SignedIn,
};
use integrations_core::driver::Driver;
use integrations_core::provider::{ProviderSpec, Status};
use integrations_core::{Secret, TokenSet};

use super::*;

static SPEC: ProviderSpec =
    ProviderSpec::new("fake", "Fake", "auth", Status::Full).caps(&[AuthCap::SignIn.as_str()]);

/// Whoever comes is who the answer says.
struct Fake {
    authenticated_at: Option<Timestamp>,
    session: Option<&'static str>,
}

impl Driver for Fake {
    fn spec(&self) -> &'static ProviderSpec {
        &SPEC
    }
    fn raw(&self) -> &dyn Any {
        self
    }
}

#[async_trait]
impl SignInDriver for Fake {
    async fn begin(&self, _: &SignInRequest) -> Result<Begun> {
        let pending = PendingSignIn::new("fake", "state".into(), Secret::new(Vec::new()), Timestamp::MAX);
        Ok(Begun::new("https://fake.example", pending))
    }
    async fn complete(&self, _: PendingSignIn, answer: &str) -> Result<Completed> {
        let identity = Identity::new("fake", IdentityKey::new("https://fake.example", answer));
        let mut completed = Completed::new(identity, TokenSet::new("token", start()));
        completed.authenticated_at = self.authenticated_at;
        completed.session = self.session.map(str::to_owned);
        Ok(completed)
    }
}

async fn sign_in(
    subject: &str,
    session: Option<&'static str>,
    authenticated_at: Option<Timestamp>,
) -> SignedIn {
    let sign_in = SignIn::new(Fake { authenticated_at, session });
    let pending = sign_in.begin(SignInRequest::new()).await.unwrap().pending;
    sign_in.complete(pending, subject).await.unwrap()
}

fn linked(name: &str) -> User {
    let mut user = User::new(name, "acme", start());
    let key = IdentityKey::new("https://fake.example", name);
    user.identities.push(LinkedIdentity::new(key, "fake", start()));
    user
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_proof_is_the_services() {
    let it = bench();
    let long_ago = start() - Duration::from_secs(86_400);
    for (said, expected) in [(Some(long_ago), long_ago), (None, start()), (Some(start() + MINUTE), start())] {
        let signed_in = sign_in("ada", Some("s1"), said).await;
        let (_, session) = it
            .sessions
            .create_signed_in(&linked("ada"), &signed_in, vec![Method::OneTimeCode])
            .await
            .unwrap();
        assert_eq!(session.authenticated_at, expected);
        assert_eq!(session.methods, [Method::Provider("fake".to_owned()), Method::OneTimeCode]);
        assert_eq!(
            (session.identity.unwrap().subject, session.provider_session.as_deref()),
            ("ada".to_owned(), Some("s1"))
        );
        assert_eq!(session.created_at, start());
    }
    let e = it
        .sessions
        .create_signed_in(&linked("eve"), &sign_in("ada", None, None).await, vec![])
        .await
        .unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::InvalidRequest, Some("identity")));
}

fn notice(subject: Option<&str>, session: Option<&str>) -> LogoutNotice {
    let mut notice = LogoutNotice::new("https://fake.example", "n", start());
    notice.key = subject.map(|subject| IdentityKey::new("https://fake.example", subject));
    notice.session = session.map(str::to_owned);
    notice
}

#[tokio::test(start_paused = true)]
async fn a_notice_ends_what_it_names() {
    let all = [("ada", Some("s1")), ("ada", Some("s2")), ("ada", None), ("eve", Some("s1"))];
    for (notice, ended) in [
        (notice(Some("ada"), None), [true, true, true, false]),
        // Of the third nobody knows whether it is the one.
        (notice(Some("ada"), Some("s1")), [true, false, true, false]),
        (notice(None, Some("s2")), [false, true, false, false]),
        (notice(None, Some("s1")), [true, false, false, true]),
        (notice(Some("bob"), None), [false; 4]),
        (notice(None, Some("s3")), [false; 4]),
        (notice(None, None), [false; 4]),
    ] {
        let it = bench();
        let mut tokens = Vec::new();
        for (name, session) in all {
            let signed_in = sign_in(name, session, None).await;
            let (token, _) = it.sessions.create_signed_in(&linked(name), &signed_in, vec![]).await.unwrap();
            // A notice finds a session under whichever token it is by now, as late as it may be.
            tokens.push(it.sessions.rotate(&token).await.unwrap().unwrap().0);
        }
        let (local, _) = it.sessions.create(&linked("ada"), vec![Method::Password]).await.unwrap();
        for _ in 0..20 {
            pass(20 * MINUTE).await;
            for token in tokens.iter().chain([&local]) {
                assert!(is_alive(&it.sessions, token).await);
            }
        }
        assert_eq!(it.sessions.end_notified("other", &notice).await.unwrap(), 0);
        let count = ended.iter().filter(|ended| **ended).count() as u64;
        assert_eq!(it.sessions.end_notified("acme", &notice).await.unwrap(), count, "{notice:?}");
        assert_eq!(it.sessions.end_notified("acme", &notice).await.unwrap(), 0);
        for (token, ended) in tokens.iter().zip(ended) {
            assert_eq!(is_alive(&it.sessions, token).await, !ended, "{notice:?}");
        }
        assert!(is_alive(&it.sessions, &local).await, "who did not sign in there does not sign out there");
    }
}

/// The session that is looked at last has the time to take another name.
#[tokio::test(start_paused = true)]
async fn a_session_that_is_rotated_meanwhile_is_ended_by_a_notice_and_with_all_others() {
    for (turns, notified) in (0..48).flat_map(|turns| [(turns, true), (turns, false)]) {
        let it = bench();
        let (own, _) = it.sessions.create(&linked("ada"), vec![]).await.unwrap();
        let mut others = Vec::new();
        for _ in 0..6 {
            let signed_in = sign_in("ada", Some("s1"), None).await;
            others.push(it.sessions.create_signed_in(&linked("ada"), &signed_in, vec![]).await.unwrap());
        }
        others.sort_by(|(_, one), (_, other)| one.id.cmp(&other.id));
        let last = &others[5].0;
        let rotating = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            it.sessions.rotate(last).await.unwrap()
        };
        let ending = async {
            if notified {
                return it.sessions.end_notified("acme", &notice(Some("ada"), Some("s1"))).await.unwrap();
            }
            it.sessions.end_others(&own).await.unwrap()
        };
        let (rotated, ended) = tokio::join!(rotating, ending);
        if let Some((new, _)) = rotated {
            assert!(!is_alive(&it.sessions, &new).await, "{notified} after {turns} turns");
        }
        assert!(!is_alive(&it.sessions, last).await && is_alive(&it.sessions, &own).await);
        // Under both of its names it counts twice.
        assert!((6..=7).contains(&ended), "{notified} after {turns} turns: {ended}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_issuer_signs_nobody_out_who_signed_in_at_another() {
    let it = bench();
    let signed_in = sign_in("ada", Some("s1"), None).await;
    let (token, _) = it.sessions.create_signed_in(&linked("ada"), &signed_in, vec![]).await.unwrap();
    for mut elsewhere in [notice(None, Some("s1")), notice(Some("ada"), None)] {
        elsewhere.issuer = "https://other.example".to_owned();
        assert_eq!(it.sessions.end_notified("acme", &elsewhere).await.unwrap(), 0);
        assert!(is_alive(&it.sessions, &token).await);
    }
}
