//! The findings as a table and as one line of JSON.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::core_build::CoreBuild;
use crate::machine::Machine;
use crate::measure::{mean, quantile};
use crate::suite::{Cell, Findings, Outcome, Role, Summary};

/// Cells with the part of their JSON names before and after the figure.
const JSON_NAMES: [(Cell, &str, &str); 6] = [
    (Cell::Ready, "", ""),
    (Cell::ReadyTwoThreads, "", "_2_threads"),
    (Cell::Pending, "pending_", ""),
    (Cell::PendingTwoThreads, "pending_", "_2_threads"),
    (Cell::TenTenants, "", "_10_keys"),
    (Cell::ManyTenants, "", "_1m_keys"),
];

pub(crate) struct Report {
    pub(crate) findings: Findings,
    pub(crate) build: Option<CoreBuild>,
    pub(crate) rounds: u32,
    pub(crate) machine: Machine,
}

impl Report {
    pub(crate) fn json(&self) -> Value {
        let mut line = Map::new();
        line.insert("bench".into(), json!("pipeline"));
        let prefixes = [(Role::Bare, "bare_"), (Role::Ours, "ours_"), (Role::OursKeyed, "ours_keyed_")];
        for (role, prefix) in prefixes {
            for outcome in self.findings.outcomes.iter().filter(|outcome| outcome.role == role) {
                line.extend(figures(outcome, prefix));
            }
        }
        for outcome in self.findings.outcomes.iter().filter(|outcome| outcome.role == Role::Ours) {
            line.insert("ours_stages".into(), json!(outcome.stages));
            line.extend(self.difference(outcome, "ours_"));
        }
        line.insert("peers".into(), self.list(Role::Peer));
        line.insert("floors".into(), self.list(Role::Floor));
        line.insert("core_clean_build_s".into(), json!(self.build.map(|build| tenths(build.clean_s))));
        line.insert("core_crates".into(), json!(self.build.map(|build| build.crates)));
        line.insert("core_rebuild_s".into(), json!(self.build.map(|build| tenths(build.rebuild_s))));
        line.insert("runs".into(), json!(self.rounds));
        line.insert("machine".into(), json!(self.machine));
        line.insert("core_to_core_ns".into(), json!(self.distances()));
        line.insert("two_threads_at".into(), json!(self.findings.distance));
        line.insert("waited_share".into(), json!(self.waited(1).map(thousandths)));
        line.insert("waited_share_2_threads".into(), json!(self.waited(2).map(thousandths)));
        Value::Object(line)
    }

    /// How far other programs disturbed the figures.
    fn waited(&self, threads: usize) -> Option<f64> {
        mean(self.findings.outcomes.iter().filter_map(|outcome| outcome.waited(threads)))
    }

    /// Minimum, median and maximum of the distance between the cores.
    fn distances(&self) -> [f64; 3] {
        [0.0, 0.5, 1.0].map(|share| tenths(quantile(&mut self.findings.distances.clone(), share)))
    }

    fn list(&self, role: Role) -> Value {
        self.findings
            .outcomes
            .iter()
            .filter(|outcome| outcome.role == role)
            .map(|outcome| self.entry(outcome))
            .collect()
    }

    fn entry(&self, outcome: &Outcome) -> Value {
        let mut entry = figures(outcome, "");
        entry.insert("name".into(), json!(outcome.name));
        entry.insert("stages".into(), json!(outcome.stages));
        entry.insert("over".into(), json!(outcome.over));
        entry.extend(self.difference(outcome, ""));
        Value::Object(entry)
    }

    /// What a contestant adds to what it stands on.
    fn difference(&self, outcome: &Outcome, prefix: &str) -> Map<String, Value> {
        JSON_NAMES
            .into_iter()
            .filter_map(|(cell, before, after)| {
                let over = tenths(self.over(outcome, cell)?);
                Some((format!("{prefix}{before}over_p50_ns{after}"), json!(over)))
            })
            .collect()
    }

    fn over(&self, outcome: &Outcome, cell: Cell) -> Option<f64> {
        let floor = self.findings.outcomes.iter().find(|floor| floor.name == outcome.over)?;
        Some(outcome.get(cell)?.call - floor.get(cell)?.call)
    }

    pub(crate) fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "One call, {} rounds, medians in ns: of batches (range of the rounds), p99 of single calls; allocations.",
            self.rounds
        )?;
        for cells in [
            [Cell::Ready, Cell::Pending],
            [Cell::ReadyTwoThreads, Cell::PendingTwoThreads],
            [Cell::TenTenants, Cell::ManyTenants],
        ] {
            self.write_cells(out, cells)?;
        }
        writeln!(out)?;
        for outcome in &self.findings.outcomes {
            writeln!(out, "{}: stages {}; over {}", outcome.name, outcome.stages, outcome.over)?;
        }
        let [one, two] = [1, 2].map(|threads| 100.0 * self.waited(threads).unwrap_or_default());
        writeln!(
            out,
            "\nThe threads waited for their core {one:.1} % of the time alone, {two:.1} % as two."
        )?;
        let [min, median, max] = self.distances();
        let at =
            self.findings.distance.map_or("mixed".into(), |distance| format!("{distance:?}").to_lowercase());
        writeln!(
            out,
            "A cache line took {median} ns from core to core ({min}-{max}); two threads: {at} rounds."
        )?;
        if let Some(build) = self.build {
            let CoreBuild { clean_s, crates, rebuild_s } = build;
            writeln!(
                out,
                "\nintegrations-core, dev profile: {clean_s:.1} s clean with {crates} crates, {rebuild_s:.1} s after a touch"
            )?;
        }
        Ok(())
    }

    fn write_cells(&self, out: &mut impl Write, cells: [Cell; 2]) -> io::Result<()> {
        let columns = format!(" | {:>7} {:>17} {:>8} {:>8} {:>2}", "call", "(range)", "p99", "over", "al");
        writeln!(out, "\n{:30} | {:46} | {:46}", "", cells[0].title(), cells[1].title())?;
        writeln!(out, "{:30}{columns}{columns}", "")?;
        let measured = |outcome: &&Outcome| cells.iter().any(|cell| outcome.get(*cell).is_some());
        for outcome in self.findings.outcomes.iter().filter(measured) {
            writeln!(
                out,
                "{:30}{}{}",
                outcome.name,
                self.row(outcome, cells[0]),
                self.row(outcome, cells[1])
            )?;
        }
        Ok(())
    }

    fn row(&self, outcome: &Outcome, cell: Cell) -> String {
        let Some(Summary { call, call_min, call_max, p99, .. }) = outcome.get(cell) else {
            return format!(" | {:46}", "not measured");
        };
        let range = format!("({call_min:.0}-{call_max:.0})");
        let over = self.over(outcome, cell).unwrap_or_default();
        let allocations = outcome.allocations(cell);
        format!(" | {call:>7.0} {range:>17} {p99:>8.0} {over:>8.0} {allocations:>2.0}")
    }
}

fn figures(outcome: &Outcome, prefix: &str) -> Map<String, Value> {
    let mut figures = Map::new();
    for (cell, before, after) in JSON_NAMES {
        if let Some(summary) = outcome.get(cell) {
            figures.insert(format!("{prefix}{before}p50_ns{after}"), json!(tenths(summary.call)));
            figures.insert(format!("{prefix}{before}call_p50_ns{after}"), json!(tenths(summary.p50)));
            figures.insert(format!("{prefix}{before}p99_ns{after}"), json!(tenths(summary.p99)));
        }
    }
    figures.insert(format!("{prefix}allocs"), json!(tenths(outcome.allocations(Cell::Ready))));
    figures.insert(format!("{prefix}pending_allocs"), json!(tenths(outcome.allocations(Cell::Pending))));
    figures
}

fn tenths(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}

fn thousandths(share: f64) -> f64 {
    (share * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Plan;
    use crate::suite;

    #[test]
    fn the_line_has_what_is_compared_with_the_goals() {
        let plan = Plan { calls: 32, warm_up: 32, many_tenants: 20, ..Plan::QUICK };
        let build = Some(CoreBuild { clean_s: 12.34, crates: 5, rebuild_s: 0.1 });
        let report =
            Report { findings: suite::run(plan).unwrap(), build, rounds: 1, machine: Machine::this() };
        let line = report.json();
        assert!(!line.to_string().contains('\n'));
        for field in [
            "bare_p50_ns",
            "bare_pending_p50_ns",
            "ours_p50_ns",
            "ours_p99_ns",
            "ours_allocs",
            "ours_p50_ns_1m_keys",
            "ours_p50_ns_10_keys",
            "ours_pending_p50_ns",
            "ours_pending_p99_ns",
            "ours_pending_allocs",
            "core_clean_build_s",
        ] {
            assert!(line[field].is_number(), "{field}");
        }
        let peers = line["peers"].as_array().unwrap();
        assert!(peers.len() >= 7);
        for peer in peers {
            assert!(peer["name"].is_string() && peer["stages"].is_string());
            assert!(peer["p50_ns"].is_number() && peer["p99_ns"].is_number() && peer["allocs"].is_number());
        }
        let mut table = Vec::new();
        report.write_table(&mut table).unwrap();
    }
}
