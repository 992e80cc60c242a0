//! On what the figures were measured.

use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// Cores that this process may use.
    cores: usize,
    cpu: Option<String>,
    os: &'static str,
    arch: &'static str,
}

impl Machine {
    pub(crate) fn this() -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: cpu(),
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
        }
    }
}

/// The processor's name, where Linux tells it.
fn cpu() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
