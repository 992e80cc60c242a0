//! Finding a track again at another service.
