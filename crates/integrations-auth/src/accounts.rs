//! Accounts that sign in with a mail address and a password.
