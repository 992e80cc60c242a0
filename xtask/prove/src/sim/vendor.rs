//! A vendor with a rate limit that it tells nobody.

use std::collections::VecDeque;
use std::time::Duration;

/// How the vendor counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    /// Refills continuously; holds so many seconds' worth (at least one call).
    TokenBucket { seconds: f64 },
    /// So many calls per clock second.
    FixedWindow,
    /// So many calls within any second.
    SlidingWindow,
}

impl Shape {
    pub(crate) fn drawn(rng: &mut fastrand::Rng) -> Self {
        match rng.u32(0..4) {
            0 => Self::FixedWindow,
            1 => Self::SlidingWindow,
            _ => Self::TokenBucket { seconds: 0.1 + 0.9 * rng.f64() },
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TokenBucket { .. } => "token_bucket",
            Self::FixedWindow => "fixed_window",
            Self::SlidingWindow => "sliding_window",
        }
    }
}

/// The limits of a vendor over time.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    /// Calls per second, one after the other, each for `period`.
    pub(crate) limits: Vec<f64>,
    pub(crate) period: Duration,
    /// Whether a refusal starts a penalty, said in Retry-After, that doubles with every call made during it,
    /// up to 64 s.
    pub(crate) penalties: bool,
}

impl Plan {
    pub(crate) fn length(&self) -> Duration {
        self.period * self.limits.len() as u32
    }

    /// Calls that the vendor would accept over the whole time.
    pub(crate) fn capacity(&self) -> f64 {
        self.limits.iter().sum::<f64>() * self.period.as_secs_f64()
    }

    fn limit(&self, now: f64) -> f64 {
        let i = (now / self.period.as_secs_f64()) as usize;
        self.limits[i.min(self.limits.len() - 1)]
    }
}

/// What came back for one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdict {
    pub(crate) accepted: bool,
    pub(crate) retry_after: Option<Duration>,
    /// Time from the vendor's decision until the caller has the answer.
    pub(crate) back: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Penalty {
    until: f64,
    length: f64,
    /// When the refusal that told of it is with the caller: a call that left before cannot know.
    known_at: f64,
}

#[derive(Debug)]
pub(crate) struct Vendor {
    pub(crate) plan: Plan,
    rng: fastrand::Rng,
    tokens: f64,
    at: f64,
    recent: VecDeque<f64>,
    penalty: Option<Penalty>,
    /// Penalties that began because of a call made during a penalty already known.
    pub(crate) second_penalties: u64,
}

impl Vendor {
    pub(crate) fn new(plan: Plan, seed: u64) -> Self {
        let mut vendor = Self {
            plan,
            rng: fastrand::Rng::with_seed(seed),
            tokens: 0.0,
            at: 0.0,
            recent: VecDeque::new(),
            penalty: None,
            second_penalties: 0,
        };
        vendor.tokens = vendor.capacity(vendor.plan.limit(0.0));
        vendor
    }

    /// How long a request is under way to the vendor.
    pub(crate) fn travel(&mut self) -> Duration {
        Duration::from_secs_f64(self.between(0.002, 0.008))
    }

    /// Decides on a call that arrives `now`, sent at `sent`.
    pub(crate) fn arrive(&mut self, sent: Duration, now: Duration) -> Verdict {
        let (sent, now) = (sent.as_secs_f64(), now.as_secs_f64());
        let quick = self.between(0.002, 0.008);
        let full = self.between(0.018, 0.072);
        if self.penalised(sent, now) {
            return self.refuse(now, quick);
        }
        if self.admits(now) {
            return Verdict { accepted: true, retry_after: None, back: Duration::from_secs_f64(full) };
        }
        if self.plan.penalties {
            self.penalty = Some(Penalty { until: now + 1.0, length: 1.0, known_at: f64::INFINITY });
        }
        self.refuse(now, quick)
    }

    /// A refusal has reached its caller: whoever calls from now on could know.
    pub(crate) fn told(&mut self, now: Duration) {
        if let Some(penalty) = &mut self.penalty {
            penalty.known_at = penalty.known_at.min(now.as_secs_f64());
        }
    }

    fn refuse(&self, now: f64, quick: f64) -> Verdict {
        let left = self.penalty.map(|p| Duration::from_secs_f64((p.until - now).max(0.0)));
        Verdict { accepted: false, retry_after: left, back: Duration::from_secs_f64(quick) }
    }

    fn penalised(&mut self, sent: f64, now: f64) -> bool {
        let Some(penalty) = self.penalty.as_mut().filter(|p| now < p.until) else { return false };
        if sent > penalty.known_at {
            penalty.length = (2.0 * penalty.length).min(64.0);
            penalty.until = now + penalty.length;
            self.second_penalties += 1;
        }
        true
    }

    fn admits(&mut self, now: f64) -> bool {
        let limit = self.plan.limit(now);
        match self.plan.shape {
            Shape::TokenBucket { .. } => {
                self.tokens = (self.tokens + limit * (now - self.at)).min(self.capacity(limit));
                self.at = now;
                let admits = self.tokens >= 1.0;
                self.tokens -= f64::from(u8::from(admits));
                admits
            }
            Shape::FixedWindow => self.counts(now, limit, |then| then.floor() < now.floor()),
            Shape::SlidingWindow => self.counts(now, limit, |then| then <= now - 1.0),
        }
    }

    fn counts(&mut self, now: f64, limit: f64, old: impl Fn(f64) -> bool) -> bool {
        while self.recent.front().is_some_and(|then| old(*then)) {
            self.recent.pop_front();
        }
        let admits = (self.recent.len() as f64) < limit;
        if admits {
            self.recent.push_back(now);
        }
        admits
    }

    fn capacity(&self, limit: f64) -> f64 {
        match self.plan.shape {
            Shape::TokenBucket { seconds } => (seconds * limit).max(1.0),
            Shape::FixedWindow | Shape::SlidingWindow => limit,
        }
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.rng.f64()
    }
}
