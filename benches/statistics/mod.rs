//! Whether two sets of times differ: Welch's t, Mann-Whitney's U, Kolmogorov-Smirnov's D.
//!
//! Nothing here measures. `tests/it/statistics.rs` holds it to what `SciPy` computes.

use std::f64::consts::{PI, SQRT_2};

/// Mean and variance of samples that are not kept (Welford).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    pub(crate) fn add(&mut self, sample: f64) {
        self.count += 1.0;
        let delta = sample - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (sample - self.mean);
    }

    pub(crate) fn mean(&self) -> f64 {
        self.mean
    }

    /// The variance of the mean.
    fn error(&self) -> f64 {
        self.squares / (self.count - 1.0) / self.count
    }
}

/// Welch's t of two sets of at least two samples each.
pub(crate) fn welch_t(left: &Moments, right: &Moments) -> f64 {
    (left.mean - right.mean) / (left.error() + right.error()).sqrt()
}

/// What came of a rank test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MannWhitney {
    /// How likely a sample of the first set is the longer one of a pair, ties by half: 0.5 if the
    /// sets can't be told apart, 0 or 1 if each sample can.
    pub(crate) longer: f64,
    /// Two-sided, by the normal approximation with correction for ties.
    pub(crate) p: f64,
}

/// Mann-Whitney's U of two sorted sets.
pub(crate) fn mann_whitney(left: &[f64], right: &[f64]) -> MannWhitney {
    let (m, n) = (left.len() as f64, right.len() as f64);
    // Twice the number of pairs in which left is the longer one: whole, so that no rounding adds up.
    let (mut wins, mut shared) = (0_u64, 0.0);
    steps(left, right, |before, here| {
        let (in_left, in_right) = (here.0 - before.0, here.1 - before.1);
        wins += (in_left * (2 * before.1 + in_right)) as u64;
        let tied = (in_left + in_right) as f64;
        shared += tied * tied * tied - tied;
    });
    let all = m + n;
    let u = wins as f64 / 2.0;
    let variance = m * n / 12.0 * (all + 1.0 - shared / (all * (all - 1.0)));
    let distance = (u - m * n / 2.0).abs() - 0.5;
    MannWhitney {
        longer: u / (m * n),
        p: two_sided(distance.max(0.0) / variance.sqrt()),
    }
}

/// The greatest distance between the distributions of two sorted sets, and its two-sided p, by the
/// limit for many samples.
pub(crate) fn kolmogorov_smirnov(left: &[f64], right: &[f64]) -> (f64, f64) {
    let (m, n) = (left.len() as f64, right.len() as f64);
    let mut greatest = 0.0_f64;
    steps(left, right, |_, here| {
        greatest = greatest.max((here.0 as f64 / m - here.1 as f64 / n).abs());
    });
    (greatest, kolmogorov(greatest * (m * n / (m + n)).sqrt()))
}

/// Calls `each` for every value that occurs in either sorted set, with how many samples of each
/// set are below it, and how many are below it or equal.
fn steps(left: &[f64], right: &[f64], mut each: impl FnMut((usize, usize), (usize, usize))) {
    let (mut i, mut j) = (0, 0);
    while i < left.len() || j < right.len() {
        let before = (i, j);
        let value = match (left.get(i), right.get(j)) {
            (Some(left), Some(right)) => left.min(*right),
            (Some(only), None) | (None, Some(only)) => *only,
            (None, None) => return,
        };
        i += left[i..]
            .iter()
            .take_while(|sample| **sample <= value)
            .count();
        j += right[j..]
            .iter()
            .take_while(|sample| **sample <= value)
            .count();
        each(before, (i, j));
    }
}

/// How likely a normal variable is at least `z` from zero.
pub(crate) fn two_sided(z: f64) -> f64 {
    libm::erfc(z.abs() / SQRT_2)
}

/// How likely Kolmogorov's variable is at least `x`: by the one of its two series that converges
/// fast there.
fn kolmogorov(x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let terms = (1..=100).map(f64::from);
    if x < 1.0 {
        let sum: f64 = terms
            .map(|k| (-((2.0 * k - 1.0) * PI / x).powi(2) / 8.0).exp())
            .sum();
        return 1.0 - (2.0 * PI).sqrt() / x * sum;
    }
    let sum: f64 = terms
        .map(|k| {
            let sign = if k % 2.0 == 0.0 { -1.0 } else { 1.0 };
            sign * (-2.0 * (k * x).powi(2)).exp()
        })
        .sum();
    (2.0 * sum).clamp(0.0, 1.0)
}

/// The same p values, corrected for their number by Holm's method.
pub(crate) fn holm(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<_> = (0..values.len()).collect();
    order.sort_by(|one, other| values[*one].total_cmp(&values[*other]));
    let mut corrected = vec![0.0; values.len()];
    let mut least = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        least = least
            .max(values[index] * (values.len() - rank) as f64)
            .min(1.0);
        corrected[index] = least;
    }
    corrected
}

/// How many calls of each of two states it takes to tell them apart in 95 of 100 tries, being
/// wrong in 5 of 100 where there is nothing to tell (Noether 1987).
pub(crate) fn calls_to_tell(longer: f64) -> f64 {
    const QUANTILES: f64 = 1.959_964 + 1.644_854;
    (QUANTILES / (longer - 0.5)).powi(2) / 6.0
}

/// The value below which that share of a sorted set lies.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}
