//! `secrets`: everything that can go wrong goes wrong while every credential slot holds a canary, and all that is
//! printed on the way is searched for the canaries.
//!
//! Calls go through `Caller`, `Pipeline` and `HttpTransport` to services on this machine that tell back what they
//! were told, or break; some through a transport in memory. Sign-in and users live over stores that break. Printed are: what anybody logs at any level (our
//! crates, reqwest, hyper-util, h2, rustls), all fields of spans, every rendering of every error with all of its
//! causes, the `Debug` of what holds secrets, metrics, and the messages of panics. The control does the same with
//! reqwest as it is commonly used.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::report::Report;
use capture::Capture;
use lab::Lab;
use search::{Haul, Needle};

mod capture;
mod control;
mod lab;
mod provider;
mod search;
mod servers;
mod troubles;
mod users;
mod vault;

/// The slots whose canary goes to a service; each has to arrive there, or nothing was proved.
const SENT: [&str; 10] = [
    "bearer",
    "basic",
    "header",
    "query",
    "path",
    "json-body",
    "form-body",
    "idempotency-key",
    "cookie",
    "proxy-password",
];
/// The slots that a service answers with.
const ANSWERED: [&str; 4] = ["answer-body", "set-cookie", "location", "status-line"];
/// The slots that stay here.
const KEPT: [&str; 6] =
    ["secret", "inline-reference", "variable", "secret-file", "userinfo", "malformed-setting"];
/// Who must have been heard, or the silence of the others would prove nothing.
const HEARD: [&str; 6] = ["integrations_auth", "integrations_core", "reqwest", "hyper_util", "h2", "rustls"];

/// Runs the proof.
pub(crate) fn prove() -> Report {
    let capture = Capture::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system gives a runtime its event queue");
    let (mut lab, mut naive) = (Lab::new(), Haul::default());
    runtime.block_on(troubles::all(&mut lab));
    let mut unsearched = runtime.block_on(vault::all(&mut lab));
    unsearched.extend(runtime.block_on(users::all(&mut lab)));
    let needles = needles(&lab);
    let targets = overhear(&capture, &mut lab.haul);
    let hits = lab.haul.search(&needles);
    runtime.block_on(control::all(&lab, &mut naive));
    if let Err(error) = runtime.block_on(vault::naive(&mut naive)) {
        lab.unexpected.push(format!("the store without encryption: {error}"));
    }
    if let Err(error) = runtime.block_on(users::naive(&lab.drawn, &mut naive)) {
        lab.unexpected.push(format!("the users without encryption: {error}"));
    }
    overhear(&capture, &mut naive);
    let naive_hits = naive.search(&needles);

    let mut faults = lab.unexpected.clone();
    let seen = lab.seen.text();
    let seen_without_space: String = seen.split_whitespace().collect();
    let absent = |slot: &&&str| !Needle::of_slot(slot).is_in(&seen, &seen_without_space);
    for table in [vault::UNENCRYPTED, users::UNENCRYPTED] {
        if !naive_hits.keys().any(|(_, place)| place == table) {
            faults.push(format!("nothing was found in {table}"));
        }
    }
    let sent = || SENT.iter().chain(&vault::SENT).chain(&users::SENT);
    let missing = |slot: &&&str| !needles.iter().any(|needle| needle.slot == ***slot);
    faults.extend(users::DRAWN.iter().filter(missing).map(|slot| format!("no `{slot}` was drawn")));
    faults.extend(sent().filter(absent).map(|slot| format!("the canary of `{slot}` reached no service")));
    let silent = |target: &&&str| !targets.iter().any(|heard| heard.starts_with(**target));
    faults.extend(HEARD.iter().filter(silent).map(|target| format!("nothing was heard from `{target}`")));

    Report {
        proof: "secrets",
        pass: hits.is_empty() && faults.is_empty() && !naive_hits.is_empty(),
        story: story(&lab, (&needles, &unsearched), &hits, &faults, &naive_hits),
        injected: json!({
            "slots": needles.iter().map(|needle| &needle.slot).collect::<std::collections::BTreeSet<_>>(),
            "secrets": needles.len(),
            "spellings": ["text", "either half", "percent", "base64 at any offset", "hex", "list of bytes"],
            "logs_of": HEARD,
        }),
        ours: json!({
            "hits": hits.values().sum::<usize>(),
            "where": listed(&hits),
            "error_paths": lab.error_paths,
            "places_searched": lab.haul.places(),
            "bytes_searched": lab.haul.bytes(),
            "not_searched": unsearched,
            "faults_of_the_proof": faults,
        }),
        control: json!({
            "hits": naive_hits.values().sum::<usize>(),
            "where": listed(&naive_hits),
            "places_searched": naive.places(),
            "bytes_searched": naive.bytes(),
        }),
    }
}

fn needles(lab: &Lab) -> Vec<Needle> {
    let slots = SENT.iter().chain(&ANSWERED).chain(&KEPT);
    let slots = slots.chain(&vault::SENT).chain(&vault::ANSWERED).chain(&vault::KEPT);
    let slots = slots.chain(&users::SENT).chain(&users::ANSWERED).chain(&users::KEPT);
    let mut needles: Vec<_> = slots.map(|slot| Needle::of_slot(slot)).collect();
    let key = lab.pki.client_key.serialize_pem();
    let lines = key.lines().filter(|line| !line.starts_with('-'));
    needles.extend(lines.map(|line| Needle::new("client-key", line)));
    let drawn: std::collections::BTreeSet<_> = lab.drawn.iter().collect();
    needles.extend(drawn.into_iter().map(|(slot, secret)| Needle::new(slot, secret)));
    needles
}

/// Adds what was logged; gives the targets it came from.
fn overhear(capture: &Capture, haul: &mut Haul) -> Vec<String> {
    let lines = capture.take();
    let mut targets: Vec<_> = lines.iter().map(|(target, _)| target.clone()).collect();
    targets.sort();
    targets.dedup();
    for (target, line) in lines {
        haul.add(format!("log of {target}"), line);
    }
    targets
}

type Hits = BTreeMap<(String, String), usize>;

/// At most ten finds, because a control has hundreds.
fn listed(hits: &Hits) -> Value {
    hits.iter()
        .take(10)
        .map(|((slot, place), count)| json!({ "slot": slot, "place": place, "times": count }))
        .collect()
}

fn story(
    lab: &Lab,
    (needles, unsearched): (&[Needle], &[String]),
    hits: &Hits,
    faults: &[String],
    naive: &Hits,
) -> Vec<String> {
    let slots: std::collections::BTreeSet<_> = needles.iter().map(|needle| &needle.slot).collect();
    let mut story = vec![
        format!(
            "Injected: {} secrets in {} credential slots, {} ways to fail.",
            needles.len(),
            slots.len(),
            lab.error_paths,
        ),
        format!(
            "Ours: {} finds in {} places ({} bytes) of logs at TRACE, errors, spans, metrics, panics and the files \
             of SQLite, PostgreSQL and Redis.",
            hits.values().sum::<usize>(),
            lab.haul.places(),
            lab.haul.bytes(),
        ),
    ];
    story.extend(hits.keys().map(|(slot, place)| format!("  found `{slot}` in {place}")));
    story.extend(unsearched.iter().map(|what| format!("  not searched: {what}")));
    story.extend(faults.iter().map(|fault| format!("  the proof itself failed: {fault}")));
    story.push(format!(
        "Control: reqwest with its errors displayed, the answer quoted and a token that derives Debug: {} finds.",
        naive.values().sum::<usize>(),
    ));
    story
}
