//! A category's portable operations by name: for whoever chooses one at run time.

use std::fmt;
use std::pin::Pin;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::without_value;
use crate::error::{Error, Result};
use crate::op::Safety;
use crate::page::{Cursor, Listing, Page};
use crate::trail;

/// What an operation gives, in time.
pub type Invoked<'a> = Pin<Box<dyn Future<Output = Result<Value>> + Send + 'a>>;

/// One operation of a category's portable type `C`, with its types erased: arguments and result are JSON.
///
/// Each category has a table of them beside its interface.
#[non_exhaustive]
pub struct PortableOp<C: 'static> {
    /// Its name, unique within the category.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// The capability that an instance needs for it.
    pub cap: &'static str,
    /// How often it may be sent.
    pub safety: Safety,
    /// The JSON Schema of its arguments.
    #[cfg(feature = "schema")]
    pub arguments: fn() -> Value,
    /// The JSON Schema of its result.
    #[cfg(feature = "schema")]
    pub result: fn() -> Value,
    /// Does it. [`ErrorKind::InvalidRequest`](crate::ErrorKind) names an argument that is wrong, never its value.
    pub invoke: for<'a> fn(&'a C, Value) -> Invoked<'a>,
}

impl<C> PortableOp<C> {
    /// The operation of this name in a table.
    pub fn find<'t>(table: &'t [Self], name: &str) -> Option<&'t Self> {
        table.iter().find(|op| op.name == name)
    }
}

impl<C> fmt::Debug for PortableOp<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortableOp").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One page of a list, as JSON has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PageOf<T> {
    /// The items, in the service's order.
    pub items: Vec<T>,
    /// The cursor to ask for the next page with; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
    /// How many items there are on all pages, where the service says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl<T> From<Page<T>> for PageOf<T> {
    fn from(page: Page<T>) -> Self {
        Self { items: page.items, next: page.next, total: page.total }
    }
}

/// One page of a listing, of a size and from a place that were given as arguments.
pub async fn page<'a, T: 'a>(
    listing: Listing<'a, T>,
    limit: Option<u32>,
    cursor: Option<Cursor>,
) -> Result<PageOf<T>> {
    let listing = listing.from(cursor);
    let listing = match limit {
        Some(limit) => listing.limit(limit),
        None => listing,
    };
    listing.page().await.map(PageOf::from)
}

/// What became of one item of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "it is done or it is not")]
pub enum Outcome<T> {
    /// It was done, with this result.
    Done(T),
    /// It was not.
    Failed(Failure),
}

/// An error as JSON has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Failure {
    /// [`ErrorKind`](crate::ErrorKind) as text.
    pub kind: String,
    /// [`Effect`](crate::Effect) as text: whether the service acted.
    pub effect: String,
    /// What happened, in one line.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The vendor's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind().as_str().to_owned(),
            effect: error.effect().as_str().to_owned(),
            message: error.message().to_owned(),
            hint: error.hint().map(str::to_owned),
            code: error.code().map(str::to_owned),
        }
    }
}

/// The outcomes of a batch, in its order.
pub fn outcomes<T>(results: Vec<Result<T>>) -> Vec<Outcome<T>> {
    let outcome = |result: Result<T>| match result {
        Ok(done) => Outcome::Done(done),
        Err(e) => Outcome::Failed(Failure::from(&e)),
    };
    results.into_iter().map(outcome).collect()
}

/// Reads arguments. The error names the argument, never its value, because that may be a secret.
#[doc(hidden)]
pub fn arguments<A: DeserializeOwned>(name: &str, value: Value) -> Result<A> {
    let value = if value.is_null() { Value::Object(serde_json::Map::new()) } else { value };
    trail::deserialize(&value).map_err(|(e, place): (serde_json::Error, _)| {
        let at = if place.is_empty() { String::new() } else { format!(" at `{place}`") };
        Error::invalid_request(format!("bad argument of `{name}`{at}: {}", without_value(&e.to_string())))
    })
}

/// Writes a result.
#[doc(hidden)]
pub fn result<R: Serialize>(name: &str, result: &R) -> Result<Value> {
    serde_json::to_value(result).map_err(|e| {
        Error::invalid_request(format!("the result of `{name}` cannot be written as JSON")).with_source(e)
    })
}

/// Writes the table of a category's portable operations. For each: a sentence, the name and the type of its
/// arguments, the result, the capability, the [`Safety`], and how it is done with the portable type and the arguments.
#[cfg(any(test, feature = "music", feature = "auth"))]
macro_rules! portable_operations {
    (
        $(#[$meta:meta])*
        pub static $table:ident: $client:ty;
        $(
            $about:literal
            $name:ident($arguments:ident { $($field:ident: $type:ty),* $(,)? }) -> $result:ty, $cap:expr, $safety:expr,
                |$client_name:ident, $given:pat_param| $body:expr;
        )+
    ) => {
        $(
            #[derive(serde::Deserialize)]
            #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
            #[serde(deny_unknown_fields)]
            struct $arguments {
                $($field: $type,)*
            }
        )+

        $(#[$meta])*
        pub static $table: &[$crate::dynamic::PortableOp<$client>] = &[$(
            $crate::dynamic::PortableOp {
                name: stringify!($name),
                about: $about,
                cap: $cap,
                safety: $safety,
                #[cfg(feature = "schema")]
                arguments: || schemars::schema_for!($arguments).to_value(),
                #[cfg(feature = "schema")]
                result: || schemars::schema_for!($result).to_value(),
                invoke: |$client_name, value| {
                    Box::pin(async move {
                        let $given: $arguments = $crate::dynamic::arguments(stringify!($name), value)?;
                        let done: $result = $body?;
                        $crate::dynamic::result(stringify!($name), &done)
                    })
                },
            },
        )+];
    };
}
#[cfg(any(feature = "music", feature = "auth"))]
pub(crate) use portable_operations;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    pub(super) struct Notebook;

    impl Notebook {
        async fn note(&self, id: u32) -> Result<String> {
            std::future::ready(Ok(format!("note {id}"))).await
        }
    }

    portable_operations! {
        #[allow(unreachable_pub, reason = "a category's table is public")]
        /// What notes can be asked for.
        pub static OPERATIONS: Notebook;

        "A note by its number."
        note(NoteArguments { id: u32, language: Option<String> }) -> String, "read", Safety::Read,
            |notes, it| {
                let _ = it.language;
                notes.note(it.id).await
            };
    }

    #[tokio::test]
    async fn an_operation_is_found_and_done_by_name() {
        let op = PortableOp::find(OPERATIONS, "note").unwrap();
        assert_eq!((op.about, op.cap, op.safety), ("A note by its number.", "read", Safety::Read));
        let note = (op.invoke)(&Notebook, serde_json::json!({ "id": 7 })).await.unwrap();
        assert_eq!(note, "note 7");
        assert!(PortableOp::find(OPERATIONS, "notes").is_none());
    }

    #[tokio::test]
    async fn a_wrong_argument_is_named_and_never_quoted() {
        let op = &OPERATIONS[0];
        for (given, said) in [
            (serde_json::json!({ "id": "hunter2" }), "`id`: expected u32"),
            (serde_json::json!({ "id": 1, "hunter2": 1 }), "expected `id` or `language`"),
            (Value::Null, "missing field `id`"),
        ] {
            let e = (op.invoke)(&Notebook, given).await.unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidRequest);
            assert!(e.message().ends_with(said), "{e}");
            assert!(!format!("{e:?}").contains("hunter2"), "{e:?}");
        }
    }

    #[test]
    fn a_batch_tells_what_became_of_each() {
        let failed = Error::unsupported("no", "try another").with_code("7");
        let json = serde_json::to_value(outcomes(vec![Ok(1), Err(failed)])).unwrap();
        assert_eq!(json[0], serde_json::json!({ "done": 1 }));
        assert_eq!(
            (&json[1]["failed"]["kind"], &json[1]["failed"]["effect"]),
            (&"unsupported".into(), &"not_sent".into())
        );
        assert_eq!(
            (&json[1]["failed"]["hint"], &json[1]["failed"]["code"]),
            (&"try another".into(), &"7".into())
        );
    }

    #[cfg(feature = "schema")]
    #[test]
    fn arguments_and_result_have_schemas() {
        let schema = (OPERATIONS[0].arguments)();
        assert_eq!(schema["required"], serde_json::json!(["id"]));
        assert_eq!((OPERATIONS[0].result)()["type"], "string");
    }
}
