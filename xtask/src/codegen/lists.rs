//! The lists inside a category crate: its features, its modules, its tests.

use std::path::Path;

use super::facts::Provider;
use super::{Catalog, Category, Files, blocks, inside};
use crate::{Outcome, process, workspace};

/// Fills the blocks of one category crate.
pub(super) fn render(root: &Path, category: &Category, files: &mut Files) -> Outcome {
    let providers = &category.providers;
    fill(root, &category.folder.join("Cargo.toml"), &features(providers), files)?;
    fill(root, &category.folder.join("src/lib.rs"), &process::rustfmt(&modules(providers))?, files)?;
    let tests = category.folder.join("tests/it");
    if tests.join("main.rs").is_file() {
        fill(root, &tests.join("main.rs"), &test_modules(providers, &tests), files)?;
    }
    Ok(())
}

const SANDBOX: &str = "crates/integrations-sandbox";

/// The providers that have a fake.
pub(super) fn faked<'c>(root: &Path, catalog: &'c Catalog) -> Vec<&'c Provider> {
    let has_fake = |provider: &&Provider| {
        let source = root.join(SANDBOX).join("src").join(provider.module());
        source.with_extension("rs").is_file() || source.join("mod.rs").is_file()
    };
    catalog.providers().filter(has_fake).collect()
}

/// Fills the blocks of the sandbox: a provider's fake is found by its file.
pub(super) fn render_fakes(root: &Path, catalog: &Catalog, files: &mut Files) -> Outcome {
    let folder = root.join(SANDBOX);
    if !folder.is_dir() {
        return Ok(());
    }
    let faked = faked(root, catalog);
    let all: Vec<String> = faked.iter().map(|provider| provider.id().to_owned()).collect();
    let each = faked.iter().map(|provider| format!("{} = []", provider.id())).collect::<Vec<_>>().join("\n");
    let features = format!("all = {}\n{each}", super::umbrella::array(&all));
    fill(root, &folder.join("Cargo.toml"), &features, files)?;
    fill(root, &folder.join("src/lib.rs"), &process::rustfmt(&fakes(&faked))?, files)
}

fn fakes(faked: &[&Provider]) -> String {
    let module = |p: &&Provider| format!("#[cfg(feature = \"{}\")]\npub mod {};\n", p.id(), p.module());
    let row = |p: &&Provider| format!("    #[cfg(feature = \"{}\")]\n    {}::FAKE,\n", p.id(), p.module());
    let modules: String = faked.iter().map(module).collect();
    let rows: String = faked.iter().map(row).collect();
    let (gap, rows) = if faked.is_empty() { ("", rows) } else { ("\n", format!("\n{rows}")) };
    format!("{modules}{gap}/// The fakes of this build.\npub static FAKES: &[Fake] = &[{rows}];")
}

fn fill(root: &Path, path: &Path, body: &str, files: &mut Files) -> Outcome {
    let place = workspace::relative(root, path);
    let text = blocks::fill(&place, &workspace::read(path)?, body)?;
    files.insert(inside(root, path), text);
    Ok(())
}

fn features(providers: &[Provider]) -> String {
    let row = |provider: &Provider| {
        format!("{} = {}", provider.id(), super::umbrella::array(&provider.facts.enables))
    };
    providers.iter().map(row).collect::<Vec<_>>().join("\n")
}

fn modules(providers: &[Provider]) -> String {
    let module = |p: &Provider| format!("#[cfg(feature = \"{}\")]\npub mod {};\n", p.id(), p.module());
    let spec =
        |p: &Provider| format!("    #[cfg(feature = \"{}\")]\n    &{}::spec::SPEC,\n", p.id(), p.module());
    let modules: String = providers.iter().map(module).collect();
    let specs: String = providers.iter().map(spec).collect();
    let specs = if specs.is_empty() { specs } else { format!("\n{specs}") };
    let kind = "&[&integrations_core::provider::ProviderSpec]";
    let gap = if modules.is_empty() { "" } else { "\n" };
    let registration = registration(providers);
    let endpoints = endpoints(providers);
    format!(
        "{modules}{gap}/// The providers of this category that this build has.
pub static PROVIDERS: {kind} = &[{specs}];

{endpoints}

{registration}"
    )
}

/// Every remote call, by provider.
fn endpoints(providers: &[Provider]) -> String {
    let row = |p: &Provider| {
        format!("    #[cfg(feature = \"{0}\")]\n    (\"{0}\", {1}::ops::OPS),\n", p.id(), p.module())
    };
    let rows: String = providers.iter().map(row).collect();
    let rows = if rows.is_empty() { rows } else { format!("\n{rows}") };
    format!(
        "/// The remote calls of the providers that this build has, with their types erased, by provider.
#[cfg(feature = \"dynamic\")]
pub static ENDPOINTS: &[(&str, &[integrations_core::dynamic::OpEntry])] = &[{rows}];"
    )
}

/// What a registry is told: every provider by name, and how those of this build are opened.
fn registration(providers: &[Provider]) -> String {
    let known = providers.iter().map(known).collect::<Vec<_>>().join(",\n");
    let add = |p: &Provider| {
        format!("    #[cfg(feature = \"{}\")]\n    {}::register(registry);\n", p.id(), p.module())
    };
    let adds: String = providers.iter().map(add).collect();
    let path = "integrations_core::registry";
    format!(
        "/// All providers of this category, also those that this build has not.
#[cfg(feature = \"hub\")]
pub static KNOWN: &[{path}::Known] = &[{known}];

/// Adds the providers of this category that this build has, and makes all of them known.
#[cfg(feature = \"hub\")]
pub fn register(registry: &mut {path}::Registry) {{
    registry.know(KNOWN);
{adds}}}"
    )
}

/// A provider as a registry knows it: its feature is the umbrella's, which is its id.
pub(super) fn known(provider: &Provider) -> String {
    let (id, category) = (provider.id(), provider.category());
    format!("integrations_core::registry::Known::new({id:?}, {category:?}, {id:?})")
}

/// A provider's tests are found by their folder; one without tests has no line.
fn test_modules(providers: &[Provider], tests: &Path) -> String {
    let has_tests = |p: &&Provider| tests.join(p.module()).join("mod.rs").is_file();
    let row = |p: &Provider| format!("#[cfg(feature = \"{}\")]\nmod {};\n", p.id(), p.module());
    providers.iter().filter(has_tests).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{fixture, plan, write};
    use super::*;
    use fixture::{Fixture, NOTES};

    #[test]
    fn a_new_provider_needs_no_line_by_hand() {
        let other = NOTES.replace("\"notes\"", "\"long-notes\"");
        let other = format!("enables = [\"dep:x\"]\n{other}");
        let fixture = Fixture::new(&[("example", "notes", NOTES), ("example", "long_notes", &other)]);
        let package = "crates/integrations-example";
        fixture
            .write(&format!("{package}/tests/it/main.rs"), &format!("//! Tests.\n\n{}", blocks::empty("//")));
        fixture.write(&format!("{package}/tests/it/notes/mod.rs"), "");
        write(fixture.root(), &plan(fixture.root()).unwrap()).unwrap();

        let manifest = fixture.read(&format!("{package}/Cargo.toml"));
        assert!(manifest.contains("long-notes = [\"dep:x\"]\nnotes = []\n"), "{manifest}");
        let library = fixture.read(&format!("{package}/src/lib.rs"));
        assert!(library.contains("#[cfg(feature = \"long-notes\")]\npub mod long_notes;\n"), "{library}");
        assert!(library.contains("&notes::spec::SPEC,"), "{library}");
        for line in [
            "    integrations_core::registry::Known::new(\"long-notes\", \"example\", \"long-notes\"),\n",
            "    #[cfg(feature = \"long-notes\")]\n    long_notes::register(registry);\n",
        ] {
            assert!(library.contains(line), "{line}\n{library}");
        }
        assert_eq!(library.matches("#[cfg(feature = \"hub\")]").count(), 2, "{library}");
        let tests = fixture.read(&format!("{package}/tests/it/main.rs"));
        assert!(tests.contains("mod notes;") && !tests.contains("mod long_notes;"), "{tests}");
    }

    #[test]
    fn a_category_without_providers_has_empty_lists() {
        let text = process::rustfmt(&modules(&[])).unwrap();
        for line in ["ProviderSpec] = &[];\n", "Known] = &[];\n", "    registry.know(KNOWN);\n}\n"] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
