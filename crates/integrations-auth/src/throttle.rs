//! Guessing is slow.
