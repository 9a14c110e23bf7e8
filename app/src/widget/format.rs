//! Number formats of the user interface.

use std::path::Path;

use engine::preprocess::Spacing;
pub use engine::words::plural;

/// Placeholder for a missing number.
pub const NONE: &str = "\u{2013}";

/// A volume in ml, with two decimals below 100 ml and one above.
pub fn ml(volume: f64) -> String {
    fixed(volume, if volume.abs() < 99.995 { 2 } else { 1 })
}

/// A volume with its unit and three significant digits: in µl below 0.1 ml.
pub fn volume(ml: f64) -> String {
    if ml != 0.0 && ml.abs() < 0.1 { format!("{} \u{b5}l", figures(ml * 1e3)) } else { format!("{} ml", figures(ml)) }
}

/// A length in mm.
pub fn mm(length: f64) -> String {
    fixed(length, 1)
}

/// A share between 0 and 1.
pub fn ratio(share: f64) -> String {
    fixed(share, 3)
}

/// A voxel value with at least three significant digits.
pub fn value(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    fixed(value, decimals)
}

/// The spacing that scans are resampled to.
pub fn spacing(spacing: Spacing) -> String {
    spacing
        .millimetres()
        .map_or_else(|| "As acquired".to_owned(), |mm| mm.map(|mm| mm.to_string()).join(" \u{d7} ") + " mm")
}

/// A value with its unit, if it has one.
pub fn with_unit(number: &str, unit: &str) -> String {
    if unit.is_empty() { number.to_owned() } else { format!("{number} {unit}") }
}

/// A number of any magnitude with three significant digits.
pub fn figures(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    // Rounded first: 9.996 is 10.0.
    let scientific = format!("{value:.2e}");
    let exponent = scientific.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    match exponent {
        _ if value == 0.0 => fixed(value, 3),
        -3..=3 => fixed(value, usize::try_from(2 - exponent).unwrap_or(0)),
        _ => scientific.replace('-', "\u{2212}"),
    }
}

/// A duration in seconds, written in its two largest units; below ten seconds with three significant digits.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NONE.to_owned();
    }
    let whole = seconds.round() as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds < 0.01 => format!("{:.1} ms", seconds * 1e3),
        (0, 0, 0) if seconds < 0.9995 => format!("{:.0} ms", seconds * 1e3),
        (0, 0, 0) if seconds < 9.95 => format!("{seconds:.1} s"),
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, _) => format!("{minutes} min {:02} s", whole % 60),
        (0, ..) => format!("{hours} h {minutes:02} min"),
        (_, 0, _) => format!("{days} d"),
        _ => format!("{days} d {hours} h"),
    }
}

/// A text that begins with a capital letter.
pub fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A message of the engine as a sentence.
pub fn sentence(message: &str) -> String {
    let end = if message.ends_with('.') { "" } else { "." };
    capitalised(message) + end
}

/// A value among others within a range of width `span`: as many decimals as distinguish them, without trailing zeros.
/// Three significant digits if the range is very small or very large.
pub fn in_span(value: f64, span: f64) -> String {
    if needs_figures(span) { figures(value) } else { without_zeros(fixed(value, decimals(span))) }
}

/// A decimal number without trailing zeros; scientific notation keeps them.
pub fn without_zeros(text: String) -> String {
    let is_plain = text.contains('.') && !text.contains('e');
    if is_plain { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Whether values within a range of width `span` have more than six decimals or seven digits before the point.
pub fn needs_figures(span: f64) -> bool {
    span > 0.0 && !(1e-3..1e7).contains(&span)
}

/// Decimals needed to distinguish values within a range of width `span`.
pub fn decimals(span: f64) -> usize {
    if span.is_finite() && span > 0.0 { (3.0 - span.log10()).ceil().clamp(0.0, 6.0) as usize } else { 2 }
}

/// A number with a fixed number of decimals.
pub fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let text = format!("{value:.decimals$}");
    // No minus sign in front of zero.
    let nothing = text.strip_prefix('-').filter(|rest| rest.chars().all(|c| c == '0' || c == '.'));
    nothing.map_or_else(|| text.replace('-', "\u{2212}"), str::to_owned)
}

/// Memory in MiB or GiB.
pub fn memory(mib: u64) -> String {
    if mib < 1000 { format!("{mib} MiB") } else { format!("{:.1} GiB", mib as f64 / 1024.0) }
}

/// A count, in thousands or millions if large.
pub fn count(n: usize) -> String {
    match n {
        0..=9_999 => n.to_string(),
        10_000..=999_999 => format!("{:.1} k", n as f64 / 1e3),
        _ => format!("{:.2} M", n as f64 / 1e6),
    }
}

/// The last component of a path.
pub fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// "3 of 8 epochs".
pub fn done_of(done: usize, all: usize, one: &str, several: &str) -> String {
    format!("{done} of {}", plural(all, one, several))
}

/// A count in thousands or millions with its noun.
pub fn counted(n: usize, one: &str, several: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { several })
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
    fn small_volumes_are_in_microlitres() {
        let said = [141.26, 12.345, 0.768, 0.0999, 0.0045, 0.0].map(volume);
        assert_eq!(said, ["141 ml", "12.3 ml", "0.768 ml", "99.9 \u{b5}l", "4.50 \u{b5}l", "0.000 ml"]);
    }

    #[test]
    fn figures_have_three_significant_digits() {
        let shown = [1234.0, 12.345, 0.0421, 1e-4, 123_456.0, 0.0, f64::NAN].map(figures);
        assert_eq!(shown, ["1234", "12.3", "0.0421", "1.00e\u{2212}4", "1.23e5", "0.000", "\u{2013}"]);
        let rates = [0.009, 0.00708, 0.009_999_6, 0.001, 0.5, 9.996, 0.0999, -0.0123].map(figures);
        let expected = ["0.00900", "0.00708", "0.0100", "0.00100", "0.500", "10.0", "0.0999", "\u{2212}0.0123"];
        assert_eq!(rates, expected, "three significant digits");
    }

    #[test]
    fn times_have_two_units() {
        let said = [0.0, 0.0042, 0.038, 0.42, 4.25, 12.4, 62.0, 7260.0, 180_000.0, f64::NAN].map(duration);
        assert_eq!(
            said,
            ["0.0 ms", "4.2 ms", "38 ms", "420 ms", "4.2 s", "12 s", "1 min 02 s", "2 h 01 min", "2 d 2 h", NONE]
        );
        assert_eq!(duration(16.0 * 86_400.0), "16 d", "no 0 h");
    }

    #[test]
    fn a_message_becomes_a_sentence_once() {
        assert_eq!(["no tissue", "No tissue."].map(sentence), ["No tissue."; 2]);
        assert_eq!(["hard share", "", "\u{e4}"].map(capitalised), ["Hard share", "", "\u{c4}"]);
    }

    #[test]
    fn decimals_follow_the_range() {
        assert_eq!([4095.0, 350.0, 20.0, 1.0, 0.004].map(decimals), [0, 1, 2, 3, 6]);
        assert_eq!(decimals(f64::NAN), 2);
        assert_eq!(decimals(0.0), 2);
    }

    #[test]
    fn values_of_very_small_and_large_ranges_have_significant_digits() {
        assert_eq!([3.2e7, 2.366e30].map(|v| in_span(v, v)), ["3.20e7", "2.37e30"]);
        assert_eq!(
            [(1.2e-6, 1.2e-6), (4.5e-7, 1.2e-6)].map(|(v, span)| in_span(v, span)),
            ["1.20e\u{2212}6", "4.50e\u{2212}7"]
        );
        assert_eq!([(0.0012, 0.002), (350.0, 4095.0)].map(|(v, span)| in_span(v, span)), ["0.0012", "350"]);
        assert_eq!([(10.0, 12.0), (5.0, 12.0), (0.25, 12.0)].map(|(v, span)| in_span(v, span)), ["10", "5", "0.25"]);
        assert_eq!(in_span(1.0, f64::NAN), "1");
    }

    #[test]
    fn sizes_and_counts_are_abbreviated() {
        assert_eq!((memory(512), memory(6_144)), ("512 MiB".to_owned(), "6.0 GiB".to_owned()));
        assert_eq!([812, 48_200, 31_030_000].map(count), ["812", "48.2 k", "31.03 M"]);
        assert_eq!([0.25, 0.0083, 2.5e-5].map(figures), ["0.250", "0.00830", "2.50e\u{2212}5"]);
        assert_eq!([1, 20_000].map(|n| counted(n, "step", "steps")), ["1 step", "20.0 k steps"]);
    }
}
