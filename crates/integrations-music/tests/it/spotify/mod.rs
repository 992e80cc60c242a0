use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use integrations_core::{
    Body, Classify, Effect, Endpoint, ErrorKind, Exchange, Payload, Transport, TransportError, WireResponse,
};
use integrations_music::spotify::ops::GetMe;
use integrations_music::spotify::{Errors, Spotify, spec};

const ME: &str = include_str!("golden/me.json");

fn answer(status: StatusCode, body: &'static str) -> WireResponse {
    WireResponse::new(GetMe::OP, status, HeaderMap::new(), body)
}

#[test]
fn get_me_golden() {
    let base: Uri = spec::SPEC.hosts[0].url.parse().unwrap();
    let request = GetMe::default().request(&base).unwrap();
    assert_eq!(request.uri(), "https://api.spotify.example/v1/me");
    let account = GetMe::default().response(answer(StatusCode::OK, ME)).unwrap();
    assert_eq!((account.id.as_str(), account.name.as_str()), ("1", "Ada"));
}

#[test]
fn each_error_code_has_its_kind_and_effect() {
    let table = [
        (401, "token_expired", ErrorKind::Unauthenticated, Effect::Rejected),
        (422, "something_new", ErrorKind::InvalidRequest, Effect::Rejected),
        (500, "something_new", ErrorKind::Unavailable, Effect::Unknown),
    ];
    for (status, code, kind, effect) in table {
        let body = format!(r#"{{"error":{{"code":"{code}","message":"no"}}}}"#);
        let status = StatusCode::from_u16(status).unwrap();
        let response = WireResponse::new(GetMe::OP, status, HeaderMap::new(), body);
        let error = Errors.classify(GetMe::OP, &response).unwrap();
        assert_eq!((error.kind(), error.effect()), (kind, effect), "{status} {code}");
    }
    assert!(Errors.classify(GetMe::OP, &answer(StatusCode::OK, ME)).is_none());
}

/// Answers like the service, whatever it is asked, if the token is right.
struct Service;

#[async_trait::async_trait]
impl Transport for Service {
    async fn send(&self, request: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        let is_known = request.headers().get(AUTHORIZATION).is_some_and(|value| value == "Bearer t-1");
        let (status, body) = if is_known { (200, ME) } else { (401, "") };
        let mut response = Response::new(Payload::from(bytes::Bytes::from_static(body.as_bytes())));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok(response)
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_calls_with_the_token_of_its_variable() {
    let client = |token: &'static str| {
        let lookup = move |name: &str| (Some(name) == spec::SPEC.settings[0].env).then(|| token.to_owned());
        Spotify::builder().vars(&lookup).unwrap().transport(Service).build().unwrap()
    };
    assert_eq!(client("t-1").me().await.unwrap().name, "Ada");
    let error = client("t-2").me().await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unauthenticated, Effect::Rejected));
}

#[cfg(feature = "hub")]
#[tokio::test(start_paused = true)]
async fn the_registry_opens_the_portable_type() {
    use integrations_core::SecretString;
    use integrations_core::setup::Setup;

    let mut registry = integrations_core::registry::Registry::new();
    integrations_music::register(&mut registry);
    let setup = Setup::new(&spec::SPEC)
        .set("token", SecretString::from("t-1"))
        .transport(std::sync::Arc::new(Service));
    let portable: integrations_music::Music = registry.open(&setup).unwrap();
    assert_eq!(portable.raw::<Spotify>().unwrap().me().await.unwrap().name, "Ada");
}
