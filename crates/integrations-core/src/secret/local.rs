//! The secrets that this machine has.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::reference::join;
use super::{SecretRef, SecretStore, SecretString};
use crate::error::{Error, Result};

/// Resolves variables, files and joined pieces; another store, if there is one, the entries of `${vault:…}`. Files are
/// read outside of the runtime's own threads.
///
/// ```
/// # use integrations_core::secret::{LocalSecrets, SecretRef, SecretStore};
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let secrets = LocalSecrets::new(|name| (name == "API_TOKEN").then(|| "abc".to_owned())); // or `std::env::var(name).ok()`
/// assert_eq!(secrets.get(&"Bearer ${API_TOKEN}".parse()?).await?.expose(), "Bearer abc");
/// # Ok::<(), integrations_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct LocalSecrets {
    env: Arc<Lookup>,
    vault: Option<Arc<dyn SecretStore>>,
}

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

impl fmt::Debug for LocalSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSecrets").field("vault", &self.vault.is_some()).finish_non_exhaustive()
    }
}

impl LocalSecrets {
    /// Files, and the variables that `env` looks up, as `|name| std::env::var(name).ok()` does.
    pub fn new(env: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { env: Arc::new(env), vault: None }
    }

    /// Sets the store that is asked for each [`SecretRef::Vault`].
    pub fn vault(mut self, store: impl SecretStore) -> Self {
        self.vault = Some(Arc::new(store));
        self
    }
}

#[async_trait]
impl SecretStore for LocalSecrets {
    /// As [`SecretRef::resolve`]; needs a tokio runtime.
    async fn get(&self, reference: &SecretRef) -> Result<SecretString> {
        match (reference, &self.vault) {
            (SecretRef::Vault { .. }, Some(store)) => store.get(reference).await,
            (SecretRef::Joined(pieces), _) => {
                let mut values = Vec::with_capacity(pieces.len());
                for piece in pieces {
                    values.push(self.get(piece).await?);
                }
                Ok(join(&values))
            }
            (SecretRef::File(_), _) => {
                let (reference, env) = (reference.clone(), self.env.clone());
                let read = tokio::task::spawn_blocking(move || reference.resolve(&*env)).await;
                read.map_err(|_| Error::config("the file with a secret was not read: the runtime ends"))?
            }
            _ => reference.resolve(&*self.env),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    struct Entries;

    #[async_trait]
    impl SecretStore for Entries {
        async fn get(&self, reference: &SecretRef) -> Result<SecretString> {
            match reference {
                SecretRef::Vault { path, key: Some(key) } => Ok(format!("{path}+{key}").into()),
                _ => Err(Error::config("there is no such entry")),
            }
        }
    }

    fn env(name: &str) -> Option<String> {
        (name == "KEY").then(|| "hunter2".to_owned())
    }

    #[tokio::test]
    async fn every_kind_of_reference_is_resolved() {
        let path = std::env::temp_dir().join(format!("integrations-local-{}", std::process::id()));
        std::fs::write(&path, "from-file\n").unwrap();
        let secrets = LocalSecrets::new(env).vault(Entries);
        let whole = format!("a ${{KEY}} ${{file:{}}} ${{vault:kv/a#b}}", path.display());
        for (text, value) in [
            ("${KEY}", "hunter2"),
            ("plain", "plain"),
            ("${vault:kv/a#b}", "kv/a+b"),
            (&whole, "a hunter2 from-file kv/a+b"),
        ] {
            assert_eq!(secrets.get(&text.parse().unwrap()).await.unwrap().expose(), value, "{text}");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn what_is_not_there_is_told() {
        let secrets = LocalSecrets::new(env);
        for (text, kind, part) in [
            ("${NONE}", ErrorKind::Config, "NONE"),
            ("${file:/no/such/file}", ErrorKind::Config, "/no/such/file"),
            ("a${vault:kv/a#b}", ErrorKind::Unsupported, "kv/a"),
        ] {
            let error = secrets.get(&text.parse().unwrap()).await.unwrap_err();
            assert!(error.kind() == kind && error.message().contains(part), "{error}");
        }
        let error = secrets.vault(Entries).get(&"${vault:kv/a}".parse().unwrap()).await.unwrap_err();
        assert_eq!(error.message(), "there is no such entry");
    }
}
