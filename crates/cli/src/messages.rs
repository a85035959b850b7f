//! What the program tells a person on standard error, beside the data on standard output.

use std::io::{self, BufRead, IsTerminal, Write};

use lakepilot_query::Result;

use crate::args::ColorChoice;
use crate::output::text;
use crate::terminal;

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
    colored: bool,
}

impl Messages {
    pub(crate) fn new(quiet: bool, color: ColorChoice) -> Self {
        Self {
            quiet,
            colored: terminal::colored(color, &io::stderr()),
        }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// A line for information, not printed with `--quiet`.
    pub(crate) fn tell(&self, text: impl AsRef<str>) {
        if !self.quiet {
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
        self.labelled("warning", "33", text.as_ref());
    }

    /// An error, printed even with `--quiet`.
    pub(crate) fn error(&self, text: impl AsRef<str>) {
        self.labelled("error", "31", text.as_ref());
    }

    /// Shows a plan and asks on the terminal, with `--quiet` too. Only the word that was asked for counts: who has to type
    /// it has read the question.
    ///
    /// Where standard input is no terminal there is nobody to ask, and that is a no.
    pub(crate) fn confirm(&self, plan: &str, question: &Question<'_>) -> Result<bool> {
        self.line(plan);
        if !io::stdin().is_terminal() {
            self.error("there is nobody to ask (standard input is not a terminal): add --yes to go on");
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
