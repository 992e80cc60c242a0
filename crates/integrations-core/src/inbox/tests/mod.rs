//! One suite for every store; workers and answers beside it.

use jiff::Timestamp;

use super::*;
use crate::webhook::{Entity, Trust};

mod model;
mod receive;
mod suite;
mod worker;

/// Seconds after an arbitrary moment.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn event(id: &str) -> Event {
    Event::from_api(id, "thing.changed", format!("body of {id}"))
}

fn about(id: &str, entity: &str) -> Event {
    event(id).entity(Entity::new("thing", entity))
}

fn claim(id: &str, entity: &str) -> Event {
    Event { trust: Trust::Claim, ..about(id, entity) }
}

fn source(tenant: &str) -> Source {
    Source::new(tenant, "vendor", "endpoint")
}

fn entry(tenant: &str, event: Event, ordering: Ordering) -> Entry {
    Entry::new(source(tenant), event, ordering)
}

/// Room for ten, leases of a minute, three attempts.
fn turn(owner: &str, now: i64) -> Turn {
    Turn {
        owner: owner.to_owned(),
        now: at(now),
        until: at(now + 60),
        room: 10,
        after: String::new(),
        per_tenant: 10,
        running: std::collections::BTreeMap::new(),
        max_attempts: 3,
    }
}

fn done() -> Outcome {
    Outcome::Done(Effects::default())
}

/// A clock that stands.
struct Fixed;

impl crate::WallClock for Fixed {
    fn now(&self) -> Timestamp {
        at(0)
    }
}
