//! Sign-in against fakes and a real issuer, and what an application's own users go through.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(feature = "passwords")]
mod accounts;
mod accounts_throttle;
mod api_keys;
mod issue;
#[cfg(feature = "otp")]
mod otp;
mod roles;
mod sessions;
mod stores;

// codegen:begin (written by `cargo xtask codegen`)
#[cfg(feature = "entra")]
mod entra;
#[cfg(feature = "github-sign-in")]
mod github_sign_in;
#[cfg(feature = "google-sign-in")]
mod google_sign_in;
#[cfg(feature = "oidc")]
mod oidc;
#[cfg(feature = "spotify-sign-in")]
mod spotify_sign_in;
// codegen:end
