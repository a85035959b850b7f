//! `retire_partition_by_metadata` and `retire_partition_by_file`: scalar functions that retire the partition of each row.
//!
//! The rows that arrive together (up to 8,192) are one transaction. Where one of them cannot be retired none is, and the
//! answer of a row whose retirement was taken back says so: it begins with `ROLLED_BACK`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::arrow::array::{Array, AsArray, StringArray};
use datafusion::arrow::datatypes::{DataType, TimestampNanosecondType};
use datafusion::common::{exec_datafusion_err, not_impl_err};
use datafusion::error::Result;
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use lakepilot_query::{Error, ErrorKind};

use crate::engine::failure::blocking;
use crate::engine::options::Fault;
use crate::store::{Changes, Lake, PartitionRecord};
use crate::views::timestamp;

/// `retire_partition_by_metadata(view_set, instance, begin, end, file_schema_hash)`, the form of 0.33.
pub(crate) fn retire_partition_by_metadata(lake: Lake, fault: Option<Fault>) -> ScalarUDF {
    let arguments = vec![
        DataType::Utf8,
        DataType::Utf8,
        timestamp(),
        timestamp(),
        DataType::Binary,
    ];
    udf(lake, fault, By::Metadata, arguments)
}

/// `retire_partition_by_file(file_path)`.
pub(crate) fn retire_partition_by_file(lake: Lake, fault: Option<Fault>) -> ScalarUDF {
    udf(lake, fault, By::File, vec![DataType::Utf8])
}

fn udf(lake: Lake, fault: Option<Fault>, by: By, arguments: Vec<DataType>) -> ScalarUDF {
    let function = RetireOne {
        lake,
        fault,
        by,
        signature: Signature::exact(arguments, Volatility::Volatile),
    };
    AsyncScalarUDF::new(Arc::new(function)).into_scalar_udf()
}

/// Whether a function is one of these.
pub(crate) fn is_action(function: &ScalarUDF) -> bool {
    [By::Metadata, By::File]
        .iter()
        .any(|by| by.function() == function.name())
}

/// How the partition of a row is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum By {
    Metadata,
    File,
}

impl By {
    fn function(self) -> &'static str {
        match self {
            Self::Metadata => "retire_partition_by_metadata",
            Self::File => "retire_partition_by_file",
        }
    }
}

struct RetireOne {
    lake: Lake,
    fault: Option<Fault>,
    by: By,
    signature: Signature,
}

impl fmt::Debug for RetireOne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetireOne")
            .field("by", &self.by)
            .finish_non_exhaustive()
    }
}

impl PartialEq for RetireOne {
    fn eq(&self, other: &Self) -> bool {
        self.by == other.by
    }
}

impl Eq for RetireOne {}

impl Hash for RetireOne {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.by.hash(state);
    }
}

impl ScalarUDFImpl for RetireOne {
    fn name(&self) -> &str {
        self.by.function()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        not_impl_err!("{} cannot be used here; select it by itself", self.by.function())
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for RetireOne {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let targets = self.targets(&args)?;
        let (lake, fault) = (self.lake.clone(), self.fault);
        let answers = blocking(move || retire_all(&lake, fault, targets)).await?;
        // With constants for arguments there is one row and no column beside the answer, so there is room for the row
        // that the real service adds. It fails where there is not.
        let constant = args
            .args
            .iter()
            .all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let texts = answers.texts(constant && args.number_rows == 1 && self.by == By::Metadata);
        Ok(ColumnarValue::Array(Arc::new(StringArray::from(texts))))
    }
}

impl RetireOne {
    fn targets(&self, args: &ScalarFunctionArgs) -> Result<Vec<Option<Target>>> {
        let columns = args
            .args
            .iter()
            .map(|argument| argument.to_array(args.number_rows))
            .collect::<Result<Vec<_>>>()?;
        let wrong = || exec_datafusion_err!("{} was called with the wrong arguments", self.by.function());
        let text = |index: usize| {
            columns
                .get(index)
                .and_then(|column| column.as_string_opt::<i32>())
                .ok_or_else(wrong)
        };
        let times = |index: usize| {
            let column = columns.get(index).ok_or_else(wrong)?;
            column.as_primitive_opt::<TimestampNanosecondType>().ok_or_else(wrong)
        };
        let rows = 0..args.number_rows;
        let complete = |row: usize| columns.iter().all(|column| column.is_valid(row));
        match self.by {
            By::File => {
                let paths = text(0)?;
                Ok(rows
                    .map(|row| complete(row).then(|| Target::File(paths.value(row).to_owned())))
                    .collect())
            }
            By::Metadata => {
                let (view_sets, instances, begins, ends) = (text(0)?, text(1)?, times(2)?, times(3)?);
                let hashes = columns
                    .get(4)
                    .and_then(|column| column.as_binary_opt::<i32>())
                    .ok_or_else(wrong)?;
                let target = |row| Target::Metadata {
                    view_set: view_sets.value(row).to_owned(),
                    instance: instances.value(row).to_owned(),
                    begin: DateTime::from_timestamp_nanos(begins.value(row)),
                    end: DateTime::from_timestamp_nanos(ends.value(row)),
                    file_schema_hash: hashes.value(row).to_owned(),
                };
                Ok(rows.map(|row| complete(row).then(|| target(row))).collect())
            }
        }
    }
}

/// The partition that a row names.
enum Target {
    File(String),
    Metadata {
        view_set: String,
        instance: String,
        begin: DateTime<Utc>,
        end: DateTime<Utc>,
        file_schema_hash: Vec<u8>,
    },
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(path),
            Self::Metadata {
                view_set,
                instance,
                begin,
                end,
                file_schema_hash,
            } => {
                write!(f, "{view_set}/{instance} [{begin}, {end}) schema_hash=")?;
                file_schema_hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl Target {
    fn find(&self, changes: &Changes<'_>) -> lakepilot_query::Result<Vec<PartitionRecord>> {
        match self {
            Self::File(path) => Ok(changes.by_file(path)?.into_iter().collect()),
            Self::Metadata {
                view_set,
                instance,
                begin,
                end,
                file_schema_hash,
            } => {
                let mut found = changes.contained(view_set, instance, *begin, *end)?;
                let micros = DateTime::timestamp_micros;
                found.retain(|partition| {
                    micros(&partition.begin_insert_time) == micros(begin)
                        && micros(&partition.end_insert_time) == micros(end)
                        && partition.file_schema_hash == *file_schema_hash
                });
                Ok(found)
            }
        }
    }

    /// Retires the partition, or says why it cannot be.
    /// One that is `spared` is found, and stays.
    fn retire(&self, changes: &mut Changes<'_>, spared: bool) -> lakepilot_query::Result<Result<(), String>> {
        let found = self.find(changes)?;
        match found.as_slice() {
            [] => Ok(Err(format!("Partition not found: {self}"))),
            [_] if spared => Ok(Ok(())),
            [partition] => changes.retire(partition).map(Ok),
            several => {
                let files: Vec<&str> = several
                    .iter()
                    .map(|partition| partition.file_path.as_deref().unwrap_or("NULL"))
                    .collect();
                Ok(Err(format!(
                    "Ambiguous match: {} rows for {self}, file_paths=[{}]; use retire_partition_by_file when file_paths \
                     are distinct and non-NULL",
                    several.len(),
                    files.join(", ")
                )))
            }
        }
    }
}

/// What became of the rows of a batch.
struct Answers {
    /// For each row, the target that was found, or why there is none.
    rows: Vec<Result<String, String>>,
}

impl Answers {
    fn failed(&self) -> bool {
        self.rows.iter().any(Result::is_err)
    }

    /// The answer for each row, and one more for the transaction if `with_summary` and it was rolled back.
    fn texts(&self, with_summary: bool) -> Vec<String> {
        let failed = self.failed();
        let reverted = self.rows.iter().filter(|row| row.is_ok()).count();
        let mut texts: Vec<String> = self
            .rows
            .iter()
            .map(|row| match row {
                Ok(target) if failed => {
                    format!("ROLLED_BACK: {target} was not retired, because another row of the batch failed")
                }
                Ok(target) => format!("SUCCESS: Retired partition {target}"),
                Err(reason) => format!("ERROR: {reason}"),
            })
            .collect();
        if failed && with_summary {
            texts.push(format!(
                "ROLLED_BACK: All {reverted} previous changes were reverted due to errors in batch"
            ));
        }
        texts
    }
}

/// Retires the targets in one transaction, all or none.
fn retire_all(lake: &Lake, fault: Option<Fault>, targets: Vec<Option<Target>>) -> lakepilot_query::Result<Answers> {
    let mut answers = Answers { rows: Vec::new() };
    let outcome = lake.transaction(|changes| {
        for (at, target) in targets.iter().enumerate() {
            let spared = fault == Some(Fault::SwallowRetirement) && at % 2 == 1;
            answers.rows.push(match target {
                None => Err("all arguments must be non-null".to_owned()),
                Some(target) => target.retire(changes, spared)?.map(|()| target.to_string()),
            });
        }
        if answers.failed() {
            return Err(Error::new(
                ErrorKind::NotFound,
                "a partition of the batch cannot be retired",
            ));
        }
        Ok(())
    });
    match outcome {
        Err(error) if !answers.failed() => Err(error),
        _ => Ok(answers),
    }
}
