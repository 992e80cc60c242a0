//! Broken configurations and what is said of them, one file each in `cases/`.
//!
//! A case is made of sections that begin with `=== NAME`: files by their name, `environment` (default `production`),
//! `vars` and `set` with one `NAME=VALUE` a line, `expected` at the end. Text before the first section says what the
//! case is about. `UPDATE_CASES=1` writes what is said now into the files; then read each difference.

use std::path::{Path, PathBuf};

use integrations_core::config::Loader;

use super::providers::{VARS, registry};

const AT_LEAST: usize = 60;

struct Case {
    path: PathBuf,
    head: String,
    sections: Vec<(String, String)>,
}

#[test]
fn each_has_its_messages() {
    let cases = cases();
    assert!(cases.len() >= AT_LEAST, "{} cases", cases.len());
    let update = std::env::var_os("UPDATE_CASES").is_some();
    let mut wrong = Vec::new();
    for case in &cases {
        let told = case.told();
        assert!(!told.contains("4eC39H"), "{} quotes a secret:\n{told}", case.path.display());
        if update {
            case.write(&told);
        } else if case.section("expected") != told {
            wrong.push(format!(
                "{}\n--- expected\n{}\n--- told\n{told}",
                case.path.display(),
                case.section("expected")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

impl Case {
    fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut parts = text.split("=== ");
        let head = parts.next().unwrap_or_default().to_owned();
        let sections = parts.map(|part| {
            let (name, body) = part.split_once('\n').unwrap();
            (name.to_owned(), body.to_owned())
        });
        Self { head, sections: sections.collect(), path }
    }

    fn section(&self, name: &str) -> &str {
        self.sections.iter().find(|(known, _)| known == name).map_or("", |(_, body)| body)
    }

    fn pairs(&self, name: &str) -> Vec<(&str, &str)> {
        self.section(name).lines().map(|line| line.split_once('=').unwrap()).collect()
    }

    fn told(&self) -> String {
        let registry = registry();
        let mut loader = Loader::new(&registry).vars(VARS).vars(self.pairs("vars"));
        loader = match self.section("environment").trim() {
            "" => loader.environment("production"),
            "none" => loader,
            name => loader.environment(name),
        };
        for (name, body) in &self.sections {
            if name.contains('.') {
                loader = loader.text(name, body);
            }
        }
        loader = self.pairs("set").into_iter().fold(loader, |loader, (path, value)| loader.set(path, value));
        match loader.load() {
            Ok(_) => "nothing is wrong\n".to_owned(),
            Err(problems) => format!("{problems}\n"),
        }
    }

    fn write(&self, told: &str) {
        let mut text = self.head.clone();
        for (name, body) in self.sections.iter().filter(|(name, _)| name != "expected") {
            text.push_str(&format!("=== {name}\n{body}"));
        }
        text.push_str(&format!("=== expected\n{told}"));
        std::fs::write(&self.path, text).unwrap();
    }
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/config/cases");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(Case::read).collect()
}
