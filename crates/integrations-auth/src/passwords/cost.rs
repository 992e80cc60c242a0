//! What hashing a password costs.

use argon2::Params;
use integrations_core::{Error, Result};

/// Memory in KiB and passes that OWASP's Password Storage Cheat Sheet names for Argon2id, with one lane.
const FLOORS: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

/// More than this is a mistake: it would take the machine's memory or minutes.
const CEILING: Cost = Cost { memory: 1_048_576, passes: 64, lanes: 16 };

/// What hashing a password costs: 19 MiB and two passes unless said otherwise. Have it take less than a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    pub(super) memory: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

impl Default for Cost {
    fn default() -> Self {
        Self { memory: 19_456, passes: 2, lanes: 1 }
    }
}

impl Cost {
    /// Memory in KiB, passes over it, and lanes. The lanes are computed one after the other.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](integrations_core::ErrorKind) below all of OWASP's recommendations, which are
    /// 47104 KiB with 1 pass, 19456 with 2, 12288 with 3, 9216 with 4 and 7168 with 5; beyond 1 GiB, 64 passes or 16 lanes;
    /// without lanes.
    ///
    /// ```
    /// use integrations_auth::Cost;
    /// assert_eq!(Cost::new(19_456, 2, 1)?, Cost::default());
    /// assert!(Cost::new(19_455, 2, 1).is_err());
    /// # Ok::<(), integrations_core::Error>(())
    /// ```
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self> {
        let cost = Self { memory: memory_kib, passes, lanes };
        let is_enough = FLOORS.iter().any(|(memory, least)| memory_kib >= *memory && passes >= *least);
        if is_enough && lanes > 0 && cost.is_bearable() {
            return Ok(cost);
        }
        Err(Error::config("hashing passwords is to cost too little or too much")
            .with_hint("take 19456 KiB, 2 passes and 1 lane, or more memory"))
    }

    /// One pass over this much memory in KiB (8 at least), so that the tests of an application need not wait. It protects
    /// nothing.
    #[must_use]
    pub fn insecure_for_tests(memory_kib: u32) -> Self {
        Self { memory: memory_kib.clamp(8, CEILING.memory), passes: 1, lanes: 1 }
    }

    pub(super) fn of(params: &Params) -> Self {
        Self { memory: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() }
    }

    pub(super) fn is_bearable(&self) -> bool {
        self.memory <= CEILING.memory && self.passes <= CEILING.passes && self.lanes <= CEILING.lanes
    }
}
