//! Endpoints chosen at run time: by the command line, by a gateway, by the contract check.

use http::Uri;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::op::Op;
use crate::wire::{WireRequest, WireResponse};

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
    serde_path_to_error::deserialize(fields).map_err(|e| {
        let message = format!("bad argument at `{}`: {}", e.path(), e.inner());
        Error::invalid_request(message).with_op(E::OP)
    })
}
