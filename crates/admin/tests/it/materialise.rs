//! Materialising and regenerating, seen through the listing.

use std::time::Duration;

use lakepilot_admin::{Event, History, HistoryWork, Materialisation, Silent, WritingOrder, WrittenCounts};
use lakepilot_catalog::Partition;
use lakepilot_query::{ErrorKind, TimeRange};

use crate::lake::{FakeLake, partition, time};

const HOUR: i64 = 3_600_000_000;

fn hours(begin: i64, end: i64) -> Partition {
    partition("blocks", "global", begin * HOUR, end * HOUR)
}

fn hourly(end: i64) -> Materialisation {
    let range = TimeRange::new(time(0), time(end)).unwrap();
    Materialisation::new("blocks", range, Duration::from_secs(3_600)).unwrap()
}

fn says(lake: &FakeLake, rows: &[&str]) {
    lake.state().says = rows.iter().map(|row| (*row).to_owned()).collect();
}

#[tokio::test]
async fn what_is_new_is_listed() {
    let lake = FakeLake::new(vec![hours(0, 1), partition("blocks", "p", 0, HOUR)]);
    says(
        &lake,
        &[
            "[a, b] blocks global: already up to date, nb_source_events=3",
            "writing",
        ],
    );
    lake.state().on_materialise = Some(Box::new(|state| state.partitions.push(hours(1, 2))));
    let heard = std::sync::Mutex::new(Vec::new());
    let observer = |event: &Event| heard.lock().unwrap().push(event.clone());
    let report = lake
        .admin()
        .materialize(&hourly(2 * HOUR + 5), &observer)
        .await
        .unwrap();
    assert!(report.is_complete());
    assert_eq!(report.created(), [hours(1, 2)]);
    assert_eq!(report.kept(), [hours(0, 1)]);
    assert_eq!(report.replaced(), []);
    assert_eq!(report.skipped_tail(), Some((time(2 * HOUR), time(2 * HOUR + 5))));
    assert_eq!(heard.lock().unwrap().len(), 3);
    assert_eq!(heard.lock().unwrap()[2], Event::Verifying);
    let (function, arguments) = lake.state().calls[0].clone();
    assert_eq!(function, "materialize_partitions");
    assert_eq!(
        arguments,
        [
            "blocks",
            "1970-01-01T00:00:00.000000Z",
            "1970-01-01T02:00:00.000005Z",
            "3600"
        ]
    );
}

#[tokio::test]
async fn a_row_that_is_an_error_is_one() {
    let lake = FakeLake::new(vec![]);
    for (row, kind) in [
        (
            "materialize_partitions_impl\n\nCaused by:\n    can't find view blocks",
            ErrorKind::NotFound,
        ),
        (
            "materialize_partitions_impl\n\nCaused by:\n    the pool timed out",
            ErrorKind::Internal,
        ),
    ] {
        says(&lake, &["starting", row]);
        let error = lake.admin().materialize(&hourly(HOUR), &Silent).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(
            error.message().starts_with(
                "materialize_partitions of blocks/global over 1970-01-01T00:00:00Z to 1970-01-01T01:00:00Z: \
                 the server gave up: materialize_partitions_impl Caused by: "
            ),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_step_that_was_left_out_is_told() {
    let lake = FakeLake::new(vec![partition("blocks", "global", HOUR / 2, 3 * HOUR / 2)]);
    let row = "[a, b] blocks global: found overlapping partition [c, d], aborting the update";
    says(&lake, &[row]);
    let report = lake.admin().materialize(&hourly(2 * HOUR), &Silent).await.unwrap();
    assert!(!report.is_complete());
    assert_eq!(report.failures(), [row]);
    assert_eq!(
        report.gaps(),
        [(time(0), time(HOUR / 2)), (time(3 * HOUR / 2), time(2 * HOUR))]
    );
}

#[tokio::test]
async fn a_server_that_writes_nothing_and_says_nothing_is_caught() {
    let lake = FakeLake::new(vec![]);
    let report = lake.admin().materialize(&hourly(2 * HOUR), &Silent).await.unwrap();
    assert!(!report.is_complete());
    assert_eq!(report.gaps(), [(time(0), time(2 * HOUR))]);
}

#[tokio::test]
async fn regeneration_replaces_what_is_there() {
    let lake = FakeLake::new(vec![hours(0, 1), hours(1, 2), hours(2, 3)]);
    let mut anew = hours(0, 1);
    anew.updated = time(99 * HOUR);
    let (new, old) = (anew.clone(), hours(0, 1));
    lake.state().on_materialise = Some(Box::new(move |state| {
        state.partitions.retain(|partition| partition != &old);
        state.partitions.push(new.clone());
    }));
    let report = lake.admin().regenerate(&hourly(HOUR), &Silent).await.unwrap();
    assert!(report.is_complete());
    assert_eq!(
        (report.created(), report.replaced()),
        ([anew].as_slice(), [hours(0, 1)].as_slice())
    );
    lake.state().on_materialise = None;
    let report = lake.admin().regenerate(&hourly(2 * HOUR), &Silent).await.unwrap();
    assert!(!report.is_complete(), "the second hour is as it was");
    assert_eq!(report.kept()[1..], [hours(1, 2)]);
}

#[tokio::test]
async fn what_the_server_would_refuse_half_way_is_refused_before() {
    let lake = FakeLake::new(vec![hours(0, 1), hours(1, 3)]);
    for (what, says) in [
        (hourly(HOUR + 5), "steps of 3600 s do not fill the range"),
        (
            hourly(2 * HOUR),
            "the partition of blocks/global from 1970-01-01T01:00:00Z to 1970-01-01T03:00:00Z does not lie in one step",
        ),
        (hourly(3 * HOUR), "does not lie in one step of 3600 s"),
    ] {
        let error = lake.admin().regenerate(&what, &Silent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains(says), "{error}");
    }
    assert!(lake.state().calls.is_empty());
}

#[tokio::test]
async fn missing_rights_are_told_as_that() {
    let lake = FakeLake::new(vec![]);
    lake.state().not_an_administrator = true;
    let error = lake.admin().materialize(&hourly(HOUR), &Silent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn every_writing_is_in_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history");
    let lake = FakeLake::new(vec![hours(0, 1)]);
    let admin = lake
        .admin()
        .with_server("grpc://lake")
        .with_history(History::new(&file, "ada@lab"));
    lake.state().on_materialise = Some(Box::new(|state| state.partitions.push(hours(1, 2))));
    admin.materialize(&hourly(2 * HOUR), &Silent).await.unwrap();
    // Nothing is written anew now, and then the range is refused before the server is asked.
    lake.state().on_materialise = None;
    admin.regenerate(&hourly(2 * HOUR), &Silent).await.unwrap();
    admin.regenerate(&hourly(HOUR + 5), &Silent).await.unwrap_err();

    let history = History::read(&file).unwrap();
    let order = |end| WritingOrder {
        view_set: "blocks".to_owned(),
        begin_insert_time: time(0),
        end_insert_time: time(end),
        step_seconds: 3_600,
    };
    let works: Vec<_> = history.iter().map(|entry| entry.work.clone()).collect();
    assert_eq!(
        works,
        [
            HistoryWork::Materialize(order(2 * HOUR)),
            HistoryWork::Regenerate(order(2 * HOUR)),
            HistoryWork::Regenerate(order(HOUR)),
        ]
    );
    assert!(
        history
            .iter()
            .all(|entry| entry.server.as_deref() == Some("grpc://lake"))
    );
    let results: Vec<_> = history.iter().map(|entry| entry.result.as_ref().unwrap()).collect();
    let counts = |created, kept| WrittenCounts {
        created,
        replaced: 0,
        kept,
        gaps: 0,
    };
    assert_eq!(
        results
            .iter()
            .map(|result| (result.complete, result.written))
            .collect::<Vec<_>>(),
        [(true, Some(counts(1, 1))), (false, Some(counts(0, 2))), (false, None)]
    );
    assert!(results[2].error.as_ref().unwrap().contains("do not fill the range"));
}

/// Without the record of its beginning, nothing is begun.
#[tokio::test]
async fn nothing_is_written_without_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let lake = FakeLake::new(vec![]);
    let admin = lake.admin().with_history(History::new(folder.path(), "ada"));
    let error = admin.materialize(&hourly(HOUR), &Silent).await.unwrap_err();
    assert!(error.message().starts_with("keep the history in "), "{error}");
    assert!(lake.state().calls.is_empty());
}
