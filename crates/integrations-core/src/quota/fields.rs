//! The part of Structured Fields (RFC 9651) that rate limit fields use: lists of items with parameters.

use std::borrow::Cow;

/// Names and keys longer than this are not kept: they become keys of limiters and metrics.
const MAX_NAME: usize = 128;

/// A bare item. What rate limit fields have no use for is recognised and dropped.
#[derive(Debug, Clone, PartialEq)]
enum Bare<'a> {
    Number(f64),
    Text(Cow<'a, str>),
    Bytes(&'a str),
    Other,
}

/// An item with its parameters, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item<'a> {
    value: Bare<'a>,
    params: Vec<(&'a str, Bare<'a>)>,
}

impl Item<'_> {
    /// The item's value as a name.
    pub(super) fn name(&self) -> Option<Cow<'static, str>> {
        name_of(&self.value)
    }

    /// The item's value as a count.
    pub(super) fn amount(&self) -> Option<u64> {
        amount_of(&self.value)
    }

    /// The count under the first of these keys that is there.
    pub(super) fn param(&self, keys: &[&str]) -> Option<u64> {
        self.get(keys).and_then(amount_of)
    }

    /// The name under this key.
    pub(super) fn param_name(&self, key: &str) -> Option<Cow<'static, str>> {
        self.get(&[key]).and_then(name_of)
    }

    fn get(&self, keys: &[&str]) -> Option<&Bare<'_>> {
        keys.iter().find_map(|key| self.params.iter().rfind(|(k, _)| k == key)).map(|(_, value)| value)
    }
}

fn name_of(value: &Bare<'_>) -> Option<Cow<'static, str>> {
    let text: &str = match value {
        Bare::Text(text) => text,
        Bare::Bytes(text) => text,
        Bare::Number(_) | Bare::Other => return None,
    };
    name(text)
}

/// A name that is fit to be kept.
pub(super) fn name(text: &str) -> Option<Cow<'static, str>> {
    (!text.is_empty() && text.len() <= MAX_NAME).then(|| Cow::Owned(text.to_owned()))
}

fn amount_of(value: &Bare<'_>) -> Option<u64> {
    match value {
        Bare::Number(n) if *n >= 0.0 && n.fract() == 0.0 => Some(*n as u64),
        _ => None,
    }
}

/// Parses a list; `None` if any part is malformed, because then the whole field must be ignored (RFC 9651 section 4.2).
pub(super) fn list(text: &str) -> Option<Vec<Item<'_>>> {
    let mut input = Input(text.trim_matches([' ', '\t']));
    let mut items = Vec::new();
    while !input.0.is_empty() {
        items.push(input.item()?);
        input.skip_space();
        if input.0.is_empty() {
            break;
        }
        input.eat(',')?;
        input.skip_space();
        (!input.0.is_empty()).then_some(())?;
    }
    Some(items)
}

struct Input<'a>(&'a str);

impl<'a> Input<'a> {
    fn item(&mut self) -> Option<Item<'a>> {
        let value = self.bare()?;
        let mut params = Vec::new();
        while self.eat(';').is_some() {
            self.skip_space();
            let key = self.key()?;
            let value = if self.eat('=').is_some() { self.bare()? } else { Bare::Other };
            params.push((key, value));
        }
        Some(Item { value, params })
    }

    fn bare(&mut self) -> Option<Bare<'a>> {
        match self.0.chars().next()? {
            '"' => self.string(),
            ':' => self.bytes(),
            '?' => self.boolean(),
            c if c == '-' || c.is_ascii_digit() => self.number(),
            c if c == '*' || c.is_ascii_alphabetic() => Some(Bare::Text(Cow::Borrowed(self.token()))),
            _ => None,
        }
    }

    fn string(&mut self) -> Option<Bare<'a>> {
        self.eat('"')?;
        let plain = self.take(|c| matches!(c, ' '..='~') && c != '"' && c != '\\');
        if self.eat('"').is_some() {
            return Some(Bare::Text(Cow::Borrowed(plain)));
        }
        let mut text = plain.to_owned();
        while self.eat('"').is_none() {
            self.eat('\\')?;
            let escaped = self.0.chars().next().filter(|c| matches!(c, '"' | '\\'))?;
            self.eat(escaped)?;
            text.push(escaped);
            text.push_str(self.take(|c| matches!(c, ' '..='~') && c != '"' && c != '\\'));
        }
        Some(Bare::Text(Cow::Owned(text)))
    }

    fn bytes(&mut self) -> Option<Bare<'a>> {
        self.eat(':')?;
        let text = self.take(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='));
        self.eat(':')?;
        Some(Bare::Bytes(text))
    }

    fn boolean(&mut self) -> Option<Bare<'a>> {
        self.eat('?')?;
        self.eat('0').or_else(|| self.eat('1'))?;
        Some(Bare::Other)
    }

    fn number(&mut self) -> Option<Bare<'a>> {
        let text = self.take(|c| c == '-' || c == '.' || c.is_ascii_digit());
        let digits = text.trim_start_matches('-');
        let length = digits.find('.').unwrap_or(digits.len());
        (1..=15).contains(&length).then_some(())?;
        text.parse().ok().map(Bare::Number)
    }

    fn token(&mut self) -> &'a str {
        self.take(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c))
    }

    fn key(&mut self) -> Option<&'a str> {
        let key = self.take(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.*".contains(c));
        key.starts_with(|c: char| c == '*' || c.is_ascii_lowercase()).then_some(key)
    }

    fn skip_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn eat(&mut self, c: char) -> Option<()> {
        self.0 = self.0.strip_prefix(c)?;
        Some(())
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !wanted(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_have_names_counts_and_parameters() {
        let items =
            list(r#""bu\"r\\st";q=100;w=60;qu="requests";pk=:YWI=:;x;y=?1;z=1.5,  daily;q=1 ,100;w=1"#)
                .unwrap();
        assert_eq!(items[0].name().unwrap(), r#"bu"r\st"#);
        assert_eq!((items[0].param(&["q"]), items[0].param(&["w"])), (Some(100), Some(60)));
        assert_eq!(items[0].param_name("qu").unwrap(), "requests");
        assert_eq!(items[0].param_name("pk").unwrap(), "YWI=");
        assert_eq!(
            (items[0].param(&["x"]), items[0].param(&["y"]), items[0].param(&["z"])),
            (None, None, None)
        );
        assert_eq!(items[1].name().unwrap(), "daily");
        assert_eq!((items[2].amount(), items[2].name()), (Some(100), None));
        // The last of equal keys counts (RFC 9651 section 4.2.3.2).
        assert_eq!(list("a;r=1;r=2").unwrap()[0].param(&["r"]), Some(2));
        assert_eq!(list(""), Some(Vec::new()));
    }

    #[test]
    fn one_malformed_part_spoils_the_field() {
        for text in [
            r#""a;r=1"#,
            r#""a\x";r=1"#,
            r#""a";r=1,"#,
            r#""a";R=1"#,
            r#""a";=1"#,
            r#""a";r="#,
            r#""a" "b""#,
            "(a b);r=1",
            "a;r=1234567890123456",
            "a;r=1.2.3",
            "a;r=-",
            "a;pk=:ab",
            "a;x=?2",
            "=1",
            "é;r=1",
            r#""é";r=1"#,
        ] {
            assert_eq!(list(text), None, "{text}");
        }
    }

    #[test]
    fn negative_counts_and_endless_names_are_not_values() {
        let long = format!("{};r=-1", "a".repeat(129));
        let items = list(&long).unwrap();
        assert_eq!((items[0].name(), items[0].param(&["r"])), (None, None));
    }
}
