//! The resilience pipeline.

pub mod adaptive;
pub mod breaker;
pub mod concurrency;
pub mod limiter;
