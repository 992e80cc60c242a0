//! Golden files: what an endpoint sends, what its vendor's fake answers, and what the endpoint makes of it.
//!
//! A folder holds one JSON file for each case, `<op>.json` or `<op>.<case>.json`:
//!
//! ```json
//! {
//!   "args": {"id": "7", "market": "CH"},
//!   "needs": ["id"],
//!   "formats": ["released"],
//!   "request": {"line": "GET /songs/7?market=CH", "headers": {}, "body": null},
//!   "response": {"status": 200, "headers": {"content-type": "application/json"}, "body": {"id": "7"}},
//!   "output": {"id": "7"}
//! }
//! ```
//!
//! Written by hand are `args`, the endpoint's fields, and two lists of paths in the response, which
//! [`hostile`](crate::hostile) reads: `needs`, without which the answer cannot be used, and `formats`, texts that are not
//! free. In a path fields are joined by `.`, and `[]` stands for every element of an array: `items[].id`. The rest is
//! recorded by a run of the tests with `INTEGRATIONS_GOLDEN=write`, from a fake in its first state; any other run
//! compares. So a changed endpoint shows, and so does a changed fake.
//!
//! The line is without the address of the provider's first host. A body is JSON if its content type says so, else text;
//! bytes that are no text are written as `base64:` and their base64.
//!
//! A provider's test is two lines:
//!
//! ```text
//! let goldens = Goldens::load(&SPEC, OPS, concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/songs/golden")).unwrap();
//! goldens.check(|sandbox| open(&setup(&SPEC, sandbox)?)).unwrap();
//! ```

mod diff;
mod file;
mod play;

use std::fmt;
use std::path::{Path, PathBuf};

use integrations_core::dynamic::OpEntry;
use integrations_core::provider::{ProviderSpec, Setting};
use integrations_core::setup::{Setup, Value as Given};
use integrations_core::{Caller, Result, WireResponse};
use integrations_sandbox::{FAKES, Fake, Sandbox};

pub use file::Golden;
pub(crate) use file::is_json;

/// The variable that makes [`Goldens::check`] record.
pub const VARIABLE: &str = "INTEGRATIONS_GOLDEN";

/// Everything that is wrong, one line or several each.
#[derive(Clone, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Problems {
    /// The problems one by one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    pub(crate) fn none_of(problems: Vec<String>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} problems:", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}

/// As [`Display`](fmt::Display), because a test that unwraps shows this.
impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Problems {}

/// The golden files of one provider.
#[derive(Debug, Clone)]
pub struct Goldens {
    spec: &'static ProviderSpec,
    entries: &'static [OpEntry],
    folder: PathBuf,
    fake: Option<Fake>,
    cases: Vec<Golden>,
}

impl Goldens {
    /// Reads a folder. Its files must be well-formed and named after operations of `entries`; an operation without a
    /// file is a problem of [`check`](Self::check), and so is what was not recorded yet.
    pub fn load(
        spec: &'static ProviderSpec,
        entries: &'static [OpEntry],
        folder: impl AsRef<Path>,
    ) -> Result<Self, Problems> {
        let folder = folder.as_ref().to_path_buf();
        let fake = FAKES.iter().find(|fake| fake.provider == spec.id).copied();
        let cases = file::read_all(&folder, entries)?;
        Ok(Self { spec, entries, folder, fake, cases })
    }

    /// Sets the fake. Default: the one that the sandbox has for the provider.
    #[must_use]
    pub fn fake(mut self, fake: &Fake) -> Self {
        self.fake = Some(*fake);
        self
    }

    /// Compares every golden with what the endpoint and the fake do now. `connect` makes the provider's client, for
    /// which [`setup`] has what it needs. With `INTEGRATIONS_GOLDEN=write` it records instead.
    ///
    /// It runs a runtime of its own, so it is called outside of any.
    pub fn check(&self, connect: impl Fn(&Sandbox) -> Result<Caller>) -> Result<(), Problems> {
        if std::env::var(VARIABLE).is_ok_and(|value| value == "write") {
            return self.record(connect);
        }
        let mut problems = self.without_golden();
        problems.extend(self.cases.iter().flat_map(|golden| self.compare(golden, &connect)));
        if !problems.is_empty() {
            let how = format!(
                "if what is now is right: run the test with {VARIABLE}=write, and look at the difference"
            );
            problems.push(how);
        }
        Problems::none_of(problems)
    }

    /// Writes what the endpoints and the fake do now.
    pub fn record(&self, connect: impl Fn(&Sandbox) -> Result<Caller>) -> Result<(), Problems> {
        let mut problems = self.without_golden();
        problems.extend(self.cases.iter().flat_map(|golden| self.write(golden, &connect)));
        Problems::none_of(problems)
    }

    /// The goldens, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Golden> {
        self.cases.iter()
    }

    /// The request that the endpoint builds now, without credentials.
    pub fn request(&self, golden: &Golden) -> Result<http::Request<Vec<u8>>> {
        play::run(play::whole(self.build(golden)?))
    }

    /// What the fake, in its first state, answers now.
    pub fn ask(&self, golden: &Golden, connect: &dyn Fn(&Sandbox) -> Result<Caller>) -> Result<WireResponse> {
        play::run(async {
            let sandbox = self.sandbox()?;
            let request = self.build(golden)?;
            connect(&sandbox)?.exchange(golden.op(), None, request).await
        })
    }

    fn without_golden(&self) -> Vec<String> {
        let has_none = |entry: &&OpEntry| !self.cases.iter().any(|golden| golden.op() == entry.op);
        let problem = |entry: &OpEntry| {
            let file = self.folder.join(format!("{}.json", entry.op.name));
            format!(
                "{}: there is no such file; write {{\"args\": {{…}}}} with the endpoint's fields, and record",
                file.display()
            )
        };
        let nothing = self.entries.is_empty().then(|| format!("`{}` has no operation", self.spec.id));
        self.entries.iter().filter(has_none).map(problem).chain(nothing).collect()
    }

    fn compare(&self, golden: &Golden, connect: &dyn Fn(&Sandbox) -> Result<Caller>) -> Vec<String> {
        let Some(recorded) = golden.recorded() else {
            return vec![format!("{}: it was not recorded yet", golden.file())];
        };
        let problems = match self.play(golden, connect) {
            Ok(now) => diff::differences(recorded, &now),
            Err(problem) => vec![problem],
        };
        let leaks = self.leaks(recorded);
        problems.into_iter().chain(leaks).map(|problem| format!("{}: {problem}", golden.file())).collect()
    }

    fn write(&self, golden: &Golden, connect: &dyn Fn(&Sandbox) -> Result<Caller>) -> Vec<String> {
        let problems = match self.play(golden, connect) {
            Ok(now) => match self.leaks(&now) {
                leaks if leaks.is_empty() => golden.write(&self.folder, now).err().into_iter().collect(),
                leaks => leaks,
            },
            Err(problem) => vec![problem],
        };
        problems.into_iter().map(|problem| format!("{}: {problem}", golden.file())).collect()
    }

    /// Request, response and output as they are now.
    fn play(
        &self,
        golden: &Golden,
        connect: &dyn Fn(&Sandbox) -> Result<Caller>,
    ) -> Result<serde_json::Value, String> {
        let request =
            self.request(golden).map_err(|e| format!("the request cannot be built: {}", e.explain()))?;
        let response = self.ask(golden, connect).map_err(|e| format!("the call failed: {}", e.explain()))?;
        let (sent, answered) = (file::sent(&request, &self.base()?)?, file::answered(&response)?);
        let output =
            golden.read(response).map_err(|e| format!("the answer cannot be read: {}", e.explain()))?;
        let now = serde_json::json!({"request": sent, "response": answered, "output": output});
        // As it would be read from a file: the last digit of a fraction may differ there.
        serde_json::from_str(&now.to_string()).map_err(|e| e.to_string())
    }

    /// Where values of secrets stand that a file in a repository must not hold.
    fn leaks(&self, recorded: &serde_json::Value) -> Vec<String> {
        let Ok(sandbox) = self.sandbox() else { return Vec::new() };
        let is_secret = |name: &str| self.spec.setting(name).is_none_or(Setting::is_secret);
        let settings = sandbox.settings();
        let secrets = settings.iter().filter(|(name, value)| is_secret(name) && !value.is_empty());
        let leaks = secrets.flat_map(|(name, value)| {
            let places = diff::places_with(recorded, value);
            places.into_iter().map(move |at| format!("{at} holds the value of the secret `{name}`"))
        });
        leaks.collect()
    }

    fn build(&self, golden: &Golden) -> Result<integrations_core::WireRequest> {
        let base = self.base().map_err(integrations_core::Error::config)?;
        (golden.entry().request)(golden.args(), &base)
    }

    fn base(&self) -> Result<http::Uri, String> {
        let host = self.spec.hosts.first().ok_or("the provider has no host")?;
        host.url.parse().map_err(|e| format!("the address of the provider's first host: {e}"))
    }

    fn sandbox(&self) -> Result<Sandbox> {
        let missing = || integrations_core::Error::config(format!("`{}` has no fake", self.spec.id));
        self.fake.as_ref().map(|fake| Sandbox::new(fake, 0)).ok_or_else(missing)
    }
}

/// What a client of a fake is made from: its settings, the way to it, and its clock.
pub fn setup(spec: &'static ProviderSpec, sandbox: &Sandbox) -> Result<Setup> {
    let mut setup = Setup::new(spec).transport(std::sync::Arc::new(sandbox.clone())).clock(sandbox.clock());
    for (name, text) in sandbox.settings() {
        if let Some(setting) = spec.setting(name) {
            setup = setup.set(name, Given::parse(setting.kind, &text)?);
        }
    }
    Ok(setup)
}
