//! Sessions of users who signed in at a service, and the service's notices.

use integrations_auth::{
    Begun, Completed, Identity, LinkedIdentity, PendingSignIn, SignIn, SignInDriver, SignInRequest, SignedIn,
};
use integrations_core::driver::{Caps, Driver};
use integrations_core::provider::ProviderSpec;
use integrations_core::{Secret, TokenSet};

use super::*;
