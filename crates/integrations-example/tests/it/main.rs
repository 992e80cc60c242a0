//! Golden tests: requests and answers as bytes, without network or runtime.

// codegen:begin (written by `cargo xtask codegen`)
#[cfg(feature = "notes")]
mod notes;
// codegen:end
