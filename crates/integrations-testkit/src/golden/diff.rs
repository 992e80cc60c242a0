//! Where two documents differ, and where one holds a text.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::secret;

/// Beyond these a human looks at the file.
const MOST: usize = 20;

/// The longest value that is shown whole, in characters.
const SHOWN: usize = 120;

/// What differs, with its place and both values.
pub(super) fn differences(recorded: &Value, now: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", Some(recorded), Some(now), &mut found);
    let more = found.len().saturating_sub(MOST);
    if more > 0 {
        found.truncate(MOST);
        found.push(format!("… and {more} more"));
    }
    found
}

fn compare(at: &str, recorded: Option<&Value>, now: Option<&Value>, found: &mut Vec<String>) {
    match (recorded, now) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(added) {
                compare(&field(at, name), old.get(name), new.get(name), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for index in 0..old.len().max(new.len()) {
                compare(&format!("{at}[{index}]"), old.get(index), new.get(index), found);
            }
        }
        (old, new) if old != new => {
            found.push(format!("{at}\n    recorded: {}\n    now:      {}", shown(old), shown(new)));
        }
        _ => {}
    }
}

/// The places whose text holds `needle`, percent-encoded, in base64 or as it is.
pub(super) fn places_with(document: &Value, needle: &str) -> Vec<String> {
    let (mut found, forms) = (Vec::new(), secret::forms(needle));
    let holds = |text: &str| holds(text, needle) || secret::is_in(text, &forms);
    search("", document, &holds, &mut found);
    found
}

fn search(at: &str, value: &Value, holds: &dyn Fn(&str) -> bool, found: &mut Vec<String>) {
    match value {
        Value::String(text) if holds(text) => found.push(at.to_owned()),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                search(&format!("{at}[{index}]"), item, holds, found);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                if holds(name) {
                    found.push(format!("a name at {at}"));
                }
                search(&field(at, name), value, holds, found);
            }
        }
        _ => {}
    }
}

fn holds(text: &str, needle: &str) -> bool {
    text.contains(needle) || percent_decode_str(text).decode_utf8_lossy().contains(needle)
}

fn field(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_difference_has_its_place_and_both_values() {
        let recorded = json!({"body": {"items": [{"id": "1"}, {"id": "2"}], "total": 2}});
        let now = json!({"body": {"items": [{"id": "1", "new": 5}], "total": 1}});
        let found = differences(&recorded, &now);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], "body.items[0].new\n    recorded: nothing\n    now:      5");
        assert_eq!(found[1], "body.items[1]\n    recorded: {\"id\":\"2\"}\n    now:      nothing");
        assert_eq!(found[2], "body.total\n    recorded: 2\n    now:      1");
        assert!(differences(&now, &now).is_empty());
    }

    #[test]
    fn long_values_and_long_lists_are_cut() {
        let found = differences(&json!("ü".repeat(500)), &json!("b"));
        assert!(found[0].chars().count() < 200, "{}", found[0]);
        let found = differences(&json!(vec![0; 30]), &json!(vec![1; 30]));
        assert_eq!((found.len(), found[20].as_str()), (21, "… and 10 more"));
    }

    #[test]
    fn a_text_is_found_in_values_and_names_encoded_or_not() {
        let document = json!({"line": "GET /x?k=a%2Fb", "list": ["-a/b-", "a"], "a/b": 1});
        assert_eq!(places_with(&document, "a/b"), ["a name at ", "line", "list[0]"]);
        // `id:s3cret-word`, as in Basic.
        let document = json!({"headers": {"authorization": "Basic aWQ6czNjcmV0LXdvcmQ="}});
        assert_eq!(places_with(&document, "s3cret-word"), ["headers.authorization"]);
        assert_eq!(places_with(&document, "another-word"), [""; 0]);
    }
}
