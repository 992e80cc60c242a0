//! What every sign-in service goes through. The case is the person's browser too: it opens the address that was begun with,
//! and brings back what it was sent back with.
//!
//! A peer knows by name: `user_id` of the person who signs in where nobody is hinted at (with `tenant` before it and a dot
//! between, where the peer knows one, it is their subject), their `email` and `email_verified` (`true` or `false`),
//! `access_token` and `refresh_token`; as hints `other_user`, somebody else, `denied_user`, who says no, and
//! `unverified_user`, whose address nobody has proven; `post_logout_redirect_uri`, where the browser may be sent after it
//! signed out; and `logout_token`, a notice that the person signed out. The last three may be absent.

mod flow;
mod tokens;

use integrations_core::auth::{AuthCap, LogoutRequest, SignIn, SignInRequest};
use integrations_core::{Error, Result, SecretString, TokenSet};
use integrations_sandbox::Known;
use jiff::Timestamp;

use super::{Boxed, Case, Suite, Twin};

/// The names of all capabilities of sign-in.
const CAPS: [&str; AuthCap::ALL.len()] = cap_names!(AuthCap);

static CASES: &[Case<SignIn>] = cases! { AuthCap:
    begin [SignIn] flow::begin;
    sign_in [SignIn] flow::sign_in;
    sign_in_stored [SignIn] flow::stored;
    sign_in_other_user [SignIn] flow::other_user;
    sign_in_declined [SignIn] flow::declined;
    sign_in_state_differs [SignIn] flow::state_differs;
    sign_in_answer_of_another_flow [SignIn] flow::answer_of_another_flow;
    sign_in_code_of_another_flow [SignIn] flow::code_of_another_flow;
    sign_in_code_twice [SignIn] flow::code_twice;
    sign_in_invented_code [SignIn] flow::invented_code;
    sign_in_ambiguous_answer [SignIn] flow::ambiguous_answer;
    sign_in_foreign_pending [SignIn] flow::foreign_pending;
    sign_in_expired_pending [SignIn] flow::expired_pending;
    id_token [SignIn, IdToken] flow::id_token;
    id_token_of_another_flow [SignIn, IdToken] flow::id_token_of_another_flow;
    email_verification [SignIn, EmailVerification] flow::email_verification;

    profile [SignIn, Profile] tokens::profile;
    profile_known_token [Profile] tokens::profile_known_token;
    profile_foreign_token [Profile] tokens::profile_foreign_token;
    refresh [SignIn, Refresh] tokens::refresh;
    refresh_dead [Refresh] tokens::refresh_dead;
    revoke [SignIn, Revoke] tokens::revoke;
    revoke_unknown [Revoke] tokens::revoke_unknown;
    logout [Logout] tokens::logout;
    logout_notice [LogoutNotice] tokens::logout_notice;
    logout_notice_id_token [SignIn, IdToken, LogoutNotice] tokens::logout_notice_id_token;
};

static TWINS: &[Twin<SignIn>] = twins! { AuthCap:
    SignIn |sign_in| sign_in.begin(SignInRequest::new());
    IdToken |sign_in| async { unnamed(sign_in, AuthCap::IdToken) };
    Profile |sign_in| async { sign_in.profile(&invented()).await };
    EmailVerification |sign_in| async { unnamed(sign_in, AuthCap::EmailVerification) };
    Refresh |sign_in| async { sign_in.refresh(&invented_tokens(Timestamp::UNIX_EPOCH)).await };
    Revoke |sign_in| async { sign_in.revoke(&invented_tokens(Timestamp::UNIX_EPOCH)).await };
    Logout |sign_in| async { sign_in.logout_url(&LogoutRequest::default()).await };
    LogoutNotice |sign_in| async { sign_in.logout_notice(&invented()).await };
};

/// What every sign-in service goes through.
pub fn suite() -> Suite<SignIn> {
    Suite {
        caps: &CAPS,
        caps_of: SignIn::caps,
        cases: CASES,
        twins: TWINS,
        caller_of: SignIn::caller,
        counts_token_calls: true,
        alive,
    }
}

/// The simplest read that the service has. Where it has none, a flow can be begun.
fn alive<'c>(sign_in: &'c SignIn, known: &'c Known) -> Boxed<'c, Result<()>> {
    Box::pin(async move {
        if let Some(access) = known.get("access_token").filter(|_| sign_in.can(AuthCap::Profile)) {
            return sign_in.profile(&SecretString::from(access)).await.map(drop);
        }
        if sign_in.can(AuthCap::SignIn) {
            return sign_in.begin(SignInRequest::new()).await.map(drop);
        }
        Ok(())
    })
}

/// No call needs this one by itself: it says what is in the answers of the others.
fn unnamed(sign_in: &SignIn, cap: AuthCap) -> Result<()> {
    let refusal = sign_in.clone().require(&[cap]).err();
    Err(refusal.unwrap_or_else(|| Error::config("the capability is there after all")))
}

/// A token that nobody gave out.
fn invented() -> SecretString {
    SecretString::from("invented-by-nobody-7f1c0a9d3b5e")
}

fn invented_tokens(now: Timestamp) -> TokenSet {
    let mut tokens = TokenSet::new(invented(), now);
    tokens.refresh = Some(invented());
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_has_a_case_and_a_twin() {
        assert_eq!(suite().gaps(), [""; 0]);
    }
}
