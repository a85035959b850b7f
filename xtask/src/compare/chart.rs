//! Charts as SVG, with nothing but text and shapes, so that a page of Markdown shows them anywhere.

use std::fmt::Write;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 40.0;
const ROW: f64 = 30.0;
const COLOURS: [&str; 8] = [
    "#1b6ca8", "#5aa9e6", "#d1495b", "#edae49", "#66a182", "#8d6a9f", "#555555", "#aaaaaa",
];

/// A value on a row, with the range that it was seen in.
pub(super) struct Mark {
    pub(super) series: String,
    pub(super) value: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

pub(super) struct Row {
    pub(super) label: String,
    pub(super) marks: Vec<Mark>,
}

/// A line of a chart of growth.
pub(super) struct Line {
    pub(super) label: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// An axis on which ten times as much is always as far.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// From the power of ten below the least value to the one above the most.
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let logs: Vec<f64> = values.filter(|value| *value > 0.0).map(f64::log10).collect();
        let low = logs.iter().copied().fold(f64::INFINITY, f64::min).floor();
        let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
        if low.is_finite() && high > low {
            Self { low, high, from, to }
        } else {
            let low = if low.is_finite() { low } else { 0.0 };
            Self {
                low,
                high: low + 1.0,
                from,
                to,
            }
        }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.max(f64::MIN_POSITIVE).log10() - self.low) / (self.high - self.low);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> + use<> {
        (self.low as i32..=self.high as i32).map(|power| 10f64.powi(power))
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A number as an axis has it: 0.01, 1, 100, 10k, 10M, 1G.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e9 => format!("{:.0}G", value / 1e9),
        value if value >= 1e6 => format!("{:.0}M", value / 1e6),
        value if value >= 1e4 => format!("{:.0}k", value / 1e3),
        value => format!("{value}"),
    }
}

fn opening(height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    )
}

fn legend(svg: &mut String, series: &[String], y: f64) {
    let columns = 3;
    for (number, name) in series.iter().enumerate() {
        let x = LEFT + (number % columns) as f64 * 225.0;
        let y = y + (number / columns) as f64 * 18.0;
        let colour = COLOURS[number % COLOURS.len()];
        let _ = writeln!(
            svg,
            "<circle cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"5\" fill=\"{colour}\"/><text x=\"{:.0}\" y=\"{:.0}\">{}</text>",
            x + 10.0,
            y + 4.0,
            escaped(name)
        );
    }
}

/// Marks on rows, over a common axis.
pub(super) fn marks(title: &str, rows: &[Row]) -> String {
    let mut series: Vec<String> = Vec::new();
    for mark in rows.iter().flat_map(|row| &row.marks) {
        if !series.contains(&mark.series) {
            series.push(mark.series.clone());
        }
    }
    let head = 40.0 + series.len().div_ceil(3) as f64 * 18.0;
    let bottom = head + rows.len() as f64 * ROW;
    let values = rows.iter().flat_map(|row| &row.marks);
    let axis = Axis::over(values.flat_map(|mark| [mark.least, mark.most]), LEFT, WIDTH - RIGHT);
    let mut svg = opening(bottom + 30.0);
    let _ = writeln!(
        svg,
        "<text x=\"10\" y=\"20\" font-size=\"14\">{}</text>",
        escaped(title)
    );
    legend(&mut svg, &series, 40.0);
    for power in axis.powers() {
        let x = axis.place(power);
        let colour = if power == 1.0 { "#888888" } else { "#dddddd" };
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{head:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"{colour}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 16.0,
            short(power)
        );
    }
    for (number, row) in rows.iter().enumerate() {
        let y = head + (number as f64 + 0.5) * ROW;
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 10.0,
            y + 4.0,
            escaped(&row.label)
        );
        for mark in &row.marks {
            let colour = series.iter().position(|name| *name == mark.series).unwrap_or_default();
            let colour = COLOURS[colour % COLOURS.len()];
            let _ = writeln!(
                svg,
                "<line x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"{colour}\" stroke-width=\"2\"/>\
                 <circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{colour}\"/>",
                axis.place(mark.least),
                axis.place(mark.most),
                axis.place(mark.value)
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Lines over two such axes.
pub(super) fn lines(title: &str, across: &str, up: &str, lines: &[Line]) -> String {
    let (top, bottom) = (60.0 + lines.len().div_ceil(3) as f64 * 18.0, 420.0);
    let points = || lines.iter().flat_map(|line| &line.points);
    let x = Axis::over(points().map(|point| point.0), LEFT - 100.0, WIDTH - RIGHT);
    let y = Axis::over(points().map(|point| point.1), bottom, top);
    let mut svg = opening(bottom + 50.0);
    let _ = writeln!(
        svg,
        "<text x=\"10\" y=\"20\" font-size=\"14\">{}</text><text x=\"10\" y=\"{:.0}\">{}</text>\
         <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>",
        escaped(title),
        top - 10.0,
        escaped(up),
        WIDTH - RIGHT,
        bottom + 40.0,
        escaped(across)
    );
    let names: Vec<String> = lines.iter().map(|line| line.label.clone()).collect();
    legend(&mut svg, &names, 40.0);
    for power in x.powers() {
        let place = x.place(power);
        let _ = writeln!(
            svg,
            "<line x1=\"{place:.1}\" y1=\"{top:.1}\" x2=\"{place:.1}\" y2=\"{bottom:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{place:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 16.0,
            short(power)
        );
    }
    for power in y.powers() {
        let place = y.place(power);
        let _ = writeln!(
            svg,
            "<line x1=\"{:.1}\" y1=\"{place:.1}\" x2=\"{:.1}\" y2=\"{place:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 100.0,
            WIDTH - RIGHT,
            LEFT - 106.0,
            place + 4.0,
            short(power)
        );
    }
    for (number, line) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let path: Vec<String> = line
            .points
            .iter()
            .map(|(across, up)| format!("{:.1},{:.1}", x.place(*across), y.place(*up)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        for point in &path {
            let (across, up) = point.split_once(',').unwrap_or_default();
            let _ = writeln!(svg, "<circle cx=\"{across}\" cy=\"{up}\" r=\"3\" fill=\"{colour}\"/>");
        }
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_times_as_much_is_always_as_far() {
        let axis = Axis::over([0.5, 20.0].into_iter(), 0.0, 300.0);
        assert_eq!(axis.powers().collect::<Vec<_>>(), [0.1, 1.0, 10.0, 100.0]);
        for (value, place) in [(0.1, 0.0), (1.0, 100.0), (10.0, 200.0), (100.0, 300.0)] {
            assert!((axis.place(value) - place).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn an_axis_has_a_length_whatever_is_on_it() {
        for values in [vec![], vec![1.0], vec![0.0, 5.0]] {
            let axis = Axis::over(values.into_iter(), 0.0, 1.0);
            assert!(axis.high > axis.low && axis.place(1.0).is_finite());
        }
    }

    #[test]
    fn a_chart_shows_every_mark_and_escapes_what_it_is_given() {
        let mark = |series: &str, value| Mark {
            series: series.to_owned(),
            value,
            least: value / 2.0,
            most: value * 2.0,
        };
        let svg = marks(
            "a < b",
            &[Row {
                label: "drain & drop".to_owned(),
                marks: vec![mark("one", 1.0), mark("two", 3.0)],
            }],
        );
        assert!(svg.contains("a &lt; b") && svg.contains("drain &amp; drop"), "{svg}");
        // One in the legend and one on the row, for each.
        assert_eq!(svg.matches("<circle").count(), 4);
        assert_eq!(
            svg.matches('&').count(),
            svg.matches("&lt;").count() + svg.matches("&amp;").count()
        );
    }

    #[test]
    fn a_line_goes_through_all_of_its_points() {
        let line = Line {
            label: "bytes".to_owned(),
            points: vec![(1e6, 0.001), (1e9, 1.0)],
        };
        let svg = lines("growth", "bytes", "seconds", &[line]);
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains(">1G<") && svg.contains(">0.001<"), "{svg}");
    }
}
