//! What is sent. Parent and child make the same from the same seed.

use integrations_core::inbox::Source;
use integrations_core::webhook::{Entity, Event};

pub(super) const DELIVERIES: usize = 100_000;
pub(super) const EVENTS: usize = 70_000;
pub(super) const ENTITIES: usize = 5_000;

/// The deliveries in the order of sending; each is the number of an event.
pub(super) struct Load {
    deliveries: Vec<usize>,
}

impl Load {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut deliveries: Vec<_> = (0..EVENTS).collect();
        deliveries.extend((EVENTS..DELIVERIES).map(|_| rng.usize(..EVENTS)));
        rng.shuffle(&mut deliveries);
        Self { deliveries }
    }

    /// What one delivery tells.
    pub(super) fn event(&self, delivery: usize) -> Event {
        let event = self.deliveries[delivery];
        Event::from_api(id(event), "thing.changed", format!("{{\"version\":{}}}", version(event)))
            .entity(Entity::new("thing", entity(event)))
            .version(version(event))
    }
}

pub(super) fn source() -> Source {
    Source::new("tenant", "vendor", "endpoint")
}

pub(super) fn id(event: usize) -> String {
    format!("evt_{event}")
}

pub(super) fn entity(event: usize) -> String {
    format!("thing_{}", event % ENTITIES)
}

/// Counted from 1 for each entity.
pub(super) fn version(event: usize) -> u64 {
    (event / ENTITIES + 1) as u64
}

/// What each entity has to be at in the end.
pub(super) const LAST_VERSION: u64 = (EVENTS / ENTITIES) as u64;
