//! JSON in which nothing has one shape: for services that convert it from XML, and for those that promise nothing.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::error::Result;
use crate::wire::WireResponse;

/// An object of an answer, of which anything may be missing or have another shape. All is asked for by name: a list of one
/// may be the item itself, an empty list or object an empty text, a number a text, and a text an object with a `#text`.
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use integrations_core::loose::Thing;
/// use integrations_core::{Op, Safety, WireResponse};
/// static LIST: Op = Op::new("demo", "list", Safety::Read);
///
/// for body in [
///     r##"{"notes":{"note":[{"id":"7","by":{"#text":"Ada"}}]}}"##,
///     r##"{"notes":{"note":{"id":7,"by":"Ada"}}}"##,
/// ] {
///     let answer = WireResponse::new(&LIST, StatusCode::OK, HeaderMap::new(), body);
///     let notes = Thing::under(&answer, "notes")?.many("note");
///     assert_eq!((notes[0].number("id"), notes[0].need("by")?), (Some(7), "Ada".to_owned()));
///     assert!(notes[0].thing("place").word("town").is_none());
/// }
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Thing<'r> {
    response: &'r WireResponse,
    fields: Map<String, Value>,
}

impl<'r> Thing<'r> {
    /// The whole answer, which must be an object.
    pub fn top(response: &'r WireResponse) -> Result<Self> {
        Ok(Self { response, fields: response.json()? })
    }

    /// What stands on top under the one name that the answer must have. A text in its place is an empty thing.
    pub fn under(response: &'r WireResponse, name: &str) -> Result<Self> {
        let top = Self::top(response)?;
        match top.fields.get(name) {
            Some(Value::Object(_) | Value::String(_)) => Ok(top.thing(name)),
            _ => Err(response.undecodable(format!("the answer has no `{name}`"))),
        }
    }

    /// A thing, empty if there is none.
    #[must_use]
    pub fn thing(&self, name: &str) -> Self {
        let fields = self.fields.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        Self { response: self.response, fields }
    }

    /// One or many; what is no thing is left out.
    pub fn many(&self, name: &str) -> Vec<Self> {
        let items = match self.fields.get(name) {
            Some(Value::Array(items)) => items.as_slice(),
            one => one.map(std::slice::from_ref).unwrap_or_default(),
        };
        let items = items.iter().filter_map(Value::as_object).cloned();
        items.map(|fields| Self { response: self.response, fields }).collect()
    }

    /// One or many, each of which must be readable.
    pub fn each<T>(&self, name: &str, read: impl Fn(&Self) -> Result<T>) -> Result<Vec<T>> {
        self.many(name).iter().map(read).collect()
    }

    /// A text or a number as a text. An empty one is none.
    pub fn word(&self, name: &str) -> Option<String> {
        match self.fields.get(name)? {
            Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
            Value::Number(number) => Some(number.to_string()),
            Value::Object(_) => self.thing(name).word("#text"),
            _ => None,
        }
    }

    /// A whole number, or a text that is one.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.word(name)?.trim().parse().ok()
    }

    /// A time in seconds since 1970. Zero is none.
    pub fn time(&self, name: &str) -> Option<Timestamp> {
        let seconds = self.number(name).filter(|unix| *unix > 0)?;
        Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
    }

    /// A word without which the answer cannot be used.
    pub fn need(&self, name: &str) -> Result<String> {
        self.word(name).ok_or_else(|| self.response.undecodable(format!("something has no `{name}`")))
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::error::{Effect, ErrorKind};
    use crate::op::{Op, Safety};

    static WRITE: Op = Op::new("test", "write", Safety::Once);

    fn answer(body: &'static str) -> WireResponse {
        WireResponse::new(&WRITE, StatusCode::OK, HeaderMap::new(), body)
    }

    #[test]
    fn a_list_is_one_or_many_and_leaves_out_what_is_no_thing() {
        let answer = answer(r#"{"many":[{"a":1},null,"x",{"a":"2"}],"one":{"a":3},"empty":"","none":null}"#);
        let top = Thing::top(&answer).unwrap();
        let numbers = |name| top.many(name).iter().map(|thing| thing.number("a")).collect::<Vec<_>>();
        assert_eq!(numbers("many"), [Some(1), Some(2)]);
        assert_eq!(numbers("one"), [Some(3)]);
        for name in ["empty", "none", "unheard of"] {
            assert_eq!(numbers(name), [], "{name}");
        }
        assert!(top.each("many", |thing| thing.need("b")).is_err());
    }

    #[test]
    fn words_numbers_and_times_have_many_shapes() {
        let answer = answer(
            r##"{"text":"a","blank":" ","number":" 7 ","minus":-7,"half":0.5,"object":{"#text":{"#text":"b"}},
                "yes":true,"zero":"0","time":1718150100,"late":18446744073709551615}"##,
        );
        let top = Thing::top(&answer).unwrap();
        let words = ["text", "blank", "object", "minus", "yes", "unheard of"].map(|name| top.word(name));
        assert_eq!(
            words.each_ref().map(Option::as_deref),
            [Some("a"), None, Some("b"), Some("-7"), None, None]
        );
        assert_eq!(
            ["number", "minus", "half", "text"].map(|name| top.number(name)),
            [Some(7), None, None, None]
        );
        assert_eq!(["zero", "late", "text"].map(|name| top.time(name)), [None; 3]);
        assert_eq!(top.time("time").unwrap().to_string(), "2024-06-11T23:55:00Z");
    }

    #[test]
    fn what_is_needed_and_missing_is_a_decode_error_with_the_effect_of_the_call() {
        for body in ["{}", r#"{"a":[]}"#, r#"{"a":null}"#, r#"{"a":{}}"#, "[]", "<a/>"] {
            let answer = answer(body);
            let error = Thing::under(&answer, "a").and_then(|thing| thing.need("b")).unwrap_err();
            assert_eq!((error.kind(), error.effect()), (ErrorKind::Decode, Effect::Applied), "{body}");
        }
        assert!(Thing::under(&answer(r#"{"a":""}"#), "a").unwrap().many("b").is_empty());
    }
}
