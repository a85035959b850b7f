//! A map as one SVG picture.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::bar::{Bar, Span};
use crate::condense::{condense, condense_spans};
use crate::map::PartitionMap;
use crate::row::Row;
use crate::scale::{CLASSES, Scale};
use crate::text::{self, escaped};
use crate::ticks::ticks;
use crate::{ColorBy, TimeAxis};

/// The style of the picture, which follows the reader's preference for light or dark.
const STYLE: &str = include_str!("svg.css");

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 16.0;
const LABELS: f64 = 270.0;
const PLOT: f64 = WIDTH - LABELS - 2.0 * MARGIN;
/// Pixels from the top to the axis: title, sums, plan, legend.
const HEAD: f64 = 116.0;
const HEADING: f64 = 24.0;
const ROW: f64 = 20.0;
const BAR: f64 = 12.0;
/// The least width of a bar: thinner ones do not show.
const LEAST: f64 = 1.5;
/// Columns of a label in its monospaced font.
const LABEL_COLUMNS: usize = 38;

impl PartitionMap {
    /// The map as an SVG document of 1,200 pixels across, with hints (`title`) on every bar. It follows the reader's
    /// preference for light or dark where that is known.
    pub fn to_svg(&self) -> String {
        let rows = self.rows_up_to(self.options.most_rows);
        let mut picture = Picture::new(self);
        picture.head();
        let mut top = HEAD + 26.0;
        let first = top;
        let mut view_set = None;
        for row in &rows {
            if view_set != Some(&row.label.view_set) {
                view_set = Some(&row.label.view_set);
                picture.heading(&row.label.view_set, top);
                top += HEADING;
            }
            picture.row(row, top);
            top += ROW;
        }
        if rows.is_empty() {
            picture.text(MARGIN, top + 16.0, "note", "there is no partition");
            top += HEADING;
        }
        // What is drawn first lies below the rest.
        let drawn = std::mem::take(&mut picture.body);
        picture.axis(first, top);
        picture.body.push_str(&drawn);
        picture.finish(top + MARGIN, &rows)
    }
}

struct Picture<'a> {
    map: &'a PartitionMap,
    span: Span,
    scale: Scale,
    body: String,
}

impl<'a> Picture<'a> {
    fn new(map: &'a PartitionMap) -> Self {
        Self {
            map,
            span: map.drawn_span(),
            scale: map.scale(map.options.color_by),
            body: String::new(),
        }
    }

    fn x(&self, at: f64) -> f64 {
        MARGIN + LABELS + (at - self.span.begin) / self.span.length() * PLOT
    }

    /// Milliseconds that are one pixel wide.
    fn resolution(&self) -> f64 {
        self.span.length() / PLOT
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" class="{class}">{}</text>"#,
            escaped(text)
        );
    }

    fn head(&mut self) {
        let map = self.map;
        self.text(
            MARGIN,
            30.0,
            "title",
            &text::fitted(&text::printable(&map.options.title), 110, "…"),
        );
        self.text(MARGIN, 52.0, "note", &text::summary(map));
        if let Some(plan) = text::plan_summary(map) {
            self.text(MARGIN, 70.0, "note planned-note", &plan);
        }
        self.legend(84.0);
    }

    fn legend(&mut self, top: f64) {
        let color_by = self.map.options.color_by;
        self.text(MARGIN, top + 11.0, "note", &format!("{}:", text::measure(color_by)));
        let mut x = MARGIN + 50.0;
        let mut swatches = Vec::new();
        if color_by != ColorBy::Age {
            swatches.push(("c0".to_owned(), "0".to_owned()));
        }
        let all_the_same = self.scale.low >= self.scale.high;
        let first = if all_the_same { CLASSES - 1 } else { 0 };
        for (class, threshold) in self.scale.thresholds().iter().enumerate().skip(first) {
            let told = format!("≥ {}", text::measured(*threshold, color_by));
            swatches.push((format!("c{}", class + 1), told));
        }
        swatches.push(("gap".to_owned(), "gap".to_owned()));
        swatches.push(("overlap".to_owned(), "overlap".to_owned()));
        if self.map.totals().planned > 0 {
            swatches.push(("planned".to_owned(), "planned to be retired".to_owned()));
        }
        for (class, told) in swatches {
            self.swatch(x, top, &class);
            self.text(x + 26.0, top + 11.0, "note", &told);
            x += 42.0 + 6.4 * told.chars().count() as f64;
        }
    }

    fn swatch(&mut self, x: f64, top: f64, class: &str) {
        let _ = match class {
            "gap" => {
                let y = top + 7.0;
                writeln!(
                    self.body,
                    r#"<line class="gap" x1="{x:.1}" x2="{:.1}" y1="{y}" y2="{y}"/>"#,
                    x + 20.0
                )
            }
            "overlap" => {
                let y = top + 6.0;
                writeln!(
                    self.body,
                    r#"<rect class="overlap" x="{x:.1}" y="{y}" width="20" height="2.5"/>"#
                )
            }
            class => writeln!(
                self.body,
                r#"<rect class="bar {class}" x="{x:.1}" y="{top}" width="20" height="{BAR}"/>"#
            ),
        };
    }

    fn heading(&mut self, view_set: &str, top: f64) {
        let shown = text::fitted(&text::printable(view_set), LABEL_COLUMNS, "…");
        self.text(MARGIN, top + 17.0, "view-set", &shown);
    }

    fn row(&mut self, row: &Row, top: f64) {
        let instance = text::instance(&row.label);
        let shown = text::fitted(&instance, LABEL_COLUMNS, "…");
        let _ = writeln!(
            self.body,
            r#"<g><text x="{:.1}" y="{:.1}" class="instance">{}<title>{}</title></text>"#,
            MARGIN + 8.0,
            top + 13.0,
            escaped(&shown),
            escaped(&format!(
                "{}/{instance}: {}, {}, {}",
                row.label.view_set,
                text::counted(row.partitions(), "partition"),
                text::counted(row.rows(), "row"),
                text::bytes(row.bytes() as f64)
            ))
        );
        let middle = top + ROW / 2.0;
        for gap in condense_spans(&row.gaps, self.resolution()) {
            let (x1, x2) = (self.x(gap.begin), self.x(gap.end));
            if x2 - x1 >= 1.0 {
                let _ = writeln!(
                    self.body,
                    r#"<line class="gap" x1="{x1:.1}" x2="{x2:.1}" y1="{middle:.1}" y2="{middle:.1}"/>"#
                );
            }
        }
        for bar in condense(row, self.span.begin, self.resolution()) {
            self.bar(&bar, row.lanes, top + (ROW - BAR) / 2.0);
        }
        for overlap in condense_spans(&row.overlaps, self.resolution()) {
            let x = self.x(overlap.begin);
            let width = (self.x(overlap.end) - x).max(LEAST * 2.0);
            let y = top + ROW - 3.0;
            let _ = writeln!(
                self.body,
                r#"<rect class="overlap" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="2.5"/>"#
            );
        }
        self.body.push_str("</g>\n");
    }

    fn bar(&mut self, bar: &Bar, lanes: usize, top: f64) {
        let color_by = self.map.options.color_by;
        let class = match (bar.rows, color_by) {
            // Where nothing is in it, it is hollow whatever the colours stand for.
            (0, _) => 0,
            _ => self.scale.class(self.map.value(bar, color_by)),
        };
        let x = self.x(bar.span.begin);
        let width = (self.x(bar.span.end) - x).max(LEAST);
        let height = BAR / lanes.max(1) as f64;
        let y = top + height * bar.lane as f64;
        let other = match self.map.options.axis {
            TimeAxis::Insert => TimeAxis::Event,
            TimeAxis::Event => TimeAxis::Insert,
        };
        let place = format!(r#"x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}""#);
        let _ = write!(self.body, r#"<g><rect class="bar c{class}" {place}/>"#);
        if bar.planned > 0 {
            let _ = write!(self.body, r#"<rect class="planned" {place}/>"#);
        }
        let told = text::details(bar, other).join("\n");
        let _ = writeln!(self.body, "<title>{told}</title></g>");
    }

    fn axis(&mut self, top: f64, bottom: f64) {
        let told = format!("{} (UTC)", text::axis(self.map.options.axis));
        self.text(MARGIN, top - 8.0, "note", &told);
        for tick in ticks(self.span, 9) {
            let x = self.x(tick.at);
            let _ = writeln!(
                self.body,
                r#"<line class="tick" x1="{x:.1}" x2="{x:.1}" y1="{:.1}" y2="{bottom:.1}"/>"#,
                top - 4.0
            );
            self.text(x, top - 8.0, "tick-label", &tick.label);
        }
    }

    fn finish(self, height: f64, rows: &[Cow<'_, Row>]) -> String {
        let title = escaped(&self.map.options.title);
        let description = escaped(&format!("{}, in {} rows", text::summary(self.map), rows.len()));
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0}" width="{WIDTH}" height="{height:.0}" role="img" aria-labelledby="title description">
<title id="title">{title}</title>
<desc id="description">{description}</desc>
<style>
{STYLE}</style>
<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="hatch" width="2" height="5"/></pattern></defs>
<rect class="ground" width="100%" height="100%"/>
{}</svg>
"##,
            self.body
        )
    }
}
