//! Cookies, as servers set them and browsers bring them (RFC 6265, and the prefix `__Host-` of its successor).

use std::time::Duration;

use integrations_core::{Error, Result, SecretString};

/// `Set-Cookie` for a cookie that no other host and no script can read or set. Its name begins with `__Host-`.
///
/// `SameSite=Lax`: it comes along when a service sends the browser back by a link, and with no request that another site
/// makes otherwise.
pub(crate) fn set(name: &str, value: &str, life: Duration) -> String {
    format!("{name}={value}; Path=/; Max-Age={}; Secure; HttpOnly; SameSite=Lax", life.as_secs())
}

/// `Set-Cookie` that removes a cookie.
pub(crate) fn clear(name: &str) -> String {
    set(name, "", Duration::ZERO)
}

/// The cookie of this name in a request's `Cookie` header.
///
/// # Errors
/// [`ErrorKind::InvalidRequest`](integrations_core::ErrorKind) if it is there twice: one of the two is not ours.
pub(crate) fn find(header: &str, name: &str) -> Result<Option<SecretString>> {
    let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value);
    let first = values.next().filter(|value| !value.is_empty());
    if values.next().is_some() {
        return Err(Error::invalid_request("the browser brought a cookie twice")
            .with_hint("delete the cookies of this site and sign in again"));
    }
    Ok(first.map(SecretString::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name_and_only_once() {
        let header = "a=1; __Host-x=7; b__Host-x=8;c=";
        assert_eq!(find(header, "__Host-x").unwrap().unwrap().expose(), "7");
        assert!(find(header, "x").unwrap().is_none() && find(header, "c").unwrap().is_none());
        let twice = find("__Host-x=1; __Host-x=2", "__Host-x").unwrap_err();
        assert!(!format!("{twice:?}").contains("=1"), "{twice:?}");
    }

    #[test]
    fn a_cookie_is_this_hosts_alone() {
        let cookie = set("__Host-x", "7", Duration::from_secs(600));
        assert_eq!(cookie, "__Host-x=7; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax");
        assert_eq!(clear("__Host-x"), "__Host-x=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
    }
}
