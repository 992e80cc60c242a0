//! Real servers for the tests: started before them, ended with this process however it ends.
//!
//! A test reads a variable such as `INTEGRATIONS_TEST_REDIS`; where it is not set, the test has nothing to talk to. What
//! the user has set is used as it is. Everything else is started on 127.0.0.1 with data that is thrown away. Programs
//! that are not installed are fetched into `target/services`; nothing is installed into the system.

mod debian;
mod fetch;
mod guard;
mod oidc;
mod postgres;
mod programs;
mod redis;

use std::time::{Duration, Instant};

use crate::Outcome;
use guard::Guarded;

/// For finding, fetching and starting everything. A network that hangs must not hold up the tests for longer.
const PROVISIONING: Duration = Duration::from_secs(120);

struct Service {
    name: &'static str,
    variable: &'static str,
    how_to_get: &'static str,
    start: fn(Instant) -> Outcome<Started>,
}

/// A server that answers, and how tests reach it.
struct Started {
    server: Guarded,
    url: String,
}

const SERVICES: &[Service] = &[
    Service {
        name: "PostgreSQL",
        variable: "INTEGRATIONS_TEST_POSTGRES",
        how_to_get: "install PostgreSQL's server",
        start: postgres::start,
    },
    Service {
        name: "Redis",
        variable: "INTEGRATIONS_TEST_REDIS",
        how_to_get: "install redis-server",
        start: redis::start,
    },
    Service {
        name: "OpenID Connect",
        variable: "INTEGRATIONS_TEST_OIDC",
        how_to_get: "install Node.js 20.12 or newer with npm, and let npm reach its registry once",
        start: oidc::start,
    },
];

/// The servers of this run. Dropping it ends them and removes their data.
pub(crate) struct Services {
    running: Vec<Guarded>,
    variables: Vec<(&'static str, String)>,
    skipped: Vec<String>,
}

/// `cargo xtask services`: the same servers for tests that are run one by one.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if !arguments.is_empty() {
        return Err("`cargo xtask services` takes no arguments".to_owned());
    }
    let services = Services::start();
    services.print_skipped();
    for (name, value) in &services.variables {
        println!("export {name}={value}");
    }
    if services.running.is_empty() {
        return Err("nothing was started".to_owned());
    }
    println!("running until Ctrl-C");
    loop {
        std::thread::park();
    }
}

impl Services {
    /// Starts all that the user has not provided, side by side.
    pub(crate) fn start() -> Self {
        let deadline = Instant::now() + PROVISIONING;
        let mut services = Self { running: Vec::new(), variables: Vec::new(), skipped: Vec::new() };
        std::thread::scope(|scope| {
            let wanted = SERVICES.iter().filter(|service| !is_provided(service.variable));
            let starting: Vec<_> =
                wanted.map(|service| (service, scope.spawn(move || (service.start)(deadline)))).collect();
            for (service, thread) in starting {
                let outcome = thread.join().unwrap_or_else(|_| Err("its start panicked".to_owned()));
                services.add(service, outcome);
            }
        });
        services
    }

    fn add(&mut self, service: &Service, outcome: Outcome<Started>) {
        match outcome {
            Ok(started) => {
                self.variables.push((service.variable, started.url));
                self.running.push(started.server);
            }
            Err(why) => self.skipped.push(skip_line(service, &why)),
        }
    }

    /// What the tests' environment needs beyond what the user has set.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.variables.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// One line for each server that the tests have to do without.
    pub(crate) fn print_skipped(&self) {
        for line in &self.skipped {
            println!("{line}");
        }
    }

    /// The same where standard output belongs to another program.
    pub(crate) fn tell_skipped(&self) {
        for line in &self.skipped {
            eprintln!("{line}");
        }
    }
}

fn is_provided(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

fn skip_line(service: &Service, why: &str) -> String {
    let Service { name, variable, how_to_get, .. } = service;
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("skipped: {name} tests ({why}; {how_to_get}, or set {variable})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_line_is_one_line_with_the_reason_and_the_remedy() {
        let line = skip_line(&SERVICES[1], "redis-server is not here,\n  and apt-get failed");
        assert_eq!(
            line,
            "skipped: Redis tests (redis-server is not here, and apt-get failed; install redis-server, \
             or set INTEGRATIONS_TEST_REDIS)"
        );
    }

    #[test]
    fn a_server_that_did_not_start_leaves_a_line_and_no_variable() {
        let mut services = Services { running: Vec::new(), variables: Vec::new(), skipped: Vec::new() };
        services.add(&SERVICES[0], Err("no".to_owned()));
        assert_eq!((services.variables().count(), services.skipped.len()), (0, 1));
    }
}
