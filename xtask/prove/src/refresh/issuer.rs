//! The rules of an issuer whose refresh tokens can be redeemed once, and its ledger. No clock, no network.
//!
//! A connection's tokens are a family: each exchange gives the next generation, and a spent token that is shown again
//! ends the whole family (RFC 9700, section 4.14.2). A family may have a grace: for a while the token that was spent
//! last gives the same successors again.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

/// How long a token that was spent last may be shown again, in families that have a grace.
const GRACE: Duration = Duration::from_secs(120);

/// What happens to the processes that redeem a family's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// They die at moments at which no exchange is lost.
    Outside,
    /// They die in the middle of an exchange; the issuer has a grace.
    Grace,
    /// They die in the middle of an exchange; the issuer has none.
    Strict,
}

impl Group {
    pub(super) const ALL: [Self; 3] = [Self::Outside, Self::Grace, Self::Strict];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Outside => "outside",
            Self::Grace => "grace",
            Self::Strict => "strict",
        }
    }
}

/// When a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    /// At any time at which no tokens that were issued to it can be lost.
    Idle,
    /// It has asked; the issuer has not rotated.
    Asked,
    /// The new tokens are in the store; the process does not know it yet.
    Stored,
    /// The issuer has rotated and has not answered.
    Rotated,
    /// The answer has arrived; the store does not have it.
    Answered,
}

impl Moment {
    pub(super) const ALL: [Self; 5] = [Self::Idle, Self::Asked, Self::Stored, Self::Rotated, Self::Answered];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Asked => "asked",
            Self::Stored => "stored",
            Self::Rotated => "rotated",
            Self::Answered => "answered",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|moment| moment.name() == name)
    }

    /// Between the issuer's rotation and the store.
    pub(super) fn loses_the_exchange(self) -> bool {
        matches!(self, Self::Rotated | Self::Answered)
    }
}

/// A process of the fleet; a restarted one has another number.
pub(super) type Process = u32;

/// Who drives the load and makes the last calls.
pub(super) const PARENT: Process = 0;

/// A token of a family: the access token and the refresh token of one generation are called alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) family: usize,
    pub(super) generation: u64,
}

/// What became of a request for new tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The next generation, because the access token was refused.
    Rotated,
    /// The next generation, though nothing refused the access token.
    Needless,
    /// A spent token, within its grace: its successors again.
    Repeated,
    /// A spent token: the family has ended.
    Reused,
    /// The family had ended before.
    Dead,
}

/// One line of the ledger.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) process: Process,
    pub(super) at: Instant,
    pub(super) outcome: Outcome,
}

pub(super) struct Family {
    pub(super) group: Group,
    pub(super) alive: bool,
    /// Times that a good access token was made bad.
    pub(super) expiries: u64,
    pub(super) ledger: Vec<Entry>,
    /// How long the ledger was after each exchange whose process was killed before it could keep the tokens.
    pub(super) cuts: Vec<usize>,
    generation: u64,
    expired: bool,
    /// Whoever has asked last, while neither the store has what came of it nor anybody uses it.
    unsettled: Option<Process>,
}

impl Family {
    fn new(group: Group) -> Self {
        Self {
            group,
            alive: true,
            expiries: 0,
            ledger: Vec::new(),
            cuts: Vec::new(),
            generation: 0,
            expired: false,
            unsettled: None,
        }
    }

    pub(super) fn count(&self, outcome: Outcome) -> u64 {
        self.ledger.iter().filter(|entry| entry.outcome == outcome).count() as u64
    }

    /// Exchanges after the last one that was cut off by a kill.
    pub(super) fn asked_after_cut(&self) -> usize {
        self.cuts.last().map_or(0, |cut| self.ledger.len() - cut)
    }

    fn expire(&mut self) -> bool {
        let good = self.alive && !self.expired;
        if good {
            self.expired = true;
            self.expiries += 1;
        }
        good
    }

    fn redeem(&mut self, process: Process, generation: u64, now: Instant) -> Outcome {
        let outcome = self.judge(generation, now);
        match outcome {
            Outcome::Rotated | Outcome::Needless => {
                self.generation += 1;
                (self.expired, self.unsettled) = (false, Some(process));
            }
            Outcome::Repeated => self.unsettled = Some(process),
            Outcome::Reused | Outcome::Dead => {
                self.alive = false;
                // The refusal that follows from a cut exchange has to be kept, too: else somebody else would ask again.
                self.unsettled = (!self.cuts.is_empty()).then_some(process);
            }
        }
        self.ledger.push(Entry { process, at: now, outcome });
        outcome
    }

    fn judge(&self, generation: u64, now: Instant) -> Outcome {
        if !self.alive {
            return Outcome::Dead;
        }
        if generation == self.generation {
            return if self.expired { Outcome::Rotated } else { Outcome::Needless };
        }
        let spent_last = generation + 1 == self.generation;
        if spent_last && self.group == Group::Grace && self.rotated_within(GRACE, now) {
            return Outcome::Repeated;
        }
        Outcome::Reused
    }

    fn rotated_within(&self, time: Duration, now: Instant) -> bool {
        let rotation = |entry: &&Entry| matches!(entry.outcome, Outcome::Rotated | Outcome::Needless);
        let last = self.ledger.iter().rev().find(rotation);
        last.is_some_and(|entry| now.duration_since(entry.at) <= time)
    }
}

/// What the issuer does with a request for new tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ruling {
    /// Gives these tokens; the process may be told where to stop.
    Give(Pair, Option<Moment>),
    /// Refuses: `invalid_grant`.
    Refuse,
    /// Never answers; with a moment: the process has to be killed now.
    Hold(Option<Moment>),
}

impl fmt::Display for Family {
    /// The ledger's end: who asked, how long after the one before, and what came of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.ledger.len().saturating_sub(8);
        let mut before = self.ledger.get(first).map(|entry| entry.at);
        for (index, Entry { process, at, outcome }) in self.ledger.iter().enumerate().skip(first) {
            let cut = if self.cuts.contains(&(index + 1)) { " and was killed" } else { "" };
            let later = before.map_or(Duration::ZERO, |before| at.duration_since(before)).as_millis();
            write!(f, "+{later} ms process {process}: {outcome:?}{cut}; ")?;
            before = Some(*at);
        }
        write!(f, "{} expiries", self.expiries)
    }
}

/// All families, and who is about to be killed.
pub(super) struct Issuer {
    pub(super) families: Vec<Family>,
    /// Requests for new tokens, refused ones included.
    pub(super) asked: u64,
    armed: Option<(Moment, Group)>,
    doomed: BTreeSet<Process>,
}

impl Issuer {
    pub(super) fn new(groups: impl IntoIterator<Item = Group>) -> Self {
        Self {
            families: groups.into_iter().map(Family::new).collect(),
            asked: 0,
            armed: None,
            doomed: BTreeSet::new(),
        }
    }

    /// The tokens that a family begins with.
    pub(super) fn first(family: usize) -> Pair {
        Pair { family, generation: 0 }
    }

    /// The next process that redeems a token of this group is to be killed at this moment.
    pub(super) fn arm(&mut self, moment: Moment, group: Group) {
        self.armed = Some((moment, group));
    }

    /// Nobody is to be killed any more.
    pub(super) fn disarm(&mut self) {
        self.armed = None;
    }

    /// Whether no exchange is due, and all that was given has been used.
    pub(super) fn settled(&self) -> bool {
        let due = |family: &Family| family.alive && family.expired;
        self.families.iter().all(|family| !due(family) && family.unsettled.is_none())
    }

    /// Whether this process may be killed without losing anything. If so, nothing is issued to it any more.
    pub(super) fn doom(&mut self, process: Process) -> bool {
        let free = !self.has_unsettled(process);
        if free {
            self.doomed.insert(process);
        }
        free
    }

    fn has_unsettled(&self, process: Process) -> bool {
        self.families.iter().any(|family| family.unsettled == Some(process))
    }

    /// A good access token is refused from now on. `false` if there is none.
    pub(super) fn expire(&mut self, family: usize) -> bool {
        self.families[family].expire()
    }

    pub(super) fn expire_all(&mut self) {
        for family in &mut self.families {
            family.expire();
        }
    }

    /// Whether the resource is given for this access token. Using it shows that it was kept: a vault keeps before it
    /// publishes.
    pub(super) fn call(&mut self, access: Pair) -> bool {
        let Some(family) = self.families.get_mut(access.family) else { return false };
        let newest = access.generation == family.generation;
        if newest {
            family.unsettled = None;
        }
        family.alive && newest && !family.expired
    }

    /// The store has what this process was given.
    pub(super) fn kept(&mut self, process: Process, family: usize) {
        let family = self.families.get_mut(family);
        if let Some(family) = family.filter(|family| family.unsettled == Some(process)) {
            family.unsettled = None;
        }
    }

    /// Redeems a refresh token.
    pub(super) fn redeem(&mut self, process: Process, refresh: Pair, now: Instant) -> Ruling {
        if self.doomed.contains(&process) {
            return Ruling::Hold(None);
        }
        let moment = self.moment_for(process, refresh, now);
        if moment == Some(Moment::Asked) {
            return Ruling::Hold(moment);
        }
        self.asked += 1;
        let Some(family) = self.families.get_mut(refresh.family) else { return Ruling::Refuse };
        let outcome = family.redeem(process, refresh.generation, now);
        if moment.is_some_and(Moment::loses_the_exchange) {
            family.cuts.push(family.ledger.len());
        }
        match (outcome, moment) {
            (Outcome::Reused | Outcome::Dead, _) => Ruling::Refuse,
            (_, Some(Moment::Rotated)) => Ruling::Hold(moment),
            _ => Ruling::Give(Pair { generation: family.generation, ..refresh }, moment),
        }
    }

    /// Whether this exchange is the one to be cut. Only of a process that has nothing else to lose, so that exactly
    /// this one is.
    fn moment_for(&mut self, process: Process, refresh: Pair, now: Instant) -> Option<Moment> {
        let (moment, group) = self.armed?;
        let family = self.families.get(refresh.family)?;
        let fits = family.group == group && family.judge(refresh.generation, now) == Outcome::Rotated;
        if !fits || !self.doom(process) {
            return None;
        }
        self.armed = None;
        Some(moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Group; 3] = Group::ALL;

    fn issuer() -> Issuer {
        Issuer::new(ALL)
    }

    fn pair(group: Group, generation: u64) -> Pair {
        let family = ALL.iter().position(|other| *other == group).unwrap();
        Pair { family, generation }
    }

    fn outcomes(issuer: &Issuer, group: Group) -> Vec<Outcome> {
        issuer.families[pair(group, 0).family].ledger.iter().map(|entry| entry.outcome).collect()
    }

    #[test]
    fn an_exchange_gives_the_next_generation_and_ends_the_present_one() {
        let (mut issuer, now) = (issuer(), Instant::now());
        let (first, second) = (pair(Group::Strict, 0), pair(Group::Strict, 1));
        assert!(issuer.call(first));
        assert!(issuer.expire(first.family));
        assert!(!issuer.call(first));
        assert_eq!(issuer.redeem(1, first, now), Ruling::Give(second, None));
        assert!(issuer.call(second) && !issuer.call(first));
        assert_eq!(outcomes(&issuer, Group::Strict), [Outcome::Rotated]);
    }

    #[test]
    fn an_exchange_that_nothing_called_for_is_told_from_one_that_was_due() {
        let (mut issuer, now) = (issuer(), Instant::now());
        let (first, second) = (pair(Group::Outside, 0), pair(Group::Outside, 1));
        issuer.redeem(1, first, now);
        assert!(issuer.expire(second.family));
        assert!(!issuer.expire(second.family), "what is expired cannot expire");
        issuer.redeem(1, second, now);
        assert_eq!(outcomes(&issuer, Group::Outside), [Outcome::Needless, Outcome::Rotated]);
        assert_eq!(issuer.families[first.family].expiries, 1);
    }

    #[test]
    fn a_spent_token_ends_its_family_and_no_other() {
        let (mut issuer, now) = (issuer(), Instant::now());
        let first = pair(Group::Strict, 0);
        issuer.redeem(1, first, now);
        assert_eq!(issuer.redeem(2, first, now), Ruling::Refuse);
        assert_eq!(issuer.redeem(1, pair(Group::Strict, 1), now), Ruling::Refuse);
        assert!(!issuer.call(pair(Group::Strict, 1)));
        assert!(!issuer.expire(first.family), "a dead family has nothing that could expire");
        let ended = [Outcome::Needless, Outcome::Reused, Outcome::Dead];
        assert_eq!(outcomes(&issuer, Group::Strict), ended);
        assert!(issuer.call(pair(Group::Outside, 0)));
        assert_eq!(issuer.asked, 3);
    }

    #[test]
    fn a_grace_repeats_the_same_successors_for_a_while_and_for_the_last_token_alone() {
        let (mut issuer, now) = (issuer(), Instant::now());
        let [first, second, third] = [0, 1, 2].map(|generation| pair(Group::Grace, generation));
        issuer.redeem(1, first, now);
        assert_eq!(issuer.redeem(2, first, now + GRACE), Ruling::Give(second, None));
        assert_eq!(issuer.redeem(2, second, now + GRACE), Ruling::Give(third, None));
        assert_eq!(issuer.redeem(1, first, now + GRACE), Ruling::Refuse);
        let mut late = super::Issuer::new(ALL);
        late.redeem(1, first, now);
        assert_eq!(late.redeem(2, first, now + GRACE + Duration::from_millis(1)), Ruling::Refuse);
    }

    #[test]
    fn a_process_with_tokens_that_are_not_kept_is_not_killed_by_chance() {
        let (mut issuer, now) = (issuer(), Instant::now());
        issuer.redeem(1, pair(Group::Strict, 0), now);
        issuer.redeem(1, pair(Group::Outside, 0), now);
        issuer.kept(2, pair(Group::Outside, 0).family);
        issuer.kept(1, pair(Group::Outside, 0).family);
        assert!(!issuer.doom(1));
        assert!(issuer.doom(2), "another process has nothing to lose");
        assert!(issuer.call(pair(Group::Strict, 1)));
        assert!(issuer.doom(1));
        assert_eq!(issuer.redeem(1, pair(Group::Grace, 0), now), Ruling::Hold(None));
        assert_eq!(outcomes(&issuer, Group::Grace), []);
    }

    #[test]
    fn each_moment_cuts_an_exchange_where_it_says() {
        let cases = [
            (Moment::Asked, Ruling::Hold(Some(Moment::Asked)), 0, 0),
            (Moment::Rotated, Ruling::Hold(Some(Moment::Rotated)), 1, 1),
            (Moment::Answered, Ruling::Give(pair(Group::Strict, 1), Some(Moment::Answered)), 1, 1),
            (Moment::Stored, Ruling::Give(pair(Group::Strict, 1), Some(Moment::Stored)), 1, 0),
        ];
        for (moment, expected, rotations, cuts) in cases {
            let (mut issuer, now) = (issuer(), Instant::now());
            let first = pair(Group::Strict, 0);
            issuer.expire(first.family);
            issuer.arm(moment, Group::Strict);
            assert_eq!(issuer.redeem(1, first, now), expected);
            let family = &issuer.families[first.family];
            assert_eq!((family.count(Outcome::Rotated), family.cuts.len()), (rotations, cuts), "{moment:?}");
            assert_eq!(issuer.redeem(1, pair(Group::Outside, 0), now), Ruling::Hold(None));
        }
    }

    #[test]
    fn a_moment_waits_for_its_group_an_expiry_and_a_process_without_other_tokens_to_lose() {
        let (mut issuer, now) = (issuer(), Instant::now());
        issuer.arm(Moment::Rotated, Group::Strict);
        assert!(matches!(issuer.redeem(1, pair(Group::Grace, 0), now), Ruling::Give(_, None)));
        assert!(matches!(issuer.redeem(2, pair(Group::Strict, 0), now), Ruling::Give(_, None)));
        issuer.expire(pair(Group::Strict, 0).family);
        assert!(matches!(issuer.redeem(1, pair(Group::Strict, 1), now), Ruling::Give(_, None)));
        assert!(issuer.call(pair(Group::Strict, 2)) && issuer.call(pair(Group::Grace, 1)));
        issuer.expire(pair(Group::Strict, 0).family);
        assert_eq!(issuer.redeem(1, pair(Group::Strict, 2), now), Ruling::Hold(Some(Moment::Rotated)));
        assert_eq!(issuer.families[pair(Group::Strict, 0).family].asked_after_cut(), 0);
        assert_eq!(issuer.redeem(3, pair(Group::Strict, 2), now), Ruling::Refuse);
        assert!(!issuer.doom(3), "the refusal is not kept yet");
        issuer.kept(3, pair(Group::Strict, 0).family);
        assert!(issuer.doom(3));
        assert_eq!(issuer.families[pair(Group::Strict, 0).family].asked_after_cut(), 1);
    }
}
