//! The accounts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::API;
use crate::Known;
use crate::issuer::invented;

/// An account.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) id: u64,
    pub(super) login: &'static str,
    pub(super) name: &'static str,
    /// They refuse every application.
    pub(super) refuses: bool,
    /// What everybody sees.
    public_email: Option<&'static str>,
    /// Addresses, and whether they were verified. The first is the primary one.
    emails: Vec<(String, bool)>,
}

/// The accounts: one that shows its address, one that does not, one whose first address nobody has verified, one whose
/// owner refuses.
pub(super) fn people(seed: u64) -> Vec<Person> {
    let person = |login: &'static str, name, public_email, emails: &[(&str, bool)]| {
        let id: u64 = invented(b"123456789", seed, &format!("user:{login}"), 8).parse().unwrap_or(1);
        let own = (format!("{id}+{login}@users.noreply.github.com"), true);
        let emails = emails.iter().map(|(address, verified)| ((*address).to_owned(), *verified));
        let emails = emails.chain([own]).collect();
        Person { id, login, name, refuses: login.starts_with("niklaus"), public_email, emails }
    };
    vec![
        person("ada-sandbox", "Ada Lovelace", Some("ada@example.org"), &[("ada@example.org", true)]),
        person("grace-sandbox", "Grace Hopper", None, &[("grace@example.org", true)]),
        person(
            "edsger-sandbox",
            "Edsger Dijkstra",
            None,
            &[("edsger@example.org", false), ("dijkstra@example.org", true)],
        ),
        person("niklaus-sandbox", "Niklaus Wirth", None, &[("niklaus@example.org", true)]),
    ]
}

/// What is known of them before the first call.
pub(super) fn with_people(known: Known, people: &[Person]) -> Known {
    let [ada, grace, edsger, niklaus] = people else { return known };
    known
        .with("user_id", ada.id.to_string())
        .with("login", ada.login)
        .with("email", "ada@example.org")
        .with("email_verified", "true")
        .with("name", ada.name)
        .with("other_user", grace.login)
        .with("other_user_id", grace.id.to_string())
        .with("other_email", "grace@example.org")
        .with("unverified_user", edsger.login)
        .with("unverified_user_id", edsger.id.to_string())
        .with("unverified_email", "edsger@example.org")
        .with("denied_user", niklaus.login)
}

/// The pairs as a form.
pub(super) fn form<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect::<Vec<_>>().join("&")
}

impl Person {
    /// What stands wherever somebody is named.
    pub(super) fn simple(&self) -> Value {
        let (login, id) = (self.login, self.id);
        let at = |path: &str| format!("{API}/users/{login}{path}");
        json!({
            "login": login,
            "id": id,
            "node_id": STANDARD.encode(format!("04:User{id}")),
            "avatar_url": format!("https://avatars.githubusercontent.com/u/{id}?v=4"),
            "gravatar_id": "",
            "url": at(""),
            "html_url": format!("https://github.com/{login}"),
            "followers_url": at("/followers"),
            "following_url": at("/following{/other_user}"),
            "gists_url": at("/gists{/gist_id}"),
            "starred_url": at("/starred{/owner}{/repo}"),
            "subscriptions_url": at("/subscriptions"),
            "organizations_url": at("/orgs"),
            "repos_url": at("/repos"),
            "events_url": at("/events{/privacy}"),
            "received_events_url": at("/received_events"),
            "type": "User",
            "user_view_type": "public",
            "site_admin": false,
        })
    }

    /// What `GET /user` answers; `is_private` where a scope lets more be seen.
    pub(super) fn profile(&self, is_private: bool) -> Value {
        let mut profile = self.simple();
        let more = json!({
            "name": self.name,
            "company": null,
            "blog": "",
            "location": null,
            "email": self.public_email,
            "hireable": null,
            "bio": null,
            "twitter_username": null,
            "notification_email": null,
            "public_repos": 2,
            "public_gists": 0,
            "followers": 1,
            "following": 0,
            "created_at": "2020-01-02T03:04:05Z",
            "updated_at": "2026-02-03T04:05:06Z",
        });
        let private = json!({
            "user_view_type": "private",
            "private_gists": 0,
            "total_private_repos": 1,
            "owned_private_repos": 1,
            "disk_usage": 10,
            "collaborators": 0,
            "two_factor_authentication": true,
            "plan": {"name": "free", "space": 976_562_499, "collaborators": 0, "private_repos": 10_000},
        });
        for (name, value) in
            [Some(more), is_private.then_some(private)].into_iter().flatten().flat_map(members)
        {
            profile[name] = value;
        }
        profile
    }

    /// What `GET /user/emails` answers.
    pub(super) fn addresses(&self) -> Value {
        let address = |(number, (email, verified)): (usize, &(String, bool))| {
            let is_primary = number == 0;
            let shown = if self.public_email == Some(email.as_str()) { "public" } else { "private" };
            json!({
                "email": email,
                "primary": is_primary,
                "verified": verified,
                "visibility": is_primary.then_some(shown),
            })
        };
        self.emails.iter().enumerate().map(address).collect()
    }
}

fn members(value: Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(members) => members.into_iter().collect(),
        _ => Vec::new(),
    }
}
