//! What the vendor puts forward: new releases, categories, recommendations, and what it heard in a track.

use serde_json::{Value, json};

use super::Service;
use super::ask::{API, Ask, Refusal, Reply, base62, ok};
use super::catalogue::{Catalogue, Track};
use super::playlists::{VENDOR, simple};
use crate::World;
use crate::issuer::{BASE62, invented};

const CATEGORIES: &[(&str, &str)] = &[
    ("toplists", "Top Lists"),
    ("indie", "Indie"),
    ("electronic", "Electronic"),
    ("classical", "Classical"),
];
/// The most seeds of a recommendation, of all kinds together.
const MOST_SEEDS: usize = 5;
const KEYS: u64 = 12;

/// The answer of what is put forward, or nothing if this part has no such route.
pub(super) fn route(service: &mut Service, ask: &Ask<'_>, _: &mut World<'_>) -> Option<Reply> {
    let catalogue = &service.catalogue;
    let ("GET", path) = ask.route() else { return None };
    Some(match *path {
        ["browse", "new-releases"] => new_releases(catalogue, ask),
        ["browse", "featured-playlists"] => featured(service, ask, "Evening listening"),
        ["browse", "categories"] => categories(catalogue, ask),
        ["browse", "categories", id] => category(catalogue, id),
        ["browse", "categories", id, "playlists"] => match name_of(id) {
            Ok(name) => featured(service, ask, name),
            Err(refusal) => Err(refusal),
        },
        ["recommendations"] => recommendations(catalogue, ask),
        ["recommendations", "available-genre-seeds"] => ok(&json!({"genres": genres(catalogue)})),
        ["audio-features"] => several_features(catalogue, ask),
        ["audio-features", id] => heard(catalogue, id, |track| features(catalogue, track)),
        ["audio-analysis", id] => heard(catalogue, id, |track| analysis(catalogue, track)),
        _ => return None,
    })
}

fn new_releases(catalogue: &Catalogue, ask: &Ask<'_>) -> Reply {
    let mut albums: Vec<_> = catalogue.albums.iter().collect();
    albums.sort_by_key(|album| std::cmp::Reverse(album.year));
    let page = ask.page(ask.window(20, 50)?, &albums, |album| catalogue.simple_album(&ask.view, album));
    ok(&json!({"albums": page}))
}

fn featured(service: &Service, ask: &Ask<'_>, message: &str) -> Reply {
    let own = service.playlists.all.iter().filter(|playlist| playlist.owner == VENDOR);
    let all: Vec<_> = own.filter_map(|playlist| Some((playlist, playlist.indexed(ask)?))).collect();
    let page = ask
        .page(ask.window(20, 50)?, &all, |(playlist, version)| simple(service, &ask.view, playlist, version));
    ok(&json!({"message": message, "playlists": page}))
}

fn categories(catalogue: &Catalogue, ask: &Ask<'_>) -> Reply {
    let page = ask.page(ask.window(20, 50)?, CATEGORIES, |(id, name)| shown(catalogue, id, name));
    ok(&json!({"categories": page}))
}

fn category(catalogue: &Catalogue, id: &str) -> Reply {
    ok(&shown(catalogue, id, name_of(id)?))
}

fn name_of(id: &str) -> Result<&'static str, Refusal> {
    let found = CATEGORIES.iter().find(|(known, _)| *known == id);
    found.map(|(_, name)| *name).ok_or_else(Refusal::absent)
}

fn shown(catalogue: &Catalogue, id: &str, name: &str) -> Value {
    json!({
        "href": format!("{API}/browse/categories/{id}"),
        "icons": catalogue.images(id),
        "id": id,
        "name": name,
    })
}

fn genres(catalogue: &Catalogue) -> Vec<&'static str> {
    let mut genres: Vec<&str> =
        catalogue.artists.iter().flat_map(|artist| artist.genres.iter().copied()).collect();
    genres.sort_unstable();
    genres.dedup();
    genres
}

fn recommendations(catalogue: &Catalogue, ask: &Ask<'_>) -> Reply {
    let limit = ask.window(20, 100)?.limit;
    let seeds = |name: &'static str, kind: &'static str| {
        let text = ask.call.query(name).unwrap_or_default();
        text.split(',').filter(|seed| !seed.is_empty()).map(move |seed| (kind, seed.to_owned()))
    };
    let seeds: Vec<(&str, String)> = seeds("seed_artists", "ARTIST")
        .chain(seeds("seed_genres", "GENRE"))
        .chain(seeds("seed_tracks", "TRACK"))
        .collect();
    if seeds.is_empty() || seeds.len() > MOST_SEEDS {
        return Err(Refusal::bad("Between one and five seeds are needed"));
    }
    let mut wanted: Vec<&str> = Vec::new();
    for (kind, seed) in &seeds {
        match *kind {
            "GENRE" => wanted.push(seed),
            "TRACK" => wanted.extend(catalogue.track_of(seed).ok_or_else(Refusal::absent)?.song.tags),
            _ => wanted.extend(&catalogue.artist_of(seed).ok_or_else(Refusal::absent)?.genres),
        }
    }
    let is_like = |track: &&Track| {
        track.song.tags.iter().any(|tag| wanted.contains(tag))
            && !seeds.iter().any(|(_, seed)| *seed == track.id)
    };
    let pool: Vec<&Track> = catalogue.tracks.iter().filter(is_like).collect();
    let shown: Vec<Value> = pool.iter().take(limit).map(|track| catalogue.track(&ask.view, track)).collect();
    let seed = |(kind, id): &(&str, String)| {
        let href = (*kind != "GENRE").then(|| format!("{API}/{}s/{id}", kind.to_lowercase()));
        let mut seed = json!({
            "afterFilteringSize": pool.len(), "afterRelinkingSize": pool.len(), "id": id,
            "initialPoolSize": pool.len(), "type": kind,
        });
        if let Some(href) = href {
            seed["href"] = href.into();
        }
        seed
    };
    ok(&json!({"seeds": seeds.iter().map(seed).collect::<Vec<_>>(), "tracks": shown}))
}

fn heard(catalogue: &Catalogue, id: &str, show: impl Fn(&Track) -> Value) -> Reply {
    base62(id)?;
    ok(&show(catalogue.track_of(id).ok_or_else(Refusal::absent)?))
}

fn several_features(catalogue: &Catalogue, ask: &Ask<'_>) -> Reply {
    let ids = ask.ids(100)?;
    let found = ids.iter().map(|id| catalogue.track_of(id).map(|track| features(catalogue, track)));
    ok(&json!({"audio_features": found.collect::<Vec<_>>()}))
}

/// A number from 0 to `below` that belongs to a track.
fn measure(catalogue: &Catalogue, track: &Track, what: &str, below: u64) -> u64 {
    let text = invented(b"0123456789", catalogue.seed, &format!("{what}:{}", track.id), 6);
    text.parse::<u64>().unwrap_or_default() % below
}

fn features(catalogue: &Catalogue, track: &Track) -> Value {
    let share = |what: &str| measure(catalogue, track, what, 1000) as f64 / 1000.0;
    json!({
        "acousticness": share("acousticness"),
        "analysis_url": format!("{API}/audio-analysis/{}", track.id),
        "danceability": share("danceability"),
        "duration_ms": track.song.duration_ms,
        "energy": share("energy"),
        "id": track.id,
        "instrumentalness": share("instrumentalness"),
        "key": measure(catalogue, track, "key", KEYS),
        "liveness": share("liveness"),
        "loudness": -share("loudness") * 20.0,
        "mode": measure(catalogue, track, "mode", 2),
        "speechiness": share("speechiness"),
        "tempo": tempo(catalogue, track),
        "time_signature": 4,
        "track_href": format!("{API}/tracks/{}", track.id),
        "type": "audio_features",
        "uri": format!("spotify:track:{}", track.id),
        "valence": share("valence"),
    })
}

fn tempo(catalogue: &Catalogue, track: &Track) -> f64 {
    60.0 + measure(catalogue, track, "tempo", 1000) as f64 / 8.0
}

fn analysis(catalogue: &Catalogue, track: &Track) -> Value {
    let duration = track.song.duration_ms as f64 / 1000.0;
    let tempo = tempo(catalogue, track);
    let key = measure(catalogue, track, "key", KEYS);
    let mode = measure(catalogue, track, "mode", 2);
    let stretches = |length: f64| -> Vec<Value> {
        let stretch =
            |number: u32| json!({"start": f64::from(number) * length, "duration": length, "confidence": 0.8});
        (0..4).map(stretch).collect()
    };
    let code = invented(BASE62, catalogue.seed, &format!("code:{}", track.id), 40);
    json!({
        "bars": stretches(240.0 / tempo),
        "beats": stretches(60.0 / tempo),
        "meta": {
            "analysis_time": 3.5, "analyzer_version": "4.0.0", "detailed_status": "OK",
            "input_process": "libvorbisfile L+R 44100->22050", "platform": "Linux", "status_code": 0,
            "timestamp": 1_740_000_000,
        },
        "sections": [{
            "start": 0.0, "duration": duration, "confidence": 1.0, "loudness": -9.5, "tempo": tempo,
            "tempo_confidence": 0.6, "key": key, "key_confidence": 0.5, "mode": mode, "mode_confidence": 0.5,
            "time_signature": 4, "time_signature_confidence": 0.9,
        }],
        "segments": [{
            "start": 0.0, "duration": 0.25, "confidence": 0.4, "loudness_start": -23.0, "loudness_max": -14.0,
            "loudness_max_time": 0.05, "loudness_end": 0.0, "pitches": vec![0.5; 12], "timbre": vec![12.5; 12],
        }],
        "tatums": stretches(30.0 / tempo),
        "track": {
            "analysis_channels": 1, "analysis_sample_rate": 22050, "code_version": 3.15, "codestring": code,
            "duration": duration, "echoprint_version": 4.15, "echoprintstring": code, "end_of_fade_in": 0.0,
            "key": key, "key_confidence": 0.5, "loudness": -9.5, "mode": mode, "mode_confidence": 0.5,
            "num_samples": (duration * 22050.0) as u64, "offset_seconds": 0, "rhythm_version": 1,
            "rhythmstring": code, "sample_md5": "", "start_of_fade_out": duration - 5.0, "synch_version": 1,
            "synchstring": code, "tempo": tempo, "tempo_confidence": 0.6, "time_signature": 4,
            "time_signature_confidence": 0.9, "window_seconds": 0,
        },
    })
}
