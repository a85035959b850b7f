//! A map as one page that explores itself, with nothing beside it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::bar::{Bar, Span};
use crate::condense::{condense_spans, condense_to};
use crate::map::PartitionMap;
use crate::row::{Instance, Row};
use crate::text::{self, escaped, printable};
use crate::{ColorBy, TimeAxis};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Names of files beyond so many bytes in all are left out of a page: they are long, and most of what it would weigh.
const MOST_FILE_NAMES_BYTES: usize = 512 * 1024;

impl PartitionMap {
    /// The map as an HTML document to explore: hints on every bar, zoom, a filter, other colours, all of it by mouse, touch
    /// or keyboard. It is one file, loads nothing, and may not: its content security policy allows its own script and
    /// style, by their hashes, and nothing else.
    ///
    /// It has no more bars than the options allow, so that a page of a very large lake opens as well.
    pub fn to_html(&self) -> String {
        let rows = self.rows_up_to(self.options.most_rows);
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
            hash(SCRIPT),
            hash(STYLE)
        );
        let plan = text::plan_summary(self)
            .map_or_else(String::new, |plan| format!("<p class=\"plan\">{}</p>", escaped(&plan)));
        let values = [
            ("policy", policy.as_str()),
            ("title", &escaped(&self.options.title)),
            ("summary", &escaped(&text::summary(self))),
            ("plan", &plan),
            ("style", STYLE),
            ("data", &script_safe(&self.data(&rows))),
            ("script", SCRIPT),
        ];
        fill(TEMPLATE, &values)
    }

    fn data(&self, rows: &[Cow<'_, Row>]) -> Value {
        let span = self.drawn_span();
        let plain: Vec<&Row> = rows.iter().map(|row| &**row).collect();
        let bars = condense_to(&plain, span, self.options.most_bars);
        let names: usize = bars
            .iter()
            .flatten()
            .filter_map(|bar| bar.file.as_ref())
            .map(String::len)
            .sum();
        let with_files = names <= MOST_FILE_NAMES_BYTES;
        let scale = |color_by| {
            let scale = self.scale(color_by);
            json!([scale.low, scale.high])
        };
        let (axis, other) = match self.options.axis {
            TimeAxis::Insert => (TimeAxis::Insert, TimeAxis::Event),
            TimeAxis::Event => (TimeAxis::Event, TimeAxis::Insert),
        };
        json!({
            "axis": text::axis(axis),
            "otherAxis": text::axis(other),
            "colorBy": text::measure(self.options.color_by),
            "now": crate::bar::millis(self.options.now) - span.begin,
            "origin": span.begin,
            "length": span.length(),
            "planned": self.totals.planned,
            "scales": {
                "rows": scale(ColorBy::Rows),
                "bytes": scale(ColorBy::Bytes),
                "age": scale(ColorBy::Age),
            },
            "rows": plain
                .iter()
                .zip(&bars)
                .map(|(row, bars)| row_data(row, bars, span, with_files))
                .collect::<Vec<_>>(),
        })
    }
}

/// A row as lists of numbers, a list for each thing that a bar has, which is half the size of an object for each bar.
fn row_data(row: &Row, bars: &[Bar], span: Span, with_files: bool) -> Value {
    let since = |at: f64| round(at - span.begin);
    let list = |value: &dyn Fn(&Bar) -> Value| Value::Array(bars.iter().map(value).collect());
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    put("viewSet", json!(printable(&row.label.view_set)));
    put("instance", json!(text::instance(&row.label)));
    if let Instance::Many(count) = row.label.instance {
        put("shared", json!(count));
    }
    put("begin", list(&|bar| since(bar.span.begin)));
    put("length", list(&|bar| round(bar.span.length())));
    put("rows", list(&|bar| json!(bar.rows)));
    put("bytes", list(&|bar| json!(bar.bytes)));
    put("written", list(&|bar| since(bar.written)));
    put(
        "otherBegin",
        list(&|bar| bar.other.map_or(Value::Null, |other| since(other.begin))),
    );
    put(
        "otherLength",
        list(&|bar| bar.other.map_or(Value::Null, |other| round(other.length()))),
    );
    if row.lanes > 1 {
        put("lanes", json!(row.lanes));
        put("lane", list(&|bar| json!(bar.lane)));
    }
    if bars.iter().any(|bar| bar.partitions > 1) {
        put("partitions", list(&|bar| json!(bar.partitions)));
    }
    if bars.iter().any(|bar| bar.planned > 0) {
        put("planned", list(&|bar| json!(bar.planned)));
    }
    if with_files {
        put("file", list(&|bar| json!(bar.file.as_deref().map(printable))));
    }
    // Thinner than a pixel of a screen of 4,000 even when all is shown.
    let thin = span.length() / 4096.0;
    for (name, spans) in [("gaps", &row.gaps), ("overlaps", &row.overlaps)] {
        let spans = if spans.len() > 500 {
            condense_spans(spans, thin)
        } else {
            spans.clone()
        };
        let ends = spans.iter().flat_map(|span| [since(span.begin), round(span.length())]);
        if !spans.is_empty() {
            put(name, ends.collect());
        }
    }
    if row.undrawn > 0 {
        put("undrawn", json!(row.undrawn));
    }
    Value::Object(data)
}

/// Milliseconds to the microsecond; whole ones without a point.
fn round(millis: f64) -> Value {
    let rounded = (millis * 1000.0).round() / 1000.0;
    if rounded.fract() == 0.0 && rounded.abs() < 9e15 {
        json!(rounded as i64)
    } else {
        json!(rounded)
    }
}

/// JSON in which nothing can end the element that it stands in.
fn script_safe(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}

/// The template with its `{{names}}` replaced, in one pass: what is put in is not looked at again.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len() + values.iter().map(|(_, value)| value.len()).sum::<usize>());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            rest = after;
            break;
        };
        filled.push_str(
            values
                .iter()
                .find(|(known, _)| *known == name)
                .map_or("", |(_, value)| value),
        );
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MapOptions;
    use crate::testing::{partition, time};

    #[test]
    fn a_template_is_filled_once() {
        assert_eq!(fill("a {{x}} b {{y}}", &[("x", "{{y}}"), ("y", "2")]), "a {{y}} b 2");
    }

    #[test]
    fn every_name_of_the_template_is_known() {
        let page = PartitionMap::new(&[], &[], &MapOptions::new(time(0))).to_html();
        assert!(!page.contains("{{") && page.ends_with("</html>\n"), "{page}");
    }

    /// What a browser hashes is the text between the tags.
    #[test]
    fn the_policy_has_the_hashes_of_what_is_in_the_page() {
        let page = PartitionMap::new(&[], &[], &MapOptions::new(time(0))).to_html();
        let between = |begin: &str, end: &str| {
            let (_, rest) = page.split_once(begin).unwrap();
            rest.split_once(end).unwrap().0
        };
        let policy = between("http-equiv=\"Content-Security-Policy\" content=\"", "\"");
        assert!(policy.contains(&hash(between("<script>", "</script>"))));
        assert!(policy.contains(&hash(between("<style>", "</style>"))));
    }

    #[test]
    fn hostile_names_stay_text() {
        let name = "</script><script>alert(1)</script><!--\u{202e}\"'";
        let all = [partition(name, name, 0, 1)];
        let options = MapOptions::new(time(2)).with_title(name);
        let map = PartitionMap::new(&all, &[], &options);
        let page = map.to_html();
        assert_eq!(page.matches("<script").count(), 2, "the data and the script");
        assert_eq!(page.matches("</script").count(), 2);
        assert!(!page.contains("<!--") && !page.contains('\u{202e}'));
        let svg = map.to_svg();
        assert!(!svg.contains("<script") && !svg.contains("<!--"));
    }

    #[test]
    fn a_page_of_a_very_large_lake_is_bounded() {
        let mut all = Vec::new();
        for instance in 0..1_000 {
            let name = format!("{instance:08}-0000-4000-8000-000000000000");
            let begins = (0..10).map(|n| (n * 1_000 + instance) * 50);
            all.extend(begins.map(|begin| partition("thread_spans", &name, begin, begin + 40)));
        }
        let options = MapOptions::new(time(10_000_000));
        let map = PartitionMap::new(&all, &all[..3], &options);
        assert_eq!((map.totals().partitions, map.totals().instances), (10_000, 1_000));
        let page = map.to_html();
        assert!(page.len() < 1_500_000, "{} bytes", page.len());
        let map = PartitionMap::new(&all, &all[..3], &options.with_most_rows(200).with_most_bars(2_000));
        let (page, svg) = (map.to_html(), map.to_svg());
        assert!(page.len() < 300_000, "{} bytes", page.len());
        assert!(svg.len() < 1_500_000, "{} bytes", svg.len());
        assert!(page.contains("800 more instances") && svg.contains("800 more instances"));
    }
}
