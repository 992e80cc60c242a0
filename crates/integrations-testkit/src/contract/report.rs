//! What the check of many operations found, to be printed or read by a program.

use serde_json::{Value, json};

use super::Violation;

/// The result over all providers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// One entry for each provider.
    pub providers: Vec<ProviderReport>,
}

/// The result for one provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderReport {
    /// The id of the provider.
    pub id: String,
    /// How many operations the provider has.
    pub operations: usize,
    /// How many of them were checked against a description.
    pub checked: usize,
    /// What is wrong with requests: the operation and the violation.
    pub request_violations: Vec<(String, Violation)>,
    /// What is wrong with responses: the operation and the violation.
    pub response_violations: Vec<(String, Violation)>,
    /// What was not checked.
    pub unchecked: Vec<Unchecked>,
}

/// Something that was not checked, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unchecked {
    /// The operation.
    pub op: String,
    /// Why, in one line.
    pub why: String,
    /// Whether it ought to have been checked, so that the whole has failed.
    pub due: bool,
}

impl Report {
    /// How many violations there are in all.
    pub fn violations(&self) -> usize {
        let of = |provider: &ProviderReport| {
            provider.request_violations.len() + provider.response_violations.len()
        };
        self.providers.iter().map(of).sum()
    }

    /// Whether everything that ought to be checked was, and nothing is wrong.
    pub fn passed(&self) -> bool {
        let mut unchecked = self.providers.iter().flat_map(|provider| &provider.unchecked);
        self.violations() == 0 && !unchecked.any(|entry| entry.due)
    }

    /// `{"violations":N,"providers":[{"id":…,"operations":N,"checked":N,"request_violations":[…],…}]}`.
    pub fn to_json(&self) -> String {
        let providers: Vec<Value> = self.providers.iter().map(provider).collect();
        json!({"violations": self.violations(), "providers": providers}).to_string()
    }
}

fn provider(report: &ProviderReport) -> Value {
    let unchecked: Vec<Value> =
        report.unchecked.iter().map(|entry| json!({"op": entry.op, "why": entry.why})).collect();
    json!({
        "id": report.id,
        "operations": report.operations,
        "checked": report.checked,
        "request_violations": violations(&report.request_violations),
        "response_violations": violations(&report.response_violations),
        "unchecked": unchecked,
    })
}

fn violations(found: &[(String, Violation)]) -> Vec<Value> {
    let entry = |(op, violation): &(String, Violation)| json!({"op": op, "where": violation.at, "what": violation.what, "rule": violation.rule.name()});
    found.iter().map(entry).collect()
}
