//! Events that we send to others' endpoints: signed, retried, and never to an address inside our own network.

mod address;
mod class;
mod schedule;
mod sign;
mod state;

pub use class::ErrorClass;
pub use schedule::RetrySchedule;
pub use sign::{SigningKey, SigningScheme};
pub use state::{Happening, Mark, Plan, State, Transition};
