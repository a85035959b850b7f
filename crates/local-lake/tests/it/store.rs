//! The directory of a lake: opening, changing, sweeping, retiring and materialising.

use std::fs;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_local_lake::{Lake, PartitionFilter, PartitionRecord, view_set};
use lakepilot_query::{Error, ErrorKind, TimeRange};
use proptest::prelude::*;

use crate::engine::fixture::{ENTRIES_AN_HOUR, HOURS, at, hour, log_rows};
use crate::files::{files, new_lake, numbers, partitions, rows};

const VIEW: &str = "log_entries";
const HOUR: Duration = Duration::from_secs(3_600);

fn add_source(lake: &Lake) {
    for number in 0..HOURS {
        lake.append_source(view_set(VIEW).unwrap(), hour(number), &[log_rows(number)])
            .unwrap();
    }
}

fn materialize(lake: &Lake, begin: DateTime<Utc>, end: DateTime<Utc>, step: Duration) -> Vec<String> {
    let mut messages = Vec::new();
    lake.materialize(VIEW, begin, end, step, &mut |message| messages.push(message))
        .unwrap();
    messages
}

fn filled_lake() -> (tempfile::TempDir, Lake) {
    let (directory, lake) = new_lake();
    add_source(&lake);
    materialize(&lake, at(0), at(HOURS * 3_600), HOUR);
    (directory, lake)
}

#[track_caller]
fn check_refused<T>(result: Result<T, Error>, kind: ErrorKind, says: &str) {
    let Err(error) = result else {
        panic!("it was not refused")
    };
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(says), "{error}");
}

#[test]
fn a_directory_that_is_no_lake_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    check_refused(Lake::open(path("absent")), ErrorKind::NotFound, "there is no directory");
    fs::create_dir(path("empty")).unwrap();
    check_refused(Lake::open(path("empty")), ErrorKind::InvalidInput, "is not a lake");
    fs::write(path("file"), "text").unwrap();
    check_refused(Lake::open(path("file")), ErrorKind::NotFound, "there is no directory");
    check_refused(
        Lake::create(path("file").join("lake")),
        ErrorKind::Io,
        "cannot make a lake",
    );
    check_refused(Lake::create(directory.path()), ErrorKind::InvalidInput, "is not empty");
    fs::create_dir(path("garbage")).unwrap();
    fs::write(path("garbage").join("catalogue.sqlite"), vec![b'x'; 5_000]).unwrap();
    check_refused(
        Lake::open(path("garbage")),
        ErrorKind::InvalidInput,
        "is not the catalogue of a lake",
    );
}

#[test]
fn a_lake_of_a_newer_format_is_refused() {
    let (_directory, lake) = new_lake();
    let root = lake.root().to_owned();
    drop(lake);
    let catalogue = rusqlite::Connection::open(root.join("catalogue.sqlite")).unwrap();
    catalogue.execute("UPDATE meta SET value = value + 1", []).unwrap();
    drop(catalogue);
    check_refused(Lake::open(&root), ErrorKind::Unsupported, "the lake has format 2");
}

#[test]
fn a_lake_is_open_once() {
    let (_directory, lake) = new_lake();
    let root = lake.root().to_owned();
    let clone = lake.clone();
    check_refused(Lake::open(&root), ErrorKind::Unavailable, "lake.lock");
    drop(lake);
    check_refused(Lake::open(&root), ErrorKind::Unavailable, "lake.lock");
    drop(clone);
    // As another process would hold it.
    let held = fs::File::options().write(true).open(root.join("lake.lock")).unwrap();
    held.try_lock().unwrap();
    check_refused(Lake::open(&root), ErrorKind::Unavailable, "open in another process");
    drop(held);
    Lake::open(&root).unwrap();
}

#[test]
fn what_a_killed_process_left_is_swept_and_nothing_else() {
    let (_directory, lake) = filled_lake();
    let root = lake.root().to_owned();
    let everything = |root: &Path| [files(root, "partitions"), files(root, "source")].concat();
    let before = everything(&root);
    let (records, content) = (partitions(&lake, VIEW, "global"), rows(&lake, VIEW, "global"));
    drop(lake);
    for orphan in [
        "partitions/log_entries/global/left.tmp",
        "partitions/log_entries/global/7f0c0001-0000-4000-8000-000000000000.parquet",
        "source/log_entries/left.tmp",
        "source/log_entries/7f0c0002-0000-4000-8000-000000000000.parquet",
    ] {
        fs::write(root.join(orphan), "half a file").unwrap();
    }
    let lake = Lake::open(&root).unwrap();
    assert_eq!(everything(&root), before);
    assert_eq!(partitions(&lake, VIEW, "global"), records);
    assert!(rows(&lake, VIEW, "global") == content);
}

#[test]
fn a_change_that_fails_leaves_all_as_it_was() {
    let (_directory, lake) = filled_lake();
    let (records, before) = (partitions(&lake, VIEW, "global"), files(lake.root(), "partitions"));
    let result: Result<(), Error> = lake.transaction(|changes| {
        for partition in &records {
            changes.retire(partition)?;
        }
        changes.add(view_set(VIEW).unwrap(), "global", hour(7), &[log_rows(7)])?;
        changes.add(view_set(VIEW).unwrap(), "other", hour(7), &[log_rows(7)])?;
        Err(Error::new(ErrorKind::Cancelled, "called off"))
    });
    check_refused(result, ErrorKind::Cancelled, "called off");
    assert_eq!(partitions(&lake, VIEW, "global"), records);
    assert!(partitions(&lake, VIEW, "other").is_empty());
    assert_eq!(files(lake.root(), "partitions"), before);
}

#[test]
fn a_file_that_cannot_be_written_is_told_and_not_named() {
    let (_directory, lake) = new_lake();
    fs::write(lake.root().join("partitions"), "in the way").unwrap();
    let view = view_set(VIEW).unwrap();
    let written = lake.write_partition(view, "global", hour(0), &[log_rows(0)]);
    check_refused(written, ErrorKind::Io, "cannot write the Parquet file");
    assert!(partitions(&lake, VIEW, "global").is_empty());
    // The lake goes on when nothing is in the way any more.
    fs::remove_file(lake.root().join("partitions")).unwrap();
    lake.write_partition(view, "global", hour(0), &[log_rows(0)]).unwrap();
    assert_eq!(rows(&lake, VIEW, "global").num_rows(), ENTRIES_AN_HOUR);
}

#[test]
fn a_partition_without_the_columns_of_its_view_is_refused() {
    let (_directory, lake) = new_lake();
    let other = view_set("measures").unwrap();
    check_refused(
        lake.write_partition(other, "global", hour(0), &[log_rows(0)]),
        ErrorKind::InvalidInput,
        "the rows have no column name",
    );
    let view = view_set(VIEW).unwrap();
    check_refused(
        lake.write_partition(view, "global", (at(1), at(0)), &[]),
        ErrorKind::InvalidInput,
        "begins after it ends",
    );
}

#[test]
fn any_name_is_an_instance() {
    let (_directory, lake) = new_lake();
    let long = "x".repeat(3_000);
    let names = [
        "..",
        "a/b",
        "a%2Fb",
        "'; DROP TABLE partitions; --",
        "\n\t\0",
        "漢字 🚀",
        "",
        &long,
    ];
    for name in names {
        lake.write_partition(view_set(VIEW).unwrap(), name, hour(0), &[log_rows(0)])
            .unwrap();
    }
    for name in names {
        let found = partitions(&lake, VIEW, name);
        assert_eq!(found.len(), 1, "{name:?}");
        assert_eq!(found[0].view_instance_id, name);
        let path = lake.partition_path(&found[0]).unwrap().canonicalize().unwrap();
        assert!(
            path.starts_with(lake.root().canonicalize().unwrap().join("partitions/log_entries")),
            "{path:?}"
        );
    }
    assert_eq!(lake.info().unwrap().len(), names.len());
}

#[test]
fn an_empty_partition_has_a_record_and_no_file() {
    let (_directory, lake) = new_lake();
    let record = lake
        .write_partition(view_set(VIEW).unwrap(), "global", hour(0), &[])
        .unwrap();
    assert_eq!(
        (record.file_path.as_ref(), record.num_rows, record.min_event_time),
        (None, 0, None)
    );
    assert_eq!(partitions(&lake, VIEW, "global"), std::slice::from_ref(&record));
    assert_eq!(lake.partition_path(&record), None);
}

#[test]
fn partitions_are_found_by_insert_and_event_time() {
    let (_directory, lake) = filled_lake();
    let range = |begin, end| Some(TimeRange::new(at(begin), at(end)).unwrap());
    let found = |insert_range, event_range| -> Vec<i64> {
        let filter = PartitionFilter {
            insert_range,
            event_range,
            ..PartitionFilter::instance(VIEW, "global")
        };
        let found = lake.partitions(&filter).unwrap();
        found
            .iter()
            .map(|found| (found.begin_insert_time - at(0)).num_seconds())
            .collect()
    };
    // An edge counts: both ends of a range are included.
    assert_eq!(found(range(3_600, 3_600), None), [0, 3_600]);
    // The last entry of the first hour is at 3,000 seconds, the first of the second at 3,600.
    assert_eq!(found(None, range(3_000, 3_599)), [0]);
    assert_eq!(found(None, range(3_001, 3_599)), [0; 0]);
    assert_eq!(found(None, range(3_001, 3_600)), [3_600]);
}

#[test]
fn a_query_keeps_the_files_that_it_reads() {
    let (_directory, lake) = filled_lake();
    let record = partitions(&lake, VIEW, "global").remove(0);
    let path = lake.partition_path(&record).unwrap();
    let (first, second) = (lake.lease(), lake.lease());
    lake.transaction(|changes| changes.retire(&record)).unwrap();
    assert_eq!(partitions(&lake, VIEW, "global").len(), HOURS as usize - 1);
    drop(first);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_contained_is_retired_and_no_more(
        existing in prop::collection::vec((0i64..40, 0i64..12, 0usize..3), 0..25),
        ranges in prop::collection::vec((0i64..45, 0i64..20), 1..6),
    ) {
        let (_directory, lake) = new_lake();
        let instances = ["global", "p'1", "p2"];
        let micros = |offset: i64| at(0) + TimeDelta::microseconds(offset);
        lake.transaction(|changes| {
            for (begin, length, instance) in &existing {
                let range = (micros(*begin), micros(begin + length));
                changes.add(view_set(VIEW).unwrap(), instances[*instance], range, &[])?;
            }
            Ok(())
        }).unwrap();
        let mut expected: Vec<(usize, i64, i64)> =
            existing.iter().map(|(begin, length, instance)| (*instance, *begin, begin + length)).collect();
        for (number, (begin, length)) in ranges.into_iter().enumerate() {
            let (instance, end) = (number % instances.len(), begin + length);
            lake.transaction(|changes| {
                for partition in changes.contained(VIEW, instances[instance], micros(begin), micros(end))? {
                    changes.retire(&partition)?;
                }
                Ok(())
            }).unwrap();
            expected.retain(|(of, from, to)| !(*of == instance && *from >= begin && *to <= end));
        }
        let offset = |time: DateTime<Utc>| (time - at(0)).num_microseconds().unwrap();
        let mut found: Vec<(usize, i64, i64)> = lake
            .partitions(&PartitionFilter::default())
            .unwrap()
            .iter()
            .map(|found: &PartitionRecord| {
                let instance = instances.iter().position(|name| *name == found.view_instance_id).unwrap();
                (instance, offset(found.begin_insert_time), offset(found.end_insert_time))
            })
            .collect();
        found.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn materialising_tells_what_it_does() {
    let (_directory, lake) = new_lake();
    add_source(&lake);
    let says = |messages: &[String]| -> Vec<String> {
        let tail = |message: &String| message.split(": ").last().unwrap().to_owned();
        messages.iter().map(tail).collect()
    };
    // The tail is shorter than the step.
    let messages = materialize(&lake, at(-3_600), at(3_600 + 1_800), HOUR);
    assert_eq!(says(&messages), ["creating empty partition record", "writing"]);
    assert!(
        messages[1].starts_with("[2026-01-01T00:00:00Z, 2026-01-01T01:00:00Z] log_entries global"),
        "{messages:?}"
    );
    let messages = materialize(&lake, at(0), at(7_200), HOUR);
    assert_eq!(
        says(&messages),
        [
            format!("already up to date, nb_source_events={ENTRIES_AN_HOUR}"),
            "writing".to_owned()
        ]
    );
    let messages = materialize(&lake, at(1_800), at(5_400), HOUR);
    assert!(messages[0].contains("found overlapping partition"), "{messages:?}");
    assert!(messages[0].ends_with("aborting the update"), "{messages:?}");
    assert_eq!(partitions(&lake, VIEW, "global").len(), 3);
    // Rows that arrived late are a reason to write again.
    lake.append_source(view_set(VIEW).unwrap(), hour(0), &[log_rows(0)])
        .unwrap();
    assert_eq!(says(&materialize(&lake, at(0), at(3_600), HOUR)), ["writing"]);
    assert_eq!(
        partitions(&lake, VIEW, "global")[1].num_rows as usize,
        2 * ENTRIES_AN_HOUR
    );
    check_refused(
        lake.materialize("thread_spans", at(0), at(3_600), HOUR, &mut |_| ()),
        ErrorKind::NotFound,
        "can't find view thread_spans",
    );
}

#[test]
fn regenerating_joins_partitions_and_keeps_the_rows() {
    let (_directory, lake) = filled_lake();
    let before = numbers(&rows(&lake, VIEW, "global"), "time");
    let mut messages = Vec::new();
    let regenerate = |lake: &Lake, begin, end, step, messages: &mut Vec<String>| {
        lake.regenerate(VIEW, begin, end, step, &mut |message| messages.push(message))
    };
    for (begin, end) in [(at(0), at(5_400)), (at(-3_600), at(3_600)), (at(86_400), at(90_000))] {
        let refused = regenerate(&lake, begin, end, HOUR, &mut messages);
        check_refused(refused, ErrorKind::InvalidInput, "does not tile");
    }
    assert!(messages.is_empty());
    let whole = Duration::from_secs(3_600 * HOURS as u64);
    regenerate(&lake, at(0), at(HOURS * 3_600), whole, &mut messages).unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(partitions(&lake, VIEW, "global").len(), 1);
    assert_eq!(numbers(&rows(&lake, VIEW, "global"), "time"), before);
    // And apart again.
    let refused = regenerate(&lake, at(0), at(HOURS * 3_600), HOUR, &mut messages);
    check_refused(refused, ErrorKind::InvalidInput, "does not tile");
}

#[test]
fn retired_rows_can_be_materialised_again() {
    let (_directory, lake) = filled_lake();
    let before = rows(&lake, VIEW, "global");
    for partition in partitions(&lake, VIEW, "global") {
        lake.transaction(|changes| changes.retire(&partition)).unwrap();
    }
    assert_eq!(rows(&lake, VIEW, "global").num_rows(), 0);
    materialize(&lake, at(0), at(HOURS * 3_600), HOUR);
    assert!(rows(&lake, VIEW, "global") == before);
}
