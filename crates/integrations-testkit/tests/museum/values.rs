//! A vendor ships a new value of a field, and every delivery that holds it is refused as malformed:
//! <https://github.com/arlyon/async-stripe/issues/499>, <https://github.com/ramsayleung/rspotify/issues/531>.

use serde::Deserialize;

const BEFORE: &str = r#"{"status":"paid"}"#;
const AFTER: &str = r#"{"status":"paid_by_cheque"}"#;

#[test]
fn the_reference_refuses_the_whole_answer() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Status {
        Paid,
    }
    #[derive(Debug, Deserialize)]
    struct Invoice {
        status: Status,
    }
    let invoice: Invoice = serde_json::from_str(BEFORE).unwrap();
    assert!(matches!(invoice.status, Status::Paid));
    assert!(serde_json::from_str::<Invoice>(AFTER).is_err());
}

#[test]
fn ours_keeps_the_value_as_it_came() {
    integrations_core::open_enum! {
        /// What became of an invoice.
        enum Status {
            /// Paid.
            Paid = "paid",
        }
    }
    #[derive(Debug, Deserialize)]
    struct Invoice {
        status: Status,
    }
    for (json, known) in [(BEFORE, true), (AFTER, false)] {
        let invoice: Invoice = serde_json::from_str(json).unwrap();
        assert_eq!(invoice.status.is_known(), known);
        assert!(json.contains(invoice.status.as_str()));
    }
}
