//! `span-view-without-instance`

use sqlparser::ast::{Expr, Spanned};

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::known::Instances;
use crate::model::{InstanceRef, Model, expression_range, string_literal};
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "span-view-without-instance",
    severity: Severity::Error,
    why: "the view has an instance for each stream or process and none of all: the service refuses it",
    text: "Spans and async events are kept for each thread or process, and there is no table of all of \
           them. Read one instance with view_instance. The instances of thread_spans are streams: look the \
           streams of a process up in the view streams, where array_has(tags, 'cpu'). The id of a process in their \
           place is found where the statement uses it as one, or where a service is asked.",
    bad: "SELECT name, duration FROM thread_spans",
    good: "SELECT name, duration FROM view_instance('thread_spans', '4f0c7f3a-1c0e-4b59-8f4e-0d4c1a8a9f10')",
};

pub(super) struct SpanViewWithoutInstance;

impl Rule for SpanViewWithoutInstance {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        for scan in &model.scans {
            let view = scan.view;
            let range = report.source().range(scan.name.span());
            let id = match view.instances {
                Instances::Stream => "stream",
                Instances::Process => "process",
                _ => "process or stream",
            };
            match scan.instance {
                // A service that takes the name has a table of it.
                InstanceRef::Global if !view.instances.has_global() && context.schema.is_none() => {
                    report
                        .add(range, format!("'{}' is read without an instance", view.name))
                        .help(format!("write view_instance('{}', '<{id} id>')", view.name));
                }
                InstanceRef::Literal("global", literal) if !view.instances.has_global() && context.schema.is_none() => {
                    report
                        .add(
                            expression_range(report.source(), literal),
                            format!("'{}' has no instance 'global'", view.name),
                        )
                        .help(format!("give the id of a {id}"));
                }
                InstanceRef::Literal(id, literal)
                    if view.instances == Instances::Stream
                        && (is_process_elsewhere(model, id) || context.is_process(id)) =>
                {
                    report
                        .add(
                            expression_range(report.source(), literal),
                            format!(
                                "'{id}' is the id of a process here, and '{}' is kept by stream",
                                view.name
                            ),
                        )
                        .help(
                            "look up the streams of the process: SELECT stream_id FROM streams WHERE process_id = ...",
                        );
                }
                _ => {}
            }
        }
    }
}

/// Whether the same statement uses the id as that of a process.
fn is_process_elsewhere(model: &Model<'_>, id: &str) -> bool {
    let is_instance = model.scans.iter().any(|scan| {
        matches!(scan.view.instances, Instances::Process | Instances::GlobalAndProcess)
            && matches!(scan.instance, InstanceRef::Literal(other, _) if other == id)
    });
    is_instance
        || model.predicates.iter().any(|predicate| match predicate.expression {
            Expr::BinaryOp { left, right, .. } => [(left, right), (right, left)].into_iter().any(|(column, value)| {
                string_literal(value) == Some(id)
                    && model
                        .known_column(predicate.select, column)
                        .is_some_and(|column| column.name == "process_id")
            }),
            _ => false,
        })
}
