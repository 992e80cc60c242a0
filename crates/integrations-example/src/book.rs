//! The Rust examples of the book and the READMEs, as doctests.

macro_rules! pages {
    ($($name:ident = $path:literal,)+) => {
        $(
            #[doc = include_str!(concat!("../../../", $path))]
            mod $name {}
        )+
    };
}

pages! {
    readme = "README.md",
    readme_de = "README.de.md",
    readme_fr = "README.fr.md",
    introduction = "docs/src/introduction.md",
    quick_start = "docs/src/quick-start.md",
    calling = "docs/src/guides/calling.md",
    errors = "docs/src/guides/errors.md",
    pipeline = "docs/src/guides/pipeline.md",
    rate_limits = "docs/src/guides/rate-limits.md",
    idempotency = "docs/src/guides/idempotency.md",
    pages = "docs/src/guides/pages.md",
    bodies = "docs/src/guides/bodies.md",
    cache = "docs/src/guides/cache.md",
    money = "docs/src/guides/money.md",
    secrets = "docs/src/guides/secrets.md",
    encryption = "docs/src/guides/encryption.md",
    credentials = "docs/src/guides/credentials.md",
    oauth = "docs/src/guides/oauth.md",
    connections = "docs/src/guides/connections.md",
    configuration = "docs/src/guides/configuration.md",
    hub = "docs/src/guides/hub.md",
    webhooks = "docs/src/guides/webhooks.md",
    tls = "docs/src/guides/tls.md",
    egress = "docs/src/guides/egress.md",
    inbox = "docs/src/guides/inbox.md",
    outbox = "docs/src/guides/outbox.md",
    telemetry = "docs/src/guides/telemetry.md",
    testing = "docs/src/guides/testing.md",
    provider = "docs/src/guides/provider.md",
    custom_calls = "docs/src/guides/custom-calls.md",
    troubleshooting = "docs/src/troubleshooting.md",
    architecture = "docs/src/architecture.md",
    performance = "docs/src/performance.md",
}
