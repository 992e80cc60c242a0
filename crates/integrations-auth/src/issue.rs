//! Tokens that the application issues itself, under keys that rotate.
