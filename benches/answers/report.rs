//! What the times tell, as tables.

use std::time::Duration;

use super::{
    caller::{Beside, Call, Pair},
    states::State,
};
use crate::statistics::{
    calls_to_tell, holm, kolmogorov_smirnov, mann_whitney, quantile, two_sided,
};

/// All pairs of states, and unknown users against themselves.
const COMPARED: [(State, State); 7] = [
    (State::Control, State::Unknown),
    (State::Completed, State::Unknown),
    (State::Cooling, State::Unknown),
    (State::Pending, State::Unknown),
    (State::Cooling, State::Completed),
    (State::Pending, State::Completed),
    (State::Pending, State::Cooling),
];

/// Microseconds, sorted.
fn times(calls: &[Call], of: impl Fn(&Call) -> bool) -> Vec<f64> {
    let chosen = calls.iter().filter(|call| of(call));
    sorted(chosen.map(|call| call.took))
}

fn sorted(times: impl Iterator<Item = Duration>) -> Vec<f64> {
    let mut times: Vec<_> = times.map(micros).collect();
    times.sort_by(f64::total_cmp);
    times
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Each state by itself.
pub(crate) fn print_states(calls: &[Call], grid: Duration) {
    println!("| state | calls | median µs | p99 µs | later than the first step |");
    println!("| --- | --- | --- | --- | --- |");
    for state in State::ALL {
        let times = times(calls, |call| call.state == state);
        let late = times.iter().filter(|time| **time > 1.5 * micros(grid));
        let late = if grid.is_zero() { 0 } else { late.count() };
        let (median, p99) = (quantile(&times, 0.5), quantile(&times, 0.99));
        let (name, count) = (state.name(), times.len());
        println!("| {name} | {count} | {median:.0} | {p99:.0} | {late} |");
    }
    println!();
}

/// States against each other: whether the state of the call that was timed shows.
pub(crate) fn print_comparisons(calls: &[Call]) {
    let of = |state| times(calls, |call| call.state == state);
    print_compared("state", &COMPARED, of);
}

/// The same by the call before on the connection: whether what it left to do shows.
pub(crate) fn print_aftermath(calls: &[Call]) {
    let of = |state| times(calls, |call| call.before == Some(state));
    print_compared("state of the call before", &COMPARED[..4], of);
}

/// The same by the call just before on another connection, of what waits for no grid.
pub(crate) fn print_beside(all: &[Beside]) {
    let of = |state| {
        let chosen = all.iter().filter(|beside| beside.state == state);
        sorted(chosen.map(|beside| beside.took))
    };
    print_compared("state of the call beside a refused one", &COMPARED[..4], of);
}

fn print_compared(what: &str, compared: &[(State, State)], of: impl Fn(State) -> Vec<f64>) {
    let sets: Vec<_> = compared
        .iter()
        .map(|(one, other)| (of(*one), of(*other)))
        .collect();
    let ranks = sets.iter().map(|(one, other)| mann_whitney(one, other));
    let distances = sets
        .iter()
        .map(|(one, other)| kolmogorov_smirnov(one, other));
    let (ranks, distances): (Vec<_>, Vec<_>) = (ranks.collect(), distances.collect());
    let values = ranks.iter().map(|rank| rank.p);
    let values: Vec<_> = values.chain(distances.iter().map(|(_, p)| *p)).collect();
    let values = holm(&values);
    println!(
        "| {what} | median, µs apart | p99, µs apart | longer | p (U) | D | p (D) | calls to tell |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (index, (one, other)) in compared.iter().enumerate() {
        let (ones, others) = &sets[index];
        let apart = |share| quantile(ones, share) - quantile(others, share);
        println!(
            "| {} / {} | {:+.1} | {:+.1} | {:.4} | {} | {:.4} | {} | {} |",
            one.name(),
            other.name(),
            apart(0.5),
            apart(0.99),
            ranks[index].longer,
            p(values[index]),
            distances[index].0,
            p(values[sets.len() + index]),
            calls(calls_to_tell(ranks[index].longer)),
        );
    }
    println!();
}

/// Which of two answers came first.
pub(crate) fn print_order(pairs: &[Pair]) {
    let mut rows = Vec::new();
    for state in State::ALL.into_iter().skip(1) {
        let all: Vec<_> = pairs.iter().filter(|pair| pair.state == state).collect();
        let first = all.iter().filter(|pair| pair.first).count() as f64;
        let count = all.len() as f64;
        let z = (first - count / 2.0) / (count / 4.0).sqrt();
        rows.push((state, all.len(), first / count, two_sided(z)));
    }
    let values = holm(&rows.iter().map(|row| row.3).collect::<Vec<_>>());
    println!("| asked with an unknown user | pairs | answered first | p |");
    println!("| --- | --- | --- | --- |");
    for ((state, count, share, _), value) in rows.into_iter().zip(values) {
        println!("| {} | {count} | {share:.4} | {} |", state.name(), p(value));
    }
    println!();
}

fn p(value: f64) -> String {
    if value < 0.001 {
        format!("{value:.0e}")
    } else {
        format!("{value:.3}")
    }
}

/// Two digits are all that this figure has.
fn calls(number: f64) -> String {
    if number > 1e6 {
        "over a million".to_owned()
    } else {
        format!("{:.0}", number.ceil())
    }
}
