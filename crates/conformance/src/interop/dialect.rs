//! What can be asked of a server, and what it has to answer.

use std::str::FromStr;

/// The SQL that a server understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Apache DataFusion's: Micromegas, the embedded lake, ROAPI, dft, Ballista.
    DataFusion,
    /// Spark's: Sail.
    Spark,
    /// The tables of the server that is written for the tests on pyarrow.
    Pyarrow,
}

impl FromStr for Dialect {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "datafusion" => Ok(Self::DataFusion),
            "spark" => Ok(Self::Spark),
            "pyarrow" => Ok(Self::Pyarrow),
            _ => Err(format!(
                "there is no dialect {name}; there are datafusion, spark and pyarrow"
            )),
        }
    }
}

/// A statement and the rows that it has to answer with, values with a bar between them.
pub(super) struct Known {
    pub(super) sql: &'static str,
    pub(super) rows: &'static [&'static str],
}

/// A statement whose result is whole numbers from `first` on, `rows` of them.
pub(super) struct Series {
    pub(super) sql: &'static str,
    pub(super) first: i64,
    pub(super) rows: i64,
}

impl Series {
    pub(super) fn sum(&self) -> i64 {
        self.rows * self.first + self.rows * (self.rows - 1) / 2
    }
}

const FOUR_ROWS: &str = "SELECT * FROM (VALUES (1, 'one', 1.5), (2, NULL, 2.5), (3, 'three', NULL), (4, '', 0.0)) \
                         AS known(n, word, x) ORDER BY n";

impl Dialect {
    /// A small result with nulls and an order.
    pub(super) fn rows(self) -> Known {
        match self {
            Self::DataFusion | Self::Spark => Known {
                sql: FOUR_ROWS,
                rows: &["1|one|1.5", "2|NULL|2.5", "3|three|NULL", "4||0.0"],
            },
            Self::Pyarrow => Known {
                sql: "SELECT * FROM with_metadata",
                rows: &["1|x", "2|NULL"],
            },
        }
    }

    /// One column, no rows.
    pub(super) fn empty(self) -> &'static str {
        match self {
            Self::DataFusion | Self::Spark => "SELECT n FROM (VALUES (1), (2)) AS none(n) WHERE n > 2",
            Self::Pyarrow => "SELECT n FROM empty",
        }
    }

    /// One row of a type each, and what each value reads like. The servers of one engine do not all send the same type
    /// for a text, so that types are compared with those of the server's own plan and not with a list.
    pub(super) fn types(self) -> Option<Known> {
        match self {
            Self::DataFusion => Some(Known {
                sql: "SELECT CAST(-128 AS TINYINT) AS i8, CAST(-9223372036854775808 AS BIGINT) AS i64, \
                      arrow_cast(18446744073709551615, 'UInt64') AS u64, CAST(0.5 AS REAL) AS f32, CAST(2.5 AS DECIMAL(10, 2)) AS d, \
                      true AS yes, 'zażółć' AS word, X'00ff' AS bytes, DATE '2026-01-31' AS day, \
                      arrow_cast('2026-01-31T12:00:00.123456789', 'Timestamp(Nanosecond, None)') AS moment, \
                      arrow_cast('2026-01-31T12:00:00.5Z', 'Timestamp(Microsecond, Some(\"+00:00\"))') AS instant, \
                      INTERVAL '1 day' AS step, NULL AS nothing, make_array(1, NULL, 3) AS numbers, \
                      named_struct('x', 1, 'y', 'z') AS pair, make_array(named_struct('k', 'v')) AS pairs, \
                      arrow_cast('key', 'Dictionary(Int32, Utf8)') AS encoded",
                rows: &[
                    "-128|-9223372036854775808|18446744073709551615|0.5|2.50|true|zażółć|00ff|2026-01-31|2026-01-31T12:00:00.123456789|2026-01-31T12:00:00.500Z|1 days|NULL|[1, NULL, 3]|{x: 1, y: z}|[{k: v}]|key",
                ],
            }),
            Self::Spark => Some(Known {
                sql: "SELECT CAST(-128 AS TINYINT) AS i8, CAST(9223372036854775807 AS BIGINT) AS i64, CAST(0.5 AS FLOAT) AS f32, \
                      CAST(2.5 AS DECIMAL(10, 2)) AS d, true AS yes, 'zażółć' AS word, X'00ff' AS bytes, DATE '2026-01-31' AS day, \
                      TIMESTAMP_NTZ '2026-01-31 12:00:00.123456' AS moment, INTERVAL '1' DAY AS step, NULL AS nothing, \
                      array(1, NULL, 3) AS numbers, named_struct('x', 1, 'y', 'z') AS pair, map('k', 1) AS lookup",
                rows: &[
                    "-128|9223372036854775807|0.5|2.50|true|zażółć|00ff|2026-01-31|2026-01-31T12:00:00.123456|PT86400S|NULL|[1, NULL, 3]|{x: 1, y: z}|{k: 1}",
                ],
            }),
            // It has cases of its own for that.
            Self::Pyarrow => None,
        }
    }

    /// Millions of rows.
    pub(super) fn big(self) -> Series {
        let (sql, first) = match self {
            Self::DataFusion => ("SELECT value FROM generate_series(1, 2000000)", 1),
            Self::Spark => ("SELECT id FROM range(1, 2000001)", 1),
            Self::Pyarrow => ("SELECT n FROM big", 0),
        };
        Series {
            sql,
            first,
            rows: 2_000_000,
        }
    }

    /// More than is read before it is called off.
    pub(super) fn endless(self) -> &'static str {
        match self {
            Self::DataFusion => "SELECT value FROM generate_series(1, 2000000000)",
            Self::Spark => "SELECT id FROM range(1, 2000000000)",
            Self::Pyarrow => "SELECT n FROM endless",
        }
    }

    /// A result that a server with several workers computes on all of them.
    pub(super) fn spread(self) -> Series {
        let sql = match self {
            Self::DataFusion => "SELECT value, count(*) AS rows FROM generate_series(0, 9999) GROUP BY value",
            Self::Spark => "SELECT id, count(*) AS rows FROM range(0, 10000) GROUP BY id",
            Self::Pyarrow => {
                return Series {
                    sql: "SELECT n FROM parts",
                    first: 0,
                    rows: 1_000,
                };
            }
        };
        Series {
            sql,
            first: 0,
            rows: 10_000,
        }
    }
}

/// A table that no server has.
pub(super) const NO_TABLE: &str = "SELECT * FROM there_is_no_such_table";
