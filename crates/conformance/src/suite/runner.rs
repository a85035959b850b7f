//! Runs cases and judges what they observed.

use std::sync::Arc;

use lakepilot_query::QueryService;

use super::case::{Case, Failure, Observations};
use super::context::Context;
use super::differences::Difference;
use super::recording::Recording;
use super::report::{CaseReport, Known};
use super::{all_cases, known_differences};

/// Runs all cases, or those that are named, one after another: the later ones change the lake.
///
/// What they observe is compared with `expected`; without it, it is only gathered. `target` says whose known differences
/// count.
///
/// # Errors
/// A failure when the lake has not what the cases need, or a name is not that of a case.
pub async fn run(
    target: &str,
    service: Arc<dyn QueryService>,
    expected: Option<&Recording>,
    only: &[String],
) -> Result<Vec<CaseReport>, Failure> {
    let cases = choose(all_cases(), only)?;
    let context = Context::new(service).await?;
    Ok(run_cases(&cases, &context, expected, known_differences(target)).await)
}

/// Runs cases of one's own choice.
pub async fn run_cases(
    cases: &[&Case],
    context: &Context,
    expected: Option<&Recording>,
    differences: &[Difference],
) -> Vec<CaseReport> {
    let mut reports = Vec::with_capacity(cases.len());
    for case in cases {
        reports.push(match (case.run)(context).await {
            Ok(observations) => judge(case, observations, expected, differences),
            Err(failure) => CaseReport {
                failures: vec![failure.to_string()],
                ..CaseReport::of(case)
            },
        });
    }
    reports
}

fn choose<'a>(cases: &'a [Case], only: &[String]) -> Result<Vec<&'a Case>, Failure> {
    if let Some(unknown) = only.iter().find(|name| cases.iter().all(|case| case.name != *name)) {
        let names: Vec<_> = cases.iter().map(|case| case.name).collect();
        return Err(Failure::new(format!(
            "there is no case {unknown}; the cases are {}",
            names.join(", ")
        )));
    }
    Ok(cases
        .iter()
        .filter(|case| only.is_empty() || only.iter().any(|name| name == case.name))
        .collect())
}

fn judge(
    case: &Case,
    observations: Observations,
    expected: Option<&Recording>,
    differences: &[Difference],
) -> CaseReport {
    let mut report = CaseReport::of(case);
    if let Some(expected) = expected {
        compare(&mut report, &observations, expected, differences);
    }
    report.observations = observations;
    report
}

fn compare(report: &mut CaseReport, observations: &Observations, expected: &Recording, differences: &[Difference]) {
    let Some(expected) = expected.case(report.name) else {
        report.failures.push(
            "nothing was recorded of the real service; record it with `cargo xtask conformance --target micromegas --record`"
                .to_owned(),
        );
        return;
    };
    for (name, expected) in expected {
        let known = differences
            .iter()
            .find(|difference| difference.case == report.name && difference.observation == name);
        match (observations.0.get(name), known) {
            (None, _) => report.failures.push(format!("{name}: not observed")),
            (Some(seen), None) if seen == expected => {}
            (Some(seen), Some(known)) if seen == known.seen => report.known.push(Known {
                observation: name.clone(),
                seen: seen.clone(),
                expected: expected.clone(),
                reason: known.reason,
            }),
            (Some(seen), Some(_)) if seen == expected => report.failures.push(format!(
                "{name}: does not differ any more; take it off the list of differences"
            )),
            (Some(seen), _) => report
                .failures
                .push(format!("{name}\n      seen     {seen}\n      expected {expected}")),
        }
    }
    for name in observations.0.keys().filter(|name| !expected.contains_key(*name)) {
        report.failures.push(format!("{name}: nothing was recorded of it"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: Case = Case {
        name: "a-case",
        proves: "that something holds",
        run: |_| Box::pin(async { Ok(Observations::default()) }),
    };

    fn observations(pairs: &[(&str, &str)]) -> Observations {
        let mut observations = Observations::default();
        for (what, seen) in pairs {
            observations.note(*what, seen);
        }
        observations
    }

    fn judged(seen: &[(&str, &str)], differences: &[Difference]) -> CaseReport {
        let mut expected = Recording::default();
        expected.add("a-case", &observations(&[("kind", "internal error"), ("rows", "none")]));
        judge(&CASE, observations(seen), Some(&expected), differences)
    }

    const KNOWN: Difference = Difference {
        case: "a-case",
        observation: "kind",
        seen: "not found",
        reason: "it is the better answer",
    };

    #[test]
    fn what_the_real_service_does_is_good() {
        let report = judged(&[("kind", "internal error"), ("rows", "none")], &[]);
        assert!(report.is_good() && report.known.is_empty(), "{report:?}");
    }

    #[test]
    fn every_other_observation_fails() {
        for seen in [
            &[("kind", "not found"), ("rows", "none")][..],
            &[("rows", "none")],
            &[("kind", "internal error"), ("rows", "none"), ("more", "x")],
        ] {
            assert_eq!(judged(seen, &[]).failures.len(), 1, "{seen:?}");
        }
        let nothing_recorded = judge(&CASE, observations(&[]), Some(&Recording::default()), &[]);
        assert!(!nothing_recorded.is_good());
    }

    #[test]
    fn a_known_difference_is_told_and_has_to_stay_one() {
        let report = judged(&[("kind", "not found"), ("rows", "none")], &[KNOWN]);
        assert!(report.is_good());
        assert_eq!(report.known[0].reason, KNOWN.reason);
        for kind in ["internal error", "timed out"] {
            assert!(
                !judged(&[("kind", kind), ("rows", "none")], &[KNOWN]).is_good(),
                "{kind}"
            );
        }
    }

    #[test]
    fn cases_are_chosen_by_name() {
        let cases = [CASE];
        assert_eq!(
            choose(&cases, &[])
                .map_err(|failure| failure.to_string())
                .unwrap()
                .len(),
            1
        );
        assert!(choose(&cases, &["another".to_owned()]).is_err());
    }
}
