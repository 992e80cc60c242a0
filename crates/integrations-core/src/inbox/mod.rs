//! Events that others send: stored before they are acknowledged, applied once and in order.
