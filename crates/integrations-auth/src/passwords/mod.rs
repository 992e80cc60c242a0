//! Passwords as they are kept: Argon2id (RFC 9106) in PHC strings.
//!
//! - A password is normalised by Unicode's NFKC before anything else, so that it does not depend on the keyboard that it
//!   was typed on. All of Unicode is allowed, there are no rules of composition, and nothing is cut off.
//! - Hashing runs beside the runtime, and only so many at once: each one takes the memory that its [`Cost`] says.
//! - A hash says which [`Cost`] and which [`Pepper`] it was made with: both can change, and [`Verdict::needs_rehash`] tells
//!   which hashes are of the old ones.
//! - Absent: hashes by bcrypt, scrypt and PBKDF2. They are [`ErrorKind::Unsupported`]; their owners reset their passwords.

mod cost;
mod pepper;
mod phc;
mod policy;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use integrations_core::{Effect, Error, ErrorKind, Result, SecretString};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

pub use cost::Cost;
pub use pepper::Pepper;
pub use policy::Breached;

use phc::Stored;

/// Bytes of a password as it is typed; more are refused, since hashing them would cost more than they are worth.
const LONGEST: usize = 1024;

/// NFKC makes a text in UTF-8 at most eleven times as long (Unicode Standard Annex 15, section 11).
const EXPANSION: usize = 11;

/// Hashes passwords, verifies them, and says which ones are refused. Cheap to clone; the clones share the limit of how many
/// are hashed at once.
#[derive(Clone)]
pub struct Passwords {
    cost: Cost,
    peppers: Vec<Pepper>,
    peppered: bool,
    min_length: usize,
    breached: Option<Arc<dyn Breached>>,
    turns: Arc<Semaphore>,
    at_once: u32,
    longest_wait: Duration,
}

/// What a password is to a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// It is the password.
    pub matches: bool,
    /// The hash was made by another policy than the present one: make another while the password is at hand.
    pub needs_rehash: bool,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

impl Passwords {
    /// The default [`Cost`], no pepper, at least 15 characters, as many at once as there are processors, waits of 10 s.
    pub fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let new = Self {
            cost: Cost::default(),
            peppers: Vec::new(),
            peppered: false,
            min_length: 15,
            breached: None,
            turns: Arc::new(Semaphore::new(1)),
            at_once: 1,
            longest_wait: Duration::from_secs(10),
        };
        new.at_once(processors)
    }

    /// What hashing costs from now on.
    #[must_use]
    pub fn cost(mut self, cost: Cost) -> Self {
        self.cost = cost;
        self
    }

    /// The pepper of new hashes. Hashes without one, or with another one that is known, are verified, too.
    #[must_use]
    pub fn pepper(mut self, pepper: Pepper) -> Self {
        self.peppers.insert(0, pepper);
        self.peppered = true;
        self
    }

    /// A pepper that hashes were made with before.
    #[must_use]
    pub fn old_pepper(mut self, pepper: Pepper) -> Self {
        self.peppers.push(pepper);
        self
    }

    /// How many characters (Unicode code points, after normalisation) a new password has at least. 15, for who signs in
    /// with a password alone; an application where everybody has a second factor may take 8. Never less than 8.
    #[must_use]
    pub fn min_length(mut self, characters: usize) -> Self {
        self.min_length = characters.max(8);
        self
    }

    /// Who knows the passwords that were stolen elsewhere; new passwords must not be among them.
    #[must_use]
    pub fn breached(mut self, breached: impl Breached) -> Self {
        self.breached = Some(Arc::new(breached));
        self
    }

    /// How many passwords are hashed at once, at least one; the number of processors. Together they take that many times
    /// the memory of the [`Cost`]: a kept hash that takes more memory than that has as many turns as it is worth, and one
    /// that takes more than all turns is verified alone.
    #[must_use]
    pub fn at_once(mut self, hashes: usize) -> Self {
        self.at_once = u32::try_from(hashes.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        self.turns = Arc::new(Semaphore::new(self.at_once as usize));
        self
    }

    /// How long a password waits for its turn to be hashed; 10 s.
    #[must_use]
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    /// The hash to keep of a password, as a PHC string. Ask [`check`](Self::check) before whether it is a good one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] with the code `password_too_long` beyond 1024 bytes; [`ErrorKind::Unavailable`] with
    /// the code `busy` if too many others are hashed now.
    pub async fn hash(&self, password: &SecretString) -> Result<SecretString> {
        let normal = normalised(password)?;
        let (cost, pepper) = (self.cost, self.current().cloned());
        self.in_turn(1, move || Stored::make(normal.as_bytes(), cost, pepper.as_ref())).await
    }

    /// Holds a password against the hash that was kept.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the hash is of another kind than Argon2; [`ErrorKind::Decode`] if it is none;
    /// [`ErrorKind::Config`] if it was made with a pepper that is not known; otherwise as with [`hash`](Self::hash).
    pub async fn verify(&self, password: &SecretString, stored: &SecretString) -> Result<Verdict> {
        let normal = normalised(password)?;
        let stored = Stored::parse(stored.expose())?;
        let pepper = self.named(stored.pepper())?.cloned();
        let needs_rehash = !stored.is_of(self.cost, self.current());
        let turns = stored.memory().div_ceil(self.cost.memory).clamp(1, self.at_once);
        let matches = self.in_turn(turns, move || stored.matches(normal.as_bytes(), pepper.as_ref())).await?;
        Ok(Verdict { matches, needs_rehash })
    }

    /// Takes as long as [`verify`](Self::verify) with a hash of the present policy, and tells nothing.
    pub(crate) async fn verify_none(&self, password: &SecretString) -> Result<()> {
        self.verify(password, &Stored::of_nobody(self.cost, self.current())).await.map(drop)
    }

    /// That a password is not too long to be held against anything.
    pub(crate) fn check_longest(password: &SecretString) -> Result<()> {
        normalised(password).map(drop)
    }

    fn current(&self) -> Option<&Pepper> {
        self.peppers.first().filter(|_| self.peppered)
    }

    fn named(&self, id: Option<&str>) -> Result<Option<&Pepper>> {
        let Some(id) = id else { return Ok(None) };
        let known = self.peppers.iter().find(|pepper| pepper.id() == id);
        known.map(Some).ok_or_else(|| {
            Error::config("a password was hashed with a pepper that is not known")
                .with_code("unknown_pepper")
                .with_hint("give the pepper that was used before as `old_pepper`")
        })
    }

    /// Hashes when it is its turn, which may be worth several. It is over when the hash is made, also if nobody waits for it
    /// any more.
    async fn in_turn<T: Send + 'static>(
        &self,
        turns: u32,
        hash: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn =
            tokio::time::timeout(self.longest_wait, Arc::clone(&self.turns).acquire_many_owned(turns)).await;
        let Ok(Ok(turn)) = turn else { return Err(busy()) };
        let hashed = tokio::task::spawn_blocking(move || {
            let hashed = hash();
            drop(turn);
            hashed
        });
        hashed.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unexpected, Effect::NotSent, "hashing a password ended early"))
        })
    }
}

/// A password as it is hashed.
fn normalised(password: &SecretString) -> Result<Zeroizing<String>> {
    let typed = password.expose();
    if typed.len() > LONGEST {
        return Err(Error::invalid_request("the password is too long")
            .with_code("password_too_long")
            .with_hint("a password has at most 1024 bytes"));
    }
    // Room for all of it at once: a text that grew would leave parts of itself behind.
    let mut normal = Zeroizing::new(String::with_capacity(typed.len() * EXPANSION));
    normal.extend(typed.nfkc());
    Ok(normal)
}

fn busy() -> Error {
    Error::new(ErrorKind::Unavailable, Effect::NotSent, "too many passwords are being hashed")
        .with_code("busy")
        .with_hint("try again; if it happens often, allow more at once and give them the memory")
}

#[cfg(test)]
mod tests;
