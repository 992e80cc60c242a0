//! The families that many services share, collected in one pass over the headers.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

use super::value::{Unit, amount, whole_seconds};
use super::{MAX_WINDOWS, Measure, Window, fields};

/// Headers that tell a delay, the more precise first: services that send both mean the finer one
/// (Azure/azure-sdk-for-net#6025, Azure/azure-sdk-for-python#33510).
const DELAYS: [(&str, Unit); 5] = [
    ("retry-after-ms", Unit::Millis),
    ("x-ms-retry-after-ms", Unit::Millis),
    ("x-amz-retry-after", Unit::Millis),
    ("retry-after", Unit::Auto),
    ("x-ratelimit-retry-after", Unit::Auto),
];

/// The families, the most specified first. A service that sends several means the same limit by each.
const FAMILIES: [&str; 3] = ["ratelimit-", "x-ratelimit-", "x-rate-limit-"];

const PARTS: [(&str, Part); 8] = [
    ("limit", Part::Limit),
    ("remaining", Part::Remaining),
    ("used", Part::Used),
    ("reset", Part::Reset),
    ("reset-after", Part::ResetAfter),
    ("reset-in", Part::ResetAfter),
    ("bucket", Part::Name),
    ("resource", Part::Name),
];

/// Windows that have a name of their own at the end of the header's name: `X-RateLimit-Limit-Minute` (Kong),
/// `x-ratelimit-remaining-tokens` (OpenAI and those who copied it).
const NAMED: [(&str, Option<u64>, Measure); 7] = [
    ("second", Some(1), Measure::Requests),
    ("minute", Some(60), Measure::Requests),
    ("hour", Some(3600), Measure::Requests),
    ("day", Some(86_400), Measure::Requests),
    ("month", None, Measure::Requests),
    ("requests", None, Measure::Requests),
    ("tokens", None, Measure::Units),
];

/// The headers that matter, still as text.
#[derive(Default)]
pub(super) struct Told<'a> {
    delays: [Option<&'a str>; DELAYS.len()],
    states: Option<Cow<'a, str>>,
    policies: Option<Cow<'a, str>>,
    parts: Vec<Parts<'a>>,
}

#[derive(Clone, Copy)]
enum Part {
    Limit,
    Remaining,
    Used,
    Reset,
    ResetAfter,
    Name,
}

/// One window as a family of headers tells it.
#[derive(Clone, Copy, Default)]
struct Parts<'a> {
    family: usize,
    named: Option<usize>,
    limit: Option<&'a str>,
    remaining: Option<&'a str>,
    used: Option<&'a str>,
    reset: Option<&'a str>,
    reset_after: Option<&'a str>,
    name: Option<&'a str>,
}

impl<'a> Told<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut told = Self::default();
        for (name, value) in headers {
            let name = name.as_str();
            // Most headers of most answers end here.
            if name.starts_with(['r', 'x'])
                && let Ok(text) = value.to_str()
            {
                told.take(name, text);
            }
        }
        told
    }

    fn take(&mut self, name: &str, text: &'a str) {
        if let Some(i) = DELAYS.iter().position(|(known, _)| *known == name) {
            self.delays[i].get_or_insert(text);
        } else if name == "ratelimit" {
            join(&mut self.states, text);
        } else if name == "ratelimit-policy" {
            join(&mut self.policies, text);
        } else if let Some((family, named, part)) = classify(name) {
            self.parts_of(family, named).set(part, text);
        }
    }

    fn parts_of(&mut self, family: usize, named: Option<usize>) -> &mut Parts<'a> {
        let found = self.parts.iter().position(|p| p.family == family && p.named == named);
        let i = found.unwrap_or_else(|| {
            self.parts.push(Parts { family, named, ..Parts::default() });
            self.parts.len() - 1
        });
        &mut self.parts[i]
    }

    /// Most answers tell nothing, and then not even their date need be read.
    pub(super) fn is_empty(&self) -> bool {
        let fields = self.states.is_none() && self.policies.is_none();
        fields && self.parts.is_empty() && self.delays.iter().all(Option::is_none)
    }

    /// The delay, by the first header that has one.
    pub(super) fn delay(&self, now: Timestamp) -> Option<Duration> {
        DELAYS.iter().zip(self.delays).find_map(|((_, unit), text)| unit.delay(text?, now))
    }

    /// The windows: those with a state first, then policies about whose state nothing is known.
    pub(super) fn windows(&self, now: Timestamp) -> Vec<Window> {
        let mut policies = self.policies.as_deref().map(policies).unwrap_or_default();
        let mut windows = self.states.as_deref().map(|text| states(text, &mut policies)).unwrap_or_default();
        if windows.is_empty()
            && let Some(parts) = self.unnamed()
        {
            windows.push(parts.window(&mut policies, now));
        }
        let named = self.parts.iter().filter(|p| p.named.is_some());
        windows.extend(named.map(|parts| parts.window(&mut Vec::new(), now)));
        windows.append(&mut policies);
        windows
    }

    fn unnamed(&self) -> Option<Parts<'_>> {
        let families = self.parts.iter().filter(|p| p.named.is_none());
        self.states.as_deref().and_then(dictionary).or_else(|| families.min_by_key(|p| p.family).copied())
    }
}

/// Joins the lines of one field as RFC 9110 section 5.3 allows.
fn join<'a>(field: &mut Option<Cow<'a, str>>, line: &'a str) {
    match field {
        None => *field = Some(Cow::Borrowed(line)),
        Some(lines) => {
            let lines = lines.to_mut();
            lines.push_str(", ");
            lines.push_str(line);
        }
    }
}

fn classify(name: &str) -> Option<(usize, Option<usize>, Part)> {
    let (family, rest) =
        FAMILIES.iter().enumerate().find_map(|(i, prefix)| Some((i, name.strip_prefix(prefix)?)))?;
    if let Some((_, part)) = PARTS.iter().find(|(known, _)| *known == rest) {
        return Some((family, None, *part));
    }
    let (part, named) = rest.split_once('-')?;
    let (_, part) = PARTS.iter().find(|(known, _)| *known == part)?;
    let named = NAMED.iter().position(|(known, ..)| *known == named)?;
    Some((family, Some(named), *part))
}

/// `RateLimit-Policy`: `"burst";q=100;w=60` and the earlier `burst;l=100;w=60` and `100;w=60`.
fn policies(text: &str) -> Vec<Window> {
    fields::list(text).unwrap_or_default().iter().filter_map(policy).take(MAX_WINDOWS).collect()
}

fn policy(item: &fields::Item<'_>) -> Option<Window> {
    Some(Window {
        limit: Some(item.param(&["q", "l"]).or_else(|| item.amount())?),
        name: item.name(),
        partition: item.param_name("pk"),
        measure: measure(item.param_name("qu").as_deref()),
        period: item.param(&["w", "window"]).filter(|w| *w > 0).and_then(whole_seconds),
        ..Window::default()
    })
}

fn measure(unit: Option<&str>) -> Measure {
    match unit {
        None | Some("requests") => Measure::Requests,
        Some("content-bytes") => Measure::Bytes,
        Some("concurrent-requests") => Measure::Concurrency,
        Some(_) => Measure::Units,
    }
}

/// `RateLimit`: `"default";r=50;t=30`, each state joined with the policy of its name.
fn states(text: &str, policies: &mut Vec<Window>) -> Vec<Window> {
    let items = fields::list(text).unwrap_or_default();
    items.iter().filter_map(|item| state(item, policies)).take(MAX_WINDOWS).collect()
}

fn state(item: &fields::Item<'_>, policies: &mut Vec<Window>) -> Option<Window> {
    let name = item.name()?;
    let remaining = item.param(&["r"])?;
    let partition = item.param_name("pk");
    let same = policies.iter().position(|policy| {
        policy.name.as_ref() == Some(&name) && (policy.partition.is_none() || policy.partition == partition)
    });
    let policy = same.map(|i| policies.remove(i)).unwrap_or_default();
    Some(Window {
        name: Some(name),
        partition,
        remaining: Some(remaining),
        reset_after: item.param(&["t"]).and_then(whole_seconds),
        ..policy
    })
}

/// `RateLimit: limit=100, remaining=50, reset=5`, as draft 07 had it and express-rate-limit still sends it.
fn dictionary(text: &str) -> Option<Parts<'_>> {
    let mut parts = Parts::default();
    for member in text.split(',') {
        let member = member.split(';').next().unwrap_or_default();
        let (key, value) = member.split_once('=')?;
        if let Some((_, part)) = PARTS.iter().find(|(known, _)| *known == key.trim()) {
            parts.set(*part, value.trim());
        }
    }
    (parts.remaining.is_some() || parts.limit.is_some()).then_some(parts)
}

impl<'a> Parts<'a> {
    /// The first line of a repeated header counts.
    fn set(&mut self, part: Part, text: &'a str) {
        let slot = match part {
            Part::Limit => &mut self.limit,
            Part::Remaining => &mut self.remaining,
            Part::Used => &mut self.used,
            Part::Reset => &mut self.reset,
            Part::ResetAfter => &mut self.reset_after,
            Part::Name => &mut self.name,
        };
        slot.get_or_insert(text);
    }

    fn window(&self, policies: &mut Vec<Window>, now: Timestamp) -> Window {
        let remaining = self.remaining.and_then(amount);
        let used = self.used.and_then(amount);
        let limit = self.told_limit(policies).or_else(|| remaining?.checked_add(used?));
        let mut window = self.policy(limit, policies);
        window.name = self.name.and_then(fields::name).or(window.name);
        window.limit = limit.or(window.limit);
        window.remaining = remaining.or_else(|| limit?.checked_sub(used?));
        window.reset_after = self.reset_after(now);
        window
    }

    /// `100`, or `100, 100;w=60, 1000;w=3600`: the limit in force, then all policies (drafts 00 to 06).
    fn told_limit(&self, policies: &mut Vec<Window>) -> Option<u64> {
        let text = self.limit?;
        if let Some(limit) = amount(text) {
            return Some(limit);
        }
        let items = fields::list(text)?;
        let dated = items.iter().filter(|item| item.param(&["w", "window"]).is_some());
        policies.extend(dated.filter_map(policy).take(MAX_WINDOWS));
        items.first()?.amount()
    }

    /// Takes the policy that this window is the state of.
    fn policy(&self, limit: Option<u64>, policies: &mut Vec<Window>) -> Window {
        if let Some((name, period, measure)) = self.named.map(|i| NAMED[i]) {
            let period = period.map(Duration::from_secs);
            return Window { name: Some(Cow::Borrowed(name)), period, measure, ..Window::default() };
        }
        let same = match limit {
            Some(_) => policies.iter().position(|policy| policy.limit == limit),
            None => (policies.len() == 1).then_some(0),
        };
        same.map(|i| policies.remove(i)).unwrap_or_default()
    }

    /// Told as a span it needs no clock, so it goes before the moment.
    fn reset_after(&self, now: Timestamp) -> Option<Duration> {
        let span = self.reset_after.and_then(|text| Unit::Seconds.delay(text, now));
        span.or_else(|| Unit::Auto.delay(self.reset?, now))
    }
}
