//! Money as integers of minor units, and how each vendor writes it.
//!
//! Invariants:
//! - No floating point anywhere: an amount is read from text or integers, or not at all.
//! - No conversion loses or invents a minor unit: it is exact, or an error.
//! - Vendors disagree with ISO 4217 and with one another, so the exponent that goes over the wire is data of the
//!   provider: an [`AmountFormat`].

mod currency;
mod decimal;
mod format;
mod table;

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use currency::Currency;
pub use format::{Amount, AmountFormat};

use crate::error::{Error, Result};

/// An amount in a currency, in minor units of ISO 4217 (cents, but also whole yen and thousandths of a dinar).
///
/// Amounts may be negative. Comparing amounts of different currencies gives `None`, adding them an error.
/// As JSON: `{ "minor": 2999, "currency": "USD" }`.
///
/// ```
/// use integrations_core::money::{Currency, Money};
/// let price = Money::parse("29.99", Currency::USD)?;
/// assert_eq!(price.minor(), 2999);
/// assert_eq!(price.checked_mul(3)?.to_string(), "89.97 USD");
/// assert!(Money::parse("29.999", Currency::USD).is_err());
/// assert!(price < Money::new(3000, Currency::USD));
/// assert!(price.partial_cmp(&Money::new(3000, Currency::EUR)).is_none());
/// # Ok::<(), integrations_core::Error>(())
/// ```
///
/// There is no way in from floating point:
///
/// ```compile_fail
/// let price: integrations_core::money::Money = 29.99_f64.into();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// `minor` minor units: `Money::new(2999, Currency::USD)` is 29.99 dollars.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in a currency.
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// Reads decimal text: an optional `-`, digits, and at most as many decimals as the currency has, zeros
    /// counted too, because a price with too many decimals was probably meant for another currency.
    /// No exponent, no grouping, no leading `+`, no blanks. `InvalidRequest` otherwise, and beyond 64 bits.
    pub fn parse(text: &str, currency: Currency) -> Result<Self> {
        match decimal::parse(text, currency.exponent()) {
            Ok(minor) => Ok(Self::new(minor, currency)),
            Err(fault) => Err(Error::invalid_request(fault_in_words(fault, currency))),
        }
    }

    /// The amount in minor units.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether the amount is zero.
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// Whether the amount is greater than zero.
    pub const fn is_positive(self) -> bool {
        self.minor > 0
    }

    /// Whether the amount is less than zero.
    pub const fn is_negative(self) -> bool {
        self.minor < 0
    }

    /// The amount as decimal text with all decimals of the currency, without its code: `29.90`, `500`.
    pub fn to_decimal_string(self) -> String {
        decimal::format(self.minor, self.currency.exponent())
    }

    /// The sum. `InvalidRequest` across currencies or beyond 64 bits.
    pub fn checked_add(self, other: Self) -> Result<Self> {
        self.same_currency(other)?.in_range(self.minor.checked_add(other.minor))
    }

    /// The difference. `InvalidRequest` across currencies or beyond 64 bits.
    pub fn checked_sub(self, other: Self) -> Result<Self> {
        self.same_currency(other)?.in_range(self.minor.checked_sub(other.minor))
    }

    /// The product with an integer. `InvalidRequest` beyond 64 bits.
    pub fn checked_mul(self, factor: i64) -> Result<Self> {
        self.in_range(self.minor.checked_mul(factor))
    }

    /// The amount with the other sign. `InvalidRequest` beyond 64 bits.
    pub fn checked_neg(self) -> Result<Self> {
        self.in_range(self.minor.checked_neg())
    }

    /// Splits the amount into equal parts that differ by at most one minor unit and sum up to it; the larger
    /// parts come first. `InvalidRequest` for no parts.
    pub fn split(self, parts: usize) -> Result<Vec<Self>> {
        self.allocate(&vec![1; parts])
    }

    /// Splits the amount in proportion to `ratios`; the parts sum up to it. Each part is rounded towards zero,
    /// and what is left goes unit by unit to the parts that lost most, earlier ones first. A ratio of zero
    /// gets nothing. `InvalidRequest` when the ratios sum up to zero.
    ///
    /// ```
    /// use integrations_core::money::{Currency, Money};
    /// let parts = Money::new(1000, Currency::EUR).allocate(&[1, 1, 1])?;
    /// assert_eq!(parts.iter().map(|p| p.minor()).collect::<Vec<_>>(), [334, 333, 333]);
    /// # Ok::<(), integrations_core::Error>(())
    /// ```
    pub fn allocate(self, ratios: &[u32]) -> Result<Vec<Self>> {
        // 64 bits times 32 bits fit 128, and 2^32 ratios of 2^32 do too.
        let whole: i128 = ratios.iter().copied().map(i128::from).sum();
        if whole == 0 {
            return Err(Error::invalid_request("an amount needs a ratio above zero to be divided by"));
        }
        let shares = ratios.iter().map(|ratio| i128::from(self.minor) * i128::from(*ratio));
        let mut parts: Vec<i64> = shares.clone().map(|share| (share / whole) as i64).collect();
        let mut by_loss: Vec<(usize, i128)> = shares.map(|share| (share % whole).abs()).enumerate().collect();
        by_loss.sort_by_key(|(_, loss)| std::cmp::Reverse(*loss));
        let left = self.minor - parts.iter().sum::<i64>();
        for (place, _) in by_loss.into_iter().take(left.unsigned_abs() as usize) {
            parts[place] += left.signum();
        }
        Ok(parts.into_iter().map(|minor| Self::new(minor, self.currency)).collect())
    }

    fn same_currency(self, other: Self) -> Result<Self> {
        if self.currency == other.currency {
            return Ok(self);
        }
        let message = format!("amounts in {} and {} cannot be combined", self.currency, other.currency);
        Err(Error::invalid_request(message))
    }

    fn in_range(self, minor: Option<i64>) -> Result<Self> {
        minor
            .map(|minor| Self::new(minor, self.currency))
            .ok_or_else(|| Error::invalid_request(fault_in_words(decimal::Fault::Range, self.currency)))
    }
}

impl PartialOrd for Money {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.currency == other.currency).then(|| self.minor.cmp(&other.minor))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.to_decimal_string(), self.currency))
    }
}

fn fault_in_words(fault: decimal::Fault, currency: Currency) -> String {
    let has = currency.exponent();
    match fault {
        decimal::Fault::Form => "the amount is not a decimal number such as `29.99`".to_owned(),
        decimal::Fault::TooFine(decimals) => {
            format!("{currency} has {has} decimals, the amount has {decimals}")
        }
        decimal::Fault::Range => format!("the amount in {currency} does not fit 64 bits of minor units"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::{Effect, ErrorKind};

    fn usd(minor: i64) -> Money {
        Money::new(minor, Currency::USD)
    }

    #[test]
    fn an_excess_decimal_is_an_error_that_says_how_many_there_may_be() {
        for (text, currency, says) in [
            ("29.990", Currency::USD, "USD has 2 decimals, the amount has 3"),
            ("500.0", Currency::JPY, "JPY has 0 decimals, the amount has 1"),
            ("1.2345", Currency::KWD, "KWD has 3 decimals, the amount has 4"),
        ] {
            let e = Money::parse(text, currency).unwrap_err();
            assert_eq!((e.kind(), e.effect()), (ErrorKind::InvalidRequest, Effect::NotSent));
            assert!(e.to_string().contains(says), "{e}");
        }
    }

    #[test]
    fn arithmetic_is_checked_and_stays_within_a_currency() {
        assert_eq!(usd(2999).checked_add(usd(1)).unwrap(), usd(3000));
        assert_eq!(usd(1).checked_sub(usd(3)).unwrap(), usd(-2));
        assert_eq!(usd(-2).checked_neg().unwrap(), usd(2));
        for overflow in [
            usd(i64::MAX).checked_add(usd(1)),
            usd(i64::MIN).checked_sub(usd(1)),
            usd(i64::MAX).checked_mul(2),
            usd(i64::MIN).checked_neg(),
            usd(1).checked_add(Money::new(1, Currency::EUR)),
            usd(1).checked_sub(Money::zero(Currency::EUR)),
        ] {
            assert_eq!(overflow.unwrap_err().kind(), ErrorKind::InvalidRequest);
        }
        for undivided in [usd(1).split(0), usd(1).allocate(&[]), usd(1).allocate(&[0, 0])] {
            assert_eq!(undivided.unwrap_err().kind(), ErrorKind::InvalidRequest);
        }
    }

    #[test]
    fn what_is_left_goes_to_the_parts_that_lost_most() {
        let minors = |m: Money, ratios: &[u32]| -> Vec<i64> {
            m.allocate(ratios).unwrap().into_iter().map(Money::minor).collect()
        };
        assert_eq!(minors(usd(100), &[50, 0, 50]), [50, 0, 50]);
        assert_eq!(minors(usd(5), &[3, 7]), [2, 3]);
        assert_eq!(minors(usd(-5), &[3, 7]), [-2, -3]);
        assert_eq!(minors(usd(1), &[1, 2]), [0, 1]);
        assert_eq!(minors(usd(i64::MIN), &[u32::MAX, u32::MAX]), [i64::MIN / 2; 2]);
        assert_eq!(usd(10).split(4).unwrap().into_iter().map(Money::minor).collect::<Vec<_>>(), [3, 3, 2, 2]);
    }

    /// Compiles only while neither holds: with a second impl the item's path would be ambiguous.
    #[test]
    fn there_is_no_way_in_from_floating_point() {
        trait Absent<Which> {
            const OK: bool = true;
        }
        impl<T> Absent<()> for T {}
        impl<T: From<f64>> Absent<u8> for T {}
        impl<T: From<f32>> Absent<u16> for T {}
        const { assert!(<Money as Absent<_>>::OK && <Amount as Absent<_>>::OK) };
    }

    #[test]
    fn json_has_minor_units_and_a_code() {
        let json = r#"{"minor":2999,"currency":"USD"}"#;
        assert_eq!(serde_json::to_string(&usd(2999)).unwrap(), json);
        assert_eq!(serde_json::from_str::<Money>(json).unwrap(), usd(2999));
        for bad in [r#"{"minor":29.99,"currency":"USD"}"#, r#"{"minor":1,"currency":"XAU"}"#] {
            assert!(serde_json::from_str::<Money>(bad).is_err());
        }
    }

    proptest! {
        #[test]
        fn parts_sum_up_and_differ_from_their_share_by_less_than_one_unit(
            minor: i64,
            ratios in prop::collection::vec(prop_oneof![0_u32..4, any::<u32>()], 1..12),
        ) {
            let whole: i128 = ratios.iter().copied().map(i128::from).sum();
            prop_assume!(whole > 0);
            let parts = usd(minor).allocate(&ratios).unwrap();
            prop_assert_eq!(parts.iter().map(|p| i128::from(p.minor())).sum::<i128>(), i128::from(minor));
            for (part, ratio) in parts.iter().zip(&ratios) {
                let share = i128::from(minor) * i128::from(*ratio);
                prop_assert!((i128::from(part.minor()) * whole - share).abs() < whole);
            }
        }

        #[test]
        fn display_and_parse_agree_for_every_currency(minor: i64, place in 0..Currency::all().len()) {
            let currency = Currency::all().nth(place).unwrap();
            let money = Money::new(minor, currency);
            let text = money.to_string();
            let (amount, code) = text.split_once(' ').unwrap();
            prop_assert_eq!(Money::parse(amount, Currency::from_code(code).unwrap()).unwrap(), money);
        }
    }
}
