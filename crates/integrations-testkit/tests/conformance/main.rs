//! The music cases over a model of a service, and over models with a defect each.
