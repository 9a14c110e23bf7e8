//! Ticks and numbers of the axes.

use egui::{RichText, Ui};
use egui_plot::{AxisHints, GridInput, GridMark};

use crate::theme::{self, font};
use crate::widget::format;

/// Height of an axis name with its gap, in lines, as `egui_plot` draws it.
const NAME_LINE: f32 = 1.25;

/// Labels of a shorter axis near 0 are in scientific notation.
const SCIENTIFIC: f64 = 0.9e-3;

/// A horizontal axis with a name below its numbers. The first frame of a plot has not measured its axes yet: without this
/// height the name would overlap the numbers.
pub(in crate::view::train) fn named<'a>(ui: &Ui, axis: AxisHints<'a>, name: &str) -> AxisHints<'a> {
    let color = theme::tokens(ui).text_dim;
    let line = |font| ui.painter().layout_no_wrap("0".into(), font, color).size().y;
    let height = line(font::number_small()) + NAME_LINE * line(font::caption());
    axis.label(RichText::new(name).font(font::caption()).color(color)).min_thickness(height)
}

/// Ticks at round numbers at least `least` apart, at integers only if `whole`.
pub(in crate::view::train) fn marks(input: &GridInput, whole: bool, least: f64) -> Vec<GridMark> {
    let power = 10.0_f64.powf(least.max(1e-12).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= least * 0.999);
    let mut step = step.unwrap_or(power * 10.0).max(if whole { 1.0 } else { 0.0 });
    let (low, high) = input.bounds;
    let count = |step: f64| (high / step).floor() - (low / step).ceil();
    // A single label shows no scale.
    while !whole && high > low && count(step) < 1.0 {
        step /= 2.0;
    }
    let (from, to) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (from..=to).take(64).map(|n| GridMark { value: n as f64 * step, step_size: step }).collect()
}

/// Ticks of a logarithmic axis, whose bounds are exponents of ten: powers of ten, with intermediate numbers to get three ticks.
/// `lines` is the number of ticks that fit.
pub(super) fn log_marks(input: &GridInput, lines: f64) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    let every = ((high - low) / lines).ceil().max(1.0) as i64;
    let within = |exponent: &f64| (low..=high).contains(exponent);
    let exponents = |every: i64, factors: &[f64]| -> Vec<f64> {
        let powers = (low.floor() as i64..=high.ceil() as i64).filter(|power| power.rem_euclid(every) == 0);
        powers
            .flat_map(|power| factors.iter().map(move |factor| power as f64 + factor.log10()))
            .filter(within)
            .collect()
    };
    // Powers of ten alone, if need be closer than asked for, before numbers between them.
    let powers = (1..=every).rev().map(|every| exponents(every, &[1.0]));
    let choices: [&[f64]; 3] = [&[1.0, 3.0], &[1.0, 2.0, 5.0], &[1.0, 2.0, 3.0, 5.0, 7.0]];
    let between = choices.into_iter().map(|factors| exponents(1, factors));
    let ticks = powers.chain(between).find(|ticks| ticks.len() >= 3).unwrap_or_else(|| {
        // Less than a factor of two: the scale is as good as linear.
        let bounds = (10.0_f64.powf(low), 10.0_f64.powf(high));
        let linear = GridInput { bounds, base_step_size: 1.0 };
        marks(&linear, false, (bounds.1 - bounds.0) / lines)
            .iter()
            .map(|mark| mark.value.log10())
            .filter(within)
            .collect()
    });
    // What a label may be as high as: the distance to the tick below it.
    let gap = |n: usize| if n > 0 { ticks[n] - ticks[n - 1] } else { high - low };
    (0..ticks.len()).map(|n| GridMark { value: ticks[n], step_size: gap(n) }).collect()
}

/// A tick label on a linear axis whose ends are `span` apart: all of an axis in the same notation.
pub(in crate::view::train) fn label(value: f64, span: f64) -> String {
    if value != 0.0 && value.abs() < 1e-2 && span < SCIENTIFIC {
        scientific(value, span)
    } else {
        plain(value, format::decimals(span * 10.0))
    }
}

/// A tick label on a logarithmic axis, by its exponent of ten.
pub(super) fn log_label(exponent: f64, span: f64) -> String {
    let value = 10.0_f64.powf(exponent);
    // A power of ten may be a little off.
    let usual = (1e-3 * 0.999..=1e3 * 1.001).contains(&value);
    if usual { plain(value, format::decimals(span * 10.0).max(3)) } else { scientific(value, span) }
}

fn plain(value: f64, decimals: usize) -> String {
    let text = format::fixed(value, decimals);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// With enough digits to distinguish neighbouring ticks.
fn scientific(value: f64, span: f64) -> String {
    let digits = (value.abs().log10().floor() - (span / 10.0).log10().floor()).clamp(0.0, 4.0) as usize;
    let text = format!("{value:.digits$e}").replace('-', "\u{2212}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let mantissa = if digits > 0 { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    format!("{mantissa}e{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(bounds: (f64, f64)) -> GridInput {
        GridInput { bounds, base_step_size: 0.1 }
    }

    fn values(bounds: (f64, f64), whole: bool, least: f64) -> Vec<f64> {
        marks(&input(bounds), whole, least).iter().map(|mark| mark.value).collect()
    }

    fn labels(bounds: [f64; 2]) -> Vec<String> {
        let marks = log_marks(&input((bounds[0].log10(), bounds[1].log10())), 5.0);
        marks.iter().map(|mark| log_label(mark.value, bounds[1] - bounds[0])).collect()
    }

    #[test]
    fn marks_stand_at_round_numbers() {
        assert_eq!(values((0.5, 12.5), true, 2.0), [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
        assert_eq!(values((0.0, 1.0), false, 0.34), [0.0, 0.5, 1.0]);
        assert!(values((0.0, 1e9), false, 1e-12).len() <= 64);
    }

    #[test]
    fn a_logarithmic_axis_has_three_labels_whatever_its_range() {
        assert_eq!(labels([0.0008, 1.2]), ["0.001", "0.01", "0.1", "1"]);
        assert_eq!(labels([0.08, 2.0]), ["0.1", "0.3", "1"]);
        assert_eq!(labels([0.15, 0.9]), ["0.2", "0.3", "0.5", "0.7"]);
        assert_eq!(labels([0.231, 0.262]), ["0.24", "0.25", "0.26"]);
        assert_eq!(labels([1e-9, 1.0]).len(), 5, "a wide range leaves out powers");
        for low in [1e-7_f64, 3e-4, 0.02, 0.7, 5.0, 400.0] {
            for factor in [1.02, 1.3, 2.0, 5.0, 30.0, 1e5] {
                let found = labels([low, low * factor]);
                assert!(found.len() >= 2, "{low} x {factor}: {found:?}");
                assert!(found.windows(2).all(|pair| pair[0] != pair[1]), "{low} x {factor}: {found:?}");
            }
        }
    }

    #[test]
    fn a_low_chart_has_two_labels_as_well() {
        for lines in [2.0, 3.0, 6.0] {
            let found = log_marks(&input((1.06_f64.log10(), 1.6_f64.log10())), lines);
            assert!(found.len() >= 2, "{lines}: {}", found.len());
            assert!(values((1.06, 1.6), false, 0.54 / lines).len() >= 2, "{lines}");
        }
    }

    #[test]
    fn a_low_chart_of_many_decades_has_powers_of_ten() {
        let found = log_marks(&input((2.5e-4_f64.log10(), 8.0_f64.log10())), 2.5);
        let exponents: Vec<f64> = found.iter().map(|mark| mark.value).collect();
        assert_eq!(exponents, [-3.0, -2.0, -1.0, 0.0]);
    }

    #[test]
    fn axes_are_written_short() {
        assert_eq!([label(0.5, 1.0), label(1.0, 5.0)], ["0.5", "1"]);
        let rate = [5e-4, 1e-3, 1.5e-3];
        assert_eq!(rate.map(|rate| label(rate, 1e-3)), ["0.0005", "0.001", "0.0015"], "one notation for an axis");
        assert_eq!(rate.map(|rate| label(rate * 1e-2, 1e-5)), ["5e\u{2212}6", "1e\u{2212}5", "1.5e\u{2212}5"]);
        assert_eq!(label(0.5001, 4e-4), "0.5001", "far from 0");
        assert_eq!(label(0.00015, 0.0002), "1.5e\u{2212}4", "no two ticks have one label");
        assert_eq!([-2.0, 0.0, -5.0].map(|e| log_label(e, 1.0)), ["0.01", "1", "1e\u{2212}5"]);
    }
}
