//! Medians, spreads and ratios of figures that were measured round by round. Pure.

/// The middle of several values, and where a tenth of them are below and above.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) p10: f64,
    pub(crate) median: f64,
    pub(crate) p90: f64,
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(mut values: Vec<f64>) -> Spread {
        assert!(!values.is_empty(), "nothing was measured");
        values.sort_by(f64::total_cmp);
        let at = |part| quantile(&values, part);
        Spread { p10: at(0.1), median: at(0.5), p90: at(0.9) }
    }

    /// Of the ratios of what was measured in the same round; of the medians if no round has both.
    pub(crate) fn of_ratios(own: &[(u32, f64)], other: &[(u32, f64)]) -> Spread {
        let value_in = |round| other.iter().find(|(of, _)| *of == round).map(|(_, value)| value);
        let ratios: Vec<f64> = own
            .iter()
            .filter_map(|(round, value)| value_in(*round).map(|other| value / other))
            .collect();
        if ratios.is_empty() {
            let median = |values: &[(u32, f64)]| Spread::of(values_of(values)).median;
            return Spread::of(vec![median(own) / median(other)]);
        }
        Spread::of(ratios)
    }
}

/// The values without their rounds.
pub(crate) fn values_of(values: &[(u32, f64)]) -> Vec<f64> {
    values.iter().map(|(_, value)| *value).collect()
}

/// Of sorted values; between two of them it is as near to each as its place is.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = (sorted.len() - 1) as f64 * part;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = |values: &[f64]| Spread::of(values.to_vec());
        assert_eq!(spread(&[7.0]), Spread { p10: 7.0, median: 7.0, p90: 7.0 });
        assert_eq!(spread(&[3.0, 1.0, 2.0]).median, 2.0);
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
    }

    #[test]
    fn a_tenth_is_outside_on_either_side() {
        let eleven = (0..=10).rev().map(f64::from).collect();
        assert_eq!(Spread::of(eleven), Spread { p10: 1.0, median: 5.0, p90: 9.0 });
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The machine was half as fast in the second round, and the other has one more.
        let own = [(1, 10.0), (2, 20.0), (3, 12.0)];
        let other = [(2, 40.0), (1, 20.0), (3, 20.0), (4, 1.0)];
        assert_eq!(Spread::of_ratios(&own, &other).median, 0.5);
        assert_eq!(Spread::of_ratios(&own, &[(9, 24.0)]).median, 0.5);
    }

    #[test]
    #[should_panic = "nothing was measured"]
    fn of_nothing_there_is_no_median() {
        Spread::of(Vec::new());
    }
}
