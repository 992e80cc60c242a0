//! A model of sign-in at a service: a sound driver, and ones with a defect each.

mod gate;

use std::any::Any;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integrations_core::auth::*;
use integrations_core::driver::{Caps, Driver};
use integrations_core::provider::{OAuth, ProviderSpec, Setting, Status};
use integrations_core::setup::Setup;
use integrations_core::{Effect, Error, ErrorKind, Result, Secret, SecretString, TokenSet};
use integrations_oauth::{AuthorizeRequest, Callback, Client, Issuer, PendingAuthorization};
use integrations_testkit::conformance::Harness;
use jiff::Timestamp;
use serde_json::{Value, json};

use gate::{ADA, ADA_MAIL, GATE};

const OAUTH: OAuth = OAuth::new("https://turnstile.example/token")
    .authorize_url("https://turnstile.example/authorize")
    .introspect_url("https://turnstile.example/introspect")
    .revoke_url("https://turnstile.example/revoke");

pub(crate) const CAPS: [&str; AuthCap::ALL.len()] = {
    let mut names = [""; AuthCap::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = AuthCap::ALL[at].as_str();
        at += 1;
    }
    names
};

static SPEC: ProviderSpec =
    ProviderSpec::new("turnstile", "Turnstile", "auth", Status::Full).caps(&CAPS).settings(&[
        Setting::new("client_id", "the client's id"),
        Setting::new("client_secret", "the client's secret").secret(),
        Setting::new("redirect_uri", "where browsers come back to"),
    ]);

/// What is wrong with the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    None,
    SendsWithoutTls,
    NamesAnotherState,
    MailIsKey,
    KeyChanges,
    EverybodyIsOne,
    IgnoresState,
    IgnoresNonce,
    IgnoresProof,
    IgnoresTheEnd,
    TakesTheFirst,
    CompletesTwice,
    TakesAnyCode,
    DeclinesAsBroken,
    ForgetsMail,
    SaysVerifiedAlways,
    SaysUnverifiedAlways,
    DoesNotSay,
    ForgetsStatement,
    ForgetsWhatWasKept,
    ProfileOfAnybody,
    ProfileVerifies,
    GivesTheOldToken,
    DeadIsUnavailable,
    NeverRevokes,
    RevokesKnownOnly,
    ForgetsLogoutState,
    TakesAnyNotice,
    // What shows only under faults.
    ExchangesAgain,
    ClaimsNothingSent,
    TellsTheCode,
}

/// Clients of a model, some of whose capabilities are not declared.
pub(crate) fn harness(defect: Defect, lacks: &'static [&'static str]) -> Harness<SignIn> {
    Harness::new(&SPEC, &GATE, move |setup| Ok(SignIn::new(Turnstile::open(setup, defect, lacks)?)))
}

struct Turnstile {
    client: Client,
    defect: Defect,
    caps: Caps,
    setup: Setup,
    /// Who signed in, by the answer that said so.
    told: Mutex<Vec<(String, Identity)>>,
}

fn person(subject: &str) -> Identity {
    let mut identity = Identity::new("turnstile", IdentityKey::new("https://turnstile.example", subject));
    let mail = |text: &str| MailAddress::parse(text).unwrap();
    identity.email = Some(match subject {
        ADA => EmailClaim::Verified(mail(ADA_MAIL)),
        _ => EmailClaim::Unverified(mail("other@example.org")),
    });
    identity
}

fn unauthenticated(message: &'static str) -> Error {
    Error::new(ErrorKind::Unauthenticated, Effect::Rejected, message)
}

/// The claims of a statement that nobody signed.
fn claims(token: Option<&SecretString>) -> Option<Value> {
    let payload = token?.expose().split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

impl Turnstile {
    fn open(setup: &Setup, defect: Defect, lacks: &[&str]) -> Result<Self> {
        let builder = Client::builder(Issuer::from(OAUTH), setup.text("client_id")?)
            .redirect_uri(setup.text("redirect_uri")?)
            .transport(setup.carrier(|| Err(Error::config("a test has a transport")))?)
            .clock(setup.wall_clock().clone())
            .secret(setup.live("client_secret")?);
        let builder = match setup.own_pipeline() {
            Some(pipeline) => builder.pipeline(pipeline.clone()),
            None => builder,
        };
        let caps = lacks.iter().fold(Caps::of(&SPEC), |caps, cap| caps.without(cap));
        let (client, setup) = (builder.build()?, setup.clone());
        Ok(Self { client, defect, caps, setup, told: Mutex::default() })
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn now(&self) -> Timestamp {
        self.setup.wall_clock().now()
    }

    /// The person, as this driver tells.
    fn told(&self, subject: &str) -> Identity {
        let mut identity = person(subject);
        let mail = identity.email.as_ref().unwrap().unproven().clone();
        match self.defect {
            Defect::MailIsKey => mail.as_str().clone_into(&mut identity.key.subject),
            Defect::EverybodyIsOne => ADA.clone_into(&mut identity.key.subject),
            Defect::ForgetsMail => identity.email = None,
            Defect::SaysVerifiedAlways => identity.email = Some(EmailClaim::Verified(mail)),
            Defect::SaysUnverifiedAlways => identity.email = Some(EmailClaim::Unverified(mail)),
            Defect::DoesNotSay => identity.email = Some(EmailClaim::Unknown(mail)),
            Defect::KeyChanges => {
                let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).len();
                identity.key.subject = format!("{subject}{}", ".".repeat(told));
            }
            _ if !self.caps.has("email_verification") => identity.email = Some(EmailClaim::Unknown(mail)),
            _ => {}
        }
        identity
    }

    /// The answer as this driver reads it.
    fn read(&self, pending: &PendingSignIn, answer: &str) -> String {
        let mut pairs: Vec<&str> = answer.split('&').collect();
        let state = format!("state={}", pending.state().expose());
        match self.defect {
            Defect::IgnoresState => {
                pairs.retain(|pair| !pair.starts_with("state="));
                pairs.push(&state);
            }
            Defect::TakesTheFirst => {
                let mut seen = Vec::new();
                pairs.retain(|pair| {
                    let name = pair.split('=').next().unwrap().to_owned();
                    let is_new = !seen.contains(&name) && name != "error";
                    seen.push(name);
                    is_new
                });
            }
            _ => {}
        }
        pairs.join("&")
    }

    /// What was kept of the flow, as this driver reads it.
    fn kept(&self, pending: &PendingSignIn) -> Result<PendingAuthorization> {
        let mut kept: Value = serde_json::from_slice(pending.inner().expose()).unwrap();
        if self.has(Defect::IgnoresTheEnd) {
            kept["created_at"] = self.now().to_string().into();
        }
        PendingAuthorization::from_stored(&Secret::new(kept.to_string().into_bytes()))
    }

    async fn exchange(&self, pending: &PendingSignIn, answer: &str) -> Result<TokenSet> {
        let answer = self.read(pending, answer);
        if self.has(Defect::TellsTheCode) {
            tracing::info!(answer, "somebody came back");
        }
        let exchange = async || self.client.complete(self.kept(pending)?, Callback::parse(&answer)?).await;
        match exchange().await {
            Err(e) if self.has(Defect::ExchangesAgain) && e.effect() == Effect::Unknown => exchange().await,
            Err(e) if self.has(Defect::ClaimsNothingSent) && e.effect() == Effect::Unknown => {
                Err(Error::new(e.kind(), Effect::NotSent, "nothing happened"))
            }
            Err(e) if self.has(Defect::DeclinesAsBroken) && e.kind() == ErrorKind::Declined => {
                Err(unauthenticated("something is wrong"))
            }
            other => other,
        }
    }
}

impl Driver for Turnstile {
    fn spec(&self) -> &'static ProviderSpec {
        &SPEC
    }

    fn caps(&self) -> Caps {
        self.caps.clone()
    }

    fn raw(&self) -> &dyn Any {
        self
    }
}

#[async_trait]
impl SignInDriver for Turnstile {
    async fn begin(&self, request: &SignInRequest) -> Result<Begun> {
        let hint = request.login_hint.clone().unwrap_or_default();
        let asked = AuthorizeRequest::new(["openid"]).param("login_hint", hint);
        // Each of nonce and challenge tells a code of another flow.
        let is_bare = self.has(Defect::IgnoresNonce) || self.has(Defect::IgnoresProof);
        let asked = if is_bare { asked.without_nonce() } else { asked };
        let (mut url, pending) = self.client.authorize(asked)?;
        let mut state = pending.state().clone();
        match self.defect {
            Defect::SendsWithoutTls => url = url.replace("https://turnstile", "http://turnstile"),
            Defect::NamesAnotherState => state = SecretString::from("another-state-of-another-flow"),
            Defect::IgnoresNonce => url += &format!("&nonce={}", state.expose()),
            Defect::IgnoresProof => url = url.replace("code_challenge", "ignored"),
            _ => {}
        }
        let kept = PendingSignIn::new("turnstile", state, pending.to_stored()?, pending.expires_at());
        Ok(Begun::new(url, kept))
    }

    async fn complete(&self, pending: PendingSignIn, answer: &str) -> Result<Completed> {
        let before = |told: &[(String, Identity)]| {
            told.iter().find(|(known, _)| known == answer).map(|(_, identity)| identity.clone())
        };
        let known = before(&self.told.lock().unwrap());
        if let (Some(identity), Defect::CompletesTwice) = (known, self.defect) {
            return Ok(Completed::new(identity, TokenSet::new("another", self.now())));
        }
        let mut tokens = match self.exchange(&pending, answer).await {
            Err(e) if self.has(Defect::TakesAnyCode) && e.kind() == ErrorKind::ReauthRequired => {
                TokenSet::new("invented", self.now())
            }
            other => other?,
        };
        let claims = claims(tokens.id_token.as_ref()).unwrap_or_else(|| json!({"sub": ADA}));
        let subject = claims["sub"].as_str().unwrap_or_default();
        let subject = if self.has(Defect::ForgetsWhatWasKept) { "u-2" } else { subject };
        let identity = self.told(subject);
        self.told.lock().unwrap().push((answer.to_owned(), identity.clone()));
        if self.has(Defect::ForgetsStatement) {
            tokens.id_token = None;
        }
        Ok(Completed::new(identity, tokens))
    }

    fn profile(&self) -> Option<&dyn ProfileDriver> {
        Some(self)
    }

    fn refresh(&self) -> Option<&dyn RefreshDriver> {
        Some(self)
    }

    fn revoke(&self) -> Option<&dyn RevokeDriver> {
        Some(self)
    }

    fn logout(&self) -> Option<&dyn LogoutDriver> {
        Some(self)
    }

    fn logout_notice(&self) -> Option<&dyn LogoutNoticeDriver> {
        Some(self)
    }
}

#[async_trait]
impl ProfileDriver for Turnstile {
    async fn profile(&self, access: &SecretString) -> Result<Identity> {
        let found = self.client.introspect(access).await?;
        match found.subject {
            Some(_) if self.has(Defect::ProfileVerifies) => Ok(person(ADA)),
            Some(subject) if found.active => Ok(self.told(&subject)),
            _ if self.has(Defect::ProfileOfAnybody) => Ok(self.told(ADA)),
            _ => Err(unauthenticated("nobody gave this token out")),
        }
    }
}

#[async_trait]
impl RefreshDriver for Turnstile {
    async fn refresh(&self, present: &TokenSet) -> Result<TokenSet> {
        match self.client.refresh(present).await {
            Ok(_) if self.has(Defect::GivesTheOldToken) => Ok(present.clone()),
            Err(e) if self.has(Defect::DeadIsUnavailable) => {
                Err(Error::new(ErrorKind::Unavailable, e.effect(), "try again"))
            }
            other => other,
        }
    }
}

#[async_trait]
impl RevokeDriver for Turnstile {
    async fn revoke(&self, present: &TokenSet) -> Result<()> {
        if self.has(Defect::NeverRevokes) {
            return Ok(());
        }
        if self.has(Defect::RevokesKnownOnly) && !self.client.introspect(&present.access).await?.active {
            return Err(Error::new(ErrorKind::NotFound, Effect::Rejected, "there is no such token"));
        }
        self.client.revoke(present).await
    }
}

#[async_trait]
impl LogoutDriver for Turnstile {
    async fn logout_url(&self, request: &LogoutRequest) -> Result<String> {
        let state = request.state.clone().filter(|_| !self.has(Defect::ForgetsLogoutState));
        Ok(format!("https://turnstile.example/out?state={}", state.unwrap_or_default()))
    }
}

#[async_trait]
impl LogoutNoticeDriver for Turnstile {
    async fn logout_notice(&self, token: &SecretString) -> Result<LogoutNotice> {
        let subject = token.expose().strip_prefix("notice-of-");
        if subject.is_none() && !self.has(Defect::TakesAnyNotice) {
            return Err(unauthenticated("this is no notice"));
        }
        let mut notice = LogoutNotice::new("https://turnstile.example", "1", self.now());
        notice.key = subject.map(|subject| IdentityKey::new("https://turnstile.example", subject));
        Ok(notice)
    }
}
