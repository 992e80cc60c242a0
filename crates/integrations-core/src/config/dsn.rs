//! Instances as one line of text.

/// How several providers of one category stand behind one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Composition {
    /// The first one answers; the next one only when it is certain that the first did not act.
    Failover,
    /// They take turns.
    RoundRobin,
}

/// An instance as one line of text: `sendgrid://default?key=${SENDGRID_API_KEY}`, `failover(a://… b://…)`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Dsn {}
