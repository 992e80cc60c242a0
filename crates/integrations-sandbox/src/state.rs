//! The vendor and everything around it, and what a request meets there.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::plan::Asked;
use crate::{Answer, Call, DelayForm, Fake, Fault, Ledger, Plan, Trouble, Vendor, World};

/// So many of the last exchanges are kept.
const KEPT: usize = 10_000;

/// One exchange, as the vendor's side saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// The operation's name, or the method in lower case where it came through a socket.
    pub op: &'static str,
    /// 1 for the first attempt of a call, as far as that is known.
    pub attempt: u32,
    /// What went wrong on purpose, by [`Fault::kind`].
    pub fault: Option<&'static str>,
    /// The status of the answer; `None` where none was sent.
    pub status: Option<u16>,
    /// It was sent after the time of its attempt was over.
    pub late: bool,
}

/// What a request meets.
#[derive(Debug)]
pub(crate) enum Met {
    /// The answer, and how long it takes.
    Answered(Answer, Duration),
    /// There is no connection.
    Refused,
    /// The connection breaks.
    Reset,
    /// Nothing ever comes.
    Hangs,
}

impl From<Answer> for Met {
    fn from(answer: Answer) -> Self {
        Self::Answered(answer, Duration::ZERO)
    }
}

pub(crate) struct State {
    pub(crate) vendor: Box<dyn Vendor>,
    pub(crate) ledger: Ledger,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) requests: u64,
    pub(crate) seen: VecDeque<Seen>,
    pub(crate) attempts: BTreeMap<&'static str, u32>,
    random: fastrand::Rng,
    plan: Plan,
    /// How far the vendor's clock is ahead.
    skew: SignedDuration,
    /// The settings that were replaced, with their new values.
    rotated: HashMap<&'static str, String>,
}

impl State {
    pub(crate) fn new(fake: &Fake, seed: u64) -> Self {
        Self {
            vendor: (fake.make)(seed),
            ledger: Ledger::default(),
            faults: BTreeMap::new(),
            requests: 0,
            seen: VecDeque::new(),
            attempts: BTreeMap::new(),
            random: fastrand::Rng::with_seed(seed),
            plan: Plan::none(),
            skew: SignedDuration::ZERO,
            rotated: HashMap::new(),
        }
    }

    pub(crate) fn set_plan(&mut self, plan: Plan) {
        (self.plan, self.skew) = (plan, SignedDuration::ZERO);
    }

    /// The vendor's settings, with those that were replaced since.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let present = |(name, value)| (name, self.rotated.get(name).cloned().unwrap_or(value));
        self.vendor.settings().into_iter().map(present).collect()
    }

    /// One request meets what the plan has for it. The kind of the fault is told too.
    pub(crate) fn meet(&mut self, call: &Call<'_>, asked: &Asked) -> (Option<&'static str>, Met) {
        self.requests += 1;
        let drawn = self.plan.draw(asked);
        let suffered = drawn.and_then(|fault| Some((fault, self.suffer(fault, call, asked.now)?)));
        let (mut fault, mut met) = match suffered {
            Some((fault, met)) => (Some(fault), met),
            // A fault that this vendor does not have is none.
            None => (None, self.act(call, asked.now).into()),
        };
        if let Met::Answered(answer, _) = &mut met {
            fault = fault.filter(|fault| spoil(fault, answer, self.requests));
            self.date(answer, asked.now);
        }
        let kind = fault.map(|fault| fault.kind());
        self.note(kind, &met, asked);
        (kind, met)
    }

    /// Answers one request, and nothing goes wrong.
    pub(crate) fn answer(&mut self, call: &Call<'_>, now: Timestamp) -> Answer {
        self.requests += 1;
        let mut answer = self.act(call, now);
        self.date(&mut answer, now);
        answer
    }

    /// What a fault makes of a request; `None` where this vendor cannot have it.
    fn suffer(&mut self, fault: Fault, call: &Call<'_>, now: Timestamp) -> Option<Met> {
        Some(match fault {
            Fault::Latency(time) => Met::Answered(self.act(call, now), time),
            // Their answers are spoilt later.
            Fault::Truncated | Fault::WrongShape => self.act(call, now).into(),
            Fault::Refused => Met::Refused,
            Fault::ResetBefore => Met::Reset,
            Fault::ResetAfter => self.act_and(call, now, Met::Reset),
            Fault::HangBefore => Met::Hangs,
            Fault::HangAfter => self.act_and(call, now, Met::Hangs),
            Fault::RateLimited(delay, form) => self.rate_limited(delay, form, now)?.into(),
            Fault::QuotaExhausted => self.vendor.word(Trouble::QuotaExhausted)?.into(),
            Fault::Broken { status, acted } => self.broken(status, acted, call, now)?.into(),
            Fault::ProxyPage => proxy_page().into(),
            Fault::FailedWithSuccess => self.vendor.word(Trouble::FailedWithSuccess)?.into(),
            Fault::Rotated => self.rotate().map(|()| self.act(call, now))?.into(),
            Fault::ClockSkew(seconds) => {
                self.skew = SignedDuration::from_secs(seconds.into());
                self.act(call, now).into()
            }
            Fault::CursorLoop => self.act_in(call, now, false, true).into(),
            Fault::LaggingIndex => self.act_in(call, now, true, false).into(),
        })
    }

    fn act(&mut self, call: &Call<'_>, now: Timestamp) -> Answer {
        self.act_in(call, now, false, false)
    }

    fn act_and(&mut self, call: &Call<'_>, now: Timestamp, met: Met) -> Met {
        let _lost = self.act(call, now);
        met
    }

    fn act_in(&mut self, call: &Call<'_>, now: Timestamp, lags: bool, loops: bool) -> Answer {
        let now = self.time(now);
        let Self { vendor, ledger, random, .. } = self;
        vendor.answer(call, &mut World { now, ledger, random, lags, loops })
    }

    fn rotate(&mut self) -> Option<()> {
        let (name, value) = self.vendor.rotate()?;
        self.rotated.insert(name, value);
        Some(())
    }

    fn rate_limited(&self, delay: Duration, form: DelayForm, now: Timestamp) -> Option<Answer> {
        let told = (form != DelayForm::Missing).then_some(delay);
        let mut answer = self.vendor.word(Trouble::RateLimited(told))?;
        let written = match form {
            DelayForm::Seconds => Some(whole_seconds(delay).to_string()),
            DelayForm::HttpDate => Some(http_date(later(self.time(now), delay))),
            DelayForm::Missing => None,
        };
        if let (Some(written), false) = (written, tells_delay(&answer)) {
            answer = answer.header(RETRY_AFTER, &written);
        }
        Some(answer)
    }

    fn broken(&mut self, status: u16, acted: bool, call: &Call<'_>, now: Timestamp) -> Option<Answer> {
        let answer = self.vendor.word(Trouble::Broken(status))?;
        if acted && !refuses_on_purpose(&answer) {
            let _lost = self.act(call, now);
        }
        Some(answer)
    }

    /// The vendor's time.
    fn time(&self, now: Timestamp) -> Timestamp {
        now.saturating_add(self.skew).unwrap_or(now)
    }

    /// Every answer has a date, as RFC 9110 section 6.6.1 wants it.
    fn date(&self, answer: &mut Answer, now: Timestamp) {
        if let (false, Ok(date)) =
            (answer.headers.contains_key(DATE), HeaderValue::from_str(&http_date(self.time(now))))
        {
            answer.headers.insert(DATE, date);
        }
    }

    fn note(&mut self, fault: Option<&'static str>, met: &Met, asked: &Asked) {
        let (op, attempt) = (asked.exchange.op.name, asked.exchange.attempt);
        if let Some(kind) = fault {
            *self.faults.entry(kind).or_default() += 1;
        }
        let most = self.attempts.entry(op).or_default();
        *most = attempt.max(*most);
        let status = match met {
            Met::Answered(answer, _) => Some(answer.status.as_u16()),
            Met::Refused | Met::Reset | Met::Hangs => None,
        };
        if self.seen.len() == KEPT {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen { op, attempt, fault, status, late: asked.exchange.time_left.is_zero() });
    }
}

/// Whether a vendor has put the delay into a place of its own already.
fn tells_delay(answer: &Answer) -> bool {
    let tells = |name: &str| name.starts_with("retry-after") || name.ends_with("reset");
    answer.headers.keys().any(|name| tells(name.as_str()))
}

/// A service that says when to come back has not acted (RFC 9110 section 15.6.4).
fn refuses_on_purpose(answer: &Answer) -> bool {
    answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.headers.contains_key(RETRY_AFTER)
}

fn proxy_page() -> Answer {
    let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center></body>\r\n</html>\r\n";
    Answer::text(502, "text/html", page)
}

/// Does to an answer what is left to do of a fault. `false` where the answer has nothing that could go wrong so.
fn spoil(fault: &Fault, answer: &mut Answer, chance: u64) -> bool {
    match fault {
        Fault::Truncated => truncate(answer),
        Fault::WrongShape => misshape(answer, chance),
        _ => true,
    }
}

fn truncate(answer: &mut Answer) -> bool {
    let half = answer.body.len() / 2;
    if half > 0 {
        answer.headers.remove(CONTENT_LENGTH);
        answer.body.truncate(half);
    }
    half > 0
}

fn misshape(answer: &mut Answer, chance: u64) -> bool {
    if answer.body.is_empty() {
        return false;
    }
    let before: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let mut shapes = vec![json!(["unexpected"]), json!("unexpected"), json!(42)];
    shapes.retain(|shape| before.as_ref().is_none_or(|before| kind(before) != kind(shape)));
    let shape = &shapes[chance as usize % shapes.len()];
    answer.headers.remove(CONTENT_LENGTH);
    answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.body = Bytes::from(shape.to_string());
    true
}

fn kind(value: &Value) -> std::mem::Discriminant<Value> {
    std::mem::discriminant(value)
}

fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

fn later(now: Timestamp, delay: Duration) -> Timestamp {
    let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
    now.saturating_add(delay).unwrap_or(now)
}

/// The fixed form of RFC 9110 section 5.6.7.
fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use integrations_core::quota;

    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        let at: Timestamp = "1994-11-06T08:49:37.9Z".parse().unwrap();
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(quota::http_date(&http_date(at)), Some("1994-11-06T08:49:37Z".parse().unwrap()));
    }

    #[test]
    fn a_wrong_shape_is_another_one_and_json() {
        for body in [json!({ "a": 1 }), json!([1]), json!("a"), json!(1), json!(null)] {
            for chance in 0..7 {
                let mut answer = Answer::json(200, &body);
                assert!(misshape(&mut answer, chance));
                let shape: Value = serde_json::from_slice(&answer.body).unwrap();
                assert_ne!(kind(&shape), kind(&body));
            }
        }
        let mut page = Answer::text(200, "text/xml", "<a/>");
        assert!(misshape(&mut page, 0));
        assert_eq!(page.headers[CONTENT_TYPE], "application/json");
        assert!(!misshape(&mut Answer::empty(204), 0));
    }

    #[test]
    fn half_an_answer_is_half_and_nothing_has_no_half() {
        let mut half = Answer::text(200, "text/plain", "abcd").header(CONTENT_LENGTH, "4");
        assert!(truncate(&mut half));
        assert_eq!((&half.body[..], half.headers.contains_key(CONTENT_LENGTH)), (&b"ab"[..], false));
        assert!(!truncate(&mut Answer::empty(204)));
    }

    #[test]
    fn a_delay_is_never_told_shorter_than_it_is() {
        assert_eq!([0, 1, 1_000, 1_001].map(|ms| whole_seconds(Duration::from_millis(ms))), [0, 1, 1, 2]);
    }
}
