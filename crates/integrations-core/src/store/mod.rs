//! Tables in one SQLite file, written by one task that commits what waits as a group.
