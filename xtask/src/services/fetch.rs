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
    let filled = fill(&partial).and_then(|()| {
        // Another run was faster, and its servers use what it has put there.
        let is_there = place.is_dir() && is_current(&place);
        if is_there { Ok(()) } else { replace(&partial, &place).map_err(failed) }
    });
    // Is gone already if it was moved.
    let _ = std::fs::remove_dir_all(&partial);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_run_has_put_there_meanwhile_stays() {
        let name = format!("test-{}", random_word());
        let place = root().join(&name);
        let mut partial = PathBuf::new();
        let got = kept(
            &name,
            |_| true,
            |mine| {
                partial = mine.to_path_buf();
                std::fs::create_dir_all(place.join("theirs")).map_err(|e| e.to_string())
            },
        );
        assert_eq!(got.unwrap(), place);
        assert!(place.join("theirs").is_dir() && !partial.exists());
        std::fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn what_is_not_current_is_replaced_and_what_cannot_be_had_leaves_nothing() {
        let name = format!("test-{}", random_word());
        let put = |file: &'static str| {
            move |mine: &Path| std::fs::write(mine.join(file), "").map_err(|e| e.to_string())
        };
        let place = kept(&name, |_| true, put("old")).unwrap();
        let is_current = |place: &Path| place.join("new").exists();
        kept(&name, is_current, put("new")).unwrap();
        assert!(place.join("new").exists() && !place.join("old").exists());
        let mut partial = PathBuf::new();
        let refused = kept(
            &name,
            |_| false,
            |mine| {
                partial = mine.to_path_buf();
                Err("no network".to_owned())
            },
        );
        assert_eq!((refused.unwrap_err(), partial.exists()), ("no network".to_owned(), false));
        std::fs::remove_dir_all(place).unwrap();
    }
}
