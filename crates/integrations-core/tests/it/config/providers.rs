//! Providers that the configurations of these tests are about.

use integrations_core::provider::{Bucket, Host, ProviderSpec, Setting, SettingKind, Shape, Status};
use integrations_core::registry::{Category, Known, Registry};

static SPOTIFY: ProviderSpec = ProviderSpec::new("spotify", "Spotify", "music", Status::Full)
    .hosts(&[Host::new("production", "https://api.spotify.com/v1")])
    .buckets(&[
        Bucket::new("default", 180, 60, "requests", "https://developer.spotify.com/documentation/web-api"),
        Bucket::new("search", 30, 60, "requests", "https://developer.spotify.com/documentation/web-api"),
    ])
    .settings(&[
        Setting::new("client_id", "the application's id on the dashboard").env("SPOTIFY_CLIENT_ID"),
        Setting::new("client_secret", "the application's secret on the dashboard")
            .env("SPOTIFY_CLIENT_SECRET")
            .secret(),
        Setting::new("market", "the country of the catalogue").optional(),
    ]);

static SENDGRID: ProviderSpec = ProviderSpec::new("sendgrid", "SendGrid", "email", Status::Full)
    .hosts(&[
        Host::new("production", "https://api.sendgrid.com"),
        Host::new("eu", "https://api.eu.sendgrid.com"),
    ])
    .settings(&[
        Setting::new("key", "an API key from Settings > API Keys")
            .env("SENDGRID_API_KEY")
            .secret()
            .shapes(&[Shape::new("SG.")]),
        Setting::new("sender", "the address that mail comes from").optional(),
    ]);

static SMTP: ProviderSpec = ProviderSpec::new("smtp", "SMTP", "email", Status::Full).settings(&[
    Setting::new("user", "the account's name").optional(),
    Setting::new("password", "the account's password").secret().optional(),
    Setting::new("helo", "the name that this machine gives").optional(),
    Setting::new("keep", "how long a connection is kept").kind(SettingKind::Duration).optional(),
    Setting::new("connections", "connections at most").kind(SettingKind::Integer).optional(),
    Setting::new("starttls", "whether to ask for TLS").kind(SettingKind::Flag).optional(),
    Setting::new("proxy", "where to connect through").kind(SettingKind::Url).optional(),
    Setting::new("domains", "the domains of senders").kind(SettingKind::List).optional(),
]);

static STRIPE: ProviderSpec = ProviderSpec::new("stripe", "Stripe", "payments", Status::Full)
    .hosts(&[Host::new("production", "https://api.stripe.com/v1")])
    .settings(&[
        Setting::new("secret_key", "a secret key from Developers > API keys")
            .env("STRIPE_SECRET_KEY")
            .secret()
            .shapes(&[
                Shape::live("sk_live_"),
                Shape::test("sk_test_"),
                Shape::live("rk_live_"),
                Shape::test("rk_test_"),
            ]),
        Setting::new("webhook_secret", "the endpoint's secret from Developers > Webhooks")
            .secret()
            .optional(),
        Setting::new("publishable_key", "the key for the browser")
            .shapes(&[Shape::live("pk_live_"), Shape::test("pk_test_")])
            .optional(),
    ]);

static PAYPAL: ProviderSpec = ProviderSpec::new("paypal", "PayPal", "payments", Status::Full)
    .hosts(&[
        Host::new("production", "https://api-m.paypal.com"),
        Host::new("sandbox", "https://api-m.sandbox.paypal.com").test(),
    ])
    .settings(&[
        Setting::new("client_id", "the application's id"),
        Setting::new("client_secret", "the application's secret").secret(),
    ]);

macro_rules! category {
    ($($name:ident $text:literal)+) => {$(
        #[derive(Clone)]
        struct $name;

        impl Category for $name {
            const NAME: &'static str = $text;
        }
    )+};
}

category!(Music "music" Email "email" Payments "payments");

pub(super) fn registry() -> Registry {
    let mut registry = Registry::new();
    registry
        .add(&SPOTIFY, |_| Ok(Music))
        .add(&SENDGRID, |_| Ok(Email))
        .add(&SMTP, |_| Ok(Email))
        .add(&STRIPE, |_| Ok(Payments))
        .add(&PAYPAL, |_| Ok(Payments))
        .know(&[Known::new("deezer", "music", "deezer")]);
    registry
}

/// Variables that the configurations of these tests refer to.
pub(super) const VARS: [(&str, &str); 7] = [
    ("SPOTIFY_CLIENT_ID", "app-4eC39H"),
    ("SPOTIFY_CLIENT_SECRET", "shh-4eC39H"),
    ("SENDGRID_API_KEY", "SG.4eC39H&=@/"),
    ("SMTP_PASSWORD", "p@ss:4eC39H/?"),
    ("STRIPE_LIVE", "sk_live_4eC39H"),
    ("STRIPE_TEST", "sk_test_4eC39H"),
    ("WEBHOOK_SECRET", "whsec_4eC39H"),
];
