//! Sign-in: who somebody is, by the word of a service that knows them.
//!
//! [`SignIn`] is what an application holds. A service's client implements [`SignInDriver`], and a facet for each part
//! that it has besides.
//!
//! Invariants:
//! - Whoever is told of an [`Identity`] and needs to believe it asks for a [`Proven`] one. [`SignIn`] alone makes it, from a
//!   driver that has verified the service's own answer to a flow that was begun here.
//! - A person is (issuer, subject). A mail address is a claim about them, with what the service knows of it
//!   ([`EmailClaim`]); it is never a key.
//! - A flow that was begun is completed once: [`PendingSignIn`] is used up.
//! - What a service does not have is absent: a facet that is `None`, a capability that is not among its
//!   [`Caps`](crate::driver::Caps). A call for it is [`ErrorKind::Unsupported`](crate::ErrorKind) and sends nothing.

mod cap;
mod client;
mod driver;
mod identity;
#[cfg(feature = "dynamic")]
mod operations;
mod types;

pub use cap::AuthCap;
pub use client::SignIn;
pub use driver::{
    LogoutDriver, LogoutNoticeDriver, ProfileDriver, RefreshDriver, RevokeDriver, SignInDriver,
};
pub use identity::{EmailClaim, Identity, IdentityKey, MailAddress, Proven};
#[cfg(feature = "dynamic")]
pub use operations::OPERATIONS;
pub use types::{Begun, Completed, LogoutNotice, LogoutRequest, PendingSignIn, SignInRequest, SignedIn};
