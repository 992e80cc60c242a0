//! No text makes the loader panic, and none makes it quote a secret.

use integrations_core::config::Loader;
use proptest::prelude::*;

use super::good::{EVERYTHING, FIRST};
use super::providers::{VARS, registry};

const TOML: &str = include_str!("good/everything.toml");

/// What once was, or well might be, hard to read.
const CORPUS: &[&str] = &[
    "",
    "\u{feff}version: 1",
    "\0",
    "\t",
    "-",
    "?",
    "? ? ?",
    ": :",
    "{",
    "}",
    "[[[[",
    "'",
    "\"\\x",
    "&a",
    "*a",
    "&a *a",
    "&a [*a]",
    "&a {b: *a}",
    "!!",
    "!<",
    "%YAML 9.9\n---\n",
    "%TAG",
    "---\n...\n---",
    "|",
    ">9",
    "|\n x\n y",
    "a: |+\n\n\n",
    "version: 1\ninstances: *x",
    "{a: b, a: b}",
    "? {a: b}\n: c",
    "<<: {a: b}",
    "a: 99999999999999999999",
    "a: .inf",
    "a: .nan",
    "a: 0xffffffffffffffffffff",
    "a: 0o9",
    "a: 1e999",
    "a: -.",
    "a: ${",
    "\r\r\n",
    "a:\r  b: c",
    "\u{2028}",
    "#",
    "a: b # c",
    "a : b",
    "- - - -",
    "[a, b",
    "{a: [}",
    "'a': 'b'",
    "\"\\u{110000}\"",
    "version: 1\ninstances: {a: {dsn: {}}}",
    "version: 1\ninstances: {a: {dsn: 'failover()'}}",
    "version: 1\ntenants: {a: {instances: {b: {}}}}",
    "version = 1\n[a",
    "a.b = 1\na = 2",
    "[[a]]\n[a]",
    "a = 1979-05-27T07:32:00Z",
    "a = 0xffffffffffffffff",
    "a = nan",
];

fn told(name: &str, text: &str) -> String {
    let registry = registry();
    let loader = Loader::new(&registry).environment("production").text(name, text).vars(VARS);
    loader.load().err().map(|problems| problems.to_string()).unwrap_or_default()
}

#[test]
fn the_corpus_is_read_or_refused() {
    for text in CORPUS {
        for name in ["c.yaml", "c.toml"] {
            let _ = told(name, text);
        }
    }
}

#[test]
fn aliases_cannot_grow_without_bound() {
    let mut text = String::from("version: 1\na: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("b{level}: &a{level} [{before}]\n"));
    }
    let told = told("c.yaml", &text);
    assert!(told.contains("more than 100000 values"), "{told}");
}

#[test]
fn size_and_depth_are_bounded() {
    assert!(told("c.yaml", &" ".repeat(2 * 1024 * 1024)).contains("larger than 1 MiB"));
    for name in ["c.yaml", "c.toml"] {
        let deep = format!("a{} {}", if name == "c.yaml" { ":" } else { " =" }, "[".repeat(200_000));
        assert!(!told(name, &deep).is_empty());
    }
    let mut blocks = String::new();
    for depth in 0..500 {
        blocks.push_str(&format!("{}a:\n", " ".repeat(depth)));
    }
    assert!(told("c.yaml", &blocks).contains("more than 32"), "{}", told("c.yaml", &blocks));
    let long = format!("version: 1\n{}: 1\n", "k".repeat(1_000));
    assert!(told("c.yaml", &long).contains("a key longer than"));
}

/// Cut anywhere, or with one character missing, a configuration with a secret in it never shows the secret.
#[test]
fn damage_never_shows_a_secret() {
    let yaml = r#"version: 1
instances:
  a:
    use: sendgrid
    key: "SG.hunter2"
    sender: x
  b: "smtp://u:hunter2@h:1?keep=1"
"#;
    let toml = r#"version = 1
[instances.a]
use = "sendgrid"
key = "SG.hunter2"
[instances.b]
dsn = "smtp://u:hunter2@h:1"
"#;
    for (name, text) in [("c.yaml", yaml), ("c.toml", toml)] {
        for at in 0..text.len() {
            let without = format!("{}{}", &text[..at], &text[at + 1..]);
            for damaged in [&text[..at], &without] {
                let told = told(name, damaged);
                assert!(!told.contains("unter2") && !told.contains("hunter"), "{damaged}\n{told}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        told("c.yaml", &text);
        told("c.toml", &text);
    }

    #[test]
    fn any_punctuation_is_read_or_refused(text in "[-a:{}\\[\\]&*!|>'\"%@`#?, \n\t=.0$<]{0,60}") {
        told("c.yaml", &text);
        told("c.toml", &text);
    }

    #[test]
    fn a_damaged_configuration_is_read_or_refused(
        which in 0..3_usize,
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), "[-a:{}\\[\\]&*!|>'\"%#?, \n\t=.0$<]{0,3}", 0..4_usize),
            1..6,
        ),
    ) {
        let (name, text) = [("c.yaml", FIRST), ("c.yaml", EVERYTHING), ("c.toml", TOML)][which];
        let mut chars: Vec<char> = text.chars().collect();
        for (at, insert, remove) in edits {
            let at = at.index(chars.len());
            let end = (at + remove).min(chars.len());
            chars.splice(at..end, insert.chars());
        }
        let text: String = chars.into_iter().collect();
        let told = told(name, &text);
        prop_assert!(!told.contains("4eC39H"), "{}", told);
    }
}
