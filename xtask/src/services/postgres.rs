//! PostgreSQL with a fresh cluster that nothing keeps.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::Outcome;
use crate::services::debian::{self, Package};
use crate::services::guard::run_until;
use crate::services::programs::{Programs, free_port, is_root, newest_version_with, on_path, random_word};
use crate::services::{Started, guard};

const PROGRAMS: &[&str] = &["initdb", "postgres"];

const PACKAGE: Package = Package {
    keep_as: "postgresql",
    pattern: "^postgresql-[0-9]+$",
    programs: PROGRAMS,
    folder: newest_below,
};

/// Both run as one guarded command: a cluster that is being made is removed too when we are killed.
const MAKE_AND_RUN: &str = r#"
programs=$1
port=$2
"$programs/initdb" -D data -U postgres -A scram-sha-256 --pwfile=password --no-locale -E UTF8 --no-sync --no-instructions &&
    exec "$programs/postgres" -D data -p "$port" -c listen_addresses=127.0.0.1 -c "unix_socket_directories=$PWD" \
        -c fsync=off -c max_connections=200
"#;

/// The user `nobody` of Debian, as numbers: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

pub(super) fn start(deadline: Instant) -> Outcome<Started> {
    let mut programs = find(deadline)?;
    let (port, password) = (free_port()?, random_word());
    let folder = guard::folder("postgres")?;
    prepare(&mut programs, &folder, &password, deadline)?;
    let mut command = if is_root() { as_nobody("sh") } else { Command::new("sh") };
    command.args(["-c", MAKE_AND_RUN, "postgres"]).arg(&programs.folder).arg(port.to_string());
    if let Some(path) = programs.library_path() {
        command.env("LD_LIBRARY_PATH", path);
    }
    let server = guard::start(&command, folder, "database system is ready to accept connections", deadline)?;
    Ok(Started { server, url: format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres") })
}

fn find(deadline: Instant) -> Outcome<Programs> {
    match on_path(PROGRAMS).or_else(|| newest_below(Path::new("/"))) {
        Some(folder) => Ok(Programs::system(folder)),
        None => debian::programs(&PACKAGE, deadline),
    }
}

/// Debian keeps the programs of every version apart, and none of them on the `PATH`.
fn newest_below(root: &Path) -> Option<PathBuf> {
    newest_version_with(&root.join("usr/lib/postgresql"), PROGRAMS)
}

/// Puts into `folder` what the server needs, readable for the user it will run as.
fn prepare(programs: &mut Programs, folder: &Path, password: &str, deadline: Instant) -> Outcome {
    let failed = |e: std::io::Error| format!("{} cannot be prepared: {e}", folder.display());
    let file = folder.join("password");
    std::fs::write(&file, password).map_err(failed)?;
    if !is_root() {
        return Ok(());
    }
    give_to_nobody(folder).and_then(|()| give_to_nobody(&file)).map_err(failed)?;
    copy_if_hidden(programs, folder, deadline)
}

/// A checkout below /root is closed to others; unpacked programs are then copied to where they can be run.
fn copy_if_hidden(programs: &mut Programs, folder: &Path, deadline: Instant) -> Outcome {
    let Some(unpacked) = &programs.unpacked else { return Ok(()) };
    let postgres = programs.folder.join("postgres");
    if run_until(as_nobody("test").arg("-x").arg(postgres), deadline).is_ok() {
        return Ok(());
    }
    let copy = folder.join("programs");
    run_until(Command::new("cp").arg("-R").arg(unpacked).arg(&copy), deadline)?;
    let inside = newest_below(&copy).ok_or("the copy of PostgreSQL's programs is not complete")?;
    *programs = Programs { folder: inside, unpacked: Some(copy) };
    Ok(())
}

fn as_nobody(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={NOBODY}")).arg(format!("--regid={NOBODY}"));
    command.args(["--clear-groups", program]);
    command
}

#[cfg(unix)]
fn give_to_nobody(path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))
}

#[cfg(not(unix))]
fn give_to_nobody(_path: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
