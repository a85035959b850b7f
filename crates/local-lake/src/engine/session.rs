//! The DataFusion session that every query gets a copy of.

use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider, Session,
    TableProvider,
};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use lakepilot_query::TimeRange;

use crate::engine::functions;
use crate::engine::merged::merged_view;
use crate::engine::options::ServiceOptions;
use crate::engine::table::{GLOBAL, InstanceTable};
use crate::store::Lake;
use crate::views::{ViewSet, view_sets};

/// How many of the largest users of memory an error names when the limit is reached.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).unwrap();

/// What belongs to one query; tables and functions find it in the session.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueryScope {
    /// The time range that came beside the SQL.
    pub(crate) time_range: Option<TimeRange>,
}

impl QueryScope {
    /// The scope of the query that a session runs.
    pub(crate) fn of(session: &dyn Session) -> Arc<Self> {
        session.config().get_extension::<Self>().unwrap_or_default()
    }
}

/// A session with every function registered, and the tables; made once, copied for each query.
///
/// A query gets a schema of its own, so that what it creates is gone with it.
pub(crate) struct SessionTemplate {
    state: SessionState,
    tables: Vec<(&'static str, Arc<dyn TableProvider>)>,
}

impl SessionTemplate {
    pub(crate) fn new(lake: &Lake, options: &ServiceOptions) -> Result<Self> {
        let state = SessionStateBuilder::new_with_default_features()
            .with_config(config(options))
            .with_runtime_env(runtime(options)?)
            .build();
        let context = SessionContext::new_with_state(state);
        functions::register(&context, lake, options);
        let tables = view_sets()
            .iter()
            .filter(|view_set| view_set.instances().has_global())
            .map(|view_set| Ok((view_set.name(), global_table(lake, view_set)?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            state: context.state(),
            tables,
        })
    }

    /// A session for one query.
    pub(crate) fn session(&self, scope: QueryScope) -> Result<SessionContext> {
        let mut state = self.state.clone();
        let schema = MemorySchemaProvider::new();
        for (name, table) in &self.tables {
            schema.register_table((*name).to_owned(), Arc::clone(table))?;
        }
        let options = &state.config_options().catalog;
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(&options.default_schema, Arc::new(schema))?;
        let catalogs = MemoryCatalogProviderList::new();
        datafusion::catalog::CatalogProviderList::register_catalog(
            &catalogs,
            options.default_catalog.clone(),
            Arc::new(catalog),
        );
        state.register_catalog_list(Arc::new(catalogs));
        state.config_mut().set_extension(Arc::new(scope));
        Ok(SessionContext::new_with_state(state))
    }
}

/// The table of all processes. The catalogue views are kept as one row for each process and partition, and merged when
/// they are read.
fn global_table(lake: &Lake, view_set: &'static ViewSet) -> Result<Arc<dyn TableProvider>> {
    let table: Arc<dyn TableProvider> = Arc::new(InstanceTable::new(lake.clone(), view_set, GLOBAL));
    merged_view(view_set, table)
}

fn config(options: &ServiceOptions) -> SessionConfig {
    let config = SessionConfig::new()
        .with_information_schema(true)
        // Errors tell the line and the column.
        .set_bool("datafusion.sql_parser.collect_spans", true);
    match options.target_partitions {
        Some(target) => config.with_target_partitions(target.get()),
        None => config,
    }
}

fn runtime(options: &ServiceOptions) -> Result<Arc<RuntimeEnv>> {
    let pool = TrackConsumersPool::new(FairSpillPool::new(options.memory_limit_bytes), NAMED_CONSUMERS);
    RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc()
}
