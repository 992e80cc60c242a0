//! The fake of Spotify: its Web API under `/v1`, its accounts service beside it.
//!
//! It knows two applications. One has the extended quota and everything that the API ever had; the other is in
//! development mode, and what was taken from such applications in February 2026 answers it 403 or 404.

mod ask;
mod browse;
mod catalogue;
mod fields;
mod library;
mod player;
mod playlists;
mod search;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::issuer::{Client, Grant, Issuer, Policy, Rotation, Standing, invented};
use crate::{Answer, Call, Fake, Known, Trouble, Vendor, World};

use ask::{Ask, Refusal, Reply, Session};
use catalogue::Catalogue;
use library::Account;
use player::Player;
use playlists::{Playlists, VENDOR};

/// The fake.
pub const FAKE: Fake = Fake::new("spotify", "music", |seed| Box::new(Service::new(seed)));

/// 2026-03-02T12:00:00Z: what was there before was there before this.
const BEGINNING: Timestamp = Timestamp::constant(1_772_452_800, 0);

/// The letters of hexadecimal numbers.
const HEX: &[u8] = b"0123456789abcdef";

const SCOPES: &[&str] = &[
    "app-remote-control",
    "playlist-read-private",
    "playlist-read-collaborative",
    "playlist-modify-public",
    "playlist-modify-private",
    "user-library-read",
    "user-library-modify",
    "user-read-private",
    "user-read-email",
    "user-follow-read",
    "user-follow-modify",
    "user-top-read",
    "user-read-playback-position",
    "user-read-playback-state",
    "user-read-recently-played",
    "user-read-currently-playing",
    "user-modify-playback-state",
    "ugc-image-upload",
    "streaming",
];

const POLICY: Policy = Policy {
    access_prefix: "BQ",
    refresh_prefix: "AQ",
    access_seconds: 3600,
    // Six months from the user's consent, since June 2026.
    refresh_seconds: Some(182 * 24 * 3600),
    rotation: Rotation::Public,
};

const REDIRECTS: &[&str] = &["https://app.example/callback", "http://127.0.0.1/callback"];

/// What applications in development mode lost: the methods, the path, and what it answers them since.
///
/// 403 is what such applications report since February 2026 (github.com/bjarneo/cliamp issue 54); what went in
/// November 2024 is partly just not there for them.
const REMOVED: &[(&[&str], &str, u16)] = &[
    (&["GET"], "tracks", 403),
    (&["GET"], "albums", 403),
    (&["GET"], "artists", 403),
    (&["GET"], "episodes", 403),
    (&["GET"], "shows", 403),
    (&["GET"], "audiobooks", 403),
    (&["GET"], "chapters", 403),
    (&["GET", "POST", "PUT", "DELETE"], "playlists/*/tracks", 403),
    (&["PUT", "DELETE"], "playlists/*/followers", 403),
    (&["GET"], "playlists/*/followers/contains", 403),
    (&["GET"], "users/*", 403),
    (&["GET", "POST"], "users/*/playlists", 403),
    (&["PUT", "DELETE"], "me/tracks", 403),
    (&["PUT", "DELETE"], "me/albums", 403),
    (&["PUT", "DELETE"], "me/shows", 403),
    (&["PUT", "DELETE"], "me/episodes", 403),
    (&["PUT", "DELETE"], "me/audiobooks", 403),
    (&["PUT", "DELETE"], "me/following", 403),
    (&["GET"], "me/tracks/contains", 403),
    (&["GET"], "me/albums/contains", 403),
    (&["GET"], "me/shows/contains", 403),
    (&["GET"], "me/episodes/contains", 403),
    (&["GET"], "me/audiobooks/contains", 403),
    (&["GET"], "me/following/contains", 403),
    (&["GET"], "artists/*/top-tracks", 403),
    (&["GET"], "browse/new-releases", 403),
    (&["GET"], "browse/categories", 403),
    (&["GET"], "browse/categories/*", 403),
    (&["GET"], "markets", 403),
    (&["GET"], "audio-features", 403),
    (&["GET"], "audio-features/*", 403),
    (&["GET"], "audio-analysis/*", 403),
    (&["GET"], "artists/*/related-artists", 404),
    (&["GET"], "recommendations", 404),
    (&["GET"], "recommendations/available-genre-seeds", 404),
    (&["GET"], "browse/featured-playlists", 404),
    (&["GET"], "browse/categories/*/playlists", 404),
];

/// Answers one part of the API, or says that it has no such route.
type Route = fn(&mut Service, &Ask<'_>, &mut World<'_>) -> Option<Reply>;

const ROUTES: &[Route] =
    &[catalogue::route, search::route, browse::route, playlists::route, player::route, library::route];

/// Spotify, as far as two applications and three users see it.
struct Service {
    catalogue: Catalogue,
    playlists: Playlists,
    accounts: BTreeMap<String, Account>,
    issuer: Issuer,
    applications: Applications,
    tokens: Tokens,
    known: Known,
}

/// The applications: ids and secrets.
struct Applications {
    extended: (String, String),
    development: (String, String),
}

/// The tokens that were given out before the first request.
struct Tokens {
    access: String,
}

/// The users: the one whose things these are, one without an active device, one without a subscription.
struct Users {
    listener: String,
    idle: String,
    free: String,
}

impl Service {
    fn new(seed: u64) -> Self {
        let catalogue = Catalogue::new(seed);
        let user = |name: &str| format!("31{}", invented(HEX, seed, &format!("user:{name}"), 26));
        let users = Users { listener: user("listener"), idle: user("idle"), free: user("free") };
        let mut playlists = Playlists::new(seed);
        let first = first_playlists(&mut playlists, &catalogue, &users);
        let accounts = first_accounts(&catalogue, &playlists, &users, &first.own);
        let applications = Applications::new(seed);
        let mut issuer = issuer(seed, &applications, &users.listener);
        let (known, tokens) = given(&mut issuer, &applications, &users);
        let known = with_catalogue(known, &catalogue, &accounts[&users.listener])
            .with("playlist", first.own)
            .with("mixed_playlist", first.mixed)
            .with("foreign_playlist", first.foreign)
            .with("user", &users.listener);
        Self { catalogue, playlists, accounts, issuer, applications, tokens, known }
    }

    /// What others call a user.
    fn display_name(&self, user: &str) -> &str {
        self.accounts.get(user).map_or("Spotify", |account| account.name)
    }

    fn api(&mut self, call: &Call<'_>, path: Vec<&str>, world: &mut World<'_>) -> Reply {
        let session = self.session(call, world.now)?;
        let ask = Ask::new(call, path, session, world)?;
        if let Some(status) = removed(&ask) {
            return Err(Refusal::new(status, if status == 403 { "Forbidden" } else { "Not Found" }));
        }
        let answer = ROUTES.iter().find_map(|route| route(self, &ask, world));
        answer.unwrap_or_else(|| Err(Refusal::new(404, "Service not found")))
    }

    fn session(&self, call: &Call<'_>, now: Timestamp) -> Result<Session, Refusal> {
        let token = call.bearer().ok_or_else(|| Refusal::new(401, "No token provided"))?;
        match self.issuer.standing(token, now) {
            Standing::Good(grant) => Ok(Session {
                user: grant.subject.clone(),
                scopes: grant.scopes.clone(),
                is_extended: grant.client == self.applications.extended.0,
            }),
            Standing::Dead => Err(Refusal::new(401, "The access token expired")),
            Standing::Unknown => Err(Refusal::new(401, "Invalid access token")),
        }
    }
}

fn removed(ask: &Ask<'_>) -> Option<u16> {
    let (method, path) = ask.route();
    let fits = |pattern: &str| {
        pattern.split('/').count() == path.len()
            && pattern.split('/').zip(path).all(|(wanted, segment)| wanted == "*" || wanted == *segment)
    };
    let found = REMOVED.iter().find(|(methods, pattern, _)| methods.contains(&method) && fits(pattern));
    found.map(|(.., status)| *status).filter(|_| !ask.session.is_extended)
}

impl Vendor for Service {
    fn answer(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let (method, path) = (call.method.as_str(), call.segments());
        match (method, path.as_slice()) {
            ("GET", ["authorize"]) => self.issuer.authorize(call, world),
            ("POST", ["api", "token"]) => self.issuer.token(call, world),
            (_, ["v1", rest @ ..]) => {
                let rest = rest.to_vec();
                self.api(call, rest, world).unwrap_or_else(|refusal| refusal.answer())
            }
            _ => Refusal::new(404, "Service not found").answer(),
        }
    }

    fn word(&self, trouble: Trouble) -> Option<Answer> {
        let refusal = match trouble {
            Trouble::RateLimited(_) => Refusal::new(429, "API rate limit exceeded"),
            // The words of July 2026.
            Trouble::QuotaExhausted => Refusal::new(429, "Too many requests").because("QUOTA_EXCEEDED"),
            Trouble::Unauthorized => Refusal::new(401, "The access token expired"),
            Trouble::Broken(503) => Refusal::new(503, "Service unavailable"),
            Trouble::Broken(502) => Refusal::new(502, "Bad gateway."),
            Trouble::Broken(status) => Refusal::new(status, "Server error."),
            Trouble::FailedWithSuccess => return None,
        };
        Some(refusal.answer())
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let (id, secret) = &self.applications.extended;
        vec![
            ("access_token", self.tokens.access.clone()),
            ("quota_mode", "extended".to_owned()),
            ("client_id", id.clone()),
            ("client_secret", secret.clone()),
        ]
    }

    fn known(&self) -> Known {
        self.known.clone()
    }

    fn rotate(&mut self) -> Option<(&'static str, String)> {
        let grant = self.issuer.end_access(&self.tokens.access)?;
        self.tokens.access = self.issuer.give_access(grant);
        Some(("access_token", self.tokens.access.clone()))
    }
}

impl Applications {
    fn new(seed: u64) -> Self {
        let pair = |name: &str| {
            let part = |part: &str| invented(HEX, seed, &format!("{name}:{part}"), 32);
            (part("id"), part("secret"))
        };
        Self { extended: pair("extended"), development: pair("development") }
    }
}

fn issuer(seed: u64, applications: &Applications, user: &str) -> Issuer {
    let client = |(id, secret): &(String, String)| Client {
        id: id.clone(),
        secret: Some(secret.clone()),
        public: true,
        redirects: REDIRECTS.iter().map(|&redirect| redirect.to_owned()).collect(),
        scopes: SCOPES.iter().map(|&scope| scope.to_owned()).collect(),
    };
    Issuer::new(seed, POLICY, user)
        .with_client(client(&applications.extended))
        .with_client(client(&applications.development))
}

/// The tokens of the first state, and those of them that somebody asks for by name.
fn given(issuer: &mut Issuer, applications: &Applications, users: &Users) -> (Known, Tokens) {
    let (extended, development) = (&applications.extended.0, &applications.development.0);
    let mut access = |client: &str, user: Option<&str>, scopes: &[&str]| {
        issuer.give_access(Grant::new(client, user, scopes))
    };
    let listener = Some(users.listener.as_str());
    let tokens = Tokens { access: access(extended, listener, SCOPES) };
    let known = Known::new()
        .with("development_token", access(development, listener, SCOPES))
        .with("idle_token", access(extended, Some(&users.idle), SCOPES))
        .with("free_token", access(extended, Some(&users.free), SCOPES))
        .with("narrow_token", access(extended, listener, &["user-read-private"]))
        .with("app_token", access(extended, None, &[]))
        .with("refresh_token", issuer.give_refresh(Grant::new(extended, listener, SCOPES)))
        .with("development_client_id", development)
        .with("development_client_secret", &applications.development.1)
        .with("redirect_uri", REDIRECTS[0]);
    (known, tokens)
}

/// The playlists that are asked for by name.
struct First {
    own: String,
    mixed: String,
    foreign: String,
}

fn first_playlists(playlists: &mut Playlists, catalogue: &Catalogue, users: &Users) -> First {
    let track =
        |index: usize| format!("spotify:track:{}", catalogue.tracks[index % catalogue.tracks.len()].id);
    let tracks = |indices: std::ops::Range<usize>| indices.map(track).collect::<Vec<_>>();
    playlists.first(VENDOR, "Fresh Tides", true, &tracks(0..5));
    playlists.first(VENDOR, "Indie Morning", true, &tracks(2..8));
    let foreign = playlists.first(&users.idle, "Somebody Else's Shelf", true, &tracks(3..6));
    for number in 1..=11 {
        playlists.first(
            &users.listener,
            &format!("Crate {number:02}"),
            number % 3 != 0,
            &tracks(number..number + 3),
        );
    }
    let local = "spotify:local:The+Paper+Lanterns:Demos:Harbour+Lights+Demo:201";
    let mixed = [
        track(0),
        local.to_owned(),
        format!("gone:{}", track(5)),
        format!("spotify:episode:{}", catalogue.episodes[0].id),
        track(7),
    ];
    let mixed = playlists.first(&users.listener, "Mixed bag", true, &mixed);
    let own = playlists.first(&users.listener, "Evening walk", true, &tracks(0..6));
    First { own, mixed, foreign }
}

fn first_accounts(
    catalogue: &Catalogue,
    playlists: &Playlists,
    users: &Users,
    playing: &str,
) -> BTreeMap<String, Account> {
    let seed = catalogue.seed;
    let tracks = playlists.find(playing).map(playlists::Playlist::uris).unwrap_or_default();
    let silent = |user: &str| Player::silent(seed, user);
    let busy = silent(&users.listener).playing(format!("spotify:playlist:{playing}"), tracks, catalogue);
    let account = |id: &str, name: &'static str, is_premium: bool, player: Player| {
        let saved = library::first(catalogue, &[&users.idle]);
        (id.to_owned(), Account { name, is_premium, saved, player })
    };
    BTreeMap::from([
        account(&users.listener, "Paper Crane", true, busy),
        account(&users.idle, "Silent Reed", true, silent(&users.idle)),
        account(&users.free, "Tin Whistle", false, silent(&users.free)),
    ])
}

fn with_catalogue(known: Known, catalogue: &Catalogue, listener: &Account) -> Known {
    let track = &catalogue.tracks[0];
    let (album, artist) = (&catalogue.albums[track.album], &catalogue.artists[track.artists[0]]);
    let devices = &listener.player.devices;
    let known = (1..5)
        .fold(known, |known, index| known.with(&format!("track_{}", index + 1), &catalogue.tracks[index].id));
    known
        .with("track", &track.id)
        .with("track_title", track.song.title)
        .with("track_artist", track.song.artist)
        .with("track_album", track.song.album)
        .with("track_isrc", track.song.isrc)
        .with("track_duration_ms", track.song.duration_ms.to_string())
        .with("album", &album.id)
        .with("album_title", album.title)
        .with("album_upc", &album.upc)
        .with("artist", &artist.id)
        .with("artist_name", artist.name)
        .with("tag", track.song.tags[0])
        .with("show", &catalogue.shows[0].id)
        .with("episode", &catalogue.episodes[0].id)
        .with("audiobook", &catalogue.books[0].id)
        .with("chapter", &catalogue.chapters[0].id)
        .with("device", &devices[0].id)
        .with("device_2", &devices[1].id)
        .with("market", "DE")
        .with("no_track", catalogue::id(catalogue.seed, "track", "nothing"))
}
