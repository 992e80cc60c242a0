//! Path templates: which of them a path fits, and what their variables hold.

use percent_encoding::percent_decode_str;

/// Steps of one match: more than any real template needs, and an end for one made to cost time.
const MAX_STEPS: usize = 20_000;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// A variable: within one segment, or over several (`{+name}`).
    Variable {
        name: String,
        rest: bool,
    },
}

/// A path with variables, and the query that belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Template {
    parts: Vec<Part>,
    /// Query parameters that are written into the path: `?comp=list`.
    pub(super) fixed: Vec<(String, String)>,
    rank: Vec<u8>,
}

impl Template {
    /// Reads `/a/{b}?c=d`. What follows a `#`, and query names without a value, only tell operations apart for readers.
    pub(super) fn new(text: &str) -> Self {
        let text = text.split('#').next().unwrap_or_default();
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let fixed = query.split('&').filter_map(|pair| pair.split_once('='));
        let fixed = fixed
            .filter(|(_, value)| !value.contains('{'))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self { parts: parts(path), fixed, rank: path.split('/').map(rank).collect() }
    }

    /// The greater one is the more specific: the first segment that differs decides, a literal before a variable.
    pub(super) fn rank(&self) -> (&[u8], usize) {
        (&self.rank, self.fixed.len())
    }

    /// The decoded variables, if the path fits.
    pub(super) fn matches(&self, path: &str) -> Option<Vec<(String, String)>> {
        let mut found = Vec::new();
        let mut steps = MAX_STEPS;
        step(&self.parts, path, &mut found, &mut steps).then(|| {
            found.reverse();
            found
        })
    }
}

fn parts(path: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        if !before.is_empty() {
            parts.push(Part::Literal(before.to_owned()));
        }
        let is_rest = name.starts_with('+') || name.ends_with('*');
        let name = name.trim_start_matches('+').trim_end_matches('*').to_owned();
        parts.push(Part::Variable { name, rest: is_rest });
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.to_owned()));
    }
    parts
}

fn rank(segment: &str) -> u8 {
    let is_whole = segment.starts_with('{') && segment.find('}') == Some(segment.len() - 1);
    match (segment.contains('{'), segment.contains("{+"), is_whole) {
        (false, ..) => 4,
        (true, false, false) => 3,
        (true, false, true) => 2,
        (true, true, false) => 1,
        (true, true, true) => 0,
    }
}

/// Collects the variables from the last to the first.
fn step(parts: &[Part], path: &str, found: &mut Vec<(String, String)>, steps: &mut usize) -> bool {
    if *steps == 0 {
        return false;
    }
    *steps -= 1;
    let Some((first, others)) = parts.split_first() else { return path.is_empty() };
    match first {
        Part::Literal(text) => path.strip_prefix(text).is_some_and(|path| step(others, path, found, steps)),
        Part::Variable { name, rest } => {
            let end = if *rest { path.len() } else { path.find('/').unwrap_or(path.len()) };
            // The longest first, so that `{+name}:verb` leaves the verb to the literal and nothing else.
            let ends = path.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|&at| at <= end);
            for at in ends.collect::<Vec<_>>().into_iter().rev() {
                let (taken, left) = path.split_at(at);
                if step(others, left, found, steps) {
                    let value = percent_decode_str(taken).decode_utf8_lossy().into_owned();
                    found.push((name.clone(), value));
                    return true;
                }
            }
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(template: &str, path: &str) -> Option<Vec<(String, String)>> {
        Template::new(template).matches(path)
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn variables_stay_in_their_segment_unless_they_say_otherwise() {
        assert_eq!(variables("/a/{b}/c", "/a/x%20y/c"), Some(pairs(&[("b", "x y")])));
        assert_eq!(variables("/a/{b}/c", "/a/x/y/c"), None);
        assert_eq!(variables("/a/{b}", "/a/"), None);
        assert_eq!(variables("/v1/{+name}:run", "/v1/p/1/t/2:run"), Some(pairs(&[("name", "p/1/t/2")])));
        assert_eq!(
            variables("/{a}.{b}/r({c})", "/x.y.json/r(1)"),
            Some(pairs(&[("a", "x.y"), ("b", "json"), ("c", "1")]))
        );
        assert_eq!(variables("/a/{b}", "/a/b/"), None);
    }

    #[test]
    fn the_more_literal_template_ranks_higher() {
        let rank = |text: &str| {
            let template = Template::new(text);
            let (rank, fixed) = template.rank();
            (rank.to_vec(), fixed)
        };
        let ascending =
            ["/v1/{+n}", "/v1/{+n}:run", "/v1/{n}", "/v1/{n}/x", "/v1/r({n})", "/v1/me", "/v1/me?comp=list"];
        for pair in ascending.windows(2) {
            assert!(rank(pair[0]) < rank(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn a_template_made_to_cost_time_ends() {
        let template = "{a}".repeat(60) + "!";
        assert_eq!(variables(&template, &"a".repeat(300)), None);
    }
}
