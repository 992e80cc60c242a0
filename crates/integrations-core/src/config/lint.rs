//! Secrets that cannot be what their setting asks for: pasted wrong, of the wrong kind, of the wrong mode.

use crate::provider::{Mode, Setting};

/// What a secret is for, as far as its first characters tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It proves calls: an API key or a token.
    Call,
    /// It may be public, and proves nothing to the vendor's server interface.
    Publishable,
    /// It verifies webhooks.
    Webhook,
    /// It signs, and is given to no one.
    PrivateKey,
    /// One of these; it does not tell.
    Either,
}

/// How a known kind of secret begins.
struct Prefix {
    text: &'static str,
    what: &'static str,
    role: Role,
    mode: Option<Mode>,
}

const fn known(text: &'static str, what: &'static str, role: Role) -> Prefix {
    Prefix { text, what, role, mode: None }
}

impl Prefix {
    const fn live(mut self) -> Self {
        self.mode = Some(Mode::Live);
        self
    }

    const fn test(mut self) -> Self {
        self.mode = Some(Mode::Test);
        self
    }
}

/// The vendors' prefixes. The longest that fits counts.
const PREFIXES: &[Prefix] = &[
    // https://docs.stripe.com/keys
    known("sk_live_", "a secret key of Stripe", Role::Call).live(),
    known("sk_test_", "a secret test key of Stripe", Role::Call).test(),
    known("rk_live_", "a restricted key of Stripe", Role::Call).live(),
    known("rk_test_", "a restricted test key of Stripe", Role::Call).test(),
    known("pk_live_", "a publishable key of Stripe", Role::Publishable).live(),
    known("pk_test_", "a publishable test key of Stripe", Role::Publishable).test(),
    // https://docs.stripe.com/webhooks/signature, https://www.standardwebhooks.com
    known("whsec_", "a webhook secret", Role::Webhook),
    known("whsk_", "a private key that signs webhooks", Role::PrivateKey),
    known("whpk_", "a public key that verifies webhooks", Role::Webhook),
    // https://www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys
    known("SG.", "an API key of SendGrid", Role::Call),
    // https://documentation.mailgun.com: the key that signs its webhooks begins so too
    known("key-", "an API key of Mailgun", Role::Either),
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    known("AKIA", "an access key id of AWS", Role::Call),
    known("ASIA", "a temporary access key id of AWS", Role::Call),
    // https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
    known("ghp_", "a personal token of GitHub", Role::Call),
    known("github_pat_", "a fine-grained token of GitHub", Role::Call),
    known("gho_", "an OAuth token of GitHub", Role::Call),
    known("ghs_", "an installation token of GitHub", Role::Call),
    // https://docs.slack.dev/authentication/tokens
    known("xoxb-", "a bot token of Slack", Role::Call),
    known("xoxp-", "a user token of Slack", Role::Call),
    known("xoxa-", "a workspace token of Slack", Role::Call),
    known("xapp-", "an app-level token of Slack", Role::Call),
    // https://docs.cloud.google.com/docs/authentication/api-keys
    known("AIza", "an API key of Google", Role::Call),
    known("ya29.", "an access token of Google, which lasts an hour", Role::Call),
    // https://developers.facebook.com/docs/facebook-login/guides/access-tokens
    known("EAA", "an access token of Meta", Role::Call),
    known("dop_v1_", "a token of DigitalOcean", Role::Call),
    known("-----BEGIN PRIVATE KEY-----", "a private key", Role::PrivateKey),
    known("-----BEGIN RSA PRIVATE KEY-----", "a private key", Role::PrivateKey),
    known("-----BEGIN EC PRIVATE KEY-----", "a private key", Role::PrivateKey),
    known("-----BEGIN ENCRYPTED PRIVATE KEY-----", "an encrypted private key", Role::PrivateKey),
    known("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key of SSH", Role::PrivateKey),
];

/// Words in a setting's name that tell what it asks for. The first that fits counts.
const ROLES_BY_NAME: &[(&str, Role)] = &[
    ("private_key", Role::PrivateKey),
    ("webhook", Role::Webhook),
    ("signing_secret", Role::Webhook),
    ("publishable", Role::Publishable),
    ("public", Role::Publishable),
];

/// Values that nobody's secret has.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "change-me",
    "change_me",
    "replaceme",
    "replace-me",
    "replace_me",
    "todo",
    "tbd",
    "none",
    "null",
    "undefined",
    "secret",
    "password",
    "example",
    "dummy",
    "placeholder",
    "your-api-key",
    "your_api_key",
    "yourapikey",
    "api-key",
    "api_key",
    "apikey",
    "insert-key-here",
];

/// What is wrong with a secret, without its value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// The mode that a secret belongs to, when its first characters tell.
pub(super) fn key_mode(setting: &Setting, value: &str) -> Option<Mode> {
    setting.mode_of(value).or_else(|| prefix_of(value).and_then(|prefix| prefix.mode))
}

/// The first thing that is wrong with the value of `setting`.
pub(super) fn lint(setting: &Setting, value: &str) -> Option<Finding> {
    pasted(setting, value).or_else(|| wrong_role(setting, value)).or_else(|| wrong_shape(setting, value))
}

fn pasted(setting: &Setting, value: &str) -> Option<Finding> {
    let name = setting.name;
    let is_pem = value.trim_start().starts_with("-----BEGIN ");
    let wrong = |what: &str, hint: &str| {
        Some(Finding { message: format!("`{name}` {what}"), hint: Some(hint.to_owned()) })
    };
    if value.trim() != value && !is_pem {
        return wrong("has white space at its begin or end", "remove it");
    }
    let quoted = |quote: char| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
    if quoted('"') || quoted('\'') || quoted('`') {
        return wrong("is in quotes that belong to the value", "remove the quotes");
    }
    if value.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer ")) {
        return wrong("begins with `Bearer `, which the client adds by itself", "remove `Bearer `");
    }
    if is_placeholder(value) {
        return wrong("is a placeholder", &format!("put the real value there: {}", setting.about));
    }
    None
}

fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let repeated =
        lower.len() >= 3 && ["x", "*", ".", "-", "0"].iter().any(|c| lower.replace(c, "").is_empty());
    let bracketed = (lower.starts_with('<') && lower.ends_with('>'))
        || (lower.starts_with("{{") && lower.ends_with("}}"));
    PLACEHOLDERS.contains(&lower.as_str())
        || repeated
        || bracketed
        || lower.starts_with("your-")
        || lower.starts_with("your_")
}

fn wrong_role(setting: &Setting, value: &str) -> Option<Finding> {
    let prefix = prefix_of(value)?;
    if setting.fits(value) {
        return None;
    }
    let wants = match (role_of(setting), prefix.role) {
        (Role::Either, _) | (_, Role::Either) => return None,
        (wanted, got) if wanted == got => return None,
        (Role::Publishable, _) => "a publishable key",
        // Some vendors' calls and webhooks are signed with private keys.
        (_, Role::PrivateKey) => return None,
        (Role::Call, _) => "an API key or a token",
        (Role::Webhook, _) => "a webhook secret",
        (Role::PrivateKey, _) => "a private key",
    };
    Some(Finding {
        message: format!("`{}` asks for {wants}, this begins like {}", setting.name, prefix.what),
        hint: Some(setting.about.to_owned()),
    })
}

fn wrong_shape(setting: &Setting, value: &str) -> Option<Finding> {
    if setting.shapes.is_empty() || setting.fits(value) {
        return None;
    }
    let prefixes: Vec<String> = setting.shapes.iter().map(|shape| format!("`{}`", shape.prefix)).collect();
    let like =
        prefix_of(value).map(|prefix| format!(", this begins like {}", prefix.what)).unwrap_or_default();
    Some(Finding {
        message: format!("`{}` must begin with {}{like}", setting.name, prefixes.join(" or ")),
        hint: Some(setting.about.to_owned()),
    })
}

fn role_of(setting: &Setting) -> Role {
    let by_name = ROLES_BY_NAME.iter().find(|(word, _)| setting.name.contains(word));
    let speaks_of_webhooks = || setting.about.to_ascii_lowercase().contains("webhook");
    match by_name {
        Some((_, role)) => *role,
        None if speaks_of_webhooks() => Role::Either,
        None => Role::Call,
    }
}

fn prefix_of(value: &str) -> Option<&'static Prefix> {
    PREFIXES.iter().filter(|row| value.starts_with(row.text)).max_by_key(|row| row.text.len())
}

/// The first thing that is wrong with the value of a setting that is no secret.
pub(super) fn lint_text(setting: &Setting, value: &str) -> Option<Finding> {
    let fits = setting.fits(value);
    let secret =
        prefix_of(value).filter(|prefix| matches!(prefix.role, Role::Call | Role::PrivateKey) && !fits);
    // A short prefix may well begin an ordinary text.
    if let Some(prefix) = secret.filter(|prefix| prefix.text.len() > 4) {
        let message = format!("`{}` is shown in logs, and this begins like {}", setting.name, prefix.what);
        return Some(Finding { message, hint: Some(setting.about.to_owned()) });
    }
    wrong_shape(setting, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Shape;

    const SECRET_KEY: Setting = Setting::new("secret_key", "the key of the dashboard").secret().shapes(&[
        Shape::live("sk_live_"),
        Shape::test("sk_test_"),
        Shape::live("rk_live_"),
    ]);
    const TOKEN: Setting = Setting::new("token", "a token").secret();
    const WEBHOOK: Setting = Setting::new("webhook_secret", "the endpoint's secret").secret();

    fn message(setting: &Setting, value: &str) -> Option<String> {
        let finding = lint(setting, value)?;
        assert!(!finding.message.contains("4eC39H"), "{finding:?}");
        Some(finding.message)
    }

    #[test]
    fn good_values_pass() {
        for (setting, value) in [
            (&SECRET_KEY, "sk_live_4eC39H"),
            (&TOKEN, "4eC39H"),
            (&TOKEN, "xoxb-4eC39H"),
            (&WEBHOOK, "whsec_4eC39H"),
            (&WEBHOOK, "4eC39H"),
            (&WEBHOOK, "key-4eC39H"),
            (&TOKEN, "-----BEGIN PRIVATE KEY-----\n4eC39H"),
            (&Setting::new("secret", "what verifies webhooks").secret(), "whsec_4eC39H"),
            (&Setting::new("private_key", "").secret(), "-----BEGIN PRIVATE KEY-----\n4eC39H\n"),
        ] {
            assert_eq!(message(setting, value), None, "{value}");
        }
    }

    #[test]
    fn each_mistake_has_its_message() {
        for (setting, value, says) in [
            (&TOKEN, " 4eC39H", "white space"),
            (&TOKEN, "4eC39H\n", "white space"),
            (&TOKEN, "\"4eC39H\"", "quotes"),
            (&TOKEN, "Bearer 4eC39H", "begins with `Bearer `"),
            (&TOKEN, "xxxx", "placeholder"),
            (&TOKEN, "<4eC39H>", "placeholder"),
            (&TOKEN, "your-token-here", "placeholder"),
            (
                &SECRET_KEY,
                "whsec_4eC39H",
                "asks for an API key or a token, this begins like a webhook secret",
            ),
            (&SECRET_KEY, "pk_live_4eC39H", "begins like a publishable key of Stripe"),
            (
                &SECRET_KEY,
                "ghp_4eC39H",
                "must begin with `sk_live_` or `sk_test_` or `rk_live_`, this begins like a personal",
            ),
            (&SECRET_KEY, "4eC39H", "must begin with"),
            (
                &WEBHOOK,
                "sk_live_4eC39H",
                "asks for a webhook secret, this begins like a secret key of Stripe",
            ),
        ] {
            let told = message(setting, value);
            assert!(told.as_ref().is_some_and(|told| told.contains(says)), "{value}: {told:?}");
        }
    }

    #[test]
    fn the_mode_is_that_of_the_shape_or_of_the_known_prefix() {
        assert_eq!(key_mode(&SECRET_KEY, "sk_test_x"), Some(Mode::Test));
        assert_eq!(key_mode(&TOKEN, "rk_live_x"), Some(Mode::Live));
        assert_eq!(key_mode(&TOKEN, "x"), None);
    }

    #[test]
    fn prefixes_are_different() {
        for (i, prefix) in PREFIXES.iter().enumerate() {
            assert!(PREFIXES[..i].iter().all(|other| other.text != prefix.text), "{}", prefix.text);
        }
    }
}
