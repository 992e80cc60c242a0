//! What every provider goes through: golden files, hostile answers, the category's cases, and those under faults.

integrations_testkit::judges!(integrations_auth::SignIn, integrations_testkit::conformance::auth::suite());
