//! What the tests of all issuers of OpenID Connect share: a browser before a fake.

use http::header::LOCATION;
use http::{HeaderMap, Method, Uri};
use integrations_auth::{SignIn, SignInRequest, SignedIn};
use integrations_core::params;
use integrations_core::{Error, ErrorKind, Result};
use integrations_sandbox::{Answer, Call, Sandbox};

pub(crate) fn known(sandbox: &Sandbox, name: &str) -> String {
    sandbox.known().get(name).unwrap_or_else(|| panic!("no {name}")).to_owned()
}

fn ask(sandbox: &Sandbox, method: &Method, url: &str, body: &str) -> Answer {
    let uri: Uri = url.parse().unwrap();
    sandbox.answer(&Call::new(method, &uri, &HeaderMap::new(), body.as_bytes()))
}

/// What the fake alone has: rotations, and answers that are wrong.
pub(crate) fn control(sandbox: &Sandbox, what: &str, pairs: &[(&str, &str)]) -> bytes::Bytes {
    let form: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{name}={}", params::encode(value))).collect();
    let url = format!("https://any.example/__sandbox/{what}");
    let answer = ask(sandbox, &Method::POST, &url, &form.join("&"));
    assert!(answer.status.is_success(), "{what}: {}", answer.status);
    answer.body
}

/// Where the user comes back to, by the page that they were sent to.
pub(crate) fn consent(sandbox: &Sandbox, url: &str) -> String {
    let answer = ask(sandbox, &Method::GET, url, "");
    assert_eq!(answer.status, 302, "{url}: {:?}", answer.body);
    answer.headers[LOCATION].to_str().unwrap().to_owned()
}

pub(crate) async fn sign_in(sign_in: &SignIn, sandbox: &Sandbox, request: SignInRequest) -> Result<SignedIn> {
    let begun = sign_in.begin(request).await?;
    let answer = consent(sandbox, &begun.url);
    sign_in.complete(begun.pending, &answer).await
}

pub(crate) fn hint(who: impl Into<String>) -> SignInRequest {
    SignInRequest::new().login_hint(who)
}

/// That a statement was refused, by its code.
#[track_caller]
pub(crate) fn refused(outcome: Result<SignedIn>, code: &str) -> Error {
    let error = outcome.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unauthenticated, Some(code)), "{error:?}");
    error
}
