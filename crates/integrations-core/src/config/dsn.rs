//! Instances as one line of text.
//!
//! ```text
//! dsn      = provider | how "(" dsn *( space dsn ) ")"
//! how      = "failover" | "roundrobin"
//! provider = scheme "://" [ user [ ":" password ] "@" ] host [ ":" port ] [ "/" path ] [ "?" params ]
//! params   = name "=" value *( "&" name "=" value )
//! ```
//!
//! Each part but scheme, port and path may hold references (`${NAME}`, `${file:PATH}`, `${vault:…}`), whose values are
//! taken as they are; the rest is percent-decoded (RFC 3986, 2.1). Nothing here quotes what may be a
//! secret: an error tells the place in bytes.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::{Error, Result};
use crate::secret::{SecretRef, SecretString};

/// Compositions within each other.
const MAX_DEPTH: usize = 8;
/// Bytes of a whole DSN.
const MAX_LENGTH: usize = 64 * 1024;
/// The unreserved characters of RFC 3986, 2.3, stay as they are.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How several providers of one category stand behind one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Composition {
    /// The first one answers; the next one only when it is certain that the first did not act.
    Failover,
    /// They take turns.
    RoundRobin,
}

impl Composition {
    const ALL: [Self; 2] = [Self::Failover, Self::RoundRobin];

    /// The word in a DSN.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::RoundRobin => "roundrobin",
        }
    }
}

/// An instance as one line of text: `sendgrid://default?key=${SENDGRID_API_KEY}`, `failover(a://… b://…)`.
///
/// ```
/// use integrations_core::config::{Composition, Dsn};
/// let dsn: Dsn = "failover(sendgrid://default?key=${KEY} smtp://ada:s3cret@mx.example:465)".parse()?;
/// let Dsn::Composed(Composition::Failover, members) = &dsn else { panic!() };
/// let Dsn::Provider(smtp) = &members[1] else { panic!() };
/// assert_eq!((smtp.scheme.as_str(), smtp.port), ("smtp", Some(465)));
/// // What is shown holds no password.
/// assert_eq!(dsn.to_string(), "failover(sendgrid://default?key=${KEY} smtp://ada:***@mx.example:465)");
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Dsn {
    /// One provider.
    Provider(ProviderDsn),
    /// Several behind one.
    Composed(Composition, Vec<Dsn>),
}

/// One provider in a DSN. What may hold a secret is a [`SecretRef`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProviderDsn {
    /// The provider's id.
    pub scheme: String,
    /// The user's name.
    pub user: Option<SecretRef>,
    /// The password.
    pub password: Option<SecretRef>,
    /// `default` for the vendor's own host; an IPv6 address stands in brackets.
    pub host: SecretRef,
    /// The port.
    pub port: Option<u16>,
    /// The path with its `/`, as written; empty when there is none.
    pub path: String,
    /// The parameters in their order.
    pub params: Vec<(String, SecretRef)>,
}

impl Dsn {
    /// Reads a DSN. [`ErrorKind::Config`](crate::ErrorKind) with the place in bytes, which never quotes the text.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_LENGTH {
            return Err(Error::config(format!("the DSN is longer than {MAX_LENGTH} bytes")));
        }
        if let Some(at) = unclosed(text) {
            return Err(wrong(at, "a reference has no `}`").with_hint("write `$${` for a plain `${`"));
        }
        let text = text.trim_end();
        let start = text.len() - text.trim_start().len();
        let mut parser = Parser { text, at: start };
        let dsn = parser.dsn(0)?;
        if parser.at < parser.text.len() {
            return Err(wrong(parser.at, "there is more after its end"));
        }
        Ok(dsn)
    }
}

impl FromStr for Dsn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn dsn(&mut self, depth: usize) -> Result<Dsn> {
        let rest = self.rest();
        for how in Composition::ALL {
            if let Some(inner) = rest.strip_prefix(how.as_str()).and_then(|rest| rest.strip_prefix('(')) {
                self.at += rest.len() - inner.len();
                return self.members(depth).map(|members| Dsn::Composed(how, members));
            }
        }
        let start = self.at;
        let length = outside(rest).find(|(_, c)| c.is_whitespace() || (depth > 0 && *c == ')'));
        let length = length.map_or(rest.len(), |(at, _)| at);
        self.at += length;
        provider(&rest[..length], start).map(Dsn::Provider)
    }

    fn members(&mut self, depth: usize) -> Result<Vec<Dsn>> {
        let start = self.at;
        if depth >= MAX_DEPTH {
            return Err(wrong(start, &format!("more than {MAX_DEPTH} compositions stand within each other")));
        }
        let mut members = Vec::new();
        loop {
            self.skip_space();
            if self.rest().is_empty() {
                return Err(wrong(start, "the composition that begins here has no `)`"));
            }
            if self.rest().starts_with(')') {
                self.at += 1;
                break;
            }
            members.push(self.dsn(depth + 1)?);
        }
        if members.is_empty() { Err(wrong(start, "the composition is empty")) } else { Ok(members) }
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }
}

fn provider(text: &str, start: usize) -> Result<ProviderDsn> {
    let (scheme, rest) =
        text.split_once("://").ok_or_else(|| wrong(start, "it does not begin with a provider and `://`"))?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    if !is_scheme {
        return Err(wrong(
            start,
            "before `://` stands the provider's id: lower-case letters, digits, `-`, `+`, `.`",
        ));
    }
    let offset = start + scheme.len() + 3;
    let (address, query) = split_at(rest, '?');
    let (authority, path) = address.split_at(find(address, '/').unwrap_or(address.len()));
    let at_sign = outside(authority).filter(|(_, c)| *c == '@').last();
    let (user, password, server) = match at_sign {
        Some((at, _)) => {
            let (user, password) = split_at(&authority[..at], ':');
            let after = offset + user.len() + 1;
            let user = (!user.is_empty()).then(|| part(user, offset)).transpose()?;
            let password = password.map(|password| part(password, after)).transpose()?;
            (user, password, &authority[at + 1..])
        }
        None => (None, None, authority),
    };
    let server_at = offset + authority.len() - server.len();
    let (host, port) = host_and_port(server, server_at)?;
    if path.contains("${") {
        return Err(wrong(offset + authority.len(), "the path cannot hold references"));
    }
    let params = query.map_or(Ok(Vec::new()), |query| params(query, offset + address.len() + 1))?;
    Ok(ProviderDsn { scheme: scheme.to_owned(), user, password, host, port, path: path.to_owned(), params })
}

fn host_and_port(server: &str, offset: usize) -> Result<(SecretRef, Option<u16>)> {
    let colon = outside(server).filter(|(at, c)| *c == ':' && !server[*at..].contains(']')).last();
    let (host, port) = match colon {
        Some((at, _)) => {
            let port = server[at + 1..].parse().ok().filter(|port| *port > 0);
            let port = port.ok_or_else(|| wrong(offset + at + 1, "the port is no number from 1 to 65535"))?;
            (&server[..at], Some(port))
        }
        None => (server, None),
    };
    if host.is_empty() {
        let error = wrong(offset, "the host is missing");
        return Err(error.with_hint("write `default` for the vendor's own host"));
    }
    if host.starts_with('[') {
        let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or_default();
        if plain.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(wrong(offset, "between brackets stands an IPv6 address"));
        }
    }
    Ok((part(host, offset)?, port))
}

fn params(query: &str, offset: usize) -> Result<Vec<(String, SecretRef)>> {
    let mut params: Vec<(String, SecretRef)> = Vec::new();
    let ends = outside(query).filter(|(_, c)| *c == '&').map(|(at, _)| at).chain([query.len()]);
    let mut start = 0;
    for end in ends {
        let (piece, at) = (&query[start..end], offset + start);
        start = end + 1;
        let (name, value) = split_at(piece, '=');
        let value = value.ok_or_else(|| wrong(at, "a parameter is `name=value`"))?;
        let name = decoded(name, at)?;
        if name.is_empty() || name.contains("${") {
            return Err(wrong(at, "a parameter has no name"));
        }
        if params.iter().any(|(other, _)| *other == name) {
            return Err(wrong(at, "a parameter stands here for the second time"));
        }
        params.push((name, part(value, at + piece.len() - value.len())?));
    }
    Ok(params)
}

/// Percent-decodes what stands outside of references.
fn part(raw: &str, offset: usize) -> Result<SecretRef> {
    let mut pieces = Vec::new();
    let (mut plain, mut rest) = (String::new(), raw);
    while let Some(at) = rest.find("${") {
        let here = offset + raw.len() - rest.len();
        if rest[..at].ends_with('$') {
            plain.push_str(&decoded(&rest[..at - 1], here)?);
            plain.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        plain.push_str(&decoded(&rest[..at], here)?);
        push_plain(&mut pieces, &mut plain);
        let end = rest[at..].find('}').map_or(rest.len(), |end| at + end + 1);
        let reference = SecretRef::parse(&rest[at..end]);
        pieces.push(reference.map_err(|_| {
            wrong(here + at, "a reference is `${NAME}`, `${file:PATH}` or `${vault:PATH#KEY}`")
                .with_hint("write `$${` for a plain `${`")
        })?);
        rest = &rest[end..];
    }
    plain.push_str(&decoded(rest, offset + raw.len() - rest.len())?);
    push_plain(&mut pieces, &mut plain);
    match pieces.len() {
        0 => Err(wrong(offset, "a value is empty")),
        1 => Ok(pieces.swap_remove(0)),
        _ => Ok(SecretRef::Joined(pieces)),
    }
}

fn push_plain(pieces: &mut Vec<SecretRef>, plain: &mut String) {
    if !plain.is_empty() {
        pieces.push(SecretRef::Inline(SecretString::new(std::mem::take(plain))));
    }
}

fn decoded(text: &str, offset: usize) -> Result<String> {
    if let Some(at) = text.find(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(wrong(offset + at, "a space stands as `%20`"));
    }
    let bad = text.match_indices('%').find(|(at, _)| {
        let digits = text.as_bytes().get(at + 1..at + 3).unwrap_or_default();
        digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit)
    });
    if let Some((at, _)) = bad {
        return Err(
            wrong(offset + at, "after `%` stand two hexadecimal digits").with_hint("a plain `%` is `%25`")
        );
    }
    let text = percent_decode_str(text).decode_utf8();
    text.map(std::borrow::Cow::into_owned).map_err(|_| wrong(offset, "it decodes to no UTF-8 text"))
}

/// The characters that are not part of a reference, with their places.
fn outside(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut resume = 0;
    text.char_indices().filter(move |(at, c)| {
        if *at < resume {
            return false;
        }
        if *c == '$' {
            let rest = &text[*at..];
            if rest.starts_with("$${") {
                resume = at + 3;
            } else if rest.starts_with("${") {
                resume = rest.find('}').map_or(text.len(), |end| at + end + 1);
            }
        }
        *at >= resume
    })
}

/// Where a reference begins that has no end.
fn unclosed(text: &str) -> Option<usize> {
    let starts = text.match_indices("${").map(|(at, _)| at);
    starts.filter(|at| !text[..*at].ends_with('$')).find(|at| !text[*at..].contains('}'))
}

fn find(text: &str, wanted: char) -> Option<usize> {
    outside(text).find(|(_, c)| *c == wanted).map(|(at, _)| at)
}

fn split_at(text: &str, separator: char) -> (&str, Option<&str>) {
    match find(text, separator) {
        Some(at) => (&text[..at], Some(&text[at + separator.len_utf8()..])),
        None => (text, None),
    }
}

fn wrong(at: usize, why: &str) -> Error {
    Error::config(format!("the DSN is wrong at byte {at}: {why}"))
}

impl fmt::Display for Dsn {
    /// The DSN with `***` for each password and parameter that stands in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(provider) => provider.fmt(f),
            Self::Composed(how, members) => {
                let members: Vec<String> = members.iter().map(Self::to_string).collect();
                write!(f, "{}({})", how.as_str(), members.join(" "))
            }
        }
    }
}

impl fmt::Display for ProviderDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if let Some(user) = &self.user {
            f.write_str(&open(user))?;
        }
        if let Some(password) = &self.password {
            write!(f, ":{}", shown(password))?;
        }
        if self.user.is_some() || self.password.is_some() {
            f.write_str("@")?;
        }
        f.write_str(&open_host(&self.host))?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)?;
        for (i, (name, value)) in self.params.iter().enumerate() {
            let separator = if i == 0 { '?' } else { '&' };
            write!(f, "{separator}{}={}", utf8_percent_encode(name, ENCODED), shown(value))?;
        }
        Ok(())
    }
}

/// A reference as configuration writes it, with `***` for what is literal.
pub(super) fn shown(reference: &SecretRef) -> String {
    written(reference, &|_| "***".to_owned())
}

/// A part that is no secret, as a DSN writes it.
fn open(reference: &SecretRef) -> String {
    written(reference, &|text| utf8_percent_encode(text, ENCODED).to_string())
}

/// A host, where an IPv6 address keeps its brackets.
fn open_host(host: &SecretRef) -> String {
    match host {
        SecretRef::Inline(address) if address.expose().starts_with('[') => address.expose().clone(),
        host => open(host),
    }
}

fn written(reference: &SecretRef, literal: &dyn Fn(&str) -> String) -> String {
    match reference {
        SecretRef::Env(name) => format!("${{{name}}}"),
        SecretRef::File(path) => format!("${{file:{}}}", path.display()),
        SecretRef::Vault { path, key: Some(key) } => format!("${{vault:{path}#{key}}}"),
        SecretRef::Vault { path, key: None } => format!("${{vault:{path}}}"),
        SecretRef::Inline(secret) => literal(secret.expose()),
        SecretRef::Joined(pieces) => pieces.iter().map(|piece| written(piece, literal)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> ProviderDsn {
        match Dsn::parse(text).unwrap() {
            Dsn::Provider(one) => one,
            Dsn::Composed(..) => panic!("{text} is composed"),
        }
    }

    fn value(reference: &SecretRef) -> String {
        reference.resolve(&|name| Some(format!("<{name}>"))).unwrap().expose().clone()
    }

    #[test]
    fn each_part_is_found() {
        let dsn =
            one("smtps://us%40er:p%3Aw@mx.example:465/in/box?tls=yes&key=${KEY}%20x&file=${file:/a&b?c=d}");
        assert_eq!(dsn.scheme, "smtps");
        assert_eq!(dsn.user.as_ref().map(value).as_deref(), Some("us@er"));
        assert_eq!(dsn.password.as_ref().map(value).as_deref(), Some("p:w"));
        assert_eq!(
            (value(&dsn.host), dsn.port, dsn.path.as_str()),
            ("mx.example".to_owned(), Some(465), "/in/box")
        );
        let names: Vec<&str> = dsn.params.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["tls", "key", "file"]);
        assert_eq!(value(&dsn.params[1].1), "<KEY> x");
        assert!(matches!(&dsn.params[2].1, SecretRef::File(path) if path.to_str() == Some("/a&b?c=d")));
    }

    #[test]
    fn an_escaped_reference_is_text_and_a_dollar_may_stand_before_one() {
        assert_eq!(value(&one("a://h?k=$${X}").params[0].1), "${X}");
        assert_eq!(value(&one("a://h?k=%24${X}").params[0].1), "$<X>");
        assert_eq!(value(&one("a://h?k=%24%7BX%7D").params[0].1), "${X}");
        assert_eq!(value(&one("a://${H}:1").host), "<H>");
        assert_eq!(one("a://[::1]:25").port, Some(25));
        assert_eq!(one("a://[::1]").port, None);
    }

    #[test]
    fn compositions_nest() {
        let dsn = Dsn::parse(" roundrobin( a://default failover(b://x c://y) ) ").unwrap();
        assert_eq!(dsn.to_string(), "roundrobin(a://default failover(b://x c://y))");
        assert_eq!(Dsn::parse("a://[::1]:25/p").unwrap().to_string(), "a://[::1]:25/p");
    }

    #[test]
    fn errors_tell_the_byte_and_quote_nothing() {
        for (text, says) in [
            ("", "at byte 0: it does not begin"),
            (" \t ", "at byte 0: it does not begin"),
            ("hunter2", "at byte 0: it does not begin"),
            ("Hunter2://h", "at byte 0: before `://`"),
            ("a://", "at byte 4: the host is missing"),
            ("a://u:hunter2@", "at byte 14: the host is missing"),
            ("a://u:hunter2@h:hunter2", "at byte 16: the port"),
            ("a://u:hunter2@h:0", "at byte 16: the port"),
            ("a://u:hunter2%2@h", "at byte 13: after `%`"),
            ("a://u:hunter2${@h", "at byte 13: a reference"),
            ("a://u:@h", "at byte 6: a value is empty"),
            ("a://h?hunter2", "at byte 6: a parameter"),
            ("a://h?k=v&k=hunter2", "at byte 10: a parameter stands"),
            ("a://h?=hunter2", "at byte 6: a parameter has no name"),
            ("a://h?k=", "at byte 8: a value is empty"),
            ("a://h?k=%ff", "at byte 8: it decodes"),
            ("a://[hunter2]", "at byte 4: between brackets"),
            ("a://h b", "at byte 5: there is more"),
            ("failover(a://h", "at byte 9: the composition that begins here"),
            ("failover( )", "at byte 9: the composition is empty"),
            ("failover(a://h) x", "at byte 15: there is more"),
            ("a://h/${P}", "at byte 5: the path"),
        ] {
            let e = Dsn::parse(text).unwrap_err();
            assert!(e.message().contains(says), "{text}: {e}");
            assert!(!format!("{e} {e:?}").contains("unter2"), "{text}: {e}");
        }
        let deep = "failover(".repeat(9);
        assert!(Dsn::parse(&deep).unwrap_err().message().contains("more than 8"));
    }

    fn encoded(text: &str) -> String {
        utf8_percent_encode(text, ENCODED).to_string()
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}|(failover\\(|[a-c]://|[@:?&=%$\\{\\}() /\\[\\]xF2]){0,24}") {
            if let Ok(dsn) = Dsn::parse(&text) {
                let _ = format!("{dsn} {dsn:?}");
            }
        }

        #[test]
        fn what_is_written_is_read(
            scheme in "[a-z][a-z0-9+.-]{0,8}", user in ".{1,8}", password in ".{1,8}", host in "[a-z.]{1,8}",
            port in 1..=u16::MAX, name in ".{1,6}", secret in ".{1,12}",
        ) {
            prop_assume!(!name.contains("${"));
            let text = format!(
                "{scheme}://{}:{}@{host}:{port}/p?{}={}&r=${{REF}}",
                encoded(&user), encoded(&password), encoded(&name), encoded(&secret),
            );
            prop_assume!(name != "r");
            let dsn = one(&text);
            prop_assert_eq!(&dsn.scheme, &scheme);
            prop_assert_eq!(dsn.user.as_ref().map(value), Some(user));
            prop_assert_eq!(dsn.password.as_ref().map(value), Some(password));
            prop_assert_eq!((value(&dsn.host), dsn.port), (host, Some(port)));
            prop_assert_eq!(&dsn.params[0].0, &name);
            prop_assert_eq!(value(&dsn.params[0].1), secret);
        }

        #[test]
        fn what_holds_references_only_is_shown_as_it_was(
            scheme in "[a-z]{1,8}",
            user in "[^\\p{C}]{1,8}",
            how in prop::sample::select(vec!["failover", "roundrobin"]),
        ) {
            let user = encoded(&user);
            let refs = "k=${file:/a b}&v=${vault:p#k}";
            let text = format!("{how}({scheme}://{user}:${{PW}}@h.example:1/x?{refs} b://default)");
            prop_assert_eq!(Dsn::parse(&text).unwrap().to_string(), text);
        }
    }
}
