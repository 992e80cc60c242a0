//! How long an application waits for `integrations-core` to compile.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};
use std::{env, fs};

use serde::Deserialize;

use crate::contestant::BoxError;

/// Dev profile, default features.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CoreBuild {
    /// Into an empty target directory, with all sources fetched.
    pub(crate) clean_s: f64,
    /// Packages compiled, the crate itself included.
    pub(crate) crates: usize,
    /// After its `lib.rs` was touched.
    pub(crate) rebuild_s: f64,
}

/// Builds twice in a temporary directory. The only trace in the workspace is a new modification time.
pub(crate) fn measure() -> Result<CoreBuild, BoxError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = Target(env::temp_dir().join(format!("integrations-core-build-{}", std::process::id())));
    cargo(&root, &target, &["fetch", "--locked"])?;
    let (clean_s, crates) = build(&root, &target)?;
    let lib = root.join("crates/integrations-core/src/lib.rs");
    fs::File::options().append(true).open(lib)?.set_modified(SystemTime::now())?;
    let (rebuild_s, _) = build(&root, &target)?;
    Ok(CoreBuild { clean_s, crates, rebuild_s })
}

/// Removed with all that is in it when dropped.
struct Target(PathBuf);

impl Drop for Target {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of its temporary directory.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn build(root: &Path, target: &Target) -> Result<(f64, usize), BoxError> {
    let started = Instant::now();
    let messages = cargo(
        root,
        target,
        &["build", "--locked", "--package", "integrations-core", "--message-format=json"],
    )?;
    Ok((started.elapsed().as_secs_f64(), compiled(&messages)))
}

fn cargo(root: &Path, target: &Target, args: &[&str]) -> Result<String, BoxError> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(args)
        .current_dir(root)
        .env("CARGO_TARGET_DIR", &target.0)
        // A compiler cache would answer for the compiler.
        .env("RUSTC_WRAPPER", "")
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("`cargo {}` failed", args.join(" ")).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[derive(Deserialize)]
struct Message<'a> {
    reason: &'a str,
    #[serde(default)]
    package_id: Option<String>,
}

/// Packages with at least one artifact; a package with a build script has several.
fn compiled(messages: &str) -> usize {
    let packages: HashSet<String> = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .filter_map(|message| message.package_id)
        .collect();
    packages.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_counts_once_whatever_it_compiles() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","package_id":"a 1","target":{"kind":["custom-build"]}}"#,
            "\n",
            r#"{"reason":"build-script-executed","package_id":"a 1"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","package_id":"a 1","target":{"kind":["lib"]}}"#,
            "\n",
            r#"{"reason":"compiler-artifact","package_id":"b 1","target":{"kind":["lib"]}}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n",
        );
        assert_eq!(compiled(messages), 2);
    }
}
