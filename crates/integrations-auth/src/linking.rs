//! Which identities belong to one user, and who may say so.
