//! Clients that are kept ready.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::open::Place;
use crate::registry::Category;

/// Clients by who opened them, at most so many in all and a tenth of that per tenant.
pub(super) struct Clients {
    max: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    generation: u64,
    /// Counts uses, so that what was not used for long is known.
    tick: u64,
    len: usize,
    tenants: HashMap<Arc<str>, HashMap<ClientKey, Entry>>,
}

#[derive(PartialEq, Eq, Hash)]
struct ClientKey {
    connection: Arc<str>,
    instance: Arc<str>,
    category: TypeId,
}

struct Entry {
    client: Box<dyn Any + Send + Sync>,
    used: u64,
}

impl Clients {
    pub(super) fn new(max: usize) -> Self {
        Self { max, kept: Mutex::default() }
    }

    /// A client that was made under this generation of the configuration.
    pub(super) fn get<C: Category>(&self, generation: u64, place: &Place, instance: &str) -> Option<C> {
        let key = ClientKey {
            connection: place.connection.clone(),
            instance: instance.into(),
            category: TypeId::of::<C>(),
        };
        let mut kept = self.lock();
        if kept.generation != generation {
            return None;
        }
        kept.tick += 1;
        let tick = kept.tick;
        let entry = kept.tenants.get_mut(&place.tenant)?.get_mut(&key)?;
        entry.used = tick;
        entry.client.downcast_ref::<C>().cloned()
    }

    /// Keeps a client, and forgets what was not used for longest when there are too many.
    pub(super) fn keep<C: Category>(&self, generation: u64, place: &Place, instance: &Arc<str>, client: C) {
        let key = ClientKey {
            connection: place.connection.clone(),
            instance: instance.clone(),
            category: TypeId::of::<C>(),
        };
        let mut kept = self.lock();
        if kept.generation > generation {
            return;
        }
        if kept.generation < generation {
            *kept = Kept { generation, ..Kept::default() };
        }
        kept.tick += 1;
        let entry = Entry { client: Box::new(client), used: kept.tick };
        let tenant = kept.tenants.entry(place.tenant.clone()).or_default();
        let before = tenant.len();
        if before >= self.max.div_ceil(10) {
            forget_older_half(tenant);
        }
        tenant.insert(key, entry);
        kept.len = kept.len + kept.tenants[&place.tenant].len() - before;
        if kept.len > self.max {
            kept.forget_older_half();
        }
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Half at once, so that the walk over all of them is paid for by as many insertions.
    fn forget_older_half(&mut self) {
        let mut used: Vec<u64> =
            self.tenants.values().flat_map(HashMap::values).map(|entry| entry.used).collect();
        let Some(median) = median(&mut used) else { return };
        self.tenants.retain(|_, clients| {
            clients.retain(|_, entry| entry.used > median);
            !clients.is_empty()
        });
        self.len = self.tenants.values().map(HashMap::len).sum();
    }
}

fn forget_older_half(clients: &mut HashMap<ClientKey, Entry>) {
    let mut used: Vec<u64> = clients.values().map(|entry| entry.used).collect();
    if let Some(median) = median(&mut used) {
        clients.retain(|_, entry| entry.used > median);
    }
}

fn median(used: &mut [u64]) -> Option<u64> {
    let middle = used.len().checked_sub(1)? / 2;
    Some(*used.select_nth_unstable(middle).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Number(usize);

    impl Category for Number {
        const NAME: &'static str = "number";
    }

    fn place(tenant: &str, connection: usize) -> Place {
        Place { tenant: tenant.into(), connection: connection.to_string().into() }
    }

    fn keep(clients: &Clients, place: &Place, n: usize) {
        clients.keep(1, place, &"main".into(), Number(n));
    }

    #[test]
    fn a_client_is_kept_for_its_owner_and_generation_alone() {
        let clients = Clients::new(100);
        keep(&clients, &place("a", 1), 7);
        assert_eq!(clients.get(1, &place("a", 1), "main"), Some(Number(7)));
        assert_eq!(clients.get::<Number>(1, &place("b", 1), "main"), None);
        assert_eq!(clients.get::<Number>(1, &place("a", 2), "main"), None);
        assert_eq!(clients.get::<Number>(2, &place("a", 1), "main"), None);
        clients.keep(2, &place("a", 1), &"main".into(), Number(8));
        assert_eq!((clients.get::<Number>(1, &place("a", 1), "main"), clients.len()), (None, 1));
        keep(&clients, &place("a", 1), 7);
        assert_eq!(
            clients.get(2, &place("a", 1), "main"),
            Some(Number(8)),
            "an older one does not come back"
        );
    }

    #[test]
    fn no_tenant_takes_all_the_room_and_what_is_used_stays() {
        let clients = Clients::new(100);
        for tenant in 0..8 {
            keep(&clients, &place(&format!("t{tenant}"), 0), tenant);
        }
        for n in 0..10_000 {
            keep(&clients, &place("loud", n), n);
            assert!(clients.len() <= 18);
        }
        for tenant in 0..8 {
            assert_eq!(clients.get(1, &place(&format!("t{tenant}"), 0), "main"), Some(Number(tenant)));
        }
        for tenant in 0..10_000 {
            keep(&clients, &place(&format!("many{tenant}"), 0), tenant);
            assert!(clients.len() <= 100);
            assert_eq!(clients.get(1, &place("t3", 0), "main"), Some(Number(3)));
        }
    }
}
