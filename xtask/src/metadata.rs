//! The part of `cargo metadata` that the rules read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Outcome, process};

#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) manifest_path: PathBuf,
    /// `None`: any registry; an empty list: never published.
    pub(crate) publish: Option<Vec<String>>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` is a normal dependency.
    pub(crate) kind: Option<String>,
}

impl Metadata {
    /// The workspace's own packages, sorted by name.
    pub(crate) fn load() -> Outcome<Self> {
        let json = process::output(&mut process::cargo(&["metadata", "--format-version=1", "--no-deps"]))?;
        let mut metadata: Self =
            serde_json::from_str(&json).map_err(|e| format!("cargo metadata is not as expected: {e}"))?;
        metadata.packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(metadata)
    }

    /// The packages that are published.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.is_published())
    }
}

impl Package {
    pub(crate) fn is_published(&self) -> bool {
        self.publish.as_ref().is_none_or(|registries| !registries.is_empty())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }
}
