//! What came of a load, counted by group of connections and compared with what it has to be.

use serde_json::{Map, Value, json};

use super::drive::{Driven, Last};
use super::issuer::{Family, Group, Moment, Outcome};
use super::load::Load;
use super::world::State;
use crate::report::rounded;

/// So many connections are told of in full.
const CASES: usize = 5;

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
    /// Connections without one won exchange for each expiry. A lost one may have expired again before it was given up.
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
        let unusable = last != Last::Usable;
        self.sessions += 1;
        self.expiries += family.expiries;
        self.won += won;
        self.needless += family.count(Outcome::Needless);
        self.repeated += family.count(Outcome::Repeated);
        self.reused += family.count(Outcome::Reused);
        self.cut += family.cuts.len();
        self.lost += usize::from(unusable);
        self.lost_without_cut += usize::from(unusable && !cut);
        let uneven = if unusable { won > family.expiries } else { won != family.expiries };
        self.uneven += usize::from(uneven);
        self.wrong_states += usize::from(unusable && last != Last::Ended(State::ReauthRequired));
        if family.group == Group::Strict {
            self.cut_and_usable += usize::from(cut && !unusable);
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
    /// What happened to some connections that are not as they have to be.
    pub(super) cases: Vec<String>,
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
        Self { groups, faults, cases: cases(driven), figures }
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

/// The ledgers of the first connections that make their group wrong on their own.
fn cases(driven: &Driven) -> Vec<String> {
    let books = driven.service.books();
    let all = books.families.iter().zip(&driven.last).enumerate();
    let case = |(number, (family, last)): (usize, (&Family, &Last))| {
        let mut found = Findings::default();
        found.add(family, *last);
        let wrong = !wrong(family.group, &found).is_empty();
        wrong.then(|| format!("session {number} ({}, {last:?}): {family}", family.group.name()))
    };
    all.filter_map(case).take(CASES).collect()
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
        "kills": kills.collect::<Map<_, _>>(),
        "sessions": groups.collect::<Map<_, _>>(),
        "calls": driven.calls,
        "token_calls": driven.service.books().asked,
        "token_calls_for_ended_sessions": driven.asked_for_the_ended,
        "seconds": rounded(driven.took.as_secs_f64()),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::issuer::{Issuer, Pair};
    use super::*;

    /// One connection whose tokens of these generations were redeemed after an expiry each; the last exchange is cut at
    /// `cut`.
    fn findings(group: Group, redeemed: &[u64], cut: Option<Moment>, last: Last) -> Findings {
        let mut issuer = Issuer::new([group]);
        for (index, generation) in redeemed.iter().enumerate() {
            issuer.expire(0);
            if let Some(moment) = cut.filter(|_| index + 1 == redeemed.len()) {
                issuer.arm(moment, group);
            }
            let refresh = Pair { family: 0, generation: *generation };
            issuer.redeem(index as u32, refresh, Instant::now());
        }
        let mut found = Findings::default();
        found.add(&issuer.families[0], last);
        found
    }

    #[test]
    fn one_refresh_for_each_expiry_is_right() {
        for group in Group::ALL {
            let found = findings(group, &[0, 1, 2], None, Last::Usable);
            assert_eq!(wrong(group, &found), Vec::<String>::new());
            assert_eq!((found.won, found.expiries), (3, 3));
        }
    }

    #[test]
    fn a_session_is_lost_where_its_exchange_was_cut_without_grace_and_nowhere_else() {
        let ended = Last::Ended(State::ReauthRequired);
        let cut = findings(Group::Strict, &[0, 1], Some(Moment::Rotated), ended);
        assert_eq!(wrong(Group::Strict, &cut), Vec::<String>::new());
        assert_eq!((cut.lost, cut.cut, cut.lost_without_cut), (1, 1, 0));
        let for_no_reason = findings(Group::Strict, &[0, 1], None, ended);
        assert_eq!(wrong(Group::Strict, &for_no_reason).len(), 2);
        for group in [Group::Outside, Group::Grace] {
            let cut = findings(group, &[0, 1], Some(Moment::Rotated), ended);
            assert!(!wrong(group, &cut).is_empty(), "{group:?}");
        }
        let usable = findings(Group::Strict, &[0, 1], Some(Moment::Answered), Last::Usable);
        assert!(!wrong(Group::Strict, &usable).is_empty());
    }

    #[test]
    fn an_ended_session_has_to_say_so() {
        for last in [Last::Ended(State::Usable), Last::Unclear(integrations_core::ErrorKind::Timeout)] {
            let found = findings(Group::Strict, &[0, 1], Some(Moment::Rotated), last);
            assert_eq!(wrong(Group::Strict, &found), ["strict: 1 lost sessions in a wrong state"]);
        }
    }

    #[test]
    fn a_spent_token_is_counted_against_whoever_shows_it() {
        let found = findings(Group::Outside, &[0, 0], None, Last::Ended(State::ReauthRequired));
        assert_eq!((found.reused, found.lost_without_cut), (1, 1));
        let found = findings(Group::Grace, &[0, 0], None, Last::Usable);
        assert_eq!(found.repeated, 1);
        assert!(wrong(Group::Grace, &found).contains(&"grace: 1 repeats for 0".to_owned()));
    }
}
