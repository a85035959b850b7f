//! Who plans, applies and verifies.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use lakepilot_catalog::Catalog;
use lakepilot_query::{Clock, QueryService, SystemClock};

use crate::{Guards, History};

/// Partition administration of one lake. A clone works on the same lake.
///
/// Retiring needs an administrator's rights on the server; planning does not.
#[derive(Clone)]
pub struct PartitionAdmin {
    catalog: Catalog,
    server: Option<String>,
    guards: Guards,
    clock: Arc<dyn Clock>,
    history: Option<History>,
}

impl PartitionAdmin {
    /// Administration of the lake behind a service, with the guards that are there by default.
    pub fn new(service: Arc<dyn QueryService>) -> Self {
        Self {
            catalog: Catalog::new(service),
            server: None,
            guards: Guards::default(),
            clock: Arc::new(SystemClock),
            history: None,
        }
    }

    /// With a name for the server, which its plans then carry: they are applied to a server of the same name only. The
    /// address does, without credentials.
    #[must_use]
    pub fn with_server(mut self, name: impl Into<String>) -> Self {
        self.server = Some(name.into());
        self
    }

    /// With other guards for the plans that it makes.
    #[must_use]
    pub fn with_guards(mut self, guards: Guards) -> Self {
        self.guards = guards;
        self
    }

    /// With another clock, which decides how old a partition is.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// With a history in which materialisations and regenerations are recorded. That of a retirement is in its
    /// [options](crate::ApplyOptions::with_history).
    #[must_use]
    pub fn with_history(mut self, history: History) -> Self {
        self.history = Some(history);
        self
    }

    /// The catalogue of the lake.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The name of the server, if it was given one.
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// The guards of its plans.
    pub fn guards(&self) -> &Guards {
        &self.guards
    }

    pub(crate) fn history(&self) -> Option<&History> {
        self.history.as_ref()
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

impl fmt::Debug for PartitionAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionAdmin")
            .field("server", &self.server)
            .field("guards", &self.guards)
            .finish_non_exhaustive()
    }
}
