//! The store in SQL tables.

use std::collections::VecDeque;

use async_trait::async_trait;
use jiff::Timestamp;

use super::purged_body;
use super::store::{Entry, InboxStore, Lease, Leased, NEVER_ANSWERED, Outcome, Turn};
use super::types::{Accepted, Counts, DeadLetter, EventKey, Ordering, Purged, Replay, Source};
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::store::{Module, Param, Row, Store, Tx};
use crate::webhook::{Entity, Event, Trust};

/// Times are microseconds since 1970 in UTC.
static TABLES: Module = Module {
    name: "inbox",
    steps: &[&[
        "CREATE TABLE inbox_events (
            seq BIGINT NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, provider TEXT NOT NULL, endpoint TEXT NOT NULL,
            event_id TEXT NOT NULL, kind TEXT NOT NULL, occurred_at BIGINT, entity_kind TEXT, entity_id TEXT,
            version BIGINT, live BIGINT, trust TEXT NOT NULL, payload BLOB,
            lane TEXT NOT NULL, ordering TEXT NOT NULL, rank BIGINT NOT NULL,
            status TEXT NOT NULL, first_seen BIGINT NOT NULL, due_at BIGINT NOT NULL, attempts BIGINT NOT NULL,
            duplicates BIGINT NOT NULL, round BIGINT NOT NULL, finished_at BIGINT, last_error TEXT,
            UNIQUE (tenant, provider, event_id))",
        "CREATE INDEX inbox_events_head ON inbox_events (lane, rank, seq) WHERE status = 'waiting'",
        "CREATE INDEX inbox_events_settled ON inbox_events (status, finished_at)",
        "CREATE TABLE inbox_lanes (
            lane TEXT NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, due_at BIGINT, owner TEXT, fence BIGINT NOT NULL,
            applied_ordering TEXT, applied_rank BIGINT, touched_at BIGINT NOT NULL)",
        "CREATE INDEX inbox_lanes_turn ON inbox_lanes (tenant, due_at, lane) WHERE due_at IS NOT NULL",
        "CREATE INDEX inbox_lanes_due ON inbox_lanes (due_at) WHERE due_at IS NOT NULL",
    ]],
};

/// The number starts at the time, so that none is used again after a purge.
const INSERT: &str = "INSERT INTO inbox_events (seq, tenant, provider, endpoint, event_id, kind, occurred_at, \
    entity_kind, entity_id, version, live, trust, payload, lane, ordering, rank, status, first_seen, due_at, attempts, \
    duplicates, round) \
    VALUES ((SELECT CASE WHEN MAX(seq) >= $16 THEN MAX(seq) + 1 ELSE $16 END FROM inbox_events), \
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
    $13, $14, $15, 'waiting', $16, $16, 0, 0, 0) \
    ON CONFLICT (tenant, provider, event_id) DO UPDATE SET duplicates = inbox_events.duplicates + 1 \
    RETURNING duplicates";
/// While a lane is leased its time is that of the lease. The fence starts at the time, for the same reason.
const ENQUEUE: &str = "INSERT INTO inbox_lanes (lane, tenant, due_at, fence, touched_at) VALUES ($1, $2, $3, $3, $3) \
    ON CONFLICT (lane) DO UPDATE SET touched_at = excluded.touched_at, \
    due_at = CASE WHEN inbox_lanes.owner IS NULL THEN excluded.due_at ELSE inbox_lanes.due_at END";

const NEXT_TENANT: &str =
    "SELECT tenant FROM inbox_lanes WHERE due_at <= $1 AND tenant > $2 ORDER BY tenant LIMIT 1";
const FIRST_TENANT: &str =
    "SELECT tenant FROM inbox_lanes WHERE due_at <= $1 AND tenant >= $2 ORDER BY tenant LIMIT 1";
const DUE_LANES: &str = "SELECT lane, fence, applied_ordering, applied_rank FROM inbox_lanes \
    WHERE tenant = $1 AND due_at <= $2 ORDER BY due_at, lane LIMIT $3 /* skip locked */";
const SETTLE_STALE: &str = "UPDATE inbox_events SET status = 'stale', finished_at = $1 \
    WHERE lane = $2 AND status = 'waiting' AND ordering = $3 AND rank < $4";
const HEAD: &str = "SELECT seq, due_at, attempts, tenant, provider, endpoint, event_id, kind, occurred_at, \
    entity_kind, entity_id, version, live, trust, payload, lane, ordering, rank, first_seen, duplicates, round, \
    (SELECT MAX(seq) FROM inbox_events) FROM inbox_events \
    WHERE lane = $1 AND status = 'waiting' ORDER BY rank, seq LIMIT 1";
const SCHEDULE: &str = "UPDATE inbox_lanes SET due_at = $1, owner = NULL WHERE lane = $2";
const TAKE_LANE: &str = "UPDATE inbox_lanes SET due_at = $1, owner = $2, fence = fence + 1 WHERE lane = $3";
const TAKE_EVENT: &str = "UPDATE inbox_events SET attempts = attempts + 1 WHERE seq = $1";
const NEVER: &str =
    "UPDATE inbox_events SET status = 'dead', finished_at = $1, last_error = $2 WHERE seq = $3";

/// Changes nothing unless the lease is held.
const FINISH: &str = "UPDATE inbox_events SET status = $1, finished_at = $2, due_at = COALESCE($3, due_at), \
    last_error = COALESCE($4, last_error) WHERE seq = $5 \
    AND EXISTS (SELECT 1 FROM inbox_lanes WHERE lane = $6 AND owner = $7 AND fence = $8) RETURNING ordering, rank";
const SETTLE_COVERED: &str = "UPDATE inbox_events SET status = 'done', finished_at = $1 \
    WHERE lane = $2 AND status = 'waiting' AND ordering = 'refetch' AND seq <= $3";
const RELEASE: &str = "UPDATE inbox_lanes SET owner = NULL, touched_at = $1, \
    applied_ordering = COALESCE($2, applied_ordering), applied_rank = COALESCE($3, applied_rank), \
    due_at = (SELECT due_at FROM inbox_events WHERE lane = $4 AND status = 'waiting' ORDER BY rank, seq LIMIT 1) \
    WHERE lane = $4";

const FIND: &str = "SELECT seq, lane, tenant, status, ordering, payload IS NULL FROM inbox_events \
    WHERE tenant = $1 AND provider = $2 AND event_id = $3";
const FIND_DEAD: &str = "SELECT seq, lane, tenant, status, ordering, payload IS NULL FROM inbox_events \
    WHERE status = 'dead' AND finished_at >= $1";
const REVIVE: &str = "UPDATE inbox_events SET status = 'waiting', attempts = 0, due_at = $1 WHERE seq = $2";
const ONE_ROUND_MORE: &str = "UPDATE inbox_events SET round = round + 1 WHERE seq = $1";
/// Before all that waits, and never stale.
const UNORDER: &str = "UPDATE inbox_events SET ordering = 'arrival', rank = $1 WHERE seq = $2";

const DEAD: &str = "SELECT tenant, provider, event_id, kind, attempts, finished_at, last_error FROM inbox_events \
    WHERE status = 'dead' ORDER BY finished_at DESC, seq DESC LIMIT $1";
const COUNTS: &str = "SELECT status, COUNT(*) FROM inbox_events GROUP BY status \
    UNION ALL SELECT 'leased', COUNT(*) FROM inbox_lanes WHERE owner IS NOT NULL";
const PURGE_EVENTS: &str = "DELETE FROM inbox_events WHERE status IN ('done', 'stale') AND finished_at < $1";
const DISCARD_DEAD: &str = "DELETE FROM inbox_events WHERE status = 'dead' AND finished_at < $1";
const PURGE_BODIES: &str = "UPDATE inbox_events SET payload = NULL \
    WHERE status IN ('done', 'stale') AND finished_at < $1 AND payload IS NOT NULL";
const PURGE_LANES: &str = "DELETE FROM inbox_lanes WHERE due_at IS NULL AND touched_at < $1";

const ORDERINGS: [(Ordering, &str); 4] = [
    (Ordering::Arrival, "arrival"),
    (Ordering::ByVersion, "version"),
    (Ordering::ByVendorTime, "vendor_time"),
    (Ordering::Refetch, "refetch"),
];
const TRUSTS: [(Trust, &str); 3] =
    [(Trust::Signed, "signed"), (Trust::Authenticated, "authenticated"), (Trust::Claim, "claim")];

/// Events in the tables of a [`Store`].
#[derive(Debug, Clone)]
pub struct SqliteInbox(Store);

impl SqliteInbox {
    /// Makes the tables if they are missing.
    pub async fn new(store: Store) -> Result<Self> {
        store.migrate(&TABLES).await?;
        Ok(Self(store))
    }
}

#[async_trait]
impl InboxStore for SqliteInbox {
    async fn accept(&self, entries: Vec<Entry>, now: Timestamp) -> Result<Accepted> {
        self.0.write(move |tx| Box::pin(accept(tx, entries, now))).await
    }

    async fn lease(&self, turn: &Turn) -> Result<Vec<Leased>> {
        let turn = turn.clone();
        self.0.write(move |tx| Box::pin(async move { lease(tx, &turn).await })).await
    }

    async fn finish(&self, lease: &Lease, outcome: Outcome, now: Timestamp) -> Result<bool> {
        let lease = lease.clone();
        self.0.write(move |tx| Box::pin(async move { finish(tx, &lease, outcome, now).await })).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        let rows = self.0.read("SELECT MIN(due_at) FROM inbox_lanes WHERE due_at IS NOT NULL", &[]).await?;
        rows.first().map_or(Ok(None), |row| opt_time(row, 0))
    }

    async fn replay(&self, which: &Replay, now: Timestamp) -> Result<u64> {
        let which = which.clone();
        self.0.write(move |tx| Box::pin(async move { replay(tx, &which, now).await })).await
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>> {
        self.0.read(DEAD, &[limit.into()]).await?.iter().map(dead_letter).collect()
    }

    async fn counts(&self) -> Result<Counts> {
        let mut counts = Counts::default();
        for row in self.0.read(COUNTS, &[]).await? {
            let count = row.integer(1)?.unsigned_abs();
            match row.text(0)? {
                "waiting" => counts.waiting = count,
                "leased" => counts.leased = count,
                "done" => counts.done = count,
                "stale" => counts.stale = count,
                _ => counts.dead = count,
            }
        }
        // A leased event's own status is that it waits.
        counts.waiting -= counts.leased;
        Ok(counts)
    }

    async fn purge(&self, bodies: Timestamp, keys: Timestamp) -> Result<Purged> {
        self.0.write(move |tx| Box::pin(purge(tx, micros(bodies), micros(keys)))).await
    }

    async fn discard_dead(&self, before: Timestamp) -> Result<u64> {
        self.0
            .write(move |tx| Box::pin(async move { tx.execute(DISCARD_DEAD, &[micros(before)]).await }))
            .await
    }
}

async fn accept(tx: &mut Tx, entries: Vec<Entry>, now: Timestamp) -> Result<Accepted> {
    let mut accepted = Accepted::default();
    for entry in entries {
        let (lane, tenant) = (Param::from(&*entry.lane), Param::from(&*entry.source.tenant));
        let rows = tx.query(INSERT, &columns(entry, now)).await?;
        if rows.first().map_or(Ok(0), |row| row.integer(0))? > 0 {
            accepted.duplicates += 1;
            continue;
        }
        accepted.fresh += 1;
        tx.execute(ENQUEUE, &[lane, tenant, micros(now)]).await?;
    }
    Ok(accepted)
}

fn columns(entry: Entry, now: Timestamp) -> [Param; 16] {
    let Entry { source, event, ordering, lane, rank } = entry;
    let (entity_kind, entity_id) = event.entity.map(|entity| (entity.kind, entity.id)).unzip();
    [
        source.tenant.into(),
        source.provider.into(),
        source.endpoint.into(),
        event.id.into(),
        event.kind.into(),
        event.occurred_at.map(micros).into(),
        entity_kind.into(),
        entity_id.into(),
        // The same 64 bits.
        event.version.map(|version| version as i64).into(),
        event.live.into(),
        word(&TRUSTS, event.trust).into(),
        event.payload.into(),
        lane.into(),
        word(&ORDERINGS, ordering).into(),
        rank.into(),
        micros(now),
    ]
}

async fn lease(tx: &mut Tx, turn: &Turn) -> Result<Vec<Leased>> {
    let (mut turn, mut leased) = (turn.clone(), Vec::new());
    loop {
        let (some, looked_at) = lease_round(tx, &turn).await?;
        let all_gave = some.len() == looked_at;
        turn = turn.after(&some);
        leased.extend(some);
        if all_gave || turn.room == 0 {
            return Ok(leased);
        }
    }
}

/// What the due lanes give, and how many were looked at.
async fn lease_round(tx: &mut Tx, turn: &Turn) -> Result<(Vec<Leased>, usize)> {
    let mut queues = VecDeque::new();
    for tenant in due_tenants(tx, turn).await? {
        let share = Param::Integer(turn.share(&tenant) as i64);
        let lanes = tx.query(DUE_LANES, &[tenant.into(), micros(turn.now), share]).await?;
        queues.push_back(VecDeque::from(lanes));
    }
    let (mut leased, mut looked_at) = (Vec::new(), 0);
    while let Some(mut lanes) = queues.pop_front() {
        if leased.len() >= turn.room {
            break;
        }
        let Some(lane) = lanes.pop_front() else { continue };
        looked_at += 1;
        leased.extend(lease_lane(tx, &lane, turn).await?);
        queues.push_back(lanes);
    }
    Ok((leased, looked_at))
}

/// Tenants with work, as many as there is room for, the one whose turn it is first.
async fn due_tenants(tx: &mut Tx, turn: &Turn) -> Result<Vec<String>> {
    let mut tenants = Vec::new();
    let (mut sql, mut place, mut wrapped) = (NEXT_TENANT, turn.after.clone(), false);
    while tenants.len() < turn.room {
        let rows = tx.query(sql, &[micros(turn.now), (&*place).into()]).await?;
        let Some(row) = rows.first() else {
            if wrapped {
                break;
            }
            (sql, place, wrapped) = (FIRST_TENANT, String::new(), true);
            continue;
        };
        (sql, place) = (NEXT_TENANT, row.text(0)?.to_owned());
        if wrapped && place > turn.after {
            break;
        }
        if turn.share(&place) > 0 {
            tenants.push(place.clone());
        }
    }
    Ok(tenants)
}

async fn lease_lane(tx: &mut Tx, row: &Row, turn: &Turn) -> Result<Option<Leased>> {
    let lane = Param::from(row.text(0)?);
    if let (Some(ordering), Some(rank)) = (row.opt_text(2)?, row.opt_integer(3)?) {
        tx.execute(SETTLE_STALE, &[micros(turn.now), lane.clone(), ordering.into(), rank.into()]).await?;
    }
    loop {
        let Some(head) = tx.query(HEAD, std::slice::from_ref(&lane)).await?.into_iter().next() else {
            tx.execute(SCHEDULE, &[Param::Null, lane]).await?;
            return Ok(None);
        };
        let seq = Param::Integer(head.integer(0)?);
        if time(&head, 1)? > turn.now {
            tx.execute(SCHEDULE, &[head.integer(1)?.into(), lane]).await?;
            return Ok(None);
        }
        if head.integer(2)? >= i64::from(turn.max_attempts) {
            tx.execute(NEVER, &[micros(turn.now), NEVER_ANSWERED.into(), seq]).await?;
            continue;
        }
        tx.execute(TAKE_LANE, &[micros(turn.until), (&*turn.owner).into(), lane]).await?;
        tx.execute(TAKE_EVENT, &[seq]).await?;
        return leased(&head, &turn.owner, row.integer(1)? + 1).map(Some);
    }
}

fn leased(head: &Row, owner: &str, fence: i64) -> Result<Leased> {
    let entry = entry(head)?;
    Ok(Leased {
        lease: Lease::new(&*entry.lane, owner, fence, head.integer(0)?, head.integer(21)?),
        entry,
        attempt: count(head, 2)? + 1,
        first_seen: time(head, 18)?,
        duplicates: count(head, 19)?,
        round: count(head, 20)?,
    })
}

fn entry(row: &Row) -> Result<Entry> {
    let text = |column| row.text(column).map(str::to_owned);
    let entity = row.opt_text(9)?.zip(row.opt_text(10)?).map(|(kind, id)| Entity::new(kind, id));
    let event = Event {
        id: text(6)?,
        kind: text(7)?,
        occurred_at: opt_time(row, 8)?,
        entity,
        version: row.opt_integer(11)?.map(|version| version as u64),
        live: row.opt_integer(12)?.map(|live| live != 0),
        trust: meaning(&TRUSTS, row.text(13)?)?,
        payload: row.opt_blob(14)?.unwrap_or_default(),
    };
    let ordering = meaning(&ORDERINGS, row.text(16)?)?;
    let source = Source::new(text(3)?, text(4)?, text(5)?);
    Ok(Entry { source, event, ordering, lane: text(15)?, rank: row.integer(17)? })
}

async fn finish(tx: &mut Tx, lease: &Lease, outcome: Outcome, now: Timestamp) -> Result<bool> {
    let (status, finished, due, error, effects) = match outcome {
        Outcome::Done(effects) => ("done", micros(now), Param::Null, Param::Null, Some(effects)),
        Outcome::Retry(due, error) => ("waiting", Param::Null, micros(due), error.into(), None),
        Outcome::Dead(error) => ("dead", micros(now), Param::Null, error.into(), None),
    };
    let (lane, owner) = (Param::from(&*lease.lane), Param::from(&*lease.owner));
    let finish =
        [status.into(), finished, due, error, lease.seq.into(), lane.clone(), owner, lease.fence.into()];
    let rows = tx.query(FINISH, &finish).await?;
    let Some(row) = rows.first() else { return Ok(false) };
    let (ordering, rank) = (meaning(&ORDERINGS, row.text(0)?)?, row.integer(1)?);
    let done = effects.is_some();
    if let Some(writes) = effects.and_then(|effects| effects.writes) {
        writes(tx).await?;
    }
    if done && ordering == Ordering::Refetch {
        tx.execute(SETTLE_COVERED, &[micros(now), lane.clone(), lease.covers.into()]).await?;
    }
    let versioned = done && matches!(ordering, Ordering::ByVersion | Ordering::ByVendorTime);
    let applied = versioned.then(|| (word(&ORDERINGS, ordering), rank)).unzip();
    tx.execute(RELEASE, &[micros(now), applied.0.into(), applied.1.into(), lane]).await?;
    Ok(true)
}

async fn replay(tx: &mut Tx, which: &Replay, now: Timestamp) -> Result<u64> {
    let (rows, forced) = match which {
        Replay::Dead(key) => (tx.query(FIND, &name(key)).await?, false),
        Replay::DeadSince(since) => (tx.query(FIND_DEAD, &[micros(*since)]).await?, false),
        Replay::Force(key) => (tx.query(FIND, &name(key)).await?, true),
    };
    let mut replayed = 0;
    for row in &rows {
        let (seq, status) = (Param::Integer(row.integer(0)?), row.text(3)?);
        if status == "waiting" || (!forced && status != "dead") {
            continue;
        }
        let refetch = meaning(&ORDERINGS, row.text(4)?)? == Ordering::Refetch;
        if row.integer(5)? != 0 && !refetch {
            return Err(purged_body());
        }
        if forced && status != "dead" {
            tx.execute(ONE_ROUND_MORE, std::slice::from_ref(&seq)).await?;
        }
        if forced && !refetch {
            tx.execute(UNORDER, &[i64::MIN.into(), seq.clone()]).await?;
        }
        tx.execute(REVIVE, &[micros(now), seq]).await?;
        tx.execute(ENQUEUE, &[row.text(1)?.into(), row.text(2)?.into(), micros(now)]).await?;
        replayed += 1;
    }
    Ok(replayed)
}

async fn purge(tx: &mut Tx, bodies: Param, keys: Param) -> Result<Purged> {
    let events = tx.execute(PURGE_EVENTS, std::slice::from_ref(&keys)).await?;
    tx.execute(PURGE_LANES, &[keys]).await?;
    let bodies = tx.execute(PURGE_BODIES, &[bodies]).await?;
    Ok(Purged { bodies, events })
}

fn dead_letter(row: &Row) -> Result<DeadLetter> {
    Ok(DeadLetter {
        key: EventKey::new(row.text(0)?, row.text(1)?, row.text(2)?),
        kind: row.text(3)?.to_owned(),
        attempts: count(row, 4)?,
        died_at: time(row, 5)?,
        error: row.opt_text(6)?.unwrap_or_default().to_owned(),
    })
}

fn name(key: &EventKey) -> [Param; 3] {
    [(&*key.tenant).into(), (&*key.provider).into(), (&*key.event_id).into()]
}

fn micros(time: Timestamp) -> Param {
    Param::Integer(time.as_microsecond())
}

fn time(row: &Row, column: usize) -> Result<Timestamp> {
    Timestamp::from_microsecond(row.integer(column)?).map_err(|_| unknown("a time"))
}

fn opt_time(row: &Row, column: usize) -> Result<Option<Timestamp>> {
    row.opt_integer(column)?.map(|_| time(row, column)).transpose()
}

fn count(row: &Row, column: usize) -> Result<u32> {
    u32::try_from(row.integer(column)?).map_err(|_| unknown("a count"))
}

fn word<T: Copy + PartialEq>(words: &[(T, &'static str)], meaning: T) -> Option<&'static str> {
    words.iter().find(|(known, _)| *known == meaning).map(|(_, word)| *word)
}

fn meaning<T: Copy>(words: &[(T, &'static str)], word: &str) -> Result<T> {
    words.iter().find(|(_, known)| *known == word).map(|(meaning, _)| *meaning).ok_or_else(|| unknown(word))
}

fn unknown(what: &str) -> Error {
    Error::new(
        ErrorKind::Decode,
        Effect::NotSent,
        format!("the inbox's tables hold `{what}` where it makes no sense"),
    )
}
