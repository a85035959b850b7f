//! Servers whose tickets hold the SQL of their query and nothing else.
//!
//! Of these, `GetFlightInfo` is a round trip, and on the server a second plan of the same query, which tells nothing that
//! is not known: Micromegas and servers like it keep no state between the two calls. It is asked once; when the ticket that
//! it gives out is the SQL itself, the tickets of later queries are made here.

use std::sync::atomic::{AtomicU8, Ordering};

use arrow_flight::sql::{Any, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightEndpoint, FlightInfo, Ticket};
use bytes::Bytes;
use lakepilot_query::{Dictionaries, Error, ErrorKind, Query};
use prost::Message;

use crate::client::packed;

/// How the SQL lies in a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Packed,
    Bare,
}

impl Form {
    fn of(ticket: &Bytes, sql: &str) -> Option<Self> {
        let holds_sql = |statement: &TicketStatementQuery| statement.statement_handle == sql.as_bytes();
        if let Ok(any) = Any::decode(ticket.clone())
            && any.type_url == TicketStatementQuery::type_url()
        {
            let statement = any.unpack::<TicketStatementQuery>().ok().flatten()?;
            return (holds_sql(&statement) && packed(&statement) == ticket).then_some(Self::Packed);
        }
        let statement = TicketStatementQuery::decode(ticket.clone()).ok()?;
        (holds_sql(&statement) && statement.encode_to_vec() == *ticket).then_some(Self::Bare)
    }

    fn ticket(self, sql: &str) -> Ticket {
        let statement = TicketStatementQuery {
            statement_handle: Bytes::copy_from_slice(sql.as_bytes()),
        };
        Ticket::new(match self {
            Self::Packed => packed(&statement),
            Self::Bare => statement.encode_to_vec().into(),
        })
    }
}

/// What is known of the tickets of one server.
///
/// Queries that something travels beside are told apart from those that are the SQL alone: a server may put the one into
/// its tickets, as the embedded lake does with time ranges, and leave the other as it is.
#[derive(Debug, Default)]
pub(crate) struct KnownTickets {
    plain: KnownForm,
    accompanied: KnownForm,
}

/// Zero when it is not known.
#[derive(Debug, Default)]
struct KnownForm(AtomicU8);

impl KnownForm {
    const PACKED: u8 = 1;
    const BARE: u8 = 2;

    fn get(&self) -> Option<Form> {
        match self.0.load(Ordering::Relaxed) {
            Self::PACKED => Some(Form::Packed),
            Self::BARE => Some(Form::Bare),
            _ => None,
        }
    }

    fn set(&self, form: Option<Form>) {
        let number = match form {
            Some(Form::Packed) => Self::PACKED,
            Some(Form::Bare) => Self::BARE,
            None => 0,
        };
        self.0.store(number, Ordering::Relaxed);
    }
}

impl KnownTickets {
    fn of(&self, query: &Query) -> &KnownForm {
        let is_plain =
            query.time_range().is_none() && query.limit().is_none() && query.dictionaries() == Dictionaries::Flattened;
        if is_plain { &self.plain } else { &self.accompanied }
    }

    /// What the server would answer to `GetFlightInfo`, but for the schema, if that is known.
    pub(crate) fn flight_info(&self, query: &Query) -> Option<FlightInfo> {
        let ticket = self.of(query).get()?.ticket(query.sql());
        Some(FlightInfo::new().with_endpoint(FlightEndpoint::new().with_ticket(ticket)))
    }

    /// Learns from an answer of `GetFlightInfo`.
    pub(crate) fn learn(&self, query: &Query, info: &FlightInfo) {
        let [endpoint] = &info.endpoint[..] else { return };
        let says_more = !endpoint.location.is_empty()
            || endpoint.expiration_time.is_some()
            || !endpoint.app_metadata.is_empty()
            || !info.app_metadata.is_empty();
        let ticket = endpoint.ticket.as_ref().filter(|_| !says_more);
        self.of(query)
            .set(ticket.and_then(|ticket| Form::of(&ticket.ticket, query.sql())));
    }

    /// Asks again from the next query on, unless the error has nothing to do with the ticket.
    pub(crate) fn doubt(&self, query: &Query, error: &Error) {
        if !matches!(
            error.kind(),
            ErrorKind::TimedOut | ErrorKind::Cancelled | ErrorKind::Unauthenticated
        ) {
            self.of(query).set(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "SELECT n FROM numbers";

    fn query() -> Query {
        Query::new(SQL).unwrap()
    }

    fn with_ticket(ticket: Ticket) -> FlightInfo {
        FlightInfo::new().with_endpoint(FlightEndpoint::new().with_ticket(ticket))
    }

    /// The ticket for another query, after this answer to the first one.
    fn learnt(info: &FlightInfo) -> Option<Bytes> {
        let known = KnownTickets::default();
        known.learn(&query(), info);
        let info = known.flight_info(&Query::new("SELECT 2").unwrap())?;
        Some(info.endpoint[0].ticket.as_ref().unwrap().ticket.clone())
    }

    #[test]
    fn a_ticket_that_is_the_sql_is_made_here_in_the_same_form() {
        for form in [Form::Packed, Form::Bare] {
            let info = with_ticket(form.ticket(SQL));
            assert_eq!(learnt(&info), Some(form.ticket("SELECT 2").ticket), "{form:?}");
        }
    }

    #[test]
    fn anything_else_is_not() {
        let bare = Form::Bare.ticket(SQL);
        let elsewhere = FlightEndpoint::new()
            .with_ticket(bare.clone())
            .with_location("grpc://elsewhere:1");
        let with_metadata = FlightEndpoint::new()
            .with_ticket(bare.clone())
            .with_app_metadata("shard 1");
        let mut trailing = bare.ticket.to_vec();
        trailing.extend([0x10, 1]);
        for info in [
            FlightInfo::new(),
            with_ticket(Ticket::new("handle 17")),
            with_ticket(Ticket::new(SQL)),
            with_ticket(Form::Packed.ticket("SELECT n FROM numbers -- 17")),
            with_ticket(Ticket::new(trailing)),
            with_ticket(bare.clone()).with_endpoint(FlightEndpoint::new().with_ticket(bare.clone())),
            with_ticket(bare).with_app_metadata("session"),
            FlightInfo::new().with_endpoint(elsewhere),
            FlightInfo::new().with_endpoint(with_metadata),
        ] {
            assert_eq!(learnt(&info), None, "{info}");
        }
    }

    #[test]
    fn what_travels_beside_the_sql_is_learnt_apart() {
        let known = KnownTickets::default();
        let limited = query().with_limit(3);
        known.learn(&query(), &with_ticket(Form::Bare.ticket(SQL)));
        assert!(known.flight_info(&limited).is_none());
        known.learn(&limited, &with_ticket(Ticket::new("SQL and limit")));
        assert!(known.flight_info(&limited).is_none());
        assert!(known.flight_info(&query()).is_some());
        known.learn(&limited, &with_ticket(Form::Bare.ticket(SQL)));
        assert!(known.flight_info(&limited).is_some());
    }

    #[test]
    fn an_error_that_may_be_about_the_ticket_has_the_server_asked_again() {
        for (kind, is_kept) in [
            (ErrorKind::TimedOut, true),
            (ErrorKind::Unauthenticated, true),
            (ErrorKind::InvalidQuery, false),
            (ErrorKind::Internal, false),
            (ErrorKind::Unavailable, false),
        ] {
            let known = KnownTickets::default();
            known.learn(&query(), &with_ticket(Form::Bare.ticket(SQL)));
            known.doubt(&query(), &Error::new(kind, "refused"));
            assert_eq!(known.flight_info(&query()).is_some(), is_kept, "{kind:?}");
        }
    }
}
