//! Deliveries signed by RSA under a certificate that is fetched from the vendor: AWS SNS, PayPal.
//!
//! The delivery says where its certificate is. That address is looked up in the ring, and only if its host is one of
//! the vendor's; the certificate must lead to a trust anchor of the ring, name the vendor, and be valid now.

use std::time::Duration;

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use http::Uri;
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::keys::{Material, need};
use super::place::{View, host_matches};
use super::{Incoming, KeyRing, Kit, Place, Scheme, Verified, WebhookError};
use crate::error::{Error, Result};

/// The hash under an RSA signature (PKCS#1 v1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RsaHash {
    /// SHA-1, which is broken for signatures: only where a vendor still uses it (SNS, signature version 1).
    Sha1,
    /// SHA-256.
    Sha256,
}

impl RsaHash {
    const fn algorithm(self) -> &'static RsaParameters {
        match self {
            Self::Sha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        }
    }
}

/// Deliveries signed by RSA under a certificate chain.
#[derive(Debug, Clone, Copy)]
pub struct RsaCertificate {
    scheme: Scheme,
    address: Place,
    hosts: &'static [&'static str],
    suffix: &'static str,
    subject: Option<&'static str>,
    hash: (Place, &'static [(&'static str, RsaHash)]),
}

impl RsaCertificate {
    /// A scheme, the place of the certificate's address, the hosts it may be on, and the hash by the value at a place.
    /// In a host, one `*` stands for letters, digits and hyphens within a label: `sns.*.amazonaws.com`.
    pub const fn new(
        scheme: Scheme,
        address: Place,
        hosts: &'static [&'static str],
        hash: (Place, &'static [(&'static str, RsaHash)]),
    ) -> Self {
        Self { scheme, address, hosts, suffix: "", subject: None, hash }
    }

    /// Sets how the path of the address ends.
    #[must_use]
    pub const fn suffix(mut self, suffix: &'static str) -> Self {
        self.suffix = suffix;
        self
    }

    /// Sets the name that the certificate must be for; without one it is the host of its address.
    #[must_use]
    pub const fn subject(mut self, name: &'static str) -> Self {
        self.subject = Some(name);
        self
    }

    fn checked_address(&self, text: &str) -> Option<Uri> {
        let uri: Uri = text.parse().ok()?;
        let is_https = uri.scheme_str() == Some("https");
        let authority = uri.authority()?.as_str();
        let is_known = self.hosts.iter().any(|pattern| host_matches(pattern, authority));
        (is_https && is_known && uri.path().ends_with(self.suffix) && uri.query().is_none()).then_some(uri)
    }
}

impl Kit for RsaCertificate {
    fn verify<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Verified<'a>, WebhookError> {
        let view = View::new(request);
        need(anchors(keys).first(), "a trust anchor")?;
        let address = view.text(self.address)?;
        let uri = self.checked_address(&address).ok_or(WebhookError::Malformed(self.address.name()))?;
        let (place, hashes) = self.hash;
        let named = view.text(place)?;
        let hash = hashes.iter().find(|(name, _)| *name == named).map(|(_, hash)| *hash);
        let hash = hash.ok_or(WebhookError::Malformed(place.name()))?;
        let reading = self.scheme.read(request, keys)?;

        let chains = keys.keys().iter().filter_map(|key| match key.material() {
            Material::Chain(chain) if key.name() == address => Some(chain),
            _ => None,
        });
        let chains: Vec<_> = chains.collect();
        if chains.is_empty() {
            return Err(WebhookError::UnknownKey { key: address.into_owned() });
        }
        let subject = self.subject.or(uri.host()).unwrap_or_default();
        let is_signed = chains.into_iter().any(|chain| {
            trusted_key(chain, keys, subject, request.received).is_some_and(|public| {
                let public = UnparsedPublicKey::new(hash.algorithm(), public);
                reading.signatures.iter().any(|signature| public.verify(&reading.message, signature).is_ok())
            })
        });
        if is_signed { self.scheme.accept(reading, request, &address) } else { Err(WebhookError::NoMatch) }
    }
}

/// The public key of a chain's first certificate, if it leads to an anchor, is valid at this time and names `subject`.
fn trusted_key(chain: &[Vec<u8>], keys: &KeyRing, subject: &str, now: jiff::Timestamp) -> Option<Vec<u8>> {
    let ders: Vec<CertificateDer<'_>> = chain.iter().map(|der| CertificateDer::from(&der[..])).collect();
    let (leaf, between) = ders.split_first()?;
    let leaf = EndEntityCert::try_from(leaf).ok()?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_second()).ok()?));
    let anchors = anchors(keys);
    let anchors: Vec<TrustAnchor<'_>> =
        anchors.iter().filter_map(|der| anchor_from_trusted_cert(der).ok()).collect();
    let usage = KeyUsage::server_auth();
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, between, now, usage, None, None).ok()?;
    leaf.verify_is_valid_for_subject_name(&ServerName::try_from(subject).ok()?).ok()?;
    Some(leaf.subject_public_key_info().to_vec())
}

fn anchors(keys: &KeyRing) -> Vec<CertificateDer<'_>> {
    let anchor = |key: &'_ super::Key| match key.material() {
        Material::Anchor(der) => Some(CertificateDer::from(der.clone())),
        _ => None,
    };
    keys.keys().iter().filter_map(anchor).collect()
}

pub(super) fn check_anchor(der: &[u8]) -> Result<()> {
    anchor_from_trusted_cert(&CertificateDer::from(der)).map(|_| ()).map_err(|_| {
        Error::config("this certificate cannot be a trust anchor").with_hint("expected is X.509 version 3")
    })
}
