use proptest::prelude::*;

use super::*;

/// Stripe, "Supported currencies", zero-decimal and special cases: MGA has no decimals; UGX and ISK go with two
/// decimals that are 00; the last digit of three-decimal currencies is 0.
/// <https://docs.stripe.com/currencies#special-cases>
const STRIPE: AmountFormat = AmountFormat::minor_units()
    .exponents(&[(Currency::ISK, 2), (Currency::MGA, 0), (Currency::UGX, 2)])
    .steps(&STRIPE_THREE_DECIMALS);
const STRIPE_THREE_DECIMALS: [(Currency, u32); 5] =
    [(Currency::BHD, 10), (Currency::JOD, 10), (Currency::KWD, 10), (Currency::OMR, 10), (Currency::TND, 10)];

/// The same page: HUF and TWD are charged with decimals and paid out without.
const STRIPE_PAYOUTS: AmountFormat = AmountFormat::minor_units()
    .exponents(&[(Currency::ISK, 2), (Currency::MGA, 0), (Currency::UGX, 2)])
    .steps(&[(Currency::HUF, 100), (Currency::TWD, 100)]);

/// Adyen, "Currency codes and minor units": CLP, CVE, IDR and ISK differ from the standard.
/// <https://docs.adyen.com/development-resources/currency-codes>
const ADYEN: AmountFormat = AmountFormat::minor_units().exponents(&[
    (Currency::CLP, 2),
    (Currency::CVE, 0),
    (Currency::IDR, 0),
    (Currency::ISK, 2),
]);

/// PayPal, "Currency codes": HUF, JPY and TWD do not support decimals.
/// <https://developer.paypal.com/docs/api/reference/currency-codes/>
const PAYPAL: AmountFormat = AmountFormat::decimal().exponents(&[(Currency::HUF, 0), (Currency::TWD, 0)]);

/// Square (`Money.amount`) and Klarna (`order_amount`): the minor units of ISO 4217.
const ISO_MINOR: AmountFormat = AmountFormat::minor_units();

/// Braintree, GraphQL scalar `Amount`: decimal text with the decimals of the currency.
const BRAINTREE: AmountFormat = AmountFormat::decimal();

/// Decimal text with two decimals whatever the currency.
const TWO_DECIMALS: AmountFormat = AmountFormat::fixed_decimals(2);

const ALL: [AmountFormat; 7] = [STRIPE, STRIPE_PAYOUTS, ADYEN, PAYPAL, ISO_MINOR, BRAINTREE, TWO_DECIMALS];

#[test]
fn special_currencies_are_written_as_each_vendor_says() {
    for (vendor, format, money, wire) in [
        ("stripe", STRIPE, "29.99 USD", "2999"),
        ("stripe", STRIPE, "500 JPY", "500"),
        ("stripe", STRIPE, "5 ISK", "500"),
        ("stripe", STRIPE, "5 UGX", "500"),
        ("stripe", STRIPE, "15.00 MGA", "15"),
        ("stripe", STRIPE, "5.120 KWD", "5120"),
        ("stripe", STRIPE, "10.45 HUF", "1045"),
        ("stripe", STRIPE, "10.45 TWD", "1045"),
        ("stripe payouts", STRIPE_PAYOUTS, "10.00 HUF", "1000"),
        ("stripe payouts", STRIPE_PAYOUTS, "800.00 TWD", "80000"),
        ("adyen", ADYEN, "500 CLP", "50000"),
        ("adyen", ADYEN, "500.00 CVE", "500"),
        ("adyen", ADYEN, "25000.00 IDR", "25000"),
        ("adyen", ADYEN, "5 ISK", "500"),
        ("adyen", ADYEN, "10.000 BHD", "10000"),
        ("paypal", PAYPAL, "29.99 USD", "29.99"),
        ("paypal", PAYPAL, "705 JPY", "705"),
        ("paypal", PAYPAL, "100.00 HUF", "100"),
        ("paypal", PAYPAL, "30.00 TWD", "30"),
        ("square, klarna", ISO_MINOR, "5 ISK", "5"),
        ("square, klarna", ISO_MINOR, "10.45 HUF", "1045"),
        ("square, klarna", ISO_MINOR, "1.234 KWD", "1234"),
        ("braintree", BRAINTREE, "0.50 EUR", "0.50"),
        ("braintree", BRAINTREE, "500 JPY", "500"),
        ("braintree", BRAINTREE, "1.234 KWD", "1.234"),
        ("two decimals", TWO_DECIMALS, "500 JPY", "500.00"),
        ("two decimals", TWO_DECIMALS, "1.230 KWD", "1.23"),
        ("two decimals", TWO_DECIMALS, "-0.05 EUR", "-0.05"),
    ] {
        let (amount, code) = money.split_once(' ').unwrap();
        let money = Money::parse(amount, Currency::from_code(code).unwrap()).unwrap();
        let encoded = format.encode(money).unwrap();
        assert_eq!(encoded.to_string(), wire, "{vendor}");
        assert_eq!(format.decode(encoded, &code.to_lowercase()).unwrap(), money, "{vendor}");
    }
}

#[test]
fn what_a_vendor_cannot_express_is_refused_before_sending() {
    for (vendor, format, money) in [
        ("stripe", STRIPE, "15.20 MGA"),
        ("stripe", STRIPE, "5.124 KWD"),
        ("stripe payouts", STRIPE_PAYOUTS, "10.45 HUF"),
        ("adyen", ADYEN, "500.50 CVE"),
        ("adyen", ADYEN, "25000.10 IDR"),
        ("paypal", PAYPAL, "100.50 HUF"),
        ("paypal", PAYPAL, "30.05 TWD"),
        ("two decimals", TWO_DECIMALS, "1.234 KWD"),
    ] {
        let (amount, code) = money.split_once(' ').unwrap();
        let e = format.encode(Money::parse(amount, Currency::from_code(code).unwrap()).unwrap()).unwrap_err();
        assert_eq!((e.kind(), e.effect()), (ErrorKind::InvalidRequest, Effect::NotSent), "{vendor}");
        assert!(e.hint().is_some(), "{vendor}");
    }
    let beyond = Money::new(i64::MAX, Currency::ISK);
    assert_eq!(ADYEN.encode(beyond).unwrap_err().kind(), ErrorKind::InvalidRequest);
}

#[test]
fn answers_that_would_lose_something_or_are_in_another_notation_are_refused() {
    for (format, amount, code) in [
        (STRIPE, Amount::Minor(550), "isk"),
        (ADYEN, Amount::Minor(i64::MAX), "IDR"),
        (ISO_MINOR, Amount::from("29.99"), "USD"),
        (ISO_MINOR, Amount::from("2999"), "USD"),
        (PAYPAL, Amount::Minor(2999), "USD"),
        (PAYPAL, Amount::from("29.999"), "USD"),
        (PAYPAL, Amount::from("0.5"), "JPY"),
        (PAYPAL, Amount::from("1e3"), "USD"),
        (PAYPAL, Amount::from("29.99"), "XXX"),
        (PAYPAL, Amount::from("29.99"), "dollars"),
    ] {
        let e = format.decode(amount.clone(), code).unwrap_err();
        assert_eq!((e.kind(), e.effect()), (ErrorKind::Decode, Effect::Applied), "{amount} {code}");
    }
}

#[test]
fn decimal_answers_may_have_fewer_or_more_zeros() {
    for (text, code, minor) in [
        ("29.9", "USD", 2990),
        ("705.00", "JPY", 705),
        (".5", "EUR", 50),
        ("10", "HUF", 1000),
        ("1.2300", "TND", 1230),
    ] {
        assert_eq!(PAYPAL.decode(text, code).unwrap().minor(), minor, "{text} {code}");
    }
}

#[test]
fn json_amounts_are_integers_or_text_and_never_floating_point() {
    for (json, amount) in
        [("2999", Amount::Minor(2999)), ("-1", Amount::Minor(-1)), (r#""29.99""#, "29.99".into())]
    {
        assert_eq!(serde_json::from_str::<Amount>(json).unwrap(), amount);
        assert_eq!(serde_json::to_string(&amount).unwrap(), json);
    }
    for bad in ["29.99", "1e3", "18446744073709551615", "null"] {
        assert!(serde_json::from_str::<Amount>(bad).is_err(), "{bad}");
    }
}

fn minors() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -1_000_000_i64..1_000_000, (-1_000_000_i64..1_000_000).prop_map(|n| n * 1000)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is encoded is decoded to the same amount, and what is refused would have lost something.
    #[test]
    fn every_currency_round_trips_through_every_format(minor in minors()) {
        for currency in Currency::all() {
            for format in ALL {
                let money = Money::new(minor, currency);
                match format.encode(money) {
                    Ok(amount) => prop_assert_eq!(format.decode(amount, currency.code()).unwrap(), money),
                    Err(e) => {
                        prop_assert_eq!(e.kind(), ErrorKind::InvalidRequest);
                        prop_assert!(!fits(&format, money));
                    }
                }
            }
        }
    }

    /// Whatever a vendor reports in minor units is either held exactly or refused.
    #[test]
    fn every_reported_integer_is_held_exactly_or_refused(units in minors()) {
        for currency in Currency::all() {
            for format in [STRIPE, ADYEN, ISO_MINOR] {
                if let Ok(money) = format.decode(units, currency.code()) {
                    let unstepped = AmountFormat { steps: &[], ..format };
                    prop_assert_eq!(unstepped.encode(money).unwrap(), Amount::Minor(units));
                }
            }
        }
    }
}

/// Whether the vendor's units express the amount, told with wide integers instead of checked ones.
fn fits(format: &AmountFormat, money: Money) -> bool {
    let scale = |exponent: u8| 10_i128.pow(u32::from(exponent));
    let scaled = i128::from(money.minor()) * scale(format.exponent(money.currency()));
    let units = scaled / scale(money.currency().exponent());
    let exact = scaled % scale(money.currency().exponent()) == 0 && i64::try_from(units).is_ok();
    exact && units % i128::from(find(format.steps, money.currency()).unwrap_or(1)) == 0
}
