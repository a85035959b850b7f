//! The cases, in the order in which they are run: those that change the lake come last.

mod administration;
mod catalogue;
mod errors;
mod guide;
mod materialisation;
mod ranges;
mod retirement;
mod schemas;
mod slicing;
mod wire;

use super::Case;

const CASES: &[Case] = &[
    Case {
        name: "view-schemas",
        proves: "every view has the exact columns and types, prepared and delivered",
        run: |context| Box::pin(schemas::views(context)),
    },
    Case {
        name: "function-schemas",
        proves: "the listing functions have the exact columns and types",
        run: |context| Box::pin(schemas::functions(context)),
    },
    Case {
        name: "schema-analysis",
        proves: "the guide: the columns of a query and the size of a row, without running it",
        run: |context| Box::pin(guide::schema_analysis(context)),
    },
    Case {
        name: "validation",
        proves: "the guide: good and bad queries are told apart before they run",
        run: |context| Box::pin(guide::validation(context)),
    },
    Case {
        name: "batched-execution",
        proves: "the guide: every row arrives once, in batches of the size asked for",
        run: |context| Box::pin(guide::batched_execution(context)),
    },
    Case {
        name: "sliced-execution",
        proves: "slices of points and of spans make the rows of the whole query",
        run: |context| Box::pin(guide::sliced_execution(context)),
    },
    Case {
        name: "exactly-once",
        proves: "cut at the times of rows and within spans, every row comes once, in its order",
        run: |context| Box::pin(slicing::exactly_once(context)),
    },
    Case {
        name: "inclusive-edges",
        proves: "a time range includes both of its ends",
        run: |context| Box::pin(ranges::inclusive_edges(context)),
    },
    Case {
        name: "overlap",
        proves: "spans that overlap the range are returned, others are not",
        run: |context| Box::pin(ranges::overlap(context)),
    },
    Case {
        name: "unfiltered",
        proves: "what the range filters, and what it does not",
        run: |context| Box::pin(ranges::unfiltered(context)),
    },
    Case {
        name: "limit",
        proves: "the limit beside the SQL is put on top of the plan",
        run: |context| Box::pin(wire::limit(context)),
    },
    Case {
        name: "dictionaries",
        proves: "dictionaries are kept when asked for, with the same values",
        run: |context| Box::pin(wire::dictionaries(context)),
    },
    Case {
        name: "statements",
        proves: "what statements that are not queries answer",
        run: |context| Box::pin(wire::statements(context)),
    },
    Case {
        name: "error-kinds",
        proves: "each kind of bad query ends with the right kind of error",
        run: |context| Box::pin(errors::kinds(context)),
    },
    Case {
        name: "catalogue",
        proves: "processes, streams, blocks, view sets and partitions are read as values and agree",
        run: |context| Box::pin(catalogue::agrees(context)),
    },
    Case {
        name: "instances-on-use",
        proves: "an instance is materialised when it is first read, with the rows of its process",
        run: |context| Box::pin(retirement::instances_on_use(context)),
    },
    Case {
        name: "prepare-does-not-run",
        proves: "preparing a retirement retires nothing",
        run: |context| Box::pin(retirement::prepare_does_not_run(context)),
    },
    Case {
        name: "containment",
        proves: "a partition that straddles an edge stays, one inside goes",
        run: |context| Box::pin(retirement::containment(context)),
    },
    Case {
        name: "nothing-to-retire",
        proves: "no match and unknown names are empty answers",
        run: |context| Box::pin(retirement::nothing_to_retire(context)),
    },
    Case {
        name: "retire-one",
        proves: "one partition is retired by its metadata or its file",
        run: |context| Box::pin(retirement::one_by_one(context)),
    },
    Case {
        name: "retire-process",
        proves: "the guide: all of a process and its streams is retired, and nothing else",
        run: |context| Box::pin(retirement::process(context)),
    },
    Case {
        name: "retire-non-global",
        proves: "the guide: all instances but global are retired",
        run: |context| Box::pin(retirement::non_global(context)),
    },
    Case {
        name: "all-or-none",
        proves: "a statement that names several partitions retires all of them or none",
        run: |context| Box::pin(administration::all_or_none(context)),
    },
    Case {
        name: "incompatible",
        proves: "partitions of another schema than the view set's are retired, and no others",
        run: |context| Box::pin(administration::incompatible(context)),
    },
    Case {
        name: "plan-file",
        proves: "a plan that was saved is applied once, and what is gone is what was planned",
        run: |context| Box::pin(administration::plan_file(context)),
    },
    Case {
        name: "retention",
        proves: "a retention policy takes everything older, and what straddles the cut-off stays",
        run: |context| Box::pin(administration::retention(context)),
    },
    Case {
        name: "materialise",
        proves: "what is there is left alone, an unknown view set is told in a row",
        run: |context| Box::pin(materialisation::what_is_there(context)),
    },
    Case {
        name: "regenerate",
        proves: "a partition is written once more with the same rows",
        run: |context| Box::pin(materialisation::regenerate(context)),
    },
];

/// All cases.
pub fn all() -> &'static [Case] {
    CASES
}
