//! Endpoints chosen at run time: by the command line, by a gateway, by the contract check.

mod portable;

use http::Uri;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::op::Op;
use crate::trail;
use crate::wire::{WireRequest, WireResponse};

#[cfg(any(feature = "music", feature = "auth"))]
pub(crate) use portable::portable_operations;
pub use portable::{Failure, Invoked, Outcome, PageOf, PortableOp, outcomes, page};
#[doc(hidden)]
pub use portable::{arguments, result};

/// One endpoint with its types erased: arguments and answer are JSON. There is no second set of types; the table
/// is filled from the [`Endpoint`] types themselves.
///
/// ```
/// use integrations_core::dynamic::OpEntry;
/// use integrations_core::{Endpoint, Op, Req, Result, Safety, WireRequest, WireResponse};
/// use serde::{Deserialize, Serialize};
///
/// static GET_NOTE: Op = Op::new("notes", "get_note", Safety::Read).http("GET", "/notes/{id}");
/// #[derive(Serialize, Deserialize)]
/// struct GetNote { id: String }
/// #[derive(Serialize, Deserialize)]
/// struct Note { text: String }
/// impl Endpoint for GetNote {
///     type Output = Note;
///     const OP: &'static Op = &GET_NOTE;
///     fn request(&self, base: &http::Uri) -> Result<WireRequest> { Req::get(base).path(["notes", &self.id]).build() }
///     fn response(&self, response: WireResponse) -> Result<Note> { response.json() }
/// }
///
/// static OPS: [OpEntry; 1] = [OpEntry::of::<GetNote>()];
/// let request = (OPS[0].request)(&serde_json::json!({ "id": "n1" }), &"https://notes.example".parse().unwrap())?;
/// assert_eq!(request.uri(), "https://notes.example/notes/n1");
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct OpEntry {
    /// The operation.
    pub op: &'static Op,
    /// Builds the request from the endpoint's fields as a JSON object, against a base address.
    pub request: fn(&Value, &Uri) -> Result<WireRequest>,
    /// Reads an answer to the call with these fields.
    pub response: fn(&Value, WireResponse) -> Result<Value>,
}

impl OpEntry {
    /// The entry of one endpoint.
    pub const fn of<E>() -> Self
    where
        E: Endpoint + DeserializeOwned,
        E::Output: Serialize,
    {
        Self {
            op: E::OP,
            request: |fields, base| endpoint::<E>(fields)?.request(base),
            response: |fields, response| {
                let output = endpoint::<E>(fields)?.response(response)?;
                serde_json::to_value(output).map_err(|e| {
                    Error::invalid_request("the answer cannot be written as JSON")
                        .with_op(E::OP)
                        .with_source(e)
                })
            },
        }
    }
}

fn endpoint<E: Endpoint + DeserializeOwned>(fields: &Value) -> Result<E> {
    trail::deserialize(fields).map_err(|(e, place): (serde_json::Error, _)| {
        let at = if place.is_empty() { String::new() } else { format!(" at `{place}`") };
        let message = format!("bad argument{at}: {}", without_value(&e.to_string()));
        Error::invalid_request(message).with_op(E::OP)
    })
}

/// Serde's complaint without the value that it quotes, because an argument may be a secret. What is left comes from the
/// type: the name of a missing field, or what was expected.
fn without_value(complaint: &str) -> String {
    const QUOTING: [&str; 5] =
        ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant `", "unknown field `"];
    if complaint.starts_with("missing field `") {
        return complaint.to_owned();
    }
    let quotes = QUOTING.iter().any(|start| complaint.starts_with(start));
    // The last one: the value itself may contain these words.
    match complaint.rfind(", expected ").filter(|_| quotes) {
        Some(at) => complaint[at + 2..].to_owned(),
        None => "the value is not allowed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Args {
        amount: u32,
        mode: Mode,
        at: std::net::IpAddr,
    }

    #[derive(serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Fast,
        Slow,
    }

    impl Endpoint for Args {
        type Output = ();
        const OP: &'static Op = &Op::new("t", "t", crate::op::Safety::Read);

        fn request(&self, _: &Uri) -> Result<WireRequest> {
            Ok(WireRequest::default())
        }

        fn response(&self, _: WireResponse) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_argument_is_never_quoted() {
        let good = serde_json::json!({"amount": 1, "mode": "fast", "at": "::1"});
        assert!(endpoint::<Args>(&good).is_ok());
        let cases = [
            ("amount", serde_json::json!("hunter2"), "`amount`: expected u32"),
            ("amount", serde_json::json!("hunter2, expected hunter2"), "`amount`: expected u32"),
            ("mode", serde_json::json!("hunter2"), "`mode`: expected `fast` or `slow`"),
            ("at", serde_json::json!("hunter2"), "`at`: the value is not allowed"),
        ];
        for (field, value, said) in cases {
            let mut fields = good.clone();
            fields[field] = value;
            let e = endpoint::<Args>(&fields).err().expect("it is wrong");
            assert!(e.message().ends_with(said), "{e}");
            assert!(!format!("{e:?}").contains("hunter2"), "{e:?}");
        }
        let e = endpoint::<Args>(&serde_json::json!({})).err().expect("it is empty");
        assert!(e.message().ends_with("missing field `amount`"), "{e}");
    }
}
