//! Spotify: its errors, its client, and what its driver makes of what the service says.

mod client;
mod error;
mod fake;
#[cfg(feature = "dynamic")]
mod judged;
mod mapping;
mod paging;
mod script;
mod writes;

use integrations_music::Music;
use integrations_music::spotify::Spotify;

use script::Script;

/// A user's music in development mode.
fn user(script: &Script) -> Music {
    Music::new(Spotify::builder().access_token("t-1").transport(script.clone()).build().unwrap())
}

/// A user's music with extended quota.
fn extended(script: &Script) -> Music {
    let builder = Spotify::builder().access_token("t-1").extended();
    Music::new(builder.transport(script.clone()).build().unwrap())
}
