//! What a server claims of itself, as typed values.

use std::collections::BTreeMap;

/// One fact of a server, in the types that Flight SQL's `SqlInfo` has.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InfoValue {
    /// A text.
    Text(String),
    /// Yes or no.
    Bool(bool),
    /// A number, or one of a list of choices.
    Integer(i64),
    /// A set of choices, one bit each.
    Bits(i32),
    /// Several texts.
    Texts(Vec<String>),
    /// For each key a list of numbers.
    Lists(BTreeMap<i32, Vec<i32>>),
}

/// How far a server goes in transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionSupport {
    /// There are none.
    None,
    /// Transactions without savepoints.
    Transactions,
    /// Transactions and savepoints in them.
    Savepoints,
}

/// What a server claims of itself: the facts that it told, by the numbers of Flight SQL's `SqlInfo` (`FlightSql.proto` in
/// Apache Arrow). What it did not tell is `None`, which is not "no".
///
/// ```
/// use lakepilot_query::{InfoValue, ServerInfo};
///
/// let info: ServerInfo = [
///     (0, InfoValue::Text("a lake".to_owned())),
///     (9, InfoValue::Bool(true)),
/// ]
/// .into_iter()
/// .collect();
/// assert_eq!(info.name(), Some("a lake"));
/// assert_eq!(info.cancels(), Some(true));
/// assert_eq!(info.transactions(), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerInfo {
    values: BTreeMap<u32, InfoValue>,
}

impl ServerInfo {
    /// The fact with a number, such as 507, the functions on numbers.
    pub fn get(&self, number: u32) -> Option<&InfoValue> {
        self.values.get(&number)
    }

    /// All facts, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &InfoValue)> {
        self.values.iter().map(|(number, value)| (*number, value))
    }

    /// How many facts there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The server's name for itself (0).
    pub fn name(&self) -> Option<&str> {
        self.text(0)
    }

    /// Its version (1).
    pub fn version(&self) -> Option<&str> {
        self.text(1)
    }

    /// The version of Arrow that it is made with (2).
    pub fn arrow_version(&self) -> Option<&str> {
        self.text(2)
    }

    /// Whether nothing can be changed on it (3).
    pub fn is_read_only(&self) -> Option<bool> {
        self.bool(3)
    }

    /// Whether it takes queries in SQL (4).
    pub fn takes_sql(&self) -> Option<bool> {
        self.bool(4)
    }

    /// Whether it takes plans of Substrait (5).
    pub fn takes_substrait(&self) -> Option<bool> {
        self.bool(5)
    }

    /// How far it goes in transactions (8).
    pub fn transactions(&self) -> Option<TransactionSupport> {
        // The format says "an int32", and the union that carries it has one for sets of bits only: both are in use.
        let number = match self.get(8)? {
            InfoValue::Integer(number) => *number,
            InfoValue::Bits(number) => i64::from(*number),
            _ => return None,
        };
        match number {
            0 => Some(TransactionSupport::None),
            1 => Some(TransactionSupport::Transactions),
            2 => Some(TransactionSupport::Savepoints),
            _ => None,
        }
    }

    /// Whether a query can be called off with a call of its own (9).
    pub fn cancels(&self) -> Option<bool> {
        self.bool(9)
    }

    /// Whether rows can be loaded in bulk (10).
    pub fn ingests(&self) -> Option<bool> {
        self.bool(10)
    }

    fn text(&self, number: u32) -> Option<&str> {
        match self.get(number)? {
            InfoValue::Text(text) => Some(text),
            _ => None,
        }
    }

    fn bool(&self, number: u32) -> Option<bool> {
        match self.get(number)? {
            InfoValue::Bool(value) => Some(*value),
            _ => None,
        }
    }
}

impl FromIterator<(u32, InfoValue)> for ServerInfo {
    /// The last value of a number counts.
    fn from_iter<I: IntoIterator<Item = (u32, InfoValue)>>(values: I) -> Self {
        Self {
            values: values.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_told_or_has_another_type_is_not_known() {
        let info: ServerInfo = [
            (0, InfoValue::Bool(true)),
            (3, InfoValue::Bool(false)),
            (5, InfoValue::Integer(1)),
            (8, InfoValue::Integer(7)),
        ]
        .into_iter()
        .collect();
        assert_eq!((info.name(), info.version()), (None, None));
        assert_eq!(info.is_read_only(), Some(false));
        assert_eq!(info.takes_substrait(), None);
        assert_eq!(info.transactions(), None);
        assert_eq!(info.len(), 4);
    }

    #[test]
    fn transactions_go_from_none_to_savepoints() {
        let of = |number| {
            ServerInfo::from_iter([(8, InfoValue::Integer(number))])
                .transactions()
                .unwrap()
        };
        assert_eq!(of(0), TransactionSupport::None);
        assert!(of(0) < of(1) && of(1) < of(2));
        let bits = ServerInfo::from_iter([(8, InfoValue::Bits(2))]);
        assert_eq!(bits.transactions(), Some(TransactionSupport::Savepoints));
    }
}
