//! The service's error envelope, `{"error":{"code":"…","message":"…"}}`, as an [`Error`].

use integrations_core::{Classify, Effect, Error, ErrorKind, Op, WireResponse, status_error};

use super::wire;

/// What a code says beyond its status, with the vendor's page of error codes beside it.
const CODES: &[(&str, ErrorKind, Effect)] =
    &[("token_expired", ErrorKind::Unauthenticated, Effect::Rejected)];

/// How the service says that something went wrong. An answer without its envelope is judged by the status.
#[derive(Debug, Clone, Copy, Default)]
pub struct Errors;

impl Classify for Errors {
    fn classify(&self, _: &'static Op, response: &WireResponse) -> Option<Error> {
        if response.status.is_success() {
            return None;
        }
        let problem = response.json::<wire::Envelope>().ok()?.error;
        let code = problem.reason?;
        let by_status = status_error(response.status);
        let (kind, effect) = CODES
            .iter()
            .find(|(name, ..)| *name == code)
            .map_or((by_status.kind(), by_status.effect()), |(_, kind, effect)| (*kind, *effect));
        let message = problem.message.unwrap_or_else(|| by_status.message().to_owned());
        Some(Error::new(kind, effect, message).with_code(code))
    }
}
