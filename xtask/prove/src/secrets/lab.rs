//! Where the proof works: the services' memory, the haul, and how an error is taken apart.

use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use integrations_core::pipeline::{Policy, Scope, Stages};
use integrations_core::tls::TlsConfig;
use integrations_core::{Caller, CallerBuilder, Error, ErrorKind, Result, Transport};
use integrations_http::{HttpTransport, HttpTransportBuilder, Proxy};

use super::provider::{Credentials, KEY_HEADER};
use super::search::Haul;
use super::servers::{Pki, Seen};

/// All that a run of ours needs and finds.
pub(crate) struct Lab {
    pub(crate) haul: Haul,
    pub(crate) seen: Seen,
    pub(crate) pki: Pki,
    /// Ways to fail that were gone.
    pub(crate) error_paths: usize,
    /// What did not fail, or not as it was meant to.
    pub(crate) unexpected: Vec<String>,
    /// Secrets that the code drew at random, by their slots.
    pub(crate) drawn: Vec<(&'static str, String)>,
    stages: Vec<Arc<Stages>>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self {
            haul: Haul::default(),
            seen: Seen::default(),
            pki: Pki::new().expect("the system gives random numbers for keys"),
            error_paths: 0,
            unexpected: Vec::new(),
            drawn: Vec::new(),
            stages: Vec::new(),
        }
    }

    /// A transport that knows `service.test`'s authority and has a client certificate.
    pub(crate) fn transport(&self) -> HttpTransportBuilder {
        HttpTransport::builder().tls(self.tls()).proxy(Proxy::none())
    }

    pub(crate) fn tls(&self) -> TlsConfig {
        let tls = TlsConfig::new().only_given_roots().ca_pem(self.pki.ca_pem());
        let tls = tls.and_then(|tls| {
            tls.client_identity_pem(&self.pki.client_chain, self.pki.client_key.serialize_pem())
        });
        tls.expect("the certificates were just made")
    }

    /// A caller with state of its own, so that no failure here opens a breaker there.
    pub(crate) fn caller(
        &mut self,
        base: &str,
        transport: Arc<dyn Transport>,
        policy: Policy,
    ) -> CallerBuilder {
        let stages = Stages::new();
        self.stages.push(stages.clone());
        let base: Uri = base.parse().expect("the proof writes addresses right");
        let pipeline = stages.pipeline(Scope::new("acme", "vault_main"), policy);
        Caller::builder(base, transport, pipeline.expect("the policy is valid"))
            .key_header(KEY_HEADER)
            .authorize(Arc::new(Credentials::bearer()))
    }

    /// The state that the last caller uses.
    pub(crate) fn last_stages(&self) -> Arc<Stages> {
        self.stages.last().expect("a caller was made").clone()
    }

    /// Takes a failure that must be of `kind` if one is given.
    pub(crate) fn failed<T>(&mut self, path: &str, kind: impl Into<Option<ErrorKind>>, result: Result<T>) {
        self.error_paths += 1;
        match result {
            Ok(_) => self.unexpected.push(format!("{path}: did not fail")),
            Err(error) => {
                if let Some(kind) = kind.into().filter(|kind| *kind != error.kind()) {
                    self.unexpected.push(format!("{path}: {} instead of {kind}", error.kind()));
                }
                self.error(path, &error);
            }
        }
    }

    /// Takes what may fail here, and may not.
    pub(crate) fn tried<T: Debug>(&mut self, path: &str, result: Result<T>) {
        match result {
            Ok(value) => self.debug(path, &value),
            Err(_) => self.failed(path, None, result),
        }
    }

    /// Looks for a secret that was drawn at random, too.
    pub(crate) fn draw(&mut self, slot: &'static str, secret: &str) {
        self.drawn.push((slot, secret.to_owned()));
    }

    pub(crate) fn error(&mut self, path: &str, error: &Error) {
        self.haul.add(format!("explain() of {path}"), error.explain());
        self.causes(path, error);
    }

    /// The error and all of its causes, in each rendering.
    pub(crate) fn causes(&mut self, path: &str, error: &(dyn StdError + 'static)) {
        let mut next = Some(error);
        while let Some(cause) = next {
            self.display(path, cause);
            self.debug(path, cause);
            next = cause.source();
        }
    }

    pub(crate) fn debug(&mut self, place: &str, value: &(impl Debug + ?Sized)) {
        self.haul.add(format!("Debug of {place}"), format!("{value:?}"));
        self.haul.add(format!("Debug of {place}"), format!("{value:#?}"));
    }

    pub(crate) fn display(&mut self, place: &str, value: &(impl Display + ?Sized)) {
        self.haul.add(format!("Display of {place}"), value.to_string());
    }

    /// Takes the counters of all callers.
    pub(crate) fn read_metrics(&mut self) {
        for stages in &self.stages {
            self.haul.add("metrics", stages.metrics().prometheus());
        }
    }
}

/// Default stages with limits that fit a service on this machine.
pub(crate) fn quick() -> Policy {
    let mut policy = Policy::default();
    policy.total_timeout = Duration::from_secs(2);
    policy.attempt_timeout = Duration::from_millis(400);
    policy.idle_timeout = Duration::from_millis(50);
    policy.retry.base = Duration::from_millis(1);
    policy.retry.max_attempts = 2;
    policy
}
