//! Medians, spreads and percentiles. Never an average: it hides what users notice.

use std::collections::BTreeMap;

use serde::Serialize;

/// What one round of one contestant gave: values by name, and how many samples they are made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Round {
    pub(crate) values: BTreeMap<String, f64>,
    pub(crate) samples: u64,
}

impl Round {
    pub(crate) fn one(key: &str, value: f64, samples: u64) -> Self {
        Self { values: BTreeMap::from([(key.to_owned(), value)]), samples }
    }

    /// p50, p99 and max of latencies in nanoseconds, as milliseconds under `<prefix>p50` and so on.
    pub(crate) fn latencies(prefix: &str, latencies: Vec<u64>) -> Self {
        let mut round = Self::default();
        round.add_latencies(prefix, latencies);
        round
    }

    pub(crate) fn add_latencies(&mut self, prefix: &str, mut latencies: Vec<u64>) {
        latencies.sort_unstable();
        for (name, part) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            let value = percentile(&latencies, part) as f64 / 1e6;
            self.values.insert(format!("{prefix}{name}"), value);
        }
        self.samples += latencies.len() as u64;
    }

    pub(crate) fn set(&mut self, key: &str, value: f64) {
        self.values.insert(key.to_owned(), value);
    }
}

/// The value that `part` of the sorted values do not exceed (nearest rank); 0 of none.
pub(crate) fn percentile(sorted: &[u64], part: f64) -> u64 {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).or(sorted.last()).copied().unwrap_or(0)
}

/// What the rounds gave together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) rounds: usize,
}

impl Spread {
    /// None of no values.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Self { median, min, max, rounds: values.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let values: Vec<u64> = (1..=200).collect();
        for (part, want) in [(0.0, 1), (0.5, 100), (0.99, 198), (1.0, 200)] {
            assert_eq!(percentile(&values, part), want, "{part}");
        }
        assert_eq!((percentile(&[7], 0.5), percentile(&[7], 0.99), percentile(&[], 0.5)), (7, 7, 0));
    }

    #[test]
    fn a_spread_is_the_median_between_the_extremes() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max, spread.rounds), (2.0, 1.0, 3.0, 3));
        assert_eq!(Spread::of(vec![4.0, 1.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn latencies_become_milliseconds_by_name() {
        let round = Round::latencies("a ", (1..=100).map(|n| n * 1_000_000).collect());
        assert_eq!(
            (round.values["a p50"], round.values["a p99"], round.values["a max"]),
            (50.0, 99.0, 100.0)
        );
        assert_eq!(round.samples, 100);
    }
}
