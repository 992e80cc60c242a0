//! The vendors' facts, as they reach a build.

use std::collections::BTreeSet;

use http::Uri;
use integrations_core::provider::{Exchange, OAuth, Pkce, Refresh};
use integrations_oauth::vendors::ALL;

/// What a vendor of this workspace is reached by.
enum By {
    /// The facts of this vendor.
    Vendor(&'static str),
    /// No OAuth, and why.
    NotOAuth(&'static str),
    /// OAuth, but nothing here speaks to it.
    NotBuilt(&'static str),
}

use By::{NotBuilt, NotOAuth, Vendor};

/// Every vendor whose OAuth was looked into.
const LOOKED_INTO: [(&str, By); 48] = [
    ("adyen", Vendor("adyen")),
    ("amplitude", NotOAuth("an API key and a secret as Basic")),
    ("apple", Vendor("apple")),
    ("auth0", Vendor("auth0")),
    (
        "aws-iam-oauth",
        NotBuilt("Cognito is an issuer of OpenID Connect like any other: its metadata say all"),
    ),
    ("braintree", Vendor("braintree")),
    ("deezer", Vendor("deezer")),
    ("digitalocean", Vendor("digitalocean")),
    ("discord", Vendor("discord")),
    ("facebook", Vendor("facebook")),
    ("github", Vendor("github")),
    ("gitlab", Vendor("gitlab")),
    ("gmail", Vendor("google")),
    ("google", Vendor("google")),
    ("google-analytics", Vendor("google")),
    ("google-calendar", Vendor("google")),
    ("google-meet", Vendor("google")),
    ("heroku", Vendor("heroku")),
    ("hubspot", Vendor("hubspot")),
    ("instagram", Vendor("instagram")),
    ("lastfm", NotOAuth("a session key that a signed call gives, which never ends")),
    ("linkedin", Vendor("linkedin")),
    ("mailchimp", NotBuilt("no driver")),
    ("mailgun", NotOAuth("an API key as Basic")),
    ("microsoft", Vendor("microsoft")),
    ("microsoft-teams", Vendor("microsoft")),
    ("mixpanel", NotOAuth("a service account's name and secret as Basic")),
    ("okta", Vendor("okta")),
    ("outlook", Vendor("microsoft")),
    ("paypal", Vendor("paypal")),
    ("paypal-sandbox", Vendor("paypal")),
    ("salesforce", Vendor("salesforce")),
    ("segment", Vendor("segment")),
    ("sendgrid", NotOAuth("an API key as a bearer token")),
    ("sentry", Vendor("sentry")),
    ("slack", Vendor("slack")),
    ("soundcloud", Vendor("soundcloud")),
    ("spotify", Vendor("spotify")),
    ("square", Vendor("square")),
    ("stripe-app", Vendor("stripe-app")),
    ("stripe-connect", Vendor("stripe-connect")),
    ("tiktok", Vendor("tiktok")),
    ("tiktok-ads", NotBuilt("no driver")),
    ("twilio", Vendor("twilio")),
    ("vercel", Vendor("vercel")),
    ("x-twitter", Vendor("x-twitter")),
    ("youtube", Vendor("google")),
    ("zoom", Vendor("zoom")),
];

/// A second way to a vendor that has one already.
const SECOND_WAYS: [&str; 3] = ["slack-user", "soundcloud-app", "zoom-server"];

#[test]
fn every_vendor_that_was_looked_into_is_there_or_says_why_not() {
    let names: BTreeSet<&str> = LOOKED_INTO.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), LOOKED_INTO.len());
    let mut expected: BTreeSet<&str> = SECOND_WAYS.into();
    for (name, by) in LOOKED_INTO {
        match by {
            Vendor(vendor) => drop(expected.insert(vendor)),
            NotOAuth(why) | NotBuilt(why) => assert!(!why.is_empty() && facts(name).is_none(), "{name}"),
        }
    }
    assert_eq!(ALL.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(), expected);
}

#[test]
fn vendors_come_by_name_and_once() {
    assert!(ALL.is_sorted_by(|(a, _), (b, _)| a < b));
}

/// What differs from the standards, vendor by vendor.
#[test]
fn the_departures_of_each_vendor() {
    let text: String = ALL.iter().map(|(name, oauth)| departures(name, oauth)).collect();
    insta::assert_snapshot!(text);
}

#[test]
fn every_address_is_one_when_its_parts_are_filled() {
    for (name, oauth) in ALL {
        for url in addresses(oauth) {
            let filled = oauth.vars.iter().fold(url.to_owned(), |url, (part, default)| {
                url.replace(&format!("{{{part}}}"), if default.is_empty() { "mine" } else { default })
            });
            let uri: Uri = filled.parse().unwrap_or_else(|e| panic!("{name}: {filled}: {e}"));
            assert_eq!(uri.scheme_str(), Some("https"), "{name}: {filled}");
            assert!(uri.host().is_some_and(|host| host.contains('.') || host == "mine"), "{name}: {filled}");
        }
        for (part, _) in oauth.vars {
            let part = format!("{{{part}}}");
            assert!(addresses(oauth).any(|url| url.contains(&part)), "{name}: no address has {part}");
        }
    }
}

#[test]
fn a_part_without_a_default_is_one_that_nobody_could_guess() {
    let open: Vec<_> =
        ALL.iter().flat_map(|(name, oauth)| oauth.vars.iter().map(move |var| (*name, *var))).collect();
    let open: Vec<_> =
        open.iter().filter(|(_, (_, default))| default.is_empty()).map(|(n, (p, _))| (*n, *p)).collect();
    assert_eq!(
        open,
        [
            ("adyen", "environment"),
            ("auth0", "domain"),
            ("okta", "domain"),
            ("sentry", "installation"),
            ("zoom-server", "account"),
        ]
    );
}

#[test]
fn a_life_is_extended_exactly_where_there_are_no_refresh_tokens_but_an_address_for_it() {
    for (name, oauth) in ALL {
        assert_eq!(oauth.refresh == Refresh::Extend, oauth.extend.is_some(), "{name}");
        let has_refresh_tokens = !matches!(oauth.refresh, Refresh::Extend | Refresh::None);
        assert!(
            has_refresh_tokens || (oauth.refresh_url.is_none() && oauth.refresh_params.is_empty()),
            "{name}"
        );
    }
    assert_eq!(names_with(|oauth| oauth.upgrade.is_some()), ["facebook", "instagram"]);
}

#[test]
fn a_proof_key_is_left_out_only_where_it_is_known_to_be_of_no_use_or_harmful() {
    let expected =
        ["deezer", "instagram", "linkedin", "sentry", "slack", "slack-user", "square", "stripe-app"];
    assert_eq!(names_with(|oauth| oauth.pkce == Pkce::None), expected);
    assert_eq!(names_with(|oauth| oauth.pkce == Pkce::S256Hex), ["tiktok"]);
}

#[test]
fn scopes_are_separated_by_a_space_or_by_a_comma() {
    let expected = ["braintree", "deezer", "facebook", "instagram", "slack", "slack-user", "tiktok", "zoom"];
    assert_eq!(names_with(|oauth| oauth.scope_separator == ','), expected);
    assert_eq!(names_with(|oauth| ![' ', ','].contains(&oauth.scope_separator)), Vec::<&str>::new());
}

#[test]
fn without_a_user_there_is_nothing_to_say_about_the_users_address() {
    let expected = ["sentry", "soundcloud-app", "twilio", "zoom-server"];
    assert_eq!(names_with(|oauth| oauth.authorize_url.is_none()), expected);
    assert_eq!(
        names_with(|o| o.authorize_url.is_none() && !o.authorize_params.is_empty()),
        Vec::<&str>::new()
    );
}

#[test]
fn no_fact_sets_what_the_flow_sets() {
    let ours = [
        "client_id",
        "client_secret",
        "code",
        "grant_type",
        "redirect_uri",
        "refresh_token",
        "scope",
        "state",
    ];
    for (name, oauth) in ALL {
        for (parameter, _) in [oauth.authorize_params, oauth.token_params, oauth.refresh_params].concat() {
            assert!(!ours.contains(&parameter), "{name}: {parameter}");
        }
        assert!(!oauth.reauth_codes.contains(&"invalid_grant"), "{name}: means it everywhere");
    }
}

fn facts(name: &str) -> Option<&'static OAuth> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, oauth)| oauth)
}

fn names_with(wanted: impl Fn(&OAuth) -> bool) -> Vec<&'static str> {
    ALL.iter().filter(|(_, oauth)| wanted(oauth)).map(|(name, _)| *name).collect()
}

fn addresses(oauth: &OAuth) -> impl Iterator<Item = &'static str> {
    let url = |exchange: Option<Exchange>| exchange.map(|exchange| exchange.url);
    let optional = [
        oauth.authorize_url,
        oauth.refresh_url,
        oauth.revoke_url,
        oauth.introspect_url,
        oauth.device_url,
        oauth.issuer,
        url(oauth.upgrade),
        url(oauth.extend),
    ];
    std::iter::once(oauth.token_url).chain(optional.into_iter().flatten())
}

/// One line per fact that differs from those of a vendor of whom only the token address is known.
fn departures(name: &str, oauth: &OAuth) -> String {
    let standard = OAuth::new(oauth.token_url);
    let mut text = format!("{name}: {:?} refresh tokens from {}\n", oauth.refresh, oauth.token_url);
    macro_rules! fields {
        ($($field:ident)*) => {$(
            if oauth.$field != standard.$field {
                text.push_str(&format!("    {}: {:?}\n", stringify!($field), oauth.$field));
            }
        )*};
    }
    fields! {
        authorize_url refresh_url revoke_url introspect_url device_url issuer vars pkce client_auth token_body renames
        scope_separator default_scopes authorize_params token_params refresh_params client_grant upgrade extend reply_root
        reply_renames lifetime scheme reauth_codes limit_codes
    }
    text
}
