//! Parameters of a request, before they are written.

use std::borrow::Cow;

use http::Uri;
use integrations_core::{Error, Req, Result, SecretString};
use percent_encoding::percent_decode_str;

/// Names and values. Some values are secrets, hence all are kept as such.
#[derive(Clone, Default)]
pub(super) struct Params(Vec<(String, SecretString)>);

impl Params {
    /// Reads `application/x-www-form-urlencoded`; `None` if it is not text.
    pub(super) fn of_form(form: &[u8]) -> Option<Self> {
        let pairs = form_pairs(std::str::from_utf8(form).ok()?)?;
        Some(Self(pairs.into_iter().map(|(name, value)| (name, value.into())).collect()))
    }

    /// Sets a parameter; the one that was there goes.
    pub(super) fn set(&mut self, name: &str, value: impl Into<SecretString>) {
        self.remove(name);
        self.0.push((name.to_owned(), value.into()));
    }

    pub(super) fn set_all(&mut self, pairs: &[(&str, &str)]) {
        for (name, value) in pairs {
            self.set(name, *value);
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(present, _)| present != name);
    }

    /// Gives parameters the names that a vendor has for them.
    pub(super) fn rename(&mut self, renames: &[(&str, &str)]) {
        for (name, _) in &mut self.0 {
            if let Some((_, theirs)) = renames.iter().find(|(standard, _)| standard == name) {
                *name = (*theirs).to_owned();
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.expose().as_str()))
    }
}

impl Params {
    /// As a form, in which a space is `%20`: every server and every page reads that.
    fn encoded(&self, to: &Uri) -> Result<String> {
        let (_, body) = Req::post(to).form(self.iter()).build()?.into_parts();
        Ok(String::from_utf8_lossy(body.as_bytes().unwrap_or_default()).into_owned())
    }

    /// The address with these parameters in its query. A `/` at the end of its path stays: to some vendors it matters.
    pub(super) fn in_query_of(&self, to: &Uri) -> Result<Uri> {
        let (address, separator) = (to.to_string(), if to.query().is_some() { '&' } else { '?' });
        let with_query = format!("{address}{separator}{}", self.encoded(to)?);
        with_query.parse().map_err(|_| Error::invalid_request("the address is too long"))
    }
}

/// The pairs of a form or a query, decoded; `None` if a value is not UTF-8.
pub(super) fn form_pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let halves = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    halves.map(|(name, value)| Some((decoded(name)?, decoded(value)?))).collect()
}

fn decoded(text: &str) -> Option<String> {
    let spaced: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded_as_forms_are() {
        let pairs = form_pairs("a=1+2&b=%2B%20&&c&d=x=y").unwrap();
        let expected = [("a", "1 2"), ("b", "+ "), ("c", ""), ("d", "x=y")];
        assert!(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).eq(expected));
        assert!(form_pairs("a=%ff").is_none());
    }

    #[test]
    fn a_parameter_that_is_set_again_is_there_once_and_renames_come_last() {
        let mut params = Params::default();
        params.set_all(&[("client_id", "a"), ("scope", "x"), ("client_id", "b")]);
        params.rename(&[("client_id", "client_key"), ("absent", "y")]);
        assert!(params.iter().eq([("scope", "x"), ("client_key", "b")]));
    }
}
