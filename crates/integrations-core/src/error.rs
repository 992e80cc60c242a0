//! The one error type: what went wrong, whether the other side acted, what to do now.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use crate::op::Op;
use crate::timeline::Timeline;

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in terms that are the same for every provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Our configuration is wrong: a missing variable, an unknown key, a malformed address.
    Config,
    /// The provider, or this build, cannot do what was asked; nothing was sent.
    Unsupported,
    /// The request itself is wrong: a bad argument, a value out of range.
    InvalidRequest,
    /// The credentials were refused or are missing.
    Unauthenticated,
    /// The end user must consent again; calls end here without network until then.
    ReauthRequired,
    /// The credentials are good but do not allow this.
    PermissionDenied,
    /// The thing asked for does not exist, or is hidden from these credentials.
    NotFound,
    /// The state on the other side forbids this now.
    Conflict,
    /// A condition sent along (ETag, version) did not hold.
    Precondition,
    /// The service understood and said no: a declined card, a refused recipient.
    Declined,
    /// Too many calls in a short time; see [`Error::retry_after`].
    RateLimited,
    /// A longer quota (day, month, plan) is used up.
    QuotaExhausted,
    /// A deadline passed; see [`Error::effect`] for whether the call may still have acted.
    Timeout,
    /// The service is down or overloaded.
    Unavailable,
    /// Our circuit breaker holds calls back; nothing was sent.
    CircuitOpen,
    /// The connection failed: DNS, TCP, TLS or a reset.
    Transport,
    /// The caller gave up.
    Cancelled,
    /// The answer was received but could not be understood.
    Decode,
    /// Anything that fits nowhere else.
    Unexpected,
}

impl ErrorKind {
    /// Every kind, in the order of declaration.
    pub const ALL: [ErrorKind; 19] = [
        Self::Config,
        Self::Unsupported,
        Self::InvalidRequest,
        Self::Unauthenticated,
        Self::ReauthRequired,
        Self::PermissionDenied,
        Self::NotFound,
        Self::Conflict,
        Self::Precondition,
        Self::Declined,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::Timeout,
        Self::Unavailable,
        Self::CircuitOpen,
        Self::Transport,
        Self::Cancelled,
        Self::Decode,
        Self::Unexpected,
    ];

    /// The kind as a stable snake_case word, as used in metric labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Unsupported => "unsupported",
            Self::InvalidRequest => "invalid_request",
            Self::Unauthenticated => "unauthenticated",
            Self::ReauthRequired => "reauth_required",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Precondition => "precondition",
            Self::Declined => "declined",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::CircuitOpen => "circuit_open",
            Self::Transport => "transport",
            Self::Cancelled => "cancelled",
            Self::Decode => "decode",
            Self::Unexpected => "unexpected",
        }
    }

    /// Whether the same call can succeed later without anybody changing anything.
    /// `CircuitOpen` is not among them: the pipeline waits for the breaker itself when the wait fits.
    const fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::Timeout | Self::Unavailable | Self::Transport)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Did the other side act?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// Nothing left this process, or nothing reached the service.
    NotSent,
    /// The service answered that it did not act.
    Rejected,
    /// The request may have been acted upon: ask the service before trying again.
    Unknown,
    /// The service acted; only the answer was lost on us.
    Applied,
}

impl Effect {
    /// The effect as a stable snake_case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::Applied => "applied",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why one more attempt is due at once: what made the first one fail has been mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repeat {
    /// The credentials were refreshed after a 401.
    Refreshed,
    /// The service's clock differs by this much (positive: it is ahead of ours), and signatures now allow for it.
    ClockCorrected(SignedDuration),
}

/// What went wrong with a call, whether the other side acted, and what to do.
///
/// `Display` is one line and never holds a URL query, a header or a body; `Debug` has several lines;
/// [`Error::explain`] tells the whole story of the call. The vendor's own error, or an SDK's, is in the
/// `source()` chain and reachable by type through [`Error::details`].
///
/// ```
/// use integrations_core::{Effect, Error, ErrorKind};
/// let e = Error::new(ErrorKind::Declined, Effect::Rejected, "the card was declined")
///     .with_code("card_declined")
///     .with_hint("ask the customer for another card");
/// assert!(!e.is_retryable());
/// assert_eq!(e.code(), Some("card_declined"));
/// ```
#[derive(Clone)]
pub struct Error(Box<Repr>);

#[derive(Clone)]
struct Repr {
    kind: ErrorKind,
    effect: Effect,
    retryable: Option<bool>,
    repeat: Option<Repeat>,
    about_credentials: bool,
    retry_after: Option<Duration>,
    provider: &'static str,
    operation: &'static str,
    message: String,
    code: Option<String>,
    status: Option<u16>,
    request_id: Option<String>,
    attempts: u32,
    hint: Option<String>,
    timeline: Option<Box<Timeline>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A new error. `message` must hold no secret, URL query, header or body.
    pub fn new(kind: ErrorKind, effect: Effect, message: impl Into<String>) -> Self {
        Self(Box::new(Repr {
            kind,
            effect,
            retryable: None,
            repeat: None,
            about_credentials: false,
            retry_after: None,
            provider: "",
            operation: "",
            message: message.into(),
            code: None,
            status: None,
            request_id: None,
            attempts: 0,
            hint: None,
            timeline: None,
            source: None,
        }))
    }

    /// `Config` and `NotSent`.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, Effect::NotSent, message)
    }

    /// `InvalidRequest` and `NotSent`.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, Effect::NotSent, message)
    }

    /// `Unsupported` and `NotSent`, with what to do instead.
    pub fn unsupported(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, Effect::NotSent, message).with_hint(hint)
    }

    /// Sets provider and operation from `op`, unless they are set already.
    #[must_use]
    pub fn with_op(mut self, op: &'static Op) -> Self {
        if self.0.provider.is_empty() {
            self.0.provider = op.provider;
            self.0.operation = op.name;
        }
        self
    }

    /// Sets the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Sets the effect.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.0.effect = effect;
        self
    }

    /// Sets the vendor's own error code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Sets the HTTP status, or the like of another protocol.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Sets the vendor's request id, which its support asks for.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = Some(id.into());
        self
    }

    /// Puts what it is about in front of the message.
    #[must_use]
    pub fn with_context(mut self, context: &str) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// Sets what to do, for a human.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Sets the delay after which the other side, or our own limiter, lets the next call through.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Overrides what the kind says about retrying: a vendor code may know better.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = Some(retryable);
        self
    }

    /// Sets the cause; its type stays reachable through [`Error::details`].
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// Asks the pipeline for one more attempt at once, outside the retry budget. It is granted once per call
    /// and cause, and only when the service refused without acting.
    #[must_use]
    pub fn with_repeat(mut self, repeat: Repeat) -> Self {
        self.0.repeat = Some(repeat);
        self
    }

    /// Rewrites the texts for people; `None` keeps one.
    pub(crate) fn map_prose(mut self, rewrite: impl Fn(&str) -> Option<String>) -> Self {
        if let Some(message) = rewrite(&self.0.message) {
            self.0.message = message;
        }
        self.0.hint = self.0.hint.map(|text| rewrite(&text).unwrap_or(text));
        self
    }

    /// Rewrites the service's code and request id; `None` keeps one.
    pub(crate) fn map_ids(mut self, rewrite: impl Fn(&str) -> Option<String>) -> Self {
        self.0.code = self.0.code.map(|text| rewrite(&text).unwrap_or(text));
        self.0.request_id = self.0.request_id.map(|text| rewrite(&text).unwrap_or(text));
        self
    }

    pub(crate) fn repeat(&self) -> Option<Repeat> {
        self.0.repeat
    }

    /// No attempt may follow this one.
    pub(crate) fn never_again(mut self) -> Self {
        (self.0.retryable, self.0.repeat) = (Some(false), None);
        self
    }

    /// The attempt failed because there are no credentials for it: that says nothing about the health or the limits
    /// of the service, and what the token endpoint did is no effect of this call.
    pub(crate) fn for_want_of_credentials(mut self, effect: Effect) -> Self {
        (self.0.about_credentials, self.0.effect) = (true, effect);
        self
    }

    pub(crate) fn is_about_credentials(&self) -> bool {
        self.0.about_credentials
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    pub(crate) fn with_timeline(mut self, timeline: Box<Timeline>) -> Self {
        self.0.timeline = Some(timeline);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the other side acted.
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// Whether the same call may succeed later unchanged. Says nothing about whether repeating it is
    /// safe: that depends on [`Error::effect`] and on the operation's [`Safety`](crate::Safety).
    pub fn is_retryable(&self) -> bool {
        self.0.retryable.unwrap_or(self.0.kind.is_transient())
    }

    /// How long to wait before the next try, counted from when the error was made.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The provider's id, or `""` when the error arose before one was known.
    pub fn provider(&self) -> &str {
        self.0.provider
    }

    /// The operation's name, or `""` when the error arose before one was known.
    pub fn operation(&self) -> &str {
        self.0.operation
    }

    /// The vendor's own error code.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The HTTP status, or the like of another protocol.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The vendor's request id.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// How many attempts were made; 0 when nothing was tried.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// What to do, for a human: "enable feature `spotify`".
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The message alone, without provider, code or hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The first cause of type `T` in the source chain: the vendor's envelope, or an SDK's error.
    pub fn details<T: StdError + 'static>(&self) -> Option<&T> {
        let mut cause = self.source();
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref::<T>() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }

    /// The story of the call in several lines: each wait with its reason, each attempt with its outcome,
    /// token refreshes, the breaker, and what to do next.
    pub fn explain(&self) -> String {
        let mut text = format!("{self}\n");
        if let Some(timeline) = &self.0.timeline {
            text.push_str(&timeline.to_string());
        }
        text.push_str(&format!("  outcome: {}\n", effect_in_words(self.effect())));
        if let Some(delay) = self.retry_after() {
            text.push_str(&format!("  try again in: {delay:?}\n"));
        }
        if let Some(id) = self.request_id() {
            text.push_str(&format!("  request id: {id}\n"));
        }
        if let Some(hint) = self.hint() {
            text.push_str(&format!("  hint: {hint}\n"));
        }
        text
    }
}

fn effect_in_words(effect: Effect) -> &'static str {
    match effect {
        Effect::NotSent => "nothing reached the service",
        Effect::Rejected => "the service refused and did not act",
        Effect::Unknown => "the service may have acted: check there before trying again",
        Effect::Applied => "the service acted, but its answer could not be used",
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let r = &*self.0;
        if !r.provider.is_empty() {
            write!(f, "{}.{}: ", r.provider, r.operation)?;
        }
        write!(f, "{}: {}", r.kind, r.message)?;
        if let Some(status) = r.status {
            write!(f, " (status {status}")?;
            if let Some(code) = &r.code {
                write!(f, ", code {code}")?;
            }
            f.write_str(")")?;
        } else if let Some(code) = &r.code {
            write!(f, " (code {code})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{self}")?;
        writeln!(
            f,
            "  effect: {}, retryable: {}, attempts: {}",
            self.effect(),
            self.is_retryable(),
            self.attempts()
        )?;
        if let Some(delay) = self.retry_after() {
            writeln!(f, "  retry after: {delay:?}")?;
        }
        if let Some(id) = self.request_id() {
            writeln!(f, "  request id: {id}")?;
        }
        if let Some(hint) = self.hint() {
            writeln!(f, "  hint: {hint}")?;
        }
        let mut cause = self.source();
        while let Some(error) = cause {
            writeln!(f, "  caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("vendor says {0}")]
    struct Vendor(u16);

    #[test]
    fn result_of_unit_is_one_word() {
        assert_eq!(size_of::<Result<()>>(), 8);
    }

    #[test]
    fn display_is_one_line_without_source_and_debug_has_the_chain() {
        let e = Error::new(ErrorKind::Unavailable, Effect::Unknown, "the service is down")
            .with_status(503)
            .with_code("overloaded")
            .with_source(Vendor(7));
        assert_eq!(e.to_string(), "unavailable: the service is down (status 503, code overloaded)");
        assert!(format!("{e:?}").contains("caused by: vendor says 7"));
        assert_eq!(e.details::<Vendor>().map(|v| v.0), Some(7));
        assert!(e.details::<fmt::Error>().is_none());
    }

    #[test]
    fn only_transient_kinds_are_retryable_and_a_vendor_code_may_know_better() {
        let transient: Vec<_> = ErrorKind::ALL
            .into_iter()
            .filter(|k| Error::new(*k, Effect::Rejected, "").is_retryable())
            .collect();
        assert_eq!(
            transient,
            [ErrorKind::RateLimited, ErrorKind::Timeout, ErrorKind::Unavailable, ErrorKind::Transport]
        );
        assert!(
            Error::new(ErrorKind::Conflict, Effect::Rejected, "lock").with_retryable(true).is_retryable()
        );
    }
}
