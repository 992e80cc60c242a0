//! `target/services`: what was fetched, kept between runs.

use std::path::{Path, PathBuf};

use crate::services::programs::random_word;
use crate::{Outcome, workspace};

/// The folder below `target` with what is called `name`; `fill` makes it where it is missing or `is_current` denies it.
///
/// It is filled under another name first, so that a run that was ended half-way leaves nothing that looks complete.
pub(super) fn kept(
    name: &str,
    is_current: impl Fn(&Path) -> bool,
    fill: impl FnOnce(&Path) -> Outcome,
) -> Outcome<PathBuf> {
    let place = root().join(name);
    if place.is_dir() && is_current(&place) {
        return Ok(place);
    }
    let partial = root().join(format!(".{name}-{}", random_word()));
    let failed = |e: std::io::Error| format!("{} cannot be filled: {e}", place.display());
    std::fs::create_dir_all(&partial).map_err(failed)?;
    let filled = fill(&partial).and_then(|()| replace(&partial, &place).map_err(failed));
    if filled.is_err() {
        let _ = std::fs::remove_dir_all(&partial);
    }
    filled.map(|()| place)
}

fn replace(partial: &Path, place: &Path) -> std::io::Result<()> {
    if place.exists() {
        std::fs::remove_dir_all(place)?;
    }
    std::fs::rename(partial, place)
}

/// The folder of everything that is kept.
pub(super) fn root() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    workspace::root().join(target).join("services")
}
