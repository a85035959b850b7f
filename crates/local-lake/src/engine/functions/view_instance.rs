//! `view_instance('<view set>', '<instance>')`: one instance of a view set as a table.

use std::fmt;
use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::plan_err;
use datafusion::error::Result;
use uuid::Uuid;

use super::arguments::Arguments;
use crate::engine::table::{GLOBAL, InstanceTable};
use crate::store::Lake;
use crate::views::{Instances, view_set};

pub(crate) struct ViewInstance {
    lake: Lake,
}

impl ViewInstance {
    pub(crate) fn new(lake: Lake) -> Self {
        Self { lake }
    }
}

impl fmt::Debug for ViewInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ViewInstance")
    }
}

impl TableFunctionImpl for ViewInstance {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let mut arguments = Arguments::new("view_instance", args.exprs());
        let name = arguments.text("the view set as text")?;
        let instance = arguments.text("the instance as text: global, a process id or a stream id")?;
        // A view set with nothing but a global instance is a table, and not known to this function.
        let Some(view_set) = view_set(&name).filter(|view_set| view_set.instances() != Instances::Global) else {
            return plan_err!("error making view: view set {name} not found");
        };
        if instance == GLOBAL {
            if !view_set.instances().has_global() {
                return plan_err!("error making view: {name} has no global instance");
            }
        } else if let Err(error) = Uuid::parse_str(&instance) {
            return plan_err!("error making view: the instance '{instance}' of {name} is not a UUID: {error}");
        }
        Ok(Arc::new(InstanceTable::new(self.lake.clone(), view_set, instance)))
    }
}
