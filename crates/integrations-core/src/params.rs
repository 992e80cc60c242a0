//! Parameters as queries and forms carry them: for services that have them signed, and for ids that are written like them.

use http::Method;
use percent_encoding::{percent_decode_str, utf8_percent_encode};

use crate::error::Result;
use crate::wire::{ENCODED, Req, WireRequest};

/// A text as forms write it: a space is `+`, and everything but letters, digits, `-`, `.`, `_` and `~` is percent-encoded
/// UTF-8.
///
/// ```
/// use integrations_core::params;
/// assert_eq!(params::encode("AC/DC in Zürich"), "AC%2FDC+in+Z%C3%BCrich");
/// assert_eq!(params::decode("AC%2FDC+in+Z%C3%BCrich").as_deref(), Some("AC/DC in Zürich"));
/// assert_eq!(params::decode("100%"), None);
/// ```
pub fn encode(text: &str) -> String {
    let words = text.split(' ').map(|word| utf8_percent_encode(word, ENCODED).to_string());
    words.collect::<Vec<_>>().join("+")
}

/// The text that was written so. `None` for a `%` without two hexadecimal digits behind it, and for what is not UTF-8.
pub fn decode(text: &str) -> Option<String> {
    let is_whole = |after: &str| after.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    let is_encoded = text.split('%').skip(1).all(is_whole);
    let text = text.replace('+', " ");
    is_encoded.then(|| percent_decode_str(&text).decode_utf8().ok().map(Into::into)).flatten()
}

/// What a request says, in its order: in the form of a `POST`, or in its query. What cannot be decoded stays as it is.
pub fn of(request: &WireRequest) -> Vec<(String, String)> {
    let form = || std::str::from_utf8(request.body().as_bytes().unwrap_or_default()).unwrap_or_default();
    let query = || request.uri().query().unwrap_or_default();
    let text = if is_form(request) { form() } else { query() };
    let decoded = |text: &str| decode(text).unwrap_or_else(|| text.to_owned());
    let pair = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (decoded(name), decoded(value))
    };
    text.split('&').filter(|text| !text.is_empty()).map(pair).collect()
}

/// Puts parameters behind those that a request has.
///
/// ```
/// use integrations_core::{Req, params};
/// let base = "https://api.example.com".parse()?;
/// let more = [("sig".to_owned(), "a b".to_owned())];
///
/// let mut read = Req::get(&base).path(["me"]).query("key", Some("k")).build()?;
/// params::append(&mut read, &more)?;
/// assert_eq!(read.uri(), "https://api.example.com/me?key=k&sig=a%20b");
///
/// let mut write = Req::post(&base).path(["me"]).form([("key", "k")]).build()?;
/// params::append(&mut write, &more)?;
/// assert_eq!(params::of(&write), [("key".to_owned(), "k".to_owned()), more[0].clone()]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn append(request: &mut WireRequest, more: &[(String, String)]) -> Result<()> {
    if is_form(request) {
        let all = of(request).into_iter().chain(more.iter().cloned());
        *request.body_mut() = Req::post(request.uri()).form(all).build()?.into_body();
        return Ok(());
    }
    let more = more.iter().map(|(name, value)| Req::pair(name, value)).collect::<Vec<_>>().join("&");
    let separator = if request.uri().query().is_some() { '&' } else { '?' };
    *request.uri_mut() = Req::address(&format!("{}{separator}{more}", request.uri()))?;
    Ok(())
}

fn is_form(request: &WireRequest) -> bool {
    *request.method() == Method::POST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_encoding_is_no_text() {
        for wrong in ["%", "%4", "%zz", "a%ff", "%+41"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
        for text in ["", "+", "a+b %41", "100%", "Ça Monte?", "  "] {
            assert_eq!(decode(&encode(text)).as_deref(), Some(text));
        }
    }

    #[test]
    fn names_without_values_and_what_cannot_be_decoded_are_kept() {
        let request = Req::get(&"https://api.example.com/?a&b=%zz&&c=1+2".parse().unwrap()).build().unwrap();
        let pairs = [("a", ""), ("b", "%zz"), ("c", "1 2")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(of(&request), pairs);
    }

    #[test]
    fn a_slash_at_the_end_of_a_path_stays_there() {
        let mut request = Req::get(&"https://api.example.com/2.0/".parse().unwrap()).slash().build().unwrap();
        append(&mut request, &[("a".to_owned(), "b".to_owned())]).unwrap();
        assert_eq!(request.uri(), "https://api.example.com/2.0/?a=b");
    }
}
