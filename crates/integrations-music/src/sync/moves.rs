//! From one order to another with as few moves as there can be.

use std::collections::HashMap;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

/// One entry that is moved, counted from 0 in the order before this move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "made by its fields")]
pub struct Move {
    /// Where it stands.
    pub from: usize,
    /// It goes before the entry that stands here; one past the end for the end.
    pub before: usize,
}

/// The fewest moves that make `current` into `target`: what is in a longest common subsequence stays.
///
/// Both have the same entries, each once; what only one of them has is left out of the reckoning, and the positions count
/// only what both have.
///
/// ```
/// use integrations_music::sync::{Move, minimal_moves};
/// assert_eq!(minimal_moves(&[1, 2, 3], &[1, 2, 3]), []);
/// assert_eq!(minimal_moves(&[1, 2, 3], &[3, 2, 1]).len(), 2);
/// ```
pub fn minimal_moves<T: Eq + Hash>(current: &[T], target: &[T]) -> Vec<Move> {
    let ranks: HashMap<&T, usize> = target.iter().enumerate().map(|(rank, entry)| (entry, rank)).collect();
    let mut order: Vec<usize> = current.iter().filter_map(|entry| ranks.get(entry).copied()).collect();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    let mut stays: Vec<bool> = vec![false; target.len()];
    for rank in longest_increasing(&order) {
        stays[rank] = true;
    }
    let mut moves = Vec::new();
    // From the front on: everything before `rank` that has been handled stands in its final order.
    for (at, rank) in sorted.iter().copied().enumerate() {
        if stays[rank] {
            continue;
        }
        let place = |wanted: usize| order.iter().position(|other| *other == wanted);
        let Some(from) = place(rank) else { continue };
        let before = if at == 0 { 0 } else { place(sorted[at - 1]).map_or(0, |previous| previous + 1) };
        stays[rank] = true;
        if before == from || before == from + 1 {
            continue;
        }
        moves.push(Move { from, before });
        order.remove(from);
        order.insert(if before > from { before - 1 } else { before }, rank);
    }
    moves
}

/// A longest increasing subsequence, by patience sorting.
pub(super) fn longest_increasing(numbers: &[usize]) -> Vec<usize> {
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; numbers.len()];
    for (at, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|end| numbers[*end] < *number);
        before[at] = length.checked_sub(1).map(|shorter| ends[shorter]);
        if length == ends.len() {
            ends.push(at);
        } else {
            ends[length] = at;
        }
    }
    let mut found: Vec<usize> =
        std::iter::successors(ends.last().copied(), |at| before[*at]).map(|at| numbers[at]).collect();
    found.reverse();
    found
}
