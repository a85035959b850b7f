//! Progress of a run on standard error: a line that is redrawn on a terminal, plain lines elsewhere, JSON for programs.

mod events;
mod line;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lakepilot_execution::{ProgressEvent, ProgressObserver};

use self::line::{Moment, Phase, Slices};
use crate::args::ProgressChoice;
use crate::messages::Messages;
use crate::output::text;
use crate::terminal::{self, BarCharacters};

/// How often the line is redrawn: ten times a second.
const REDRAW_EVERY: Duration = Duration::from_millis(100);

/// Columns that the line leaves free: in the last one, some terminals go to the next line, and a terminal writes `^C` behind
/// the line.
const SPARE_COLUMNS: usize = 3;

/// When the next plain line is worth it, after one at `elapsed`: after two seconds at first, and less often the longer a run
/// goes on, up to once a minute.
fn next_line_at(elapsed: Duration) -> Duration {
    elapsed + (elapsed / 10).clamp(Duration::from_secs(2), Duration::from_secs(60))
}

/// How often an object tells how far a run is, at most while rows arrive, and at least.
const OBJECT_EVERY: Duration = Duration::from_millis(100);
const OBJECT_AT_LEAST_EVERY: Duration = Duration::from_secs(1);

/// Shows how a run goes.
pub(crate) struct RunProgress {
    tally: Arc<Tally>,
    view: Mutex<View>,
}

/// Whether the rows go to a terminal, which standard error is then likely to be too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowsGo {
    ToTerminal,
    Elsewhere,
}

enum View {
    Line {
        line: Redrawn,
        messages: Messages,
    },
    Lines {
        messages: Messages,
        next: Duration,
    },
    Objects {
        messages: Messages,
        told: Moment,
    },
    /// What stays is told, and how far the run is shows in its rows.
    Notes(Messages),
    Nothing,
}

impl RunProgress {
    /// Progress of a run, which is cut into so many slices, or runs whole.
    pub(crate) fn new(choice: ProgressChoice, messages: Messages, slices: Option<usize>, rows: RowsGo) -> Self {
        let tally = Arc::new(Tally::new(slices));
        let lines = || View::Lines {
            messages,
            next: next_line_at(Duration::ZERO),
        };
        let view = match choice {
            ProgressChoice::Auto if messages.is_quiet() => View::Nothing,
            // A line that is drawn between rows spoils them.
            ProgressChoice::Auto if terminal::can_redraw() && rows == RowsGo::ToTerminal => View::Notes(messages),
            ProgressChoice::Auto if terminal::can_redraw() => View::Line {
                line: Redrawn::new(),
                messages,
            },
            ProgressChoice::Auto | ProgressChoice::Plain => lines(),
            ProgressChoice::Json => View::Objects {
                messages,
                told: Moment::default(),
            },
            ProgressChoice::None => View::Nothing,
        };
        Self {
            tally,
            view: Mutex::new(view),
        }
    }

    /// Tells how far the run is when it is time to, also while nothing happens.
    pub(crate) fn tick(&self) {
        self.view().tick(&self.tally.moment());
    }

    /// Takes the line away, before something else is told.
    pub(crate) fn clear(&self) {
        if let View::Line { line, .. } = &mut *self.view() {
            line.clear();
        }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line on the terminal that is drawn again and again.
///
/// Not a bar of `indicatif`: that fills its line up to the last column, from where the `^C` that a terminal writes goes to the
/// next, and the line then stays for good.
struct Redrawn {
    characters: BarCharacters,
    /// When it was drawn last; `None` while it is not there.
    drawn: Option<Duration>,
}

const CLEAR_LINE: &str = "\r\x1b[2K";

impl Redrawn {
    fn new() -> Self {
        Self {
            characters: BarCharacters::of_locale(),
            drawn: None,
        }
    }

    /// Draws the line, unless it was drawn a moment ago.
    fn draw(&mut self, moment: &Moment) {
        if self.drawn.is_some_and(|drawn| moment.elapsed < drawn + REDRAW_EVERY) {
            return;
        }
        self.drawn = Some(moment.elapsed);
        let width = terminal::stderr_width().map(|width| width.saturating_sub(SPARE_COLUMNS));
        write(&format!("{CLEAR_LINE}{}", line::line(moment, width, self.characters)));
    }

    fn clear(&mut self) {
        if self.drawn.take().is_some() {
            write(CLEAR_LINE);
        }
    }
}

/// Standard error may be closed; then there is nobody to tell, and that is no reason to fail.
fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

impl Drop for RunProgress {
    /// A run that is given up ends without an event.
    fn drop(&mut self) {
        self.clear();
    }
}

/// What has happened so far.
struct Tally {
    begun: Instant,
    moment: Mutex<Moment>,
}

impl Tally {
    fn new(slices: Option<usize>) -> Self {
        let slices = slices.map(|total| Slices {
            total,
            ..Slices::default()
        });
        Self {
            begun: Instant::now(),
            moment: Mutex::new(Moment {
                slices,
                ..Moment::default()
            }),
        }
    }

    fn locked(&self) -> MutexGuard<'_, Moment> {
        self.moment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The numbers of this moment.
    fn moment(&self) -> Moment {
        let mut moment = *self.locked();
        moment.elapsed = self.begun.elapsed();
        moment
    }

    fn count(&self, event: &ProgressEvent) {
        count(&mut self.locked(), event);
    }
}

fn count(moment: &mut Moment, event: &ProgressEvent) {
    match event {
        ProgressEvent::Started { .. } => moment.phase = Phase::Receiving,
        ProgressEvent::Retried { number, .. } => moment.phase = Phase::AskingAgain(*number),
        ProgressEvent::EstimateArrived(estimate) => moment.expected = Some(estimate.rows),
        ProgressEvent::Received { rows, bytes, .. } => {
            moment.phase = Phase::Receiving;
            (moment.rows, moment.bytes) = (*rows, *bytes);
        }
        ProgressEvent::PartsKept { parts, rows } => {
            moment.kept = *rows;
            if let Some(slices) = &mut moment.slices {
                slices.done += parts;
            }
        }
        ProgressEvent::SliceStarted { .. } => {
            if let Some(slices) = &mut moment.slices {
                slices.running += 1;
            }
        }
        ProgressEvent::SliceFinished { .. } => {
            if let Some(slices) = &mut moment.slices {
                slices.running = slices.running.saturating_sub(1);
                slices.done += 1;
            }
        }
        _ => {}
    }
}

impl ProgressObserver for RunProgress {
    fn on_event(&self, event: &ProgressEvent) {
        let before = *self.tally.locked();
        self.tally.count(event);
        let moment = self.tally.moment();
        let is_first = before.rows == 0 && moment.rows > 0;
        self.view().show(event, &moment, is_first);
    }
}

impl View {
    fn show(&mut self, event: &ProgressEvent, moment: &Moment, is_first: bool) {
        match self {
            Self::Line { line, messages } => {
                if let Some(note) = note(event) {
                    line.clear();
                    messages.tell(note);
                }
                if matches!(event, ProgressEvent::Finished(_) | ProgressEvent::Failed { .. }) {
                    line.clear();
                }
            }
            Self::Lines { messages, .. } | Self::Notes(messages) => {
                if let Some(note) = note(event) {
                    messages.tell(note);
                }
            }
            Self::Objects { messages, .. } => {
                if let Some(object) = events::object(event, moment) {
                    messages.object(&object);
                }
                if is_first {
                    messages.object(&events::first_batch(moment));
                }
            }
            Self::Nothing => {}
        }
        if matches!(event, ProgressEvent::Received { .. }) {
            self.tick(moment);
        }
    }

    fn tick(&mut self, moment: &Moment) {
        match self {
            Self::Line { line, .. } => line.draw(moment),
            Self::Lines { messages, next } if moment.elapsed >= *next => {
                *next = next_line_at(moment.elapsed);
                messages.tell(line::line(moment, None, BarCharacters::Ascii));
            }
            Self::Objects { messages, told } => {
                let news = (moment.rows, moment.slices) != (told.rows, told.slices);
                let pause = if news { OBJECT_EVERY } else { OBJECT_AT_LEAST_EVERY };
                if moment.phase == Phase::Receiving && moment.elapsed >= told.elapsed + pause {
                    *told = *moment;
                    messages.object(&events::progress(moment));
                }
            }
            _ => {}
        }
    }
}

/// What a person is told of an event for good.
fn note(event: &ProgressEvent) -> Option<String> {
    match event {
        ProgressEvent::Retried { number, delay, reason } => Some(format!(
            "asking again in {} (retry {number}): {reason}",
            text::duration(*delay)
        )),
        ProgressEvent::SliceRetried { index, reason } => Some(format!("asking for slice {index} again: {reason}")),
        ProgressEvent::PartsKept { parts, rows } if *parts > 0 => Some(format!(
            "{} with {} are there from before",
            text::counted(*parts as u64, "part"),
            text::counted(*rows, "row")
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Schema;
    use lakepilot_execution::{Estimate, EstimateBasis};

    fn slice(index: usize) -> ProgressEvent {
        let range =
            lakepilot_query::TimeRange::new(chrono::DateTime::UNIX_EPOCH, chrono::DateTime::UNIX_EPOCH).unwrap();
        ProgressEvent::SliceStarted { index, range }
    }

    fn received(rows: u64) -> ProgressEvent {
        ProgressEvent::Received {
            rows,
            bytes: rows * 160,
            elapsed: Duration::ZERO,
        }
    }

    fn events() -> Vec<ProgressEvent> {
        vec![
            ProgressEvent::PartsKept { parts: 1, rows: 500 },
            slice(1),
            slice(2),
            ProgressEvent::Started {
                schema: Schema::empty().into(),
            },
            ProgressEvent::EstimateArrived(Estimate {
                rows: 2_000,
                basis: EstimateBasis::PartitionMetadata,
            }),
            received(300),
            ProgressEvent::Batch {
                index: 0,
                rows: 300,
                bytes: 48_000,
                total_rows: 300,
                elapsed: Duration::ZERO,
            },
            ProgressEvent::SliceRetried {
                index: 2,
                reason: "the server restarts".to_owned(),
            },
            ProgressEvent::Retried {
                number: 1,
                delay: Duration::from_millis(200),
                reason: "the server restarts".to_owned(),
            },
            received(700),
            ProgressEvent::SliceFinished { index: 1, rows: 400 },
        ]
    }

    #[test]
    fn events_add_up() {
        let mut moment = Moment {
            slices: Some(Slices {
                total: 4,
                ..Slices::default()
            }),
            ..Moment::default()
        };
        for event in events() {
            count(&mut moment, &event);
        }
        assert_eq!(
            moment,
            Moment {
                phase: Phase::Receiving,
                rows: 700,
                bytes: 112_000,
                elapsed: Duration::ZERO,
                expected: Some(2_000),
                kept: 500,
                slices: Some(Slices {
                    total: 4,
                    running: 1,
                    done: 2
                }),
            }
        );
        assert_eq!(moment.share_done(), Some(0.6));
    }

    #[test]
    fn objects_have_the_fields_that_are_documented() {
        let moment = Moment {
            phase: Phase::Receiving,
            rows: 700,
            bytes: 112_000,
            elapsed: Duration::from_secs(2),
            expected: Some(2_000),
            kept: 500,
            slices: Some(Slices {
                total: 4,
                running: 1,
                done: 2,
            }),
        };
        let happened = events();
        let mut objects: Vec<_> = happened
            .iter()
            .filter_map(|event| events::object(event, &moment))
            .collect();
        objects.push(events::first_batch(&moment));
        objects.push(events::progress(&moment));
        let lines: Vec<String> = objects
            .iter()
            .map(|object| serde_json::to_string(object).unwrap())
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn plain_lines_become_rarer() {
        let lines_within = |hours: u64| {
            let mut at = Duration::ZERO;
            std::iter::from_fn(|| {
                at = next_line_at(at);
                (at <= Duration::from_secs(hours * 3600)).then_some(())
            })
            .count()
        };
        assert_eq!(next_line_at(Duration::ZERO), Duration::from_secs(2));
        assert!((60..120).contains(&lines_within(1)), "{}", lines_within(1));
        assert!(lines_within(10) < 700, "{}", lines_within(10));
    }
}
