//! What a contestant is, and the one that adds nothing.

use std::sync::Arc;

use crate::service::{Ready, Request, Response, Service};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A way to call the service. `tenant` is an index below the number of tenants that the contestant was built for.
///
/// It takes `&self` because an application shares its client; what must be cloned to be called is cloned inside.
pub(crate) trait Contestant: Send + Sync + 'static {
    fn call(
        &self,
        tenant: usize,
        request: Request,
    ) -> impl Future<Output = Result<Response, BoxError>> + Send;
}

/// The service itself, one handle per tenant: the floor that every figure is compared with. Picking the handle
/// costs here what it costs the others.
pub(crate) struct Bare(Vec<Arc<dyn Service>>);

impl Bare {
    pub(crate) fn new(service: Arc<dyn Service>) -> Self {
        Self(vec![service])
    }

    /// One service object per tenant, each in an allocation of its own.
    pub(crate) fn with_tenants(tenants: usize) -> Self {
        Self((0..tenants).map(|_| Arc::new(Ready { mask: u64::MAX }) as Arc<dyn Service>).collect())
    }
}

impl Contestant for Bare {
    async fn call(&self, tenant: usize, request: Request) -> Result<Response, BoxError> {
        Ok(self.0[tenant].call(request).await?)
    }
}
