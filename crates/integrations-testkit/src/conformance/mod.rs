//! Cases that every provider of a category goes through.
