//! What is asked of the server to apply a plan, worked out from the plan and the lake as it is.

use std::collections::{HashMap, HashSet};

use lakepilot_catalog::Partition;

use crate::journal::Step;
use crate::method::asked;
use crate::planner::{Identity, identity};
use crate::{Capabilities, Request, RetirementPlan, RetirementRange, ViewInstance};

/// Partitions of the plan by their number in it, and the statements that ask for them.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    pub(crate) planned: Vec<&'a Partition>,
    pub(crate) starts: Vec<Start>,
    pub(crate) tasks: Vec<Task<'a>>,
}

/// Where a planned partition stands before anything is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// It is there, and is asked for.
    ToAsk,
    /// It is there, and an earlier run was told that it is retired.
    AnsweredEarlier,
    /// It is not there, and an earlier run has asked for it.
    DoneEarlier,
    /// It is not there, or another one is in its place.
    Gone,
    /// It is there, and cannot be asked for without another one.
    Inseparable,
}

/// Statements that are sent one after the other.
#[derive(Debug)]
pub(crate) struct Task<'a>(pub(crate) Vec<Statement<'a>>);

/// One statement, which is one transaction of the server.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) target: Target<'a>,
    /// The numbers of the partitions in the plan.
    pub(crate) partitions: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    Files,
    Metadata,
    Range(&'a ViewInstance, RetirementRange),
}

impl Statement<'_> {
    pub(crate) fn request(&self) -> Request {
        let partitions = self.partitions.len() as u64;
        match self.target {
            Target::Files => Request::File { partitions },
            Target::Metadata => Request::Metadata { partitions },
            Target::Range(_, range) => Request::Range { range, partitions },
        }
    }
}

impl<'a> Work<'a> {
    /// Nothing but planned partitions that are there, are as they were and were not answered for is asked for, and nothing
    /// that would take another one.
    pub(crate) fn new(
        plan: &'a RetirementPlan,
        capabilities: Capabilities,
        steps: &[Step],
        listed: &'a [Partition],
        statement_size: usize,
    ) -> Self {
        let there = by_instance(listed);
        let mut work = Self {
            planned: plan.partitions().collect(),
            starts: Vec::new(),
            tasks: Vec::new(),
        };
        let (mut files, mut metadata) = (Vec::new(), Vec::new());
        for instance in plan
            .instances()
            .iter()
            .filter(|instance| !instance.partitions.is_empty())
        {
            let first = work.starts.len();
            let key = (
                instance.instance.view_set_name.as_str(),
                instance.instance.view_instance_id.as_str(),
            );
            let listed = there.get(&key).map_or(&[][..], Vec::as_slice);
            let numbers: HashMap<Identity<'_>, usize> = instance
                .partitions
                .iter()
                .enumerate()
                .map(|(at, partition)| (identity(partition), first + at))
                .collect();
            let is_there: HashSet<Identity<'_>> = listed.iter().copied().map(identity).collect();
            let start = |(at, partition): (usize, &Partition)| {
                let step = steps.get(first + at).copied().unwrap_or_default();
                match (is_there.contains(&identity(partition)), step) {
                    (true, Step::Answered) => Start::AnsweredEarlier,
                    (true, _) => Start::ToAsk,
                    (false, Step::Open) => Start::Gone,
                    (false, _) => Start::DoneEarlier,
                }
            };
            work.starts.extend(instance.partitions.iter().enumerate().map(start));
            let number = |partition: &Partition| numbers.get(&identity(partition)).copied();
            let going = listed
                .iter()
                .copied()
                .filter(|partition| number(partition).is_some_and(|number| work.starts[number] == Start::ToAsk));
            let going: Vec<&Partition> = going.collect();
            let others = listed
                .iter()
                .copied()
                .filter(|partition| number(partition).is_none())
                .collect();
            let asked = asked(capabilities, going.clone(), others);
            files.extend(asked.by_file.iter().filter_map(|partition| number(partition)));
            metadata.extend(asked.by_metadata.iter().filter_map(|partition| number(partition)));
            for partition in &asked.inseparable {
                if let Some(number) = number(partition) {
                    work.starts[number] = Start::Inseparable;
                }
            }
            let ranges = asked.ranges.iter().map(|range| Statement {
                target: Target::Range(&instance.instance, *range),
                partitions: going
                    .iter()
                    .filter(|partition| range.takes(partition))
                    .filter_map(|p| number(p))
                    .collect(),
            });
            work.add(Task(ranges.collect()));
            work.add_full(Target::Files, &mut files, statement_size);
            work.add_full(Target::Metadata, &mut metadata, statement_size);
        }
        work.add_rest(Target::Files, files);
        work.add_rest(Target::Metadata, metadata);
        work
    }

    fn add(&mut self, task: Task<'a>) {
        if !task.0.is_empty() {
            self.tasks.push(task);
        }
    }

    fn add_full(&mut self, target: Target<'a>, waiting: &mut Vec<usize>, size: usize) {
        while waiting.len() >= size {
            let rest = waiting.split_off(size);
            self.add_rest(target, std::mem::replace(waiting, rest));
        }
    }

    fn add_rest(&mut self, target: Target<'a>, partitions: Vec<usize>) {
        if !partitions.is_empty() {
            self.tasks.push(Task(vec![Statement { target, partitions }]));
        }
    }

    /// How many partitions are asked for.
    pub(crate) fn to_ask(&self) -> u64 {
        self.starts.iter().filter(|start| **start == Start::ToAsk).count() as u64
    }

    pub(crate) fn statements(&self) -> u64 {
        self.tasks.iter().map(|task| task.0.len() as u64).sum()
    }

    /// The instance of partitions, when all of them are of one.
    pub(crate) fn instance_of(&self, partitions: &[usize]) -> Option<ViewInstance> {
        let of = |number: &usize| self.planned.get(*number).map(|partition| ViewInstance::of(partition));
        let first = partitions.first().and_then(of)?;
        let one = partitions.iter().all(|number| of(number).as_ref() == Some(&first));
        one.then_some(first)
    }
}

fn by_instance(listed: &[Partition]) -> HashMap<(&str, &str), Vec<&Partition>> {
    let mut instances: HashMap<(&str, &str), Vec<&Partition>> = HashMap::new();
    for partition in listed {
        let key = (partition.view_set_name.as_str(), partition.view_instance_id.as_str());
        instances.entry(key).or_default().push(partition);
    }
    instances
}
