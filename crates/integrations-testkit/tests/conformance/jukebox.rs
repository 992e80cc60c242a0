//! A model of a music service in this process: a sound one, and ones with a defect each.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use http::{Request, Response};
use integrations_core::driver::{Caps, Driver};
use integrations_core::music::*;
use integrations_core::page::Scope;
use integrations_core::provider::{ProviderSpec, Status};
use integrations_core::{
    Body, Clock, Effect, Error, ErrorKind, Exchange, Op, Page, PageReq, Payload, Result, Safety, Transport,
    TransportError,
};
use integrations_sandbox::{Known, Ledger, Plan, SONGS, Song};
use integrations_testkit::conformance::{Harness, Peer};
use jiff::{SignedDuration, Timestamp};

const CAPS: [&str; MusicCap::ALL.len()] = {
    let mut names = [""; MusicCap::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = MusicCap::ALL[at].as_str();
        at += 1;
    }
    names
};

static SPEC: ProviderSpec = ProviderSpec::new("jukebox", "Jukebox", "music", Status::Full).caps(&CAPS);

thread_local! {
    /// What was told to be heard: the model and its peer have nothing else in common, and a case runs on one thread.
    static HEARD: RefCell<Ledger> = RefCell::default();
}

/// What is wrong with the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    None,
    InventsTracks,
    RepeatsPages,
    TakesAnyCursor,
    ShufflesAlbums,
    MixesUpCodes,
    FindsItselfSimilar,
    WeakTagsFirst,
    CreatesTwice,
    ForgetsName,
    KeepsDeleted,
    AddsInFront,
    InsertsAtEnd,
    RemovesFirstOnly,
    CountsAfterTheMove,
    AddsOnReplace,
    KeepsVersion,
    ForgetsToSave,
    AnswersBackwards,
    OldestFirst,
    SortsOutcomes,
    ForgetsPlays,
    EmptyLibrary,
    CountsOldPlays,
    NeverPauses,
    IgnoresVolume,
    SkipsTwice,
    EmptyToken,
    NoRecommendations,
}

/// Clients of a model, some of whose capabilities are not declared.
pub(crate) fn harness(defect: Defect, lacks: &'static [&'static str]) -> Harness<Music> {
    Harness::over(&SPEC, || Arc::new(Shop), move |_| Ok(client(defect, lacks)))
}

pub(crate) fn client(defect: Defect, lacks: &[&str]) -> Music {
    HEARD.take();
    let caps = lacks.iter().fold(Caps::of(&SPEC), |caps, cap| caps.without(cap));
    Music::new(Jukebox { defect, caps, state: Arc::default() })
}

/// The same over a peer that has nothing.
pub(crate) fn empty_shop() -> Harness<Music> {
    Harness::over(
        &SPEC,
        || Arc::new(EmptyShop(Shop)),
        |_| Ok(Music::new(Jukebox { defect: Defect::None, caps: Caps::of(&SPEC), state: Arc::default() })),
    )
}

fn start() -> Timestamp {
    Timestamp::constant(1_772_452_800, 0)
}

/// The peer: there is no wire, so nothing is ever sent.
struct Shop;

#[async_trait]
impl Transport for Shop {
    async fn send(&self, _: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        unreachable!("the model needs no wire")
    }
}

impl Peer for Shop {
    fn known(&self) -> Known {
        let track = |known: Known, at: usize| known.with(&format!("track_{}", at + 1), at.to_string());
        (1..5)
            .fold(Known::new(), track)
            .with("track", "0")
            .with("track_title", SONGS[0].title)
            .with("track_artist", SONGS[0].artist)
            .with("track_isrc", SONGS[0].isrc)
            .with("track_duration_ms", SONGS[0].duration_ms.to_string())
            .with("album", SONGS[0].album)
            .with("album_title", SONGS[0].album)
            .with("artist", SONGS[0].artist)
            .with("artist_name", SONGS[0].artist)
            .with("tag", "indie")
            .with("playlist", "p0")
            .with("device", "d1")
            .with("no_track", "999")
    }

    fn ledger(&self) -> Ledger {
        HEARD.with_borrow(Clone::clone)
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn clock(&self) -> Clock {
        Clock::virtual_from(start())
    }

    fn plan(&self, _: Plan) {}

    fn faults(&self) -> BTreeMap<&'static str, u64> {
        BTreeMap::new()
    }
}

struct EmptyShop(Shop);

#[async_trait]
impl Transport for EmptyShop {
    async fn send(
        &self,
        request: Request<Body>,
        exchange: Exchange,
    ) -> Result<Response<Payload>, TransportError> {
        self.0.send(request, exchange).await
    }
}

impl Peer for EmptyShop {
    fn known(&self) -> Known {
        Known::new()
    }

    fn ledger(&self) -> Ledger {
        self.0.ledger()
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        self.0.settings()
    }

    fn clock(&self) -> Clock {
        self.0.clock()
    }

    fn plan(&self, plan: Plan) {
        self.0.plan(plan);
    }

    fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.0.faults()
    }
}

struct Jukebox {
    defect: Defect,
    caps: Caps,
    state: Arc<Mutex<State>>,
}

impl Jukebox {
    fn heard(&self, what: &str) {
        if !self.has(Defect::ForgetsPlays) {
            HEARD.with_borrow_mut(|heard| heard.set(what, ""));
        }
    }
}

struct List {
    id: String,
    name: String,
    description: Option<String>,
    tracks: Vec<TrackId>,
    version: u32,
}

struct State {
    lists: Vec<List>,
    made: u32,
    saved: Vec<TrackId>,
    player: PlaybackState,
    queue: Vec<TrackId>,
    at: usize,
}

impl Default for State {
    fn default() -> Self {
        let list = |id: &str, tracks: &[&str]| List {
            id: id.to_owned(),
            name: format!("List {id}"),
            description: None,
            tracks: tracks.iter().map(|id| TrackId::from(*id)).collect(),
            version: 1,
        };
        Self {
            lists: vec![list("p0", &["0", "1", "2", "5"]), list("p1", &["3"])],
            made: 0,
            saved: vec![TrackId::from("2"), TrackId::from("0")],
            player: PlaybackState::default(),
            queue: Vec::new(),
            at: 0,
        }
    }
}

impl State {
    fn list(&mut self, id: &PlaylistId) -> Result<&mut List> {
        self.lists.iter_mut().find(|list| list.id == id.as_str()).ok_or_else(missing)
    }

    fn shown(&self) -> PlaybackState {
        let mut player = self.player.clone();
        player.track = self.queue.get(self.at).and_then(track);
        player
    }
}

impl List {
    fn changed(&mut self, defect: Defect) -> Snapshot {
        self.version += u32::from(defect != Defect::KeepsVersion);
        self.snapshot()
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::from(format!("v{}", self.version))
    }

    fn shown(&self) -> Playlist {
        let mut playlist = Playlist::new(self.id.as_str(), self.name.as_str());
        playlist.description.clone_from(&self.description);
        playlist.total = Some(self.tracks.len() as u64);
        playlist.snapshot = Some(self.snapshot());
        playlist
    }
}

fn missing() -> Error {
    Error::new(ErrorKind::NotFound, Effect::Rejected, "there is none")
}

fn song(at: usize) -> Track {
    let song: &Song = &SONGS[at];
    let mut track = Track::new(at.to_string(), song.title);
    track.artists = vec![ArtistRef::new(Some(song.artist.into()), song.artist)];
    track.duration_ms = Some(song.duration_ms);
    track.ids.isrc = song.isrc.parse().ok();
    track
}

fn track(id: &TrackId) -> Option<Track> {
    id.as_str().parse().ok().filter(|at| *at < SONGS.len()).map(song)
}

fn songs(fits: impl Fn(&Song) -> bool) -> Vec<Track> {
    (0..SONGS.len()).filter(|at| fits(&SONGS[*at])).map(song).collect()
}

/// Different texts, in the order of the catalogue.
fn distinct(name: fn(&Song) -> &'static str, fits: impl Fn(&Song) -> bool) -> Vec<&'static str> {
    let mut names: Vec<_> = SONGS.iter().filter(|song| fits(song)).map(name).collect();
    names.dedup();
    names
}

impl Jukebox {
    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn page<T>(&self, op: &'static Op, query: &str, all: Vec<T>, page: PageReq) -> Result<Page<T>> {
        let query = if self.has(Defect::TakesAnyCursor) { "" } else { query };
        let scope = Scope::new(op, &query)?;
        let from = scope.position::<usize>(page.cursor.as_ref())?.unwrap_or_default();
        let limit = page.limit.unwrap_or(5) as usize;
        let back = usize::from(self.has(Defect::RepeatsPages) && from > 0);
        let next = (from + limit < all.len()).then(|| scope.cursor(from + limit));
        Ok(Page::new(all.into_iter().skip(from - back).take(limit).collect(), next))
    }
}

static SEARCH: Op = Op::new("jukebox", "search", Safety::Read);
static LIST: Op = Op::new("jukebox", "list", Safety::Read);

impl Driver for Jukebox {
    fn spec(&self) -> &'static ProviderSpec {
        &SPEC
    }

    fn caps(&self) -> Caps {
        self.caps.clone()
    }

    fn raw(&self) -> &dyn Any {
        self
    }
}

#[async_trait]
impl MusicDriver for Jukebox {
    async fn track(&self, id: &TrackId, _: Option<Market>) -> Result<Track> {
        let invented = self.has(Defect::InventsTracks).then(|| Track::new(id.clone(), "Untitled"));
        track(id).or(invented).ok_or_else(missing)
    }

    async fn search(&self, query: &Query, page: PageReq) -> Result<Page<Track>> {
        let words = [&query.text, &query.title].into_iter().flatten().cloned().collect::<String>();
        let artist = query.artist.clone().unwrap_or_default();
        let found = songs(|song| song.title.contains(&words) && song.artist.contains(&artist));
        self.page(&SEARCH, &words, found, page)
    }

    fn isrc(&self) -> Option<&dyn IsrcDriver> {
        Some(self)
    }

    fn albums(&self) -> Option<&dyn AlbumDriver> {
        Some(self)
    }

    fn artists(&self) -> Option<&dyn ArtistDriver> {
        Some(self)
    }

    fn artist_info(&self) -> Option<&dyn ArtistInfoDriver> {
        Some(self)
    }

    fn tags(&self) -> Option<&dyn TagDriver> {
        Some(self)
    }

    fn playlists(&self) -> Option<&dyn PlaylistDriver> {
        Some(self)
    }

    fn library(&self) -> Option<&dyn LibraryDriver> {
        Some(self)
    }

    fn history(&self) -> Option<&dyn HistoryDriver> {
        Some(self)
    }

    fn recommendations(&self) -> Option<&dyn RecommendationDriver> {
        Some(self)
    }

    fn scrobbling(&self) -> Option<&dyn ScrobbleDriver> {
        Some(self)
    }

    fn playback(&self) -> Option<&dyn PlaybackDriver> {
        Some(self)
    }

    fn playback_tokens(&self) -> Option<&dyn PlaybackTokenDriver> {
        Some(self)
    }
}

#[async_trait]
impl IsrcDriver for Jukebox {
    async fn tracks_by_isrc(&self, isrc: &Isrc, _: Option<Market>) -> Result<Vec<Track>> {
        Ok(songs(|song| song.isrc == isrc.as_str() || self.has(Defect::MixesUpCodes)))
    }
}

#[async_trait]
impl AlbumDriver for Jukebox {
    async fn album(&self, id: &AlbumId, _: Option<Market>) -> Result<Album> {
        let known = SONGS.iter().find(|song| song.album == id.as_str()).ok_or_else(missing)?;
        Ok(Album::new(id.clone(), known.album))
    }

    async fn album_tracks(&self, id: &AlbumId, _: Option<Market>, page: PageReq) -> Result<Page<Track>> {
        let mut tracks = songs(|song| song.album == id.as_str());
        if self.has(Defect::ShufflesAlbums) && page.limit.is_some() {
            tracks.reverse();
        }
        self.page(&LIST, id.as_str(), tracks, page)
    }

    async fn search_albums(&self, query: &Query, page: PageReq) -> Result<Page<Album>> {
        let words = query.album.clone().unwrap_or_default();
        let names = distinct(|song| song.album, |song| song.album.contains(&words));
        self.page(&SEARCH, &words, names.into_iter().map(|name| Album::new(name, name)).collect(), page)
    }
}

#[async_trait]
impl ArtistDriver for Jukebox {
    async fn artist(&self, id: &ArtistId) -> Result<Artist> {
        let known = SONGS.iter().find(|song| song.artist == id.as_str()).ok_or_else(missing)?;
        Ok(Artist::new(id.clone(), known.artist))
    }

    async fn artist_albums(&self, id: &ArtistId, _: Option<Market>, page: PageReq) -> Result<Page<Album>> {
        let names = distinct(|song| song.album, |song| song.artist == id.as_str());
        self.page(&LIST, id.as_str(), names.into_iter().map(|name| Album::new(name, name)).collect(), page)
    }

    async fn artist_top_tracks(&self, id: &ArtistId, _: Option<Market>) -> Result<Vec<Track>> {
        Ok(songs(|song| song.artist == id.as_str()))
    }

    async fn search_artists(&self, query: &Query, page: PageReq) -> Result<Page<Artist>> {
        let words = query.artist.clone().unwrap_or_default();
        let names = distinct(|song| song.artist, |song| song.artist.contains(&words));
        self.page(&SEARCH, &words, names.into_iter().map(|name| Artist::new(name, name)).collect(), page)
    }
}

#[async_trait]
impl ArtistInfoDriver for Jukebox {
    async fn artist_info(&self, id: &ArtistId) -> Result<ArtistInfo> {
        Ok(ArtistInfo::new(self.artist(id).await?))
    }

    async fn similar_artists(&self, id: &ArtistId) -> Result<Vec<Artist>> {
        let itself = self.has(Defect::FindsItselfSimilar);
        let names = distinct(|song| song.artist, |song| itself || song.artist != id.as_str());
        Ok(names.into_iter().map(|name| Artist::new(name, name)).collect())
    }
}

#[async_trait]
impl TagDriver for Jukebox {
    async fn track_tags(&self, _: &TrackId) -> Result<Vec<Tag>> {
        let mut tags = vec![Tag::new("indie", Some(100)), Tag::new("folk", Some(40))];
        if self.has(Defect::WeakTagsFirst) {
            tags.reverse();
        }
        Ok(tags)
    }

    async fn artist_tags(&self, _: &ArtistId) -> Result<Vec<Tag>> {
        self.track_tags(&TrackId::from("0")).await
    }

    async fn tag_tracks(&self, tag: &str, page: PageReq) -> Result<Page<Track>> {
        self.page(&LIST, tag, songs(|song| song.tags.contains(&tag)), page)
    }
}

#[async_trait]
impl PlaylistDriver for Jukebox {
    async fn playlists(&self, page: PageReq) -> Result<Page<Playlist>> {
        let lists = self.state().lists.iter().map(List::shown).collect();
        self.page(&LIST, "playlists", lists, page)
    }

    async fn playlist(&self, id: &PlaylistId) -> Result<Playlist> {
        self.state().list(id).map(|list| list.shown())
    }

    async fn entries(
        &self,
        id: &PlaylistId,
        _: Option<Market>,
        page: PageReq,
    ) -> Result<Page<PlaylistEntry>> {
        let entry = |id: &TrackId| PlaylistEntry::track(track(id).unwrap(), None);
        let entries = self.state().list(id)?.tracks.iter().map(entry).collect();
        self.page(&LIST, id.as_str(), entries, page)
    }

    async fn create(&self, new: &NewPlaylist) -> Result<Playlist> {
        let mut state = self.state();
        for _ in 0..=usize::from(self.has(Defect::CreatesTwice)) {
            state.made += 1;
            let id = format!("new{}", state.made);
            let (name, description) = (new.name.clone(), new.description.clone());
            state.lists.push(List { id, name, description, tracks: Vec::new(), version: 1 });
        }
        Ok(state.lists.last().unwrap().shown())
    }

    async fn edit(&self, id: &PlaylistId, edit: &PlaylistEdit) -> Result<()> {
        let mut state = self.state();
        if let Some(name) = edit.name.clone().filter(|_| !self.has(Defect::ForgetsName)) {
            state.list(id)?.name = name;
        }
        Ok(())
    }

    async fn delete(&self, id: &PlaylistId) -> Result<()> {
        let keeps = self.has(Defect::KeepsDeleted);
        self.state().lists.retain(|list| keeps || list.id != id.as_str());
        Ok(())
    }

    async fn add(&self, id: &PlaylistId, tracks: &[TrackId], at: Option<u32>) -> Result<Option<Snapshot>> {
        let mut state = self.state();
        let list = state.list(id)?;
        let end = if self.has(Defect::AddsInFront) { 0 } else { list.tracks.len() };
        let at = at.filter(|_| !self.has(Defect::InsertsAtEnd)).map_or(end, |at| at as usize);
        list.tracks.splice(at..at, tracks.to_vec());
        Ok(Some(list.changed(self.defect)))
    }

    async fn remove(
        &self,
        id: &PlaylistId,
        tracks: &[TrackId],
        _: Option<&Snapshot>,
    ) -> Result<Option<Snapshot>> {
        let mut state = self.state();
        let list = state.list(id)?;
        if self.has(Defect::RemovesFirstOnly) {
            let first = list.tracks.iter().position(|track| tracks.contains(track));
            first.map(|at| list.tracks.remove(at));
        } else {
            list.tracks.retain(|track| !tracks.contains(track));
        }
        Ok(Some(list.changed(self.defect)))
    }

    async fn reorder(
        &self,
        id: &PlaylistId,
        from: u32,
        length: u32,
        before: u32,
        seen: Option<&Snapshot>,
    ) -> Result<Option<Snapshot>> {
        let mut state = self.state();
        let list = state.list(id)?;
        if seen.is_some_and(|seen| *seen != list.snapshot()) {
            return Err(Error::new(ErrorKind::Conflict, Effect::Rejected, "it has changed since"));
        }
        let (from, length, before) = (from as usize, length as usize, before as usize);
        let moving: Vec<_> = list.tracks.drain(from..from + length).collect();
        let counts_before = before > from && !self.has(Defect::CountsAfterTheMove);
        let at = if counts_before { before - length } else { before }.min(list.tracks.len());
        list.tracks.splice(at..at, moving);
        Ok(Some(list.changed(self.defect)))
    }

    async fn replace(&self, id: &PlaylistId, tracks: &[TrackId]) -> Result<Option<Snapshot>> {
        let mut state = self.state();
        let list = state.list(id)?;
        if !self.has(Defect::AddsOnReplace) {
            list.tracks.clear();
        }
        list.tracks.extend_from_slice(tracks);
        Ok(Some(list.changed(self.defect)))
    }

    fn most_per_write(&self) -> usize {
        100
    }
}

#[async_trait]
impl LibraryDriver for Jukebox {
    async fn saved_tracks(&self, page: PageReq) -> Result<Page<PlaylistEntry>> {
        let mut saved = self.state().saved.clone();
        saved.retain(|_| !self.has(Defect::EmptyLibrary));
        let at = |at: usize| start() - SignedDuration::from_hours(at as i64);
        let newest = |place: usize| if self.has(Defect::OldestFirst) { at(9 - place) } else { at(place) };
        let entry = |(place, id)| PlaylistEntry::track(track(id).unwrap(), Some(newest(place)));
        self.page(&LIST, "saved", saved.iter().enumerate().map(entry).collect(), page)
    }

    async fn save_tracks(&self, tracks: &[TrackId]) -> Vec<Result<()>> {
        let mut state = self.state();
        for track in tracks.iter().filter(|_| !self.has(Defect::ForgetsToSave)) {
            state.saved.insert(0, track.clone());
        }
        tracks.iter().map(|_| Ok(())).collect()
    }

    async fn remove_tracks(&self, tracks: &[TrackId]) -> Vec<Result<()>> {
        self.state().saved.retain(|track| !tracks.contains(track));
        tracks.iter().map(|_| Ok(())).collect()
    }

    async fn has_tracks(&self, tracks: &[TrackId]) -> Result<Vec<bool>> {
        let state = self.state();
        let mut has: Vec<bool> = tracks.iter().map(|track| state.saved.contains(track)).collect();
        if self.has(Defect::AnswersBackwards) {
            has.sort_unstable();
        }
        Ok(has)
    }

    async fn saved_albums(&self, page: PageReq) -> Result<Page<Album>> {
        let mut albums = vec!["Low Tide", "Takt", "Rooms"];
        albums.retain(|_| !self.has(Defect::EmptyLibrary));
        self.page(&LIST, "albums", albums.iter().map(|name| Album::new(*name, *name)).collect(), page)
    }
}

#[async_trait]
impl HistoryDriver for Jukebox {
    async fn recently_played(&self, page: PageReq) -> Result<Page<Played>> {
        let at = |at: usize| start() - SignedDuration::from_mins(5 * at as i64);
        let at = |place: usize| if self.has(Defect::OldestFirst) { at(9 - place) } else { at(place) };
        let played = (0..5).map(|place| Played::new(song(place), Some(at(place)))).collect();
        self.page(&LIST, "played", played, page)
    }

    async fn top_tracks(&self, period: &Period, page: PageReq) -> Result<Page<Track>> {
        self.page(&LIST, period.as_str(), songs(|song| song.year > 2_000), page)
    }

    async fn top_artists(&self, period: &Period, page: PageReq) -> Result<Page<Artist>> {
        let names = distinct(|song| song.artist, |_| true);
        let artists = names.into_iter().map(|name| Artist::new(name, name)).collect();
        self.page(&LIST, period.as_str(), artists, page)
    }
}

#[async_trait]
impl RecommendationDriver for Jukebox {
    async fn recommend(&self, _: &Seeds, limit: u32, _: Option<Market>) -> Result<Vec<Track>> {
        let most = if self.has(Defect::NoRecommendations) { 0 } else { limit as usize };
        Ok(songs(|_| true).into_iter().take(most).collect())
    }
}

#[async_trait]
impl ScrobbleDriver for Jukebox {
    async fn scrobble(&self, plays: &[Play]) -> Vec<Result<Scrobbled>> {
        let oldest = start() - SignedDuration::from_hours(14 * 24);
        let outcome = |play: &Play| {
            if play.started < oldest && !self.has(Defect::CountsOldPlays) {
                Scrobbled::Ignored(IgnoredReason::TooOld)
            } else {
                Scrobbled::Accepted
            }
        };
        let mut outcomes: Vec<_> = plays.iter().map(outcome).collect();
        if self.has(Defect::SortsOutcomes) {
            outcomes.sort_by_key(|outcome| *outcome == Scrobbled::Accepted);
        }
        for _ in outcomes.iter().filter(|outcome| **outcome == Scrobbled::Accepted) {
            self.heard("scrobble");
        }
        outcomes.into_iter().map(Ok).collect()
    }

    async fn now_playing(&self, _: &Play) -> Result<()> {
        self.heard("now_playing");
        Ok(())
    }
}

#[async_trait]
impl PlaybackDriver for Jukebox {
    async fn state(&self) -> Result<Option<PlaybackState>> {
        Ok(Some(self.state().shown()))
    }

    async fn devices(&self) -> Result<Vec<Device>> {
        Ok(vec![Device::new(Some("d1".into()), "Speaker"), Device::new(Some("d2".into()), "Phone")])
    }

    async fn queue(&self) -> Result<Enqueued> {
        let state = self.state();
        let mut queue = Enqueued::default();
        queue.next = state.queue.iter().skip(state.at + 1).filter_map(track).collect();
        Ok(queue)
    }

    async fn play(&self, what: &PlayRequest, device: Option<&DeviceId>) -> Result<()> {
        let mut state = self.state();
        state.player.playing = true;
        if let Some(device) = device {
            state.player.device = Some(Device::new(Some(device.clone()), "Speaker"));
        }
        if let PlayRequest::Tracks(tracks) = what {
            state.queue.clone_from(tracks);
            state.at = 0;
        }
        Ok(())
    }

    async fn pause(&self, _: Option<&DeviceId>) -> Result<()> {
        self.state().player.playing = self.has(Defect::NeverPauses);
        Ok(())
    }

    async fn next(&self, _: Option<&DeviceId>) -> Result<()> {
        self.state().at += 1 + usize::from(self.has(Defect::SkipsTwice));
        Ok(())
    }

    async fn previous(&self, _: Option<&DeviceId>) -> Result<()> {
        self.state().at -= 1;
        Ok(())
    }

    async fn seek(&self, position_ms: u64, _: Option<&DeviceId>) -> Result<()> {
        self.state().player.position_ms = Some(position_ms);
        Ok(())
    }

    async fn set_volume(&self, percent: u8, _: Option<&DeviceId>) -> Result<()> {
        if let Some(device) = &mut self.state().player.device
            && !self.has(Defect::IgnoresVolume)
        {
            device.volume_percent = Some(percent);
        }
        Ok(())
    }

    async fn set_shuffle(&self, on: bool, _: Option<&DeviceId>) -> Result<()> {
        self.state().player.shuffle = Some(on);
        Ok(())
    }

    async fn set_repeat(&self, mode: &RepeatMode, _: Option<&DeviceId>) -> Result<()> {
        self.state().player.repeat = Some(mode.clone());
        Ok(())
    }

    async fn enqueue(&self, track: &TrackId, _: Option<&DeviceId>) -> Result<()> {
        let mut state = self.state();
        let behind = state.at + 1;
        state.queue.insert(behind, track.clone());
        Ok(())
    }

    async fn transfer(&self, device: &DeviceId, play: bool) -> Result<()> {
        let mut state = self.state();
        state.player.device = Some(Device::new(Some(device.clone()), "Speaker"));
        state.player.playing = play;
        Ok(())
    }
}

#[async_trait]
impl PlaybackTokenDriver for Jukebox {
    async fn playback_token(&self) -> Result<PlaybackToken> {
        let text = if self.has(Defect::EmptyToken) { "" } else { "player-token" };
        Ok(PlaybackToken::new(text.into()))
    }
}
