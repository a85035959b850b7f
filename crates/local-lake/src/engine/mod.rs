//! SQL over a lake: DataFusion with the tables and functions of the real service.

mod failure;
mod flatten;
mod functions;
mod merged;
mod options;
mod scan;
mod served;
mod service;
mod session;
mod statement;
mod table;

pub use self::options::{Fault, ServiceOptions};
pub use self::service::LakeService;
