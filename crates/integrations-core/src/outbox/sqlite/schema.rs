//! The tables.

use crate::store::Module;

pub(super) static OUTBOX: Module = Module {
    name: "outbox",
    steps: &[&[
        "CREATE TABLE outbox_endpoints (
            id TEXT NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, created BIGINT NOT NULL, revision BIGINT NOT NULL,
            status TEXT NOT NULL, settings TEXT NOT NULL, signing_keys TEXT NOT NULL, health TEXT NOT NULL,
            wake_at BIGINT)",
        "CREATE INDEX outbox_endpoints_tenant ON outbox_endpoints (tenant, created, id)",
        "CREATE INDEX outbox_endpoints_wake ON outbox_endpoints (wake_at)",
        "CREATE TABLE outbox_events (
            seq BIGINT NOT NULL PRIMARY KEY, id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, kind TEXT NOT NULL,
            occurred_at BIGINT NOT NULL, created BIGINT NOT NULL, payload BLOB NOT NULL,
            partition_key TEXT NOT NULL, only_endpoint TEXT)",
        "CREATE INDEX outbox_events_tenant ON outbox_events (tenant, seq)",
        "CREATE INDEX outbox_events_created ON outbox_events (created)",
        "CREATE TABLE outbox_deliveries (
            endpoint_id TEXT NOT NULL, event_seq BIGINT NOT NULL, event_id TEXT NOT NULL,
            partition_key TEXT NOT NULL, state TEXT NOT NULL, attempts BIGINT NOT NULL, fence BIGINT NOT NULL,
            due_at BIGINT, first_at BIGINT, last_status BIGINT, last_class TEXT,
            PRIMARY KEY (endpoint_id, event_seq))",
        "CREATE INDEX outbox_deliveries_due ON outbox_deliveries (endpoint_id, due_at)",
        "CREATE INDEX outbox_deliveries_order ON outbox_deliveries (endpoint_id, state, partition_key, event_seq)",
        "CREATE INDEX outbox_deliveries_event ON outbox_deliveries (event_seq, state)",
        "CREATE TABLE outbox_attempts (
            endpoint_id TEXT NOT NULL, event_seq BIGINT NOT NULL, n BIGINT NOT NULL, at BIGINT NOT NULL,
            latency_ms BIGINT NOT NULL, status BIGINT, class TEXT, head BLOB NOT NULL,
            PRIMARY KEY (event_seq, endpoint_id, n))",
    ]],
};
