use std::num::NonZeroU64;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::ErrorKind;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const LONG: Duration = Duration::from_hours(1);

fn window(limit: u64, per_ms: u64, burst: u32) -> RateWindow {
    let limit = NonZeroU64::new(limit).expect("tests use limits above zero");
    RateWindow::new(limit, Duration::from_millis(per_ms)).burst(burst)
}

fn limiter(windows: &[RateWindow]) -> Limiter {
    let policy = windows.iter().fold(LimitPolicy::default(), |p, w| p.window(*w));
    Limiter::new(&policy).expect("tests use windows that can be")
}

fn take(limiter: &Limiter, now: u64) -> Result<Duration, Refused> {
    limiter.reserve(now, 1, Priority::Interactive, LONG).map(|place| place.wait())
}

#[test]
fn stays_small_for_a_million_keys() {
    assert!(size_of::<Limiter>() <= 96, "{}", size_of::<Limiter>());
    assert!(size_of::<Reservation>() <= 64, "{}", size_of::<Reservation>());
}

#[test]
fn impossible_windows_are_named() {
    let wrong = [
        window(10, 0, 1),
        window(10, 1_000, 0),
        window(2_000_000, 1_000, 1),
        window(1, 366 * 24 * 3_600_000, 3),
        RateWindow::new(NonZeroU64::MIN, Duration::from_hours(367 * 24)),
    ];
    for window in wrong {
        let error = LimitPolicy::default().window(window).validate().expect_err("it cannot be");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("rate window of"), "{error}");
    }
}

#[test]
fn queues_in_order_and_reserves_nothing_beyond_the_allowed_wait() {
    let limiter = limiter(&[window(10, 1_000, 2)]);
    let waits: Vec<_> = (0..4).map(|_| take(&limiter, S).expect("within an hour").as_millis()).collect();
    assert_eq!(waits, [0, 0, 100, 200]);
    let refused = limiter.reserve(S, 1, Priority::Interactive, Duration::from_millis(299));
    let refused = refused.expect_err("it would be 300 ms");
    assert_eq!((refused.retry_in, refused.reason), (Duration::from_millis(300), LimitReason::Window));
    assert_eq!(take(&limiter, S).expect("within an hour").as_millis(), 300);
    let never = limiter.reserve(S, 3, Priority::Interactive, LONG).expect_err("no bucket holds it");
    assert_eq!(never.reason, LimitReason::TooLarge);
}

#[test]
fn the_narrowest_of_three_windows_decides() {
    let limiter = limiter(&[window(10, 1_000, 10), window(12, 60_000, 12), window(1_000, 3_600_000, 1_000)]);
    let waits: Vec<_> = (0..13).map(|_| take(&limiter, S).expect("within an hour").as_millis()).collect();
    assert_eq!(waits[9..], [0, 100, 200, 5_000]);
}

#[test]
fn the_last_place_given_back_is_as_if_it_had_never_been() {
    for extra in [None, Some(window(1_000, 60_000, 1_000))] {
        let windows: Vec<_> = std::iter::once(window(10, 1_000, 1)).chain(extra).collect();
        let limiter = limiter(&windows);
        take(&limiter, S).expect("the bucket is full");
        for _ in 0..3 {
            let place = limiter.reserve(S, 1, Priority::Interactive, LONG).expect("within an hour");
            assert_eq!(place.wait().as_millis(), 100);
            limiter.cancel(S, place);
        }
    }
}

#[test]
fn a_place_given_up_in_the_middle_goes_to_the_next_caller() {
    let limiter = limiter(&[window(10, 1_000, 1)]);
    let mut places: Vec<_> = (0..4).map(|_| limiter.reserve(S, 1, Priority::Interactive, LONG)).collect();
    limiter.cancel(S, places.remove(1).expect("within an hour"));
    assert_eq!(take(&limiter, S).expect("the free place").as_millis(), 100);
    assert_eq!(take(&limiter, S).expect("behind the queue").as_millis(), 400);
}

#[test]
fn a_pause_holds_old_and_new_places_and_keeps_their_distance() {
    let limiter = limiter(&[window(10, 1_000, 1)]);
    take(&limiter, S).expect("the bucket is full");
    let mut before = limiter.reserve(S, 1, Priority::Interactive, LONG).expect("in 100 ms");
    limiter.pause_until(S + 50 * MS, 3 * S);
    limiter.pause_until(S + 60 * MS, 2 * S);
    assert_eq!(limiter.paused(S + 100 * MS), Some(Duration::from_millis(1_900)));
    let mut during = limiter.reserve(S + 100 * MS, 1, Priority::Interactive, LONG).expect("within an hour");
    let wait = limiter.admit(S + 100 * MS, &mut before).expect("the pause goes on");
    assert!(wait >= Duration::from_millis(1_900));
    assert_eq!(limiter.admit(3 * S, &mut before), None);
    let wait = limiter.admit(3 * S, &mut during).expect("one interval later");
    assert!(wait >= Duration::from_millis(50) && wait <= Duration::from_millis(100), "{wait:?}");
    assert_eq!(limiter.paused(3 * S), None);
}

#[test]
fn remaining_is_obeyed_until_the_reset_and_corrects_itself_when_nothing_is_out() {
    let limiter = limiter(&[]);
    let told = |remaining| Told {
        remaining: Some(remaining),
        reset_after: Some(Duration::from_secs(10)),
        ..Told::default()
    };
    limiter.learn(S, &told(3));
    let places: Vec<_> =
        (0..3).filter_map(|_| limiter.reserve(S, 1, Priority::Interactive, Duration::ZERO).ok()).collect();
    assert_eq!(places.len(), 3);
    let refused = limiter.reserve(S, 1, Priority::Interactive, Duration::ZERO).expect_err("spent");
    assert_eq!((refused.reason, refused.retry_in), (LimitReason::Spent, Duration::from_secs(10)));
    // An answer that overtook: it may not raise what is left while others are out.
    limiter.learn(S, &told(50));
    assert!(limiter.reserve(S, 1, Priority::Interactive, Duration::ZERO).is_err());
    for place in &places {
        limiter.settle(S, place, Outcome::Accepted);
    }
    limiter.learn(S, &told(1));
    assert_eq!(take(&limiter, S), Ok(Duration::ZERO));
    assert_eq!(take(&limiter, S).map(|w| w.as_secs()), Ok(10));
    assert_eq!(take(&limiter, 12 * S), Ok(Duration::ZERO));
}

#[test]
fn a_told_limit_narrows_but_never_widens_and_nonsense_is_ignored() {
    let limiter = limiter(&[window(10, 1_000, 1)]);
    let told =
        |limit, secs| Told { limit: Some(limit), window: Some(Duration::from_secs(secs)), ..Told::default() };
    limiter.learn(S, &told(1_000, 1));
    take(&limiter, S).expect("the bucket is full");
    assert_eq!(take(&limiter, S).map(|w| w.as_millis()), Ok(100));
    limiter.learn(10 * S, &told(1, 60));
    take(&limiter, 10 * S).expect("the bucket is full");
    assert!(take(&limiter, 10 * S).expect("within an hour") >= Duration::from_secs(59));
    limiter.learn(10 * S, &told(0, 60));
    limiter.learn(10 * S, &told(5, 0));
    let absurd = Told { remaining: Some(0), reset_after: Some(Duration::MAX), ..Told::default() };
    limiter.learn(10 * S, &absurd);
    assert!(take(&limiter, 10 * S).is_ok());
}

#[test]
fn the_first_refusal_engages_and_everybody_slows_down() {
    let limiter = limiter(&[]);
    let place = limiter.reserve(S, 1, Priority::Interactive, Duration::ZERO).expect("nothing limits");
    assert_eq!(limiter.rate(), None);
    limiter.settle(S, &place, Outcome::Throttled(None));
    assert!(limiter.rate().is_some());
    let refused = limiter.reserve(S, 1, Priority::Interactive, Duration::ZERO).expect_err("held off");
    assert_eq!(refused.reason, LimitReason::Adaptive);
}

/// A day of batch jobs that ask again whenever they are told to, beside a person who clicks now and then.
fn interactive_waits(batch: bool) -> (Vec<u64>, u32) {
    let limiter = limiter(&[window(10, 1_000, 10)]);
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut waits, mut left_over, mut click) = (Vec::new(), 0, S);
    for now in (S..2_000 * S).step_by(5 * MS as usize) {
        if batch && limiter.reserve(now, 1, Priority::Batch, LONG).is_ok() {
            left_over += 1;
        }
        if now >= click {
            waits.push(take(&limiter, now).expect("within an hour").as_millis() as u64);
            click = now + rng.u64(50 * MS..450 * MS);
        }
    }
    waits.sort_unstable();
    (waits, left_over)
}

#[test]
fn interactive_callers_do_not_feel_a_saturating_batch() {
    let (solo, _) = interactive_waits(false);
    let (busy, left_over) = interactive_waits(true);
    let p99 = |waits: &[u64]| waits[waits.len() * 99 / 100];
    assert!(p99(&busy) <= p99(&solo) + 5, "{} against {}", p99(&busy), p99(&solo));
    // 10/s for 2,000 s, of which about 4/s are clicks.
    assert!(f64::from(left_over) + busy.len() as f64 >= 0.98 * 20_000.0, "{left_over}");
}

#[test]
fn lower_priorities_get_nothing_past_a_queue() {
    let limiter = limiter(&[window(10, 1_000, 4)]);
    for _ in 0..2 {
        assert!(limiter.reserve(S, 1, Priority::Batch, LONG).is_ok());
    }
    let refused = limiter.reserve(S, 1, Priority::Batch, LONG).expect_err("half is kept");
    assert_eq!((refused.reason, refused.retry_in), (LimitReason::Headroom, Duration::from_millis(100)));
    assert!(limiter.reserve(S, 1, Priority::Webhook, LONG).is_ok());
    assert!(limiter.reserve(S, 1, Priority::Webhook, LONG).is_err());
    for _ in 0..3 {
        take(&limiter, S).expect("interactive callers queue");
    }
    let refused = limiter.reserve(S + 100 * MS, 1, Priority::Webhook, LONG).expect_err("others queue");
    assert_eq!(refused.reason, LimitReason::Window);
}

#[test]
fn threads_together_never_exceed_the_bound() {
    for windows in
        [vec![window(1_000, 1_000, 50)], vec![window(1_000, 1_000, 50), window(5_000, 60_000, 900)]]
    {
        let limiter = Arc::new(limiter(&windows));
        let threads = (0..4).map(|_| {
            let limiter = Arc::clone(&limiter);
            std::thread::spawn(move || {
                let at = |i: u64| S + i * MS / 10;
                let goes =
                    |i: &u64| limiter.reserve(at(*i), 1, Priority::Interactive, Duration::ZERO).is_ok();
                (0..10_000).filter(goes).count()
            })
        });
        let threads: Vec<_> = threads.collect();
        let sent: usize = threads.into_iter().map(|t| t.join().expect("no thread panics")).sum();
        // One second of virtual time: the burst and what refills; threads lag, so it may be less.
        assert!((50..=1_050).contains(&sent), "{sent}");
    }
}

/// A bucket in its plainest form: tokens as a float.
struct Bucket {
    tokens: f64,
    at: u64,
    per_ns: f64,
    burst: f64,
}

impl Bucket {
    fn new(window: &RateWindow) -> Self {
        let burst = window.burst.map_or(window.limit.get() as f64, f64::from);
        Self { tokens: burst, at: 0, per_ns: window.limit.get() as f64 / window.per.as_nanos() as f64, burst }
    }

    fn has(&mut self, now: u64, cost: u32) -> f64 {
        self.tokens = (self.tokens + (now - self.at) as f64 * self.per_ns).min(self.burst);
        self.at = now;
        self.tokens - f64::from(cost)
    }
}

fn windows() -> impl Strategy<Value = Vec<RateWindow>> {
    prop::collection::vec(
        (1_u64..500, 10_u64..20_000, 1_u32..40).prop_map(|(l, p, b)| window(l, p, b)),
        1..=3,
    )
}

fn arrivals() -> impl Strategy<Value = Vec<(u64, u32)>> {
    prop::collection::vec((0_u64..400 * MS, 1_u32..5), 1..200)
}

proptest! {
    #[test]
    fn admits_what_plain_buckets_admit(windows in windows(), arrivals in arrivals()) {
        let limiter = limiter(&windows);
        let mut model: Vec<_> = windows.iter().map(Bucket::new).collect();
        let mut now = S;
        for (gap, cost) in arrivals {
            now += gap;
            let spare = model.iter_mut().map(|b| b.has(now, cost)).fold(f64::INFINITY, f64::min);
            let admitted = limiter.reserve(now, cost, Priority::Interactive, Duration::ZERO).is_ok();
            // Within a thousandth of a token both are right: intervals are whole nanoseconds.
            prop_assert!(admitted == (spare >= 0.0) || spare.abs() < 1e-3, "{spare} at {now}");
            if admitted {
                for bucket in &mut model {
                    bucket.tokens -= f64::from(cost);
                }
            }
        }
    }

    #[test]
    fn no_interval_holds_more_than_burst_and_refill(
        windows in windows(),
        arrivals in arrivals(),
        give_up in prop::collection::vec(0_u8..4, 200),
    ) {
        let limiter = limiter(&windows);
        let mut sent: Vec<(u64, u32)> = Vec::new();
        let mut waiting: Vec<(u64, Reservation)> = Vec::new();
        let mut now = S;
        for ((gap, cost), fate) in arrivals.into_iter().zip(give_up) {
            now += gap / 4;
            let (due, later) = waiting.into_iter().partition(|(at, _)| *at <= now);
            waiting = later;
            sent.extend::<Vec<_>>(due.iter().map(|(at, p): &(u64, Reservation)| (*at, p.cost())).collect());
            if let Ok(place) = limiter.reserve(now, cost, Priority::Interactive, Duration::from_secs(5)) {
                waiting.push((now + place.wait().as_nanos() as u64, place));
            }
            if fate == 0 && !waiting.is_empty() {
                let (_, place) = waiting.swap_remove(waiting.len() / 2);
                limiter.cancel(now, place);
            }
        }
        sent.extend(waiting.iter().map(|(at, p)| (*at, p.cost())));
        sent.sort_unstable();
        for window in &windows {
            let bucket = Bucket::new(window);
            for from in 0..sent.len() {
                let mut units = 0.0;
                for (at, cost) in &sent[from..] {
                    units += f64::from(*cost);
                    let bound = bucket.burst + (at - sent[from].0) as f64 * bucket.per_ns;
                    prop_assert!(units <= bound + 1e-3, "{units} > {bound}");
                }
            }
        }
    }
}

#[test]
fn a_successor_counts_each_window_for_itself() {
    let (second, day) = (window(10, 1_000, 10), window(1_000, 86_400_000, 1_000));
    let old = limiter(&[second, day]);
    for _ in 0..10 {
        take(&old, S).expect("within an hour");
    }
    let next = |windows: &[RateWindow]| {
        let policy = windows.iter().fold(LimitPolicy::default(), |p, w| p.window(*w));
        old.successor(S, &policy).expect("the windows can be")
    };
    let wait = |limiter: &Limiter| take(limiter, S).map(|wait| wait.as_millis());
    assert_eq!(wait(&next(&[window(20, 1_000, 20), day])), Ok(0), "ten of twenty are left");
    assert_eq!(wait(&next(&[second, window(2_000, 86_400_000, 2_000)])), Ok(100), "the second is spent");
    assert_eq!(wait(&next(&[window(5, 1_000, 5)])), Ok(200), "an empty bucket, no more");
    let wider = next(&[window(15, 1_000, 15)]);
    let at_once = (0..20).filter(|_| wider.reserve(S, 1, Priority::Interactive, Duration::ZERO).is_ok());
    assert_eq!(at_once.count(), 5);
}
