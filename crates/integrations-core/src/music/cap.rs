//! What a music service can do.

crate::caps! {
    /// What a music service can do, one by one. The names are those in `provider.toml`.
    pub enum MusicCap {
        /// A track by its id.
        Track = "track",
        /// Tracks by words, title, artist or album.
        Search = "search",
        /// Tracks by their ISRC.
        Isrc = "isrc",
        /// An album by its id.
        Album = "album",
        /// The tracks of an album.
        AlbumTracks = "album_tracks",
        /// Albums by words.
        AlbumSearch = "album_search",
        /// An artist by its id.
        Artist = "artist",
        /// The albums of an artist.
        ArtistAlbums = "artist_albums",
        /// What is heard most of an artist.
        ArtistTopTracks = "artist_top_tracks",
        /// Artists by words.
        ArtistSearch = "artist_search",
        /// Biography, listeners and the like of an artist.
        ArtistInfo = "artist_info",
        /// Artists like an artist.
        SimilarArtists = "similar_artists",
        /// The tags of a track: genre, mood, era.
        TrackTags = "track_tags",
        /// The tags of an artist.
        ArtistTags = "artist_tags",
        /// What is heard most under a tag.
        TagTracks = "tag_tracks",
        /// The user's playlists, and what is in one.
        Playlists = "playlists",
        /// A new playlist.
        PlaylistCreate = "playlist_create",
        /// Name, description and visibility of a playlist are changed.
        PlaylistEdit = "playlist_edit",
        /// A playlist leaves the user's list.
        PlaylistDelete = "playlist_delete",
        /// Tracks are put at the end of a playlist.
        PlaylistAdd = "playlist_add",
        /// Tracks are put at any position of a playlist.
        PlaylistInsert = "playlist_insert",
        /// Tracks are taken out of a playlist.
        PlaylistRemove = "playlist_remove",
        /// A range of a playlist is moved.
        PlaylistReorder = "playlist_reorder",
        /// All tracks of a playlist are replaced in one step.
        PlaylistReplace = "playlist_replace",
        /// A write can name the version of the playlist that it was made for.
        PlaylistSnapshot = "playlist_snapshot",
        /// The tracks that the user saved, liked or loved.
        Library = "library",
        /// Tracks are put into the library and taken out of it.
        LibraryWrite = "library_write",
        /// Whether tracks are in the library.
        LibraryCheck = "library_check",
        /// The albums that the user saved.
        LibraryAlbums = "library_albums",
        /// What the user heard last.
        RecentlyPlayed = "recently_played",
        /// The tracks that the user hears most.
        TopTracks = "top_tracks",
        /// The artists that the user hears most.
        TopArtists = "top_artists",
        /// Tracks like other tracks.
        Recommendations = "recommendations",
        /// What was heard is written into the user's history.
        Scrobble = "scrobble",
        /// What is being heard is shown to others.
        NowPlaying = "now_playing",
        /// What is playing where.
        PlaybackState = "playback_state",
        /// Playing, pausing, skipping, volume.
        PlaybackControl = "playback_control",
        /// A token for a player that runs elsewhere, in a browser above all.
        PlaybackToken = "playback_token",
    }
}
