//! The lake over Arrow Flight SQL.

mod served;

pub use self::served::{ServedLake, ServedTable};
