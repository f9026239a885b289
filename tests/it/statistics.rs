//! The statistics of the measurements, against values that `SciPy` 1.x computed from the same
//! samples.

#[path = "../../benches/statistics/mod.rs"]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts of samples are small and positive"
)]
mod tested;

use tested::{
    Moments, calls_to_tell, holm, kolmogorov_smirnov, mann_whitney, quantile, two_sided, welch_t,
};

/// With ties within a set and between the two.
const ONE: [f64; 10] = [11.8, 12.1, 12.1, 12.5, 12.9, 13.0, 13.7, 14.0, 14.3, 15.2];
const OTHER: [f64; 8] = [12.1, 13.3, 13.4, 14.0, 14.9, 15.1, 15.7, 16.0];

#[track_caller]
fn near(value: f64, expected: f64) {
    let error = (value - expected).abs();
    assert!(
        error <= 1e-12 * expected.abs().max(1.0),
        "{value}, not {expected}"
    );
}

fn moments(samples: &[f64]) -> Moments {
    let mut moments = Moments::default();
    for sample in samples {
        moments.add(*sample);
    }
    moments
}

#[test]
fn welchs_t_is_that_of_scipy() {
    let (one, other) = (moments(&ONE), moments(&OTHER));
    near(one.mean(), 13.16);
    near(welch_t(&one, &other), -1.953_797_743_949_392_3);
    near(welch_t(&other, &one), 1.953_797_743_949_392_3);
}

#[test]
fn mann_whitneys_u_and_p_are_those_of_scipy() {
    let test = mann_whitney(&ONE, &OTHER);
    near(test.longer, 20.5 / 80.0);
    near(test.p, 0.090_537_967_090_303_23);
    let swapped = mann_whitney(&OTHER, &ONE);
    near(swapped.longer, 59.5 / 80.0);
    near(swapped.p, test.p);
    near(mann_whitney(&ONE, &ONE).longer, 0.5);
}

#[test]
fn kolmogorov_smirnovs_d_and_p_are_those_of_scipy() {
    let (d, p) = kolmogorov_smirnov(&ONE, &OTHER);
    near(d, 0.475);
    near(p, 0.268_514_859_122_844_8);
    let (same, p) = kolmogorov_smirnov(&ONE, &ONE);
    near(same, 0.0);
    near(p, 1.0);
    // Two sets of 50 apart from each other: D is 1, and Kolmogorov's variable 5.
    let low: Vec<_> = (0..50).map(f64::from).collect();
    let high: Vec<_> = (50..100).map(f64::from).collect();
    let (apart, p) = kolmogorov_smirnov(&low, &high);
    near(apart, 1.0);
    near(p / 3.857_499_695_927_836e-22, 1.0);
}

#[test]
fn the_normal_tail_is_that_of_scipy() {
    near(two_sided(0.0), 1.0);
    near(two_sided(-1.0), 0.317_310_507_862_914_15);
    near(two_sided(4.5) / 6.795_346_249_460_107e-6, 1.0);
    near(two_sided(10.0) / 1.523_970_604_832_094e-23, 1.0);
}

#[test]
fn p_values_are_corrected_for_their_number_in_their_order() {
    let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
    for (value, expected) in corrected.into_iter().zip([0.03, 0.06, 0.06, 0.02]) {
        near(value, expected);
    }
    near(holm(&[0.9, 0.8])[0], 1.0);
}

#[test]
fn what_is_always_longer_takes_few_calls_to_tell_and_noise_takes_many() {
    near(calls_to_tell(1.0), 3.604_818_f64.powi(2) * 4.0 / 6.0);
    near(calls_to_tell(0.0), calls_to_tell(1.0));
    assert!(calls_to_tell(0.501) > 1e6);
}

#[test]
fn a_quantile_is_a_sample() {
    near(quantile(&ONE, 0.0), 11.8);
    near(quantile(&ONE, 0.5), 13.0);
    near(quantile(&ONE, 1.0), 15.2);
}
