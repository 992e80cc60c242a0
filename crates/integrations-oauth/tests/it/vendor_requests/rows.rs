//! The table.

#![allow(clippy::unnecessary_wraps, reason = "rows read better without `Some` around each request")]

use integrations_core::ErrorKind;

use super::{Expected, Of, Row, Sample, Sent, Shape, Tokens};

/// The client as RFC 6749 section 2.3.1 has it: encoded as in a form, then joined.
const BASIC: Option<&str> = Some("cid:se%2Bcret%2F1");

const CODE: &str = "code=the-code&code_verifier={verifier}&grant_type=authorization_code&redirect_uri=https://app.example/cb";
const CODE_AND_SECRET: &str = "client_id=cid&client_secret=se+cret/1&code=the-code&code_verifier={verifier}&\
    grant_type=authorization_code&redirect_uri=https://app.example/cb";
const CODE_AND_SECRET_WITHOUT_KEY: &str = "client_id=cid&client_secret=se+cret/1&code=the-code&\
    grant_type=authorization_code&redirect_uri=https://app.example/cb";
const REFRESH: &str = "grant_type=refresh_token&refresh_token=the-refresh";
const REFRESH_AND_SECRET: &str =
    "client_id=cid&client_secret=se+cret/1&grant_type=refresh_token&refresh_token=the-refresh";

const ROW: Row = Row {
    vendor: "",
    vars: &[],
    authorize: None,
    code: None,
    upgrade: None,
    refresh: None,
    client: None,
    samples: &[],
};

const fn post(to: &'static str, fields: &'static str) -> Option<Sent> {
    Some(Sent { to, shape: Shape::Form, basic: None, fields })
}

const fn post_basic(to: &'static str, fields: &'static str) -> Option<Sent> {
    Some(Sent { to, shape: Shape::Form, basic: BASIC, fields })
}

const fn get(to: &'static str, fields: &'static str) -> Option<Sent> {
    Some(Sent { to, shape: Shape::Query, basic: None, fields })
}

const fn ok(of: Of, body: &'static str, tokens: Tokens) -> Sample {
    Sample { of, before: None, status: 200, body, expected: Expected::Tokens(tokens) }
}

const fn fails(of: Of, status: u16, body: &'static str, kind: ErrorKind, code: &'static str) -> Sample {
    Sample { of, before: None, status, body, expected: Expected::Fails(kind, code) }
}

const NEW: Tokens =
    Tokens { access: "new", refresh: None, lives: None, refresh_lives: None, scopes: None, extra: &[] };
const NEW_PAIR: Tokens = Tokens { refresh: Some("next"), ..NEW };
const HOUR: Tokens = Tokens { lives: Some(3600), ..NEW };
const HOUR_PAIR: Tokens = Tokens { lives: Some(3600), ..NEW_PAIR };

/// As in RFC 6749 section 5.1, for vendors of whose answers nothing else is known.
const PLAIN: &str =
    r#"{"access_token":"new","token_type":"Bearer","expires_in":3600,"refresh_token":"next"}"#;
const PLAIN_CODE: Sample = ok(Of::Code, PLAIN, HOUR_PAIR);
const PLAIN_REFRESH: Sample = ok(Of::Refresh, PLAIN, HOUR_PAIR);
const INVALID_GRANT: Sample = fails(
    Of::Refresh,
    400,
    r#"{"error":"invalid_grant","error_description":"expired access/refresh token"}"#,
    ErrorKind::ReauthRequired,
    "invalid_grant",
);

pub(super) const ROWS: &[Row] = &[
    Row {
        vendor: "adyen",
        vars: &[("environment", "test")],
        authorize: Some(
            "https://ca-test.adyen.com/ca/ca/oauth/connect.shtml?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: post_basic("https://oauth-test.adyen.com/v1/token", CODE),
        refresh: post_basic("https://oauth-test.adyen.com/v1/token", REFRESH),
        samples: &[PLAIN_CODE, PLAIN_REFRESH, INVALID_GRANT],
        ..ROW
    },
    Row {
        vendor: "apple",
        authorize: Some(
            "https://appleid.apple.com/auth/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_mode=form_post&response_type=code&scope=a b&state={state}",
        ),
        code: post("https://appleid.apple.com/auth/token", CODE_AND_SECRET),
        refresh: post("https://appleid.apple.com/auth/token", REFRESH_AND_SECRET),
        samples: &[
            ok(
                Of::Code,
                r#"{"access_token":"new","token_type":"Bearer","expires_in":3600,"refresh_token":"next","id_token":"e30.e30.c2ln"}"#,
                HOUR_PAIR,
            ),
            ok(
                Of::Refresh,
                r#"{"access_token":"new","token_type":"Bearer","expires_in":3600,"id_token":"e30.e30.c2ln"}"#,
                HOUR,
            ),
            fails(Of::Code, 400, r#"{"error":"invalid_client"}"#, ErrorKind::Config, "invalid_client"),
        ],
        ..ROW
    },
    Row {
        vendor: "auth0",
        vars: &[("domain", "acme.eu.auth0.com")],
        authorize: Some(
            "https://acme.eu.auth0.com/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_mode=query&response_type=code&scope=a b offline_access&state={state}",
        ),
        code: post("https://acme.eu.auth0.com/oauth/token", CODE_AND_SECRET),
        refresh: post("https://acme.eu.auth0.com/oauth/token", REFRESH_AND_SECRET),
        samples: &[PLAIN_CODE, PLAIN_REFRESH, INVALID_GRANT],
        ..ROW
    },
    Row {
        vendor: "braintree",
        authorize: Some(
            "https://api.braintreegateway.com/oauth/connect?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a,b&state={state}",
        ),
        code: Some(Sent {
            to: "https://api.braintreegateway.com/oauth/access_tokens",
            shape: Shape::Json,
            basic: BASIC,
            fields: CODE,
        }),
        samples: &[Sample {
            status: 201,
            ..ok(
                Of::Code,
                r#"{"credentials":{"accessToken":"new","refreshToken":"next","expiresAt":"2026-01-11T00:00:00Z","tokenType":"bearer"}}"#,
                Tokens { lives: Some(864_000), ..NEW_PAIR },
            )
        }],
        ..ROW
    },
    Row {
        vendor: "deezer",
        authorize: Some(
            "https://connect.deezer.com/oauth/auth.php?app_id=cid&perms=a,b,offline_access&redirect_uri=https://app.example/cb&response_type=code&state={state}",
        ),
        code: get(
            "https://connect.deezer.com/oauth/access_token.php",
            "app_id=cid&code=the-code&grant_type=authorization_code&output=json&redirect_uri=https://app.example/cb&secret=se+cret/1",
        ),
        samples: &[
            ok(Of::Code, r#"{"access_token":"new","expires":0}"#, NEW),
            ok(Of::Code, "access_token=new&expires=3600", HOUR),
            ok(Of::Code, r#"{"access_token":"new","expires":"3600"}"#, HOUR),
        ],
        ..ROW
    },
    Row {
        vendor: "digitalocean",
        authorize: Some(
            "https://cloud.digitalocean.com/v1/oauth/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: post("https://cloud.digitalocean.com/v1/oauth/token", CODE_AND_SECRET),
        refresh: post("https://cloud.digitalocean.com/v1/oauth/token", REFRESH_AND_SECRET),
        samples: &[
            ok(
                Of::Code,
                r#"{"access_token":"new","token_type":"bearer","expires_in":2592000,"refresh_token":"next","scope":"a b","info":{"name":"Ann","uuid":"7"}}"#,
                Tokens {
                    lives: Some(2_592_000),
                    scopes: Some(&["a", "b"]),
                    extra: &[("info", r#"{"name":"Ann","uuid":"7"}"#)],
                    ..NEW_PAIR
                },
            ),
            PLAIN_REFRESH,
        ],
        ..ROW
    },
    Row {
        vendor: "discord",
        authorize: Some(
            "https://discord.com/oauth2/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: post_basic("https://discord.com/api/oauth2/token", CODE),
        refresh: post_basic("https://discord.com/api/oauth2/token", REFRESH),
        samples: &[
            ok(
                Of::Code,
                r#"{"token_type":"Bearer","access_token":"new","expires_in":604800,"refresh_token":"next","scope":"a b","webhook":{"id":"1"}}"#,
                Tokens {
                    lives: Some(604_800),
                    scopes: Some(&["a", "b"]),
                    extra: &[("webhook", r#"{"id":"1"}"#)],
                    ..NEW_PAIR
                },
            ),
            PLAIN_REFRESH,
            INVALID_GRANT,
        ],
        ..ROW
    },
    Row {
        vendor: "facebook",
        authorize: Some(
            "https://www.facebook.com/v26.0/dialog/oauth?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a,b&state={state}",
        ),
        code: get("https://graph.facebook.com/v26.0/oauth/access_token", CODE_AND_SECRET),
        upgrade: get(
            "https://graph.facebook.com/v26.0/oauth/access_token",
            "client_id=cid&client_secret=se+cret/1&fb_exchange_token=short&grant_type=fb_exchange_token",
        ),
        samples: &[
            Sample {
                before: Some(r#"{"access_token":"short","token_type":"bearer","expires_in":5183}"#),
                ..ok(
                    Of::Code,
                    r#"{"access_token":"new","token_type":"bearer","expires_in":5183944}"#,
                    Tokens { lives: Some(5_183_944), ..NEW },
                )
            },
            fails(
                Of::Code,
                400,
                r#"{"error":{"message":"Error validating access token","type":"OAuthException","code":190,"error_subcode":463,"fbtrace_id":"A"}}"#,
                ErrorKind::ReauthRequired,
                "190",
            ),
            fails(
                Of::Code,
                400,
                r#"{"error":{"message":"(#4) Application request limit reached","type":"OAuthException","code":4,"fbtrace_id":"A"}}"#,
                ErrorKind::RateLimited,
                "4",
            ),
        ],
        ..ROW
    },
    Row {
        vendor: "github",
        authorize: Some(
            "https://github.com/login/oauth/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: post("https://github.com/login/oauth/access_token", CODE_AND_SECRET),
        refresh: post("https://github.com/login/oauth/access_token", REFRESH_AND_SECRET),
        samples: &[
            // Of an app whose tokens do not end, and a form, as without `Accept`.
            ok(
                Of::Code,
                "access_token=new&scope=repo%2Cgist&token_type=bearer",
                Tokens { scopes: Some(&["repo", "gist"]), ..NEW },
            ),
            ok(
                Of::Refresh,
                r#"{"access_token":"new","expires_in":28800,"refresh_token":"next","refresh_token_expires_in":15811200,"scope":"","token_type":"bearer"}"#,
                Tokens { lives: Some(28_800), refresh_lives: Some(15_811_200), ..NEW_PAIR },
            ),
            fails(
                Of::Code,
                200,
                r#"{"error":"bad_verification_code","error_description":"The code passed is incorrect or expired.","error_uri":"https://docs.github.com"}"#,
                ErrorKind::ReauthRequired,
                "bad_verification_code",
            ),
            fails(
                Of::Refresh,
                200,
                "error=bad_refresh_token&error_description=The+refresh+token+passed+is+incorrect+or+expired.",
                ErrorKind::ReauthRequired,
                "bad_refresh_token",
            ),
        ],
        ..ROW
    },
    Row {
        vendor: "gitlab",
        authorize: Some(
            "https://gitlab.com/oauth/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: post("https://gitlab.com/oauth/token", CODE_AND_SECRET),
        refresh: post("https://gitlab.com/oauth/token", REFRESH_AND_SECRET),
        samples: &[
            ok(
                Of::Code,
                r#"{"access_token":"new","token_type":"Bearer","expires_in":7200,"refresh_token":"next","scope":"a b","created_at":1767225600}"#,
                Tokens {
                    lives: Some(7200),
                    scopes: Some(&["a", "b"]),
                    extra: &[("created_at", "1767225600")],
                    ..NEW_PAIR
                },
            ),
            PLAIN_REFRESH,
            INVALID_GRANT,
        ],
        ..ROW
    },
    Row {
        vendor: "google",
        authorize: Some(
            "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&client_id=cid&code_challenge={s256}&code_challenge_method=S256&prompt=consent&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: post("https://oauth2.googleapis.com/token", CODE_AND_SECRET),
        refresh: post("https://oauth2.googleapis.com/token", REFRESH_AND_SECRET),
        samples: &[
            // The user may untick scopes.
            ok(
                Of::Code,
                r#"{"access_token":"new","expires_in":3599,"refresh_token":"next","scope":"a","token_type":"Bearer"}"#,
                Tokens { lives: Some(3599), scopes: Some(&["a"]), ..NEW_PAIR },
            ),
            ok(
                Of::Refresh,
                r#"{"access_token":"new","expires_in":3599,"scope":"a b","token_type":"Bearer"}"#,
                Tokens { lives: Some(3599), scopes: Some(&["a", "b"]), ..NEW },
            ),
            fails(
                Of::Refresh,
                400,
                r#"{"error":"invalid_grant","error_description":"reauth related error (invalid_rapt)","error_subtype":"invalid_rapt"}"#,
                ErrorKind::ReauthRequired,
                "invalid_rapt",
            ),
        ],
        ..ROW
    },
    Row {
        vendor: "heroku",
        authorize: Some(
            "https://id.heroku.com/oauth/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: post("https://id.heroku.com/oauth/token", CODE_AND_SECRET),
        refresh: post("https://id.heroku.com/oauth/token", REFRESH_AND_SECRET),
        samples: &[
            ok(
                Of::Code,
                r#"{"access_token":"new","expires_in":28799,"refresh_token":"next","token_type":"Bearer","user_id":"u","session_nonce":"n"}"#,
                Tokens { lives: Some(28_799), extra: &[("user_id", "u")], ..NEW_PAIR },
            ),
            PLAIN_REFRESH,
        ],
        ..ROW
    },
    Row {
        vendor: "hubspot",
        authorize: Some(
            "https://app.hubspot.com/oauth/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: post("https://api.hubapi.com/oauth/2026-03/token", CODE_AND_SECRET),
        refresh: post("https://api.hubapi.com/oauth/2026-03/token", REFRESH_AND_SECRET),
        samples: &[
            ok(
                Of::Code,
                r#"{"token_type":"bearer","refresh_token":"next","access_token":"new","expires_in":1800}"#,
                Tokens { lives: Some(1800), ..NEW_PAIR },
            ),
            ok(
                Of::Refresh,
                r#"{"token_type":"bearer","refresh_token":"the-refresh","access_token":"new","expires_in":1800}"#,
                Tokens { lives: Some(1800), refresh: Some("the-refresh"), ..NEW },
            ),
            fails(
                Of::Refresh,
                400,
                r#"{"status":"BAD_REFRESH_TOKEN","message":"missing or invalid refresh token","correlationId":"c"}"#,
                ErrorKind::ReauthRequired,
                "missing or invalid refresh token",
            ),
            // The user cannot mend this.
            fails(
                Of::Refresh,
                400,
                r#"{"status":"BAD_REFRESH_TOKEN","message":"refresh token was not issued to this client"}"#,
                ErrorKind::InvalidRequest,
                "",
            ),
        ],
        ..ROW
    },
    Row {
        vendor: "instagram",
        authorize: Some(
            "https://www.instagram.com/oauth/authorize?client_id=cid&redirect_uri=https://app.example/cb&response_type=code&scope=a,b&state={state}",
        ),
        code: post("https://api.instagram.com/oauth/access_token", CODE_AND_SECRET_WITHOUT_KEY),
        upgrade: get(
            "https://graph.instagram.com/access_token",
            "access_token=short&client_id=cid&client_secret=se+cret/1&grant_type=ig_exchange_token",
        ),
        refresh: get(
            "https://graph.instagram.com/refresh_access_token",
            "access_token=the-access&grant_type=ig_refresh_token",
        ),
        samples: &[
            // What the second answer leaves out stays from the first.
            Sample {
                before: Some(r#"{"access_token":"short","user_id":17841400000000000}"#),
                ..ok(
                    Of::Code,
                    r#"{"access_token":"new","token_type":"bearer","expires_in":5183944}"#,
                    Tokens { lives: Some(5_183_944), extra: &[("user_id", "17841400000000000")], ..NEW },
                )
            },
            Sample {
                expected: Expected::Tokens(Tokens {
                    lives: Some(5_183_944),
                    refresh: Some("the-refresh"),
                    ..NEW
                }),
                ..ok(Of::Refresh, r#"{"access_token":"new","token_type":"bearer","expires_in":5183944}"#, NEW)
            },
            fails(
                Of::Refresh,
                400,
                r#"{"error":{"message":"Session has expired","type":"OAuthException","code":190,"fbtrace_id":"A"}}"#,
                ErrorKind::ReauthRequired,
                "190",
            ),
        ],
        ..ROW
    },
    Row {
        vendor: "linkedin",
        authorize: Some(
            "https://www.linkedin.com/oauth/v2/authorization?client_id=cid&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: post("https://www.linkedin.com/oauth/v2/accessToken", CODE_AND_SECRET_WITHOUT_KEY),
        refresh: post("https://www.linkedin.com/oauth/v2/accessToken", REFRESH_AND_SECRET),
        samples: &[
            ok(
                Of::Code,
                r#"{"access_token":"new","expires_in":5184000,"scope":"a,b"}"#,
                Tokens { lives: Some(5_184_000), scopes: Some(&["a", "b"]), ..NEW },
            ),
            ok(
                Of::Refresh,
                r#"{"access_token":"new","expires_in":5184000,"refresh_token":"the-refresh","refresh_token_expires_in":439200}"#,
                Tokens {
                    lives: Some(5_184_000),
                    refresh: Some("the-refresh"),
                    refresh_lives: Some(439_200),
                    ..NEW
                },
            ),
        ],
        ..ROW
    },
    Row {
        vendor: "microsoft",
        authorize: Some(
            "https://login.microsoftonline.com/common/oauth2/v2.0/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_mode=query&response_type=code&scope=a b offline_access&state={state}",
        ),
        code: post("https://login.microsoftonline.com/common/oauth2/v2.0/token", CODE_AND_SECRET),
        refresh: post("https://login.microsoftonline.com/common/oauth2/v2.0/token", REFRESH_AND_SECRET),
        samples: &[
            ok(
                Of::Code,
                r#"{"token_type":"Bearer","scope":"a b","expires_in":4799,"ext_expires_in":4799,"access_token":"new","refresh_token":"next"}"#,
                Tokens {
                    lives: Some(4799),
                    scopes: Some(&["a", "b"]),
                    extra: &[("ext_expires_in", "4799")],
                    ..NEW_PAIR
                },
            ),
            PLAIN_REFRESH,
            fails(
                Of::Refresh,
                400,
                r#"{"error":"interaction_required","error_description":"AADSTS50076: use multi-factor authentication","error_codes":[50076],"timestamp":"2026-01-01 00:00:00Z","trace_id":"t","correlation_id":"c","claims":"{}"}"#,
                ErrorKind::ReauthRequired,
                "interaction_required",
            ),
            fails(
                Of::Refresh,
                401,
                r#"{"error":"invalid_client","error_description":"AADSTS7000222: the secret expired","error_codes":[7000222]}"#,
                ErrorKind::Config,
                "invalid_client",
            ),
        ],
        ..ROW
    },
    Row {
        vendor: "okta",
        vars: &[("domain", "acme.okta.com")],
        authorize: Some(
            "https://acme.okta.com/oauth2/v1/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_mode=query&response_type=code&scope=a b offline_access&state={state}",
        ),
        code: post_basic("https://acme.okta.com/oauth2/v1/token", CODE),
        refresh: post_basic("https://acme.okta.com/oauth2/v1/token", REFRESH),
        samples: &[PLAIN_CODE, PLAIN_REFRESH, INVALID_GRANT],
        ..ROW
    },
    Row {
        vendor: "paypal",
        vars: &[("domain", "sandbox.paypal.com")],
        authorize: Some(
            "https://www.sandbox.paypal.com/signin/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: post_basic("https://api-m.sandbox.paypal.com/v1/oauth2/token", CODE),
        refresh: post_basic("https://api-m.sandbox.paypal.com/v1/oauth2/token", REFRESH),
        client: post_basic(
            "https://api-m.sandbox.paypal.com/v1/oauth2/token",
            "grant_type=client_credentials",
        ),
        samples: &[
            PLAIN_CODE,
            PLAIN_REFRESH,
            ok(
                Of::Client,
                r#"{"scope":"https://uri.paypal.com/services/invoicing","access_token":"new","token_type":"Bearer","app_id":"APP-1","expires_in":32400,"nonce":"n"}"#,
                Tokens {
                    lives: Some(32_400),
                    scopes: Some(&["https://uri.paypal.com/services/invoicing"]),
                    extra: &[("app_id", "APP-1")],
                    ..NEW
                },
            ),
        ],
        ..ROW
    },
    Row {
        vendor: "salesforce",
        authorize: Some(
            "https://login.salesforce.com/services/oauth2/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&prompt=consent&redirect_uri=https://app.example/cb&response_type=code&scope=a b offline_access&state={state}",
        ),
        code: post("https://login.salesforce.com/services/oauth2/token", CODE_AND_SECRET),
        refresh: post("https://login.salesforce.com/services/oauth2/token", REFRESH_AND_SECRET),
        samples: &[
            ok(
                Of::Code,
                r#"{"access_token":"new","refresh_token":"next","signature":"c2ln","scope":"a b","instance_url":"https://acme.my.salesforce.com","id":"https://login.salesforce.com/id/o/u","token_type":"Bearer","issued_at":"1767225600000"}"#,
                Tokens {
                    scopes: Some(&["a", "b"]),
                    extra: &[
                        ("instance_url", "https://acme.my.salesforce.com"),
                        ("issued_at", "1767225600000"),
                    ],
                    ..NEW_PAIR
                },
            ),
            ok(
                Of::Refresh,
                r#"{"access_token":"new","signature":"c2ln","instance_url":"https://acme.my.salesforce.com","issued_at":"1767225600000"}"#,
                NEW,
            ),
            INVALID_GRANT,
        ],
        ..ROW
    },
    Row {
        vendor: "segment",
        authorize: Some(
            "https://id.segmentapis.com/oauth2/auth?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: post_basic("https://id.segmentapis.com/oauth2/token", CODE),
        refresh: post_basic("https://id.segmentapis.com/oauth2/token", REFRESH),
        samples: &[PLAIN_CODE, PLAIN_REFRESH],
        ..ROW
    },
    Row {
        vendor: "sentry",
        vars: &[("installation", "7a485448")],
        code: Some(Sent {
            to: "https://sentry.io/api/0/sentry-app-installations/7a485448/authorizations/",
            shape: Shape::Json,
            basic: None,
            fields: CODE_AND_SECRET_WITHOUT_KEY,
        }),
        refresh: Some(Sent {
            to: "https://sentry.io/api/0/sentry-app-installations/7a485448/authorizations/",
            shape: Shape::Json,
            basic: None,
            fields: REFRESH_AND_SECRET,
        }),
        samples: &[
            Sample {
                status: 201,
                ..ok(
                    Of::Code,
                    r#"{"id":"38","token":"new","refreshToken":"next","dateCreated":"2026-01-01T00:00:00Z","expiresAt":"2026-01-01T08:00:00Z","state":null,"application":null}"#,
                    Tokens { lives: Some(28_800), extra: &[("id", "38")], ..NEW_PAIR },
                )
            },
            Sample {
                status: 201,
                ..ok(
                    Of::Refresh,
                    r#"{"id":"38","token":"new","refreshToken":"next","expiresAt":"2026-01-01T08:00:00Z"}"#,
                    Tokens { lives: Some(28_800), ..NEW_PAIR },
                )
            },
        ],
        ..ROW
    },
    Row {
        vendor: "slack",
        authorize: Some(
            "https://slack.com/oauth/v2/authorize?client_id=cid&redirect_uri=https://app.example/cb&response_type=code&scope=a,b&state={state}",
        ),
        code: post_basic(
            "https://slack.com/api/oauth.v2.access",
            "code=the-code&grant_type=authorization_code&redirect_uri=https://app.example/cb",
        ),
        refresh: post_basic("https://slack.com/api/oauth.v2.access", REFRESH),
        samples: &[
            // The bot's token, though the answer may hold a user's, too.
            ok(
                Of::Code,
                r#"{"ok":true,"access_token":"new","token_type":"bot","scope":"a,b","bot_user_id":"U1","app_id":"A1","team":{"id":"T1"},"enterprise":null,"authed_user":{"id":"U2","scope":"c","access_token":"the-users","token_type":"user"}}"#,
                Tokens {
                    scopes: Some(&["a", "b"]),
                    extra: &[("bot_user_id", "U1"), ("team", r#"{"id":"T1"}"#)],
                    ..NEW
                },
            ),
            ok(
                Of::Refresh,
                r#"{"ok":true,"access_token":"new","expires_in":43200,"refresh_token":"next","token_type":"bot","scope":"a,b"}"#,
                Tokens { lives: Some(43_200), scopes: Some(&["a", "b"]), ..NEW_PAIR },
            ),
            fails(
                Of::Refresh,
                200,
                r#"{"ok":false,"error":"invalid_refresh_token"}"#,
                ErrorKind::ReauthRequired,
                "invalid_refresh_token",
            ),
            fails(
                Of::Code,
                200,
                r#"{"ok":false,"error":"invalid_code"}"#,
                ErrorKind::ReauthRequired,
                "invalid_code",
            ),
        ],
        ..ROW
    },
    Row {
        vendor: "slack-user",
        authorize: Some(
            "https://slack.com/oauth/v2/authorize?client_id=cid&redirect_uri=https://app.example/cb&response_type=code&state={state}&user_scope=a,b",
        ),
        code: post_basic(
            "https://slack.com/api/oauth.v2.access",
            "code=the-code&grant_type=authorization_code&redirect_uri=https://app.example/cb",
        ),
        refresh: post_basic("https://slack.com/api/oauth.v2.access", REFRESH),
        samples: &[
            ok(
                Of::Code,
                r#"{"ok":true,"app_id":"A1","team":{"id":"T1"},"authed_user":{"id":"U2","scope":"a,b","access_token":"new","refresh_token":"next","expires_in":43200,"token_type":"user"}}"#,
                Tokens {
                    lives: Some(43_200),
                    scopes: Some(&["a", "b"]),
                    extra: &[("id", "U2"), ("team", r#"{"id":"T1"}"#)],
                    ..NEW_PAIR
                },
            ),
            // An answer to a refresh holds the tokens at its top.
            ok(
                Of::Refresh,
                r#"{"ok":true,"access_token":"new","expires_in":43200,"refresh_token":"next","token_type":"user"}"#,
                Tokens { lives: Some(43_200), ..NEW_PAIR },
            ),
        ],
        ..ROW
    },
    Row {
        vendor: "soundcloud",
        authorize: Some(
            "https://secure.soundcloud.com/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: post("https://secure.soundcloud.com/oauth/token", CODE_AND_SECRET),
        refresh: post("https://secure.soundcloud.com/oauth/token", REFRESH_AND_SECRET),
        samples: &[
            ok(
                Of::Code,
                r#"{"access_token":"new","token_type":"bearer","expires_in":3599,"refresh_token":"next","scope":""}"#,
                Tokens { lives: Some(3599), ..NEW_PAIR },
            ),
            PLAIN_REFRESH,
            INVALID_GRANT,
        ],
        ..ROW
    },
    Row {
        vendor: "soundcloud-app",
        refresh: post_basic("https://secure.soundcloud.com/oauth/token", REFRESH),
        client: post_basic("https://secure.soundcloud.com/oauth/token", "grant_type=client_credentials"),
        samples: &[PLAIN_REFRESH, ok(Of::Client, PLAIN, HOUR_PAIR)],
        ..ROW
    },
    Row {
        vendor: "spotify",
        authorize: Some(
            "https://accounts.spotify.com/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: post_basic("https://accounts.spotify.com/api/token", CODE),
        refresh: post_basic("https://accounts.spotify.com/api/token", REFRESH),
        client: post_basic("https://accounts.spotify.com/api/token", "grant_type=client_credentials"),
        samples: &[
            ok(
                Of::Code,
                r#"{"access_token":"new","token_type":"Bearer","scope":"a b","expires_in":3600,"refresh_token":"next"}"#,
                Tokens { scopes: Some(&["a", "b"]), ..HOUR_PAIR },
            ),
            ok(
                Of::Refresh,
                r#"{"access_token":"new","token_type":"Bearer","scope":"a b","expires_in":3600}"#,
                Tokens { scopes: Some(&["a", "b"]), ..HOUR },
            ),
            ok(Of::Client, r#"{"access_token":"new","token_type":"bearer","expires_in":3600}"#, HOUR),
            // Six months after the user consented.
            fails(
                Of::Refresh,
                400,
                r#"{"error":"invalid_grant","error_description":"Refresh token revoked"}"#,
                ErrorKind::ReauthRequired,
                "invalid_grant",
            ),
        ],
        ..ROW
    },
    Row {
        vendor: "square",
        authorize: Some(
            "https://connect.squareup.com/oauth2/authorize?client_id=cid&redirect_uri=https://app.example/cb&response_type=code&scope=a b&session=false&state={state}",
        ),
        code: Some(Sent {
            to: "https://connect.squareup.com/oauth2/token",
            shape: Shape::Json,
            basic: None,
            fields: CODE_AND_SECRET_WITHOUT_KEY,
        }),
        refresh: Some(Sent {
            to: "https://connect.squareup.com/oauth2/token",
            shape: Shape::Json,
            basic: None,
            fields: REFRESH_AND_SECRET,
        }),
        samples: &[
            ok(
                Of::Code,
                r#"{"access_token":"new","token_type":"bearer","expires_at":"2026-01-31T00:00:00Z","merchant_id":"M1","refresh_token":"next","short_lived":false}"#,
                Tokens { lives: Some(2_592_000), extra: &[("merchant_id", "M1")], ..NEW_PAIR },
            ),
            ok(
                Of::Refresh,
                r#"{"access_token":"new","token_type":"bearer","expires_at":"2026-01-02T00:00:00Z","merchant_id":"M1","refresh_token":"the-refresh","short_lived":true,"refresh_token_expires_at":"2026-04-01T00:00:00Z"}"#,
                Tokens {
                    lives: Some(86_400),
                    refresh: Some("the-refresh"),
                    refresh_lives: Some(7_776_000),
                    ..NEW
                },
            ),
            fails(
                Of::Refresh,
                401,
                r#"{"message":"Invalid refresh token","type":"service.not_authorized"}"#,
                ErrorKind::ReauthRequired,
                "Invalid refresh token",
            ),
            fails(
                Of::Refresh,
                401,
                r#"{"message":"Not Authorized","type":"service.not_authorized"}"#,
                ErrorKind::Config,
                "",
            ),
        ],
        ..ROW
    },
    Row {
        vendor: "stripe-app",
        authorize: Some(
            "https://marketplace.stripe.com/oauth/v2/authorize?client_id=cid&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: Some(Sent {
            to: "https://api.stripe.com/v1/oauth/token",
            shape: Shape::Form,
            basic: Some("se+cret/1:"),
            fields: "code=the-code&grant_type=authorization_code&redirect_uri=https://app.example/cb",
        }),
        refresh: Some(Sent {
            to: "https://api.stripe.com/v1/oauth/token",
            shape: Shape::Form,
            basic: Some("se+cret/1:"),
            fields: REFRESH,
        }),
        samples: &[
            // Nothing says how long it lives.
            ok(
                Of::Code,
                r#"{"access_token":"new","livemode":false,"refresh_token":"next","scope":"stripe_apps","stripe_publishable_key":"pk","stripe_user_id":"acct_1","token_type":"bearer"}"#,
                Tokens {
                    scopes: Some(&["stripe_apps"]),
                    extra: &[("livemode", "false"), ("stripe_user_id", "acct_1")],
                    ..HOUR_PAIR
                },
            ),
            ok(
                Of::Refresh,
                r#"{"access_token":"new","livemode":false,"refresh_token":"next","scope":"stripe_apps","token_type":"bearer"}"#,
                Tokens { scopes: Some(&["stripe_apps"]), ..HOUR_PAIR },
            ),
        ],
        ..ROW
    },
    Row {
        vendor: "stripe-connect",
        authorize: Some(
            "https://connect.stripe.com/oauth/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: post("https://connect.stripe.com/oauth/token", CODE_AND_SECRET),
        refresh: post("https://connect.stripe.com/oauth/token", REFRESH_AND_SECRET),
        samples: &[
            ok(
                Of::Code,
                r#"{"access_token":"new","livemode":true,"refresh_token":"next","token_type":"bearer","stripe_publishable_key":"pk","stripe_user_id":"acct_1","scope":"read_write"}"#,
                Tokens { scopes: Some(&["read_write"]), extra: &[("stripe_user_id", "acct_1")], ..NEW_PAIR },
            ),
            ok(
                Of::Refresh,
                r#"{"access_token":"new","refresh_token":"next","token_type":"bearer"}"#,
                NEW_PAIR,
            ),
            INVALID_GRANT,
        ],
        ..ROW
    },
    Row {
        vendor: "tiktok",
        authorize: Some(
            "https://www.tiktok.com/v2/auth/authorize/?client_key=cid&code_challenge={hex}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a,b&state={state}",
        ),
        code: post(
            "https://open.tiktokapis.com/v2/oauth/token/",
            "client_key=cid&client_secret=se+cret/1&code=the-code&code_verifier={verifier}&grant_type=authorization_code&redirect_uri=https://app.example/cb",
        ),
        refresh: post(
            "https://open.tiktokapis.com/v2/oauth/token/",
            "client_key=cid&client_secret=se+cret/1&grant_type=refresh_token&refresh_token=the-refresh",
        ),
        samples: &[
            ok(
                Of::Code,
                r#"{"access_token":"new","expires_in":7200,"open_id":"O1","refresh_expires_in":15552000,"refresh_token":"next","scope":"a,b","token_type":"Bearer"}"#,
                Tokens {
                    lives: Some(7200),
                    refresh_lives: Some(15_552_000),
                    scopes: Some(&["a", "b"]),
                    extra: &[("open_id", "O1")],
                    ..NEW_PAIR
                },
            ),
            PLAIN_REFRESH,
            fails(
                Of::Refresh,
                200,
                r#"{"error":"invalid_grant","error_description":"Refresh token is invalid or expired.","log_id":"20260101"}"#,
                ErrorKind::ReauthRequired,
                "invalid_grant",
            ),
        ],
        ..ROW
    },
    Row {
        vendor: "twilio",
        client: post(
            "https://oauth.twilio.com/v2/token",
            "client_id=cid&client_secret=se+cret/1&grant_type=client_credentials",
        ),
        samples: &[ok(
            Of::Client,
            r#"{"access_token":"new","refresh_token":null,"id_token":null,"token_type":"Bearer","expires_in":3600}"#,
            HOUR,
        )],
        ..ROW
    },
    Row {
        vendor: "vercel",
        authorize: Some(
            "https://api.vercel.com/oauth/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a b&state={state}",
        ),
        code: post("https://api.vercel.com/oauth/access_token", CODE_AND_SECRET),
        samples: &[ok(
            Of::Code,
            r#"{"token_type":"Bearer","access_token":"new","installation_id":"icfg_1","user_id":"u","team_id":null}"#,
            Tokens { extra: &[("installation_id", "icfg_1")], ..NEW },
        )],
        ..ROW
    },
    Row {
        vendor: "x-twitter",
        authorize: Some(
            "https://x.com/i/oauth2/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a b offline.access&state={state}",
        ),
        code: post_basic("https://api.x.com/2/oauth2/token", CODE),
        refresh: post_basic("https://api.x.com/2/oauth2/token", REFRESH),
        samples: &[
            ok(
                Of::Code,
                r#"{"token_type":"bearer","expires_in":7200,"access_token":"new","scope":"a b offline.access","refresh_token":"next"}"#,
                Tokens { lives: Some(7200), scopes: Some(&["a", "b", "offline.access"]), ..NEW_PAIR },
            ),
            PLAIN_REFRESH,
            fails(
                Of::Refresh,
                400,
                r#"{"error":"invalid_request","error_description":"Value passed for the token was invalid."}"#,
                ErrorKind::ReauthRequired,
                "Value passed for the token was invalid.",
            ),
            fails(
                Of::Refresh,
                400,
                r#"{"error":"invalid_request","error_description":"Missing required parameter [refresh_token]."}"#,
                ErrorKind::InvalidRequest,
                "invalid_request",
            ),
        ],
        ..ROW
    },
    Row {
        vendor: "zoom",
        authorize: Some(
            "https://zoom.us/oauth/authorize?client_id=cid&code_challenge={s256}&code_challenge_method=S256&redirect_uri=https://app.example/cb&response_type=code&scope=a,b&state={state}",
        ),
        code: post_basic("https://zoom.us/oauth/token", CODE),
        refresh: post_basic("https://zoom.us/oauth/token", REFRESH),
        samples: &[
            ok(
                Of::Code,
                r#"{"access_token":"new","token_type":"bearer","refresh_token":"next","expires_in":3599,"scope":"a b","api_url":"https://api-eu.zoom.us"}"#,
                Tokens {
                    lives: Some(3599),
                    scopes: Some(&["a", "b"]),
                    extra: &[("api_url", "https://api-eu.zoom.us")],
                    ..NEW_PAIR
                },
            ),
            PLAIN_REFRESH,
            INVALID_GRANT,
        ],
        ..ROW
    },
    Row {
        vendor: "zoom-server",
        vars: &[("account", "acc1")],
        client: post_basic("https://zoom.us/oauth/token?account_id=acc1", "grant_type=account_credentials"),
        samples: &[ok(
            Of::Client,
            r#"{"access_token":"new","token_type":"bearer","expires_in":3599,"scope":"a b","api_url":"https://api.zoom.us"}"#,
            Tokens { lives: Some(3599), scopes: Some(&["a", "b"]), ..NEW },
        )],
        ..ROW
    },
];
