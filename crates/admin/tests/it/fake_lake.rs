//! A lake that keeps partitions in memory, understands the statements of administration as the service does, and
//! misbehaves on demand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use arrow::array::{ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures::stream;
use lakepilot_admin::PartitionAdmin;
use lakepilot_catalog::Partition;
use lakepilot_query::{Error, ErrorKind, PreparedQuery, Query, QueryService, RecordBatchStream, Result};
use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, SetExpr, Statement, TableFactor, Value, visit_expressions,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

pub(crate) fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap()
}

/// A partition of one hundred bytes and ten rows; times in microseconds.
pub(crate) fn partition(view_set: &str, instance: &str, begin: i64, end: i64) -> Partition {
    Partition {
        view_set_name: view_set.to_owned(),
        view_instance_id: instance.to_owned(),
        begin_insert_time: time(begin),
        end_insert_time: time(end),
        min_event_time: Some(time(begin)),
        max_event_time: Some(time(end)),
        updated: time(end),
        file_path: Some(format!("{view_set}/{instance}/{begin}-{end}")),
        file_size_bytes: 100,
        file_schema_hash: vec![4],
        source_data_hash: vec![1],
        num_rows: 10,
        partition_format_version: 2,
        sort_order: None,
        max_sort_key_time: None,
    }
}

type Hook = Box<dyn FnMut(&mut State) + Send>;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) partitions: Vec<Partition>,
    /// Streams and the processes that they belong to.
    pub(crate) streams: Vec<(String, String)>,
    /// Every call of an administrative function, with its arguments as the server understands them.
    pub(crate) calls: Vec<(String, Vec<String>)>,
    /// Leaves every second partition in place and ends the answer well.
    pub(crate) swallow: bool,
    /// Tells that there is no such function.
    pub(crate) not_an_administrator: bool,
    /// Fails the retirement of these instances, and of everything beside them, with an error.
    pub(crate) failing: HashMap<String, ErrorKind>,
    /// Fails this listing and those after it, counted from zero.
    pub(crate) listings_fail_from: Option<usize>,
    pub(crate) listings: usize,
    /// Ends the answer of a retirement before it is committed: so many listings still show what was there.
    pub(crate) commits_late_by: usize,
    uncommitted: Vec<Partition>,
    /// Runs when a retirement begins.
    pub(crate) on_retire: Option<Hook>,
    /// What a materialisation says; the hook writes partitions.
    pub(crate) on_materialise: Option<Hook>,
    pub(crate) says: Vec<String>,
}

impl State {
    fn commit(&mut self) {
        let gone = std::mem::take(&mut self.uncommitted);
        self.partitions.retain(|partition| !gone.contains(partition));
    }
}

#[derive(Clone, Default)]
pub(crate) struct FakeLake(Arc<Mutex<State>>);

impl FakeLake {
    pub(crate) fn new(partitions: Vec<Partition>) -> Self {
        let lake = Self::default();
        lake.state().partitions = partitions;
        lake
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn admin(&self) -> PartitionAdmin {
        PartitionAdmin::new(Arc::new(self.clone()))
    }

    pub(crate) fn partitions(&self) -> Vec<Partition> {
        self.state().partitions.clone()
    }

    /// The arguments of all retirements so far.
    pub(crate) fn retirements(&self) -> Vec<Vec<String>> {
        self.state()
            .calls
            .iter()
            .map(|(_, arguments)| arguments.clone())
            .collect()
    }

    fn retire(&self, arguments: Vec<String>) -> Result<RecordBatchStream> {
        let [view_set, instance, begin, end] = arguments.as_slice() else {
            panic!("{arguments:?}");
        };
        let (begin, end) = (parse(begin), parse(end));
        let mut state = self.state();
        if let Some(mut hook) = state.on_retire.take() {
            hook(&mut state);
            state.on_retire = Some(hook);
        }
        if let Some(kind) = state.failing.get(instance) {
            return Err(Error::new(*kind, "connection lost"));
        }
        let found: Vec<Partition> = state
            .partitions
            .iter()
            .filter(|p| p.view_set_name == *view_set && p.view_instance_id == *instance && p.is_within(begin, end))
            .cloned()
            .collect();
        let mut rows: Vec<String> = Vec::new();
        if !found.is_empty() {
            let count = found.len();
            rows.push(format!(
                "[RETIRE_FOUND] view={view_set}/{instance} time_range=[{begin}, {end}] found_partitions={count}"
            ));
            rows.extend(found.iter().filter_map(|p| p.file_path.clone()));
        }
        let swallow = state.swallow;
        let lake = self.clone();
        // The transaction is committed when the answer has been read to its end, and not before.
        let commit = stream::once(async move {
            let retired: Vec<Partition> = found
                .into_iter()
                .enumerate()
                .filter(|(at, _)| !(swallow && at % 2 == 0))
                .map(|(_, partition)| partition)
                .collect();
            let mut state = lake.state();
            state.uncommitted.extend(retired);
            if state.commits_late_by == 0 {
                state.commit();
            }
            Ok(messages(&[]))
        });
        let batches: Vec<Result<RecordBatch>> = rows.into_iter().map(|row| Ok(messages(&[row]))).collect();
        let batches = futures::StreamExt::chain(stream::iter(batches), commit);
        Ok(RecordBatchStream::new(messages(&[]).schema(), batches))
    }

    fn materialise(&self) -> Result<RecordBatchStream> {
        let mut state = self.state();
        if let Some(mut hook) = state.on_materialise.take() {
            hook(&mut state);
            state.on_materialise = Some(hook);
        }
        Ok(answer(messages(&state.says)))
    }
}

#[async_trait]
impl QueryService for FakeLake {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        let (table, arguments, literals) = understood(query.sql());
        match table.as_str() {
            "list_partitions" => {
                let mut state = self.state();
                let listing = state.listings;
                state.listings += 1;
                if state.listings_fail_from.is_some_and(|from| listing >= from) {
                    return Err(Error::new(ErrorKind::Unavailable, "the server is going down"));
                }
                // The condition is left out on purpose: what comes back has to be filtered once more.
                let batch = listed(&state.partitions);
                if !state.uncommitted.is_empty() {
                    state.commits_late_by -= 1;
                    if state.commits_late_by == 0 {
                        state.commit();
                    }
                }
                Ok(answer(batch))
            }
            "streams" => {
                let state = self.state();
                let of_process = state.streams.iter().filter(|(_, process)| literals.contains(process));
                let (streams, processes): (Vec<&str>, Vec<&str>) = of_process
                    .map(|(stream, process)| (stream.as_str(), process.as_str()))
                    .unzip();
                let column = |values: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(values)) };
                let columns = [("stream_id", column(streams)), ("process_id", column(processes))];
                Ok(answer(RecordBatch::try_from_iter(columns).unwrap()))
            }
            function => {
                let mut state = self.state();
                if state.not_an_administrator {
                    let text = format!("error building dataframe: table function '{function}' not found");
                    return Err(Error::new(ErrorKind::InvalidQuery, text));
                }
                state.calls.push((function.to_owned(), arguments.clone()));
                drop(state);
                match function {
                    "retire_partitions" => self.retire(arguments),
                    "materialize_partitions" | "regenerate_partitions" => self.materialise(),
                    other => panic!("{other} is not a function of a lake"),
                }
            }
        }
    }

    async fn prepare(&self, query: &Query) -> Result<PreparedQuery> {
        panic!("nothing in administration prepares {}", query.sql());
    }
}

/// The table or table function of a statement, its arguments, and the literals of its conditions.
fn understood(sql: &str) -> (String, Vec<String>, Vec<String>) {
    let mut statements = Parser::parse_sql(&GenericDialect {}, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(statements.len(), 1, "{sql}");
    let Statement::Query(query) = statements.remove(0) else {
        panic!("{sql} is not a query");
    };
    let SetExpr::Select(select) = query.body.as_ref() else {
        panic!("{sql} is not a select");
    };
    assert!(
        query.limit_clause.is_none() || !sql.contains("retire"),
        "{sql} would be rolled back"
    );
    let TableFactor::Table { name, args, .. } = &select.from[0].relation else {
        panic!("{sql} is not from a table");
    };
    let arguments = args.iter().flat_map(|args| &args.args).map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => literal(expression).unwrap(),
        other => panic!("{sql}: {other}"),
    });
    let mut literals = Vec::new();
    if let Some(selection) = &select.selection {
        let _ = visit_expressions(selection, |expression| {
            if let Expr::BinaryOp { op, right, .. } = expression
                && *op == BinaryOperator::Eq
            {
                literals.extend(literal(right));
            }
            std::ops::ControlFlow::<()>::Continue(())
        });
    }
    (name.to_string(), arguments.collect(), literals)
}

fn literal(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            Value::Number(number, _) => Some(number.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// As the service reads a time: without a zone it fails, and it keeps microseconds.
fn parse(text: &str) -> DateTime<Utc> {
    let time = DateTime::parse_from_rfc3339(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .with_timezone(&Utc);
    time - TimeDelta::nanoseconds(i64::from(time.timestamp_subsec_nanos() % 1_000))
}

fn answer(batch: RecordBatch) -> RecordBatchStream {
    RecordBatchStream::from_batches(batch.schema(), vec![batch])
}

fn messages(rows: &[String]) -> RecordBatch {
    let times = TimestampNanosecondArray::from(vec![1; rows.len()]).with_timezone("UTC");
    let texts: ArrayRef = Arc::new(StringArray::from(rows.to_vec()));
    RecordBatch::try_from_iter([("time", Arc::new(times) as ArrayRef), ("msg", texts)]).unwrap()
}

fn listed(partitions: &[Partition]) -> RecordBatch {
    let texts = |value: fn(&Partition) -> Option<&str>| -> ArrayRef {
        Arc::new(partitions.iter().map(value).collect::<StringArray>())
    };
    let times = |value: fn(&Partition) -> Option<DateTime<Utc>>| -> ArrayRef {
        let nanos = partitions
            .iter()
            .map(|p| value(p).and_then(|time| time.timestamp_nanos_opt()));
        Arc::new(nanos.collect::<TimestampNanosecondArray>().with_timezone("+00:00"))
    };
    let numbers = |value: fn(&Partition) -> u64| -> ArrayRef {
        Arc::new(partitions.iter().map(|p| value(p) as i64).collect::<Int64Array>())
    };
    let bytes = |value: fn(&Partition) -> &[u8]| -> ArrayRef {
        Arc::new(BinaryArray::from(partitions.iter().map(value).collect::<Vec<_>>()))
    };
    let versions: ArrayRef = Arc::new(Int32Array::from(vec![2; partitions.len()]));
    let columns = [
        ("view_set_name", texts(|p| Some(&p.view_set_name))),
        ("view_instance_id", texts(|p| Some(&p.view_instance_id))),
        ("begin_insert_time", times(|p| Some(p.begin_insert_time))),
        ("end_insert_time", times(|p| Some(p.end_insert_time))),
        ("min_event_time", times(|p| p.min_event_time)),
        ("max_event_time", times(|p| p.max_event_time)),
        ("updated", times(|p| Some(p.updated))),
        ("file_path", texts(|p| p.file_path.as_deref())),
        ("file_size", numbers(|p| p.file_size_bytes)),
        ("file_schema_hash", bytes(|p| &p.file_schema_hash)),
        ("source_data_hash", bytes(|p| &p.source_data_hash)),
        ("num_rows", numbers(|p| p.num_rows)),
        ("partition_format_version", versions),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// The columns of an answer are of plain types here; the catalogue's own tests have the others.
#[test]
fn a_listing_has_rows() {
    let batch = listed(&[partition("log_entries", "p", 1, 2)]);
    assert_eq!(batch.num_rows(), 1);
    assert_eq!(batch.schema().field(0).data_type(), &DataType::Utf8);
}
