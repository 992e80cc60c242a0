//! Redis, without a disk.

use std::time::Instant;

use crate::Outcome;
use crate::services::debian::{self, Package};
use crate::services::programs::{Programs, folder_with, free_port, on_path, random_word};
use crate::services::{Started, guard};

const PROGRAM: &str = "redis-server";

const PACKAGE: Package = Package {
    keep_as: "redis",
    pattern: "^redis-server$",
    programs: &[PROGRAM],
    folder: |unpacked| folder_with(unpacked.join("usr/bin").as_os_str(), &[PROGRAM]),
};

pub(super) fn start(deadline: Instant) -> Outcome<Started> {
    let programs = find(deadline)?;
    let (port, password) = (free_port()?, random_word());
    let folder = guard::folder("redis")?;
    // In a file, because everybody on the machine can read a command line.
    let settings =
        format!("bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave \"\"\nappendonly no\ndir .\n");
    let file = folder.join("redis.conf");
    std::fs::write(&file, settings).map_err(|e| format!("{} cannot be written: {e}", file.display()))?;
    let mut command = programs.command(PROGRAM);
    command.arg(file);
    let server = guard::start(&command, folder, "eady to accept connections", deadline)?;
    Ok(Started { server, url: format!("redis://:{password}@127.0.0.1:{port}/") })
}

fn find(deadline: Instant) -> Outcome<Programs> {
    match on_path(&[PROGRAM]) {
        Some(folder) => Ok(Programs::system(folder)),
        None => debian::programs(&PACKAGE, deadline),
    }
}
