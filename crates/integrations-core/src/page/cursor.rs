//! Opaque places in a list, bound to the query they belong to.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::op::Op;

/// The longest text that is read as a cursor, in bytes: vendors' own cursors take some hundreds.
const MAX_TEXT: usize = 16 * 1024;

/// The version of the text form; a change of it makes all stored cursors invalid.
const VERSION: u8 = 1;

/// A place in a list, as opaque text that can be stored, sent to a client and taken back.
///
/// It belongs to one provider, one operation and one query: given to another it is refused, instead of
/// silently skipping or repeating results.
///
/// The text is readable and not authenticated. Once it has been in foreign hands, what is inside is input: a driver must not
/// call an address from it without checking its origin.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cursor {
    provider: Box<str>,
    op: Box<str>,
    query: u128,
    position: Box<str>,
}

/// The text form inside the base64: short names, because it travels in URLs.
#[derive(Serialize, Deserialize)]
struct Wire {
    v: u8,
    p: Box<str>,
    o: Box<str>,
    q: Box<str>,
    c: Box<str>,
}

impl Cursor {
    /// A hash of the whole cursor, by which a loop is noticed.
    pub(super) fn fingerprint(&self) -> u128 {
        let mut hash = Fnv1a::new();
        hash.text(&self.provider);
        hash.text(&self.op);
        hash.bytes(&self.query.to_be_bytes());
        hash.text(&self.position);
        hash.0
    }
}

impl fmt::Display for Cursor {
    /// The text form: letters, digits, `-` and `_`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire = Wire {
            v: VERSION,
            p: self.provider.clone(),
            o: self.op.clone(),
            q: format!("{:032x}", self.query).into(),
            c: self.position.clone(),
        };
        let json = serde_json::to_vec(&wire).map_err(|_| fmt::Error)?;
        f.write_str(&URL_SAFE_NO_PAD.encode(json))
    }
}

impl FromStr for Cursor {
    type Err = Error;

    /// `InvalidRequest` for a text that no [`Cursor`] was written as.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::invalid_request("the cursor is not one that this software has given out");
        if text.len() > MAX_TEXT {
            return Err(invalid());
        }
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let wire: Wire = serde_json::from_slice(&json).map_err(|_| invalid())?;
        let query = u128::from_str_radix(&wire.q, 16).map_err(|_| invalid())?;
        if wire.v != VERSION {
            return Err(invalid().with_hint("it is from another version: start again from the first page"));
        }
        Ok(Self { provider: wire.p, op: wire.o, query, position: wire.c })
    }
}

impl fmt::Debug for Cursor {
    /// Without the position, which may be a vendor's URL with a query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({}.{})", self.provider, self.op)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|e: Error| serde::de::Error::custom(e.message()))
    }
}

/// The query that cursors belong to: makes them and opens them.
///
/// ```
/// use integrations_core::page::{Cursor, Scope};
/// use integrations_core::{ErrorKind, Op, Safety};
/// static SEARCH: Op = Op::new("spotify", "search", Safety::Read);
///
/// let scope = Scope::new(&SEARCH, &("q", "autobahn"))?;
/// let stored = scope.cursor(50).to_string();
///
/// let cursor: Cursor = stored.parse()?;
/// assert_eq!(scope.position::<u32>(Some(&cursor))?, Some(50));
///
/// let other = Scope::new(&SEARCH, &("q", "computerwelt"))?;
/// assert_eq!(other.position::<u32>(Some(&cursor)).unwrap_err().kind(), ErrorKind::InvalidRequest);
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    op: &'static Op,
    query: u128,
}

impl Scope {
    /// The scope of a query: everything that selects, filters and orders, but not the page size or position.
    /// Fields that are `None` and the order of fields make no difference, so a query type may get new optional
    /// fields and cursors stay valid. `InvalidRequest` for a value that has no JSON form.
    pub fn new(op: &'static Op, query: &impl Serialize) -> Result<Self> {
        let value = serde_json::to_value(query).map_err(|e| {
            Error::invalid_request("the query cannot be written as JSON").with_op(op).with_source(e)
        })?;
        let mut hash = Fnv1a::new();
        hash.value(&value);
        Ok(Self { op, query: hash.0 })
    }

    /// A cursor at a position of the vendor's: an offset, a token, the last id.
    pub fn cursor(&self, position: impl fmt::Display) -> Cursor {
        Cursor {
            provider: self.op.provider.into(),
            op: self.op.name.into(),
            query: self.query,
            position: position.to_string().into(),
        }
    }

    /// The position in a cursor, `None` for no cursor. `InvalidRequest` and `NotSent` when the cursor belongs to
    /// another provider, operation or query, or its position is no `P`.
    pub fn position<P: FromStr>(&self, cursor: Option<&Cursor>) -> Result<Option<P>> {
        let Some(cursor) = cursor else { return Ok(None) };
        let refuse = |what: &str| Err(Error::invalid_request(what).with_op(self.op));
        if (&*cursor.provider, &*cursor.op) != (self.op.provider, self.op.name) {
            return refuse("the cursor is from another operation");
        }
        if cursor.query != self.query {
            return refuse("the cursor is from another query: start again from the first page");
        }
        cursor.position.parse().map(Some).or_else(|_| refuse("the position in the cursor is malformed"))
    }
}

/// FNV-1a with 128 bits: its results are specified, unlike those of the standard library's hasher, so a stored
/// cursor stays valid across releases; collisions by accident are out of reach at 128 bits. It guards against
/// mistakes, not against forgery, which a cryptographic hash without a key would not prevent either.
/// <https://www.rfc-editor.org/rfc/rfc9923>
struct Fnv1a(u128);

impl Fnv1a {
    const fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }

    /// With its length in front, so that `("ab", "c")` differs from `("a", "bc")`.
    fn text(&mut self, text: &str) {
        self.bytes(&(text.len() as u64).to_be_bytes());
        self.bytes(text.as_bytes());
    }

    /// Each kind with a tag in front; object fields in order of their names and without nulls.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.bytes(b"n"),
            Value::Bool(yes) => self.bytes(if *yes { b"t" } else { b"f" }),
            Value::Number(number) => {
                self.bytes(b"#");
                self.text(&number.to_string());
            }
            Value::String(text) => {
                self.bytes(b"s");
                self.text(text);
            }
            Value::Array(values) => {
                self.bytes(b"[");
                for value in values {
                    self.value(value);
                }
                self.bytes(b"]");
            }
            Value::Object(fields) => {
                self.bytes(b"{");
                let mut fields: Vec<_> = fields.iter().filter(|(_, value)| !value.is_null()).collect();
                fields.sort_by_key(|(name, _)| *name);
                for (name, value) in fields {
                    self.text(name);
                    self.value(value);
                }
                self.bytes(b"}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::error::{Effect, ErrorKind};
    use crate::op::Safety;

    static SEARCH: Op = Op::new("spotify", "search", Safety::Read);
    static ALBUMS: Op = Op::new("spotify", "albums", Safety::Read);
    static DEEZER: Op = Op::new("deezer", "search", Safety::Read);

    fn scope(query: &Value) -> Scope {
        Scope::new(&SEARCH, query).unwrap()
    }

    #[test]
    fn the_hash_is_fnv_1a_128() {
        // Vectors of the Go standard library, hash/fnv/fnv_test.go.
        for (text, hash) in [
            ("", 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d),
            ("a", 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964),
            ("abc", 0xa68d_622c_ec8b_5822_836d_bc79_77af_7f3b_u128),
        ] {
            let mut fnv = Fnv1a::new();
            fnv.bytes(text.as_bytes());
            assert_eq!(fnv.0, hash);
        }
    }

    #[test]
    fn a_cursor_stored_by_an_earlier_release_still_opens() {
        let stored = "eyJ2IjoxLCJwIjoic3BvdGlmeSIsIm8iOiJzZWFyY2giLCJxIjoi\
                      ZTdkNGZiODQ1NWM0ZjUzNTU2ZTFlNDU1ZjRmN2RmM2IiLCJjIjoiQlFEM3gifQ";
        let scope = scope(&json!({ "q": "autobahn", "market": "FR" }));
        assert_eq!(scope.cursor("BQD3x").to_string(), stored);
        assert_eq!(scope.position::<String>(Some(&stored.parse().unwrap())).unwrap().unwrap(), "BQD3x");
    }

    #[test]
    fn another_operation_provider_or_query_is_refused() {
        let query = json!({ "q": "autobahn" });
        let cursor = scope(&query).cursor("secret-position");
        for other in [
            Scope::new(&ALBUMS, &query),
            Scope::new(&DEEZER, &query),
            Scope::new(&SEARCH, &json!({ "q": "Autobahn" })),
            Scope::new(&SEARCH, &json!({ "q": ["autobahn"] })),
        ] {
            let e = other.unwrap().position::<String>(Some(&cursor)).unwrap_err();
            assert_eq!((e.kind(), e.effect()), (ErrorKind::InvalidRequest, Effect::NotSent));
            assert!(!e.provider().is_empty() && !format!("{e:?}").contains("secret-position"));
        }
        let e = scope(&query).position::<u32>(Some(&cursor)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidRequest);
        assert_eq!(format!("{cursor:?}"), "Cursor(spotify.search)");
    }

    #[test]
    fn the_order_of_fields_and_absent_fields_do_not_matter() {
        let one = serde_json::from_str::<Value>(r#"{"a":1,"b":{"c":[null,"x"],"d":null}}"#).unwrap();
        let two = serde_json::from_str::<Value>(r#"{"e":null,"b":{"c":[null,"x"]},"a":1}"#).unwrap();
        assert_eq!(scope(&one).query, scope(&two).query);
        let different = [
            json!({}),
            json!([]),
            json!(null),
            json!(""),
            json!(0),
            json!("0"),
            json!(false),
            json!([[]]),
            json!(["ab", "c"]),
            json!(["a", "bc"]),
            json!({ "a": "b" }),
            json!({ "ab": "" }),
            json!(["x", null]),
            json!(["x"]),
        ];
        let hashes: std::collections::HashSet<_> = different.iter().map(|v| scope(v).query).collect();
        assert_eq!(hashes.len(), different.len());
        let unkeyed = std::collections::HashMap::from([((1, 2), 3)]);
        assert_eq!(Scope::new(&SEARCH, &unkeyed).unwrap_err().kind(), ErrorKind::InvalidRequest);
    }

    #[test]
    fn foreign_texts_are_refused_without_being_quoted() {
        let of = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let later = of(r#"{"v":2,"p":"p","o":"o","q":"0","c":""}"#);
        assert!(later.parse::<Cursor>().unwrap_err().hint().is_some());
        for bad in [
            String::new(),
            "ü".into(),
            "a".repeat(MAX_TEXT + 1),
            of("{}"),
            of(r#"{"v":1,"p":"p","o":"o","q":"g","c":""}"#),
            later,
        ] {
            let e = bad.parse::<Cursor>().unwrap_err();
            assert_eq!((e.kind(), e.effect()), (ErrorKind::InvalidRequest, Effect::NotSent));
        }
    }

    proptest! {
        #[test]
        fn any_position_survives_text_and_json(position: String, query: String) {
            let scope = scope(&json!(query));
            let cursor = scope.cursor(&position);
            let text = cursor.to_string();
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
            prop_assert_eq!(&text.parse::<Cursor>().unwrap(), &cursor);
            let json = serde_json::to_string(&cursor).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Cursor>(&json).unwrap(), &cursor);
            prop_assert_eq!(scope.position::<String>(Some(&cursor)).unwrap(), Some(position));
        }
    }
}
