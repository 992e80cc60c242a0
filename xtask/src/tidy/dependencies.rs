//! Which crate may depend on which.

use super::Violation;
use crate::metadata::{Dependency, Metadata, Package};
use crate::workspace::is_category;
use crate::{Outcome, process};

const CORE: &str = "integrations-core";

/// HTTP clients and server frameworks: the byte seam lives above core, never in it.
const HTTP_STACKS: &[&str] = &[
    "actix-web",
    "attohttpc",
    "awc",
    "axum",
    "curl",
    "hyper",
    "hyper-util",
    "isahc",
    "minreq",
    "reqwest",
    "rocket",
    "surf",
    "tonic",
    "ureq",
    "warp",
];

const FOR_TESTS_ONLY: &[&str] = &["integrations-sandbox", "integrations-testkit"];

/// What the manifests say against the rules.
pub(super) fn violations(metadata: &Metadata) -> Vec<Violation> {
    metadata
        .packages
        .iter()
        .flat_map(|package| package.dependencies.iter().filter_map(|dependency| verdict(package, dependency)))
        .collect()
}

fn verdict(package: &Package, dependency: &Dependency) -> Option<Violation> {
    let (from, to) = (package.name.as_str(), dependency.name.as_str());
    let is_normal = dependency.kind.as_deref() != Some("dev");
    let message = if from == CORE && HTTP_STACKS.contains(&to) && is_normal {
        format!("core names the HTTP stack `{to}`; it belongs behind `Transport`, in integrations-http")
    } else if is_category(from) && is_category(to) && from != to {
        format!("a category crate depends on the category `{to}`; share through core, oauth or a kit")
    } else if is_category(from) && is_normal && FOR_TESTS_ONLY.contains(&to) {
        format!("`{to}` may only be a dev-dependency of a category crate")
    } else if from == "integrations-sandbox" && is_category(to) {
        format!("the sandbox depends on `{to}`; a fake that shares the client's types repeats its mistakes")
    } else {
        return None;
    };
    Some(Violation::new(&format!("{from}/Cargo.toml"), 0, message))
}

/// What core really pulls in with all its features, through any number of steps, on any platform.
pub(super) fn core_tree() -> Outcome<Vec<Violation>> {
    let arguments = [
        "tree",
        "--package",
        CORE,
        "--all-features",
        "--edges=normal,build",
        "--target=all",
        "--prefix=none",
        "--format={p}",
    ];
    Ok(stacks_in_tree(&process::output(&mut process::cargo(&arguments))?))
}

fn stacks_in_tree(tree: &str) -> Vec<Violation> {
    let mut names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .filter(|name| HTTP_STACKS.contains(name))
        .map(|name| Violation::new(CORE, 0, format!("some feature pulls in the HTTP stack `{name}`")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(package: &str, dependency: &str, kind: Option<&str>) -> Vec<Violation> {
        let json = serde_json::json!({"packages": [{
            "name": package, "version": "0.1.0", "description": null, "license": null,
            "manifest_path": "/x/Cargo.toml", "publish": null, "features": {},
            "dependencies": [{"name": dependency, "kind": kind}],
        }]});
        violations(&serde_json::from_value(json).unwrap())
    }

    #[test]
    fn core_may_not_name_an_http_client_directly_or_through_others() {
        assert_eq!(found(CORE, "reqwest", None).len(), 1);
        assert!(found(CORE, "http", None).is_empty());
        let tree =
            "integrations-core v0.1.0 (/x)\nfoo v1.0.0\nhyper v1.12.0\nhyper v1.12.0 (*)\nhttp v1.5.0\n";
        assert_eq!(stacks_in_tree(tree).len(), 1);
        assert!(stacks_in_tree("integrations-core v0.1.0\nhttp-body v1.0.0\n").is_empty());
    }

    #[test]
    fn categories_share_only_core_oauth_http_and_kits() {
        assert_eq!(found("integrations-music", "integrations-video", None).len(), 1);
        assert_eq!(found("integrations-music", "integrations-video", Some("dev")).len(), 1);
        for shared in [CORE, "integrations-http", "integrations-oauth", "integrations-kit-google"] {
            assert!(found("integrations-music", shared, None).is_empty(), "{shared}");
        }
        assert!(found("integrations-gateway", "integrations-music", None).is_empty());
        assert!(found("integrations", "integrations-music", None).is_empty());
    }

    #[test]
    fn fakes_stay_out_of_categories_and_know_none_of_them() {
        for fake in FOR_TESTS_ONLY {
            assert_eq!(found("integrations-music", fake, None).len(), 1);
            assert!(found("integrations-music", fake, Some("dev")).is_empty());
        }
        assert_eq!(found("integrations-sandbox", "integrations-music", None).len(), 1);
        assert_eq!(found("integrations-sandbox", "integrations-music", Some("dev")).len(), 1);
    }
}
