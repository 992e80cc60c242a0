//! Every provider's client against its fake, under faults from seeds.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::process::ExitCode;
use std::thread;

use integrations_testkit::chaos::{Report, Run};
use serde_json::{Value, json};

use crate::category::{Judged, chosen};

pub(crate) const USAGE: &str = "usage: xtask-verify chaos [--seeds N] [--provider ID] [--seed S] [--json]";

/// What runs where nobody says how much: some seconds of work.
const SEEDS: u64 = 1_000;

#[derive(Debug, PartialEq, Eq)]
struct Options {
    seeds: Range<u64>,
    /// One seed alone, with everything that it did.
    replay: bool,
    provider: Option<String>,
    json: bool,
}

/// Fails if anything did not hold.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, String> {
    let options = options(arguments)?;
    let all = chosen(options.provider.as_deref())?;
    if options.replay {
        return replay(&all, &options);
    }
    let mut reports = BTreeMap::new();
    for judged in &all {
        let report = on_all_cores(judged, &options.seeds)?;
        if !options.json {
            print(&format!("{}: {report}", judged.spec.id))?;
        }
        reports.insert(judged.spec.id, report);
    }
    if options.json {
        print(&format!("{}\n", summary(&options, &reports)))?;
    }
    Ok(exit(reports.values().all(|report| report.violations.is_empty())))
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options { seeds: 0..SEEDS, replay: false, provider: None, json: false };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("`{argument}` needs a value\n{USAGE}"));
        let number = |text: &String| {
            text.parse::<u64>().map_err(|_| format!("`{argument}` needs a number, not `{text}`\n{USAGE}"))
        };
        match argument.as_str() {
            "--seeds" => match number(value()?)? {
                0 => return Err(format!("without a seed nothing is judged\n{USAGE}")),
                seeds => options.seeds = 0..seeds,
            },
            "--seed" => {
                let seed = number(value()?)?;
                (options.seeds, options.replay) = (seed..seed.saturating_add(1), true);
            }
            "--provider" => options.provider = Some(value()?.clone()),
            "--json" => options.json = true,
            _ => return Err(format!("`{argument}` is no option\n{USAGE}")),
        }
    }
    Ok(options)
}

/// Seeds are independent of each other, so each core gets a part of them.
fn on_all_cores(judged: &Judged, seeds: &Range<u64>) -> Result<Report, String> {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let part = (seeds.end - seeds.start).div_ceil(cores).max(1);
    let parts = (0..cores).map(|core| {
        let end = |core: u64| seeds.start.saturating_add(part.saturating_mul(core)).min(seeds.end);
        end(core)..end(core + 1)
    });
    thread::scope(|scope| {
        let run = |seeds| scope.spawn(move || judged.storms(seeds));
        let running: Vec<_> = parts.map(run).collect();
        let mut all = Report::default();
        for thread in running {
            all.join(thread.join().map_err(|_| "a thread panicked".to_owned())??);
        }
        Ok(all)
    })
}

fn replay(all: &[Judged], options: &Options) -> Result<ExitCode, String> {
    let mut runs = Vec::new();
    for judged in all {
        runs.extend(judged.storm(options.seeds.start)?);
    }
    if options.json {
        print(&format!("{}\n", runs.iter().map(Run::to_json).collect::<Value>()))?;
    } else {
        runs.iter().try_for_each(|run| print(&run.to_string()))?;
    }
    Ok(exit(runs.iter().all(|run| run.violations.is_empty())))
}

/// All providers in one, and each by itself.
fn summary(options: &Options, reports: &BTreeMap<&str, Report>) -> Value {
    let mut all = Report::default();
    for report in reports.values() {
        all.join(report.clone());
    }
    let mut json = all.to_json();
    json["seeds"] = json!(options.seeds.end - options.seeds.start);
    json["cases"] = json!(reports.values().map(|report| report.cases.len()).sum::<usize>());
    let each = |(id, report): (&&str, &Report)| ((*id).to_owned(), report.to_json());
    json["providers"] = reports.iter().map(each).collect();
    json
}

fn exit(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(text: &str) -> Result<(), String> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|e| format!("nothing can be printed: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        options(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read_and_mistakes_told() {
        let all = parsed("--seeds 20 --provider spotify --json").unwrap();
        assert_eq!((all.seeds, all.replay, all.json), (0..20, false, true));
        assert_eq!(all.provider.as_deref(), Some("spotify"));
        let one = parsed("--seed 7").unwrap();
        assert_eq!((one.seeds, one.replay), (7..8, true));
        for (line, told) in
            [("--seeds", "needs a value"), ("--seed x", "needs a number"), ("--fast", "no option")]
        {
            assert!(parsed(line).unwrap_err().contains(told), "{line}");
        }
    }

    #[test]
    fn no_seeds_are_a_mistake_and_a_huge_number_is_none() {
        assert!(parsed("--seeds 0").unwrap_err().contains("nothing is judged"));
        assert_eq!(parsed(&format!("--seeds {}", u64::MAX)).unwrap().seeds, 0..u64::MAX);
        assert_eq!(parsed(&format!("--seed {}", u64::MAX)).unwrap().seeds.start, u64::MAX);
    }

    fn keys(json: &Value) -> Vec<&str> {
        let mut keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    /// Programs read this: a name that changes here breaks them.
    #[test]
    fn the_json_has_seeds_runs_cases_faults_by_kind_and_violations() {
        let options = parsed("--seeds 60 --json").unwrap();
        let run = |judged: &Judged| (judged.spec.id, on_all_cores(judged, &options.seeds).unwrap());
        let reports: BTreeMap<_, _> = chosen(None).unwrap().iter().map(run).collect();
        let json = summary(&options, &reports);
        assert_eq!(keys(&json), ["cases", "faults", "providers", "runs", "seeds", "violations"]);
        assert_eq!(json["seeds"], 60);
        let running = reports.values().filter(|report| report.runs() > 0);
        assert_eq!(json["runs"], 60 * running.count());
        assert_eq!(json["violations"], json!([]));
        assert!(json["cases"].as_u64().unwrap() > 0, "{json}");
        for (kind, count) in json["faults"].as_object().unwrap() {
            assert!(integrations_sandbox::Fault::KINDS.contains(&kind.as_str()), "{kind}");
            assert!(count.as_u64().unwrap() > 0, "{kind}");
        }
        assert!(!json["faults"].as_object().unwrap().is_empty());
        for provider in json["providers"].as_object().unwrap().values() {
            assert_eq!(keys(provider), ["cases", "faults", "runs", "seeds", "violations"]);
            assert!(provider["cases"].is_object() && provider["faults"].is_object(), "{provider}");
        }
    }

    #[test]
    fn the_same_seeds_give_the_same_bytes() {
        let judged = chosen(Some("spotify")).unwrap().remove(0);
        let again = || on_all_cores(&judged, &(0..100)).unwrap().to_json().to_string();
        assert_eq!(again(), again());
        let one = |seed| judged.storm(seed).unwrap().unwrap().to_json().to_string();
        let first: Vec<String> = (0..30).map(one).collect();
        let backwards: Vec<String> = (0..30).rev().map(one).collect();
        assert!(first.iter().eq(backwards.iter().rev()), "a run leaves something to the next");
    }
}
