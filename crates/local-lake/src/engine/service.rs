//! The embedded lake as a `QueryService`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use futures::{Stream, StreamExt, TryStreamExt, future};
use lakepilot_query::{Dictionaries, Error, ErrorKind, PreparedQuery, Query, QueryService, RecordBatchStream, Result};
use uuid::Uuid;

use crate::engine::failure::{Step, query_error};
use crate::engine::flatten::flatten;
use crate::engine::options::ServiceOptions;
use crate::engine::session::{QueryScope, SessionTemplate};
use crate::engine::statement::{self, Runnable};
use crate::store::{Lake, Lease};

/// Answers SQL over a [`Lake`] in this process, as the real service answers it over its own.
///
/// A clone shares the lake, the memory limit and the cache of file footers. Queries run at the same time and do not wait for each other;
/// each has a session of its own, so a table that it creates is gone when it ends. All of it needs a Tokio runtime.
///
/// # Where it differs
/// A retirement that fails is an error in the stream, where the real service ends the stream well and hides the failure.
/// Statements that write files (`COPY`, `CREATE EXTERNAL TABLE`) are refused, and so are `INSERT`, `UPDATE` and `DELETE`. Rows of a query
/// without `ORDER BY` come in no particular order, because partitions are read at the same time, except from `thread_spans`.
///
/// ```
/// use lakepilot_local_lake::{Lake, LakeService};
/// use lakepilot_query::{Query, QueryServiceExt};
/// # #[tokio::main]
/// # async fn main() -> lakepilot_query::Result<()> {
/// # let directory = tempfile::tempdir()?;
/// let service = LakeService::new(Lake::create(directory.path())?)?;
/// let result = service.collect(&Query::new("SELECT count(*) AS entries FROM log_entries")?).await?;
/// assert_eq!(result.num_rows(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LakeService {
    shared: Arc<Shared>,
}

struct Shared {
    lake: Lake,
    options: ServiceOptions,
    template: SessionTemplate,
}

impl LakeService {
    /// A service over a lake with the default options.
    ///
    /// # Errors
    /// As [`with_options`](Self::with_options).
    pub fn new(lake: Lake) -> Result<Self> {
        Self::with_options(lake, ServiceOptions::default())
    }

    /// A service over a lake.
    ///
    /// # Errors
    /// `Internal` when the SQL engine cannot be set up.
    pub fn with_options(lake: Lake, options: ServiceOptions) -> Result<Self> {
        let template = SessionTemplate::new(&lake, &options).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("the SQL engine cannot be set up: {error}")).with_source(error)
        })?;
        Ok(Self {
            shared: Arc::new(Shared {
                lake,
                options,
                template,
            }),
        })
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.shared.lake
    }

    /// The options with which the service was made.
    pub fn options(&self) -> &ServiceOptions {
        &self.shared.options
    }

    /// A session for one query.
    pub(crate) fn session(&self, scope: QueryScope) -> Result<SessionContext, DataFusionError> {
        self.shared.template.session(scope)
    }

    /// The schema of the stream that a query gets, from its physical plan: what the planner says of a column before that,
    /// such as whether it can be NULL, is not always what is delivered.
    pub(crate) async fn delivered_schema(&self, query: &Query) -> Result<SchemaRef> {
        let query_id = Uuid::new_v4().to_string();
        let scope = QueryScope {
            time_range: query.time_range(),
        };
        let planned = self.plan(query.sql(), scope).await;
        let (context, plan) = planned.map_err(|error| query_error(Step::Planning, error, &query_id))?;
        if matches!(plan, LogicalPlan::Ddl(_) | LogicalPlan::Statement(_)) {
            return Ok(empty_schema());
        }
        let (physical, _) = physical_plan(&context, plan, query.dictionaries())
            .await
            .map_err(|error| query_error(Step::PhysicalPlan, error, &query_id))?;
        Ok(physical.schema())
    }

    /// Plans the SQL in a new session.
    async fn plan(&self, sql: &str, scope: QueryScope) -> Result<(SessionContext, LogicalPlan), DataFusionError> {
        let context = self.session(scope)?;
        let plan = context.state().create_logical_plan(sql).await?;
        statement::check(&plan)?;
        Ok((context, plan))
    }
}

impl fmt::Debug for LakeService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeService")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl QueryService for LakeService {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        let query_id = Uuid::new_v4().to_string();
        tracing::debug!(%query_id, sql = query.sql(), range = ?query.time_range(), "query");
        let fail = |step| {
            let query_id = query_id.as_str();
            move |error| query_error(step, error, query_id)
        };
        let scope = QueryScope {
            time_range: query.time_range(),
        };
        // What is retired while the query runs stays readable for it.
        let lease = self.shared.lake.lease();
        let (context, plan) = self.plan(query.sql(), scope).await.map_err(fail(Step::Planning))?;
        let answers = !matches!(plan, LogicalPlan::Ddl(_) | LogicalPlan::Statement(_));
        let runnable = statement::begin(&context, plan).await.map_err(fail(Step::Planning))?;
        let plan = match runnable {
            Runnable::Rows(plan) => limited(plan, query.limit()).map_err(fail(Step::Limit))?,
            Runnable::Effects(plan) => plan,
            Runnable::Nothing => return Ok(RecordBatchStream::from_batches(empty_schema(), Vec::new())),
        };
        let dictionaries = query.dictionaries();
        let batches = execute(&context, plan, dictionaries)
            .await
            .map_err(|(step, error)| query_error(step, error, &query_id))?;
        let schema = batches.schema();
        let batches = told(batches, query_id, lease);
        if answers {
            return Ok(RecordBatchStream::new(schema, batches));
        }
        let effects = batches.try_filter(|_| future::ready(false));
        Ok(RecordBatchStream::new(empty_schema(), effects))
    }

    async fn prepare(&self, query: &Query) -> Result<PreparedQuery> {
        let query_id = Uuid::new_v4().to_string();
        let (_context, plan) = self
            .plan(query.sql(), QueryScope::default())
            .await
            .map_err(|error| query_error(Step::Planning, error, &query_id))?;
        Ok(PreparedQuery::new(Arc::clone(plan.schema().inner())))
    }
}

fn empty_schema() -> SchemaRef {
    Arc::new(datafusion::arrow::datatypes::Schema::empty())
}

/// The plan with the limit that came beside the SQL on top.
fn limited(plan: LogicalPlan, limit: Option<u64>) -> Result<LogicalPlan, DataFusionError> {
    let Some(limit) = limit else { return Ok(plan) };
    // The most that a limit in SQL can be.
    let rows = usize::try_from(limit.min(i64::MAX as u64)).unwrap_or(usize::MAX);
    LogicalPlanBuilder::from(plan).limit(0, Some(rows))?.build()
}

/// Starts a plan. Nothing of it runs before the stream is polled, and dropping the stream ends it.
async fn execute(
    context: &SessionContext,
    plan: LogicalPlan,
    dictionaries: Dictionaries,
) -> Result<SendableRecordBatchStream, (Step, DataFusionError)> {
    let (physical, state) = physical_plan(context, plan, dictionaries)
        .await
        .map_err(|error| (Step::PhysicalPlan, error))?;
    execute_stream(physical, state.task_ctx()).map_err(|error| (Step::Execution, error))
}

/// The plan that delivers the rows, and the session to run it in.
async fn physical_plan(
    context: &SessionContext,
    plan: LogicalPlan,
    dictionaries: Dictionaries,
) -> Result<(Arc<dyn ExecutionPlan>, SessionState), DataFusionError> {
    let mut state = context.state();
    if statement::acts(&plan)? {
        // One part, so that nothing reads ahead of the caller: an action goes on only as far as its messages are read, and
        // rows that belong together arrive together.
        state.config_mut().options_mut().execution.target_partitions = 1;
    }
    let physical = state.create_physical_plan(&plan).await?;
    let physical = match dictionaries {
        Dictionaries::Flattened => flatten(physical)?,
        Dictionaries::Preserved => physical,
    };
    Ok((physical, state))
}

/// The batches with our errors, and the lease for as long as they are read; nothing follows an error.
fn told(
    batches: SendableRecordBatchStream,
    query_id: String,
    lease: Lease,
) -> impl Stream<Item = Result<RecordBatch>> + Send + 'static {
    let told = batches.map_err(move |error| query_error(Step::Streaming, error, &query_id));
    told.scan((false, lease), |(failed, _lease), item| {
        let item = (!*failed).then_some(item);
        *failed = matches!(item, Some(Err(_)));
        future::ready(item)
    })
}
