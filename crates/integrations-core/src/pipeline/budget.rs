//! Retry budget: keeps retries and hedges from multiplying the traffic of a service that is in trouble.
//!
//! A bucket of tokens. Each retry takes some, and gets them back if the retried call succeeds; each call that succeeds
//! at its first attempt adds one. With the defaults, 50 retries without success empty the bucket, and from then on
//! there is one retry per ten successes: an outage costs at most a tenth more traffic. Only answers from the network
//! may add tokens; answers from a cache would hide an outage.
//!
//! The scheme is that of the AWS SDKs' standard mode (capacity 500, boto/botocore `botocore/retries/quota.py`), with
//! costs of our own.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// The numbers of a [`RetryBudget`], in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetPolicy {
    capacity: u32,
    retry_cost: u32,
    throttled_cost: u32,
    success_gain: u32,
}

impl Default for BudgetPolicy {
    fn default() -> Self {
        Self { capacity: 500, retry_cost: 10, throttled_cost: 5, success_gain: 1 }
    }
}

impl BudgetPolicy {
    /// Sets how many tokens the bucket holds, which is also what it starts with; default 500. With 0 nothing that
    /// costs a token is ever allowed.
    #[must_use]
    pub fn capacity(mut self, tokens: u32) -> Self {
        self.capacity = tokens;
        self
    }

    /// Sets the price of a retry or a hedge; default 10.
    #[must_use]
    pub fn retry_cost(mut self, tokens: u32) -> Self {
        self.retry_cost = tokens;
        self
    }

    /// Sets the price of a retry after the service asked for a pause; default 5.
    #[must_use]
    pub fn throttled_cost(mut self, tokens: u32) -> Self {
        self.throttled_cost = tokens;
        self
    }

    /// Sets what a success at the first attempt adds; default 1.
    #[must_use]
    pub fn success_gain(mut self, tokens: u32) -> Self {
        self.success_gain = tokens;
        self
    }

    fn price(&self, cost: Cost) -> u32 {
        match cost {
            Cost::Retry => self.retry_cost,
            Cost::Throttled => self.throttled_cost,
        }
    }
}

/// What the tokens are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cost {
    /// A retry after a failure, or a hedge.
    Retry,
    /// A retry after the service asked for a pause: it is able to answer, so it costs less.
    Throttled,
}

/// Tokens that were taken. Give them to [`RetryBudget::refund`] when the call that they were for succeeds; otherwise
/// drop this, they are spent.
#[derive(Debug, PartialEq, Eq)]
pub struct Withdrawal(u32);

/// A bucket of retry tokens. Lock-free; a success while it is full only reads it.
#[derive(Debug)]
pub struct RetryBudget {
    tokens: AtomicU32,
    policy: BudgetPolicy,
}

impl RetryBudget {
    /// A full bucket.
    pub const fn new(policy: BudgetPolicy) -> Self {
        Self { tokens: AtomicU32::new(policy.capacity), policy }
    }

    /// Takes the tokens for one retry or hedge; `None` when they are not there.
    pub fn withdraw(&self, cost: Cost) -> Option<Withdrawal> {
        let price = self.policy.price(cost);
        self.tokens.fetch_update(Relaxed, Relaxed, |tokens| tokens.checked_sub(price)).ok()?;
        Some(Withdrawal(price))
    }

    /// Takes the tokens from both budgets or from neither. A caller that asks `first` at the same moment can find it
    /// short of what is about to be put back; it is refused then, never allowed too much.
    pub fn withdraw_both(first: &Self, second: &Self, cost: Cost) -> Option<(Withdrawal, Withdrawal)> {
        let from_first = first.withdraw(cost)?;
        let Some(from_second) = second.withdraw(cost) else {
            first.refund(from_first);
            return None;
        };
        Some((from_first, from_second))
    }

    /// Puts tokens back: the retried call succeeded. A call that needed several retries gets back those of the last.
    #[expect(clippy::needless_pass_by_value, reason = "what was taken is given back once")]
    pub fn refund(&self, withdrawal: Withdrawal) {
        self.add(withdrawal.0);
    }

    /// Counts a call that succeeded at its first attempt.
    #[inline]
    pub fn first_success(&self) {
        self.add(self.policy.success_gain);
    }

    /// The numbers it was made with.
    pub(crate) fn policy(&self) -> &BudgetPolicy {
        &self.policy
    }

    /// The tokens there are now.
    pub fn tokens(&self) -> u32 {
        self.tokens.load(Relaxed)
    }

    /// Whether nothing is missing: forgetting a full bucket loses nothing.
    pub fn is_full(&self) -> bool {
        self.tokens() >= self.policy.capacity
    }

    #[inline]
    fn add(&self, gain: u32) {
        let filled = |tokens: u32| tokens.saturating_add(gain).min(self.policy.capacity);
        // An error says that the bucket is full, so that there is nothing to write.
        let _ = self
            .tokens
            .fetch_update(Relaxed, Relaxed, |tokens| Some(filled(tokens)).filter(|new| *new != tokens));
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new(BudgetPolicy::default())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fifty_failing_retries_empty_it() {
        let budget = RetryBudget::default();
        for retry in 0..50 {
            assert_eq!(budget.withdraw(Cost::Retry), Some(Withdrawal(10)), "retry {retry}");
        }
        assert_eq!((budget.tokens(), budget.withdraw(Cost::Retry)), (0, None));
        for success in 1..=10 {
            budget.first_success();
            assert_eq!(budget.tokens(), success);
        }
        assert!(budget.withdraw(Cost::Retry).is_some());
        assert!(budget.withdraw(Cost::Throttled).is_none());
    }

    #[test]
    fn a_throttled_retry_costs_half() {
        let budget = RetryBudget::default();
        let allowed = (0..1_000).take_while(|_| budget.withdraw(Cost::Throttled).is_some()).count();
        assert_eq!(allowed, 100);
    }

    #[test]
    fn a_retry_that_succeeds_costs_nothing() {
        let budget = RetryBudget::default();
        let taken = budget.withdraw(Cost::Retry).expect("full");
        assert_eq!(budget.tokens(), 490);
        budget.refund(taken);
        assert_eq!(budget.tokens(), 500);
    }

    #[test]
    fn it_never_holds_more_than_its_capacity() {
        let budget = RetryBudget::new(BudgetPolicy::default().capacity(12).success_gain(7));
        let taken = budget.withdraw(Cost::Retry).expect("full");
        budget.first_success();
        assert_eq!(budget.tokens(), 9);
        budget.first_success();
        budget.refund(taken);
        assert_eq!(budget.tokens(), 12);
    }

    #[test]
    fn both_or_neither() {
        let (tenant, vendor) =
            (RetryBudget::default(), RetryBudget::new(BudgetPolicy::default().capacity(15)));
        assert!(RetryBudget::withdraw_both(&tenant, &vendor, Cost::Retry).is_some());
        assert_eq!((tenant.tokens(), vendor.tokens()), (490, 5));
        assert!(RetryBudget::withdraw_both(&tenant, &vendor, Cost::Retry).is_none());
        assert!(RetryBudget::withdraw_both(&vendor, &tenant, Cost::Retry).is_none());
        assert_eq!((tenant.tokens(), vendor.tokens()), (490, 5));
        assert!(RetryBudget::withdraw_both(&tenant, &vendor, Cost::Throttled).is_some());
        assert_eq!((tenant.tokens(), vendor.tokens()), (485, 0));
    }

    #[test]
    fn an_outage_adds_at_most_a_tenth() {
        let (budget, mut random) = (RetryBudget::default(), fastrand::Rng::with_seed(1));
        let (mut calls, mut retries) = (0_u32, 0_u32);
        // Half of all attempts fail and no retry ever helps: the worst that still feeds the budget.
        for _ in 0..100_000 {
            calls += 1;
            if random.bool() {
                budget.first_success();
            } else {
                retries += u32::from(budget.withdraw(Cost::Retry).is_some());
            }
        }
        assert!(retries <= 50 + calls / 10, "{retries} retries for {calls} calls");
        assert!(retries > calls / 25, "the budget let {retries} retries through");
    }

    #[test]
    fn threads_take_each_token_once() {
        let budget = RetryBudget::new(BudgetPolicy::default().capacity(10_000).retry_cost(3));
        let allowed: usize = thread::scope(|scope| {
            let take = || (0..2_000).filter(|_| budget.withdraw(Cost::Retry).is_some()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!((allowed, budget.tokens()), (3_333, 1));
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Success,
        Withdraw(Cost),
        Refund,
    }

    proptest! {
        #[test]
        fn it_agrees_with_plain_arithmetic(capacity in 0..60_u32, gain in 0..4_u32, steps in prop::collection::vec(
            prop_oneof![
                Just(Step::Success),
                Just(Step::Withdraw(Cost::Retry)),
                Just(Step::Withdraw(Cost::Throttled)),
                Just(Step::Refund),
            ], 0..200)) {
            let budget = RetryBudget::new(BudgetPolicy::default().capacity(capacity).success_gain(gain));
            let (mut tokens, mut taken) = (i64::from(capacity), Vec::new());
            for step in steps {
                match step {
                    Step::Success => {
                        budget.first_success();
                        tokens = (tokens + i64::from(gain)).min(capacity.into());
                    }
                    Step::Withdraw(cost) => {
                        let price = if cost == Cost::Retry { 10 } else { 5 };
                        let got = budget.withdraw(cost);
                        prop_assert_eq!(got.is_some(), tokens >= price);
                        tokens -= if got.is_some() { price } else { 0 };
                        taken.extend(got.map(|withdrawal| (withdrawal, price)));
                    }
                    Step::Refund => if let Some((withdrawal, price)) = taken.pop() {
                        budget.refund(withdrawal);
                        tokens = (tokens + price).min(capacity.into());
                    },
                }
                prop_assert_eq!(i64::from(budget.tokens()), tokens);
            }
        }
    }
}
