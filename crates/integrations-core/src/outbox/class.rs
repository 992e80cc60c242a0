//! Why an attempt failed, in a few words that a log keeps and a customer reads.

use std::error::Error as _;
use std::io;

use http::StatusCode;

use super::state::Happening;
use crate::transport::{TransportError, TransportFailure};

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The name could not be resolved.
    Dns,
    /// No connection: refused, or no way to the host.
    ConnectRefused,
    /// No connection in time.
    ConnectTimeout,
    /// The TLS handshake failed, or the certificate is not valid.
    Tls,
    /// The connection stood, and no answer came in time.
    ReadTimeout,
    /// The connection broke.
    Reset,
    /// A redirect: never followed.
    Http3xx,
    /// The receiver refused.
    Http4xx,
    /// The receiver wants no more.
    Http410,
    /// The receiver wants less.
    Http429,
    /// The receiver is in trouble.
    Http5xx,
    /// The answer is not HTTP, or not a final one.
    BadAnswer,
    /// The address is not public.
    BlockedAddress,
    /// It could not be signed.
    SigningError,
}

/// Each class and its name in the store.
const NAMES: [(ErrorClass, &str); 14] = [
    (ErrorClass::Dns, "dns"),
    (ErrorClass::ConnectRefused, "connect_refused"),
    (ErrorClass::ConnectTimeout, "connect_timeout"),
    (ErrorClass::Tls, "tls"),
    (ErrorClass::ReadTimeout, "read_timeout"),
    (ErrorClass::Reset, "reset"),
    (ErrorClass::Http3xx, "http_3xx"),
    (ErrorClass::Http4xx, "http_4xx"),
    (ErrorClass::Http410, "http_410"),
    (ErrorClass::Http429, "http_429"),
    (ErrorClass::Http5xx, "http_5xx"),
    (ErrorClass::BadAnswer, "bad_answer"),
    (ErrorClass::BlockedAddress, "blocked_address"),
    (ErrorClass::SigningError, "signing_error"),
];

impl ErrorClass {
    /// Its name, e.g. `connect_refused`.
    pub fn as_str(self) -> &'static str {
        NAMES.iter().find(|(class, _)| *class == self).map_or("", |(_, name)| name)
    }

    /// The class of this name.
    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(class, _)| *class)
    }

    /// The class of an answer; `None` for a success (2xx).
    pub(super) fn of_status(status: StatusCode) -> Option<Self> {
        match status.as_u16() {
            200..=299 => None,
            300..=399 => Some(Self::Http3xx),
            410 => Some(Self::Http410),
            429 => Some(Self::Http429),
            400..=499 => Some(Self::Http4xx),
            500..=599 => Some(Self::Http5xx),
            _ => Some(Self::BadAnswer),
        }
    }

    /// The class of an exchange without an answer.
    pub(super) fn of_failure(error: &TransportError) -> Self {
        match error.failure() {
            TransportFailure::Connect if is_unresolved(error) => Self::Dns,
            TransportFailure::Connect => Self::ConnectRefused,
            TransportFailure::Tls => Self::Tls,
            TransportFailure::Timeout if !error.sent() => Self::ConnectTimeout,
            TransportFailure::Timeout => Self::ReadTimeout,
            TransportFailure::Forbidden => Self::BlockedAddress,
            TransportFailure::Reset => Self::Reset,
            TransportFailure::BadRequest | TransportFailure::BadResponse => Self::BadAnswer,
        }
    }
}

/// A name without an address: transports give it the cause "not found".
fn is_unresolved(error: &TransportError) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::NotFound)
}

/// What an attempt's end is to its delivery.
pub(super) fn happening(class: Option<ErrorClass>, status: Option<u16>) -> Happening {
    match (class, status) {
        (None, _) => Happening::Delivered,
        (Some(ErrorClass::Http410), _) => Happening::Gone,
        (Some(ErrorClass::BlockedAddress), _) => Happening::Blocked,
        (Some(_), Some(429 | 502 | 503 | 504)) => Happening::Throttled,
        (Some(_), _) => Happening::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for (class, name) in NAMES {
            assert_eq!((class.as_str(), ErrorClass::parse(name)), (name, Some(class)));
        }
    }

    #[test]
    fn what_each_status_is_to_a_delivery() {
        let table = [
            (200, Happening::Delivered),
            (202, Happening::Delivered),
            (204, Happening::Delivered),
            (299, Happening::Delivered),
            (301, Happening::Failed),
            (307, Happening::Failed),
            (400, Happening::Failed),
            (404, Happening::Failed),
            (410, Happening::Gone),
            (429, Happening::Throttled),
            (500, Happening::Failed),
            (502, Happening::Throttled),
            (503, Happening::Throttled),
            (504, Happening::Throttled),
            (999, Happening::Failed),
        ];
        for (status, expected) in table {
            let class = ErrorClass::of_status(StatusCode::from_u16(status).unwrap());
            assert_eq!(happening(class, Some(status)), expected, "{status}");
        }
    }

    #[test]
    fn what_each_failure_is() {
        use TransportFailure as F;
        let error = |failure, sent| TransportError::new(failure, sent, "");
        let table = [
            (error(F::Connect, false), ErrorClass::ConnectRefused),
            (error(F::Connect, false).with_source(io::Error::from(io::ErrorKind::NotFound)), ErrorClass::Dns),
            (error(F::Tls, false), ErrorClass::Tls),
            (error(F::Timeout, false), ErrorClass::ConnectTimeout),
            (error(F::Timeout, true), ErrorClass::ReadTimeout),
            (error(F::Reset, true), ErrorClass::Reset),
            (error(F::Forbidden, false), ErrorClass::BlockedAddress),
            (error(F::BadResponse, true), ErrorClass::BadAnswer),
        ];
        for (error, class) in table {
            assert_eq!(ErrorClass::of_failure(&error), class, "{error:?}");
        }
    }
}
