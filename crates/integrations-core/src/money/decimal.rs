//! Decimal text and integers of minor units, without any floating point in between.

/// What is wrong with a decimal text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not `-?digits[.digits]`.
    Form,
    /// This many decimals.
    TooFine(usize),
    /// Beyond 64 bits.
    Range,
}

/// Reads `29.99` strictly: digits on both sides of the point, at most `exponent` decimals.
pub(super) fn parse(text: &str, exponent: u8) -> Result<i64, Fault> {
    let (unsigned, fraction) = split(text)?;
    if unsigned.is_empty() || fraction == Some("") {
        return Err(Fault::Form);
    }
    to_minor(text, unsigned, fraction.unwrap_or(""), exponent)
}

/// Reads what vendors write: also `.5`, and `10.00` for a currency without decimals, because zeros beyond
/// the exponent lose nothing.
pub(super) fn parse_lenient(text: &str, exponent: u8) -> Result<i64, Fault> {
    let (unsigned, fraction) = split(text)?;
    let fraction = fraction.unwrap_or("");
    if unsigned.is_empty() && fraction.is_empty() {
        return Err(Fault::Form);
    }
    let significant = fraction.trim_end_matches('0').len();
    let kept = significant.max(fraction.len().min(usize::from(exponent)));
    to_minor(text, unsigned, &fraction[..kept], exponent)
}

/// Writes `minor` with exactly `exponent` decimals.
pub(super) fn format(minor: i64, exponent: u8) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let places = usize::from(exponent);
    let digits = format!("{:0>width$}", minor.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let point = if places == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// The same amount with another number of decimals; `None` when that loses something or overflows.
pub(super) fn rescale(minor: i64, from: u8, to: u8) -> Option<i64> {
    let factor = 10_i64.checked_pow(u32::from(from.abs_diff(to)))?;
    if to >= from {
        return minor.checked_mul(factor);
    }
    (minor % factor == 0).then_some(minor / factor)
}

fn split(text: &str) -> Result<(&str, Option<&str>), Fault> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if digits(whole) && fraction.is_none_or(digits) { Ok((whole, fraction)) } else { Err(Fault::Form) }
}

fn to_minor(text: &str, whole: &str, fraction: &str, exponent: u8) -> Result<i64, Fault> {
    let places = usize::from(exponent);
    if fraction.len() > places {
        return Err(Fault::TooFine(fraction.len()));
    }
    let padding = std::iter::repeat_n(b'0', places - fraction.len());
    // Summed up below zero, because i64::MIN has no positive counterpart.
    let negative = whole
        .bytes()
        .chain(fraction.bytes())
        .chain(padding)
        .try_fold(0_i64, |sum, digit| sum.checked_mul(10)?.checked_sub(i64::from(digit - b'0')));
    let signed = if text.starts_with('-') { negative } else { negative.and_then(i64::checked_neg) };
    signed.ok_or(Fault::Range)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn strict_and_lenient_reading() {
        for (text, exponent, strict, lenient) in [
            ("29.99", 2, Ok(2999), Ok(2999)),
            ("29.9", 2, Ok(2990), Ok(2990)),
            ("-0.05", 2, Ok(-5), Ok(-5)),
            ("007", 0, Ok(7), Ok(7)),
            ("-0", 0, Ok(0), Ok(0)),
            ("29.990", 2, Err(Fault::TooFine(3)), Ok(2999)),
            ("29.999", 2, Err(Fault::TooFine(3)), Err(Fault::TooFine(3))),
            ("10.00", 0, Err(Fault::TooFine(2)), Ok(10)),
            (".5", 2, Err(Fault::Form), Ok(50)),
            ("5.", 2, Err(Fault::Form), Ok(500)),
            (".", 2, Err(Fault::Form), Err(Fault::Form)),
            ("", 2, Err(Fault::Form), Err(Fault::Form)),
            ("-", 2, Err(Fault::Form), Err(Fault::Form)),
            ("+1", 2, Err(Fault::Form), Err(Fault::Form)),
            ("--1", 2, Err(Fault::Form), Err(Fault::Form)),
            ("1e3", 2, Err(Fault::Form), Err(Fault::Form)),
            ("1,000.00", 2, Err(Fault::Form), Err(Fault::Form)),
            (" 1", 2, Err(Fault::Form), Err(Fault::Form)),
            ("1.2.3", 2, Err(Fault::Form), Err(Fault::Form)),
            ("٣", 0, Err(Fault::Form), Err(Fault::Form)),
            ("1.-5", 2, Err(Fault::Form), Err(Fault::Form)),
            ("92233720368547758.07", 2, Ok(i64::MAX), Ok(i64::MAX)),
            ("92233720368547758.08", 2, Err(Fault::Range), Err(Fault::Range)),
            ("-92233720368547758.08", 2, Ok(i64::MIN), Ok(i64::MIN)),
            ("-92233720368547758.09", 2, Err(Fault::Range), Err(Fault::Range)),
        ] {
            assert_eq!((parse(text, exponent), parse_lenient(text, exponent)), (strict, lenient), "{text}");
        }
    }

    #[test]
    fn rescaling_never_loses_anything() {
        assert_eq!(rescale(1234, 2, 3), Some(12340));
        assert_eq!(rescale(1230, 2, 1), Some(123));
        assert_eq!(rescale(1234, 2, 1), None);
        assert_eq!(rescale(-500, 2, 0), Some(-5));
        assert_eq!(rescale(i64::MAX, 0, 2), None);
        assert_eq!(rescale(1, 0, 200), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(minor: i64, exponent in 0_u8..=18) {
            let text = format(minor, exponent);
            prop_assert_eq!(parse(&text, exponent), Ok(minor));
            prop_assert_eq!(parse_lenient(&format!("{text}{}", if exponent == 0 { ".0" } else { "0" }), exponent), Ok(minor));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+.0-9eE, ]{0,24}", exponent in 0_u8..=4) {
            if let Ok(minor) = parse(&text, exponent) {
                prop_assert_eq!(parse_lenient(&text, exponent), Ok(minor));
                prop_assert_eq!(parse(&format(minor, exponent), exponent), Ok(minor));
            }
        }
    }
}
