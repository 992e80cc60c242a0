//! Many instances, tenants and connections at run time.
