//! What every provider goes through: golden files, hostile answers, the category's cases, and those under faults.

integrations_testkit::judges!(integrations_music::Music, integrations_testkit::conformance::music::suite());
