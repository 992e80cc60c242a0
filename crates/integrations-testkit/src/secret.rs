//! The forms in which a secret is looked for.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A shorter setting is no secret that could be told from other text.
const SHORTEST: usize = 6;

/// So many characters at the ends of a base64 text may come from what stands beside the secret.
const BORDER: usize = 2;

/// The secret as it is, percent-encoded, escaped as in a `Debug`, and in base64 wherever it begins within what was encoded,
/// as in `Basic`'s `id:secret`. Of a text of several lines each line counts.
pub(crate) fn forms(secret: &str) -> Vec<String> {
    let lines = secret.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    let mut forms: Vec<String> = lines.filter(|line| line.len() >= SHORTEST).flat_map(forms_of).collect();
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn forms_of(line: &str) -> Vec<String> {
    let percent = utf8_percent_encode(line, NON_ALPHANUMERIC).to_string();
    let mut forms = vec![line.to_owned(), percent.to_lowercase(), percent, line.escape_debug().to_string()];
    for before in 0..3 {
        let bytes = [&b"   "[..before], line.as_bytes()].concat();
        forms.extend([STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)].iter().filter_map(
            |text| {
                // What does not depend on the bytes before and after.
                let begin = (before * 8).div_ceil(6);
                let end = text.len() - if bytes.len() % 3 == 0 { 0 } else { BORDER };
                text.get(begin..end).map(str::to_owned)
            },
        ));
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// Whether a text holds one of the forms.
pub(crate) fn is_in(text: &str, forms: &[String]) -> bool {
    forms.iter().any(|form| text.contains(form.as_str()))
}

/// The first line that holds one of the forms, with all of them taken out.
#[cfg(feature = "chaos")]
pub(crate) fn line_with(text: &str, forms: &[String]) -> Option<String> {
    let line = text.lines().find(|line| is_in(line, forms))?;
    Some(forms.iter().fold(line.to_owned(), |line, form| line.replace(form.as_str(), "***")))
}

#[cfg(all(test, feature = "chaos"))]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const SECRET: &str = "s3cret/with+signs \"quoted\"";

    #[test]
    fn a_secret_is_found_in_every_form_and_taken_out() {
        let percent = utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string();
        let mut texts = vec![SECRET.to_owned(), format!("{SECRET:?}"), percent.to_lowercase(), percent];
        for id in ["", "i", "id", "the-id"] {
            texts.push(STANDARD.encode(format!("{id}:{SECRET}")));
            texts.push(URL_SAFE_NO_PAD.encode(format!("{id}:{SECRET}:more")));
        }
        for text in texts {
            let line = line_with(&format!("a\nb {text} c\nd"), &forms(SECRET)).expect(&text);
            assert!(line.contains("***") && line.starts_with("b ") && line.ends_with(" c"), "{line}");
            assert_eq!(line_with(&line, &forms(SECRET)), None, "{line}");
        }
    }

    #[test]
    fn each_line_of_a_long_secret_counts_and_what_is_short_does_not() {
        let key = "-----BEGIN KEY-----\nMIGHAgEAMBMGByqGSM49\nabc\n-----END KEY-----\n";
        let found = |text| line_with(text, &forms(key)).is_some();
        assert!(found("key: MIGHAgEAMBMGByqGSM49"));
        assert!(!found("-----BEGIN KEY-----") && !found("abc"));
        assert!(forms("12345").is_empty());
    }
}
