//! The slots of one process: one for each connection that anybody here uses.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use integrations_core::ConnectionId;

use super::slot::Slot;

/// Slots that stay in memory although nobody holds them.
const KEPT: usize = 100_000;

/// A connection has one slot for as long as anybody holds it, such as an authorizer. The latest ones are kept besides.
#[derive(Default)]
pub(super) struct Slots(Mutex<State>);

#[derive(Default)]
struct State {
    known: HashMap<ConnectionId, Weak<Slot>>,
    /// The size at which the names of slots that are gone are looked for.
    sweep_at: usize,
    kept: VecDeque<Arc<Slot>>,
}

impl Slots {
    pub(super) fn get(&self, id: &ConnectionId) -> Arc<Slot> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = state.known.get(id).and_then(Weak::upgrade) {
            return slot;
        }
        let slot = Arc::new(Slot::new(id.clone()));
        // As many insertions as there are names pay for the walk over them.
        if state.known.len() >= state.sweep_at {
            state.known.retain(|_, slot| slot.strong_count() > 0);
            state.sweep_at = (2 * state.known.len()).max(2 * KEPT);
        }
        state.known.insert(id.clone(), Arc::downgrade(&slot));
        if state.kept.len() >= KEPT {
            state.kept.pop_front();
        }
        state.kept.push_back(slot.clone());
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> ConnectionId {
        ConnectionId::new("acme", "drive", format!("user-{n}")).unwrap()
    }

    #[test]
    fn a_connection_has_one_slot_while_it_is_held_and_what_is_kept_is_bounded() {
        let slots = Slots::default();
        let held = slots.get(&id(0));
        for n in 1..=3 * KEPT {
            slots.get(&id(n));
        }
        assert!(Arc::ptr_eq(&held, &slots.get(&id(0))), "it was not kept, and is still the one");
        let latest = slots.get(&id(3 * KEPT));
        assert!(Arc::ptr_eq(&latest, &slots.get(&id(3 * KEPT))));
        let state = slots.0.lock().unwrap();
        assert_eq!(state.kept.len(), KEPT);
        assert!(state.known.len() <= 2 * (KEPT + 1), "twice those that are alive: {}", state.known.len());
    }
}
