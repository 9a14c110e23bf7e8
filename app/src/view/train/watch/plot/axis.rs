//! Ticks and numbers of the axes.

use egui_plot::{GridInput, GridMark};

use crate::widget::format;

/// Ticks at round numbers at least `least` apart, at integers only if `whole`.
pub(super) fn marks(input: &GridInput, whole: bool, least: f64) -> Vec<GridMark> {
    let power = 10.0_f64.powf(least.max(1e-12).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= least * 0.999);
    let step = step.unwrap_or(power * 10.0).max(if whole { 1.0 } else { 0.0 });
    let (from, to) = ((input.bounds.0 / step).ceil() as i64, (input.bounds.1 / step).floor() as i64);
    (from..=to).take(64).map(|n| GridMark { value: n as f64 * step, step_size: step }).collect()
}

/// A tick label.
pub(super) fn short(value: f64, decimals: usize) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        return format!("{value:.0e}").replace('-', "\u{2212}");
    }
    let text = format::fixed(value, decimals);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Tick label of a power of ten.
pub(super) fn power(exponent: f64) -> String {
    if (-3.0..=3.0).contains(&exponent) {
        return short(10.0_f64.powf(exponent), 3);
    }
    format!("1e{exponent:.0}").replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(bounds: (f64, f64), whole: bool, least: f64) -> Vec<f64> {
        marks(&GridInput { bounds, base_step_size: 0.1 }, whole, least).iter().map(|mark| mark.value).collect()
    }

    #[test]
    fn marks_stand_at_round_numbers() {
        assert_eq!(values((0.5, 12.5), true, 2.0), [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
        assert_eq!(values((0.0, 1.0), false, 0.34), [0.0, 0.5, 1.0]);
        assert_eq!(values((-2.6, 0.3), true, 1.0), [-2.0, -1.0, 0.0]);
        assert!(values((0.0, 1e9), false, 1e-12).len() <= 64);
    }

    #[test]
    fn axes_are_written_short() {
        assert_eq!([short(0.5, 3), short(1.0, 2), short(0.0002, 6)], ["0.5", "1", "2e\u{2212}4"]);
        assert_eq!([power(-2.0), power(0.0), power(-5.0)], ["0.01", "1", "1e\u{2212}5"]);
    }
}
