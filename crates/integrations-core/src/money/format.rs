//! How one vendor writes amounts.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Currency, Money, decimal, fault_in_words};
use crate::error::{Effect, Error, ErrorKind, Result};

/// An amount as it goes over the wire. As JSON it is a number or a string; a number with a decimal point is
/// refused, since its decimals may be lost already.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Amount {
    /// An integer of the vendor's minor units.
    Minor(i64),
    /// Decimal text.
    Decimal(String),
}

/// How one vendor writes amounts, as constant data of its provider.
///
/// Both directions are checked: an amount that the vendor cannot take to the last minor unit is an error
/// before anything is sent, and so is an answer that [`Money`] cannot hold exactly.
///
/// ```
/// use integrations_core::money::{Amount, AmountFormat, Currency, Money};
/// const AMOUNTS: AmountFormat = AmountFormat::minor_units()
///     .exponents(&[(Currency::ISK, 2), (Currency::MGA, 0)])
///     .steps(&[(Currency::KWD, 10)]);
///
/// let krona = Money::parse("500", Currency::ISK)?;
/// assert_eq!(AMOUNTS.encode(krona)?, Amount::Minor(50_000));
/// assert_eq!(AMOUNTS.decode(50_000_i64, "isk")?, krona);
/// assert!(AMOUNTS.encode(Money::parse("1.50", Currency::MGA)?).is_err());
/// assert!(AMOUNTS.encode(Money::parse("1.234", Currency::KWD)?).is_err());
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct AmountFormat {
    notation: Notation,
    exponents: &'static [(Currency, u8)],
    steps: &'static [(Currency, u32)],
}

#[derive(Debug, Clone, Copy)]
enum Notation {
    Minor,
    Decimal,
    FixedDecimals(u8),
}

impl AmountFormat {
    /// Integers of minor units: `2999`.
    pub const fn minor_units() -> Self {
        Self::with(Notation::Minor)
    }

    /// Decimal text with all decimals of the currency: `"29.90"`, `"500"`.
    pub const fn decimal() -> Self {
        Self::with(Notation::Decimal)
    }

    /// Decimal text with the same number of decimals, 0 to 9, in every currency: `"29.90"`, `"500.00"`.
    ///
    /// # Panics
    ///
    /// For more than nine decimals; in a constant that is a compile error.
    pub const fn fixed_decimals(places: u8) -> Self {
        assert!(places <= MAX_EXPONENT, "at most nine decimals");
        Self::with(Notation::FixedDecimals(places))
    }

    /// Names the currencies that the vendor counts with another exponent, 0 to 9, than ISO 4217.
    ///
    /// # Panics
    ///
    /// For an exponent above nine; in a constant that is a compile error.
    #[must_use]
    pub const fn exponents(mut self, exponents: &'static [(Currency, u8)]) -> Self {
        let mut at = 0;
        while at < exponents.len() {
            assert!(exponents[at].1 <= MAX_EXPONENT, "an exponent is at most nine");
            at += 1;
        }
        self.exponents = exponents;
        self
    }

    /// Names the currencies that the vendor takes only in multiples of so many of *its* minor units.
    /// Amounts that it reports are not held to it: older ones may be finer.
    ///
    /// # Panics
    ///
    /// For a step of zero; in a constant that is a compile error.
    #[must_use]
    pub const fn steps(mut self, steps: &'static [(Currency, u32)]) -> Self {
        let mut at = 0;
        while at < steps.len() {
            assert!(steps[at].1 > 0, "a step is at least one minor unit");
            at += 1;
        }
        self.steps = steps;
        self
    }

    /// How many decimals the vendor counts in a currency.
    pub fn exponent(&self, currency: Currency) -> u8 {
        match (find(self.exponents, currency), self.notation) {
            (Some(exponent), _) | (None, Notation::FixedDecimals(exponent)) => exponent,
            (None, Notation::Minor | Notation::Decimal) => currency.exponent(),
        }
    }

    /// The amount as the vendor takes it. `InvalidRequest` and `NotSent` when the vendor's units cannot express
    /// it exactly or its steps forbid it.
    pub fn encode(&self, money: Money) -> Result<Amount> {
        let (currency, exponent) = (money.currency(), self.exponent(money.currency()));
        let units = decimal::rescale(money.minor(), currency.exponent(), exponent).ok_or_else(|| {
            Error::invalid_request(format!("{money} cannot be written exactly with {exponent} decimals"))
                .with_hint(format!(
                    "the service counts {currency} with {exponent} decimals: round the amount first"
                ))
        })?;
        self.check_step(money, units)?;
        Ok(match self.notation {
            Notation::Minor => Amount::Minor(units),
            Notation::Decimal | Notation::FixedDecimals(_) => {
                Amount::Decimal(decimal::format(units, exponent))
            }
        })
    }

    /// The amount that the vendor reports in the currency `code`, in upper or lower case. Decimal text may
    /// have fewer or more decimals than [`AmountFormat::encode`] writes, as long as none is lost.
    ///
    /// `Decode` otherwise. The effect is [`Effect::Applied`], the safe assumption about an answer; when reading,
    /// set [`Effect::Rejected`].
    pub fn decode(&self, amount: impl Into<Amount>, code: &str) -> Result<Money> {
        let currency = Currency::from_code(code).map_err(|e| undecodable(e.message()))?;
        let minor = match (self.notation, amount.into()) {
            (Notation::Minor, Amount::Minor(units)) => self.minor_from_units(units, currency)?,
            (Notation::Decimal | Notation::FixedDecimals(_), Amount::Decimal(text)) => {
                decimal::parse_lenient(&text, currency.exponent())
                    .map_err(|fault| undecodable(fault_in_words(fault, currency)))?
            }
            (Notation::Minor, Amount::Decimal(_)) => {
                return Err(undecodable("the amount is text where the service writes an integer"));
            }
            (Notation::Decimal | Notation::FixedDecimals(_), Amount::Minor(_)) => {
                return Err(undecodable("the amount is an integer where the service writes decimal text"));
            }
        };
        Ok(Money::new(minor, currency))
    }

    const fn with(notation: Notation) -> Self {
        Self { notation, exponents: &[], steps: &[] }
    }

    fn check_step(&self, money: Money, units: i64) -> Result<()> {
        let step = find(self.steps, money.currency()).unwrap_or(1);
        if units % i64::from(step) == 0 {
            return Ok(());
        }
        let message = format!("{money} is {units} units, and the service takes only multiples of {step}");
        Err(Error::invalid_request(message).with_hint("round the amount first"))
    }

    fn minor_from_units(&self, units: i64, currency: Currency) -> Result<i64> {
        let exponent = self.exponent(currency);
        decimal::rescale(units, exponent, currency.exponent()).ok_or_else(|| {
            let text = decimal::format(units, exponent);
            let has = currency.exponent();
            undecodable(format!("{text} {currency} cannot be held exactly with {has} decimals"))
        })
    }
}

/// Ten to the ninth keeps every scale well within 64 bits.
const MAX_EXPONENT: u8 = 9;

fn find<T: Copy>(list: &[(Currency, T)], currency: Currency) -> Option<T> {
    list.iter().find(|(c, _)| *c == currency).map(|(_, value)| *value)
}

fn undecodable(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Decode, Effect::Applied, message)
}

impl From<i64> for Amount {
    fn from(units: i64) -> Self {
        Self::Minor(units)
    }
}

impl From<&str> for Amount {
    fn from(text: &str) -> Self {
        Self::Decimal(text.to_owned())
    }
}

impl From<String> for Amount {
    fn from(text: String) -> Self {
        Self::Decimal(text)
    }
}

impl fmt::Display for Amount {
    /// The bare number, as forms and queries take it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minor(units) => units.fmt(f),
            Self::Decimal(text) => f.pad(text),
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Minor(units) => serializer.serialize_i64(*units),
            Self::Decimal(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor)
    }
}

struct AmountVisitor;

impl serde::de::Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount as an integer or as decimal text")
    }

    fn visit_i64<E: serde::de::Error>(self, units: i64) -> Result<Amount, E> {
        Ok(Amount::Minor(units))
    }

    fn visit_u64<E: serde::de::Error>(self, units: u64) -> Result<Amount, E> {
        i64::try_from(units)
            .map(Amount::Minor)
            .map_err(|_| E::custom("an amount fits 64 bits of minor units"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Amount, E> {
        Ok(Amount::from(text))
    }
}

#[cfg(test)]
mod tests;
