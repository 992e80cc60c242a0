//! What a source file may say.

use super::Violation;
use crate::rust_source::{Part, code_only, has_word, part};

/// A provider is pure mapping: no I/O, no clock, no logging. Each word with what to use instead.
const NOT_IN_PROVIDERS: &[(&str, &str)] = &[
    ("tokio", "waits and tasks belong to core's pipeline"),
    ("reqwest", "bytes go through `Transport`"),
    ("tracing", "the pipeline logs calls"),
    ("SystemTime::now", "take the time from `Clock`"),
    ("Timestamp::now", "take the time from `Clock`"),
    ("Zoned::now", "take the time from `Clock`"),
    ("Instant::now", "take the time from `Clock`"),
    ("println!", "a library prints nothing"),
    ("eprintln!", "a library prints nothing"),
];

/// Written on the line of a field, or above it, where a name only looks like a secret's.
const NOT_A_SECRET: &str = "tidy: not a secret";

/// Endings by which a name says that it holds something about a secret, not the secret.
const HARMLESS_ENDINGS: &[&str] = &["_url", "_uri", "_endpoint", "_type", "_header"];

/// Types that show their text in `Debug` and leave it in memory.
const PLAIN_TEXT: &[&str] = &["String", "str"];

/// Everything that one file does against the rules.
pub(super) fn violations(place: &str, text: &str, is_provider: bool) -> Vec<Violation> {
    let code = code_only(text);
    let in_tests_folder = place.contains("/tests/");
    let product = if in_tests_folder { String::new() } else { part(&code, Part::Product) };
    let tests = if in_tests_folder { code.clone() } else { part(&code, Part::Tests) };
    let mut found = real_sleeps(place, &tests);
    if is_provider {
        found.extend(impure_words(place, &product));
    }
    if !place.ends_with("/wire.rs") && !place.contains("/wire/") {
        found.extend(plain_secrets(place, text, &product));
    }
    found
}

fn real_sleeps(place: &str, tests: &str) -> Vec<Violation> {
    let message = "a test sleeps for real; use tokio's paused time or a `Clock` of your own";
    numbered(tests)
        .filter(|(_, line)| line.contains("thread::sleep"))
        .map(|(number, _)| Violation::new(place, number, message))
        .collect()
}

fn impure_words(place: &str, product: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    for (number, line) in numbered(product) {
        for (word, instead) in NOT_IN_PROVIDERS {
            if has_word(line, word) {
                found.push(Violation::new(place, number, format!("a provider names `{word}`: {instead}")));
            }
        }
    }
    found
}

fn plain_secrets(place: &str, text: &str, product: &str) -> Vec<Violation> {
    let original: Vec<&str> = text.lines().collect();
    let line = |number: usize| original.get(number.wrapping_sub(1)).copied().unwrap_or_default();
    let is_excused = |number: usize| {
        let above = line(number - 1).trim_start();
        line(number).contains(NOT_A_SECRET) || (above.starts_with("//") && above.contains(NOT_A_SECRET))
    };
    fields(product)
        .filter(|field| is_secret_name(field.name) && has_plain_text(field.kind))
        .filter(|field| !is_excused(field.line))
        .map(|field| {
            let message = format!(
                "field `{}` is plain text; use `Secret<String>`, or write `// {NOT_A_SECRET}` with the reason",
                field.name
            );
            Violation::new(place, field.line, message)
        })
        .collect()
}

struct Field<'a> {
    line: usize,
    name: &'a str,
    kind: &'a str,
}

/// The named fields of structs and enum variants. Formatted code has one per line, and a function's
/// parameters never stand inside such an item's braces.
fn fields(code: &str) -> impl Iterator<Item = Field<'_>> {
    let mut depth = 0_usize;
    let mut inside = false;
    numbered(code).filter_map(move |(number, line)| {
        // Only braces of an item count, so items nested in modules and functions are reached too.
        inside |= has_word(line, "struct") || has_word(line, "enum");
        if !inside {
            return None;
        }
        let field = field(number, line);
        let opened = line.matches('{').count();
        let before = depth;
        depth = (depth + opened).saturating_sub(line.matches('}').count());
        let has_ended = depth == 0 && (before + opened > 0 || line.contains(';'));
        inside = !has_ended;
        field
    })
}

fn field(line: usize, text: &str) -> Option<Field<'_>> {
    let text = text.rsplit_once('{').map_or(text, |(_, body)| body).trim();
    let (name, kind) = text.split_once(": ")?;
    let name = name.rsplit(' ').next()?;
    name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(Field { line, name, kind })
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let harmless = HARMLESS_ENDINGS.iter().any(|ending| name.ends_with(ending));
    let secret =
        ["secret", "token", "password"].iter().any(|word| name.contains(word)) || name.ends_with("key");
    secret && !harmless
}

fn has_plain_text(kind: &str) -> bool {
    // Our own `Secret<String>` wraps plain text, and so does a generic type of that name.
    !has_word(kind, "Secret") && PLAIN_TEXT.iter().any(|plain| has_word(kind, plain))
}

fn numbered(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.lines().enumerate().map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(place: &str, text: &str, is_provider: bool) -> Vec<usize> {
        violations(place, text, is_provider).iter().map(|v| v.line).collect()
    }

    #[test]
    fn a_provider_names_no_runtime_client_log_or_clock() {
        for (word, _) in NOT_IN_PROVIDERS {
            let text = format!(
                "// {word}\nfn f() {{ {word}(1); }}\n#[cfg(test)]\nmod tests {{ fn g() {{ {word}(1) }} }}\n"
            );
            assert_eq!(lines("crates/c/src/p/ops.rs", &text, true), [2], "{word}");
            assert!(lines("crates/c/src/other.rs", &text, false).is_empty());
        }
    }

    #[test]
    fn a_secret_in_plain_text_is_found_and_can_be_excused() {
        let text = "\
pub struct Config {
    pub client_secret: String,
    pub api_key: Option<&'static str>,
    pub access_token: Secret<String>,
    pub token_url: String,
    pub tokens: u32,
    // tidy: not a secret, it names a page
    pub page_token: String,
    pub sort_key: String, // tidy: not a secret
    pub monkey: String,
}
enum Kind {
    Login { password: String },
}
struct Unit;
fn call(token: String) {}
struct Long<T>
where
    T: Copy,
{
    token: Box<str>,
}
";
        assert_eq!(lines("crates/c/src/config.rs", text, false), [2, 3, 10, 13, 21]);
        assert!(lines("crates/c/src/p/wire.rs", text, true).is_empty());
    }

    #[test]
    fn a_test_may_not_sleep_for_real() {
        let text = "fn wait() { std::thread::sleep(d); }\n#[cfg(test)]\nmod tests {\n fn t() { thread::sleep(d); }\n}\n";
        assert_eq!(lines("crates/c/src/lib.rs", text, false), [4]);
        assert_eq!(lines("crates/c/tests/it/main.rs", text, false), [1, 4]);
    }
}
