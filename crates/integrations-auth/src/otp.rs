//! One-time codes as a second factor (RFC 6238), and codes to recover with.
