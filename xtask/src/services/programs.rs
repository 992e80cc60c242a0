//! Finding programs, and what every server needs: a port and a password.

use std::ffi::OsStr;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;

/// Where a server's programs are, and the libraries that they need beyond the system's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programs {
    pub(super) folder: PathBuf,
    /// Where the programs were unpacked, if they are not the system's.
    pub(super) unpacked: Option<PathBuf>,
}

impl Programs {
    pub(super) fn system(folder: PathBuf) -> Self {
        Self { folder, unpacked: None }
    }

    /// What `LD_LIBRARY_PATH` must be, if anything.
    pub(super) fn library_path(&self) -> Option<String> {
        self.unpacked.as_deref().map(library_path)
    }

    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.folder.join(program));
        if let Some(path) = self.library_path() {
            command.env("LD_LIBRARY_PATH", path);
        }
        command
    }
}

/// `lib` and `usr/lib` below `root`, with the folder that Debian names after the machine, such as `x86_64-linux-gnu`.
fn library_path(root: &Path) -> String {
    let mut folders = Vec::new();
    for top in [root.join("usr/lib"), root.join("lib")] {
        let entries = std::fs::read_dir(&top).into_iter().flatten().filter_map(Result::ok);
        let of_machine = entries.filter(|entry| entry.file_name().to_string_lossy().contains("-linux-"));
        folders.extend(of_machine.map(|entry| entry.path()));
        folders.push(top);
    }
    folders.iter().map(|folder| folder.to_string_lossy()).collect::<Vec<_>>().join(":")
}

/// The first folder of `path`, as in the variable `PATH`, that holds every one of `programs`.
pub(super) fn folder_with(path: &OsStr, programs: &[&str]) -> Option<PathBuf> {
    std::env::split_paths(path).find(|folder| holds(folder, programs))
}

/// As [`folder_with`], in the environment's `PATH`.
pub(super) fn on_path(programs: &[&str]) -> Option<PathBuf> {
    folder_with(&std::env::var_os("PATH").unwrap_or_default(), programs)
}

/// The newest `<folder>/<number>/bin` that holds every one of `programs`.
pub(super) fn newest_version_with(folder: &Path, programs: &[&str]) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let numbered = entries.filter_map(|entry| {
        let number: u32 = entry.file_name().to_string_lossy().parse().ok()?;
        Some((number, entry.path().join("bin")))
    });
    numbered.filter(|(_, bin)| holds(bin, programs)).max().map(|(_, bin)| bin)
}

fn holds(folder: &Path, programs: &[&str]) -> bool {
    programs.iter().all(|program| folder.join(program).is_file())
}

/// A port of 127.0.0.1 that is free now. Linux hands out others before it hands out the same again.
pub(super) fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    Ok(listener.map_err(|e| format!("no port of 127.0.0.1 is free: {e}"))?.port())
}

/// 128 random bits in hexadecimal: names of files, and passwords that need no escaping in a URL.
pub(super) fn random_word() -> String {
    // The standard library seeds every `RandomState` from the system's random source.
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// Whether this process may do everything. PostgreSQL refuses to run so.
pub(super) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::guard;

    fn put(root: &Path, files: &[&str]) {
        for file in files {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
    }

    #[test]
    fn programs_are_taken_from_the_first_folder_that_has_them_all() {
        let root = guard::folder("programs").unwrap();
        put(&root, &["a/initdb", "b/initdb", "b/postgres", "c/initdb", "c/postgres"]);
        let path = std::env::join_paths(["a", "b", "c"].map(|name| root.join(name))).unwrap();
        assert_eq!(folder_with(&path, &["initdb", "postgres"]), Some(root.join("b")));
        assert_eq!(folder_with(&path, &["redis-server"]), None);
    }

    #[test]
    fn the_newest_version_is_the_greatest_number_and_must_be_complete() {
        let root = guard::folder("programs").unwrap();
        put(&root, &["9/bin/postgres", "15/bin/postgres", "16/bin/psql", "old/bin/postgres"]);
        assert_eq!(newest_version_with(&root, &["postgres"]), Some(root.join("15/bin")));
        assert_eq!(newest_version_with(&root.join("nothing"), &["postgres"]), None);
    }

    #[test]
    fn unpacked_programs_find_their_libraries_in_the_folder_of_the_machine() {
        let root = guard::folder("programs").unwrap();
        put(&root, &["usr/lib/aarch64-linux-gnu/liblzf.so.1", "usr/lib/postgresql/15/bin/postgres"]);
        let programs = Programs { folder: root.join("usr/bin"), unpacked: Some(root.to_path_buf()) };
        let at = |folder: &str| root.join(folder).to_string_lossy().into_owned();
        let expected = [at("usr/lib/aarch64-linux-gnu"), at("usr/lib"), at("lib")].join(":");
        assert_eq!(programs.library_path(), Some(expected));
        assert_eq!(Programs::system(root.to_path_buf()).library_path(), None);
    }

    #[test]
    fn random_words_differ_and_fit_into_a_url() {
        let (one, other) = (random_word(), random_word());
        assert_ne!(one, other);
        assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
    }
}
