//! How far the two cores are from one another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde::Serialize;

use crate::contestant::BoxError;
use crate::measure::quantile;
use crate::workers::Workers;

/// Below it the cores share a cache: 20 ns against 180 ns were measured on two virtual cores of an EPYC.
const NEAR_NS: f64 = 60.0;
const TRIPS: usize = 200;
const TRIPS_PER_READING: usize = 10;

/// Whether the cores share a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Distance {
    Near,
    Far,
}

impl Distance {
    pub(crate) fn of(ns: f64) -> Self {
        if ns < NEAR_NS { Self::Near } else { Self::Far }
    }
}

/// Nanoseconds that a cache line takes from one core to the other: median of half a round trip.
///
/// A hypervisor moves its virtual cores between physical ones that share a cache and ones that do not, and every
/// figure of two threads moves with it. Only figures taken at one distance can be compared.
pub(crate) fn measure(workers: &Workers) -> Result<f64, BoxError> {
    let ball = Arc::new(AtomicUsize::new(0));
    let mut readings = workers.run(2, |index| {
        let ball = Arc::clone(&ball);
        move |_| {
            (0..TRIPS / TRIPS_PER_READING).map(|reading| play(&ball, index, reading)).collect::<Vec<f64>>()
        }
    })?;
    Ok(quantile(&mut readings.remove(0), 0.5))
}

/// Some round trips of one player: whoever finds his number makes it the other's.
fn play(ball: &AtomicUsize, player: usize, reading: usize) -> f64 {
    let started = Instant::now();
    for trip in 0..TRIPS_PER_READING {
        let mine = 2 * (reading * TRIPS_PER_READING + trip) + player;
        while ball.load(Ordering::Acquire) != mine {
            std::hint::spin_loop();
        }
        ball.store(mine + 1, Ordering::Release);
    }
    started.elapsed().as_nanos() as f64 / (2 * TRIPS_PER_READING) as f64
}
