//! Values that go into statements and come out of rows.

use std::fmt;

use bytes::Bytes;

use crate::error::{Effect, Error, ErrorKind, Result};

/// A value of a statement or of a row.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Param {
    /// Nothing. PostgreSQL has to see its type: where it is no column's value, write `CAST($1 AS BIGINT)`.
    Null,
    /// A whole number (`BIGINT`; smaller ones and truth values are read as one).
    Integer(i64),
    /// Text. PostgreSQL takes none with the character U+0000.
    Text(String),
    /// Bytes.
    Blob(Bytes),
}

impl fmt::Debug for Param {
    /// Its type and size: it may be somebody's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Integer(_) => f.write_str("Integer"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Blob(bytes) => write!(f, "Blob({} bytes)", bytes.len()),
        }
    }
}

impl From<i64> for Param {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<u32> for Param {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<bool> for Param {
    /// 0 or 1.
    fn from(value: bool) -> Self {
        Self::Integer(value.into())
    }
}

impl From<&str> for Param {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Param {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Bytes> for Param {
    fn from(value: Bytes) -> Self {
        Self::Blob(value)
    }
}

impl<T: Into<Param>> From<Option<T>> for Param {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of an answer. Columns are counted from 0, in the order of the `SELECT`. A column of another type than asked
/// for is [`ErrorKind::Decode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub(super) Vec<Param>);

impl Row {
    /// A number.
    pub fn integer(&self, column: usize) -> Result<i64> {
        self.opt_integer(column)?.ok_or_else(|| mismatch(column, "a number"))
    }

    /// A number, or `None` for `NULL`.
    pub fn opt_integer(&self, column: usize) -> Result<Option<i64>> {
        match self.0.get(column) {
            Some(Param::Null) => Ok(None),
            Some(Param::Integer(value)) => Ok(Some(*value)),
            _ => Err(mismatch(column, "a number")),
        }
    }

    /// A text.
    pub fn text(&self, column: usize) -> Result<&str> {
        self.opt_text(column)?.ok_or_else(|| mismatch(column, "a text"))
    }

    /// A text, or `None` for `NULL`.
    pub fn opt_text(&self, column: usize) -> Result<Option<&str>> {
        match self.0.get(column) {
            Some(Param::Null) => Ok(None),
            Some(Param::Text(value)) => Ok(Some(value)),
            _ => Err(mismatch(column, "a text")),
        }
    }

    /// Bytes.
    pub fn blob(&self, column: usize) -> Result<Bytes> {
        self.opt_blob(column)?.ok_or_else(|| mismatch(column, "bytes"))
    }

    /// Bytes, or `None` for `NULL`.
    pub fn opt_blob(&self, column: usize) -> Result<Option<Bytes>> {
        match self.0.get(column) {
            Some(Param::Null) => Ok(None),
            Some(Param::Blob(value)) => Ok(Some(value.clone())),
            _ => Err(mismatch(column, "bytes")),
        }
    }
}

fn mismatch(column: usize, wanted: &str) -> Error {
    Error::new(ErrorKind::Decode, Effect::NotSent, format!("column {column} of a stored row is not {wanted}"))
}
