//! A view of Rust source for the scanning rules: the same lines and columns, but comments, the contents of
//! string and character literals, and (on demand) test modules are blank.

/// `text` with comments and the contents of literals replaced by spaces.
pub(crate) fn code_only(text: &str) -> String {
    let mut view = View { rest: text, out: String::with_capacity(text.len()), previous: ' ' };
    while !view.rest.is_empty() {
        view.step();
    }
    view.out
}

struct View<'a> {
    rest: &'a str,
    out: String,
    previous: char,
}

impl View<'_> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.blank(end);
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment(self.rest));
        } else if let Some(length) = self.raw_string() {
            self.blank(length);
        } else if self.rest.starts_with('"') {
            self.blank(string(self.rest));
        } else if let Some(length) = character(self.rest) {
            self.blank(length);
        } else {
            self.keep();
        }
    }

    /// The length of a raw string that starts here: `r"…"`, `br##"…"##`.
    fn raw_string(&self) -> Option<usize> {
        if self.previous.is_alphanumeric() || self.previous == '_' {
            return None;
        }
        let prefix = ["br", "cr", "r"].into_iter().find(|prefix| self.rest.starts_with(prefix))?;
        let after = &self.rest[prefix.len()..];
        let hashes = after.len() - after.trim_start_matches('#').len();
        let body = after[hashes..].strip_prefix('"')?;
        let close = format!("\"{}", "#".repeat(hashes));
        let end = body.find(&close).map_or(body.len(), |at| at + close.len());
        Some(prefix.len() + hashes + 1 + end)
    }

    fn blank(&mut self, length: usize) {
        let (gone, rest) = self.rest.split_at(length);
        self.out.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
        self.previous = ' ';
    }

    fn keep(&mut self) {
        let mut characters = self.rest.chars();
        if let Some(c) = characters.next() {
            self.out.push(c);
            self.previous = c;
        }
        self.rest = characters.as_str();
    }
}

/// The length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of a string literal that starts with a quote.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        let first = escape.chars().next()?;
        let end = escape[first.len_utf8()..].find('\'')?;
        return Some(2 + first.len_utf8() + end + 1);
    }
    let first = body.chars().next()?;
    body[first.len_utf8()..].starts_with('\'').then_some(1 + first.len_utf8() + 1)
}

/// The parts of a view inside or outside `#[cfg(test)]` items; the other part is blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Tests,
    Product,
}

/// Keeps one part of `code`, which must come from [`code_only`].
pub(crate) fn part(code: &str, part: Part) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        let end = at + item_length(&rest[at..]);
        push(&mut out, &rest[..at], part == Part::Product);
        push(&mut out, &rest[at..end], part == Part::Tests);
        rest = &rest[end..];
    }
    push(&mut out, rest, part == Part::Product);
    out
}

fn push(out: &mut String, text: &str, keep: bool) {
    if keep {
        out.push_str(text);
    } else {
        out.extend(text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
    }
}

/// From an item's first attribute to its closing brace, or to its semicolon when that comes first.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b';' if depth == 0 => return at + 1,
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Whether `word` stands in `line` as a whole: no identifier character before or after it.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && (word.ends_with('!') || !after.is_some_and(is_part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_positions_stay() {
        let text = "let a = \"tokio \\\" x\"; // tokio\n/* tokio /* nested */ */ let b = 'x';\nlet c = r#\"to\"kio\"#; fn f<'a>(x: &'a str) {}\n";
        let code = code_only(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.lines().count(), 3);
        assert!(!code.contains("tokio") && !code.contains("kio"));
        assert!(code.contains("let b =") && code.contains("fn f<'a>(x: &'a str) {}"));
        let code = code_only(r"let q = '\''; let u = '\u{1F600}'; call()");
        assert!(code.ends_with("call()") && !code.contains(['\'', 'F']), "{code}");
    }

    #[test]
    fn test_items_are_told_from_the_product() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn t() { sleep() }\n}\nfn b() {}\n#[cfg(test)]\nuse x;\nfn c() {}\n";
        let product = part(code, Part::Product);
        assert!(product.contains("fn a") && product.contains("fn b") && product.contains("fn c"));
        assert!(!product.contains("sleep") && !product.contains("use x"));
        let tests = part(code, Part::Tests);
        assert!(tests.contains("sleep") && !tests.contains("fn b"));
        assert_eq!(tests.lines().count(), code.lines().count());
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("use tokio::time;", "tokio"));
        assert!(!has_word("use my_tokio::tokios;", "tokio"));
        assert!(has_word("println!(\"x\")", "println!"));
        assert!(!has_word("eprintln!(\"x\")", "println!"));
    }
}
