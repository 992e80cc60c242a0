//! Sign-in at other services, and everything that an application with users of its own needs around it.
//!
//! [`SignIn`] is the interface of the services; a client of a provider becomes one by [`SignIn::new`]. [`Flow`] carries a
//! sign-in through a browser. [`IdTokenVerifier`] and [`JwksCache`] verify what issuers state, [`oauth`] has the protocol
//! below. What is the application's own: [`User`]s and what proves that they are themselves, [`Sessions`], tokens that it
//! issues, API keys, roles.
//!
//! Invariants:
//! - Nobody is told apart by a mail address. A person is (issuer, subject), and a second identity is linked only with
//!   [`ProofOfControl`].
//! - A statement is believed after its signature, issuer, audience, times and nonce were; the token chooses neither its key
//!   nor its algorithm. An issuer that rotates its keys locks nobody out, and invented key ids make no traffic.
//! - What proves somebody is kept as a hash or sealed. No secret is in a log, an error or a `Debug`.
//! - An answer to somebody who is not signed in does not tell whether an account exists, also not by its time.
//! - Absent so far: SAML, LDAP, WebAuthn, one-time codes by SMS or mail, and sign-in with Apple, Facebook, LinkedIn and
//!   Discord.

#[cfg(feature = "passwords")]
mod accounts;
mod api_keys;
#[cfg(all(doctest, feature = "google-sign-in", feature = "otp", feature = "passwords"))]
mod book;
mod cookies;
mod flow;
mod id_token;
mod issue;
mod jwks;
mod linking;
mod names;
mod opaque;
#[cfg(feature = "otp")]
mod otp;
#[cfg(feature = "passwords")]
mod passwords;
#[cfg(any(feature = "github-sign-in", feature = "spotify-sign-in"))]
mod plain;
#[cfg(any(feature = "otp", feature = "passwords"))]
mod proof;
mod records;
#[cfg(any(
    feature = "entra",
    feature = "github-sign-in",
    feature = "google-sign-in",
    feature = "oidc",
    feature = "spotify-sign-in"
))]
mod relying;
mod roles;
mod sessions;
#[cfg(any(
    feature = "entra",
    feature = "github-sign-in",
    feature = "google-sign-in",
    feature = "spotify-sign-in"
))]
mod stand_in;
mod throttle;
mod tokens;
mod transport;
mod unproven;
mod users;

pub use integrations_core::auth::*;
pub use integrations_core::jose;
pub use integrations_core::provider::Mode;
pub use integrations_oauth as oauth;

#[cfg(feature = "passwords")]
pub use accounts::{
    Accounts, Confirmation, Login, Notice, NoticeKind, Notices, PendingSecondFactor, SignedInUser,
};
pub use api_keys::{ApiKey, ApiKeyId, ApiKeys, NewApiKey};
pub use flow::{Finished, Flow, FlowBuilder, Sent, Start};
#[cfg(any(feature = "entra", feature = "google-sign-in", feature = "oidc"))]
pub use id_token::UserInfo;
pub use id_token::{Expect, IdTokenVerifier, IssuerRule, Tenants};
pub use issue::{
    AccessClaims, Grant, IssuerPolicy, RefreshGrant, RefreshReused, RefreshTokens, Refreshed, TokenIssuer,
};
pub use jwks::{JwksCache, JwksCacheBuilder, JwksCounts};
pub use linking::{Identities, MailTrust, ProofOfControl, Recognised};
#[cfg(feature = "otp")]
pub use otp::{Enrolment, OneTimeCodes};
#[cfg(feature = "passwords")]
pub use passwords::{Breached, Cost, Passwords, Pepper, Verdict};
#[cfg(any(feature = "otp", feature = "passwords"))]
pub use proof::{SecondFactor, SecondFactorProof};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use records::SqlRecords;
pub use records::{Draft, MemoryRecords, Record, RecordId, RecordStore};
pub use roles::{Granted, Permission, Roles, RolesBuilder, Scope};
pub use sessions::{Method, Reauthenticated, Session, SessionId, SessionToken, Sessions};
pub use throttle::Throttle;
pub use transport::default_transport;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use users::SqlUsers;
pub use users::{
    Directory, LinkedIdentity, MemoryUsers, OneTimePassword, RoleGrant, User, UserId, UserStore,
};

// codegen:begin (written by `cargo xtask codegen`)
#[cfg(feature = "entra")]
pub mod entra;
#[cfg(feature = "github-sign-in")]
pub mod github_sign_in;
#[cfg(feature = "google-sign-in")]
pub mod google_sign_in;
#[cfg(feature = "oidc")]
pub mod oidc;
#[cfg(feature = "spotify-sign-in")]
pub mod spotify_sign_in;

/// The providers of this category that this build has.
pub static PROVIDERS: &[&integrations_core::provider::ProviderSpec] = &[
    #[cfg(feature = "entra")]
    &entra::spec::SPEC,
    #[cfg(feature = "github-sign-in")]
    &github_sign_in::spec::SPEC,
    #[cfg(feature = "google-sign-in")]
    &google_sign_in::spec::SPEC,
    #[cfg(feature = "oidc")]
    &oidc::spec::SPEC,
    #[cfg(feature = "spotify-sign-in")]
    &spotify_sign_in::spec::SPEC,
];

/// The remote calls of the providers that this build has, with their types erased, by provider.
#[cfg(feature = "dynamic")]
pub static ENDPOINTS: &[(&str, &[integrations_core::dynamic::OpEntry])] = &[
    #[cfg(feature = "entra")]
    ("entra", entra::ops::OPS),
    #[cfg(feature = "github-sign-in")]
    ("github-sign-in", github_sign_in::ops::OPS),
    #[cfg(feature = "google-sign-in")]
    ("google-sign-in", google_sign_in::ops::OPS),
    #[cfg(feature = "oidc")]
    ("oidc", oidc::ops::OPS),
    #[cfg(feature = "spotify-sign-in")]
    ("spotify-sign-in", spotify_sign_in::ops::OPS),
];

/// All providers of this category, also those that this build has not.
#[cfg(feature = "hub")]
pub static KNOWN: &[integrations_core::registry::Known] = &[
    integrations_core::registry::Known::new("entra", "auth", "entra"),
    integrations_core::registry::Known::new("github-sign-in", "auth", "github-sign-in"),
    integrations_core::registry::Known::new("google-sign-in", "auth", "google-sign-in"),
    integrations_core::registry::Known::new("oidc", "auth", "oidc"),
    integrations_core::registry::Known::new("spotify-sign-in", "auth", "spotify-sign-in"),
];

/// Adds the providers of this category that this build has, and makes all of them known.
#[cfg(feature = "hub")]
pub fn register(registry: &mut integrations_core::registry::Registry) {
    registry.know(KNOWN);
    #[cfg(feature = "entra")]
    entra::register(registry);
    #[cfg(feature = "github-sign-in")]
    github_sign_in::register(registry);
    #[cfg(feature = "google-sign-in")]
    google_sign_in::register(registry);
    #[cfg(feature = "oidc")]
    oidc::register(registry);
    #[cfg(feature = "spotify-sign-in")]
    spotify_sign_in::register(registry);
}
// codegen:end
