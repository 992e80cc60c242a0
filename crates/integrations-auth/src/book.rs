//! The Rust examples of the book's pages about sign-in and users, as doctests.

#[doc = include_str!(concat!("../../../", "docs/src/guides/sign-in.md"))]
mod sign_in {}

#[doc = include_str!(concat!("../../../", "docs/src/guides/users.md"))]
mod users {}
