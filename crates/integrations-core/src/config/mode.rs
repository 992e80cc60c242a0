//! Test, sandbox and live never mix.

use std::fmt;

use http::Uri;

use crate::provider::{Mode, ProviderSpec};

/// What an address says about the calls that go there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostMode {
    /// Calls are real: the vendor has another host for tests.
    Live,
    /// The vendor's test mode or sandbox.
    Test,
    /// It says nothing: the vendor's only host, where the key decides, or an address of somebody else.
    Either,
    /// This machine: a fake.
    Loopback,
}

impl HostMode {
    /// The mode of `host`: the name of one of the provider's hosts, an absolute address, or `None` for the first host.
    pub fn of(spec: &ProviderSpec, host: Option<&str>) -> Self {
        let named = match host {
            None => spec.hosts.first(),
            Some(name) => {
                spec.hosts.iter().find(|host| host.environment == name || same_server(host.url, name))
            }
        };
        let has_test = spec.hosts.iter().any(|host| host.mode == Mode::Test);
        match named.map(|host| host.mode) {
            Some(Mode::Test) => Self::Test,
            Some(Mode::Live) if has_test => Self::Live,
            None if host.is_some_and(is_loopback) => Self::Loopback,
            Some(Mode::Live) | None => Self::Either,
        }
    }
}

fn same_server(a: &str, b: &str) -> bool {
    let authority = |address: &str| address.parse::<Uri>().ok().and_then(|uri| uri.authority().cloned());
    authority(a).is_some_and(|a| authority(b) == Some(a))
}

fn is_loopback(address: &str) -> bool {
    let uri = address.parse::<Uri>().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare.ends_with(".localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Why an environment, an address and a key do not belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModeClash {
    /// A live key in a development environment.
    LiveKeyInDevelopment,
    /// A live key at a test host.
    LiveKeyAtTestHost,
    /// A test key in an environment that is not development.
    TestKeyInLive,
    /// A test key at a host that serves live keys only.
    TestKeyAtLiveHost,
    /// A host where calls are real in a development environment.
    LiveHostInDevelopment,
    /// A test host in an environment that is not development.
    TestHostInLive,
}

impl ModeClash {
    /// What to do about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::LiveKeyInDevelopment => "use a test key here",
            Self::LiveKeyAtTestHost => "use a test key, or the live host",
            Self::TestKeyInLive => "use a live key, or mark the environment with `development: true`",
            Self::TestKeyAtLiveHost => "use the vendor's test host, or a live key",
            Self::LiveHostInDevelopment => "set `host` to the vendor's test host",
            Self::TestHostInLive => "use the live host, or mark the environment with `development: true`",
        }
    }
}

impl fmt::Display for ModeClash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LiveKeyInDevelopment => "a live key in a development environment",
            Self::LiveKeyAtTestHost => "a live key at a test host",
            Self::TestKeyInLive => "a test key in an environment that is not marked as development",
            Self::TestKeyAtLiveHost => "a test key at a live host",
            Self::LiveHostInDevelopment => "a live host in a development environment",
            Self::TestHostInLive => "a test host in an environment that is not marked as development",
        })
    }
}

/// Whether an environment, an address and a key (of unknown mode: `None`) belong together; the reason when not.
/// Development goes with test keys and test hosts, any other environment with live ones, and a fake on this machine
/// with everything.
///
/// | host | development: live key | test key | unknown | else: live key | test key | unknown |
/// |---|---|---|---|---|---|---|
/// | loopback | yes | yes | yes | yes | yes | yes |
/// | either | no | yes | yes | yes | no | yes |
/// | test | no | yes | yes | no | no | no |
/// | live | no | no | no | yes | no | yes |
///
/// ```
/// use integrations_core::config::{HostMode, ModeClash, mode_clash};
/// use integrations_core::provider::Mode;
/// assert_eq!(mode_clash(true, HostMode::Either, Some(Mode::Live)), Some(ModeClash::LiveKeyInDevelopment));
/// assert_eq!(mode_clash(true, HostMode::Either, Some(Mode::Test)), None);
/// ```
pub fn mode_clash(development: bool, host: HostMode, key: Option<Mode>) -> Option<ModeClash> {
    match (host, development, key) {
        (HostMode::Loopback, _, _) => None,
        (_, true, Some(Mode::Live)) => Some(ModeClash::LiveKeyInDevelopment),
        (HostMode::Test, _, Some(Mode::Live)) => Some(ModeClash::LiveKeyAtTestHost),
        (_, false, Some(Mode::Test)) => Some(ModeClash::TestKeyInLive),
        (HostMode::Live, _, Some(Mode::Test)) => Some(ModeClash::TestKeyAtLiveHost),
        (HostMode::Live, true, None) => Some(ModeClash::LiveHostInDevelopment),
        (HostMode::Test, false, None) => Some(ModeClash::TestHostInLive),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Host, Status};

    static BOTH: ProviderSpec = ProviderSpec::new("both", "Both", "payments", Status::Full).hosts(&[
        Host::new("production", "https://api.example.com"),
        Host::new("sandbox", "https://sandbox.example.com").test(),
    ]);
    static ONE: ProviderSpec = ProviderSpec::new("one", "One", "payments", Status::Full)
        .hosts(&[Host::new("production", "https://api.example.com")]);

    #[test]
    fn every_combination_of_environment_host_and_key() {
        use HostMode::{Either, Live as LiveHost, Loopback, Test as TestHost};
        use ModeClash::{
            LiveHostInDevelopment, LiveKeyAtTestHost, LiveKeyInDevelopment, TestHostInLive,
            TestKeyAtLiveHost, TestKeyInLive,
        };
        // Columns: live key, test key, key of unknown mode.
        let table = [
            (true, Loopback, [None, None, None]),
            (true, Either, [Some(LiveKeyInDevelopment), None, None]),
            (true, TestHost, [Some(LiveKeyInDevelopment), None, None]),
            (
                true,
                LiveHost,
                [Some(LiveKeyInDevelopment), Some(TestKeyAtLiveHost), Some(LiveHostInDevelopment)],
            ),
            (false, Loopback, [None, None, None]),
            (false, Either, [None, Some(TestKeyInLive), None]),
            (false, TestHost, [Some(LiveKeyAtTestHost), Some(TestKeyInLive), Some(TestHostInLive)]),
            (false, LiveHost, [None, Some(TestKeyInLive), None]),
        ];
        for (development, host, expected) in table {
            for (key, clash) in [Some(Mode::Live), Some(Mode::Test), None].into_iter().zip(expected) {
                assert_eq!(mode_clash(development, host, key), clash, "{development} {host:?} {key:?}");
            }
        }
    }

    #[test]
    fn the_address_tells_its_mode() {
        for (spec, host, mode) in [
            (&BOTH, None, HostMode::Live),
            (&BOTH, Some("production"), HostMode::Live),
            (&BOTH, Some("sandbox"), HostMode::Test),
            (&BOTH, Some("https://sandbox.example.com/v2"), HostMode::Test),
            (&BOTH, Some("https://proxy.example"), HostMode::Either),
            (&ONE, None, HostMode::Either),
            (&ONE, Some("http://localhost:8080/v1"), HostMode::Loopback),
            (&ONE, Some("http://127.8.0.1"), HostMode::Loopback),
            (&ONE, Some("http://[::1]:9"), HostMode::Loopback),
            (&ONE, Some("http://localhost.example.com"), HostMode::Either),
        ] {
            assert_eq!(HostMode::of(spec, host), mode, "{} {host:?}", spec.id);
        }
    }
}
