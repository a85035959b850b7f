//! The generator: the same seed makes the same lake, and what it makes hangs together.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use arrow::array::RecordBatch;
use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_local_lake::{GenerateOptions, GenerateReport, Lake, PartitionFilter, generate, view_sets};
use lakepilot_query::ErrorKind;
use tempfile::TempDir;

use crate::files::{documents, files, new_lake, numbers, partition_rows, partitions, rows, texts};

/// Two days and a day of hours.
fn options(rows: u64, seed: u64) -> GenerateOptions {
    GenerateOptions {
        rows,
        days: 3,
        processes: 5,
        seed,
        ..GenerateOptions::until("2026-03-01T00:30:00Z".parse().unwrap())
    }
}

fn generated(options: &GenerateOptions) -> (TempDir, Lake, GenerateReport) {
    let (directory, lake) = new_lake();
    let report = generate(&lake, options, &|_, _| ()).unwrap();
    (directory, lake, report)
}

/// All that is in a lake but for the names of files and the times at which they were written.
fn content(lake: &Lake) -> Vec<(String, RecordBatch)> {
    let found = lake.partitions(&PartitionFilter::default()).unwrap();
    let mut content: Vec<(String, RecordBatch)> = found
        .iter()
        .map(|found| {
            let name = (&found.view_set_name, &found.view_instance_id);
            let range = (
                found.begin_insert_time,
                found.end_insert_time,
                found.min_event_time,
                found.max_event_time,
            );
            let described = format!(
                "{name:?} {range:?} {} {:?}",
                found.file_size_bytes, found.source_data_hash
            );
            (described, partition_rows(lake, found))
        })
        .collect();
    content.sort_by(|(a, _), (b, _)| a.cmp(b));
    content
}

#[test]
fn one_seed_makes_one_lake_and_another_seed_another() {
    let (_first_directory, first_lake, first_report) = generated(&options(400, 9));
    let (_second_directory, second_lake, second_report) = generated(&options(400, 9));
    let (_third_directory, third, third_report) = generated(&options(400, 10));
    assert_eq!(first_report, second_report);
    let (first, second) = (content(&first_lake), content(&second_lake));
    assert_eq!(first.len(), second.len());
    for ((a, a_rows), (b, b_rows)) in first.iter().zip(&second) {
        assert_eq!(a, b);
        assert!(a_rows == b_rows, "{a}");
    }
    assert_ne!(first_report.process_ids, third_report.process_ids);
    let messages = texts(&rows(&third, "log_entries", "global"), "msg");
    assert_ne!(messages, texts(&rows(&first_lake, "log_entries", "global"), "msg"));
}

#[test]
fn there_are_as_many_rows_as_asked_for_in_daily_and_hourly_partitions() {
    let steps = Mutex::new(Vec::new());
    let (_directory, lake) = new_lake();
    let report = generate(&lake, &options(1_003, 1), &|done, of| {
        steps.lock().unwrap().push((done, of))
    })
    .unwrap();
    assert_eq!(report.log_entries, 1_003);
    let steps = steps.into_inner().unwrap();
    assert_eq!(steps.last().map(|(done, of)| done == of), Some(true));
    assert!(steps.is_sorted());
    let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    assert_eq!(
        (report.begin, report.end),
        (time("2026-02-26T00:00:00Z"), time("2026-03-01T00:00:00Z"))
    );
    for view_set in view_sets().iter().filter(|view_set| view_set.instances().has_global()) {
        let found = partitions(&lake, view_set.name(), "global");
        assert_eq!(found.len(), 2 + 24, "{}", view_set.name());
        assert_eq!(found[0].begin_insert_time, report.begin);
        assert_eq!(found[25].end_insert_time, report.end);
        for (number, pair) in found.windows(2).enumerate() {
            let length = pair[0].end_insert_time - pair[0].begin_insert_time;
            assert_eq!(
                length,
                if number < 2 {
                    TimeDelta::days(1)
                } else {
                    TimeDelta::hours(1)
                }
            );
            assert_eq!(pair[0].end_insert_time, pair[1].begin_insert_time);
        }
    }
    let sum = |view: &str| {
        partitions(&lake, view, "global")
            .iter()
            .map(|found| found.num_rows as u64)
            .sum::<u64>()
    };
    assert_eq!(sum("log_entries"), report.log_entries);
    assert_eq!(sum("measures"), report.measures);
    let counted: i64 = numbers(&rows(&lake, "log_stats", "global"), "count").iter().sum();
    assert_eq!(counted as u64, report.log_entries);
    assert!(
        report.measures > 200 && report.thread_spans > 200 && report.async_events > 20,
        "{report:?}"
    );
}

#[test]
fn log_entries_are_skewed_as_logs_are() {
    let (_directory, lake, _) = generated(&options(4_000, 2));
    let entries = rows(&lake, "log_entries", "global");
    let levels = numbers(&entries, "level");
    assert!(levels.iter().all(|level| (1..=6).contains(level)));
    let share =
        |wanted: &[i64]| levels.iter().filter(|level| wanted.contains(level)).count() as f64 / levels.len() as f64;
    assert!(share(&[4, 5]) > 0.8, "{}", share(&[4, 5]));
    assert!((0.003..0.03).contains(&share(&[1, 2])), "{}", share(&[1, 2]));
    let mut targets: HashMap<String, usize> = HashMap::new();
    for target in texts(&entries, "target") {
        *targets.entry(target).or_default() += 1;
    }
    let (most, least) = (targets.values().max().unwrap(), targets.values().min().unwrap());
    assert!(targets.len() > 10 && most > &(least * 3), "{targets:?}");
    let lengths = texts(&entries, "msg")
        .iter()
        .map(|message| message.chars().count())
        .collect::<Vec<_>>();
    assert!(lengths.iter().all(|length| (10..=2_000).contains(length)));
    assert!(lengths.iter().any(|length| *length > 1_000));
    let properties: HashSet<String> = documents(&entries, "properties").into_iter().collect();
    assert!(properties.len() > 3 && properties.contains("{}"), "{properties:?}");
}

#[test]
fn every_event_lies_in_a_block_of_a_stream_of_a_process() {
    let (_directory, lake, report) = generated(&options(1_500, 3));
    let ids = |view: &str, column: &str| {
        texts(&rows(&lake, view, "global"), column)
            .into_iter()
            .collect::<HashSet<_>>()
    };
    let (processes, streams) = (ids("processes", "process_id"), ids("streams", "stream_id"));
    assert_eq!(processes, report.process_ids.iter().cloned().collect());
    let blocks = rows(&lake, "blocks", "global");
    let [begins, ends, inserts, objects] =
        ["begin_time", "end_time", "insert_time", "nb_objects"].map(|column| numbers(&blocks, column));
    let (stream_of, process_of) = (texts(&blocks, "stream_id"), texts(&blocks, "process_id"));
    assert!(stream_of.iter().all(|stream| streams.contains(stream)));
    assert!(process_of.iter().all(|process| processes.contains(process)));
    let place: HashMap<String, usize> = texts(&blocks, "block_id").into_iter().zip(0..).collect();
    assert_eq!(place.len(), blocks.num_rows());
    let mut found = vec![0; blocks.num_rows()];
    for view in ["log_entries", "measures"] {
        let events = rows(&lake, view, "global");
        let [times, inserted] = ["time", "insert_time"].map(|column| numbers(&events, column));
        let [block_ids, stream_ids, process_ids] =
            ["block_id", "stream_id", "process_id"].map(|column| texts(&events, column));
        for row in 0..events.num_rows() {
            let block = place[&block_ids[row]];
            assert!((begins[block]..=ends[block]).contains(&times[row]));
            assert_eq!(inserted[row], inserts[block]);
            assert!(times[row] < inserted[row] && inserted[row] - times[row] < 603_000_000_000);
            assert_eq!(
                (&stream_ids[row], &process_ids[row]),
                (&stream_of[block], &process_of[block])
            );
            found[block] += 1;
        }
    }
    let tags = {
        let streams = rows(&lake, "streams", "global");
        let tags = texts(&streams, "tags");
        texts(&streams, "stream_id")
            .into_iter()
            .zip(tags)
            .collect::<HashMap<_, _>>()
    };
    for block in 0..blocks.num_rows() {
        if tags[&stream_of[block]] != "[cpu]" {
            assert_eq!(objects[block], found[block], "block {block}");
        }
    }
}

#[test]
fn blocks_of_a_stream_follow_each_other() {
    let (_directory, lake, _) = generated(&options(1_000, 4));
    let blocks = rows(&lake, "blocks", "global");
    let mut next: HashMap<String, (i64, i64)> = HashMap::new();
    let columns = ["begin_time", "object_offset", "nb_objects", "begin_ticks", "end_ticks"];
    let [begins, offsets, objects, begin_ticks, end_ticks] = columns.map(|column| numbers(&blocks, column));
    for (row, stream) in texts(&blocks, "stream_id").into_iter().enumerate() {
        let (begin, offset) = next.get(&stream).copied().unwrap_or((i64::MIN, 0));
        assert!(begins[row] > begin, "block {row}");
        assert_eq!(offsets[row], offset, "block {row}");
        assert!(objects[row] > 0 && begin_ticks[row] <= end_ticks[row]);
        next.insert(stream, (begins[row], offset + objects[row]));
    }
}

#[test]
fn spans_lie_within_their_parents_and_some_reach_over_an_hour() {
    const HOUR: i64 = 3_600_000_000_000;
    let (_directory, lake, _) = generated(&options(20_000, 5));
    let found = lake.partitions(&PartitionFilter {
        view_set: Some("thread_spans".to_owned()),
        ..PartitionFilter::default()
    });
    let streams: HashSet<String> = found.unwrap().into_iter().map(|found| found.view_instance_id).collect();
    assert_eq!(
        streams.len(),
        3,
        "one thread of the first process and two of the second"
    );
    let mut over_an_hour = 0;
    let mut nested = 0;
    for stream in &streams {
        let spans = rows(&lake, "thread_spans", stream);
        let [ids, parents, depths, begins, ends, durations] =
            ["id", "parent", "depth", "begin", "end", "duration"].map(|column| numbers(&spans, column));
        assert!(begins.is_sorted());
        let place: HashMap<i64, usize> = ids.iter().copied().zip(0..).collect();
        assert_eq!(place.len(), ids.len());
        let mut end_of_roots = i64::MIN;
        for row in 0..ids.len() {
            assert!(begins[row] <= ends[row] && durations[row] == ends[row] - begins[row]);
            over_an_hour += usize::from(begins[row] / HOUR != ends[row] / HOUR);
            if parents[row] == 0 {
                assert_eq!(depths[row], 0);
                assert!(begins[row] >= end_of_roots, "the calls of a thread do not overlap");
                end_of_roots = ends[row];
                continue;
            }
            let parent = place[&parents[row]];
            assert_eq!(depths[row], depths[parent] + 1);
            assert!(begins[parent] <= begins[row] && ends[row] <= ends[parent]);
            nested += 1;
        }
    }
    assert!(over_an_hour > 10, "{over_an_hour}");
    assert!(nested > 100, "{nested}");
}

#[test]
fn async_operations_begin_and_end_once() {
    let (_directory, lake, report) = generated(&options(4_000, 6));
    let process = &report.materialised_process_ids[0];
    let events = rows(&lake, "async_events", process);
    let mut open: HashMap<i64, i64> = HashMap::new();
    let mut ended = 0;
    let [ids, times] = ["span_id", "time"].map(|column| numbers(&events, column));
    assert!(times.is_sorted());
    for (row, event_type) in texts(&events, "event_type").into_iter().enumerate() {
        if event_type == "begin" {
            assert_eq!(open.insert(ids[row], times[row]), None);
        } else {
            assert!(open.remove(&ids[row]).is_some());
            ended += 1;
        }
    }
    assert!(open.is_empty() && ended > 10, "{ended}");
}

#[test]
fn materialised_instances_are_what_a_first_use_would_make() {
    let (_directory, lake, report) = generated(&options(1_200, 7));
    assert_eq!(report.materialised_process_ids, report.process_ids[..2]);
    let process = &report.process_ids[0];
    let of_process = texts(&rows(&lake, "log_entries", "global"), "process_id");
    let expected = of_process.iter().filter(|id| *id == process).count();
    for view in ["log_entries", "measures", "async_events"] {
        let made = rows(&lake, view, process);
        let count = partitions(&lake, view, process).len();
        if view == "log_entries" {
            assert_eq!(made.num_rows(), expected);
        }
        lake.ensure_instance(view, process, None).unwrap();
        assert_eq!(partitions(&lake, view, process).len(), count, "{view}");
        for partition in partitions(&lake, view, process) {
            lake.transaction(|changes| changes.retire(&partition)).unwrap();
        }
        lake.ensure_instance(view, process, None).unwrap();
        assert_eq!(partitions(&lake, view, process).len(), count, "{view}");
        assert!(rows(&lake, view, process) == made, "{view}");
    }
    // Of the others there is none yet.
    assert!(partitions(&lake, "log_entries", &report.process_ids[4]).is_empty());
    lake.ensure_instance("log_entries", &report.process_ids[4], None)
        .unwrap();
    assert!(!partitions(&lake, "log_entries", &report.process_ids[4]).is_empty());
}

#[test]
fn options_out_of_range_are_refused() {
    let (_directory, lake) = new_lake();
    let valid = options(10, 1);
    for (options, says) in [
        (
            GenerateOptions {
                days: 0,
                ..valid.clone()
            },
            "0 days",
        ),
        (
            GenerateOptions {
                days: 100_000,
                ..valid.clone()
            },
            "100000 days",
        ),
        (
            GenerateOptions {
                processes: 0,
                ..valid.clone()
            },
            "0 processes",
        ),
        (
            GenerateOptions {
                rows: u64::MAX,
                ..valid.clone()
            },
            "too many",
        ),
        (
            GenerateOptions {
                end: DateTime::UNIX_EPOCH,
                ..valid.clone()
            },
            "after 1970",
        ),
        (
            GenerateOptions {
                end: DateTime::<Utc>::MAX_UTC,
                ..valid.clone()
            },
            "cannot be generated",
        ),
        (
            GenerateOptions {
                end: DateTime::<Utc>::MIN_UTC,
                ..valid
            },
            "after 1970",
        ),
    ] {
        let error = generate(&lake, &options, &|_, _| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains(says), "{error}");
    }
    assert!(files(lake.root(), "source").is_empty());
}

#[test]
fn a_range_is_generated_once() {
    let options = GenerateOptions {
        days: 1,
        processes: 1,
        ..options(20, 1)
    };
    let (_directory, lake, _) = generated(&options);
    let before = files(lake.root(), "source");
    let error = generate(&lake, &options, &|_, _| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("the lake has partitions between"), "{error}");
    assert_eq!(files(lake.root(), "source"), before);
    // The day before is free.
    let earlier = GenerateOptions {
        end: options.end - TimeDelta::days(1),
        ..options
    };
    assert_eq!(generate(&lake, &earlier, &|_, _| ()).unwrap().log_entries, 20);
}
