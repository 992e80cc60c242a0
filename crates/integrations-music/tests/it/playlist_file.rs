//! Playlists as files: there and back, files of other programs, and files that are wrong.

use integrations_core::ErrorKind;
use integrations_music::matching::{Wanted, score};
use integrations_music::playlist_file::{FileEntry, Format, PlaylistFile};
use integrations_music::{AlbumRef, ArtistRef, EntryKind, Playlist, PlaylistEntry, Track};
use proptest::prelude::*;

use crate::shelf::coded;

fn playlist() -> PlaylistFile {
    let mut full = coded("1", "Kraftwerk", "Autobahn", 1363, "DEA621201096");
    full.artists.push(ArtistRef::new(Some("a2".into()), "A; B, \"C\" \\ D"));
    full.album = Some(AlbumRef::new(None, "Autobahn, Remaster"));
    full.explicit = Some(false);
    full.url = Some("https://music.example/1?a=b&c=d".into());
    full.extra.insert("bpm".into(), 120.into());
    let odd = coded("-2", "@SUM(1+1)*cmd|' /C calc'!A0", "=HYPERLINK(\"x\",\"y\")", 61, "GBAYE0601498");
    let mut quote = Track::new("3", "'=1");
    quote.artists = vec![ArtistRef::new(None, "")];
    let mut info = Playlist::new("p", "Ümläut & <Söns>");
    info.description = Some("A \"list\"".into());
    let entries = [
        PlaylistEntry::track(full, Some("2020-01-02T03:04:05Z".parse().unwrap())),
        PlaylistEntry::track(odd, None),
        PlaylistEntry::track(quote, None),
        PlaylistEntry::new(EntryKind::Episode, Some(Track::new("e", "Talk\nof\r\nthe day")), None),
        PlaylistEntry::new(EntryKind::Gone, None, None),
    ];
    PlaylistFile::of("spotify", &info, &entries)
}

fn read(text: &str, format: Format) -> integrations_core::Result<PlaylistFile> {
    PlaylistFile::read(text.as_bytes(), format)
}

#[test]
fn json_loses_nothing() {
    let file = playlist();
    let text = file.write(Format::Json).unwrap();
    assert!(text.contains("\"format\": \"integrations.playlist\",\n  \"version\": 1,"), "{text}");
    assert_eq!(read(&text, Format::Json).unwrap(), file);
    assert_eq!(read(&format!("\u{feff}{}", text.replace('\n', "\r\n")), Format::Json).unwrap(), file);
    assert_eq!(file.wanted().len(), 3);
}

#[test]
fn csv_keeps_what_a_match_needs_and_no_spreadsheet_runs_it() {
    let mut file = playlist();
    file.entries[2].wanted.artists.clear();
    let text = file.write(Format::Csv).unwrap();
    for line in text.split("\r\n").skip(1) {
        for field in line.split(',').map(|field| field.trim_matches('"')) {
            assert!(!field.starts_with(['=', '+', '-', '@', '\t']), "{field}");
        }
    }
    for text in [text.clone(), format!("\u{feff}{text}"), text.trim_end().to_owned()] {
        let back = read(&text, Format::Csv).unwrap();
        assert_eq!((back.name.as_str(), back.provider.as_str()), (file.name.as_str(), "spotify"));
        let plain = |file: &PlaylistFile| {
            let strip = |entry: &FileEntry| {
                let mut entry = entry.clone();
                entry.track = None;
                entry
            };
            file.entries.iter().map(strip).collect::<Vec<_>>()
        };
        assert_eq!(plain(&back), plain(&file));
    }
}

#[test]
fn csv_of_other_programs_is_read() {
    let text = "\u{feff}Track URI,Track Name,Artist Name(s),Album Name,Duration (ms),ISRC,Extra\n\
                spotify:track:1,\"Song, \"\"One\"\"\",A,Album,200000,gb-aye-06-01498,x\n\
                \n\
                spotify:track:2,Two,,,,,\n";
    let file = read(text, Format::Csv).unwrap();
    let first = &file.entries[0];
    assert_eq!(
        (first.wanted.title.as_str(), first.id.as_deref()),
        ("Song, \"One\"", Some("spotify:track:1"))
    );
    assert_eq!(first.wanted.isrc.as_ref().unwrap().as_str(), "GBAYE0601498");
    assert_eq!((file.entries.len(), file.entries[1].wanted.artists.len()), (2, 0));
}

#[test]
fn m3u_keeps_artists_title_album_seconds_and_codes() {
    let mut file = playlist();
    file.entries.truncate(3);
    file.entries[2].wanted.artists.clear();
    let text = file.write(Format::M3u8).unwrap();
    for text in [text.clone(), text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
        let back = read(&text, Format::M3u8).unwrap();
        let mut wanted = file.wanted();
        for wanted in &mut wanted {
            wanted.explicit = None;
        }
        assert_eq!((back.wanted(), back.name.as_str()), (wanted, "Ümläut & <Söns>"));
        assert_eq!(back.entries[0].url, file.entries[0].url);
    }
}

#[test]
fn a_name_cannot_smuggle_a_line_into_an_m3u() {
    let file = PlaylistFile::new(
        "a\n/etc/passwd",
        [Wanted::new("x\r\nhttp://evil.example/\n#").artist("#y"), Wanted::new("")],
    );
    let text = file.write(Format::M3u8).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines, ["./#y - x  http://evil.example/ #", "-"]);
    assert_eq!(read(&text, Format::M3u8).unwrap().entries.len(), 2);
}

#[test]
fn m3u_of_other_programs_is_read() {
    let text = "#EXTM3U\n#EXTINF:123.5 logo=\"a,b\" x=\"y\",Artist - Title - Live\nC:\\Music\\a.mp3\n\n/music/Band - Song.flac\n#EXTINF:0,Only\nx\n";
    let wanted = read(text, Format::M3u8).unwrap().wanted();
    assert_eq!(wanted[0], Wanted::new("Title - Live").artist("Artist").duration_ms(123_500));
    assert_eq!(wanted[1], Wanted::new("Song").artist("Band"));
    assert_eq!(wanted[2], Wanted::new("Only"));
}

#[test]
fn xspf_is_escaped_and_not_read() {
    let mut file = playlist();
    file.entries[0].wanted.title = "a\u{0}\u{b}<b>&'\"]]>".into();
    let text = file.write(Format::Xspf).unwrap();
    assert!(text.contains("<title>Ümläut &amp; &lt;Söns&gt;</title>"), "{text}");
    assert!(text.contains("<title>a&lt;b&gt;&amp;&apos;&quot;]]&gt;</title>"), "{text}");
    assert!(text.contains("<identifier>urn:isrc:DEA621201096</identifier>"), "{text}");
    assert!(text.contains("<info>https://music.example/1?a=b&amp;c=d</info>"), "{text}");
    assert!(text.contains("<duration>1363000</duration>"), "{text}");
    assert_eq!(read(&text, Format::Xspf).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn what_is_wrong_with_a_file_has_a_line() {
    let cases = [
        (Format::Csv, "", "line 1: the file is empty"),
        (Format::Csv, "a,b\nc,d\n", "line 1: there is no column `title` or `isrc`"),
        (Format::Csv, "title,isrc\na\n", "line 2: 1 fields where the header has 2"),
        (Format::Csv, "title\r\n\"a\r\nb\"\r\n\"c", "line 4: a quote is never closed"),
        (Format::Csv, "title\n\"a\"b\n", "line 2: text behind a closing quote"),
        (Format::Csv, "title,isrc\n\"a\n\",\nb,nonsense\n", "line 4: the field `isrc` is malformed"),
        (Format::Csv, "title,duration_ms\na,-5\n", "line 2: the field `duration_ms` is malformed"),
        (Format::Csv, "title,added_at\na,yesterday\n", "line 2: the field `added_at` is malformed"),
        (Format::M3u8, "#EXTM3U\n#EXTINF:x,y\nz\n", "line 2: no seconds stand after `#EXTINF:`"),
        (Format::M3u8, "#EXTM3U\n#ISRC:x\nz\n", "line 2: this is no ISRC"),
        (Format::M3u8, "#EXTM3U\n#EXTINF:1,y", "line 2: the file ends where an address should stand"),
        (Format::Json, "", "line 1: the file ends too early (column 0)"),
        (Format::Json, "{}", "line 1: this is not a playlist of this software"),
        (
            Format::Json,
            "{\"format\":\"integrations.playlist\",\"version\":2}",
            "line 1: the file has version 2",
        ),
        (
            Format::Json,
            "{\"format\":\"integrations.playlist\",\n\"version\":1}",
            "line 2: a field is missing or has the wrong type (column 12)",
        ),
        (Format::Json, "{\n\"format\":\n secret}", "line 3: this is not JSON (column 2)"),
    ];
    for (format, text, message) in cases {
        let error = read(text, format).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidRequest, message), "{text:?}");
        assert!(!format!("{error:?}").contains("secret"));
    }
    let error = PlaylistFile::read(b"title\na\nb\xff\n", Format::Csv).unwrap_err();
    assert_eq!(error.message(), "line 3: this is not UTF-8");
}

#[test]
fn a_huge_line_is_read() {
    let title = "x".repeat(5_000_000);
    assert_eq!(read(&format!("title\n{title}\n"), Format::Csv).unwrap().wanted()[0].title.len(), title.len());
    let hostile = Wanted::new(" - live".repeat(500_000)).artist("a".repeat(1_000_000)).duration_ms(u64::MAX);
    assert!(score(&hostile, &hostile).score > 0.99);
    assert!(PlaylistFile::new("", [hostile]).write(Format::M3u8).is_ok());
    assert!(PlaylistFile::read(&vec![b'x'; 65 * 1024 * 1024], Format::Csv).is_err());
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    let text = "[ -~\\n\\r\\t'\"=@+;\\\\é]{0,12}";
    (
        text,
        prop::collection::vec(text, 0..3),
        prop::option::of("[!-~]{1,8}"),
        prop::option::of(0_u64..9_000_000),
    )
        .prop_map(|(title, artists, album, duration)| {
            let artists = artists.into_iter().filter(|name| !name.trim().is_empty());
            let mut wanted =
                artists.fold(Wanted::new(title), |wanted, name| wanted.artist(name.trim().to_owned()));
            (wanted.album, wanted.duration_ms) = (album, duration);
            wanted
        })
}

proptest! {
    #[test]
    fn there_and_back(wanted in prop::collection::vec(any_wanted(), 1..6)) {
        let file = PlaylistFile::new("Mine", wanted);
        prop_assert_eq!(&read(&file.write(Format::Json).unwrap(), Format::Json).unwrap(), &file);
        prop_assert_eq!(&read(&file.write(Format::Csv).unwrap(), Format::Csv).unwrap(), &file);
        let m3u = read(&file.write(Format::M3u8).unwrap(), Format::M3u8).unwrap();
        prop_assert_eq!(m3u.entries.len(), file.entries.len());
    }

    #[test]
    fn nothing_panics(text in "[ -~\\n\\r\"#,:;\\\\é\\u{feff}]{0,80}") {
        for format in [Format::Json, Format::Csv, Format::M3u8] {
            drop(read(&text, format));
            drop(read(&format!("title,isrc\n{text}"), format));
            drop(read(&format!("#EXTINF:{text}"), format));
        }
    }
}

#[test]
fn old_line_ends_are_lines_too() {
    for end in ["\r", "\r\n", "\n"] {
        let text = ["#EXTM3U", "#PLAYLIST:Mine", "#EXTINF:200,A - Song", "https://x.example/1", "b.mp3", ""]
            .join(end);
        let file = PlaylistFile::read(text.as_bytes(), Format::M3u8).unwrap();
        let titles: Vec<&str> = file.entries.iter().map(|entry| entry.wanted.title.as_str()).collect();
        assert_eq!((file.name.as_str(), titles), ("Mine", vec!["Song", "b"]), "{end:?}");
        let wrong = ["#EXTM3U", "#EXTINF:x"].join(end);
        let error = PlaylistFile::read(wrong.as_bytes(), Format::M3u8).unwrap_err();
        assert!(error.message().starts_with("line 2:"), "{error}");
    }
}

#[test]
fn a_small_file_does_not_become_a_large_playlist() {
    let many = 200_100;
    for (format, text) in [
        (Format::M3u8, "a\n".repeat(many)),
        (Format::Csv, "title\n".to_owned() + &"a\n".repeat(many)),
        (Format::Csv, "title".to_owned() + &",".repeat(many)),
        (Format::Csv, "title\n".to_owned() + &",".repeat(many)),
        (Format::Json, json_of(many)),
    ] {
        let error = PlaylistFile::read(text.as_bytes(), format).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{format:?}");
    }
}

fn json_of(many: usize) -> String {
    let entry = r#"{"kind":"track","wanted":{}}"#;
    let entries = vec![entry; many].join(",");
    format!(r#"{{"format":"integrations.playlist","version":1,"entries":[{entries}]}}"#)
}

#[test]
fn hostile_files_cost_little() {
    let start = std::time::Instant::now();
    let much = 1 << 18;
    for text in [
        "x".repeat(much),
        "\0".repeat(much),
        "\"".repeat(much),
        "title\n\"".to_owned() + &"\"\"".repeat(much),
        "title\n".to_owned() + &"\r".repeat(much),
        "[".repeat(much),
        "#EXTINF:1".to_owned() + &" ".repeat(much),
        "#EXTART:".to_owned() + &"\\;".repeat(much) + "\nx",
        "#EXTINF:".to_owned() + &"9".repeat(much) + ",a\nb",
    ] {
        for format in [Format::Json, Format::Csv, Format::M3u8] {
            if let Ok(file) = PlaylistFile::read(text.as_bytes(), format) {
                file.write(format).unwrap();
            }
        }
    }
    // Generous, because the machine may be busy; what is quadratic takes hours.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
