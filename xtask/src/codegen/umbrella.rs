//! The crate `integrations`: features and re-exports, nothing else.

use std::path::Path;

use super::facts::Provider;
use super::{Catalog, Category, Files, GENERATED, lists};
use crate::{Outcome, process};

/// Features of the umbrella that are neither a category nor a provider.
pub(super) fn reserved() -> impl Iterator<Item = &'static str> {
    let parts = PARTS.iter().map(|part| part.name);
    ["default", "full", "http", "sandbox"].into_iter().chain(FORWARDED.iter().map(|f| f.name)).chain(parts)
}

/// A feature that the umbrella hands on to core, and to the categories that have it.
struct Forwarded {
    name: &'static str,
    about: &'static str,
    /// Features of the umbrella that it switches on besides.
    needs: &'static [&'static str],
}

/// A part of categories that is no provider and that core does not have: it brings the categories that have it.
struct Part {
    name: &'static str,
    about: &'static str,
}

const PARTS: &[Part] = &[
    Part { name: "passwords", about: "Passwords, and accounts that sign in with them." },
    Part { name: "otp", about: "One-time codes as a second factor." },
];

const FORWARDED: &[Forwarded] = &[
    Forwarded { name: "cache", about: "Read cache: answers are kept for as long as they allow.", needs: &[] },
    Forwarded { name: "dynamic", about: "Every operation with its types erased.", needs: &[] },
    Forwarded {
        name: "schema",
        about: "JSON Schema of the portable operations' arguments and results.",
        needs: &["dynamic"],
    },
    Forwarded { name: "hub", about: "Registry and hub: many configured instances at run time.", needs: &[] },
    Forwarded {
        name: "config",
        about: "Configuration from YAML, TOML, variables and DSN strings.",
        needs: &["hub"],
    },
    Forwarded { name: "webhook", about: "Verification of incoming webhooks.", needs: &[] },
    Forwarded {
        name: "webhook-jwt",
        about: "Webhooks signed as JWT under published keys.",
        needs: &["webhook"],
    },
    Forwarded {
        name: "webhook-x509",
        about: "Webhooks signed by RSA under a certificate chain.",
        needs: &["webhook"],
    },
    Forwarded {
        name: "inbox",
        about: "What was received is applied once; what is sent to others arrives.",
        needs: &["webhook"],
    },
    Forwarded { name: "seal", about: "What is stored is encrypted.", needs: &[] },
    Forwarded { name: "sqlite", about: "Stores in one SQLite file.", needs: &[] },
    Forwarded { name: "postgres", about: "Stores in PostgreSQL, over TLS.", needs: &[] },
];

/// Manifest and source of the umbrella crate.
pub(super) fn render(root: &Path, catalog: &Catalog, files: &mut Files) -> Outcome {
    let categories: Vec<&Category> = catalog.published().filter(|c| !c.providers.is_empty()).collect();
    let folder = Path::new("crates/integrations");
    let fakes: Vec<&str> = lists::faked(root, catalog).into_iter().map(Provider::id).collect();
    files.insert(folder.join("Cargo.toml"), manifest(&categories, &catalog.version, &fakes));
    files.insert(folder.join("src/lib.rs"), process::rustfmt(&library(&categories))?);
    Ok(())
}

fn manifest(categories: &[&Category], version: &str, fakes: &[&str]) -> String {
    let names: Vec<String> = categories.iter().map(|category| category.name.clone()).collect();
    let http = std::iter::once("dep:integrations-http".to_owned()).chain(handed_on("http", categories));
    let http: Vec<String> = http.collect();
    let forwarded: String = FORWARDED.iter().map(|feature| forwarded_feature(feature, categories)).collect();
    let parts: Vec<&Part> =
        PARTS.iter().filter(|part| categories.iter().any(|c| c.has_feature(part.name))).collect();
    let documented = std::iter::once("full").chain(FORWARDED.iter().map(|f| f.name));
    let documented: Vec<String> =
        documented.chain(parts.iter().map(|part| part.name)).map(str::to_owned).collect();
    let parts: String = parts.into_iter().map(|part| part_feature(part, categories)).collect();
    let features: String = categories.iter().map(|category| category_features(category, fakes)).collect();
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
features = {}

[features]
default = [\"http\"]
# The transport over reqwest.
http = {}
# Fake vendors, for tests and for work without an account: of the providers that are switched on.
sandbox = [\"dep:integrations-sandbox\"]
{forwarded}{parts}# Every category with its light providers.
full = {}
{features}
[dependencies]
integrations-core.workspace = true
integrations-http = {{ workspace = true, optional = true }}
integrations-sandbox = {{ workspace = true, optional = true }}
{dependencies}
[lints]
workspace = true
",
        array(&documented),
        array(&http),
        array(&names)
    )
}

fn forwarded_feature(feature: &Forwarded, categories: &[&Category]) -> String {
    let Forwarded { name, about, needs } = feature;
    let needs = needs.iter().map(|need| (*need).to_owned());
    let core = std::iter::once(format!("integrations-core/{name}"));
    let all: Vec<String> = needs.chain(core).chain(handed_on(name, categories)).collect();
    format!("# {about}\n{name} = {}\n", array(&all))
}

fn part_feature(part: &Part, categories: &[&Category]) -> String {
    let Part { name, about } = part;
    let owners = categories.iter().filter(|category| category.has_feature(name)).map(|c| c.package());
    let all: Vec<String> =
        owners.flat_map(|owner| [format!("dep:{owner}"), format!("{owner}/{name}")]).collect();
    format!("# {about}\n{name} = {}\n", array(&all))
}

/// A feature of the same name in each chosen category that has it.
fn handed_on<'a>(name: &'a str, categories: &'a [&Category]) -> impl Iterator<Item = String> {
    categories.iter().filter(move |c| c.has_feature(name)).map(move |c| format!("{}?/{name}", c.package()))
}

fn category_features(category: &Category, fakes: &[&str]) -> String {
    let package = category.package();
    let light = category.providers.iter().filter(|provider| !provider.facts.heavy).map(|p| p.id().to_owned());
    let all: Vec<String> = std::iter::once(format!("dep:{package}")).chain(light).collect();
    let row = |provider: &Provider| {
        let id = provider.id();
        let client = [format!("dep:{package}"), format!("{package}/{id}")].into_iter();
        let fake = fakes.contains(&id).then(|| format!("integrations-sandbox?/{id}"));
        format!("{id} = {}\n", array(&client.chain(fake).collect::<Vec<_>>()))
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
    let known = |provider| lists::known(provider).replacen("integrations_core::", "", 1);
    let providers = categories.iter().flat_map(|category| &category.providers);
    let known = providers.map(known).collect::<Vec<_>>().join(",\n");
    let erased = categories.iter().filter(|category| category.has_feature("dynamic"));
    let erased: Vec<String> = erased.map(|c| format!("{}\n{}::ENDPOINTS", condition(c), c.name)).collect();
    let erased = erased.join(",\n");
    let registers = categories.iter().filter(|category| category.has_feature("hub"));
    let registers: String = registers.map(|category| register(category)).collect();
    format!(
        "// {GENERATED}
//! One interface per kind of outside service, with one resilience pipeline below.
//!
//! This crate is features and re-exports: one feature per provider, one per category, `http` (on by default) for the
//! transport over reqwest, and `full` for every category with its light providers. [`providers`] lists what a build
//! has; with the feature `hub`, `registry` opens it.
//!
//! Invariants:
//! - It has no code of its own; every item lives in the crate that it is re-exported from.
//! - Features only add.

pub use integrations_core::*;

#[cfg(feature = \"http\")]
pub use integrations_http as http;
#[cfg(feature = \"sandbox\")]
pub use integrations_sandbox as sandbox;

{modules}
static CATEGORIES: &[&[&provider::ProviderSpec]] = &[{lists}];

/// The providers that this build has.
pub fn providers() -> impl Iterator<Item = &'static provider::ProviderSpec> {{
    CATEGORIES.iter().copied().flatten().copied()
}}

#[cfg(feature = \"dynamic\")]
static ENDPOINTS: &[&[(&str, &[dynamic::OpEntry])]] = &[{erased}];

/// The remote calls of the providers that this build has, with their types erased, by provider.
#[cfg(feature = \"dynamic\")]
pub fn endpoints() -> impl Iterator<Item = (&'static str, &'static [dynamic::OpEntry])> {{
    ENDPOINTS.iter().copied().flatten().copied()
}}

/// Every provider that a build could have.
#[cfg(feature = \"hub\")]
static KNOWN: &[registry::Known] = &[{known}];

/// The providers that this build has, ready to be opened; the others are known by the feature that is missing.
#[cfg(feature = \"hub\")]
pub fn registry() -> registry::Registry {{
    let mut registry = registry::Registry::new();
    registry.know(KNOWN);
    {registers}registry
}}
"
    )
}

fn register(category: &Category) -> String {
    format!("{}\n{}::register(&mut registry);\n", condition(category), category.name)
}

fn re_export(category: &Category) -> String {
    format!("{}\npub use integrations_{} as {};\n\n", condition(category), category.name, category.name)
}

/// The crate is there when its category, a part or any of its providers is chosen.
fn condition(category: &Category) -> String {
    let parts = PARTS.iter().map(|part| part.name).filter(|name| category.has_feature(name));
    let names = std::iter::once(category.name.as_str()).chain(parts);
    let names = names.chain(category.providers.iter().map(Provider::id));
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
            "hub = [\"integrations-core/hub\", \"integrations-example?/hub\"]",
            "config = [\"hub\", \"integrations-core/config\"]",
            "sqlite = [\"integrations-core/sqlite\"]",
            "postgres = [\"integrations-core/postgres\"]",
            "seal = [\"integrations-core/seal\"]",
            "version = \"0.1.0\", default-features = false, optional = true",
        ] {
            assert!(manifest.contains(row), "{row}\n{manifest}");
        }
        let condition = "#[cfg(any(feature = \"example\", feature = \"big-notes\", feature = \"notes\"))]";
        assert_eq!(library.matches(condition).count(), 3, "{library}");
        for id in ["notes", "big-notes"] {
            let row = format!("registry::Known::new({id:?}, \"example\", {id:?})");
            assert!(library.contains(&row), "{row}\n{library}");
        }
        assert!(library.contains("    example::register(&mut registry);\n"), "{library}");
        assert!(library.contains("pub use integrations_example as example;"), "{library}");
    }

    #[test]
    fn a_part_of_a_category_is_a_feature_that_brings_it() {
        let fixture = Fixture::new(&[("example", "notes", NOTES)]);
        let (manifest, library) = umbrella(&fixture);
        assert!(!manifest.contains("otp") && !library.contains("otp"), "nobody has it: {manifest}");
        let path = "crates/integrations-example/Cargo.toml";
        fixture.write(path, &fixture.read(path).replace("hub = []", "hub = []\notp = []\nsqlite = []"));
        let (manifest, library) = umbrella(&fixture);
        for row in [
            "# One-time codes as a second factor.\notp = [\"dep:integrations-example\", \"integrations-example/otp\"]\n",
            "sqlite = [\"integrations-core/sqlite\", \"integrations-example?/sqlite\"]",
            "\"postgres\", \"otp\"]",
        ] {
            assert!(manifest.contains(row), "{row}\n{manifest}");
        }
        let condition = "#[cfg(any(feature = \"example\", feature = \"otp\", feature = \"notes\"))]\npub use";
        assert!(library.contains(condition), "{library}");
    }

    #[test]
    fn a_part_is_no_name_for_a_provider() {
        let other = NOTES.replace("\"notes\"", "\"passwords\"");
        let fixture = Fixture::new(&[("example", "passwords", &other)]);
        let error = plan(fixture.root()).map(drop).unwrap_err();
        assert!(error.contains("`passwords` is already a feature of the umbrella crate"), "{error}");
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
