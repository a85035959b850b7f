//! Errors, and what is told of many of them.

/// `max(estimate/truth, truth/estimate)`: 1 is right, 2 is off by a factor of two in either direction. What is less than
/// one counts as one, so that an empty result has an error too.
pub(super) fn q_error(estimate: f64, truth: f64) -> f64 {
    let (estimate, truth) = (estimate.max(1.0), truth.max(1.0));
    (estimate / truth).max(truth / estimate)
}

/// Percentiles of errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) count: usize,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) max: f64,
}

impl Spread {
    /// `None` when there is no error to tell of.
    pub(super) fn of(errors: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut errors: Vec<f64> = errors.into_iter().collect();
        errors.sort_by(f64::total_cmp);
        // The nearest rank: the least error that is not exceeded by so many.
        let at = |share: f64| {
            let rank = (share * errors.len() as f64).ceil() as usize;
            errors.get(rank.max(1) - 1).copied()
        };
        Some(Self {
            count: errors.len(),
            p50: at(0.5)?,
            p90: at(0.9)?,
            max: at(1.0)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_a_factor_in_either_direction() {
        assert_eq!(q_error(10.0, 20.0), 2.0);
        assert_eq!(q_error(20.0, 10.0), 2.0);
        assert_eq!(q_error(0.0, 0.0), 1.0);
        assert_eq!(q_error(0.0, 5.0), 5.0);
        assert_eq!(q_error(f64::INFINITY, 5.0), f64::INFINITY);
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let spread = Spread::of((1..=10).rev().map(f64::from)).unwrap();
        assert_eq!((spread.count, spread.p50, spread.p90, spread.max), (10, 5.0, 9.0, 10.0));
        assert_eq!(Spread::of([3.0]).unwrap().p50, 3.0);
        assert_eq!(Spread::of([]), None);
    }
}
