//! Golden files: what an endpoint sends, and what it makes of the answer.
