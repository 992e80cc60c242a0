//! A sign-in through a browser, from the first click to the session.
