//! Users: who they are, what they saved, whom they follow, what they like.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ask::{Ask, Refusal, Reply, base62, instant, linked, ok, uri_parts, with};
use super::catalogue::Catalogue;
use super::player::Player;
use super::playlists::VENDOR;
use super::{BEGINNING, HEX, Service};
use crate::issuer::invented;
use crate::{Answer, World};

/// So many uris go with one request to the library.
const MOST_URIS: usize = 40;

/// Someone with an account.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: &'static str,
    pub(super) is_premium: bool,
    /// What was saved and who is followed, oldest first; playlists know their followers themselves.
    pub(super) saved: Vec<Saved>,
    pub(super) player: Player,
}

/// A thing in a library.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) uri: String,
    pub(super) at: Timestamp,
}

/// A form of the library that applications in development mode lost: its path, the kind of its things, and how many
/// ids go with one request.
const OLD_FORMS: &[(&str, &str, usize)] = &[
    ("tracks", "track", 50),
    ("albums", "album", 20),
    ("episodes", "episode", 50),
    ("shows", "show", 50),
    ("audiobooks", "audiobook", 50),
];

/// What the library takes: the kind, the scopes to change it and to read it, and whether it can be saved.
const KINDS: &[(&str, &str, &str, bool)] = &[
    ("track", "user-library-modify", "user-library-read", true),
    ("album", "user-library-modify", "user-library-read", true),
    ("episode", "user-library-modify", "user-library-read", true),
    ("show", "user-library-modify", "user-library-read", true),
    ("audiobook", "user-library-modify", "user-library-read", true),
    ("user", "user-follow-modify", "user-follow-read", true),
    ("playlist", "playlist-modify-public", "playlist-read-private", true),
    // The description lists artists for asking only.
    ("artist", "user-follow-modify", "user-follow-read", false),
];

/// The answer about users, or nothing if this part has no such route.
pub(super) fn route(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>) -> Option<Reply> {
    let form = |path: &str| OLD_FORMS.iter().find(|(name, ..)| *name == path);
    Some(match ask.route() {
        ("GET", &["me"]) => profile(service, ask),
        ("GET", &["users", user]) => user_profile(service, user),
        ("GET", &["me", "following"]) => following(service, ask),
        ("PUT", &["me", "following"]) => follow(service, ask, world, true),
        ("DELETE", &["me", "following"]) => follow(service, ask, world, false),
        ("GET", &["me", "following", "contains"]) => follows(service, ask),
        ("PUT", &["me", "library"]) => keep(service, ask, world, true),
        ("DELETE", &["me", "library"]) => keep(service, ask, world, false),
        ("GET", &["me", "library", "contains"]) => keeps(service, ask),
        ("GET", &["me", "top", "tracks"]) => top_tracks(service, ask),
        ("GET", &["me", "top", "artists"]) => top_artists(service, ask),
        ("GET", &["me", path]) => list(service, ask, form(path)?.1),
        ("PUT", &["me", path]) => save(service, ask, world, *form(path)?),
        ("DELETE", &["me", path]) => unsave(service, ask, world, *form(path)?),
        ("GET", &["me", path, "contains"]) => {
            let (_, kind, most) = *form(path)?;
            contains(service, ask, kind, most, "user-library-read")
        }
        _ => return None,
    })
}

fn profile(service: &Service, ask: &Ask<'_>) -> Reply {
    let user = ask.user()?;
    let account = service.accounts.get(user).ok_or_else(Refusal::absent)?;
    let mut object = public(service, user);
    object["account_id"] = invented(HEX, service.catalogue.seed, &format!("account:{user}"), 32).into();
    if ask.has("user-read-private") {
        let more = json!({
            "country": "DE",
            "explicit_content": {"filter_enabled": false, "filter_locked": false},
            "product": if account.is_premium { "premium" } else { "free" },
        });
        object = with(object, more);
    }
    if ask.has("user-read-email") {
        object["email"] = format!("{user}@listeners.example").into();
    }
    // Gone in development mode since February 2026.
    ok(&ask.view.lessen(object, &["country", "email", "product", "followers", "explicit_content"]))
}

fn user_profile(service: &Service, user: &str) -> Reply {
    if service.accounts.contains_key(user) || user == VENDOR {
        ok(&public(service, user))
    } else {
        Err(Refusal::absent())
    }
}

fn public(service: &Service, user: &str) -> Value {
    let more = json!({
        "display_name": service.display_name(user),
        "followers": {"href": null, "total": 7},
        "images": service.catalogue.images(user),
    });
    with(linked("user", user), more)
}

fn list(service: &Service, ask: &Ask<'_>, kind: &str) -> Reply {
    let user = ask.user_with(&["user-library-read"])?;
    let account = service.accounts.get(user).ok_or_else(Refusal::absent)?;
    let window = ask.window(20, 50)?;
    let saved: Vec<&Saved> = account.saved.iter().rev().filter(|saved| saved.is(kind)).collect();
    ok(&ask.page(
        window,
        &saved,
        |saved| json!({"added_at": instant(saved.at), kind: shown(&service.catalogue, ask, &saved.uri)}),
    ))
}

fn shown(catalogue: &Catalogue, ask: &Ask<'_>, uri: &str) -> Value {
    let view = &ask.view;
    match uri_parts(uri) {
        Some(("track", id)) => catalogue.track_of(id).map(|track| catalogue.track(view, track)),
        Some(("album", id)) => catalogue.album_of(id).map(|album| catalogue.album(ask, album)),
        Some(("episode", id)) => catalogue.episode_of(id).map(|episode| catalogue.episode(view, episode)),
        Some(("show", id)) => catalogue.show_of(id).map(|show| catalogue.simple_show(view, show)),
        Some(("audiobook", id)) => catalogue.book_of(id).map(|book| catalogue.book(ask, book)),
        _ => None,
    }
    .unwrap_or_default()
}

impl Saved {
    fn is(&self, kind: &str) -> bool {
        uri_parts(&self.uri).is_some_and(|(known, _)| known == kind)
    }
}

impl Account {
    fn keeps(&self, uri: &str) -> bool {
        self.saved.iter().any(|saved| saved.uri == uri)
    }

    fn keep(&mut self, uri: &str, at: Timestamp, keeps: bool) {
        match (keeps, self.keeps(uri)) {
            (true, false) => self.saved.push(Saved { uri: uri.to_owned(), at }),
            (false, true) => self.saved.retain(|saved| saved.uri != uri),
            _ => {}
        }
    }
}

/// Whether a thing can be kept at all. Ids of the right form that stand for nothing are taken as unknown.
fn exists(service: &Service, kind: &str, id: &str) -> bool {
    let catalogue = &service.catalogue;
    match kind {
        "track" => catalogue.track_of(id).is_some(),
        "album" => catalogue.album_of(id).is_some(),
        "artist" => catalogue.artist_of(id).is_some(),
        "episode" => catalogue.episode_of(id).is_some(),
        "show" => catalogue.show_of(id).is_some(),
        "audiobook" => catalogue.book_of(id).is_some(),
        "user" => service.accounts.contains_key(id) || id == VENDOR,
        _ => service.playlists.find(id).is_ok(),
    }
}

fn save(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>, form: (&str, &str, usize)) -> Reply {
    let (_, kind, most) = form;
    ask.user_with(&["user-library-modify"])?;
    let body = ask.body()?;
    let mut wanted: Vec<(String, Timestamp)> = Vec::new();
    // Tracks can be saved with the time that they are to have been saved at.
    for item in body["timestamped_ids"].as_array().filter(|_| kind == "track").into_iter().flatten() {
        let at = item["added_at"].as_str().and_then(|at| at.parse().ok());
        let id = item["id"].as_str().unwrap_or_default();
        base62(id)?;
        wanted.push((id.to_owned(), at.ok_or_else(|| Refusal::bad("Invalid added_at"))?));
    }
    if wanted.is_empty() {
        wanted = ask.ids_anywhere(most)?.into_iter().map(|id| (id, ask.now)).collect();
    }
    set_kept(service, ask, world, kind, &wanted, true)?;
    Ok(Answer::empty(200))
}

fn unsave(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>, form: (&str, &str, usize)) -> Reply {
    let (_, kind, most) = form;
    ask.user_with(&["user-library-modify"])?;
    let wanted: Vec<_> = ask.ids_anywhere(most)?.into_iter().map(|id| (id, ask.now)).collect();
    set_kept(service, ask, world, kind, &wanted, false)?;
    Ok(Answer::empty(200))
}

fn set_kept(
    service: &mut Service,
    ask: &Ask<'_>,
    world: &mut World<'_>,
    kind: &str,
    wanted: &[(String, Timestamp)],
    keeps: bool,
) -> Result<(), Refusal> {
    if !wanted.iter().all(|(id, _)| exists(service, kind, id)) {
        return Err(Refusal::absent());
    }
    let user = ask.user()?.to_owned();
    for (id, at) in wanted {
        let uri = format!("spotify:{kind}:{id}");
        world.ledger.set(if keeps { "save" } else { "remove_saved" }, &uri);
        if kind == "playlist" {
            service.playlists.set_follower(id, &user, keeps)?;
        } else if let Some(account) = service.accounts.get_mut(&user) {
            account.keep(&uri, *at, keeps);
        }
    }
    Ok(())
}

fn contains(service: &Service, ask: &Ask<'_>, kind: &str, most: usize, scope: &str) -> Reply {
    let user = ask.user_with(&[scope])?;
    let ids = if kind == "user" { names(ask, most)? } else { ask.ids(most)? };
    let account = service.accounts.get(user).ok_or_else(Refusal::absent)?;
    let found = ids.iter().map(|id| account.keeps(&format!("spotify:{kind}:{id}")));
    ok(&found.collect())
}

/// The uris of the library, if they are of its kinds and the token may do this with them.
fn uris(ask: &Ask<'_>, writes: bool) -> Result<Vec<(&'static str, String)>, Refusal> {
    let texts: Vec<&str> = ask.required("uris")?.split(',').collect();
    if texts.len() > MOST_URIS {
        return Err(Refusal::bad("Too many uris requested"));
    }
    let uri = |text: &&str| {
        let invalid = || Refusal::bad(format!("Invalid uri: {text}"));
        let (kind, id) = uri_parts(text.trim()).ok_or_else(invalid)?;
        let known = KINDS.iter().find(|(name, .., saves)| *name == kind && (*saves || !writes));
        let (kind, change, read, _) = known.ok_or_else(invalid)?;
        if *kind != "user" {
            base62(id)?;
        }
        ask.user_with(&[if writes { change } else { read }])?;
        Ok((*kind, id.to_owned()))
    };
    texts.iter().map(uri).collect()
}

fn keep(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>, keeps: bool) -> Reply {
    ask.user()?;
    let uris = uris(ask, true)?;
    if !uris.iter().all(|(kind, id)| exists(service, kind, id)) {
        return Err(Refusal::absent());
    }
    for (kind, id) in uris {
        set_kept(service, ask, world, kind, &[(id, ask.now)], keeps)?;
    }
    Ok(Answer::empty(200))
}

fn keeps(service: &Service, ask: &Ask<'_>) -> Reply {
    let user = ask.user()?;
    let uris = uris(ask, false)?;
    let account = service.accounts.get(user).ok_or_else(Refusal::absent)?;
    let kept = |(kind, id): &(&str, String)| match *kind {
        "playlist" => service.playlists.find(id).is_ok_and(|playlist| playlist.followers.contains(user)),
        _ => account.keeps(&format!("spotify:{kind}:{id}")),
    };
    ok(&uris.iter().map(kept).collect())
}

/// Followed artists, in pages that go on behind an id.
fn following(service: &Service, ask: &Ask<'_>) -> Reply {
    let user = ask.user_with(&["user-follow-read"])?;
    if ask.required("type")? != "artist" {
        return Err(Refusal::bad("Invalid type"));
    }
    let limit = ask.window(20, 50)?.limit;
    let account = service.accounts.get(user).ok_or_else(Refusal::absent)?;
    let all: Vec<&str> =
        account.saved.iter().filter_map(|saved| saved.uri.strip_prefix("spotify:artist:")).collect();
    let start = match ask.call.query("after") {
        None => 0,
        Some(after) => {
            base62(after)?;
            all.iter().position(|id| *id == after).map_or(all.len(), |index| index + 1)
        }
    };
    let ids = &all[start..all.len().min(start + limit)];
    let items: Vec<Value> = ids
        .iter()
        .filter_map(|id| Some(service.catalogue.artist(&ask.view, service.catalogue.artist_of(id)?)))
        .collect();
    let limit_text = limit.to_string();
    let last = ids.last().filter(|_| start + limit < all.len());
    let behind = |id: &str| ask.address("me/following", &[("after", id), ("limit", &limit_text)]);
    let href = ask.address("me/following", &[("limit", &limit_text)]);
    let next = if ask.is_loop() { Some(href.clone()) } else { last.map(|id| behind(id)) };
    ok(&json!({"artists": {
        "cursors": {"after": last}, "href": href, "items": items, "limit": limit, "next": next, "total": all.len(),
    }}))
}

fn follow(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>, follows: bool) -> Reply {
    ask.user_with(&["user-follow-modify"])?;
    let kind = followed_kind(ask)?;
    let ids = if kind == "user" { names(ask, 50)? } else { ask.ids_anywhere(50)? };
    let wanted: Vec<_> = ids.into_iter().map(|id| (id, ask.now)).collect();
    set_kept(service, ask, world, kind, &wanted, follows)?;
    Ok(Answer::empty(204))
}

fn follows(service: &Service, ask: &Ask<'_>) -> Reply {
    contains(service, ask, followed_kind(ask)?, 50, "user-follow-read")
}

fn followed_kind(ask: &Ask<'_>) -> Result<&'static str, Refusal> {
    match ask.required("type")? {
        "artist" => Ok("artist"),
        "user" => Ok("user"),
        _ => Err(Refusal::bad("Invalid type")),
    }
}

/// Users' ids, which have any form.
fn names(ask: &Ask<'_>, most: usize) -> Result<Vec<String>, Refusal> {
    let ids: Vec<String> = ask.required("ids")?.split(',').map(ToOwned::to_owned).collect();
    if ids.len() > most { Err(Refusal::bad("Too many ids requested")) } else { Ok(ids) }
}

/// How far the order is turned for a time range, so that each has its own.
fn turn(ask: &Ask<'_>) -> Result<usize, Refusal> {
    match ask.call.query("time_range").unwrap_or("medium_term") {
        "long_term" => Ok(0),
        "medium_term" => Ok(1),
        "short_term" => Ok(2),
        _ => Err(Refusal::bad("Invalid time range")),
    }
}

fn top_tracks(service: &Service, ask: &Ask<'_>) -> Reply {
    ask.user_with(&["user-top-read"])?;
    let mut all: Vec<_> = service.catalogue.tracks.iter().collect();
    all.rotate_left(turn(ask)?);
    ok(&ask.page(ask.window(20, 50)?, &all, |track| service.catalogue.track(&ask.view, track)))
}

fn top_artists(service: &Service, ask: &Ask<'_>) -> Reply {
    ask.user_with(&["user-top-read"])?;
    let mut all: Vec<_> = service.catalogue.artists.iter().collect();
    all.rotate_left(turn(ask)?);
    ok(&ask.page(ask.window(20, 50)?, &all, |artist| service.catalogue.artist(&ask.view, artist)))
}

/// A library of the first state, the first thing saved last.
pub(super) fn first(catalogue: &Catalogue, followed: &[&str]) -> Vec<Saved> {
    let of = |kind: &str, id: &str| format!("spotify:{kind}:{id}");
    let artists = catalogue.artists.iter().take(3).map(|artist| of("artist", &artist.id));
    let uris = catalogue.tracks.iter().map(|track| of("track", &track.id));
    let uris = uris.chain(catalogue.albums.iter().take(3).map(|album| of("album", &album.id)));
    let uris = uris.chain(catalogue.shows.iter().take(1).map(|show| of("show", &show.id)));
    let uris = uris.chain(catalogue.episodes.iter().take(2).map(|episode| of("episode", &episode.id)));
    let uris = uris.chain(catalogue.books.iter().take(1).map(|book| of("audiobook", &book.id)));
    let uris = uris.chain(artists).chain(followed.iter().map(|user| of("user", user)));
    let at = |days: i64| {
        let back = jiff::SignedDuration::from_hours(24 * days);
        BEGINNING.saturating_sub(back).unwrap_or(BEGINNING)
    };
    let mut saved: Vec<Saved> = uris.zip(1..).map(|(uri, days)| Saved { uri, at: at(days) }).collect();
    saved.reverse();
    saved
}
