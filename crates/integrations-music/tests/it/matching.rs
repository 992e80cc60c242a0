//! Finding tracks again: the table of hard pairs, the choice among candidates, and what always holds.

use integrations_core::ErrorKind;
use integrations_music::matching::{Difference, Found, How, Matcher, Title, Version, Wanted, fold, score};
use integrations_music::{Isrc, Track};
use proptest::prelude::*;

use crate::shelf::{Shelf, coded, track};

/// Artists, title, seconds; 0 for unknown.
type Side = (&'static str, &'static str, u64);

/// Pairs that are one recording, as two services show it.
const SAME: &[(Side, Side)] = &[
    (("Queen", "Don't Stop Me Now - Remastered 2011", 209), ("Queen", "Don’t Stop Me Now", 211)),
    (
        ("The Beatles", "Come Together - 2019 Mix - Remastered", 259),
        ("Beatles", "Come Together (2019 Mix) [Remastered]", 259),
    ),
    (("Beyoncé; JAY-Z", "Crazy In Love (feat. JAY-Z)", 236), ("Beyonce", "Crazy in Love", 235)),
    (("Rihanna", "Umbrella", 276), ("Rihanna; JAY-Z", "Umbrella (Featuring Jay-Z)", 275)),
    (("Simon & Garfunkel", "The Sound of Silence", 185), ("Simon and Garfunkel", "Sound Of Silence", 186)),
    (("Mark Ronson", "Uptown Funk (feat. Bruno Mars)", 270), ("Mark Ronson; Bruno Mars", "Uptown Funk", 269)),
    (("AC/DC", "T.N.T.", 214), ("ACDC", "TNT", 214)),
    (("Sigur Rós", "Hoppípolla", 268), ("Sigur Ros", "Hoppipolla", 268)),
    (("Мумий Тролль", "Владивосток 2000", 158), ("МУМИЙ ТРОЛЛЬ", "Владивосток 2000", 159)),
    (("宇多田ヒカル", "First Love", 258), ("宇多田ヒカル", "First Love (Remastered)", 257)),
    (("椎名林檎", "丸ノ内サディスティック", 236), ("椎名林檎", "丸ﾉ内ｻﾃﾞｨｽﾃｨｯｸ", 236)),
    (
        ("Otis Redding", "(Sittin' On) The Dock of the Bay", 163),
        ("Otis Redding", "Sittin’ on the Dock of the Bay", 163),
    ),
    (("Nirvana", "About a Girl - Live", 217), ("Nirvana", "About a Girl (Live)", 218)),
    (("Nirvana", "About a Girl (MTV Unplugged)", 217), ("Nirvana", "About a Girl - MTV Unplugged", 217)),
    (
        ("P. Diddy", "I'll Be Missing You (with Faith Evans)", 343),
        ("P Diddy; Faith Evans", "I'll Be Missing You", 343),
    ),
    (("Sigur Rós", "Untitled #1 (Vaka)", 398), ("Sigur Rós", "Untitled 1 (Vaka)", 398)),
    (("Daft Punk", "One More Time (Radio Edit)", 235), ("Daft Punk", "One More Time - Radio Edit", 235)),
    (("!!!", "!!!", 100), ("!!!", "!!!", 100)),
    (
        ("Taylor Swift", "Love Story (Taylor’s Version)", 235),
        ("Taylor Swift", "Love Story (Taylor's Version)", 236),
    ),
    (("Die Ärzte", "Westerland", 221), ("Die Aerzte", "Westerland", 222)),
    (("Queen", "Bohemian Rhapsody", 354), ("Queen", "Bohemian Rapsody", 0)),
    (("Prince", "1999", 219), ("Prince", "1999 (2019 Remaster)", 218)),
    (("Robin S", "Show Me Love (Official Video)", 252), ("Robin S.", "Show Me Love", 257)),
    (
        ("Pink Floyd", "Another Brick in the Wall, Part 2", 239),
        ("Pink Floyd", "Another Brick in the Wall, Pt. II", 239),
    ),
    (("Guns N' Roses", "Paradise City", 406), ("Guns and Roses", "Paradise City", 406)),
    (("Maschinenhaus", "Über den Dächern", 288), ("Maschinenhaus", "Ueber den Daechern", 288)),
    (("Red Hot Chili Peppers", "Otherside", 255), ("Red Hot Chilli Peppers", "Otherside", 255)),
    (("The Police", "Walking on the Moon", 302), ("The Police", "Walking On Moon", 302)),
    (
        ("Celine Dion", "My Heart Will Go On - Love Theme from \"Titanic\"", 280),
        ("Céline Dion", "My Heart Will Go On (Love Theme from 'Titanic')", 280),
    ),
    (("Idina Menzel", "Let It Go (From \"Frozen\")", 224), ("Idina Menzel", "Let It Go", 224)),
    (
        ("Ludwig van Beethoven; Berliner Philharmoniker", "Symphony No. 5: I. Allegro con brio", 430),
        ("Berliner Philharmoniker", "Symphony No. 5: I. Allegro con brio", 430),
    ),
    (("P!nk", "So What", 215), ("Pink", "So What", 215)),
    (("Dave Brubeck", "Take Five", 324), ("Dave Brubeck", "Take 5", 324)),
];

/// Pairs that only look alike.
const OTHER: &[(Side, Side)] = &[
    (("Leonard Cohen", "Hallelujah", 276), ("Jeff Buckley", "Hallelujah", 276)),
    (("Johnny Cash", "Hurt", 218), ("Nine Inch Nails", "Hurt", 218)),
    (("Queen", "Love of My Life", 217), ("Queen", "Love of My Life - Live", 217)),
    (("Queen", "Love of My Life (Live at Wembley)", 217), ("Queen", "Love of My Life (Live in Rio)", 217)),
    (("Moby", "Porcelain", 240), ("Moby", "Porcelain (Remix)", 240)),
    (("Moby", "Porcelain (Clubbed to Death Remix)", 240), ("Moby", "Porcelain (Torsten Stenzel Remix)", 240)),
    (("Eric Clapton", "Layla", 240), ("Eric Clapton", "Layla (Acoustic)", 240)),
    (("Adele", "Hello", 295), ("Adele", "Hello (Instrumental)", 295)),
    (("Adele", "Hello", 295), ("Karaoke Hits", "Hello (Karaoke Version)", 295)),
    (("Adele", "Hello", 295), ("Lionel Richie", "Hello", 250)),
    (("Adele", "Hello", 295), ("Adele Tribute Band", "Hello", 295)),
    (("Nirvana", "Something in the Way", 232), ("Nirvana", "Something in the Way (Demo)", 232)),
    (("Daft Punk", "One More Time", 320), ("Daft Punk", "One More Time (Radio Edit)", 235)),
    (("Daft Punk", "One More Time", 320), ("Daft Punk", "One More Time", 235)),
    (("Taylor Swift", "Love Story", 235), ("Taylor Swift", "Love Story (Taylor’s Version)", 235)),
    (("Blur", "Song 2", 121), ("Blur", "Song 3", 121)),
    (("Chicago", "Untitled", 200), ("Interpol", "Untitled", 200)),
    (("Interpol", "Untitled", 236), ("Interpol", "Untitled II", 236)),
    (("", "Intro", 60), ("", "Intro", 60)),
    (("Чайковский", "Лебединое озеро", 180), ("Tchaikovsky", "Swan Lake", 180)),
    (("宇多田ヒカル", "かき", 200), ("宇多田ヒカル", "がき", 200)),
    (("Oasis", "Live Forever", 276), ("Oasis", "Forever", 276)),
    (
        ("Pink Floyd", "Another Brick in the Wall, Pt. 2", 239),
        ("Pink Floyd", "Another Brick in the Wall, Pt. 3", 239),
    ),
    (("Weezer", "Say It Ain't So", 258), ("Weezer", "Say It Ain't So (Sped Up)", 258)),
    // Titles of which one word, one letter or one name of a version differs.
    (("A", "Home", 200), ("A", "Hope", 200)),
    (("A", "Home", 0), ("A", "Hope", 0)),
    (("A", "I Love You Tonight", 200), ("A", "I Need You Tonight", 200)),
    (("A", "Angel", 200), ("A", "Angels", 200)),
    (("A", "Can't Stop Loving You", 200), ("A", "Don't Stop Loving You", 200)),
    (("A", "Love Is War", 200), ("A", "War Is Love", 200)),
    (("YOASOBI", "夜に駆ける", 200), ("YOASOBI", "夜を駆ける", 200)),
    (("A", "A Long Song With a Name (Piano)", 200), ("A", "A Long Song With a Name", 200)),
    (("A", "A Long Song With a Name (Live @ Wembley)", 200), ("A", "A Long Song With a Name", 200)),
    (("A", "A Long Song With a Name (VIP)", 200), ("A", "A Long Song With a Name", 200)),
    (
        ("Elton John", "Funeral for a Friend / Love Lies Bleeding", 667),
        ("Elton John", "Funeral for a Friend", 667),
    ),
    (("A", "Never Gonna Come Back Home / Over", 200), ("A", "Never Gonna Come Back Home", 200)),
    // Parts, movements, works, keys.
    (("A", "The Story, Part One", 200), ("A", "The Story, Part Two", 200)),
    (("A", "Suite: I. Allegro", 200), ("A", "Suite: V. Allegro", 200)),
    (("A", "Suite: X. Allegro", 200), ("A", "Suite: XI. Allegro", 200)),
    (("Chopin", "Nocturne Op. 9 No. 1", 300), ("Chopin", "Nocturne Op. 1 No. 9", 300)),
    (("Bach", "Prelude and Fugue in C Major", 120), ("Bach", "Prelude and Fugue in C Minor", 120)),
    (("Bach", "Prelude and Fugue in C Major", 120), ("Bach", "Prelude and Fugue in D Major", 120)),
    (("A", "Étude in C-Sharp Minor", 120), ("A", "Étude in C Minor", 120)),
    (("A", "Étude in C♯ Minor", 120), ("A", "Étude in C Minor", 120)),
    // Other hands.
    (("Coldplay", "Fix You (feat. Ines Maro)", 290), ("Ines Maro", "Fix You", 290)),
    (("Red Hot Chili Peppers", "Otherside", 255), ("Red Hot Chilli Pipers", "Otherside", 255)),
    (("Led Zeppelin", "Black Dog", 296), ("Dread Zeppelin", "Black Dog", 296)),
    (("Iron Maiden", "The Trooper", 250), ("The Iron Maidens", "The Trooper", 250)),
    (("The Rolling Stones", "Angie", 272), ("The Rolling Clones", "Angie", 272)),
];

fn wanted((artists, title, seconds): Side) -> Wanted {
    let names = artists.split("; ").filter(|name| !name.is_empty());
    let wanted = names.fold(Wanted::new(title), Wanted::artist);
    if seconds == 0 { wanted } else { wanted.duration_ms(seconds * 1000) }
}

#[test]
fn the_threshold_parts_what_is_the_same_from_what_looks_alike() {
    let score = |pair: &(Side, Side)| score(&wanted(pair.0), &wanted(pair.1)).score;
    let least = SAME.iter().min_by(|a, b| score(a).total_cmp(&score(b))).unwrap();
    let most = OTHER.iter().max_by(|a, b| score(a).total_cmp(&score(b))).unwrap();
    for pair in SAME {
        assert!(score(pair) >= Matcher::THRESHOLD, "{} {pair:?}", score(pair));
    }
    for pair in OTHER {
        assert!(score(pair) < Matcher::THRESHOLD, "{} {pair:?}", score(pair));
    }
    // The numbers that the threshold's description gives.
    assert!(score(least) >= 0.93, "{} {least:?}", score(least));
    assert!(score(most) < 0.795, "{} {most:?}", score(most));
}

#[test]
fn a_title_that_an_artist_uses_again_and_again_is_told_apart_by_its_album() {
    for title in ["Intro", "Outro", "Interlude", "Untitled", "Skit", "Prelude"] {
        let wanted = Wanted::new(title).artist("The xx").album("xx").duration_ms(127_000);
        let mut other = track("other", "The xx", title, 127);
        other.album = Some(integrations_music::AlbumRef::new(None, "I See You"));
        let mut same = track("same", "The xx", title, 127);
        same.album = Some(integrations_music::AlbumRef::new(None, "XX"));
        assert_eq!(judge(&wanted, std::slice::from_ref(&other)).track(), None, "{title}");
        let tracks = [other.clone(), same.clone()];
        assert_eq!(judge(&wanted, &tracks).track().unwrap().id.as_str(), "same", "{title}");
        let without = Wanted::new(title).artist("The xx");
        assert!(matches!(judge(&without, &tracks), Found::Ambiguous { .. }), "{title}");
    }
}

#[test]
fn the_explicit_flag_counts_more_than_a_second_of_silence() {
    let wanted = Wanted::new("Song").artist("A").duration_ms(200_000).explicit(true);
    let mut clean = track("clean", "A", "Song", 200);
    clean.explicit = Some(false);
    let mut explicit = track("explicit", "A", "Song", 201);
    explicit.explicit = Some(true);
    assert_eq!(judge(&wanted, &[clean, explicit]).track().unwrap().id.as_str(), "explicit");
}

#[test]
fn a_thousand_candidates_and_hostile_names_cost_little() {
    let hostile = [
        "a and a & a ".repeat(100),
        "x".repeat(10_000),
        "(".repeat(10_000),
        " - a".repeat(2_000),
        "feat. ".repeat(2_000),
    ];
    let start = std::time::Instant::now();
    let wanted = Wanted::new("A Song of Many Words").artist("Somebody").duration_ms(200_000);
    let tracks: Vec<Track> = (0..1000)
        .map(|at| track(&format!("t{at}"), "Somebody", &format!("A Song of Many Words {at}"), 200))
        .collect();
    judge(&wanted, &tracks);
    let ordinary = start.elapsed();
    let start = std::time::Instant::now();
    for text in &hostile {
        let mut wanted = (0..40).fold(Wanted::new(text), |wanted, at| wanted.artist(format!("{at} {text}")));
        wanted.album = Some(text.clone());
        let mut other = wanted.clone();
        other.title.push('b');
        other.artists.rotate_left(1);
        other.artists.iter_mut().for_each(|name| name.insert(0, 'b'));
        score(&wanted, &other);
    }
    let spent = start.elapsed();
    // Generous, because the machine may be busy; comparing everything with everything took a minute.
    assert!(ordinary.as_secs() < 5 && spent.as_secs() < 5, "{ordinary:?} {spent:?}");
}

#[test]
fn other_versions_are_never_folded_away() {
    for word in ["Live", "Remix", "Acoustic", "Instrumental", "Karaoke", "Demo", "Radio Edit", "Extended Mix"]
    {
        for title in [
            format!("Song ({word})"),
            format!("Song [{word}]"),
            format!("Song - {word}"),
            format!("Song （{word}）"),
        ] {
            let scored = score(&Wanted::new("Song").artist("A"), &Wanted::new(&title).artist("A"));
            assert!(scored.score <= 0.4, "{title}: {}", scored.score);
            assert!(scored.reason.differs.contains(&Difference::Version), "{title}");
        }
    }
}

#[test]
fn a_title_is_taken_apart() {
    let cases: &[(&str, &str, &[Version], &[&str])] = &[
        ("Song", "song", &[], &[]),
        ("Song (2011 Remaster)", "song", &[], &[]),
        ("Song - Mono - Remastered 2009", "song", &[], &[]),
        ("Song (Original Mix)", "song", &[], &[]),
        ("Song (Album Version)", "song", &[], &[]),
        ("Song (Club Mix)", "song", &[Version::Remix], &[]),
        ("Song (Extended Mix)", "song", &[Version::Extended], &[]),
        ("Song feat. A, B & C", "song", &[], &["a", "b", "c"]),
        ("Song (ft. A) (Live)", "song", &[Version::Live], &["a"]),
        ("Song (Live at X - 2001) [feat. A]", "song", &[Version::Live], &["a"]),
        ("Live and Let Die", "live and let die", &[], &[]),
        ("Live Forever", "live forever", &[], &[]),
        ("(Live)", "live", &[], &[]),
        ("Demo", "demo", &[], &[]),
        ("Song (Unclosed", "song unclosed", &[], &[]),
        ("Song - Part - Live", "song part", &[Version::Live], &[]),
        ("The The", "the", &[], &[]),
        ("???", "???", &[], &[]),
        ("", "", &[], &[]),
    ];
    for (text, base, versions, featured) in cases {
        let title = Title::of(text);
        assert_eq!(title.base, *base, "{text}");
        assert_eq!(title.versions.iter().copied().collect::<Vec<_>>(), *versions, "{text}");
        assert_eq!(title.featured, *featured, "{text}");
    }
}

#[test]
fn durations_count_in_full_up_to_three_seconds_and_not_from_fifteen() {
    let with = |seconds: u64| {
        let song = |seconds| Wanted::new("Song").artist("A").duration_ms(seconds);
        score(&song(200_000), &song(200_000 + seconds * 1000)).reason.duration.unwrap()
    };
    for (seconds, alike) in [(0, 1.0), (3, 1.0), (9, 0.5), (15, 0.0), (600, 0.0)] {
        assert!((with(seconds) - alike).abs() < 1e-6, "{seconds}: {}", with(seconds));
    }
}

fn judge(wanted: &Wanted, tracks: &[Track]) -> Found {
    Matcher::new().judge(wanted, tracks)
}

const CODE: &str = "GBUM71029604";

fn with_code(seconds: u64) -> Wanted {
    Wanted::new("Song").artist("A").duration_ms(seconds * 1000).isrc(CODE.parse::<Isrc>().unwrap())
}

#[test]
fn one_isrc_with_several_tracks_is_decided_by_playable_duration_flag_and_album() {
    let mut tracks: Vec<Track> = ["far", "clean", "gone", "good", "compilation"]
        .into_iter()
        .map(|id| coded(id, "A", "Song", if id == "far" { 203 } else { 200 }, CODE))
        .collect();
    for track in &mut tracks {
        track.explicit = Some(track.id.as_str() != "clean");
        track.playable = Some(track.id.as_str() != "gone");
        let album = if track.id.as_str() == "compilation" { "Hits" } else { "First" };
        track.album = Some(integrations_music::AlbumRef::new(None, album));
    }
    let wanted = with_code(200).album("First").explicit(true);
    for _ in 0..tracks.len() {
        tracks.rotate_left(1);
        let Found::Match { best, candidates } = judge(&wanted, &tracks) else { panic!("no match") };
        assert_eq!((best.track.id.as_str(), best.reason.how), ("good", How::Isrc));
        assert_eq!(candidates.len(), 4);
    }
}

#[test]
fn an_isrc_finds_a_title_in_another_script() {
    let wanted =
        Wanted::new("Лебединое озеро").artist("Чайковский").duration_ms(180_000).isrc(CODE.parse().unwrap());
    let found = judge(&wanted, &[coded("x", "Tchaikovsky", "Swan Lake", 181, CODE)]);
    assert_eq!(found.track().unwrap().id.as_str(), "x");
}

#[test]
fn a_reused_isrc_is_not_believed() {
    let found = judge(&with_code(200), &[coded("x", "B", "Something", 420, CODE)]);
    let Found::NoMatch { candidates } = found else { panic!("{found:?}") };
    assert!(candidates[0].reason.differs.contains(&Difference::IsrcReused));
    assert!(candidates[0].reason.to_string().contains("the ISRC is the same but nothing else"));
}

#[test]
fn two_recordings_that_fit_alike_are_ambiguous_and_two_albums_of_one_are_not() {
    let wanted = Wanted::new("Song").artist("A");
    let short_and_long = [track("short", "A", "Song", 180), track("long", "A", "Song", 300)];
    assert!(
        matches!(judge(&wanted, &short_and_long), Found::Ambiguous { candidates } if candidates.len() == 2)
    );
    assert_eq!(
        judge(&wanted.clone().duration_ms(300_000), &short_and_long).track().unwrap().id.as_str(),
        "long"
    );
    let two_albums = [track("single", "A", "Song", 180), track("album", "A", "Song", 181)];
    assert_eq!(judge(&wanted, &two_albums).track().unwrap().id.as_str(), "single");
    assert_eq!(judge(&wanted, &[]), Found::NoMatch { candidates: Vec::new() });
}

#[tokio::test]
async fn one_call_is_enough_where_the_isrc_is_known_and_three_are_the_most() {
    let shelf = Shelf::right();
    shelf.stock([coded("x", "A", "Song", 200, CODE), track("cover", "B", "Song", 200)]);
    let music = shelf.music();
    let found = Matcher::new().find(&music, &with_code(200)).await.unwrap();
    assert_eq!((found.track().unwrap().id.as_str(), shelf.all_calls()), ("x", 1));
    let found = Matcher::new().find(&music, &with_code(200).artist("Z")).await.unwrap();
    assert_eq!(found.track().unwrap().id.as_str(), "x");
    let other = Wanted::new("Song").artist("C").isrc("GBUM71029699".parse().unwrap());
    let found = Matcher::new().find(&music, &other).await.unwrap();
    assert!(matches!(found, Found::NoMatch { candidates } if candidates.len() == 2));
    assert_eq!((shelf.calls("isrc"), shelf.calls("search")), (3, 2));
}

#[tokio::test]
async fn a_service_without_codes_is_searched_and_one_without_search_is_unsupported() {
    let shelf = Shelf::right().without(&["isrc"]);
    shelf.stock([coded("x", "A", "Song", 200, CODE)]);
    let found = Matcher::new().find(&shelf.music(), &with_code(200)).await.unwrap();
    // It cannot be asked by code, but its tracks have codes.
    assert!(matches!(found, Found::Match { best, .. } if best.reason.how == How::Isrc));
    let shelf = shelf.without(&["search"]);
    let error = Matcher::new().find(&shelf.music(), &with_code(200)).await.unwrap_err();
    assert_eq!((error.kind(), shelf.all_calls()), (ErrorKind::Unsupported, 1));
}

#[tokio::test]
async fn nothing_to_search_for_finds_nothing_and_asks_nothing() {
    let shelf = Shelf::right();
    let found = Matcher::new().find(&shelf.music(), &Wanted::new("")).await.unwrap();
    assert_eq!((found, shelf.all_calls()), (Found::NoMatch { candidates: Vec::new() }, 0));
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    let title =
        prop_oneof!["\\PC{0,24}", "[a-c]{1,4}( - | \\(|\\) |feat\\. |Live|Remix|2011| ){0,5}[a-c]{0,3}\\)?"];
    let artists = prop::collection::vec("\\PC{1,8}|[a-d]{1,3}( & [a-d]{1,3})?", 0..4);
    (title, artists, prop::option::of(0_u64..400_000), prop::option::of("[a-d ]{0,6}")).prop_map(
        |(title, artists, duration, album)| {
            let mut wanted = artists.into_iter().fold(Wanted::new(title), Wanted::artist);
            (wanted.duration_ms, wanted.album) = (duration, album);
            wanted
        },
    )
}

proptest! {
    #[test]
    fn folding_twice_is_folding_once(text in "\\PC{0,40}") {
        prop_assert_eq!(fold(&fold(&text)), fold(&text));
    }

    #[test]
    fn a_score_is_symmetric_and_between_zero_and_one(a in any_wanted(), b in any_wanted()) {
        let (forth, back) = (score(&a, &b).score, score(&b, &a).score);
        prop_assert!((forth - back).abs() < 1e-5, "{} {}", forth, back);
        prop_assert!((0.0..=1.0).contains(&forth));
    }

    #[test]
    fn everything_is_itself(a in any_wanted()) {
        prop_assume!(a.artists.iter().any(|name| !fold(name).is_empty()));
        prop_assert!(score(&a, &a).score > 0.9999);
    }
}
