//! Which of two generations of a credential is in use. Pure: whoever holds it says what time it is.
//!
//! | phase | in use | a refusal leads to | a new value leads to |
//! |---|---|---|---|
//! | settled | the newest | nothing: there is no other | fresh |
//! | fresh | the newest | back | fresh |
//! | back | the one before it | settled | fresh |
//!
//! So a new value that the vendor does not know yet costs one refusal, one that it never accepts costs two, and nothing
//! is tried in turns for ever. After [`TERM`] in `back` the newest is tried again: the refusal may have been a mistake.

use std::time::Duration;

use tokio::time::Instant;

use super::{SecretString, Versioned};

/// How long the previous value is used before the newest is tried again.
const TERM: Duration = Duration::from_secs(60);

pub(super) struct Generations {
    /// Counts how often another value came into use, also one that was in use before: a refusal that comes late is then
    /// not taken for one of the present value.
    version: u64,
    newest: SecretString,
    phase: Phase,
}

enum Phase {
    Settled,
    Fresh { previous: SecretString },
    Back { previous: SecretString, until: Instant },
}

impl Generations {
    pub(super) fn new(value: SecretString) -> Self {
        Self { version: 1, newest: value, phase: Phase::Settled }
    }

    pub(super) fn current(&mut self, now: Instant) -> Versioned<SecretString> {
        if let Phase::Back { previous, until } = &self.phase
            && now >= *until
        {
            self.enter(Phase::Fresh { previous: previous.clone() });
        }
        Versioned { version: self.version, value: self.in_use().clone() }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// A value from the source; `false` when it is the newest already. After a refusal of the value in use, the one
    /// before it is the better one to go back to.
    pub(super) fn offer(&mut self, value: SecretString, after_refusal: bool) -> bool {
        if value.ct_eq(self.newest.expose()) {
            return false;
        }
        let in_use_already = value.ct_eq(self.in_use().expose());
        let old = std::mem::replace(&mut self.newest, value);
        let previous = match std::mem::replace(&mut self.phase, Phase::Settled) {
            Phase::Back { previous, .. } => previous,
            Phase::Fresh { previous } if after_refusal => previous,
            Phase::Fresh { .. } | Phase::Settled => old,
        };
        if !previous.ct_eq(self.newest.expose()) {
            self.phase = Phase::Fresh { previous };
        }
        if !in_use_already {
            self.version += 1;
        }
        true
    }

    /// The vendor refused `used`: `true` when another value is in use now.
    pub(super) fn refused(&mut self, used: u64, now: Instant) -> bool {
        if used != self.version {
            return true;
        }
        match std::mem::replace(&mut self.phase, Phase::Settled) {
            Phase::Settled => return false,
            Phase::Fresh { previous } => self.enter(Phase::Back { previous, until: now + TERM }),
            Phase::Back { .. } => self.enter(Phase::Settled),
        }
        true
    }

    /// Whether the previous value is in use.
    pub(super) fn is_back(&self) -> bool {
        matches!(self.phase, Phase::Back { .. })
    }

    fn in_use(&self) -> &SecretString {
        match &self.phase {
            Phase::Back { previous, .. } => previous,
            Phase::Settled | Phase::Fresh { .. } => &self.newest,
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.version += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vendor that accepts some values, and one call at a time that has one more try after a refusal.
    struct World {
        generations: Generations,
        now: Instant,
    }

    impl World {
        fn new(value: &str) -> Self {
            Self { generations: Generations::new(value.into()), now: Instant::now() }
        }

        /// The values that a call tries.
        fn call(&mut self, accepted: &[&str]) -> Vec<String> {
            let mut tried = Vec::new();
            loop {
                let used = self.generations.current(self.now);
                tried.push(used.value.expose().clone());
                let good = accepted.contains(&used.value.expose().as_str());
                // Of a second refusal the caller tells nobody.
                if good || tried.len() == 2 || !self.generations.refused(used.version, self.now) {
                    break;
                }
            }
            tried
        }

        fn offer(&mut self, value: &str) -> bool {
            self.generations.offer(value.into(), false)
        }
    }

    #[test]
    fn a_value_that_comes_too_early_costs_one_refusal_and_its_acceptance_one_more() {
        let mut world = World::new("a");
        assert_eq!(world.call(&["a"]), ["a"]);
        assert!(world.offer("b"));
        assert_eq!(world.call(&["a"]), ["b", "a"]);
        assert_eq!(world.call(&["a"]), ["a"], "the one that works stays in use");
        assert_eq!(world.call(&["b"]), ["a", "b"]);
        assert_eq!(world.call(&["b"]), ["b"]);
    }

    #[test]
    fn when_nothing_is_accepted_it_stops_trying_in_turns() {
        let mut world = World::new("a");
        world.offer("b");
        assert_eq!(world.call(&[]), ["b", "a"]);
        assert_eq!(world.call(&[]), ["a", "b"]);
        for _ in 0..10 {
            assert_eq!(world.call(&[]), ["b"]);
        }
        assert!(world.offer("c"), "until there is something new");
        assert_eq!(world.call(&["c"]), ["c"]);
    }

    #[test]
    fn one_value_alone_has_no_other() {
        let mut world = World::new("a");
        assert!(!world.offer("a"), "the same value is nothing new");
        assert_eq!((world.call(&[]), world.generations.version()), (vec!["a".to_owned()], 1));
    }

    #[test]
    fn after_a_refusal_by_mistake_the_newest_comes_back() {
        let mut world = World::new("a");
        world.offer("b");
        assert_eq!(world.call(&["a"]), ["b", "a"]);
        let fell_back = world.now;
        world.now += Duration::from_secs(59);
        assert_eq!(world.call(&["a", "b"]), ["a"]);
        world.now = fell_back + TERM;
        assert_eq!(world.call(&["a", "b"]), ["b"]);
        assert_eq!(world.call(&["a"]), ["b", "a"], "and there is still something to go back to");
    }

    #[test]
    fn what_is_kept_is_the_value_that_was_accepted_last() {
        let mut world = World::new("a");
        world.offer("b");
        assert_eq!(world.call(&["a"]), ["b", "a"]);
        world.offer("c");
        assert_eq!(world.call(&["a"]), ["c", "a"], "not b, which nobody accepted");

        let mut world = World::new("a");
        world.offer("b");
        let used = world.generations.current(world.now);
        assert!(
            world.generations.offer("c".into(), true) && world.generations.refused(used.version, world.now)
        );
        assert_eq!(world.call(&["a"]), ["c", "a"], "not b, which was refused");
    }

    #[test]
    fn a_source_that_goes_back_is_followed() {
        let mut world = World::new("a");
        world.offer("b");
        assert_eq!(world.call(&["a"]), ["b", "a"]);
        let before = world.generations.version();
        assert!(world.offer("a"));
        assert_eq!(
            world.generations.version(),
            before,
            "the same value is in use, so there is nothing to try"
        );
        assert_eq!(world.call(&[]), ["a"]);

        let mut world = World::new("a");
        world.offer("b");
        assert!(world.generations.offer("a".into(), true));
        assert_eq!(world.call(&[]), ["a"], "the value to go back to is the value itself");
    }

    #[test]
    fn a_refusal_that_comes_late_is_not_one_of_the_present_value() {
        let mut world = World::new("a");
        world.offer("b");
        let early = world.generations.current(world.now).version;
        assert_eq!(world.call(&["a"]), ["b", "a"]);
        assert_eq!(world.call(&["b"]), ["a", "b"]);
        let before = world.generations.version();
        assert!(world.generations.refused(early, world.now), "b is accepted by now");
        assert_eq!(world.generations.version(), before);
    }
}
