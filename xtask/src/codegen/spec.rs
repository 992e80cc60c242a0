//! `spec.rs` of one provider: `SPEC` and one `static` per operation.

use std::fmt::Display;

use toml::Spanned;
use toml::value::Datetime;

use super::GENERATED;
use super::facts::{Api, Facts, Host, Mode, Op, Provider, Setting, SettingKind, Shape, Word};
use super::oauth::OAuth;
use crate::{Outcome, process};

/// The formatted source.
pub(super) fn render(provider: &Provider) -> Outcome<String> {
    let facts = &provider.facts;
    let ops: Vec<String> = facts.ops.iter().map(|op| op_static(facts, op)).collect();
    let (ops, spec) = (ops.join("\n"), spec_static(provider));
    let name = facts.name.as_ref();
    let body = format!("{ops}\n/// All facts of {name}.\n{spec}");
    let imports = imports(&body);
    process::rustfmt(&format!("// {GENERATED}\n//! The facts and operations of {name}.\n\n{imports}\n{body}"))
}

/// Only what `body` names: an unused import is a warning.
pub(super) fn imports(body: &str) -> String {
    let parts = [
        "ApiVersion",
        "AuthKind",
        "Bucket",
        "ClientAuth",
        "Exchange",
        "Host",
        "OAuth",
        "OpRow",
        "Pagination",
        "Pkce",
        "ProviderSpec",
        "Quirk",
        "Refresh",
        "Setting",
        "SettingKind",
        "Shape",
        "Status",
        "TokenBody",
        "WebhookScheme",
    ];
    let named: Vec<&str> = parts.into_iter().filter(|part| body.contains(&format!("{part}::"))).collect();
    let mut text = String::new();
    if body.contains("Duration::") {
        text.push_str("use std::time::Duration;\n\n");
    }
    text.push_str(&["use integrations_core::provider::{", &named.join(", "), "};\n"].concat());
    if body.contains("Op::new(") && body.contains("Safety::") {
        text.push_str("use integrations_core::{Op, Safety};\n");
    }
    text
}

fn op_static(facts: &Facts, op: &Op) -> String {
    let mut chain = Chain::new(format!(
        "Op::new({}, {}, {})",
        literal(&facts.id),
        literal(&op.name),
        op.safety.as_ref().path()
    ));
    if let (Some(method), Some(path)) = (&op.method, &op.path) {
        chain.call("http", &[literal(method), literal(path)]);
    }
    chain.call("bucket", &[literal(&op.bucket)]);
    chain.call_some("cost", op.cost.as_ref().map(Spanned::as_ref));
    chain.call_some("response_limit", op.response_limit.map(grouped));
    chain.flag("cached", op.cache.as_ref().is_some_and(|cache| *cache.as_ref()));
    let statuses: Vec<String> = op.not_executed.iter().map(|status| status.as_ref().to_string()).collect();
    chain.list("not_executed", &statuses);
    let lifetime = op.key_lifetime_seconds.as_ref();
    chain.call_some("key_lifetime", lifetime.map(|seconds| duration(*seconds.as_ref())));
    chain.flag("replays_failures", op.replays_failures.as_ref().is_some_and(|replays| *replays.as_ref()));
    format!("{}pub static {}: Op = {};\n", op_docs(op), constant(&op.name), chain.text)
}

fn op_docs(op: &Op) -> String {
    let call = match (&op.method, &op.path) {
        (Some(method), Some(path)) => format!("{} {}", method.as_ref(), path.as_ref()),
        _ => op.name.as_ref().clone(),
    };
    format!("/// `{call}`: vendor page [{}]({}).\n", op.page.as_ref(), op.doc.as_ref())
}

fn spec_static(provider: &Provider) -> String {
    let facts = &provider.facts;
    let mut chain = Chain::new(format!(
        "ProviderSpec::new({}, {}, {}, {})",
        literal(&facts.id),
        literal(&facts.name),
        literal(&facts.category),
        facts.status.path()
    ));
    chain.call("summary", &[literal(&facts.summary)]);
    chain.list("hosts", &each(&facts.hosts, host));
    chain.call_some("api", facts.api.as_ref().map(api));
    chain.call("auth", &[facts.auth.kind.as_ref().path()]);
    chain.call_some("oauth", provider.oauth.as_ref().map(OAuth::source));
    chain.list("settings", &each(&facts.settings, setting));
    chain.list(
        "buckets",
        &each(&facts.buckets, |b| {
            let (limit, per) = (grouped(b.limit), grouped(*b.per_seconds.as_ref()));
            let (name, unit, source) = (literal(&b.name), literal(&b.unit), literal(&b.source));
            let mut chain = Chain::new(format!("Bucket::new({name}, {limit}, {per}, {unit}, {source})"));
            chain.call_some("headers", b.headers.as_ref().map(literal));
            chain.text
        }),
    );
    chain.call("pagination", &[facts.pagination.path()]);
    chain.call("webhook", &[facts.webhook.path()]);
    chain.flag("quota_per_connection", facts.quota_per_connection);
    chain.list("caps", &each(&facts.caps, literal));
    chain.list("descriptions", &each(&facts.descriptions, literal));
    chain.list("quirks", &each(&facts.quirks, |q| constructor("Quirk", &[&q.id, &q.about, &q.source])));
    chain.list("ops", &each(&facts.ops, op_row));
    chain.call("terms", &[literal(&facts.terms)]);
    chain.call_some("attribution", facts.attribution.as_ref().map(literal));
    format!("pub static SPEC: ProviderSpec = {};\n", chain.text)
}

fn host(host: &Host) -> String {
    let mut chain = Chain::new(constructor("Host", &[&host.environment, &host.url]));
    chain.flag("test", host.test);
    chain.text
}

fn setting(setting: &Setting) -> String {
    let mut chain = Chain::new(constructor("Setting", &[&setting.name, &setting.about]));
    chain.call_some("env", setting.env.as_ref().map(literal));
    match setting.kind {
        SettingKind::Text => {}
        SettingKind::Secret => chain.call("secret", &[]),
        kind => chain.call("kind", &[kind.path()]),
    }
    chain.flag("optional", !setting.required);
    chain.list("shapes", &each(&setting.shapes, |spanned| shape(spanned.as_ref())));
    chain.text
}

fn shape(shape: &Shape) -> String {
    let constructor = match shape.mode {
        None => "new",
        Some(Mode::Live) => "live",
        Some(Mode::Test) => "test",
    };
    format!("Shape::{constructor}({:?})", shape.prefix)
}

fn api(api: &Api) -> String {
    let mut chain = Chain::new(constructor("ApiVersion", &[&api.pin, &api.source]));
    chain.call_some("released", api.released.as_ref().and_then(day));
    chain.call_some("sunset", api.sunset.as_ref().and_then(day));
    chain.text
}

fn day(day: &Spanned<Datetime>) -> Option<String> {
    day.as_ref().date.map(|date| format!("{}, {}, {}", date.year, date.month, date.day))
}

fn op_row(op: &Op) -> String {
    let start = format!("OpRow::new(&{}, {}, {})", constant(&op.name), literal(&op.page), literal(&op.doc));
    let mut chain = Chain::new(start);
    chain.call_some("description_id", op.description_id.as_ref().map(literal));
    chain.call_some("undescribed", op.undescribed.as_ref().map(literal));
    chain.call_some("cap", op.cap.as_ref().map(literal));
    chain.text
}

/// A chain of builder calls, one per line: rustfmt leaves a chain as it is when a text is too long for a line.
pub(super) struct Chain {
    pub(super) text: String,
}

impl Chain {
    pub(super) fn new(start: String) -> Self {
        Self { text: start }
    }

    pub(super) fn call(&mut self, name: &str, arguments: &[String]) {
        self.text.push_str(&["\n    .", name, "(", &arguments.join(", "), ")"].concat());
    }

    fn call_some(&mut self, name: &str, argument: Option<impl Display>) {
        if let Some(argument) = argument {
            self.call(name, &[argument.to_string()]);
        }
    }

    pub(super) fn flag(&mut self, name: &str, is_set: bool) {
        if is_set {
            self.call(name, &[]);
        }
    }

    fn list(&mut self, name: &str, items: &[String]) {
        if !items.is_empty() {
            self.call(name, &[format!("&[{}]", items.join(", "))]);
        }
    }
}

fn each<T>(items: &[T], render: impl Fn(&T) -> String) -> Vec<String> {
    items.iter().map(render).collect()
}

pub(super) fn constructor(name: &str, words: &[&Word]) -> String {
    let words: Vec<String> = words.iter().map(|word| literal(word)).collect();
    format!("{name}::new({})", words.join(", "))
}

/// The word as a string literal of Rust.
pub(super) fn literal(word: &Word) -> String {
    format!("{:?}", word.as_ref())
}

/// In the largest unit that fits, as clippy asks for.
pub(super) fn duration(seconds: u64) -> String {
    let (unit, size) = [("hours", 3600), ("mins", 60)]
        .into_iter()
        .find(|(_, size)| seconds > 0 && seconds.is_multiple_of(*size))
        .unwrap_or(("secs", 1));
    format!("Duration::from_{unit}({})", grouped(seconds / size))
}

/// A number with an underscore before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

fn constant(name: &Word) -> String {
    name.as_ref().to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codegen::fixture::{Fixture, NOTES};
    use crate::codegen::vendors::Vendors;

    fn rendered(facts: &str) -> String {
        let fixture = Fixture::new(&[("example", "notes", facts)]);
        let folder = fixture.root().join("crates/integrations-example/src/notes");
        let vendors = Vendors::load(fixture.root()).unwrap();
        render(&Provider::load(fixture.root(), &folder, &vendors).unwrap()).unwrap()
    }

    #[test]
    fn every_fact_reaches_the_source() {
        let text = rendered(NOTES);
        for part in [
            "/// `GET /notes/{id}`: vendor page [Get a note](https://notes.example/docs/get-note).",
            "pub static GET_NOTE: Op =\n    Op::new(\"notes\", \"get_note\", Safety::Read)",
            ".cached()",
            ".key_lifetime(Duration::from_hours(24))",
            ".released(2025, 1, 15)",
            ".sunset(2027, 6, 30)",
            "Host::new(\"sandbox\", \"https://sandbox.notes.example/v1\").test()",
            "Setting::new(\"token\", \"a personal token\")",
            ".env(\"NOTES_TOKEN\")",
            ".secret()",
            ".shapes(&[Shape::live(\"nt_live_\"), Shape::new(\"nt_\")])",
            "Setting::new(\"region\", \"where notes are kept\").optional()",
            "Bucket::new(\"api\", 60, 60, \"requests\", \"https://notes.example/docs/limits\")",
            ".undescribed(\"the description covers reads only\")",
            ".attribution(\"Show \\\"Notes\\\" beside a note.\")",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn what_is_seldom_said_is_generated_only_where_it_is_said() {
        let plain = rendered(NOTES);
        assert!(!plain.contains("SettingKind") && !plain.contains("quota_per_connection"), "{plain}");
        let text = rendered(
            &NOTES
                .replace("kind = \"text\"", "kind = \"duration\"")
                .replace("webhook = \"none\"", "webhook = \"none\"\nquota_per_connection = true"),
        );
        assert!(text.contains(".kind(SettingKind::Duration).optional()"), "{text}");
        assert!(text.contains("    .quota_per_connection()\n"), "{text}");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [7, 999, 1_000, 86_400, 1_234_567].map(grouped),
            ["7", "999", "1_000", "86_400", "1_234_567"]
        );
    }

    #[test]
    fn only_used_names_are_imported() {
        let text = rendered(NOTES);
        assert!(text.contains("use std::time::Duration;") && !text.contains("Quirk"));
        let without_keys = NOTES.replace("key_lifetime_seconds = 86400", "");
        assert!(!rendered(&without_keys).contains("Duration"));
    }

    #[test]
    fn a_text_longer_than_a_line_does_not_unsettle_the_format() {
        let long = NOTES.replace("short notes.", &"short notes and more ".repeat(10));
        let text = rendered(&long);
        assert_eq!(process::rustfmt(&text).unwrap(), text);
        assert!(text.lines().all(|line| line.trim_end() == line));
    }
}
