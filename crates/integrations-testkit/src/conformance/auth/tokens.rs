//! What can be done with the tokens that came, and with a session at the service.

use integrations_core::auth::{AuthCap, EmailClaim, LogoutRequest, SignInRequest, SignedIn};
use integrations_core::{ErrorKind, SecretString, TokenSet};

use super::flow::{SignInLab, fails, is_sound, known_subject, signed_in, value};
use super::{invented, invented_tokens};
use crate::conformance::{Failure, hold};

type Run = Result<(), Failure>;

/// What a token that is not good ends as.
const DEAD: &[ErrorKind] = &[ErrorKind::Unauthenticated, ErrorKind::ReauthRequired];

fn is_verified(claim: Option<&EmailClaim>) -> bool {
    claim.is_some_and(|claim| claim.verified().is_some())
}

pub(super) async fn profile(lab: &SignInLab) -> Run {
    let signed_in = signed_in(lab, SignInRequest::new()).await?;
    let profile = lab.step("profile", lab.client().profile(&signed_in.tokens.access)).await?;
    lab.see("who", &profile.key);
    is_sound(lab, &profile)?;
    hold(profile.key == signed_in.identity.key, "the profile's key is not that of the sign-in")?;
    let (then, now) = (signed_in.identity.email.as_ref(), profile.email.as_ref());
    if let (Some(then), Some(now)) = (then, now) {
        hold(then.unproven() == now.unproven(), "the profile's mail address is not that of the sign-in")?;
    }
    hold(is_verified(then) || !is_verified(now), "the profile alone has the mail address as verified")
}

pub(super) async fn profile_known_token(lab: &SignInLab) -> Run {
    let access = SecretString::from(lab.known("access_token")?);
    let profile = lab.step("profile", lab.client().profile(&access)).await?;
    lab.see("who", &profile.key);
    is_sound(lab, &profile)?;
    let (subject, user) = (&profile.key.subject, known_subject(lab)?);
    hold(*subject == user, format!("the token's owner is known as `{subject}`, not as `{user}`"))
}

pub(super) async fn profile_foreign_token(lab: &SignInLab) -> Run {
    fails(lab, "profile", DEAD, lab.client().profile(&invented())).await
}

/// The tokens of a sign-in. Some services give one for refreshing only to whoever asks for it in their own way; then it is
/// one that the peer knows.
fn refreshable(lab: &SignInLab, signed_in: &SignedIn) -> Result<TokenSet, Failure> {
    let mut tokens = signed_in.tokens.clone();
    if tokens.refresh.is_none() {
        tokens.refresh = Some(lab.known("refresh_token")?.into());
    }
    Ok(tokens)
}

pub(super) async fn refresh(lab: &SignInLab) -> Run {
    let signed_in = signed_in(lab, SignInRequest::new()).await?;
    let present = refreshable(lab, &signed_in)?;
    let next = lab.step("refresh", lab.client().refresh(&present)).await?;
    lab.secret("access token", &next.access);
    if let Some(token) = &next.refresh {
        lab.secret("refresh token", token);
    }
    hold(!next.access.ct_eq(present.access.expose()), "the access token is the one that was there before")?;
    if !lab.client().can(AuthCap::Profile) {
        return Ok(());
    }
    let profile = lab.step("profile", lab.client().profile(&next.access)).await?;
    hold(profile.key == signed_in.identity.key, "the new token is somebody else's")
}

pub(super) async fn refresh_dead(lab: &SignInLab) -> Run {
    let dead = invented_tokens(lab.now());
    fails(lab, "refresh", &[ErrorKind::ReauthRequired], lab.client().refresh(&dead)).await
}

pub(super) async fn revoke(lab: &SignInLab) -> Run {
    let signed_in = signed_in(lab, SignInRequest::new()).await?;
    let (client, tokens) = (lab.client(), &signed_in.tokens);
    lab.step("revoke", client.revoke(tokens)).await?;
    if client.can(AuthCap::Profile) {
        fails(lab, "profile after all is revoked", DEAD, client.profile(&tokens.access)).await?;
    }
    if client.can(AuthCap::Refresh) && tokens.refresh.is_some() {
        let dead = &[ErrorKind::ReauthRequired];
        fails(lab, "refresh after all is revoked", dead, client.refresh(tokens)).await?;
    }
    Ok(lab.step("revoke once more", client.revoke(tokens)).await?)
}

/// Tokens that a service does not know are ended.
pub(super) async fn revoke_unknown(lab: &SignInLab) -> Run {
    Ok(lab.step("revoke", lab.client().revoke(&invented_tokens(lab.now()))).await?)
}

pub(super) async fn logout(lab: &SignInLab) -> Run {
    let client = lab.client();
    let mut request = LogoutRequest::default();
    request.state = Some("back-again".to_owned());
    request.return_to = lab.known("post_logout_redirect_uri").ok();
    if client.can(AuthCap::SignIn) && client.can(AuthCap::IdToken) {
        request.id_token = signed_in(lab, SignInRequest::new()).await?.tokens.id_token;
    }
    let url = lab.step("logout address", client.logout_url(&request)).await?;
    hold(url.starts_with("https://"), "the browser is sent to an address without TLS")?;
    let query = url.split_once('?').map_or("", |(_, query)| query);
    hold(value(query, "state") == Some("back-again"), "the address lacks the state")?;
    if request.return_to.is_none() {
        return Ok(());
    }
    let back = lab.browse(&url).await?;
    hold(value(&back, "state") == Some("back-again"), "the browser does not come back with the state")
}

pub(super) async fn logout_notice(lab: &SignInLab) -> Run {
    let client = lab.client();
    for garbage in ["", "garbage", "e30.e30.", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."] {
        let call = async { client.logout_notice(&SecretString::from(garbage)).await };
        fails(lab, "notice of nobody", &[ErrorKind::Unauthenticated], call).await?;
    }
    let Ok(token) = lab.known("logout_token") else { return Ok(()) };
    let notice = lab.step("notice", client.logout_notice(&token.into())).await?;
    let user = known_subject(lab)?;
    let is_theirs = notice.key.as_ref().is_none_or(|key| key.subject == user);
    hold(is_theirs, "the notice is of somebody else")?;
    hold(notice.key.is_some() || notice.session.is_some(), "the notice names nobody and no session")
}

/// A statement about who somebody is, is none that they signed out.
pub(super) async fn logout_notice_id_token(lab: &SignInLab) -> Run {
    let signed_in = signed_in(lab, SignInRequest::new()).await?;
    let token = signed_in.tokens.id_token;
    let token = token.ok_or_else(|| Failure::Wrong("there is no signed statement".to_owned()))?;
    let call = lab.client().logout_notice(&token);
    fails(lab, "notice that is none", &[ErrorKind::Unauthenticated], call).await
}
