//! The form of a name in which spelling no longer matters.

use unicode_normalization::UnicodeNormalization;

/// A name without what services spell differently: case, accents, width, punctuation, `&` for `and`, leading articles.
///
/// A name that is nothing but punctuation (`!!!`) stays as it is, or all such names would be the same.
///
/// ```
/// use integrations_music::matching::fold;
/// assert_eq!(fold("The Beyoncé & Jay‐Z"), "beyonce and jay z");
/// assert_eq!(fold("R.E.M."), "rem");
/// assert_eq!(fold("!!!"), "!!!");
/// ```
pub fn fold(name: &str) -> String {
    let plain = letters(name);
    let spaced: String = signs(&plain).chars().flat_map(separated).collect();
    let mut words: Vec<&str> = spaced.split_whitespace().collect();
    while words.len() > 1 && matches!(words[0], "the" | "a" | "an") {
        words.remove(0);
    }
    if words.is_empty() { plain.split_whitespace().collect::<Vec<_>>().join(" ") } else { words.join(" ") }
}

/// Small letters without marks. A second pass catches what the change of case composes anew.
fn letters(name: &str) -> String {
    let pass = |text: &str| -> String {
        text.nfkd()
            .flat_map(char::to_lowercase)
            .nfkd()
            .filter(|c| !is_mark(*c))
            .flat_map(plain)
            .nfc()
            .collect()
    };
    pass(&pass(name))
}

/// Marks that people leave out. Not all marks: the sound marks of Japanese and the vowel signs of Indian scripts tell words
/// apart.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}')
}

/// Letters that no decomposition reaches, as people write them without their keyboard.
fn plain(c: char) -> impl Iterator<Item = char> {
    const LETTERS: &[(char, &str)] = &[
        ('ß', "ss"),
        ('æ', "ae"),
        ('œ', "oe"),
        ('ø', "o"),
        ('đ', "d"),
        ('ð', "d"),
        ('ł', "l"),
        ('ħ', "h"),
        ('ı', "i"),
        ('þ', "th"),
        ('ς', "σ"),
        ('$', "s"),
    ];
    let found = LETTERS.iter().find(|(letter, _)| *letter == c).map(|(_, text)| *text);
    found.unwrap_or_default().chars().chain(found.is_none().then_some(c))
}

/// Signs that are read: the sharp of a key (`F#`), and the letter that an exclamation mark inside a word stands for.
fn signs(plain: &str) -> String {
    let mut read = String::with_capacity(plain.len());
    let mut chars = plain.chars().peekable();
    let mut is_word = false;
    while let Some(c) = chars.next() {
        match c {
            '♯' => read.push_str(" sharp "),
            '♭' => read.push_str(" flat "),
            '#' if is_word => read.push_str(" sharp "),
            '!' if is_word && chars.peek().is_some_and(|next| next.is_alphabetic()) => read.push('i'),
            c => read.push(c),
        }
        is_word = c.is_alphabetic();
    }
    read
}

/// Dots and apostrophes vanish (`R.E.M.`, `don't`), an ampersand is a word, and all other punctuation parts words.
fn separated(c: char) -> impl Iterator<Item = char> {
    let text: &'static str = match c {
        '&' => " and ",
        '.' | '\'' | '’' | '‘' | '`' | '´' | 'ʼ' | '＇' => "",
        c if c.is_alphanumeric() || is_sign(c) => return "".chars().chain(Some(c)),
        _ => " ",
    };
    text.chars().chain(None)
}

/// Signs inside words of other scripts, which `is_alphanumeric` does not count as letters.
fn is_sign(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{dff}' | '\u{e31}'..='\u{e4e}' | '\u{3099}'..='\u{309a}')
}
