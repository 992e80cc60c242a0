//! Running other programs, most of all cargo.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use crate::{Outcome, workspace};

/// A cargo command that runs in the workspace's root with the cargo that runs us.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace::root());
    // `cargo xtask` sets these for this program; a package that is built below must not see them as its own.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(name);
    }
    command
}

/// The command as a human would type it.
pub(crate) fn shown(command: &Command) -> String {
    let mut text = String::from("cargo");
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// Runs `command` with our terminal; a failure names the command.
pub(crate) fn run(command: &mut Command) -> Outcome {
    println!("$ {}", shown(command));
    run_quietly(command)
}

/// Runs `command` with our terminal and prints nothing beside it.
pub(crate) fn run_quietly(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|e| format!("`{}` could not be started: {e}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", shown(command))) }
}

/// Runs `command` and gives its standard output.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("`{}` could not be started: {e}", shown(command)))?;
    if !output.status.success() {
        return Err(format!("`{}` failed ({})", shown(command), output.status));
    }
    String::from_utf8(output.stdout).map_err(|e| format!("`{}` did not print UTF-8: {e}", shown(command)))
}

/// `source` as rustfmt writes it with this workspace's settings.
pub(crate) fn rustfmt(source: &str) -> Outcome<String> {
    let failed =
        |e: std::io::Error| format!("rustfmt could not be run (`rustup component add rustfmt`): {e}");
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--quiet"])
        .current_dir(workspace::root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    // rustfmt reads all of its input before it writes, so this cannot block; dropping the pipe ends the input.
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(source.as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        return Err(format!("rustfmt refused generated code ({})", output.status));
    }
    String::from_utf8(output.stdout).map_err(|e| format!("rustfmt did not print UTF-8: {e}"))
}

/// Whether `cargo <subcommand> --version` works here.
pub(crate) fn has_subcommand(subcommand: &str) -> bool {
    cargo(&[subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What a watched command printed, and whether it succeeded.
pub(crate) struct Watched {
    pub(crate) lines: Vec<String>,
    pub(crate) success: bool,
}

/// Runs `command`, passing both of its streams on line by line, and keeps what it printed.
pub(crate) fn watch(command: &mut Command) -> Outcome<Watched> {
    println!("$ {}", shown(command));
    // What is read by a program has no colours, whatever the environment asks for.
    command.env("CARGO_TERM_COLOR", "never");
    let failed = |e: std::io::Error| format!("a command could not be run: {e}");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let stderr = child.stderr.take();
    let reader =
        std::thread::spawn(move || stderr.map_or_else(Vec::new, |s| pass_on(s, |l| eprintln!("{l}"))));
    let mut lines = child.stdout.take().map_or_else(Vec::new, |s| pass_on(s, |l| println!("{l}")));
    lines.extend(reader.join().map_err(|_| "the reader of a command's errors panicked".to_owned())?);
    let success = child.wait().map_err(failed)?.success();
    Ok(Watched { lines, success })
}

fn pass_on(stream: impl Read, print: impl Fn(&str)) -> Vec<String> {
    let mut lines = Vec::new();
    // Tests may print bytes that are not UTF-8; they must not end the reading.
    for bytes in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&bytes).trim_end_matches('\r').to_owned();
        print(&line);
        lines.push(line);
    }
    lines
}
