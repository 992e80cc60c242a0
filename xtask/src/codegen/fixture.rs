//! A small workspace on disk for the tests of this module.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::blocks;

pub(crate) const NOTES: &str = r#"id = "notes"
name = "Notes"
category = "example"
status = "full"
summary = "A service that keeps short notes."
terms = "https://notes.example/terms"
attribution = "Show \"Notes\" beside a note."
caps = ["read", "write"]
pagination = "cursor"
webhook = "none"

[api]
pin = "v1"
source = "https://notes.example/docs/versions"
released = 2025-01-15
sunset = 2027-06-30

[[host]]
environment = "production"
url = "https://api.notes.example/v1"

[[host]]
environment = "sandbox"
url = "https://sandbox.notes.example/v1"
test = true

[auth]
kind = "bearer"

[[setting]]
name = "token"
env = "NOTES_TOKEN"
about = "a personal token"
kind = "secret"
shapes = [{ prefix = "nt_live_", mode = "live" }, "nt_"]

[[setting]]
name = "region"
about = "where notes are kept"
kind = "text"
required = false

[[bucket]]
name = "api"
limit = 60
per_seconds = 60
unit = "requests"
source = "https://notes.example/docs/limits"

[[op]]
name = "get_note"
page = "Get a note"
doc = "https://notes.example/docs/get-note"
method = "GET"
path = "/notes/{id}"
safety = "read"
bucket = "api"
cap = "read"
description_id = "getNote"
cache = true

[[op]]
name = "create_note"
page = "Create a note"
doc = "https://notes.example/docs/create-note"
method = "POST"
path = "/notes"
safety = "keyed"
bucket = "api"
cap = "write"
undescribed = "the description covers reads only"
key_lifetime_seconds = 86400
"#;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A folder that is removed when the test ends.
pub(crate) struct Fixture(PathBuf);

impl Fixture {
    /// A workspace with these providers: category, module, text of `provider.toml`.
    pub(crate) fn new(providers: &[(&str, &str, &str)]) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("xtask-fixture-{}-{number}", std::process::id()));
        let fixture = Self(root);
        fixture.write("Cargo.toml", "[workspace.package]\nversion = \"0.1.0\"\n");
        for (category, module, facts) in providers {
            let package = format!("crates/integrations-{category}");
            let manifest = format!(
                "[package]\nname = \"integrations-{category}\"\n\n[features]\nhttp = []\nhub = []\n{}",
                blocks::empty("#")
            );
            fixture.write(&format!("{package}/Cargo.toml"), &manifest);
            fixture.write(
                &format!("{package}/src/lib.rs"),
                &format!("//! A category.\n\n{}", blocks::empty("//")),
            );
            fixture.write(&format!("{package}/src/{module}/provider.toml"), facts);
        }
        fixture
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
