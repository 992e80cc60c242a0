//! What each design has to bear, as data.

use std::time::{Duration, SystemTime};

use super::issuer::{Group, Moment};
use super::world::Design;

/// Tasks of each process.
pub(super) const TASKS: usize = 250;
/// A task pauses up to this long between two calls.
pub(super) const PAUSE_MS: u64 = 3000;
/// Every other call goes to the same connection for this long, so that the processes meet there.
const HOT_MS: u128 = 100;
/// One in so many calls is dropped by its caller after at most [`CANCEL_MS`].
pub(super) const CANCEL_ONE_IN: u32 = 5;
pub(super) const CANCEL_MS: u64 = 40;
/// The access token of some connection expires so often.
pub(super) const EXPIRY: Duration = Duration::from_millis(30);
/// The same while a kill has been waiting for [`KILL_WAITS`]: its process has to have nothing else to lose.
pub(super) const EXPIRY_FOR_KILL: Duration = Duration::from_millis(150);
pub(super) const KILL_WAITS: Duration = Duration::from_millis(500);
/// Between two kills lies up to this long, and what it takes until the next process comes to its moment.
pub(super) const KILL_PAUSE_MS: u64 = 60;

/// The connection that many use at this time; all processes find the same.
pub(super) fn hot(families: usize) -> usize {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // A step without a common divisor visits all of them, and the groups in turn.
    ((now.as_millis() / HOT_MS) as usize).wrapping_mul(37) % families
}

pub(super) struct Load {
    pub(super) processes: u32,
    /// Connections of each group, as [`Group::ALL`] orders them.
    sessions: [usize; 3],
    kills: &'static [(Moment, Group, usize)],
    /// At least so many.
    pub(super) expiries: u64,
    /// The load ends here, whatever it has come to.
    pub(super) limit: Duration,
}

const VAULT: Load = Load {
    processes: 4,
    sessions: [50, 50, 60],
    kills: &[
        (Moment::Idle, Group::Outside, 20),
        (Moment::Asked, Group::Outside, 15),
        (Moment::Stored, Group::Outside, 15),
        (Moment::Rotated, Group::Grace, 25),
        (Moment::Answered, Group::Grace, 25),
        (Moment::Rotated, Group::Strict, 25),
        (Moment::Answered, Group::Strict, 25),
    ],
    expiries: 1000,
    limit: Duration::from_secs(240),
};

const ALONE: Load = Load {
    processes: 1,
    sessions: [20, 20, 20],
    kills: &[
        (Moment::Idle, Group::Outside, 5),
        (Moment::Asked, Group::Outside, 5),
        (Moment::Stored, Group::Outside, 5),
        (Moment::Rotated, Group::Grace, 5),
        (Moment::Answered, Group::Grace, 5),
        (Moment::Rotated, Group::Strict, 5),
        (Moment::Answered, Group::Strict, 5),
    ],
    expiries: 200,
    limit: Duration::from_secs(240),
};

const NAIVE: Load = Load {
    processes: 4,
    sessions: [160, 0, 0],
    kills: &[(Moment::Idle, Group::Outside, 5), (Moment::Asked, Group::Outside, 5)],
    expiries: 1000,
    limit: Duration::from_secs(12),
};

impl Load {
    pub(super) fn of(design: Design) -> &'static Self {
        match design {
            Design::Vault => &VAULT,
            Design::Alone => &ALONE,
            Design::Naive => &NAIVE,
        }
    }

    /// The group of each connection.
    pub(super) fn groups(&self) -> Vec<Group> {
        let groups = Group::ALL.into_iter().zip(self.sessions);
        groups.flat_map(|(group, count)| std::iter::repeat_n(group, count)).collect()
    }

    /// All kills, in a random order.
    pub(super) fn kills(&self, rng: &mut fastrand::Rng) -> Vec<(Moment, Group)> {
        let kills = self.kills.iter();
        let mut kills: Vec<_> =
            kills.flat_map(|(moment, group, count)| std::iter::repeat_n((*moment, *group), *count)).collect();
        rng.shuffle(&mut kills);
        kills
    }

    /// How many there have to be of each.
    pub(super) fn kills_at(&self, moment: Moment, group: Group) -> usize {
        let kills = self.kills.iter().filter(|kill| (kill.0, kill.1) == (moment, group));
        kills.map(|kill| kill.2).sum()
    }
}
