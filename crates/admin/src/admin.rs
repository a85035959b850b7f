//! Who plans, applies and verifies.

use std::fmt;
use std::sync::Arc;

use lakepilot_catalog::Catalog;
use lakepilot_query::QueryService;

/// Partition administration of one lake. A clone works on the same lake.
///
/// Retiring needs an administrator's rights on the server; planning does not.
#[derive(Clone)]
pub struct PartitionAdmin {
    catalog: Catalog,
}

impl PartitionAdmin {
    /// Administration of the lake behind a service.
    pub fn new(service: Arc<dyn QueryService>) -> Self {
        Self {
            catalog: Catalog::new(service),
        }
    }

    /// The catalogue of the lake.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }
}

impl fmt::Debug for PartitionAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionAdmin").finish_non_exhaustive()
    }
}
