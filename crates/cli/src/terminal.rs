//! What the program knows of the terminal that it runs in.

use std::io::IsTerminal;

use crate::args::ColorChoice;

/// The width of the terminal on standard output in columns; `None` when it is a file or a pipe.
pub(crate) fn stdout_width() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// The width of the terminal on standard error in columns; `None` when it is a file or a pipe.
pub(crate) fn stderr_width() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stderr()).map(|(width, _)| usize::from(width.0))
}

/// Whether text on a stream is to be coloured: as told, or on a terminal unless `NO_COLOR` is set or `TERM` is `dumb`.
pub(crate) fn colored(choice: ColorChoice, stream: &impl IsTerminal) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            stream.is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}
