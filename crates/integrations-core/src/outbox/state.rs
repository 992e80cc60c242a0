//! The states of one delivery, as a pure function.

use std::time::Duration;

/// Where a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Waits for its first attempt, or in order behind another event.
    Pending,
    /// An attempt is under way.
    InFlight,
    /// Waits for its next attempt.
    Retrying,
    /// The receiver has taken it.
    Succeeded,
    /// Given up: the schedule is exhausted, or the address is forbidden.
    Failed,
    /// Given up for now, so that the events behind it can go on (endpoints in order alone).
    Parked,
    /// Its endpoint is gone, disabled or deleted.
    Cancelled,
}

/// Each state and its name in the store.
const NAMES: [(State, &str); 7] = [
    (State::Pending, "pending"),
    (State::InFlight, "in_flight"),
    (State::Retrying, "retrying"),
    (State::Succeeded, "succeeded"),
    (State::Failed, "failed"),
    (State::Parked, "parked"),
    (State::Cancelled, "cancelled"),
];

impl State {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        NAMES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(state, _)| *state)
    }

    /// Whether nothing more happens by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Parked | Self::Cancelled)
    }
}

/// What can happen to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happening {
    /// A worker has taken it.
    Leased,
    /// The receiver answered 2xx.
    Delivered,
    /// The receiver answered 410: it wants no more.
    Gone,
    /// The receiver answered 429, 502, 503 or 504: it wants less.
    Throttled,
    /// Any other answer, or none.
    Failed,
    /// The address is forbidden.
    Blocked,
    /// Somebody asks for it once more.
    Replayed,
    /// The endpoint takes no more deliveries.
    Withdrawn,
}

/// What may follow a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plan {
    /// Another attempt after this time.
    Retry(Duration),
    /// No further attempt.
    GiveUp,
    /// No further attempt for now, since events wait behind it.
    Park,
}

/// What follows for the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mark {
    /// Nothing beyond its health.
    None,
    /// It is gone.
    Gone,
    /// It gets deliveries at half the rate.
    Slower,
    /// Its address is forbidden.
    Blocked,
}

/// A step of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// The new state.
    pub to: State,
    /// The time until the next attempt; for [`State::Pending`] and [`State::Retrying`] alone.
    pub delay: Option<Duration>,
    /// What follows for the endpoint.
    pub mark: Mark,
}

impl Transition {
    const fn to(to: State, mark: Mark) -> Self {
        Self { to, delay: None, mark }
    }
}

/// The step from `state`, or `None` when this cannot happen in it, such as the result of an attempt whose delivery
/// was cancelled meanwhile.
pub fn next(state: State, happening: Happening, plan: Plan) -> Option<Transition> {
    use Happening as H;
    use State as S;
    Some(match (state, happening) {
        // In flight as well: its worker is gone and its lease over.
        (S::Pending | S::Retrying | S::InFlight, H::Leased) => Transition::to(S::InFlight, Mark::None),
        (S::InFlight, H::Delivered) => Transition::to(S::Succeeded, Mark::None),
        (S::InFlight, H::Gone) => Transition::to(S::Cancelled, Mark::Gone),
        (S::InFlight, H::Throttled) => after_failure(plan, Mark::Slower),
        (S::InFlight, H::Failed) => after_failure(plan, Mark::None),
        (S::InFlight, H::Blocked) => Transition::to(S::Failed, Mark::Blocked),
        (S::Succeeded | S::Failed | S::Parked | S::Cancelled, H::Replayed) => {
            Transition { to: S::Pending, delay: Some(Duration::ZERO), mark: Mark::None }
        }
        (S::Pending | S::InFlight | S::Retrying, H::Withdrawn) => Transition::to(S::Cancelled, Mark::None),
        _ => return None,
    })
}

fn after_failure(plan: Plan, mark: Mark) -> Transition {
    match plan {
        Plan::Retry(delay) => Transition { to: State::Retrying, delay: Some(delay), mark },
        Plan::GiveUp => Transition::to(State::Failed, mark),
        Plan::Park => Transition::to(State::Parked, mark),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    const HAPPENINGS: [Happening; 8] = [
        Happening::Leased,
        Happening::Delivered,
        Happening::Gone,
        Happening::Throttled,
        Happening::Failed,
        Happening::Blocked,
        Happening::Replayed,
        Happening::Withdrawn,
    ];

    /// Every step that there is; anything else must be refused.
    #[rustfmt::skip]
    const STEPS: [(State, Happening, Plan, State, Option<Duration>, Mark); 22] = [
        (State::Pending,   Happening::Leased,    Plan::GiveUp,      State::InFlight,  None,       Mark::None),
        (State::Retrying,  Happening::Leased,    Plan::GiveUp,      State::InFlight,  None,       Mark::None),
        (State::InFlight,  Happening::Leased,    Plan::GiveUp,      State::InFlight,  None,       Mark::None),
        (State::InFlight,  Happening::Delivered, Plan::GiveUp,      State::Succeeded, None,       Mark::None),
        (State::InFlight,  Happening::Delivered, Plan::Retry(SOON), State::Succeeded, None,       Mark::None),
        (State::InFlight,  Happening::Gone,      Plan::Retry(SOON), State::Cancelled, None,       Mark::Gone),
        (State::InFlight,  Happening::Throttled, Plan::Retry(SOON), State::Retrying,  Some(SOON), Mark::Slower),
        (State::InFlight,  Happening::Throttled, Plan::GiveUp,      State::Failed,    None,       Mark::Slower),
        (State::InFlight,  Happening::Throttled, Plan::Park,        State::Parked,    None,       Mark::Slower),
        (State::InFlight,  Happening::Failed,    Plan::Retry(SOON), State::Retrying,  Some(SOON), Mark::None),
        (State::InFlight,  Happening::Failed,    Plan::GiveUp,      State::Failed,    None,       Mark::None),
        (State::InFlight,  Happening::Failed,    Plan::Park,        State::Parked,    None,       Mark::None),
        (State::InFlight,  Happening::Blocked,   Plan::Retry(SOON), State::Failed,    None,       Mark::Blocked),
        (State::Failed,    Happening::Replayed,  Plan::GiveUp,      State::Pending,   Some(Duration::ZERO), Mark::None),
        (State::Parked,    Happening::Replayed,  Plan::GiveUp,      State::Pending,   Some(Duration::ZERO), Mark::None),
        (State::Cancelled, Happening::Replayed,  Plan::GiveUp,      State::Pending,   Some(Duration::ZERO), Mark::None),
        (State::Succeeded, Happening::Replayed,  Plan::GiveUp,      State::Pending,   Some(Duration::ZERO), Mark::None),
        (State::Pending,   Happening::Withdrawn, Plan::GiveUp,      State::Cancelled, None,       Mark::None),
        (State::InFlight,  Happening::Withdrawn, Plan::GiveUp,      State::Cancelled, None,       Mark::None),
        (State::Retrying,  Happening::Withdrawn, Plan::GiveUp,      State::Cancelled, None,       Mark::None),
        (State::InFlight,  Happening::Gone,      Plan::GiveUp,      State::Cancelled, None,       Mark::Gone),
        (State::InFlight,  Happening::Blocked,   Plan::GiveUp,      State::Failed,    None,       Mark::Blocked),
    ];

    #[test]
    fn every_row_of_the_table() {
        for (from, happening, plan, to, delay, mark) in STEPS {
            let step = next(from, happening, plan);
            assert_eq!(step, Some(Transition { to, delay, mark }), "{from:?} {happening:?} {plan:?}");
        }
    }

    #[test]
    fn nothing_else_can_happen() {
        for (from, _) in NAMES {
            for happening in HAPPENINGS {
                let known = STEPS.iter().any(|row| (row.0, row.1) == (from, happening));
                assert_eq!(next(from, happening, Plan::GiveUp).is_some(), known, "{from:?} {happening:?}");
            }
        }
    }

    #[test]
    fn names_read_back() {
        for (state, name) in NAMES {
            assert_eq!((state.as_str(), State::parse(name)), (name, Some(state)));
        }
        assert_eq!(State::parse("lost"), None);
    }
}
