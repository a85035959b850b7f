//! Progress of a change to partitions on standard error: a bar on a terminal, plain lines elsewhere, nothing when it is
//! to be quiet.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lakepilot_admin::{Event, Observer};

use crate::messages::Messages;
use crate::output::{printable, text};
use crate::terminal::BarCharacters;

/// How often a bar is redrawn: ten times a second.
const REDRAWS_PER_SECOND: u8 = 10;
/// How long it takes until another plain line is worth it.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Shows how a retirement or a materialisation goes. What it shows goes away with it.
pub(crate) struct AdminProgress {
    messages: Messages,
    state: Mutex<State>,
}

struct State {
    view: View,
    partitions: u64,
    done: u64,
    server_messages: u64,
}

enum View {
    Bar(ProgressBar),
    Lines(Instant),
    Nothing,
}

impl AdminProgress {
    pub(crate) fn new(messages: Messages) -> Self {
        let view = if messages.is_quiet() {
            View::Nothing
        } else if io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND));
            bar.set_style(style("{spinner} {wide_msg}").tick_chars(BarCharacters::of_locale().spinner()));
            View::Bar(bar)
        } else {
            View::Lines(Instant::now())
        };
        Self {
            messages,
            state: Mutex::new(State {
                view,
                partitions: 0,
                done: 0,
                server_messages: 0,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a line that is out of date with the next one.
    fn show(&self, state: &mut State, line: &str) {
        match &mut state.view {
            View::Bar(bar) => {
                if state.partitions > 0 {
                    bar.set_position(state.done);
                } else {
                    bar.tick();
                }
                bar.set_message(line.to_owned());
            }
            View::Lines(last) => {
                if last.elapsed() >= LINE_EVERY {
                    *last = Instant::now();
                    self.messages.tell(line);
                }
            }
            View::Nothing => {}
        }
    }

    /// Tells a line that stays, above the bar.
    fn tell(&self, state: &State, tell: impl FnOnce()) {
        match &state.view {
            View::Bar(bar) => bar.suspend(tell),
            View::Lines(_) | View::Nothing => tell(),
        }
    }
}

/// The templates are constants; should one be wrong, the default style shows.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Observer for AdminProgress {
    fn observe(&self, event: &Event) {
        let mut state = self.state();
        match event {
            Event::Started { partitions, .. } => {
                state.partitions = *partitions;
                if let View::Bar(bar) = &state.view {
                    bar.set_length(*partitions);
                    bar.set_style(style("{bar:20} {wide_msg}").progress_chars(BarCharacters::of_locale().all()));
                }
                let line = asked(&state);
                self.show(&mut state, &line);
            }
            Event::Message { instance, message } => {
                let instance = instance.as_ref().map(ToString::to_string);
                let said = printable(&message.message);
                tracing::info!(instance, message = %said, "the server says");
                state.server_messages += 1;
                let line = if state.partitions > 0 {
                    asked(&state)
                } else {
                    let messages = text::counted(state.server_messages, "message");
                    format!("{messages} from the server, the last: {said}")
                };
                self.show(&mut state, &line);
            }
            Event::Answered { done, error, .. } => {
                state.done = *done;
                if let Some(error) = error {
                    self.tell(&state, || self.messages.warn(printable(error)));
                }
                let line = asked(&state);
                self.show(&mut state, &line);
            }
            Event::Verifying => self.tell(&state, || self.messages.tell("listing again to see what is there")),
            _ => {}
        }
    }
}

/// How far it is.
fn asked(state: &State) -> String {
    format!(
        "asked for {} of {}",
        text::count(state.done),
        text::counted(state.partitions, "partition"),
    )
}

impl Drop for AdminProgress {
    fn drop(&mut self) {
        if let View::Bar(bar) = &self.state().view {
            bar.finish_and_clear();
        }
    }
}
