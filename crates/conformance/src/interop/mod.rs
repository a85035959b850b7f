//! How the client gets on with Flight SQL servers of other makers: the cases, what each server is asked, and the runner.

mod case;
mod cases;
mod dialect;
mod pyarrow;
mod target;

pub use case::{InteropCase, InteropReport, Verdict, interop_cases, run_interop};
pub use dialect::Dialect;
pub use pyarrow::PyarrowServer;
pub use target::{EndServer, InteropTarget};
