//! Events that we send to others' endpoints: signed, retried, and never to an address inside our own network.
