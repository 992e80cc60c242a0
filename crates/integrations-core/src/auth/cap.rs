//! What a sign-in service can do.

crate::caps! {
    /// What a sign-in service can do, one by one. The names are those in `provider.toml`.
    pub enum AuthCap {
        /// A person signs in there and comes back known.
        SignIn = "sign_in",
        /// The service gives a signed statement about the person (an ID token), which is verified.
        IdToken = "id_token",
        /// The person's profile is read with an access token.
        Profile = "profile",
        /// The service says whether it has verified the mail address.
        EmailVerification = "email_verification",
        /// Tokens are refreshed.
        Refresh = "refresh",
        /// Tokens are revoked.
        Revoke = "revoke",
        /// The person can be sent to sign out at the service (RP-initiated logout).
        Logout = "logout",
        /// The service tells when somebody signed out there (back-channel logout).
        LogoutNotice = "logout_notice",
    }
}
