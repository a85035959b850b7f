//! The names that somebody may have meant.

/// How many names are offered.
const MOST_NAMES: usize = 3;

/// The names nearest to what was written, nearest first and at most three; none when nothing is near.
///
/// ```
/// let names = ["log_entries", "measures"];
/// assert_eq!(lakepilot_analysis::nearest_names("log_entires", names), ["log_entries"]);
/// ```
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let written = written.to_lowercase();
    let allowed = (written.chars().count() / 3).clamp(1, 4);
    let mut near: Vec<(usize, &str)> = names
        .into_iter()
        .filter(|name| name.len().abs_diff(written.len()) <= allowed * 4)
        .filter_map(|name| {
            let distance = distance(&written, &name.to_lowercase());
            let is_near = distance <= allowed || (written.len() >= 4 && name.to_lowercase().starts_with(&written));
            is_near.then_some((distance, name))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(MOST_NAMES).map(|(_, name)| name).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one text to the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, character) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, &other) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(character != other);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            if column > 0 && previous == Some(other) && right[column - 1] == character {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(character);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_nearest_first() {
        let names = ["log_entries", "log_stats", "measures", "processes"];
        assert_eq!(nearest("log_entrie", names), ["log_entries"]);
        assert_eq!(nearest("mesaures", names), ["measures"]);
        assert_eq!(nearest("LOG_STAT", names), ["log_stats"]);
        assert!(nearest("spans", names).is_empty());
        assert!(nearest("", names).is_empty());
    }

    #[test]
    fn a_swap_counts_once() {
        assert_eq!(distance("mgs", "msg"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
