//! The keys of an issuer, kept fresh.
