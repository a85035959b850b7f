//! What the program tells a person on standard error, beside the data on standard output.

use std::io::{self, BufRead, IsTerminal, Write};

use lakepilot_query::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::args::ColorChoice;
use crate::output::text;
use crate::signals::Signal;
use crate::{exit, terminal};

/// What is told to a program that reads JSON, beside the progress of a run.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Object<'a> {
    Warning {
        message: &'a str,
    },
    Failed {
        kind: String,
        exit_code: u8,
        message: &'a str,
    },
}

/// What a person is asked before something happens that cannot be undone.
pub(crate) struct Question<'a> {
    /// What will happen.
    pub(crate) what: &'a str,
    /// What has to be typed for it.
    pub(crate) word: &'a str,
}

/// Tells things on standard error, or keeps quiet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Messages {
    quiet: bool,
    json: bool,
    colored: bool,
}

impl Messages {
    pub(crate) fn new(quiet: bool, color: ColorChoice) -> Self {
        Self {
            quiet,
            json: false,
            colored: terminal::colored(color, &io::stderr()),
        }
    }

    /// The same, for a program that reads standard error as JSON, one object a line: there is nothing else on it then.
    #[must_use]
    pub(crate) fn in_json(mut self) -> Self {
        self.json = true;
        self
    }

    /// Whether information for people is not printed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet || self.json
    }

    /// A line for information, not printed with `--quiet`.
    pub(crate) fn tell(&self, text: impl AsRef<str>) {
        if !self.is_quiet() {
            self.line(text.as_ref());
        }
    }

    /// A heading above a step, not printed with `--quiet`.
    #[cfg(feature = "lake")]
    pub(crate) fn heading(&self, text: impl AsRef<str>) {
        let text = text.as_ref();
        if self.colored {
            self.tell(format!("\n\x1b[1m{text}\x1b[0m"));
        } else {
            self.tell(format!("\n{text}"));
        }
    }

    /// A warning, printed even with `--quiet`.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        let text = text.as_ref();
        if self.json {
            self.object(&Object::Warning { message: text });
        } else {
            self.labelled("warning", "33", text);
        }
    }

    /// The error that ends the program, printed even with `--quiet`.
    pub(crate) fn failed(&self, error: &Error) {
        self.ended(error.kind(), exit::exit_code(error), &exit::describe(error));
    }

    /// The signal that ends the program, printed even with `--quiet`.
    pub(crate) fn stopped(&self, signal: Signal) {
        self.ended(ErrorKind::Cancelled, signal.exit_code(), &signal.to_string());
    }

    /// One JSON object on a line of its own.
    pub(crate) fn object(&self, object: &impl Serialize) {
        // What is told here are structures that always become JSON.
        let Ok(mut line) = serde_json::to_string(object) else {
            return;
        };
        line.push('\n');
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }

    fn ended(&self, kind: ErrorKind, exit_code: u8, text: &str) {
        if self.json {
            let kind = kind.as_str().replace([' ', '/'], "_");
            self.object(&Object::Failed {
                kind,
                exit_code,
                message: text,
            });
        } else {
            self.labelled("error", "31", text);
        }
    }

    /// Shows a plan and asks on the terminal, with `--quiet` too. Only the word that was asked for counts: who has to type
    /// it has read the question.
    ///
    /// Where standard input is no terminal there is nobody to ask, and that is a no.
    pub(crate) fn confirm(&self, plan: &str, question: &Question<'_>) -> Result<bool> {
        self.line(plan);
        if !io::stdin().is_terminal() {
            self.labelled(
                "error",
                "31",
                "there is nobody to ask (standard input is not a terminal): add --yes to go on",
            );
            return Ok(false);
        }
        let asked = text::wrap(
            &format!("{}; type {} to go on:", question.what, question.word),
            terminal::stderr_width(),
        );
        let mut stderr = io::stderr().lock();
        write!(stderr, "{asked} ").and_then(|()| stderr.flush())?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(answer.trim() == question.word)
    }

    fn labelled(&self, label: &str, color: &str, text: &str) {
        if self.colored {
            self.line(&format!("\x1b[1;{color}m{label}:\x1b[0m {text}"));
        } else {
            self.line(&format!("{label}: {text}"));
        }
    }

    /// Standard error may be closed; then there is nobody to tell, and that is no reason to fail.
    fn line(&self, text: &str) {
        let text = text::wrap(text, terminal::stderr_width());
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}
