//! Every provider's requests and answers against its vendor's own descriptions.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use integrations::provider::{OpRow, ProviderSpec};
use integrations::{Bearer, Caller, Error};
use integrations_sandbox::Sandbox;
use integrations_testkit::contract::{Description, Judge, ProviderReport, Report, Unchecked};
use integrations_testkit::golden::{Goldens, setup};

use crate::category;

pub(crate) const USAGE: &str = "usage: xtask-verify contract [--specs DIR] [--provider ID] [--json]";

/// Names the folder of descriptions where no option does.
const VARIABLE: &str = "INTEGRATIONS_SPECS";

/// What stands for a provider as a whole where the name of an operation is expected.
const ALL: &str = "(all)";

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    specs: Option<PathBuf>,
    provider: Option<String>,
    json: bool,
}

/// Fails if anything is wrong, or was not checked that ought to be.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, String> {
    let options = options(arguments)?;
    let providers = chosen(options.provider.as_deref())?;
    let specs = options.specs.clone().or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
    let Some(specs) = specs.filter(|folder| !folder.as_os_str().is_empty()) else {
        print(&skipped(options.json))?;
        return Ok(ExitCode::SUCCESS);
    };
    if !specs.is_dir() {
        return Err(format!("{}: there is no such folder of descriptions", specs.display()));
    }
    let root = root()?;
    let report = Report { providers: providers.into_iter().map(|spec| judge(spec, &specs, &root)).collect() };
    print(&if options.json { report.to_json() + "\n" } else { table(&report) })?;
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("`{argument}` needs a value\n{USAGE}"));
        match argument.as_str() {
            "--specs" => options.specs = Some(value()?.into()),
            "--provider" => options.provider = Some(value()?.clone()),
            "--json" => options.json = true,
            _ => return Err(format!("`{argument}` is no option\n{USAGE}")),
        }
    }
    Ok(options)
}

fn skipped(json: bool) -> String {
    let why = format!(
        "there is no folder of descriptions: give --specs DIR or set {VARIABLE}; `cargo xtask specs fetch` fills one"
    );
    if json { serde_json::json!({"skipped": why}).to_string() + "\n" } else { format!("skipped: {why}\n") }
}

/// The workspace that this is called in: golden files are read as they are now.
pub(crate) fn root() -> Result<PathBuf, String> {
    let here = std::env::current_dir().map_err(|e| format!("the current folder is not known: {e}"))?;
    let is_root = |folder: &&Path| folder.join("crates/integrations/Cargo.toml").is_file();
    here.ancestors()
        .find(is_root)
        .map(Path::to_path_buf)
        .ok_or_else(|| "call this inside the workspace: golden files are read from there".to_owned())
}

fn chosen(id: Option<&str>) -> Result<Vec<&'static ProviderSpec>, String> {
    let all: Vec<_> = integrations::providers().collect();
    let Some(id) = id else { return Ok(all) };
    let chosen: Vec<_> = all.iter().copied().filter(|spec| spec.id == id).collect();
    if chosen.is_empty() {
        let ids: Vec<&str> = all.iter().map(|spec| spec.id).collect();
        return Err(format!("there is no provider `{id}`; there are {}", ids.join(", ")));
    }
    Ok(chosen)
}

fn judge(spec: &'static ProviderSpec, specs: &Path, root: &Path) -> ProviderReport {
    if spec.ops.iter().all(|row| row.description_id.is_none()) {
        return undescribed(spec);
    }
    let read = |file: &&str| Description::read(specs.join(file)).map_err(|e| e.to_string());
    let descriptions: Result<Vec<_>, _> = spec.descriptions.iter().map(read).collect();
    let goldens = goldens(spec, root);
    match (descriptions, goldens) {
        (Ok(descriptions), Ok(goldens)) => {
            Judge::new(spec, &descriptions, &goldens).run(|sandbox| caller(spec, sandbox))
        }
        (descriptions, goldens) => {
            let whys = descriptions.err().into_iter().chain(goldens.err().unwrap_or_default());
            unreadable(spec, whys)
        }
    }
}

fn goldens(spec: &'static ProviderSpec, root: &Path) -> Result<Goldens, Vec<String>> {
    let entries = integrations::endpoints().find(|(id, _)| *id == spec.id).map_or(&[][..], |(_, all)| all);
    let module = spec.id.replace('-', "_");
    let folder = format!("crates/integrations-{}/tests/it/{module}/golden", spec.category);
    Goldens::load(spec, entries, root.join(folder))
        .map_err(|problems| problems.iter().map(str::to_owned).collect())
}

/// There is nothing to judge by, so golden files are not asked for.
fn undescribed(spec: &ProviderSpec) -> ProviderReport {
    let entry = |row: &OpRow| {
        let why = row.undescribed.unwrap_or("its facts give neither an id nor a reason").to_owned();
        Unchecked { op: row.op.name.to_owned(), why, due: row.undescribed.is_none() }
    };
    ProviderReport {
        id: spec.id.to_owned(),
        operations: spec.ops.len(),
        unchecked: spec.ops.iter().map(entry).collect(),
        ..ProviderReport::default()
    }
}

fn unreadable(spec: &ProviderSpec, whys: impl Iterator<Item = String>) -> ProviderReport {
    ProviderReport {
        id: spec.id.to_owned(),
        operations: spec.ops.len(),
        unchecked: whys.map(|why| Unchecked { op: ALL.to_owned(), why, due: true }).collect(),
        ..ProviderReport::default()
    }
}

/// What carries the calls of a provider on its fake.
fn caller(spec: &'static ProviderSpec, sandbox: &Sandbox) -> integrations::Result<Caller> {
    let caller = opened(spec, sandbox)?;
    caller.ok_or_else(|| Error::config(format!("the client of `{}` does not tell its caller", spec.id)))
}

fn opened(spec: &'static ProviderSpec, sandbox: &Sandbox) -> integrations::Result<Option<Caller>> {
    let setup = setup(spec, sandbox)?;
    // A service that signs users in is asked about somebody with their own token, which is no setting.
    let setup = match sandbox.known().get("access_token") {
        Some(token) => setup.authorize(Arc::new(Bearer::new(token))),
        None => setup,
    };
    category::caller(&setup)
}

fn table(report: &Report) -> String {
    let mut text = format!(
        "{:<20} {:>10} {:>8} {:>9} {:>9} {:>10}\n",
        "provider", "operations", "checked", "requests", "answers", "unchecked"
    );
    for provider in &report.providers {
        let ProviderReport { id, operations, checked, .. } = provider;
        let (requests, answers) =
            (wrong(provider.request_violations.len()), wrong(provider.response_violations.len()));
        let unchecked = provider.unchecked.len();
        let _ = writeln!(
            text,
            "{id:<20} {operations:>10} {checked:>8} {requests:>9} {answers:>9} {unchecked:>10}"
        );
    }
    for provider in &report.providers {
        text.extend(lines(provider));
    }
    let verdict = if report.passed() { "passed" } else { "FAILED" };
    let _ = writeln!(text, "{verdict}: {} violations", report.violations());
    text
}

fn wrong(count: usize) -> String {
    if count == 0 { "ok".to_owned() } else { format!("{count} wrong") }
}

fn lines(provider: &ProviderReport) -> Vec<String> {
    let id = &provider.id;
    let of = |what: &'static str| {
        move |(op, violation): &(String, _)| -> String { format!("{id} {op}: {what}: {violation}\n") }
    };
    let requests = provider.request_violations.iter().map(of("request"));
    let answers = provider.response_violations.iter().map(of("answer"));
    let unchecked = provider.unchecked.iter().map(|Unchecked { op, why, due }| {
        let verdict = if *due { "NOT CHECKED" } else { "not checked" };
        format!("{id} {op}: {verdict}: {why}\n")
    });
    requests.chain(answers).chain(unchecked).collect()
}

fn print(text: &str) -> Result<(), String> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|e| format!("nothing can be printed: {e}"))
}

#[cfg(test)]
mod tests {
    use integrations::provider::Status;
    use integrations::{Op, Safety};
    use integrations_testkit::contract::{Request, Violation};
    use integrations_testkit::golden::Golden;

    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Options, String> {
        options(&arguments.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read_and_others_are_refused() {
        assert_eq!(parsed(&[]).unwrap(), Options::default());
        let all = parsed(&["--json", "--specs", "a b", "--provider", "spotify"]).unwrap();
        let expected =
            Options { specs: Some("a b".into()), provider: Some("spotify".to_owned()), json: true };
        assert_eq!(all, expected);
        assert!(parsed(&["--specs"]).unwrap_err().contains("needs a value"));
        assert!(parsed(&["--spec", "x"]).unwrap_err().contains("`--spec` is no option"));
    }

    #[test]
    fn without_descriptions_it_says_that_it_was_skipped() {
        assert!(skipped(false).starts_with("skipped: "));
        let json: serde_json::Value = serde_json::from_str(&skipped(true)).unwrap();
        assert!(json["skipped"].as_str().unwrap().contains(VARIABLE));
    }

    #[test]
    fn a_provider_is_chosen_by_its_id() {
        assert_eq!(chosen(None).unwrap().len(), integrations::providers().count());
        assert_eq!(chosen(Some("spotify")).unwrap()[0].id, "spotify");
        assert!(chosen(Some("spotfy")).unwrap_err().contains("spotify"));
    }

    #[test]
    fn a_mistyped_provider_is_told_also_where_there_are_no_descriptions() {
        let arguments = ["--specs", "", "--provider", "spotfy"].map(str::to_owned);
        assert!(run(&arguments).unwrap_err().contains("there is no provider `spotfy`"));
    }

    fn keys(json: &serde_json::Value) -> Vec<&str> {
        let mut keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    /// Programs read this: a name that changes here breaks them.
    #[test]
    fn the_json_has_violations_and_providers_with_what_was_checked_and_what_not() {
        let described = integrations::providers().find(|spec| spec.id == "lastfm").unwrap();
        let mut report = undescribed(described);
        let description = br#"{"openapi": "3.1.0", "paths": {"/a": {"get": {"responses": {}}}}}"#;
        let description = Description::parse(description).unwrap();
        let wrong = http::Uri::from_static("/a?b=c");
        let wrong = description.check_request(&Request::new(http::Method::GET, wrong));
        report.request_violations.extend(wrong.into_iter().map(|violation| ("op".to_owned(), violation)));
        let report = Report { providers: vec![report] };
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(keys(&json), ["providers", "violations"]);
        assert_eq!(json["violations"], 1);
        let provider = &json["providers"][0];
        let expected =
            ["checked", "id", "operations", "request_violations", "response_violations", "unchecked"];
        assert_eq!(keys(provider), expected);
        assert_eq!((&provider["id"], &provider["checked"]), (&"lastfm".into(), &0.into()));
        assert_eq!(provider["operations"], described.ops.len());
        assert_eq!(keys(&provider["request_violations"][0]), ["op", "rule", "what", "where"]);
        assert_eq!(provider["response_violations"], serde_json::json!([]));
        assert_eq!(keys(&provider["unchecked"][0]), ["op", "why"]);
    }

    /// The contract over the real golden files of some operations, with one thing broken; what it finds.
    fn broken(
        specs: &Path,
        request: impl Fn(&Golden, &mut Request),
        answer: impl Fn(&Golden, &mut serde_json::Value),
    ) -> ProviderReport {
        let spec = chosen(Some("spotify")).unwrap()[0];
        let read = |file: &&str| Description::read(specs.join(file)).unwrap();
        let descriptions: Vec<_> = spec.descriptions.iter().map(read).collect();
        let goldens = goldens(spec, &root().unwrap()).unwrap();
        let judge = Judge::new(spec, &descriptions, &goldens).with_requests(request).with_answers(answer);
        judge.run(|sandbox| caller(spec, sandbox))
    }

    fn ops(found: &[(String, Violation)]) -> Vec<&str> {
        found.iter().map(|(op, _)| op.as_str()).collect()
    }

    #[test]
    fn one_broken_field_of_a_request_or_of_an_answer_turns_the_contract_red() {
        let Some(specs) = std::env::var_os(VARIABLE).map(PathBuf::from) else {
            eprintln!("skipped: {VARIABLE} names no folder of descriptions");
            return;
        };
        let sound = broken(&specs, |_, _| {}, |_, _| {});
        assert!(sound.checked > 0 && Report { providers: vec![sound.clone()] }.passed(), "{sound:#?}");
        let is = |golden: &Golden, name: &str| golden.name() == name;
        // A parameter that is spelt wrongly, and a field of a body with another type.
        let report = broken(
            &specs,
            |golden, request| {
                if is(golden, "get_track.market") {
                    request.uri = request.uri.to_string().replace("market=", "markt=").parse().unwrap();
                } else if is(golden, "create_playlist") {
                    request.body = br#"{"name":7}"#.to_vec();
                }
            },
            |_, _| {},
        );
        let mut found = ops(&report.request_violations);
        found.sort_unstable();
        assert_eq!(found, ["create_playlist", "get_track.market"], "{report:#?}");
        assert!(report.response_violations.is_empty() && !Report { providers: vec![report] }.passed());
        // A field with another type, in the answer of the fake and in the recorded one.
        let report = broken(
            &specs,
            |_, _| {},
            |golden, answer| {
                if is(golden, "get_track") {
                    answer["duration_ms"] = "long".into();
                }
            },
        );
        assert_eq!(ops(&report.response_violations), ["get_track"], "{report:#?}");
        let violation = &report.response_violations[0].1;
        assert!(violation.to_string().contains("duration_ms"), "{violation}");
        assert!(report.request_violations.is_empty() && !Report { providers: vec![report] }.passed());
    }

    #[test]
    fn every_provider_can_be_opened_on_its_fake() {
        for spec in integrations::providers() {
            let sandbox = Sandbox::of(spec.id, 0).unwrap();
            // A fake that is not written yet has none.
            if !sandbox.settings().is_empty() {
                let caller = opened(spec, &sandbox).unwrap();
                // An issuer that is found by discovery has no caller beforehand, and no description either.
                let is_described = spec.ops.iter().any(|row| row.undescribed.is_none());
                assert!(caller.is_some() || !is_described, "{}", spec.id);
            }
        }
    }

    static OP: Op = Op::new("songs", "get_song", Safety::Read);

    #[test]
    fn what_cannot_be_read_fails_and_is_told() {
        static SPEC: ProviderSpec = ProviderSpec::new("songs", "Songs", "music", Status::Full)
            .descriptions(&["songs.yml"])
            .ops(&[OpRow::new(&OP, "", "").description_id("get")]);
        let report = judge(&SPEC, Path::new("no/such/folder"), Path::new("nowhere"));
        let whys: Vec<&str> = report.unchecked.iter().map(|entry| entry.why.as_str()).collect();
        assert!(whys.iter().any(|why| why.contains("songs.yml")), "{whys:?}");
        assert!(whys.iter().any(|why| why.contains("nowhere")), "{whys:?}");
        let report = Report { providers: vec![report] };
        let text = table(&report);
        assert!(!report.passed() && text.contains("songs (all): NOT CHECKED: "), "{text}");
        assert!(text.ends_with("FAILED: 0 violations\n"), "{text}");
    }

    #[test]
    fn what_nothing_describes_needs_no_goldens_and_passes() {
        static SPEC: ProviderSpec = ProviderSpec::new("songs", "Songs", "music", Status::Full)
            .ops(&[OpRow::new(&OP, "", "").undescribed("there is no description")]);
        let report = Report { providers: vec![judge(&SPEC, Path::new(""), Path::new("nowhere"))] };
        let text = table(&report);
        assert!(report.passed(), "{text}");
        assert!(text.contains("songs get_song: not checked: there is no description\n"), "{text}");
    }
}
