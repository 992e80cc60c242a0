//! Every dialect of limits that a vendor, a standard or an issue documents, as data: one row, one answer, one reading.
//!
//! A row names its source. `expect` is the whole of what is read, so that nothing extra may appear either.

mod arbitrary;
mod rules;

use std::collections::BTreeSet;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use integrations_core::quota::{self, Measure, Quota, RateRules, Window};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::rules::RULES;

const CORPUS: &str = include_str!("corpus.json");
const MALFORMED: &str = include_str!("malformed.json");

/// 2026-11-20T12:00:00Z, unless a row says otherwise.
const RECEIVED: Timestamp = Timestamp::constant(1_795_176_000, 0);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    source: String,
    status: u16,
    received: Option<Timestamp>,
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: Value,
    #[serde(default = "standard")]
    rule: String,
    #[serde(default)]
    bucket: String,
    #[serde(default = "one")]
    cost: u32,
    expect: Value,
}

fn standard() -> String {
    "standard".to_owned()
}

fn one() -> u32 {
    1
}

impl Row {
    fn rules(&self) -> RateRules {
        let found = RULES.iter().find(|(name, _)| *name == self.rule);
        found.unwrap_or_else(|| panic!("no rule `{}`", self.rule)).1
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().expect("a header name");
            headers.append(name, HeaderValue::from_str(value).expect("a header value"));
        }
        headers
    }

    /// A string is a body that is not JSON.
    fn body(&self) -> Vec<u8> {
        match &self.body {
            Value::Null => Vec::new(),
            Value::String(text) => text.clone().into_bytes(),
            json => json.to_string().into_bytes(),
        }
    }

    fn read(&self) -> Quota {
        let status = StatusCode::from_u16(self.status).expect("a status");
        let now = self.received.unwrap_or(RECEIVED);
        let quota = self.rules().read(status, &self.headers(), &self.body(), now);
        if self.rule == "standard" {
            assert_eq!(quota::standard(status, &self.headers(), now), quota, "{}", self.name);
        }
        quota
    }
}

fn rows(text: &str) -> Vec<Row> {
    serde_json::from_str(text).expect("a table of rows")
}

/// A quota as rows write it: what is unknown is left out, times are whole milliseconds.
fn written(quota: &Quota, bucket: &str, cost: u32) -> Value {
    let windows: Vec<_> = quota.windows.iter().map(window_written).collect();
    object([
        ("retry_after_ms", millis(quota.retry_after)),
        ("global", quota.global.then_some(json!(true))),
        ("windows", (!windows.is_empty()).then_some(json!(windows))),
        ("wait_ms", millis(quota.wait(bucket, cost))),
    ])
}

fn window_written(window: &Window) -> Value {
    object([
        ("name", window.name.as_deref().map(Value::from)),
        ("category", window.category.as_deref().map(Value::from)),
        ("partition", window.partition.as_deref().map(Value::from)),
        ("measure", measure(window.measure).map(Value::from)),
        ("limit", window.limit.map(Value::from)),
        ("remaining", window.remaining.map(Value::from)),
        ("reset_ms", millis(window.reset_after)),
        ("period_ms", millis(window.period)),
    ])
}

fn measure(measure: Measure) -> Option<&'static str> {
    match measure {
        Measure::Requests => None,
        Measure::Units => Some("units"),
        Measure::Bytes => Some("bytes"),
        Measure::Concurrency => Some("concurrency"),
        Measure::Percent => Some("percent"),
        other => panic!("{other:?} has no word here"),
    }
}

fn millis(time: Option<Duration>) -> Option<Value> {
    time.map(|t| Value::from(u64::try_from(t.as_millis()).expect("at most a month")))
}

fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let known = members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(known.collect::<Map<_, _>>())
}

/// Reports every row that differs, not only the first.
fn check(text: &str) -> usize {
    let rows = rows(text);
    let differences: Vec<_> = rows.iter().filter_map(difference).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    rows.len()
}

fn difference(row: &Row) -> Option<String> {
    let Row { name, source, expect, .. } = row;
    let told = written(&row.read(), &row.bucket, row.cost);
    (told != *expect).then(|| format!("{name} ({source})\n  told     {told}\n  expected {expect}"))
}

#[test]
fn every_documented_dialect_is_understood() {
    assert!(check(CORPUS) >= 80);
}

#[test]
fn what_is_malformed_is_ignored() {
    assert!(check(MALFORMED) >= 60);
}

#[test]
fn rows_are_named_once_and_name_their_source() {
    for text in [CORPUS, MALFORMED] {
        let rows = rows(text);
        let names: BTreeSet<_> = rows.iter().map(|row| &row.name).collect();
        assert_eq!(names.len(), rows.len());
        assert!(rows.iter().all(|row| !row.source.is_empty()));
    }
}

#[test]
fn every_rule_of_the_table_has_a_row() {
    let rows = rows(CORPUS);
    let used: BTreeSet<_> = rows.iter().map(|row| row.rule.as_str()).collect();
    let unused: Vec<_> = RULES.iter().map(|(name, _)| *name).filter(|name| !used.contains(name)).collect();
    assert_eq!(unused, ["everything"]);
}

/// A Date header moves with the service's clock, so a moment and a span stay the same delay however wrong ours is.
#[test]
fn with_a_date_our_own_clock_does_not_matter() {
    let dated: Vec<_> = rows(CORPUS)
        .into_iter()
        .filter(|row| row.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("date")))
        .collect();
    assert!(dated.len() >= 3);
    for mut row in dated {
        for wrong in ["1999-01-01T00:00:00Z", "2050-01-01T00:00:00Z"] {
            row.received = Some(wrong.parse().expect("a timestamp"));
            assert_eq!(written(&row.read(), &row.bucket, row.cost), row.expect, "{}", row.name);
        }
    }
}
