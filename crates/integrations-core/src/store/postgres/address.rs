//! Where the server is, and whether it has to prove who it is.

use std::net::IpAddr;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use crate::error::{Error, Result};
use crate::tls::{TlsConfig, TlsVersion};

/// The driver logs parameters that it does not know, with their values.
const PARAMETERS: [&str; 11] = [
    "application_name",
    "dbname",
    "host",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// The session's settings, before those of the URL, so that these win. Milliseconds.
const SESSION: &str = "options[statement_timeout]=4000&options[lock_timeout]=3000\
                       &options[idle_in_transaction_session_timeout]=10000";

/// What a URL and a TLS configuration ask for. No error holds a part of the URL: it has a password.
pub(super) fn options(url: &str, tls: &TlsConfig) -> Result<PgConnectOptions> {
    let mut url = Url::parse(url).map_err(|e| bad_url(&e.to_string()))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(bad_url("its scheme is not `postgres`"));
    }
    if !url.query_pairs().all(|(name, _)| PARAMETERS.contains(&&*name) || name.starts_with("options[")) {
        return Err(bad_url(&format!("it has a parameter that is none of {}", PARAMETERS.join(", "))));
    }
    let says = |wanted: &str| url.query_pairs().any(|(name, _)| name == wanted);
    let (says_mode, says_root) = (says("sslmode"), says("sslrootcert"));
    let query = url.query().map_or_else(|| SESSION.to_owned(), |query| format!("{SESSION}&{query}"));
    url.set_query(Some(&query));
    let options = PgConnectOptions::from_url(&url)
        .map_err(|_| bad_url("a parameter has a value that it cannot have"))?
        .disable_statement_logging();
    let options = bare_ipv6(options);
    let mode = match options.get_ssl_mode() {
        _ if !says_mode && !is_local(&options) => PgSslMode::VerifyFull,
        // As libpq does; the driver does not.
        PgSslMode::Require if says_root || tls.roots_pem().next().is_some() => PgSslMode::VerifyCa,
        said => said,
    };
    with_tls(options.ssl_mode(mode), tls)
}

fn bad_url(why: &str) -> Error {
    Error::config(format!("the store's URL cannot be used: {why}"))
        .with_hint("give it as postgres://user:password@host:5432/database; write %40 for @ in a password")
}

/// The driver connects by name, and an address in brackets is none.
fn bare_ipv6(options: PgConnectOptions) -> PgConnectOptions {
    let bare = options.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match bare.map(str::to_owned) {
        Some(bare) => options.host(&bare),
        None => options,
    }
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let is_loopback = || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    options.get_socket().is_some() || host.starts_with('/') || host == "localhost" || is_loopback()
}

/// Whether whoever stands between us and the server can read along, or be the server.
pub(super) fn is_exposed(options: &PgConnectOptions) -> bool {
    let is_verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull);
    !is_verified && !is_local(options)
}

fn with_tls(mut options: PgConnectOptions, tls: &TlsConfig) -> Result<PgConnectOptions> {
    let refused = [
        (!tls.uses_platform_roots(), "only given roots"),
        (tls.oldest_version() == TlsVersion::Tls13, "TLS 1.3 alone"),
        (tls.expected_name().is_some(), "another server name"),
    ];
    if let Some((_, what)) = refused.iter().find(|(asked, _)| *asked) {
        return Err(Error::unsupported(
            format!("the PostgreSQL driver cannot be told to accept {what}"),
            "leave it out of the store's TLS configuration; roots may be added, and a client certificate",
        ));
    }
    let roots: Vec<&[u8]> = tls.roots_pem().collect();
    if !roots.is_empty() {
        options = options.ssl_root_cert_from_pem(roots.join(&b'\n'));
    }
    if let Some(identity) = tls.identity() {
        options = options
            .ssl_client_cert_from_pem(identity.chain_pem())
            .ssl_client_key_from_pem(identity.key_pem());
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const CA: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

    fn mode(url: &str, tls: &TlsConfig) -> String {
        format!("{:?}", options(url, tls).unwrap().get_ssl_mode())
    }

    #[test]
    fn the_server_has_to_prove_who_it_is_unless_it_is_here_or_the_url_says_otherwise() {
        let (plain, with_root) = (TlsConfig::new(), TlsConfig::new().ca_pem(CA).unwrap());
        for (url, expected) in [
            ("postgres://u:p@db.example.com/d", "VerifyFull"),
            ("postgres://u:p@10.0.0.1/d", "VerifyFull"),
            ("postgres://u:p@localhost.example.com/d", "VerifyFull"),
            ("postgres://u:p@db.example.com/d?sslmode=disable", "Disable"),
            ("postgres://u:p@db.example.com/d?sslmode=require", "Require"),
            ("postgres://u:p@db.example.com/d?sslmode=require&sslrootcert=/ca.pem", "VerifyCa"),
            ("postgres://u:p@localhost/d", "Prefer"),
            ("postgres://u:p@127.8.9.1/d", "Prefer"),
            ("postgresql://u:p@[::1]/d", "Prefer"),
            ("postgres://u:p@%2Fvar%2Frun/d", "Prefer"),
            ("postgres://u:p@db.example.com/d?host=/var/run", "Prefer"),
            ("postgres://u:p@localhost/d?host=db.example.com", "VerifyFull"),
            ("postgres://u:p@localhost/d?sslmode=verify-full", "VerifyFull"),
        ] {
            assert_eq!(mode(url, &plain), expected, "{url}");
        }
        assert_eq!(mode("postgres://u:p@db.example.com/d?sslmode=require", &with_root), "VerifyCa");
        assert_eq!(mode("postgres://u:p@db.example.com/d?sslmode=disable", &with_root), "Disable");
    }

    #[test]
    fn a_server_elsewhere_that_need_not_prove_who_it_is_is_an_exposed_one() {
        for (url, exposed) in [
            ("postgres://u:p@db.example.com/d?sslmode=disable", true),
            ("postgres://u:p@db.example.com/d?sslmode=prefer", true),
            ("postgres://u:p@db.example.com/d?sslmode=require", true),
            ("postgres://u:p@db.example.com/d?sslmode=verify-ca", false),
            ("postgres://u:p@db.example.com/d", false),
            ("postgres://u:p@localhost/d?sslmode=disable", false),
            ("postgres://u:p@%2Fvar%2Frun/d", false),
        ] {
            assert_eq!(is_exposed(&options(url, &TlsConfig::new()).unwrap()), exposed, "{url}");
        }
    }

    #[test]
    fn the_sessions_settings_come_before_those_of_the_url() {
        let url = "postgres://u:p@localhost/d?options[lock_timeout]=1&application_name=a";
        let options = options(url, &TlsConfig::new()).unwrap();
        let settings = options.get_options().unwrap();
        assert!(settings.contains("-c statement_timeout=4000 "), "{settings}");
        assert!(settings.find("lock_timeout=3000") < settings.find("lock_timeout=1"), "{settings}");
        assert_eq!(options.get_application_name(), Some("a"));
    }

    #[test]
    fn an_ipv6_address_loses_its_brackets() {
        let options = options("postgres://u:p@[2001:db8::1]:1/d", &TlsConfig::new()).unwrap();
        assert_eq!((options.get_host(), options.get_port()), ("2001:db8::1", 1));
    }

    #[test]
    fn a_refused_url_is_not_shown() {
        for url in [
            "hunter2",
            "mysql://u:hunter2@localhost/d",
            "postgres://u:hunter2@localhost:port/d",
            "postgres://u:1?hunter2@localhost/d",
            "postgres://u:p@localhost/d?sslmode=hunter2",
            "postgres://u:p@localhost/d?pasword=hunter2",
            "postgres://u:p@localhost/d?port=hunter2",
        ] {
            let e = options(url, &TlsConfig::new()).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Config, "{url}");
            assert!(!format!("{e} {e:?}").contains("hunter2") && e.hint().is_some(), "{e:?}");
        }
    }

    #[test]
    fn what_the_driver_cannot_do_is_refused() {
        let url = "postgres://u:p@db.example.com/d";
        for tls in [
            TlsConfig::new().ca_pem(CA).unwrap().only_given_roots(),
            TlsConfig::new().min_version(TlsVersion::Tls13),
            TlsConfig::new().server_name("other.example.com"),
        ] {
            assert_eq!(options(url, &tls).unwrap_err().kind(), ErrorKind::Unsupported);
        }
        assert!(options(url, &TlsConfig::new().ca_pem(CA).unwrap()).is_ok());
    }
}
