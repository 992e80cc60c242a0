#![doc = include_str!("docs.md")]

mod auth;
mod driver;
mod error;
pub mod ops;
pub mod spec;
pub mod wire;

use std::sync::Arc;

use integrations_core::driver::Caps;
#[cfg(feature = "hub")]
use integrations_core::registry::Registry;
use integrations_core::setup::Setup;
use integrations_core::{Caller, Error, Result, SecretString};

pub use error::Errors;

use auth::Proof;

use crate::transport::default_transport;
use crate::{Market, MusicCap};

/// What applications in development mode do not have:
/// <https://developer.spotify.com/documentation/web-api/tutorials/february-2026-migration-guide> and, since 2024-11-27,
/// <https://developer.spotify.com/blog/2024-11-27-changes-to-the-web-api>.
const EXTENDED: [MusicCap; 3] =
    [MusicCap::ArtistTopTracks, MusicCap::SimilarArtists, MusicCap::Recommendations];

/// What an application has without a user; everything else is the user's.
/// <https://developer.spotify.com/documentation/web-api/tutorials/client-credentials-flow>
const CATALOGUE: [MusicCap; 12] = [
    MusicCap::Track,
    MusicCap::Search,
    MusicCap::Isrc,
    MusicCap::Album,
    MusicCap::AlbumTracks,
    MusicCap::AlbumSearch,
    MusicCap::Artist,
    MusicCap::ArtistAlbums,
    MusicCap::ArtistTopTracks,
    MusicCap::ArtistSearch,
    MusicCap::SimilarArtists,
    MusicCap::Recommendations,
];

/// A client of the service. Cheap to clone.
#[derive(Clone)]
pub struct Spotify {
    caller: Caller,
    proof: Proof,
    is_extended: bool,
    market: Option<Market>,
}

impl Spotify {
    /// A client of what is set up. [`ErrorKind::Config`](integrations_core::ErrorKind::Config) if there are no credentials
    /// or no transport, and for a quota mode or a market that is none.
    pub fn open(setup: &Setup) -> Result<Self> {
        let transport = setup.carrier(default_transport)?;
        let setup = setup.clone().transport(transport.clone());
        let proof = Proof::of(&setup, transport)?;
        let caller = setup.caller(default_transport)?.classify(Arc::new(Errors));
        let market = setup.all().text("market")?.map(str::parse::<Market>).transpose();
        Ok(Self {
            caller: caller.authorize(proof.authorize.clone()).build(),
            is_extended: is_extended(&setup)?,
            market: market.map_err(|e| Error::config("`market` is no country").with_source(e))?,
            proof,
        })
    }

    /// The caller behind this client: for operations and endpoints of one's own, with the same protection.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What this client may do: less in development mode, and without a user.
    fn granted(&self) -> Caps {
        let lacks = |cap: &MusicCap| {
            (!self.is_extended && EXTENDED.contains(cap)) || (!self.proof.is_user && !CATALOGUE.contains(cap))
        };
        let lacking = MusicCap::ALL.into_iter().filter(lacks);
        lacking.fold(Caps::of(&spec::SPEC), |caps, cap| caps.without(cap.as_str()))
    }
}

fn is_extended(setup: &Setup) -> Result<bool> {
    match setup.all().text("quota_mode")? {
        None | Some("development") => Ok(false),
        Some("extended") => Ok(true),
        Some(_) => Err(Error::config("`quota_mode` is neither `development` nor `extended`")
            .with_hint("look at the application's page in the developer's dashboard")),
    }
}

integrations_core::client_builder! {
    /// Builds a client; only the credentials have no default.
    pub struct SpotifyBuilder for Spotify of &spec::SPEC;
}

impl SpotifyBuilder {
    /// The application's id and secret: for the catalogue, without a user.
    pub fn client_credentials(self, id: impl Into<String>, secret: impl Into<SecretString>) -> Self {
        self.set("client_id", id.into()).set("client_secret", secret.into())
    }

    /// A user's access token, which ends after an hour. For longer let a vault prove the calls:
    /// [`authorize`](SpotifyBuilder::authorize).
    pub fn access_token(self, token: impl Into<SecretString>) -> Self {
        self.set("access_token", token.into())
    }

    /// The application has extended quota. Default: development mode.
    pub fn extended(self) -> Self {
        self.set("quota_mode", "extended")
    }

    /// The country whose catalogue is meant where a call names none. Default: the user's own.
    pub fn market(self, market: Market) -> Self {
        self.set("market", market.as_str())
    }
}

/// Adds this provider to a registry.
#[cfg(feature = "hub")]
pub fn register(registry: &mut Registry) {
    registry.add(&spec::SPEC, |setup| Spotify::open(setup).map(crate::Music::new));
}
