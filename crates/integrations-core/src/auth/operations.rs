//! Sign-in's operations by name, for whoever chooses one at run time: the command line, a gateway, an agent.
//!
//! What takes or gives a credential is not among them: what is called by name ends in logs and histories.

use super::{AuthCap, LogoutRequest, SignIn};
use crate::dynamic::portable_operations;
use crate::op::Safety::Read;

portable_operations! {
    /// Every portable operation of sign-in that has no credential in it.
    pub static OPERATIONS: SignIn;

    "Where to send a browser to sign out at the service."
    logout_url(LogoutArguments { return_to: Option<String>, state: Option<String> })
        -> String, AuthCap::Logout.as_str(), Read,
        |sign_in, it| {
            let request = LogoutRequest { return_to: it.return_to, state: it.state, ..LogoutRequest::default() };
            sign_in.logout_url(&request).await
        };
}
