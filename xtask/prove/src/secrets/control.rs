//! The same services and the same secrets with reqwest as it is commonly used: errors displayed, the answer quoted,
//! a token that derives `Debug`.

use std::net::SocketAddr;
use std::time::Duration;

use super::lab::Lab;
use super::search::{Haul, canary};
use super::servers::{answering, echo, listen, nobody, resetting, response};
use super::troubles::REFUSALS;

#[derive(Debug, Clone)]
struct Token(#[expect(dead_code, reason = "read by Debug alone, which is the point")] String);

/// Goes a few of the ways that ours went.
pub(crate) async fn all(lab: &Lab, haul: &mut Haul) {
    let seen = lab.seen.clone();
    let echoing = listen(move |stream| echo(stream, seen.clone())).await;
    let secret = canary("answer-body");
    let undecodable = answering(response("200 OK", "", format!(r#""{secret}""#).as_bytes())).await;
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(400)).build();
    let client = client.expect("the system gives a client what it needs");
    let mut services = vec![
        ("refused connection".to_owned(), nobody().await, 200),
        ("reset".to_owned(), resetting(true).await, 200),
        ("undecodable answer".to_owned(), undecodable, 200),
    ];
    services.extend(REFUSALS.map(|status| (format!("status {status}"), echoing, status)));
    for (path, addr, last) in services {
        if let Err(error) = call(&client, addr, last).await {
            tracing::warn!("call failed: {error}");
            haul.add(format!("Display of {path}"), error.to_string());
            haul.add(format!("Debug of {path}"), format!("{error:?}"));
        }
    }
    let token = Token(canary("bearer"));
    tracing::debug!(?token, "calling");
    haul.add("Debug of a token", format!("{token:?}"));
    let task: tokio::task::JoinHandle<()> = tokio::spawn(async move { panic!("something else: {token:?}") });
    if let Err(error) = task.await {
        haul.add("a panic", format!("{error:?}"));
    }
}

async fn call(
    client: &reqwest::Client,
    addr: SocketAddr,
    last: u16,
) -> Result<u32, Box<dyn std::error::Error>> {
    let url = format!("http://{addr}/bot{}/{last}?key={}", canary("path"), canary("query"));
    let request = client.get(url).bearer_auth(canary("bearer")).header("x-api-key", canary("header"));
    let response = request.send().await?;
    let status = response.status();
    let body = response.text().await?;
    if !status.is_success() {
        return Err(format!("{status}: {body}").into());
    }
    Ok(serde_json::from_str(&body)?)
}
