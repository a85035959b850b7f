//! How times grow with what is asked.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::chart::{self, Line};
use super::clients::Clients;
use super::report::seconds;
use super::rounds::{self, Sample};
use super::servers::Servers;
use super::statistics::Spread;
use super::works::{Client, Entry};

/// A time, or several, over a size.
#[derive(Debug)]
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    across: &'static str,
    points: Vec<Point>,
}

#[derive(Debug)]
struct Point {
    size: f64,
    time: Spread,
    peak_bytes: f64,
}

impl Curve {
    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "| {} | time: median (range) | time for each | peak memory |\n|---|---|---|---|\n",
            self.across
        );
        for point in &self.points {
            let each = point.time.median / point.size;
            let _ = writeln!(
                text,
                "| {} | {} ({} to {}) | {} | {:.0} MB |",
                thousands(point.size),
                seconds(point.time.median),
                seconds(point.time.least),
                seconds(point.time.most),
                if each < 1e-6 {
                    format!("{:.3} ns", each * 1e9)
                } else {
                    seconds(each)
                },
                point.peak_bytes / 1e6
            );
        }
        text
    }

    pub(super) fn chart(&self) -> String {
        let line = |label: &str, of: fn(&Point) -> f64| Line {
            label: label.to_owned(),
            points: self.points.iter().map(|point| (point.size, of(point))).collect(),
        };
        chart::lines(
            self.title,
            self.across,
            "seconds; GB",
            &[
                line("time (seconds, median)", |point| point.time.median),
                line("peak memory (GB)", |point| point.peak_bytes / 1e9),
            ],
        )
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Fewer rounds than a comparison needs show a slope.
const MOST_ROUNDS: usize = 5;

pub(super) fn measure(clients: &Clients, folder: &Path, rounds: usize) -> Result<Vec<Curve>> {
    let meter = Growth {
        clients,
        rounds: rounds.min(MOST_ROUNDS),
    };
    Ok(vec![
        meter.bytes()?,
        meter.queries()?,
        meter.partitions()?,
        meter.slices(&folder.join("lake"))?,
    ])
}

struct Growth<'a> {
    clients: &'a Clients,
    rounds: usize,
}

impl Growth<'_> {
    fn measured(&self, arguments: &[&str]) -> Result<Vec<Sample>> {
        let entry = Entry {
            client: Client::Library,
            program: PathBuf::from(&self.clients.measure),
            arguments: arguments.iter().map(ToString::to_string).collect(),
        };
        let samples = (0..self.rounds)
            .map(|_| rounds::once(&entry))
            .collect::<Result<Vec<_>>>();
        eprintln!(
            "growth: {} {}",
            arguments.first().unwrap_or(&""),
            arguments.last().unwrap_or(&"")
        );
        samples
    }

    fn point(&self, size: f64, arguments: &[&str]) -> Result<Point> {
        let samples = self.measured(arguments)?;
        let time = Spread::of(samples.iter().map(Sample::time)).context("no round was measured")?;
        let peak = samples.iter().map(Sample::peak_bytes).fold(0.0, f64::max);
        Ok(Point {
            size,
            time,
            peak_bytes: peak,
        })
    }

    fn bytes(&self) -> Result<Curve> {
        const SIZES: [f64; 5] = [1e6, 1e7, 1e8, 1e9, 4e9];
        // Batches small enough that the least size is several of them.
        let options = ["--rows", "20000000", "--batch-rows", "1024", "--distinct", "256"];
        let server = Servers::blast(&self.clients.blast, &options)?;
        let (row_bytes, _) = server
            .row_bytes
            .context("the blast server tells the size of its rows")?;
        let points = SIZES.iter().map(|size| {
            let batches = (size / row_bytes / 1024.0).round().max(1.0);
            let sql = format!("SELECT * FROM log_entries LIMIT {:.0}", batches * 1024.0);
            self.point(batches * 1024.0 * row_bytes, &["drain", &server.url, "--sql", &sql])
        });
        Ok(Curve {
            name: "bytes",
            title: "Draining a result",
            across: "bytes",
            points: points.collect::<Result<_>>()?,
        })
    }

    fn queries(&self) -> Result<Curve> {
        let server = Servers::blast(&self.clients.blast, &["--distinct", "1"])?;
        let points = [1, 4, 16, 64, 256].map(|queries: u32| {
            let count = queries.to_string();
            let arguments = [
                "at-once",
                &server.url,
                "--sql",
                "SELECT 1",
                "--calls",
                "20",
                "--queries",
                &count,
            ];
            self.point(f64::from(queries), &arguments)
        });
        Ok(Curve {
            name: "queries",
            title: "Small queries at once, on one connection",
            across: "queries",
            points: points.into_iter().collect::<Result<_>>()?,
        })
    }

    fn partitions(&self) -> Result<Curve> {
        let points = [100, 1_000, 10_000, 100_000].map(|partitions: u32| {
            let options = ["--distinct", "1", "--partitions", &partitions.to_string()];
            let server = Servers::blast(&self.clients.blast, &options)?;
            self.point(f64::from(partitions), &["partitions", &server.url])
        });
        Ok(Curve {
            name: "partitions",
            title: "Listing partitions",
            across: "partitions",
            points: points.into_iter().collect::<Result<_>>()?,
        })
    }

    fn slices(&self, lake: &Path) -> Result<Curve> {
        let server = Servers::lake(&self.clients.program, lake, super::servers::LAKE_ROWS)?;
        let points = [1, 10, 100, 1_000].map(|slices: u32| {
            let count = slices.to_string();
            let sql = "SELECT * FROM log_entries";
            let arguments = [
                "--threads",
                "2",
                "sliced",
                &server.url,
                "--sql",
                sql,
                "--slices",
                &count,
            ];
            self.point(f64::from(slices), &arguments)
        });
        Ok(Curve {
            name: "slices",
            title: "1,000,000 log entries of the embedded lake in slices, two at a time",
            across: "slices",
            points: points.into_iter().collect::<Result<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_tells_every_point_in_its_table_and_in_its_chart() {
        let point = |size, median| Point {
            size,
            time: Spread {
                median,
                least: median / 2.0,
                most: median * 2.0,
            },
            peak_bytes: 20e6,
        };
        let curve = Curve {
            name: "bytes",
            title: "Draining",
            across: "bytes",
            points: vec![point(1e6, 0.001), point(4e9, 2.0)],
        };
        let table = curve.table();
        assert!(
            table.contains("| 4,000,000,000 | 2.00 s (1.00 s to 4.00 s) | 0.500 ns | 20 MB |"),
            "{table}"
        );
        assert_eq!(table.lines().count(), 4);
        // Two lines of two points, and the legend.
        assert_eq!(curve.chart().matches("<circle").count(), 6);
    }

    #[test]
    fn numbers_are_told_in_groups() {
        assert_eq!(
            [1.0, 999.0, 1_000.0, 1_234_567.0].map(thousands),
            ["1", "999", "1,000", "1,234,567"]
        );
    }
}
