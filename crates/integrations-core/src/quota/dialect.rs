//! Headers with a grammar of their own.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::rules::Dialect;
use super::value::{Unit, amount};
use super::{Measure, Quota, Window, fields};

/// Adds what the header tells, which may stand on several lines.
pub(super) fn read(dialect: Dialect, headers: &HeaderMap, quota: &mut Quota) {
    let (header, parse): (_, fn(&str, &mut Quota)) = match dialect {
        Dialect::UsedOfLimit { header } => (header, used_of_limit),
        Dialect::RemainingByPolicy { header } => (header, remaining_by_policy),
        Dialect::PausesByCategory { header } => (header, pauses_by_category),
        Dialect::UsagePercent { header } => (header, usage_percent),
    };
    let lines = headers.get_all(header).iter().filter_map(|line| line.to_str().ok());
    lines.for_each(|line| parse(line, quota));
}

/// Members are separated by `;` or `,`: Salesforce's page shows the first.
fn used_of_limit(line: &str, quota: &mut Quota) {
    for member in line.split([';', ',']) {
        if let Some(window) = usage(member.trim()) {
            quota.push(window);
        }
    }
}

fn usage(member: &str) -> Option<Window> {
    let (name, counts) = match member.split_once('=') {
        Some((name, counts)) => (Some(name), counts),
        None => (None, member),
    };
    let counts = counts.split('(').next()?;
    let (used, limit) = counts.split_once('/')?;
    let (used, limit) = (amount(used)?, amount(limit)?);
    Some(Window {
        name: name.and_then(fields::name),
        limit: Some(limit),
        remaining: Some(limit.saturating_sub(used)),
        ..Window::default()
    })
}

fn remaining_by_policy(line: &str, quota: &mut Quota) {
    for (name, left) in line.split(',').filter_map(|member| member.split_once(';')) {
        let remaining = amount(left);
        quota.push(Window { name: fields::name(name.trim()), remaining, ..Window::default() });
    }
}

/// Each limit is `seconds:categories:scope`, with further parts that clients must ignore.
fn pauses_by_category(line: &str, quota: &mut Quota) {
    for limit in line.split(',') {
        let mut parts = limit.split(':').map(str::trim);
        let seconds = parts.next().and_then(|text| Unit::Seconds.delay(text, Timestamp::UNIX_EPOCH));
        if let Some(delay) = seconds {
            let categories = parts.next().unwrap_or_default();
            pause(delay, categories, parts.next().unwrap_or_default(), quota);
        }
    }
}

fn pause(delay: Duration, categories: &str, scope: &str, quota: &mut Quota) {
    if categories.is_empty() {
        quota.pause(delay);
    }
    for category in categories.split(';').filter_map(fields::name) {
        quota.push(Window { category: Some(category), partition: fields::name(scope), ..exhausted(delay) });
    }
}

fn exhausted(delay: Duration) -> Window {
    Window { remaining: Some(0), reset_after: Some(delay), ..Window::default() }
}

fn usage_percent(line: &str, quota: &mut Quota) {
    if let Ok(Value::Object(members)) = serde_json::from_str(line) {
        percentages(&members, None, quota);
        for (id, value) in &members {
            let entries = value.as_array().into_iter().flatten().filter_map(Value::as_object);
            entries.for_each(|entry| percentages(entry, fields::name(id), quota));
        }
    }
}

/// The percentages of one account, all of which come back at the same time.
fn percentages(members: &Map<String, Value>, partition: Option<Cow<'static, str>>, quota: &mut Quota) {
    let kind = members.get("type").and_then(Value::as_str);
    let access = regained(members);
    for (key, used) in members {
        let counts =
            matches!(key.as_str(), "call_count" | "total_time" | "total_cputime" | "acc_id_util_pct");
        let Some(used) = amount(&used.to_string()).filter(|_| counts) else { continue };
        let name = kind.map_or_else(|| fields::name(key), |kind| fields::name(&format!("{kind}/{key}")));
        quota.push(Window {
            name,
            partition: partition.clone(),
            measure: Measure::Percent,
            limit: Some(100),
            remaining: Some(100u64.saturating_sub(used)),
            reset_after: access,
            ..Window::default()
        });
    }
    if let (Some(delay), Some(_)) = (blocked(members), kind) {
        let name = kind.and_then(fields::name);
        quota.push(Window { name, partition, measure: Measure::Percent, ..exhausted(delay) });
    }
}

/// When a percentage falls, where the header says so.
fn regained(members: &Map<String, Value>) -> Option<Duration> {
    let seconds = members.get("reset_time_duration").and_then(|v| delay(v, Unit::Seconds));
    seconds.or_else(|| blocked(members))
}

/// The minutes until a blocked account may call again; above zero only while it is blocked.
fn blocked(members: &Map<String, Value>) -> Option<Duration> {
    let minutes = members.get("estimated_time_to_regain_access")?;
    delay(minutes, Unit::Minutes).filter(|d| !d.is_zero())
}

fn delay(value: &Value, unit: Unit) -> Option<Duration> {
    unit.delay(&value.to_string(), Timestamp::UNIX_EPOCH)
}
