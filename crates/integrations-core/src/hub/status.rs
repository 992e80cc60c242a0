//! How the instances fare: from the traffic there is, and by a probe only where there is none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use tokio::time::Instant;

use super::open::{Member, Place, Snapshot, members};
use super::{Hub, Inner};
use crate::config::InstanceConfig;
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::pipeline::breaker::State;
use crate::pipeline::{GateReport, LastError, Pulse};
use crate::registry::ProbeCost;

/// Without a call for this long an instance counts as idle.
const IDLE: Duration = Duration::from_secs(60);

/// A probe's outcome stands for this long, however often somebody asks.
const FRESH: Duration = Duration::from_secs(60);

/// A probe that takes longer has failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// With less than this part of recent calls answered an instance counts as down ...
const FEW: f64 = 0.5;
/// ... and with less than this as degraded.
const MOST: f64 = 0.95;

/// From this many days before the vendor's sunset an instance counts as degraded.
const SUNSET_WARNING_DAYS: i32 = 30;

/// How far a check may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Depth {
    /// What the traffic tells. Never a call.
    Passive,
    /// A probe, if the instance is idle and the probe costs nothing.
    Cheap,
    /// A probe, if the instance is idle and the probe costs no money and no message: it may cost quota.
    Full,
}

/// How an instance fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// Calls succeed.
    Up,
    /// Calls succeed, but not all, not soon, or not for long.
    Degraded,
    /// Calls do not succeed.
    Down,
    /// Nothing was called yet.
    Unknown,
    /// It is switched off.
    Off,
}

impl Health {
    /// The name as it stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Unknown => "unknown",
            Self::Off => "off",
        }
    }
}

/// The state of one instance.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// Its name.
    pub name: Arc<str>,
    /// Its category; `None` when the build has no such provider.
    pub category: Option<&'static str>,
    /// Its providers: one, or those it is composed of.
    pub providers: Vec<Arc<str>>,
    /// How it fares.
    pub health: Health,
    /// Why it is not up, in words.
    pub reasons: Vec<String>,
    /// Whether it may be used.
    pub enabled: bool,
    /// The part of recent calls that the service answered as it should, 0 to 1; `None` before the first.
    pub success_rate: Option<f64>,
    /// The recent mean time of an answer.
    pub latency: Option<Duration>,
    /// How long ago the last call ended.
    pub last_call: Option<Duration>,
    /// The last failure that speaks of the service.
    pub last_error: Option<LastError>,
    /// Breakers, pauses and what is left of quotas, by bucket.
    pub gates: Vec<GateReport>,
    /// When the vendor ends the version of its API that is spoken, and in how many days.
    pub sunset: Option<(Date, i32)>,
    /// The last probe, if there was one: how long ago, and how it ended.
    pub probe: Option<(Duration, Result<()>)>,
    /// Whether one of several parts succeeds, whatever is wrong with the others.
    a_part_answers: bool,
}

/// What is known of the probes, by instance; the inner lock lets one run at a time.
#[derive(Default)]
pub(super) struct Probes(Mutex<HashMap<Arc<str>, ProbeSlot>>);

type ProbeSlot = Arc<tokio::sync::Mutex<Option<Probed>>>;

#[derive(Clone)]
struct Probed {
    at: Instant,
    outcome: Result<()>,
}

impl Hub {
    /// Every instance, from what the traffic tells. Costs no call.
    pub fn status(&self) -> Vec<Status> {
        let snapshot = self.inner.snapshot();
        let gates = self.inner.stages.gates();
        let instances = snapshot.config.instances.iter();
        instances.map(|(name, instance)| self.inner.status(&snapshot, name, instance, None, &gates)).collect()
    }

    /// One instance, as far as `depth` allows to look.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind) when there is no such instance. A probe that fails is not an error of
    /// the check.
    pub async fn check(&self, instance: &str, depth: Depth) -> Result<Status> {
        let snapshot = self.inner.snapshot();
        let (name, configured) = snapshot
            .config
            .instances
            .get_key_value(instance)
            .ok_or_else(|| Error::config(format!("there is no instance `{instance}`")))?;
        let limit = match depth {
            Depth::Passive => None,
            Depth::Cheap => Some(ProbeCost::Free),
            Depth::Full => Some(ProbeCost::Quota),
        };
        let mut probe = None;
        if let Some(limit) =
            limit.filter(|_| snapshot.instance_is_on(name) && self.inner.is_idle(name, configured))
        {
            probe = self.inner.probe(&snapshot, name, limit).await;
        }
        let gates = self.inner.stages.gates();
        let mut status = self.inner.status(&snapshot, name, configured, None, &gates);
        if let Some(probed) = probe {
            status.take_probe(probed);
        }
        Ok(status)
    }
}

impl Inner {
    pub(super) fn status_of(&self, tenant: &Arc<str>) -> Vec<Status> {
        let snapshot = self.snapshot();
        let place = Place { tenant: tenant.clone(), connection: "".into() };
        let allowed = snapshot.tenant(tenant).ok().and_then(|tenant| tenant.instances.as_ref());
        let instances = snapshot.config.instances.iter();
        let seen = instances.filter(|(name, _)| allowed.is_none_or(|allowed| allowed.contains_key(*name)));
        let of_tenant = seen.map(|(name, instance)| {
            let mut status = self.status(&snapshot, name, instance, Some(tenant), &[]);
            if snapshot.view(&place, name).is_err() {
                (status.enabled, status.health) = (false, Health::Off);
            }
            status
        });
        of_tenant.collect()
    }

    /// `tenant` limits it to the tenant's own calls.
    fn status(
        &self,
        snapshot: &Snapshot,
        name: &Arc<str>,
        instance: &InstanceConfig,
        tenant: Option<&str>,
        gates: &[GateReport],
    ) -> Status {
        let members = members(name, &instance.target);
        let providers: Vec<_> = members.iter().map(|member| member.provider.clone()).collect();
        let pulses = members.iter().filter_map(|Member { name, .. }| self.pulse(name, tenant));
        let pulse = pulses.reduce(Pulse::merged);
        let gates: Vec<_> = gates
            .iter()
            .filter(|gate| members.iter().any(|member| member.name == gate.instance))
            .cloned()
            .collect();
        let a_part_answers =
            members.len() > 1 && members.iter().any(|Member { name, .. }| self.answers(name, tenant, &gates));
        let mut status = Status {
            name: name.clone(),
            category: self.category(&instance.target).ok(),
            health: Health::Unknown,
            reasons: Vec::new(),
            enabled: snapshot.instance_is_on(name),
            success_rate: pulse.as_ref().and_then(|pulse| pulse.success_rate),
            latency: pulse.as_ref().and_then(|pulse| pulse.latency),
            last_call: pulse.as_ref().and_then(|pulse| pulse.last_call),
            last_error: pulse.and_then(|pulse| pulse.last_error),
            gates,
            a_part_answers,
            sunset: self.sunset(&providers),
            probe: None,
            providers,
        };
        status.judge();
        status
    }

    fn pulse(&self, member: &str, tenant: Option<&str>) -> Option<Pulse> {
        match tenant {
            Some(tenant) => self.stages.pulse(tenant, member),
            None => self.stages.pulses(member),
        }
    }

    /// Whether calls to one part of a composed instance succeed.
    fn answers(&self, member: &str, tenant: Option<&str>, gates: &[GateReport]) -> bool {
        let blocked = gates.iter().any(|gate| *gate.instance == *member && is_open(gate));
        !blocked
            && self.pulse(member, tenant).and_then(|pulse| pulse.success_rate).is_some_and(|rate| rate >= FEW)
    }

    /// The nearest sunset among the providers.
    fn sunset(&self, providers: &[Arc<str>]) -> Option<(Date, i32)> {
        let today = self.clock.now().to_zoned(TimeZone::UTC).date();
        let specs = providers.iter().filter_map(|id| self.registry.spec(id));
        let first = specs.filter_map(|spec| spec.api?.sunset).min()?;
        Some((first, today.until(first).map_or(i32::MAX, |span| span.get_days())))
    }

    fn is_idle(&self, name: &str, instance: &InstanceConfig) -> bool {
        let members = members(name, &instance.target).into_iter();
        let pulses = members.filter_map(|member| self.stages.pulses(&member.name));
        pulses.filter_map(|pulse| pulse.last_call).min().is_none_or(|ago| ago >= IDLE)
    }

    /// Probes the application's own client, unless that was done a moment ago or costs more than `limit`.
    async fn probe(&self, snapshot: &Snapshot, name: &Arc<str>, limit: ProbeCost) -> Option<Probed> {
        let slot = self.probes.slot(name);
        let mut last = slot.lock().await;
        if let Some(probed) = last.as_ref().filter(|probed| probed.at.elapsed() < FRESH) {
            return Some(probed.clone());
        }
        let outcome = match self.open_any(snapshot, &Place::application(), name) {
            Err(error) => Err(error),
            Ok(client) => {
                let probe = client.probe().filter(|probe| probe.cost <= limit)?;
                let timed = tokio::time::timeout(PROBE_TIMEOUT, probe.run).await;
                timed.unwrap_or_else(|_| {
                    Err(Error::new(ErrorKind::Timeout, Effect::Unknown, "no answer in time"))
                })
            }
        };
        *last = Some(Probed { at: Instant::now(), outcome });
        last.clone()
    }
}

impl Probes {
    /// What was found under another configuration says nothing any more.
    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn slot(&self, name: &Arc<str>) -> ProbeSlot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(name.clone()).or_default().clone()
    }
}

impl Status {
    fn take_probe(&mut self, probed: Probed) {
        self.probe = Some((probed.at.elapsed(), probed.outcome));
        self.judge();
    }

    /// The worst of what is known.
    fn judge(&mut self) {
        let findings = self.findings();
        let is_known = self.last_call.is_some() || self.probe.is_some();
        let is_down = findings.iter().any(|(health, _)| *health == Health::Down);
        self.health = match findings.is_empty() {
            _ if !self.enabled => Health::Off,
            true if is_known => Health::Up,
            true => Health::Unknown,
            false if is_down && !self.a_part_answers => Health::Down,
            false => Health::Degraded,
        };
        let reasons = findings.into_iter().map(|(_, reason)| reason);
        self.reasons = reasons.filter(|_| self.enabled).collect();
    }

    fn findings(&self) -> Vec<(Health, String)> {
        let breakers = self.gates.iter().filter(|gate| is_open(gate)).map(|gate| {
            // One credential of many says little of the others.
            let health = if gate.credential.is_empty() { Health::Down } else { Health::Degraded };
            (health, format!("the breaker of `{}` is open", gate.bucket))
        });
        let pauses = self.gates.iter().filter_map(|gate| {
            let (bucket, left) = (gate.bucket, gate.paused?);
            let text = format!("the service asked callers of `{bucket}` to pause for {left:?} more");
            Some((Health::Degraded, text))
        });
        let others =
            [self.failed_probe(), self.failed_calls(), self.refused_credentials(), self.near_sunset()];
        breakers.chain(others.into_iter().flatten()).chain(pauses).collect()
    }

    fn failed_probe(&self) -> Option<(Health, String)> {
        let (_, Err(error)) = self.probe.as_ref()? else { return None };
        Some((Health::Down, format!("the probe failed: {error}")))
    }

    fn failed_calls(&self) -> Option<(Health, String)> {
        let answered_since =
            matches!(&self.probe, Some((ago, Ok(()))) if self.last_call.is_none_or(|call| call >= *ago));
        match self.success_rate.filter(|_| !answered_since)? {
            ..FEW => Some((Health::Down, "most recent calls failed".to_owned())),
            FEW..MOST => Some((Health::Degraded, "some recent calls failed".to_owned())),
            _ => None,
        }
    }

    /// Not `Down`: it may be those of one tenant among many.
    fn refused_credentials(&self) -> Option<(Health, String)> {
        let error = self.last_error.as_ref()?;
        let about_credentials = matches!(error.kind, ErrorKind::Unauthenticated | ErrorKind::ReauthRequired);
        let is_last = self.last_call.is_none_or(|call| error.ago <= call);
        let text = || format!("the credentials of the last call (`{}`) were refused", error.operation);
        (about_credentials && is_last).then(|| (Health::Degraded, text()))
    }

    fn near_sunset(&self) -> Option<(Health, String)> {
        let (date, days) = self.sunset.filter(|(_, days)| *days <= SUNSET_WARNING_DAYS)?;
        let text = match days {
            ..0 => format!("the vendor ended this version of its API on {date}"),
            _ => format!("the vendor ends this version of its API on {date}, in {days} days"),
        };
        Some((Health::Degraded, text))
    }
}

fn is_open(gate: &GateReport) -> bool {
    matches!(gate.breaker, Some(State::Open | State::ForcedOpen))
}
