//! What a provider makes of answers that nobody promised.
