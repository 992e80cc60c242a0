//! Integration tests of core, in virtual time, through the public interface.

mod caller;
mod pipeline;
