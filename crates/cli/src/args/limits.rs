//! How large a result may be, and sizes in bytes as people write them.

use clap::Args;

/// How large the estimate of a result may be before the query is refused.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Refuse the query when its estimate is more rows than this
    #[arg(long, value_name = "N")]
    pub(crate) max_rows: Option<u64>,

    /// Refuse the query when its estimate is more bytes than this: 500MB, 2GiB
    #[arg(long, value_name = "SIZE", value_parser = byte_size)]
    pub(crate) max_bytes: Option<u64>,
}

const UNITS: [(&str, u64); 9] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// Reads a number of bytes: `1500`, `1.5kB`, `2 GiB`.
pub(crate) fn byte_size(text: &str) -> Result<u64, String> {
    let split = text
        .find(|character: char| character != '.' && !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = match unit.as_str() {
        "" => Some(1),
        unit => UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor),
    };
    let bytes = number
        .parse::<f64>()
        .ok()
        .zip(factor)
        .map(|(number, factor)| number * factor as f64);
    match bytes {
        // Two to the power of 53: up to there every number of bytes is exact.
        Some(bytes) if bytes <= 9_007_199_254_740_992.0 => Ok(bytes.round() as u64),
        _ => Err("write a number of bytes, or one with a unit: 1500, 500kB, 20MB, 2GiB".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        for (text, bytes) in [
            ("0", 0),
            ("1500", 1_500),
            ("1.5kB", 1_500),
            ("20MB", 20_000_000),
            ("2 GiB", 2_147_483_648),
            ("1tb", 1_000_000_000_000),
        ] {
            assert_eq!(byte_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MB", "-1", "1 mile", "1e9", "9999999TB", "1.2.3"] {
            assert!(byte_size(text).is_err(), "{text}");
        }
    }
}
