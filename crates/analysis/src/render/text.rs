//! Findings as people read them: the source with the place marked, and what to do.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};
use lakepilot_query::to_rfc3339;

use super::Checked;
use crate::{Finding, Severity};

/// How much of a very long line is shown on each side of a place, in bytes.
const WINDOW_BYTES: usize = 2_000;

/// How a text for people looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TextStyle {
    /// The width of the terminal, in columns.
    pub width: usize,
    /// Whether there are colours, as ANSI escapes.
    pub colors: bool,
    /// Whether lines are drawn with Unicode.
    pub unicode: bool,
}

impl Default for TextStyle {
    /// A hundred columns without colours, in ASCII.
    fn default() -> Self {
        Self {
            width: 100,
            colors: false,
            unicode: false,
        }
    }
}

impl TextStyle {
    /// The same style for another width.
    #[must_use]
    pub fn with_width(mut self, columns: usize) -> Self {
        self.width = columns;
        self
    }

    /// The same style with or without colours.
    #[must_use]
    pub fn with_colors(mut self, colors: bool) -> Self {
        self.colors = colors;
        self
    }

    fn renderer(self) -> Renderer {
        let renderer = if self.colors {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let decor = if self.unicode {
            DecorStyle::Unicode
        } else {
            DecorStyle::Ascii
        };
        renderer.term_width(self.width.max(20)).decor_style(decor)
    }
}

/// Every finding with the source that it is about, in the order of the text. Control characters of the source are
/// shown as pictures. The text ends with a line feed unless it is empty.
pub fn render_text(checked: &Checked<'_>, style: TextStyle) -> String {
    let renderer = style.renderer();
    let mut text = String::new();
    for finding in checked.analysis.findings() {
        text.push_str(&render_finding(checked, finding, &renderer, style.width));
        text.push_str("\n\n");
    }
    text.truncate(text.trim_end().len());
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn render_finding(checked: &Checked<'_>, finding: &Finding, renderer: &Renderer, terminal_width: usize) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Hint => Level::INFO.with_name("hint"),
    };
    let window = window(checked.text, finding);
    // The frame takes some columns on the left.
    let width = terminal_width.saturating_sub(16).max(20);
    let why = wrapped(finding.why, width);
    let mut group: Group<'_> = level.primary_title(finding.message.as_str()).id(finding.rule).element(
        Snippet::source(window.source)
            .path(checked.name)
            .line_start(finding.span.start.line)
            .annotation(AnnotationKind::Primary.span(window.span)),
    );
    group = group.element(Level::NOTE.message(why));
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(wrapped(help, width)));
    }
    if let Some(range) = finding.suggested_range
        && !finding.help.as_ref().is_some_and(|help| help.contains("--begin"))
    {
        let text = format!(
            "time range: {} to {}",
            to_rfc3339(range.begin()),
            to_rfc3339(range.end())
        );
        group = group.element(Level::HELP.with_name("suggestion").message(wrapped(&text, width)));
    }
    let rendered = renderer.render(&[group]);
    match rendered.split_once('\n') {
        Some((title, rest)) => format!("{}\n{rest}", wrapped_title(title, terminal_width)),
        None => rendered,
    }
}

/// Breaks a title, which may have escapes in it, between words; what goes on is indented.
fn wrapped_title(title: &str, width: usize) -> String {
    const INDENT: usize = 4;
    let mut wrapped = String::with_capacity(title.len() + 16);
    let mut column = 0;
    for (index, word) in title.split(' ').enumerate() {
        let length = visible_characters(word);
        if index > 0 && column + 1 + length > width {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(INDENT));
            column = INDENT;
        } else if index > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
}

/// How many characters of a text are not in escapes.
fn visible_characters(text: &str) -> usize {
    let mut pieces = text.split('\u{1b}');
    let before = pieces.next().map_or(0, |piece| piece.chars().count());
    let after = pieces.map(|piece| piece.split_once('m').map_or(0, |(_, shown)| shown.chars().count()));
    before + after.sum::<usize>()
}

/// The lines of a finding, and where in them it is.
struct Window<'a> {
    source: &'a str,
    span: std::ops::Range<usize>,
}

/// The lines from the first of a finding to its last. Of a line of megabytes only what is near is shown.
fn window<'a>(text: &'a str, finding: &Finding) -> Window<'a> {
    let range = finding.span.range();
    let start = text[..range.start].rfind('\n').map_or(0, |feed| feed + 1);
    let end = text[range.end..].find('\n').map_or(text.len(), |feed| range.end + feed);
    let start = start.max(text.floor_char_boundary(range.start.saturating_sub(WINDOW_BYTES)));
    let marked_end = range.end.min(text.floor_char_boundary(range.start + 2 * WINDOW_BYTES));
    let end = end.min(text.floor_char_boundary(marked_end + WINDOW_BYTES));
    // Of a line that ends as on Windows, the carriage return is not shown.
    let end = end - usize::from(end > marked_end && text[..end].ends_with('\r'));
    Window {
        source: &text[start..end],
        span: range.start - start..marked_end - start,
    }
}

/// Breaks a text at spaces into lines of about a width.
fn wrapped(text: &str, width: usize) -> String {
    let text = normalize_untrusted_str(text);
    let mut lines = String::with_capacity(text.len() + 8);
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            lines.push('\n');
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines
}
