//! What the service sends: tolerant of anything new, and of anything missing that we can do without.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct Me {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    pub(super) error: Problem,
}

#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
}
