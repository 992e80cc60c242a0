//! Keeping two playlists alike.
