//! The processes: started, heard, killed, started again.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::child::{STORE_VARIABLE, Tally};
use super::issuer::{Moment, Process};
use super::world::Place;

/// A process that was told to end and does not is killed after this long.
const PATIENCE: Duration = Duration::from_secs(40);

/// What happens while a fleet runs.
#[derive(Debug)]
pub(super) enum Event {
    /// The process stands where it is to be killed.
    Standing(Process, Moment),
    /// The store has the tokens that it was given for this connection.
    Kept(Process, usize),
    Calls(Tally),
    /// Its output has ended.
    Gone(Process),
}

pub(super) struct Fleet {
    place: Place,
    members: Vec<(Process, Child)>,
    last: Process,
    tell: Sender<Event>,
}

impl Fleet {
    pub(super) fn start(place: Place, processes: u32, tell: Sender<Event>) -> Result<Self, String> {
        let mut fleet = Self { last: place.process, place, members: Vec::new(), tell };
        for _ in 0..processes {
            fleet.add()?;
        }
        Ok(fleet)
    }

    fn add(&mut self) -> Result<(), String> {
        self.last += 1;
        let (process, tell) = (self.last, self.tell.clone());
        let program = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut child = Command::new(program)
            .args(["refresh", &format!("--child={}", self.place.design.name())])
            .arg(format!("--run={}", self.place.run))
            .arg(format!("--issuer={}", self.place.issuer))
            .arg(format!("--process={process}"))
            .env(STORE_VARIABLE, &self.place.store)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let output = child.stdout.take().ok_or("the child has no output")?;
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            // If nobody hears it, the proof is over.
            let _unheard = lines
                .filter_map(|line| parse(process, &line))
                .try_for_each(|event| tell.send(event))
                .and_then(|()| tell.send(Event::Gone(process)));
        });
        self.members.push((process, child));
        Ok(())
    }

    /// Any of them.
    pub(super) fn any(&self, rng: &mut fastrand::Rng) -> Option<Process> {
        rng.choice(&self.members).map(|member| member.0)
    }

    pub(super) fn has(&self, process: Process) -> bool {
        self.members.iter().any(|member| member.0 == process)
    }

    /// SIGKILL, and another one in its place.
    pub(super) fn replace(&mut self, process: Process) -> Result<(), String> {
        let index = self.members.iter().position(|member| member.0 == process);
        let (_, mut child) = self.members.swap_remove(index.ok_or("the process has gone before")?);
        child.kill().and_then(|()| child.wait()).map_err(|e| e.to_string())?;
        self.add()
    }

    /// Lets them finish their calls.
    pub(super) fn end(mut self) -> Result<(), String> {
        for (_, child) in &mut self.members {
            drop(child.stdin.take());
        }
        let end = Instant::now() + PATIENCE;
        for (process, child) in &mut self.members {
            let status = loop {
                match child.try_wait().map_err(|e| e.to_string())? {
                    Some(status) => break status,
                    None if Instant::now() > end => return Err(format!("process {process} does not end")),
                    None => std::thread::sleep(Duration::from_millis(10)),
                }
            };
            if !status.success() {
                return Err(format!("process {process} failed: {status}"));
            }
        }
        Ok(())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for (_, child) in &mut self.members {
            // It may have ended.
            let _ended = child.kill().and_then(|()| child.wait());
        }
    }
}

fn parse(process: Process, line: &str) -> Option<Event> {
    let mut said: Value = serde_json::from_str(line).ok()?;
    if let Some(moment) = said["stopped"].as_str() {
        return Moment::parse(moment).map(|moment| Event::Standing(process, moment));
    }
    if let Some(family) = said["kept"].as_u64() {
        return Some(Event::Kept(process, family as usize));
    }
    serde_json::from_value(said["calls"].take()).ok().map(Event::Calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_says_is_understood_and_nothing_else() {
        let standing = parse(3, r#"{"stopped":"answered"}"#);
        assert!(matches!(standing, Some(Event::Standing(3, Moment::Answered))));
        assert!(matches!(parse(3, r#"{"kept":17}"#), Some(Event::Kept(3, 17))));
        let Some(Event::Calls(tally)) = parse(3, r#"{"calls":{"grace":{"ok":7}}}"#) else { panic!() };
        assert_eq!(tally["grace"]["ok"], 7);
        for other in ["", "{}", r#"{"stopped":"later"}"#, r#"{"calls":{"grace":7}}"#] {
            assert!(parse(3, other).is_none(), "{other}");
        }
    }
}
