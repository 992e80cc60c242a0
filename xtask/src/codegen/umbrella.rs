//! The crate `integrations`: features and re-exports, nothing else.

use std::path::Path;

use super::facts::Provider;
use super::{Catalog, Category, Files, GENERATED};
use crate::{Outcome, process};

/// Features of the umbrella that are neither a category nor a provider.
pub(super) const RESERVED: &[&str] = &["default", "full", "http"];

/// Manifest and source of the umbrella crate.
pub(super) fn render(catalog: &Catalog, files: &mut Files) -> Outcome {
    let categories: Vec<&Category> = catalog.published().filter(|c| !c.providers.is_empty()).collect();
    let folder = Path::new("crates/integrations");
    files.insert(folder.join("Cargo.toml"), manifest(&categories, &catalog.version));
    files.insert(folder.join("src/lib.rs"), process::rustfmt(&library(&categories))?);
    Ok(())
}

fn manifest(categories: &[&Category], version: &str) -> String {
    let names: Vec<String> = categories.iter().map(|category| category.name.clone()).collect();
    let http = categories.iter().filter(|c| c.has_http).map(|c| format!("{}?/http", c.package()));
    let http: Vec<String> = std::iter::once("dep:integrations-http".to_owned()).chain(http).collect();
    let features: String = categories.iter().map(|category| category_features(category)).collect();
    let dependencies: String = categories.iter().map(|category| dependency(category, version)).collect();
    format!(
        "# {GENERATED}

[package]
name = \"integrations\"
description = \"One interface per kind of outside service, with one resilience pipeline below: a feature per provider\"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
repository.workspace = true
categories.workspace = true
keywords.workspace = true

[package.metadata.docs.rs]
features = [\"full\"]

[features]
default = [\"http\"]
# The transport over reqwest.
http = {}
# Every category with its light providers.
full = {}
{features}
[dependencies]
integrations-core.workspace = true
integrations-http = {{ workspace = true, optional = true }}
{dependencies}
[lints]
workspace = true
",
        array(&http),
        array(&names)
    )
}

fn category_features(category: &Category) -> String {
    let package = category.package();
    let light = category.providers.iter().filter(|provider| !provider.facts.heavy).map(|p| p.id().to_owned());
    let all: Vec<String> = std::iter::once(format!("dep:{package}")).chain(light).collect();
    let row = |provider: &Provider| {
        let id = provider.id();
        format!("{id} = {}\n", array(&[format!("dep:{package}"), format!("{package}/{id}")]))
    };
    let rows: String = category.providers.iter().map(row).collect();
    format!("\n{} = {}\n{rows}", category.name, array(&all))
}

fn dependency(category: &Category, version: &str) -> String {
    let package = category.package();
    format!(
        "{package} = {{ path = \"../{package}\", version = \"{version}\", default-features = false, optional = true }}\n"
    )
}

fn library(categories: &[&Category]) -> String {
    let modules: String = categories.iter().map(|category| re_export(category)).collect();
    let list = |category: &&Category| format!("{}\n{}::PROVIDERS", condition(category), category.name);
    let lists = categories.iter().map(list).collect::<Vec<_>>().join(",\n");
    format!(
        "// {GENERATED}
//! One interface per kind of outside service, with one resilience pipeline below.
//!
//! This crate is features and re-exports: one feature per provider, one per category, `http` (on by default) for the
//! transport over reqwest, and `full` for every category with its light providers. [`providers`] lists what a build has.
//!
//! Invariants:
//! - It has no code of its own; every item lives in the crate that it is re-exported from.
//! - Features only add.

pub use integrations_core::*;

#[cfg(feature = \"http\")]
pub use integrations_http as http;

{modules}
static CATEGORIES: &[&[&provider::ProviderSpec]] = &[{lists}];

/// The providers that this build has.
pub fn providers() -> impl Iterator<Item = &'static provider::ProviderSpec> {{
    CATEGORIES.iter().copied().flatten().copied()
}}
"
    )
}

fn re_export(category: &Category) -> String {
    format!("{}\npub use integrations_{} as {};\n\n", condition(category), category.name, category.name)
}

/// The crate is there when its category or any of its providers is chosen.
fn condition(category: &Category) -> String {
    let names = std::iter::once(category.name.as_str()).chain(category.providers.iter().map(Provider::id));
    let features: Vec<String> = names.map(|name| format!("feature = \"{name}\"")).collect();
    format!("#[cfg(any({}))]", features.join(", "))
}

/// An array of strings in TOML.
pub(super) fn array(items: &[String]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, NOTES};
    use super::super::plan;
    use super::*;

    fn umbrella(fixture: &Fixture) -> (String, String) {
        let mut files = plan(fixture.root()).unwrap();
        let mut take = |name: &str| files.remove(&Path::new("crates/integrations").join(name)).unwrap();
        (take("Cargo.toml"), take("src/lib.rs"))
    }

    #[test]
    fn each_provider_and_each_category_is_a_feature() {
        let heavy = NOTES.replace("\"notes\"", "\"big-notes\"");
        let fixture = Fixture::new(&[
            ("example", "notes", NOTES),
            ("example", "big_notes", &format!("heavy = true\n{heavy}")),
        ]);
        let (manifest, library) = umbrella(&fixture);
        for row in [
            "full = [\"example\"]",
            "example = [\"dep:integrations-example\", \"notes\"]",
            "big-notes = [\"dep:integrations-example\", \"integrations-example/big-notes\"]",
            "http = [\"dep:integrations-http\", \"integrations-example?/http\"]",
            "version = \"0.1.0\", default-features = false, optional = true",
        ] {
            assert!(manifest.contains(row), "{row}\n{manifest}");
        }
        let condition = "#[cfg(any(feature = \"example\", feature = \"big-notes\", feature = \"notes\"))]";
        assert_eq!(library.matches(condition).count(), 2, "{library}");
        assert!(library.contains("pub use integrations_example as example;"), "{library}");
    }

    #[test]
    fn a_crate_that_is_not_published_stays_out() {
        let fixture = Fixture::new(&[("example", "notes", NOTES)]);
        let path = "crates/integrations-example/Cargo.toml";
        let private = fixture.read(path).replace("[features]", "publish = false\n\n[features]");
        fixture.write(path, &private);
        let (manifest, library) = umbrella(&fixture);
        assert!(!manifest.contains("integrations-example") && !library.contains("integrations_example"));
    }
}
