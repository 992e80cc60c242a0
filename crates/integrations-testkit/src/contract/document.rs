//! The document of a description: reading it, telling its format, and following its references.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::read::GzDecoder;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::leaf::Leaf;
use super::yaml;

/// The largest description, unpacked, in bytes.
const MAX_BYTES: u64 = 256 << 20;

/// What a description is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// OpenAPI 3.0: <https://spec.openapis.org/oas/v3.0.4.html>
    OpenApi30,
    /// OpenAPI 3.1 and 3.2: <https://spec.openapis.org/oas/v3.1.1.html>
    OpenApi31,
    /// OpenAPI 2, called Swagger: <https://spec.openapis.org/oas/v2.0.html>
    OpenApi2,
    /// Google discovery: <https://developers.google.com/discovery/v1/reference/apis>
    Discovery,
    /// JSON hyper-schema of draft 4: <https://json-schema.org/draft-04/draft-luff-json-hyper-schema-00>
    HyperSchema,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenApi30 => "OpenAPI 3.0",
            Self::OpenApi31 => "OpenAPI 3.1",
            Self::OpenApi2 => "OpenAPI 2",
            Self::Discovery => "Google discovery",
            Self::HyperSchema => "JSON hyper-schema",
        })
    }
}

/// Why a description cannot be read. Its `Display` is one line and says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError(String);

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReadError {}

/// A document and what was compiled of it.
pub(super) struct Document {
    pub(super) root: Value,
    pub(super) format: Format,
    /// By the address of the schema: the document never changes and lives as long as this map.
    leaves: Mutex<HashMap<usize, Arc<Leaf>>>,
}

impl Document {
    pub(super) fn read(path: &Path) -> Result<Self, ReadError> {
        let bytes = std::fs::read(path).map_err(|e| ReadError(format!("{}: {e}", path.display())))?;
        Self::parse(&bytes).map_err(|e| ReadError(format!("{}: {e}", path.display())))
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ReadError> {
        let root = value(bytes)?;
        let format = format(&root)?;
        Ok(Self { root, format, leaves: Mutex::new(HashMap::new()) })
    }

    /// What the reference stands for, in this document.
    pub(super) fn resolve(&self, reference: &str) -> Option<&Value> {
        if self.format == Format::Discovery {
            return self.root.get("schemas")?.get(reference);
        }
        let pointer = reference.strip_prefix('#')?;
        let target = self.root.pointer(pointer);
        target.or_else(|| self.root.pointer(&percent_decode_str(pointer).decode_utf8().ok()?))
    }

    /// The object itself, or what its references lead to.
    pub(super) fn follow<'d>(&'d self, mut object: &'d Value) -> Option<&'d Value> {
        // References to references: more than a few are a circle.
        for _ in 0..16 {
            match reference(object) {
                None => return Some(object),
                Some(target) => object = self.resolve(target)?,
            }
        }
        None
    }

    /// What can be checked of the schema without looking at other schemas.
    pub(super) fn leaf(&self, schema: &Value) -> Arc<Leaf> {
        let address = std::ptr::from_ref(schema).addr();
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        leaves.entry(address).or_insert_with(|| Arc::new(Leaf::new(schema))).clone()
    }

    /// Every reference that leads nowhere, outside examples.
    pub(super) fn dangling(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        visit(&self.root, &mut |object| {
            if let Some(target) = reference(object).filter(|target| self.resolve(target).is_none()) {
                found.insert(target.to_owned());
            }
        });
        found
    }

    /// Every object that can be reached from this one, through references too, outside examples.
    pub(super) fn reach<'d>(&'d self, start: &'d Value, see: &mut dyn FnMut(&'d Value)) {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![start];
        while let Some(next) = waiting.pop() {
            visit(next, &mut |object| {
                see(object);
                if let Some(target) = reference(object).filter(|target| !seen.contains(*target)) {
                    seen.insert(target);
                    waiting.extend(self.resolve(target));
                }
            });
        }
    }
}

/// The target of `$ref`.
pub(super) fn reference(object: &Value) -> Option<&str> {
    object.get("$ref")?.as_str()
}

/// Sees every object of the tree that can be a schema, or hold one.
fn visit<'d>(value: &'d Value, see: &mut dyn FnMut(&'d Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
        Value::Object(map) => {
            see(value);
            for (name, value) in map {
                if !matches!(name.as_str(), "example" | "examples" | "default" | "enum" | "const") {
                    visit(value, see);
                } else if name == "default" && value.get("content").or(value.get("$ref")).is_some() {
                    // The answer of every other status, not a value.
                    visit(value, see);
                }
            }
        }
        _ => {}
    }
}

fn value(bytes: &[u8]) -> Result<Value, ReadError> {
    let unpacked;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        unpacked = unpack(bytes).map_err(|e| ReadError(format!("the gzip stream is broken: {e}")))?;
        unpacked.as_slice()
    } else {
        bytes
    };
    let text =
        std::str::from_utf8(bytes).map_err(|_| ReadError("the description is not UTF-8".to_owned()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['{', '[']) {
        match serde_json::from_str(text) {
            Ok(value) => return Ok(value),
            // YAML may begin with a brace as well.
            Err(e) => {
                return yaml::read(text).map_err(|_| ReadError(format!("the description is not JSON: {e}")));
            }
        }
    }
    yaml::read(text).map_err(|e| ReadError(format!("the description is neither JSON nor YAML: {e}")))
}

fn unpack(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    GzDecoder::new(bytes).take(MAX_BYTES).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

fn format(root: &Value) -> Result<Format, ReadError> {
    let text = |name: &str| match root.get(name) {
        Some(Value::String(text)) => text.clone(),
        // An unquoted version in YAML is a number.
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let (openapi, swagger) = (text("openapi"), text("swagger"));
    if openapi.starts_with("3.0") {
        Ok(Format::OpenApi30)
    } else if openapi == "3" || openapi.starts_with("3.") {
        Ok(Format::OpenApi31)
    } else if swagger == "2" || swagger.starts_with("2.") {
        Ok(Format::OpenApi2)
    } else if text("kind") == "discovery#restDescription" {
        Ok(Format::Discovery)
    } else if text("$schema").contains("hyper-schema") {
        Ok(Format::HyperSchema)
    } else {
        let other = if !openapi.is_empty() {
            format!("OpenAPI {openapi}")
        } else if root.get("asyncapi").is_some() {
            "AsyncAPI".to_owned()
        } else {
            "something else".to_owned()
        };
        Err(ReadError(format!(
            "the description is {other}; give one in OpenAPI 3.x, OpenAPI 2, Google discovery or JSON hyper-schema"
        )))
    }
}
