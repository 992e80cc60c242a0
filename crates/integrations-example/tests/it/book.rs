//! Every page with Rust code is among the doctests.

use std::path::{Path, PathBuf};

fn markdown(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            markdown(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

#[test]
fn every_page_with_rust_code_is_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let mut pages: Vec<PathBuf> =
        ["README.md", "README.de.md", "README.fr.md"].map(|name| root.join(name)).to_vec();
    markdown(&root.join("docs/src"), &mut pages);
    let listed = ["example", "music", "auth"]
        .map(|name| {
            std::fs::read_to_string(root.join(format!("crates/integrations-{name}/src/book.rs"))).unwrap()
        })
        .concat();
    let mut with_code = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        if !text.contains("```rust") {
            continue;
        }
        with_code += 1;
        assert!(!text.contains("```rust,"), "{} has code that is not run", page.display());
        let name = page.strip_prefix(&root).unwrap().display().to_string();
        assert!(listed.contains(&format!("\"{name}\"")), "no src/book.rs lists {name}");
    }
    assert!(with_code > 15, "only {with_code} pages with code were found");
}
