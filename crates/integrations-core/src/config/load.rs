//! Reading configuration.
