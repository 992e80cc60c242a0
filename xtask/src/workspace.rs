//! Where things are in this workspace.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;

/// The workspace's root: the folder above this package.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// Crates that hold no providers; every other `integrations-*` crate but the kits is a category.
const NO_CATEGORIES: &[&str] = &[
    "integrations-cli",
    "integrations-core",
    "integrations-gateway",
    "integrations-http",
    "integrations-oauth",
    "integrations-sandbox",
    "integrations-testkit",
];

/// Whether `name` is that of a category crate such as `integrations-music`.
pub(crate) fn is_category(name: &str) -> bool {
    name.starts_with("integrations-")
        && !name.starts_with("integrations-kit-")
        && !NO_CATEGORIES.contains(&name)
}

/// Reads a text file; a failure names it.
pub(crate) fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|e| format!("{}: cannot be read: {e}", path.display()))
}

/// `path` as seen from `root`, with forward slashes.
pub(crate) fn relative(root: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap_or(path);
    inside.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Every file below `folder` whose name ends with `suffix`, sorted; build output and hidden folders are left out.
pub(crate) fn files(folder: &Path, suffix: &str) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    if folder.is_dir() {
        collect(folder, suffix, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, suffix: &str, found: &mut Vec<PathBuf>) -> Outcome {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: cannot be listed: {e}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|e| format!("{}: cannot be listed: {e}", folder.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(&path, suffix, found)?;
            }
        } else if name.ends_with(suffix) {
            found.push(path);
        }
    }
    Ok(())
}

/// The folders of all providers: those below `crates/*/src/` that hold a `provider.toml`.
pub(crate) fn provider_folders(root: &Path) -> Outcome<Vec<PathBuf>> {
    let is_in_source = |folder: &&Path| folder.parent().is_some_and(|parent| parent.ends_with("src"));
    let files = files(&root.join("crates"), "provider.toml")?;
    let folders =
        files.iter().filter(|file| file.ends_with("provider.toml")).filter_map(|file| file.parent());
    Ok(folders.filter(is_in_source).map(Path::to_path_buf).collect())
}
