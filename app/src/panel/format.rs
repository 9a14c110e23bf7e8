//! Numbers as the panels show them.

/// What stands where there is no number.
const NONE: &str = "\u{2013}";

/// A volume in ml: a hundredth matters below 100 ml only.
pub(super) fn ml(volume: f64) -> String {
    fixed(volume, if volume.abs() < 99.995 { 2 } else { 1 })
}

/// A length in mm.
pub(super) fn mm(length: f64) -> String {
    fixed(length, 1)
}

/// A share between 0 and 1.
pub(super) fn ratio(share: f64) -> String {
    fixed(share, 3)
}

/// A voxel value, with three digits or more that count.
pub(super) fn value(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    fixed(value, decimals)
}

/// A value with its unit, if it has one.
pub(super) fn with_unit(number: &str, unit: &str) -> String {
    if unit.is_empty() { number.to_owned() } else { format!("{number} {unit}") }
}

/// Digits behind the point that tell values apart within a range this wide.
pub(super) fn decimals(span: f64) -> usize {
    if span.is_finite() && span > 0.0 { (3.0 - span.log10()).ceil().clamp(0.0, 6.0) as usize } else { 2 }
}

/// A number with this many digits behind the point.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let text = format!("{value:.decimals$}");
    // A small negative number that rounds to nothing is nothing.
    let nothing = text.strip_prefix('-').filter(|rest| rest.chars().all(|c| c == '0' || c == '.'));
    nothing.map_or_else(|| text.replace('-', "\u{2212}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_digits_that_count() {
        assert_eq!((ml(2.406), ml(141.26)), ("2.41".to_owned(), "141.3".to_owned()));
        assert_eq!([value(-600.4), value(12.34), value(0.034)], ["\u{2212}600", "12.3", "0.03"]);
        assert_eq!(value(-0.001), "0.00");
        assert_eq!(ratio(f64::NAN), "\u{2013}");
        assert_eq!(mm(f64::INFINITY), "\u{2013}");
        assert_eq!(with_unit("3", "HU"), "3 HU");
    }

    #[test]
    fn decimals_follow_the_range() {
        assert_eq!([4095.0, 350.0, 20.0, 1.0, 0.004].map(decimals), [0, 1, 2, 3, 6]);
        assert_eq!(decimals(f64::NAN), 2);
        assert_eq!(decimals(0.0), 2);
    }
}
