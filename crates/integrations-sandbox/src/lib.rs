//! Fake vendors that remember: for tests and for work without an account anywhere.
//!
//! A [`Sandbox`] is one vendor. It carries a client's calls as a [`Transport`](integrations_core::Transport), in this
//! process, or answers on 127.0.0.1 with the feature `server`. On demand it does what real services do: it is slow, breaks off
//! before or after it has acted, refuses, answers with a proxy's page, with half an answer, with an error under status 200.
//!
//! A client of a provider is set up with [`Sandbox::settings`], [`Sandbox::clock`] and the sandbox as its transport; what
//! there is to ask for stands in [`Sandbox::known`]. A fake of one's own is a [`Vendor`]; [`Sandbox`] shows a small one.
//!
//! # What goes wrong
//!
//! A [`Plan`] says which requests meet a [`Fault`]. A script names them one by one, for a test of one thing:
//!
//! ```
//! # use integrations_sandbox::*;
//! # struct Silent;
//! # impl Vendor for Silent {
//! #     fn answer(&mut self, _: &Call<'_>, _: &mut World<'_>) -> Answer { Answer::empty(204) }
//! #     fn word(&self, _: Trouble) -> Option<Answer> { None }
//! #     fn settings(&self) -> Vec<(&'static str, String)> { Vec::new() }
//! #     fn known(&self) -> Known { Known::new() }
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! # let sandbox = Sandbox::new(&Fake::new("silent", "demo", |_| Box::new(Silent)), 0);
//! sandbox.plan(Plan::script([Some(Fault::HangAfter), None, Some(Fault::Rotated)]));
//! // Weather from a seed, which every call that may be sent again survives with the default policy.
//! sandbox.plan(Plan::seeded(7, Severity::Passing));
//! // And weather in which calls fail: what they are told must be true.
//! sandbox.plan(Plan::seeded(7, Severity::Any));
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Afterwards [`Sandbox::faults`], [`Sandbox::exchanges`] and [`Sandbox::ledger`] tell what went wrong, how often each call
//! came, and what it changed.
//!
//! # Time
//!
//! Everything waits on the runtime's clock. Under a paused runtime (`tokio::time::pause`) all waits are virtual, and the
//! vendor's wall time, which begins at 2026-03-02T12:00:00Z, moves with them. A server works in real time: its vendors'
//! clocks begin at the same moment and then run at the common pace, so that a client with the system's clock takes their
//! tokens for expired and their delays, told as dates, for long or over. Such clients get vendors
//! [`starting`](Sandbox::starting) at the present time.
//!
//! # What only the sandbox has
//!
//! Some of what a test needs no vendor offers. The fakes that speak OpenID Connect (`oidc`, `google-sign-in`, `entra`) are
//! asked for it below `/__sandbox` at any host, by `POST` with a form:
//!
//! - `rotate-keys`: a new key signs from now on, and the one before is still shown. With `alg` it is one for `RS256`,
//!   `ES256` or `EdDSA`; with `forget=true` the keys before are gone at once. The answer has the new `kid`.
//! - `id-token`: the next ID token is a wrong one. `claims` and `header` are members in JSON that are put over the right
//!   ones, and a null takes one away. `signer` is `other` (another key than the header names), `nobody` or `public` (the
//!   public key as if it were a common secret).
//! - `userinfo`, `metadata`: the next answer about the user, or about the issuer, is a wrong one, by `claims`.
//! - `logout-token`: the user whom `login_hint` names has signed out. The answer has the `logout_token` that an issuer
//!   sends then; the fields of `id-token` make it a wrong one.
//!
//! # Invariants
//!
//! - A fake is written from the vendor's documents and descriptions. It shares no type with the client that it judges.
//! - The same seed gives the same data and the same faults.
//! - What a call changed stands in the [`Ledger`], whether the caller was told or not.

mod catalogue;
mod fault;
pub mod issuer;
mod known;
mod ledger;
#[cfg(any(feature = "entra", feature = "google-sign-in", feature = "oidc"))]
mod openid;
mod plan;
mod sandbox;
#[cfg(feature = "server")]
mod server;
mod state;
mod vendor;

pub use catalogue::{SONGS, Song};
pub use fault::{DelayForm, Fault, Severity};
pub use known::Known;
pub use ledger::{Change, Ledger};
pub use plan::Plan;
pub use sandbox::Sandbox;
#[cfg(feature = "server")]
pub use server::Server;
pub use state::Seen;
pub use vendor::{Answer, Call, Fake, Trouble, Vendor, World};

// codegen:begin (written by `cargo xtask codegen`)
#[cfg(feature = "entra")]
pub mod entra;
#[cfg(feature = "github-sign-in")]
pub mod github_sign_in;
#[cfg(feature = "google-sign-in")]
pub mod google_sign_in;
#[cfg(feature = "lastfm")]
pub mod lastfm;
#[cfg(feature = "oidc")]
pub mod oidc;
#[cfg(feature = "spotify")]
pub mod spotify;
#[cfg(feature = "spotify-sign-in")]
pub mod spotify_sign_in;

/// The fakes of this build.
pub static FAKES: &[Fake] = &[
    #[cfg(feature = "entra")]
    entra::FAKE,
    #[cfg(feature = "github-sign-in")]
    github_sign_in::FAKE,
    #[cfg(feature = "google-sign-in")]
    google_sign_in::FAKE,
    #[cfg(feature = "oidc")]
    oidc::FAKE,
    #[cfg(feature = "spotify-sign-in")]
    spotify_sign_in::FAKE,
    #[cfg(feature = "lastfm")]
    lastfm::FAKE,
    #[cfg(feature = "spotify")]
    spotify::FAKE,
];
// codegen:end
