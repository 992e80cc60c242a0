//! The fake of sign-in with Spotify.

use super::*;

const ME: &str = "https://api.spotify.com/v1/me";

fn fake() -> Fake {
    Fake::new(
        "spotify-sign-in",
        "https://accounts.spotify.com/authorize",
        "https://accounts.spotify.com/api/token",
    )
}

#[test]
fn a_whole_flow_tells_who_signed_in() {
    let fake = fake();
    let tokens = fake.tokens(&[("scope", "user-read-email")]);
    let (status, me) = fake.get(ME, text(&tokens, "access_token"));
    assert_eq!((status, &me["account_id"]), (200, &fake.known("user_id").into()));
    assert_eq!((&me["email"], me.get("country")), (&fake.known("email").into(), None));
    assert_ne!(me["account_id"], me["id"]);
}
