//! Where a lake is known to differ from the real service, and why that is so.

/// One observation that is not that of the real service, on purpose or for now.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// The case that observes it.
    pub case: &'static str,
    /// The name of the observation.
    pub observation: &'static str,
    /// What is seen instead. Anything else, the real service's own answer too, fails the case: the list stays true.
    pub seen: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// The known differences of the embedded lake.
const EMBEDDED: &[Difference] = &[Difference {
    case: "retire-one",
    observation: "by metadata that are not right",
    seen: "ERROR",
    reason: "for one row the service answers two, the error and ROLLED_BACK, and then fails on its own answer; the \
             embedded lake answers the error",
}];

/// The known differences of a target by its name. None for a server that is not ours.
pub fn of_target(target: &str) -> &'static [Difference] {
    match target {
        "embedded" => EMBEDDED,
        _ => &[],
    }
}
