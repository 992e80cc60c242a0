//! `jwt`: what it costs to verify a signed token and to check what it says.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use integrations_core::jose::{Algorithm, Jws, KeySet, SigningKey};
use jiff::Timestamp;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Map, Value, json};

use crate::contestant::{BoxError, Contestant};
use crate::machine::Machine;
use crate::measure::{Bench, Plan, quantile};
use crate::service::{Request, Response};
use crate::workers::Workers;

const ISSUER: &str = "https://issuer.example";
const CLIENT: &str = "client-of-usual-length";
const LEEWAY: Duration = Duration::from_secs(60);
/// Keys that an issuer publishes besides the one that signed, as while it changes them.
const OTHERS: usize = 2;

struct Ours {
    token: String, // tidy: not a secret, the benchmark made it
    keys: KeySet,
    algorithm: Algorithm,
}

/// `jsonwebtoken`, handed the right key, asked for the same claims.
struct Raw {
    token: String, // tidy: not a secret, the benchmark made it
    key: DecodingKey,
    validation: Validation,
}

impl Contestant for Ours {
    async fn call(&self, _: usize, call: Request) -> Result<Response, BoxError> {
        let claims = Jws::parse(&self.token)?.verify(&self.keys, &[self.algorithm])?;
        claims.expect("iss", ISSUER)?;
        claims.expect_audience(CLIENT)?;
        claims.expect_now(Timestamp::now(), LEEWAY)?;
        claims.need("sub")?;
        Ok(Response { key: call.key })
    }
}

impl Contestant for Raw {
    async fn call(&self, _: usize, call: Request) -> Result<Response, BoxError> {
        jsonwebtoken::decode::<Map<String, Value>>(&self.token, &self.key, &self.validation)?;
        Ok(Response { key: call.key })
    }
}

/// An ID token as Google's are, a little shortened.
fn claims() -> Map<String, Value> {
    let now = Timestamp::now().as_second();
    let claims = json!({
        "iss": ISSUER, "azp": CLIENT, "aud": CLIENT, "sub": "110169484474386276334",
        "email": "janedoe@example.com", "email_verified": true, "at_hash": "77QmUPtjPfzWtF2AnpK9RQ",
        "nonce": "43-characters-of-random-text-in-base64url-xx", "name": "Jane Doe", "given_name": "Jane",
        "family_name": "Doe", "picture": "https://lh3.example.com/a/photo=s96-c", "iat": now, "exp": now + 86_400,
    });
    claims.as_object().cloned().unwrap_or_default()
}

/// Both for one algorithm.
fn pair(algorithm: Algorithm) -> Result<[Arc<dyn Bench>; 2], BoxError> {
    let key = SigningKey::generate(algorithm)?;
    let token = key.sign("JWT", &claims())?.expose().clone();
    let mut jwks = vec![key.public_jwk()?];
    for _ in 0..OTHERS {
        jwks.insert(0, SigningKey::generate(algorithm)?.public_jwk()?);
    }
    let keys = KeySet::from_jwks(json!({ "keys": jwks }).to_string().as_bytes())?;

    let mut validation = Validation::new(algorithm.as_str().parse()?);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[CLIENT]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    let own = DecodingKey::from_jwk(&serde_json::from_value(key.public_jwk()?)?)?;
    let raw = Raw { token: token.clone(), key: own, validation };
    Ok([Arc::new(Ours { token, keys, algorithm }), Arc::new(raw)])
}

/// Medians of both, in nanoseconds, taken by turns. Of single calls: against them a reading of the clock is nothing, and in
/// a batch of so long ones something else has always run on the core.
fn measured(both: &[Arc<dyn Bench>; 2], workers: &Workers, plan: Plan) -> Result<[f64; 2], BoxError> {
    let mut rounds = [Vec::new(), Vec::new()];
    for round in 0..plan.rounds as usize {
        for step in 0..2 {
            // Nobody always follows the same neighbour.
            let which = (round + step) % 2;
            rounds[which].push(Arc::clone(&both[which]).round(workers, 1, 1, plan)?.p50);
        }
    }
    Ok(rounds.map(|mut rounds| quantile(&mut rounds, 0.5)))
}

/// Measures and prints.
pub(crate) fn run(plan: Plan, as_json: bool, out: &mut impl Write) -> Result<(), BoxError> {
    let workers = Workers::start()?;
    let mut found = Vec::new();
    writeln!(
        out,
        "Verifying one token and its claims, medians of {} rounds in ns; allocations.",
        plan.rounds
    )?;
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let both = pair(algorithm)?;
        let [ours, raw] = measured(&both, &workers, plan)?;
        let [ours_allocs, raw_allocs] =
            [Arc::clone(&both[0]).allocations(&workers)?, Arc::clone(&both[1]).allocations(&workers)?];
        let (name, ratio) = (algorithm.as_str(), raw / ours);
        writeln!(
            out,
            "{name}: ours {ours:.0} ({ours_allocs:.1} allocations), jsonwebtoken {raw:.0} ({raw_allocs:.1}); \
             {ratio:.2} times its speed"
        )?;
        found.push(json!({
            "algorithm": name, "ours_ns": ours.round(), "ours_allocs": ours_allocs,
            "jsonwebtoken_ns": raw.round(), "jsonwebtoken_allocs": raw_allocs, "speed": ratio,
        }));
    }
    if as_json {
        writeln!(
            out,
            "{}",
            json!({ "bench": "jwt", "algorithms": Value::from(found), "machine": Machine::this() })
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_verify_every_algorithm() {
        let workers = Workers::start().unwrap();
        for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
            let both = pair(algorithm).unwrap();
            for contestant in both {
                assert!(contestant.allocations(&workers).unwrap() > 1.0);
            }
        }
    }
}
