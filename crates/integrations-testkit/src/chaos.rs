//! Conformance cases under faults, from seeds.
