//! What travels beside the SQL of a query, and inside a ticket.

use std::fmt;

use bytes::Bytes;
use chrono::DateTime;
use lakepilot_query::{Dictionaries, Error, ErrorKind, Query, Result, TimeRange};
use prost::Message;
use tonic::metadata::MetadataMap;

const RANGE_BEGIN: &str = "query_range_begin";
const RANGE_END: &str = "query_range_end";
const LIMIT: &str = "limit";
const PRESERVE_DICTIONARY: &str = "preserve_dictionary";
/// No SQL text begins with it, so it tells a handle with something beside the SQL from one that is the SQL.
const MARK: u8 = 0;

/// The metadata of a call that belongs to its query, as it was sent. An empty value counts as absent.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Beside {
    #[prost(string, optional, tag = "1")]
    range_begin: Option<String>,
    #[prost(string, optional, tag = "2")]
    range_end: Option<String>,
    #[prost(string, optional, tag = "3")]
    limit: Option<String>,
    #[prost(string, optional, tag = "4")]
    preserve_dictionary: Option<String>,
}

impl Beside {
    /// Reads the metadata of a call.
    ///
    /// # Errors
    /// `InvalidInput` when a value is not text.
    pub(crate) fn of(metadata: &MetadataMap) -> Result<Self> {
        let text = |name: &str| match metadata.get(name).map(|value| value.to_str()) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)),
            Some(Err(_)) => Err(invalid(format!("{name} is not text in ASCII"))),
        };
        Ok(Self {
            range_begin: text(RANGE_BEGIN)?,
            range_end: text(RANGE_END)?,
            limit: text(LIMIT)?,
            preserve_dictionary: text(PRESERVE_DICTIONARY)?,
        })
    }

    /// This, and from `carried` what this does not say. The two ends of a range are not mixed.
    fn or(self, carried: Self) -> Self {
        let has_range = self.range_begin.is_some() || self.range_end.is_some();
        let range = if has_range { &self } else { &carried };
        Self {
            range_begin: range.range_begin.clone(),
            range_end: range.range_end.clone(),
            limit: self.limit.or(carried.limit),
            preserve_dictionary: self.preserve_dictionary.or(carried.preserve_dictionary),
        }
    }

    /// The range, if both ends are there; with one alone there is none.
    fn time_range(&self) -> Result<Option<TimeRange>> {
        let (Some(begin), Some(end)) = (&self.range_begin, &self.range_end) else {
            return Ok(None);
        };
        let (begin, end) = (nanos(RANGE_BEGIN, begin)?, nanos(RANGE_END, end)?);
        // A range that ends before it begins selects no rows and is no error, and `TimeRange` cannot say that. The first
        // of all instants selects none either.
        let (begin, end) = if begin > end {
            (i64::MIN, i64::MIN)
        } else {
            (begin, end)
        };
        TimeRange::new(
            DateTime::from_timestamp_nanos(begin),
            DateTime::from_timestamp_nanos(end),
        )
        .map(Some)
    }

    fn rows(&self) -> Result<Option<u64>> {
        let Some(limit) = &self.limit else { return Ok(None) };
        let rows = limit
            .parse()
            .map_err(|_| invalid(format!("{LIMIT} is not a number of rows: '{limit}'")))?;
        Ok(Some(rows))
    }

    fn dictionaries(&self) -> Dictionaries {
        match self.preserve_dictionary.as_deref() {
            Some(value) if value.eq_ignore_ascii_case("true") => Dictionaries::Preserved,
            _ => Dictionaries::Flattened,
        }
    }
}

/// Nanoseconds since the Unix epoch. What lies outside of them is taken for the first or the last of them, since no row
/// can lie there either.
fn nanos(name: &str, text: &str) -> Result<i64> {
    let time = DateTime::parse_from_rfc3339(text)
        .map_err(|error| invalid(format!("{name} is not a time in RFC 3339: '{text}' ({error})")))?;
    let nearest = if time.timestamp() < 0 { i64::MIN } else { i64::MAX };
    Ok(time.timestamp_nanos_opt().unwrap_or(nearest))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

/// The SQL of a query and what came beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) sql: String,
    pub(crate) beside: Beside,
}

/// A handle that is more than the SQL.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Carried {
    #[prost(string, tag = "1")]
    sql: String,
    #[prost(message, optional, tag = "2")]
    beside: Option<Beside>,
}

impl Request {
    /// Reads a statement handle: the SQL text as clients of the real service write it, or what [`handle`](Self::handle)
    /// made. Metadata of the present call comes before what the handle carries.
    ///
    /// # Errors
    /// `InvalidInput` when it is neither.
    pub(crate) fn from_handle(handle: Bytes, beside: Beside) -> Result<Self> {
        if handle.first() == Some(&MARK) {
            let carried = Carried::decode(handle.slice(1..))
                .map_err(|error| invalid("the statement handle is damaged".to_owned()).with_source(error))?;
            return Ok(Self {
                sql: carried.sql,
                beside: beside.or(carried.beside.unwrap_or_default()),
            });
        }
        let sql = String::from_utf8(handle.into())
            .map_err(|error| invalid("the statement handle is not SQL in UTF-8".to_owned()).with_source(error))?;
        Ok(Self { sql, beside })
    }

    /// The handle that a ticket for this request holds: the SQL text, as the real service has it, unless there is something
    /// beside it. A client may send its metadata with `GetFlightInfo` alone, so that travels within the ticket.
    pub(crate) fn handle(&self) -> Bytes {
        if self.beside == Beside::default() {
            return self.sql.clone().into();
        }
        let carried = Carried {
            sql: self.sql.clone(),
            beside: Some(self.beside.clone()),
        };
        let mut handle = vec![MARK];
        handle.extend(carried.encode_to_vec());
        handle.into()
    }

    /// The query that is asked for.
    ///
    /// # Errors
    /// `InvalidInput` when the SQL is blank, or a value beside it cannot be read.
    pub(crate) fn query(&self) -> Result<Query> {
        Ok(Query::new(self.sql.as_str())?
            .with_time_range(self.beside.time_range()?)
            .with_limit(self.beside.rows()?)
            .with_dictionaries(self.beside.dictionaries()))
    }
}

/// Who asks, as the client tells it, for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attribution(String);

impl Attribution {
    pub(crate) fn of(metadata: &MetadataMap) -> Self {
        let parts = ["type", "agent", "entrypoint", "session", "notebook", "cell"];
        let told = parts.iter().filter_map(|part| {
            let value = metadata.get(format!("x-client-{part}"))?.to_str().ok()?;
            Some(format!("{part}={value}"))
        });
        Self(told.collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Display for Attribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn beside(pairs: &[(&'static str, &str)]) -> Beside {
        let mut metadata = MetadataMap::new();
        for (name, value) in pairs {
            metadata.insert(*name, value.parse().unwrap());
        }
        Beside::of(&metadata).unwrap()
    }

    fn query(pairs: &[(&'static str, &str)]) -> Result<Query> {
        Request {
            sql: "SELECT 1".to_owned(),
            beside: beside(pairs),
        }
        .query()
    }

    #[test]
    fn a_range_needs_both_ends() {
        let (begin, end) = ("2026-01-01T00:00:00+02:00", "2026-01-01T00:00:00.000000001Z");
        let range = query(&[(RANGE_BEGIN, begin), (RANGE_END, end)])
            .unwrap()
            .time_range()
            .unwrap();
        assert_eq!(
            range.to_string(),
            "2025-12-31T22:00:00Z to 2026-01-01T00:00:00.000000001Z"
        );
        for half in [
            vec![(RANGE_BEGIN, begin)],
            vec![(RANGE_END, end)],
            vec![(RANGE_BEGIN, begin), (RANGE_END, "")],
            vec![(RANGE_BEGIN, "nonsense")],
            vec![],
        ] {
            assert_eq!(query(&half).unwrap().time_range(), None, "{half:?}");
        }
    }

    #[test]
    fn a_range_backwards_holds_only_the_first_of_all_instants() {
        let range = query(&[
            (RANGE_BEGIN, "2026-01-02T00:00:00Z"),
            (RANGE_END, "2026-01-01T00:00:00Z"),
        ]);
        let range = range.unwrap().time_range().unwrap();
        assert_eq!((range.begin_nanos(), range.end_nanos()), (i64::MIN, i64::MIN));
    }

    #[test]
    fn times_past_the_nanoseconds_are_the_last_of_them() {
        let range = query(&[
            (RANGE_BEGIN, "0001-01-01T00:00:00Z"),
            (RANGE_END, "9999-12-31T23:59:59Z"),
        ]);
        let range = range.unwrap().time_range().unwrap();
        assert_eq!((range.begin_nanos(), range.end_nanos()), (i64::MIN, i64::MAX));
    }

    #[test]
    fn values_that_cannot_be_read_are_named() {
        for (pairs, says) in [
            (
                vec![(RANGE_BEGIN, "yesterday"), (RANGE_END, "2026-01-01T00:00:00Z")],
                RANGE_BEGIN,
            ),
            (
                vec![(RANGE_BEGIN, "2026-01-01T00:00:00Z"), (RANGE_END, "2026-01-01")],
                RANGE_END,
            ),
            (vec![(LIMIT, "ten")], LIMIT),
            (vec![(LIMIT, "-1")], LIMIT),
        ] {
            let error = query(&pairs).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().starts_with(says), "{error}");
        }
        let mut metadata = MetadataMap::new();
        metadata.insert(
            LIMIT,
            tonic::metadata::MetadataValue::try_from(b"\xff".as_slice()).unwrap(),
        );
        assert!(Beside::of(&metadata).is_err());
    }

    #[test]
    fn dictionaries_are_kept_when_that_is_asked() {
        for (value, expected) in [
            ("true", Dictionaries::Preserved),
            ("True", Dictionaries::Preserved),
            ("false", Dictionaries::Flattened),
            ("", Dictionaries::Flattened),
        ] {
            assert_eq!(query(&[(PRESERVE_DICTIONARY, value)]).unwrap().dictionaries(), expected);
        }
        assert_eq!(query(&[(LIMIT, "7")]).unwrap().limit(), Some(7));
    }

    #[test]
    fn metadata_of_the_call_comes_before_what_the_ticket_carries() {
        let carried = beside(&[(RANGE_BEGIN, "a"), (RANGE_END, "b"), (LIMIT, "1")]);
        assert_eq!(Beside::default().or(carried.clone()), carried);
        let call = beside(&[(RANGE_END, "c"), (PRESERVE_DICTIONARY, "true")]);
        let both = beside(&[(RANGE_END, "c"), (LIMIT, "1"), (PRESERVE_DICTIONARY, "true")]);
        assert_eq!(call.or(carried), both);
    }

    #[test]
    fn a_plain_handle_is_the_sql() {
        let request = Request {
            sql: "SELECT 'ü'".to_owned(),
            beside: Beside::default(),
        };
        assert_eq!(request.handle(), "SELECT 'ü'".as_bytes());
        for damaged in [b"\xff\xfe".as_slice(), b"\0\xff\xff", b"\0\x0a\x50"] {
            assert!(Request::from_handle(Bytes::from_static(damaged), Beside::default()).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_handle_comes_back_as_it_was(sql in "[^\0].{0,30}", begin in proptest::option::of(".{1,9}"), limit in proptest::option::of("[0-9]{1,9}")) {
            let beside = Beside { range_begin: begin, limit, ..Beside::default() };
            let request = Request { sql, beside };
            prop_assert_eq!(&Request::from_handle(request.handle(), Beside::default()).unwrap(), &request);
        }

        #[test]
        fn no_handle_panics(handle: Vec<u8>) {
            let _ = Request::from_handle(handle.into(), Beside::default());
        }
    }
}
