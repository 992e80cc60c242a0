//! What is built on top of the interface, over the clients of providers and their fakes. Two fakes of one provider with
//! different seeds are two services: they have the same recordings under other ids.

use std::time::Duration;

use integrations_core::provider::ProviderSpec;
use integrations_core::setup::Setup;
use integrations_core::{ErrorKind, Result};
use integrations_music::lastfm::Lastfm;
use integrations_music::playlist_file::{Format, PlaylistFile};
use integrations_music::spotify::Spotify;
use integrations_music::sync::{Sync, SyncBase};
use integrations_music::transfer::{Outcome, SkippedReason, Source, Target, Transfer, TransferPlan};
use integrations_music::{EntryKind, Music, NewPlaylist, PlaylistId, TrackId, lastfm, spotify};
use integrations_sandbox::{Fault, Plan, Sandbox, Severity};
use integrations_testkit::golden::setup;

fn service(spec: &'static ProviderSpec, seed: u64) -> Sandbox {
    Sandbox::of(spec.id, seed).unwrap()
}

/// A client of its own, as a process has it that was just started.
fn client(sandbox: &Sandbox) -> Music {
    let set_up = |spec| -> Setup { setup(spec, sandbox).unwrap() };
    match sandbox.provider() {
        "lastfm" => Music::new(Lastfm::open(&set_up(&lastfm::spec::SPEC)).unwrap()),
        _ => Music::new(Spotify::open(&set_up(&spotify::spec::SPEC)).unwrap()),
    }
}

fn known<I: From<String>>(sandbox: &Sandbox, name: &str) -> I {
    I::from(sandbox.known().get(name).unwrap().to_owned())
}

fn spotifies() -> (Sandbox, Sandbox) {
    (service(&spotify::spec::SPEC, 1), service(&spotify::spec::SPEC, 2))
}

fn moved() -> Target {
    Target::New(NewPlaylist::new("Moved"))
}

/// The plan as it is found by a process that starts after another one crashed.
fn stored(plan: &TransferPlan) -> TransferPlan {
    serde_json::from_str(&serde_json::to_string(plan).unwrap()).unwrap()
}

/// What stands in a playlist, whatever the plan of faults: titles, and the kind of what is no track.
async fn titles(sandbox: &Sandbox, list: &PlaylistId) -> Vec<String> {
    sandbox.plan(Plan::none());
    let music = client(sandbox);
    let entries = music.playlists().unwrap().entries(list, None).collect_up_to(10_000).await.unwrap();
    let title = |entry: integrations_music::PlaylistEntry| match entry.track {
        Some(track) if entry.kind == EntryKind::Track => track.title,
        _ => entry.kind.to_string(),
    };
    entries.into_iter().map(title).collect()
}

/// The playlists of a name, whatever the plan of faults.
async fn lists(sandbox: &Sandbox, name: &str) -> Vec<PlaylistId> {
    sandbox.plan(Plan::none());
    let music = client(sandbox);
    let lists = music.playlists().unwrap().list().collect_up_to(1_000).await.unwrap();
    lists.into_iter().filter(|list| list.name == name).map(|list| list.id).collect()
}

async fn saved(sandbox: &Sandbox) -> Vec<String> {
    sandbox.plan(Plan::none());
    let music = client(sandbox);
    let entries = music.library().unwrap().tracks().collect_up_to(1_000).await.unwrap();
    entries.into_iter().map(|entry| entry.track.unwrap().title).collect()
}

/// A playlist of the twelve songs over and over.
async fn long_list(sandbox: &Sandbox, length: usize) -> PlaylistId {
    let music = client(sandbox);
    let playlists = music.playlists().unwrap();
    let query = ["Lights", "Salt", "Tide", "Uhr", "Elevator", "Nocturne"];
    let mut ids: Vec<TrackId> = Vec::new();
    for word in query {
        ids.extend(music.search(word).collect_up_to(1).await.unwrap().into_iter().map(|track| track.id));
    }
    assert_eq!(ids.len(), query.len());
    let tracks: Vec<TrackId> = ids.into_iter().cycle().take(length).collect();
    let list = playlists.create(&NewPlaylist::new("Long")).await.unwrap().id;
    for batch in tracks.chunks(100) {
        playlists.add(&list, batch).await.unwrap();
    }
    list
}

#[tokio::test(start_paused = true)]
async fn a_mixed_playlist_comes_over_with_a_report_of_what_was_lost() {
    let (left, right) = spotifies();
    let (from, to) = (client(&left), client(&right));
    let source = Source::Playlist(known(&left, "mixed_playlist"));
    let mut plan = Transfer::new().read(&from, &source, &to, moved()).await.unwrap();
    Transfer::new().decide(&to, &mut plan).await.unwrap();
    assert!(right.ledger().changes().is_empty(), "a dry run writes nothing");
    Transfer::new().write(&to, &mut plan).await.unwrap();
    let report = plan.report();
    let skipped: Vec<_> = report
        .rows
        .iter()
        .filter_map(|row| match row.outcome {
            Outcome::Skipped { why } => Some(why),
            _ => None,
        })
        .collect();
    assert_eq!(skipped, [SkippedReason::Local, SkippedReason::Gone, SkippedReason::Episode]);
    assert_eq!((report.counts.matched, report.written, report.done), (2, 2, true));
    assert_eq!(titles(&right, report.playlist.as_ref().unwrap()).await, ["Harbour Lights", "Glass Elevator"]);
    let text = report.to_string();
    assert!(
        text.contains("Harbour Lights Demo: a local file")
            && text.contains("How a Chorus Is Built: an episode"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_transfer_of_several_batches_goes_on_after_a_crash_at_any_step() {
    let (left, right) = spotifies();
    let list = long_list(&left, 130).await;
    let expected = titles(&left, &list).await;
    for crash in 0.. {
        right.reset();
        let (from, to) = (client(&left), client(&right));
        let mut plan =
            Transfer::new().read(&from, &Source::Playlist(list.clone()), &to, moved()).await.unwrap();
        Transfer::new().decide(&to, &mut plan).await.unwrap();
        for _ in 0..crash {
            Transfer::new().step(&to, &mut plan).await.unwrap();
        }
        let is_last = plan.progress.done;
        let mut resumed = stored(&plan);
        Transfer::new().step(&to, &mut plan).await.unwrap();
        let to = client(&right);
        // A version that nobody stored looks like a reader that lags, once.
        for _ in 0..2 {
            if Transfer::new().write(&to, &mut resumed).await.is_ok() {
                break;
            }
        }
        assert_eq!((resumed.progress.done, resumed.progress.written), (true, 130), "{crash}");
        let lists = lists(&right, "Moved").await;
        assert_eq!(lists.len(), 1, "{crash}");
        assert_eq!(titles(&right, &lists[0]).await, expected, "{crash}");
        if is_last {
            return;
        }
    }
}

/// How a transfer under faults ended.
struct Ended {
    plan: Option<TransferPlan>,
    errors: Vec<String>,
}

/// Transfers as a patient person does: after a failure again, with what was stored, after some minutes. At last the faults
/// end.
async fn patiently(
    left: &Sandbox,
    right: &Sandbox,
    source: &Source,
    target: &Target,
    plans: impl Fn(u64) -> [Plan; 2],
) -> Ended {
    const TRIES: u64 = 12;
    let mut ended = Ended { plan: None, errors: Vec::new() };
    for attempt in 0..TRIES {
        let [mut on_left, mut on_right] = plans(attempt);
        if attempt >= TRIES - 4 {
            (on_left, on_right) = (Plan::none(), Plan::none());
        }
        left.plan(on_left);
        right.plan(on_right);
        let (from, to) = (client(left), client(right));
        let tried: Result<()> = async {
            let mut plan = match ended.plan.take() {
                Some(plan) => plan,
                None => Transfer::new().read(&from, source, &to, target.clone()).await?,
            };
            let done = match Transfer::new().decide(&to, &mut plan).await {
                Ok(()) if plan.report().counts.failed > 0 && plan.progress.written == 0 => {
                    Transfer::new().decide_again(&to, &mut plan).await
                }
                decided => decided,
            };
            let done = match done {
                Ok(()) if plan.report().counts.failed == 0 => Transfer::new().write(&to, &mut plan).await,
                Ok(()) => Err(integrations_core::Error::invalid_request("some could not be looked for")),
                Err(error) => Err(error),
            };
            ended.plan = Some(stored(&plan));
            done
        }
        .await;
        match tried {
            Ok(()) => return ended,
            Err(error) => ended.errors.push(format!("{}: {}", error.kind(), error.message())),
        }
        tokio::time::sleep(Duration::from_mins(5)).await;
    }
    ended
}

/// What is wrong after a transfer under faults of the user's playlist of six.
async fn wrongs(severity: Severity, seeds: std::ops::Range<u64>, is_library: bool) -> Vec<String> {
    let (left, right) = spotifies();
    let mut wrong = Vec::new();
    for seed in seeds {
        left.reset();
        right.reset();
        if is_library {
            let music = client(&right);
            let library = music.library().unwrap();
            let saved = library.tracks().collect_up_to(100).await.unwrap();
            let saved: Vec<TrackId> = saved.into_iter().map(|entry| entry.track.unwrap().id).collect();
            library.remove(&saved).await.unwrap();
        }
        fastrand::seed(seed);
        let source = Source::Playlist(known(&left, "playlist"));
        let target = if is_library { Target::Library } else { moved() };
        let plans = |attempt: u64| {
            [seed * 100 + attempt, seed * 100 + 50 + attempt].map(|seed| Plan::seeded(seed, severity))
        };
        let ended = patiently(&left, &right, &source, &target, plans).await;
        let repeated: Vec<String> =
            right.ledger().repeated().iter().map(|change| change.what.clone()).collect();
        let expected = titles(&left, &known(&left, "playlist")).await;
        let (there, copies) = if is_library {
            let mut there = saved(&right).await;
            there.retain(|title| expected.contains(title));
            there.reverse();
            (there, 1)
        } else {
            let lists = lists(&right, "Moved").await;
            (
                match lists.first() {
                    Some(list) => titles(&right, list).await,
                    None => Vec::new(),
                },
                lists.len(),
            )
        };
        let Some(plan) = ended.plan else {
            wrong.push(format!("{seed}: nothing was read: {:?}", ended.errors));
            continue;
        };
        let report = plan.report();
        let is_good = repeated.is_empty()
            && copies == 1
            && report.done
            && report.written == 6
            && report.counts.matched == 6;
        let is_there = if is_library { there.len() == 6 } else { there == expected };
        if !is_good || !is_there {
            wrong.push(format!(
                "{seed}: repeated {repeated:?}, {copies} copies, {there:?}, {report}, {:?}",
                ended.errors
            ));
        }
    }
    wrong
}

#[tokio::test(start_paused = true)]
async fn passing_faults_write_nothing_twice() {
    let wrong = wrongs(Severity::Passing, 0..15, false).await;
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn any_faults_write_nothing_twice() {
    let wrong = wrongs(Severity::Any, 20..35, false).await;
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_library_survives_any_faults() {
    let wrong = wrongs(Severity::Any, 20..35, true).await;
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn what_was_loved_is_saved_and_becomes_a_playlist() {
    let (from, right) = (service(&lastfm::spec::SPEC, 1), service(&spotify::spec::SPEC, 2));
    let (loved, to) = (client(&from), client(&right));
    let expected: Vec<String> = saved(&from).await;
    assert_eq!(expected.len(), 3);
    for target in [Target::Library, moved()] {
        let mut plan = Transfer::new().read(&loved, &Source::Library, &to, target).await.unwrap();
        Transfer::new().decide(&to, &mut plan).await.unwrap();
        Transfer::new().write(&to, &mut plan).await.unwrap();
        let report = plan.report();
        assert_eq!((report.counts.matched, report.written), (3, 3), "{report}");
    }
    let now = saved(&right).await;
    assert!(expected.iter().all(|title| now.contains(title)), "{now:?}");
    let mut there = titles(&right, &lists(&right, "Moved").await[0]).await;
    there.reverse();
    assert_eq!(there, expected);
    // And back: what is saved there is loved here.
    let mut plan = Transfer::new().read(&to, &Source::Library, &loved, Target::Library).await.unwrap();
    Transfer::new().decide(&loved, &mut plan).await.unwrap();
    Transfer::new().write(&loved, &mut plan).await.unwrap();
    assert_eq!(plan.report().counts.matched, now.len(), "{}", plan.report());
    let mut loved = saved(&from).await;
    let mut now = now;
    loved.sort();
    now.sort();
    assert_eq!(loved, now);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_end_in_between_stop_a_transfer_and_lose_nothing() {
    let (left, right) = spotifies();
    let (from, to) = (client(&left), client(&right));
    let source = Source::Playlist(known(&left, "playlist"));
    let mut plan = Transfer::new().read(&from, &source, &to, Target::Library).await.unwrap();
    Transfer::new().decide(&to, &mut plan).await.unwrap();
    right.plan(Plan::script([Some(Fault::Rotated)]));
    let error = Transfer::new().write(&to, &mut plan).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::ReauthRequired), "{error}");
    right.plan(Plan::none());
    let mut plan = stored(&plan);
    Transfer::new().write(&client(&right), &mut plan).await.unwrap();
    assert_eq!((plan.report().written, plan.report().counts.matched), (6, 6), "{}", plan.report());
}

#[tokio::test(start_paused = true)]
async fn a_track_that_is_no_longer_there_fails_alone() {
    let (left, right) = spotifies();
    let (from, to) = (client(&left), client(&right));
    let source = Source::Playlist(known(&left, "playlist"));
    let mut plan = Transfer::new().read(&from, &source, &to, Target::Library).await.unwrap();
    Transfer::new().decide(&to, &mut plan).await.unwrap();
    if let Outcome::Matched { track, .. } = &mut plan.rows[2].outcome {
        *track = known(&right, "no_track");
    }
    Transfer::new().write(&to, &mut plan).await.unwrap();
    let report = plan.report();
    assert_eq!((report.counts.matched, report.counts.failed, report.written), (5, 1, 5), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_playlist_goes_into_each_format_and_back_to_another_service() {
    let (left, right) = spotifies();
    let (from, to) = (client(&left), client(&right));
    let list: PlaylistId = known(&left, "mixed_playlist");
    let playlist = from.playlists().unwrap().get(&list).await.unwrap();
    let entries = from.playlists().unwrap().entries(&list, None).collect_up_to(100).await.unwrap();
    let file = PlaylistFile::of("spotify", &playlist, &entries);
    for (at, format) in [Format::Json, Format::Csv, Format::M3u8, Format::Xspf].into_iter().enumerate() {
        let text = file.write(format).unwrap();
        if format == Format::Xspf {
            assert_eq!(text.matches("<track>").count(), 5);
            continue;
        }
        let back = PlaylistFile::read(text.as_bytes(), format).unwrap();
        let name = format!("From {at}");
        let mut plan = TransferPlan::of(back.wanted(), &to, Target::New(NewPlaylist::new(&name)));
        Transfer::new().decide(&to, &mut plan).await.unwrap();
        Transfer::new().write(&to, &mut plan).await.unwrap();
        let there = titles(&right, &lists(&right, &name).await[0]).await;
        assert_eq!(there, ["Harbour Lights", "Glass Elevator"], "{format:?}");
    }
}

/// Two playlists of two services that are to be kept alike.
struct Two {
    services: [Sandbox; 2],
    lists: [PlaylistId; 2],
    base: SyncBase,
}

impl Two {
    async fn new() -> Self {
        let (left, right) = spotifies();
        let new = client(&right).playlists().unwrap().create(&NewPlaylist::new("Alike")).await.unwrap();
        let lists = [known(&left, "playlist"), new.id];
        let base = SyncBase::new(&lists[0], &lists[1]);
        Self { services: [left, right], lists, base }
    }

    /// One round with what was stored, by new clients; the number of failures.
    async fn round(&mut self) -> Result<usize> {
        let [left, right] = self.services.each_ref().map(client);
        let base = serde_json::from_value(serde_json::to_value(&self.base).unwrap()).unwrap();
        let plan = Sync::new().most_removals(1.0).plan(&left, &right, &base).await?;
        let applied = Sync::new().apply(&left, &right, &plan).await;
        self.base = applied.base;
        Ok(applied.failures.len())
    }

    async fn titles(&self) -> [Vec<String>; 2] {
        [titles(&self.services[0], &self.lists[0]).await, titles(&self.services[1], &self.lists[1]).await]
    }

    /// Somebody takes the first entry out of a side, puts another in, and moves the last one to the front.
    async fn edit(&self, side: usize, add: &str) {
        self.services[side].plan(Plan::none());
        let music = client(&self.services[side]);
        let (playlists, list) = (music.playlists().unwrap(), &self.lists[side]);
        let first = playlists.entries(list, None).collect_up_to(1).await.unwrap().remove(0).track.unwrap();
        playlists.remove(list, &[first.id], None).await.unwrap();
        let track = music.search(add).collect_up_to(1).await.unwrap().remove(0);
        playlists.add(list, &[track.id]).await.unwrap();
        let count = playlists.entries(list, None).collect_up_to(100).await.unwrap().len() as u32;
        playlists.reorder(list, count - 1, 1, 0, None).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn two_playlists_become_alike_and_stay_so_through_edits_on_both_sides() {
    let mut two = Two::new().await;
    assert_eq!(two.round().await.unwrap(), 0);
    let [left, right] = two.titles().await;
    assert_eq!((left.len(), &left), (6, &right));
    for (on_left, on_right) in [("Elevator", "Nocturne"), ("Rooms", "Monte"), ("Second", "Dächern")] {
        two.edit(0, on_left).await;
        two.edit(1, on_right).await;
        let before = two.titles().await.concat();
        assert_eq!(two.round().await.unwrap(), 0);
        let [left, right] = two.titles().await;
        assert_eq!(left, right, "{before:?}");
        let mut each = left.clone();
        each.sort();
        each.dedup();
        assert_eq!(each.len(), left.len(), "{left:?}");
        let writes = two.services.each_ref().map(|service| service.ledger().changes().len());
        assert_eq!(two.round().await.unwrap(), 0);
        assert_eq!(two.services.each_ref().map(|service| service.ledger().changes().len()), writes);
    }
}

#[tokio::test(start_paused = true)]
async fn two_playlists_under_any_faults_are_alike_once_these_end() {
    for seed in 0..15 {
        let mut two = Two::new().await;
        fastrand::seed(seed);
        let words = ["Elevator", "Nocturne", "Rooms", "Monte"];
        for (at, word) in words.into_iter().enumerate() {
            two.services[0].plan(Plan::seeded(seed * 10 + at as u64, Severity::Any));
            two.services[1].plan(Plan::seeded(seed * 10 + 5 + at as u64, Severity::Any));
            // What failed is made up for in the next round.
            let _ = two.round().await;
            tokio::time::sleep(Duration::from_mins(5)).await;
            if at > 0 && titles(&two.services[at % 2], &two.lists[at % 2]).await.len() > 1 {
                two.edit(at % 2, word).await;
            }
        }
        two.services.iter().for_each(|service| service.plan(Plan::none()));
        for _ in 0..5 {
            two.round().await.unwrap();
        }
        let [left, right] = two.titles().await;
        assert_eq!(left, right, "{seed}");
        let mut each = left.clone();
        each.sort();
        each.dedup();
        assert_eq!(each.len(), left.len(), "{seed} {left:?}");
        assert!(left.len() >= 6, "{seed} {left:?}");
    }
}

/// What an operation is asked with; music that a fake has.
#[cfg(feature = "dynamic")]
fn arguments(name: &str, sandbox: &Sandbox) -> serde_json::Value {
    use serde_json::json;
    let of = |name: &str| sandbox.known().get(name).unwrap_or("x").to_owned();
    let (track, id) = (of("track"), |name: &str| json!({ "id": of(name) }));
    let tracks = json!({ "tracks": [of("track"), of("track_2")] });
    let list = |more: serde_json::Value| {
        let mut whole = json!({ "id": of("playlist") });
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        whole
    };
    let play =
        json!({ "artist": of("track_artist"), "title": of("track_title"), "started": sandbox.clock().now() });
    match name {
        "track" | "track_tags" => id("track"),
        "search" => json!({ "query": { "text": "Harbour" }, "limit": 2 }),
        "search_albums" => json!({ "query": { "album": of("track_album") }, "limit": 2 }),
        "search_artists" => json!({ "query": { "artist": of("artist_name") }, "limit": 2 }),
        "tracks_by_isrc" => json!({ "isrc": of("track_isrc") }),
        "album" | "album_tracks" => id("album"),
        "artist" | "artist_albums" | "artist_top_tracks" | "artist_info" | "similar_artists"
        | "artist_tags" => id("artist"),
        "tag_tracks" => json!({ "tag": of("tag"), "limit": 2 }),
        "playlist" | "playlist_entries" | "delete_playlist" => id("playlist"),
        "create_playlist" => json!({ "playlist": { "name": "New" } }),
        "edit_playlist" => list(json!({ "edit": { "name": "Other" } })),
        "insert_into_playlist" => list(json!({ "tracks": [track], "at": 0 })),
        "add_to_playlist" | "remove_from_playlist" | "replace_playlist" => list(tracks),
        "reorder_playlist" => list(json!({ "from": 0, "length": 1, "before": 2 })),
        "save_tracks" | "remove_saved_tracks" | "has_saved_tracks" => tracks,
        "top_tracks" | "top_artists" => json!({ "period": "year", "limit": 2 }),
        "recommend" => json!({ "seeds": { "tracks": [track] }, "limit": 2 }),
        "scrobble" => json!({ "plays": [play] }),
        "now_playing" => play,
        "seek" => json!({ "position_ms": 1000 }),
        "set_volume" => json!({ "percent": 50 }),
        "set_shuffle" => json!({ "on": true }),
        "set_repeat" => json!({ "mode": "off" }),
        "enqueue" => json!({ "track": track }),
        "transfer_playback" => json!({ "device": of("device"), "play": true }),
        _ => json!({}),
    }
}

#[cfg(feature = "dynamic")]
#[tokio::test(start_paused = true)]
async fn every_operation_by_name_keeps_to_its_schemas() {
    let mut wrong: Vec<String> = Vec::new();
    let mut invoked = std::collections::BTreeSet::new();
    for sandbox in [service(&spotify::spec::SPEC, 0), service(&lastfm::spec::SPEC, 0)] {
        let music = client(&sandbox);
        for op in integrations_core::music::OPERATIONS.iter().filter(|op| music.caps().has(op.cap)) {
            invoked.insert(op.name);
            let given = arguments(op.name, &sandbox);
            let mut complain =
                |what: String| wrong.push(format!("{} {}: {what}", sandbox.provider(), op.name));
            let fits = |schema: serde_json::Value, value: &serde_json::Value| -> Vec<String> {
                let validator = jsonschema::validator_for(&schema).unwrap();
                validator
                    .iter_errors(value)
                    .map(|error| format!("{} at {}", error, error.instance_path()))
                    .collect()
            };
            for error in fits((op.arguments)(), &given) {
                complain(format!("argument: {error}"));
            }
            match (op.invoke)(&music, given.clone()).await {
                Ok(result) => {
                    for error in fits((op.result)(), &result) {
                        complain(format!("result: {error}"));
                    }
                    for (name, secret) in sandbox.settings() {
                        let is_secret =
                            name.contains("token") || name.contains("key") || name.contains("secret");
                        if is_secret && result.to_string().contains(&secret) {
                            complain(format!("it tells the {name}"));
                        }
                    }
                }
                Err(error) => complain(format!("{error}")),
            }
            // An argument too many is refused before anything is sent.
            let mut more = given;
            more.as_object_mut().unwrap().insert("hunter2".to_owned(), "hunter2".into());
            let before = sandbox.requests();
            let error = (op.invoke)(&music, more).await.unwrap_err();
            assert_eq!(
                (error.kind(), sandbox.requests()),
                (ErrorKind::InvalidRequest, before),
                "{}",
                op.name
            );
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(invoked.len(), integrations_core::music::OPERATIONS.len());
}

#[tokio::test(start_paused = true)]
async fn cursors_fit_their_own_list_and_a_limit_of_none_is_one() {
    let (left, _) = spotifies();
    let music = client(&left);
    let playlists = music.playlists().unwrap();
    let (own, mixed): (PlaylistId, PlaylistId) = (known(&left, "playlist"), known(&left, "mixed_playlist"));
    let page = playlists.entries(&own, None).limit(0).page().await.unwrap();
    assert_eq!((page.items.len(), page.total), (1, Some(6)));
    let cursor = page.next.unwrap();
    let before = left.requests();
    let error = playlists.entries(&mixed, None).from(cursor.clone()).page().await.unwrap_err();
    assert_eq!((error.kind(), left.requests()), (ErrorKind::InvalidRequest, before));
    // What was taken out meanwhile leaves less, and no error.
    let tracks = playlists.entries(&own, None).collect_up_to(10).await.unwrap();
    let tracks: Vec<TrackId> = tracks.into_iter().map(|entry| entry.track.unwrap().id).collect();
    playlists.replace(&own, &tracks[..1]).await.unwrap();
    assert!(playlists.entries(&own, None).from(cursor).collect_up_to(10).await.unwrap().is_empty());
    assert!(playlists.entries(&own, None).limit(u32::MAX).page().await.unwrap().next.is_none());

    let loved = client(&service(&lastfm::spec::SPEC, 0));
    let page = loved.library().unwrap().tracks().limit(0).page().await.unwrap();
    assert_eq!(page.items.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_playlist_that_was_made_unseen_is_not_made_again() {
    let (left, right) = spotifies();
    let (from, to) = (client(&left), client(&right));
    let source = Source::Playlist(known(&left, "playlist"));
    let mut plan = Transfer::new().read(&from, &source, &to, moved()).await.unwrap();
    Transfer::new().decide(&to, &mut plan).await.unwrap();
    while plan.progress.namesakes.is_none() {
        Transfer::new().step(&to, &mut plan).await.unwrap();
    }
    right.plan(Plan::script([None, Some(Fault::ResetAfter), Some(Fault::LaggingIndex)]));
    let error = Transfer::new().write(&to, &mut plan).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let mut plan = stored(&plan);
    Transfer::new().write(&client(&right), &mut plan).await.unwrap();
    let lists = lists(&right, "Moved").await;
    assert_eq!((lists.len(), titles(&right, &lists[0]).await.len()), (1, 6));
}

#[tokio::test(start_paused = true)]
async fn a_round_whose_answers_are_lost_is_not_done_twice() {
    let mut two = Two::new().await;
    two.services[1].plan(Plan::script(std::iter::repeat_n(None, 12).chain([Some(Fault::ResetAfter); 30])));
    let _ = two.round().await;
    for service in &two.services {
        service.plan(Plan::none());
    }
    assert_eq!(two.round().await.unwrap(), 0);
    let [left, right] = two.titles().await;
    assert_eq!((left.len(), left), (6, right));
}

#[cfg(feature = "dynamic")]
#[tokio::test(start_paused = true)]
async fn what_failed_in_a_batch_is_told_without_secrets_and_can_be_read_back() {
    use integrations_core::dynamic::{Outcome, PortableOp};

    let (_, right) = spotifies();
    let music = client(&right);
    right.plan(Plan::script([Some(Fault::Rotated)]));
    let save = PortableOp::find(integrations_core::music::OPERATIONS, "save_tracks").unwrap();
    let secrets = right.settings();
    let told = (save.invoke)(&music, arguments("save_tracks", &right)).await.unwrap();
    let outcomes: Vec<Outcome<()>> = serde_json::from_value(told.clone()).unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Failed(_))), "{told}");
    assert_eq!((outcomes.len(), serde_json::to_value(&outcomes).unwrap()), (2, told.clone()));
    for (name, secret) in secrets.iter().filter(|(name, _)| *name != "quota_mode") {
        assert!(!told.to_string().contains(secret), "{name}");
    }
    let done = (save.invoke)(&client(&right), arguments("save_tracks", &right)).await.unwrap();
    let outcomes: Vec<Outcome<()>> = serde_json::from_value(done).unwrap();
    assert_eq!(outcomes, [Outcome::Done(()), Outcome::Done(())]);
}
