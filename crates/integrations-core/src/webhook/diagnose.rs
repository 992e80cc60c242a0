//! What a refused delivery looks like, in words, while a receiver is being set up.
//!
//! It tries the delivery with one thing changed at a time: another reading of the secret, the body as it may have been
//! before something touched it, the address before a proxy. For development only: it verifies dozens of times, and what
//! it says would help a forger. No finding holds a secret, a header's value or anything of the body.

use std::fmt;

use http::{HeaderMap, Uri};
use serde_json::Value;

use super::{Decoding, Incoming, KeyRing, Kit, Verified, WebhookError};

/// A classic mistake that a refused delivery looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// It verifies as it is.
    Fine,
    /// The configuration is wrong, as the text says.
    Config(String),
    /// It verifies when the secret is read in this other way.
    Decoding(Decoding),
    /// It verifies with a key of this other endpoint.
    OtherEndpoint(String),
    /// It verifies when the body is changed as the text says: something between sender and verifier changed it.
    Body(&'static str),
    /// It verifies at this other address.
    Address(String),
    /// It was signed this many seconds ago (negative: in the future). The signature itself is good.
    Clock(i64),
    /// A header is missing, and these, which carry signatures, are there instead.
    OtherHeaders(&'static str, Vec<&'static str>),
    /// A header that may stand there once does not: it is missing, doubled or unreadable.
    Header(&'static str),
    /// It says of itself that it is not of the live mode, which has another secret with most vendors.
    TestMode,
    /// The body has passed through a decompression, or its headers say that it should.
    Compressed,
    /// The key it names is not in the ring.
    UnknownKey,
    /// None of the classic mistakes: most likely another secret.
    Unknown,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fine => f.write_str("it verifies as it is"),
            Self::Config(message) => f.write_str(message),
            Self::Decoding(decoding) => write!(
                f,
                "the secret is read in the wrong way: it verifies with `Decoding::{decoding:?}`; Stripe takes \
                 `whsec_…` as it is, Standard Webhooks decodes it"
            ),
            Self::OtherEndpoint(name) => write!(f, "it verifies with the key of another endpoint: `{name}`"),
            Self::Body(change) => write!(f, "the body was changed on its way: it verifies when {change}"),
            Self::Address(what) => write!(
                f,
                "the sender called another address than the one that was verified: it verifies with {what}; \
                 configure the public base address instead of the one behind the proxy"
            ),
            Self::Clock(age) if *age > 0 => write!(f, "the signature is good and {age} s old: check the clock"),
            Self::Clock(age) => write!(f, "the signature is good and {} s in the future: check the clock", -age),
            Self::OtherHeaders(name, others) => {
                write!(f, "the header `{name}` is missing, but there are: {}; is it another vendor?", others.join(", "))
            }
            Self::Header(name) => write!(f, "`{name}` is missing, doubled or unreadable"),
            Self::TestMode => f.write_str("it is an event of the test mode: does the endpoint hold the live secret?"),
            Self::Compressed => f.write_str(
                "its headers speak of a compressed body: verify the bytes as they came, before they are decompressed",
            ),
            Self::UnknownKey => f.write_str("the key it names is not in the ring: fetch the vendor's keys again"),
            Self::Unknown => f.write_str("none of the classic mistakes: most likely the secret is another one"),
        }
    }
}

/// What else may explain a refusal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Suspects<'r> {
    others: &'r [(&'r str, &'r KeyRing)],
}

impl<'r> Suspects<'r> {
    /// The rings of other endpoints, by name.
    #[must_use]
    pub fn other_endpoints(mut self, rings: &'r [(&'r str, &'r KeyRing)]) -> Self {
        self.others = rings;
        self
    }
}

/// Says which classic mistakes a refused delivery looks like; never nothing.
///
/// ```
/// use http::{HeaderMap, Method, Uri};
/// use integrations_core::webhook::{
///     Decoding, Finding, Hmac, Incoming, Key, KeyRing, Place, Scheme, Suspects, Token, diagnose,
/// };
///
/// const KIT: Hmac = Hmac::sha256(Scheme::new(Place::Header("x-signature"), &[Token::Body]));
/// let ring = KeyRing::new(Key::secret("present", "It's a Secret to Everybody".into(), Decoding::Utf8)?);
/// let mut headers = HeaderMap::new();
/// headers.insert("x-signature", "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17".parse()?);
/// let refused = Incoming {
///     method: &Method::POST,
///     uri: &Uri::from_static("/hook"),
///     headers: &headers,
///     body: b"Hello, World!\n",
///     received: "2026-11-20T00:00:00Z".parse()?,
/// };
/// let findings = diagnose(&KIT, &refused, &ring, Suspects::default());
/// assert_eq!(findings, [Finding::Body("the line end at its end is removed")]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn diagnose(
    kit: &dyn Kit,
    request: &Incoming<'_>,
    keys: &KeyRing,
    suspects: Suspects<'_>,
) -> Vec<Finding> {
    let mut found = match kit.verify(request, keys) {
        Ok(_) => return vec![Finding::Fine],
        Err(WebhookError::Config(message)) => return vec![Finding::Config(message)],
        Err(WebhookError::Stale(age)) => return vec![Finding::Clock(age.as_secs() as i64)],
        Err(WebhookError::Early(age)) => return vec![Finding::Clock(-(age.as_secs() as i64))],
        Err(WebhookError::UnknownKey { .. }) => vec![Finding::UnknownKey],
        Err(WebhookError::MissingHeader(name)) => vec![header_finding(request.headers, name)],
        Err(WebhookError::Malformed(name)) => vec![Finding::Header(name)],
        Err(WebhookError::NoMatch | WebhookError::Unavailable(_)) => Vec::new(),
    };
    let is_good = |outcome: &Result<Verified<'_>, WebhookError>| {
        matches!(outcome, Ok(_) | Err(WebhookError::Stale(_) | WebhookError::Early(_)))
    };
    let decodings = Decoding::ALL.into_iter().filter(|decoding| {
        keys.decoded_as(*decoding).is_some_and(|ring| is_good(&kit.verify(request, &ring)))
    });
    found.extend(decodings.map(Finding::Decoding).take(1));
    let others = suspects.others.iter().filter(|(_, ring)| is_good(&kit.verify(request, ring)));
    found.extend(others.map(|(name, _)| Finding::OtherEndpoint((*name).to_owned())));
    let bodies = other_bodies(request.body).into_iter();
    let bodies = bodies.filter(|(_, body)| is_good(&kit.verify(&Incoming { body, ..*request }, keys)));
    found.extend(bodies.map(|(change, _)| Finding::Body(change)).take(1));
    let addresses = other_addresses(request).into_iter();
    let addresses = addresses.filter(|(_, uri)| is_good(&kit.verify(&Incoming { uri, ..*request }, keys)));
    found.extend(addresses.map(|(what, _)| Finding::Address(what)).take(1));
    if found.is_empty() {
        found.extend(hints(request));
    }
    if found.is_empty() {
        found.push(Finding::Unknown);
    }
    found
}

/// Headers that carry signatures, of vendors that are often taken for one another.
const SIGNATURE_HEADERS: &[&str] = &[
    "webhook-signature",
    "svix-signature",
    "stripe-signature",
    "x-hub-signature",
    "x-hub-signature-256",
    "x-slack-signature",
    "x-zm-signature",
    "x-shopify-hmac-sha256",
    "x-twilio-signature",
    "x-twilio-email-event-webhook-signature",
    "x-signature-ed25519",
    "x-square-hmacsha256-signature",
    "paypal-transmission-sig",
    "x-twitter-webhooks-signature",
    "x-pagerduty-signature",
    "x-hubspot-signature-v3",
    "x-vercel-signature",
    "tiktok-signature",
    "authorization",
];

fn header_finding(headers: &HeaderMap, name: &'static str) -> Finding {
    let others: Vec<_> = SIGNATURE_HEADERS
        .iter()
        .copied()
        .filter(|other| *other != name && headers.contains_key(*other))
        .collect();
    if others.is_empty() { Finding::Header(name) } else { Finding::OtherHeaders(name, others) }
}

/// The body as it may have been before something changed it.
fn other_bodies(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut found = Vec::new();
    if let Some(shorter) = body.strip_suffix(b"\r\n").or(body.strip_suffix(b"\n")) {
        found.push(("the line end at its end is removed", shorter.to_vec()));
    }
    found.push(("a line end is added at its end", [body, b"\n"].concat()));
    found.push(("CR and LF are added at its end", [body, b"\r\n"].concat()));
    if let Ok(text) = std::str::from_utf8(body) {
        found.push(("its line ends are LF", text.replace("\r\n", "\n").into_bytes()));
        found.push((
            "its line ends are CR and LF",
            text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes(),
        ));
        found.push(("it is read as Latin-1", text.chars().filter_map(|c| u8::try_from(c).ok()).collect()));
        found.push((
            "its byte order mark is removed",
            text.trim_start_matches('\u{feff}').as_bytes().to_vec(),
        ));
    } else {
        let text: String = body.iter().copied().map(char::from).collect();
        found.push(("it is written as UTF-8", text.into_bytes()));
    }
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        found.extend(other_json(body, &value));
    }
    found.retain(|(_, other)| other != body);
    found
}

/// JSON that was parsed and written again. The order of fields is kept, as most writers do, where the body shows it.
fn other_json(body: &[u8], value: &Value) -> Vec<(&'static str, Vec<u8>)> {
    let pretty = serde_json::to_vec_pretty(value).unwrap_or_default();
    let spacings = [
        ("the JSON is written without white space", respace(body, "", "", None)),
        ("the JSON is written with a space after `:` and `,`", respace(body, " ", " ", None)),
        ("the JSON is written with a space after `:`", respace(body, "", " ", None)),
        ("the JSON is written with line ends and an indent of two", respace(body, "", " ", Some("  "))),
        ("the JSON is written with line ends and an indent of four", respace(body, "", " ", Some("    "))),
    ];
    let mut found = Vec::from(spacings);
    found.push(("the JSON is written with its fields sorted", value.to_string().into_bytes()));
    found.push(("the JSON is written with its fields sorted and an indent of two", pretty));
    for text in [respace(body, "", "", None), respace(body, " ", " ", None)] {
        let escaped = escape_non_ascii(&text);
        found.push(("the JSON is written with characters beyond ASCII as `\\u` escapes", escaped));
        let slashes = String::from_utf8_lossy(&text).replace('/', "\\/").into_bytes();
        found.push(("the JSON is written with its slashes escaped", slashes));
    }
    found
}

/// The same JSON tokens with other white space between them.
fn respace(body: &[u8], after_comma: &str, after_colon: &str, indent: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let (mut depth, mut in_string, mut escaped, mut opened) = (0_usize, false, false, false);
    let line = |out: &mut Vec<u8>, depth: usize| {
        if let Some(indent) = indent {
            out.push(b'\n');
            out.extend_from_slice(indent.repeat(depth).as_bytes());
        }
    };
    for &byte in body {
        if in_string {
            out.push(byte);
            in_string = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        if byte.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(byte, b'}' | b']');
        if closes {
            depth = depth.saturating_sub(1);
        }
        // An empty object or array stays on its line.
        if opened != closes && (opened || closes) {
            line(&mut out, depth);
        }
        opened = matches!(byte, b'{' | b'[');
        depth += usize::from(opened);
        out.push(byte);
        match byte {
            b'"' => in_string = true,
            b',' if indent.is_some() => line(&mut out, depth),
            b',' => out.extend_from_slice(after_comma.as_bytes()),
            b':' => out.extend_from_slice(after_colon.as_bytes()),
            _ => {}
        }
    }
    out
}

fn escape_non_ascii(text: &[u8]) -> Vec<u8> {
    let mut out = String::new();
    for c in String::from_utf8_lossy(text).chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out.into_bytes()
}

/// The address as the sender may have seen it, before a proxy.
fn other_addresses(request: &Incoming<'_>) -> Vec<(String, Uri)> {
    let text = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
    let own = request.uri.authority().map(http::uri::Authority::as_str);
    let hosts = [
        ("its own host", own),
        ("the host of `X-Forwarded-Host`", text("x-forwarded-host")),
        ("the host of `Host`", text("host")),
    ];
    let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
    let (bare, query) =
        path.split_once('?').map_or((path, String::new()), |(bare, query)| (bare, format!("?{query}")));
    let paths = [
        ("", path.to_owned()),
        (" with a slash at the end of the path", format!("{bare}/{query}")),
        (" without the slash at the end of the path", format!("{}{query}", bare.trim_end_matches('/'))),
    ];
    let mut found = Vec::new();
    for scheme in ["https", "http"] {
        for (which, host) in hosts.iter().filter_map(|(which, host)| host.map(|host| (which, host))) {
            let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
            for (port, authority) in [("", host), (" without its port", name)] {
                for (change, path) in &paths {
                    let uri = format!("{scheme}://{authority}{path}").parse();
                    let what = format!("`{scheme}` and {which}{port}{change}");
                    found.extend(uri.ok().map(|uri| (what, uri)));
                }
            }
        }
    }
    found.retain(|(_, uri)| uri != request.uri);
    found
}

/// What the request says of itself, when nothing was proved.
fn hints(request: &Incoming<'_>) -> Vec<Finding> {
    let body: Option<Value> = serde_json::from_slice(request.body).ok();
    let flag = |name: &str| body.as_ref().and_then(|body| body.get(name)).map(Value::to_string);
    let is_test = [flag("livemode"), flag("live")].into_iter().flatten().any(|live| live.contains("false"));
    let coding = request.headers.get("content-encoding").and_then(|value| value.to_str().ok());
    let is_compressed =
        coding.is_some_and(|coding| coding != "identity") || request.body.starts_with(&[0x1f, 0x8b]);
    let hints = [(is_test, Finding::TestMode), (is_compressed, Finding::Compressed)];
    hints.into_iter().filter(|(is_so, _)| *is_so).map(|(_, finding)| finding).collect()
}
