//! The tests of this crate as one program.

mod vendor_requests;
mod vendors;
