//! Configurations, good and broken, as their authors would write them.

mod broken;
mod fuzz;
mod good;
mod providers;
mod schema;
mod secrets;
mod variables;
