//! What the issuer sends the user back with.

use std::collections::BTreeMap;
use std::fmt;

use integrations_core::{Error, Result, SecretString};

use super::params::form_pairs;

/// What the issuer sends the user back with.
pub struct Callback {
    pub(super) outcome: Outcome,
    pub(super) state: SecretString,
    pub(super) iss: Option<String>,
    others: BTreeMap<String, SecretString>,
}

pub(super) enum Outcome {
    Code(SecretString),
    Error(String),
}

impl fmt::Debug for Callback {
    /// Names alone; the values come from whoever called the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("others", &self.others.keys()).finish_non_exhaustive()
    }
}

/// No issuer's answer comes near; anybody can send one.
const LONGEST: usize = 64 * 1024;

impl Callback {
    /// Reads the query, the whole URL, or the form of an answer that was posted.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`](integrations_core::ErrorKind) if it has no state, both a code and an error or
    /// neither, or a parameter twice (RFC 6749 section 3.1), and if it is longer than 64 KiB.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > LONGEST {
            return Err(refused("is too long"));
        }
        let mut params = BTreeMap::new();
        for (name, value) in form_pairs(query(text)).ok_or_else(|| refused("is not UTF-8"))? {
            if params.insert(name, value).is_some() {
                return Err(refused("has a parameter twice"));
            }
        }
        let mut take = |name| params.remove(name).filter(|value: &String| !value.is_empty());
        let state = take("state").ok_or_else(|| refused("has no state"))?;
        let outcome = match (take("code"), take("error")) {
            (Some(code), None) => Outcome::Code(code.into()),
            (None, Some(error)) => Outcome::Error(error),
            (Some(_), Some(_)) => return Err(refused("has both a code and an error")),
            (None, None) => return Err(refused("has neither a code nor an error")),
        };
        let iss = take("iss");
        let others = params.into_iter().map(|(name, value)| (name, value.into())).collect();
        Ok(Self { outcome, state: state.into(), iss, others })
    }

    /// The value by which the answer names its flow.
    pub fn state(&self) -> &SecretString {
        &self.state
    }

    /// Another parameter, such as `realmId`, `shop` or Apple's `user`. Anybody may have written it.
    pub fn param(&self, name: &str) -> Option<&SecretString> {
        self.others.get(name)
    }
}

fn query(text: &str) -> &str {
    let text = text.trim().split('#').next().unwrap_or_default();
    // Values may have marks of an address as they are (RFC 3986 section 3.4), such as `iss=https://…`.
    let start = &text[..text.find(['=', '&']).unwrap_or(text.len())];
    let is_address = start.contains('?') || start.contains("://") || start.starts_with('/');
    if is_address { text.split_once('?').map_or("", |(_, query)| query) } else { text }
}

fn refused(why: &str) -> Error {
    Error::invalid_request(format!("the answer of the issuer {why}"))
}
