//! The operations that one handle has called, found by the address of their `static`: no hashing, no lock.

use std::sync::OnceLock;

use super::stages::Slot;
use crate::op::Op;

/// Providers have a few dozen operations; a handle usually calls fewer than this many.
const GROUP: usize = 16;

/// A grow-only table that is read without a lock. The first slot lies inline: a handle that calls one operation
/// reaches it without another cache miss.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Slots {
    first: OnceLock<Slot>,
    more: OnceLock<Box<Group>>,
}

struct Group {
    slots: [OnceLock<Slot>; GROUP],
    next: OnceLock<Box<Group>>,
}

impl Slots {
    /// The slot of `op`, made by `make` at its first use. Two threads may both make one; one of them is kept.
    pub(crate) fn get(&self, op: &'static Op, make: impl Fn() -> Slot) -> &Slot {
        if let Some(slot) = claim(&self.first, op, &make) {
            return slot;
        }
        let mut group = self.more.get_or_init(Box::default);
        loop {
            let start = (std::ptr::from_ref(op).addr() / align_of::<Op>()) % GROUP;
            for step in 0..GROUP {
                if let Some(slot) = claim(&group.slots[(start + step) % GROUP], op, &make) {
                    return slot;
                }
            }
            group = group.next.get_or_init(Box::default);
        }
    }
}

impl Default for Group {
    fn default() -> Self {
        Self { slots: std::array::from_fn(|_| OnceLock::new()), next: OnceLock::new() }
    }
}

/// The slot if it is, or now becomes, that of `op`.
fn claim<'s>(place: &'s OnceLock<Slot>, op: &'static Op, make: &impl Fn() -> Slot) -> Option<&'s Slot> {
    let slot = match place.get() {
        Some(slot) => slot,
        None => place.get_or_init(make),
    };
    std::ptr::eq(slot.op, op).then_some(slot)
}
