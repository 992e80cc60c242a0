//! A refresh whose answer has no refresh token erases the stored one: <https://github.com/NangoHQ/nango/issues/298>.
//! RFC 6749 section 6 lets an issuer leave it out, and then the old one stays.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use integrations_core::seal::{Envelope, LocalKeys};
use integrations_core::{ConnectionId, CredentialVersion, Result};
use integrations_oauth::store::MemoryTokens;
use integrations_oauth::{TokenSet, TokenSource, Vault};
use jiff::Timestamp;

/// Gives a new access token and leaves the refresh token out.
struct Issuer;

impl Issuer {
    fn answer() -> TokenSet {
        TokenSet::new("access-2", Timestamp::UNIX_EPOCH)
    }
}

#[async_trait]
impl TokenSource for Issuer {
    async fn refresh(&self, _: &TokenSet) -> Result<TokenSet> {
        Ok(Self::answer())
    }

    async fn revoke(&self, _: &TokenSet) -> Result<()> {
        Ok(())
    }
}

fn consented() -> TokenSet {
    let mut tokens = TokenSet::new("access-1", Timestamp::UNIX_EPOCH);
    tokens.refresh = Some("refresh-1".into());
    tokens
}

#[test]
fn the_reference_stores_the_answer_as_it_is() {
    let mut stored = consented();
    assert!(stored.refresh.is_some());
    stored = Issuer::answer();
    assert!(stored.refresh.is_none(), "the next refresh has nothing to show: the user has to consent again");
}

#[tokio::test(start_paused = true)]
async fn ours_keeps_what_the_answer_leaves_out() -> Result<()> {
    let keys = LocalKeys::parse(&LocalKeys::generate()?)?;
    let vault =
        Vault::builder(Arc::new(MemoryTokens::new()), Arc::new(Envelope::new(Arc::new(keys), "museum")))
            .source("drive", Arc::new(Issuer))
            .refused_again_after(Duration::ZERO)
            .build();
    let id = ConnectionId::new("acme", "drive", "ada")?;
    vault.connect(&id, consented()).await?;
    let used = vault.token(&id).await?.version;
    assert!(vault.authorizer(&id).refresh(Some(CredentialVersion(used))).await?);
    let tokens = vault.tokens(&id).await?;
    assert_eq!(tokens.access.expose(), "access-2");
    assert_eq!(tokens.refresh.unwrap().expose(), "refresh-1");
    Ok(())
}
