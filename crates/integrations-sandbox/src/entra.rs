//! The fake of Microsoft's identity platform.
//!
//! From learn.microsoft.com/entra/identity-platform. It knows two organizations and the tenant of personal accounts; one
//! user of the second organization has written another's address into their own account, as "nOAuth" attacks do
//! (descope.com/blog/post/noauth). The application asks for the optional claim `xms_edov`. A `login_hint` chooses the user.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::issuer::{BASE62, Client, Grant, Issuer, Policy, Refusal, Rotation, invented, unstored};
use crate::openid::{OpenId, Person, Style};
use crate::{Answer, Call, Fake, Known, Trouble, Vendor, World};

/// The fake.
pub const FAKE: Fake = Fake::new("entra", "auth", |seed| Box::new(Service::new(seed)));

const HOST: &str = "https://login.microsoftonline.com";
const REDIRECT: &str = "https://app.example/callback";
const SIGNED_OUT: &str = "https://app.example/signed-out";
const HEX: &[u8] = b"0123456789abcdef";
const SCOPES: &[&str] = &["openid", "profile", "email", "offline_access", "User.Read"];

/// The tenant of all personal accounts.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// What tenants in general are called in addresses.
const PLACEHOLDER: &str = "{tenantid}";

const POLICY: Policy = Policy {
    access_prefix: "EwA",
    refresh_prefix: "1.A",
    access_seconds: 4500,
    refresh_seconds: Some(90 * 24 * 3600),
    rotation: Rotation::Lenient,
};

// The hash stands only in tokens that come from the page itself (id-token-claims-reference).
const STYLE: Style = Style { at_hash: false, auth_time: false, sid: false };

struct Service {
    seed: u64,
    openid: OpenId,
    people: Vec<Person>,
    client: (String, String),
    /// The organizations: ids and domains.
    tenants: [(String, &'static str); 2],
    known: Known,
}

impl Service {
    fn new(seed: u64) -> Self {
        let tenants =
            [(guid(seed, "tenant:harbour"), "harbour.example"), (guid(seed, "tenant:reef"), "reef.example")];
        let client = (guid(seed, "client"), format!("abc8Q~{}", invented(BASE62, seed, "secret", 34)));
        let people = people(seed, &tenants);
        let graph = "https://graph.microsoft.com/User.Read";
        let issuer = Issuer::new(seed, POLICY, &people[0].id).with_client(Client {
            id: client.0.clone(),
            secret: Some(client.1.clone()),
            redirects: vec![REDIRECT.to_owned()],
            scopes: SCOPES.iter().chain([&graph]).map(|&scope| scope.to_owned()).collect(),
            ..Client::default()
        });
        let mut openid = OpenId::new(seed, issuer, STYLE, people.clone());
        let grant = openid.grant(&client.0, &people[0].id, SCOPES);
        let known = Known::new()
            .with("access_token", openid.issuer.give_access(grant.clone()))
            .with("refresh_token", openid.issuer.give_refresh(grant))
            .with("client_id", &client.0)
            .with("tenant", &tenants[0].0)
            .with("tenant_domain", tenants[0].1)
            .with("other_tenant", &tenants[1].0)
            .with("consumer_tenant", CONSUMERS)
            .with("user_id", &people[0].id)
            .with("email", "ada@harbour.example")
            .with("email_verified", "true")
            .with("name", "Ada Lovelace")
            .with("other_user", people[1].login)
            .with("other_user_id", &people[1].id)
            .with("impostor_user", people[2].login)
            .with("impostor_user_id", &people[2].id)
            .with("consumer_user", people[3].login)
            .with("consumer_user_id", &people[3].id)
            .with("denied_user", people[4].login)
            .with("post_logout_redirect_uri", SIGNED_OUT);
        Self { seed, openid, people, client, tenants, known }
    }

    /// The tenant that an address names, by id, domain or kind; the placeholder for every kind but `consumers`.
    fn tenant(&self, name: &str) -> Option<&str> {
        match name {
            "common" | "organizations" => Some(PLACEHOLDER),
            "consumers" | CONSUMERS => Some(CONSUMERS),
            _ => self
                .tenants
                .iter()
                .find(|(id, domain)| id == name || *domain == name)
                .map(|(id, _)| id.as_str()),
        }
    }

    /// Who sits before the browser: whom the hint names, or the first whom this tenant lets in.
    fn person(&self, call: &Call<'_>, name: &str) -> Option<Person> {
        let tenant = self.tenant(name)?;
        let lets_in = |person: &&Person| match name {
            "common" => true,
            "organizations" => person.claims["tid"] != CONSUMERS,
            _ => person.claims["tid"] == tenant,
        };
        match call.query("login_hint") {
            Some(hint) => Some(self.openid.choice(Some(hint))).filter(lets_in),
            None => self.people.iter().find(lets_in),
        }
        .cloned()
    }

    fn authorize(&mut self, call: &Call<'_>, tenant: &str, world: &mut World<'_>) -> Answer {
        let Some(person) = self.person(call, tenant) else {
            return Answer::text(
                400,
                "text/html; charset=utf-8",
                "AADSTS50020: User account from identity provider does not exist in tenant",
            );
        };
        let scopes = call.query("scope").unwrap_or_default();
        let offline = scopes.split(' ').any(|scope| scope == "offline_access");
        let consent = self.openid.consent(call, &person, offline, world.now);
        let session = [("session_state", "00000000-0000-0000-0000-000000000000")];
        let more: &[_] = if consent.is_ok() { &session } else { &[] };
        self.openid.issuer.decide(call, world, consent, more)
    }

    fn token(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let (seed, now) = (self.seed, world.now);
        let stated = move |person: &Person, grant: &Grant| {
            let mut own = own(seed, person, &grant.client);
            own["nbf"] = now.as_second().into();
            own["ver"] = "2.0".into();
            own["uti"] = invented(BASE62, seed, &format!("uti:{}:{now}", person.id), 22).into();
            own
        };
        match self.openid.issue(call, world, stated) {
            Ok(mut body) => {
                let scopes = body["scope"].as_str().unwrap_or_default();
                let scopes = scopes.split(' ').filter(|scope| *scope != "offline_access");
                body["scope"] = scopes.collect::<Vec<_>>().join(" ").into();
                body["ext_expires_in"] = body["expires_in"].clone();
                unstored(&body)
            }
            Err(refusal) => worded(self.seed, refusal, world.now),
        }
    }

    fn userinfo(&mut self, call: &Call<'_>, world: &World<'_>) -> Answer {
        let seed = self.seed;
        let shown = move |person: &Person, grant: &Grant| {
            json!({
                "sub": pairwise(seed, person, &grant.client),
                "picture": "https://graph.microsoft.com/v1.0/me/photo/$value",
                "tid": null,
                "oid": null,
                "preferred_username": null,
                "xms_edov": null,
            })
        };
        match self.openid.userinfo(call, world.now, shown) {
            Ok(body) => Answer::json(200, &body),
            Err(mut wrong) => {
                let about = "Access token validation failure.";
                wrong.body = json!({"error": {"code": "InvalidAuthenticationToken", "message": about}})
                    .to_string()
                    .into();
                wrong
            }
        }
    }

    fn metadata(&self, name: &str, tenant: &str) -> Value {
        // A domain's addresses have the tenant's id.
        let name = if self.tenants.iter().any(|(_, domain)| *domain == name) { tenant } else { name };
        let at = |path: &str| format!("{HOST}/{name}{path}");
        json!({
            "token_endpoint": at("/oauth2/v2.0/token"),
            "token_endpoint_auth_methods_supported": [
                "client_secret_post", "private_key_jwt", "client_secret_basic", "self_signed_tls_client_auth"
            ],
            "jwks_uri": at("/discovery/v2.0/keys"),
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": issuer(tenant),
            "request_uri_parameter_supported": false,
            "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
            "authorization_endpoint": at("/oauth2/v2.0/authorize"),
            "device_authorization_endpoint": at("/oauth2/v2.0/devicecode"),
            "http_logout_supported": true,
            "frontchannel_logout_supported": true,
            "end_session_endpoint": at("/oauth2/v2.0/logout"),
            "claims_supported": [
                "sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name",
                "msgraph_host", "aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name",
                "tid", "ver", "at_hash", "c_hash", "email"
            ],
            "tenant_region_scope": null,
            "cloud_instance_name": "microsoftonline.com",
            "cloud_graph_host_name": "graph.windows.net",
            "msgraph_host": "graph.microsoft.com",
        })
    }

    /// What stands below a tenant.
    fn below(&mut self, call: &Call<'_>, name: &str, path: &[&str], world: &mut World<'_>) -> Answer {
        let Some(tenant) = self.tenant(name).map(ToOwned::to_owned) else {
            let about = format!("AADSTS90002: Tenant '{name}' not found.");
            return error(self.seed, 400, "invalid_tenant", 90_002, &about, world.now);
        };
        match (call.method.as_str(), path) {
            ("GET", ["v2.0", ".well-known", "openid-configuration"]) => {
                let right = self.metadata(name, &tenant);
                self.openid.metadata(right)
            }
            // They name no algorithm.
            ("GET", ["discovery", "v2.0", "keys"]) => {
                self.openid.keys.set(86_400, &json!({"alg": null, "issuer": issuer(&tenant)}))
            }
            ("GET", ["oauth2", "v2.0", "authorize"]) => self.authorize(call, name, world),
            ("POST", ["oauth2", "v2.0", "token"]) => self.token(call, world),
            ("GET", ["oauth2", "v2.0", "logout"]) => self.openid.end_session(call, world, &[SIGNED_OUT]),
            _ => Answer::empty(404),
        }
    }
}

fn issuer(tenant: &str) -> String {
    format!("{HOST}/{tenant}/v2.0")
}

fn own(seed: u64, person: &Person, client: &str) -> Value {
    json!({
        "iss": issuer(person.claims["tid"].as_str().unwrap_or_default()),
        "sub": pairwise(seed, person, client),
    })
}

/// Another name for every application.
fn pairwise(seed: u64, person: &Person, client: &str) -> String {
    invented(BASE62, seed, &format!("sub:{}:{client}", person.id), 43)
}

fn guid(seed: u64, label: &str) -> String {
    let text = invented(HEX, seed, label, 30);
    format!("{}-{}-4{}-a{}-{}", &text[..8], &text[8..12], &text[12..15], &text[15..18], &text[18..])
}

fn people(seed: u64, tenants: &[(String, &'static str); 2]) -> Vec<Person> {
    let person = |login: &'static str, name: &str, tenant: &str, email: &str, owns_domain: Option<bool>| {
        let (given, family) = name.split_once(' ').unwrap_or((name, ""));
        let id = guid(seed, &format!("user:{login}"));
        let mut claims = json!({
            "oid": id,
            "tid": tenant,
            "name": name,
            "preferred_username": login,
            "email": email,
        });
        if let Some(owns) = owns_domain {
            claims["xms_edov"] = owns.into();
        }
        claims["given_name"] = given.into();
        claims["family_name"] = family.into();
        Person { id, login, refuses: login.starts_with("niklaus"), claims }
    };
    let [harbour, reef] = tenants;
    vec![
        person("ada@harbour.example", "Ada Lovelace", &harbour.0, "ada@harbour.example", Some(true)),
        person("grace@harbour.example", "Grace Hopper", &harbour.0, "grace@harbour.example", Some(true)),
        person("mallory@reef.example", "Mallory", &reef.0, "ada@harbour.example", Some(false)),
        person("edsger@live.example", "Edsger Dijkstra", CONSUMERS, "edsger@live.example", None),
        person("niklaus@harbour.example", "Niklaus Wirth", &harbour.0, "niklaus@harbour.example", Some(true)),
    ]
}

fn worded(seed: u64, refusal: Refusal, now: Timestamp) -> Answer {
    let (status, code, number, about) = match (refusal.error, refusal.about) {
        ("invalid_client", "No client secret") => (
            401,
            "invalid_client",
            7_000_218,
            "The request body must contain 'client_assertion' or 'client_secret'.",
        ),
        ("invalid_client", "Invalid client") => {
            (400, "unauthorized_client", 700_016, "The application was not found in the directory.")
        }
        ("invalid_client", _) => (401, "invalid_client", 7_000_215, "Invalid client secret provided."),
        (_, "Invalid redirect URI") => (
            400,
            "invalid_grant",
            500_112,
            "The reply address does not match the one of the authorization code.",
        ),
        (_, "code_verifier was incorrect") => {
            (400, "invalid_grant", 501_481, "The Code_Verifier does not match the code_challenge supplied.")
        }
        (_, "Authorization code expired") => {
            (400, "invalid_grant", 70_008, "The provided authorization code has expired.")
        }
        (_, "Refresh token revoked") => {
            (400, "invalid_grant", 700_082, "The refresh token has expired due to inactivity.")
        }
        ("invalid_grant", _) => (400, "invalid_grant", 70_000, "The provided value is not valid."),
        ("invalid_scope", _) => {
            (400, "invalid_scope", 70_011, "The provided value for 'scope' is not valid.")
        }
        (code, _) => (400, code, 900_144, "The request body lacks a parameter."),
    };
    error(seed, status, code, number, &format!("AADSTS{number}: {about}"), now)
}

fn error(seed: u64, status: u16, code: &str, number: u32, about: &str, now: Timestamp) -> Answer {
    let (trace, correlation) = (guid(seed, &format!("trace:{now}")), guid(seed, &format!("call:{now}")));
    let time = now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let body = json!({
        "error": code,
        "error_description": format!("{about} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}"),
        "error_codes": [number],
        "timestamp": time,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": format!("{HOST}/error?code={number}"),
    });
    Answer::json(status, &body)
}

impl Vendor for Service {
    fn answer(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let (seed, client) = (self.seed, self.client.0.clone());
        let stated = |person: &Person| own(seed, person, &client);
        if let Some(answer) = self.openid.control(call, world, &client, stated) {
            return answer;
        }
        match (call.method.as_str(), call.segments().as_slice()) {
            ("GET" | "POST", ["oidc", "userinfo"]) => self.userinfo(call, world),
            (_, [name, path @ ..]) => self.below(call, name, path, world),
            _ => Answer::empty(404),
        }
    }

    fn word(&self, trouble: Trouble) -> Option<Answer> {
        let now = Timestamp::UNIX_EPOCH;
        let answer = |status, code, number: u32, about: &str| {
            Some(error(self.seed, status, code, number, &format!("AADSTS{number}: {about}"), now))
        };
        match trouble {
            Trouble::RateLimited(_) => {
                answer(429, "temporarily_unavailable", 90_055, "There are too many requests.")
            }
            Trouble::Unauthorized => {
                answer(401, "invalid_client", 7_000_222, "The provided keys are expired.")
            }
            Trouble::Broken(503) => {
                answer(503, "temporarily_unavailable", 90_033, "A transient error has occurred.")
            }
            Trouble::Broken(status) => {
                answer(status, "server_error", 90_016, "The service is not available.")
            }
            Trouble::QuotaExhausted | Trouble::FailedWithSuccess => None,
        }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("tenant", self.tenants[0].0.clone()),
            ("client_id", self.client.0.clone()),
            ("client_secret", self.client.1.clone()),
            ("redirect_uri", REDIRECT.to_owned()),
        ]
    }

    fn known(&self) -> Known {
        self.known.clone()
    }
}
