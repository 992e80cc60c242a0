//! Cookies that no other host and no script can set or read (RFC 6265, and the prefix `__Host-` of its successor).

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use integrations_core::{Error, Result, Secret};

/// `SameSite=Lax`: the cookie comes along when a service sends the browser back by a link, and with no other request that
/// another site makes.
const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";

/// The value of `Set-Cookie`, marked as sensitive. `name` begins with `__Host-`; without a `life` the cookie ends with the
/// browser.
pub(crate) fn set(name: &str, value: &str, life: Option<Duration>) -> Result<HeaderValue> {
    let age = life.map(|life| format!("; Max-Age={}", life.as_secs())).unwrap_or_default();
    let text = Secret::new(format!("{name}={value}; {ATTRIBUTES}{age}"));
    let mut header = HeaderValue::from_str(text.expose())
        .map_err(|_| Error::invalid_request("the cookie's value fits into no header"))?;
    header.set_sensitive(true);
    Ok(header)
}

/// The value of `Set-Cookie` that makes a browser forget a cookie.
pub(crate) fn forget(name: &str) -> Result<HeaderValue> {
    set(name, "", Some(Duration::ZERO))
}

/// A cookie of a request. The name is compared by its bytes, and nothing but spaces is cut off before it: browsers
/// protect the exact name alone.
///
/// # Errors
/// [`ErrorKind::InvalidRequest`](integrations_core::ErrorKind) with the code `duplicate_cookie` if there are several: one
/// of them was slipped in.
pub(crate) fn find<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>> {
    let fields = headers.get_all(header::COOKIE).into_iter();
    let pairs = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    let mut values = pairs.filter_map(|pair| value_of(pair, name));
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(Error::invalid_request("the request has a cookie several times")
            .with_code("duplicate_cookie")
            .with_hint("answer as to somebody who is not signed in"));
    }
    Ok(first.and_then(|value| std::str::from_utf8(value).ok()))
}

fn value_of<'p>(pair: &'p [u8], name: &str) -> Option<&'p [u8]> {
    let start = pair.iter().position(|byte| *byte != b' ')?;
    pair[start..].strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}
