//! What is there before the first call.

use std::collections::BTreeMap;

/// What a fake has in its first state, under the names that its category's suite asks by.
///
/// For music: `track`, `track_title`, `track_artist`, `track_album`, `track_isrc`, `track_duration_ms`, `track_2` to
/// `track_5` (other tracks), `album`, `album_title`, `artist`, `artist_name`, `tag`, `playlist` (one of the user's
/// own, with at least three tracks), `device`, `market`, and `no_track` (a well-formed id of nothing).
///
/// For sign-in: `client_id`; of the user who is signed in `user_id` (what the vendor calls the account), `email`,
/// `email_verified` (`true` or `false`), `name`, `access_token` and `refresh_token` (given out before); `other_user` and
/// `other_user_id`; `unverified_user`; `denied_user`, who refuses every application. Those that end in `_user` are
/// chosen by `login_hint`.
///
/// A name that a vendor has nothing for is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known(BTreeMap<String, String>);

impl Known {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one thing.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The thing of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}
