//! `TlsConfig` in terms of rustls.

use std::sync::Arc;

use integrations_core::tls::{TlsConfig, TlsVersion};
use integrations_core::{Error, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// Makes aws-lc-rs the process's rustls crypto provider, unless one is installed already. Building an
/// [`HttpTransport`](crate::HttpTransport) does it; an application calls it at its start when another crate
/// uses rustls first.
pub fn install_crypto_provider() {
    provider();
}

/// The installed provider, ours if there was none. When two threads race, both get the winner's.
fn provider() -> Arc<CryptoProvider> {
    let ours = || Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    if CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    CryptoProvider::get_default().cloned().unwrap_or_else(ours)
}

pub(crate) fn client_config(tls: &TlsConfig, http2: bool) -> Result<ClientConfig> {
    let mut config = authenticated(tls)?;
    // reqwest sets ALPN only on configurations that it makes itself.
    config.alpn_protocols =
        if http2 { vec![b"h2".into(), b"http/1.1".into()] } else { vec![b"http/1.1".into()] };
    Ok(config)
}

fn authenticated(tls: &TlsConfig) -> Result<ClientConfig> {
    let provider = provider();
    let versions: &[_] = match tls.oldest_version() {
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
        _ => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|e| Error::config("the crypto provider lacks the wanted TLS versions").with_source(e))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(tls, provider)?);
    let Some(identity) = tls.identity() else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(identity.chain_pem(), "client certificate")?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem())
        .map_err(|_| Error::config("the client key is not a PKCS#8, PKCS#1 or SEC1 key in PEM"))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|e| Error::config("the client certificate and its key do not fit").with_source(e))
}

fn verifier(tls: &TlsConfig, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    let mut given = Vec::new();
    for pem in tls.roots_pem() {
        given.extend(certificates(pem, "CA")?);
    }
    let inner = if tls.uses_platform_roots() { platform(given, provider)? } else { only(given, provider)? };
    let Some(name) = tls.expected_name() else { return Ok(inner) };
    let name = ServerName::try_from(name.to_owned())
        .map_err(|e| Error::config("the expected server name is no host name").with_source(e))?;
    Ok(Arc::new(ExpectName { inner, name }))
}

fn platform(
    given: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>> {
    let verifier = Verifier::new_with_extra_roots(given, provider).map_err(|e| {
        Error::config("the platform's certificate authorities cannot be loaded")
            .with_hint("install the ca-certificates package, set SSL_CERT_FILE, or give roots of your own")
            .with_source(e)
    })?;
    Ok(Arc::new(verifier))
}

fn only(
    given: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>> {
    let mut store = RootCertStore::empty();
    for certificate in given {
        store
            .add(certificate)
            .map_err(|e| Error::config("a given CA certificate is malformed").with_source(e))?;
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build().map_err(|e| {
            Error::config("only given roots are to be trusted, but none were given").with_source(e)
        })?;
    Ok(verifier)
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| Error::config(format!("the {what} PEM text is malformed")))
}

/// Checks the certificate against a fixed name. The SNI extension still carries the URL's host.
#[derive(Debug)]
struct ExpectName {
    inner: Arc<dyn ServerCertVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for ExpectName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _connected_to: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner.verify_server_cert(end_entity, intermediates, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
