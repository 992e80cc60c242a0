//! Rows as values. Times are kept in milliseconds.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Effect, Error, ErrorKind, Result};
use crate::outbox::class::ErrorClass;
use crate::outbox::model::{Attempt, Delivery, Endpoint, EndpointId, EndpointStatus, Event, EventId};
use crate::outbox::state::State;
use crate::store::{Param, Row};

/// An endpoint whose keys are still sealed.
pub(super) struct Closed {
    pub(super) endpoint: Endpoint,
    pub(super) keys: String, // tidy: not a secret, sealed unless the operator allowed plain ones; `Row` as it came
}

pub(super) fn closed(row: &Row) -> Result<Closed> {
    let endpoint = Endpoint {
        id: EndpointId::from(row.text(0)?),
        tenant: row.text(1)?.to_owned(),
        created: at(row.integer(2)?)?,
        revision: row.integer(3)? as u64,
        status: known(EndpointStatus::parse(row.text(4)?))?,
        settings: from_json(row.text(5)?)?,
        keys: Vec::new(),
        health: from_json(row.text(7)?)?,
    };
    Ok(Closed { endpoint, keys: row.text(6)?.to_owned() })
}

pub(super) fn delivery(row: &Row) -> Result<Delivery> {
    let class = row.opt_text(9)?.map(|name| known(ErrorClass::parse(name))).transpose()?;
    Ok(Delivery {
        endpoint: EndpointId::from(row.text(0)?),
        seq: row.integer(1)? as u64,
        event: EventId::from(row.text(2)?),
        state: known(State::parse(row.text(3)?))?,
        attempts: row.integer(4)? as u32,
        fence: row.integer(5)? as u64,
        due: row.opt_integer(6)?.map(at).transpose()?,
        first_at: row.opt_integer(7)?.map(at).transpose()?,
        last_status: row.opt_integer(8)?.map(|status| status as u16),
        last_class: class,
    })
}

pub(super) fn event(row: &Row) -> Result<Event> {
    Ok(Event {
        id: EventId::from(row.text(1)?),
        tenant: row.text(2)?.to_owned(),
        kind: row.text(3)?.to_owned(),
        occurred_at: at(row.integer(4)?)?,
        created: at(row.integer(5)?)?,
        payload: row.blob(6)?,
        partition: row.text(7)?.to_owned(),
        only: row.opt_text(8)?.map(EndpointId::from),
    })
}

pub(super) fn attempt(row: &Row) -> Result<Attempt> {
    Ok(Attempt {
        at: at(row.integer(0)?)?,
        latency: Duration::from_millis(row.integer(1)? as u64),
        status: row.opt_integer(2)?.map(|status| status as u16),
        class: row.opt_text(3)?.map(|name| known(ErrorClass::parse(name))).transpose()?,
        head: row.blob(4)?,
    })
}

pub(super) fn ms(at: Timestamp) -> Param {
    at.as_millisecond().into()
}

pub(super) fn opt_ms(at: Option<Timestamp>) -> Param {
    at.map(Timestamp::as_millisecond).into()
}

pub(super) fn int(value: u64) -> Param {
    (value as i64).into()
}

pub(super) fn json(value: &impl Serialize) -> Result<Param> {
    let text = serde_json::to_string(value).map_err(|_| unreadable("a value that JSON cannot hold"))?;
    Ok(text.into())
}

pub(super) fn at(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|_| unreadable("a time out of range"))
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| unreadable("JSON of another shape"))
}

fn known<T>(value: Option<T>) -> Result<T> {
    value.ok_or_else(|| unreadable("a name that this build does not know"))
}

pub(super) fn unreadable(what: &str) -> Error {
    Error::new(ErrorKind::Decode, Effect::NotSent, format!("a row of the outbox holds {what}"))
}
