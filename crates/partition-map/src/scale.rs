//! Classes of colour: which of a few shades a value gets.

/// How many shades there are beside that of an empty partition.
pub(crate) const CLASSES: usize = 6;

/// From the least value to the greatest in steps of the same factor, because partitions differ by orders of magnitude.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Scale {
    /// The scale of these values; those below one, which have no logarithm, are left out.
    pub(crate) fn over(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|value| *value >= 1.0)
            .fold((f64::INFINITY, 1.0_f64), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        Self {
            low: low.min(high),
            high,
        }
    }

    /// The class of a value: 1 for the least, [`CLASSES`] for the greatest, 0 for nothing at all.
    pub(crate) fn class(self, value: f64) -> usize {
        if value < 1.0 {
            return 0;
        }
        let step = self.step();
        if step == 0.0 {
            return CLASSES;
        }
        let above = ((value / self.low).ln() / step)
            .floor()
            .clamp(0.0, (CLASSES - 1) as f64);
        1 + above as usize
    }

    /// Where the classes begin, from the first to the last.
    pub(crate) fn thresholds(self) -> [f64; CLASSES] {
        std::array::from_fn(|class| self.low * (self.step() * class as f64).exp())
    }

    /// The logarithm of the factor between two classes; zero when all values are the same.
    fn step(self) -> f64 {
        (self.high / self.low).ln() / CLASSES as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_span_the_values() {
        let scale = Scale::over([0.0, 1.0, 1e3, 1e6].into_iter());
        let classes: Vec<_> = [0.0, 1.0, 9.0, 11.0, 1e3 + 1.0, 1e6, 1e9]
            .map(|value| scale.class(value))
            .to_vec();
        assert_eq!(classes, [0, 1, 1, 2, 4, 6, 6]);
        let told: Vec<_> = scale.thresholds().map(f64::round).to_vec();
        assert_eq!(told, [1.0, 10.0, 100.0, 1e3, 1e4, 1e5]);
    }

    #[test]
    fn one_value_and_none_have_a_scale_too() {
        let same = Scale::over([7.0, 7.0].into_iter());
        assert_eq!((same.class(7.0), same.class(0.0)), (CLASSES, 0));
        let none = Scale::over(std::iter::empty());
        assert_eq!((none.class(0.0), none.class(5.0)), (0, CLASSES));
    }
}
