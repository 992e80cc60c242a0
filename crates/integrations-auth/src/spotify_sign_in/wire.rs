//! What Spotify sends: tolerant of anything new, and of anything missing that we can do without.

use integrations_core::{Result, WireResponse};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::ops::Account;
use crate::{EmailClaim, MailAddress};

#[derive(Debug, Deserialize)]
pub(super) struct Me {
    account_id: Option<String>,
    id: Option<String>,
    display_name: Option<String>,
    email: Option<String>,
    images: Option<Vec<Option<Image>>>,
    uri: Option<Value>,
    country: Option<Value>,
    product: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Image {
    url: Option<String>,
    width: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    pub(super) error: Problem,
}

#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    pub(super) message: Option<String>,
    pub(super) reason: Option<String>,
}

impl Me {
    /// Somebody without a name that stays theirs is nobody. The two kinds of names are kept apart: people chose an `id`
    /// themselves once, and somebody's may read like another one's `account_id`.
    pub(super) fn into_account(self, response: &WireResponse) -> Result<Account> {
        let Self { account_id, id, display_name, email, images, uri, country, product } = self;
        let (account_id, id) = (filled(account_id), filled(id));
        let by_id = || id.as_ref().map(|id| format!("spotify:user:{id}"));
        let subject = account_id.clone().or_else(by_id);
        let subject =
            subject.ok_or_else(|| response.undecodable("the account has neither `account_id` nor `id`"))?;
        let names =
            [("account_id", account_id), ("id", id)].map(|(name, text)| (name, text.map(Value::from)));
        let rest = [("uri", uri), ("country", country), ("product", product)];
        let extra = names.into_iter().chain(rest);
        let extra = extra.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>();
        Ok(Account {
            subject,
            display_name: filled(display_name),
            email: email.and_then(|text| MailAddress::parse(&text).ok()).map(EmailClaim::Unverified),
            picture: images.and_then(largest),
            extra,
        })
    }
}

/// One without a width is taken for small.
fn largest(images: Vec<Option<Image>>) -> Option<String> {
    let width = |image: &Image| image.width.unwrap_or_default();
    let usable = images.into_iter().flatten().filter(|image| image.url.is_some());
    usable.reduce(|best, next| if width(&next) > width(&best) { next } else { best })?.url
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}
