//! Fewer bars: those that would be drawn within the same pixel become one.

use crate::bar::{Bar, Span};
use crate::row::{MOST_LANES, Row};

/// The bars of a row, where those that begin in the same stretch of `resolution` milliseconds and are shorter than it are
/// one. Each lane gets no more than two bars for each stretch.
///
/// In the last lane, and in a row that several instances share, bars lie over each other, so that their length does not
/// bound how many there are: there they are joined however long they are.
pub(crate) fn condense(row: &Row, origin: f64, resolution: f64) -> Vec<Bar> {
    if resolution <= 0.0 {
        return row.bars.clone();
    }
    let stretch = |bar: &Bar| ((bar.span.begin - origin) / resolution).floor();
    let any_length = |bar: &Bar| row.is_shared() || bar.lane + 1 == MOST_LANES;
    let joins = |a: &Bar, b: &Bar| {
        a.lane == b.lane
            && stretch(a) == stretch(b)
            && (any_length(b) || a.span.length() < resolution && b.span.length() < resolution)
    };
    let mut bars: Vec<Bar> = Vec::new();
    for bar in &row.bars {
        match bars.last_mut() {
            Some(last) if joins(last, bar) => last.absorb(bar),
            _ => bars.push(bar.clone()),
        }
    }
    bars
}

/// The bars of all rows, condensed until there are no more than `most`, or nothing is left to condense.
pub(crate) fn condense_to(rows: &[&Row], span: Span, most: usize) -> Vec<Vec<Bar>> {
    let all =
        |resolution: f64| -> Vec<Vec<Bar>> { rows.iter().map(|row| condense(row, span.begin, resolution)).collect() };
    let mut bars = all(0.0);
    let mut stretches = 4096.0;
    while bars.iter().map(Vec::len).sum::<usize>() > most && stretches >= 1.0 {
        // The last instant belongs to the last stretch.
        bars = all((span.length() / stretches).next_up().max(f64::MIN_POSITIVE));
        stretches /= 2.0;
    }
    bars
}

/// The spans, where those closer than `resolution` milliseconds are one. They come in order.
pub(crate) fn condense_spans(spans: &[Span], resolution: f64) -> Vec<Span> {
    let mut joined: Vec<Span> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last) if span.begin - last.end < resolution && span.end - last.begin < 2.0 * resolution => {
                *last = last.join(*span);
            }
            _ => joined.push(*span),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Instance, Label};
    use crate::testing::bar;
    use proptest::prelude::*;

    fn row(spans: &[(i64, i64)], instance: Instance) -> Row {
        let label = Label {
            view_set: "x".to_owned(),
            instance,
        };
        Row::new(label, spans.iter().map(|(begin, end)| bar(*begin, *end)).collect(), 0)
    }

    fn one() -> Instance {
        Instance::One {
            is_other: true,
            id: "p".to_owned(),
        }
    }

    #[test]
    fn bars_within_a_stretch_become_one_and_long_ones_stay() {
        let row = row(&[(0, 1), (2, 3), (4, 30), (31, 32), (38, 39)], one());
        let bars = condense(&row, 0.0, 10.0);
        let told: Vec<_> = bars
            .iter()
            .map(|bar| (bar.span.begin as i64, bar.span.end as i64, bar.partitions, bar.rows))
            .collect();
        assert_eq!(told, [(0, 3, 2, 2), (4, 30, 1, 1), (31, 39, 2, 2)]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_limit_holds(
            spans in prop::collection::vec((0i64..1000, 0i64..400), 1..120),
            most in 10usize..60,
            shared in any::<bool>(),
        ) {
            let spans: Vec<_> = spans.iter().map(|(begin, length)| (*begin, begin + length)).collect();
            let row = row(&spans, if shared { Instance::Many(3) } else { one() });
            let span = row.span().unwrap();
            let bars = condense_to(&[&row], span, most).remove(0);
            prop_assert_eq!(bars.iter().map(|bar| bar.partitions).sum::<u64>(), spans.len() as u64);
            prop_assert!(bars.len() <= most, "{} bars", bars.len());
            let whole = bars.iter().map(|bar| bar.span).reduce(Span::join).unwrap();
            prop_assert_eq!(whole, span);
        }
    }
}
