//! Keys by which programs prove themselves.
