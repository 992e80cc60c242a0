//! The provider against its fake.
