//! A store of each kind, empty, with two handles.

use std::sync::Arc;

/// Two handles of one store: where it can be shared by processes, with connections of their own.
pub(crate) struct Two<T: ?Sized> {
    pub(crate) here: Arc<T>,
    pub(crate) there: Arc<T>,
}

pub(crate) mod users {
    use super::{Arc, Two};
    use integrations_auth::{MemoryUsers, UserStore};

    #[allow(clippy::unused_async, reason = "the others wait")]
    pub(crate) async fn memory() -> Option<Two<dyn UserStore>> {
        let store = Arc::new(MemoryUsers::new());
        Some(Two { here: store.clone(), there: store })
    }
}
