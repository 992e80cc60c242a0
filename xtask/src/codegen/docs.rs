//! What users read: the capability matrix, each provider's page, the sunset calendar and `.env.example`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::absent::Absent;
use super::facts::{Facts, Op, Provider, Setting, SettingKind};
use super::oauth::OAuth;
use super::{Catalog, Category, Files, GENERATED, blocks, inside};
use crate::{Outcome, workspace};

const PAGES: &str = "docs/src/providers";

/// All documents, for published categories only.
pub(super) fn render(root: &Path, catalog: &Catalog, files: &mut Files) -> Outcome {
    let categories: Vec<&Category> = catalog.published().filter(|c| !c.providers.is_empty()).collect();
    let providers: Vec<&Provider> = categories.iter().flat_map(|category| &category.providers).collect();
    let folder = PathBuf::from(PAGES);
    files.insert(folder.join("matrix.md"), matrix(&categories));
    files.insert(folder.join("sunsets.md"), sunsets(&providers));
    files.insert(".env.example".into(), env_example(&providers));
    for provider in &providers {
        let path = folder.join(format!("{}.md", provider.id()));
        let text = page(root, provider, &path)?;
        files.insert(path, text);
    }
    summary(root, &categories, files)
}

fn heading(title: &str) -> String {
    format!("<!-- {GENERATED} -->\n\n# {title}\n\n")
}

fn matrix(categories: &[&Category]) -> String {
    let mut text = heading("What each provider can do");
    if categories.is_empty() {
        text.push_str("No provider is published yet.\n");
    }
    let tables: Vec<String> = categories.iter().map(|category| matrix_of(category)).collect();
    text + &tables.join("\n")
}

/// A row for each capability: a category has many more of them than it has providers.
fn matrix_of(category: &Category) -> String {
    let providers = &category.providers;
    let links = providers.iter().map(|p| format!("[{}]({}.md)", p.facts.name.as_ref(), p.id()));
    let columns: Vec<String> = std::iter::once(String::new()).chain(links).collect();
    let mut table = Table::new(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    let mut row = |name: &str, cell: &dyn Fn(&Facts) -> &str| {
        let cells = providers.iter().map(|provider| cell(&provider.facts).to_owned());
        table.row(std::iter::once(name.to_owned()).chain(cells));
    };
    row("status", &|facts| facts.status.text());
    row("auth", &|facts| facts.auth.kind.as_ref().text());
    for cap in caps_in_order(providers) {
        let has = |facts: &Facts| words(&facts.caps).any(|own| own == cap);
        row(&format!("`{cap}`"), &|facts| if has(facts) { "yes" } else { "–" });
    }
    format!("## {}\n\n{}{}", category.name, table.text, not_there_yet(category))
}

fn not_there_yet(category: &Category) -> String {
    if category.absent.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["what", "about"]);
    for Absent { name, about } in &category.absent {
        table.row([name.as_ref().clone(), about.as_ref().clone()]);
    }
    format!("\nNot there yet:\n\n{}", table.text)
}

/// As the providers list them, so that what belongs together stands together.
fn caps_in_order(providers: &[Provider]) -> Vec<&str> {
    let mut ordered: Vec<&str> = Vec::new();
    let mut lists: Vec<Vec<&str>> = providers.iter().map(|p| words(&p.facts.caps).collect()).collect();
    lists.sort_by_key(|list| std::cmp::Reverse(list.len()));
    for cap in lists.into_iter().flatten() {
        if !ordered.contains(&cap) {
            ordered.push(cap);
        }
    }
    ordered
}

fn sunsets(providers: &[&Provider]) -> String {
    let mut rows: Vec<(String, [String; 4])> = providers
        .iter()
        .filter_map(|provider| {
            let api = provider.facts.api.as_ref()?;
            let day = |day: &Option<Spanned<_>>| {
                day.as_ref().map(|d: &Spanned<toml::value::Datetime>| d.as_ref().to_string())
            };
            let (sunset, released) = (day(&api.sunset), day(&api.released));
            // Those without a day come last.
            let order = sunset.clone().unwrap_or_else(|| "9999".to_owned());
            let source = format!("[source]({})", api.source.as_ref());
            let name = format!("[{}]({}.md)", provider.facts.name.as_ref(), provider.id());
            let version = format!(
                "{}{}",
                api.pin.as_ref(),
                released.map_or_else(String::new, |day| format!(" ({day})"))
            );
            let sunset = sunset.unwrap_or_else(|| "none announced".to_owned());
            Some((format!("{order} {}", provider.id()), [sunset, name, version, source]))
        })
        .collect();
    if rows.is_empty() {
        return heading("Sunsets") + "No provider is published yet.\n";
    }
    rows.sort();
    let mut table = Table::new(&["sunset", "provider", "version (released)", "told by"]);
    for (_, row) in rows {
        table.row(row);
    }
    format!(
        "{}The day on which a vendor stops to serve the version that we speak.\n\n{}",
        heading("Sunsets"),
        table.text
    )
}

fn env_example(providers: &[&Provider]) -> String {
    let mut text = format!(
        "# {GENERATED}\n# Copy to `.env` and fill in what you use. A value never belongs into this file.\n"
    );
    let mut seen = BTreeSet::new();
    for provider in providers.iter().filter(|provider| variables(&provider.facts).next().is_some()) {
        text.push_str(&["\n# ", provider.facts.name.as_ref(), "\n"].concat());
        for (name, setting) in variables(&provider.facts) {
            let mut notes = vec![setting.about.as_ref().as_str()];
            notes.extend((setting.kind != SettingKind::Text).then(|| setting.kind.text()));
            notes.extend((!setting.required).then_some("optional"));
            text.push_str(&["# ", &notes.join("; "), "\n"].concat());
            // Providers of one vendor share variables; a name that stands twice would be set twice.
            let line =
                if seen.insert(name) { format!("{name}=\n") } else { format!("# {name}: see above\n") };
            text.push_str(&line);
        }
    }
    text
}

/// The settings that have a variable, by its name.
fn variables(facts: &Facts) -> impl Iterator<Item = (&str, &Setting)> {
    facts.settings.iter().filter_map(|setting| Some((setting.env.as_ref()?.as_ref().as_str(), setting)))
}

/// The page's head is generated; below it stands what was written by hand, at first the provider's own `docs.md`.
fn page(root: &Path, provider: &Provider, path: &Path) -> Outcome<String> {
    let place = path.display().to_string();
    let existing = root.join(path);
    let text = if existing.is_file() {
        workspace::read(&existing)?
    } else {
        let notes = workspace::relative(root, &provider.folder.join("docs.md"));
        format!("<!-- codegen:begin -->\n<!-- codegen:end -->\n\n{{{{#include ../../../{notes}}}}}\n")
    };
    blocks::fill(&place, &text, &page_head(provider))
}

fn page_head(provider: &Provider) -> String {
    let facts = &provider.facts;
    let mut text =
        format!("\n# {}\n\n{}\n\n{}", facts.name.as_ref(), facts.summary.as_ref(), fact_table(provider));
    if !facts.settings.is_empty() {
        let mut table = Table::new(&["setting", "variable", "what it is", "kind", "needed", "begins with"]);
        facts.settings.iter().for_each(|setting| table.row(setting_cells(setting)));
        text.push_str(&["\n## Settings\n\n", &table.text].concat());
    }
    if !facts.buckets.is_empty() {
        let mut table = Table::new(&["quota", "limit", "told by"]);
        for b in &facts.buckets {
            let limit = match b.limit {
                0 => "not published".to_owned(),
                limit => format!("{limit} {} in {} s", b.unit.as_ref(), b.per_seconds.as_ref()),
            };
            table.row([b.name.as_ref().clone(), limit, format!("[source]({})", b.source.as_ref())]);
        }
        text.push_str(&["\n## Quotas\n\n", &table.text].concat());
    }
    let mut ops = Table::new(&["operation", "call", "safety", "capability", "quota", "vendor page"]);
    facts.ops.iter().for_each(|op| ops.row(op_cells(op)));
    text.push_str(&["\n## Operations\n\n", &ops.text].concat());
    if !facts.quirks.is_empty() {
        text.push_str("\n## Departures\n\n");
        for q in &facts.quirks {
            text.push_str(&format_quirk(q.id.as_ref(), q.about.as_ref(), q.source.as_ref()));
        }
    }
    text + "\n"
}

fn format_quirk(id: &str, about: &str, source: &str) -> String {
    format!("- `{id}`: {about} ([source]({source}))\n")
}

fn fact_table(provider: &Provider) -> String {
    let facts = &provider.facts;
    let mut table = Table::new(&["fact", "value"]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("feature", format!("`{}`", facts.id.as_ref()));
    row("category", facts.category.as_ref().clone());
    row("status", facts.status.text().to_owned());
    for host in &facts.hosts {
        let note = if host.test { " (test)" } else { "" };
        row(&format!("host, {}", host.environment.as_ref()), format!("`{}`{note}", host.url.as_ref()));
    }
    if let Some(api) = &facts.api {
        row("API version", format!("[{}]({})", api.pin.as_ref(), api.source.as_ref()));
    }
    row("authentication", facts.auth.kind.as_ref().text().to_owned());
    for (name, value) in provider.oauth.iter().flat_map(OAuth::told) {
        row(name, value);
    }
    if facts.quota_per_connection {
        row("quota is counted", "by the user's connection".to_owned());
    }
    row("pages", facts.pagination.text().to_owned());
    row("webhooks", facts.webhook.text().to_owned());
    row("terms", format!("<{}>", facts.terms.as_ref()));
    if let Some(attribution) = &facts.attribution {
        row("attribution", attribution.as_ref().clone());
    }
    table.text
}

fn setting_cells(setting: &Setting) -> [String; 6] {
    let code = |text: &str| format!("`{text}`");
    let shapes: Vec<String> = setting.shapes.iter().map(|shape| code(&shape.as_ref().prefix)).collect();
    [
        code(setting.name.as_ref()),
        setting.env.as_ref().map_or_else(|| "–".to_owned(), |env| code(env.as_ref())),
        setting.about.as_ref().clone(),
        setting.kind.text().to_owned(),
        if setting.required { "yes" } else { "no" }.to_owned(),
        if shapes.is_empty() { "–".to_owned() } else { shapes.join(", ") },
    ]
}

fn op_cells(op: &Op) -> [String; 6] {
    let call = match (&op.method, &op.path) {
        (Some(method), Some(path)) => format!("`{} {}`", method.as_ref(), path.as_ref()),
        _ => "–".to_owned(),
    };
    [
        format!("`{}`", op.name.as_ref()),
        call,
        op.safety.as_ref().text().to_owned(),
        op.cap.as_ref().map_or_else(|| "–".to_owned(), |cap| cap.as_ref().clone()),
        op.bucket.as_ref().clone(),
        format!("[{}]({})", op.page.as_ref(), op.doc.as_ref()),
    ]
}

/// The book's table of contents lists every page, where it has a block for them.
fn summary(root: &Path, categories: &[&Category], files: &mut Files) -> Outcome {
    let path = root.join("docs/src/SUMMARY.md");
    let Ok(text) = workspace::read(&path) else { return Ok(()) };
    if !blocks::has_block(&text) {
        return Ok(());
    }
    let mut body =
        String::from("\n- [Capabilities](providers/matrix.md)\n- [Sunsets](providers/sunsets.md)\n");
    body.extend(categories.iter().filter_map(|category| case_page(root, category)));
    for provider in categories.iter().flat_map(|category| &category.providers) {
        body.push_str(
            &["- [", provider.facts.name.as_ref(), "](providers/", provider.id(), ".md)\n"].concat(),
        );
    }
    let filled = blocks::fill("docs/src/SUMMARY.md", &text, &(body + "\n\n"))?;
    files.insert(inside(root, &path), filled);
    Ok(())
}

/// The line of the page that tells which case ran, where a category has one, by the page's own title.
fn case_page(root: &Path, category: &Category) -> Option<String> {
    let file = format!("conformance-{}.md", category.name);
    let text = workspace::read(&root.join(PAGES).join(&file)).ok()?;
    let title = text.lines().find_map(|line| line.strip_prefix("# "))?;
    Some(format!("- [{title}](providers/{file})\n"))
}

/// A table of Markdown.
struct Table {
    text: String,
}

impl Table {
    fn new(columns: &[&str]) -> Self {
        let mut table = Self { text: String::new() };
        table.row(columns.iter().map(|column| (*column).to_owned()));
        table.row(columns.iter().map(|_| "---".to_owned()));
        table
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| cell.replace('|', "\\|")).collect();
        self.text.push_str(&["| ", &cells.join(" | "), " |\n"].concat());
    }
}

fn words(words: &[super::facts::Word]) -> impl Iterator<Item = &str> {
    words.iter().map(|word| word.as_ref().as_str())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, NOTES};
    use super::super::{plan, write};
    use super::*;

    fn second() -> String {
        NOTES
            .replace("\"notes\"", "\"drafts\"")
            .replace("\"Notes\"\n", "\"Drafts\"\n")
            .replace("caps = [\"read\", \"write\"]", "caps = [\"read\", \"write\", \"share\"]")
            .replace("sunset = 2027-06-30", "sunset = 2026-12-31")
    }

    fn fixture() -> Fixture {
        Fixture::new(&[("example", "notes", NOTES), ("example", "drafts", &second())])
    }

    #[test]
    fn the_matrix_shows_what_is_absent_too() {
        let text = &plan(fixture().root()).unwrap()[Path::new("docs/src/providers/matrix.md")];
        assert!(text.contains("|  | [Drafts](drafts.md) | [Notes](notes.md) |"), "{text}");
        for row in ["| auth | bearer | bearer |", "| `read` | yes | yes |", "| `share` | yes | – |"] {
            assert!(text.contains(row), "{row}\n{text}");
        }
    }

    #[test]
    fn sunsets_come_by_day() {
        let text = &plan(fixture().root()).unwrap()[Path::new("docs/src/providers/sunsets.md")];
        let (first, second) = (text.find("2026-12-31").unwrap(), text.find("2027-06-30").unwrap());
        assert!(first < second, "{text}");
    }

    #[test]
    fn variables_are_named_once_and_never_valued() {
        let text = &plan(fixture().root()).unwrap()[Path::new(".env.example")];
        let settings: Vec<&str> =
            text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        assert_eq!(settings, ["NOTES_TOKEN="]);
        assert!(text.contains("# a personal token; secret\n"));
    }

    #[test]
    fn what_was_written_by_hand_below_the_head_stays() {
        let fixture = fixture();
        let path = "docs/src/providers/notes.md";
        write(fixture.root(), &plan(fixture.root()).unwrap()).unwrap();
        for row in [
            "| `get_note` | `GET /notes/{id}` | read | read | api |",
            "| `token` | `NOTES_TOKEN` | a personal token | secret | yes | `nt_live_`, `nt_` |",
            "| `region` | – | where notes are kept | text | no | – |",
            "| host, sandbox | `https://sandbox.notes.example/v1` (test) |",
        ] {
            assert!(fixture.read(path).contains(row), "{row}\n{}", fixture.read(path));
        }
        assert!(
            fixture
                .read(path)
                .contains("{{#include ../../../crates/integrations-example/src/notes/docs.md}}")
        );
        let own = fixture.read(path) + "\nBy hand.\n";
        fixture.write(path, &own);
        fixture.write(
            "crates/integrations-example/src/notes/provider.toml",
            &NOTES.replace("keeps short", "holds"),
        );
        write(fixture.root(), &plan(fixture.root()).unwrap()).unwrap();
        let text = fixture.read(path);
        assert!(text.ends_with("\nBy hand.\n") && text.contains("A service that holds notes."), "{text}");
    }

    #[test]
    fn the_table_of_contents_is_filled_where_it_asks_for_it() {
        let fixture = fixture();
        fixture.write("docs/src/SUMMARY.md", "# Summary\n\n<!-- codegen:begin -->\n<!-- codegen:end -->\n");
        let files = plan(fixture.root()).unwrap();
        assert!(
            files[Path::new("docs/src/SUMMARY.md")].contains("- [Drafts](providers/drafts.md)\n- [Notes]")
        );
    }

    #[test]
    fn the_page_of_cases_is_listed_under_its_own_title_where_there_is_one() {
        let fixture = fixture();
        fixture.write("docs/src/SUMMARY.md", "# Summary\n\n<!-- codegen:begin -->\n<!-- codegen:end -->\n");
        let summary = || plan(fixture.root()).unwrap().remove(Path::new("docs/src/SUMMARY.md")).unwrap();
        assert!(!summary().contains("conformance"));
        let page = "<!-- generated -->\n\n# Notes: which case ran\n\n# Another\n";
        fixture.write("docs/src/providers/conformance-example.md", page);
        let line =
            "(providers/sunsets.md)\n- [Notes: which case ran](providers/conformance-example.md)\n- [Dr";
        assert!(summary().contains(line), "{}", summary());
    }
}
