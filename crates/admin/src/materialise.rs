//! Materialising and regenerating partitions of the instance `global`.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_catalog::{GLOBAL_INSTANCE, Partition, PartitionFilter};
use lakepilot_query::{Error, ErrorKind, Result, TimeRange, quote_literal, to_rfc3339};
use serde::Serialize;

use crate::function::{Call, time_argument};
use crate::messages::Messages;
use crate::planner::{Identity, identity};
use crate::{Event, Failure, Observer, PartitionAdmin, ViewInstance};

/// Which partitions the server is to write: those of the instance `global` of a view set, for a range of insert time, each
/// as long as the step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Materialisation {
    view_set_name: String,
    range: TimeRange,
    step_seconds: i64,
}

impl Materialisation {
    /// A materialisation, which the server would accept as far as can be told without it.
    ///
    /// # Errors
    /// `InvalidInput` when the range is one instant, when the step is not a whole number of seconds or is zero, and when
    /// the range is shorter than the step: the server would do nothing and say nothing.
    pub fn new(view_set_name: impl Into<String>, range: TimeRange, step: Duration) -> Result<Self> {
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
        if range.begin() == range.end() {
            return invalid(format!(
                "the range begins and ends at {}; partitions are written for a length of time",
                to_rfc3339(range.begin())
            ));
        }
        if step.is_zero() || step.subsec_nanos() != 0 {
            return invalid(format!(
                "a step of {step:?} is not one that the server takes; give whole seconds, such as 1h"
            ));
        }
        let too_short = || {
            Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the range {range} is shorter than the step of {} s, so that no partition would be written; widen \
                     the range or shorten the step",
                    step.as_secs()
                ),
            )
        };
        if range.duration() < step {
            return Err(too_short());
        }
        Ok(Self {
            view_set_name: view_set_name.into(),
            range,
            // The step is no longer than the range, whose length in seconds fits.
            step_seconds: i64::try_from(step.as_secs()).map_err(|_| too_short())?,
        })
    }

    /// The view set.
    pub fn view_set_name(&self) -> &str {
        &self.view_set_name
    }

    /// The range of insert time.
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// The length of each partition.
    pub fn step(&self) -> Duration {
        Duration::from_secs(self.step_seconds.unsigned_abs())
    }

    /// Where the last whole step ends; the server writes nothing behind it.
    pub fn end_of_steps(&self) -> DateTime<Utc> {
        let tail = self.range.duration().as_nanos() % self.step().as_nanos();
        // The tail is shorter than the range, whose end is no more than 584 years after its beginning.
        self.range.end() - TimeDelta::nanoseconds(i64::try_from(tail).unwrap_or(i64::MAX))
    }

    fn instance(&self) -> ViewInstance {
        ViewInstance::new(&self.view_set_name, GLOBAL_INSTANCE)
    }

    /// Whether the partition has insert time in common with the steps; to touch an end is not enough.
    fn concerns(&self, partition: &Partition) -> bool {
        let (begin, end) = (self.range.begin(), self.end_of_steps());
        partition.is_within(begin, end) || (partition.begin_insert_time < end && partition.end_insert_time > begin)
    }

    /// Whether the partition lies in one step with both ends.
    fn has_a_step_around(&self, partition: &Partition) -> bool {
        let offset = (partition.begin_insert_time - self.range.begin()).num_seconds();
        let step = TimeDelta::seconds(offset - offset.rem_euclid(self.step_seconds));
        let begin = self.range.begin() + step;
        begin >= self.range.begin() && partition.is_within(begin, begin + TimeDelta::seconds(self.step_seconds))
    }
}

impl PartitionAdmin {
    /// Has the server write the partitions of a range that it does not have yet, lists them, and reports what is new.
    ///
    /// The view sets stand on each other: `blocks` has to be materialised first, then `processes` and `streams`, then the
    /// rest.
    ///
    /// # Errors
    /// Those of listing the partitions; `NotFound` when the server does not know the view set, and `Internal` when it gave
    /// up otherwise (both of which it only tells in a row of a good answer); `PermissionDenied` without an
    /// administrator's rights; that of the [history](Self::with_history) that its beginning cannot be recorded in, and
    /// nothing is asked for then. A step that the server left out is in the report.
    pub async fn materialize(&self, what: &Materialisation, observer: &dyn Observer) -> Result<MaterialisationReport> {
        let writing = self.write("materialize_partitions", what, Kept::Good, observer);
        self.recorded(what, false, writing).await
    }

    /// Has the server write the partitions of a range once more from their sources, lists them, and reports which ones
    /// were replaced.
    ///
    /// # Errors
    /// As [`materialize`](Self::materialize); `InvalidInput`, before the server is asked, when the steps do not fill the
    /// range, or when one of the partitions that are there does not lie in one step: the server refuses that too, but
    /// perhaps after it has replaced others.
    pub async fn regenerate(&self, what: &Materialisation, observer: &dyn Observer) -> Result<MaterialisationReport> {
        self.recorded(what, true, self.write_anew(what, observer)).await
    }

    /// Works between the two records of the history, if there is one.
    async fn recorded(
        &self,
        what: &Materialisation,
        anew: bool,
        work: impl Future<Output = Result<MaterialisationReport>>,
    ) -> Result<MaterialisationReport> {
        let Some(history) = self.history() else {
            return work.await;
        };
        let run = history.writing(what, anew, self.server())?;
        let mut outcome = work.await;
        if let Err(error) = history.written(&run, &outcome) {
            tracing::error!(%error, "the end of a materialisation could not be recorded");
            if let Ok(report) = &mut outcome {
                report.unrecorded = Some(Failure::of(&error));
            }
        }
        outcome
    }

    async fn write_anew(&self, what: &Materialisation, observer: &dyn Observer) -> Result<MaterialisationReport> {
        if what.end_of_steps() != what.range.end() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "steps of {} s do not fill the range {} of {}: the last whole one ends at {}; to regenerate, let the \
                     range end there",
                    what.step_seconds,
                    what.range,
                    what.instance(),
                    to_rfc3339(what.end_of_steps())
                ),
            ));
        }
        if let Some(partition) = self.listed(what).await?.iter().find(|p| !what.has_a_step_around(p)) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the partition of {} from {} to {} does not lie in one step of {} s from {}; choose the range and the \
                     step so that each partition lies in one",
                    what.instance(),
                    to_rfc3339(partition.begin_insert_time),
                    to_rfc3339(partition.end_insert_time),
                    what.step_seconds,
                    to_rfc3339(what.range.begin())
                ),
            ));
        }
        self.write("regenerate_partitions", what, Kept::NotRegenerated, observer)
            .await
    }

    async fn write(
        &self,
        function: &'static str,
        what: &Materialisation,
        kept: Kept,
        observer: &dyn Observer,
    ) -> Result<MaterialisationReport> {
        let instance = what.instance();
        let before = self.listed(what).await?;
        let call = Call::new(
            function,
            &[
                quote_literal(&what.view_set_name),
                time_argument(what.range.begin()),
                time_argument(what.range.end()),
                what.step_seconds.to_string(),
            ],
        );
        tracing::info!(%instance, function, range = %what.range, "asking the server to write partitions");
        let mut said = Said::default();
        let context = |error: Error| error.context(format!("{function} of {instance} over {}", what.range));
        let drained = call.drain(self.catalog().service(), |message| {
            said.note(function, &message.message);
            observer.observe(&Event::Message {
                instance: Some(instance.clone()),
                message: message.clone(),
            });
            said.messages.push(message);
        });
        // Unlike a retirement, it has committed all that it did when its answer ends: one listing is enough.
        drained.await.map_err(context)?;
        if let Some(text) = &said.gave_up {
            return Err(context(gave_up(text)));
        }
        observer.observe(&Event::Verifying);
        let after = self.listed(what).await?;
        Ok(MaterialisationReport::new(what, kept, said, before, after))
    }

    async fn listed(&self, what: &Materialisation) -> Result<Vec<Partition>> {
        let filter = PartitionFilter::all()
            .with_view_sets([&what.view_set_name])
            .with_instances([GLOBAL_INSTANCE])
            .overlapping(what.range);
        let mut partitions = self.catalog().partitions(&filter).await?;
        partitions.retain(|partition| what.concerns(partition));
        Ok(partitions)
    }
}

/// What it means that a partition is the same as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// It was up to date.
    Good,
    /// It was not written once more.
    NotRegenerated,
}

/// What the server said, sorted.
#[derive(Debug, Default)]
struct Said {
    messages: Messages,
    /// The steps that it left out.
    failures: Vec<String>,
    /// Why it ended early.
    gave_up: Option<String>,
}

impl Said {
    /// Here the service tells its failures as rows of an answer that ends well.
    fn note(&mut self, function: &str, message: &str) {
        let implementation = message
            .strip_prefix(function)
            .is_some_and(|rest| rest.starts_with("_impl"));
        if implementation {
            self.gave_up.get_or_insert_with(|| message.to_owned());
        } else if message.contains("aborting the update") || message.starts_with("[PARTITION_INSERT_ERROR]") {
            self.failures.push(message.to_owned());
        }
    }
}

fn gave_up(text: &str) -> Error {
    let causes = text.split("Stack backtrace:").next().unwrap_or(text);
    let one_line = causes.split_whitespace().collect::<Vec<_>>().join(" ");
    let kind = if one_line.contains("can't find view") {
        ErrorKind::NotFound
    } else {
        ErrorKind::Internal
    };
    Error::new(kind, format!("the server gave up: {one_line}"))
}

/// What a materialisation or a regeneration came to, as the catalogue shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MaterialisationReport {
    complete: bool,
    #[serde(flatten)]
    instance: ViewInstance,
    created: Vec<Partition>,
    replaced: Vec<Partition>,
    kept: Vec<Partition>,
    gaps: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    skipped_tail: Option<(DateTime<Utc>, DateTime<Utc>)>,
    failures: Vec<String>,
    unrecorded: Option<Failure>,
    #[serde(flatten)]
    messages: Messages,
}

impl MaterialisationReport {
    fn new(what: &Materialisation, meaning: Kept, said: Said, before: Vec<Partition>, after: Vec<Partition>) -> Self {
        let gaps = gaps(what, &after);
        let old: HashSet<Identity<'_>> = before.iter().map(identity).collect();
        let (kept, created): (Vec<_>, Vec<_>) = after
            .into_iter()
            .partition(|partition| old.contains(&identity(partition)));
        let still: HashSet<Identity<'_>> = kept.iter().map(identity).collect();
        let replaced = before
            .iter()
            .filter(|partition| !still.contains(&identity(partition)))
            .cloned()
            .collect();
        let (end_of_steps, end) = (what.end_of_steps(), what.range.end());
        let kept_is_good = meaning == Kept::Good || kept.is_empty();
        Self {
            complete: said.failures.is_empty() && gaps.is_empty() && kept_is_good,
            instance: what.instance(),
            created,
            replaced,
            kept,
            gaps,
            skipped_tail: (end_of_steps < end).then_some((end_of_steps, end)),
            failures: said.failures,
            unrecorded: None,
            messages: said.messages,
        }
    }

    /// Whether every whole step was seen to be covered by partitions, no step was left out, and, for a regeneration, no
    /// old partition is left.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The instance that was written.
    pub fn instance(&self) -> &ViewInstance {
        &self.instance
    }

    /// The partitions that are new.
    pub fn created(&self) -> &[Partition] {
        &self.created
    }

    /// The partitions that were there before and are not any more.
    pub fn replaced(&self) -> &[Partition] {
        &self.replaced
    }

    /// The partitions that are as they were.
    pub fn kept(&self) -> &[Partition] {
        &self.kept
    }

    /// Insert times in the whole steps that no partition covers.
    pub fn gaps(&self) -> &[(DateTime<Utc>, DateTime<Utc>)] {
        &self.gaps
    }

    /// The end of the range that is shorter than the step, which the server leaves out and does not mention.
    pub fn skipped_tail(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        self.skipped_tail
    }

    /// What the server said about steps that it left out.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Why the history lacks the end of this run, when it could not be written.
    pub fn unrecorded(&self) -> Option<&Failure> {
        self.unrecorded.as_ref()
    }

    /// What the server said.
    pub fn messages(&self) -> &Messages {
        &self.messages
    }
}

/// What of the whole steps no partition covers. The listing is ordered by beginning.
fn gaps(what: &Materialisation, partitions: &[Partition]) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let mut gaps = Vec::new();
    let mut covered = what.range.begin();
    for partition in partitions {
        if partition.begin_insert_time > covered {
            gaps.push((covered, partition.begin_insert_time));
        }
        covered = covered.max(partition.end_insert_time);
    }
    if covered < what.end_of_steps() {
        gaps.push((covered, what.end_of_steps()));
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{partition, time};

    const SECOND: i64 = 1_000_000;

    fn seconds(begin: i64, end: i64) -> TimeRange {
        TimeRange::new(time(begin * SECOND), time(end * SECOND)).unwrap()
    }

    fn tens(begin: i64, end: i64) -> Materialisation {
        Materialisation::new("blocks", seconds(begin, end), Duration::from_secs(10)).unwrap()
    }

    #[test]
    fn bounds_are_checked_before_the_call() {
        for (range, step, says) in [
            (seconds(5, 5), Duration::from_secs(1), "begins and ends at"),
            (seconds(0, 50), Duration::ZERO, "whole seconds"),
            (seconds(0, 50), Duration::from_millis(1_500), "whole seconds"),
            (seconds(0, 50), Duration::from_secs(51), "shorter than the step"),
            (
                seconds(0, 50),
                Duration::MAX - Duration::from_nanos(999_999_999),
                "shorter than the step",
            ),
        ] {
            let error = Materialisation::new("blocks", range, step).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(says), "{error}");
        }
    }

    #[test]
    fn whole_steps_end_before_the_tail() {
        assert_eq!(tens(0, 35).end_of_steps(), time(30 * SECOND));
        assert_eq!(tens(0, 30).end_of_steps(), time(30 * SECOND));
        assert_eq!(tens(-5, 35).end_of_steps(), time(35 * SECOND));
    }

    #[test]
    fn a_partition_lies_in_one_step_or_in_none() {
        let of =
            |begin, end| tens(0, 30).has_a_step_around(&partition("blocks", "global", begin * SECOND, end * SECOND));
        assert!(of(0, 10) && of(22, 24) && of(10, 10));
        assert!(!of(5, 11) && !of(-1, 5) && !of(-5, -1));
    }

    #[test]
    fn gaps_are_what_no_partition_covers() {
        let of = |times: &[(i64, i64)]| -> Vec<(i64, i64)> {
            let partitions: Vec<_> = times
                .iter()
                .map(|(begin, end)| partition("blocks", "global", begin * SECOND, end * SECOND))
                .collect();
            let seconds = |time: DateTime<Utc>| time.timestamp();
            gaps(&tens(0, 35), &partitions)
                .into_iter()
                .map(|(a, b)| (seconds(a), seconds(b)))
                .collect()
        };
        assert_eq!(of(&[]), [(0, 30)]);
        assert_eq!(of(&[(0, 10), (10, 20), (20, 30)]), []);
        assert_eq!(of(&[(-5, 40)]), []);
        assert_eq!(of(&[(0, 10), (20, 30)]), [(10, 20)]);
        assert_eq!(of(&[(10, 20)]), [(0, 10), (20, 30)]);
    }

    #[test]
    fn rows_that_are_errors_are_known() {
        let mut said = Said::default();
        for row in [
            "[a, b] blocks global: already up to date, nb_source_events=3",
            "creating empty partition record for blocks",
            "[a, b] blocks global: found overlapping partition [c, d], aborting the update",
            "materialize_partitions_impl\n\nCaused by:\n    can't find view nope\n\nStack backtrace:\n 0: x",
        ] {
            said.note("materialize_partitions", row);
        }
        assert_eq!(said.failures.len(), 1);
        let error = gave_up(&said.gave_up.unwrap());
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(
            error.message(),
            "the server gave up: materialize_partitions_impl Caused by: can't find view nope"
        );
    }
}
