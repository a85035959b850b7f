//! `lakepilot run --verify`: a directory of parts against its manifest.

use std::path::Path;

use lakepilot_execution::{Verification, verify_parts};
use lakepilot_query::{Error, ErrorKind, Result};

use crate::commands::blocking;
use crate::exit::Outcome;
use crate::output::{self, DataFormat, text};
use crate::terminal;

pub(super) async fn verify(directory: &Path, format: Option<DataFormat>) -> Result<Outcome> {
    let json = match format {
        None | Some(DataFormat::Table) => false,
        Some(DataFormat::Json) => true,
        Some(_) => {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "what --verify finds is text, or JSON with --format json",
            ));
        }
    };
    let path = directory.to_owned();
    let found = blocking(move || verify_parts(path)).await?;
    if json {
        output::print_json(&found)?;
    } else {
        let told = describe(directory, &found);
        output::print(&(text::wrap(&told, terminal::stdout_width()) + "\n"))?;
    }
    Ok(if found.is_complete() {
        Outcome::Done
    } else {
        Outcome::NotVerified
    })
}

fn describe(directory: &Path, found: &Verification) -> String {
    let mut lines = Vec::new();
    lines.extend(found.damaged.iter().map(|damage| format!("damaged: {damage}")));
    lines.extend(
        ranges(&found.missing)
            .into_iter()
            .map(|slices| format!("missing: {slices}")),
    );
    lines.extend(found.foreign.iter().map(|name| format!("not of the run: {name}")));
    let whole = format!(
        "{} of {} whole, {}, {}",
        text::count(found.whole.len() as u64),
        text::counted(found.slices as u64, "part"),
        text::counted(found.rows(), "row"),
        text::bytes(found.whole.iter().map(|part| part.bytes).sum::<u64>() as f64),
    );
    lines.push(whole);
    if !found.missing.is_empty() || !found.damaged.is_empty() {
        lines.push(format!(
            "what is missing or damaged is fetched by: lakepilot run --resume {}",
            directory.display()
        ));
    }
    lines.join("\n")
}

/// Numbers that follow each other as one entry.
fn ranges(numbers: &[usize]) -> Vec<String> {
    numbers
        .chunk_by(|left, right| left + 1 == *right)
        .map(|run| match run {
            [first, .., last] => format!("the parts of slices {first} to {last}"),
            _ => run.iter().map(|slice| format!("the part of slice {slice}")).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_that_follow_each_other_are_one_line() {
        assert_eq!(
            ranges(&[0, 3, 4, 5, 9]),
            [
                "the part of slice 0",
                "the parts of slices 3 to 5",
                "the part of slice 9"
            ]
        );
        assert!(ranges(&[]).is_empty());
    }
}
