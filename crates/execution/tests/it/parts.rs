//! Runs into a directory: ended at any moment and taken up again, they come to the rows of the undisturbed run.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use lakepilot_execution::{
    BatchSize, BatchedExecutor, ExecutionOptions, FileFormat, NoProgress, PartsDirectory, PartsOutcome, PartsRequest,
    ProgressEvent, ProgressObserver, RetryPolicy, SliceRule, Slicing, verify_parts,
};
use lakepilot_query::{ErrorKind, Query, Result};
use tokio_util::sync::CancellationToken;

use crate::timed_lake::{Row, TimedLake, range, rows_of};

/// Long enough for a slow machine, and no test takes it when it passes.
const BOUND: Duration = Duration::from_secs(30);

const ROWS: i64 = 1_000;
const SLICES: usize = 10;

fn lake() -> TimedLake {
    TimedLake::new(
        (0..ROWS)
            .map(|n| Row {
                begin: n,
                end: n,
                id: n,
            })
            .collect(),
        7,
    )
}

fn query() -> Query {
    Query::new("SELECT * FROM log_entries")
        .unwrap()
        .with_time_range(range(0, ROWS - 1))
}

fn slicing() -> Slicing {
    Slicing::new(SliceRule::Points, range(0, ROWS - 1).split(SLICES))
        .unwrap()
        .with_parallel(3)
}

fn options() -> ExecutionOptions {
    let delay = Duration::from_micros(1);
    ExecutionOptions::new()
        .with_batch_size(BatchSize::AsReceived)
        .with_retry(RetryPolicy::default().with_delays(delay, delay))
}

fn target(directory: &Path) -> PartsDirectory {
    PartsDirectory::new(directory, FileFormat::ArrowStream, "grpc://lake:50051")
}

async fn run(lake: TimedLake, directory: &Path) -> Result<PartsOutcome> {
    BatchedExecutor::new(Arc::new(lake), options())
        .execute_into_directory(&query(), &slicing(), &target(directory), &NoProgress)
        .await
}

/// The rows of all parts in the order of their names.
fn rows(directory: &Path) -> Vec<i64> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "arrows"));
    files.sort();
    let batches = files.iter().flat_map(|file| {
        let reader = StreamReader::try_new(fs::File::open(file).unwrap(), None).unwrap();
        reader.map(std::result::Result::unwrap).collect::<Vec<RecordBatch>>()
    });
    batches.flat_map(|batch| rows_of(&batch)).map(|row| row.id).collect()
}

fn all_rows() -> Vec<i64> {
    (0..ROWS).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_makes_a_part_of_each_slice_and_a_second_one_makes_none() {
    let directory = tempfile::tempdir().unwrap();
    let first = run(lake(), directory.path()).await.unwrap();
    assert_eq!(
        (first.parts_kept, first.parts.len(), first.rows()),
        (0, SLICES, ROWS as u64)
    );
    assert_eq!(first.statistics.rows_processed, ROWS as u64);
    assert_eq!(
        first.statistics.bytes_written,
        first.parts.iter().map(|part| part.bytes).sum::<u64>()
    );
    assert!(first.statistics.time_to_first_batch.is_some());
    assert_eq!(rows(directory.path()), all_rows());
    assert!(verify_parts(directory.path()).unwrap().is_complete());

    let idle = lake();
    let load = Arc::clone(&idle.load);
    let second = run(idle, directory.path()).await.unwrap();
    assert_eq!((second.parts_kept, &second.parts), (SLICES, &first.parts));
    assert_eq!(load.taken.load(Ordering::SeqCst), 0);
}

/// Calls the run off at its n-th event.
struct CancelAt {
    event: usize,
    seen: AtomicUsize,
    token: CancellationToken,
}

impl ProgressObserver for CancelAt {
    fn on_event(&self, _event: &ProgressEvent) {
        if self.seen.fetch_add(1, Ordering::SeqCst) == self.event {
            self.token.cancel();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_ended_anywhere_is_taken_up_where_it_ended() {
    let directory = tempfile::tempdir().unwrap();
    let (mut ended, mut kept_before) = (0, 0);
    for event in (5..200).step_by(9) {
        let observer = CancelAt {
            event,
            seen: AtomicUsize::new(0),
            token: CancellationToken::new(),
        };
        let options = options().with_cancellation(observer.token.clone());
        let outcome = BatchedExecutor::new(Arc::new(lake()), options)
            .execute_into_directory(&query(), &slicing(), &target(directory.path()), &observer)
            .await;
        match outcome {
            Ok(outcome) => {
                assert!(outcome.parts_kept >= kept_before, "a whole part was made again");
                break;
            }
            Err(error) => {
                // A task that still writes holds the directory for a moment.
                assert!(
                    matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::InvalidInput),
                    "{error}"
                );
                ended += 1;
            }
        }
        kept_before = verify_parts(directory.path()).unwrap().whole.len();
    }
    assert!(ended > 2, "the run was not ended often enough to show anything");
    finish(directory.path()).await;
    assert_eq!(rows(directory.path()), all_rows());
}

/// Runs to the end, as soon as the tasks of the run before have let go of the directory.
async fn finish(directory: &Path) {
    let running = async {
        while let Err(error) = run(lake(), directory).await {
            assert!(error.to_string().contains("another process writes"), "{error}");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, running)
        .await
        .expect("the directory stays locked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_leaves_is_put_in_order() {
    let directory = tempfile::tempdir().unwrap();
    run(lake(), directory.path()).await.unwrap();
    let path = |name: &str| directory.path().join(name);
    // Killed while it wrote a part, a line of the journal, and after a part had its name and no line.
    fs::write(path(".lakepilot-x.partial"), "half").unwrap();
    let journal = fs::read_to_string(path("parts.ndjson")).unwrap();
    let lines: Vec<_> = journal.lines().collect();
    let torn = lines[..6].join("\n") + "\n" + &lines[6][..20];
    fs::write(path("parts.ndjson"), torn).unwrap();
    // And a disk that has lost bits.
    let damaged: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    let damaged = damaged["file"].as_str().unwrap();
    let mut bytes = fs::read(path(damaged)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path(damaged), bytes).unwrap();

    let found = verify_parts(directory.path()).unwrap();
    assert_eq!((found.whole.len(), found.missing.len()), (5, 4));
    assert_eq!(
        found.damaged,
        [format!("{damaged}: its checksum is not that of what was written")]
    );

    let outcome = run(lake(), directory.path()).await.unwrap();
    assert_eq!((outcome.parts_kept, outcome.statistics.rows_processed), (5, 500));
    assert_eq!(rows(directory.path()), all_rows());
    assert!(!path(".lakepilot-x.partial").exists());
    assert!(verify_parts(directory.path()).unwrap().is_complete());
}

/// Tells the test below where to write, when it runs as a process of its own.
const DIRECTORY: &str = "LAKEPILOT_TEST_PARTS_DIRECTORY";

/// Not a test: what the next one starts and kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "is started by another test as a process of its own"]
async fn run_to_be_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    run(lake(), Path::new(&directory)).await.unwrap();
}

#[test]
fn a_process_that_is_killed_at_any_moment_has_lost_and_repeated_nothing() {
    const KILLS: u32 = 50;
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let begun = Instant::now();
    let undisturbed = runtime.block_on(run(lake(), directory.path())).unwrap().parts;
    let whole_run = begun.elapsed();
    let mut path = tempfile::tempdir().unwrap();
    let mut mid_run = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "parts::run_to_be_killed", "--ignored"])
            .env(DIRECTORY, path.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // From the first thing that it does to as long as a whole run takes, all over that time.
        let begun = Instant::now();
        while !path.path().join("manifest.json").exists() && child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < BOUND, "the process does not begin");
            std::hint::spin_loop();
        }
        let moment = Instant::now() + whole_run.mul_f64(f64::from(kill * 37 % KILLS) / f64::from(KILLS));
        while Instant::now() < moment && child.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if !path.path().join("manifest.json").exists() {
            continue;
        }
        let found = verify_parts(path.path()).unwrap();
        assert!(found.damaged.is_empty(), "{found:?}");
        mid_run += u32::from(!found.missing.is_empty());
        if found.missing.is_empty() {
            path = tempfile::tempdir().unwrap();
        }
    }
    assert!(
        mid_run > KILLS / 5,
        "only {mid_run} of {KILLS} processes were killed in the middle"
    );
    let resumed = runtime.block_on(run(lake(), path.path())).unwrap();
    assert_eq!(resumed.parts, undisturbed, "rows, sizes and checksums");
    assert_eq!(rows(path.path()), all_rows());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_fails_after_rows_is_made_again_whole() {
    let directory = tempfile::tempdir().unwrap();
    let failures = vec![None, Some(3), None, Some(1), Some(0)];
    let outcome = run(lake().failing(failures), directory.path()).await.unwrap();
    assert_eq!((outcome.statistics.retries, outcome.rows()), (3, ROWS as u64));
    assert_eq!(rows(directory.path()), all_rows());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_fails_for_good_leaves_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let options = options().with_retry(RetryPolicy::none());
    let failures = vec![Some(2), None, None, None, None];
    let error = BatchedExecutor::new(Arc::new(lake().failing(failures)), options)
        .execute_into_directory(&query(), &slicing(), &target(directory.path()), &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().starts_with("the slice 1970-01-01"), "{error}");
    let found = verify_parts(directory.path()).unwrap();
    assert!(found.whole.len() >= 4 && found.damaged.is_empty(), "{found:?}");
    run(lake(), directory.path()).await.unwrap();
    assert_eq!(rows(directory.path()), all_rows());
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_another_run_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    run(lake(), directory.path()).await.unwrap();
    let executor = BatchedExecutor::new(Arc::new(lake()), options());
    let other_range = query().with_time_range(range(0, ROWS));
    let other_slicing = Slicing::new(SliceRule::Points, range(0, ROWS).split(SLICES)).unwrap();
    let finer = Slicing::new(SliceRule::Points, range(0, ROWS - 1).split(2 * SLICES)).unwrap();
    let other_server = PartsDirectory::new(directory.path(), FileFormat::ArrowStream, "grpc://other:50051");
    let other_format = PartsDirectory::new(directory.path(), FileFormat::Csv, "grpc://lake:50051");
    let same = target(directory.path());
    for (query, slicing, target, what) in [
        (query().with_sql("SELECT 1").unwrap(), slicing(), &same, "SQL text;"),
        (
            other_range,
            other_slicing,
            &same,
            "time range (1970-01-01T00:00:00Z to 1970-01-01T00:00:00.000000999Z, not",
        ),
        (query(), finer, &same, "cut into slices;"),
        (
            query(),
            slicing(),
            &other_server,
            "server (grpc://lake:50051, not grpc://other:50051);",
        ),
        (query(), slicing(), &other_format, "format (arrows, not csv);"),
    ] {
        let run = executor.execute_into_directory(&query, &slicing, target, &NoProgress);
        let error = run.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&format!("another {what}")), "{error}");
    }
    assert!(verify_parts(directory.path()).unwrap().is_complete());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_tells_what_was_asked() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(PartsRequest::read(directory.path()).unwrap(), None);
    run(lake(), directory.path()).await.unwrap();
    let request = PartsRequest::read(directory.path()).unwrap().unwrap();
    assert_eq!(request.slices, slicing().slices());
    assert_eq!(request.time_range(), query().time_range());
    assert_eq!(
        (request.sql.as_str(), request.server.as_str(), request.format),
        (query().sql(), "grpc://lake:50051", FileFormat::ArrowStream)
    );
    assert!(!request.preserves_dictionaries);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_of_the_run_is_found() {
    let directory = tempfile::tempdir().unwrap();
    run(lake(), directory.path()).await.unwrap();
    for name in ["part-00099.arrows", "notes.txt", ".lakepilot-left.partial"] {
        fs::write(directory.path().join(name), "x").unwrap();
    }
    let found = verify_parts(directory.path()).unwrap();
    assert_eq!(found.foreign, ["notes.txt", "part-00099.arrows"]);
    assert!(!found.is_complete());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_something_else_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(verify_parts(directory.path()).unwrap_err().kind(), ErrorKind::NotFound);
    fs::write(directory.path().join("thesis.tex"), "").unwrap();
    let error = run(lake(), directory.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("thesis.tex"), "{error}");
    fs::remove_file(directory.path().join("thesis.tex")).unwrap();
    fs::write(directory.path().join("manifest.json"), "{}").unwrap();
    assert_eq!(
        run(lake(), directory.path()).await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}
