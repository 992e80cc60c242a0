//! What naive code must not be able to say: see `tests/naive`.
