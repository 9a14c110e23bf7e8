//! Length of the scale bar.

/// The largest of 1, 2, 5, 10, 20, 50, ... mm (and 0.5, 0.2, ...) that is at most `longest` points long at
/// `points_per_mm`. `None` without a scale.
pub fn length_mm(points_per_mm: f64, longest: f64) -> Option<f64> {
    let limit = longest / points_per_mm;
    if !limit.is_finite() || limit <= 0.0 {
        return None;
    }
    let decade = 10f64.powf((limit.log10() + 1e-9).floor());
    let step = [5.0, 2.0].into_iter().find(|step| limit / decade >= step - 1e-9).unwrap_or(1.0);
    Some(step * decade)
}

/// The length with its unit.
pub fn text(mm: f64) -> String {
    if mm >= 10.0 {
        format!("{:.0} cm", mm / 10.0)
    } else if mm >= 1.0 {
        format!("{mm:.0} mm")
    } else {
        let decimals = (-mm.log10()).ceil().max(1.0) as usize;
        format!("{mm:.decimals$} mm")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_bar_is_the_longest_round_length_that_fits() {
        let of = |points_per_mm| length_mm(points_per_mm, 100.0).map(text);
        for (scale, words) in [
            (1.0, "10 cm"),
            (1.01, "5 cm"),
            (2.0, "5 cm"),
            (3.0, "2 cm"),
            (9.0, "1 cm"),
            (11.0, "5 mm"),
            (60.0, "1 mm"),
            (120.0, "0.5 mm"),
            (1500.0, "0.05 mm"),
            (0.04, "200 cm"),
        ] {
            assert_eq!(of(scale).as_deref(), Some(words), "{scale} points a mm");
        }
        assert_eq!(length_mm(0.0, 100.0), None);
        assert_eq!(length_mm(f64::NAN, 100.0), None);
    }

    #[test]
    fn the_scale_bar_fills_at_least_a_third_of_its_place() {
        for n in 1..400 {
            let scale = 1.05f64.powi(n - 200);
            let points = length_mm(scale, 90.0).map_or(0.0, |mm| mm * scale);
            assert!((36.0 - 1e-6..=90.0 + 1e-6).contains(&points), "{points} points at {scale}");
        }
    }
}
