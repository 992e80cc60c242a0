//! Who proves the calls, and what the client may do.

use std::time::Duration;

use integrations_core::setup::Setup;
use integrations_core::{Bearer, Clock, ErrorKind};
use integrations_music::spotify::{Spotify, SpotifyBuilder, spec};
use integrations_music::{Music, MusicCap};
use jiff::Timestamp;
use serde_json::json;

use super::script::{Script, Seen};

/// The issuer of tokens gives `at-1`, `at-2` and so on; the service has one track.
fn application(script: &Script) -> Music {
    let clock = Clock::virtual_from(Timestamp::UNIX_EPOCH);
    let builder = Spotify::builder().client_credentials("app", "hunter2");
    Music::new(builder.transport(script.clone()).clock(clock).build().unwrap())
}

fn issuing(service: impl Fn(&Seen) -> u16 + Send + Sync + 'static) -> Script {
    let issued = std::sync::atomic::AtomicU32::new(0);
    Script::new(move |seen, _| {
        if seen.line == "POST /api/token" {
            let count = issued.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            let token =
                json!({ "access_token": format!("at-{count}"), "token_type": "Bearer", "expires_in": 3600 });
            return (200, token.to_string());
        }
        let status = service(seen);
        let track = json!({ "id": "t1", "name": "Autobahn", "type": "track", "uri": "spotify:track:t1" });
        (status, if status == 200 { track.to_string() } else { String::new() })
    })
}

fn tokens_asked(script: &Script) -> Vec<Seen> {
    script.seen().into_iter().filter(|seen| seen.line == "POST /api/token").collect()
}

/// Where a fake or a proxy stands in for the service, its secrets go there too.
#[tokio::test(start_paused = true)]
async fn tokens_are_asked_where_the_setting_says() {
    let setup = |url: &str| {
        Setup::new(&spec::SPEC)
            .set("client_id", "app")
            .set("client_secret", integrations_core::SecretString::from("hunter2"))
            .set("accounts_url", url)
    };
    let script = Script::new(|seen, _| match seen.line.as_str() {
        "POST /spotify/api/token" => {
            (200, r#"{"access_token":"at-1","token_type":"Bearer","expires_in":3600}"#.into())
        }
        _ => (200, r#"{"id":"t1","name":"x"}"#.into()),
    });
    for url in ["http://127.0.0.1:8080/spotify", "http://127.0.0.1:8080/spotify/"] {
        let setup = setup(url).transport(std::sync::Arc::new(script.clone()));
        Music::new(Spotify::open(&setup).unwrap()).track("t1").await.unwrap();
    }
    assert_eq!(script.lines()[0], "POST /spotify/api/token");
    assert_eq!(script.lines()[2], "POST /spotify/api/token");
    let setup = setup("http://accounts.example").transport(std::sync::Arc::new(script));
    let error = Spotify::open(&setup).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test(start_paused = true)]
async fn many_calls_share_one_token_and_a_new_one_follows_its_end() {
    let script = issuing(|_| 200);
    let music = application(&script);
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let music = music.clone();
            tokio::spawn(async move { music.track("t1").await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().title, "Autobahn");
    }
    let asked = tokens_asked(&script);
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].authorization.as_str(), asked[0].body.as_str()),
        ("Basic YXBwOmh1bnRlcjI=", "grant_type=client_credentials")
    );
    assert_eq!(script.seen().iter().filter(|seen| seen.authorization == "Bearer at-1").count(), 20);

    tokio::time::advance(Duration::from_secs(3600)).await;
    music.track("t1").await.unwrap();
    assert_eq!(tokens_asked(&script).len(), 2);
    assert_eq!(script.seen().last().unwrap().authorization, "Bearer at-2");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once() {
    let script = issuing(|seen| if seen.authorization == "Bearer at-1" { 401 } else { 200 });
    let music = application(&script);
    assert_eq!(music.track("t1").await.unwrap_err().kind(), ErrorKind::Unauthenticated, "it was new");
    tokio::time::advance(Duration::from_secs(60)).await;
    music.track("t1").await.unwrap();
    assert_eq!(tokens_asked(&script).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_of_the_application_are_told_without_being_shown() {
    let refusal = json!({ "error": "invalid_client", "error_description": "Invalid client hunter2" });
    let script = Script::always(400, &refusal);
    let error = application(&script).track("t1").await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Config, Some("invalid_client")));
    assert!(!format!("{error} {error:?} {}", error.explain()).contains("hunter2"));
    assert_eq!(script.lines(), ["POST /api/token"]);
}

#[tokio::test(start_paused = true)]
async fn a_users_token_and_a_users_connection_prove_calls() {
    let script = issuing(|_| 200);
    let token = Spotify::builder().access_token("at-user").transport(script.clone());
    let connection = Spotify::builder().client_credentials("app", "x").authorize(Bearer::new("at-vault"));
    for builder in [token, connection.transport(script.clone())] {
        Music::new(builder.build().unwrap()).track("t1").await.unwrap();
    }
    let used: Vec<_> = script.seen().into_iter().map(|seen| seen.authorization).collect();
    assert_eq!(used, ["Bearer at-user", "Bearer at-vault"]);
}

#[tokio::test(start_paused = true)]
async fn the_token_for_a_player_is_the_one_that_proves_calls() {
    let script = issuing(|_| 200);
    let user = Spotify::builder().access_token("at-user").transport(script.clone()).build().unwrap();
    let token = Music::new(user).playback_token().await.unwrap();
    assert_eq!(token.token.expose(), "at-user");
    assert!(!format!("{token:?}").contains("at-user") && script.seen().is_empty());
    let error = application(&script).playback_token().await.unwrap_err();
    assert_eq!((error.kind(), script.seen().len()), (ErrorKind::Unsupported, 0));
}

fn caps(builder: SpotifyBuilder) -> Vec<&'static str> {
    let spotify = builder.transport(Script::always(500, &json!({}))).build().unwrap();
    Music::new(spotify).caps().iter().collect()
}

#[test]
fn the_quota_mode_and_the_user_decide_what_can_be_done() {
    let user = || Spotify::builder().access_token("t");
    let application = || Spotify::builder().client_credentials("app", "x");
    let extended = ["artist_top_tracks", "similar_artists", "recommendations"];
    assert_eq!(caps(user().extended()), spec::SPEC.caps);
    let in_development: Vec<_> =
        spec::SPEC.caps.iter().copied().filter(|cap| !extended.contains(cap)).collect();
    assert_eq!(caps(user()), in_development);
    let catalogue = [
        "track",
        "search",
        "isrc",
        "album",
        "album_tracks",
        "album_search",
        "artist",
        "artist_albums",
        "artist_search",
    ];
    let sorted = |mut names: Vec<&'static str>| {
        names.sort_unstable();
        names
    };
    assert_eq!(sorted(caps(application())), sorted(catalogue.to_vec()));
    assert_eq!(sorted(caps(application().extended())), sorted([&catalogue[..], &extended].concat()));
}

#[tokio::test(start_paused = true)]
async fn what_an_instance_lacks_sends_nothing() {
    let script = Script::always(500, &json!({}));
    let user = Music::new(Spotify::builder().access_token("t").transport(script.clone()).build().unwrap());
    let application = Music::new(
        Spotify::builder().client_credentials("a", "b").transport(script.clone()).build().unwrap(),
    );
    let errors = [
        user.similar_artists("a1").await.unwrap_err(),
        user.recommend(&integrations_music::Seeds::default(), 5, None).await.unwrap_err(),
        user.artists().unwrap().top_tracks("a1", None).await.unwrap_err(),
        application.playlists().unwrap_err(),
        application.library().unwrap_err(),
        application.history().unwrap_err(),
        application.playback().unwrap_err(),
        user.tags().unwrap_err(),
        user.scrobbling().unwrap_err(),
        user.artist_info("a1").await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    }
    assert!(script.seen().is_empty());
    assert!(user.can(MusicCap::PlaylistInsert) && user.require(&[MusicCap::Recommendations]).is_err());
}

#[test]
fn what_is_missing_or_wrong_is_told_at_once_and_secrets_are_not() {
    let open = |setup: Setup| {
        let setup = setup.transport(std::sync::Arc::new(Script::always(500, &json!({}))));
        Spotify::open(&setup).err().unwrap()
    };
    let new = || Setup::new(&spec::SPEC);
    let token = || new().set("access_token", integrations_core::SecretString::from("hunter2"));
    let table = [
        (open(new()), "no credentials"),
        (open(new().set("client_id", "app")), "client_secret"),
        (open(new().set("client_secret", integrations_core::SecretString::from("hunter2"))), "client_id"),
        (open(token().set("quota_mode", "gold")), "quota_mode"),
        (open(token().set("market", "Germany")), "market"),
    ];
    for (error, part) in table {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(part), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    let builder = Spotify::builder().client_credentials("app", "hunter2").access_token("hunter2");
    assert!(!format!("{builder:?}").contains("hunter2"));
}

#[tokio::test(start_paused = true)]
async fn the_variables_choose_who_proves_calls() {
    let table = [
        (&[("SPOTIFY_ACCESS_TOKEN", "at-user")][..], "Bearer at-user", true),
        (&[("SPOTIFY_CLIENT_ID", "app"), ("SPOTIFY_CLIENT_SECRET", "x")], "Bearer at-1", false),
        // A user's token wins over the application.
        (
            &[
                ("SPOTIFY_CLIENT_ID", "app"),
                ("SPOTIFY_CLIENT_SECRET", "x"),
                ("SPOTIFY_ACCESS_TOKEN", "at-user"),
            ],
            "Bearer at-user",
            true,
        ),
    ];
    for (variables, authorization, has_user) in table {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let script = issuing(|_| 200);
        let music =
            Music::new(Spotify::builder().vars(&lookup).unwrap().transport(script.clone()).build().unwrap());
        music.track("t1").await.unwrap();
        assert_eq!(script.seen().last().unwrap().authorization, authorization);
        assert_eq!(music.can(MusicCap::Playlists), has_user);
    }
}

#[cfg(feature = "hub")]
#[tokio::test(start_paused = true)]
async fn the_registry_opens_the_portable_type() {
    let mut registry = integrations_core::registry::Registry::new();
    integrations_music::register(&mut registry);
    let setup = Setup::new(&spec::SPEC)
        .set("access_token", integrations_core::SecretString::from("t-1"))
        .transport(std::sync::Arc::new(issuing(|_| 200)));
    let portable: Music = registry.open(&setup).unwrap();
    assert_eq!(portable.track("t1").await.unwrap().title, "Autobahn");
    assert!(portable.raw::<Spotify>().is_some() && portable.caller().is_some());
}
