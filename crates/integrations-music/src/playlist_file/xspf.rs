//! XML Shareable Playlist Format, version 1. <https://www.xspf.org/spec>

use super::PlaylistFile;

pub(super) fn write(file: &PlaylistFile) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    text += "<playlist version=\"1\" xmlns=\"http://xspf.org/ns/0/\">\n";
    text += &element("  ", "title", Some(&file.name));
    text += &element("  ", "annotation", file.description.as_deref());
    text += "  <trackList>\n";
    for entry in &file.entries {
        let wanted = &entry.wanted;
        let isrc = wanted.isrc.as_ref().map(|isrc| format!("urn:isrc:{isrc}"));
        text += "    <track>\n";
        text += &element("      ", "identifier", isrc.as_deref());
        text += &element("      ", "title", Some(&wanted.title));
        text += &element("      ", "creator", Some(&wanted.artists.join(", ")));
        text += &element("      ", "info", entry.url.as_deref());
        text += &element("      ", "album", wanted.album.as_deref());
        text += &element(
            "      ",
            "duration",
            wanted.duration_ms.map(|duration| duration.to_string()).as_deref(),
        );
        text += "    </track>\n";
    }
    text + "  </trackList>\n</playlist>\n"
}

/// An element, if it has content.
fn element(indent: &str, name: &str, content: Option<&str>) -> String {
    let escaped: String =
        content.unwrap_or_default().chars().filter(|c| is_allowed(*c)).map(escape).collect();
    if escaped.is_empty() { escaped } else { format!("{indent}<{name}>{escaped}</{name}>\n") }
}

/// Other characters have no place in XML 1.0, not even escaped. <https://www.w3.org/TR/xml/#charsets>
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

fn escape(c: char) -> String {
    match c {
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '&' => "&amp;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&apos;".to_owned(),
        '\r' => "&#13;".to_owned(),
        c => c.to_string(),
    }
}
