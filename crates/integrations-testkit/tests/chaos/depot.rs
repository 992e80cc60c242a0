//! An invented vendor of parcels, as its documents would describe it.

use std::collections::BTreeMap;

use integrations_sandbox::{Answer, Call, Fake, Known, Trouble, Vendor, World};
use serde_json::{Value, json};

pub(crate) static FAKE: Fake = Fake::new("parcels", "parcels", |_| Box::new(Depot::new()));

/// Ten parcels, and a credential that changes.
struct Depot {
    generation: u32,
    parcels: BTreeMap<u32, String>,
    /// What a key gave before.
    labels: BTreeMap<String, u32>,
}

impl Depot {
    fn new() -> Self {
        let parcels = (1..=10).map(|id| (id, format!("{id} Pier Road"))).collect();
        Self { generation: 1, parcels, labels: BTreeMap::new() }
    }

    fn token(&self) -> String {
        format!("parcel-token-{:04}", self.generation)
    }

    fn shown(&self, id: u32) -> Answer {
        match self.parcels.get(&id) {
            Some(to) => Answer::json(200, &json!({ "id": id, "to": to })),
            None => Answer::json(404, &json!({ "error": "no such parcel" })),
        }
    }

    fn list(&self, after: u32) -> Answer {
        let page: Vec<u32> = self.parcels.keys().copied().filter(|id| *id > after).take(4).collect();
        let next = page.last().filter(|last| self.parcels.keys().any(|id| id > last));
        Answer::json(200, &json!({ "ids": page, "next": next }))
    }

    fn send(&mut self, to: &str, world: &mut World<'_>) -> Answer {
        let id = self.parcels.len() as u32 + 1;
        self.parcels.insert(id, to.to_owned());
        world.ledger.added("send", to);
        self.shown(id)
    }

    fn label(&mut self, key: &str, world: &mut World<'_>) -> Answer {
        let next = self.labels.len() as u32 + 1;
        let label = *self.labels.entry(key.to_owned()).or_insert_with(|| {
            world.ledger.added("label", key);
            next
        });
        Answer::json(200, &json!({ "label": label }))
    }

    fn reroute(&mut self, id: u32, to: &str, world: &mut World<'_>) -> Answer {
        if let Some(address) = self.parcels.get_mut(&id) {
            to.clone_into(address);
            world.ledger.set("reroute", format!("{id} {to}"));
        }
        self.shown(id)
    }
}

impl Vendor for Depot {
    fn answer(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let session = format!("Session {}", session(&self.token()));
        if call.bearer() != Some(&self.token()) && call.header("authorization") != Some(&session) {
            return Answer::json(401, &json!({ "error": "the token is not valid" }));
        }
        let body = call.json().unwrap_or(Value::Null);
        let to = body["to"].as_str().unwrap_or_default();
        let number = |text: &str| text.parse::<u32>().unwrap_or_default();
        match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", ["parcels"]) => self.list(call.query("after").map(number).unwrap_or_default()),
            ("GET", ["parcels", id]) => self.shown(number(id)),
            ("POST", ["parcels"]) => self.send(to, world),
            ("PUT", ["parcels", id, "address"]) => self.reroute(number(id), to, world),
            ("POST", ["labels"]) => match call.header("idempotency-key") {
                Some(key) => self.label(key, world),
                None => Answer::json(400, &json!({ "error": "a label needs a key" })),
            },
            _ => Answer::empty(404),
        }
    }

    fn word(&self, trouble: Trouble) -> Option<Answer> {
        match trouble {
            Trouble::RateLimited(_) => Some(Answer::json(429, &json!({ "error": "slow down" }))),
            Trouble::Unauthorized => Some(Answer::json(401, &json!({ "error": "the token is not valid" }))),
            Trouble::Broken(status) => Some(Answer::json(status, &json!({ "error": "we are sorry" }))),
            _ => None,
        }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("token", self.token())]
    }

    fn known(&self) -> Known {
        Known::new().with("parcel", "3").with("address", "3 Pier Road")
    }

    fn rotate(&mut self) -> Option<(&'static str, String)> {
        self.generation += 1;
        Some(("token", self.token()))
    }
}

/// What may be sent instead of a token: it is another text.
pub(crate) fn session(token: &str) -> String {
    token.chars().rev().collect()
}
