//! Currencies of ISO 4217.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::table::{ROWS, Row, WITHOUT_MINOR_UNIT};
use crate::error::{Error, Result};

/// A currency or fund of ISO 4217 that has a minor unit; one byte, ordered by its alphabetic code.
///
/// Currencies that left the standard since 2015 are kept, because services report old payments in them:
/// see [`Currency::is_withdrawn`]. Metals and accounting units (`XAU`, `XDR`, …) cannot be paid with and are
/// refused.
///
/// ```
/// use integrations_core::money::Currency;
/// assert_eq!(Currency::from_code("kwd")?, Currency::KWD);
/// assert_eq!((Currency::KWD.code(), Currency::KWD.numeric(), Currency::KWD.exponent()), ("KWD", 414, 3));
/// assert!(Currency::from_code("XAU").is_err());
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(pub(super) u8);

impl Currency {
    /// The currency with an alphabetic code, in upper or lower case. `InvalidRequest` for a code that is
    /// unknown or has no minor unit.
    pub fn from_code(code: &str) -> Result<Self> {
        let upper = code.to_ascii_uppercase();
        if let Ok(place) = ROWS.binary_search_by(|row| row.code.cmp(&upper)) {
            return Ok(Self(place as u8));
        }
        Err(Error::invalid_request(if WITHOUT_MINOR_UNIT.contains(&upper.as_str()) {
            format!("{upper} has no minor unit and is no currency for payments")
        } else {
            "the currency code is not one of ISO 4217".to_owned()
        }))
    }

    /// The currency with a numeric code. Where a successor took over its predecessor's number (532), it is
    /// the one in use.
    pub fn from_numeric(numeric: u16) -> Option<Self> {
        let with_number = |c: &Self| c.numeric() == numeric;
        let in_use = Self::all().filter(|c| !c.is_withdrawn()).find(with_number);
        in_use.or_else(|| Self::all().find(with_number))
    }

    /// Every currency in the order of the codes, withdrawn ones included.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator + Clone {
        (0..ROWS.len() as u8).map(Self)
    }

    /// The alphabetic code in upper case, `USD`.
    pub const fn code(self) -> &'static str {
        self.row().code
    }

    /// The numeric code, 0 to 999; ISO writes it with three digits.
    pub const fn numeric(self) -> u16 {
        self.row().numeric
    }

    /// How many decimals the minor unit has, 0 to 4. Vendors differ: see [`AmountFormat`](super::AmountFormat).
    pub const fn exponent(self) -> u8 {
        self.row().exponent
    }

    /// The English name as ISO gives it.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether the code has left ISO 4217: fit for reading old payments, hardly for new ones.
    pub const fn is_withdrawn(self) -> bool {
        self.row().withdrawn
    }

    const fn row(self) -> &'static Row {
        &ROWS[self.0 as usize]
    }
}

impl FromStr for Currency {
    type Err = Error;

    fn from_str(code: &str) -> Result<Self> {
        Self::from_code(code)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code).map_err(|e| serde::de::Error::custom(e.message()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::error::{Effect, ErrorKind};

    fn with_exponent(exponent: u8) -> Vec<&'static str> {
        let with = |c: &Currency| c.exponent() == exponent && !c.is_withdrawn();
        Currency::all().filter(with).map(Currency::code).collect()
    }

    #[test]
    fn exponents_other_than_two_are_those_of_iso_4217() {
        let none = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
        assert_eq!(with_exponent(0).join(" "), none);
        assert_eq!(with_exponent(3).join(" "), "BHD IQD JOD KWD LYD OMR TND");
        assert_eq!(with_exponent(4).join(" "), "CLF UYW");
        assert_eq!(with_exponent(0).len() + with_exponent(2).len() + with_exponent(3).len() + 2, 165);
    }

    #[test]
    fn the_table_is_sorted_and_its_codes_are_unique() {
        assert!(ROWS.is_sorted_by(|a, b| a.code < b.code));
        assert!(ROWS.iter().all(|r| r.code.len() == 3 && r.code.bytes().all(|b| b.is_ascii_uppercase())));
        assert!(ROWS.iter().all(|r| r.numeric < 1000 && r.exponent <= 4));
        let in_use: HashSet<_> = ROWS.iter().filter(|r| !r.withdrawn).map(|r| r.numeric).collect();
        assert_eq!(in_use.len(), 165);
        assert!(WITHOUT_MINOR_UNIT.iter().all(|c| ROWS.iter().all(|r| r.code != *c)));
    }

    #[test]
    fn every_currency_is_found_by_its_codes() {
        for currency in Currency::all() {
            assert_eq!(Currency::from_code(currency.code()).unwrap(), currency);
            assert_eq!(currency.code().to_lowercase().parse::<Currency>().unwrap(), currency);
            let found = Currency::from_numeric(currency.numeric()).unwrap();
            assert!(found == currency || (currency == Currency::ANG && found == Currency::XCG));
        }
        assert_eq!(Currency::from_numeric(999), None);
    }

    #[test]
    fn codes_without_a_minor_unit_and_unknown_codes_are_refused() {
        for code in WITHOUT_MINOR_UNIT.into_iter().chain(["", "US", "USDX", "ÄÖÜ", "EU R"]) {
            let e = Currency::from_code(code).unwrap_err();
            assert_eq!((e.kind(), e.effect()), (ErrorKind::InvalidRequest, Effect::NotSent), "{code}");
        }
        assert!(Currency::from_code("xau").unwrap_err().to_string().contains("XAU has no minor unit"));
        assert!(serde_json::from_str::<Currency>("\"XXX\"").is_err());
    }
}
