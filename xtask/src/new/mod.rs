//! `cargo xtask new <category> <provider>`: a provider that compiles, with one call and its tests.

use std::fs;
use std::path::Path;

use crate::rust_source::code_only;
use crate::{Outcome, codegen, process, workspace};

/// Where each file goes below the crate, and its template. `@module@` and its like are replaced in both.
const FILES: &[(&str, &str)] = &[
    ("src/@module@/provider.toml", include_str!("provider.toml.txt")),
    ("src/@module@/mod.rs", include_str!("mod.rs.txt")),
    ("src/@module@/ops.rs", include_str!("ops.rs.txt")),
    ("src/@module@/wire.rs", include_str!("wire.rs.txt")),
    ("src/@module@/account.rs", include_str!("account.rs.txt")),
    ("src/@module@/error.rs", include_str!("error.rs.txt")),
    ("src/@module@/docs.md", include_str!("docs.md.txt")),
];

/// The tests below the crate, for a category that has none of its own.
const TESTS: &[(&str, &str)] = &[
    ("tests/it/@module@/mod.rs", include_str!("tests.rs.txt")),
    ("tests/it/@module@/golden/me.json", "{ \"id\": \"1\", \"name\": \"Ada\" }\n"),
];

/// The template of `driver.rs` below the crate: only the category knows what its drivers implement.
const DRIVER: &str = "skeleton/driver.rs.txt";

/// What a category has that is judged in the sandbox: its templates below the crate, and where they go from the root.
const JUDGED: &[(&str, &str)] = &[
    ("skeleton/fake.rs.txt", "crates/integrations-sandbox/src/@module@.rs"),
    ("skeleton/tests.rs.txt", "crates/integrations-@category@/tests/it/@module@/mod.rs"),
    ("skeleton/golden.json.txt", "crates/integrations-@category@/tests/it/@module@/golden/get_me.json"),
];

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let [category, id] = arguments else {
        return Err(
            "usage: cargo xtask new <category> <provider>, e.g. `cargo xtask new music tidal`".to_owned()
        );
    };
    create(&workspace::root(), category, id)?;
    println!(
        "next: put the vendor's facts into provider.toml, then `cargo xtask codegen` and `cargo xtask test`"
    );
    Ok(())
}

/// Writes the provider and everything that follows from it.
fn create(root: &Path, category: &str, id: &str) -> Outcome {
    if !codegen::is_id(id) {
        return Err(format!(
            "`{id}` is not a provider's id: lower-case letters, digits and `-`, a letter first"
        ));
    }
    let package = root.join(format!("crates/integrations-{category}"));
    if !codegen::takes_providers(&package) {
        return Err(format!(
            "there is no category `{category}`: crates/integrations-{category}/src/lib.rs has no block `codegen:begin`"
        ));
    }
    let names = Names::new(category, id, portable_type(root, &package, category)?);
    let driver = workspace::read(&package.join(DRIVER))
        .map_err(|e| format!("{e}\n`{DRIVER}` says what a driver of the category `{category}` implements"))?;
    let folder = package.join(names.filled("src/@module@"));
    if folder.exists() {
        return Err(format!("{} exists already", folder.display()));
    }
    for (path, template) in FILES.iter().copied().chain([("src/@module@/driver.rs", driver.as_str())]) {
        write(&package.join(names.filled(path)), &names.filled(template))?;
    }
    if package.join(JUDGED[0].0).is_file() {
        for (template, path) in JUDGED {
            let template = workspace::read(&package.join(template))?;
            write(&root.join(names.filled(path)), &names.filled(&template))?;
        }
    } else {
        for (path, template) in TESTS {
            write(&package.join(names.filled(path)), &names.filled(template))?;
        }
    }
    codegen::generate(root)
}

/// The type that the category's registration opens: the one that implements `Category`.
fn portable_type(root: &Path, package: &Path, category: &str) -> Outcome<String> {
    let in_core = root.join("crates/integrations-core/src").join(category);
    let files = [workspace::files(&package.join("src"), ".rs")?, workspace::files(&in_core, ".rs")?].concat();
    for file in files {
        let code = code_only(&workspace::read(&file)?);
        let found =
            code.split_once("impl Category for ").and_then(|(_, rest)| rest.split_whitespace().next());
        if let Some(name) = found {
            return Ok(name.to_owned());
        }
    }
    Err(format!("{}: no type implements `Category`, so nothing opens its providers", package.display()))
}

fn write(path: &Path, text: &str) -> Outcome {
    let is_rust = path.extension().is_some_and(|extension| extension == "rs");
    let text = if is_rust { process::rustfmt(text)? } else { text.to_owned() };
    let failed = |e| format!("{}: cannot be written: {e}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(path)).map_err(failed)?;
    fs::write(path, text).map_err(failed)?;
    println!("wrote {}", path.display());
    Ok(())
}

/// What stands for each placeholder.
struct Names([(&'static str, String); 8]);

impl Names {
    fn new(category: &str, id: &str, portable: String) -> Self {
        let module = id.replace('-', "_");
        Self([
            ("@id@", id.to_owned()),
            ("@ENV@", module.to_uppercase()),
            ("@module@", module),
            ("@Type@", title(id).replace(' ', "")),
            ("@Portable@", portable),
            ("@name@", title(id)),
            ("@category@", category.to_owned()),
            ("@crate@", format!("integrations_{}", category.replace('-', "_"))),
        ])
    }

    fn filled(&self, template: &str) -> String {
        self.0.iter().fold(template.to_owned(), |text, (mark, value)| text.replace(mark, value))
    }
}

/// `google-calendar` as `Google Calendar`.
fn title(id: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    id.split('-').filter(|word| !word.is_empty()).map(capital).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codegen::fixture::Fixture;

    /// A workspace of copies of some real crates, with this workspace's settings and lock file; the other crates are
    /// this workspace's.
    fn copy_of(packages: &[&str]) -> Fixture {
        let root = workspace::root();
        let fixture = Fixture::new(&[]);
        let crates = root.join("crates").display().to_string();
        let real = |line: &str| line.replace("path = \"crates/", &format!("path = \"{crates}/"));
        let members: Vec<String> = packages.iter().map(|package| format!("\"crates/{package}\"")).collect();
        let manifest = workspace::read(&root.join("Cargo.toml")).unwrap();
        let manifest: Vec<String> = manifest
            .lines()
            .filter(|line| !line.starts_with("default-members"))
            .map(|line| match line.split_once(" = ") {
                Some(("members", _)) => format!("members = [{}]", members.join(", ")),
                Some((name, _)) if packages.contains(&name) => line.to_owned(),
                _ => real(line),
            })
            .collect();
        fixture.write("Cargo.toml", &(manifest.join("\n") + "\n"));
        fixture.write("Cargo.lock", &workspace::read(&root.join("Cargo.lock")).unwrap());
        // Facts about vendors are read where the workspace is, whichever crates are copied.
        for folder in packages.iter().chain(&["integrations-oauth/vendors"]) {
            for file in workspace::files(&root.join("crates").join(folder), "").unwrap() {
                if !file.is_symlink() {
                    fixture.write(&workspace::relative(&root, &file), &workspace::read(&file).unwrap());
                }
            }
        }
        fixture
    }

    /// Makes a provider, and runs its tests without the feature `http`: the whole HTTP stack would be built a second time.
    fn tested_at_once(fixture: &Fixture, category: &str, id: &str) {
        create(fixture.root(), category, id).unwrap();
        let (package, module) = (format!("integrations-{category}"), id.replace('-', "_"));
        let features = format!("{id},dynamic,hub");
        let arguments = ["test", "--offline", "--quiet", "--no-default-features", "--test", "it", &module];
        let mut command =
            process::cargo(&[&arguments[..], &["--package", &package, "--features", &features]].concat());
        command
            .current_dir(fixture.root())
            .env("CARGO_TARGET_DIR", workspace::root().join("target/xtask-new"));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("4 passed"), "{text}");
    }

    #[test]
    fn a_new_provider_compiles_and_its_tests_pass_at_once() {
        let fixture = copy_of(&["integrations-example"]);
        tested_at_once(&fixture, "example", "night-owl");
        let again = create(fixture.root(), "example", "night-owl").unwrap_err();
        assert!(again.ends_with("exists already"), "{again}");
    }

    #[test]
    fn where_a_category_is_judged_in_the_sandbox_a_new_provider_stands_before_its_judges() {
        for category in ["music", "auth"] {
            let package = format!("integrations-{category}");
            let fixture = copy_of(&[&package, "integrations-sandbox", "integrations-testkit"]);
            let portable = format!("crates/integrations-core/src/{category}/client.rs");
            fixture.write(&portable, &workspace::read(&workspace::root().join(&portable)).unwrap());
            tested_at_once(&fixture, category, "tidal");
            let fakes = fixture.read("crates/integrations-sandbox/src/lib.rs");
            assert!(fakes.contains("pub mod tidal;") && fakes.contains("tidal::FAKE,"), "{fakes}");
        }
    }

    #[test]
    fn nothing_is_written_for_a_wrong_name() {
        let fixture = Fixture::new(&[("example", "notes", crate::codegen::fixture::NOTES)]);
        for id in ["Tidal", "1st", "", "../x"] {
            assert!(
                create(fixture.root(), "example", id).unwrap_err().contains("is not a provider's id"),
                "{id}"
            );
        }
        assert!(
            create(fixture.root(), "music", "tidal").unwrap_err().contains("there is no category `music`")
        );
        assert!(!fixture.root().join("crates/integrations-music").exists());
    }

    #[test]
    fn a_category_must_say_what_its_drivers_implement() {
        let fixture = Fixture::new(&[("example", "notes", crate::codegen::fixture::NOTES)]);
        let tried = || create(fixture.root(), "example", "tidal").unwrap_err();
        assert!(tried().contains("no type implements `Category`"), "{}", tried());
        let package = "crates/integrations-example";
        fixture.write(&format!("{package}/src/music.rs"), "impl Category for Music {}\n");
        assert!(tried().contains("what a driver of the category `example` implements"), "{}", tried());
        assert!(!fixture.root().join(package).join("src/tidal").exists());
    }

    #[test]
    fn names_are_spelled_for_each_place() {
        let names = Names::new("music", "night-owl", "Music".to_owned());
        assert_eq!(
            names.filled("@id@ @module@ @name@ @Type@ @ENV@ @Portable@"),
            "night-owl night_owl Night Owl NightOwl NIGHT_OWL Music"
        );
    }
}
