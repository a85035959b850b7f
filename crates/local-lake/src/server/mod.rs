//! The lake over Arrow Flight SQL.
//!
//! ```text
//! listen      the port, TLS, the two ways to run a server, how it ends
//!   connection  a socket that can be cut
//!   token       who may call
//!   flight      the calls of Flight: which message means what
//!     request     what travels beside the SQL, and inside a ticket
//!     answer      rows on their way out, and what is logged of a query
//!       unique      dictionaries with each value once
//!     metadata    catalogs, schemas, tables, keys, SqlInfo
//!     ingest      rows on their way in
//!     status      errors as gRPC codes
//! ```

mod answer;
mod connection;
mod flight;
mod ingest;
mod listen;
mod metadata;
mod options;
mod request;
mod served;
mod sql_info;
mod status;
mod token;
mod unique;

pub use self::listen::{FlightServer, ServerHandle};
pub use self::options::{ServeOptions, TlsIdentity};
#[cfg(feature = "mock")]
pub use self::served::MockServedLake;
pub use self::served::{ServedLake, ServedTable};
pub use self::token::BearerToken;
