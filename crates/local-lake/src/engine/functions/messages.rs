//! A table of the messages `(time, msg)` that an action sends while it runs.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::arrow::array::{RecordBatch, StringArray, TimestampNanosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::expressions::Column;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use datafusion::prelude::Expr;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, future};

/// One message and when it was sent.
pub(crate) type Message = (DateTime<Utc>, String);

/// Something that changes the lake while its messages are read.
///
/// Nothing happens before the stream is first polled, and a stream that is dropped early stops the action where it can
/// be stopped. Each read of the table starts the action anew.
pub(crate) trait Action: fmt::Debug + Send + Sync + 'static {
    /// The name of the SQL function.
    fn name(&self) -> &'static str;

    /// Starts the action when it is polled; every item is some messages.
    fn start(&self) -> BoxStream<'static, Result<Vec<Message>>>;
}

fn message_schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()));
    Arc::new(Schema::new(vec![
        Field::new("time", time, false),
        Field::new("msg", DataType::Utf8, false),
    ]))
}

fn message_batch(schema: SchemaRef, messages: Vec<Message>) -> Result<RecordBatch> {
    let times = messages
        .iter()
        .map(|(time, _)| time.timestamp_nanos_opt().unwrap_or_default());
    let times = TimestampNanosecondArray::from_iter_values(times).with_timezone("+00:00");
    let texts = StringArray::from_iter_values(messages.iter().map(|(_, text)| text));
    Ok(RecordBatch::try_new(schema, vec![Arc::new(times), Arc::new(texts)])?)
}

/// The table that runs an action when it is read.
#[derive(Debug)]
pub(crate) struct MessageTable {
    action: Arc<dyn Action>,
    schema: SchemaRef,
}

impl MessageTable {
    pub(crate) fn new(action: Arc<dyn Action>) -> Self {
        Self {
            action,
            schema: message_schema(),
        }
    }
}

#[async_trait]
impl TableProvider for MessageTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan: Arc<dyn ExecutionPlan> = Arc::new(ActionExec::new(Arc::clone(&self.action), self.schema()));
        let Some(projection) = projection else {
            return Ok(plan);
        };
        let columns = projection.iter().map(|&index| {
            let name = self.schema.field(index).name();
            ProjectionExpr::new(Arc::new(Column::new(name, index)), name)
        });
        Ok(Arc::new(ProjectionExec::try_new(columns, plan)?))
    }
}

/// The plan that runs an action.
///
/// It calls itself unbounded, as the real service's does: an aggregate or a sort over it is refused when it is planned,
/// because it would hold the messages back.
struct ActionExec {
    action: Arc<dyn Action>,
    properties: Arc<PlanProperties>,
}

impl ActionExec {
    fn new(action: Arc<dyn Action>, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Unbounded {
                requires_infinite_memory: false,
            },
        );
        Self {
            action,
            properties: Arc::new(properties),
        }
    }
}

impl fmt::Debug for ActionExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ActionExec").field(&self.action).finish()
    }
}

impl DisplayAs for ActionExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActionExec: {}", self.action.name())
    }
}

impl ExecutionPlan for ActionExec {
    fn name(&self) -> &'static str {
        "ActionExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            Ok(self)
        } else {
            internal_err!("ActionExec has no children")
        }
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("ActionExec has no partition {partition}");
        }
        let schema = self.schema();
        let batch_schema = Arc::clone(&schema);
        let batches = self
            .action
            .start()
            .try_filter(|messages| future::ready(!messages.is_empty()))
            .map(move |messages| message_batch(Arc::clone(&batch_schema), messages?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}
