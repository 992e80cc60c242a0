//! The flow of devices without a browser (RFC 8628).

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use integrations_core::{Effect, Error, ErrorKind, Result, SecretString};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::builder::Client;
use super::issuer::Address;
use super::params::Params;
use super::send::{Message, unreadable};
use super::{ops, reply};
use crate::token::TokenSet;

/// RFC 8628 section 3.2: when the issuer does not say.
const INTERVAL: u64 = 5;
/// RFC 8628 section 3.5: how much longer to wait after `slow_down`.
const SLOWER: u64 = 5;
/// Longer waits than this, in seconds, keep nobody in front of a screen.
const LONGEST_INTERVAL: u64 = 60;
/// When the issuer does not say how long its code lives, though it must.
const LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// What a user is shown, and what a device asks with.
pub struct DeviceAuthorization {
    device_code: SecretString,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_at: Timestamp,
    /// Seconds between two polls; grows.
    interval: AtomicU64,
}

impl fmt::Debug for DeviceAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAuthorization")
            .field("verification_uri", &self.verification_uri)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl DeviceAuthorization {
    /// What the user types in.
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// Where the user types it in.
    pub fn verification_uri(&self) -> &str {
        &self.verification_uri
    }

    /// The same with the code in it, for a link or a QR code.
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.verification_uri_complete.as_deref()
    }

    /// When the code ends.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// How long to wait before the next poll.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.interval.load(Ordering::Relaxed))
    }

    fn slow_down(&self, by: u64) {
        let slower = |seconds: u64| Some(seconds.saturating_add(by).min(LONGEST_INTERVAL));
        let _ = self.interval.fetch_update(Ordering::Relaxed, Ordering::Relaxed, slower);
    }
}

/// What a poll found.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "RFC 8628 knows no third outcome")]
pub enum DevicePoll {
    /// The user has not decided yet.
    Pending {
        /// How long to wait before the next poll.
        wait: Duration,
    },
    /// The user has consented.
    Done(TokenSet),
}

impl Client {
    /// Asks for a code that a user types in elsewhere, for these scopes and those that the vendor always asks for.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the issuer has no such flow.
    pub async fn start_device<S: Into<String>>(
        &self,
        scopes: impl IntoIterator<Item = S>,
    ) -> Result<DeviceAuthorization> {
        let scopes = self.with_default_scopes(scopes.into_iter().map(Into::into).collect());
        let params = self.shared.draft.device(self.scope(scopes)).await?;
        let message = self.form(&ops::START_DEVICE, Address::Device, params)?;
        let response = self.send(Message { expects: Some("device_code"), ..message }).await?;
        let mut fields = reply::document(&response.body).map_err(|why| unreadable(&response, why))?;
        let mut text = |name| match fields.remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        // Google's name of before the RFC.
        let page = text("verification_uri").or_else(|| text("verification_url"));
        let page = page.filter(|page| is_page(page));
        let complete = text("verification_uri_complete").filter(|page| is_page(page));
        let (Some(device_code), Some(user_code), Some(verification_uri)) =
            (text("device_code"), text("user_code"), page)
        else {
            return Err(unreadable(&response, "the answer lacks a code, or an address for the user"));
        };
        let arrival = reply::Arrival::of(&response, &self.shared.clock);
        let now = arrival.at;
        let expires_at = fields.get("expires_in").and_then(|seconds| reply::moment(seconds, arrival));
        let interval = fields.get("interval").and_then(seconds).unwrap_or(INTERVAL);
        Ok(DeviceAuthorization {
            device_code: device_code.into(),
            user_code,
            verification_uri,
            verification_uri_complete: complete,
            expires_at: expires_at.or(now.checked_add(LIFETIME).ok()).unwrap_or(now),
            interval: AtomicU64::new(interval.clamp(1, LONGEST_INTERVAL)),
        })
    }

    /// Asks once whether the user has decided.
    ///
    /// # Errors
    /// [`ErrorKind::Declined`] if the user said no; [`ErrorKind::ReauthRequired`] if the code has ended.
    pub async fn poll_device(&self, device: &DeviceAuthorization) -> Result<DevicePoll> {
        if self.shared.clock.now() >= device.expires_at {
            return Err(Error::new(
                ErrorKind::ReauthRequired,
                Effect::NotSent,
                "the user did not decide in time",
            )
            .with_code("expired_token")
            .with_hint("begin again with a new code"));
        }
        let mut params = Params::default();
        params.set("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
        params.set("device_code", device.device_code.clone());
        let error = match self.tokens(self.grant(&ops::POLL_DEVICE, Address::Token, params)?).await {
            Ok(tokens) => return Ok(DevicePoll::Done(tokens)),
            Err(error) => error,
        };
        match error.code() {
            Some("authorization_pending") => {}
            Some("slow_down") => device.slow_down(SLOWER),
            _ => return Err(error),
        }
        Ok(DevicePoll::Pending { wait: device.interval() })
    }

    /// Polls until the user has decided or the code has ended. An issuer that cannot be reached is asked again, more
    /// and more slowly.
    ///
    /// # Errors
    /// As [`Client::poll_device`].
    pub async fn await_device(&self, device: &DeviceAuthorization) -> Result<TokenSet> {
        loop {
            tokio::time::sleep(device.interval()).await;
            match self.poll_device(device).await {
                Ok(DevicePoll::Done(tokens)) => return Ok(tokens),
                Ok(DevicePoll::Pending { .. }) => {}
                // RFC 8628 section 3.5 asks for an exponential backoff.
                Err(error) if error.is_retryable() => device.slow_down(device.interval().as_secs()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// People are sent there: nothing but a page.
fn is_page(address: &str) -> bool {
    ["https://", "http://"]
        .iter()
        .any(|scheme| address.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme)))
}

fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64().filter(|seconds| *seconds >= 0.0).map(|seconds| seconds as u64),
    }
}
