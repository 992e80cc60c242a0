//! Statements of issuers about users, verified (OpenID Connect Core 1.0).
