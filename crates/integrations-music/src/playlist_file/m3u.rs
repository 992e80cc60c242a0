//! Extended M3U. There is no standard; this is what players write and read.

use integrations_core::Result;

use super::{FileEntry, MOST_ENTRIES, PlaylistFile, join, split, too_many, wrong};
use crate::matching::Wanted;

pub(super) fn write(file: &PlaylistFile) -> String {
    let mut text = "#EXTM3U\n".to_owned();
    if !file.name.is_empty() {
        text += &format!("#PLAYLIST:{}\n", on_a_line(&file.name));
    }
    for entry in &file.entries {
        let wanted = &entry.wanted;
        let seconds = wanted.duration_ms.map_or("-1".to_owned(), |duration| {
            (duration / 1000 + u64::from(duration % 1000 >= 500)).to_string()
        });
        text += &format!("#EXTINF:{seconds},{}\n", on_a_line(&wanted.line()));
        if !wanted.artists.is_empty() {
            text += &format!("#EXTART:{}\n", on_a_line(&join(&wanted.artists)));
        }
        if let Some(album) = &wanted.album {
            text += &format!("#EXTALB:{}\n", on_a_line(album));
        }
        if let Some(isrc) = &wanted.isrc {
            text += &format!("#ISRC:{isrc}\n");
        }
        text += &location(entry);
        text.push('\n');
    }
    text
}

/// A line that is no comment: the address, or what tells the recording best.
fn location(entry: &FileEntry) -> String {
    let wanted = &entry.wanted;
    let text = entry.url.clone().or_else(|| wanted.isrc.as_ref().map(|isrc| format!("urn:isrc:{isrc}")));
    let text = on_a_line(&text.unwrap_or_else(|| wanted.line()));
    match text.trim() {
        "" => "-".to_owned(),
        text if text.starts_with('#') => format!("./{text}"),
        text => text.to_owned(),
    }
}

/// A name that breaks the line would become an entry.
fn on_a_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

/// What the comments before an entry say of it.
#[derive(Default)]
struct Said {
    line: Option<String>,
    artists: Option<Vec<String>>,
    wanted: Wanted,
}

pub(super) fn read(text: &str) -> Result<PlaylistFile> {
    let mut file = PlaylistFile::default();
    let mut said = Said::default();
    // Files of old players end their lines by CR alone.
    let end = if text.contains('\n') { '\n' } else { '\r' };
    for (number, line) in text.split(end).enumerate().map(|(at, line)| (at + 1, line.trim())) {
        let Some(comment) = line.strip_prefix('#') else {
            if line.is_empty() {
                continue;
            }
            if file.entries.len() == MOST_ENTRIES {
                return Err(too_many(number));
            }
            file.entries.push(entry(std::mem::take(&mut said), line));
            continue;
        };
        let (name, value) = comment.split_once(':').unwrap_or((comment, ""));
        match name {
            "PLAYLIST" => value.trim().clone_into(&mut file.name),
            "EXTART" => said.artists = Some(split(value)),
            "EXTALB" => said.wanted.album = Some(value.trim().to_owned()).filter(|album| !album.is_empty()),
            "ISRC" => {
                said.wanted.isrc = Some(value.trim().parse().map_err(|_| wrong(number, "this is no ISRC"))?);
            }
            "EXTINF" => {
                let (seconds, title) =
                    info(value).ok_or_else(|| wrong(number, "no seconds stand after `#EXTINF:`"))?;
                (said.wanted.duration_ms, said.line) = (seconds, Some(title));
            }
            _ => {}
        }
    }
    if said.line.is_some() {
        return Err(wrong(text.split(end).count(), "the file ends where an address should stand"));
    }
    Ok(file)
}

/// `123,Artist - Title` or `123 key="value",Artist - Title`. Not known is a negative number.
fn info(value: &str) -> Option<(Option<u64>, String)> {
    let number = value.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | ' ')).unwrap_or(value.len());
    let seconds: f64 = value[..number].split(' ').find(|part| !part.is_empty())?.parse().ok()?;
    let title = comma(&value[number..]).map_or("", |at| &value[number + at + 1..]);
    let milliseconds = (seconds > 0.0 && seconds.is_finite()).then_some((seconds * 1000.0) as u64);
    Some((milliseconds, title.trim().to_owned()))
}

/// The first comma outside quotes.
fn comma(text: &str) -> Option<usize> {
    let mut is_quoted = false;
    text.char_indices().find_map(|(at, c)| {
        is_quoted ^= c == '"';
        (c == ',' && !is_quoted).then_some(at)
    })
}

fn entry(said: Said, location: &str) -> FileEntry {
    let mut wanted = said.wanted;
    let line = said.line.filter(|line| !line.is_empty()).unwrap_or_else(|| stem(location).to_owned());
    let joined = said.artists.as_ref().map(|artists| format!("{} - ", artists.join(", ")));
    let (artists, title) = match (said.artists, line.split_once(" - ")) {
        (Some(artists), _) => {
            let title = joined.and_then(|joined| line.strip_prefix(joined.as_str()).map(str::to_owned));
            (artists, title.unwrap_or_else(|| line.clone()))
        }
        (None, Some((artist, title))) => (vec![artist.trim().to_owned()], title.trim().to_owned()),
        (None, None) => (Vec::new(), line.clone()),
    };
    (wanted.artists, wanted.title) = (artists, title);
    let mut entry = FileEntry::new(wanted);
    entry.url = location.contains("://").then(|| location.to_owned());
    entry
}

/// A file's name without folders and ending.
fn stem(location: &str) -> &str {
    let name = location.rsplit(['/', '\\']).next().unwrap_or(location);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}
