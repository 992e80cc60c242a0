//! Programs from Debian's packages, unpacked below `target`: nothing is installed, no service starts, root is not needed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::services::fetch;
use crate::services::guard::run_until;
use crate::services::programs::{Programs, on_path};

/// A package that holds the programs of a server.
pub(super) struct Package {
    /// The name of what is kept below `target/services`.
    pub(super) keep_as: &'static str,
    /// A regular expression for the package's name; where several match, the one with the greatest number is taken.
    pub(super) pattern: &'static str,
    pub(super) programs: &'static [&'static str],
    /// Finds the folder of the programs, given where the package was unpacked.
    pub(super) folder: fn(&Path) -> Option<PathBuf>,
}

const TOOLS: &[&str] = &["apt-get", "apt-cache", "dpkg-deb"];

/// Settings of every call: a network that hangs is given up soon, and nothing of the system's is written.
const SETTINGS: &[&str] = &[
    "Acquire::http::Timeout=10",
    "Acquire::https::Timeout=10",
    "Acquire::Retries=0",
    "Acquire::Languages=none",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
    "APT::Sandbox::User=root",
    "Dir::Cache::pkgcache=",
    "Dir::Cache::srcpkgcache=",
];

/// It takes seconds; without a limit each source that hangs would add its own time-out.
const UPDATING: Duration = Duration::from_secs(40);

/// Which lists of packages apt reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lists {
    /// Those of the system; in a container there are often none, or they name versions that are gone.
    System,
    /// Fresh ones below `target`.
    Own,
}

/// The programs of `package`, fetched if they are not kept from an earlier run.
pub(super) fn programs(package: &Package, deadline: Instant) -> Outcome<Programs> {
    let unpacked = fetch::kept(package.keep_as, |_| true, |place| fill(package, place, deadline))?;
    found_in(package, unpacked)
}

fn found_in(package: &Package, unpacked: PathBuf) -> Outcome<Programs> {
    let folder = (package.folder)(&unpacked)
        .ok_or_else(|| format!("Debian's package holds no {}", package.programs.join(" and ")))?;
    Ok(Programs { folder, unpacked: Some(unpacked) })
}

fn fill(package: &Package, place: &Path, deadline: Instant) -> Outcome {
    let wanted = package.programs.join(" and ");
    if TOOLS.iter().any(|tool| on_path(&[tool]).is_none()) {
        return Err(format!("{wanted} not found, and without apt-get and dpkg-deb nothing can be fetched"));
    }
    let fetched = fetch_with(Lists::System, package, place, deadline)
        .or_else(|_| fetch_with(Lists::Own, package, place, deadline));
    fetched.map_err(|why| format!("{wanted} not found, and Debian's package could not be fetched: {why}"))
}

fn fetch_with(lists: Lists, package: &Package, place: &Path, deadline: Instant) -> Outcome {
    if lists == Lists::Own {
        update(deadline)?;
    }
    let found =
        run_until(apt("apt-cache", lists).args(["search", "--names-only", package.pattern]), deadline)?;
    let name = newest(&found).ok_or("apt's lists hold no such package, or could not be fetched")?;
    let mut simulate = apt("apt-get", lists);
    simulate.args(["--simulate", "--no-install-recommends", "install", &name]);
    let files = place.join("packages");
    std::fs::create_dir_all(&files).map_err(|e| format!("{} cannot be made: {e}", files.display()))?;
    let names = to_fetch(&name, &run_until(&mut simulate, deadline)?);
    run_until(apt("apt-get", lists).arg("download").args(names).current_dir(&files), deadline)?;
    unpack(&files, place, deadline)?;
    check_libraries(&found_in(package, place.to_path_buf())?, package, deadline)
}

/// Fetches fresh lists, once in this process: two servers may ask for them side by side.
fn update(deadline: Instant) -> Outcome {
    static UPDATED: Mutex<Option<Outcome>> = Mutex::new(None);
    let mut updated = UPDATED.lock().unwrap_or_else(PoisonError::into_inner);
    updated.get_or_insert_with(|| run_update(deadline)).clone()
}

fn run_update(deadline: Instant) -> Outcome {
    let partial = own_lists().join("partial");
    std::fs::create_dir_all(&partial).map_err(|e| format!("{} cannot be made: {e}", partial.display()))?;
    run_until(apt("apt-get", Lists::Own).arg("update"), deadline.min(Instant::now() + UPDATING)).map(drop)
}

fn apt(program: &str, lists: Lists) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C");
    for setting in SETTINGS {
        command.args(["-o", setting]);
    }
    if lists == Lists::Own {
        command.args(["-o", &format!("Dir::State::lists={}", own_lists().display())]);
    }
    command
}

fn own_lists() -> PathBuf {
    fetch::root().join("apt-lists")
}

/// The name with the greatest number at its end among lines such as `postgresql-15 - The World's …`.
fn newest(found: &str) -> Option<String> {
    let names = found.lines().filter_map(|line| line.split_once(" - ")).map(|(name, _)| name.trim());
    let number = |name: &str| name.rsplit('-').next().and_then(|end| end.parse::<u32>().ok());
    names.max_by_key(|name| number(name)).map(str::to_owned)
}

/// The package itself, and what apt would install with it that a server in the foreground uses.
///
/// The system's package database says what is there already, so that a package is fetched only where it is missing.
fn to_fetch(name: &str, simulated: &str) -> Vec<String> {
    let installed = simulated.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
    let others = installed.filter(|other| *other != name && is_used(other)).map(str::to_owned);
    std::iter::once(name.to_owned()).chain(others).collect()
}

/// Debian keeps Redis's one program in `redis-tools`. Of the rest only shared libraries are used: not Perl's, which serve
/// the scripts around a cluster, not LLVM with its Z3, which are large and loaded for compiled queries alone, and never
/// another libc than that of the system's loader.
fn is_used(package: &str) -> bool {
    let is_library = package.starts_with("lib") || package.starts_with("lua-");
    let is_in_the_way = package.ends_with("-perl")
        || package.starts_with("libllvm")
        || package.starts_with("libz3")
        || package.starts_with("libc6");
    package == "redis-tools" || (is_library && !is_in_the_way)
}

fn unpack(files: &Path, place: &Path, deadline: Instant) -> Outcome {
    let failed = |e: std::io::Error| format!("{}: {e}", files.display());
    for file in std::fs::read_dir(files).map_err(failed)? {
        let file = file.map_err(failed)?.path();
        run_until(Command::new("dpkg-deb").arg("--extract").arg(file).arg(place), deadline)?;
    }
    std::fs::remove_dir_all(files).map_err(failed)
}

fn check_libraries(programs: &Programs, package: &Package, deadline: Instant) -> Outcome {
    for program in package.programs {
        let mut ldd = Command::new("ldd");
        ldd.arg(programs.folder.join(program));
        ldd.env("LD_LIBRARY_PATH", programs.library_path().unwrap_or_default());
        let missing = missing_libraries(&run_until(&mut ldd, deadline)?);
        if !missing.is_empty() {
            return Err(format!("{program} needs {}, which no package brought", missing.join(", ")));
        }
    }
    Ok(())
}

/// The names in lines of `ldd` such as `liblzf.so.1 => not found`.
fn missing_libraries(printed: &str) -> Vec<String> {
    let missing = printed.lines().filter_map(|line| line.trim().strip_suffix("=> not found"));
    missing.map(|name| name.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_package_is_the_one_with_the_greatest_number() {
        let found = "postgresql-9 - SQL database\npostgresql-15 - SQL database\npostgresql-13 - SQL - old\n";
        assert_eq!(newest(found).as_deref(), Some("postgresql-15"));
        assert_eq!(newest("redis-server - key-value database\n").as_deref(), Some("redis-server"));
        assert_eq!(newest(""), None);
    }

    #[test]
    fn libraries_are_fetched_and_scripts_perl_llvm_and_another_libc_are_not() {
        let simulated = "\
Reading package lists...
Inst libc6 [2.36-9] (2.36-10 Debian:12 [amd64])
Inst libllvm14 (1:14.0.6-12 Debian:12 [amd64])
Inst libz3-4 (4.8.12-3.1 Debian:12 [amd64])
Inst libjson-perl (4.10000-1 Debian:12 [all])
Inst libpq5 (15.18-0+deb12u1 Debian-Security:12 [amd64])
Inst postgresql-client-common (248 Debian:12 [all])
Inst libldap-2.5-0 (2.5.13 Debian:12 [amd64]) []
Inst postgresql-15 (15.18-0+deb12u1 Debian-Security:12 [amd64])
Conf libpq5 (15.18-0+deb12u1 Debian-Security:12 [amd64])
";
        assert_eq!(to_fetch("postgresql-15", simulated), ["postgresql-15", "libpq5", "libldap-2.5-0"]);
    }

    #[test]
    fn the_package_itself_is_fetched_even_if_apt_takes_it_for_installed() {
        assert_eq!(to_fetch("redis-server", "Reading package lists...\n"), ["redis-server"]);
        let simulated =
            "Inst lua-cjson (2.1 Debian:12 [amd64])\nInst redis-tools (5:7.0.15 Debian:12 [amd64])\n";
        assert_eq!(to_fetch("redis-server", simulated), ["redis-server", "lua-cjson", "redis-tools"]);
    }

    #[test]
    fn libraries_that_ldd_misses_are_named() {
        let printed = "\
\tlinux-vdso.so.1 (0x00007ffd)
\tlibatomic.so.1 => /lib/x86_64-linux-gnu/libatomic.so.1 (0x00007f)
\tliblzf.so.1 => not found
\tlibjemalloc.so.2 => not found
\t/lib64/ld-linux-x86-64.so.2 (0x00007f)
";
        assert_eq!(missing_libraries(printed), ["liblzf.so.1", "libjemalloc.so.2"]);
        assert_eq!(missing_libraries("\tstatically linked\n"), Vec::<String>::new());
    }
}
