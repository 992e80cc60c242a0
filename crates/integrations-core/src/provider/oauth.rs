//! How a vendor's OAuth 2 differs from the standards, as data.

use std::time::Duration;

/// How the proof key of RFC 7636 is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pkce {
    /// SHA-256 in base64url, as the RFC says.
    S256,
    /// SHA-256 in lower-case hexadecimal digits, though it is called `S256`.
    S256Hex,
    /// The vendor ignores or refuses it. Clients without a secret send it all the same, as [`Pkce::S256`].
    None,
}

/// How a client proves itself at the token address (RFC 6749 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientAuth {
    /// `Authorization: Basic`, id and secret form-encoded first.
    Basic,
    /// `client_id` and `client_secret` in the body.
    Body,
    /// Basic, without the encoding that the RFC asks for: for vendors that do not decode.
    BasicRaw,
    /// Basic with the secret as the name and no password, as an API key is sent to some vendors; the id is not sent.
    BasicSecret,
}

/// What a request to the token address looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenBody {
    /// `POST` of a form, as the standard says.
    Form,
    /// `POST` of a JSON object.
    Json,
    /// `GET` with everything in the query.
    Query,
}

/// What becomes of a refresh token that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refresh {
    /// It stays valid; an answer may repeat it or leave it out.
    Static,
    /// It is dead; the answer holds the next one.
    Rotating,
    /// The answer holds a new one; the old one stays valid for a while.
    Lenient,
    /// There is none, but a valid access token can be exchanged for one that lives longer ([`OAuth::extend`]).
    Extend,
    /// There is none: the user consents again, or the grant is repeated.
    None,
}

/// An exchange of one access token for another at an address of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchange {
    /// Where.
    pub url: &'static str,
    /// The value of `grant_type`.
    pub grant: &'static str,
    /// The parameter that holds the present token.
    pub token_param: &'static str, // tidy: not a secret, it names a parameter
    /// Whether id and secret of the client belong in it.
    pub with_client: bool,
}

impl Exchange {
    /// A `GET` with this grant and the token in this parameter.
    pub const fn new(url: &'static str, grant: &'static str, token_param: &'static str) -> Self {
        Self { url, grant, token_param, with_client: false }
    }

    /// Adds id and secret of the client.
    #[must_use]
    pub const fn with_client(mut self) -> Self {
        self.with_client = true;
        self
    }
}

/// Where a vendor's OAuth 2 is and how it departs from the standards. Addresses may have parts such as `{tenant}`, which
/// [`OAuth::vars`] give defaults for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OAuth {
    /// Where codes and refresh tokens are exchanged.
    pub token_url: &'static str,
    /// Where users consent; `None` when the vendor has no user flow.
    pub authorize_url: Option<&'static str>,
    /// Where tokens are refreshed, when not at `token_url`.
    pub refresh_url: Option<&'static str>,
    /// Where tokens are revoked (RFC 7009), when they can be.
    pub revoke_url: Option<&'static str>,
    /// Where tokens are looked at (RFC 7662), when they can be.
    pub introspect_url: Option<&'static str>,
    /// Where a device asks for its code (RFC 8628), when it can.
    pub device_url: Option<&'static str>,
    /// The issuer that `iss` names (RFC 9207, OpenID Connect).
    pub issuer: Option<&'static str>,
    /// Parts of addresses and their defaults; `""` has none and must be given.
    pub vars: &'static [(&'static str, &'static str)],
    /// How the proof key is sent.
    pub pkce: Pkce,
    /// How the client proves itself.
    pub client_auth: ClientAuth,
    /// What a request to the token address looks like.
    pub token_body: TokenBody,
    /// Parameters that the vendor calls otherwise: the standard's name and the vendor's.
    pub renames: &'static [(&'static str, &'static str)],
    /// What stands between scopes: a space by the standard, a comma with some.
    pub scope_separator: char,
    /// Scopes without which there is no refresh token, or no token at all.
    pub default_scopes: &'static [&'static str],
    /// Parameters that are always part of the user's address.
    pub authorize_params: &'static [(&'static str, &'static str)],
    /// Parameters that are always part of the exchange of a code.
    pub token_params: &'static [(&'static str, &'static str)], // tidy: not a secret, fixed parameters
    /// Parameters that are always part of a refresh.
    pub refresh_params: &'static [(&'static str, &'static str)],
    /// The value of `grant_type` when the client asks for itself, without a user.
    pub client_grant: &'static str,
    /// What becomes of a refresh token that was used.
    pub refresh: Refresh,
    /// Done at once after a code was exchanged: a short-lived token for a long-lived one.
    pub upgrade: Option<Exchange>,
    /// How a token's life is extended, with [`Refresh::Extend`].
    pub extend: Option<Exchange>,
    /// The field of an answer that holds the tokens, when they are not at its top.
    pub reply_root: Option<&'static str>,
    /// Fields of an answer that the vendor calls otherwise, in a way that no other does: the standard's name and the
    /// vendor's. `expires_at` counts as a standard's name for a time in the place of `expires_in`.
    pub reply_renames: &'static [(&'static str, &'static str)],
    /// How long an access token lives when the answer does not say; `None`: until it is refused.
    pub lifetime: Option<Duration>,
    /// The word before the token in `Authorization`.
    pub scheme: &'static str,
    /// Codes of errors that mean, besides `invalid_grant`, that the user has to consent again; of a vendor without codes,
    /// the words of its message.
    pub reauth_codes: &'static [&'static str],
    /// Codes of errors that mean, whatever the status, that there were too many calls.
    pub limit_codes: &'static [&'static str],
}

impl OAuth {
    /// OAuth by the standards, with PKCE, at this token address.
    pub const fn new(token_url: &'static str) -> Self {
        Self {
            token_url,
            authorize_url: None,
            refresh_url: None,
            revoke_url: None,
            introspect_url: None,
            device_url: None,
            issuer: None,
            vars: &[],
            pkce: Pkce::S256,
            client_auth: ClientAuth::Basic,
            token_body: TokenBody::Form,
            renames: &[],
            scope_separator: ' ',
            default_scopes: &[],
            authorize_params: &[],
            token_params: &[],
            refresh_params: &[],
            client_grant: "client_credentials",
            refresh: Refresh::Rotating,
            upgrade: None,
            extend: None,
            reply_root: None,
            reply_renames: &[],
            lifetime: None,
            scheme: "Bearer",
            reauth_codes: &[],
            limit_codes: &[],
        }
    }
}

/// Declares the chained setters, which are all alike.
macro_rules! setters {
    ($($(#[$meta:meta])* $name:ident: $type:ty $(=> $wrap:ident)?;)*) => {
        impl OAuth {
            $(
                $(#[$meta])*
                #[must_use]
                pub const fn $name(mut self, value: $type) -> Self {
                    self.$name = setters!(@value value $($wrap)?);
                    self
                }
            )*
        }
    };
    (@value $value:ident Some) => { Some($value) };
    (@value $value:ident) => { $value };
}

setters! {
    /// Sets where users consent.
    authorize_url: &'static str => Some;
    /// Sets where tokens are refreshed.
    refresh_url: &'static str => Some;
    /// Sets where tokens are revoked.
    revoke_url: &'static str => Some;
    /// Sets where tokens are looked at.
    introspect_url: &'static str => Some;
    /// Sets where a device asks for its code.
    device_url: &'static str => Some;
    /// Sets the issuer.
    issuer: &'static str => Some;
    /// Sets the parts of addresses.
    vars: &'static [(&'static str, &'static str)];
    /// Sets how the proof key is sent.
    pkce: Pkce;
    /// Sets how the client proves itself.
    client_auth: ClientAuth;
    /// Sets what a request to the token address looks like.
    token_body: TokenBody;
    /// Sets the parameters that the vendor calls otherwise.
    renames: &'static [(&'static str, &'static str)];
    /// Sets what stands between scopes.
    scope_separator: char;
    /// Sets the scopes that are always asked for.
    default_scopes: &'static [&'static str];
    /// Sets what is always part of the user's address.
    authorize_params: &'static [(&'static str, &'static str)];
    /// Sets what is always part of the exchange of a code.
    token_params: &'static [(&'static str, &'static str)];
    /// Sets what is always part of a refresh.
    refresh_params: &'static [(&'static str, &'static str)];
    /// Sets the grant of a client without a user.
    client_grant: &'static str;
    /// Sets what becomes of a refresh token that was used.
    refresh: Refresh;
    /// Sets the exchange right after that of a code.
    upgrade: Exchange => Some;
    /// Sets how a token's life is extended.
    extend: Exchange => Some;
    /// Sets the field of an answer that holds the tokens.
    reply_root: &'static str => Some;
    /// Sets the fields of an answer that the vendor calls otherwise.
    reply_renames: &'static [(&'static str, &'static str)];
    /// Sets how long an access token lives when the answer does not say.
    lifetime: Duration => Some;
    /// Sets the word before the token.
    scheme: &'static str;
    /// Sets the codes that mean that the user has to consent again.
    reauth_codes: &'static [&'static str];
    /// Sets the codes that mean that there were too many calls.
    limit_codes: &'static [&'static str];
}
