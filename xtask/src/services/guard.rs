//! A server that ends with this process, and whose data goes with it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::services::programs::random_word;

/// Runs "$@" until its own standard input closes, then ends everything in its process group and removes the folder $1.
///
/// Only we hold the other end of that pipe, so it closes when we end, also by SIGKILL. Signals go to the whole group
/// because a server may be several processes, such as `initdb` before PostgreSQL. SIGINT follows SIGTERM because
/// PostgreSQL waits for its clients after SIGTERM and sends them away after SIGINT (its manual, 19.5).
const GUARD: &str = r#"
folder=$1
shift
exec 3<&0
trap : TERM INT
"$@" </dev/null 3<&- &
server=$!
(
    read -r _ <&3
    trap '' TERM INT
    kill -s TERM 0
    kill -s INT 0
    sleep 5
    rm -rf "$folder"
    kill -s KILL 0
) &
watcher=$!
code=0
while kill -0 "$server" 2>/dev/null; do
    wait "$server"
    code=$?
done
kill -s KILL "$watcher" 2>/dev/null
rm -rf "$folder"
exit "$code"
"#;

/// Longer than what the guard waits before it kills.
const STOPPING: Duration = Duration::from_secs(8);

const STEP: Duration = Duration::from_millis(10);

/// A running server; dropping it ends the server and removes its folder.
#[derive(Debug)]
pub(super) struct Guarded {
    guard: Child,
    log: File,
    _folder: Folder,
}

/// A folder for a server's data; dropping it removes it.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl std::ops::Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

/// A new empty folder, which others than its owner cannot read.
pub(super) fn folder(service: &str) -> Outcome<Folder> {
    let path = std::env::temp_dir().join(format!("integrations-{service}-{}", random_word()));
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&path).map_err(|e| format!("{} cannot be made: {e}", path.display()))?;
    Ok(Folder(path))
}

/// Starts `server`, which works in `folder`, and waits until it prints a line that holds `ready`.
///
/// The folder is removed when the server ends, also if it does not start.
pub(super) fn start(server: &Command, folder: Folder, ready: &str, deadline: Instant) -> Outcome<Guarded> {
    let program = server.get_program().to_string_lossy().into_owned();
    let failed = |e: std::io::Error| format!("{program} could not be started: {e}");
    let log = unnamed_file().map_err(failed)?;
    let mut command = Command::new("sh");
    command.args(["-c", GUARD, "guard"]).arg(&*folder).arg(server.get_program()).args(server.get_args());
    command.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(&*folder).stdin(Stdio::piped());
    command.stdout(log.try_clone().map_err(failed)?).stderr(log.try_clone().map_err(failed)?);
    // A group of its own: Ctrl-C ends us, and the guard then does its work undisturbed.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    #[cfg(not(unix))]
    return Err("servers for tests are started on Unix alone".to_owned());
    let mut guarded = Guarded { guard: command.spawn().map_err(failed)?, log, _folder: folder };
    guarded.wait_for(ready, deadline).map_err(|why| format!("{program} {why}"))?;
    Ok(guarded)
}

impl Guarded {
    fn wait_for(&mut self, ready: &str, deadline: Instant) -> Outcome {
        loop {
            let ended = matches!(self.guard.try_wait(), Ok(Some(_)) | Err(_));
            let log = self.log();
            if log.contains(ready) {
                return Ok(());
            }
            if ended {
                return Err(format!("ended at once: {}", telling_line(&log)));
            }
            if Instant::now() >= deadline {
                return Err(format!("was not ready in time: {}", telling_line(&log)));
            }
            std::thread::sleep(STEP);
        }
    }

    /// What the server has printed so far.
    pub(super) fn log(&mut self) -> String {
        read_from_start(&mut self.log)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        if wait_until(&mut self.guard, Instant::now() + STOPPING).is_none() {
            let _ = self.guard.kill();
            let _ = self.guard.wait();
        }
    }
}

/// Runs a command that prints little to its end, or ends it at the deadline; gives what it printed.
pub(super) fn run_until(command: &mut Command, deadline: Instant) -> Outcome<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |e: std::io::Error| format!("{program} could not be run: {e}");
    // A file and not a pipe: what a killed command leaves behind could hold a pipe open.
    let mut printed = unnamed_file().map_err(failed)?;
    command.stdin(Stdio::null());
    command.stdout(printed.try_clone().map_err(failed)?).stderr(printed.try_clone().map_err(failed)?);
    let mut child = command.spawn().map_err(failed)?;
    let Some(status) = wait_until(&mut child, deadline) else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("{program} did not end in time"));
    };
    let text = read_from_start(&mut printed);
    if status.success() { Ok(text) } else { Err(format!("{program} failed: {}", telling_line(&text))) }
}

fn wait_until(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(STEP);
    }
}

/// A file that is gone with its last handle. It is written to at its end, wherever our reading stands.
fn unnamed_file() -> std::io::Result<File> {
    let path = std::env::temp_dir().join(format!("integrations-log-{}", random_word()));
    let file = File::options().read(true).append(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn read_from_start(file: &mut File) -> String {
    let mut bytes = Vec::new();
    if file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).is_err() {
        return String::new();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The first line that speaks of an error, or else the last one: npm and apt end with advice.
fn telling_line(text: &str) -> &str {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_error = |line: &&str| {
        let line = line.to_ascii_lowercase();
        line.starts_with("e: ") || line.contains("error") || line.contains("fatal")
    };
    lines.clone().find(is_error).or_else(|| lines.next_back()).unwrap_or("it printed nothing")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_dropped_server_and_its_children_end_and_their_folder_goes() {
        let folder = folder("test").unwrap();
        let pipe = folder.join("pipe");
        let script = "mkfifo pipe; sleep 600 >pipe & echo up; wait";
        let path = folder.to_path_buf();
        let server = start(&shell(script), folder, "up\n", soon()).unwrap();
        let mut held_by_the_child = File::open(pipe).unwrap();
        drop(server);
        assert!(!path.exists());
        // Reads on until the last process that holds the other end is gone.
        assert_eq!(held_by_the_child.read_to_end(&mut Vec::new()).unwrap(), 0);
    }

    #[test]
    fn a_server_that_ends_at_once_is_reported_with_its_last_words_and_leaves_no_folder() {
        let folder = folder("test").unwrap();
        let path = folder.to_path_buf();
        let why = start(&shell("echo first; echo 'no space'; exit 3"), folder, "up", soon()).unwrap_err();
        assert_eq!(why, "sh ended at once: no space");
        assert!(!path.exists());
    }

    #[test]
    fn a_server_that_is_never_ready_is_ended_at_the_deadline() {
        let folder = folder("test").unwrap();
        let path = folder.to_path_buf();
        let why = start(&shell("exec sleep 600"), folder, "up", Instant::now()).unwrap_err();
        assert_eq!(why, "sh was not ready in time: it printed nothing");
        assert!(!path.exists());
    }

    #[test]
    fn an_error_is_quoted_before_the_advice_that_follows_it() {
        let npm = "npm warn old\nnpm error code ECONNREFUSED\nnpm error A log is in: x\n";
        assert_eq!(telling_line(npm), "npm error code ECONNREFUSED");
        assert_eq!(
            telling_line("Reading…\nE: Unable to locate package\nN: see\n"),
            "E: Unable to locate package"
        );
        assert_eq!(telling_line("one\ntwo\n\n"), "two");
    }

    #[test]
    fn a_command_is_ended_at_its_deadline_and_a_failing_one_is_quoted() {
        assert_eq!(run_until(&mut shell("echo yes"), soon()).unwrap(), "yes\n");
        assert_eq!(run_until(&mut shell("echo no >&2; exit 1"), soon()).unwrap_err(), "sh failed: no");
        assert_eq!(run_until(&mut shell("sleep 600"), Instant::now()).unwrap_err(), "sh did not end in time");
    }
}
