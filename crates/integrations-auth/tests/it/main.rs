//! Sign-in against fakes and a real issuer, and what an application's own users go through.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(feature = "passwords")]
mod accounts;
mod accounts_throttle;
mod api_keys;
#[cfg(all(
    feature = "entra",
    feature = "github-sign-in",
    feature = "google-sign-in",
    feature = "oidc",
    feature = "spotify-sign-in"
))]
mod attacks;
#[cfg(feature = "oidc")]
mod identities;
mod issue;
#[cfg(feature = "dynamic")]
#[allow(dead_code, reason = "a build may have no provider to judge")]
mod judges;
#[cfg(feature = "oidc")]
mod live;
#[cfg(any(feature = "entra", feature = "google-sign-in", feature = "oidc"))]
mod openid;
#[cfg(feature = "otp")]
mod otp;
mod roles;
mod sessions;
mod stores;
#[cfg(any(feature = "github-sign-in", feature = "spotify-sign-in"))]
mod vendor;

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
