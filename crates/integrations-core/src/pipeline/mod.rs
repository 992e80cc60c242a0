//! The resilience pipeline.

pub mod adaptive;
pub mod breaker;
pub mod budget;
pub mod concurrency;
pub mod hedge;
pub mod limiter;
