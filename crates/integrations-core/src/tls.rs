//! What a TLS connection trusts and presents, told once for HTTP, SMTP, SQL, Redis and LDAP alike.
//!
//! A [`TlsConfig`] holds PEM text and settings. Each connector translates it for its own TLS stack, so this
//! crate needs none.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::{Error, Result};

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// The oldest protocol version that is accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 and newer.
    #[default]
    Tls12,
    /// TLS 1.3 and newer.
    Tls13,
}

/// A client certificate chain and its private key, both PEM. The key is wiped from memory when the last copy
/// goes, and is never shown.
#[derive(Clone)]
pub struct ClientIdentity {
    chain: Arc<[u8]>,
    key: Arc<Zeroizing<Vec<u8>>>,
}

impl ClientIdentity {
    /// The certificate chain in PEM, the client's own certificate first.
    pub fn chain_pem(&self) -> &[u8] {
        &self.chain
    }

    /// The private key in PEM (PKCS#8, PKCS#1 or SEC1).
    pub fn key_pem(&self) -> &[u8] {
        &self.key
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity(..)")
    }
}

/// Which certificate authorities are trusted, which client certificate is presented, and how old a protocol
/// may be. The default trusts the platform's roots and presents nothing.
///
/// ```
/// use integrations_core::tls::{TlsConfig, TlsVersion};
/// let private_ca = "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n";
/// let tls = TlsConfig::new().ca_pem(private_ca)?.min_version(TlsVersion::Tls13);
/// assert!(tls.uses_platform_roots());
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Clone)]
pub struct TlsConfig {
    platform_roots: bool,
    roots: Vec<Arc<[u8]>>,
    identity: Option<ClientIdentity>,
    min_version: TlsVersion,
    server_name: Option<String>,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl TlsConfig {
    /// The platform's roots, no client certificate, TLS 1.2 or newer.
    pub fn new() -> Self {
        Self {
            platform_roots: true,
            roots: Vec::new(),
            identity: None,
            min_version: TlsVersion::default(),
            server_name: None,
        }
    }

    /// As [`TlsConfig::new`], but if `SSL_CERT_FILE` (one PEM bundle) or `SSL_CERT_DIR` (directories of PEM
    /// files, separated as in `PATH`) is set, the certificates there replace the platform's roots, as they do
    /// in OpenSSL. [`ErrorKind::Config`](crate::ErrorKind::Config) if they cannot be read or hold none.
    ///
    /// On Linux and the BSDs the platform's roots honour both variables anyway, in connectors that use
    /// rustls; this makes it so everywhere.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(|name| std::env::var_os(name))
    }

    fn from_vars(var: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let set = |name| var(name).filter(|value| !value.is_empty());
        let (file, dirs) = (set("SSL_CERT_FILE"), set("SSL_CERT_DIR"));
        if file.is_none() && dirs.is_none() {
            return Ok(Self::new());
        }
        let mut config = Self::new().only_given_roots();
        if let Some(file) = file {
            config = config.ca_file(PathBuf::from(file))?;
        }
        if let Some(dirs) = dirs {
            for dir in std::env::split_paths(&dirs) {
                config = config.ca_dir(&dir)?;
            }
        }
        if config.roots.is_empty() {
            return Err(Error::config("the directories in SSL_CERT_DIR hold no certificate")
                .with_hint("put PEM files with `-----BEGIN CERTIFICATE-----` there, or unset SSL_CERT_DIR"));
        }
        Ok(config)
    }

    /// Trusts the certificates in `pem` (one or more) as well.
    pub fn ca_pem(mut self, pem: impl AsRef<[u8]>) -> Result<Self> {
        let pem = pem.as_ref();
        if !holds(pem, CERTIFICATE) {
            return Err(Error::config("the given CA text holds no PEM certificate")
                .with_hint("give PEM text that starts with `-----BEGIN CERTIFICATE-----`"));
        }
        self.roots.push(pem.into());
        Ok(self)
    }

    /// Trusts the certificates in the PEM file at `path` as well.
    pub fn ca_file(self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let pem = read(path, "CA file")?;
        self.ca_pem(&pem).map_err(|_| no_pem(path, "CA file", "certificate"))
    }

    /// Every file of `dir` that holds a certificate; others (README, CRLs) are passed over, as OpenSSL does.
    fn ca_dir(mut self, dir: &Path) -> Result<Self> {
        let entries = std::fs::read_dir(dir).map_err(|e| unreadable(dir, "CA directory", e))?;
        for entry in entries {
            let path = entry.map_err(|e| unreadable(dir, "CA directory", e))?.path();
            if path.is_file() {
                let pem = read(&path, "CA file")?;
                if holds(&pem, CERTIFICATE) {
                    self.roots.push(pem.as_slice().into());
                }
            }
        }
        Ok(self)
    }

    /// Trusts only the certificates given here, not the platform's.
    #[must_use]
    pub fn only_given_roots(mut self) -> Self {
        self.platform_roots = false;
        self
    }

    /// Presents a client certificate: its chain and its unencrypted private key, both PEM.
    pub fn client_identity_pem(mut self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        if !holds(chain, CERTIFICATE) {
            return Err(Error::config("the given client certificate holds no PEM certificate")
                .with_hint("give PEM text that starts with `-----BEGIN CERTIFICATE-----`"));
        }
        check_key(key)
            .map_err(|what| Error::config(format!("the given client key {what}")).with_hint(KEY_HINT))?;
        self.identity =
            Some(ClientIdentity { chain: chain.into(), key: Arc::new(Zeroizing::new(key.to_vec())) });
        Ok(self)
    }

    /// Presents the client certificate in the PEM file `chain` with the key in the PEM file `key`; both may be
    /// the same file.
    pub fn client_identity_files(self, chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        let chain_pem = read(chain, "client certificate file")?;
        let key_pem = read(key, "client key file")?;
        if !holds(&chain_pem, CERTIFICATE) {
            return Err(no_pem(chain, "client certificate file", "certificate"));
        }
        check_key(&key_pem).map_err(|what| {
            Error::config(format!("the client key file `{}` {what}", key.display())).with_hint(KEY_HINT)
        })?;
        self.client_identity_pem(&chain_pem, &key_pem)
    }

    /// Refuses older protocol versions.
    #[must_use]
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// Checks the server's certificate against `name` instead of the host that is connected to.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Whether the platform's roots are trusted.
    pub fn uses_platform_roots(&self) -> bool {
        self.platform_roots
    }

    /// The trusted certificates given here, as blocks of PEM text.
    pub fn roots_pem(&self) -> impl Iterator<Item = &[u8]> {
        self.roots.iter().map(|pem| &**pem)
    }

    /// The client certificate, if one is presented.
    pub fn identity(&self) -> Option<&ClientIdentity> {
        self.identity.as_ref()
    }

    /// The oldest accepted version.
    pub fn oldest_version(&self) -> TlsVersion {
        self.min_version
    }

    /// The name that the server's certificate is checked against, when it is not the host's.
    pub fn expected_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }
}

impl fmt::Debug for TlsConfig {
    /// Settings and counts; no certificate and no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("platform_roots", &self.platform_roots)
            .field("given_roots", &self.roots.len())
            .field("identity", &self.identity)
            .field("min_version", &self.min_version)
            .field("server_name", &self.server_name)
            .finish()
    }
}

const KEY_HINT: &str = "give an unencrypted PEM key, e.g. by `openssl pkcs8 -topk8 -nocrypt -in key.pem`";

/// What is wrong with a key, as the end of a sentence. RFC 7468 names the encrypted form; PKCS#1 and SEC1 keys
/// carry `Proc-Type: 4,ENCRYPTED` instead.
fn check_key(pem: &[u8]) -> Result<(), &'static str> {
    if holds(pem, "ENCRYPTED") {
        return Err("is encrypted");
    }
    if holds(pem, PRIVATE_KEY) { Ok(()) } else { Err("holds no PEM private key") }
}

fn holds(pem: &[u8], marker: &str) -> bool {
    pem.windows(marker.len()).any(|window| window == marker.as_bytes())
}

/// Reads a file that may hold a key, so its bytes are wiped too.
fn read(path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>> {
    std::fs::read(path).map(Zeroizing::new).map_err(|e| unreadable(path, what, e))
}

fn unreadable(path: &Path, what: &str, cause: std::io::Error) -> Error {
    Error::config(format!("the {what} `{}` cannot be read: {}", path.display(), cause.kind()))
        .with_hint("check that the path is right and that this process may read it")
        .with_source(cause)
}

fn no_pem(path: &Path, what: &str, expected: &str) -> Error {
    Error::config(format!("the {what} `{}` holds no PEM {expected}", path.display()))
        .with_hint("convert it to PEM, e.g. by `openssl x509 -inform der -in cert.der`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const CA: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\ncanary-key\n-----END PRIVATE KEY-----\n";

    /// A directory of its own per test, removed at the end.
    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("integrations-tls-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, content: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, content).unwrap();
            path
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn vars(pairs: &[(&str, &Path)]) -> Result<TlsConfig> {
        TlsConfig::from_vars(|name| {
            pairs.iter().find(|(n, _)| *n == name).map(|(_, path)| path.as_os_str().to_owned())
        })
    }

    #[test]
    fn debug_shows_neither_key_nor_certificate() {
        let config = TlsConfig::new().ca_pem(CA).unwrap().client_identity_pem(CA, KEY).unwrap();
        let text = format!("{config:?} {:?}", config.identity());
        assert!(!text.contains("canary") && !text.contains("MIIB"), "{text}");
        assert!(text.contains("given_roots: 1"), "{text}");
    }

    #[test]
    fn a_missing_file_is_named_with_what_to_do() {
        let e = TlsConfig::new().ca_file("/nonexistent/ca.pem").unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Config);
        assert!(e.to_string().contains("/nonexistent/ca.pem"), "{e}");
        assert!(e.hint().is_some());
    }

    #[test]
    fn files_of_another_kind_are_refused_by_name_and_without_content() {
        let dir = Dir::new("kinds");
        let (ca, key) = (dir.file("ca.pem", CA), dir.file("key.pem", KEY));
        let locked = dir.file("locked.pem", &KEY.replace("PRIVATE", "ENCRYPTED PRIVATE"));
        let cases = [
            (TlsConfig::new().ca_file(&key), "key.pem` holds no PEM certificate"),
            (TlsConfig::new().client_identity_files(&key, &key), "key.pem` holds no PEM certificate"),
            (TlsConfig::new().client_identity_files(&ca, &ca), "ca.pem` holds no PEM private key"),
            (TlsConfig::new().client_identity_files(&ca, &locked), "locked.pem` is encrypted"),
        ];
        for (result, expected) in cases {
            let e = result.unwrap_err();
            assert!(e.to_string().contains(expected), "{e}");
            assert!(!format!("{e:?}").contains("canary"));
        }
        assert!(TlsConfig::new().client_identity_files(&ca, &key).is_ok());
    }

    #[test]
    fn the_environment_replaces_the_platforms_roots() {
        let dir = Dir::new("env");
        let ca = dir.file("ca.pem", CA);
        dir.file("README", "not a certificate");
        assert!(vars(&[]).unwrap().uses_platform_roots());
        assert!(vars(&[("SSL_CERT_FILE", Path::new(""))]).unwrap().uses_platform_roots());
        for pairs in [[("SSL_CERT_FILE", ca.as_path())], [("SSL_CERT_DIR", dir.0.as_path())]] {
            let config = vars(&pairs).unwrap();
            assert!(!config.uses_platform_roots());
            assert_eq!(config.roots_pem().collect::<Vec<_>>(), [CA.as_bytes()]);
        }
        let empty = Dir::new("empty");
        assert_eq!(vars(&[("SSL_CERT_DIR", &empty.0)]).unwrap_err().kind(), ErrorKind::Config);
    }
}
