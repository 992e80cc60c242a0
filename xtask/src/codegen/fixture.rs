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

/// A vendor with every fact that an OAuth server can have.
pub(crate) const ACME: &str = r#"name = "Acme"
about = "invented"

[oauth]
token_url = "https://{region}.acme.example/token"
authorize_url = "https://acme.example/authorize"
revoke_url = "https://acme.example/revoke"
introspect_url = "https://acme.example/introspect"
device_url = "https://acme.example/device"
issuer = "https://acme.example"
vars = { region = "eu" }
pkce = "s256-hex"
client_auth = "basic-raw"
token_body = "json"
renames = { client_id = "app_id", scope = "perms" }
scope_separator = ","
default_scopes = ["offline"]
authorize_params = { access_type = "offline" }
token_params = { output = "json" }
client_grant = "account_credentials"
refresh = "extend"
upgrade = { url = "https://acme.example/long", grant = "long", token_param = "token", with_client = true }
extend = { url = "https://acme.example/longer", grant = "longer", token_param = "token" }
reply_root = "data"
reply_renames = { expires_in = "expires" }
lifetime_seconds = 7200
scheme = "OAuth"
reauth_codes = ["bad_refresh_token"]
limit_codes = ["4"]

[[source]]
page = "https://acme.example/docs/oauth"
facts = [
    "token_url", "authorize_url", "revoke_url", "introspect_url", "device_url", "issuer", "vars", "pkce", "client_auth",
    "token_body", "renames", "scope_separator", "default_scopes", "authorize_params", "token_params", "client_grant",
]

[[source]]
page = "https://acme.example/docs/tokens"
facts = ["refresh", "upgrade", "extend", "reply_root", "reply_renames", "lifetime_seconds", "scheme", "reauth_codes", "limit_codes"]
"#;

/// Where [`ACME`] stands in a fixture.
pub(crate) const ACME_FILE: &str = "crates/integrations-oauth/vendors/acme.toml";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A folder that is removed when the test ends.
pub(crate) struct Fixture(PathBuf);

impl Fixture {
    /// A workspace with the vendor [`ACME`] and these providers: category, module, text of `provider.toml`.
    pub(crate) fn new(providers: &[(&str, &str, &str)]) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("xtask-fixture-{}-{number}", std::process::id()));
        let fixture = Self(root);
        fixture.write("Cargo.toml", "[workspace.package]\nversion = \"0.1.0\"\n");
        fixture.write(ACME_FILE, ACME);
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
