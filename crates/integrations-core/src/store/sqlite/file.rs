//! The file on the disk.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Makes the file if it is missing, for its owner alone, and gives its full path: SQLite takes `:memory:` for something
/// else than a file. It gives its side files (`-wal`, `-shm`) the same mode.
pub(super) fn prepare(path: &Path) -> Result<PathBuf> {
    let full = std::path::absolute(path).and_then(|full| create(&full).map(|()| full));
    full.map_err(|e| {
        Error::config(format!("the store `{}` cannot be opened: {e}", path.display()))
            .with_hint("check that its directory exists and is writable")
    })
}

fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    drop(file);
    Ok(())
}
