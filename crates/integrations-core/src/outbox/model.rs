//! Events, endpoints, deliveries and attempts as they are kept.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::class::ErrorClass;
use super::sign::SigningKey;
use super::state::State;
use crate::error::{Error, Result};
use crate::random;

/// The largest body of an event. The specification advises less than 20 kB.
pub const MAX_PAYLOAD: usize = 256 * 1024;

macro_rules! id {
    ($name:ident, $prefix:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// A new one of 128 random bits. It holds no dot, so that it can be signed.
            pub(super) fn generate() -> Result<Self> {
                random_id($prefix).map(Self)
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

id!(EventId, "msg_", "The id of an event: `webhook-id`, the same at every attempt and every receiver.");
id!(EndpointId, "ep_", "The id of an endpoint.");

fn random_id(prefix: &str) -> Result<String> {
    let mut bytes = [0; 16];
    random::fill(&mut bytes)?;
    Ok(format!("{prefix}{:032x}", u128::from_be_bytes(bytes)))
}

/// An event to be published.
#[derive(Clone)]
pub struct NewEvent {
    kind: String,
    occurred_at: Option<Timestamp>,
    partition: String,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Data(serde_json::Value),
    Body(Bytes),
}

impl NewEvent {
    /// An event of a type such as `invoice.paid`: names of letters, digits and `_` with dots between them. The body is
    /// `{"type", "timestamp", "data"}`, as the specification wants it.
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind) for another type, or data that JSON cannot hold.
    pub fn new(kind: impl Into<String>, data: &impl Serialize) -> Result<Self> {
        let data = serde_json::to_value(data)
            .map_err(|_| Error::invalid_request("the data of the event cannot be written as JSON"))?;
        Self::of(kind.into(), Content::Data(data))
    }

    /// An event with a JSON body of one's own, sent as it is.
    pub fn with_body(kind: impl Into<String>, body: impl Into<Bytes>) -> Result<Self> {
        Self::of(kind.into(), Content::Body(body.into()))
    }

    fn of(kind: String, content: Content) -> Result<Self> {
        if !is_type(&kind) {
            return Err(Error::invalid_request("the type of an event is names with dots between them")
                .with_hint("use letters, digits and `_`, such as `invoice.paid`"));
        }
        Ok(Self { kind, occurred_at: None, partition: String::new(), content })
    }

    /// When it happened. Default: when it is published.
    #[must_use]
    pub fn occurred_at(mut self, at: Timestamp) -> Self {
        self.occurred_at = Some(at);
        self
    }

    /// What it is about, such as `invoice/17`: an endpoint in order gets the events of one partition one after the
    /// other. Default: all events of an endpoint are one partition.
    #[must_use]
    pub fn partition(mut self, key: impl Into<String>) -> Self {
        self.partition = key.into();
        self
    }

    /// The event as it is kept.
    pub(super) fn into_event(self, tenant: &str, now: Timestamp) -> Result<Event> {
        let occurred_at = self.occurred_at.unwrap_or(now);
        let payload = match self.content {
            Content::Body(body) => body,
            Content::Data(data) => {
                let body = serde_json::json!({ "type": self.kind, "timestamp": occurred_at, "data": data });
                body.to_string().into()
            }
        };
        if payload.len() > MAX_PAYLOAD {
            let message = format!("the event is larger than {MAX_PAYLOAD} bytes");
            return Err(
                Error::invalid_request(message).with_hint("send ids, and let receivers fetch the rest")
            );
        }
        let (id, tenant) = (EventId::generate()?, tenant.to_owned());
        let (kind, partition) = (self.kind, self.partition);
        Ok(Event { id, tenant, kind, occurred_at, created: now, payload, partition, only: None })
    }
}

impl fmt::Debug for NewEvent {
    /// Its type; the content is a customer's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewEvent").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Whether it is a type of event: identifiers of `[a-zA-Z0-9_]` with dots between them, at most 128 characters.
pub(super) fn is_type(text: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    text.len() <= 128 && text.split('.').all(is_name)
}

/// An event as it is kept.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// Whose it is.
    pub tenant: String,
    /// Its type.
    pub kind: String,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was published.
    pub created: Timestamp,
    /// The body of each delivery.
    pub payload: Bytes,
    /// What is kept in order.
    pub partition: String,
    /// The only endpoint that gets it: a test event.
    pub only: Option<EndpointId>,
}

impl fmt::Debug for Event {
    /// Not its content, which is a customer's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, kind) = (&self.id, &self.kind);
        f.debug_struct("Event").field("id", id).field("kind", kind).finish_non_exhaustive()
    }
}

/// Whether an endpoint gets deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndpointStatus {
    /// Yes.
    Active,
    /// No: somebody switched it off, or it failed for too long.
    Disabled,
    /// No: it answered 410.
    Gone,
}

const STATUS_NAMES: [(EndpointStatus, &str); 3] = [
    (EndpointStatus::Active, "active"),
    (EndpointStatus::Disabled, "disabled"),
    (EndpointStatus::Gone, "gone"),
];

impl EndpointStatus {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        STATUS_NAMES.iter().find(|(status, _)| *status == self).map_or("", |(_, name)| name)
    }

    /// The status of this name.
    pub fn parse(name: &str) -> Option<Self> {
        STATUS_NAMES.iter().find(|(_, known)| *known == name).map(|(status, _)| *status)
    }
}

/// What a customer chooses for an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EndpointSettings {
    /// Where deliveries go.
    pub url: String,
    /// The types of events it gets: whole ones, or `invoice.*` for all that begin so. Empty for all.
    pub types: Vec<String>,
    /// The limit of one attempt, 1 s to 60 s. Default: 15 s.
    pub timeout: Duration,
    /// Deliveries per second, 1 to 1000. Default: 20.
    pub max_rate: u32,
    /// Deliveries at the same time, 1 to 64. Default: 4.
    pub concurrency: u32,
    /// Whether the events of a partition come one after the other. Fixed when the endpoint is made. Default: no.
    pub fifo: bool,
}

impl EndpointSettings {
    /// An endpoint that gets every event.
    pub fn new(url: impl Into<String>) -> Self {
        let timeout = Duration::from_secs(15);
        Self { url: url.into(), types: Vec::new(), timeout, max_rate: 20, concurrency: 4, fifo: false }
    }

    /// Sets the types of events it gets.
    #[must_use]
    pub fn types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.types = types.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the limit of one attempt.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets how many deliveries it gets per second, and at the same time.
    #[must_use]
    pub fn limits(mut self, max_rate: u32, concurrency: u32) -> Self {
        (self.max_rate, self.concurrency) = (max_rate, concurrency);
        self
    }

    /// Keeps the events of a partition in order.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.fifo = true;
        self
    }

    /// Everything but the address.
    pub(super) fn check(&self) -> Result<()> {
        let is_filter = |filter: &String| is_type(filter.strip_suffix(".*").unwrap_or(filter));
        let sound = [
            (self.types.iter().all(is_filter), "types", "give whole types, or a beginning and `.*`"),
            ((1..=60).contains(&self.timeout.as_secs()), "timeout", "choose 1 s to 60 s"),
            ((1..=1000).contains(&self.max_rate), "max_rate", "choose 1 to 1000 per second"),
            ((1..=64).contains(&self.concurrency), "concurrency", "choose 1 to 64"),
        ];
        match sound.into_iter().find(|(sound, ..)| !sound) {
            None => Ok(()),
            Some((_, name, hint)) => {
                Err(Error::invalid_request(format!("the endpoint's `{name}` is out of range"))
                    .with_hint(hint))
            }
        }
    }

    /// Whether it wants events of this type.
    pub fn wants(&self, kind: &str) -> bool {
        let matches = |filter: &String| match filter.strip_suffix('*') {
            Some(beginning) => kind.starts_with(beginning),
            None => filter == kind,
        };
        self.types.is_empty() || self.types.iter().any(matches)
    }
}

/// How an endpoint has fared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// Since when every attempt has failed.
    pub failing_since: Option<Timestamp>,
    /// Failed attempts since then.
    pub failures: u32,
    /// Whether its failing was told of.
    pub warned: bool,
    /// The last success.
    pub last_success: Option<Timestamp>,
    /// Whether its address was found to be forbidden, and no attempt has succeeded since.
    pub blocked: bool,
    /// Time between deliveries, as a multiple of what its rate asks for: doubled by each 429, 502, 503 and 504 up to
    /// 64, one less after each success.
    pub slowdown: u32,
    /// When the next delivery may begin.
    pub next_slot: Option<Timestamp>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            failing_since: None,
            failures: 0,
            warned: false,
            last_success: None,
            blocked: false,
            slowdown: 1,
            next_slot: None,
        }
    }
}

/// A key of an endpoint.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EndpointKey {
    /// The key.
    pub key: SigningKey,
    /// When it was made.
    pub created: Timestamp,
    /// When it stops signing; `None` for the present key.
    pub expires: Option<Timestamp>,
}

/// A customer's endpoint.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose it is.
    pub tenant: String,
    /// When it was made.
    pub created: Timestamp,
    /// Counts the changes of settings, keys and status.
    pub revision: u64,
    /// Whether it gets deliveries.
    pub status: EndpointStatus,
    /// What the customer chose.
    pub settings: EndpointSettings,
    /// Its keys, the newest first.
    pub keys: Vec<EndpointKey>,
    /// How it has fared.
    pub health: Health,
}

impl Endpoint {
    /// Whether this event is for it.
    pub fn gets(&self, event: &Event) -> bool {
        match &event.only {
            Some(only) => *only == self.id,
            None => self.settings.wants(&event.kind),
        }
    }

    /// The keys that sign at this moment.
    pub(super) fn keys_at(&self, now: Timestamp) -> impl Iterator<Item = &SigningKey> {
        self.keys.iter().filter(move |key| key.expires.is_none_or(|end| end > now)).map(|key| &key.key)
    }
}

/// One event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The event.
    pub event: EventId,
    /// Its place in the order of events.
    pub seq: u64,
    /// Where it is.
    pub state: State,
    /// Attempts since it was published or replayed.
    pub attempts: u32,
    /// Counts the leases: whoever has an older one has lost it.
    pub fence: u64,
    /// When a worker takes it: the next attempt, or the end of a lease. `None` when it is final or waits in order.
    pub due: Option<Timestamp>,
    /// When its first attempt since then began.
    pub first_at: Option<Timestamp>,
    /// The status of the last answer.
    pub last_status: Option<u16>,
    /// Why the last attempt failed.
    pub last_class: Option<ErrorClass>,
}

impl Delivery {
    /// A delivery that waits until `due`, or for others when that is `None`.
    pub(super) fn new(endpoint: EndpointId, event: EventId, seq: u64, due: Option<Timestamp>) -> Self {
        let (state, last_status, last_class) = (State::Pending, None, None);
        Self {
            endpoint,
            event,
            seq,
            state,
            attempts: 0,
            fence: 0,
            due,
            first_at: None,
            last_status,
            last_class,
        }
    }
}

/// One attempt, as it is kept.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub latency: Duration,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why it failed; `None` for a success.
    pub class: Option<ErrorClass>,
    /// The first 4 kB of the answer.
    pub head: Bytes,
}

impl fmt::Debug for Attempt {
    /// Not the answer, which is a customer's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Attempt");
        f.field("at", &self.at).field("latency", &self.latency);
        f.field("status", &self.status).field("class", &self.class).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn types_are_names_with_dots_between_them() {
        for good in ["a", "invoice.paid", "user_2.created.v1", "A.b"] {
            assert!(NewEvent::new(good, &()).is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a-b", "ä", &"a".repeat(129)] {
            assert!(NewEvent::new(bad, &()).is_err(), "{bad}");
        }
    }

    #[test]
    fn filters_match_whole_types_or_beginnings() {
        let table: [(&[&str], &str, bool); 7] = [
            (&[], "invoice.paid", true),
            (&["invoice.paid"], "invoice.paid", true),
            (&["invoice.paid"], "invoice.paid_late", false),
            (&["invoice.*"], "invoice.paid", true),
            (&["invoice.*"], "invoices.paid", false),
            (&["invoice.*"], "invoice", false),
            (&["user.created", "invoice.*"], "invoice.paid.late", true),
        ];
        for (types, kind, wanted) in table {
            let settings = EndpointSettings::new("https://x.example").types(types.iter().copied());
            assert_eq!(settings.wants(kind), wanted, "{types:?} {kind}");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let fine = EndpointSettings::new("https://x.example");
        assert!(fine.check().is_ok());
        let bad = [
            fine.clone().types(["in voice"]),
            fine.clone().types(["*"]),
            fine.clone().timeout(Duration::ZERO),
            fine.clone().timeout(Duration::from_secs(61)),
            fine.clone().limits(0, 1),
            fine.clone().limits(1, 0),
            fine.limits(1, 65),
        ];
        for settings in bad {
            assert_eq!(settings.check().unwrap_err().kind(), ErrorKind::InvalidRequest, "{settings:?}");
        }
    }

    #[test]
    fn the_body_is_the_specifications_and_no_debug_shows_it() {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let new = NewEvent::new("user.created", &serde_json::json!({"mail": "a@b.example"})).unwrap();
        let shown = format!("{new:?}");
        let event = new.into_event("acme", at).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
        let expected = serde_json::json!({
            "type": "user.created", "timestamp": "2023-11-14T22:13:20Z", "data": {"mail": "a@b.example"}
        });
        assert_eq!(body, expected);
        assert!(event.id.as_str().starts_with("msg_") && !event.id.as_str().contains('.'));
        assert!(!shown.contains("a@b") && !format!("{event:?}").contains("a@b"));
    }

    #[test]
    fn a_body_too_large_is_refused() {
        let event = NewEvent::with_body("a", vec![b'x'; MAX_PAYLOAD + 1]).unwrap();
        assert!(event.into_event("acme", Timestamp::UNIX_EPOCH).is_err());
    }
}
