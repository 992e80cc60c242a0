//! `keys`: an issuer rotates its keys under load, and strangers invent key ids; nobody is locked out, and nobody makes us
//! ask the issuer.
//!
//! In virtual time. An issuer takes 50 ms to answer. It replaces its signing key five times, without notice, while 5,000
//! tokens per second are verified. Then a million tokens with invented key ids come within ten minutes beside honest ones,
//! with one more rotation amid them. The controls are two caches as they are commonly written: one that fetches at the
//! start, and one that fetches whenever a key is not known.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response};
use integrations_auth::JwksCache;
use integrations_auth::jose::{Algorithm, Claims, Jws, KeySet, SigningKey};
use integrations_core::{Body, Clock, Exchange, Payload, SecretString, Transport, TransportError};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::report::Report;

const ADDRESS: &str = "https://issuer.test/jwks";
const ANSWERS_IN: Duration = Duration::from_millis(50);
const ALLOWED: &[Algorithm] = &[Algorithm::EdDsa];
const COOL_DOWN: Duration = Duration::from_secs(60);

const TICK: Duration = Duration::from_millis(10);
const PER_SECOND: u64 = 5_000;
const ROTATIONS: u64 = 5;
const BETWEEN_ROTATIONS: Duration = Duration::from_secs(4);

const INVENTED: u64 = 1_000_000;
const ATTACK: Duration = Duration::from_secs(600);
/// Honest tokens per tick amid the attack.
const HONEST: u64 = 2;

/// An issuer in memory.
struct Issuer {
    keys: Mutex<Vec<SigningKey>>,
    fetches: AtomicU64,
}

impl Issuer {
    fn new() -> Arc<Self> {
        let issuer = Self { keys: Mutex::default(), fetches: AtomicU64::new(0) };
        issuer.rotate();
        Arc::new(issuer)
    }

    /// The new key signs at once; the one before stays published, and older ones do not.
    fn rotate(&self) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(0, SigningKey::generate(Algorithm::EdDsa).expect("the system gives random bytes"));
        keys.truncate(2);
    }

    fn token(&self) -> SecretString {
        let mut claims = Map::new();
        claims.insert("sub".into(), "ada".into());
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys[0].sign("JWT", &claims).expect("the key was just made")
    }

    fn set(&self) -> Value {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let public: Vec<Value> = keys.iter().filter_map(|key| key.public_jwk().ok()).collect();
        json!({ "keys": public })
    }

    fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::Relaxed)
    }

    async fn answer(&self) -> Vec<u8> {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(ANSWERS_IN).await;
        self.set().to_string().into_bytes()
    }
}

#[derive(Clone)]
struct Wire(Arc<Issuer>);

#[async_trait]
impl Transport for Wire {
    async fn send(&self, _: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        Ok(Response::new(Payload::Whole(self.0.answer().await.into())))
    }
}

/// Whoever verifies tokens of the issuer.
#[derive(Clone)]
enum Verifier {
    Ours(Arc<JwksCache>),
    /// Fetches at the start and never again.
    Once(Arc<KeySet>),
    /// Fetches whenever a key is not known.
    Always(Arc<Issuer>, Arc<Mutex<Arc<KeySet>>>),
}

impl Verifier {
    async fn all(issuer: &Arc<Issuer>) -> [(&'static str, Self); 3] {
        let first = KeySet::from_jwks(&issuer.answer().await).expect("the issuer publishes a set");
        let ours = JwksCache::builder(ADDRESS, Arc::new(Wire(issuer.clone())))
            .clock(Clock::virtual_from(Timestamp::UNIX_EPOCH))
            .cool_down(COOL_DOWN)
            .build();
        let first = Arc::new(first);
        [
            ("ours", Self::Ours(Arc::new(ours.expect("the address is right")))),
            ("fetches once", Self::Once(first.clone())),
            ("fetches always", Self::Always(issuer.clone(), Arc::new(Mutex::new(first)))),
        ]
    }

    async fn accepts(&self, token: &str) -> bool {
        let Ok(jws) = Jws::parse(token) else { return false };
        match self {
            Self::Ours(cache) => is_good(cache.verify(&jws, ALLOWED).await.ok()),
            Self::Once(keys) => is_good(jws.verify(keys, ALLOWED).ok()),
            Self::Always(issuer, kept) => {
                let keys = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Ok(claims) = jws.verify(&keys, ALLOWED) {
                    return is_good(Some(claims));
                }
                let Ok(fetched) = KeySet::from_jwks(&issuer.answer().await) else { return false };
                let fetched = Arc::new(fetched);
                *kept.lock().unwrap_or_else(PoisonError::into_inner) = fetched.clone();
                is_good(jws.verify(&fetched, ALLOWED).ok())
            }
        }
    }
}

fn is_good(claims: Option<Claims>) -> bool {
    claims.is_some_and(|claims| claims.text("sub") == Some("ada"))
}

/// What became of honest tokens.
#[derive(Default)]
struct Outcome {
    verified: u64,
    rejected: u64,
    fetches: u64,
    /// How long after the rotation amid the attack honest tokens were refused.
    blind_ms: u64,
    /// Invented tokens that were accepted.
    believed: u64,
}

impl Outcome {
    fn count(&mut self, is_accepted: bool) {
        *(if is_accepted { &mut self.verified } else { &mut self.rejected }) += 1;
    }
}

/// Runs the proof.
pub(crate) fn prove() -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("the system gives a runtime its timer");
    let rotations: Vec<_> = (0..3).map(|which| runtime.block_on(rotation(which))).collect();
    let attacks: Vec<_> = (0..3).map(|which| runtime.block_on(attack(which))).collect();
    let fetch_limit = 2 + ATTACK.as_secs() / COOL_DOWN.as_secs();
    let (ours, attacked) = (&rotations[0].1, &attacks[0].1);
    let is_ours_good = ours.rejected == 0
        && ours.fetches == 1 + ROTATIONS
        && attacked.fetches <= fetch_limit
        && attacked.believed == 0
        && u128::from(attacked.blind_ms) <= (COOL_DOWN + ANSWERS_IN + TICK).as_millis();
    let are_controls_bad = rotations[1].1.rejected > ours.verified / 2 && attacks[2].1.fetches > INVENTED / 2;
    Report {
        proof: "keys",
        pass: is_ours_good && are_controls_bad,
        story: story(&rotations, &attacks, fetch_limit),
        injected: json!({
            "rotations": ROTATIONS, "verifications_per_second": PER_SECOND, "invented_key_ids": INVENTED,
            "attack_seconds": ATTACK.as_secs(), "cool_down_seconds": COOL_DOWN.as_secs(),
        }),
        ours: figures(ours, attacked),
        control: json!({
            "fetches_once": figures(&rotations[1].1, &attacks[1].1),
            "fetches_always": figures(&rotations[2].1, &attacks[2].1),
        }),
    }
}

fn figures(rotated: &Outcome, attacked: &Outcome) -> Value {
    json!({
        "verified": rotated.verified, "falsely_rejected": rotated.rejected, "fetches_for_rotations": rotated.fetches,
        "fetches_under_attack": attacked.fetches, "invented_and_believed": attacked.believed,
        "blind_ms_after_a_rotation_amid_the_attack": attacked.blind_ms,
    })
}

fn story(
    rotations: &[(&'static str, Outcome)],
    attacks: &[(&'static str, Outcome)],
    fetch_limit: u64,
) -> Vec<String> {
    let mut lines = vec![format!(
        "injected: {ROTATIONS} rotations without notice at {PER_SECOND} verifications per second; then {INVENTED} \
         invented key ids in {} s, with a rotation amid them",
        ATTACK.as_secs()
    )];
    for ((name, rotated), (_, attacked)) in rotations.iter().zip(attacks) {
        lines.push(format!(
            "{name}: {} of {} honest tokens rejected, {} fetches; under attack {} fetches, and honest tokens of the \
             new key rejected for {} ms",
            rotated.rejected,
            rotated.verified + rotated.rejected,
            rotated.fetches,
            attacked.fetches,
            attacked.blind_ms
        ));
    }
    lines.push(format!(
        "ours passes with none rejected, one fetch for the start and for each rotation, and under attack at most \
         {fetch_limit} fetches: one per cool-down of {} s, the first ones, and that of the rotation",
        COOL_DOWN.as_secs()
    ));
    lines
}

/// Rotations under load.
async fn rotation(which: usize) -> (&'static str, Outcome) {
    let issuer = Issuer::new();
    let (name, verifier) = Verifier::all(&issuer).await.into_iter().nth(which).expect("there are three");
    let base = issuer.fetches();
    let mut running = JoinSet::new();
    // The first load brings the first keys.
    load(&issuer, &verifier, &mut running, BETWEEN_ROTATIONS).await;
    for _ in 0..ROTATIONS {
        issuer.rotate();
        load(&issuer, &verifier, &mut running, BETWEEN_ROTATIONS).await;
        // Longer than a cool-down: one fetch for each.
        tokio::time::sleep(COOL_DOWN).await;
    }
    let mut outcome = Outcome::default();
    while let Some(accepted) = running.join_next().await {
        outcome.count(accepted.expect("no verification panics"));
    }
    outcome.fetches = issuer.fetches() - base;
    (name, outcome)
}

async fn load(issuer: &Arc<Issuer>, verifier: &Verifier, running: &mut JoinSet<bool>, span: Duration) {
    let per_tick = PER_SECOND * TICK.as_millis() as u64 / 1_000;
    for _ in 0..span.as_millis() / TICK.as_millis() {
        let token = issuer.token();
        for _ in 0..per_tick {
            let (verifier, token) = (verifier.clone(), token.clone());
            running.spawn(async move { verifier.accepts(token.expose()).await });
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Invented key ids beside honest tokens, and a rotation in the middle.
async fn attack(which: usize) -> (&'static str, Outcome) {
    let issuer = Issuer::new();
    let (name, verifier) = Verifier::all(&issuer).await.into_iter().nth(which).expect("there are three");
    let base = issuer.fetches();
    let mut outcome = Outcome::default();
    let ticks = ATTACK.as_millis() as u64 / TICK.as_millis() as u64;
    let blind = Arc::new(AtomicU64::new(0));
    let rotated_at = Arc::new(Mutex::new(None::<Instant>));
    let (mut strangers, mut honest) = (JoinSet::new(), JoinSet::new());
    let mut random = fastrand::Rng::with_seed(7);
    let payload = issuer.token();
    let payload =
        payload.expose().split_once('.').map(|(_, rest)| rest.to_owned()).expect("a token has parts");
    for tick in 0..ticks {
        // In the middle of a cool-down, which is when it hurts most.
        if tick == ticks * 11 / 20 {
            issuer.rotate();
            *rotated_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        for _ in INVENTED * tick / ticks..INVENTED * (tick + 1) / ticks {
            let (verifier, token) = (verifier.clone(), invented(random.u128(..), &payload));
            strangers.spawn(async move { verifier.accepts(&token).await });
        }
        let token = issuer.token();
        for _ in 0..HONEST {
            let (verifier, token) = (verifier.clone(), token.clone());
            let (blind, rotated_at) = (blind.clone(), rotated_at.clone());
            honest.spawn(async move {
                let accepted = verifier.accepts(token.expose()).await;
                let since = rotated_at.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed());
                if let (false, Some(since)) = (accepted, since) {
                    blind.fetch_max(since.as_millis() as u64, Ordering::Relaxed);
                }
                accepted
            });
        }
        tokio::time::sleep(TICK).await;
        while let Some(believed) = strangers.try_join_next() {
            outcome.believed += u64::from(believed.expect("no verification panics"));
        }
        while let Some(accepted) = honest.try_join_next() {
            outcome.count(accepted.expect("no verification panics"));
        }
    }
    while let Some(believed) = strangers.join_next().await {
        outcome.believed += u64::from(believed.expect("no verification panics"));
    }
    while let Some(accepted) = honest.join_next().await {
        outcome.count(accepted.expect("no verification panics"));
    }
    outcome.fetches = issuer.fetches() - base;
    outcome.blind_ms = blind.load(Ordering::Relaxed);
    (name, outcome)
}

/// A token of a key that nobody has, with a payload and a signature of another.
fn invented(kid: u128, rest: &str) -> String {
    use base64::Engine as _;
    let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": format!("{kid:x}") }).to_string();
    format!("{}.{rest}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header))
}
