//! Moving a playlist from one service to another.
