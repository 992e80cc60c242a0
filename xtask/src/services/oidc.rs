//! npm's `oidc-provider`: an OpenID provider that others wrote, so that it does not share our mistakes.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::services::guard::{self, run_until};
use crate::services::{Started, fetch};
use crate::{Outcome, workspace};

const SOURCE: &str = "xtask/services/oidc";

const LOCKFILE: &str = "package-lock.json";

/// `oidc-provider` 9 calls `crypto.hash`, which came with this version.
const OLDEST_NODE: (u32, u32) = (20, 12);

/// It takes seconds; npm alone would wait many times longer for a network that hangs.
const INSTALLING: Duration = Duration::from_secs(60);

const READY: &str = "ready ";

pub(super) fn start(deadline: Instant) -> Outcome<Started> {
    let version = run_until(Command::new("node").arg("--version"), deadline)?;
    if node_version(&version).is_none_or(|version| version < OLDEST_NODE) {
        return Err(format!("this Node.js is too old: {}", version.trim()));
    }
    let source = workspace::root().join(SOURCE);
    let lock = workspace::read(&source.join(LOCKFILE))?;
    let is_current = |place: &Path| workspace::read(&place.join(LOCKFILE)).is_ok_and(|kept| kept == lock);
    let place = fetch::kept("oidc", is_current, |partial| install(&source, partial, deadline))?;
    let folder = guard::folder("oidc")?;
    // It must stand beside `node_modules`, which are never in the source tree.
    copy("server.mjs", &source, &place)?;
    let mut command = Command::new("node");
    command.arg(place.join("server.mjs"));
    let mut server = guard::start(&command, folder, READY, deadline)?;
    let port = port(&server.log()).ok_or("server.mjs printed no port")?;
    Ok(Started { server, url: format!("http://127.0.0.1:{port}") })
}

fn install(source: &Path, place: &Path, deadline: Instant) -> Outcome {
    copy("package.json", source, place)?;
    copy(LOCKFILE, source, place)?;
    let mut npm = Command::new("npm");
    npm.args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--prefer-offline",
        "--loglevel=error",
        "--logs-max=0",
    ]);
    npm.args(["--fetch-retries=0", "--fetch-timeout=20000", "--prefix"]).arg(place);
    run_until(&mut npm, deadline.min(Instant::now() + INSTALLING)).map(drop)
}

fn copy(name: &str, from: &Path, to: &Path) -> Outcome {
    let copied = std::fs::copy(from.join(name), to.join(name));
    copied.map(drop).map_err(|e| format!("{name} cannot be copied: {e}"))
}

/// Major and minor of `v20.11.1`.
fn node_version(printed: &str) -> Option<(u32, u32)> {
    let mut numbers = printed.trim().strip_prefix('v')?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn port(log: &str) -> Option<u16> {
    log.lines().find_map(|line| line.strip_prefix(READY))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn json(name: &str) -> Value {
        serde_json::from_str(&workspace::read(&workspace::root().join(SOURCE).join(name)).unwrap()).unwrap()
    }

    #[test]
    fn the_lockfile_pins_every_package_that_is_asked_for_in_one_exact_version() {
        let (package, lock) = (json("package.json"), json(LOCKFILE));
        let wanted = package["dependencies"].as_object().unwrap();
        assert!(!wanted.is_empty());
        assert_eq!(lock["name"], package["name"]);
        assert_eq!(lock["packages"][""]["dependencies"], package["dependencies"]);
        for (name, version) in wanted {
            let locked = &lock["packages"][format!("node_modules/{name}")];
            assert_eq!(&locked["version"], version, "{name} is not pinned exactly");
        }
    }

    #[test]
    fn every_locked_package_is_checked_against_a_digest() {
        let lock = json(LOCKFILE);
        for (name, package) in
            lock["packages"].as_object().unwrap().iter().filter(|(name, _)| !name.is_empty())
        {
            let digest = package["integrity"].as_str().unwrap_or_default();
            assert!(digest.starts_with("sha512-"), "{name}: {digest}");
        }
    }

    #[test]
    fn the_server_imports_what_is_locked() {
        let server = workspace::read(&workspace::root().join(SOURCE).join("server.mjs")).unwrap();
        let names =
            json("package.json")["dependencies"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let imported: Vec<&str> = server
            .lines()
            .filter(|line| line.starts_with("import "))
            .filter_map(|line| line.split('\'').nth(1))
            .filter(|name| !name.starts_with("node:"))
            .collect();
        assert_eq!(imported, names);
    }

    #[test]
    fn versions_of_node_are_compared_as_numbers() {
        assert_eq!(node_version("v20.20.2\n"), Some((20, 20)));
        assert!(node_version("v9.99.0").unwrap() < OLDEST_NODE);
        assert!(node_version("v20.11.1").unwrap() < OLDEST_NODE);
        assert_eq!(node_version("bash: node: command not found"), None);
    }

    #[test]
    fn the_port_is_read_between_warnings() {
        assert_eq!(port("oidc-provider WARNING: x\nready 46811\n"), Some(46811));
        assert_eq!(port("oidc-provider WARNING: x\n"), None);
    }
}
