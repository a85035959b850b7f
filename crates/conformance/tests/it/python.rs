//! The published Python clients, unchanged, against the embedded lake: Micromegas's own and ADBC's Flight SQL driver.
//!
//! Each has a script that does what its documentation does and prints what it got; here that is compared with what the
//! lake says in process.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_local_lake::{
    BearerToken, FlightServer, GenerateOptions, Lake, LakeService, ServeOptions, ServerHandle, TlsIdentity, generate,
};
use lakepilot_query::{Query, QueryServiceExt, TimeRange, to_rfc3339};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

const LOG: &str =
    "SELECT time, process_id, level, target, msg FROM log_entries ORDER BY time, process_id, msg LIMIT 50";
const COUNT: &str = "SELECT count(*) AS entries FROM log_entries";
const TOKEN: &str = "a-token-of-the-test";

/// The interpreter of the virtual environment with the clients.
pub(crate) fn python() -> PathBuf {
    let python = match std::env::var_os("LAKEPILOT_PYTHON") {
        Some(python) => PathBuf::from(python),
        None => {
            let test = std::env::current_exe().unwrap();
            // <target>/<profile>/deps/<test>
            let target = test.ancestors().nth(3).expect("a target folder");
            target.join("python-env/bin/python")
        }
    };
    assert!(
        python.is_file(),
        "there is no Python at {}; make the environment with `cargo xtask python-env`, or name its interpreter in LAKEPILOT_PYTHON",
        python.display()
    );
    python
}

/// A small lake behind three ports: one open to all, one that wants a token, one that speaks TLS.
struct Served {
    python: PathBuf,
    service: LakeService,
    open: ServerHandle,
    guarded: ServerHandle,
    encrypted: ServerHandle,
    certificate: String,
    /// The range that is asked for: the last day but a half.
    range: TimeRange,
    _directory: TempDir,
}

impl Served {
    fn new() -> Self {
        let python = python();
        let directory = tempfile::tempdir().unwrap();
        let lake = Lake::create(directory.path().join("lake")).unwrap();
        let end: DateTime<Utc> = "2026-01-10T00:00:00Z".parse().unwrap();
        let options = GenerateOptions {
            rows: 20_000,
            days: 3,
            processes: 4,
            ..GenerateOptions::until(end)
        };
        generate(&lake, &options, &|_, _| ()).unwrap();
        let service = LakeService::new(lake).unwrap();
        let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let certificate = pair.cert.pem();
        let key = pair.signing_key.serialize_pem();
        let serve = |options| {
            let options = ServeOptions {
                listen: "127.0.0.1:0".parse().unwrap(),
                ..options
            };
            FlightServer::bind(Arc::new(service.clone()), options).unwrap().spawn()
        };
        Self {
            python,
            open: serve(ServeOptions::default()),
            guarded: serve(ServeOptions {
                token: Some(BearerToken::new(TOKEN).unwrap()),
                ..ServeOptions::default()
            }),
            encrypted: serve(ServeOptions {
                tls: Some(TlsIdentity::from_pem(certificate.as_str(), key)),
                ..ServeOptions::default()
            }),
            certificate,
            service,
            range: TimeRange::new(end - TimeDelta::hours(24), end - TimeDelta::hours(12)).unwrap(),
            _directory: directory,
        }
    }

    fn in_range(&self, sql: &str) -> Query {
        Query::new(sql).unwrap().with_time_range(self.range)
    }

    async fn batch(&self, query: &Query) -> RecordBatch {
        self.service.collect(query).await.unwrap().to_batch().unwrap()
    }

    /// The rows of a query as the scripts print them.
    async fn rows(&self, query: &Query) -> Value {
        rows_as_json(&self.batch(query).await)
    }

    async fn number(&self, query: &Query) -> i64 {
        let batch = self.batch(query).await;
        batch.column(0).as_primitive::<Int64Type>().value(0)
    }

    async fn text(&self, sql: &str) -> String {
        let rows = self.rows(&Query::new(sql).unwrap()).await;
        let row = rows[0].as_object().unwrap_or_else(|| panic!("no rows: {sql}"));
        row.values().next().unwrap().as_str().unwrap().to_owned()
    }

    /// Runs a script and reads what it prints.
    async fn run(&self, script: &str, mut asked: Value) -> Value {
        asked["begin"] = json!(to_rfc3339(self.range.begin()));
        asked["end"] = json!(to_rfc3339(self.range.end()));
        asked["guarded_url"] = json!(self.guarded.url());
        asked["token"] = json!(TOKEN);
        asked["encrypted_url"] = json!(self.encrypted.url());
        asked["certificate"] = json!(self.certificate);
        let scripts = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("python");
        let output = Command::new(&self.python)
            // Warnings about deprecated options of the clients are theirs to give.
            .args(["-B", "-W", "ignore"])
            .arg(scripts.join(script))
            .arg(self.open.url())
            .arg(asked.to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script} failed:\n{errors}");
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{script} printed no JSON ({error}):\n{errors}"))
    }
}

fn rows_as_json(batch: &RecordBatch) -> Value {
    let schema = batch.schema();
    let row = |index| -> Value {
        let values = batch.columns().iter().map(|column| value_as_json(column, index));
        schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .zip(values)
            .collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

fn value_as_json(array: &ArrayRef, index: usize) -> Value {
    if array.is_null(index) {
        return Value::Null;
    }
    let as_type = |to: &DataType| cast(array, to).unwrap();
    match array.data_type() {
        DataType::Dictionary(_, values) => value_as_json(&as_type(values), index),
        DataType::Timestamp(..) | DataType::Int32 | DataType::Int64 | DataType::UInt32 => {
            json!(as_type(&DataType::Int64).as_primitive::<Int64Type>().value(index))
        }
        DataType::Float64 => json!(array.as_primitive::<Float64Type>().value(index)),
        DataType::Boolean => json!(array.as_boolean().value(index)),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(index);
            (0..items.len()).map(|index| value_as_json(&items, index)).collect()
        }
        DataType::Binary => {
            let bytes = array.as_binary::<i32>().value(index);
            json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        _ => json!(as_type(&DataType::Utf8).as_string::<i32>().value(index)),
    }
}

/// The columns that the log query delivers, flattened.
fn flat_columns() -> Value {
    json!([
        ["time", "timestamp[ns, tz=+00:00]", false],
        ["process_id", "string", false],
        ["level", "int32", false],
        ["target", "string", false],
        ["msg", "string", false]
    ])
}

/// The columns of the same query as they are stored.
fn stored_columns() -> Value {
    let dictionary = "dictionary<values=string, indices=int32, ordered=0>";
    json!([
        ["time", "timestamp[ns, tz=+00:00]", false],
        ["process_id", dictionary, false],
        ["level", "int32", false],
        ["target", dictionary, false],
        ["msg", "string", false]
    ])
}

/// Checks an exception that a script caught.
fn check_failure(failure: &Value, kind: &str, says: &[&str]) {
    assert_eq!(failure["type"], kind, "{failure}");
    let text = failure["text"].as_str().unwrap();
    for part in says {
        assert!(text.contains(part), "'{part}' in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_micromegas_client_works_unchanged() {
    let served = Served::new();
    let process_id = served
        .text(
            "SELECT process_id FROM streams WHERE array_position(tags, 'cpu') IS NOT NULL ORDER BY process_id LIMIT 1",
        )
        .await;
    let instance = served
        .text(
            "SELECT view_instance_id FROM list_partitions() WHERE view_set_name = 'log_entries' AND view_instance_id <> 'global' \
             ORDER BY view_instance_id LIMIT 1",
        )
        .await;
    let find = format!("SELECT * FROM processes WHERE process_id = '{process_id}'");
    let whole = [
        ("query", served.rows(&served.in_range(LOG)).await),
        ("query_without_range", served.rows(&Query::new(COUNT).unwrap()).await),
        ("query_of_text_times", served.rows(&served.in_range(COUNT)).await),
        ("find_process", served.rows(&Query::new(find).unwrap()).await),
    ];
    let in_range = served.number(&served.in_range(COUNT)).await;
    let asked = json!({
        "process_id": process_id,
        "retire": {
            "instance": instance,
            "begin": "2026-01-01T00:00:00Z",
            "end": "2026-01-20T00:00:00Z",
            "hour": "2026-01-09T10:00:00Z",
        },
    });
    let results = served.run("micromegas_client.py", asked).await;

    for (name, expected) in whole {
        assert_eq!(results[name], expected, "{name}");
    }
    check_micromegas_reads(&results, in_range);
    check_micromegas_browsing(&served, &results, &process_id).await;
    check_micromegas_changes(&results, &instance);
    for name in ["with_token", "with_header"] {
        assert_eq!(results[name], json!([{"one": 1}]), "{name}");
    }
    check_failure(
        &results["without_token"],
        "FlightUnauthenticatedError",
        &["a token is needed"],
    );
}

fn check_micromegas_reads(results: &Value, in_range: i64) {
    assert_eq!(results["query_backwards"], json!([{"entries": 0}]));
    assert_eq!(results["query_of_no_rows"], json!([]));
    assert_eq!(results["columns_of_no_rows"], json!(["time", "msg"]));
    assert_eq!(results["query_arrow"]["rows"], results["query"]);
    assert_eq!(results["query_arrow"]["schema"], flat_columns());
    assert_eq!(results["preserved"]["rows"], results["query"]);
    assert_eq!(results["preserved"]["schema"], stored_columns());
    assert_eq!(results["preserved_in_pandas"], 50);
    assert_eq!(results["incompatible"], json!([]));

    let stream = &results["query_stream"];
    assert_eq!(stream["rows"], in_range);
    assert_eq!(stream["schema"][2], json!(["properties", "binary", false]));
    assert!(stream["largest"].as_u64().unwrap() < 3 << 20, "{stream}");
    assert!(results["rows_of_a_stream_that_is_left"].as_u64().unwrap() > 0);

    let statement = &results["prepare_statement"];
    assert_eq!(statement["query"], LOG);
    assert_eq!(statement["schema"], stored_columns());
    assert_eq!(statement["rows"], 50);
    for (name, says) in [
        (
            "bad_sql",
            "table 'datafusion.public.nope' not found (at line 2, column 6)",
        ),
        ("prepare_bad_sql", "No field named nope."),
    ] {
        check_failure(&results[name], "ArrowInvalid", &[says, "(query_id="]);
    }
    check_failure(
        &results["fails_midway"],
        "FlightInternalError",
        &["Divide by zero", "(query_id="],
    );
}

async fn check_micromegas_browsing(served: &Served, results: &Value, process_id: &str) {
    assert_eq!(results["find_no_process"], 0);
    let ids = format!("SELECT stream_id FROM streams WHERE process_id = '{process_id}' ORDER BY stream_id");
    let ids = served.rows(&served.in_range(&ids)).await;
    let ids: Vec<&Value> = ids.as_array().unwrap().iter().map(|row| &row["stream_id"]).collect();
    assert_eq!(results["stream_ids"], json!(ids));
    let stream_id = results["stream_id"].as_str().unwrap();
    for (name, table) in [
        ("blocks", format!("blocks WHERE stream_id = '{stream_id}'")),
        ("spans", format!("view_instance('thread_spans', '{stream_id}')")),
    ] {
        let expected = served
            .number(&served.in_range(&format!("SELECT count(*) FROM {table}")))
            .await;
        assert!(expected > 0, "{name}");
        assert_eq!(results[name], expected, "{name}");
    }
}

fn check_micromegas_changes(results: &Value, instance: &str) {
    let partitions = |name: &str| results[name].as_array().unwrap().clone();
    let (before, after) = (partitions("partitions_before"), partitions("partitions_after"));
    let of_instance = |row: &&Value| row["view_instance_id"] == instance;
    let retired = before.iter().filter(of_instance).count();
    assert!(retired > 0);
    let kept: Vec<Value> = before.iter().filter(|row| !of_instance(row)).cloned().collect();
    assert_eq!(after, kept);
    let printed = results["retire_partitions"].as_array().unwrap();
    let first = printed[0].as_str().unwrap();
    assert!(
        first.contains(&format!("[RETIRE_FOUND] view=log_entries/{instance} ")),
        "{first}"
    );
    assert!(first.ends_with(&format!("found_partitions={retired}")), "{first}");
    assert_eq!(printed.len(), retired + 1);
    assert_eq!(results["retire_nothing"], json!([]));

    // An hour of the global instance, gone and made again.
    let first = results["retire_an_hour"][0].as_str().unwrap();
    assert!(first.ends_with("found_partitions=1"), "{first}");
    assert!(!results["materialize_partitions"].as_array().unwrap().is_empty());
    assert_eq!(partitions("partitions_materialized"), after);

    assert_eq!(results["bulk_ingest"], 2);
    let ingested: Vec<&Value> = results["ingested"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["exe"])
        .collect();
    assert_eq!(json!(ingested), json!(["one", "two"]));
    assert_ne!(results["bulk_ingest_of_payloads"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_adbc_driver_works_unchanged() {
    let served = Served::new();
    let rows = served.rows(&served.in_range(LOG)).await;
    let in_range = served.number(&served.in_range(COUNT)).await;
    let all = served.number(&Query::new(COUNT).unwrap()).await;
    let results = served.run("adbc_client.py", json!({})).await;

    for name in ["execute", "execute_prepared", "read_partition"] {
        assert_eq!(results[name]["rows"], rows, "{name}");
        assert_eq!(results[name]["schema"], flat_columns(), "{name}");
    }
    assert_eq!(results["partitions"], 1);
    assert_eq!(results["partitions_schema"], flat_columns());
    assert_eq!(results["preserved"]["rows"], rows);
    assert_eq!(results["preserved"]["schema"], stored_columns());
    assert_eq!(results["description"], json!(["level", "msg"]));
    let pair = |row: &Value| json!([row["level"], row["msg"]]);
    assert_eq!(results["fetchone"], pair(&rows[0]));
    assert_eq!(results["fetchall"], json!([pair(&rows[1]), pair(&rows[2])]));
    assert_eq!(results["no_rows"]["rows"], json!([]));
    assert_eq!(results["rows_in_batches"], in_range);
    assert_eq!(results["count_in_range"], in_range);
    assert_eq!(results["count_without_range"], all);
    assert_eq!(results["count_backwards"], 0);
    assert!(0 < in_range && in_range < all);
    assert_eq!(results["without_autocommit"], json!([1]));
    assert_eq!(results["with_token"], json!([1]));
    assert_eq!(results["encrypted"], json!([1]));
    assert_eq!(results["after_errors"], json!([1]));
    check_adbc_failures(&results);
    check_adbc_browsing(&results);
    assert_eq!(results["ingest"], 3);
    assert_eq!(results["ingested"], json!(["x", "y", "z"]));
}

fn check_adbc_failures(results: &Value) {
    let invalid = "ProgrammingError";
    check_failure(
        &results["bad_sql"],
        invalid,
        &["'datafusion.public.nope' not found (at line 2, column 6)", "(query_id="],
    );
    check_failure(
        &results["fails_midway"],
        "InternalError",
        &["Divide by zero", "(query_id="],
    );
    check_failure(
        &results["bad_range"],
        invalid,
        &["query_range_end is not a time in RFC 3339: 'tomorrow'"],
    );
    check_failure(
        &results["parameters"],
        "NotSupportedError",
        &["write the values into the SQL"],
    );
    check_failure(&results["ingest_create"], invalid, &["append to it instead"]);
    check_failure(
        &results["ingest_new_table"],
        "NotSupportedError",
        &["the table new_table cannot be created"],
    );
    check_failure(&results["distrusted"], "OperationalError", &["certificate"]);
    check_failure(&results["without_token"], invalid, &["a token is needed"]);
}

fn check_adbc_browsing(results: &Value) {
    let tables = results["tables"].as_object().unwrap();
    for name in ["log_entries", "measures", "processes", "streams", "blocks", "log_stats"] {
        assert!(
            tables.contains_key(&format!("datafusion.public.{name}")),
            "{name} in {tables:?}"
        );
    }
    let columns = tables["datafusion.public.log_entries"].as_array().unwrap();
    assert!(
        columns.contains(&json!("msg")) && columns.contains(&json!("level")),
        "{columns:?}"
    );
    assert_eq!(results["filtered"], json!(["log_entries", "log_stats"]));
    assert_eq!(results["table_types"], json!(["table"]));
    let dictionary = "dictionary<values=string, indices=int32, ordered=0>";
    let target = json!(["target", dictionary, false]);
    assert!(
        results["table_schema"].as_array().unwrap().contains(&target),
        "{}",
        results["table_schema"]
    );
    assert_eq!(results["info"]["vendor_name"], "Lakepilot embedded lake");
}
