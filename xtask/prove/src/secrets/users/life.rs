//! The life of one user, from the sign-up on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use integrations_auth::{
    Accounts, ApiKeys, Confirmation, Cost, Directory, Grant, Login, MailAddress, Method, Mode, NewApiKey,
    Notice, NoticeKind, Notices, OneTimeCodes, Passwords, PendingSecondFactor, Pepper, RecordStore,
    RefreshGrant, RefreshTokens, Sessions, SignedInUser, Throttle, TokenIssuer, User, UserStore,
};
use integrations_core::{Clock, Error, Result, SecretString};

use super::super::lab::Lab;
use super::super::search::canary;
use super::stores::{Fault, Stores};
use super::{Hand, secret};

pub(super) const TENANT: &str = "acme";
pub(super) const AUDIENCE: &str = "https://api.test";
const DONE: Duration = Duration::from_secs(20);

/// The mails that were sent.
#[derive(Clone, Default)]
pub(super) struct Mails(Arc<Mutex<Vec<Notice>>>);

#[async_trait]
impl Notices for Mails {
    async fn send(&self, notice: Notice) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
        Ok(())
    }
}

/// All that an application has for its users.
pub(super) struct World {
    pub(super) hand: Hand,
    pub(super) clock: Clock,
    pub(super) users: Arc<dyn UserStore>,
    pub(super) records: Arc<dyn RecordStore>,
    pub(super) sessions: Sessions,
    pub(super) accounts: Accounts,
    pub(super) codes: OneTimeCodes,
    pub(super) keys: ApiKeys,
    pub(super) issuer: TokenIssuer,
    pub(super) refresh: RefreshTokens,
    mails: Mails,
}

/// Cheap hashes, and a pepper.
pub(super) fn passwords(pepper: &str) -> Result<Passwords> {
    let key = canary("pepper").into_bytes().into();
    Ok(Passwords::new().cost(Cost::insecure_for_tests(8)).pepper(Pepper::new(pepper, key)?))
}

pub(super) fn address(id: &str) -> Result<MailAddress> {
    MailAddress::parse(&format!("{id}@example.org"))
}

impl World {
    pub(super) fn new(stores: &Stores) -> Result<Self> {
        Ok(Self::with(stores, passwords("p1")?))
    }

    pub(super) fn with(stores: &Stores, passwords: Passwords) -> Self {
        let hand = Hand::default();
        let clock = Clock::new(hand.clone());
        let users: Arc<dyn UserStore> = Arc::new(stores.clone());
        let records: Arc<dyn RecordStore> = Arc::new(stores.clone());
        let sessions = Sessions::new(records.clone(), clock.clone());
        let throttle = Throttle::new(records.clone(), clock.clone()).free(u32::MAX);
        let mails = Mails::default();
        let accounts = Accounts::new(
            users.clone(),
            records.clone(),
            sessions.clone(),
            passwords,
            mails.clone(),
            clock.clone(),
        );
        Self {
            accounts: accounts.throttle(throttle.clone()),
            codes: OneTimeCodes::new(users.clone(), throttle, clock.clone(), "Proof"),
            keys: ApiKeys::new(records.clone(), clock.clone(), Mode::Live),
            issuer: TokenIssuer::new(records.clone(), clock.clone(), "https://app.test"),
            refresh: RefreshTokens::new(records.clone(), clock.clone()),
            hand,
            clock,
            users,
            records,
            sessions,
            mails,
        }
    }

    /// The token in the last mail that has one.
    pub(super) async fn mailed(&self, lab: &mut Lab, is_first: bool) -> Result<SecretString> {
        let is_done = self.accounts.drain(DONE).await;
        let mails = std::mem::take(&mut *self.mails.0.lock().unwrap_or_else(PoisonError::into_inner));
        let token = mails.iter().rev().find_map(|mail| match &mail.what {
            NoticeKind::VerifyAddress { token, .. }
            | NoticeKind::ResetPassword { token, .. }
            | NoticeKind::VerifyNewAddress { token, .. } => Some(token.clone()),
            _ => None,
        });
        if is_first {
            lab.debug("mails", &mails);
        }
        let token = token.filter(|_| is_done).ok_or_else(|| Error::config("no mail came"))?;
        lab.draw("mail-token", token.expose());
        Ok(token)
    }

    pub(super) async fn user(&self, address: &MailAddress) -> Result<User> {
        let user = self.users.by_email(TENANT, address).await?;
        user.ok_or_else(|| Error::config("the user is not there"))
    }

    /// The code that a device with the canary shows, 30 seconds after the last one.
    pub(super) fn code(&self) -> String {
        self.hand.forward(30);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, canary("totp-secret").as_bytes());
        let step = self.clock.now().as_second() / 30;
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let at = usize::from(tag.as_ref()[19] & 15);
        let four = tag.as_ref()[at..].first_chunk().expect("20 bytes have four after the 16th");
        format!("{:06}", (u32::from_be_bytes(*four) & 0x7fff_ffff) % 1_000_000)
    }

    pub(super) async fn login(&self, lab: &mut Lab, address: &MailAddress, slot: &str) -> Result<Login> {
        let login = self.accounts.login(TENANT, address, &secret(slot)).await?;
        match &login {
            Login::SignedIn(user) => drawn_session(lab, user),
            Login::SecondFactor(pending) => lab.draw("second-factor-token", pending.token().expose()),
        }
        Ok(login)
    }

    pub(super) async fn signed_in(&self, lab: &mut Lab, address: &MailAddress) -> Result<SignedInUser> {
        match self.login(lab, address, "user-password").await? {
            Login::SignedIn(user) => Ok(*user),
            Login::SecondFactor(_) => Err(Error::config("a second factor was asked for")),
        }
    }

    async fn pending(&self, lab: &mut Lab, address: &MailAddress) -> Result<PendingSecondFactor> {
        match self.login(lab, address, "user-password").await? {
            Login::SecondFactor(pending) => Ok(pending),
            Login::SignedIn(_) => Err(Error::config("no second factor was asked for")),
        }
    }

    /// A user who has proven their address, and is signed in.
    pub(super) async fn arrival(&self, lab: &mut Lab, id: &str, first: bool) -> Result<SignedInUser> {
        let address = address(id)?;
        self.accounts.sign_up(TENANT, &address, &secret("user-password")).await?;
        self.mailed(lab, first).await?;
        self.accounts.request_verification(TENANT, &address).await?;
        let token = self.mailed(lab, first).await?;
        let user = self.accounts.verify_address(TENANT, &token).await?;
        if let Some(hash) = &user.password {
            lab.draw("password-hash", hash.expose());
        }
        self.signed_in(lab, &address).await
    }

    /// A second factor with the canary as its secret, and codes to recover with.
    pub(super) async fn second_factor(
        &self,
        lab: &mut Lab,
        user: &User,
        first: bool,
    ) -> Result<Vec<SecretString>> {
        let enrolment = self.codes.enrol(TENANT, &user.id).await?;
        drawn_enrolment(lab, &enrolment);
        let own = base32(canary("totp-secret").as_bytes());
        let imported = self.codes.import(TENANT, &user.id, &own.into()).await?;
        drawn_enrolment(lab, &imported);
        let proof = self.codes.confirm(TENANT, &user.id, &self.code()).await?;
        if first {
            lab.debug("an enrolment", &imported);
            lab.debug("a proof of a second factor", &proof);
        }
        let codes = self.codes.new_recovery_codes(proof).await?;
        for code in &codes {
            lab.draw("recovery-code", code.expose());
            lab.draw("recovery-code", &code.expose().replace('-', ""));
        }
        if first {
            lab.debug("recovery codes", &codes);
        }
        Ok(codes)
    }
}

pub(super) fn drawn_session(lab: &mut Lab, user: &SignedInUser) {
    lab.draw("session-token", user.token.text().expose());
}

fn drawn_enrolment(lab: &mut Lab, enrolment: &integrations_auth::Enrolment) {
    lab.draw("enrolment-secret", enrolment.secret.expose());
    lab.draw("enrolment-secret", &enrolment.secret.expose().to_ascii_lowercase());
    lab.draw("enrolment-url", enrolment.url.expose());
}

fn base32(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let digit = |five: &[u8]| {
        let number = (0..5).fold(0, |number, at| number << 1 | five.get(at).copied().unwrap_or_default());
        char::from(DIGITS[usize::from(number)])
    };
    bits.chunks(5).map(digit).collect()
}

/// Everything that goes well. Of the `first` one, all that it has in its hands is printed.
pub(super) async fn life(lab: &mut Lab, stores: &Stores, id: &str, first: bool) -> Result<()> {
    let world = World::new(stores)?;
    let lived = Box::pin(walked(lab, &world, id, first)).await;
    // Whatever it left behind goes on to log.
    let _in_time = world.accounts.drain(DONE).await;
    lived
}

async fn walked(lab: &mut Lab, world: &World, id: &str, first: bool) -> Result<()> {
    let signed_in = world.arrival(lab, id, first).await?;
    let user = &signed_in.user;
    let codes = world.second_factor(lab, user, first).await?;
    if first {
        lab.debug("somebody who signed in", &signed_in);
        lab.debug("accounts", &world.accounts);
        lab.debug("one-time codes", &world.codes);
        lab.debug("sessions", &world.sessions);
        lab.debug("a session's cookie", &signed_in.token.set_cookie()?);
        lab.debug("passwords", &passwords("p1")?);
        lab.debug("a clock", &world.clock.now());
    }
    second_factors(lab, world, user, &codes, first).await?;
    sessions(lab, world, user, first).await?;
    changes(lab, world, id, first).await?;
    programs(lab, world, user, first).await?;
    let user = world.users.user(TENANT, &user.id).await?;
    if let Some(hash) = user.as_ref().and_then(|user| user.password.as_ref()) {
        lab.draw("password-hash", hash.expose());
    }
    if first {
        lab.debug("a user", &user);
        let owned = match &user {
            Some(user) => world.records.owned(TENANT, "session", &user.id, world.clock.now()).await?,
            None => Vec::new(),
        };
        lab.debug("records", &owned);
        lab.debug("all users", &world.users.list(TENANT, None, 10).await?);
    }
    Ok(())
}

async fn second_factors(
    lab: &mut Lab,
    world: &World,
    user: &User,
    codes: &[SecretString],
    first: bool,
) -> Result<()> {
    let address = user.email.as_ref().ok_or_else(|| Error::config("the user has no address"))?;
    for recovers in [false, true] {
        let pending = world.pending(lab, address).await?;
        let pending = PendingSecondFactor::from_token(pending.token().clone());
        world.accounts.awaited(TENANT, &pending).await?;
        if first {
            lab.debug("a pending second factor", &Login::SecondFactor(pending));
        }
        let pending = world.pending(lab, address).await?;
        let proof = if recovers {
            world.codes.recover(TENANT, &user.id, codes[0].expose()).await?
        } else {
            world.codes.check(TENANT, &user.id, &world.code()).await?
        };
        let finished = world.accounts.finish_second_factor(TENANT, pending, proof).await?;
        drawn_session(lab, &finished);
    }
    Ok(())
}

async fn sessions(lab: &mut Lab, world: &World, user: &User, first: bool) -> Result<()> {
    let gone = || Error::config("the session has gone");
    let (token, session) = world.sessions.create(user, vec![Method::Password]).await?;
    lab.draw("session-token", token.text().expose());
    world.hand.forward(61);
    world.sessions.get(&token).await?.ok_or_else(gone)?;
    let (token, _) = world.sessions.rotate(&token).await?.ok_or_else(gone)?;
    lab.draw("session-token", token.text().expose());
    let (token, _) = world.sessions.step_up(&token, vec![Method::OneTimeCode]).await?.ok_or_else(gone)?;
    lab.draw("session-token", token.text().expose());
    let directory = Directory::new(world.users.clone(), world.sessions.clone(), world.clock.clone());
    let found = directory.signed_in(&token).await?;
    world.sessions.of_user(TENANT, &user.id).await?;
    if first {
        lab.debug("a directory", &directory);
        lab.debug("whoever is signed in", &found);
        lab.debug("a session", &(&token, &session));
        lab.debug("a proof", &session.fresh(DONE * 100, world.clock.now())?);
    }
    Ok(())
}

/// Another password, another address, and the first password again by a reset.
async fn changes(lab: &mut Lab, world: &World, id: &str, first: bool) -> Result<()> {
    let (old, new) = (address(id)?, address(&format!("new-{id}"))?);
    let user = world.user(&old).await?;
    let (token, session) = world.sessions.create(&user, vec![Method::Password]).await?;
    lab.draw("session-token", token.text().expose());
    let by_password = Confirmation::Password(secret("user-password"));
    let by_proof = Confirmation::Reauthenticated(session.fresh(DONE * 100, world.clock.now())?);
    if first {
        lab.debug("a confirmation", &by_password);
        lab.debug("a confirmation", &by_proof);
    }
    world.accounts.change_password(&token, by_password, &secret("next-password")).await?;
    if let Some(hash) = world.user(&old).await?.password {
        lab.draw("password-hash", hash.expose());
    }
    world.accounts.request_address_change(&token, by_proof, &new).await?;
    let mailed = world.mailed(lab, first).await?;
    world.accounts.confirm_address_change(TENANT, &mailed).await?;
    world.accounts.request_reset(TENANT, &new).await?;
    let mailed = world.mailed(lab, first).await?;
    world.accounts.reset(TENANT, &mailed, &secret("user-password")).await?;
    // What is asked for and not used stays in the store.
    world.accounts.request_reset(TENANT, &new).await?;
    world.mailed(lab, first).await?;
    world.pending(lab, &new).await.map(drop)
}

/// API keys, access tokens and refresh tokens.
async fn programs(lab: &mut Lab, world: &World, user: &User, first: bool) -> Result<()> {
    let new = NewApiKey::new(TENANT, user.id.clone(), "a key").scopes(["read"]);
    let (key, known) = world.keys.create(&new).await?;
    lab.draw("api-key", key.expose());
    world.keys.verify(key.expose()).await?;
    let (next, _) = world.keys.rotate(TENANT, &known.id, DONE).await?;
    lab.draw("api-key", next.expose());
    let listed = world.keys.list(TENANT, &user.id).await?;

    let grant = Grant::new(user.id.as_str(), AUDIENCE).tenant(TENANT).scopes(["read"]);
    let access = world.issuer.issue(&grant).await?;
    lab.draw("access-token", access.expose());
    let claims = world.issuer.verify(access.expose(), AUDIENCE).await?;
    let (jwks, _) = world.issuer.jwks().await?;

    let family = RefreshGrant::new(TENANT, user.id.clone(), "app");
    let token = world.refresh.begin(&family).await?;
    lab.draw("refresh-token", token.expose());
    let refreshed = world.refresh.redeem(&token, "app").await?;
    lab.draw("refresh-token", refreshed.token.expose());
    if first {
        lab.debug("API keys", &(&world.keys, &key, &known, &new, &listed));
        lab.debug("an issuer", &(&world.issuer, &grant, &access, &claims));
        lab.debug("published keys", &jwks);
        lab.display("published keys", &jwks);
        lab.debug("refresh tokens", &(&world.refresh, &refreshed, &family));
    }
    Ok(())
}

/// The same life, as often as it has calls to its stores: at each of them the store breaks, or gives back what nobody
/// wrote.
pub(super) async fn broken(lab: &mut Lab) -> Result<()> {
    const GARBLED: [&str; 5] = [
        "{}",
        "\"{}\"",
        r#"{"{}":"{}"}"#,
        r#"[{"kid":"{}","pem":"{}","from":"{}"}]"#,
        "$argon2id$v=19$m=8,t=1,p=1,keyid={}$c2FsdHNhbHRzYWx0c2E${}",
    ];
    let stores = Stores::new(Fault::None);
    life(lab, &stores, "person", true).await?;
    stores.draw(lab);
    for call in 0..stores.calls() {
        let garbled = Fault::Garbles(call, GARBLED[call % GARBLED.len()]);
        for fault in [Fault::Breaks(call), garbled] {
            let stores = Stores::new(fault);
            let lived = life(lab, &stores, "person", false).await;
            stores.draw(lab);
            lab.tried(&format!("a life with {fault:?}"), lived);
        }
    }
    Ok(())
}
