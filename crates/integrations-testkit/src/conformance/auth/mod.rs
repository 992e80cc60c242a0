//! What every sign-in service goes through.
