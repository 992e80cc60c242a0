//! Whether two folded names have the same words, but for how they are spelled.

/// Words that say no more than others: they are left out on either side.
const FILLERS: &[&str] = &["the", "a", "an", "and", "n"];

/// Words that are written in several ways, and the one that is compared. Roman numbers are read as numbers: a title that
/// has a letter instead has it on both sides.
const SPELLINGS: &[(&str, &str)] = &[
    ("pt", "part"),
    ("vol", "volume"),
    ("nr", "no"),
    ("number", "no"),
    ("i", "1"),
    ("ii", "2"),
    ("iii", "3"),
    ("iv", "4"),
    ("v", "5"),
    ("vi", "6"),
    ("vii", "7"),
    ("viii", "8"),
    ("ix", "9"),
    ("x", "10"),
    ("xi", "11"),
    ("xii", "12"),
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
];

/// From how many letters on a word may be misspelt: of a shorter one, each letter makes another word.
const MISSPELT_FROM: usize = 5;

/// Up to how many letters misspellings are looked for; comparing costs the product of both lengths.
const MISSPELT_TO: usize = 32;

/// From how many letters on another letter in the place of one is a mistake; `Loving` and `Living` are two words.
const REPLACED_FROM: usize = 8;

/// Longer names are compared by their beginning; comparing costs the product of both lengths.
const LONGEST: usize = 128;

/// Whether two titles are the same words in the same order.
pub(super) fn same_title(a: &str, b: &str) -> bool {
    let (words_a, words_b) = (words(a), words(b));
    words_a.concat() == words_b.concat()
        || (words_a.len() == words_b.len() && words_a.iter().zip(&words_b).all(|(a, b)| same_word(a, b)))
}

/// Whether two names of people are the same words in any order.
pub(super) fn same_person(a: &str, b: &str) -> bool {
    let cut = |name: &str| name.char_indices().nth(LONGEST).map_or(name.len(), |(end, _)| end);
    let (words_a, mut words_b) = (words(&a[..cut(a)]), words(&b[..cut(b)]));
    if words_a.concat() == words_b.concat() {
        return true;
    }
    words_a.len() == words_b.len()
        && words_a.iter().all(|word| {
            let at = words_b.iter().position(|other| same_word(word, other));
            at.map(|at| words_b.swap_remove(at)).is_some()
        })
}

/// The numbers of two titles, where the one that is left out is a first one: first parts are often not numbered.
pub(super) fn same_numbers(a: &str, b: &str) -> bool {
    let numbers = |name: &str| -> Vec<String> {
        let is_number = |word: &&str| word.chars().all(char::is_numeric);
        words(name).into_iter().filter(is_number).map(str::to_owned).collect()
    };
    let (mut a, mut b) = (numbers(a), numbers(b));
    if a.len() != b.len() {
        a.retain(|number| number != "1");
        b.retain(|number| number != "1");
    }
    a == b
}

fn words(name: &str) -> Vec<&str> {
    let spelled = |word| SPELLINGS.iter().find(|(other, _)| *other == word).map_or(word, |(_, plain)| *plain);
    let all = || name.split(' ').map(spelled);
    let telling: Vec<&str> = all().filter(|word| !FILLERS.contains(word)).collect();
    if telling.is_empty() { all().collect() } else { telling }
}

/// Whether two words are one, perhaps misspelt: a letter too many or too few, two in the wrong order, or an umlaut written
/// out. The plural is another word, and so is one that begins with another letter.
fn same_word(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (count_a, count_b) = (a.chars().count(), b.chars().count());
    // Only scripts with small letters have words that are long enough to be misspelt.
    let is_spelled = |word: &str| word.chars().all(char::is_lowercase);
    if count_a.abs_diff(count_b) > 2 || !is_spelled(a) || !is_spelled(b) {
        return false;
    }
    let umlauts = |word: &str| word.replace("ae", "a").replace("oe", "o").replace("ue", "u");
    if umlauts(a) == umlauts(b) {
        return true;
    }
    let shorter = count_a.min(count_b);
    let is_plural = a.strip_suffix('s') == Some(b) || b.strip_suffix('s') == Some(a);
    if !(MISSPELT_FROM..=MISSPELT_TO).contains(&shorter) || is_plural || a.chars().next() != b.chars().next()
    {
        return false;
    }
    let allowed = if shorter >= 2 * MISSPELT_FROM { 2 } else { 1 };
    let is_replaced = count_a == count_b && strsim::levenshtein(a, b) == 1;
    strsim::osa_distance(a, b) <= allowed && (!is_replaced || shorter >= REPLACED_FROM)
}
