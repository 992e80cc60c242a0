//! Canaries, every spelling in which a program could print them, and the search for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The secret of one slot. Its middle is changed by every encoding, its ends are found even where something is cut
/// off or escaped.
pub(crate) fn canary(slot: &str) -> String {
    let slot = slot.replace('-', "");
    format!("zq7{slot}Head+/{slot}Tail9kw")
}

/// A secret to look for.
pub(crate) struct Needle {
    pub(crate) slot: String,
    spellings: Vec<String>,
    /// As a list of numbers, without spaces.
    list: String,
}

impl Needle {
    /// The canary of a slot, its ends by themselves among the spellings.
    pub(crate) fn of_slot(slot: &str) -> Self {
        let secret = canary(slot);
        let mut needle = Self::new(slot, &secret);
        needle.spellings.extend(secret.split("+/").map(str::to_owned));
        needle
    }

    /// Any other secret.
    pub(crate) fn new(slot: &str, secret: &str) -> Self {
        let bytes = secret.as_bytes();
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let mut spellings = vec![
            secret.to_owned(),
            utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
            hex.to_uppercase(),
            hex,
        ];
        for encoded in (0..3).map(|shift| base64_inside(bytes, shift)) {
            spellings.push(encoded.replace('+', "-").replace('/', "_"));
            spellings.push(encoded);
        }
        let list = format!("{bytes:?}").replace(' ', "");
        Self { slot: slot.to_owned(), spellings, list: list.trim_matches(['[', ']']).to_owned() }
    }

    pub(crate) fn is_in(&self, text: &str, without_space: &str) -> bool {
        self.spellings.iter().any(|spelling| text.contains(spelling)) || without_space.contains(&self.list)
    }
}

/// What base64 makes of the bytes when `shift` others come before them: the digits that depend on them alone.
fn base64_inside(bytes: &[u8], shift: usize) -> String {
    let padded = [&[0; 2][..shift], bytes].concat();
    let digits = STANDARD_NO_PAD.encode(&padded);
    digits[(shift * 8).div_ceil(6)..padded.len() * 8 / 6].to_owned()
}

/// Everything that was printed, by the place where it was.
#[derive(Default)]
pub(crate) struct Haul {
    texts: Vec<(String, String)>,
}

impl Haul {
    pub(crate) fn add(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.texts.push((place.into(), text.into()));
    }

    pub(crate) fn places(&self) -> usize {
        self.texts.len()
    }

    /// Whether a place holds this text, which is no secret.
    pub(crate) fn holds(&self, place: &str, text: &str) -> bool {
        self.texts.iter().any(|(known, content)| known == place && content.contains(text))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.texts.iter().map(|(_, text)| text.len()).sum()
    }

    /// How often each secret was found, by slot and place.
    pub(crate) fn search(&self, needles: &[Needle]) -> BTreeMap<(String, String), usize> {
        let index = Index::new(needles);
        let mut found = BTreeMap::new();
        for (place, text) in &self.texts {
            let without_space: String = text.split_whitespace().collect();
            for slot in index.slots_in(text, &without_space) {
                *found.entry((slot.to_owned(), place.clone())).or_default() += 1;
            }
        }
        found
    }
}

/// How much of a spelling it is looked up by. No spelling is shorter.
const START: usize = 8;

/// All spellings of thousands of secrets by how they begin, so that a text is read once for all of them.
struct Index<'n> {
    /// The number of a beginning is there if its bit is: most places of a text are done with after one look.
    bits: Vec<bool>,
    starts: HashMap<u64, Vec<(&'n str, &'n str)>>,
}

impl<'n> Index<'n> {
    fn new(needles: &'n [Needle]) -> Self {
        let mut index = Self { bits: vec![false; 1 << 16], starts: HashMap::new() };
        for needle in needles {
            for spelling in needle.spellings.iter().chain([&needle.list]) {
                let start = spelling.as_bytes().first_chunk().expect("a secret is long enough to be one");
                index.bits[bit(u64::from_le_bytes(*start))] = true;
                let entries = index.starts.entry(u64::from_le_bytes(*start)).or_default();
                entries.push((spelling, &needle.slot));
            }
        }
        index
    }

    fn slots_in(&self, text: &str, without_space: &str) -> BTreeSet<&'n str> {
        let mut found = BTreeSet::new();
        for text in [text.as_bytes(), without_space.as_bytes()] {
            let mut window = 0;
            for (at, byte) in text.iter().enumerate() {
                window = (window >> 8) | (u64::from(*byte) << 56);
                if at + 1 >= START && self.bits[bit(window)] {
                    let entries = self.starts.get(&window).into_iter().flatten();
                    let fits = |(spelling, _): &&(&str, &str)| {
                        text[at + 1 - START..].starts_with(spelling.as_bytes())
                    };
                    found.extend(entries.filter(fits).map(|(_, slot)| *slot));
                }
            }
        }
        found
    }
}

fn bit(window: u64) -> usize {
    (window.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(text: &str) -> bool {
        let mut haul = Haul::default();
        haul.add("here", text);
        let found = haul.search(&[Needle::of_slot("slot-b"), Needle::of_slot("slot-a")]);
        found.keys().map(|(slot, _)| slot.as_str()).eq(["slot-a"])
    }

    #[test]
    fn each_spelling_is_found() {
        let secret = canary("slot-a");
        let bytes = secret.as_bytes();
        for before in ["", "u", "us", "user:"] {
            let whole = format!("{before}{secret}:more");
            assert!(finds(&STANDARD_NO_PAD.encode(&whole)), "{before:?}");
            assert!(finds(&base64::engine::general_purpose::URL_SAFE.encode(&whole)), "{before:?}");
        }
        for text in [
            format!("key={secret}&"),
            format!("key={}&", utf8_percent_encode(&secret, NON_ALPHANUMERIC)),
            format!("{bytes:?}"),
            format!("{bytes:#?}"),
            format!("{bytes:02x?}").replace(", ", "").trim_matches(['[', ']']).to_owned(),
            format!("{bytes:02X?}").replace(", ", ""),
            format!("{:?}", bytes::Bytes::copy_from_slice(bytes)),
            secret[..secret.len() / 2].to_owned(),
        ] {
            assert!(finds(&text), "{text}");
        }
        assert!(!finds("zq7slotbHead") && !finds("zq7slota") && !finds(""));
        assert!(finds(&format!("zq7slotaHea {} zq7slotaHea", canary("slot-a"))));
    }
}
