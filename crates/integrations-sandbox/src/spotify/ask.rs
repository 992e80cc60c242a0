//! One request behind `/v1`, with what its token allows, and the shapes of answers that all parts share.

use std::borrow::Cow;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::{Answer, Call, World};

/// Where the vendor says that its objects live.
pub(super) const API: &str = "https://api.spotify.com/v1";

/// An error as the vendor words it.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    message: Cow<'static, str>,
    reason: Option<&'static str>,
}

/// What a part says to a request.
pub(super) type Reply = Result<Answer, Refusal>;

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), reason: None }
    }

    pub(super) fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    pub(super) fn bad(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, message)
    }

    pub(super) fn absent() -> Self {
        Self::new(404, "Resource not found")
    }

    pub(super) fn answer(&self) -> Answer {
        let mut error = json!({"status": self.status, "message": self.message});
        if let Some(reason) = self.reason {
            error["reason"] = reason.into();
        }
        Answer::json(self.status, &json!({"error": error}))
    }
}

/// What most routes end with.
#[expect(clippy::unnecessary_wraps, reason = "every other way out of a route is a refusal")]
pub(super) fn ok(body: &Value) -> Reply {
    Ok(Answer::json(200, body))
}

/// What the token of a request stands for.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) user: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) is_extended: bool,
}

/// What of an object is shown.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    /// The fields that applications in development mode lost in 2026.
    pub(super) is_extended: bool,
    pub(super) market: Option<String>,
    /// Where the user stopped in an episode.
    pub(super) positions: bool,
}

impl View {
    /// The object without what an application in development mode does not get.
    pub(super) fn lessen(&self, mut object: Value, removed: &[&str]) -> Value {
        if let Some(fields) = object.as_object_mut().filter(|_| !self.is_extended) {
            for name in removed {
                fields.remove(*name);
            }
        }
        object
    }
}

/// A stretch of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) limit: usize,
    pub(super) offset: usize,
}

/// One request behind `/v1`.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) call: &'a Call<'a>,
    pub(super) path: Vec<&'a str>,
    pub(super) session: Session,
    pub(super) view: View,
    pub(super) now: Timestamp,
    pub(super) lags: bool,
    loops: bool,
}

impl<'a> Ask<'a> {
    pub(super) fn new(
        call: &'a Call<'a>,
        path: Vec<&'a str>,
        session: Session,
        world: &World<'_>,
    ) -> Result<Self, Refusal> {
        let market = call.query("market").map(ToOwned::to_owned);
        if market.as_ref().is_some_and(|market| !is_market(market)) {
            return Err(Refusal::bad("Invalid market code"));
        }
        let positions = session.scopes.iter().any(|scope| scope == "user-read-playback-position");
        let view = View { is_extended: session.is_extended, market, positions };
        Ok(Self { call, path, session, view, now: world.now, lags: world.lags, loops: world.loops })
    }

    /// Method and path, to match on.
    pub(super) fn route(&self) -> (&str, &[&'a str]) {
        (self.call.method.as_str(), &self.path)
    }

    pub(super) fn user(&self) -> Result<&str, Refusal> {
        let refusal = || Refusal::new(401, "Valid user authentication required");
        self.session.user.as_deref().ok_or_else(refusal)
    }

    pub(super) fn has(&self, scope: &str) -> bool {
        self.session.scopes.iter().any(|known| known == scope)
    }

    /// The user, if the token has all these scopes.
    pub(super) fn user_with(&self, scopes: &[&str]) -> Result<&str, Refusal> {
        let user = self.user()?;
        if scopes.iter().all(|scope| self.has(scope)) {
            Ok(user)
        } else {
            Err(Refusal::new(403, "Insufficient client scope"))
        }
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        let missing = || Refusal::bad(format!("Missing required field: {name}"));
        self.call.query(name).filter(|value| !value.is_empty()).ok_or_else(missing)
    }

    /// A number of the query.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let invalid = |_| Refusal::bad(format!("Invalid {name}"));
        self.call.query(name).map(str::parse).transpose().map_err(invalid)
    }

    pub(super) fn window(&self, default: usize, max: usize) -> Result<Window, Refusal> {
        let limit = self.number("limit")?.map_or(Ok(default), usize::try_from);
        let offset = self.number("offset")?.map_or(Ok(0), usize::try_from);
        match (limit, offset) {
            (Ok(limit), Ok(offset)) if (1..=max).contains(&limit) => Ok(Window { limit, offset }),
            (Ok(limit), Ok(_)) if !(1..=max).contains(&limit) => Err(Refusal::bad("Invalid limit")),
            (Err(_), _) => Err(Refusal::bad("Invalid limit")),
            _ => Err(Refusal::bad("Invalid offset")),
        }
    }

    /// The comma-separated ids of the query, of a form that ids have.
    pub(super) fn ids(&self, max: usize) -> Result<Vec<String>, Refusal> {
        let ids = self.required("ids")?.split(',').map(|id| id.trim().to_owned()).collect();
        some_ids(ids, max)
    }

    /// The ids of the query, or those of the body's array.
    pub(super) fn ids_anywhere(&self, max: usize) -> Result<Vec<String>, Refusal> {
        if self.call.query("ids").is_some() {
            return self.ids(max);
        }
        let body = self.body()?;
        let ids = body["ids"].as_array().ok_or_else(|| Refusal::bad("Missing required field: ids"))?;
        some_ids(ids.iter().map(|id| id.as_str().unwrap_or_default().to_owned()).collect(), max)
    }

    /// The body's object; an absent body is an empty one.
    pub(super) fn body(&self) -> Result<Value, Refusal> {
        if self.call.body.is_empty() {
            return Ok(json!({}));
        }
        self.call.json().filter(Value::is_object).ok_or_else(|| Refusal::bad("Error parsing JSON."))
    }

    /// A page of a list. A looping one sends the reader back to where it is.
    pub(super) fn page<T>(&self, window: Window, all: &[T], show: impl FnMut(&T) -> Value) -> Value {
        self.page_with(&[], window, all, show)
    }

    /// A page of a list, with parts of the query replaced in its addresses.
    pub(super) fn page_with<T>(
        &self,
        replaced: &[(&str, &str)],
        window: Window,
        all: &[T],
        show: impl FnMut(&T) -> Value,
    ) -> Value {
        let path = self.path.join("/");
        let at = |offset: usize| {
            let (offset, limit) = (offset.to_string(), window.limit.to_string());
            let mut replaced = replaced.to_vec();
            replaced.extend([("offset", offset.as_str()), ("limit", limit.as_str())]);
            self.address(&path, &replaced)
        };
        let mut page = page(at, window, all, show);
        if self.loops {
            page["next"] = page["href"].clone();
        }
        page
    }

    /// The first page of a list inside an object, at its own path.
    pub(super) fn embedded<T>(
        &self,
        path: &str,
        limit: usize,
        all: &[T],
        show: impl FnMut(&T) -> Value,
    ) -> Value {
        let market = self.view.market.as_ref().map(|market| format!("&market={market}")).unwrap_or_default();
        let at = |offset: usize| format!("{API}/{path}?offset={offset}&limit={limit}{market}");
        page(at, Window { limit, offset: 0 }, all, show)
    }

    /// Whether the next page of a list is to be this one.
    pub(super) fn is_loop(&self) -> bool {
        self.loops
    }

    /// An address at the API with this request's query, parts of it replaced.
    pub(super) fn address(&self, path: &str, replaced: &[(&str, &str)]) -> String {
        let kept = self.call.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let kept = kept.filter(|(name, _)| !replaced.iter().any(|(other, _)| other == name));
        let pairs: Vec<String> = kept
            .chain(replaced.iter().copied())
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        format!("{API}/{path}?{}", pairs.join("&"))
    }
}

fn page<T>(at: impl Fn(usize) -> String, window: Window, all: &[T], show: impl FnMut(&T) -> Value) -> Value {
    let Window { limit, offset } = window;
    let items: Vec<Value> = all.iter().skip(offset).take(limit).map(show).collect();
    let end = offset.saturating_add(limit);
    let next = (end < all.len()).then(|| at(end));
    let previous = (offset > 0).then(|| at(offset.saturating_sub(limit)));
    json!({
        "href": at(offset), "items": items, "limit": limit, "next": next, "offset": offset,
        "previous": previous, "total": all.len(),
    })
}

fn some_ids(ids: Vec<String>, max: usize) -> Result<Vec<String>, Refusal> {
    match ids.len() {
        0 => Err(Refusal::bad("Missing required field: ids")),
        count if count > max => Err(Refusal::bad("Too many ids requested")),
        _ => ids.iter().try_for_each(|id| base62(id)).map(|()| ids),
    }
}

/// An id is 22 letters of base62.
pub(super) fn base62(id: &str) -> Result<(), Refusal> {
    let is_id = id.len() == 22 && id.bytes().all(|letter| letter.is_ascii_alphanumeric());
    if is_id { Ok(()) } else { Err(Refusal::bad("Invalid base62 id")) }
}

fn is_market(market: &str) -> bool {
    market == "from_token" || market.len() == 2 && market.bytes().all(|letter| letter.is_ascii_uppercase())
}

/// `spotify:track:…` taken apart.
pub(super) fn uri_parts(uri: &str) -> Option<(&str, &str)> {
    uri.strip_prefix("spotify:")?.split_once(':')
}

/// How objects name themselves.
pub(super) fn named(kind: &str, id: &str, name: &str) -> Value {
    let mut object = linked(kind, id);
    object["name"] = name.into();
    object
}

/// How objects without a name of their own point to themselves.
pub(super) fn linked(kind: &str, id: &str) -> Value {
    json!({
        "external_urls": {"spotify": format!("https://open.spotify.com/{kind}/{id}")},
        "href": format!("{API}/{kind}s/{id}"),
        "id": id,
        "type": kind,
        "uri": format!("spotify:{kind}:{id}"),
    })
}

/// The object with more fields.
pub(super) fn with(mut object: Value, more: Value) -> Value {
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

/// An instant as the vendor writes it, without fractions.
pub(super) fn instant(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or_default().to_string()
}
