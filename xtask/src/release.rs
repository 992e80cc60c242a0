//! `cargo xtask release --dry-run`: whether everything that is published could be, and in which order.

use std::collections::BTreeSet;
use std::path::Path;

use crate::metadata::{Metadata, Package};
use crate::{Outcome, process, workspace};

const LICENCES: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT"];

/// What a release needs and this command leaves to others, so that nobody believes it was done.
const NOT_DONE: &str = "\
not done here: publishing and tagging (run the printed commands, in their order);
               comparing the public API with the last release (`cargo semver-checks`, once there is one);
               advisories (`cargo deny check advisories` fetches their database)";

pub(crate) fn run(arguments: &[String]) -> Outcome {
    if arguments != ["--dry-run"] {
        return Err("usage: cargo xtask release --dry-run (it never publishes)".to_owned());
    }
    let metadata = Metadata::load()?;
    let order = publish_order(&metadata)?;
    let root = workspace::root();
    let changelog = workspace::read(&root.join("CHANGELOG.md")).unwrap_or_default();
    let mut problems = Vec::new();
    for package in &order {
        problems.extend(faults(package, &metadata, &changelog));
        problems.extend(unlisted_licences(package)?);
    }
    if problems.is_empty() {
        problems.extend(rehearsal(&order).err());
    } else {
        println!("not rehearsed, because of the problems below");
    }
    println!("order:");
    for package in &order {
        println!("  cargo publish --package {}  # {}", package.name, package.version);
    }
    println!("{NOT_DONE}");
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// Each package after everything that it depends on.
fn publish_order(metadata: &Metadata) -> Outcome<Vec<&Package>> {
    let mut left: Vec<&Package> = metadata.published().collect();
    let mut order: Vec<&Package> = Vec::new();
    while !left.is_empty() {
        let waiting: BTreeSet<&str> = left.iter().map(|package| package.name.as_str()).collect();
        let (ready, rest): (Vec<&Package>, Vec<&Package>) =
            left.iter().partition(|package| needs(package).all(|name| !waiting.contains(name)));
        if ready.is_empty() {
            return Err(format!("these packages depend on one another in a circle: {waiting:?}"));
        }
        order.extend(ready);
        left = rest;
    }
    Ok(order)
}

/// What must be published before `package`; a dev-dependency on a path need not.
fn needs(package: &Package) -> impl Iterator<Item = &str> {
    package.dependencies.iter().filter(|d| d.kind.as_deref() != Some("dev")).map(|d| d.name.as_str())
}

/// What is missing before `package` can be published.
fn faults(package: &Package, metadata: &Metadata, changelog: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut require = |holds: bool, what: String| {
        if !holds {
            found.push(format!("{}: {what}", package.name));
        }
    };
    require(
        package.description.as_ref().is_some_and(|text| !text.trim().is_empty()),
        "no description".to_owned(),
    );
    require(package.license.is_some(), "no licence expression".to_owned());
    for file in LICENCES {
        require(package.folder().join(file).is_file(), format!("no file {file}"));
    }
    let version = &package.version;
    require(has_entry(changelog, version), format!("CHANGELOG.md has no heading for {version}"));
    for name in needs(package) {
        let is_private = metadata.packages.iter().any(|other| other.name == name && !other.is_published());
        require(!is_private, format!("depends on {name}, which is not published"));
    }
    found
}

/// Whether a heading names the version: `## 0.1.0`, `## [0.1.0] - 2027-01-31`.
fn has_entry(changelog: &str, version: &str) -> bool {
    let names = |line: &str| line.split([' ', '[', ']']).any(|word| word == version);
    changelog.lines().any(|line| line.starts_with("## ") && names(line))
}

/// The packed crate must carry its licences, not only the folder.
fn unlisted_licences(package: &Package) -> Outcome<Vec<String>> {
    let arguments = ["package", "--list", "--allow-dirty", "--package", &package.name];
    let list = process::output(&mut process::cargo(&arguments))?;
    let files: BTreeSet<&Path> = list.lines().map(Path::new).collect();
    let missing = LICENCES.iter().filter(|file| !files.contains(Path::new(file)));
    Ok(missing.map(|file| format!("{}: the package does not contain {file}", package.name)).collect())
}

/// Packs and builds all packages together: cargo then lets them see one another before any is published.
fn rehearsal(order: &[&Package]) -> Outcome {
    let mut arguments = vec!["publish", "--dry-run", "--allow-dirty"];
    arguments.extend(order.iter().flat_map(|package| ["--package", package.name.as_str()]));
    process::run(&mut process::cargo(&arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)], is_published: bool) -> serde_json::Value {
        let dependencies: Vec<_> =
            dependencies.iter().map(|(name, kind)| serde_json::json!({"name": name, "kind": kind})).collect();
        serde_json::json!({
            "name": name, "version": "0.1.0", "description": "About it", "license": "MIT",
            "manifest_path": workspace::root().join("Cargo.toml"), "features": {},
            "publish": if is_published { serde_json::Value::Null } else { serde_json::json!([]) },
            "dependencies": dependencies,
        })
    }

    fn metadata(packages: &[serde_json::Value]) -> Metadata {
        serde_json::from_value(serde_json::json!({"packages": packages})).unwrap()
    }

    #[test]
    fn dependencies_come_first_and_private_packages_not_at_all() {
        let metadata = metadata(&[
            package("a-umbrella", &[("m-music", None), ("z-core", None)], true),
            package("m-music", &[("z-core", None), ("testkit", Some("dev"))], true),
            package("testkit", &[("m-music", None)], true),
            package("xtask", &[], false),
            package("z-core", &[], true),
        ]);
        let names: Vec<&str> = publish_order(&metadata).unwrap().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["z-core", "m-music", "a-umbrella", "testkit"]);
    }

    #[test]
    fn a_circle_is_reported() {
        let metadata = metadata(&[package("a", &[("b", None)], true), package("b", &[("a", None)], true)]);
        assert!(publish_order(&metadata).unwrap_err().contains("circle"));
    }

    #[test]
    fn each_missing_thing_is_named() {
        let mut broken = package("a", &[("xtask", None)], true);
        broken["description"] = serde_json::Value::Null;
        broken["license"] = serde_json::Value::Null;
        broken["manifest_path"] = serde_json::json!("/nowhere/Cargo.toml");
        let metadata = metadata(&[broken, package("xtask", &[], false), package("good", &[], true)]);
        let found = faults(&metadata.packages[0], &metadata, "## 0.2.0\n").join("\n");
        for part in [
            "no description",
            "no licence",
            "LICENSE-MIT",
            "LICENSE-APACHE",
            "no heading for 0.1.0",
            "depends on xtask",
        ] {
            assert!(found.contains(part), "{part}: {found}");
        }
        assert!(faults(&metadata.packages[2], &metadata, "## [0.1.0] - 2027-01-31\n").is_empty());
    }
}
