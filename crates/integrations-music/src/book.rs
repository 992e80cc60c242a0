//! The Rust examples of the book's pages about music, as doctests.

macro_rules! pages {
    ($($name:ident = $path:literal,)+) => {
        $(
            #[doc = include_str!(concat!("../../../", $path))]
            mod $name {}
        )+
    };
}

pages! {
    music = "docs/src/guides/music.md",
    playlists = "docs/src/guides/playlists.md",
    sandbox = "docs/src/guides/sandbox.md",
}
