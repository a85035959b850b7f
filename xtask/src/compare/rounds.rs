//! Runs a work in rounds.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::statistics::Spread;
use super::works::{Client, Entry, Work};
use crate::cargo;

/// What a client prints about one piece of work.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Sample {
    seconds: f64,
    /// For a work of many calls, what each took.
    calls: Vec<f64>,
    cpu_seconds: f64,
    peak_rss_bytes: u64,
    rows: u64,
    first_batch_seconds: Option<f64>,
}

impl Sample {
    /// The time of the work: of the whole, or of a typical call.
    pub(super) fn time(&self) -> f64 {
        Spread::of(self.calls.iter().copied()).map_or(self.seconds, |spread| spread.median)
    }

    pub(super) fn peak_bytes(&self) -> f64 {
        self.peak_rss_bytes as f64
    }

    /// Processor time of the work, or of one call.
    fn processor(&self) -> f64 {
        self.cpu_seconds / self.calls.len().max(1) as f64
    }
}

/// One client's side of a work, over all rounds.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) client: Client,
    pub(super) samples: Vec<Sample>,
}

impl Side {
    pub(super) fn times(&self) -> Vec<f64> {
        self.samples.iter().map(Sample::time).collect()
    }

    fn spread(&self, of: impl Fn(&Sample) -> f64) -> Option<Spread> {
        Spread::of(self.samples.iter().map(of))
    }

    pub(super) fn time(&self) -> Option<Spread> {
        self.spread(Sample::time)
    }

    pub(super) fn processor(&self) -> Option<Spread> {
        self.spread(Sample::processor)
    }

    pub(super) fn peak_bytes(&self) -> Option<Spread> {
        self.spread(Sample::peak_bytes)
    }

    pub(super) fn first_batch(&self) -> Option<Spread> {
        Spread::of(self.samples.iter().filter_map(|sample| sample.first_batch_seconds))
    }
}

/// A work and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) name: &'static str,
    pub(super) title: String,
    /// Bytes that the result is on the wire, where that is known.
    pub(super) bytes: Option<f64>,
    /// The client that the others are held against.
    pub(super) reference: Client,
    pub(super) sides: Vec<Side>,
}

impl Outcome {
    pub(super) fn side(&self, client: Client) -> Option<&Side> {
        self.sides.iter().find(|side| side.client == client)
    }

    /// How many times as long as the reference a client took.
    pub(super) fn ratio(&self, side: &Side) -> Option<Spread> {
        Spread::of_ratios(&side.times(), &self.side(self.reference)?.times())
    }

    /// The published client that was fastest.
    pub(super) fn fastest_published(&self) -> Option<&Side> {
        self.sides
            .iter()
            .filter(|side| side.client.is_published())
            .filter_map(|side| Some((side.time()?.median, side)))
            .min_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, side)| side)
    }
}

pub(super) fn run(work: &Work, rounds: usize) -> Result<Outcome> {
    let mut sides: Vec<Side> = work
        .entries
        .iter()
        .map(|entry| Side {
            client: entry.client,
            samples: Vec::with_capacity(rounds),
        })
        .collect();
    for round in 0..rounds {
        for turn in 0..sides.len() {
            // Nobody is always the first, nor always behind the same one's mess.
            let number = (round + turn) % sides.len();
            let sample = once(&work.entries[number]).with_context(|| format!("the work {}", work.name))?;
            sides[number].samples.push(sample);
        }
        eprintln!("{}: round {} of {rounds}", work.name, round + 1);
    }
    check_rows(work.name, &sides)?;
    Ok(Outcome {
        name: work.name,
        title: work.title.clone(),
        bytes: work.bytes,
        reference: work.reference,
        sides,
    })
}

pub(super) fn once(entry: &Entry) -> Result<Sample> {
    let mut command = Command::new(&entry.program);
    // Backtraces and threads of numeric libraries are not what is compared.
    command.args(&entry.arguments).env_remove("RUST_BACKTRACE");
    let printed = cargo::output(&mut command)?;
    let line = printed.lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| format!("{} printed no measurement: {line}", entry.client))
}

/// Who drops rows is fast.
fn check_rows(work: &str, sides: &[Side]) -> Result<()> {
    let counts = |side: &Side| -> Vec<u64> { side.samples.iter().map(|sample| sample.rows).collect() };
    let mut counted = sides
        .iter()
        .filter(|side| side.client.counts_rows() && counts(side).iter().any(|rows| *rows > 0));
    let Some(first) = counted.next() else {
        return Ok(());
    };
    for other in counted {
        ensure!(
            counts(other) == counts(first),
            "{work}: {} got {:?} rows, and {} {:?}",
            first.client,
            counts(first),
            other.client,
            counts(other)
        );
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A side that took so long in each round, for so many rows.
    pub(in super::super) fn side(client: Client, seconds: &[f64], rows: u64) -> Side {
        let samples = seconds.iter().map(|seconds| Sample {
            seconds: *seconds,
            calls: vec![],
            cpu_seconds: seconds / 2.0,
            peak_rss_bytes: 50_000_000,
            rows,
            first_batch_seconds: Some(0.01),
        });
        Side {
            client,
            samples: samples.collect(),
        }
    }

    #[test]
    fn the_time_of_many_calls_is_that_of_a_typical_one() {
        let sample: Sample = serde_json::from_str(
            r#"{"seconds": 9.0, "calls": [1.0, 7.0, 1.0], "cpu_seconds": 6.0, "peak_rss_bytes": 1, "rows": 1, "bytes": 0, "first_batch_seconds": null}"#,
        )
        .unwrap();
        assert_eq!(sample.time(), 1.0);
        assert_eq!(sample.processor(), 2.0);
    }

    #[test]
    fn clients_that_disagree_about_the_rows_are_found() {
        let good = [side(Client::Library, &[1.0], 5), side(Client::Adbc, &[2.0], 5)];
        assert!(check_rows("drain", &good).is_ok());
        let bad = [side(Client::Library, &[1.0], 5), side(Client::Adbc, &[2.0], 4)];
        assert!(check_rows("drain", &bad).is_err());
        // A floor decodes nothing, and cannot count.
        let floor = [side(Client::Library, &[1.0], 5), side(Client::Http2, &[2.0], 0)];
        assert!(check_rows("drain", &floor).is_ok());
    }

    #[test]
    fn the_fastest_published_client_is_found() {
        let outcome = Outcome {
            name: "drain",
            title: String::new(),
            bytes: None,
            reference: Client::Library,
            sides: vec![
                side(Client::Library, &[1.0, 2.0, 1.0], 1),
                side(Client::Adbc, &[3.0, 6.0, 4.0], 1),
                side(Client::PythonStream, &[2.0, 5.0, 2.0], 1),
                side(Client::Http2, &[0.5, 0.5, 0.5], 0),
            ],
        };
        let fastest = outcome.fastest_published().unwrap();
        assert_eq!(fastest.client, Client::PythonStream);
        let ratio = outcome.ratio(fastest).unwrap();
        assert_eq!((ratio.least, ratio.median, ratio.most), (2.0, 2.0, 2.5));
    }
}
