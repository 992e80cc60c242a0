//! A provider's golden files against its vendor's descriptions.

use integrations_core::provider::{OpRow, ProviderSpec};
use integrations_core::{Caller, Result, WireResponse};
use integrations_sandbox::Sandbox;
use serde_json::Value;

use super::{Description, Operation, ProviderReport, Request, Unchecked, Violation};
use crate::golden::{Golden, Goldens};

type Change<'j, T> = Box<dyn Fn(&Golden, &mut T) + 'j>;

/// Judges every operation of a provider by its golden files: the request that the endpoint builds from the arguments
/// now, the answer that the fake gives now, and the answer that was recorded; all of them strictly.
///
/// The operation is found by the id in the provider's facts, not by its path, so a path that has moved to another
/// operation is a violation.
pub struct Judge<'j> {
    spec: &'static ProviderSpec,
    descriptions: &'j [Description],
    goldens: &'j Goldens,
    request: Change<'j, Request>,
    answer: Change<'j, Value>,
}

impl<'j> Judge<'j> {
    /// A judge of one provider.
    pub fn new(spec: &'static ProviderSpec, descriptions: &'j [Description], goldens: &'j Goldens) -> Self {
        Self { spec, descriptions, goldens, request: Box::new(|_, _| {}), answer: Box::new(|_, _| {}) }
    }

    /// Changes requests before they are judged: to show that the judge finds a wrong one.
    #[must_use]
    pub fn with_requests(mut self, change: impl Fn(&Golden, &mut Request) + 'j) -> Self {
        self.request = Box::new(change);
        self
    }

    /// Changes the JSON of answers before they are judged, those of the fake and the recorded ones.
    #[must_use]
    pub fn with_answers(mut self, change: impl Fn(&Golden, &mut Value) + 'j) -> Self {
        self.answer = Box::new(change);
        self
    }

    /// Judges. `connect` makes the provider's client of a fake; see [`Goldens::check`], like which it is called outside
    /// of any runtime.
    pub fn run(&self, connect: impl Fn(&Sandbox) -> Result<Caller>) -> ProviderReport {
        let mut report = ProviderReport {
            id: self.spec.id.to_owned(),
            operations: self.spec.ops.len(),
            ..ProviderReport::default()
        };
        for row in self.spec.ops {
            self.judge(row, &connect, &mut report);
        }
        report
    }

    fn judge(&self, row: &OpRow, connect: &dyn Fn(&Sandbox) -> Result<Caller>, report: &mut ProviderReport) {
        let name = row.op.name;
        let operation = match self.operation(row) {
            Ok(operation) => operation,
            Err((why, due)) => {
                report.unchecked.push(Unchecked { op: name.to_owned(), why, due });
                return;
            }
        };
        let mut missed: Vec<Unchecked> = Vec::new();
        let mut goldens = self.goldens.iter().filter(|golden| golden.op() == row.op).peekable();
        if goldens.peek().is_none() {
            missed.push(Unchecked {
                op: name.to_owned(),
                why: "it has no golden file".to_owned(),
                due: true,
            });
        }
        for golden in goldens {
            let whys = self.judge_one(golden, operation, connect, report);
            let entry = |why| Unchecked { op: golden.name().to_owned(), why, due: true };
            missed.extend(whys.into_iter().map(entry));
        }
        report.checked += usize::from(missed.is_empty());
        report.unchecked.extend(missed);
        let parts = operation.unchecked().into_iter();
        let part = |why| Unchecked { op: name.to_owned(), why: format!("in part: {why}"), due: false };
        report.unchecked.extend(parts.map(part));
    }

    /// What describes the operation; else why nothing does, and whether something ought to.
    fn operation(&self, row: &OpRow) -> Result<Operation<'j>, (String, bool)> {
        let Some(id) = row.description_id else {
            let nothing = || ("its facts give neither an id nor a reason".to_owned(), true);
            return Err(row.undescribed.map_or_else(nothing, |why| (why.to_owned(), false)));
        };
        let found = self.descriptions.iter().find_map(|description| description.by_id(id));
        found.ok_or_else(|| (format!("no description has the operation `{id}`"), true))
    }

    /// Judges one golden; gives what could not be judged, and why.
    fn judge_one(
        &self,
        golden: &Golden,
        operation: Operation<'_>,
        connect: &dyn Fn(&Sandbox) -> Result<Caller>,
        report: &mut ProviderReport,
    ) -> Vec<String> {
        let mut missed = Vec::new();
        match self.goldens.request(golden) {
            Ok(request) => {
                let mut request = Request::from(request);
                (self.request)(golden, &mut request);
                add(&mut report.request_violations, golden, operation.check_request(&request));
            }
            Err(e) => missed.push(format!("the request cannot be built: {e}")),
        }
        let now = self.goldens.ask(golden, connect).map_err(|e| format!("the call failed: {e}"));
        let recorded = golden.response().ok_or_else(|| "it was not recorded yet".to_owned());
        for response in [now, recorded] {
            match response {
                Ok(response) => {
                    let found = self.check_answer(golden, operation, response);
                    add(&mut report.response_violations, golden, found);
                }
                Err(why) => missed.push(why),
            }
        }
        missed
    }

    fn check_answer(
        &self,
        golden: &Golden,
        operation: Operation<'_>,
        mut response: WireResponse,
    ) -> Vec<Violation> {
        if let Ok(mut body) = serde_json::from_slice(&response.body) {
            (self.answer)(golden, &mut body);
            response.body = body.to_string().into();
        }
        operation.check_response_strict(response.status.as_u16(), &response.headers, &response.body)
    }
}

/// Adds what is not there yet: the fake's answer is usually the recorded one.
fn add(to: &mut Vec<(String, Violation)>, golden: &Golden, found: Vec<Violation>) {
    for violation in found {
        let entry = (golden.name().to_owned(), violation);
        if !to.contains(&entry) {
            to.push(entry);
        }
    }
}
