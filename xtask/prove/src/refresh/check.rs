//! What came of a load, counted by group of connections and compared with what it has to be.

use serde_json::{Map, Value, json};

use super::drive::{Driven, Last};
use super::issuer::{Family, Group, Moment, Outcome};
use super::load::Load;
use super::world::State;
use crate::report::rounded;

/// The connections of one group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub(super) sessions: usize,
    pub(super) expiries: u64,
    /// Exchanges that gave new tokens, for an expiry.
    pub(super) won: u64,
    /// Exchanges that gave new tokens though nothing had expired.
    pub(super) needless: u64,
    /// Spent tokens that were shown in their grace.
    pub(super) repeated: u64,
    /// Spent tokens that were shown and ended their family.
    pub(super) reused: u64,
    /// Exchanges for which a kill came between the issuer and the store.
    pub(super) cut: usize,
    /// Connections that cannot be used at the end.
    pub(super) lost: usize,
    /// Of those: none of their exchanges was cut.
    pub(super) lost_without_cut: usize,
    /// Connections without a grace whose exchange was cut, and that can be used: impossible.
    pub(super) cut_and_usable: usize,
    /// Connections whose number of won exchanges is not that of their expiries.
    pub(super) uneven: usize,
    /// The most exchanges that were tried for one connection after its last cut without grace.
    pub(super) tried_after_cut: usize,
    /// Lost connections whose state is not that the user has to connect again.
    pub(super) wrong_states: usize,
}

impl Findings {
    fn of(driven: &Driven, group: Group) -> Self {
        let books = driven.service.books();
        let mut found = Self::default();
        for (family, last) in books.families.iter().zip(&driven.last) {
            if family.group == group {
                found.add(family, *last);
            }
        }
        found
    }

    fn add(&mut self, family: &Family, last: Last) {
        let (won, cut) = (family.count(Outcome::Rotated), !family.cuts.is_empty());
        let lost = last != Last::Usable;
        self.sessions += 1;
        self.expiries += family.expiries;
        self.won += won;
        self.needless += family.count(Outcome::Needless);
        self.repeated += family.count(Outcome::Repeated);
        self.reused += family.count(Outcome::Reused);
        self.cut += family.cuts.len();
        self.lost += usize::from(lost);
        self.lost_without_cut += usize::from(lost && !cut);
        self.uneven += usize::from(won != family.expiries);
        self.wrong_states += usize::from(lost && last != Last::Ended(State::ReauthRequired));
        if family.group == Group::Strict {
            self.cut_and_usable += usize::from(cut && !lost);
            self.tried_after_cut = self.tried_after_cut.max(family.asked_after_cut());
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "sessions": self.sessions,
            "expiries": self.expiries,
            "refreshes_won": self.won,
            "refreshes_without_expiry": self.needless,
            "spent_tokens_shown_in_grace": self.repeated,
            "spent_tokens_shown": self.reused,
            "exchanges_cut_by_a_kill": self.cut,
            "lost": self.lost,
            "lost_without_a_cut": self.lost_without_cut,
            "uneven_sessions": self.uneven,
            "most_tries_after_a_cut": self.tried_after_cut,
            "lost_in_a_wrong_state": self.wrong_states,
        })
    }
}

/// All that was found of one load.
pub(super) struct Checked {
    pub(super) groups: Vec<(Group, Findings)>,
    /// What is not as it has to be.
    pub(super) faults: Vec<String>,
    pub(super) figures: Value,
}

impl Checked {
    pub(super) fn new(driven: &Driven) -> Self {
        let of = |group| (group, Findings::of(driven, group));
        let groups: Vec<_> = Group::ALL.into_iter().map(of).filter(|(_, found)| found.sessions > 0).collect();
        let mut faults: Vec<_> = groups.iter().flat_map(|(group, found)| wrong(*group, found)).collect();
        faults.extend(missing(driven, &groups));
        faults.extend(told_to_reconnect(driven));
        if driven.asked_for_the_ended > 0 {
            faults.push(format!("calls of ended sessions cost {} token calls", driven.asked_for_the_ended));
        }
        let figures = figures(driven, &groups);
        Self { groups, faults, figures }
    }

    pub(super) fn sum(&self, of: fn(&Findings) -> u64) -> u64 {
        self.groups.iter().map(|(_, found)| of(found)).sum()
    }

    pub(super) fn lost(&self) -> u64 {
        self.sum(|found| found.lost as u64)
    }
}

/// What a group's figures have to be: a number and its name where it is not.
fn wrong(group: Group, found: &Findings) -> Vec<String> {
    let cuts_allowed = if group == Group::Strict { found.cut } else { 0 };
    let repeats_allowed = if group == Group::Grace { found.cut as u64 } else { 0 };
    let checks = [
        (found.lost != cuts_allowed, format!("{} lost sessions for {cuts_allowed}", found.lost)),
        (found.lost_without_cut > 0, format!("{} lost without a cut exchange", found.lost_without_cut)),
        (found.cut_and_usable > 0, format!("{} usable after a cut exchange", found.cut_and_usable)),
        (found.needless > 0, format!("{} refreshes without an expiry", found.needless)),
        (found.uneven > 0, format!("{} sessions without one refresh for each expiry", found.uneven)),
        (
            found.reused > cuts_allowed as u64,
            format!("{} spent tokens shown for {cuts_allowed}", found.reused),
        ),
        (found.repeated > repeats_allowed, format!("{} repeats for {repeats_allowed}", found.repeated)),
        (found.tried_after_cut > 1, format!("{} tries after a cut exchange", found.tried_after_cut)),
        (found.wrong_states > 0, format!("{} lost sessions in a wrong state", found.wrong_states)),
    ];
    let wrong = checks.into_iter().filter(|check| check.0);
    wrong.map(|(_, what)| format!("{}: {what}", group.name())).collect()
}

/// What the load did not come to, so that the rest shows nothing.
fn missing(driven: &Driven, groups: &[(Group, Findings)]) -> Vec<String> {
    let load = Load::of(driven.design);
    let mut missing = Vec::new();
    for (group, moment) in Group::ALL.into_iter().flat_map(|group| Moment::ALL.map(|moment| (group, moment)))
    {
        let (done, planned) = (kills(driven, moment, group), load.kills_at(moment, group));
        if done < planned {
            missing.push(format!("{done} of {planned} kills {} ({})", moment.name(), group.name()));
        }
    }
    let expiries: u64 = groups.iter().map(|(_, found)| found.expiries).sum();
    if expiries < load.expiries {
        missing.push(format!("{expiries} of {} expiries", load.expiries));
    }
    for (group, _) in groups {
        if calls(driven, *group, "ok") == 0 {
            missing.push(format!("{}: no call succeeded", group.name()));
        }
    }
    missing
}

/// Calls that were told that their user has to connect again, of sessions that live.
fn told_to_reconnect(driven: &Driven) -> Option<String> {
    let told: u64 =
        [Group::Outside, Group::Grace].iter().map(|group| calls(driven, *group, "reauth_required")).sum();
    (told > 0).then(|| format!("{told} calls of living sessions were told to connect again"))
}

fn calls(driven: &Driven, group: Group, word: &str) -> u64 {
    driven.calls.get(group.name()).and_then(|words| words.get(word)).copied().unwrap_or_default()
}

fn kills(driven: &Driven, moment: Moment, group: Group) -> usize {
    driven.kills.get(&(moment, group)).copied().unwrap_or_default()
}

fn figures(driven: &Driven, groups: &[(Group, Findings)]) -> Value {
    let kills = driven.kills.iter();
    let kills = kills
        .map(|((moment, group), count)| (format!("{}/{}", moment.name(), group.name()), (*count).into()));
    let groups = groups.iter().map(|(group, found)| (group.name().to_owned(), found.to_json()));
    json!({
        "kills": Map::from_iter(kills),
        "sessions": Map::from_iter(groups),
        "calls": driven.calls,
        "token_calls": driven.service.books().asked,
        "token_calls_for_ended_sessions": driven.asked_for_the_ended,
        "seconds": rounded(driven.took.as_secs_f64()),
    })
}
