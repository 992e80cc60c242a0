//! What vendors answer at the token address, as one shape.

use std::collections::BTreeMap;

use http::StatusCode;
use http::header::{AGE, DATE};
use integrations_core::provider::OAuth;
use integrations_core::{Clock, SecretString, Skew, StrictJson, WireResponse};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::params::form_pairs;
use crate::token::TokenSet;

/// A longer answer is none: the largest tokens known, with hundreds of groups in them, have some 50 kB.
pub(super) const LIMIT: usize = 256 * 1024;

/// The fields of an answer: JSON whatever the content type calls it, or a form.
pub(super) fn document(body: &[u8]) -> Result<Map<String, Value>, &'static str> {
    if body.len() > LIMIT {
        return Err("the answer is too long");
    }
    let text = std::str::from_utf8(body).map_err(|_| "the answer is not UTF-8")?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('{') {
        return match serde_json::from_str(text) {
            Ok(StrictJson(Value::Object(fields))) => Ok(fields),
            // The cause may quote the answer.
            _ => Err("the answer is not JSON, or has a field twice"),
        };
    }
    form(text).ok_or("the answer is neither a JSON object nor a form")
}

/// A form is told from any other text by a field that answers have.
fn form(text: &str) -> Option<Map<String, Value>> {
    if text.contains(char::is_whitespace) {
        return None;
    }
    let mut fields = Map::new();
    for (name, value) in form_pairs(text)? {
        if fields.insert(name, Value::String(value)).is_some() {
            return None;
        }
    }
    ["access_token", "error", "device_code"].iter().any(|name| fields.contains_key(*name)).then_some(fields)
}

/// The issuer's codes for what is wrong, the most telling one first, in an answer that should have the field `expected`;
/// `None` when nothing is wrong.
pub(super) fn refusal(
    status: StatusCode,
    fields: &Map<String, Value>,
    expected: Option<&str>,
    facts: &OAuth,
) -> Option<Vec<String>> {
    let mut codes = Vec::new();
    let said =
        ["error", "errors"].iter().filter_map(|name| fields.get(*name)).any(|e| is_error(e, &mut codes));
    let denied = ["ok", "success"].iter().any(|name| fields.get(*name) == Some(&Value::Bool(false)));
    let by_error = codes.len();
    codes.extend(telling_prose(fields, facts));
    collect(&BESIDE, fields, &mut codes);
    let expected = expected.map(|name| theirs(name, facts));
    let inner = facts.reply_root.and_then(|root| fields.get(root)).and_then(Value::as_object);
    let is_there = |value: &Value| !value.is_null() && value != "";
    let has = |name| [Some(fields), inner].into_iter().flatten().any(|f| f.get(name).is_some_and(is_there));
    // `{"code":0,"message":"OK","data":{}}` of vendors with one envelope for everything. A code beside the field that
    // was asked for is no error.
    let by_code = codes.len() > by_error && !(status.is_success() && expected.is_none_or(has));
    (said || denied || by_code).then_some(codes)
}

/// Some vendors have no codes, but always the same words for a token that has ended.
fn telling_prose(fields: &Map<String, Value>, facts: &OAuth) -> Option<String> {
    let texts = ["message", "error_description"].iter().filter_map(|name| fields.get(*name)?.as_str());
    texts.into_iter().find(|text| facts.reauth_codes.contains(text)).map(str::to_owned)
}

/// Whether a field `error` says that there is one; its codes, whatever shape it has.
fn is_error(value: &Value, codes: &mut Vec<String>) -> bool {
    match value {
        Value::Object(fields) if fields.is_empty() => false,
        Value::Object(fields) => {
            let known = codes.len();
            collect(&INSIDE, fields, codes);
            codes.len() > known || !["code", "error_code"].iter().any(|name| fields.contains_key(*name))
        }
        Value::Array(several) => several.iter().any(|one| is_error(one, codes)),
        Value::Bool(is) => *is,
        other => {
            let code = code(other);
            codes.extend(code.clone());
            code.is_some()
        }
    }
}

/// Where vendors put codes beside `error`.
const BESIDE: [&str; 9] = [
    "error_subtype",
    "suberror",
    "error_codes",
    "error_code",
    "errorCode",
    "errcode",
    "err_code",
    "serviceErrorCode",
    "code",
];
/// Where vendors put codes inside `error`.
const INSIDE: [&str; 6] = ["code", "error_code", "error_subcode", "errorType", "type", "status"];

fn collect(names: &[&str], fields: &Map<String, Value>, codes: &mut Vec<String>) {
    for name in names {
        match fields.get(*name) {
            Some(Value::Array(numbers)) => {
                codes.extend(numbers.iter().filter_map(code).map(|number| format!("AADSTS{number}")));
            }
            Some(value) => codes.extend(code(value).filter(|code| !codes.contains(code))),
            None => {}
        }
    }
}

/// A code that says that something is wrong.
fn code(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let good = ["", "0", "200", "ok", "success"];
    (!good.iter().any(|word| text.eq_ignore_ascii_case(word))).then_some(text)
}

/// Names under which vendors say how long an access token lives, and until when.
const EXPIRY: [&str; 5] = ["expires_in", "expires_at", "expires", "expires_on", "access_token_expires_at"];
/// The same of the refresh token.
const REFRESH_EXPIRY: [&str; 5] = [
    "refresh_token_expires_in",
    "refresh_expires_in",
    "x_refresh_token_expires_in",
    "refresh_token_expires_at",
    "refresh_expires_at",
];

/// When an answer arrived, and how far its issuer's clock is from ours.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) at: Timestamp,
    ahead: SignedDuration,
}

impl Arrival {
    pub(super) fn of(response: &WireResponse, clock: &Clock) -> Self {
        let (at, skew) = (clock.now(), Skew::default());
        if !response.headers.contains_key(AGE) {
            skew.observe(response.headers.get(DATE), at);
        }
        Self { at, ahead: skew.get() }
    }

    /// A date of the issuer's by our clock.
    fn ours(self, theirs: Timestamp) -> Option<Timestamp> {
        theirs.checked_sub(self.ahead).ok()
    }
}

/// Reads an answer of the token address in which there is no error.
pub(super) fn tokens(body: &[u8], facts: &OAuth, arrival: Arrival) -> Result<TokenSet, &'static str> {
    let (mut fields, around) = at_root(document(body)?, facts);
    for (standard, theirs) in facts.reply_renames {
        if let Some(value) = fields.remove(*theirs) {
            fields.insert((*standard).to_owned(), value);
        }
    }
    let access = token(&mut fields, "access_token")?.ok_or("the answer has no `access_token`")?;
    let mut tokens = TokenSet::new(access, arrival.at);
    tokens.refresh = token(&mut fields, "refresh_token")?.map(Into::into);
    tokens.id_token = token(&mut fields, "id_token")?.map(Into::into);
    let lifetime = || arrival.at.checked_add(facts.lifetime?).ok();
    tokens.expires_at = first_moment(&mut fields, &EXPIRY, arrival).or_else(lifetime);
    tokens.refresh_expires_at = first_moment(&mut fields, &REFRESH_EXPIRY, arrival);
    tokens.scopes =
        ["scope", "scopes"].iter().filter_map(|name| fields.remove(*name)).find_map(|v| scopes(&v));
    let is_bearer = |value: &Value| value.as_str().is_some_and(|word| word.eq_ignore_ascii_case("bearer"));
    if fields.get("token_type").is_some_and(is_bearer) {
        fields.remove("token_type");
    }
    tokens.extra = extra(around).chain(extra(fields)).collect::<BTreeMap<_, _>>();
    Ok(tokens)
}

/// What the vendor calls a field of its answers.
fn theirs<'a>(standard: &'a str, facts: &OAuth) -> &'a str {
    let renamed = facts.reply_renames.iter().find(|(name, _)| *name == standard);
    renamed.map_or(standard, |(_, theirs)| theirs)
}

/// The fields that hold the tokens, and those around them. An answer to a refresh often has no such nesting.
fn at_root(mut fields: Map<String, Value>, facts: &OAuth) -> (Map<String, Value>, Map<String, Value>) {
    let holds = |value: &Value| value.get(theirs("access_token", facts)).is_some();
    match facts
        .reply_root
        .filter(|root| fields.get(*root).is_some_and(holds))
        .and_then(|root| fields.remove(root))
    {
        Some(Value::Object(inner)) => (inner, fields),
        _ => (fields, Map::new()),
    }
}

/// A token; an empty one is none.
fn token(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, &'static str> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().any(char::is_control) => {
            Err("a token has control characters")
        }
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(_) => Err("a token is not text"),
    }
}

fn first_moment(fields: &mut Map<String, Value>, names: &[&str], arrival: Arrival) -> Option<Timestamp> {
    let values: Vec<Value> = names.iter().filter_map(|name| fields.remove(*name)).collect();
    values.iter().find_map(|value| moment(value, arrival))
}

/// Fewer seconds than this (31 years) are a time to come, more are a date; of dates, more than this are milliseconds.
const A_DATE: f64 = 1e9;
const IN_MILLISECONDS: f64 = 1e11;

/// When something ends, by our clock. Zero means with some vendors that it never does.
pub(super) fn moment(value: &Value, arrival: Arrival) -> Option<Timestamp> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.trim().parse::<f64>() {
            Ok(number) => Some(number),
            Err(_) => return arrival.ours(text.trim().parse().ok()?),
        },
        _ => None,
    };
    let number = number.filter(|number| number.is_finite() && *number > 0.0)?;
    if number < A_DATE {
        return arrival.at.checked_add(SignedDuration::from_secs_f64(number.floor())).ok();
    }
    let seconds = if number < IN_MILLISECONDS { number } else { number / 1000.0 };
    arrival.ours(Timestamp::from_second(seconds as i64).ok()?)
}

/// A list, or a text with spaces or commas between. RFC 6749 knows no empty list: it says nothing.
pub(super) fn scopes(value: &Value) -> Option<Vec<String>> {
    let texts: Vec<&str> = match value {
        Value::String(text) => vec![text],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let between = |c: char| c == ',' || c.is_whitespace();
    let scopes: Vec<String> = texts
        .iter()
        .flat_map(|text| text.split(between))
        .filter(|s| !s.is_empty())
        .map(str::to_owned)
        .collect();
    (!scopes.is_empty()).then_some(scopes)
}

/// Texts as they are, everything else as JSON.
pub(super) fn extra(fields: Map<String, Value>) -> impl Iterator<Item = (String, SecretString)> {
    fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
        let text = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        (name, text.into())
    })
}
