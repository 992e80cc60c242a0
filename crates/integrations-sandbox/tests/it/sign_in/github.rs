//! The fake of sign-in with GitHub.

use super::*;

const USER: &str = "https://api.github.com/user";
const EMAILS: &str = "https://api.github.com/user/emails";
const SCOPE: (&str, &str) = ("scope", "read:user user:email");

fn fake() -> Fake {
    Fake::new(
        "github-sign-in",
        "https://github.com/login/oauth/authorize",
        "https://github.com/login/oauth/access_token",
    )
}

#[test]
fn a_whole_flow_tells_who_signed_in() {
    let fake = fake();
    let tokens = fake.tokens(&[SCOPE, ("response_type", "")]);
    assert_eq!((&tokens["token_type"], &tokens["scope"]), (&"bearer".into(), &"read:user,user:email".into()));
    assert_eq!(
        (&tokens["expires_in"], &tokens["refresh_token_expires_in"]),
        (&28800.into(), &15_811_200.into())
    );
    let access = text(&tokens, "access_token");
    let (status, user) = fake.get(USER, access);
    assert_eq!((status, user["id"].to_string()), (200, fake.known("user_id")));
    let (status, emails) = fake.get(EMAILS, access);
    assert_eq!((status, &emails[0]["email"]), (200, &fake.known("email").into()));
    assert_eq!((&emails[0]["primary"], &emails[0]["verified"]), (&true.into(), &true.into()));
}
