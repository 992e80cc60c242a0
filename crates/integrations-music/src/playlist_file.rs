//! Playlists as files.
