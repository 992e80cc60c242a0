//! The category's operations on this service.

use std::any::Any;

use async_trait::async_trait;
use integrations_core::driver::Driver;
use integrations_core::provider::ProviderSpec;
use integrations_core::{Caller, Error, Page, PageReq, Result};

use super::{Spotify, spec};
use crate::{Market, MusicDriver, Query, Track, TrackId};

impl Driver for Spotify {
    fn spec(&self) -> &'static ProviderSpec {
        &spec::SPEC
    }

    fn raw(&self) -> &dyn Any {
        self
    }

    fn caller(&self) -> Option<&Caller> {
        Some(&self.caller)
    }
}

/// What the service has is a capability in provider.toml; what it has not is not asked for here.
#[async_trait]
impl MusicDriver for Spotify {
    async fn track(&self, _: &TrackId, _: Option<Market>) -> Result<Track> {
        Err(unmapped("a track"))
    }

    async fn search(&self, _: &Query, _: PageReq) -> Result<Page<Track>> {
        Err(unmapped("a search"))
    }
}

/// What no endpoint stands behind yet fails before anything is sent.
fn unmapped(what: &str) -> Error {
    Error::unsupported(
        format!("`spotify` has no call for {what}"),
        "write an endpoint, and map it in driver.rs",
    )
}
