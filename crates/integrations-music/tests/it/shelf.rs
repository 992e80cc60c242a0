//! A music service in memory, of which two make two services: its capabilities, faults and lag are the test's.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use integrations_core::driver::{Caps, Driver};
use integrations_core::page::Scope;
use integrations_core::provider::{ProviderSpec, Status};
use integrations_core::{Effect, Error, ErrorKind, Op, Page, PageReq, Result, Safety};
use integrations_music::*;

const CAPS: &[&str] = &[
    "track",
    "search",
    "isrc",
    "playlists",
    "playlist_create",
    "playlist_add",
    "playlist_insert",
    "playlist_remove",
    "playlist_reorder",
    "playlist_replace",
    "playlist_snapshot",
    "library",
    "library_write",
];

static LEFT: ProviderSpec = ProviderSpec::new("left", "Left", "music", Status::Full).caps(CAPS);
static RIGHT: ProviderSpec = ProviderSpec::new("right", "Right", "music", Status::Full).caps(CAPS);
static LIST: Op = Op::new("shelf", "list", Safety::Read);

/// What goes wrong with a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is refused.
    Refused,
    /// It does not arrive, and nobody says so.
    Lost,
    /// It arrives, and nobody says so.
    ReplyLost,
}

struct List {
    playlist: Playlist,
    entries: Vec<PlaylistEntry>,
    version: u64,
    /// What readers still see, and how many more of them.
    stale: Option<(u32, Vec<PlaylistEntry>)>,
}

struct State {
    spec: &'static ProviderSpec,
    lacking: Vec<&'static str>,
    tracks: Vec<Track>,
    lists: Vec<List>,
    saved: Vec<Track>,
    calls: BTreeMap<&'static str, u32>,
    faults: Vec<(&'static str, u32, Fault)>,
    chaos: Option<(fastrand::Rng, f64)>,
    broken: Vec<&'static str>,
    poison: Option<&'static str>,
    lag: u32,
    most: usize,
    page: usize,
}

/// The service. Clones share it.
#[derive(Clone)]
pub(crate) struct Shelf(Arc<Mutex<State>>);

impl Shelf {
    pub(crate) fn left() -> Self {
        Self::of(&LEFT)
    }

    pub(crate) fn right() -> Self {
        Self::of(&RIGHT)
    }

    fn of(spec: &'static ProviderSpec) -> Self {
        Self(Arc::new(Mutex::new(State {
            spec,
            lacking: Vec::new(),
            tracks: Vec::new(),
            lists: Vec::new(),
            saved: Vec::new(),
            calls: BTreeMap::new(),
            faults: Vec::new(),
            chaos: None,
            broken: Vec::new(),
            poison: None,
            lag: 0,
            most: 100,
            page: 3,
        })))
    }

    pub(crate) fn music(&self) -> Music {
        Music::new(self.clone())
    }

    pub(crate) fn without(self, caps: &[&'static str]) -> Self {
        self.state().lacking.extend(caps);
        self
    }

    pub(crate) fn most(self, most: usize) -> Self {
        self.state().most = most;
        self
    }

    pub(crate) fn lag(&self, reads: u32) {
        self.state().lag = reads;
    }

    /// The `nth` call (from 1) of an operation goes wrong.
    pub(crate) fn fault(&self, op: &'static str, nth: u32, fault: Fault) {
        self.state().faults.push((op, nth, fault));
    }

    /// Every call of an operation fails.
    pub(crate) fn broken(&self, op: &'static str, is_broken: bool) {
        let mut state = self.state();
        state.broken.retain(|broken| *broken != op);
        if is_broken {
            state.broken.push(op);
        }
    }

    /// A search for this word is answered by what nobody can read.
    pub(crate) fn poison(&self, word: &'static str) {
        self.state().poison = Some(word);
    }

    /// Writes go wrong at random.
    pub(crate) fn chaos(&self, seed: u64, share: f64) {
        self.state().chaos = (share > 0.0).then(|| (fastrand::Rng::with_seed(seed), share));
    }

    pub(crate) fn calls(&self, op: &str) -> u32 {
        self.state().calls.get(op).copied().unwrap_or(0)
    }

    pub(crate) fn all_calls(&self) -> u32 {
        self.state().calls.values().sum()
    }

    pub(crate) fn stock(&self, tracks: impl IntoIterator<Item = Track>) {
        self.state().tracks.extend(tracks);
    }

    /// A playlist with these tracks of the stock.
    pub(crate) fn list(&self, name: &str, tracks: &[&str]) -> PlaylistId {
        let mut state = self.state();
        let entries = tracks.iter().map(|id| PlaylistEntry::track(state.track(id), None)).collect();
        state.new_list(name, entries)
    }

    /// What is really there, by id; what has no id is its kind.
    pub(crate) fn ids(&self, list: &PlaylistId) -> Vec<String> {
        let state = self.state();
        let list = state.lists.iter().find(|each| each.playlist.id == *list).unwrap();
        list.entries.iter().map(name).collect()
    }

    /// Somebody else changes a playlist, visible at once.
    pub(crate) fn edit(&self, list: &PlaylistId, change: impl FnOnce(&mut Vec<PlaylistEntry>, &[Track])) {
        let mut state = self.state();
        let tracks = state.tracks.clone();
        let list = state.find(list).unwrap();
        list.stale = None;
        change(&mut list.entries, &tracks);
        list.version += 1;
    }

    pub(crate) fn lists(&self) -> Vec<String> {
        self.state().lists.iter().map(|list| list.playlist.name.clone()).collect()
    }

    pub(crate) fn saved(&self) -> Vec<String> {
        self.state().saved.iter().map(|track| track.id.to_string()).collect()
    }

    pub(crate) fn save(&self, ids: &[&str]) {
        let mut state = self.state();
        for id in ids {
            let track = state.track(id);
            state.saved.insert(0, track);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Does a write as the faults say.
    fn write<T>(&self, op: &'static str, act: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.state();
        let lost = || Error::new(ErrorKind::Timeout, Effect::Unknown, "the answer did not come");
        match state.fault(op)? {
            None => act(&mut state),
            Some(Fault::Refused) => Err(Error::new(ErrorKind::Unavailable, Effect::Rejected, "not now")),
            Some(Fault::Lost) => Err(lost()),
            Some(Fault::ReplyLost) => act(&mut state).and(Err(lost())),
        }
    }
}

fn name(entry: &PlaylistEntry) -> String {
    match &entry.track {
        Some(track) if entry.kind == EntryKind::Track => track.id.to_string(),
        _ => entry.kind.to_string(),
    }
}

impl State {
    fn fault(&mut self, op: &'static str) -> Result<Option<Fault>> {
        let count = self.calls.entry(op).or_insert(0);
        *count += 1;
        let nth = *count;
        if self.broken.contains(&op) {
            return Err(Error::new(ErrorKind::Unavailable, Effect::Rejected, "broken"));
        }
        if let Some((_, _, fault)) = self.faults.iter().find(|(of, at, _)| *of == op && *at == nth) {
            return Ok(Some(*fault));
        }
        Ok(self.chaos.as_mut().and_then(|(rng, share)| {
            (rng.f64() < *share).then(|| [Fault::Refused, Fault::Lost, Fault::ReplyLost][rng.usize(..3)])
        }))
    }

    fn track(&self, id: &str) -> Track {
        self.tracks.iter().find(|track| track.id.as_str() == id).unwrap().clone()
    }

    fn new_list(&mut self, name: &str, entries: Vec<PlaylistEntry>) -> PlaylistId {
        let id = PlaylistId::new(format!("list-{}", self.lists.len() + 1));
        let playlist = Playlist::new(&id, name);
        self.lists.push(List { playlist, entries, version: 1, stale: None });
        id
    }

    fn find(&mut self, id: &PlaylistId) -> Result<&mut List> {
        let none = Error::new(ErrorKind::NotFound, Effect::Rejected, "no such list");
        self.lists.iter_mut().find(|list| list.playlist.id == *id).ok_or(none)
    }

    fn seen(&mut self, id: &PlaylistId, seen: Option<&Snapshot>) -> Result<()> {
        let now = Snapshot::new(self.find(id)?.version.to_string());
        if seen.is_some_and(|seen| *seen != now) {
            return Err(Error::new(ErrorKind::Conflict, Effect::Rejected, "another version"));
        }
        Ok(())
    }

    fn change(
        &mut self,
        id: &PlaylistId,
        act: impl FnOnce(&mut Vec<PlaylistEntry>),
    ) -> Result<Option<Snapshot>> {
        let (lag, has_snapshots) = (self.lag, !self.lacking.contains(&"playlist_snapshot"));
        let list = self.find(id)?;
        if lag > 0 {
            let before = list.stale.take().map_or_else(|| list.entries.clone(), |(_, entries)| entries);
            list.stale = Some((lag, before));
        }
        act(&mut list.entries);
        list.version += 1;
        Ok(has_snapshots.then(|| Snapshot::new(list.version.to_string())))
    }

    fn resolve(&self, ids: &[TrackId]) -> Result<Vec<PlaylistEntry>> {
        let find = |id: &TrackId| {
            let track = self.tracks.iter().find(|track| track.id == *id).cloned();
            let none = || Error::new(ErrorKind::NotFound, Effect::Rejected, "no such track");
            track.map(|track| PlaylistEntry::track(track, None)).ok_or_else(none)
        };
        ids.iter().map(find).collect()
    }
}

fn page<T: Clone>(all: &[T], of: &str, size: usize, request: &PageReq) -> Result<Page<T>> {
    let scope = Scope::new(&LIST, &of)?;
    let from = scope.position::<usize>(request.cursor.as_ref())?.unwrap_or(0).min(all.len());
    let to = (from + request.limit.map_or(size, |limit| (limit as usize).min(size))).min(all.len());
    Ok(Page::new(all[from..to].to_vec(), (to < all.len()).then(|| scope.cursor(to))))
}

impl Driver for Shelf {
    fn spec(&self) -> &'static ProviderSpec {
        self.state().spec
    }

    fn caps(&self) -> Caps {
        let state = self.state();
        state.lacking.iter().fold(Caps::of(state.spec), |caps, lacking| caps.without(lacking))
    }

    fn raw(&self) -> &dyn Any {
        self
    }
}

#[async_trait]
impl MusicDriver for Shelf {
    async fn track(&self, id: &TrackId, _market: Option<Market>) -> Result<Track> {
        let mut state = self.state();
        state.fault("track")?;
        let track = state.tracks.iter().find(|track| track.id == *id).cloned();
        track.ok_or_else(|| Error::new(ErrorKind::NotFound, Effect::Rejected, "no such track"))
    }

    /// Every track that has a word of the query, as lenient services do.
    async fn search(&self, query: &Query, request: PageReq) -> Result<Page<Track>> {
        let mut state = self.state();
        state.fault("search")?;
        let words: Vec<String> = [&query.text, &query.title]
            .into_iter()
            .flatten()
            .flat_map(|text| text.to_lowercase().split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        if state.poison.is_some_and(|poison| words.iter().any(|word| word == poison)) {
            return Err(Error::new(ErrorKind::Decode, Effect::Rejected, "the answer makes no sense"));
        }
        let hits: Vec<Track> = state
            .tracks
            .iter()
            .filter(|track| words.iter().any(|word| matching::fold(&track.title).contains(word)))
            .cloned()
            .collect();
        page(&hits, &words.join(" "), 50, &request)
    }

    fn isrc(&self) -> Option<&dyn IsrcDriver> {
        Some(self)
    }

    fn playlists(&self) -> Option<&dyn PlaylistDriver> {
        Some(self)
    }

    fn library(&self) -> Option<&dyn LibraryDriver> {
        Some(self)
    }
}

#[async_trait]
impl IsrcDriver for Shelf {
    async fn tracks_by_isrc(&self, isrc: &Isrc, _market: Option<Market>) -> Result<Vec<Track>> {
        let mut state = self.state();
        state.fault("isrc")?;
        Ok(state.tracks.iter().filter(|track| track.ids.isrc.as_ref() == Some(isrc)).cloned().collect())
    }
}

#[async_trait]
impl PlaylistDriver for Shelf {
    async fn playlists(&self, request: PageReq) -> Result<Page<Playlist>> {
        let mut state = self.state();
        state.fault("lists")?;
        let lists: Vec<_> = state.lists.iter().map(|list| list.playlist.clone()).collect();
        page(&lists, "lists", state.page, &request)
    }

    async fn playlist(&self, id: &PlaylistId) -> Result<Playlist> {
        let mut state = self.state();
        state.fault("playlist")?;
        let has_snapshots = !state.lacking.contains(&"playlist_snapshot");
        let list = state.find(id)?;
        let mut playlist = list.playlist.clone();
        playlist.snapshot = has_snapshots.then(|| Snapshot::new(list.version.to_string()));
        playlist.total = Some(list.entries.len() as u64);
        Ok(playlist)
    }

    async fn entries(
        &self,
        id: &PlaylistId,
        _market: Option<Market>,
        request: PageReq,
    ) -> Result<Page<PlaylistEntry>> {
        let mut state = self.state();
        state.fault("entries")?;
        let size = state.page;
        let list = state.find(id)?;
        let shown = list.stale.as_ref().map_or(&list.entries, |(_, entries)| entries);
        let answer = page(shown, id.as_str(), size, &request)?;
        if answer.next.is_none() {
            list.stale =
                list.stale.take().and_then(|(left, entries)| (left > 1).then(|| (left - 1, entries)));
        }
        Ok(answer)
    }

    async fn create(&self, new: &NewPlaylist) -> Result<Playlist> {
        self.write("create", |state| {
            let id = state.new_list(&new.name, Vec::new());
            Ok(state.find(&id)?.playlist.clone())
        })
    }

    async fn edit(&self, _id: &PlaylistId, _edit: &PlaylistEdit) -> Result<()> {
        self.write("edit", |_| Ok(()))
    }

    async fn delete(&self, id: &PlaylistId) -> Result<()> {
        self.write("delete", |state| {
            state.lists.retain(|list| list.playlist.id != *id);
            Ok(())
        })
    }

    async fn add(&self, id: &PlaylistId, tracks: &[TrackId], at: Option<u32>) -> Result<Option<Snapshot>> {
        self.write("add", |state| {
            let fresh = state.resolve(tracks)?;
            state.change(id, |entries| {
                let at = at.map_or(entries.len(), |at| (at as usize).min(entries.len()));
                entries.splice(at..at, fresh);
            })
        })
    }

    async fn remove(
        &self,
        id: &PlaylistId,
        tracks: &[TrackId],
        seen: Option<&Snapshot>,
    ) -> Result<Option<Snapshot>> {
        self.write("remove", |state| {
            state.seen(id, seen)?;
            let goes =
                |entry: &PlaylistEntry| entry.track.as_ref().is_some_and(|track| tracks.contains(&track.id));
            state.change(id, |entries| entries.retain(|entry| !goes(entry)))
        })
    }

    async fn reorder(
        &self,
        id: &PlaylistId,
        from: u32,
        length: u32,
        before: u32,
        seen: Option<&Snapshot>,
    ) -> Result<Option<Snapshot>> {
        self.write("reorder", |state| {
            state.seen(id, seen)?;
            let (from, length, before) = (from as usize, length as usize, before as usize);
            if from + length > state.find(id)?.entries.len() || before > state.find(id)?.entries.len() {
                return Err(Error::new(ErrorKind::InvalidRequest, Effect::Rejected, "out of range"));
            }
            state.change(id, |entries| {
                let moved: Vec<_> = entries.drain(from..from + length).collect();
                let to = if before > from { before.saturating_sub(length).max(from) } else { before };
                entries.splice(to..to, moved);
            })
        })
    }

    async fn replace(&self, id: &PlaylistId, tracks: &[TrackId]) -> Result<Option<Snapshot>> {
        self.write("replace", |state| {
            let fresh = state.resolve(tracks)?;
            state.change(id, |entries| *entries = fresh)
        })
    }

    fn most_per_write(&self) -> usize {
        self.state().most
    }
}

#[async_trait]
impl LibraryDriver for Shelf {
    async fn saved_tracks(&self, request: PageReq) -> Result<Page<PlaylistEntry>> {
        let mut state = self.state();
        state.fault("saved")?;
        let entries: Vec<_> =
            state.saved.iter().map(|track| PlaylistEntry::track(track.clone(), None)).collect();
        page(&entries, "saved", state.page, &request)
    }

    async fn save_tracks(&self, tracks: &[TrackId]) -> Vec<Result<()>> {
        let save = |id: &TrackId| {
            self.write("save", |state| {
                let track = state.resolve(std::slice::from_ref(id))?.remove(0).track.unwrap();
                if !state.saved.iter().any(|saved| saved.id == track.id) {
                    state.saved.insert(0, track);
                }
                Ok(())
            })
        };
        tracks.iter().map(save).collect()
    }

    async fn remove_tracks(&self, tracks: &[TrackId]) -> Vec<Result<()>> {
        tracks.iter().map(|_| Ok(())).collect()
    }

    async fn has_tracks(&self, tracks: &[TrackId]) -> Result<Vec<bool>> {
        Ok(tracks.iter().map(|_| false).collect())
    }

    async fn saved_albums(&self, _page: PageReq) -> Result<Page<Album>> {
        Ok(Page::new(Vec::new(), None))
    }
}

/// A track with an artist and a duration in seconds.
pub(crate) fn track(id: &str, artist: &str, title: &str, seconds: u64) -> Track {
    let mut track = Track::new(id, title);
    track.artists = vec![ArtistRef::new(None, artist)];
    track.duration_ms = Some(seconds * 1000);
    track
}

/// The same with a code.
pub(crate) fn coded(id: &str, artist: &str, title: &str, seconds: u64, isrc: &str) -> Track {
    let mut track = track(id, artist, title, seconds);
    track.ids.isrc = Some(isrc.parse().unwrap());
    track
}
