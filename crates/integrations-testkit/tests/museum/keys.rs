//! After a refresh the new token is put beside the old one, both are sent, and the service refuses the pair, for ever:
//! <https://github.com/icerockdev/moko-network/issues/17>, <https://github.com/databendlabs/bendsql/issues/477> (the
//! builder of the HTTP client appends), <https://github.com/spring-attic/spring-cloud-security/pull/216>.

use std::sync::Arc;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use integrations_core::pipeline::{Policy, Scope, Stages};
use integrations_core::secret::{SecretStore, Watch};
use integrations_core::{
    Bearer, Body, Caller, Exchange, LiveSecret, Op, Payload, Req, Result, Safety, SecretRef, SecretString,
    Transport, TransportError,
};

static READ: Op = Op::new("museum", "read", Safety::Read).http("GET", "/");
const OLD: &str = "Bearer old";
const NEW: &str = "Bearer new";

/// Takes the new token alone, and notes what came.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<Vec<Vec<String>>>>);

impl Service {
    fn status(&self, headers: &HeaderMap) -> u16 {
        let came: Vec<String> =
            headers.get_all(AUTHORIZATION).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
        let status = if came == [NEW] { 200 } else { 401 };
        self.0.lock().unwrap().push(came);
        status
    }

    fn came(&self) -> Vec<Vec<String>> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Transport for Service {
    async fn send(
        &self,
        request: http::Request<Body>,
        _: Exchange,
    ) -> Result<http::Response<Payload>, TransportError> {
        let response = http::Response::builder().status(self.status(request.headers()));
        Ok(response.body(Bytes::new().into()).unwrap())
    }
}

#[test]
fn the_reference_sends_both_and_is_refused_again() {
    let service = Service::default();
    let mut headers = HeaderMap::new();
    let mut tokens = [OLD, NEW].into_iter();
    let refused = tokens.all(|token| {
        headers.append(AUTHORIZATION, HeaderValue::from_static(token));
        service.status(&headers) == 401
    });
    assert!(refused, "the new token is right, and does not come alone");
    assert_eq!(service.came(), [vec![OLD], vec![OLD, NEW]]);
}

/// Where the token was replaced a moment ago.
struct Replaced;

#[async_trait]
impl SecretStore for Replaced {
    async fn get(&self, _: &SecretRef) -> Result<SecretString> {
        Ok("new".into())
    }
}

#[tokio::test(start_paused = true)]
async fn ours_sends_the_new_one_alone() -> Result<()> {
    let service = Service::default();
    let source = "${vault:museum/token}".parse()?;
    let token = LiveSecret::watch("old".into(), source, Arc::new(Replaced), Watch::default());
    let pipeline = Stages::new().pipeline(Scope::new("", "museum"), Policy::default())?;
    let base: http::Uri = "https://museum.example".parse().unwrap();
    let caller = Caller::builder(base.clone(), Arc::new(service.clone()), pipeline)
        .authorize(Arc::new(Bearer::new(token)))
        .build();
    caller.exchange(&READ, None, Req::get(&base).build()?).await?;
    assert_eq!(service.came(), [[OLD], [NEW]]);
    Ok(())
}
