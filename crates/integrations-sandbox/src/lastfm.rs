//! The fake of Last.fm: one user's scrobbles and loved tracks over the common catalogue.
//!
//! Pages: <https://www.last.fm/api/show/track.scrobble> and its neighbours, <https://www.last.fm/api/authspec>,
//! <https://www.last.fm/api/errorcodes>; the answers as <https://lastfm-docs.github.io/api-docs/> shows them.

#![allow(clippy::result_large_err, reason = "a refusal is an answer like any other")]

mod answers;
mod catalogue;

use std::collections::HashMap;

use http::Method;
use http::header::LOCATION;
use jiff::{SignedDuration, Timestamp};
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use self::answers::{
    address, album_address, artist, artists, cover, error, in_address, listeners, mbid, not_found, object,
    one_or_many, ranked, same, song, star, tags, track, track_address, track_mbid, with,
};
use self::catalogue::{
    album_info, album_search, artist_search, artist_similar, artist_top_albums, artist_top_tracks,
    similar_artists, tag_top_tracks, track_search, track_similar,
};
use crate::{Answer, Call, Fake, Known, SONGS, Song, Trouble, Vendor, World};

/// The fake.
pub const FAKE: Fake = Fake::new("lastfm", "music", |_| Box::new(Lastfm::new()));

const API_KEY: &str = "0d1c2b3a495867768594a3b2c1d0efee";
const SECRET: &str = "5ec4e7a1b2c3d4e5f60718293a4b5c6d";
const SESSION: &str = "Ses5i0nKeyOfAdaWhichDoesNotExpir";
const USER: &str = "ada";
const PASSWORD: &str = "correct horse battery";

/// A token to which the user has consented already.
const CONSENTED: &str = "c0n5entedT0BeforeTheFirstRequest";

/// The moment at which the user's history ends: a sandbox's time begins here.
const START: i64 = 1_772_452_800;

/// <https://www.last.fm/api/show/track.scrobble>: at most so many in one call.
const BATCH: usize = 50;

/// Not published; scrobblers report about this many for a day.
const PER_DAY: usize = 2800;

/// How old a scrobble may be, and how far ahead of the vendor's clock.
const OLDEST: SignedDuration = SignedDuration::from_hours(14 * 24);
const NEWEST: SignedDuration = SignedDuration::from_hours(24);

/// <https://www.last.fm/api/webauth>: a token is good for an hour.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(60);

/// Calls that change something, and so are signed POST requests.
const WRITES: [&str; 4] = ["track.scrobble", "track.updatenowplaying", "track.love", "track.unlove"];

struct Lastfm {
    plays: Vec<Played>,
    loved: Vec<Played>,
    now: Option<(Play, Timestamp)>,
    tokens: HashMap<String, Token>, // tidy: not a secret, the fake makes them up
    sessions: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Play {
    artist: String,
    title: String,
    album: String,
}

struct Played {
    what: Play,
    at: i64,
    /// Written by a call, so that a lagging index may not have it yet.
    is_new: bool,
}

struct Token {
    since: Timestamp,
    granted: bool,
    used: bool,
}

impl Play {
    fn of(song: &Song) -> Self {
        Self { artist: song.artist.into(), title: song.title.into(), album: song.album.into() }
    }
}

impl Lastfm {
    fn new() -> Self {
        // Song n was heard n times less often than the first, two hours apart, the last one an hour before the start.
        let songs = SONGS.iter().enumerate().flat_map(|(at, song)| (0..SONGS.len() - at).map(move |_| song));
        let play = |(at, song): (i64, &Song)| Played {
            what: Play::of(song),
            at: START - 3600 - at * 7200,
            is_new: false,
        };
        let since = Timestamp::from_second(START).unwrap_or_default();
        let consented = Token { since, granted: true, used: false };
        let loved = [(0, &SONGS[1]), (5, &SONGS[6]), (9, &SONGS[7])];
        Self {
            plays: (0..).zip(songs).map(play).collect(),
            loved: loved.map(play).into(),
            now: None,
            tokens: HashMap::from([(CONSENTED.to_owned(), consented)]),
            sessions: vec![SESSION.to_owned()],
        }
    }
}

impl Vendor for Lastfm {
    fn answer(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        if call.segments() == ["api", "auth", ""] {
            return self.consent(call, world);
        }
        if call.segments() != ["2.0", ""] {
            return Answer::text(404, "text/html; charset=utf-8", "<html><h1>404</h1></html>");
        }
        let asked = Asked::new(call);
        if asked.get("format") != Some("json") {
            let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><lfm status=\"failed\"></lfm>";
            return Answer::text(200, "text/xml; charset=utf-8", xml);
        }
        self.judged(call, &asked).unwrap_or_else(|| self.called(&asked, world).unwrap_or_else(|wrong| wrong))
    }

    fn word(&self, trouble: Trouble) -> Option<Answer> {
        match trouble {
            Trouble::RateLimited(_) => Some(error(429, 29, "Rate limit exceeded")),
            Trouble::Unauthorized => Some(error(403, 9, "Invalid session key - Please re-authenticate")),
            Trouble::Broken(status) => {
                let page =
                    "<html><head><title>Last.fm</title></head><body>Something went wrong</body></html>";
                Some(Answer::text(status, "text/html; charset=utf-8", page))
            }
            Trouble::FailedWithSuccess => {
                let message = "There was a temporary error processing your request. Please try again";
                Some(error(200, 16, message))
            }
            Trouble::QuotaExhausted => None,
        }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        [("api_key", API_KEY), ("shared_secret", SECRET), ("session_key", SESSION), ("user", USER)]
            .map(|(name, value)| (name, value.to_owned()))
            .into()
    }

    fn known(&self) -> Known {
        let id = |song: &Song| format!("{}/_/{}", in_address(song.artist), in_address(song.title));
        let first = &SONGS[0];
        let known = Known::new()
            .with("track", id(first))
            .with("track_title", first.title)
            .with("track_artist", first.artist)
            .with("track_album", first.album)
            .with("track_duration_ms", first.duration_ms.to_string())
            .with("album", format!("{}/{}", in_address(first.artist), in_address(first.album)))
            .with("album_title", first.album)
            .with("artist", first.artist)
            .with("artist_name", first.artist)
            .with("tag", first.tags[0])
            .with("no_track", format!("{}/_/No+Such+Song", in_address(first.artist)));
        (2..=5).fold(known, |known, number| known.with(&format!("track_{number}"), id(&SONGS[number - 1])))
    }
}

/// The parameters of one call.
struct Asked(Vec<(String, String)>);

impl Asked {
    fn new(call: &Call<'_>) -> Self {
        Self(if *call.method == Method::POST { call.form() } else { call.query.clone() })
    }

    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    fn need(&self, name: &str) -> Result<&str, Answer> {
        let message = "Invalid parameters - Your request is missing a required parameter";
        self.get(name).ok_or_else(|| error(400, 6, message))
    }

    fn method(&self) -> String {
        self.get("method").unwrap_or_default().to_lowercase()
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.get(name).and_then(|value| value.parse().ok())
    }

    /// All parameters but two, by name in the order of bytes, each followed by its value, and the secret.
    fn signature(&self) -> String {
        let mut signed: Vec<&(String, String)> = self
            .0
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "format" | "callback" | "api_sig"))
            .collect();
        signed.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
        let text: String = signed.iter().flat_map(|(name, value)| [name.as_str(), value]).collect();
        format!("{:032x}", u128::from_be_bytes(Md5::digest(text + SECRET).into()))
    }

    fn song(&self) -> Result<&'static Song, Answer> {
        if let Some(id) = self.get("mbid") {
            let found = SONGS.iter().find(|song| track_mbid(song) == id);
            return found.ok_or_else(|| not_found(200, "Track"));
        }
        let (by, title) = (self.need("artist")?, self.need("track")?);
        song(by, title).ok_or_else(|| not_found(200, "Track"))
    }

    fn artist(&self) -> Result<&'static str, Answer> {
        let wanted = match self.get("mbid") {
            Some(id) => artists().into_iter().find(|name| mbid(name) == id),
            None => {
                let name = self.need("artist")?;
                artists().into_iter().find(|artist| same(artist, name))
            }
        };
        wanted.ok_or_else(|| error(404, 6, "The artist you supplied could not be found"))
    }

    fn user(&self) -> Result<(), Answer> {
        if self.need("user")? == USER { Ok(()) } else { Err(not_found(404, "User")) }
    }
}

impl Lastfm {
    /// What is wrong with the credentials.
    fn judged(&self, call: &Call<'_>, asked: &Asked) -> Option<Answer> {
        let method = asked.method();
        let writes = WRITES.contains(&method.as_str()) || method == "auth.getmobilesession";
        if asked.get("api_key") != Some(API_KEY) {
            return Some(error(403, 10, "Invalid API key - You must be granted a valid key by last.fm"));
        }
        if writes && *call.method != Method::POST {
            return Some(error(400, 3, "Invalid Method - No method with that name in this package"));
        }
        let is_signed = asked.get("api_sig").is_some_and(|signature| signature == asked.signature());
        let must_be_signed = writes || method.starts_with("auth.") || asked.get("sk").is_some();
        if must_be_signed && !is_signed {
            return Some(error(403, 13, "Invalid method signature supplied"));
        }
        let is_known = |key: &str| self.sessions.iter().any(|session| session == key);
        let must_be_known = WRITES.contains(&method.as_str()) || asked.get("sk").is_some();
        if must_be_known && !asked.get("sk").is_some_and(is_known) {
            return Some(error(403, 9, "Invalid session key - Please re-authenticate"));
        }
        None
    }

    fn called(&mut self, asked: &Asked, world: &mut World<'_>) -> Result<Answer, Answer> {
        match asked.method().as_str() {
            "track.search" => track_search(asked),
            "track.getinfo" => self.track_info(asked),
            "track.gettoptags" => {
                let song = asked.song()?;
                Ok(top_tags(&[song], &json!({ "artist": song.artist, "track": song.title })))
            }
            "track.getsimilar" => track_similar(asked),
            "track.scrobble" => self.scrobble(asked, world),
            "track.updatenowplaying" => self.update_now_playing(asked, world),
            "track.love" => self.love(asked, world),
            "track.unlove" => self.unlove(asked, world),
            "artist.search" => artist_search(asked),
            "artist.getinfo" => self.artist_info(asked),
            "artist.getsimilar" => artist_similar(asked),
            "artist.gettoptracks" => artist_top_tracks(asked),
            "artist.gettoptags" => {
                let name = asked.artist()?;
                Ok(top_tags(&songs_of(name), &json!({ "artist": name })))
            }
            "artist.gettopalbums" => artist_top_albums(asked),
            "album.search" => album_search(asked),
            "album.getinfo" => album_info(asked),
            "user.getinfo" => self.user_info(asked),
            "user.getrecenttracks" => self.recent_tracks(asked, world),
            "user.gettoptracks" => self.top_tracks(asked, world),
            "user.gettopartists" => self.top_artists(asked, world),
            "user.getlovedtracks" => self.loved_tracks(asked, world),
            "tag.gettoptracks" => tag_top_tracks(asked),
            "auth.gettoken" => Ok(self.token(world)),
            "auth.getsession" => self.session(asked, world),
            "auth.getmobilesession" => self.mobile_session(asked, world),
            _ => Err(error(400, 3, "Invalid Method - No method with that name in this package")),
        }
    }

    /// The page on which a user consents. This one always does.
    fn consent(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        if call.query("api_key") != Some(API_KEY) {
            return Answer::text(403, "text/html; charset=utf-8", "<html>Invalid API key</html>");
        }
        if let Some(token) = call.query("token") {
            if let Some(token) = self.tokens.get_mut(token) {
                token.granted = true;
            }
            return Answer::text(200, "text/html; charset=utf-8", "<html>Application authenticated</html>");
        }
        let token = self.new_token(world, true);
        let callback = call.query("cb").unwrap_or("https://www.last.fm/");
        let joint = if callback.contains('?') { '&' } else { '?' };
        Answer::empty(302).header(LOCATION, &format!("{callback}{joint}token={token}"))
    }

    fn token(&mut self, world: &mut World<'_>) -> Answer {
        let token = self.new_token(world, false);
        Answer::json(200, &json!({ "token": token }))
    }

    fn new_token(&mut self, world: &mut World<'_>, granted: bool) -> String {
        let token: String = std::iter::repeat_with(|| world.random.alphanumeric()).take(32).collect();
        self.tokens.insert(token.clone(), Token { since: world.now, granted, used: false });
        token
    }

    fn session(&mut self, asked: &Asked, world: &mut World<'_>) -> Result<Answer, Answer> {
        let token = asked.need("token")?;
        let failed = || error(403, 4, "Unauthorized Token - This token has not been issued");
        let token = self.tokens.get_mut(token).filter(|token| !token.used).ok_or_else(failed)?;
        if world.now.duration_since(token.since) > TOKEN_LIFE {
            return Err(error(403, 15, "This token has expired"));
        }
        if !token.granted {
            return Err(error(403, 14, "Unauthorized Token - This token has not been authorized"));
        }
        token.used = true;
        Ok(self.new_session(world))
    }

    fn mobile_session(&mut self, asked: &Asked, world: &mut World<'_>) -> Result<Answer, Answer> {
        if asked.need("username")? == USER && asked.need("password")? == PASSWORD {
            return Ok(self.new_session(world));
        }
        Err(error(403, 4, "Authentication Failed - You do not have permissions to access the service"))
    }

    fn new_session(&mut self, world: &mut World<'_>) -> Answer {
        let key: String = std::iter::repeat_with(|| world.random.alphanumeric()).take(32).collect();
        self.sessions.push(key.clone());
        Answer::json(200, &json!({ "session": { "subscriber": 0, "name": USER, "key": key } }))
    }

    fn track_info(&self, asked: &Asked) -> Result<Answer, Answer> {
        let song = asked.song()?;
        let mut info = track(song);
        info.remove("image");
        let album = json!({
            "artist": song.artist,
            "title": song.album,
            "mbid": mbid(song.album),
            "url": album_address(song),
            "image": cover(song),
            "@attr": { "position": song.position.to_string() },
        });
        info = with(info, "duration", song.duration_ms.to_string().into());
        info = with(info, "listeners", listeners(song).to_string().into());
        info = with(info, "playcount", (listeners(song) * 9).to_string().into());
        info = with(info, "album", album);
        let own = song.tags.iter().map(|tag| tag_object(tag).into()).collect();
        info = with(info, "toptags", json!({ "tag": one_or_many(own) }));
        if asked.get("username") == Some(USER) {
            let count = self.plays.iter().filter(|played| played.what == Play::of(song)).count();
            info = with(info, "userplaycount", count.to_string().into());
            info =
                with(info, "userloved", if self.loves(song.artist, song.title) { "1" } else { "0" }.into());
        }
        Ok(Answer::json(200, &json!({ "track": info })))
    }

    fn loves(&self, artist: &str, title: &str) -> bool {
        self.loved.iter().any(|loved| same(&loved.what.artist, artist) && same(&loved.what.title, title))
    }

    fn love(&mut self, asked: &Asked, world: &mut World<'_>) -> Result<Answer, Answer> {
        let song = asked.song()?;
        if !self.loves(song.artist, song.title) {
            let at = world.now.as_second();
            self.loved.insert(0, Played { what: Play::of(song), at, is_new: true });
        }
        world.ledger.set("love", format!("{}|{}", song.artist, song.title));
        Ok(Answer::json(200, &json!({})))
    }

    fn unlove(&mut self, asked: &Asked, world: &mut World<'_>) -> Result<Answer, Answer> {
        let song = asked.song()?;
        self.loved.retain(|loved| loved.what != Play::of(song));
        world.ledger.set("unlove", format!("{}|{}", song.artist, song.title));
        Ok(Answer::json(200, &json!({})))
    }

    fn scrobble(&mut self, asked: &Asked, world: &mut World<'_>) -> Result<Answer, Answer> {
        let item = |at: usize, name: &str| {
            let value =
                |key: &str| asked.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
            value(&format!("{name}[{at}]")).or_else(|| if at == 0 { value(name) } else { None })
        };
        let count = (0..=BATCH).take_while(|at| item(*at, "timestamp").is_some()).count();
        let missing = || error(400, 6, "Invalid parameters - Your request is missing a required parameter");
        let all_named = (0..count).all(|at| item(at, "artist").is_some() && item(at, "track").is_some());
        if count == 0 || count > BATCH || !all_named {
            return Err(missing());
        }
        let (mut answers, mut ignored) = (Vec::new(), 0);
        for at in 0..count {
            let text = |name: &str| item(at, name).unwrap_or_default();
            let play = Play { artist: text("artist"), title: text("track"), album: text("album") };
            let code = self.take(&play, &text("timestamp"), world).ok_or_else(missing)?;
            ignored += usize::from(code != 0);
            let answer = with(heard(&play, code), "timestamp", text("timestamp").into());
            answers.push(answer.into());
        }
        let body = json!({ "scrobbles": {
            "scrobble": one_or_many(answers),
            "@attr": { "accepted": count - ignored, "ignored": ignored },
        } });
        Ok(Answer::json(200, &body))
    }

    /// Counts a play, or says by its code why not. `None` for a time that is no time.
    fn take(&mut self, play: &Play, started: &str, world: &mut World<'_>) -> Option<u32> {
        let at: i64 = started.parse().ok()?;
        let age = world.now.duration_since(Timestamp::from_second(at).ok()?);
        let day = |second: i64| second.div_euclid(86_400);
        let today = self.plays.iter().filter(|played| day(played.at) == day(at)).count();
        let code = match () {
            () if play.artist.trim().is_empty() => 1,
            () if play.title.trim().is_empty() => 2,
            () if age > OLDEST => 3,
            () if age < -NEWEST => 4,
            () if today >= PER_DAY => 5,
            () => 0,
        };
        if code == 0 {
            world.ledger.added("scrobble", format!("{}|{}|{at}", play.artist, play.title));
            self.plays.push(Played { what: play.clone(), at, is_new: true });
            self.plays.sort_by_key(|played| std::cmp::Reverse(played.at));
        }
        Some(code)
    }

    fn update_now_playing(&mut self, asked: &Asked, world: &mut World<'_>) -> Result<Answer, Answer> {
        let text = |name: &str| asked.get(name).unwrap_or_default().to_owned();
        let play = Play {
            artist: asked.need("artist")?.to_owned(),
            title: asked.need("track")?.to_owned(),
            album: text("album"),
        };
        let length = asked.number("duration").and_then(|length| i64::try_from(length).ok()).unwrap_or(300);
        world.ledger.set("now_playing", format!("{}|{}", play.artist, play.title));
        let answer = Answer::json(200, &json!({ "nowplaying": heard(&play, 0) }));
        self.now = Some((play, world.now + SignedDuration::from_secs(length)));
        Ok(answer)
    }

    fn user_info(&self, asked: &Asked) -> Result<Answer, Answer> {
        // Without a name it is whose session key it is.
        if asked.get("user").is_some() || asked.get("sk").is_none() {
            asked.user()?;
        }
        let body = json!({ "user": {
            "name": USER,
            "realname": "Ada",
            "url": format!("https://www.last.fm/user/{USER}"),
            "country": "United Kingdom",
            "age": "0",
            "subscriber": "0",
            "playcount": self.plays.len().to_string(),
            "playlists": "0",
            "bootstrap": "0",
            "type": "user",
            "image": star(),
            "registered": { "unixtime": "1037793040", "#text": 1_037_793_040 },
        } });
        Ok(Answer::json(200, &body))
    }

    fn recent_tracks(&self, asked: &Asked, world: &World<'_>) -> Result<Answer, Answer> {
        asked.user()?;
        let bound = |name: &str| asked.get(name).and_then(|text| text.parse::<i64>().ok());
        let (from, to) = (bound("from").unwrap_or(i64::MIN), bound("to").unwrap_or(i64::MAX));
        let heard: Vec<_> =
            seen(&self.plays, world).filter(|played| (from..=to).contains(&played.at)).collect();
        let (page, attributes) = paged(asked, &heard, 200);
        let mut items: Vec<Value> =
            page.iter().map(|played| with(recent(&played.what), "date", date(played.at)).into()).collect();
        let playing = self.now.as_ref().filter(|(_, until)| *until > world.now);
        if let Some((play, _)) = playing.filter(|_| asked.number("page").unwrap_or(1) == 1) {
            items.insert(0, with(recent(play), "@attr", json!({ "nowplaying": "true" })).into());
        }
        Ok(listed("recenttracks", "track", items, with(attributes, "user", USER.into())))
    }

    fn loved_tracks(&self, asked: &Asked, world: &World<'_>) -> Result<Answer, Answer> {
        asked.user()?;
        let loved: Vec<_> = seen(&self.loved, world).collect();
        let (page, attributes) = paged(asked, &loved, 1000);
        let item = |played: &&Played| {
            let song = song(&played.what.artist, &played.what.title)?;
            let mut item = track(song);
            item.remove("duration");
            Some(Value::from(with(item, "date", date(played.at))))
        };
        let items = page.iter().filter_map(item).collect();
        Ok(listed("lovedtracks", "track", items, with(attributes, "user", USER.into())))
    }

    fn top_tracks(&self, asked: &Asked, world: &World<'_>) -> Result<Answer, Answer> {
        let counts = self.counted(asked, world, |play| song(&play.artist, &play.title))?;
        let (page, attributes) = paged(asked, &counts, 1000);
        let items = page.iter().map(|(song, count)| with(track(song), "playcount", count.to_string().into()));
        let items = ranked(items, first(&attributes));
        Ok(listed("toptracks", "track", items, with(attributes, "user", USER.into())))
    }

    fn top_artists(&self, asked: &Asked, world: &World<'_>) -> Result<Answer, Answer> {
        let counts = self.counted(asked, world, |play| Some(play.artist.clone()))?;
        let (page, attributes) = paged(asked, &counts, 1000);
        let items =
            page.iter().map(|(name, count)| with(artist(name), "playcount", count.to_string().into()));
        let items = ranked(items, first(&attributes));
        Ok(listed("topartists", "artist", items, with(attributes, "user", USER.into())))
    }

    /// How often each was heard in the period, the most first.
    fn counted<T: PartialEq>(
        &self,
        asked: &Asked,
        world: &World<'_>,
        of: impl Fn(&Play) -> Option<T>,
    ) -> Result<Vec<(T, usize)>, Answer> {
        asked.user()?;
        let days = match asked.get("period") {
            None | Some("overall") => 100_000,
            Some("7day") => 7,
            Some("1month") => 30,
            Some("3month") => 90,
            Some("6month") => 180,
            Some("12month") => 365,
            Some(_) => return Err(error(400, 6, "Invalid parameters - period")),
        };
        let since = world.now.as_second() - days * 86_400;
        let mut counts: Vec<(T, usize)> = Vec::new();
        for thing in seen(&self.plays, world).filter(|played| played.at >= since).filter_map(|p| of(&p.what))
        {
            match counts.iter_mut().find(|(known, _)| *known == thing) {
                Some((_, count)) => *count += 1,
                None => counts.push((thing, 1)),
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Ok(counts)
    }

    fn artist_info(&self, asked: &Asked) -> Result<Answer, Answer> {
        let name = asked.artist()?;
        let songs = songs_of(name);
        let heard = self.plays.iter().filter(|played| played.what.artist == name).count();
        let all: u64 = songs.iter().map(|song| listeners(song)).sum();
        let mut stats = object(json!({ "listeners": all.to_string(), "playcount": (all * 9).to_string() }));
        if asked.get("username") == Some(USER) {
            stats = with(stats, "userplaycount", heard.to_string().into());
        }
        let similar = similar_artists(name).into_iter().map(|(name, _)| artist(name).into()).collect();
        let tags = tags(&songs).into_iter().map(|(tag, _)| tag_object(tag).into()).collect();
        let text = format!("{name} does not exist.");
        let mut info = with(artist(name), "ontour", "0".into());
        info = with(info, "stats", stats.into());
        info = with(info, "similar", json!({ "artist": one_or_many(similar) }));
        info = with(info, "tags", json!({ "tag": one_or_many(tags) }));
        let bio = json!({ "published": "01 Jan 2020, 00:00", "summary": text, "content": text });
        Ok(Answer::json(200, &json!({ "artist": with(info, "bio", bio) })))
    }
}

/// What an index knows, which may lag behind.
fn seen<'a>(all: &'a [Played], world: &World<'_>) -> impl Iterator<Item = &'a Played> + use<'a> {
    let lags = world.lags;
    all.iter().filter(move |played| !(lags && played.is_new))
}

/// What a scrobble says about itself when it comes back.
fn heard(play: &Play, code: u32) -> Map<String, Value> {
    let said = |text: &str| json!({ "corrected": "0", "#text": text });
    let why =
        ["", "Artist was ignored", "Track was ignored", "Timestamp was too old", "Timestamp was too new"];
    let why = why.get(code as usize).copied().unwrap_or("Daily scrobble limit exceeded");
    object(json!({
        "artist": said(&play.artist),
        "albumArtist": said(""),
        "album": said(&play.album),
        "track": said(&play.title),
        "ignoredMessage": { "code": code.to_string(), "#text": why },
    }))
}

/// What a history calls a track.
fn recent(play: &Play) -> Map<String, Value> {
    let song = song(&play.artist, &play.title);
    let id = song.map(track_mbid).unwrap_or_default();
    let url = address(&format!("{}/_/{}", in_address(&play.artist), in_address(&play.title)));
    object(json!({
        "artist": { "mbid": mbid(&play.artist), "#text": play.artist },
        "album": { "mbid": "", "#text": play.album },
        "name": play.title,
        "mbid": id,
        "streamable": "0",
        "url": song.map_or(url, track_address),
        "image": song.map_or_else(star, cover),
    }))
}

fn date(at: i64) -> Value {
    let shown = Timestamp::from_second(at).unwrap_or_default().strftime("%d %b %Y, %H:%M").to_string();
    json!({ "uts": at.to_string(), "#text": shown })
}

fn tag_object(tag: &str) -> Map<String, Value> {
    object(json!({ "name": tag, "url": format!("https://www.last.fm/tag/{}", in_address(tag)) }))
}

fn top_tags(songs: &[&Song], attributes: &Value) -> Answer {
    let tag = |(name, count): (&str, usize)| with(tag_object(name), "count", count.into()).into();
    let tags = tags(songs).into_iter().map(tag).collect();
    Answer::json(200, &json!({ "toptags": { "tag": one_or_many(tags), "@attr": attributes } }))
}

fn songs_of(name: &str) -> Vec<&'static Song> {
    SONGS.iter().filter(|song| song.artist == name).collect()
}

/// The page that was asked for, and what is said about all pages.
fn paged<'a, T>(asked: &Asked, all: &'a [T], most: usize) -> (&'a [T], Map<String, Value>) {
    let limit = asked.number("limit").unwrap_or(50).clamp(1, most);
    let page = asked.number("page").unwrap_or(1).max(1);
    let start = (page - 1).saturating_mul(limit).min(all.len());
    let end = start.saturating_add(limit).min(all.len());
    let attributes = object(json!({
        "page": page.to_string(),
        "perPage": limit.to_string(),
        "totalPages": all.len().div_ceil(limit).to_string(),
        "total": all.len().to_string(),
    }));
    (&all[start..end], attributes)
}

/// How many items are on the pages before.
fn first(attributes: &Map<String, Value>) -> usize {
    let number =
        |name: &str| attributes[name].as_str().and_then(|text| text.parse::<usize>().ok()).unwrap_or(1);
    (number("page") - 1) * number("perPage")
}

fn listed(outer: &str, inner: &str, items: Vec<Value>, attributes: Map<String, Value>) -> Answer {
    let list = object(json!({ "@attr": attributes }));
    Answer::json(200, &json!({ outer: with(list, inner, one_or_many(items)) }))
}
