//! The merge itself, on numbers: which tracks stay, and in which order.

use std::collections::{HashMap, HashSet};

use super::base::{Pair, Place, Side};
use super::moves::longest_increasing;

/// What happened to a pair on one side since the last round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Same,
    Added,
    Removed,
    Owed,
    Doomed,
}

pub(super) fn change(pair: &Pair, side: Side, is_present: bool) -> Change {
    let half = pair.half(side);
    match (half.place, is_present) {
        _ if half.id.is_none() => Change::None,
        (Place::Here | Place::Owed { .. }, true) => Change::Same,
        (Place::Here, false) => Change::Removed,
        (Place::Absent, true) => Change::Added,
        (Place::Owed { .. }, false) => Change::Owed,
        (Place::Doomed { .. }, true) => Change::Doomed,
        (Place::Absent | Place::Doomed { .. }, false) => Change::None,
    }
}

/// Whether a pair stays.
pub(super) fn stays(changes: [Change; 2]) -> bool {
    let any = |change: Change| changes.contains(&change);
    let is_wanted = any(Change::Same) || any(Change::Owed);
    any(Change::Added) || (is_wanted && !any(Change::Removed) && !any(Change::Doomed))
}

/// The order that both sides get. `base` is the order of the last round and `sides` what each shows now, the preferred
/// side first; all hold only what stays.
pub(super) fn order(base: &[usize], sides: [&[usize]; 2]) -> Vec<usize> {
    let [first, second] = sides;
    let on_both: HashSet<usize> = {
        let seconds: HashSet<usize> = second.iter().copied().collect();
        first.iter().copied().filter(|pair| seconds.contains(pair)).collect()
    };
    let common: Vec<usize> = base.iter().copied().filter(|pair| on_both.contains(pair)).collect();
    let known: HashSet<usize> = common.iter().copied().collect();
    let moved = sides.map(|side| moved(&common, side));
    let mut order: Vec<usize> =
        common.iter().copied().filter(|pair| !moved[0].contains(pair) && !moved[1].contains(pair)).collect();
    // What the other side alone has moved is no place to stand behind.
    let (in_first, in_second) = (|pair| moved[0].contains(&pair), |pair| moved[1].contains(&pair));
    place(&mut order, second, |pair| in_second(pair) && !in_first(pair), |pair| !in_first(pair));
    place(&mut order, first, in_first, |pair| in_first(pair) || !in_second(pair));
    // What is new on both is placed as the preferred side has it. That side comes last, so its tracks come first.
    place(&mut order, second, |pair| !on_both.contains(&pair), |_| true);
    place(&mut order, first, |pair| !known.contains(&pair), |_| true);
    // What both sides owe is on neither, and still has its place.
    place(&mut order, base, |_| true, |_| true);
    order
}

/// What a side moved: everything outside a longest subsequence that is in the old order.
fn moved(common: &[usize], side: &[usize]) -> HashSet<usize> {
    let ranks: HashMap<usize, usize> = common.iter().enumerate().map(|(rank, pair)| (*pair, rank)).collect();
    let now: Vec<usize> = side.iter().filter_map(|pair| ranks.get(pair).copied()).collect();
    let kept: HashSet<usize> = longest_increasing(&now).into_iter().collect();
    now.into_iter().filter(|rank| !kept.contains(rank)).map(|rank| common[rank]).collect()
}

/// Puts some of a side's tracks behind the nearest one before them that is an anchor and placed already.
fn place(
    order: &mut Vec<usize>,
    side: &[usize],
    is_chosen: impl Fn(usize) -> bool,
    is_anchor: impl Fn(usize) -> bool,
) {
    let mut previous: Option<usize> = None;
    let mut placed: HashSet<usize> = order.iter().copied().collect();
    for pair in side.iter().copied() {
        if is_chosen(pair) && placed.insert(pair) {
            let at = previous.and_then(|previous| order.iter().position(|other| *other == previous));
            order.insert(at.map_or(0, |at| at + 1), pair);
        }
        if placed.contains(&pair) && is_anchor(pair) {
            previous = Some(pair);
        }
    }
}
