//! Every way to fail that the proof goes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use integrations_core::cache::{MemoryStore, ReadCache};
use integrations_core::dynamic::OpEntry;
use integrations_core::pipeline::Wait;
use integrations_core::pipeline::breaker::BreakerPolicy;
use integrations_core::tls::TlsConfig;
use integrations_core::{
    Body, BodyStream, Clock, Endpoint, ErrorKind, Exchange, IdempotencyKey, Payload, Req, Result, Secret,
    SecretRef, SecretString, Transport, TransportError, TransportFailure, page,
};
use integrations_http::{EgressPolicy, HttpTransport, Proxy, Resolver};

use super::lab::{Lab, quick};
use super::provider::{Cached, Credentials, InItsWords, READ, Read, Refresh, Text, WRITE, Write, addressed};
use super::search::canary;
use super::servers::{
    answering, connect_proxy, echo, falling_silent, gzipped, listen, nobody, resetting, response,
};

/// Statuses that are no success; 301 and the like have their own place.
pub(crate) const REFUSALS: [u16; 45] = [
    300, 304, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418,
    421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 507, 508, 510, 511, 520,
    529, 598, 599,
];

pub(crate) async fn all(lab: &mut Lab) {
    statuses(lab).await;
    connections(lab).await;
    broken_answers(lab).await;
    undecodable_answers(lab).await;
    redirects(lab).await;
    proxies(lab).await;
    stages(lab).await;
    credentials(lab).await;
    Box::pin(caches(lab)).await;
    streams(lab).await;
    uploads(lab).await;
    settings(lab);
    holders(lab);
    panics(lab).await;
    lab.read_metrics();
}

/// One call of each kind against `base`, with each kind of credentials.
async fn every_call(
    lab: &mut Lab,
    path: &str,
    base: &str,
    transport: &Arc<dyn Transport>,
    last: u16,
    kind: Option<ErrorKind>,
) {
    let key = || IdempotencyKey::new(&canary("idempotency-key")).expect("it is visible ASCII");
    let basic = lab
        .caller(base, transport.clone(), quick())
        .authorize(Arc::new(Credentials::basic()))
        .classify(Arc::new(InItsWords))
        .build();
    let result = basic.call(&Read { last }).await;
    lab.failed(&format!("{path} (GET)"), kind, result);
    let bearer = lab.caller(base, transport.clone(), quick()).build();
    let result = bearer.call_keyed(&Write { last, form: false }, key()).await;
    lab.failed(&format!("{path} (POST of JSON)"), kind, result);
    let result = bearer.call_keyed(&Write { last, form: true }, key()).await;
    lab.failed(&format!("{path} (POST of a form)"), kind, result);
}

async fn statuses(lab: &mut Lab) {
    let seen = lab.seen.clone();
    let plain = listen(move |stream| echo(stream, seen.clone())).await;
    let transport = shared(lab.transport().resolve("service.test", plain).build());
    for status in REFUSALS {
        every_call(lab, &format!("status {status}"), "http://service.test", &transport, status, None).await;
    }
    for alpn in ["http/1.1", "h2"] {
        let addr = lab.pki.echo(alpn.as_bytes(), lab.seen.clone()).await;
        let transport = shared(lab.transport().resolve("service.test", addr).build());
        for status in [200, 401, 404, 429, 500, 503] {
            let path = format!("status {status} over TLS with {alpn}");
            every_call(lab, &path, "https://service.test", &transport, status, None).await;
        }
    }
}

async fn connections(lab: &mut Lab) {
    let tls = lab.pki.echo(b"http/1.1", lab.seen.clone()).await;
    let mute = falling_silent("").await;
    let stranger = TlsConfig::new().only_given_roots().ca_pem(Lab::new().pki.ca_pem());
    let routes = [
        ("connection refused", "http", nobody().await, ErrorKind::Transport),
        ("reset before the request", "http", resetting(false).await, ErrorKind::Transport),
        ("reset after the request", "http", resetting(true).await, ErrorKind::Transport),
        ("reset in the TLS handshake", "https", resetting(true).await, ErrorKind::Transport),
        (
            "no TLS on the other side",
            "https",
            answering(response("400 Bad", "", b"no")).await,
            ErrorKind::Transport,
        ),
        ("no answer", "http", mute, ErrorKind::Timeout),
        ("no answer in the TLS handshake", "https", mute, ErrorKind::Timeout),
    ];
    for (path, scheme, addr, kind) in routes {
        let transport = shared(lab.transport().resolve("service.test", addr).build());
        every_call(lab, path, &format!("{scheme}://service.test"), &transport, 200, Some(kind)).await;
    }
    let transports = [
        (
            "unknown authority",
            "https://service.test",
            lab.transport().tls(stranger.expect("it was just made")),
        ),
        ("certificate of another name", "https://other.test", lab.transport()),
        ("no client certificate", "https://service.test", lab.transport().tls(anonymous(lab))),
    ];
    for (path, base, builder) in transports {
        let transport = shared(builder.resolve("service.test", tls).resolve("other.test", tls).build());
        every_call(lab, path, base, &transport, 200, None).await;
    }
    let unknown = shared(lab.transport().resolver(NoNames).build());
    let kind = Some(ErrorKind::Transport);
    every_call(lab, "unknown name", "http://unknown.test", &unknown, 200, kind).await;
    let strict = shared(lab.transport().egress(EgressPolicy::public_only()).build());
    let kind = Some(ErrorKind::PermissionDenied);
    every_call(lab, "forbidden address", "https://127.0.0.1", &strict, 200, kind).await;
    let direct = shared(lab.transport().build());
    let base = format!("http://user:{}@127.0.0.1:{}", canary("userinfo").replace('/', "%2F"), tls.port());
    every_call(lab, "credentials in the address", &base, &direct, 200, kind).await;
}

fn anonymous(lab: &Lab) -> TlsConfig {
    let tls = TlsConfig::new().only_given_roots().ca_pem(lab.pki.ca_pem());
    tls.expect("the authority was just made")
}

struct NoNames;

#[async_trait]
impl Resolver for NoNames {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
        Err(std::io::Error::from(std::io::ErrorKind::NotFound))
    }
}

async fn broken_answers(lab: &mut Lab) {
    let body = canary("answer-body").into_bytes();
    let cookie = format!("set-cookie: {}\r\n", canary("set-cookie"));
    let zip = |bytes: &[u8]| response("200 OK", &format!("content-encoding: gzip\r\n{cookie}"), bytes);
    let mut torn = gzipped(&body);
    torn.truncate(torn.len() / 2);
    let wrong_length =
        format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n{cookie}\r\n{}", canary("answer-body"));
    let bad_chunk =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{cookie}\r\n{}\r\n", canary("answer-body"));
    let endless = canary("answer-body").repeat(64 * 1024 / 16);
    let answers = [
        ("garbage", canary("status-line").into_bytes()),
        (
            "bad header",
            format!("HTTP/1.1 200 {}\r\nbad header {cookie}\r\n\r\n", canary("status-line")).into(),
        ),
        ("cut off", wrong_length.clone().into()),
        ("bad chunk", bad_chunk.into()),
        ("bad gzip", zip(&body)),
        ("torn gzip", zip(&torn)),
        ("too large when inflated", zip(&gzipped(&vec![b'0'; 32 * 1024 * 1024]))),
        ("too large", response("200 OK", &cookie, endless.as_bytes())),
    ];
    for (path, bytes) in answers {
        let addr = answering(bytes).await;
        let transport = shared(lab.transport().resolve("service.test", addr).build());
        every_call(lab, path, "http://service.test", &transport, 200, None).await;
    }
    let addr = falling_silent(wrong_length).await;
    let transport = shared(lab.transport().resolve("service.test", addr).build());
    let kind = Some(ErrorKind::Timeout);
    every_call(lab, "silence in the body", "http://service.test", &transport, 200, kind).await;
}

async fn undecodable_answers(lab: &mut Lab) {
    let secret = canary("answer-body");
    let answers = [
        ("text for an object", format!(r#""{secret}""#)),
        ("text for a number", format!(r#"{{"id":"{secret}"}}"#)),
        ("map key of a bad value", format!(r#"{{"id":1,"limits":{{"{secret}":"x"}}}}"#)),
        ("map key and value", format!(r#"{{"id":1,"limits":{{"{secret}":"{secret}"}}}}"#)),
        ("unknown variant", format!(r#"{{"id":1,"kind":"{secret}"}}"#)),
        ("unknown variant with content", format!(r#"{{"id":1,"kind":{{"{secret}":1}}}}"#)),
        ("bad content of a variant", format!(r#"{{"id":1,"kind":{{"sized":"{secret}"}}}}"#)),
        ("unknown field", format!(r#"{{"id":1,"nested":[{{"at":1,"{secret}":1}}]}}"#)),
        ("bad value in a list", format!(r#"{{"id":1,"nested":[{{"at":1}},{{"at":"{secret}"}}]}}"#)),
        ("unknown tag", format!(r#"{{"id":1,"shape":{{"type":"{secret}"}}}}"#)),
        ("bad value behind a tag", format!(r#"{{"id":1,"shape":{{"type":"Round","size":"{secret}"}}}}"#)),
        ("bad date", format!(r#"{{"id":1,"at":"{secret}"}}"#)),
        ("no JSON", secret.clone()),
        ("JSON that ends early", format!(r#"{{"id":1,"{secret}":"{secret}"#)),
        ("HTML", format!("<html><title>{secret}</title>")),
    ];
    for (path, body) in answers {
        let addr = answering(response("200 OK", "", body.as_bytes())).await;
        let transport = shared(lab.transport().resolve("service.test", addr).build());
        let kind = Some(ErrorKind::Decode);
        every_call(lab, path, "http://service.test", &transport, 200, kind).await;
    }
    let mut bytes = secret.into_bytes();
    bytes.push(0xff);
    let addr = answering(response("200 OK", "", &bytes)).await;
    let transport = shared(lab.transport().resolve("service.test", addr).build());
    let result = lab.caller("http://service.test", transport, quick()).build().call(&Text).await;
    lab.failed("no UTF-8", ErrorKind::Decode, result);
}

async fn redirects(lab: &mut Lab) {
    let seen = lab.seen.clone();
    let other = listen(move |stream| echo(stream, seen.clone())).await;
    let gone = nobody().await;
    let token = canary("location");
    let userinfo = canary("userinfo").replace('/', "%2F");
    let targets = [
        ("to another origin", format!("http://other.test:{}/{token}/500?token={token}", other.port())),
        ("to another origin that is down", format!("http://127.0.0.1:{}/{token}?token={token}", gone.port())),
        ("in circles", format!("/?token={token}")),
        ("to a malformed address", format!("http://[{token}/?token={token}")),
        ("to an address with credentials", format!("http://user:{userinfo}@127.0.0.1/?token={token}")),
        ("to a scheme of its own", format!("{token}://there?token={token}")),
        ("to a metadata service", format!("http://169.254.169.254/{token}?token={token}")),
    ];
    for (path, target) in targets {
        let from =
            answering(response("302 Found", &format!("location: {target}\r\n"), token.as_bytes())).await;
        let transport =
            shared(lab.transport().resolve("service.test", from).resolve("other.test", other).build());
        let path = format!("redirect {path}");
        every_call(lab, &path, "http://service.test", &transport, 200, None).await;
    }
}

async fn proxies(lab: &mut Lab) {
    let seen = lab.seen.clone();
    let echoing = listen(move |stream| echo(stream, seen.clone())).await;
    let tls = lab.pki.echo(b"h2", lab.seen.clone()).await;
    let password = canary("proxy-password");
    let wants_more = response(
        "407 Proxy Authentication Required",
        &format!("proxy-authenticate: Basic {password}\r\n"),
        password.as_bytes(),
    );
    let routes = [
        ("proxy that is down", "https", nobody().await, 200),
        ("proxy that wants other credentials", "https", answering(wants_more.clone()).await, 200),
        ("proxy that wants other credentials, plain", "http", answering(wants_more).await, 200),
        (
            "proxy that refuses",
            "https",
            answering(response("403 Forbidden", "", password.as_bytes())).await,
            200,
        ),
        ("proxy that talks garbage", "https", answering(password.as_bytes()).await, 200),
        ("proxy that resets", "https", resetting(true).await, 200),
        ("status 500 through a plain proxy", "http", echoing, 500),
        ("status 500 through a tunnel", "https", connect_proxy(tls, lab.seen.clone()).await, 500),
    ];
    for (path, scheme, addr, last) in routes {
        let transport = shared(lab.transport().proxy(proxy(addr)).build());
        every_call(lab, path, &format!("{scheme}://service.test"), &transport, last, None).await;
    }
}

fn proxy(addr: SocketAddr) -> Proxy {
    let password = canary("proxy-password").replace('/', "%2F");
    Proxy::url(&format!("http://user:{password}@{addr}")).expect("the address is well-formed")
}

/// What our own stages turn away.
async fn stages(lab: &mut Lab) {
    let seen = lab.seen.clone();
    let addr = listen(move |stream| echo(stream, seen.clone())).await;
    let transport = shared(lab.transport().resolve("service.test", addr).build());
    let base = "http://service.test";

    let mut policy = quick();
    policy.wait = Wait::FailFast;
    policy.breaker = Some(Arc::new(BreakerPolicy::default().min_calls(2)));
    let caller = lab.caller(base, transport.clone(), policy).build();
    let _ = caller.call(&Read { last: 500 }).await;
    let result = caller.call(&Read { last: 500 }).await;
    lab.failed("open circuit", ErrorKind::CircuitOpen, result);

    let mut policy = quick();
    policy.wait = Wait::FailFast;
    let scripted =
        Scripted::new([reply(429, &[("retry-after", "60"), ("set-cookie", &canary("set-cookie"))])]);
    let caller = lab.caller(base, scripted, policy).build();
    let result = caller.call(&Read { last: 429 }).await;
    lab.failed("limit of the service", ErrorKind::RateLimited, result);
    let result = caller.call(&Read { last: 429 }).await;
    lab.failed("pause for everybody", ErrorKind::RateLimited, result);

    let mut policy = quick();
    policy.breaker = None;
    let caller = lab.caller(base, Scripted::new([reply(500, &[])]), policy).build();
    let mut result = caller.call(&Read { last: 500 }).await;
    for _ in 0..60 {
        result = caller.call(&Read { last: 500 }).await;
    }
    let spent = result.as_ref().is_err_and(|e| e.explain().contains("retry budget is used up"));
    if !spent {
        lab.unexpected.push("the retry budget was not used up".to_owned());
    }
    lab.failed("spent retry budget", ErrorKind::Unavailable, result);

    let mute = falling_silent("").await;
    let silent = shared(lab.transport().resolve("service.test", mute).build());
    let caller = lab.caller(base, silent, quick()).build();
    let given_up = tokio::time::timeout(Duration::from_millis(20), caller.call(&Read { last: 200 })).await;
    lab.error_paths += 1;
    lab.debug("a call that was given up", &given_up.map(|result| result.map(drop)));

    let caller = lab.caller(base, transport, quick()).build();
    lab.last_stages().stop();
    let result = caller.call(&Write { last: 200, form: false }).await;
    lab.failed("kill switch", ErrorKind::Config, result);

    for failure in FAILURES {
        for sent in [false, true] {
            let scripted = Scripted::new([failing(failure, sent)]);
            let caller = lab.caller(base, scripted, quick()).build();
            let result = caller.call(&Read { last: 200 }).await;
            lab.failed(&format!("{failure:?} of a transport in memory"), None, result);
        }
    }
}

const FAILURES: [TransportFailure; 7] = [
    TransportFailure::Connect,
    TransportFailure::Tls,
    TransportFailure::Reset,
    TransportFailure::Timeout,
    TransportFailure::Forbidden,
    TransportFailure::BadRequest,
    TransportFailure::BadResponse,
];

async fn credentials(lab: &mut Lab) {
    let seen = lab.seen.clone();
    let addr = listen(move |stream| echo(stream, seen.clone())).await;
    let transport = shared(lab.transport().resolve("service.test", addr).build());
    let refreshed = |refresh| Credentials { refresh, ..Credentials::bearer() };
    let cases = [
        ("refused credentials", Credentials::bearer(), ErrorKind::Unauthenticated),
        ("credentials refused again after a refresh", refreshed(Refresh::Helps), ErrorKind::Unauthenticated),
        ("failing refresh", refreshed(Refresh::Fails), ErrorKind::ReauthRequired),
        (
            "no credentials",
            Credentials { present: false, ..Credentials::bearer() },
            ErrorKind::ReauthRequired,
        ),
    ];
    for (path, credentials, kind) in cases {
        let caller = lab.caller("http://service.test", transport.clone(), quick());
        let result = caller.authorize(Arc::new(credentials)).build().call(&Read { last: 401 }).await;
        lab.failed(path, kind, result);
    }
}

async fn caches(lab: &mut Lab) {
    let cookie = canary("set-cookie");
    let fresh = || reply(200, &[("cache-control", "max-age=0, stale-if-error=60"), ("set-cookie", &cookie)]);
    let scripted = Scripted::new([fresh(), reply(500, &[]), reply(404, &[])]);
    let cache = || ReadCache::new(MemoryStore::new(1 << 20), Clock::system(), Duration::from_secs(60));
    let caller = lab.caller("http://service.test", scripted, no_retry()).cache(cache()).build();
    for path in ["a stored answer", "a stale answer"] {
        match caller.call(&Cached).await {
            Ok(response) => lab.debug(path, &response),
            Err(error) => lab.unexpected.push(format!("{path}: {error}")),
        }
    }
    let result = caller.call(&Cached).await;
    lab.failed("cache over a missing thing", ErrorKind::NotFound, result);
    let caller = lab.caller("http://service.test", Scripted::new([reply(500, &[])]), no_retry());
    let caller = caller.cache(cache()).build();
    let (one, two) = tokio::join!(caller.call(&Cached), caller.call(&Cached));
    lab.failed("cache over a failing service", ErrorKind::Unavailable, one);
    lab.failed("cache, an equal call", ErrorKind::Unavailable, two);
    let store = Arc::new(KeyKeeper::default());
    let caller = lab.caller("http://service.test", Scripted::new([reply(500, &[])]), no_retry());
    let cache = ReadCache::new(KeyStore(store.clone()), Clock::system(), Duration::ZERO);
    let result = caller.cache(cache).build().call(&Cached).await;
    lab.failed("cache with a store of one's own", ErrorKind::Unavailable, result);
    let key = store.lock().unwrap_or_else(PoisonError::into_inner).take();
    lab.debug("cache key", &key);
}

type KeyKeeper = Mutex<Option<integrations_core::cache::CacheKey>>;

/// A store that keeps nothing but the last key, as one that logs its keys would see it.
struct KeyStore(Arc<KeyKeeper>);

#[async_trait]
impl integrations_core::cache::CacheStore for KeyStore {
    async fn get(&self, key: &integrations_core::cache::CacheKey) -> Option<Bytes> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
        None
    }

    async fn put(&self, _: &integrations_core::cache::CacheKey, _: Bytes, _: Duration) {}
}

fn no_retry() -> integrations_core::pipeline::Policy {
    let mut policy = quick();
    policy.retry.max_attempts = 1;
    policy
}

async fn streams(lab: &mut Lab) {
    let seen = lab.seen.clone();
    let addr = listen(move |stream| echo(stream, seen.clone())).await;
    let transport = shared(lab.transport().resolve("service.test", addr).build());
    let base = "http://service.test".parse().expect("it is an address");
    let caller = lab.caller("http://service.test", transport, quick()).build();
    for last in [200, 404, 500] {
        match caller.stream(&READ, None, Read { last }.request(&base).expect("it is well-formed")).await {
            Ok(response) => lab.debug("a streamed answer", &response),
            Err(error) => lab.failed::<()>(&format!("status {last} of a stream"), None, Err(error)),
        }
    }
    let torn = format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}", canary("answer-body"));
    for (path, addr) in
        [("silent stream", falling_silent(torn.clone()).await), ("torn stream", answering(torn).await)]
    {
        let transport = shared(lab.transport().resolve("service.test", addr).build());
        let caller = lab.caller("http://service.test", transport, quick()).build();
        lab.error_paths += 1;
        let request = Read { last: 200 }.request(&base).expect("it is well-formed");
        let mut body = match caller.stream(&READ, None, request).await {
            Ok(response) => response.body,
            Err(error) => {
                lab.unexpected.push(format!("{path}: {error}"));
                continue;
            }
        };
        while let Some(chunk) = body.chunk().await {
            if let Err(error) = chunk {
                lab.causes(path, &*error);
                break;
            }
        }
    }
}

/// Request bodies that fail, with an error that quotes what it was reading.
async fn uploads(lab: &mut Lab) {
    let seen = lab.seen.clone();
    let addr = listen(move |stream| echo(stream, seen.clone())).await;
    let transport = shared(lab.transport().resolve("service.test", addr).build());
    let caller = lab.caller("http://service.test", transport, quick()).build();
    let base = "http://service.test".parse().expect("it is an address");
    let failing = || BodyStream::new(FailingBody, None);
    for (path, body) in [
        ("body that fails", Body::replay(failing)),
        ("body that fails and exists once", Body::Once(failing())),
    ] {
        let request = addressed(Req::post(&base), "200").body(body).build().expect("it is well-formed");
        let result = caller.exchange(&WRITE, None, request).await;
        lab.failed(path, None, result);
    }
}

struct FailingBody;

impl futures_core::Stream for FailingBody {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let quoting = std::io::Error::other(format!("could not parse `{}`", canary("json-body")));
        Poll::Ready(Some(Err(quoting)))
    }
}

/// Bad settings, and what is said of them.
fn settings(lab: &mut Lab) {
    let secret = canary("malformed-setting");
    let file = std::env::temp_dir().join(format!("integrations-prove-{}", std::process::id()));
    let mut content = canary("secret-file").into_bytes();
    content.push(0xff);
    if let Err(error) = std::fs::write(&file, content) {
        lab.unexpected.push(format!("no temporary file: {error}"));
    }
    let shown = file.display();
    let no_variable = |_: &str| None;
    let resolved = |text: &str| SecretRef::parse(text).and_then(|reference| reference.resolve(&no_variable));
    let pem = |what: &str| format!("-----BEGIN {what}-----\n{secret}\n-----END {what}-----\n");
    let ca = lab.pki.ca_pem();
    let built = |tls: Result<TlsConfig>| tls.and_then(|tls| HttpTransport::builder().tls(tls).build());
    let trusting = || TlsConfig::new().only_given_roots().ca_pem(&ca);
    let base = "http://service.test".parse().expect("it is an address");
    let results: [(&str, Result<()>); 17] = [
        ("reference without an end", resolved(&format!("{secret}${{OPEN")).map(drop)),
        ("reference of no kind", resolved(&format!("${{{secret}}}")).map(drop)),
        ("reference of an unknown kind", resolved(&format!("${{kms:{secret}}}")).map(drop)),
        ("variable that is not set beside a secret", resolved(&format!("{secret}${{UNSET}}")).map(drop)),
        ("vault without a store", resolved("${vault:kv/mail#key}").map(drop)),
        ("file that is not text", resolved(&format!("${{file:{shown}}}")).map(drop)),
        ("file that is missing", resolved(&format!("{secret}${{file:{shown}.missing}}")).map(drop)),
        ("proxy that is no address", Proxy::url(&format!("user:{secret}@proxy")).map(drop)),
        ("proxy of another scheme", Proxy::url(&format!("socks9://user:{secret}@proxy")).map(drop)),
        ("authority that is no PEM", TlsConfig::new().ca_pem(&secret).map(drop)),
        (
            "authority that is no certificate",
            built(TlsConfig::new().only_given_roots().ca_pem(pem("CERTIFICATE"))).map(drop),
        ),
        ("client key that is no PEM", trusting().and_then(|t| t.client_identity_pem(&ca, &secret)).map(drop)),
        (
            "client key that is no key",
            built(trusting().and_then(|t| t.client_identity_pem(&ca, pem("PRIVATE KEY")))).map(drop),
        ),
        (
            "client key of another certificate",
            built(trusting().and_then(|t| t.client_identity_pem(&ca, lab.pki.client_key.serialize_pem())))
                .map(drop),
        ),
        (
            "user agent with a line end",
            HttpTransport::builder().user_agent(format!("{secret}\n")).build().map(drop),
        ),
        (
            "header with a line end",
            Req::get(&base)
                .header(http::header::AUTHORIZATION, Some(format!("{secret}\n")))
                .build()
                .map(drop),
        ),
        ("idempotency key with a space", IdempotencyKey::new(&format!("{secret} ")).map(drop)),
    ];
    for (path, result) in results {
        lab.failed(path, None, result);
    }
    let _ = std::fs::remove_file(&file);
    for text in [format!("[\"{secret}\"]"), format!("{{\"{secret}\":1}}"), format!("\"{secret}")] {
        lab.error_paths += 1;
        match serde_json::from_str::<SecretString>(&text) {
            Ok(_) => lab.unexpected.push("a secret that is no text was read".to_owned()),
            Err(error) => lab.causes("secret of another type", &error),
        }
    }
    let entry = OpEntry::of::<Read>();
    for fields in
        [serde_json::json!({ "last": secret }), serde_json::json!({ "last": { secret.as_str(): 1 } })]
    {
        let request = (entry.request)(&fields, &base);
        lab.failed("argument of another type", ErrorKind::InvalidRequest, request);
    }
    let cursor: Result<page::Cursor> = secret.parse();
    lab.failed("malformed cursor", ErrorKind::InvalidRequest, cursor);
}

/// The `Debug` of everything that holds a secret.
fn holders(lab: &mut Lab) {
    let base = "http://service.test".parse().expect("it is an address");
    let text = SecretString::from(canary("secret").as_str());
    lab.debug("Secret of text", &text);
    lab.debug("Secret of bytes", &Secret::new(canary("secret").into_bytes()));
    lab.debug("inline SecretRef", &SecretRef::parse(&canary("inline-reference")));
    lab.debug("joined SecretRef", &SecretRef::parse(&format!("{}${{NAME}}", canary("inline-reference"))));
    let variable = SecretRef::parse("${NAME}").and_then(|r| r.resolve(&|_| Some(canary("variable"))));
    lab.debug("resolved SecretRef", &variable);
    lab.debug("TlsConfig", &lab.tls());
    lab.debug("ClientIdentity", &lab.tls().identity());
    lab.debug("Proxy", &proxy(([127, 0, 0, 1], 1).into()));
    lab.debug("transport settings", &lab.transport().proxy(proxy(([127, 0, 0, 1], 1).into())));
    lab.debug("transport", &lab.transport().build());
    lab.debug("Req", &addressed(Req::post(&base), "200").body(canary("json-body")));
    lab.debug("Body", &Body::from(canary("json-body")));
    lab.debug("BodyStream", &Body::from(canary("json-body")).into_stream());
    lab.debug("Payload", &Payload::from(Bytes::from(canary("answer-body"))));
    let exchange = Exchange::new(&READ, 1, Duration::from_secs(1));
    lab.debug("Exchange", &exchange);
    let scope = page::Scope::new(&READ, &canary("query"));
    let cursor = scope.map(|scope| scope.cursor(format!("/next?key={}", canary("query"))));
    lab.debug("Cursor", &cursor);
}

/// Tasks that panic while they hold secrets.
async fn panics(lab: &mut Lab) {
    let secret = SecretString::from(canary("secret").as_str());
    let failed = lab.caller("http://service.test", Scripted::new([reply(500, &[])]), no_retry());
    let failed = failed.build().call(&Read { last: 500 }).await.map(drop);
    let held = (secret.clone(), lab.tls(), failed.clone());
    let tasks = [
        tokio::spawn(async move { panic!("something else: {held:?}") }),
        tokio::spawn(async move { failed.expect("it works") }),
        tokio::spawn(async move { Some(Err::<(), _>(secret)).transpose().map(drop).expect("it works") }),
    ];
    for task in tasks {
        lab.error_paths += 1;
        let Err(error) = task.await else {
            lab.unexpected.push("a task did not panic".to_owned());
            continue;
        };
        lab.causes("a panic", &error);
        let payload = error.into_panic();
        let message = payload.downcast_ref::<String>().map_or("", String::as_str);
        lab.display("the payload of a panic", &message);
    }
}

fn shared(transport: Result<HttpTransport>) -> Arc<dyn Transport> {
    Arc::new(transport.expect("the settings are right"))
}

type Reply = Box<dyn Fn() -> Result<Response<Payload>, TransportError> + Send + Sync>;

/// Answers one after the other, the last one for ever.
struct Scripted(Mutex<VecDeque<Reply>>);

impl Scripted {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(replies.into_iter().collect())))
    }
}

#[async_trait]
impl Transport for Scripted {
    async fn send(&self, _: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        let mut replies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = if replies.len() > 1 { replies.pop_front() } else { None };
        last.as_ref().or(replies.front()).expect("a script has a reply")()
    }
}

fn reply(status: u16, headers: &[(&str, &str)]) -> Reply {
    let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    Box::new(move || {
        let mut response = Response::builder().status(status);
        for (name, value) in &headers {
            response = response.header(name, value);
        }
        let body = Payload::Whole(Bytes::from(canary("answer-body")));
        Ok(response.body(body).expect("the headers are well-formed"))
    })
}

fn failing(failure: TransportFailure, sent: bool) -> Reply {
    Box::new(move || Err(TransportError::new(failure, sent, "scripted")))
}
