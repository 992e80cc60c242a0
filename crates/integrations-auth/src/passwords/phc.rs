//! Hashes as PHC strings.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use integrations_core::{Effect, Error, ErrorKind, Result, SecretString};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{Cost, Pepper};
use crate::opaque;

const SALT: usize = 16;
const OUTPUT: usize = 32;

/// A hash that was read.
pub(super) struct Stored {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    pepper: Option<String>,
    salt: Vec<u8>,
    output: Zeroizing<Vec<u8>>,
}

impl Stored {
    /// A new hash, by the present policy.
    pub(super) fn make(password: &[u8], cost: Cost, pepper: Option<&Pepper>) -> Result<SecretString> {
        let salt = opaque::bytes::<SALT>()?;
        let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(OUTPUT));
        let params = params.map_err(|_| Error::config("these are no parameters of Argon2"))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let output = run(&argon2, password, pepper, &*salt, OUTPUT)?;
        Ok(written(cost, pepper, &*salt, &output))
    }

    /// A hash by the present policy that is nobody's: no password is known to give it.
    pub(super) fn of_nobody(cost: Cost, pepper: Option<&Pepper>) -> SecretString {
        written(cost, pepper, &[0; SALT], &[0; OUTPUT])
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        if !text.starts_with("$argon2") {
            return Err(if text.starts_with('$') { of_another_kind() } else { unreadable() });
        }
        let hash = PasswordHash::new(text).map_err(|_| unreadable())?;
        let params = Params::try_from(&hash).map_err(|_| unreadable())?;
        let version = hash.version.unwrap_or(Version::V0x10 as u32);
        let pepper = std::str::from_utf8(params.keyid()).map_err(|_| unreadable())?;
        let (Some(salt), Some(output)) = (&hash.salt, &hash.hash) else { return Err(unreadable()) };
        if !Cost::of(&params).is_bearable() {
            return Err(unreadable());
        }
        Ok(Self {
            algorithm: Algorithm::new(hash.algorithm.as_str()).map_err(|_| unreadable())?,
            version: Version::try_from(version).map_err(|_| unreadable())?,
            pepper: (!pepper.is_empty()).then(|| pepper.to_owned()),
            salt: salt.to_vec(),
            output: Zeroizing::new(output.as_bytes().to_vec()),
            params,
        })
    }

    /// The name of the pepper that it was made with.
    pub(super) fn pepper(&self) -> Option<&str> {
        self.pepper.as_deref()
    }

    /// How much memory verifying takes, in KiB.
    pub(super) fn memory(&self) -> u32 {
        self.params.m_cost()
    }

    /// Whether the present policy would make such a hash. A dearer one is another, too: it would take a longer time than
    /// that of nobody, and so tell that there is one.
    pub(super) fn is_of(&self, cost: Cost, pepper: Option<&Pepper>) -> bool {
        self.algorithm == Algorithm::Argon2id
            && self.version == Version::V0x13
            && Cost::of(&self.params) == cost
            && self.pepper() == pepper.map(Pepper::id)
            && self.salt.len() >= SALT
            && self.output.len() >= OUTPUT
    }

    pub(super) fn matches(&self, password: &[u8], pepper: Option<&Pepper>) -> Result<bool> {
        let argon2 = Argon2::new(self.algorithm, self.version, self.params.clone());
        let output = run(&argon2, password, pepper, &self.salt, self.output.len())?;
        Ok(output.ct_eq(&self.output).into())
    }
}

fn run(
    argon2: &Argon2<'_>,
    password: &[u8],
    pepper: Option<&Pepper>,
    salt: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>> {
    let peppered = pepper.map(|pepper| pepper.apply(password));
    let input = peppered.as_ref().map_or(password, |bytes| bytes.as_slice());
    let mut output = Zeroizing::new(vec![0; length]);
    let hashed = argon2.hash_password_into(input, salt, &mut output);
    hashed.map(|()| output).map_err(|e| {
        Error::new(ErrorKind::Unavailable, Effect::NotSent, format!("a password cannot be hashed: {e}"))
    })
}

fn written(cost: Cost, pepper: Option<&Pepper>, salt: &[u8], output: &[u8]) -> SecretString {
    let encode = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes);
    let pepper = pepper.map(|pepper| format!(",keyid={}", encode(pepper.id().as_bytes())));
    let Cost { memory, passes, lanes } = cost;
    let params = format!("m={memory},t={passes},p={lanes}{}", pepper.unwrap_or_default());
    format!("$argon2id$v=19${params}${}${}", encode(salt), encode(output)).into()
}

fn of_another_kind() -> Error {
    Error::unsupported(
        "the password was hashed by something else than Argon2",
        "bcrypt, scrypt and PBKDF2 are absent; have the user reset the password",
    )
    .with_code("password_hash")
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Decode, Effect::NotSent, "the hash of a password cannot be read")
        .with_code("password_hash")
        .with_hint("have the user reset the password")
}
