//! Endpoints and their keys; failures and replays.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Outbox;
use super::ledger::later;
use super::memory::no_endpoint;
use super::model::{
    Attempt, Delivery, Endpoint, EndpointId, EndpointKey, EndpointSettings, EndpointStatus, EventId, Health,
    NewEvent,
};
use super::sign::{SigningKey, SigningScheme};
use super::store::{Replay, Replayed};
use crate::error::{Effect, Error, ErrorKind, Result};

/// How often a change is tried when others change the endpoint at the same time.
const CHANGES: u32 = 5;

/// How long a replaced key goes on signing beside the new one, if nothing else is said.
pub(super) const OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// More signatures than this make headers that receivers refuse.
const MAX_KEYS: usize = 8;

/// The type of test events.
const TEST: &str = "webhook.test";

impl Outbox {
    /// Keeps a new endpoint with a new key. Show the key ([`SigningKey::reveal`] or [`SigningKey::public`]) to the
    /// customer. [`ErrorKind::PermissionDenied`] for an address that is not public,
    /// [`ErrorKind::InvalidRequest`] for settings out of range.
    pub async fn create_endpoint(
        &self,
        tenant: &str,
        settings: EndpointSettings,
        scheme: SigningScheme,
    ) -> Result<Endpoint> {
        self.check(&settings)?;
        let created = self.0.clock.now();
        let endpoint = Endpoint {
            id: EndpointId::generate()?,
            tenant: tenant.to_owned(),
            created,
            revision: 0,
            status: EndpointStatus::Active,
            settings,
            keys: vec![EndpointKey { key: SigningKey::generate(scheme)?, created, expires: None }],
            health: Health::default(),
        };
        self.0.store.insert_endpoint(&endpoint).await?;
        Ok(endpoint)
    }

    fn check(&self, settings: &EndpointSettings) -> Result<()> {
        settings.check()?;
        self.0.admission.admit(&settings.url).map(drop)
    }

    /// An endpoint. [`ErrorKind::NotFound`] if the tenant has none of this id.
    pub async fn endpoint(&self, tenant: &str, id: &EndpointId) -> Result<Endpoint> {
        self.0.store.endpoint(tenant, id).await?.ok_or_else(no_endpoint)
    }

    /// The tenant's endpoints, the oldest first.
    pub async fn endpoints(&self, tenant: &str) -> Result<Vec<Endpoint>> {
        self.0.store.endpoints(tenant).await
    }

    /// Changes an endpoint's settings, from the next attempt on. Errors as in [`Outbox::create_endpoint`]; also
    /// [`ErrorKind::InvalidRequest`] if the order would change.
    pub async fn update_endpoint(
        &self,
        tenant: &str,
        id: &EndpointId,
        settings: EndpointSettings,
    ) -> Result<Endpoint> {
        self.check(&settings)?;
        let change = |endpoint: &mut Endpoint| {
            if endpoint.settings.fifo != settings.fifo {
                return Err(Error::invalid_request("whether an endpoint keeps order is fixed")
                    .with_hint("make a new endpoint"));
            }
            endpoint.settings = settings.clone();
            Ok(())
        };
        self.change(tenant, id, change).await
    }

    /// Gives an endpoint a new key of the same scheme. The present one signs beside it for 24 h.
    pub async fn rotate_key(&self, tenant: &str, id: &EndpointId) -> Result<Endpoint> {
        let scheme = self.endpoint(tenant, id).await?.keys.first().map(|key| key.key.scheme());
        let key = SigningKey::generate(scheme.unwrap_or(SigningScheme::Hmac))?;
        self.rotate_key_to(tenant, id, key, OVERLAP).await
    }

    /// Gives an endpoint this key. Those before it sign beside it for `overlap`: zero if they have leaked.
    /// [`ErrorKind::Conflict`] if 8 keys sign at the same time already.
    pub async fn rotate_key_to(
        &self,
        tenant: &str,
        id: &EndpointId,
        key: SigningKey,
        overlap: Duration,
    ) -> Result<Endpoint> {
        let now = self.0.clock.now();
        let end = later(now, overlap);
        let change = |endpoint: &mut Endpoint| {
            for old in &mut endpoint.keys {
                old.expires = Some(old.expires.map_or(end, |expires| expires.min(end)));
            }
            endpoint.keys.retain(|old| old.expires.is_none_or(|expires| expires > now));
            if endpoint.keys.len() >= MAX_KEYS {
                let message = format!("{MAX_KEYS} keys of the endpoint sign at the same time already");
                return Err(Error::new(ErrorKind::Conflict, Effect::NotSent, message)
                    .with_hint("wait until some of them end, or give an overlap of zero"));
            }
            endpoint.keys.insert(0, EndpointKey { key: key.clone(), created: now, expires: None });
            Ok(())
        };
        self.change(tenant, id, change).await
    }

    async fn change(
        &self,
        tenant: &str,
        id: &EndpointId,
        change: impl Fn(&mut Endpoint) -> Result<()>,
    ) -> Result<Endpoint> {
        for _ in 0..CHANGES {
            let mut endpoint = self.endpoint(tenant, id).await?;
            change(&mut endpoint)?;
            if self.0.store.update_endpoint(&endpoint).await? {
                endpoint.revision += 1;
                return Ok(endpoint);
            }
        }
        let message = "others keep changing the endpoint at the same time";
        Err(Error::new(ErrorKind::Conflict, Effect::NotSent, message).with_hint("try again"))
    }

    /// Stops deliveries to an endpoint, and withdraws those that are under way or waiting.
    pub async fn disable_endpoint(&self, tenant: &str, id: &EndpointId) -> Result<()> {
        self.set_status(tenant, id, EndpointStatus::Disabled).await
    }

    /// Starts deliveries to an endpoint again. With `catch_up` it also gets what has not reached it: since it began to
    /// fail, or else since its last success, and as long before as a delivery takes to be given up. The number of those
    /// is given.
    pub async fn enable_endpoint(&self, tenant: &str, id: &EndpointId, catch_up: bool) -> Result<u64> {
        let Endpoint { health, created, .. } = self.endpoint(tenant, id).await?;
        let under_way =
            SignedDuration::try_from(self.0.rules.schedule.total()).unwrap_or(SignedDuration::MAX);
        let well_until = health.failing_since.or(health.last_success).unwrap_or(created);
        let since = well_until.saturating_sub(under_way).unwrap_or(Timestamp::MIN).max(created);
        self.set_status(tenant, id, EndpointStatus::Active).await?;
        if catch_up { self.replay_since(tenant, id, since).await } else { Ok(0) }
    }

    async fn set_status(&self, tenant: &str, id: &EndpointId, status: EndpointStatus) -> Result<()> {
        let found = self.0.store.set_status(tenant, id, status, self.0.clock.now()).await?;
        if found { Ok(()) } else { Err(no_endpoint()) }
    }

    /// Forgets an endpoint and its keys. What is under way may still arrive.
    pub async fn delete_endpoint(&self, tenant: &str, id: &EndpointId) -> Result<()> {
        if self.0.store.delete_endpoint(tenant, id).await? { Ok(()) } else { Err(no_endpoint()) }
    }

    /// Sends an event of type `webhook.test` to one active endpoint, whatever types it wants.
    pub async fn send_test(&self, tenant: &str, id: &EndpointId) -> Result<EventId> {
        if self.endpoint(tenant, id).await?.status != EndpointStatus::Active {
            return Err(super::memory::not_active());
        }
        let now = self.0.clock.now();
        let data = serde_json::json!({ "message": "This is a test. Nothing has happened." });
        let mut event = NewEvent::new(TEST, &data)?.into_event(tenant, now)?;
        event.only = Some(id.clone());
        self.keep(&event, now).await?;
        Ok(event.id)
    }

    /// Deliveries that failed or were parked, the newest first; up to `limit` of them, older than the place `before`
    /// ([`Delivery::seq`]).
    pub async fn failures(
        &self,
        tenant: &str,
        id: &EndpointId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        self.0.store.failures(tenant, id, before, limit).await
    }

    /// One event's way to one endpoint. `None` if there is none.
    pub async fn delivery(&self, tenant: &str, id: &EndpointId, event: &EventId) -> Result<Option<Delivery>> {
        self.0.store.delivery(tenant, id, event).await
    }

    /// Its attempts, the oldest first.
    pub async fn attempts(&self, tenant: &str, id: &EndpointId, event: &EventId) -> Result<Vec<Attempt>> {
        self.0.store.attempts(tenant, id, event).await
    }

    /// Sends one event to one endpoint once more, with the same id, also if it has succeeded.
    /// [`ErrorKind::Conflict`] if it is on its way already, or the endpoint is not active.
    pub async fn replay(&self, tenant: &str, id: &EndpointId, event: &EventId) -> Result<()> {
        if self.part(tenant, id, &Replay::One(event.clone())).await?.count > 0 {
            return Ok(());
        }
        let message = "the delivery is under way, or will be tried again by itself";
        Err(Error::new(ErrorKind::Conflict, Effect::NotSent, message))
    }

    /// Sends everything that was published at `since` or later and has not reached the endpoint, with the same ids,
    /// also what its types did not ask for then. Gives the number.
    pub async fn replay_since(&self, tenant: &str, id: &EndpointId, since: Timestamp) -> Result<u64> {
        let (mut count, mut after) = (0, Some(0));
        while let Some(from) = after {
            let part = self.part(tenant, id, &Replay::Since { since, after: from }).await?;
            (count, after) = (count + part.count, part.next);
        }
        Ok(count)
    }

    async fn part(&self, tenant: &str, id: &EndpointId, what: &Replay) -> Result<Replayed> {
        let part = self.0.store.replay(tenant, id, what, self.0.clock.now()).await?;
        self.wake();
        Ok(part)
    }
}
