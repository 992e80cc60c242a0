//! How the OAuth 2 of known vendors differs from the standards.
