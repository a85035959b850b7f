//! What the program knows of the terminal that it runs in.

use std::io::IsTerminal;

use crate::args::ColorChoice;

/// The width of the terminal on standard output in columns; of a file or a pipe, what `COLUMNS` says, or `None`.
pub(crate) fn stdout_width() -> Option<usize> {
    width(terminal_size::terminal_size_of(std::io::stdout()))
}

/// The width of the terminal on standard error in columns; of a file or a pipe, what `COLUMNS` says, or `None`.
pub(crate) fn stderr_width() -> Option<usize> {
    width(terminal_size::terminal_size_of(std::io::stderr()))
}

fn width(size: Option<(terminal_size::Width, terminal_size::Height)>) -> Option<usize> {
    match size {
        Some((width, _)) => Some(usize::from(width.0)),
        None => std::env::var("COLUMNS")
            .ok()?
            .parse()
            .ok()
            .filter(|columns| *columns > 0),
    }
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

/// Whether characters beyond ASCII can be drawn: not where the locale says that it has another encoding than UTF-8, or
/// none.
pub(crate) fn unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty());
    locale.is_none_or(|locale| is_utf8(&locale))
}

fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// The characters that bars of progress are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BarCharacters {
    Unicode,
    Ascii,
}

impl BarCharacters {
    /// Those that can be drawn in the locale.
    pub(crate) fn of_locale() -> Self {
        if unicode() { Self::Unicode } else { Self::Ascii }
    }

    /// What is done.
    pub(crate) fn full(self) -> &'static str {
        match self {
            Self::Unicode => "━",
            Self::Ascii => "=",
        }
    }

    /// Where it has got to.
    pub(crate) fn tip(self) -> &'static str {
        match self {
            Self::Unicode => "╸",
            Self::Ascii => ">",
        }
    }

    /// All of them, as `indicatif` takes them: what is done, the tip, and what is not done.
    pub(crate) fn all(self) -> &'static str {
        match self {
            Self::Unicode => "━╸ ",
            Self::Ascii => "=> ",
        }
    }

    /// What turns while nothing is known; the last one is shown at the end.
    pub(crate) fn spinner(self) -> &'static str {
        match self {
            Self::Unicode => "⠁⠂⠄⡀⢀⠠⠐⠈ ",
            Self::Ascii => "|/-\\ ",
        }
    }
}

/// Whether a line on standard error can be drawn again: it is a terminal, and one that can go back.
pub(crate) fn can_redraw() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales_name_their_encoding() {
        for (locale, expected) in [
            ("en_GB.UTF-8", true),
            ("C.utf8", true),
            ("C", false),
            ("POSIX", false),
            ("de_DE.ISO-8859-1", false),
        ] {
            assert_eq!(is_utf8(locale), expected, "{locale}");
        }
    }
}
