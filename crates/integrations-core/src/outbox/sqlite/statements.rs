//! Each method of the store, inside its transaction.

use jiff::Timestamp;

use super::rows::{self, Closed, int, json, ms, opt_ms};
use crate::error::Result;
use crate::outbox::class::ErrorClass;
use crate::outbox::ledger::{self, Notice, Report, Rules};
use crate::outbox::memory::{no_endpoint, no_event, not_active};
use crate::outbox::model::{Delivery, Endpoint, EndpointId, EndpointStatus, Event, EventId, Health};
use crate::outbox::state::State;
use crate::outbox::store::{PART, Replay, Replayed};
use crate::store::{Param, Row, Tx};

macro_rules! endpoint_columns {
    ($rest:literal) => {
        concat!(
            "SELECT id, tenant, created, revision, status, settings, signing_keys, health FROM outbox_endpoints ",
            $rest
        )
    };
}

macro_rules! delivery_columns {
    ($rest:literal) => {
        concat!(
            "SELECT d.endpoint_id, d.event_seq, d.event_id, d.state, d.attempts, d.fence, d.due_at, d.first_at, ",
            "d.last_status, d.last_class FROM outbox_deliveries d ",
            $rest
        )
    };
}

macro_rules! event_columns {
    ($rest:literal) => {
        concat!(
            "SELECT seq, id, tenant, kind, occurred_at, created, payload, partition_key, only_endpoint ",
            "FROM outbox_events ",
            $rest
        )
    };
}

pub(super) const ENDPOINT: &str = endpoint_columns!("WHERE tenant = $1 AND id = $2");
pub(super) const ENDPOINTS: &str = endpoint_columns!("WHERE tenant = $1 ORDER BY created, id");
pub(super) const KEYS: &str =
    "SELECT id, signing_keys FROM outbox_endpoints WHERE id > $1 ORDER BY id LIMIT 100";
pub(super) const AWAKE: &str = "SELECT id FROM outbox_endpoints WHERE wake_at <= $1 LIMIT 1";
pub(super) const NEXT_WAKE: &str = "SELECT MIN(wake_at) FROM outbox_endpoints";
pub(super) const FAILURES: &str = delivery_columns!(
    "JOIN outbox_endpoints e ON e.id = d.endpoint_id WHERE e.tenant = $1 AND d.endpoint_id = $2 \
     AND d.event_seq < $3 AND d.state IN ('failed', 'parked') ORDER BY d.event_seq DESC LIMIT $4"
);
pub(super) const DELIVERY: &str = delivery_columns!(
    "JOIN outbox_events e ON e.seq = d.event_seq WHERE e.tenant = $1 AND e.id = $2 AND d.endpoint_id = $3"
);
pub(super) const ATTEMPTS: &str = "SELECT a.at, a.latency_ms, a.status, a.class, a.head FROM outbox_attempts a \
     JOIN outbox_events e ON e.seq = a.event_seq WHERE e.tenant = $1 AND e.id = $2 AND a.endpoint_id = $3 \
     ORDER BY a.n";

/// The most endpoints that one lease looks at.
const ENDPOINTS_PER_LEASE: i64 = 64;

pub(super) async fn insert_endpoint(tx: &mut Tx, endpoint: &Endpoint, keys: &str) -> Result<()> {
    let sql = "INSERT INTO outbox_endpoints (id, tenant, created, revision, status, settings, signing_keys, health) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let params = [
        endpoint.id.as_str().into(),
        endpoint.tenant.as_str().into(),
        ms(endpoint.created),
        int(endpoint.revision),
        endpoint.status.as_str().into(),
        json(&endpoint.settings)?,
        keys.into(),
        json(&endpoint.health)?,
    ];
    tx.execute(sql, &params).await.map(drop)
}

pub(super) async fn update_endpoint(tx: &mut Tx, endpoint: &Endpoint, keys: &str) -> Result<bool> {
    let sql = "UPDATE outbox_endpoints SET settings = $1, signing_keys = $2, revision = revision + 1 \
               WHERE tenant = $3 AND id = $4 AND revision = $5";
    let params = [
        json(&endpoint.settings)?,
        keys.into(),
        endpoint.tenant.as_str().into(),
        endpoint.id.as_str().into(),
        int(endpoint.revision),
    ];
    Ok(tx.execute(sql, &params).await? > 0)
}

/// Unless they have changed meanwhile. The revision stays: the endpoint is as it was.
pub(super) async fn replace_keys(tx: &mut Tx, id: &EndpointId, old: &str, new: &str) -> Result<u64> {
    let sql = "UPDATE outbox_endpoints SET signing_keys = $1 WHERE id = $2 AND signing_keys = $3";
    tx.execute(sql, &[new.into(), id.as_str().into(), old.into()]).await
}

pub(super) async fn set_status(
    tx: &mut Tx,
    tenant: &str,
    id: &EndpointId,
    status: &EndpointStatus,
    now: &Timestamp,
) -> Result<bool> {
    let Some(Closed { endpoint, .. }) = endpoint(tx, tenant, id).await? else { return Ok(false) };
    if *status == EndpointStatus::Active {
        keep_endpoint(tx, id, *status, &Health::default(), Some(*now)).await?;
    } else {
        keep_endpoint(tx, id, *status, &endpoint.health, None).await?;
        withdraw_all(tx, id).await?;
    }
    Ok(true)
}

async fn endpoint(tx: &mut Tx, tenant: &str, id: &EndpointId) -> Result<Option<Closed>> {
    let found = tx.query(ENDPOINT, &[tenant.into(), id.as_str().into()]).await?;
    found.first().map(rows::closed).transpose()
}

/// Writes another status with the health, so that changes made with the old one in mind are refused.
async fn keep_endpoint(
    tx: &mut Tx,
    id: &EndpointId,
    status: EndpointStatus,
    health: &Health,
    wake: Option<Timestamp>,
) -> Result<()> {
    let sql = "UPDATE outbox_endpoints SET status = $1, health = $2, wake_at = $3, revision = revision + 1 \
               WHERE id = $4";
    let params = [status.as_str().into(), json(health)?, opt_ms(wake), id.as_str().into()];
    tx.execute(sql, &params).await.map(drop)
}

async fn keep_health(tx: &mut Tx, id: &EndpointId, health: &Health) -> Result<()> {
    let sql = "UPDATE outbox_endpoints SET health = $1 WHERE id = $2";
    tx.execute(sql, &[json(health)?, id.as_str().into()]).await.map(drop)
}

/// As [`ledger::withdrawn`] says, for all that is not final.
async fn withdraw_all(tx: &mut Tx, id: &EndpointId) -> Result<()> {
    let sql = "UPDATE outbox_deliveries SET state = 'cancelled', due_at = NULL \
               WHERE endpoint_id = $1 AND state IN ('pending', 'in_flight', 'retrying')";
    tx.execute(sql, &[id.as_str().into()]).await.map(drop)
}

pub(super) async fn delete_endpoint(tx: &mut Tx, tenant: &str, id: &EndpointId) -> Result<bool> {
    let sql = "DELETE FROM outbox_endpoints WHERE tenant = $1 AND id = $2";
    let found = tx.execute(sql, &[tenant.into(), id.as_str().into()]).await? > 0;
    if found {
        withdraw_all(tx, id).await?;
    }
    Ok(found)
}

pub(super) async fn publish(tx: &mut Tx, event: &Event, due: Timestamp) -> Result<()> {
    let sql = "INSERT INTO outbox_events \
               (seq, id, tenant, kind, occurred_at, created, payload, partition_key, only_endpoint) \
               SELECT COALESCE(MAX(seq), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8 FROM outbox_events RETURNING seq";
    let params = [
        event.id.as_str().into(),
        event.tenant.as_str().into(),
        event.kind.as_str().into(),
        ms(event.occurred_at),
        ms(event.created),
        event.payload.clone().into(),
        event.partition.as_str().into(),
        event.only.as_ref().map(EndpointId::as_str).into(),
    ];
    let seq = first(&tx.query(sql, &params).await?)?.integer(0)? as u64;
    for row in tx.query(ENDPOINTS, &[event.tenant.as_str().into()]).await? {
        let Closed { endpoint, .. } = rows::closed(&row)?;
        if endpoint.status == EndpointStatus::Active && endpoint.gets(event) {
            let at = due_in_order(tx, &endpoint, &event.partition, due).await?;
            let delivery = Delivery::new(endpoint.id.clone(), event.id.clone(), seq, at);
            insert_delivery(tx, &delivery, &event.partition).await?;
            wake_by(tx, &endpoint.id, due).await?;
        }
    }
    Ok(())
}

fn first(rows: &[Row]) -> Result<&Row> {
    rows.first().ok_or_else(|| rows::unreadable("no answer to a statement that has one"))
}

/// `None` behind others of its partition.
async fn due_in_order(
    tx: &mut Tx,
    endpoint: &Endpoint,
    partition: &str,
    due: Timestamp,
) -> Result<Option<Timestamp>> {
    if !endpoint.settings.fifo {
        return Ok(Some(due));
    }
    let sql = "SELECT event_seq FROM outbox_deliveries WHERE endpoint_id = $1 \
               AND state IN ('pending', 'in_flight', 'retrying') AND partition_key = $2 LIMIT 1";
    let others = tx.query(sql, &[endpoint.id.as_str().into(), partition.into()]).await?;
    Ok(others.is_empty().then_some(due))
}

async fn insert_delivery(tx: &mut Tx, delivery: &Delivery, partition: &str) -> Result<()> {
    let sql = "INSERT INTO outbox_deliveries \
               (endpoint_id, event_seq, event_id, partition_key, state, attempts, fence, due_at) \
               VALUES ($1, $2, $3, $4, $5, 0, 0, $6)";
    let params = [
        delivery.endpoint.as_str().into(),
        int(delivery.seq),
        delivery.event.as_str().into(),
        partition.into(),
        delivery.state.as_str().into(),
        opt_ms(delivery.due),
    ];
    tx.execute(sql, &params).await.map(drop)
}

async fn wake_by(tx: &mut Tx, id: &EndpointId, at: Timestamp) -> Result<()> {
    let sql = "UPDATE outbox_endpoints SET wake_at = $1 WHERE id = $2 AND (wake_at IS NULL OR wake_at > $3)";
    tx.execute(sql, &[ms(at), id.as_str().into(), ms(at)]).await.map(drop)
}

/// What was taken of one endpoint.
pub(super) type Taken = (Closed, Vec<(Event, Delivery)>);

pub(super) async fn lease(tx: &mut Tx, now: &Timestamp, limit: &u32) -> Result<Vec<Taken>> {
    let sql = endpoint_columns!("WHERE wake_at <= $1 ORDER BY wake_at LIMIT $2 /* skip locked */");
    let mut taken = Vec::new();
    let mut left = *limit;
    for row in tx.query(sql, &[ms(*now), ENDPOINTS_PER_LEASE.into()]).await? {
        if left == 0 {
            break;
        }
        let closed = rows::closed(&row)?;
        let of_one = lease_of(tx, &closed.endpoint, *now, left).await?;
        left = left.saturating_sub(of_one.len() as u32);
        if !of_one.is_empty() {
            taken.push((closed, of_one));
        }
    }
    Ok(taken)
}

async fn lease_of(
    tx: &mut Tx,
    endpoint: &Endpoint,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(Event, Delivery)>> {
    let id: Param = endpoint.id.as_str().into();
    let held = "SELECT COUNT(*), MIN(due_at) FROM outbox_deliveries \
                WHERE endpoint_id = $1 AND state = 'in_flight' AND due_at > $2";
    let in_flight = first(&tx.query(held, &[id.clone(), ms(now)]).await?)?.integer(0)? as u32;
    let places = ledger::places(endpoint, in_flight, now).min(limit);
    let due = delivery_columns!(
        "WHERE d.endpoint_id = $1 AND d.due_at <= $2 ORDER BY d.due_at, d.event_seq LIMIT $3"
    );
    let mut taken = Vec::new();
    for row in tx.query(due, &[id.clone(), ms(now), places.into()]).await? {
        if let Some(delivery) = ledger::leased(endpoint, &rows::delivery(&row)?, now) {
            keep_delivery(tx, &delivery).await?;
            let event = tx.query(event_columns!("WHERE seq = $1"), &[int(delivery.seq)]).await?;
            taken.push((rows::event(first(&event)?)?, delivery));
        }
    }
    let count = taken.len() as u32;
    let health = ledger::taken(endpoint, count, now);
    let after = Endpoint { health: health.clone(), ..endpoint.clone() };
    let due = "SELECT MIN(due_at) FROM outbox_deliveries WHERE endpoint_id = $1";
    let due = opt_at(&tx.query(due, std::slice::from_ref(&id)).await?, 0)?;
    let lease_end = opt_at(&tx.query(held, &[id, ms(now)]).await?, 1)?;
    keep_health(tx, &endpoint.id, &health).await?;
    let wake = ledger::wake(&after, due, in_flight + count, lease_end, now);
    let sql = "UPDATE outbox_endpoints SET wake_at = $1 WHERE id = $2";
    tx.execute(sql, &[opt_ms(wake), endpoint.id.as_str().into()]).await?;
    Ok(taken)
}

fn opt_at(found: &[Row], column: usize) -> Result<Option<Timestamp>> {
    first(found)?.opt_integer(column)?.map(rows::at).transpose()
}

async fn keep_delivery(tx: &mut Tx, delivery: &Delivery) -> Result<()> {
    let sql = "UPDATE outbox_deliveries SET state = $1, attempts = $2, fence = $3, due_at = $4, first_at = $5, \
               last_status = $6, last_class = $7 WHERE endpoint_id = $8 AND event_seq = $9";
    let params = [
        delivery.state.as_str().into(),
        delivery.attempts.into(),
        int(delivery.fence),
        opt_ms(delivery.due),
        opt_ms(delivery.first_at),
        delivery.last_status.map(i64::from).into(),
        delivery.last_class.map(ErrorClass::as_str).into(),
        delivery.endpoint.as_str().into(),
        int(delivery.seq),
    ];
    tx.execute(sql, &params).await.map(drop)
}

pub(super) async fn settle(
    tx: &mut Tx,
    lease: &Delivery,
    report: &Report,
    rules: &Rules,
    now: &Timestamp,
) -> Result<Option<Vec<Notice>>> {
    let id = &lease.endpoint;
    let sql = endpoint_columns!("WHERE id = $1");
    let endpoint = tx.query(sql, &[id.as_str().into()]).await?;
    // Once the newest events were forgotten their places are given again.
    let delivery = one_delivery(tx, id, lease.seq).await?.filter(|delivery| delivery.event == lease.event);
    let (Some(row), Some(delivery)) = (endpoint.first(), delivery) else { return Ok(None) };
    let Closed { endpoint, .. } = rows::closed(row)?;
    let Some(settled) = ledger::settle(rules, &endpoint, &delivery, lease.fence, report, *now) else {
        return Ok(None);
    };
    keep_delivery(tx, &settled.delivery).await?;
    keep_attempt(tx, lease, report).await?;
    if settled.status == endpoint.status {
        keep_health(tx, id, &settled.health).await?;
        wake_by(tx, id, *now).await?;
    } else {
        keep_endpoint(tx, id, settled.status, &settled.health, None).await?;
        withdraw_all(tx, id).await?;
    }
    if endpoint.settings.fifo && settled.delivery.state.is_final() && settled.status == EndpointStatus::Active
    {
        release(tx, &settled.delivery, *now).await?;
    }
    Ok(Some(settled.notices))
}

async fn one_delivery(tx: &mut Tx, endpoint: &EndpointId, seq: u64) -> Result<Option<Delivery>> {
    let sql = delivery_columns!("WHERE d.endpoint_id = $1 AND d.event_seq = $2");
    let found = tx.query(sql, &[endpoint.as_str().into(), int(seq)]).await?;
    found.first().map(rows::delivery).transpose()
}

async fn keep_attempt(tx: &mut Tx, lease: &Delivery, report: &Report) -> Result<()> {
    let sql = "INSERT INTO outbox_attempts (endpoint_id, event_seq, n, at, latency_ms, status, class, head) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let attempt = &report.attempt;
    let params = [
        lease.endpoint.as_str().into(),
        int(lease.seq),
        int(lease.fence),
        ms(attempt.at),
        int(attempt.latency.as_millis() as u64),
        attempt.status.map(i64::from).into(),
        attempt.class.map(ErrorClass::as_str).into(),
        attempt.head.clone().into(),
    ];
    tx.execute(sql, &params).await.map(drop)
}

/// Lets the next of a partition go, if nothing of it is on its way.
async fn release(tx: &mut Tx, after: &Delivery, now: Timestamp) -> Result<()> {
    let partition = "SELECT partition_key FROM outbox_deliveries WHERE endpoint_id = $1 AND event_seq = $2";
    let found = tx.query(partition, &[after.endpoint.as_str().into(), int(after.seq)]).await?;
    let partition = first(&found)?.text(0)?;
    let open = "SELECT MIN(event_seq), MIN(due_at) FROM outbox_deliveries WHERE endpoint_id = $1 \
                AND state IN ('pending', 'in_flight', 'retrying') AND partition_key = $2";
    let open = tx.query(open, &[after.endpoint.as_str().into(), partition.into()]).await?;
    let (next, under_way) = (first(&open)?.opt_integer(0)?, first(&open)?.opt_integer(1)?);
    let Some(next) = next.filter(|_| under_way.is_none()) else { return Ok(()) };
    let sql = "UPDATE outbox_deliveries SET due_at = $1 WHERE endpoint_id = $2 AND event_seq = $3";
    tx.execute(sql, &[ms(now), after.endpoint.as_str().into(), next.into()]).await.map(drop)
}

pub(super) async fn replay(
    tx: &mut Tx,
    tenant: &str,
    id: &EndpointId,
    what: &Replay,
    now: &Timestamp,
) -> Result<Replayed> {
    let Closed { endpoint, .. } = endpoint(tx, tenant, id).await?.ok_or_else(no_endpoint)?;
    if endpoint.status != EndpointStatus::Active {
        return Err(not_active());
    }
    wake_by(tx, id, *now).await?;
    match what {
        Replay::One(event) => replay_one(tx, &endpoint, event, *now).await,
        Replay::Since { since, after } => replay_part(tx, &endpoint, *since, *after, *now).await,
    }
}

async fn replay_one(tx: &mut Tx, endpoint: &Endpoint, id: &EventId, now: Timestamp) -> Result<Replayed> {
    let sql = event_columns!("WHERE tenant = $1 AND id = $2");
    let found = tx.query(sql, &[endpoint.tenant.as_str().into(), id.as_str().into()]).await?;
    let row = found.first().ok_or_else(no_event)?;
    let (seq, event) = (row.integer(0)? as u64, rows::event(row)?);
    let delivery = one_delivery(tx, &endpoint.id, seq).await?;
    Ok(Replayed::new(again(tx, endpoint, &event, seq, delivery, now).await?.into(), None))
}

async fn replay_part(
    tx: &mut Tx,
    endpoint: &Endpoint,
    since: Timestamp,
    after: u64,
    now: Timestamp,
) -> Result<Replayed> {
    let sql = event_columns!("WHERE tenant = $1 AND seq > $2 AND created >= $3 ORDER BY seq LIMIT $4");
    let params = [endpoint.tenant.as_str().into(), int(after), ms(since), int(PART as u64)];
    let part = tx.query(sql, &params).await?;
    let (mut count, mut last) = (0, None);
    for row in &part {
        let (seq, event) = (row.integer(0)? as u64, rows::event(row)?);
        last = Some(seq);
        let delivery = one_delivery(tx, &endpoint.id, seq).await?;
        let has_it = delivery.as_ref().is_some_and(|d| d.state == State::Succeeded || !d.state.is_final());
        if endpoint.gets(&event) && !has_it {
            count += u64::from(again(tx, endpoint, &event, seq, delivery, now).await?);
        }
    }
    Ok(Replayed::new(count, last.filter(|_| part.len() == PART)))
}

/// Makes a delivery begin anew, or for the first time. Whether it does.
async fn again(
    tx: &mut Tx,
    endpoint: &Endpoint,
    event: &Event,
    seq: u64,
    delivery: Option<Delivery>,
    now: Timestamp,
) -> Result<bool> {
    let due = due_in_order(tx, endpoint, &event.partition, now).await?;
    let Some(delivery) = delivery else {
        let delivery = Delivery::new(endpoint.id.clone(), event.id.clone(), seq, due);
        return insert_delivery(tx, &delivery, &event.partition).await.map(|()| true);
    };
    let Some(delivery) = ledger::replayed(&delivery, due) else { return Ok(false) };
    keep_delivery(tx, &delivery).await.map(|()| true)
}

pub(super) async fn purge_part(tx: &mut Tx, before: &Timestamp) -> Result<u64> {
    let old = "SELECT e.seq FROM outbox_events e WHERE e.created < $1 AND NOT EXISTS (\
               SELECT 1 FROM outbox_deliveries d WHERE d.event_seq = e.seq \
               AND d.state IN ('pending', 'in_flight', 'retrying')) ORDER BY e.created LIMIT $2";
    let statements = [
        "DELETE FROM outbox_attempts WHERE event_seq = $1",
        "DELETE FROM outbox_deliveries WHERE event_seq = $1",
        "DELETE FROM outbox_events WHERE seq = $1",
    ];
    let old = tx.query(old, &[ms(*before), int(PART as u64)]).await?;
    for row in &old {
        for statement in statements {
            tx.execute(statement, &[row.integer(0)?.into()]).await?;
        }
    }
    Ok(old.len() as u64)
}
