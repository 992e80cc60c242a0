//! The vendor: sends until all is acknowledged, and kills the receiver now and then.

use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::load::DELIVERIES;
use super::{KILLS, life};

/// Deliveries on their way at a time.
const WINDOW: usize = 512;
/// A receiver that may live and says nothing for this long is a failure of the proof.
const PATIENCE: Duration = Duration::from_secs(120);

/// How the sending went.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) kills: u32,
    /// Kills while deliveries had not been acknowledged.
    pub(super) killed_accepting: u32,
    /// Kills that left events leased, as the next child saw them.
    pub(super) killed_applying: u32,
    pub(super) repeated: usize,
    pub(super) took: Duration,
}

/// What the child says.
enum Said {
    /// It is up; so many events were in handling when its predecessor ended.
    Ready(u64),
    Acknowledged(usize),
    /// All is handled.
    Idle,
}

/// Sends everything to children of this role on this file.
pub(super) fn send(role: &str, file: &Path, seed: u64) -> Result<Sent, String> {
    let started = Instant::now();
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x6b69_6c6c);
    let mut sent = Sent::default();
    let mut waiting: VecDeque<usize> = (0..DELIVERIES).collect();
    while sent.kills < KILLS {
        let mut receiver = Process::start(role, file, seed)?;
        receiver.serve(&mut waiting, Some(Instant::now() + life(&mut rng)), &mut sent)?;
        receiver.child.kill().map_err(|e| e.to_string())?;
        sent.kills += 1;
        let unacknowledged = receiver.bury(&mut sent);
        sent.killed_accepting += u32::from(!unacknowledged.is_empty());
        sent.repeated += unacknowledged.len();
        unacknowledged.into_iter().rev().for_each(|delivery| waiting.push_front(delivery));
    }
    let mut last = Process::start(role, file, seed)?;
    last.serve(&mut waiting, None, &mut sent)?;
    last.end()?;
    sent.took = started.elapsed();
    Ok(sent)
}

struct Process {
    child: Child,
    said: Receiver<Said>,
    /// Sent and not acknowledged.
    open: BTreeSet<usize>,
}

impl Process {
    fn start(role: &str, file: &Path, seed: u64) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut child = Command::new(program)
            .args(["inbox", &format!("--child={role}"), &format!("--seed={seed}")])
            .arg(format!("--file={}", file.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let output = child.stdout.take().ok_or("the child has no output")?;
        let (tell, said) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.filter_map(|line| parse(&line)).try_for_each(|said| tell.send(said))
        });
        Ok(Self { child, said, open: BTreeSet::new() })
    }

    /// Sends until all is acknowledged, or until its time has come.
    fn serve(
        &mut self,
        waiting: &mut VecDeque<usize>,
        end: Option<Instant>,
        sent: &mut Sent,
    ) -> Result<(), String> {
        while !(end.is_none() && waiting.is_empty() && self.open.is_empty()) {
            self.fill(waiting);
            let patience = end.map_or(PATIENCE, |end| end.saturating_duration_since(Instant::now()));
            match self.said.recv_timeout(patience) {
                Ok(said) => self.hear(said, sent),
                Err(RecvTimeoutError::Timeout) if end.is_some() => return Ok(()),
                Err(e) => return Err(format!("the receiver ended early: {e}")),
            }
        }
        Ok(())
    }

    fn fill(&mut self, waiting: &mut VecDeque<usize>) {
        let room = WINDOW.saturating_sub(self.open.len()).min(waiting.len());
        // One system call for several lines, so that the sender is no bottleneck.
        if room == 0 || (room < WINDOW / 4 && waiting.len() > room) {
            return;
        }
        let batch: Vec<_> = waiting.drain(..room).collect();
        let mut lines = String::new();
        for delivery in &batch {
            lines.push_str(&format!("{delivery}\n"));
        }
        self.open.extend(batch);
        if let Some(input) = &mut self.child.stdin {
            // If the child is gone, so is its output, which is noticed there.
            let _gone = input.write_all(lines.as_bytes());
        }
    }

    fn hear(&mut self, said: Said, sent: &mut Sent) {
        match said {
            Said::Ready(leased) => sent.killed_applying += u32::from(leased > 0),
            Said::Acknowledged(delivery) => drop(self.open.remove(&delivery)),
            Said::Idle => {}
        }
    }

    /// After a kill: what had been said counts; gives what was not acknowledged.
    fn bury(mut self, sent: &mut Sent) -> BTreeSet<usize> {
        // It was killed, so that its status says nothing.
        let _killed = self.child.wait();
        while let Ok(said) = self.said.recv_timeout(PATIENCE) {
            self.hear(said, sent);
        }
        self.open
    }

    /// Tells that nothing more comes and waits for the work to be done.
    fn end(mut self) -> Result<(), String> {
        drop(self.child.stdin.take());
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(Said::Idle) => break,
                Ok(_) => {}
                Err(e) => {
                    let _gone = self.child.kill();
                    return Err(format!("the receiver did not finish its work: {e}"));
                }
            }
        }
        let status = self.child.wait().map_err(|e| e.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("the receiver failed: {status}")) }
    }
}

fn parse(line: &str) -> Option<Said> {
    match line.split_once(' ') {
        Some(("ready", leased)) => leased.parse().ok().map(Said::Ready),
        Some(("ack", delivery)) => delivery.parse().ok().map(Said::Acknowledged),
        _ => (line == "idle").then_some(Said::Idle),
    }
}
