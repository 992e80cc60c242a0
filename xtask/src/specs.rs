//! `cargo xtask specs fetch`: the vendors' own descriptions, from the public repositories that `specs.toml` pins.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{Outcome, workspace};

const USAGE: &str = "usage: cargo xtask specs fetch [--into DIR]";

/// The longest that one file may take, in seconds.
const PATIENCE: &str = "120";

/// What stands in for curl where there is none.
const PYTHON: &str = "import sys, urllib.request; \
    sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1], timeout=float(sys.argv[2])).read())";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    spec: Vec<Spec>,
}

/// One description: where it is published, and what exactly.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    provider: String,
    file: String,
    repository: String,
    #[serde(default)]
    commit: String,
    /// Where a repository publishes it in a package: the package's name and version at npm, in place of a commit.
    npm: Option<String>,
    path: String,
    sha256: String,
    licence: String,
}

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let specs = read(&workspace::root())?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["fetch"] => fetch(&specs, &default_folder()),
        ["fetch", "--into", folder] => fetch(&specs, Path::new(folder)),
        _ => Err(USAGE.to_owned()),
    }
}

fn read(root: &Path) -> Outcome<Vec<Spec>> {
    parse(&workspace::read(&root.join("specs.toml"))?)
}

fn parse(text: &str) -> Outcome<Vec<Spec>> {
    let file: File = toml::from_str(text).map_err(|e| format!("specs.toml: {e}"))?;
    for spec in &file.spec {
        spec.check().map_err(|why| format!("specs.toml: {}: {why}", spec.file))?;
    }
    Ok(file.spec)
}

impl Spec {
    fn check(&self) -> Outcome {
        let is_hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_relative =
            |path: &str| !path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let is_public_name =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
        if !is_relative(&self.file) || !self.file.starts_with(&format!("{}/", self.provider)) {
            return Err(format!("`file` must be a path below `{}/`", self.provider));
        }
        if self.repository.split('/').count() != 2 || !is_public_name(&self.repository) {
            return Err("`repository` must be an owner, a slash and a name".to_owned());
        }
        if !is_relative(&self.path) || !is_public_name(&self.path) {
            return Err("`path` must be a path in the repository".to_owned());
        }
        match &self.npm {
            None if !is_hex(&self.commit, 40) => {
                return Err("`commit` must be a whole commit: 40 digits".to_owned());
            }
            Some(_) if !self.commit.is_empty() => {
                return Err("there must be `commit` or `npm`, not both".to_owned());
            }
            Some(npm)
                if !is_public_name(&npm.replace('@', ""))
                    || npm.get(1..).is_none_or(|rest| !rest.contains('@')) =>
            {
                return Err("`npm` must be a package with its version, such as `@a/b@1.0.0`".to_owned());
            }
            _ => {}
        }
        if !is_hex(&self.sha256, 64) {
            return Err("`sha256` must have 64 digits".to_owned());
        }
        Ok(())
    }

    /// A file at a commit, or of a version of a package, never changes.
    fn url(&self) -> String {
        let Self { repository, commit, path, .. } = self;
        if let Some(npm) = &self.npm {
            return format!("https://unpkg.com/{npm}/{path}");
        }
        format!("https://raw.githubusercontent.com/{repository}/{commit}/{path}")
    }

    fn is_at(&self, place: &Path) -> bool {
        std::fs::read(place).is_ok_and(|bytes| sha256(&bytes) == self.sha256)
    }

    /// Refuses what is not what was pinned.
    fn verify(&self, bytes: &[u8]) -> Outcome {
        let found = sha256(bytes);
        if found == self.sha256 {
            return Ok(());
        }
        Err(format!("{}: its SHA-256 is {found}, and specs.toml pins {}", self.url(), self.sha256))
    }
}

/// In hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// Below `target`: what others have published is not part of this repository.
fn default_folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    workspace::root().join(target).join("specs")
}

/// Fetches what is not there yet. All are tried; a failure names each that is missing.
fn fetch(specs: &[Spec], folder: &Path) -> Outcome {
    let mut failed = Vec::new();
    for spec in specs {
        let place = folder.join(&spec.file);
        if spec.is_at(&place) {
            println!("{}: is there", spec.file);
            continue;
        }
        match download(&spec.url()).and_then(|bytes| spec.verify(&bytes).and_then(|()| put(&place, &bytes))) {
            Ok(()) => println!("{}: fetched from {} ({})", spec.file, spec.repository, spec.licence),
            Err(why) => failed.push(format!("{}: {why}", spec.file)),
        }
    }
    if !failed.is_empty() {
        return Err(failed.join("\n"));
    }
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    println!("use them: cargo xtask contract --specs {}", folder.display());
    Ok(())
}

fn put(place: &Path, bytes: &[u8]) -> Outcome {
    let written =
        place.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(place, bytes));
    written.map_err(|e| format!("{} cannot be written: {e}", place.display()))
}

/// By curl, or by Python where there is no curl.
fn download(url: &str) -> Outcome<Vec<u8>> {
    let curl = [
        "--fail",
        "--silent",
        "--show-error",
        "--location",
        "--proto",
        "=https",
        "--max-time",
        PATIENCE,
        url,
    ];
    let by_curl = output("curl", &curl);
    let downloaded = by_curl.or_else(|missing| match missing {
        Missing::Program => output("python3", &["-c", PYTHON, url, PATIENCE]),
        failed @ Missing::Failed(_) => Err(failed),
    });
    downloaded.map_err(|missing| match missing {
        Missing::Program => "neither curl nor python3 is here to download it".to_owned(),
        Missing::Failed(why) => format!("{url} cannot be downloaded: {why}"),
    })
}

enum Missing {
    Program,
    Failed(String),
}

fn output(program: &str, arguments: &[&str]) -> Result<Vec<u8>, Missing> {
    let output = Command::new(program).args(arguments).output().map_err(|_| Missing::Program)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it did not say why");
    Err(Missing::Failed(last.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [[spec]]
        provider = "songs"
        file = "songs/api.yml"
        repository = "a-vendor/open_api"
        commit = "0123456789abcdef0123456789abcdef01234567"
        path = "v1/api.yml"
        sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        licence = "MIT"
    "#;

    #[test]
    fn an_address_names_the_commit() {
        let specs = parse(GOOD).unwrap();
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let expected = format!("https://raw.githubusercontent.com/a-vendor/open_api/{commit}/v1/api.yml");
        assert_eq!(specs[0].url(), expected);
    }

    #[test]
    fn what_is_not_what_was_pinned_is_refused() {
        let specs = parse(GOOD).unwrap();
        specs[0].verify(b"abc").unwrap();
        let refused = specs[0].verify(b"abd").unwrap_err();
        assert!(refused.contains("specs.toml pins ba7816bf"), "{refused}");
    }

    #[test]
    fn each_field_is_checked() {
        let cases = [
            ("songs/api.yml", "../api.yml", "must be a path below `songs/`"),
            ("songs/api.yml", "songs/../../api.yml", "must be a path below `songs/`"),
            ("a-vendor/open_api", "a-vendor", "`repository` must be"),
            ("a-vendor/open_api", "a-vendor/open_api?x", "`repository` must be"),
            ("v1/api.yml", "/v1/api.yml", "`path` must be"),
            ("0123456789abcdef0123456789abcdef01234567", "main", "`commit` must be"),
            ("ba7816bf8f01", "", "`sha256` must have"),
            ("licence", "license", "unknown field"),
        ];
        for (old, new, told) in cases {
            let refused = parse(&GOOD.replace(old, new)).unwrap_err();
            assert!(refused.starts_with("specs.toml: ") && refused.contains(told), "{new}: {refused}");
        }
    }

    #[test]
    fn a_file_of_a_package_needs_its_version_and_no_commit() {
        let text = |line: &str| {
            format!(
                "[[spec]]\nprovider = \"a\"\nfile = \"a/api.json\"\nrepository = \"o/r\"\n{line}\npath = \"api.json\"\n\
                 sha256 = \"{}\"\nlicence = \"MIT\"\n",
                "0".repeat(64)
            )
        };
        let specs = parse(&text("npm = \"@o/r@1.0.0\"")).unwrap();
        assert_eq!(specs[0].url(), "https://unpkg.com/@o/r@1.0.0/api.json");
        let commit = format!("npm = \"@o/r@1.0.0\"\ncommit = \"{}\"", "0".repeat(40));
        for wrong in ["", "npm = \"\"", "npm = \"@o/r\"", "npm = \"o r@1\"", &commit] {
            assert!(parse(&text(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_description_that_a_provider_names_is_pinned() {
        #[derive(Deserialize)]
        struct Facts {
            #[serde(default)]
            descriptions: Vec<String>,
        }
        let root = workspace::root();
        let pinned: Vec<String> = read(&root).unwrap().into_iter().map(|spec| spec.file).collect();
        for folder in workspace::provider_folders(&root).unwrap() {
            let text = workspace::read(&folder.join("provider.toml")).unwrap();
            let facts: Facts = toml::from_str(&text).unwrap();
            for description in facts.descriptions {
                assert!(pinned.contains(&description), "{}: {description}", folder.display());
            }
        }
    }

    #[test]
    fn what_is_there_is_not_fetched_again_and_nothing_else_runs() {
        let folder = std::env::temp_dir().join(format!("integrations-specs-{}", std::process::id()));
        let specs = parse(GOOD).unwrap();
        put(&folder.join("songs/api.yml"), b"abc").unwrap();
        fetch(&specs, &folder).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        for wrong in [&[][..], &["get"], &["fetch", "--into"], &["fetch", "there"]] {
            let wrong: Vec<String> = wrong.iter().map(|&argument| argument.to_owned()).collect();
            assert_eq!(run(&wrong).unwrap_err(), USAGE);
        }
    }
}
