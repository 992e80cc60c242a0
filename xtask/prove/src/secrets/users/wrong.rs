//! What a user, a program or an administrator can do wrong.

use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use http::header::COOKIE;
use integrations_auth::jose::{Algorithm, SigningKey};
use integrations_auth::{
    ApiKeys, Breached, Confirmation, Cost, Grant, Mode, NewApiKey, Passwords, Pepper, Permission,
    RefreshGrant, RefreshReused, RoleGrant, Roles, Scope, SessionToken, Throttle, TokenIssuer,
};
use integrations_core::{Error, ErrorKind, Result, SecretString};

use super::super::lab::Lab;
use super::super::search::canary;
use super::life::{AUDIENCE, TENANT, World, address, drawn_session, passwords};
use super::secret;
use super::stores::{Fault, Stores};

pub(super) async fn all(lab: &mut Lab) -> Result<()> {
    Box::pin(accounts(lab)).await?;
    Box::pin(hashes(lab)).await?;
    Box::pin(second_factors(lab)).await?;
    Box::pin(programs(lab)).await?;
    Box::pin(refresh(lab)).await?;
    Box::pin(sessions(lab)).await?;
    Box::pin(roles(lab)).await
}

/// Knows all passwords as stolen, or breaks.
struct Thieves(bool);

#[async_trait]
impl Breached for Thieves {
    async fn suffixes(&self, prefix: &str) -> Result<Vec<String>> {
        if self.0 {
            return Err(Error::config(format!("nobody knows about {prefix}")));
        }
        let hash = aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
            canary("user-password").as_bytes(),
        );
        // Five digits are asked for, the others told.
        let [_, _, third, rest @ ..] = hash.as_ref() else { return Ok(Vec::new()) };
        Ok(vec![rest.iter().fold(format!("{:X}", third & 15), |hex, byte| format!("{hex}{byte:02X}"))])
    }
}

async fn accounts(lab: &mut Lab) -> Result<()> {
    let world = World::new(&Stores::new(Fault::None))?;
    let here = address("ada")?;
    let signed_in = world.arrival(lab, "ada", false).await?;
    let (good, wrong, typed) = (secret("user-password"), secret("next-password"), secret("typed-token"));
    let long: SecretString = canary("user-password").repeat(40).into();
    let unauthenticated = ErrorKind::Unauthenticated;
    for (to, password, kind) in [
        (&here, &wrong, unauthenticated),
        (&address("nobody")?, &good, unauthenticated),
        (&here, &long, ErrorKind::InvalidRequest),
    ] {
        lab.failed("a login", kind, world.accounts.login(TENANT, to, password).await);
    }
    for bad in [long, canary("user-password")[..10].into(), here.as_str().into()] {
        lab.failed("a sign-up", ErrorKind::InvalidRequest, world.accounts.sign_up(TENANT, &here, &bad).await);
    }
    for token in [&typed, &SecretString::from("")] {
        lab.failed("a reset", unauthenticated, world.accounts.reset(TENANT, token, &good).await);
        lab.failed("a verification", unauthenticated, world.accounts.verify_address(TENANT, token).await);
        let changed = world.accounts.confirm_address_change(TENANT, token).await;
        lab.failed("a change of address", unauthenticated, changed);
        let pending = integrations_auth::PendingSecondFactor::from_token(token.clone());
        lab.failed("a second factor", unauthenticated, world.accounts.awaited(TENANT, &pending).await);
    }
    world.accounts.request_reset(TENANT, &here).await?;
    let token = world.mailed(lab, true).await?;
    lab.failed("a weak reset", None, world.accounts.reset(TENANT, &token, &"short".into()).await);
    lab.failed("a token of another kind", None, world.accounts.verify_address(TENANT, &token).await);
    let confirmed = |password: &SecretString| Confirmation::Password(password.clone());
    let changed = world.accounts.change_password(&signed_in.token, confirmed(&wrong), &wrong).await;
    lab.failed("a wrong password", ErrorKind::PermissionDenied, changed);
    world.accounts.reset(TENANT, &token, &wrong).await?;
    lab.failed("a used token", unauthenticated, world.accounts.reset(TENANT, &token, &good).await);
    let changed = world.accounts.change_password(&signed_in.token, confirmed(&wrong), &good).await;
    lab.failed("an ended session", unauthenticated, changed);

    let throttle = Throttle::new(world.records.clone(), world.clock.clone()).free(1);
    lab.debug("a throttle", &throttle);
    let slow = world.accounts.clone().throttle(throttle);
    for _ in 0..3 {
        lab.failed("a guess", None, slow.login(TENANT, &address("eve")?, &good).await);
    }
    for breaks in [true, false] {
        let world = World::with(&Stores::new(Fault::None), passwords("p1")?.breached(Thieves(breaks)));
        let signed_up = world.accounts.sign_up(TENANT, &here, &good).await;
        if breaks {
            lab.tried("a password of which nothing is known", signed_up);
        } else {
            lab.failed("a stolen password", ErrorKind::InvalidRequest, signed_up);
        }
        let _in_time = world.accounts.drain(Duration::from_secs(20)).await;
    }
    Ok(())
}

async fn hashes(lab: &mut Lab) -> Result<()> {
    let (ours, hash) = (passwords("p1")?, canary("stored-hash"));
    let coded = hash.replace(['+', '/'], "");
    let hostile = [
        hash.clone(),
        String::new(),
        format!("$2b$12${hash}"),
        format!("${hash}"),
        format!("$argon2id${hash}"),
        format!("$argon2{coded}$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2E${coded}"),
        format!("$argon2id$v={hash}$m=8,t=1,p=1$c2FsdA$c2FsdHNhbHQ"),
        format!("$argon2id$v=19$m={hash},t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ"),
        format!("$argon2id$v=19$m=8,t=1,p=1,keyid={coded}$c2FsdHNhbHRzYWx0c2E$c2FsdHNhbHRzYWx0c2E"),
        format!("$argon2id$v=19$m=4294967295,t=4294967295,p=1$c2FsdHNhbHRzYWx0c2E${coded}"),
        format!("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2E${hash}"),
        format!("$argon2id$v=19$m=8,t=1,p=1${hash}$c2FsdHNhbHRzYWx0c2E"),
    ];
    for stored in hostile {
        let failed = ours.verify(&secret("user-password"), &stored.as_str().into()).await;
        lab.tried("a hash that is none", failed);
        // Where there is an account, nobody is told: it is in the log.
        let world = World::new(&Stores::new(Fault::None))?;
        let mut user = world.arrival(lab, "ada", false).await?.user;
        user.password = Some(stored.into());
        lab.debug("a user", &user);
        world.users.replace(&user).await?;
        let failed = world.accounts.login(TENANT, &address("ada")?, &secret("user-password")).await;
        lab.failed("a login with a hash that is none", None, failed);
    }
    let hash = ours.hash(&secret("user-password")).await?;
    lab.draw("password-hash", hash.expose());
    lab.debug("a hash", &hash);
    let bare = Passwords::new().cost(Cost::insecure_for_tests(8));
    for other in [bare, passwords("p2")?] {
        lab.failed("an unknown pepper", None, other.verify(&secret("user-password"), &hash).await);
    }
    for (id, key) in [("too-long-a-name", canary("pepper")), ("p", canary("pepper")[..10].to_owned())] {
        lab.failed("a pepper that is none", ErrorKind::Config, Pepper::new(id, key.into_bytes().into()));
    }
    lab.debug("a pepper", &Pepper::new("p1", canary("pepper").into_bytes().into())?);
    Ok(())
}

async fn second_factors(lab: &mut Lab) -> Result<()> {
    let world = World::new(&Stores::new(Fault::None))?;
    let user = world.arrival(lab, "ada", false).await?.user;
    let (id, typed) = (&user.id, canary("typed-token"));
    let recovery = canary("totp-secret");
    for bad in [recovery.as_str(), &recovery[..12], "", "MFRGGZDF"] {
        let failed = world.codes.import(TENANT, id, &bad.into()).await;
        lab.failed("a secret that is none", ErrorKind::InvalidRequest, failed);
    }
    let codes = world.second_factor(lab, &user, true).await?;
    lab.failed("a second enrolment", ErrorKind::Conflict, world.codes.enrol(TENANT, id).await);
    world.codes.recover(TENANT, id, codes[0].expose()).await?;
    let shown = world.code();
    world.codes.check(TENANT, id, &shown).await?;
    let nobody = "nobody".into();
    for (who, code) in
        [(id, typed.as_str()), (id, shown.as_str()), (id, codes[0].expose()), (&nobody, codes[1].expose())]
    {
        lab.failed("a code", None, world.codes.confirm(TENANT, who, code).await);
        lab.failed("a code", None, world.codes.check(TENANT, who, code).await);
        lab.failed("a code to recover with", None, world.codes.recover(TENANT, who, code).await);
    }
    lab.failed("nobody's enrolment", ErrorKind::NotFound, world.codes.enrol(TENANT, &nobody).await);
    lab.failed("nobody's codes", None, world.codes.recovery_codes_left(TENANT, &nobody).await);
    Ok(())
}

async fn programs(lab: &mut Lab) -> Result<()> {
    let world = World::new(&Stores::new(Fault::None))?;
    let user = world.arrival(lab, "ada", false).await?.user;
    let new = NewApiKey::new(TENANT, user.id.clone(), "a key");
    let (key, known) = world.keys.create(&new).await?;
    let other = ApiKeys::new(world.records.clone(), world.clock.clone(), Mode::Test);
    let (of_other, _) = other.create(&new).await?;
    let (gone, gone_known) = world.keys.create(&new).await?;
    for key in [&key, &of_other, &gone] {
        lab.draw("api-key", key.expose());
    }
    world.keys.revoke(TENANT, &gone_known.id).await?;
    let cut = key.expose()[..key.expose().len() - 1].to_owned();
    let foreign = key.expose().replace("ik_", "xx_");
    lab.draw("api-key", &cut);
    lab.draw("api-key", &foreign);
    let typed = canary("typed-token");
    for bad in [&typed, &format!("ik_live_{typed}"), &cut, &foreign, of_other.expose(), gone.expose()] {
        lab.failed("an API key", ErrorKind::Unauthenticated, world.keys.verify(bad).await);
    }
    let past = world.clock.now();
    lab.failed("a key that has ended", None, world.keys.create(&new.clone().expires_at(past)).await);
    let wide = NewApiKey::new("t".repeat(1000), user.id.clone(), "a key");
    lab.failed("a tenant that is too long", None, world.keys.create(&wide).await);
    let (next, _) = world.keys.rotate(TENANT, &known.id, Duration::from_secs(9)).await?;
    lab.draw("api-key", next.expose());
    for id in [&known.id, &gone_known.id] {
        lab.failed("a rotation", None, world.keys.rotate(TENANT, id, Duration::ZERO).await);
    }
    lab.failed("a prefix", ErrorKind::Config, world.keys.clone().prefix(&typed));
    Box::pin(access(lab, &world)).await
}

async fn access(lab: &mut Lab, world: &World) -> Result<()> {
    let typed = canary("typed-token");
    let grant = Grant::new("u1", AUDIENCE);
    let token = world.issuer.issue(&grant).await?;
    let stranger = TokenIssuer::new(
        std::sync::Arc::new(Stores::new(Fault::None)),
        world.clock.clone(),
        "https://other.test",
    );
    let strange = stranger.issue(&grant).await?;
    let id_token = SigningKey::generate(Algorithm::Es256)?.id("k").sign("JWT", &serde_json::Map::new())?;
    let mut bad = vec![typed.clone(), format!("{typed}.{typed}.{typed}"), String::new()];
    for token in [&token, &strange, &id_token] {
        lab.draw("access-token", token.expose());
        bad.push(token.expose().replacen('.', &format!(".{typed}"), 1));
        bad.push(token.expose()[..token.expose().len() - 8].to_owned());
    }
    bad.extend([strange.expose().clone(), id_token.expose().clone()]);
    for bad in &bad {
        if bad.len() > 32 {
            lab.draw("access-token", bad);
        }
        lab.failed("an access token", ErrorKind::Unauthenticated, world.issuer.verify(bad, AUDIENCE).await);
    }
    let elsewhere = world.issuer.verify(token.expose(), "https://elsewhere.test").await;
    lab.failed("an access token for others", ErrorKind::Unauthenticated, elsewhere);
    world.hand.forward(24 * 3600);
    let ended = world.issuer.verify(token.expose(), AUDIENCE).await;
    lab.failed("an access token that has ended", ErrorKind::Unauthenticated, ended);
    lab.failed("a key that is none", None, world.issuer.revoke_key(&typed).await);
    for claim in ["iss", "exp", "sub"] {
        let grant = grant.clone().claim(claim, typed.as_str());
        lab.failed("a claim of the issuer's", None, world.issuer.issue(&grant).await);
    }
    for pem in [typed.clone(), format!("-----BEGIN PRIVATE KEY-----\n{typed}\n-----END PRIVATE KEY-----\n")] {
        lab.failed("a key that is no PEM", None, SigningKey::pem(&pem.into()));
    }
    Ok(())
}

async fn refresh(lab: &mut Lab) -> Result<()> {
    let world = World::new(&Stores::new(Fault::None))?;
    let grant = RefreshGrant::new(TENANT, "u1".into(), "app");
    let first = world.refresh.begin(&grant).await?;
    let second = world.refresh.redeem(&first, "app").await?.token;
    let third = world.refresh.redeem(&second, "app").await?.token;
    for token in [&first, &second, &third] {
        lab.draw("refresh-token", token.expose());
    }
    let typed = canary("typed-token");
    for bad in [typed.clone(), format!("{typed}.{typed}"), format!("{}x", third.expose())] {
        lab.failed("a refresh token", None, world.refresh.redeem(&bad.into(), "app").await);
    }
    lab.failed("another program's token", None, world.refresh.redeem(&third, &typed).await);
    let reused = world.refresh.redeem(&first, "app").await;
    if let Some(details) = reused.as_ref().err().and_then(|error| error.details::<RefreshReused>()) {
        lab.debug("a reuse", details);
        lab.display("a reuse", details);
    } else {
        lab.unexpected.push("the reuse of a refresh token was not told".to_owned());
    }
    lab.failed("a reuse", ErrorKind::Unauthenticated, reused);
    lab.failed("a token of a family that has ended", None, world.refresh.redeem(&third, "app").await);
    let wide = RefreshGrant::new("t".repeat(5000), "u1".into(), "app");
    lab.failed("a tenant that is too long", None, world.refresh.begin(&wide).await);
    Ok(())
}

async fn sessions(lab: &mut Lab) -> Result<()> {
    let world = World::new(&Stores::new(Fault::None))?;
    let signed_in = world.arrival(lab, "ada", false).await?;
    let other = world.signed_in(lab, &address("ada")?).await?;
    drawn_session(lab, &other);
    let (one, two) = (signed_in.token.text().expose(), other.token.text().expose());
    let cookies = |texts: &[String]| {
        let values = texts.iter().filter_map(|text| Some((COOKIE, text.parse().ok()?)));
        values.collect::<HeaderMap>()
    };
    for both in [
        vec![format!("__Host-sid={one}; __Host-sid={two}")],
        vec![format!("__Host-sid={one}"), format!("__Host-sid={}", canary("typed-token"))],
    ] {
        let found = SessionToken::from_headers(&cookies(&both));
        lab.failed("two cookies", ErrorKind::InvalidRequest, found);
    }
    let found = SessionToken::from_headers(&cookies(&[format!("a=b; __Host-sid={one}")]))?;
    lab.debug("a token of a cookie", &found);
    for text in [canary("typed-token"), format!("{one}x"), one[1..].to_owned()] {
        lab.debug("a token that may be none", &SessionToken::parse(&text));
    }
    world.hand.forward(60);
    let stale = signed_in.session.fresh(Duration::from_secs(1), world.clock.now());
    lab.failed("a session that is stale", ErrorKind::ReauthRequired, stale);
    Ok(())
}

async fn roles(lab: &mut Lab) -> Result<()> {
    let world = World::new(&Stores::new(Fault::None))?;
    let user = world.arrival(lab, "ada", false).await?.user;
    let roles = Roles::builder(["bills:read", "bills:write"]).role("reader", ["bills:read"]).build()?;
    lab.debug("roles", &roles);
    let denied = roles.check(&user, &Permission::from("bills:write"), &Scope::tenant_wide(TENANT));
    lab.failed("a permission", ErrorKind::PermissionDenied, denied);
    let grant = RoleGrant::new("reader", "");
    let users = &*world.users;
    lab.failed("a role beyond one's own", None, roles.assign_by(&user, users, &user.id, &grant).await);
    lab.failed("a role that is none", None, {
        roles.assign(users, TENANT, &user.id, &RoleGrant::new("none", "")).await
    });
    lab.failed("nobody's role", None, roles.assign(users, TENANT, &"nobody".into(), &grant).await);
    let circle = Roles::builder(["a"]).role("r", ["b"]).build();
    lab.failed("roles that are none", ErrorKind::Config, circle);
    Ok(())
}
