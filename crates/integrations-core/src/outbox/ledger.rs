//! What becomes of the rows, as pure functions that every store calls inside its transaction.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::class::{ErrorClass, happening};
use super::model::{Attempt, Delivery, Endpoint, EndpointStatus, EventId, Health};
use super::schedule::RetrySchedule;
use super::state::{Happening, Mark, Plan, State, next};

const MAX_SLOWDOWN: u32 = 64;

/// What a lease leaves beyond twice the time of the attempt, for writing its result.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// When to try again, and when to stop.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Rules {
    /// When a delivery is tried again.
    pub schedule: RetrySchedule,
    /// How long an endpoint in order is held up by one event. Default: 6 h.
    pub park_after: Duration,
    /// After how much failing an endpoint's owner should know. Default: 1 day.
    pub warn_after: Duration,
    /// After how much failing an endpoint is disabled. Default: 5 days.
    pub disable_after: Duration,
    /// After how many failed attempts at the least. Default: 10.
    pub disable_attempts: u32,
}

impl Default for Rules {
    fn default() -> Self {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        Self {
            schedule: RetrySchedule::default(),
            park_after: hours(6),
            warn_after: hours(24),
            disable_after: hours(120),
            disable_attempts: 10,
        }
    }
}

/// How one attempt ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// What is kept of it.
    pub attempt: Attempt,
    /// The receiver's `Retry-After`.
    pub told: Option<Duration>,
    /// From -1 to 1: moves the delay until the next attempt.
    pub jitter: f64,
}

impl Report {
    /// An attempt that began at `at`, with its answer's status and its class.
    pub fn new(at: Timestamp, latency: Duration, status: Option<u16>, class: Option<ErrorClass>) -> Self {
        Self { attempt: Attempt { at, latency, status, class, head: Bytes::new() }, told: None, jitter: 0.0 }
    }
}

/// What somebody should know. Told once, after the store has kept its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The endpoint has failed for a day.
    Failing {
        /// Since when.
        since: Timestamp,
    },
    /// The endpoint has failed for so long that it gets no more deliveries.
    Disabled {
        /// Since when it failed: where catching up begins.
        since: Timestamp,
    },
    /// The endpoint answered 410 and gets no more deliveries.
    Gone,
    /// The address is not public; the delivery has failed.
    Blocked(EventId),
    /// A delivery has failed for good.
    DeliveryFailed(EventId),
    /// A delivery of an endpoint in order was set aside, so that others can go on.
    DeliveryParked(EventId),
}

/// What a report changes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settled {
    /// The delivery.
    pub delivery: Delivery,
    /// The endpoint's health.
    pub health: Health,
    /// The endpoint's status.
    pub status: EndpointStatus,
    /// What to tell.
    pub notices: Vec<Notice>,
}

/// What `report` makes of a delivery and its endpoint. `None` if `fence` is not the present lease's: another worker
/// has the delivery, or it was withdrawn.
pub fn settle(
    rules: &Rules,
    endpoint: &Endpoint,
    delivery: &Delivery,
    fence: u64,
    report: &Report,
    now: Timestamp,
) -> Option<Settled> {
    if delivery.fence != fence {
        return None;
    }
    let Attempt { status, class, .. } = report.attempt;
    let what = happening(class, status);
    let step = next(delivery.state, what, plan(rules, endpoint, delivery, report, now))?;
    let mut health = health_after(&endpoint.health, what, step.mark, now);
    let mut notices: Vec<_> = delivery_notice(step.to, step.mark, &delivery.event).into_iter().collect();
    let mut status = endpoint.status;
    if step.mark == Mark::Gone {
        status = EndpointStatus::Gone;
        notices.push(Notice::Gone);
    } else if let Some(notice) = judge(rules, &health, now) {
        if matches!(notice, Notice::Disabled { .. }) {
            status = EndpointStatus::Disabled;
        }
        health.warned = true;
        notices.push(notice);
    }
    let due = step.delay.map(|delay| later(now, delay));
    let (last_status, last_class) = (report.attempt.status, class);
    let delivery = Delivery { state: step.to, due, last_status, last_class, ..delivery.clone() };
    Some(Settled { delivery, health, status, notices })
}

fn plan(rules: &Rules, endpoint: &Endpoint, delivery: &Delivery, report: &Report, now: Timestamp) -> Plan {
    let Some(delay) = rules.schedule.after(delivery.attempts, report.jitter, report.told) else {
        return Plan::GiveUp;
    };
    let held_from = delivery.first_at.unwrap_or(now);
    if endpoint.settings.fifo && later(now, delay) > later(held_from, rules.park_after) {
        return Plan::Park;
    }
    Plan::Retry(delay)
}

fn delivery_notice(to: State, mark: Mark, event: &EventId) -> Option<Notice> {
    match (to, mark) {
        (State::Failed, Mark::Blocked) => Some(Notice::Blocked(event.clone())),
        (State::Failed, _) => Some(Notice::DeliveryFailed(event.clone())),
        (State::Parked, _) => Some(Notice::DeliveryParked(event.clone())),
        _ => None,
    }
}

fn health_after(before: &Health, what: Happening, mark: Mark, now: Timestamp) -> Health {
    if what == Happening::Delivered {
        let slowdown = before.slowdown.saturating_sub(1).max(1);
        let (last_success, next_slot) = (Some(now), before.next_slot);
        return Health { last_success, slowdown, next_slot, ..Health::default() };
    }
    let slower = mark == Mark::Slower;
    Health {
        failing_since: before.failing_since.or(Some(now)),
        failures: before.failures.saturating_add(1),
        blocked: before.blocked || mark == Mark::Blocked,
        slowdown: if slower { (before.slowdown * 2).min(MAX_SLOWDOWN) } else { before.slowdown },
        ..before.clone()
    }
}

/// What continuous failing comes to.
fn judge(rules: &Rules, health: &Health, now: Timestamp) -> Option<Notice> {
    let since = health.failing_since?;
    let over = |limit: Duration| now >= later(since, limit);
    if over(rules.disable_after) && health.failures >= rules.disable_attempts {
        return Some(Notice::Disabled { since });
    }
    (over(rules.warn_after) && !health.warned).then_some(Notice::Failing { since })
}

/// A delivery that a worker takes now.
pub fn leased(endpoint: &Endpoint, delivery: &Delivery, now: Timestamp) -> Option<Delivery> {
    let step = next(delivery.state, Happening::Leased, Plan::GiveUp)?;
    Some(Delivery {
        state: step.to,
        attempts: delivery.attempts.saturating_add(1),
        fence: delivery.fence + 1,
        due: Some(later(now, endpoint.settings.timeout * 2 + LEASE_MARGIN)),
        first_at: delivery.first_at.or(Some(now)),
        ..delivery.clone()
    })
}

/// A final delivery that begins anew: with the same id, and all its attempts before it. `None` if it is under way.
pub fn replayed(delivery: &Delivery, due: Option<Timestamp>) -> Option<Delivery> {
    let step = next(delivery.state, Happening::Replayed, Plan::GiveUp)?;
    Some(Delivery { state: step.to, attempts: 0, due, first_at: None, ..delivery.clone() })
}

/// A delivery whose endpoint takes no more. `None` if it is final.
pub fn withdrawn(delivery: &Delivery) -> Option<Delivery> {
    let step = next(delivery.state, Happening::Withdrawn, Plan::GiveUp)?;
    Some(Delivery { state: step.to, due: None, ..delivery.clone() })
}

/// The time between two deliveries.
fn interval(endpoint: &Endpoint) -> Duration {
    Duration::from_secs(1) * endpoint.health.slowdown / endpoint.settings.max_rate.max(1)
}

/// How far ahead of its rate an endpoint may run: one delivery per concurrent place, none while it is slowed down.
fn burst(endpoint: &Endpoint) -> Duration {
    let ahead = if endpoint.health.slowdown > 1 { 0 } else { endpoint.settings.concurrency - 1 };
    interval(endpoint) * ahead
}

/// How many deliveries may begin now, with so many under way.
pub fn places(endpoint: &Endpoint, in_flight: u32, now: Timestamp) -> u32 {
    let free = endpoint.settings.concurrency.saturating_sub(in_flight);
    let slot = endpoint.health.next_slot.unwrap_or(now).max(now);
    let ahead = later(now, burst(endpoint)).duration_since(slot);
    let Ok(ahead) = Duration::try_from(ahead) else { return 0 };
    let by_rate = ahead.as_nanos() / interval(endpoint).as_nanos().max(1) + 1;
    free.min(u32::try_from(by_rate).unwrap_or(u32::MAX))
}

/// The health after so many deliveries began.
pub fn taken(endpoint: &Endpoint, count: u32, now: Timestamp) -> Health {
    let slot = endpoint.health.next_slot.unwrap_or(now).max(now);
    Health { next_slot: Some(later(slot, interval(endpoint) * count)), ..endpoint.health.clone() }
}

/// When to look at an endpoint again, whose earliest delivery is due at `due` and whose earliest lease ends at
/// `lease_end`. A settled delivery makes it due at once, whatever this says.
pub fn wake(
    endpoint: &Endpoint,
    due: Option<Timestamp>,
    in_flight: u32,
    lease_end: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    // Not before now: an endpoint that had its turn goes behind those that wait for theirs.
    let due = due?.max(now);
    if in_flight >= endpoint.settings.concurrency {
        return Some(lease_end.map_or(due, |end| due.max(end)));
    }
    let slot = endpoint.health.next_slot.unwrap_or(now);
    let by_rate = slot.checked_sub(burst(endpoint)).unwrap_or(slot);
    Some(due.max(by_rate))
}

/// `at` and `delay`, at the end of time at the latest.
pub(super) fn later(at: Timestamp, delay: Duration) -> Timestamp {
    at.saturating_add(SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::model::{EndpointId, EndpointSettings};
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn endpoint(max_rate: u32, concurrency: u32, slowdown: u32, next_slot: Option<i64>) -> Endpoint {
        Endpoint {
            id: EndpointId::from("ep_1"),
            tenant: "acme".into(),
            created: at(0),
            revision: 0,
            status: EndpointStatus::Active,
            settings: EndpointSettings::new("https://a.example").limits(max_rate, concurrency),
            keys: Vec::new(),
            health: Health { slowdown, next_slot: next_slot.map(at), ..Health::default() },
        }
    }

    #[test]
    fn places_by_rate_and_by_what_is_under_way() {
        // Rate, concurrency, slowdown, next slot, under way: places at 10 s.
        let table = [
            ((10, 4, 1, None, 0), 4),
            ((10, 4, 1, None, 3), 1),
            ((10, 4, 1, None, 4), 0),
            ((10, 4, 1, None, 9), 0),
            ((10, 4, 1, Some(1_000), 0), 4),
            ((10, 4, 1, Some(10_100), 0), 3),
            ((10, 4, 1, Some(10_300), 0), 1),
            ((10, 4, 1, Some(10_301), 0), 0),
            ((10, 4, 2, None, 0), 1),
            ((10, 4, 2, Some(10_001), 0), 0),
        ];
        for ((rate, concurrency, slowdown, slot, in_flight), expected) in table {
            let endpoint = endpoint(rate, concurrency, slowdown, slot);
            assert_eq!(places(&endpoint, in_flight, at(10_000)), expected, "{endpoint:?} {in_flight}");
        }
    }

    #[test]
    fn what_is_taken_moves_the_slot_by_the_rate() {
        for (slowdown, slot, expected) in [(1, None, 10_200), (1, Some(10_050), 10_250), (4, Some(0), 10_800)]
        {
            let health = taken(&endpoint(10, 4, slowdown, slot), 2, at(10_000));
            assert_eq!(health.next_slot, Some(at(expected)));
        }
    }

    #[test]
    fn when_to_look_again() {
        let now = at(10_000);
        let look = |slot, due, in_flight, end| wake(&endpoint(10, 4, 1, slot), due, in_flight, end, now);
        assert_eq!(look(None, None, 0, None), None);
        assert_eq!(look(None, Some(at(12_000)), 0, None), Some(at(12_000)));
        assert_eq!(look(None, Some(at(9_000)), 1, None), Some(now), "behind those that wait for their turn");
        assert_eq!(look(Some(10_500), Some(at(9_000)), 1, None), Some(at(10_200)), "as the rate allows");
        assert_eq!(look(None, Some(at(9_000)), 4, Some(at(30_000))), Some(at(30_000)));
    }

    #[test]
    fn failing_is_told_of_once_and_ends_in_disabling() {
        let rules = Rules::default();
        let hour = 3_600_000;
        // Failures, hours since the first, told of already.
        let table = [
            ((9, 23, false), None),
            ((2, 24, false), Some(Notice::Failing { since: at(0) })),
            ((2, 24, true), None),
            ((9, 120, true), None),
            ((10, 119, true), None),
            ((10, 120, true), Some(Notice::Disabled { since: at(0) })),
            ((10, 120, false), Some(Notice::Disabled { since: at(0) })),
        ];
        for ((failures, hours, warned), expected) in table {
            let health = Health { failing_since: Some(at(0)), failures, warned, ..Health::default() };
            assert_eq!(judge(&rules, &health, at(hours * hour)), expected, "{failures} {hours} {warned}");
        }
        assert_eq!(judge(&rules, &Health::default(), at(1000 * hour)), None);
    }

    #[test]
    fn slowing_down_is_bounded_and_undone_by_steps() {
        let mut health = Health::default();
        for expected in [2, 4, 8, 16, 32, 64, 64] {
            health = health_after(&health, Happening::Throttled, Mark::Slower, at(0));
            assert_eq!(health.slowdown, expected);
        }
        for expected in [63, 62, 61] {
            health = health_after(&health, Happening::Delivered, Mark::None, at(0));
            assert_eq!((health.slowdown, health.failures, health.failing_since), (expected, 0, None));
        }
        assert_eq!(health_after(&Health::default(), Happening::Delivered, Mark::None, at(0)).slowdown, 1);
    }
}
