//! Beginning a flow and ending it, as it should be and as it must not.

use std::time::Duration;

use integrations_core::auth::{
    AuthCap, Begun, EmailClaim, Identity, PendingSignIn, SignIn, SignInRequest, SignedIn,
};
use integrations_core::{ErrorKind, Result as Called, SecretString};
use jiff::SignedDuration;

use crate::conformance::{Failure, Lab, hold};

type Run = Result<(), Failure>;
pub(super) type SignInLab = Lab<SignIn>;

/// Longer than any flow may take.
const TOO_LATE: Duration = Duration::from_mins(11);

/// What a code or a statement that is not that of the flow ends as.
const REFUSALS: &[ErrorKind] =
    &[ErrorKind::InvalidRequest, ErrorKind::ReauthRequired, ErrorKind::Unauthenticated];

/// A flow whose browser came back.
struct Flow {
    url: String,
    pending: PendingSignIn,
    answer: String,
}

async fn begun(lab: &SignInLab, request: SignInRequest) -> Result<Begun, Failure> {
    Ok(lab.step("begin", lab.client().begin(request)).await?)
}

async fn answered(lab: &SignInLab, request: SignInRequest) -> Result<Flow, Failure> {
    let hint = request.login_hint.clone();
    let Begun { url, pending, .. } = begun(lab, request).await?;
    let answer = browse(lab, &by_hand(&url, hint)).await?;
    Ok(Flow { url, pending, answer })
}

/// Where a service takes no hint, the person chooses the account by hand: a peer reads `login_hint` whoever wrote it.
fn by_hand(url: &str, hint: Option<String>) -> String {
    let is_told = query_of(url).is_ok_and(|query| value(query, "login_hint").is_some());
    match hint.filter(|_| !is_told) {
        Some(hint) => format!("{url}&login_hint={hint}"),
        None => url.to_owned(),
    }
}

/// What the browser brings back. A code in it is as good as the token that it is exchanged for.
async fn browse(lab: &SignInLab, url: &str) -> Result<String, Failure> {
    let answer = lab.browse(url).await?;
    if let Some(code) = value(&answer, "code") {
        lab.secret("code", &SecretString::from(code));
    }
    Ok(answer)
}

/// Ends a flow. The tokens that come are secrets from here on.
async fn completed(lab: &SignInLab, pending: PendingSignIn, answer: &str) -> Called<SignedIn> {
    let signed_in = lab.step("complete", lab.client().complete(pending, answer)).await?;
    let tokens = &signed_in.tokens;
    lab.secret("access token", &tokens.access);
    for (name, token) in [("refresh token", &tokens.refresh), ("id token", &tokens.id_token)] {
        if let Some(token) = token {
            lab.secret(name, token);
        }
    }
    Ok(signed_in)
}

/// A whole flow.
pub(super) async fn signed_in(lab: &SignInLab, request: SignInRequest) -> Result<SignedIn, Failure> {
    let Flow { pending, answer, .. } = answered(lab, request).await?;
    Ok(completed(lab, pending, &answer).await?)
}

/// A call that must fail as one of `kinds`.
pub(super) async fn fails<T>(
    lab: &SignInLab,
    name: &'static str,
    kinds: &[ErrorKind],
    call: impl Future<Output = Called<T>>,
) -> Run {
    match lab.step(name, call).await {
        Ok(_) => Err(Failure::Wrong(format!("`{name}` succeeds, and must fail"))),
        Err(e) if kinds.contains(&e.kind()) => Ok(()),
        Err(e) => Err(Failure::Call(e)),
    }
}

/// An answer that must be refused before anything is sent.
async fn refused(lab: &SignInLab, pending: PendingSignIn, answer: &str) -> Run {
    let call = lab.client().complete(pending, answer);
    lab.refused("complete", ErrorKind::InvalidRequest, call).await
}

/// The same flow once more, as somebody has it who took it from where it is kept.
fn copied(pending: &PendingSignIn) -> Called<PendingSignIn> {
    PendingSignIn::from_stored(&pending.to_stored()?)
}

/// The value of a parameter, as it is written.
pub(super) fn value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn needed<'q>(query: &'q str, name: &str) -> Result<&'q str, Failure> {
    value(query, name).ok_or_else(|| Failure::Wrong(format!("there is no `{name}` in `{}`", names(query))))
}

/// The parameters without their values, which are secrets.
fn names(query: &str) -> String {
    let names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    names.collect::<Vec<_>>().join(", ")
}

/// The query with another value for a parameter.
fn with(query: &str, name: &str, other: &str) -> String {
    let replaced = |pair: &str| match pair.split_once('=') {
        Some((key, _)) if key == name => format!("{key}={other}"),
        _ => pair.to_owned(),
    };
    query.split('&').map(replaced).collect::<Vec<_>>().join("&")
}

fn query_of(url: &str) -> Result<&str, Failure> {
    let query = url.split_once('?').map(|(_, query)| query);
    query.ok_or_else(|| Failure::Wrong("the address that was begun with has no query".to_owned()))
}

pub(super) async fn begin(lab: &SignInLab) -> Run {
    let (one, other) = (begun(lab, SignInRequest::new()).await?, begun(lab, SignInRequest::new()).await?);
    for begun in [&one, &other] {
        hold(begun.url.starts_with("https://"), "the browser is sent to an address without TLS")?;
        let state = begun.pending.state();
        let is_named = value(query_of(&begun.url)?, "state").is_some_and(|named| state.ct_eq(named));
        hold(is_named, "the state in the address is not that of the flow")?;
        hold(state.expose().len() >= 22, "the state has less than 128 bits")?;
        let pending = &begun.pending;
        hold(pending.provider() == lab.client().spec().id, "the flow is not this provider's")?;
        let left = pending.expires_at().duration_since(lab.now());
        let is_short = left.is_positive() && left <= SignedDuration::from_mins(10);
        hold(is_short, "a flow ends within ten minutes, and not at once")?;
    }
    hold(!one.pending.state().ct_eq(other.pending.state().expose()), "two flows have the same state")
}

pub(super) async fn sign_in(lab: &SignInLab) -> Run {
    let first = signed_in(lab, SignInRequest::new()).await?;
    let again = signed_in(lab, SignInRequest::new()).await?;
    lab.see("who", &first.identity.key);
    lab.see("mail", &first.identity.email);
    hold(first.identity.key == again.identity.key, "the same person is known by another key the next time")?;
    let (subject, user) = (&first.identity.key.subject, known_subject(lab)?);
    hold(*subject == user, format!("the person is known as `{subject}`, not as `{user}`"))?;
    is_sound(lab, &first.identity)?;
    hold(!first.tokens.access.expose().is_empty(), "there is no access token")
}

/// The subject of the person who signs in where nobody is hinted at.
pub(super) fn known_subject(lab: &SignInLab) -> Result<String, Failure> {
    let user = lab.known("user_id")?;
    Ok(lab.known("tenant").map_or_else(|_| user.clone(), |tenant| format!("{tenant}.{user}")))
}

/// What holds of everybody whom a service names.
pub(super) fn is_sound(lab: &SignInLab, identity: &Identity) -> Run {
    let (id, provider) = (lab.client().spec().id, &identity.provider);
    hold(provider == id, format!("the identity is of `{provider}`, not of `{id}`"))?;
    hold(!identity.key.issuer.is_empty(), "nobody says who the person is: the issuer is empty")?;
    let subject = identity.key.subject.to_lowercase();
    let mail = identity.email.as_ref().map(|email| email.unproven().folded());
    let known = lab.known("email").ok().map(|email| email.to_lowercase());
    let is_mail = [&mail, &known].into_iter().flatten().any(|mail| *mail == subject);
    hold(!is_mail, "the person is known by the mail address, which another may have tomorrow")?;
    let says_verified = matches!(identity.email, Some(EmailClaim::Verified(_)));
    let may_say = lab.client().can(AuthCap::EmailVerification);
    hold(may_say || !says_verified, "the mail address is told as verified, which the service does not know")
}

pub(super) async fn stored(lab: &SignInLab) -> Run {
    let Flow { pending, answer, .. } = answered(lab, SignInRequest::new()).await?;
    let kept = copied(&pending)?;
    let is_same = kept.provider() == pending.provider() && kept.expires_at() == pending.expires_at();
    hold(is_same && kept.state().ct_eq(pending.state().expose()), "what was kept is another flow")?;
    let signed_in = completed(lab, kept, &answer).await?;
    lab.see("who", &signed_in.identity.key);
    hold(signed_in.identity.key.subject == known_subject(lab)?, "what was kept signs somebody else in")
}

pub(super) async fn other_user(lab: &SignInLab) -> Run {
    let other = SignInRequest::new().login_hint(lab.known("other_user")?);
    let (one, other) = (signed_in(lab, SignInRequest::new()).await?, signed_in(lab, other).await?);
    lab.see("others", &[&one.identity.key, &other.identity.key]);
    is_sound(lab, &other.identity)?;
    hold(one.identity.key != other.identity.key, "two people are known by the same key")?;
    hold(one.identity.key.subject != other.identity.key.subject, "two people have the same subject")
}

pub(super) async fn declined(lab: &SignInLab) -> Run {
    let request = SignInRequest::new().login_hint(lab.known("denied_user")?);
    let Flow { pending, answer, .. } = answered(lab, request).await?;
    let before = lab.requests();
    fails(lab, "complete", &[ErrorKind::Declined], lab.client().complete(pending, &answer)).await?;
    hold(lab.requests() == before, "requests are sent though the person said no")
}

pub(super) async fn state_differs(lab: &SignInLab) -> Run {
    let Flow { pending, answer, .. } = answered(lab, SignInRequest::new()).await?;
    let state = needed(&answer, "state")?;
    let shorter = &state[..state.len().saturating_sub(1)];
    for other in ["invented", shorter, ""] {
        refused(lab, copied(&pending)?, &with(&answer, "state", other)).await?;
    }
    let without: Vec<&str> = answer.split('&').filter(|pair| !pair.starts_with("state=")).collect();
    refused(lab, pending, &without.join("&")).await
}

pub(super) async fn answer_of_another_flow(lab: &SignInLab) -> Run {
    let one = answered(lab, SignInRequest::new()).await?;
    let other = answered(lab, SignInRequest::new()).await?;
    refused(lab, one.pending, &other.answer).await?;
    refused(lab, other.pending, &one.answer).await
}

/// Whoever puts a stolen code into a flow of their own must not become its owner (RFC 9700 section 4.5).
pub(super) async fn code_of_another_flow(lab: &SignInLab) -> Run {
    let one = answered(lab, SignInRequest::new()).await?;
    let other = answered(lab, SignInRequest::new()).await?;
    let injected = with(&one.answer, "code", needed(&other.answer, "code")?);
    let call = lab.client().complete(one.pending, &injected);
    fails(lab, "complete with the code of another flow", REFUSALS, call).await
}

pub(super) async fn code_twice(lab: &SignInLab) -> Run {
    let Flow { pending, answer, .. } = answered(lab, SignInRequest::new()).await?;
    let copy = copied(&pending)?;
    let first = completed(lab, pending, &answer).await?;
    lab.see("who", &first.identity.key);
    let again = lab.client().complete(copy, &answer);
    fails(lab, "complete once more", REFUSALS, again).await
}

pub(super) async fn invented_code(lab: &SignInLab) -> Run {
    let Flow { pending, answer, .. } = answered(lab, SignInRequest::new()).await?;
    let invented = with(&answer, "code", "invented-by-nobody");
    fails(lab, "complete", REFUSALS, lab.client().complete(pending, &invented)).await
}

pub(super) async fn ambiguous_answer(lab: &SignInLab) -> Run {
    let Flow { pending, answer, .. } = answered(lab, SignInRequest::new()).await?;
    let (state, code) = (needed(&answer, "state")?, needed(&answer, "code")?);
    for ambiguous in [
        format!("{answer}&error=access_denied"),
        format!("{answer}&state={state}"),
        format!("{answer}&code={code}"),
        format!("{answer}&{answer}"),
        format!("state={state}"),
        String::new(),
    ] {
        refused(lab, copied(&pending)?, &ambiguous).await?;
    }
    Ok(())
}

pub(super) async fn foreign_pending(lab: &SignInLab) -> Run {
    let Flow { pending, answer, .. } = answered(lab, SignInRequest::new()).await?;
    let (state, inner) = (pending.state().clone(), pending.inner().clone());
    let foreign = PendingSignIn::new("another-provider", state, inner, pending.expires_at());
    refused(lab, foreign, &answer).await
}

pub(super) async fn expired_pending(lab: &SignInLab) -> Run {
    let Flow { pending, answer, .. } = answered(lab, SignInRequest::new()).await?;
    tokio::time::sleep(TOO_LATE).await;
    let call = lab.client().complete(pending, &answer);
    lab.refused("complete", ErrorKind::ReauthRequired, call).await
}

pub(super) async fn id_token(lab: &SignInLab) -> Run {
    let signed_in = signed_in(lab, SignInRequest::new()).await?;
    let token = signed_in.tokens.id_token.as_ref();
    let is_compact = token.is_some_and(|token| token.expose().split('.').count() == 3);
    hold(is_compact, "the signed statement is not among the tokens")?;
    let issuer = &signed_in.identity.key.issuer;
    hold(issuer.starts_with("https://"), format!("the issuer is `{issuer}`, which is no address with TLS"))
}

/// The flow is the right one and so is its code; the statement that comes was made for another.
pub(super) async fn id_token_of_another_flow(lab: &SignInLab) -> Run {
    let one = answered(lab, SignInRequest::new()).await?;
    let Begun { url, pending, .. } = begun(lab, SignInRequest::new()).await?;
    let nonce = needed(query_of(&one.url)?, "nonce")?;
    let (page, query) = url.split_once('?').unwrap_or((&url, ""));
    hold(needed(query, "nonce")? != nonce, "two flows have the same nonce")?;
    let answer = browse(lab, &format!("{page}?{}", with(query, "nonce", nonce))).await?;
    let call = lab.client().complete(pending, &answer);
    fails(lab, "complete with a foreign statement", REFUSALS, call).await
}

pub(super) async fn email_verification(lab: &SignInLab) -> Run {
    let signed_in = signed_in(lab, SignInRequest::new()).await?;
    let claim = signed_in.identity.email.as_ref();
    let claim = claim.ok_or_else(|| Failure::Wrong("the service tells no mail address".to_owned()))?;
    lab.see("mail", claim);
    let is_known = claim.unproven().folded() == lab.known("email")?.to_lowercase();
    hold(is_known, "the mail address is not that of the person")?;
    let verified = match claim {
        EmailClaim::Verified(_) => "true",
        EmailClaim::Unverified(_) => "false",
        EmailClaim::Unknown(_) => {
            return Err(Failure::Wrong("whether the address is verified is not told".to_owned()));
        }
    };
    let known = lab.known("email_verified")?;
    hold(verified == known, format!("that the address is verified is told as {verified}, and is {known}"))?;
    unverified(lab).await
}

/// The same for somebody whose address nobody has proven, where there is such a person.
async fn unverified(lab: &SignInLab) -> Run {
    let Ok(hint) = lab.known("unverified_user") else { return Ok(()) };
    let signed_in = signed_in(lab, SignInRequest::new().login_hint(hint)).await?;
    let claim = signed_in.identity.email.as_ref();
    lab.see("unproven mail", &claim);
    let is_open = claim.is_none_or(|claim| matches!(claim, EmailClaim::Unverified(_)));
    hold(is_open, "an address that nobody has proven is not told as unverified")
}
