use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use integrations_core::{
    Bearer, Body, Classify, Effect, Endpoint, Error, ErrorKind, Exchange, Op, Payload, Transport,
    TransportError, WireResponse,
};
use integrations_music::lastfm::ops::{
    AuthGetMobileSession, AuthGetSession, AuthGetToken, TrackGetInfo, TrackGetSimilar, TrackScrobble,
    TrackSearch, UserGetInfo, UserGetRecentTracks,
};
use integrations_music::lastfm::{Errors, Lastfm, LastfmBuilder, spec};
use integrations_music::{IgnoredReason, Music, MusicCap, Period, Play, Query, Scrobbled, Seeds, TrackId};
use integrations_sandbox::{Call, Sandbox};
use jiff::{SignedDuration, Timestamp};

const HARBOUR: &str = "The+Paper+Lanterns/_/Harbour+Lights";

fn sandbox() -> Sandbox {
    Sandbox::of("lastfm", 0).unwrap()
}

fn setting(sandbox: &Sandbox, name: &str) -> String {
    sandbox.settings().into_iter().find(|(known, _)| *known == name).unwrap().1
}

fn builder(sandbox: &Sandbox) -> LastfmBuilder {
    Lastfm::builder().api_key(setting(sandbox, "api_key")).transport(sandbox.clone()).clock(sandbox.clock())
}

fn with_session(sandbox: &Sandbox) -> LastfmBuilder {
    builder(sandbox)
        .shared_secret(setting(sandbox, "shared_secret"))
        .session_key(setting(sandbox, "session_key"))
        .user(setting(sandbox, "user"))
}

fn music(sandbox: &Sandbox) -> Music {
    Music::new(with_session(sandbox).build().unwrap())
}

fn play(sandbox: &Sandbox, number: i64) -> Play {
    Play::new(
        "Ines Maro",
        format!("Song {number}"),
        sandbox.clock().now() - SignedDuration::from_mins(number),
    )
}

fn answer(op: &'static Op, status: u16, body: &str) -> WireResponse {
    WireResponse::new(op, StatusCode::from_u16(status).unwrap(), HeaderMap::new(), body.to_owned())
}

/// A vendor of which some requests go wrong.
struct Troubled<F> {
    sandbox: Sandbox,
    requests: Arc<AtomicU32>,
    trouble: F,
}

#[async_trait::async_trait]
impl<F: Fn(u32) -> Option<(u16, &'static str)> + Send + Sync + 'static> Transport for Troubled<F> {
    async fn send(
        &self,
        request: Request<Body>,
        exchange: Exchange,
    ) -> Result<Response<Payload>, TransportError> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        match (self.trouble)(number) {
            None => self.sandbox.send(request, exchange).await,
            Some((status, body)) => {
                let mut response = Response::new(Payload::from(bytes::Bytes::from_static(body.as_bytes())));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                Ok(response)
            }
        }
    }
}

fn troubled(
    sandbox: &Sandbox,
    trouble: impl Fn(u32) -> Option<(u16, &'static str)> + Send + Sync + 'static,
) -> (Music, Arc<AtomicU32>) {
    let requests = Arc::new(AtomicU32::new(0));
    let transport = Troubled { sandbox: sandbox.clone(), requests: requests.clone(), trouble };
    (Music::new(with_session(sandbox).transport(transport).build().unwrap()), requests)
}

#[cfg(feature = "dynamic")]
#[test]
fn goldens_hold_and_bear_hostile_answers() {
    use integrations_music::lastfm::ops::OPS;
    use integrations_testkit::golden::{Goldens, setup};
    use integrations_testkit::hostile;

    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/lastfm/golden");
    let load = || Goldens::load(&spec::SPEC, OPS, folder).unwrap();
    let connect = |sandbox: &Sandbox| Ok(Lastfm::open(&setup(&spec::SPEC, sandbox)?)?.caller().clone());
    load().check(connect).unwrap();
    hostile::check(&load(), &Errors).unwrap();
}

#[test]
fn a_call_is_a_query_or_a_form_on_the_one_address() {
    let base: Uri = spec::SPEC.hosts[0].url.parse().unwrap();
    let search = TrackSearch { track: "a & b".to_owned(), artist: None, limit: Some(2), page: None };
    let request = search.request(&base).unwrap();
    let expected = "https://ws.audioscrobbler.com/2.0/?method=track.search&track=a%20%26%20b&limit=2";
    assert_eq!((request.method(), request.uri().to_string().as_str()), (&Method::GET, expected));
    let mut play =
        Play::new("Ä", "B", Timestamp::from_second(1_700_000_000).unwrap()).album("C").duration_ms(61_500);
    play.chosen = Some(false);
    let request = TrackScrobble { plays: vec![play] }.request(&base).unwrap();
    assert_eq!(
        (request.method(), request.uri().to_string().as_str()),
        (&Method::POST, "https://ws.audioscrobbler.com/2.0/")
    );
    let form = "method=track.scrobble&artist%5B0%5D=%C3%84&track%5B0%5D=B&album%5B0%5D=C&duration%5B0%5D=61\
                &timestamp%5B0%5D=1700000000&chosenByUser%5B0%5D=0";
    assert_eq!(std::str::from_utf8(request.body().as_bytes().unwrap()).unwrap(), form);
}

#[test]
fn each_error_code_has_its_kind_and_effect_under_any_status() {
    use ErrorKind::{
        Conflict, InvalidRequest, NotFound, PermissionDenied, RateLimited, ReauthRequired, Unauthenticated,
        Unavailable, Unsupported,
    };
    let table = [
        (2, Unsupported, Effect::Rejected, false),
        (3, Unsupported, Effect::Rejected, false),
        (4, Unauthenticated, Effect::Rejected, false),
        (5, InvalidRequest, Effect::Rejected, false),
        (6, InvalidRequest, Effect::Rejected, false),
        (7, NotFound, Effect::Rejected, false),
        (8, Unavailable, Effect::Unknown, true),
        (9, ReauthRequired, Effect::Rejected, false),
        (10, Unauthenticated, Effect::Rejected, false),
        (11, Unavailable, Effect::Rejected, true),
        (12, PermissionDenied, Effect::Rejected, false),
        (13, Unauthenticated, Effect::Rejected, false),
        (14, Conflict, Effect::Rejected, false),
        (15, ReauthRequired, Effect::Rejected, false),
        (16, Unavailable, Effect::Unknown, true),
        (17, PermissionDenied, Effect::Rejected, false),
        (26, PermissionDenied, Effect::Rejected, false),
        (27, Unsupported, Effect::Rejected, false),
        (29, RateLimited, Effect::Rejected, true),
    ];
    for status in [200, 400, 403, 500] {
        for (code, kind, effect, retryable) in table {
            for body in [format!(r#"{{"error":{code},"message":"no"}}"#), format!(r#"{{"error":"{code}"}}"#)]
            {
                let error =
                    Errors.classify(TrackSearch::OP, &answer(TrackSearch::OP, status, &body)).unwrap();
                assert_eq!((error.kind(), error.effect()), (kind, effect), "{status} {code}");
                assert_eq!((error.is_retryable(), error.code()), (retryable, Some(&*code.to_string())));
            }
        }
    }
}

#[test]
fn code_6_means_two_things_and_what_is_no_envelope_is_left_to_the_status() {
    let classify =
        |status, body: &str| Errors.classify(TrackSearch::OP, &answer(TrackSearch::OP, status, body));
    for message in ["Track not found", "The artist you supplied could not be found", "No such page"] {
        let error = classify(200, &format!(r#"{{"error":6,"message":"{message}"}}"#)).unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{message}");
    }
    let unknown = |status| classify(status, r#"{"error":77,"message":"new"}"#).unwrap().kind();
    assert_eq!((unknown(200), unknown(400)), (ErrorKind::Unexpected, ErrorKind::InvalidRequest));
    for body in ["{}", "[]", "<html>", r#"{"error":null}"#, r#"{"track":{}}"#] {
        assert!(classify(500, body).is_none(), "{body}");
    }
}

#[test]
fn a_list_may_be_one_thing_or_a_text_and_numbers_are_texts() {
    let call = TrackSearch { track: "x".to_owned(), artist: None, limit: None, page: None };
    let search = |matches: &str| {
        let body = format!(
            r#"{{"results":{{"opensearch:totalResults":"7","opensearch:itemsPerPage":3,"trackmatches":{matches}}}}}"#
        );
        call.response(answer(TrackSearch::OP, 200, &body))
    };
    let one = r#"{"name":"A","artist":"B","mbid":"","listeners":"12"}"#;
    for (matches, count) in [
        (format!(r#"{{"track":{one}}}"#), 1),
        (format!(r#"{{"track":[{one},null,{one}]}}"#), 2),
        (r#"{"track":[]}"#.to_owned(), 0),
        (r#"{"track":""}"#.to_owned(), 0),
        (r#""\n""#.to_owned(), 0),
        ("null".to_owned(), 0),
    ] {
        let found = search(&matches).unwrap();
        assert_eq!((found.items.len(), found.last, found.total), (count, Some(3), Some(7)), "{matches}");
        assert!(found.items.iter().all(|track| track.extra["listeners"] == 12 && track.ids.mbid.is_none()));
    }
    for lacking in [r#"{"track":{"name":"A"}}"#, r#"{"track":[{"artist":"B"}]}"#] {
        assert_eq!(search(lacking).unwrap_err().kind(), ErrorKind::Decode, "{lacking}");
    }
    for wrong in ["{}", "[]", r#"{"results":null}"#, "<lfm/>"] {
        let error = call.response(answer(TrackSearch::OP, 200, wrong)).unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Decode, Effect::Rejected), "{wrong}");
    }
}

#[test]
fn what_is_playing_now_has_no_date_and_stars_are_no_pictures() {
    let body = r##"{"recenttracks":{"@attr":{"page":"1","totalPages":"2","total":"3"},"track":[
        {"name":"A","artist":{"#text":"X","mbid":""},"album":{"#text":"L","mbid":""},"@attr":{"nowplaying":"true"},
         "image":[{"size":"large","#text":"https://i/2a96cbd8b46e442fc41c2b86b821562f.png"}]},
        {"name":"B","artist":{"#text":"X"},"album":{"#text":""},"date":{"uts":"1718150100","#text":"11 Jun 2024"},
         "image":[{"size":"small","#text":"https://i/s.png"},{"size":"extralarge","#text":"https://i/x.png"},
                  {"size":"medium","#text":""}]}]}}"##;
    let call = UserGetRecentTracks { user: "ada".to_owned(), ..Default::default() };
    let page = call.response(answer(UserGetRecentTracks::OP, 200, body)).unwrap();
    let [playing, heard] = &page.items[..] else { panic!("two plays") };
    assert_eq!((playing.at, playing.track.images.len()), (None, 0));
    assert_eq!(playing.track.album.as_ref().unwrap().id.as_ref().unwrap().as_str(), "X/L");
    assert_eq!(heard.at.unwrap().to_string(), "2024-06-11T23:55:00Z");
    assert_eq!((heard.track.album.is_none(), heard.track.id.as_str()), (true, "X/_/B"));
    let pictures: Vec<_> = heard.track.images.iter().map(|i| (i.url.as_str(), i.width)).collect();
    assert_eq!(pictures, [("https://i/x.png", Some(300)), ("https://i/s.png", Some(34))]);
}

#[test]
fn outcomes_that_cannot_be_told_apart_are_a_decode_error_of_something_that_happened() {
    let plays = vec![Play::new("A", "B", Timestamp::UNIX_EPOCH), Play::new("A", "C", Timestamp::UNIX_EPOCH)];
    let call = TrackScrobble { plays };
    let body =
        r#"{"scrobbles":{"scrobble":{"ignoredMessage":{"code":"0"}},"@attr":{"accepted":1,"ignored":0}}}"#;
    let error = call.response(answer(TrackScrobble::OP, 200, body)).unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Decode, Effect::Applied));
}

#[tokio::test(start_paused = true)]
async fn the_catalogue_is_read_with_the_key_alone() {
    let sandbox = sandbox();
    let music = Music::new(builder(&sandbox).build().unwrap());
    let track = music.track(HARBOUR).await.unwrap();
    assert_eq!(
        (track.title.as_str(), track.artist(), track.duration_ms),
        ("Harbour Lights", "The Paper Lanterns", Some(214_000))
    );
    let album = track.album.clone().unwrap();
    assert_eq!(
        (album.title.as_str(), album.id.unwrap().as_str()),
        ("Low Tide", "The+Paper+Lanterns/Low+Tide")
    );
    assert_eq!(track.url.as_deref(), Some("https://www.last.fm/music/The+Paper+Lanterns/_/Harbour+Lights"));
    let by_mbid = music.track(track.ids.mbid.clone().unwrap()).await.unwrap();
    assert_eq!(by_mbid.id, track.id);
    let missing = music.track("The+Paper+Lanterns/_/No+Such+Song").await.unwrap_err();
    assert_eq!((missing.kind(), missing.status()), (ErrorKind::NotFound, Some(200)));

    let query = Query::from("lights").artist("paper lanterns");
    let found = music.search(query).collect_up_to(10).await.unwrap();
    assert_eq!(
        found.iter().map(|track| track.id.as_str()).collect::<Vec<_>>(),
        [HARBOUR, "The+Paper+Lanterns/_/Harbour+Lights+%28Live%29"]
    );
    assert!(music.search("no such words at all").collect_up_to(10).await.unwrap().is_empty());

    let albums = music.albums().unwrap();
    let album = albums.get("The+Paper+Lanterns/Low+Tide", None).await.unwrap();
    assert_eq!((album.title.as_str(), album.total_tracks, album.images.len()), ("Low Tide", Some(3), 4));
    let tracks = albums.tracks("The+Paper+Lanterns/Low+Tide", None).collect_up_to(10).await.unwrap();
    assert_eq!(
        tracks.iter().map(|track| track.duration_ms.unwrap()).collect::<Vec<_>>(),
        [214_000, 187_000, 301_000]
    );
    let alone = albums.tracks("The+Paper+Lanterns/Live+at+the+Pier", None).collect_up_to(10).await.unwrap();
    assert_eq!(alone.len(), 1);
    assert_eq!(albums.search(Query::from("takt")).collect_up_to(5).await.unwrap()[0].title, "Takt");
    assert!(albums.search(Query::from("takt").artist("Ines")).collect_up_to(5).await.unwrap().is_empty());

    let artists = music.artists().unwrap();
    assert_eq!(artists.get("Maschinenhaus").await.unwrap().genres, ["electronic", "krautrock", "ambient"]);
    assert_eq!(artists.albums("The Paper Lanterns", None).collect_up_to(9).await.unwrap().len(), 2);
    assert_eq!(artists.top_tracks("Maschinenhaus", None).await.unwrap()[0].title, "Neun Uhr");
    assert_eq!(artists.search("ostrov").collect_up_to(5).await.unwrap()[0].id.as_str(), "Quartet Ostrov");
    assert_eq!(artists.get("Nobody").await.unwrap_err().kind(), ErrorKind::NotFound);

    let info = music.artist_info("Ines Maro").await.unwrap();
    assert_eq!(
        (info.biography.as_deref(), info.similar[0].name.as_str()),
        (Some("Ines Maro does not exist."), "Maschinenhaus")
    );
    assert!(info.plays > info.listeners && info.artist.images.is_empty());
    assert_eq!(music.similar_artists("Ines Maro").await.unwrap()[0].name, "Maschinenhaus");

    let tags = music.tags().unwrap();
    let of_track = tags.of_track(HARBOUR).await.unwrap();
    assert_eq!((of_track[0].name.as_str(), of_track[0].weight), ("indie", Some(100)));
    assert_eq!(tags.of_artist("Quartet Ostrov").await.unwrap()[1].weight, Some(50));
    assert_eq!(tags.tracks("electronic").collect_up_to(50).await.unwrap().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn pages_are_numbers_and_keep_their_length() {
    let sandbox = sandbox();
    let history = music(&sandbox);
    let history = history.history().unwrap();
    let first = history.recently_played().limit(30).page().await.unwrap();
    assert_eq!((first.items.len(), first.total), (30, Some(78)));
    let second = history.recently_played().limit(7).from(first.next.clone()).page().await.unwrap();
    assert_eq!(second.items.len(), 30, "the length is that of the pages before");
    let all = history.recently_played().limit(30).collect_up_to(100).await.unwrap();
    assert_eq!(all.len(), 78);
    assert!(all.windows(2).all(|pair| pair[0].at > pair[1].at));
    let error = history.top_tracks(Period::All).from(first.next).page().await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::InvalidRequest, Effect::NotSent));
}

#[tokio::test(start_paused = true)]
async fn a_history_tells_what_was_heard_most() {
    let sandbox = sandbox();
    let music = music(&sandbox);
    let history = music.history().unwrap();
    let tracks = history.top_tracks(Period::All).collect_up_to(3).await.unwrap();
    assert_eq!((tracks[0].title.as_str(), &tracks[0].extra["playcount"]), ("Harbour Lights", &12.into()));
    assert_eq!(tracks[0].duration_ms, Some(214_000), "lists count seconds");
    let artists = history.top_artists(Period::Month).collect_up_to(3).await.unwrap();
    assert_eq!(artists[0].name, "The Paper Lanterns");
    assert!(history.top_tracks(Period::from("7day")).page().await.unwrap().total.unwrap() <= 12);
}

#[tokio::test(start_paused = true)]
async fn loving_is_per_track_and_can_be_taken_back() {
    let sandbox = sandbox();
    let music = music(&sandbox);
    let library = music.library().unwrap();
    let mbid = music.track(HARBOUR).await.unwrap().ids.mbid.unwrap();
    let ids = [TrackId::from(mbid), "The+Paper+Lanterns/_/No+Such+Song".into(), "no id".into()];
    let outcomes = library.save(&ids).await.unwrap();
    assert!(outcomes[0].is_ok());
    let kinds: Vec<_> = outcomes[1..].iter().map(|outcome| outcome.as_ref().unwrap_err().kind()).collect();
    assert_eq!(kinds, [ErrorKind::NotFound, ErrorKind::InvalidRequest]);
    let others: [TrackId; 2] = [HARBOUR.into(), "Ines+Maro/_/%C3%87a+Monte".into()];
    assert_eq!(library.has(&others).await.unwrap(), [true, false]);
    let loved = library.tracks().collect_up_to(10).await.unwrap();
    assert_eq!((loved.len(), loved[0].track.as_ref().unwrap().id.as_str()), (4, HARBOUR));
    assert!(loved[0].added_at > loved[1].added_at && loved[0].added_at <= Some(sandbox.clock().now()));
    assert!(library.remove(&others[..1]).await.unwrap()[0].is_ok());
    assert_eq!(library.has(&others[..1]).await.unwrap(), [false]);
    let stranger = Music::new(builder(&sandbox).user("nobody-known").build().unwrap());
    let error = stranger.library().unwrap().has(&others[..1]).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Decode, Effect::Rejected), "not a no");
    let changes: Vec<_> = sandbox.ledger().changes().iter().map(|change| change.what.clone()).collect();
    assert_eq!(changes, ["love", "unlove"]);
}

#[tokio::test(start_paused = true)]
async fn each_scrobble_has_its_outcome() {
    let sandbox = sandbox();
    let music = music(&sandbox);
    let now = sandbox.clock().now();
    let days = |days: i64| now + SignedDuration::from_hours(24 * days);
    let plays = [
        Play::new("Ines Maro", "Ça Monte", days(0)).album("Upward").duration_ms(176_000),
        Play::new(" ", "Ça Monte", days(0)),
        Play::new("Ines Maro", " ", days(0)),
        Play::new("Ines Maro", "Ça Monte", days(-15)),
        Play::new("Ines Maro", "Ça Monte", days(2)),
    ];
    let outcomes: Vec<_> =
        music.scrobbling().unwrap().scrobble(&plays).await.unwrap().into_iter().map(Result::unwrap).collect();
    let ignored = [IgnoredReason::Artist, IgnoredReason::Track, IgnoredReason::TooOld, IgnoredReason::TooNew];
    let expected: Vec<_> = [Scrobbled::Accepted].into_iter().chain(ignored.map(Scrobbled::Ignored)).collect();
    assert_eq!(outcomes, expected);
    let changes = sandbox.ledger();
    let subject = format!("Ines Maro|Ça Monte|{}", now.as_second());
    assert_eq!(changes.changes().iter().map(|change| &change.subject).collect::<Vec<_>>(), [&subject]);
    let latest = music.history().unwrap().recently_played().collect_up_to(1).await.unwrap();
    assert_eq!(latest[0].track.title, "Ça Monte");
}

#[test]
fn all_reasons_are_known_and_new_ones_are_kept() {
    let call = TrackScrobble { plays: vec![Play::new("A", "B", Timestamp::UNIX_EPOCH)] };
    let outcome = |code: &str| {
        let body = format!(r#"{{"scrobbles":{{"scrobble":{{"ignoredMessage":{{"code":{code}}}}}}}}}"#);
        call.response(answer(TrackScrobble::OP, 200, &body)).unwrap().remove(0)
    };
    assert_eq!(outcome("\"0\""), Scrobbled::Accepted);
    assert_eq!(outcome("5"), Scrobbled::Ignored(IgnoredReason::DailyLimit));
    assert_eq!(outcome("\"9\""), Scrobbled::Ignored(IgnoredReason::from("9")));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_fails_alone_and_is_sent_once() {
    let sandbox = sandbox();
    let (music, requests) = troubled(&sandbox, |number| (number == 2).then_some((500, "<html>")));
    let plays: Vec<_> = (0..120).map(|number| play(&sandbox, number)).collect();
    let outcomes = music.scrobbling().unwrap().scrobble(&plays).await.unwrap();
    let is_good: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    let expected: Vec<bool> = (0..120).map(|number| !(50..100).contains(&number)).collect();
    assert_eq!((is_good, requests.load(Ordering::Relaxed)), (expected, 3));
    let error = outcomes[50].as_ref().unwrap_err();
    assert_eq!(
        (error.kind(), error.effect(), error.is_retryable()),
        (ErrorKind::Unavailable, Effect::Unknown, true)
    );
    assert_eq!(sandbox.ledger().changes().len(), 70);
}

#[tokio::test(start_paused = true)]
async fn a_passing_failure_under_status_200_is_retried_for_reads_only() {
    let sandbox = sandbox();
    for code in [r#"{"error":8}"#, r#"{"error":11}"#, r#"{"error":16,"message":"x"}"#] {
        let (music, requests) = troubled(&sandbox, move |number| (number == 1).then_some((200, code)));
        assert_eq!(music.track(HARBOUR).await.unwrap().title, "Harbour Lights");
        assert_eq!(requests.load(Ordering::Relaxed), 2);
        let (music, requests) = troubled(&sandbox, move |_| Some((200, code)));
        let outcome = music.scrobbling().unwrap().scrobble(&[play(&sandbox, 1)]).await.unwrap().remove(0);
        assert_eq!((outcome.unwrap_err().is_retryable(), requests.load(Ordering::Relaxed)), (true, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_being_heard_is_shown_and_never_sent_twice() {
    let sandbox = sandbox();
    let music = music(&sandbox);
    let heard = Play::new("Ines Maro", "Glass Elevator", sandbox.clock().now()).duration_ms(198_300);
    music.scrobbling().unwrap().now_playing(&heard).await.unwrap();
    let first = music.history().unwrap().recently_played().limit(1).page().await.unwrap();
    assert_eq!((first.items.len(), first.items[0].at), (2, None), "one more than asked for");
    let (music, requests) = troubled(&sandbox, |_| Some((503, "")));
    assert!(music.scrobbling().unwrap().now_playing(&heard).await.is_err());
    assert_eq!(requests.load(Ordering::Relaxed), 1);
    let ignored = r##"{"nowplaying":{"ignoredMessage":{"code":"1","#text":"x"}}}"##;
    let (music, _) = troubled(&sandbox, move |_| Some((200, ignored)));
    let error = music.scrobbling().unwrap().now_playing(&heard).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Declined, Effect::Rejected));
}

#[tokio::test(start_paused = true)]
async fn what_an_instance_can_do_depends_on_its_session_and_its_user() {
    let sandbox = sandbox();
    let of_user = [
        MusicCap::Library,
        MusicCap::LibraryCheck,
        MusicCap::RecentlyPlayed,
        MusicCap::TopTracks,
        MusicCap::TopArtists,
    ];
    let of_session = [MusicCap::LibraryWrite, MusicCap::Scrobble, MusicCap::NowPlaying];
    let user = setting(&sandbox, "user");
    let key = Music::new(builder(&sandbox).build().unwrap());
    let reader = Music::new(builder(&sandbox).user(user).build().unwrap());
    let whole = music(&sandbox);
    for (music, has_user, has_session) in [(&key, false, false), (&reader, true, false), (&whole, true, true)]
    {
        assert!(of_user.iter().all(|cap| music.can(*cap) == has_user));
        assert!(of_session.iter().all(|cap| music.can(*cap) == has_session));
        assert!(music.can(MusicCap::Search) && !music.can(MusicCap::Isrc) && !music.can(MusicCap::Playlists));
    }
    assert!(reader.history().unwrap().recently_played().page().await.is_ok());

    let before = sandbox.requests();
    let mut refused: Vec<Error> = Vec::new();
    refused.extend(key.history().err());
    refused.extend(key.library().err());
    refused.extend(key.scrobbling().err());
    refused.extend(reader.library().unwrap().save(&[HARBOUR.into()]).await.err());
    refused.extend(whole.library().unwrap().albums().page().await.err());
    refused.extend(whole.playlists().err());
    refused.extend(whole.playback().err());
    refused.extend(whole.recommend(&Seeds::default(), 1, None).await.err());
    refused.extend(whole.tracks_by_isrc(&"QZAAA1100001".parse().unwrap(), None).await.err());
    refused.extend(whole.search(Query::from("x").album("y")).page().await.err());
    assert_eq!(refused.len(), 10);
    for error in refused {
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unsupported, Effect::NotSent), "{error}");
    }
    assert_eq!(sandbox.requests(), before);
}

#[test]
fn a_session_without_a_secret_is_a_mistake_of_the_set_up() {
    let sandbox = sandbox();
    let Err(error) = builder(&sandbox).session_key("k").build() else { panic!("it cannot sign") };
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Config, "`lastfm` needs the setting `shared_secret`")
    );
}

#[tokio::test(start_paused = true)]
async fn consent_becomes_a_session() {
    let sandbox = sandbox();
    let client = builder(&sandbox).shared_secret(setting(&sandbox, "shared_secret")).build().unwrap();
    let visit = |url: &str| {
        let uri: Uri = url.parse().unwrap();
        let headers = HeaderMap::new();
        sandbox.answer(&Call::new(&Method::GET, &uri, &headers, b""))
    };
    let callback: Uri = "https://app.example/back?a=b".parse().unwrap();
    let url = client.web_consent_url(&callback).unwrap();
    let key = setting(&sandbox, "api_key");
    assert_eq!(
        url,
        format!("https://www.last.fm/api/auth/?api_key={key}&cb=https%3A%2F%2Fapp.example%2Fback%3Fa%3Db")
    );
    let back = visit(&url).headers["location"].to_str().unwrap().to_owned();
    let token = back.strip_prefix("https://app.example/back?a=b&token=").unwrap().to_owned();
    let session = client.session(token.as_str()).await.unwrap();
    assert_eq!(session.user, "ada");
    let again = client.session(token.as_str()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Unauthenticated, "a token gives one session");

    let token = client.caller().call(&AuthGetToken {}).await.unwrap().token;
    let waiting = client.session(token.clone()).await.unwrap_err();
    assert_eq!((waiting.kind(), waiting.code()), (ErrorKind::Conflict, Some("14")));
    assert_eq!(visit(&client.desktop_consent_url(&token).unwrap()).status, 200);
    let session = client.session(token).await.unwrap();
    let shown = format!("{session:?}");
    assert!(!shown.contains(session.key.expose().as_str()), "{shown}");

    // The key of a connection comes as a bearer token, and goes where this vendor wants it.
    let of_connection = builder(&sandbox)
        .shared_secret(setting(&sandbox, "shared_secret"))
        .authorize(Bearer::new(session.key))
        .build()
        .unwrap();
    let user = of_connection.caller().call(&UserGetInfo::default()).await.unwrap();
    assert_eq!((user.name.as_str(), user.registered.is_some()), ("ada", true));
    let outcome =
        Music::new(of_connection).scrobbling().unwrap().scrobble(&[play(&sandbox, 1)]).await.unwrap();
    assert_eq!(*outcome[0].as_ref().unwrap(), Scrobbled::Accepted);
}

#[tokio::test(start_paused = true)]
async fn a_name_and_a_password_are_another_way_to_a_session() {
    let sandbox = sandbox();
    let client = builder(&sandbox).shared_secret(setting(&sandbox, "shared_secret")).build().unwrap();
    let call = |password: &str| AuthGetMobileSession { username: "ada".into(), password: password.into() };
    let session = client.caller().call(&call("correct horse battery")).await.unwrap();
    let client = builder(&sandbox)
        .shared_secret(setting(&sandbox, "shared_secret"))
        .session_key(session.key)
        .build()
        .unwrap();
    assert_eq!(client.caller().call(&UserGetInfo::default()).await.unwrap().name, "ada");
    let error = client.caller().call(&call("hunter2hunter2")).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unauthenticated, Some("4")));
    let shown = format!("{error:?}{}{:?}", error.explain(), call("hunter2hunter2"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn each_wrong_credential_is_told_apart() {
    let sandbox = sandbox();
    let [key, secret, session] =
        ["api_key", "shared_secret", "session_key"].map(|name| setting(&sandbox, name));
    for (key, secret, session, kind, code) in [
        ("wrong-key-1", secret.as_str(), session.as_str(), ErrorKind::Unauthenticated, "10"),
        (&key, "wrong-secret-1", &session, ErrorKind::Unauthenticated, "13"),
        (&key, &secret, "wrong-session-1", ErrorKind::ReauthRequired, "9"),
    ] {
        let client = Lastfm::builder()
            .api_key(key)
            .shared_secret(secret)
            .session_key(session)
            .user("ada")
            .transport(sandbox.clone());
        let shown = format!("{client:?}");
        let music = Music::new(client.build().unwrap());
        let read = music.history().unwrap().recently_played().page().await.unwrap_err();
        let write = music.library().unwrap().save(&[HARBOUR.into()]).await.unwrap().remove(0).unwrap_err();
        for error in [read, write] {
            assert_eq!((error.kind(), error.code(), error.effect()), (kind, Some(code), Effect::Rejected));
            let shown = format!("{shown}{error}{error:?}{}", error.explain());
            for secret in [secret, session] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }
    assert!(sandbox.ledger().changes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_category_are_there_too() {
    let sandbox = sandbox();
    let client = with_session(&sandbox).build().unwrap();
    let caller = client.caller();
    let [artist, track] = ["Ines Maro", "Glass Elevator"].map(str::to_owned);
    let similar = TrackGetSimilar {
        artist: Some(artist.clone()),
        track: Some(track.clone()),
        limit: Some(2),
        ..Default::default()
    };
    assert_eq!(caller.call(&similar).await.unwrap().len(), 2);
    let named = TrackGetInfo {
        artist: Some(artist.clone()),
        track: Some(track.clone()),
        username: Some("ada".to_owned()),
        ..Default::default()
    };
    let details = caller.call(&named).await.unwrap();
    assert_eq!((details.loved, details.plays), (Some(true), Some(5)));
}

#[cfg(feature = "dynamic")]
#[test]
fn the_erased_table_holds_every_operation_of_the_facts() {
    use integrations_music::lastfm::ops::OPS;
    assert!(OPS.iter().map(|entry| entry.op).eq(spec::SPEC.ops.iter().map(|row| row.op)));
    let session = OPS.iter().find(|entry| entry.op == AuthGetSession::OP).unwrap();
    let base: Uri = spec::SPEC.hosts[0].url.parse().unwrap();
    let request = (session.request)(&serde_json::json!({ "token": "t" }), &base).unwrap();
    assert_eq!(request.uri(), "https://ws.audioscrobbler.com/2.0/?method=auth.getSession&token=t");
}

#[cfg(feature = "hub")]
#[tokio::test(start_paused = true)]
async fn the_registry_opens_the_portable_type() {
    use integrations_core::setup::Setup;

    let mut registry = integrations_core::registry::Registry::new();
    integrations_music::register(&mut registry);
    let sandbox = sandbox();
    let setup =
        Setup::new(&spec::SPEC).set("api_key", setting(&sandbox, "api_key")).transport(Arc::new(sandbox));
    let portable: Music = registry.open(&setup).unwrap();
    assert_eq!(
        portable
            .raw::<Lastfm>()
            .unwrap()
            .caller()
            .call(&UserGetInfo { user: Some("ada".to_owned()) })
            .await
            .unwrap()
            .name,
        "ada"
    );
}
