//! What a map shows, and how.

use chrono::{DateTime, Utc};

/// Which of a partition's times goes across.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeAxis {
    /// When its rows reached the lake: what partitions are cut by, and what retention goes by.
    #[default]
    Insert,
    /// When what its rows tell of happened. A partition without rows has no event time, and is not drawn.
    Event,
}

/// What the colour of a bar stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorBy {
    /// Its rows.
    #[default]
    Rows,
    /// The bytes of its file.
    Bytes,
    /// The time since it was written, which for one that was written anew is not the time since its rows came.
    Age,
}

/// What a map shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapOptions {
    pub(crate) now: DateTime<Utc>,
    pub(crate) axis: TimeAxis,
    pub(crate) color_by: ColorBy,
    pub(crate) title: String,
    pub(crate) most_rows: usize,
    pub(crate) most_bars: usize,
}

impl MapOptions {
    /// Insert time across, coloured by rows, at most 2,000 rows and 20,000 bars. Ages are counted up to `now`.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            now,
            axis: TimeAxis::default(),
            color_by: ColorBy::default(),
            title: "Partitions".to_owned(),
            most_rows: 2_000,
            most_bars: 20_000,
        }
    }

    /// With another time across.
    #[must_use]
    pub fn with_axis(mut self, axis: TimeAxis) -> Self {
        self.axis = axis;
        self
    }

    /// With other colours; a page lets its reader change them.
    #[must_use]
    pub fn with_color_by(mut self, color_by: ColorBy) -> Self {
        self.color_by = color_by;
        self
    }

    /// With a title, such as which lake it is.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// With at most so many rows of instances (zero counts as one); the others share a row for each view set.
    #[must_use]
    pub fn with_most_rows(mut self, rows: usize) -> Self {
        self.most_rows = rows.max(1);
        self
    }

    /// With at most so many bars in a page, or one for each row; those beyond share a bar with their neighbours.
    #[must_use]
    pub fn with_most_bars(mut self, bars: usize) -> Self {
        self.most_bars = bars.max(1);
        self
    }
}

/// How lines for a terminal are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StripOptions {
    pub(crate) width: usize,
    pub(crate) colored: bool,
    pub(crate) unicode: bool,
    pub(crate) most_rows: usize,
}

impl Default for StripOptions {
    /// 80 columns, no colours, Unicode blocks, at most 40 rows of instances.
    fn default() -> Self {
        Self {
            width: 80,
            colored: false,
            unicode: true,
            most_rows: 40,
        }
    }
}

impl StripOptions {
    /// In so many columns; fewer than 24 count as 24.
    #[must_use]
    pub fn with_width(mut self, columns: usize) -> Self {
        self.width = columns.max(24);
        self
    }

    /// With or without colours, as ANSI escape sequences.
    #[must_use]
    pub fn with_colors(mut self, colored: bool) -> Self {
        self.colored = colored;
        self
    }

    /// With blocks and dots beyond ASCII, or without.
    #[must_use]
    pub fn with_unicode(mut self, unicode: bool) -> Self {
        self.unicode = unicode;
        self
    }

    /// With at most so many rows of instances; the others share a row for each view set.
    #[must_use]
    pub fn with_most_rows(mut self, rows: usize) -> Self {
        self.most_rows = rows.max(1);
        self
    }
}
