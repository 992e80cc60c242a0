//! The invented music that all fakes have, so that what is found at one is found at another.

/// A recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Song {
    /// Its title.
    pub title: &'static str,
    /// Who made it.
    pub artist: &'static str,
    /// The album that it is on.
    pub album: &'static str,
    /// The year of the album.
    pub year: u16,
    /// Its place on the album, from 1.
    pub position: u32,
    /// Its code.
    pub isrc: &'static str,
    /// How long it is, in milliseconds.
    pub duration_ms: u64,
    /// What listeners call it, the strongest first.
    pub tags: &'static [&'static str],
}

const fn song(
    title: &'static str,
    artist: &'static str,
    album: (&'static str, u16, u32),
    isrc: &'static str,
    duration_ms: u64,
    tags: &'static [&'static str],
) -> Song {
    Song { title, artist, album: album.0, year: album.1, position: album.2, isrc, duration_ms, tags }
}

/// Every recording, by artist, album and place. None of them exists.
pub static SONGS: &[Song] = &[
    song(
        "Harbour Lights",
        "The Paper Lanterns",
        ("Low Tide", 2011, 1),
        "QZAAA1100001",
        214_000,
        &["indie", "folk"],
    ),
    song(
        "Salt and Rope",
        "The Paper Lanterns",
        ("Low Tide", 2011, 2),
        "QZAAA1100002",
        187_500,
        &["indie", "folk"],
    ),
    song(
        "Low Tide",
        "The Paper Lanterns",
        ("Low Tide", 2011, 3),
        "QZAAA1100003",
        301_200,
        &["indie", "ambient"],
    ),
    song(
        "Harbour Lights (Live)",
        "The Paper Lanterns",
        ("Live at the Pier", 2014, 1),
        "QZAAA1400001",
        243_800,
        &["indie", "live"],
    ),
    song(
        "Neun Uhr",
        "Maschinenhaus",
        ("Takt", 1983, 1),
        "DEZZZ8300001",
        402_000,
        &["electronic", "krautrock"],
    ),
    song(
        "Schaltjahr",
        "Maschinenhaus",
        ("Takt", 1983, 2),
        "DEZZZ8300002",
        366_400,
        &["electronic", "krautrock"],
    ),
    song(
        "Über den Dächern",
        "Maschinenhaus",
        ("Takt", 1983, 3),
        "DEZZZ8300003",
        288_000,
        &["electronic", "ambient"],
    ),
    song("Glass Elevator", "Ines Maro", ("Upward", 2020, 1), "FRYYY2000001", 198_300, &["pop", "electronic"]),
    song(
        "Second Floor (feat. Maschinenhaus)",
        "Ines Maro",
        ("Upward", 2020, 2),
        "FRYYY2000002",
        221_700,
        &["pop", "electronic"],
    ),
    song("Ça Monte", "Ines Maro", ("Upward", 2020, 3), "FRYYY2000003", 176_000, &["pop", "chanson"]),
    song(
        "Nocturne for Two Doors",
        "Quartet Ostrov",
        ("Rooms", 1999, 1),
        "CZXXX9900001",
        512_600,
        &["classical", "chamber"],
    ),
    song("Rooms", "Quartet Ostrov", ("Rooms", 1999, 2), "CZXXX9900002", 431_900, &["classical", "chamber"]),
];
