//! The end, compared with what it has to be.

use std::collections::HashMap;
use std::path::Path;

use integrations_core::Result;
use integrations_core::store::Store;

use super::load::{ENTITIES, EVENTS, LAST_VERSION, entity, id};

/// What is wrong, and how much is right.
#[derive(Default)]
pub(super) struct Findings {
    /// Events that were acknowledged and had no effect, though nothing newer made them stale.
    pub(super) lost: usize,
    /// Effects beyond the first of their event.
    pub(super) double_effects: i64,
    /// Entities that are not at their last version.
    pub(super) wrong_final_states: usize,
    /// Times a version was applied after a newer one.
    pub(super) backwards: i64,
    pub(super) applied: usize,
    pub(super) stale: usize,
    pub(super) dead: usize,
}

impl Findings {
    pub(super) fn clean(&self) -> bool {
        let right = self.applied + self.stale == EVENTS && self.wrong_final_states == 0;
        right && self.lost == 0 && self.double_effects == 0 && self.backwards == 0 && self.dead == 0
    }
}

/// The file of our receiver. An event is there, and it is either done with an effect or stale without one.
pub(super) async fn ours(file: &Path) -> Result<Findings> {
    let store = Store::open(file).await?;
    let (mut found, effects) = books(&store).await?;
    let rows = store.read("SELECT event_id, status FROM inbox_events", &[]).await?;
    let mut statuses = HashMap::new();
    for row in &rows {
        statuses.insert(row.text(0)?, row.text(1)?);
    }
    for event in 0..EVENTS {
        let id = id(event);
        match (statuses.get(&*id).copied(), effects.contains_key(&id)) {
            (Some("done"), true) => {}
            (Some("stale"), false) => found.stale += 1,
            (Some("dead"), _) => found.dead += 1,
            // An effect of an event that is not marked done would be repeated.
            (_, true) => found.double_effects += 1,
            (_, false) => found.lost += 1,
        }
    }
    store.close().await?;
    Ok(found)
}

/// The file of a naive receiver.
pub(super) async fn naive(file: &Path) -> Result<Findings> {
    let store = Store::open(file).await?;
    let (mut found, effects) = books(&store).await?;
    found.lost = (0..EVENTS).filter(|event| !effects.contains_key(&id(*event))).count();
    store.close().await?;
    Ok(found)
}

/// What both have: effects by event, and the entities.
async fn books(store: &Store) -> Result<(Findings, HashMap<String, i64>)> {
    let mut found = Findings::default();
    let mut effects = HashMap::new();
    for row in store.read("SELECT event_id, times FROM effects", &[]).await? {
        let times = row.integer(1)?;
        found.double_effects += times - 1;
        effects.insert(row.text(0)?.to_owned(), times);
    }
    found.applied = effects.len();
    let mut versions = HashMap::new();
    for row in store.read("SELECT id, version, backwards FROM things", &[]).await? {
        found.backwards += row.integer(2)?;
        versions.insert(row.text(0)?.to_owned(), row.integer(1)?.unsigned_abs());
    }
    found.wrong_final_states =
        (0..ENTITIES).filter(|thing| versions.get(&entity(*thing)) != Some(&LAST_VERSION)).count();
    Ok((found, effects))
}
