//! Progress of a run on standard error: a bar on a terminal, plain lines elsewhere, nothing when it is to be quiet.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lakepilot_execution::{ProgressEvent, ProgressObserver, ProgressSnapshot};

use crate::messages::Messages;
use crate::output::text;

/// How often a bar is redrawn: ten times a second.
const REDRAWS_PER_SECOND: u8 = 10;
/// How long it takes until another plain line is worth it.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Shows how a run goes.
pub(crate) struct RunProgress {
    state: Mutex<State>,
}

struct State {
    view: View,
    rows: u64,
    bytes: u64,
    expected: Option<u64>,
}

enum View {
    Bar(ProgressBar),
    Lines { messages: Messages, last: Duration },
    Nothing,
}

impl RunProgress {
    pub(crate) fn new(messages: Messages) -> Self {
        let view = if messages.is_quiet() {
            View::Nothing
        } else if io::stderr().is_terminal() {
            View::Bar(bar())
        } else {
            View::Lines {
                messages,
                last: Duration::ZERO,
            }
        };
        Self {
            state: Mutex::new(State {
                view,
                rows: 0,
                bytes: 0,
                expected: None,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND));
    bar.set_style(style("{spinner} {wide_msg}"));
    bar
}

/// The templates are constants; should one be wrong, the default style shows.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl ProgressObserver for RunProgress {
    fn on_event(&self, event: &ProgressEvent) {
        let mut state = self.state();
        match event {
            ProgressEvent::EstimateArrived(estimate) => {
                state.expected = Some(estimate.rows);
                if let View::Bar(bar) = &state.view {
                    bar.set_length(estimate.rows);
                    bar.set_style(style("{bar:20} {wide_msg}").progress_chars("━╸ "));
                }
            }
            ProgressEvent::Received { rows, bytes, elapsed } => {
                state.rows = *rows;
                state.bytes = *bytes;
                state.show(*elapsed);
            }
            ProgressEvent::Finished(_) | ProgressEvent::Failed { .. } => {
                if let View::Bar(bar) = &state.view {
                    bar.finish_and_clear();
                }
            }
            _ => {}
        }
    }
}

impl State {
    fn show(&mut self, elapsed: Duration) {
        let snapshot = ProgressSnapshot::new(self.rows, self.bytes, elapsed, self.expected);
        let told = describe(self.rows, self.bytes, elapsed, &snapshot);
        match &mut self.view {
            View::Bar(bar) => {
                if let Some(expected) = self.expected {
                    // A bar that is full before the end would be a lie.
                    bar.set_position(self.rows.min(expected.saturating_sub(expected.div_ceil(100))));
                } else {
                    bar.tick();
                }
                bar.set_message(told);
            }
            View::Lines { messages, last } => {
                if elapsed >= *last + LINE_EVERY {
                    *last = elapsed;
                    messages.tell(told);
                }
            }
            View::Nothing => {}
        }
    }
}

/// The line of a moment: the most telling first, since a narrow terminal cuts the end.
fn describe(rows: u64, bytes: u64, elapsed: Duration, snapshot: &ProgressSnapshot) -> String {
    let share = snapshot
        .share_done()
        .map_or_else(String::new, |share| format!("{:.0} % · ", share * 100.0));
    let (left, unknown) = match snapshot.time_left() {
        Some(left) => (format!("{} left · ", text::duration(left)), ""),
        None => (String::new(), " · time left unknown"),
    };
    format!(
        "{share}{left}{} · {} · {} rows/s · {}/s · {}{unknown}",
        text::counted(rows, "row"),
        text::bytes(bytes as f64),
        text::count(snapshot.rows_per_second() as u64),
        text::bytes(snapshot.bytes_per_second()),
        text::duration(elapsed),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_what_is_known() {
        let elapsed = Duration::from_secs(2);
        let known = ProgressSnapshot::new(500_000, 80_000_000, elapsed, Some(2_000_000));
        insta::assert_snapshot!(
            describe(500_000, 80_000_000, elapsed, &known),
            @"25 % · 6.00 s left · 500,000 rows · 80.0 MB · 250,000 rows/s · 40.0 MB/s · 2.00 s"
        );
        let unknown = ProgressSnapshot::new(500_000, 80_000_000, elapsed, None);
        insta::assert_snapshot!(
            describe(500_000, 80_000_000, elapsed, &unknown),
            @"500,000 rows · 80.0 MB · 250,000 rows/s · 40.0 MB/s · 2.00 s · time left unknown"
        );
    }
}
