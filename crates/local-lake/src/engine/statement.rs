//! Which statements a query may be, and what those do that are not selects.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{internal_err, not_impl_err, plan_err};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::logical_expr::{DdlStatement, EmptyRelation, LogicalPlan, Statement};
use datafusion::prelude::{Expr, SessionContext};

use crate::engine::functions::{MessageTable, is_action};

/// What is left to run of a statement.
pub(crate) enum Runnable {
    /// A plan whose rows are the answer.
    Rows(LogicalPlan),
    /// A plan that is run for what it does; the answer is empty.
    Effects(LogicalPlan),
    /// Nothing; the answer is empty.
    Nothing,
}

/// Refuses what would touch the file system, or change the lake past its own functions.
///
/// # Errors
/// `NotImplemented` for `COPY`, `INSERT`, `UPDATE`, `DELETE`, `CREATE EXTERNAL TABLE` and the like, wherever in the plan
/// they are; a plan error for a setting of the process.
pub(crate) fn check(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Copy(_) => not_impl_err!("COPY is not offered: a query does not write files"),
            LogicalPlan::Dml(dml) => {
                not_impl_err!(
                    "{} is not offered: tables are changed by ingestion and by the partition functions",
                    dml.op
                )
            }
            LogicalPlan::Ddl(
                DdlStatement::CreateMemoryTable(_)
                | DdlStatement::CreateView(_)
                | DdlStatement::DropTable(_)
                | DdlStatement::DropView(_),
            ) => Ok(()),
            LogicalPlan::Ddl(ddl) => not_impl_err!("{} is not offered", ddl.name()),
            LogicalPlan::Statement(Statement::SetVariable(set)) => check_setting(&set.variable),
            LogicalPlan::Statement(Statement::ResetVariable(reset)) => check_setting(&reset.variable),
            _ => Ok(()),
        }?;
        Ok(TreeNodeRecursion::Continue)
    })
    .map(|_| ())
}

/// Settings of the runtime are those of the process: its memory, its directories.
fn check_setting(variable: &str) -> Result<()> {
    if variable.to_ascii_lowercase().starts_with("datafusion.runtime") {
        return plan_err!("{variable} belongs to the service and cannot be set by a query");
    }
    Ok(())
}

/// Does what a statement does to its session, which ends with it, and tells what is left to run.
///
/// What a `CREATE TABLE ... AS` selects is run, in case the select does something, and is not kept: no later statement
/// could see it.
pub(crate) async fn begin(context: &SessionContext, plan: LogicalPlan) -> Result<Runnable> {
    match plan {
        LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(mut create)) => {
            let empty = LogicalPlan::EmptyRelation(EmptyRelation {
                produce_one_row: false,
                schema: Arc::clone(create.input.schema()),
            });
            let input = std::mem::replace(&mut create.input, Arc::new(empty));
            context
                .execute_logical_plan(LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(create)))
                .await?;
            Ok(match Arc::unwrap_or_clone(input) {
                LogicalPlan::EmptyRelation(_) => Runnable::Nothing,
                input => Runnable::Effects(input),
            })
        }
        plan @ (LogicalPlan::Ddl(_) | LogicalPlan::Statement(_)) => {
            context.execute_logical_plan(plan).await?;
            Ok(Runnable::Nothing)
        }
        LogicalPlan::Copy(_) | LogicalPlan::Dml(_) => internal_err!("a refused statement was not refused"),
        plan => Ok(Runnable::Rows(plan)),
    }
}

/// Whether running the plan changes the lake: it reads a table that does while it is read, or calls a function that does.
pub(crate) fn acts(plan: &LogicalPlan) -> Result<bool> {
    let mut acts = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            acts |= source_as_provider(&scan.source).is_ok_and(|table| table.downcast_ref::<MessageTable>().is_some());
        }
        node.apply_expressions(|expression| {
            acts |= expression.exists(|part| Ok(calls_an_action(part)))?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(acts)
}

fn calls_an_action(expression: &Expr) -> bool {
    matches!(expression, Expr::ScalarFunction(call) if is_action(&call.func))
}
