//! Comma-separated values. RFC 4180, <https://www.rfc-editor.org/rfc/rfc4180>.

use integrations_core::Result;
use integrations_core::music::EntryKind;

use super::{FileEntry, MOST_ENTRIES, PlaylistFile, join, split, too_many, wrong};
use crate::matching::Wanted;

/// The columns that are written.
const COLUMNS: [&str; 12] = [
    "kind",
    "title",
    "artists",
    "album",
    "duration_ms",
    "isrc",
    "explicit",
    "provider",
    "id",
    "url",
    "added_at",
    "playlist",
];

/// How many fields a line may have; other programs write some twenty.
const MOST_FIELDS: usize = 64;

/// What other programs call a column, in small letters.
const ALIASES: &[(&str, &str)] = &[
    ("track name", "title"),
    ("track", "title"),
    ("name", "title"),
    ("song", "title"),
    ("artist name(s)", "artists"),
    ("artist name", "artists"),
    ("artist", "artists"),
    ("album name", "album"),
    ("track duration (ms)", "duration_ms"),
    ("duration (ms)", "duration_ms"),
    ("track uri", "id"),
    ("added at", "added_at"),
    ("playlist name", "playlist"),
];

pub(super) fn write(file: &PlaylistFile) -> String {
    let mut text = COLUMNS.join(",") + "\r\n";
    for entry in &file.entries {
        let wanted = &entry.wanted;
        let fields: [String; 12] = [
            entry.kind.to_string(),
            wanted.title.clone(),
            join(&wanted.artists),
            wanted.album.clone().unwrap_or_default(),
            wanted.duration_ms.map(|duration| duration.to_string()).unwrap_or_default(),
            wanted.isrc.as_ref().map(ToString::to_string).unwrap_or_default(),
            wanted.explicit.map(|is_explicit| is_explicit.to_string()).unwrap_or_default(),
            file.provider.clone(),
            entry.id.clone().unwrap_or_default(),
            entry.url.clone().unwrap_or_default(),
            entry.added_at.map(|at| at.to_string()).unwrap_or_default(),
            file.name.clone(),
        ];
        text += &fields.map(|field| quoted(&guarded(&field))).join(",");
        text += "\r\n";
    }
    text
}

/// A spreadsheet runs a field that begins with one of these. <https://owasp.org/www-community/attacks/CSV_Injection>
fn begins_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

/// With an apostrophe in front where a formula would begin, also behind apostrophes, so that reading can tell.
fn guarded(field: &str) -> String {
    if begins_formula(field.trim_start_matches('\'')) { format!("'{field}") } else { field.to_owned() }
}

fn unguarded(field: &str) -> &str {
    match field.strip_prefix('\'') {
        Some(rest) if begins_formula(rest.trim_start_matches('\'')) => rest,
        _ => field,
    }
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

pub(super) fn read(text: &str) -> Result<PlaylistFile> {
    let mut records = records(text)?.into_iter();
    let Some((line, header)) = records.next() else { return Err(wrong(1, "the file is empty")) };
    let names: Vec<String> = header.iter().map(|name| name.trim().to_lowercase()).collect();
    let columns: Vec<&str> = names
        .iter()
        .map(|name| {
            ALIASES.iter().find(|(alias, _)| alias == name).map_or(name.as_str(), |(_, column)| column)
        })
        .collect();
    if !columns.contains(&"title") && !columns.contains(&"isrc") {
        return Err(wrong(line, "there is no column `title` or `isrc`")
            .with_hint(format!("the first line names the columns, such as {}", COLUMNS.join(","))));
    }
    let mut file = PlaylistFile::default();
    for (line, fields) in records {
        if fields.len() != columns.len() {
            return Err(wrong(
                line,
                &format!("{} fields where the header has {}", fields.len(), columns.len()),
            ));
        }
        let of = |column: &str| {
            let at = columns.iter().position(|other| *other == column)?;
            Some(unguarded(&fields[at]).to_owned()).filter(|field| !field.is_empty())
        };
        file.entries.push(entry(line, &of)?);
        if file.entries.len() == 1 {
            file.provider = of("provider").unwrap_or_default();
            file.name = of("playlist").unwrap_or_default();
        }
    }
    Ok(file)
}

fn entry(line: usize, of: &impl Fn(&str) -> Option<String>) -> Result<FileEntry> {
    let mut wanted = Wanted::new(of("title").unwrap_or_default());
    // Other programs separate artists by commas, which are in names too; the matcher compares both ways.
    wanted.artists = of("artists").map(|artists| split(&artists)).unwrap_or_default();
    wanted.album = of("album");
    wanted.duration_ms = parsed(line, "duration_ms", of)?;
    wanted.isrc = parsed(line, "isrc", of)?;
    wanted.explicit = of("explicit").map(|text| text.to_lowercase()).and_then(|text| text.parse().ok());
    Ok(FileEntry {
        kind: of("kind").map_or(EntryKind::Track, EntryKind::from),
        wanted,
        id: of("id"),
        url: of("url"),
        added_at: parsed(line, "added_at", of)?,
        track: None,
    })
}

fn parsed<T: std::str::FromStr>(
    line: usize,
    column: &str,
    of: &impl Fn(&str) -> Option<String>,
) -> Result<Option<T>> {
    let parse = |text: String| {
        text.trim().parse().map_err(|_| wrong(line, &format!("the field `{column}` is malformed")))
    };
    of(column).map(parse).transpose()
}

/// The records with the lines on which they begin. Empty lines are left out.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>> {
    let mut records = Vec::new();
    let mut chars = text.chars().peekable();
    let (mut line, mut start) = (1, 1);
    let mut fields: Vec<String> = Vec::new();
    let mut field = String::new();
    let mut was_quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if field.is_empty() && !was_quoted => {
                was_quoted = true;
                line += quoted_field(&mut chars, &mut field)
                    .ok_or_else(|| wrong(start, "a quote is never closed"))?;
            }
            _ if was_quoted && !matches!(c, ',' | '\r' | '\n') => {
                return Err(
                    wrong(line, "text behind a closing quote").with_hint("a quote inside a field is doubled")
                );
            }
            ',' if fields.len() == MOST_FIELDS => {
                return Err(wrong(line, &format!("more than {MOST_FIELDS} fields")));
            }
            ',' => {
                fields.push(std::mem::take(&mut field));
                was_quoted = false;
            }
            '\r' if chars.peek() == Some(&'\n') => {}
            // The first one is the header.
            '\r' | '\n' if records.len() > MOST_ENTRIES => return Err(too_many(line)),
            '\r' | '\n' => {
                line += 1;
                end_record(&mut records, start, &mut fields, &mut field, was_quoted);
                (start, was_quoted) = (line, false);
            }
            c => field.push(c),
        }
    }
    end_record(&mut records, start, &mut fields, &mut field, was_quoted);
    Ok(records)
}

fn end_record(
    records: &mut Vec<(usize, Vec<String>)>,
    start: usize,
    fields: &mut Vec<String>,
    field: &mut String,
    was_quoted: bool,
) {
    if !fields.is_empty() || !field.is_empty() || was_quoted {
        fields.push(std::mem::take(field));
        records.push((start, std::mem::take(fields)));
    }
}

/// Reads up to the closing quote, and gives the number of lines that it took; `None` when there is no closing quote.
fn quoted_field(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, field: &mut String) -> Option<usize> {
    let mut lines = 0;
    loop {
        match chars.next()? {
            '"' if chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => return Some(lines),
            c => {
                lines += usize::from(c == '\n');
                field.push(c);
            }
        }
    }
}
