//! Against the fake.
