//! Codes as RFC 4226 and RFC 6238 compute them.

use std::ops::RangeInclusive;

use aws_lc_rs::hmac;
use jiff::Timestamp;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _, ConstantTimeGreater as _};

/// How many digits a code has. Many applications on telephones ignore another number, another time and another hash than
/// the usual ones in an `otpauth://` address, and would then show codes that never fit.
pub(super) const DIGITS: u32 = 6;

/// How long a code is shown, in seconds.
pub(super) const PERIOD: i64 = 30;

/// What codes are computed with by default. Its collisions do not matter to an HMAC (RFC 6194 section 3.3).
pub(super) const HASH: hmac::Algorithm = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;

/// The code of a count (RFC 4226 section 5.3).
pub(super) fn hotp(key: &hmac::Key, count: u64, digits: u32) -> u32 {
    let mac = hmac::sign(key, &count.to_be_bytes());
    let mac = mac.as_ref();
    let offset = usize::from(mac[mac.len() - 1] & 0x0f);
    let cut = mac[offset..offset + 4].iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
    (cut & 0x7fff_ffff) % 10_u32.pow(digits)
}

/// Which code is shown at a time (RFC 6238 section 4.2). Negative before 1970.
pub(super) fn step(now: Timestamp) -> i64 {
    now.as_second().div_euclid(PERIOD)
}

/// The steps whose codes are accepted at a time.
pub(super) fn window(now: Timestamp, either_way: u8) -> RangeInclusive<i64> {
    let middle = step(now);
    middle - i64::from(either_way)..=middle + i64::from(either_way)
}

/// The latest step after `last` whose code this is. All candidates are computed and compared, so that the time tells
/// nothing of which one it was, and whether one was near.
pub(super) fn matching(
    secret: &[u8],
    code: u32,
    steps: RangeInclusive<i64>,
    last: Option<u64>,
) -> Option<u64> {
    let key = hmac::Key::new(HASH, secret);
    let mut fits = Choice::from(0);
    let mut found = 0_u64;
    for step in steps.filter_map(|step| u64::try_from(step).ok()) {
        let is_new = last.map_or(Choice::from(1), |last| step.ct_gt(&last));
        let fit = hotp(&key, step, DIGITS).ct_eq(&code) & is_new;
        found.conditional_assign(&step, fit);
        fits |= fit;
    }
    bool::from(fits).then_some(found)
}

/// A code as people type it: spaces are for the eye. `None` for anything but its digits.
pub(super) fn typed(text: &str) -> Option<u32> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let is_code = digits.len() == DIGITS as usize && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_code.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"12345678901234567890";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn code(step: u64) -> u32 {
        hotp(&hmac::Key::new(HASH, KEY), step, DIGITS)
    }

    /// RFC 4226 appendix D.
    #[test]
    fn the_codes_of_counts_are_those_of_the_standard() {
        let expected =
            [755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871, 520_489];
        assert_eq!(std::array::from_fn::<_, 10, _>(|count| code(count as u64)), expected);
    }

    /// RFC 6238 appendix B; the keys are as long as the hashes are.
    #[test]
    fn the_codes_of_times_are_those_of_the_standard_for_each_hash() {
        let hashes =
            [(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, 20), (hmac::HMAC_SHA256, 32), (hmac::HMAC_SHA512, 64)];
        let rows: [(i64, [u32; 3]); 6] = [
            (59, [94_287_082, 46_119_246, 90_693_936]),
            (1_111_111_109, [7_081_804, 68_084_774, 25_091_201]),
            (1_111_111_111, [14_050_471, 67_062_674, 99_943_326]),
            (1_234_567_890, [89_005_924, 91_819_424, 93_441_116]),
            (2_000_000_000, [69_279_037, 90_698_825, 38_618_901]),
            (20_000_000_000, [65_353_130, 77_737_706, 47_863_826]),
        ];
        for (second, expected) in rows {
            for ((hash, length), expected) in hashes.into_iter().zip(expected) {
                let key: Vec<u8> = KEY.iter().copied().cycle().take(length).collect();
                let count = u64::try_from(step(at(second))).unwrap();
                assert_eq!(hotp(&hmac::Key::new(hash, &key), count, 8), expected, "{second} {hash:?}");
            }
        }
    }

    #[test]
    fn steps_begin_with_1970_and_there_are_no_codes_before() {
        assert_eq!([-31, -1, 0, 29, 30].map(|second| step(at(second))), [-2, -1, 0, 0, 1]);
        assert_eq!(matching(KEY, code(0), window(at(0), 1), None), Some(0));
        assert_eq!(matching(KEY, code(0), window(at(-1), 1), None), Some(0));
        assert_eq!(matching(KEY, code(0), window(at(-1), 0), None), None);
        assert_eq!(matching(KEY, code(0), window(at(-31), 1), None), None);
        // Step 0 can be used up, too.
        assert_eq!(matching(KEY, code(0), window(at(0), 1), Some(0)), None);
    }

    #[test]
    fn a_window_accepts_its_edges_and_nothing_beyond() {
        for (either_way, accepted) in [(0_u8, 0_i64), (1, 1), (2, 2)] {
            for away in -4..=4_i64 {
                let step = u64::try_from(100 + away).unwrap();
                let found = matching(KEY, code(step), window(at(100 * PERIOD + 29), either_way), None);
                assert_eq!(found, (away.abs() <= accepted).then_some(step), "{either_way} {away}");
            }
        }
    }

    #[test]
    fn a_step_that_was_used_and_those_before_it_fit_no_more() {
        let steps = || window(at(100 * PERIOD), 2);
        for (last, fits) in [(97, 5), (98, 4), (100, 2), (102, 0), (5_000, 0)] {
            let still = (98..=102).filter(|step| matching(KEY, code(*step), steps(), Some(last)).is_some());
            assert_eq!(still.count(), fits, "{last}");
        }
    }

    #[test]
    fn a_code_is_read_with_spaces_and_its_leading_zeros() {
        assert_eq!(["123456", "123 456", " 000 042\n"].map(typed), [Some(123_456), Some(123_456), Some(42)]);
        for wrong in ["", "12345", "1234567", "12345a", "-12345", "+12345", "１２３４５６", "12345６"]
        {
            assert_eq!(typed(wrong), None, "{wrong}");
        }
    }
}
