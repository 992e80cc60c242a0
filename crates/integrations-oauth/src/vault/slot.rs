//! What one process has in memory of one connection, and the one refresh under way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use integrations_core::{ConnectionId, CredentialVersion, Effect, Error, ErrorKind, Result};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use super::state::{Reconnect, Record, Status};
use super::{Inner, LOOK_AGAIN, LOOK_AGAIN_STOPPED};
use crate::token::TokenSet;

/// A token is exchanged early by a tenth of its life, at most a minute, and by up to as much again, so that many tokens
/// that were given at once do not end at once.
const EARLY: SignedDuration = SignedDuration::from_secs(60);
/// A token that ends within this time may end on its way.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(5);
/// A token that is worth keeping alive. One of a grant without a user is had again for the asking.
const LONG_LIVED: SignedDuration = SignedDuration::from_hours(24 * 7);
/// The pause after a first failure, doubled with each further one.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause that is our own idea, and the longest that an issuer is granted.
const MAX_PAUSE: Duration = Duration::from_secs(60);
const MAX_TOLD: Duration = Duration::from_secs(600);

pub(super) struct Slot {
    id: ConnectionId,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    view: Option<Arc<View>>,
    flight: Option<Flight>,
    /// A look asks the store alone: its failures hold back no refresh, and those of a refresh no look.
    looks: Pause,
    renewals: Pause,
}

/// The time after failures in which nobody is asked.
#[derive(Default)]
struct Pause {
    until: Option<(Instant, Error)>,
    failures: u32,
}

/// What a caller needs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Need {
    /// A token that has not ended.
    Usable,
    /// A token after the one of this rotation, which was refused.
    After(u64),
}

/// What a flight is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// To see what the store has.
    Look,
    /// To have tokens of a later rotation, and not ended.
    Renew {
        /// The rotation that is not good enough.
        beyond: u64,
    },
}

pub(super) enum Next {
    Use(Arc<View>),
    Wait(Flight),
}

/// What one process knows of a connection.
pub(super) struct View {
    pub(super) rotation: u64,
    pub(super) version: u64,
    read_at: Instant,
    kind: Kind,
}

enum Kind {
    Ready { tokens: TokenSet, header: HeaderValue, renew_at: Option<Timestamp> },
    Stopped(Reconnect),
}

/// A refresh or a look under way, which ends whether or not somebody waits for it.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) goal: Goal,
    result: watch::Receiver<Option<Result<Arc<View>>>>,
}

impl Flight {
    pub(super) async fn landed(mut self) -> Result<Arc<View>> {
        let landed = self.result.wait_for(Option::is_some).await;
        // The sender is gone without a result when its runtime ended.
        let result = landed.ok().and_then(|result| result.clone());
        result.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Cancelled, Effect::NotSent, "the refresh was ended with its runtime"))
        })
    }

    fn is_over(&self) -> bool {
        self.result.has_changed().is_err() || self.result.borrow().is_some()
    }
}

impl View {
    pub(super) fn new(inner: &Inner, id: &ConnectionId, version: u64, record: &Record) -> Result<Self> {
        let kind = match &record.status {
            Status::Ready(tokens) => {
                let source = inner.sources.of(id)?;
                let renewable = source.can_refresh(tokens);
                Kind::Ready {
                    header: header(source.scheme(), tokens)?,
                    renew_at: if renewable { renew_at(tokens, fastrand::f64()) } else { None },
                    tokens: tokens.clone(),
                }
            }
            Status::Reauth(_) | Status::Revoked => Kind::Stopped(inner.reconnect(id, record)),
        };
        Ok(Self { rotation: record.rotation, version, read_at: Instant::now(), kind })
    }

    /// The tokens and their rotation; [`ErrorKind::ReauthRequired`] when there are none.
    pub(super) fn tokens(&self) -> Result<(&TokenSet, u64)> {
        match &self.kind {
            Kind::Ready { tokens, .. } => Ok((tokens, self.rotation)),
            Kind::Stopped(reconnect) => Err(reconnect.clone().into_error()),
        }
    }

    /// The header that proves a call.
    pub(super) fn header(&self) -> Result<(&HeaderValue, CredentialVersion)> {
        match &self.kind {
            Kind::Ready { header, .. } => Ok((header, CredentialVersion(self.rotation))),
            Kind::Stopped(reconnect) => Err(reconnect.clone().into_error()),
        }
    }

    /// Whether it settles the need, if only by saying that nothing will.
    fn satisfies(&self, need: Need, now: Timestamp) -> bool {
        match (&self.kind, need) {
            (Kind::Stopped(_), _) => true,
            (Kind::Ready { tokens, .. }, Need::Usable) => !has_ended(tokens, now),
            (Kind::Ready { .. }, Need::After(rotation)) => self.rotation > rotation,
        }
    }

    /// The same for what a flight brought. A refresh brings another rotation, which is a lower one only if the connection
    /// was made anew on a machine whose clock is behind.
    pub(super) fn settles(&self, need: Need, goal: Goal, now: Timestamp) -> bool {
        let renewed =
            matches!((need, goal), (Need::After(rotation), Goal::Renew { .. }) if self.rotation != rotation);
        renewed || self.satisfies(need, now)
    }

    fn is_to_be_renewed(&self, now: Timestamp) -> bool {
        matches!(&self.kind, Kind::Ready { renew_at: Some(at), .. } if *at <= now)
    }

    /// Whether to see what the store has by now: soon if this is of no use, for somebody may have brought better.
    fn is_old(&self, now: Timestamp) -> bool {
        let works = matches!(&self.kind, Kind::Ready { tokens, .. } if !has_ended(tokens, now));
        self.read_at.elapsed() >= if works { LOOK_AGAIN } else { LOOK_AGAIN_STOPPED }
    }
}

impl Slot {
    pub(super) fn new(id: ConnectionId) -> Self {
        Self { id, state: Mutex::default() }
    }

    /// What is to be done now. Starts a flight where one is due: in the background while what is known still serves.
    pub(super) fn decide(self: &Arc<Self>, inner: &Arc<Inner>, need: Need) -> Result<Next> {
        let now = inner.now();
        let mut state = self.lock();
        let known = state.view.clone();
        match known.filter(|view| view.satisfies(need, now)) {
            Some(view) => {
                if view.is_to_be_renewed(now) {
                    self.start(&mut state, inner, Goal::Renew { beyond: view.rotation });
                } else if view.is_old(now) {
                    self.start(&mut state, inner, Goal::Look);
                }
                Ok(Next::Use(view))
            }
            None => {
                let beyond = match (need, &state.view) {
                    (Need::After(rotation), _) => rotation,
                    (Need::Usable, Some(view)) => view.rotation,
                    (Need::Usable, None) => 0,
                };
                let mut flight = self.start(&mut state, inner, Goal::Renew { beyond });
                if flight.is_none() && state.view.as_ref().is_none_or(|view| view.is_old(now)) {
                    flight = self.start(&mut state, inner, Goal::Look);
                }
                flight.map(Next::Wait).ok_or_else(|| state.renewals.error())
            }
        }
    }

    /// Joins the flight under way or starts one; `None` during a pause after failures.
    fn start(self: &Arc<Self>, state: &mut State, inner: &Arc<Inner>, goal: Goal) -> Option<Flight> {
        if let Some(flight) = state.flight.as_ref().filter(|flight| !flight.is_over()) {
            return Some(flight.clone());
        }
        if state.pause(goal).is_on() {
            return None;
        }
        let (tell, result) = watch::channel(None);
        let flight = Flight { goal, result };
        state.flight = Some(flight.clone());
        let (inner, slot) = (inner.clone(), self.clone());
        tokio::spawn(async move {
            let flying = tokio::spawn({
                let (inner, slot) = (inner.clone(), slot.clone());
                async move { inner.fly(&slot, goal).await }
            });
            // A source of tokens, a store or a sealer that panics is not asked again at once either.
            let landed = flying.await.unwrap_or_else(|_| Err(panicked()));
            let landed = slot.land(goal, landed, inner.now());
            // Nobody may be waiting any more.
            let _unheard = tell.send(Some(landed));
        });
        Some(flight)
    }

    /// Keeps what a flight brought.
    fn land(&self, goal: Goal, landed: Result<View>, now: Timestamp) -> Result<Arc<View>> {
        let mut state = self.lock();
        state.flight = None;
        let landed = landed.map(|view| state.keep(view)).and_then(|view| match goal {
            // Nobody has fresher ones: to ask again at once would only spend them.
            Goal::Renew { .. } if !view.satisfies(Need::Usable, now) => Err(ended_on_arrival()),
            _ => Ok(view),
        });
        match &landed {
            Ok(_) => *state.pause(goal) = Pause::default(),
            Err(error) => {
                let longest = if goal == Goal::Look { LOOK_AGAIN_STOPPED } else { MAX_PAUSE };
                state.pause(goal).begin(error, longest);
            }
        }
        landed
    }

    /// Keeps what was written by this process itself.
    pub(super) fn publish(&self, view: View) -> Arc<View> {
        let mut state = self.lock();
        (state.looks, state.renewals) = (Pause::default(), Pause::default());
        state.keep(view)
    }

    /// Forgets what is known.
    pub(super) fn clear(&self) {
        self.lock().view = None;
    }

    pub(super) fn id(&self) -> &ConnectionId {
        &self.id
    }

    pub(super) fn is_renewing(&self) -> bool {
        let state = self.lock();
        state.flight.as_ref().is_some_and(|flight| flight.goal != Goal::Look && !flight.is_over())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The newer of what is known and this. Versions grow also when a connection is made anew; rotations may not.
    fn keep(&mut self, view: View) -> Arc<View> {
        if let Some(known) = self.view.as_ref().filter(|known| known.version > view.version) {
            return known.clone();
        }
        self.view.insert(Arc::new(view)).clone()
    }

    fn pause(&mut self, goal: Goal) -> &mut Pause {
        match goal {
            Goal::Look => &mut self.looks,
            Goal::Renew { .. } => &mut self.renewals,
        }
    }
}

impl Pause {
    /// As long as the other side said, and longer with each failure.
    fn begin(&mut self, error: &Error, longest: Duration) {
        let own = PAUSE.saturating_mul(1 << self.failures.min(8)).min(longest);
        let own = own.mul_f64(0.5 + fastrand::f64() / 2.0);
        let pause = error.retry_after().map_or(own, |told| told.min(MAX_TOLD).max(own));
        self.failures = self.failures.saturating_add(1);
        self.until = Some((Instant::now() + pause, error.clone()));
    }

    fn is_on(&self) -> bool {
        self.until.as_ref().is_some_and(|(until, _)| Instant::now() < *until)
    }

    /// Why nobody is asked, and until when.
    fn error(&self) -> Error {
        let Some((until, error)) = &self.until else {
            return super::late("the tokens cannot be refreshed now");
        };
        error.clone().with_retry_after(until.saturating_duration_since(Instant::now()))
    }
}

/// What is going on is in the panic's own message.
pub(super) fn panicked() -> Error {
    let message = "a source of tokens, the store or the sealer panicked";
    Error::new(ErrorKind::Unexpected, Effect::NotSent, message)
}

fn ended_on_arrival() -> Error {
    super::late("the tokens that the issuer gives have ended when they arrive")
        .with_hint("compare this machine's clock with the issuer's")
}

fn header(scheme: &str, tokens: &TokenSet) -> Result<HeaderValue> {
    let mut header = HeaderValue::try_from(format!("{scheme} {}", tokens.access.expose())).map_err(|_| {
        Error::new(
            ErrorKind::Decode,
            Effect::NotSent,
            "the access token has characters that no header may have",
        )
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// When to exchange a token that can be exchanged, by `chance` between 0 and 1.
fn renew_at(tokens: &TokenSet, chance: f64) -> Option<Timestamp> {
    let ends = tokens.expires_at?;
    let tenth = ends.duration_since(tokens.obtained_at) / 10;
    let early = tenth.clamp(SignedDuration::ZERO, EARLY);
    let early = early + SignedDuration::from_secs_f64(early.as_secs_f64() * chance);
    ends.checked_sub(early).ok()
}

/// When a long-lived token that has no refresh token is to be exchanged although nobody uses it: once it has ended,
/// nothing can be exchanged for another one.
pub(super) fn extend_at(tokens: &TokenSet) -> Option<Timestamp> {
    let ends = tokens.expires_at.filter(|_| tokens.refresh.is_none())?;
    let life = ends.duration_since(tokens.obtained_at);
    if life < LONG_LIVED { None } else { ends.checked_sub(life / 10).ok() }
}

/// When a refresh token of a known end is to be exchanged although nobody uses it. An end that was past when the tokens
/// came is not meant, and one that does not move away is met in ever shorter steps, but not in a loop.
pub(super) fn lapse_at(tokens: &TokenSet) -> Option<Timestamp> {
    let ends =
        tokens.refresh_expires_at.filter(|ends| tokens.refresh.is_some() && *ends > tokens.obtained_at)?;
    let early = ends.checked_sub(ends.duration_since(tokens.obtained_at) / 10).ok()?;
    Some(early.max(tokens.obtained_at.checked_add(EARLY).ok()?))
}

/// A token of a short life is used for nine tenths of it at least.
pub(super) fn has_ended(tokens: &TokenSet, now: Timestamp) -> bool {
    tokens.expires_at.is_some_and(|ends| {
        let margin = ON_ITS_WAY.min(ends.duration_since(tokens.obtained_at) / 10);
        ends.duration_since(now) <= margin
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(life: Option<i64>) -> TokenSet {
        let mut tokens = TokenSet::new("a", Timestamp::UNIX_EPOCH);
        tokens.expires_at = life.map(|seconds| Timestamp::from_second(seconds).unwrap());
        tokens
    }

    #[test]
    fn a_token_is_renewed_before_it_ends_and_used_until_it_does() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        for (life, chance, renewed) in
            [(3600, 0.0, 3540), (3600, 1.0, 3480), (100, 0.0, 90), (100, 1.0, 80), (0, 1.0, 0)]
        {
            assert_eq!(renew_at(&tokens(Some(life)), chance), Some(at(renewed)), "{life} {chance}");
        }
        assert_eq!(renew_at(&tokens(None), 0.5), None);
        for (life, second, ended) in
            [(3600, 3594, false), (3600, 3595, true), (10, 8, false), (10, 9, true), (0, 0, true)]
        {
            assert_eq!(has_ended(&tokens(Some(life)), at(second)), ended, "{life} {second}");
        }
        assert!(!has_ended(&tokens(None), at(1 << 37)));
    }
}
