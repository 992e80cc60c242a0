//! The fakes over real sockets, asked by a client that knows as little HTTP as it can.

use std::io;
use std::time::Duration;

use integrations_sandbox::{Answer, Call, Fake, Fault, Known, Plan, Sandbox, Server, Trouble, Vendor, World};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A vendor that answers with what it was asked, and writes down what was posted.
const ECHO: Fake = Fake::new("echo", "demo", |_| Box::new(Echo));
const OTHER: Fake = Fake::new("other", "demo", |_| Box::new(Echo));

struct Echo;

impl Vendor for Echo {
    fn answer(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        if call.method == "POST" {
            world.ledger.added("post", String::from_utf8_lossy(call.body));
        }
        Answer::json(200, &json!({ "path": call.path, "query": call.query }))
    }

    fn word(&self, trouble: Trouble) -> Option<Answer> {
        matches!(trouble, Trouble::RateLimited(_)).then(|| Answer::empty(429))
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn known(&self) -> Known {
        Known::new()
    }
}

struct Client(TcpStream);

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Client {
    async fn to(server: &Server) -> Self {
        Self(TcpStream::connect(server.address()).await.unwrap())
    }

    async fn send(&mut self, line: &str, body: &str) {
        let length = body.len();
        let request = format!("{line} HTTP/1.1\r\nhost: here\r\ncontent-length: {length}\r\n\r\n{body}");
        self.0.write_all(request.as_bytes()).await.unwrap();
    }

    /// The next answer, or `None` where the connection was closed instead.
    async fn reply(&mut self) -> Option<Reply> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.byte().await?);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let length = header("content-length:").unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        let status = head[9..12].parse().unwrap();
        Some(Reply { status, body: String::from_utf8_lossy(&body).into_owned(), head })
    }

    async fn byte(&mut self) -> Option<u8> {
        match self.0.read_u8().await {
            Ok(byte) => Some(byte),
            Err(e) if [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset].contains(&e.kind()) => {
                None
            }
            Err(e) => panic!("{e}"),
        }
    }

    async fn ask(&mut self, line: &str, body: &str) -> Option<Reply> {
        self.send(line, body).await;
        self.reply().await
    }
}

async fn serve(faults: impl IntoIterator<Item = Fault>) -> (Sandbox, Server) {
    let sandbox = Sandbox::new(&ECHO, 0);
    sandbox.plan(Plan::script(faults.into_iter().map(Some)));
    let server = Server::start([sandbox.clone()], "127.0.0.1:0".parse().unwrap()).await.unwrap();
    (sandbox, server)
}

#[tokio::test]
async fn several_vendors_answer_on_one_connection_that_is_kept() {
    let (echo, other) = (Sandbox::new(&ECHO, 0), Sandbox::new(&OTHER, 0));
    let server = Server::start([echo.clone(), other.clone()], "[::1]:0".parse().unwrap()).await.unwrap();
    let mut client = Client::to(&server).await;
    for (line, path) in [
        ("GET /echo/a%2Fb/c?q=1%202&q=3", r#"{"path":["a/b","c"],"query":[["q","1 2"],["q","3"]]}"#),
        ("GET /other/", r#"{"path":[""],"query":[]}"#),
        ("GET /echo", r#"{"path":[""],"query":[]}"#),
        ("GET /echo?a=b", r#"{"path":[""],"query":[["a","b"]]}"#),
    ] {
        let reply = client.ask(line, "").await.unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (200, path), "{line}");
    }
    assert_eq!(client.ask("GET /nobody/a", "").await.unwrap().status, 404);
    assert_eq!((echo.requests(), other.requests()), (3, 1));
    assert_eq!(server.base("echo").to_string(), format!("http://{}/echo", server.address()));
    server.shutdown().await;
}

/// RFC 9112 section 3.2: a proxy's client names the whole address; the server's root is asked for by its bare name too.
#[tokio::test]
async fn unusual_targets_find_their_vendor_or_nobody() {
    let (echo, server) = serve([]).await;
    for (line, status, path) in [
        ("GET http://echo.example/echo/a?b=c", 200, r#"{"path":["a"],"query":[["b","c"]]}"#),
        ("GET /echo//a", 200, r#"{"path":["","a"],"query":[]}"#),
        ("GET //echo/a", 404, ""),
        ("GET /echoes/a", 404, ""),
        ("GET /ECHO/a", 404, ""),
        ("GET /", 404, ""),
        ("OPTIONS *", 404, ""),
    ] {
        let reply = Client::to(&server).await.ask(line, "").await.unwrap();
        assert_eq!(reply.status, status, "{line}");
        assert!(path.is_empty() || reply.body == path, "{line}: {}", reply.body);
    }
    assert_eq!(echo.requests(), 2);
}

#[tokio::test]
async fn a_head_has_the_head_alone_and_the_connection_goes_on() {
    let (_, server) = serve([]).await;
    let mut client = Client::to(&server).await;
    client.send("HEAD /echo/a", "").await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.byte().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    assert_eq!(client.ask("GET /echo/a", "").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_body_in_chunks_is_put_together_and_one_that_breaks_off_is_not_acted_on() {
    let (sandbox, server) = serve([]).await;
    let mut client = Client::to(&server).await;
    let head = "POST /echo/ HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n";
    for part in [head, "2;x=y\r\nab\r\n", "1\r\nc\r\n0\r\n\r\n"] {
        client.0.write_all(part.as_bytes()).await.unwrap();
    }
    assert_eq!(client.reply().await.unwrap().status, 200);
    assert_eq!(sandbox.ledger().changes()[0].subject, "abc");
    for broken in ["zz\r\n", "2\r\nabc\r\n"] {
        let mut client = Client::to(&server).await;
        client.0.write_all(format!("{head}{broken}").as_bytes()).await.unwrap();
        // It is refused or closed.
        assert!(client.reply().await.is_none_or(|reply| reply.status == 400), "{broken:?}");
    }
    assert_eq!(sandbox.requests(), 1);
}

#[tokio::test]
async fn headers_without_end_are_refused_and_large_ones_are_not() {
    let (sandbox, server) = serve([]).await;
    let ask = async |length: usize| {
        let mut client = Client::to(&server).await;
        let value = "a".repeat(length);
        let request = format!("GET /echo/ HTTP/1.1\r\nhost: here\r\nx-large: {value}\r\n\r\n");
        // The server may close while this is still being sent.
        let _ = client.0.write_all(request.as_bytes()).await;
        client.reply().await.map(|reply| reply.status)
    };
    assert_eq!(ask(100_000).await, Some(200));
    assert!(matches!(ask(2_000_000).await, None | Some(431)));
    assert_eq!(sandbox.requests(), 1);
}

#[tokio::test]
async fn one_vendor_answers_at_the_root() {
    let server = Server::one(Sandbox::new(&ECHO, 0), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let reply = Client::to(&server).await.ask("GET /echo/a", "").await.unwrap();
    assert_eq!(reply.body, r#"{"path":["echo","a"],"query":[]}"#);
    assert_eq!(server.base("echo").to_string(), format!("http://{}/", server.address()));
}

#[tokio::test]
async fn answers_have_one_date_and_it_is_the_vendors() {
    let (_, server) = serve([Fault::ClockSkew(3_600)]).await;
    let reply = Client::to(&server).await.ask("GET /echo/", "").await.unwrap();
    let dates: Vec<_> = reply.head.lines().filter_map(|line| line.strip_prefix("date: ")).collect();
    assert_eq!(dates.len(), 1);
    assert!(dates[0].starts_with("mon, 02 mar 2026 13:00:0"), "{dates:?}");
}

#[tokio::test]
async fn a_reset_closes_the_socket_before_or_after_the_vendor_has_acted() {
    let cases = [(Fault::Refused, 0), (Fault::ResetBefore, 0), (Fault::ResetAfter, 1)];
    for (fault, changes) in cases {
        let (sandbox, server) = serve([fault]).await;
        let mut client = Client::to(&server).await;
        assert!(client.ask("POST /echo/", "a").await.is_none(), "{fault:?}");
        assert_eq!(sandbox.ledger().changes().len(), changes, "{fault:?}");
        let next = Client::to(&server).await.ask("POST /echo/", "b").await;
        assert_eq!(next.unwrap().status, 200);
        assert_eq!(sandbox.faults()[fault.kind()], 1);
    }
}

#[tokio::test]
async fn spoilt_answers_are_whole_http() {
    let delay = integrations_sandbox::DelayForm::Seconds;
    let limited = Fault::RateLimited(Duration::from_secs(7), delay);
    let (_, server) = serve([Fault::Truncated, Fault::WrongShape, Fault::ProxyPage, limited]).await;
    let mut client = Client::to(&server).await;
    let mut ask = async || client.ask("GET /echo/", "").await.unwrap();
    assert_eq!(ask().await.body, r#"{"path":[""]"#);
    assert!(!ask().await.body.starts_with('{'));
    let page = ask().await;
    assert!(page.status == 502 && page.body.contains("<html>"));
    let limited = ask().await;
    assert!(limited.status == 429 && limited.head.contains("\r\nretry-after: 7\r\n"), "{}", limited.head);
    assert_eq!(ask().await.status, 200);
}

#[tokio::test]
async fn faults_in_a_row_at_one_address_count_as_attempts() {
    let (sandbox, server) = serve([Fault::ResetAfter, Fault::ProxyPage]).await;
    for line in ["GET /echo/a", "GET /echo/a", "GET /echo/b", "GET /echo/a", "GET /echo/a", "PUT /echo/a"] {
        Client::to(&server).await.ask(line, "").await;
    }
    let seen: Vec<_> = sandbox.exchanges().iter().map(|seen| (seen.op, seen.attempt)).collect();
    assert_eq!(seen, [("get", 1), ("get", 2), ("get", 1), ("get", 3), ("get", 1), ("put", 1)]);
}

/// Until the vendor has been asked.
async fn asked(sandbox: &Sandbox, requests: u64) {
    while sandbox.requests() < requests {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_takes_its_time() {
    let time = Duration::from_secs(5);
    let (_, server) = serve([Fault::Latency(time)]).await;
    let from = tokio::time::Instant::now();
    assert_eq!(Client::to(&server).await.ask("GET /echo/", "").await.unwrap().status, 200);
    assert!(from.elapsed() >= time);
}

#[tokio::test]
async fn a_stop_closes_what_a_fault_holds() {
    let cases =
        [(Fault::HangBefore, 0), (Fault::HangAfter, 1), (Fault::Latency(Duration::from_secs(3_600)), 1)];
    for (fault, changes) in cases {
        let (sandbox, server) = serve([fault]).await;
        let mut client = Client::to(&server).await;
        client.send("POST /echo/", "a").await;
        asked(&sandbox, 1).await;
        server.shutdown().await;
        assert!(client.reply().await.is_none(), "{fault:?}");
        assert_eq!(sandbox.ledger().changes().len(), changes, "{fault:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_hang_harms_nobody() {
    let (sandbox, server) = serve([Fault::HangAfter]).await;
    let mut client = Client::to(&server).await;
    client.send("POST /echo/", "a").await;
    asked(&sandbox, 1).await;
    drop(client);
    assert_eq!(Client::to(&server).await.ask("GET /echo/", "").await.unwrap().status, 200);
}

#[tokio::test]
async fn after_the_end_idle_connections_are_closed_and_new_ones_refused() {
    for waits in [true, false] {
        let (_, server) = serve([]).await;
        let address = server.address();
        let mut client = Client::to(&server).await;
        assert_eq!(client.ask("GET /echo/", "").await.unwrap().status, 200);
        if waits {
            server.shutdown().await;
        } else {
            drop(server);
        }
        assert!(client.reply().await.is_none());
        if waits {
            let refused = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_ends_its_request_does_not_hold_the_end() {
    let (_, server) = serve([]).await;
    let mut halves = Vec::new();
    for half in
        ["GET /echo/ HTTP/1.1\r\nhost:", "POST /echo/ HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nab"]
    {
        let mut client = Client::to(&server).await;
        client.0.write_all(half.as_bytes()).await.unwrap();
        halves.push(client);
    }
    assert_eq!(Client::to(&server).await.ask("GET /echo/", "").await.unwrap().status, 200);
    server.shutdown().await;
    for client in &mut halves {
        assert!(client.reply().await.is_none());
    }
}

#[tokio::test]
async fn only_this_machine_is_served() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let error = Server::start([], address.parse().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{address}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_unread() {
    let (sandbox, server) = serve([]).await;
    let mut client = Client::to(&server).await;
    let request = "POST /echo/ HTTP/1.1\r\nhost: here\r\ncontent-length: 16777217\r\n\r\n";
    client.0.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(client.reply().await.unwrap().status, 413);
    assert_eq!(sandbox.requests(), 0);
}

#[tokio::test]
async fn many_clients_are_served_side_by_side() {
    let (sandbox, server) = serve([]).await;
    let mut clients = Vec::new();
    for number in 0..40 {
        let mut client = Client::to(&server).await;
        client.send("POST /echo/", &number.to_string()).await;
        clients.push(client);
    }
    for client in &mut clients {
        assert_eq!(client.reply().await.unwrap().status, 200);
    }
    assert_eq!(sandbox.ledger().changes().len(), 40);
    assert!(sandbox.ledger().repeated().is_empty());
}
