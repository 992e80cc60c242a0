//! Private authorities, client certificates, versions.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Response, Version};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use integrations_core::ErrorKind;
use integrations_core::TransportFailure;
use integrations_core::tls::{TlsConfig, TlsVersion};
use integrations_http::HttpTransport;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::support::{Server, builder, failure, get, send};

/// A certificate authority of our own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Trust in this authority alone.
    pub(crate) fn trusted(&self) -> TlsConfig {
        TlsConfig::new().only_given_roots().ca_pem(self.pem()).unwrap()
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    fn server_config(
        &self,
        clients: Option<&Authority>,
        versions: &[&'static rustls::SupportedProtocolVersion],
        alpn: &[&[u8]],
    ) -> rustls::ServerConfig {
        let (certificate, key) = self.issue("service.test");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                config.with_client_cert_verifier(verifier.unwrap())
            }
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
        config
    }
}

/// TLS in front of the plain server at `inner`.
pub(crate) async fn tunnel_to(inner: SocketAddr, authority: &Authority, alpn: &[&[u8]]) -> Server {
    front(inner, authority.server_config(None, rustls::ALL_VERSIONS, alpn)).await
}

async fn front(inner: SocketAddr, config: rustls::ServerConfig) -> Server {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut outer) = acceptor.accept(stream).await else { return };
            let mut inner = TcpStream::connect(inner).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
        }
    })
    .await
}

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";
const URL: &str = "https://service.test/c4nary";

fn client(tls: TlsConfig, front: &Server) -> HttpTransport {
    builder().tls(tls).resolve("service.test", front.addr).build().unwrap()
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_given_and_only_then() {
    let authority = Authority::new();
    let inner = Server::answering(FINE).await;
    let front = tunnel_to(inner.addr, &authority, &[]).await;
    let response = send(&client(authority.trusted(), &front), get(URL)).await.unwrap();
    assert_eq!(response.body(), b"fine");

    let e = failure(&client(Authority::new().trusted(), &front), get(URL)).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::Tls, false));
    assert_eq!(inner.connections(), 1, "nothing reached the service behind the second handshake");
}

#[tokio::test]
async fn the_certificate_must_be_the_hosts_or_the_expected_name() {
    let authority = Authority::new();
    let front = tunnel_to(Server::answering(FINE).await.addr, &authority, &[]).await;
    let elsewhere = |tls| builder().tls(tls).resolve("other.test", front.addr).build().unwrap();
    let e = failure(&elsewhere(authority.trusted()), get("https://other.test/c4nary")).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::Tls, false));
    let named = elsewhere(authority.trusted().server_name("service.test"));
    assert!(send(&named, get("https://other.test/")).await.is_ok());
}

#[tokio::test]
async fn a_client_certificate_opens_what_is_closed_without() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let inner = Server::answering(FINE).await;
    let config = authority.server_config(Some(&clients), rustls::ALL_VERSIONS, &[]);
    let front = front(inner.addr, config).await;

    let (certificate, key) = clients.issue("client");
    let identified = authority.trusted().client_identity_pem(certificate.pem(), key.serialize_pem()).unwrap();
    let response = send(&client(identified, &front), get(URL)).await.unwrap();
    assert_eq!(response.body(), b"fine");

    let e = failure(&client(authority.trusted(), &front), get(URL)).await;
    // TLS 1.3 tells a client only after its handshake, when the request may be on the wire.
    assert!(matches!(e.failure(), TransportFailure::Tls | TransportFailure::Reset), "{e}");
    assert!(e.sent());
    assert_eq!(inner.connections(), 1);
}

#[tokio::test]
async fn old_versions_are_refused_on_demand() {
    let authority = Authority::new();
    let config = authority.server_config(None, &[&rustls::version::TLS12], &[]);
    let front = front(Server::answering(FINE).await.addr, config).await;
    assert!(send(&client(authority.trusted(), &front), get(URL)).await.is_ok());
    let e = failure(&client(authority.trusted().min_version(TlsVersion::Tls13), &front), get(URL)).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::Tls, false));
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_got_no_request() {
    let plain = Server::raw(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 c4nary\r\n\r\n").await;
    })
    .await;
    let e = failure(&client(Authority::new().trusted(), &plain), get(URL)).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::Tls, false));
}

#[test]
fn unusable_settings_are_configuration_errors() {
    let authority = Authority::new();
    let (certificate, _) = authority.issue("client");
    let (_, foreign_key) = authority.issue("client");
    let broken = "-----BEGIN CERTIFICATE-----\nc4nary!\n-----END CERTIFICATE-----\n";
    let cases = [
        TlsConfig::new().only_given_roots(),
        TlsConfig::new().only_given_roots().ca_pem(broken).unwrap(),
        authority.trusted().server_name("not a name"),
        authority.trusted().client_identity_pem(certificate.pem(), foreign_key.serialize_pem()).unwrap(),
    ];
    for tls in cases {
        let e = builder().tls(tls.clone()).build().unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Config, "{tls:?}");
        assert!(!format!("{e:?}").contains("c4nary"), "{e:?}");
    }
}

#[tokio::test]
async fn http2_is_spoken_where_the_server_has_it_and_it_is_wanted() {
    let inner = Server::raw(|stream| async move {
        let service = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::new()))) });
        let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await;
    })
    .await;
    let authority = Authority::new();
    let front = tunnel_to(inner.addr, &authority, &[b"h2", b"http/1.1"]).await;
    for (offered, expected) in [(true, Version::HTTP_2), (false, Version::HTTP_11)] {
        let builder = builder().tls(authority.trusted()).resolve("service.test", front.addr);
        let transport = builder.http2(offered).build().unwrap();
        assert_eq!(send(&transport, get(URL)).await.unwrap().version(), expected);
    }
}
