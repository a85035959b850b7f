//! Putting a `WHERE` together.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use lakepilot_query::quote_literal;

use crate::NamePattern;

/// More names than this in one list are left to be filtered on this side.
const MOST_NAMES: usize = 500;

/// Conditions that all have to hold; displays as ` WHERE ... AND ...`, or as nothing when there are none.
#[derive(Debug, Default)]
pub(crate) struct Conditions(Vec<String>);

impl Conditions {
    pub(crate) fn push(&mut self, condition: String) {
        self.0.push(condition);
    }

    /// The column has the value, if there is one.
    pub(crate) fn equals(&mut self, column: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.push(format!("{column} = {}", quote_literal(value)));
        }
    }

    /// The column has one of the values, if there is such a condition. The SQL does not depend on the set's order.
    pub(crate) fn one_of(&mut self, column: &str, values: Option<&HashSet<String>>) {
        let Some(values) = values else { return };
        if values.is_empty() {
            return self.push("false".to_owned());
        }
        if values.len() > MOST_NAMES {
            return;
        }
        let mut quoted: Vec<String> = values.iter().map(|value| quote_literal(value)).collect();
        quoted.sort_unstable();
        self.push(format!("{column} IN ({})", quoted.join(", ")));
    }

    /// The column matches one of the patterns, if there is such a condition, as far as SQL can say it.
    pub(crate) fn like_one_of(&mut self, column: &str, patterns: Option<&BTreeSet<NamePattern>>) {
        let Some(patterns) = patterns else { return };
        if patterns.is_empty() {
            return self.push("false".to_owned());
        }
        if patterns.len() > MOST_NAMES {
            return;
        }
        // One pattern that SQL cannot say lets every name through.
        let said: Option<Vec<String>> = patterns.iter().map(|pattern| pattern.condition(column)).collect();
        if let Some(said) = said {
            self.push(match said.as_slice() {
                [one] => one.clone(),
                several => format!("({})", several.join(" OR ")),
            });
        }
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, " WHERE {}", self.0.join(" AND "))
    }
}
