//! Services quote what they were sent, keys included, in messages, codes and request ids. What an error takes over
//! from an answer is freed of that here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;
use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;

use crate::error::Error;
use crate::wire::WireRequest;

/// Shorter pieces than this are no keys, and would be found in ordinary words.
const SHORTEST: usize = 8;

/// Header names with one of these in them carry credentials, whether or not the value was marked as sensitive.
const TELLING: [&str; 8] = ["auth", "cookie", "key", "password", "secret", "session", "signature", "token"];

/// The secrets of one request.
pub(crate) struct Secrets {
    headers: Vec<HeaderValue>,
    uri: Uri,
}

impl Secrets {
    pub(crate) fn of(request: &WireRequest) -> Self {
        Self { headers: credentials(request.headers()), uri: request.uri().clone() }
    }

    /// The error without what was sent. Its message may name things by the id that the address has; a code or a
    /// request id has no reason to.
    pub(crate) fn redact(&self, error: Error) -> Error {
        let mut secrets: Vec<String> = self.headers.iter().flat_map(pieces).collect();
        longest_first(&mut secrets);
        let error = error.map_prose(|text| masked(text, &secrets));
        secrets.extend(places(&self.uri));
        longest_first(&mut secrets);
        error.map_ids(|text| masked(text, &secrets))
    }
}

fn credentials(headers: &HeaderMap) -> Vec<HeaderValue> {
    let secret = |name: &str, value: &HeaderValue| {
        value.is_sensitive() || TELLING.iter().any(|telling| name.contains(telling))
    };
    headers
        .iter()
        .filter(|(name, value)| secret(name.as_str(), value))
        .map(|(_, value)| value.clone())
        .collect()
}

/// `Bearer abc` and `session=abc; more` hold the secret `abc`, Basic credentials also the password inside. A key may have
/// such characters in itself, so that it is all of the value, or all behind the scheme.
fn pieces(value: &HeaderValue) -> Vec<String> {
    let text = String::from_utf8_lossy(value.as_bytes());
    let behind_scheme = text.split_once(' ').map(|(_, rest)| rest);
    let pieces = text.split([' ', ';', ',', '=']).chain([&*text]).chain(behind_scheme);
    pieces.filter(|piece| piece.len() >= SHORTEST).map(str::to_owned).chain(password(&text)).collect()
}

/// The password of Basic credentials (RFC 7617), which a service sees decoded.
fn password(header: &str) -> Option<String> {
    let (scheme, encoded) = header.split_once(' ')?;
    let decoded = STANDARD.decode(encoded).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let pair = String::from_utf8(decoded).ok()?;
    let (_, password) = pair.split_once(':')?;
    (password.len() >= SHORTEST).then(|| password.to_owned())
}

/// Path segments and query values, as they stand and decoded.
fn places(uri: &Uri) -> impl Iterator<Item = String> {
    let query = uri.query().unwrap_or_default();
    let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    let encoded = uri.path().split('/').chain(values).filter(|piece| piece.len() >= SHORTEST);
    encoded.flat_map(|piece| [piece.to_owned(), percent_decode_str(piece).decode_utf8_lossy().into_owned()])
}

/// So that of two secrets of which one begins the other nothing is left over.
fn longest_first(secrets: &mut [String]) {
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
}

fn masked(text: &str, secrets: &[String]) -> Option<String> {
    secrets.iter().filter(|secret| text.contains(secret.as_str())).fold(None, |masked, secret| {
        let text = masked.as_deref().unwrap_or(text);
        Some(text.replace(secret.as_str(), "***"))
    })
}

#[cfg(test)]
mod tests {
    use http::header::{AUTHORIZATION, COOKIE, HeaderName};

    use super::*;
    use crate::error::{Effect, ErrorKind};
    use crate::wire::Req;

    fn sent() -> Secrets {
        let base = "https://demo.example/v1".parse().unwrap();
        let request = Req::get(&base)
            .path(["bot+hunter2", "charges"])
            .query("key", Some("query/hunter2"))
            .header(AUTHORIZATION, Some("Bearer bearer-hunter2"))
            .header(COOKIE, Some("session=cookie-hunter2; a=b"))
            .header(HeaderName::from_static("x-api-key"), Some("header-hunter2"))
            .header(HeaderName::from_static("api-version"), Some("2026-01-15"));
        let mut request = request.build().unwrap();
        let mut marked = HeaderValue::from_static("marked-hunter2");
        marked.set_sensitive(true);
        request.headers_mut().insert("x-own", marked);
        Secrets::of(&request)
    }

    #[test]
    fn what_was_sent_does_not_come_back_in_an_error() {
        let secrets = ["bearer-hunter2", "cookie-hunter2", "header-hunter2", "marked-hunter2"];
        for secret in
            secrets.into_iter().chain(["bot+hunter2", "bot%2Bhunter2", "query/hunter2", "query%2Fhunter2"])
        {
            let quoting = format!("bad: {secret}!");
            let prose = if secrets.contains(&secret) { quoting.as_str() } else { "no" };
            let error = Error::new(ErrorKind::Unauthenticated, Effect::Rejected, prose)
                .with_hint(prose)
                .with_code(secret)
                .with_request_id(&quoting);
            let error = sent().redact(error);
            assert!(!format!("{error:?}{}", error.explain()).contains("hunter2"), "{secret}: {error:?}");
            assert_eq!(error.request_id(), Some("bad: ***!"));
        }
    }

    #[test]
    fn a_password_is_found_in_basic_credentials() {
        let mut sent = sent();
        // `user:open sesame`
        sent.headers = vec![HeaderValue::from_static("Basic dXNlcjpvcGVuIHNlc2FtZQ==")];
        let error = sent.redact(Error::config("`open sesame` is wrong, and so is dXNlcjpvcGVuIHNlc2FtZQ=="));
        assert_eq!(error.message(), "`***` is wrong, and so is ***");
    }

    #[test]
    fn a_key_of_several_short_pieces_is_found_as_a_whole() {
        let mut sent = sent();
        sent.headers =
            vec![HeaderValue::from_static("id=1;k=hunter2"), HeaderValue::from_static("Bearer a,b=hunter2")];
        let error = sent.redact(Error::config("bad: id=1;k=hunter2, a,b=hunter2"));
        assert_eq!(error.message(), "bad: ***, ***");
    }

    #[test]
    fn a_secret_that_begins_another_one_leaves_no_rest() {
        let mut sent = sent();
        sent.headers = vec![HeaderValue::from_static("hunter22"), HeaderValue::from_static("hunter22tail")];
        let error = sent.redact(Error::config("hunter22tail"));
        assert_eq!(error.message(), "***");
    }

    #[test]
    fn what_else_a_service_says_stays() {
        let message = "no such charge: charges; version 2026-01-15 is too old";
        let error = Error::config(message).with_code("charge_missing").with_request_id("req_12345678");
        let error = sent().redact(error);
        assert_eq!((error.message(), error.code()), (message, Some("charge_missing")));
        assert_eq!(error.request_id(), Some("req_12345678"));
    }
}
