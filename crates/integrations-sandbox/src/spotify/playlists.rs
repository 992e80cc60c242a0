//! Playlists, with every version that they ever had.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::ask::{Ask, Refusal, Reply, View, base62, instant, linked, ok, uri_parts, with};
use super::catalogue::{Catalogue, id};
use super::fields::selected;
use super::{BEGINNING, HEX, Service};
use crate::issuer::{BASE62, invented};
use crate::{Answer, World};

/// So many items go with one request.
const MOST_ITEMS: usize = 100;
/// The most that a cover's body may have.
const MOST_COVER_BYTES: usize = 256 * 1024;
/// What was written less than this long ago may be missing from lists and searches.
const LAG: SignedDuration = SignedDuration::from_mins(1);
/// The vendor's own account, whose playlists are nobody else's.
pub(super) const VENDOR: &str = "spotify";

/// One place of a playlist.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Tells it from another one with the same uri.
    key: u64,
    pub(super) uri: String,
    at: Timestamp,
    by: String,
    /// What it was is not there any more.
    is_gone: bool,
}

/// A playlist at one time.
#[derive(Debug, Clone)]
pub(super) struct Version {
    snapshot: String,
    pub(super) name: String,
    description: String,
    pub(super) is_public: bool,
    is_collaborative: bool,
    cover: String,
    pub(super) entries: Vec<Entry>,
    at: Timestamp,
}

/// A playlist.
#[derive(Debug)]
pub(super) struct Playlist {
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) followers: BTreeSet<String>,
    /// Oldest first, never empty.
    versions: Vec<Version>,
}

/// All playlists, oldest first.
#[derive(Debug)]
pub(super) struct Playlists {
    seed: u64,
    keys: u64,
    pub(super) all: Vec<Playlist>,
}

/// The answer about playlists, or nothing if this part has no such route.
pub(super) fn route(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>) -> Option<Reply> {
    Some(match ask.route() {
        ("GET", &["me", "playlists"]) => own_list(service, ask),
        ("POST", &["me", "playlists"]) => create(service, ask, world),
        ("GET", &["users", user, "playlists"]) => list_of(service, ask, user),
        ("POST", &["users", user, "playlists"]) => match ask.user() {
            Ok(own) if own == user => create(service, ask, world),
            Ok(_) => Err(Refusal::new(403, "You cannot create a playlist for another user")),
            Err(refusal) => Err(refusal),
        },
        ("GET", &["playlists", id]) => get(service, ask, id),
        ("PUT", &["playlists", id]) => change(service, ask, world, id),
        ("GET", &["playlists", id, "tracks"]) => items(service, ask, id, 100),
        ("GET", &["playlists", id, "items"]) => items(service, ask, id, 50),
        ("POST", &["playlists", id, "tracks" | "items"]) => add(service, ask, world, id),
        ("PUT", &["playlists", id, "tracks" | "items"]) => reorder_or_replace(service, ask, world, id),
        ("DELETE", &["playlists", id, "tracks"]) => remove(service, ask, world, id, "tracks"),
        ("DELETE", &["playlists", id, "items"]) => remove(service, ask, world, id, "items"),
        ("GET", &["playlists", id, "images"]) => cover(service, id),
        ("PUT", &["playlists", id, "images"]) => set_cover(service, ask, world, id),
        ("PUT", &["playlists", id, "followers"]) => follow(service, ask, world, id, true),
        ("DELETE", &["playlists", id, "followers"]) => follow(service, ask, world, id, false),
        ("GET", &["playlists", id, "followers", "contains"]) => follows(service, ask, id),
        _ => return None,
    })
}

fn own_list(service: &Service, ask: &Ask<'_>) -> Reply {
    let user = ask.user_with(&["playlist-read-private"])?;
    let shared = ask.has("playlist-read-collaborative");
    let is_own = |playlist: &Playlist, version: &Version| {
        playlist.followers.contains(user) && (shared || !version.is_collaborative)
    };
    list(service, ask, is_own)
}

/// What another user shows: public playlists. One's own list shows private ones too.
fn list_of(service: &Service, ask: &Ask<'_>, user: &str) -> Reply {
    if service.accounts.contains_key(user) || user == VENDOR {
        let sees_private = ask.session.user.as_deref() == Some(user) && ask.has("playlist-read-private");
        list(service, ask, |playlist, version| {
            playlist.owner == user && (version.is_public || sees_private) && playlist.followers.contains(user)
        })
    } else {
        Err(Refusal::absent())
    }
}

fn list(service: &Service, ask: &Ask<'_>, belongs: impl Fn(&Playlist, &Version) -> bool) -> Reply {
    let window = ask.window(20, 50)?;
    let mut all: Vec<(&Playlist, &Version)> = service
        .playlists
        .all
        .iter()
        .filter_map(|playlist| Some((playlist, playlist.indexed(ask)?)))
        .filter(|(playlist, version)| belongs(playlist, version))
        .collect();
    all.reverse();
    ok(&ask.page(window, &all, |(playlist, version)| simple(service, &ask.view, playlist, version)))
}

fn create(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>) -> Reply {
    let user = ask.user()?.to_owned();
    let body = ask.body()?;
    let details = Details::of(&body)?;
    let name = details.name.clone().ok_or_else(|| Refusal::bad("Missing required field: name"))?;
    let mut version = Version::named(&name);
    details.apply(&mut version)?;
    may_write(ask, &version)?;
    version.at = ask.now;
    world.ledger.added("create_playlist", name);
    let index = service.playlists.add(&user, version);
    let shown = full(service, ask, &service.playlists.all[index]);
    Ok(Answer::json(201, &shown))
}

/// The fields that creating and changing have.
struct Details {
    name: Option<String>,
    description: Option<String>,
    public: Option<bool>,
    collaborative: Option<bool>,
}

impl Details {
    fn of(body: &Value) -> Result<Self, Refusal> {
        let text = |name: &str| match &body[name] {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            _ => Err(Refusal::bad(format!("Invalid {name}"))),
        };
        let flag = |name: &str| match &body[name] {
            Value::Null => Ok(None),
            Value::Bool(flag) => Ok(Some(*flag)),
            _ => Err(Refusal::bad(format!("Invalid {name}"))),
        };
        let name = text("name")?;
        if name.as_deref() == Some("") {
            return Err(Refusal::bad("Missing required field: name"));
        }
        Ok(Self {
            name,
            description: text("description")?,
            public: flag("public")?,
            collaborative: flag("collaborative")?,
        })
    }

    fn apply(self, version: &mut Version) -> Result<(), Refusal> {
        version.is_public = self.public.unwrap_or(version.is_public);
        version.is_collaborative = self.collaborative.unwrap_or(version.is_collaborative);
        if let Some(name) = self.name {
            version.name = name;
        }
        if let Some(description) = self.description {
            version.description = description;
        }
        if version.is_public && version.is_collaborative {
            return Err(Refusal::bad("Collaborative playlists can only be private"));
        }
        Ok(())
    }
}

fn get(service: &Service, ask: &Ask<'_>, id: &str) -> Reply {
    let playlist = service.playlists.readable(ask, id)?;
    ok(&selected(full(service, ask, playlist), ask.call.query("fields")))
}

fn change(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>, id: &str) -> Reply {
    let playlist = service.playlists.owned(ask, id)?;
    let mut version = playlist.latest().clone();
    Details::of(&ask.body()?)?.apply(&mut version)?;
    may_write(ask, &version)?;
    world.ledger.set("change_playlist", format!("{id}:{}:{}", version.name, version.description));
    service.playlists.write(id, ask.now, version);
    Ok(Answer::empty(200))
}

fn items(service: &Service, ask: &Ask<'_>, id: &str, most: usize) -> Reply {
    let playlist = service.playlists.readable(ask, id)?;
    if !shows_items(ask, playlist) {
        return Err(Refusal::new(403, "Forbidden"));
    }
    let window = ask.window(20, most)?;
    let entries = &playlist.latest().entries;
    let page = ask.page(window, entries, |entry| shown_entry(&service.catalogue, &ask.view, entry));
    ok(&selected(page, ask.call.query("fields")))
}

/// In development mode only those who may write a playlist read what is in it.
fn shows_items(ask: &Ask<'_>, playlist: &Playlist) -> bool {
    let user = ask.session.user.as_deref();
    ask.view.is_extended || user == Some(&playlist.owner) || playlist.is_collaborator(user)
}

fn add(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>, id: &str) -> Reply {
    let body = ask.body()?;
    let playlist = service.playlists.writable(ask, id)?;
    let uris = wanted_uris(service, ask, &body)?.ok_or_else(|| Refusal::bad("No uris provided"))?;
    let mut version = playlist.latest().clone();
    let position = match ask.number("position")? {
        Some(position) => Some(position),
        None => whole(&body, "position")?,
    };
    let end = version.entries.len();
    let at = position.map_or(Ok(end), usize::try_from).ok().filter(|at| *at <= end);
    let at = at.ok_or_else(|| Refusal::bad("Index out of bounds."))?;
    let place = position.map_or_else(|| "end".to_owned(), |place| place.to_string());
    world.ledger.added("add_items", format!("{id}:{}:{place}", uris.join(",")));
    let by = ask.user()?.to_owned();
    let new = service.playlists.entries(uris, ask.now, &by);
    version.entries.splice(at..at, new);
    Ok(Answer::json(201, &snapshot(service.playlists.write(id, ask.now, version))))
}

/// The uris of the query, which win over those of the body.
fn wanted_uris(service: &Service, ask: &Ask<'_>, body: &Value) -> Result<Option<Vec<String>>, Refusal> {
    let uris: Vec<String> = match (ask.call.query("uris"), &body["uris"]) {
        (Some(""), _) => Vec::new(),
        (Some(text), _) => text.split(',').map(ToOwned::to_owned).collect(),
        (None, Value::Array(uris)) => {
            uris.iter().map(|uri| uri.as_str().unwrap_or_default().to_owned()).collect()
        }
        (None, Value::Null) => return Ok(None),
        (None, _) => return Err(Refusal::bad("Invalid uris")),
    };
    if uris.len() > MOST_ITEMS {
        return Err(Refusal::bad("You can add a maximum of 100 tracks per request."));
    }
    for uri in &uris {
        if !service.catalogue.plays(uri)? {
            return Err(Refusal::bad("Payload contains a non-existing ID"));
        }
    }
    Ok(Some(uris))
}

fn reorder_or_replace(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>, id: &str) -> Reply {
    let body = ask.body()?;
    service.playlists.writable(ask, id)?;
    let uris = wanted_uris(service, ask, &body)?;
    let moves = ["range_start", "insert_before", "range_length"].iter().any(|name| !body[*name].is_null());
    match uris {
        Some(_) if moves => Err(Refusal::bad("Replacing and reordering exclude each other")),
        Some(uris) => replace(service, ask, world, id, uris),
        None => reorder(service, ask, world, id, &body),
    }
}

fn replace(
    service: &mut Service,
    ask: &Ask<'_>,
    world: &mut World<'_>,
    id: &str,
    uris: Vec<String>,
) -> Reply {
    let mut version = service.playlists.writable(ask, id)?.latest().clone();
    world.ledger.set("replace_items", format!("{id}:{}", uris.join(",")));
    let by = ask.user()?.to_owned();
    version.entries = service.playlists.entries(uris, ask.now, &by);
    ok(&snapshot(service.playlists.write(id, ask.now, version)))
}

/// Moves a stretch. A snapshot tells the version that the numbers count in; the move is carried over to the latest
/// version (developer.spotify.com/documentation/web-api/concepts/playlists).
fn reorder(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>, id: &str, body: &Value) -> Reply {
    let playlist = service.playlists.writable(ask, id)?;
    let named = body["snapshot_id"].as_str();
    let base = &playlist.version(named)?.entries;
    let missing = |name: &str| Refusal::bad(format!("Missing required field: {name}"));
    let start = place(body, "range_start")?.ok_or_else(|| missing("range_start"))?;
    let before = place(body, "insert_before")?.ok_or_else(|| missing("insert_before"))?;
    let length = place(body, "range_length")?.unwrap_or(1);
    let end = start.saturating_add(length);
    if start >= base.len() || end > base.len() || before > base.len() {
        return Err(Refusal::bad("Index out of bounds."));
    }
    let moved: Vec<u64> = base[start..end].iter().map(|entry| entry.key).collect();
    // What follows the gap, without what is moved itself.
    let anchors: Vec<u64> = base[before..].iter().map(|entry| entry.key).collect();
    let mut version = playlist.latest().clone();
    let (taken, mut rest): (Vec<Entry>, Vec<Entry>) =
        version.entries.into_iter().partition(|entry| moved.contains(&entry.key));
    let gap = anchors.iter().find_map(|anchor| rest.iter().position(|entry| entry.key == *anchor));
    let gap = gap.unwrap_or(rest.len());
    rest.splice(gap..gap, taken);
    version.entries = rest;
    let subject = format!("{id}:{start}:{before}:{length}:{}", named.unwrap_or_default());
    match named {
        // The same move out of the same version leads to the same order again.
        Some(_) => world.ledger.set("reorder_items", subject),
        None => world.ledger.added("reorder_items", subject),
    }
    ok(&snapshot(service.playlists.write(id, ask.now, version)))
}

/// Takes every occurrence out. With a snapshot, what was added after that version stays.
fn remove(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>, id: &str, field: &str) -> Reply {
    let body = ask.body()?;
    let playlist = service.playlists.writable(ask, id)?;
    let missing = || Refusal::bad(format!("Missing required field: {field}"));
    let wanted = body[field].as_array().ok_or_else(missing)?;
    let uris: Option<Vec<&str>> = wanted.iter().map(|item| item["uri"].as_str()).collect();
    let uris = uris.filter(|uris| !uris.is_empty()).ok_or_else(missing)?;
    if uris.len() > MOST_ITEMS {
        return Err(Refusal::bad("You can remove a maximum of 100 tracks per request."));
    }
    if let Some(wrong) = uris.iter().find(|uri| uri_parts(uri).is_none()) {
        return Err(Refusal::bad(format!("Invalid track uri: {wrong}")));
    }
    let base = &playlist.version(body["snapshot_id"].as_str())?.entries;
    let gone: BTreeSet<u64> =
        base.iter().filter(|entry| uris.contains(&entry.uri.as_str())).map(|entry| entry.key).collect();
    let mut version = playlist.latest().clone();
    version.entries.retain(|entry| !gone.contains(&entry.key));
    world.ledger.set("remove_items", format!("{id}:{}", uris.join(",")));
    ok(&snapshot(service.playlists.write(id, ask.now, version)))
}

fn cover(service: &Service, id: &str) -> Reply {
    let playlist = service.playlists.find(id)?;
    ok(&images(playlist.latest()))
}

fn set_cover(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>, id: &str) -> Reply {
    ask.user_with(&["ugc-image-upload"])?;
    let mut version = service.playlists.owned(ask, id)?.latest().clone();
    may_write(ask, &version)?;
    if ask.call.header("content-type") != Some("image/jpeg") {
        return Err(Refusal::new(415, "Unsupported content type"));
    }
    if ask.call.body.len() > MOST_COVER_BYTES {
        return Err(Refusal::new(413, "Image too large"));
    }
    let image = STANDARD.decode(ask.call.body.trim_ascii()).ok();
    if !image.is_some_and(|image| image.starts_with(&[0xff, 0xd8, 0xff])) {
        return Err(Refusal::bad("Error while processing the image"));
    }
    let text = String::from_utf8_lossy(ask.call.body);
    version.cover = invented(HEX, service.playlists.seed, &text, 40);
    world.ledger.set("set_playlist_cover", format!("{id}:{}", version.cover));
    service.playlists.write(id, ask.now, version);
    Ok(Answer::empty(202))
}

fn follow(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>, id: &str, follows: bool) -> Reply {
    let user = ask.user()?.to_owned();
    // Whether the playlist is shown on the user's profile decides which scope is needed.
    let is_private = ask.body()?["public"] == json!(false);
    let (public, private) = ("playlist-modify-public", "playlist-modify-private");
    if follows {
        ask.user_with(&[if is_private { private } else { public }])?;
    } else if !ask.has(public) && !ask.has(private) {
        ask.user_with(&[public])?;
    }
    base62(id)?;
    service.playlists.set_follower(id, &user, follows)?;
    world.ledger.set(if follows { "follow_playlist" } else { "unfollow_playlist" }, id);
    Ok(Answer::empty(200))
}

fn follows(service: &Service, ask: &Ask<'_>, id: &str) -> Reply {
    let user = ask.user()?;
    let asked = ask.call.query("ids").unwrap_or(user);
    if asked.split(',').count() != 1 {
        return Err(Refusal::bad("Too many ids requested"));
    }
    ok(&json!([service.playlists.find(id)?.followers.contains(asked)]))
}

/// A number of the body.
fn whole(body: &Value, name: &str) -> Result<Option<i64>, Refusal> {
    match &body[name] {
        Value::Null => Ok(None),
        value => value.as_i64().map(Some).ok_or_else(|| Refusal::bad(format!("Invalid {name}"))),
    }
}

fn place(body: &Value, name: &str) -> Result<Option<usize>, Refusal> {
    let invalid = |_| Refusal::bad(format!("Invalid {name}"));
    whole(body, name)?.map(usize::try_from).transpose().map_err(invalid)
}

fn snapshot(id: String) -> Value {
    json!({"snapshot_id": id})
}

/// Public playlists need one scope, private ones another.
fn may_write(ask: &Ask<'_>, version: &Version) -> Result<(), Refusal> {
    let scope = if version.is_public { "playlist-modify-public" } else { "playlist-modify-private" };
    ask.user_with(&[scope]).map(|_| ())
}

impl Version {
    pub(super) fn named(name: &str) -> Self {
        Self {
            snapshot: String::new(),
            name: name.to_owned(),
            description: String::new(),
            is_public: true,
            is_collaborative: false,
            cover: String::new(),
            entries: Vec::new(),
            at: BEGINNING.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(BEGINNING),
        }
    }
}

impl Playlist {
    fn latest(&self) -> &Version {
        // There is no playlist without a version: it gets one when it is made.
        &self.versions[self.versions.len() - 1]
    }

    /// The version with this snapshot, or the latest where none is named.
    fn version(&self, snapshot: Option<&str>) -> Result<&Version, Refusal> {
        match snapshot {
            None | Some("") => Ok(self.latest()),
            Some(snapshot) => {
                let found = self.versions.iter().find(|version| version.snapshot == snapshot);
                found.ok_or_else(|| Refusal::bad("Invalid snapshot id"))
            }
        }
    }

    /// What lists and searches show of it; while they lag, a version that is not fresh, and nothing of a fresh playlist.
    pub(super) fn indexed(&self, ask: &Ask<'_>) -> Option<&Version> {
        let is_old = |version: &&Version| !ask.lags || ask.now.duration_since(version.at) >= LAG;
        self.versions.iter().rev().find(is_old)
    }

    fn is_collaborator(&self, user: Option<&str>) -> bool {
        self.latest().is_collaborative && user.is_some_and(|user| self.followers.contains(user))
    }

    pub(super) fn uris(&self) -> Vec<String> {
        let entries = self.latest().entries.iter();
        entries.filter(|entry| !entry.is_gone).map(|entry| entry.uri.clone()).collect()
    }
}

impl Playlists {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, keys: 0, all: Vec::new() }
    }

    /// A playlist of the first state, with what it holds; `gone:` before a uri is an item that was removed.
    pub(super) fn first(&mut self, owner: &str, name: &str, is_public: bool, uris: &[String]) -> String {
        let mut version = Version::named(name);
        version.is_public = is_public;
        version.description = format!("{name}, by hand");
        let at = version.at;
        version.entries = self.entries(uris.to_vec(), at, owner);
        for entry in &mut version.entries {
            if let Some(uri) = entry.uri.strip_prefix("gone:") {
                entry.uri = uri.to_owned();
                entry.is_gone = true;
            }
        }
        let index = self.add(owner, version);
        self.all[index].id.clone()
    }

    fn add(&mut self, owner: &str, mut version: Version) -> usize {
        let id = id(self.seed, "playlist", &self.all.len().to_string());
        version.cover = invented(HEX, self.seed, &format!("cover:{id}"), 40);
        version.snapshot = self.snapshot(&id, 0);
        let followers = BTreeSet::from([owner.to_owned()]);
        self.all.push(Playlist { id, owner: owner.to_owned(), followers, versions: vec![version] });
        self.all.len() - 1
    }

    fn snapshot(&self, id: &str, version: usize) -> String {
        format!("AAAA{}", invented(BASE62, self.seed, &format!("snapshot:{id}:{version}"), 28))
    }

    fn entries(&mut self, uris: Vec<String>, at: Timestamp, by: &str) -> Vec<Entry> {
        let entry = |uri| {
            self.keys += 1;
            Entry { key: self.keys, uri, at, by: by.to_owned(), is_gone: false }
        };
        uris.into_iter().map(entry).collect()
    }

    /// Adds a version; its snapshot.
    fn write(&mut self, id: &str, now: Timestamp, mut version: Version) -> String {
        let count = self.find(id).map_or(0, |playlist| playlist.versions.len());
        let snapshot = self.snapshot(id, count);
        version.snapshot.clone_from(&snapshot);
        version.at = now;
        if let Some(playlist) = self.all.iter_mut().find(|playlist| playlist.id == id) {
            playlist.versions.push(version);
        }
        snapshot
    }

    pub(super) fn find(&self, id: &str) -> Result<&Playlist, Refusal> {
        base62(id)?;
        self.all.iter().find(|playlist| playlist.id == id).ok_or_else(Refusal::absent)
    }

    /// The vendor's own playlists are not there for applications in development mode.
    fn present(&self, ask: &Ask<'_>, id: &str) -> Result<&Playlist, Refusal> {
        let playlist = self.find(id)?;
        let is_there = playlist.owner != VENDOR || ask.view.is_extended;
        if is_there { Ok(playlist) } else { Err(Refusal::absent()) }
    }

    fn readable(&self, ask: &Ask<'_>, id: &str) -> Result<&Playlist, Refusal> {
        let playlist = self.present(ask, id)?;
        let version = playlist.latest();
        match (version.is_public, version.is_collaborative) {
            (true, _) => {}
            (false, true) => ask.user_with(&["playlist-read-collaborative"]).map(|_| ())?,
            (false, false) => ask.user_with(&["playlist-read-private"]).map(|_| ())?,
        }
        Ok(playlist)
    }

    fn writable(&self, ask: &Ask<'_>, id: &str) -> Result<&Playlist, Refusal> {
        let user = ask.user()?;
        let playlist = self.present(ask, id)?;
        if playlist.owner != user && !playlist.is_collaborator(Some(user)) {
            return Err(Refusal::new(403, "You cannot change a playlist you don't own."));
        }
        may_write(ask, playlist.latest()).map(|()| playlist)
    }

    fn owned(&self, ask: &Ask<'_>, id: &str) -> Result<&Playlist, Refusal> {
        let user = ask.user()?.to_owned();
        let playlist = self.writable(ask, id)?;
        let refusal = || Refusal::new(403, "You cannot change a playlist you don't own.");
        Some(playlist).filter(|playlist| playlist.owner == user).ok_or_else(refusal)
    }

    pub(super) fn set_follower(&mut self, id: &str, user: &str, follows: bool) -> Result<(), Refusal> {
        let found = self.all.iter_mut().find(|playlist| playlist.id == id);
        let playlist = found.ok_or_else(Refusal::absent)?;
        if follows {
            playlist.followers.insert(user.to_owned());
        } else {
            playlist.followers.remove(user);
        }
        Ok(())
    }
}

/// A user as playlists name one.
fn person(id: &str) -> Value {
    linked("user", id)
}

/// A playlist as lists show it.
pub(super) fn simple(service: &Service, view: &View, playlist: &Playlist, version: &Version) -> Value {
    let kind = |field: &str| {
        json!({
            "href": format!("{}/playlists/{}/{field}", super::ask::API, playlist.id),
            "total": version.entries.len(),
        })
    };
    let more = json!({
        "collaborative": version.is_collaborative,
        "description": version.description,
        "images": images(version),
        "items": kind("items"),
        "name": version.name,
        "owner": with(person(&playlist.owner), json!({"display_name": service.display_name(&playlist.owner)})),
        "public": version.is_public,
        "snapshot_id": version.snapshot,
        "tracks": kind("tracks"),
    });
    view.lessen(with(linked("playlist", &playlist.id), more), &["tracks"])
}

fn images(version: &Version) -> Value {
    json!([{"url": format!("https://i.scdn.co/image/{}", version.cover), "height": 640, "width": 640}])
}

/// A playlist on its own, with the first of its items.
fn full(service: &Service, ask: &Ask<'_>, playlist: &Playlist) -> Value {
    let version = playlist.latest();
    let mut object = simple(service, &ask.view, playlist, version);
    object["followers"] = json!({"href": null, "total": playlist.followers.len()});
    for field in ["items", "tracks"] {
        let path = format!("playlists/{}/{field}", playlist.id);
        object[field] = ask.embedded(&path, 100, &version.entries, |entry| {
            shown_entry(&service.catalogue, &ask.view, entry)
        });
    }
    let object = ask.view.lessen(object, &["tracks"]);
    if shows_items(ask, playlist) { object } else { ask.view.lessen(object, &["items"]) }
}

fn shown_entry(catalogue: &Catalogue, view: &View, entry: &Entry) -> Value {
    let item = if entry.is_gone { Value::Null } else { shown_item(catalogue, view, &entry.uri) };
    let object = json!({
        "added_at": instant(entry.at),
        "added_by": person(&entry.by),
        "is_local": entry.uri.starts_with("spotify:local:"),
        "item": item,
        "track": item,
    });
    view.lessen(object, &["track"])
}

/// A track, an episode or a file of the user's own.
pub(super) fn shown_item(catalogue: &Catalogue, view: &View, uri: &str) -> Value {
    match uri_parts(uri) {
        Some(("track", id)) => catalogue.track_of(id).map(|track| catalogue.track(view, track)),
        Some(("episode", id)) => catalogue.episode_of(id).map(|episode| catalogue.episode(view, episode)),
        Some(("local", file)) => Some(local(view, uri, file)),
        _ => None,
    }
    .unwrap_or_default()
}

/// `artist:album:title:seconds`, with `+` for spaces.
fn local(view: &View, uri: &str, file: &str) -> Value {
    let parts: Vec<String> = file.split(':').map(|part| part.replace('+', " ")).collect();
    let part = |index: usize| parts.get(index).cloned().unwrap_or_default();
    let seconds: u64 = part(3).parse().unwrap_or_default();
    let nothing = json!({"external_urls": {}, "href": null, "id": null, "uri": null});
    let artist = with(nothing.clone(), json!({"name": part(0), "type": "artist"}));
    let album = json!({
        "album_type": null, "artists": [], "available_markets": [], "images": [], "name": part(1),
        "release_date": null, "release_date_precision": null, "type": "album",
    });
    let more = json!({
        "album": with(nothing.clone(), album), "artists": [artist], "available_markets": [], "disc_number": 0,
        "duration_ms": seconds * 1000, "explicit": false, "external_ids": {}, "is_local": true, "name": part(2),
        "popularity": 0, "preview_url": null, "track_number": 0, "type": "track", "uri": uri,
    });
    view.lessen(with(nothing, more), &["popularity", "available_markets"])
}
