//! The fake of lastfm.

use crate::{Answer, Call, Fake, Known, Trouble, Vendor, World};

/// The fake.
pub const FAKE: Fake = Fake::new("lastfm", "music", |_| Box::new(Service));

struct Service;

impl Vendor for Service {
    fn answer(&mut self, _: &Call<'_>, _: &mut World<'_>) -> Answer {
        Answer::empty(404)
    }

    fn word(&self, _: Trouble) -> Option<Answer> {
        None
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn known(&self) -> Known {
        Known::new()
    }
}
