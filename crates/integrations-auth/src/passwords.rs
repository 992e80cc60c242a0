//! Passwords as they are kept.
