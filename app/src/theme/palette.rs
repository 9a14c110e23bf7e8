//! Colours that carry meaning in the images: patches, comparison, labels. The same in both themes.
//!
//! Each colour is accompanied by a pattern, digit, outline style or name, so that it never carries meaning alone.
//! Patch colours are those of the reports, label and comparison colours those of the shaders.

use egui::Color32;
use engine::draw::colour as report;
use shaders::colour;

const fn of([red, green, blue]: [u8; 3]) -> Color32 {
    Color32::from_rgb(red, green, blue)
}

/// Foreground patch.
pub const PATCH_LESION: Color32 = of(report::LESION);
/// Background patch.
pub const PATCH_BACKGROUND: Color32 = of(report::BACKGROUND);
/// Patch whose label changed in the last update.
pub const PATCH_FLIP: Color32 = of(report::FLIP);

/// True positive: solid.
pub const TRUE_POSITIVE: Color32 = of(colour::TRUE_POSITIVE);
/// False positive: hatched.
pub const FALSE_POSITIVE: Color32 = of(colour::FALSE_POSITIVE);
/// False negative: dashed outline.
pub const FALSE_NEGATIVE: Color32 = of(colour::FALSE_NEGATIVE);
/// The right place with the wrong label: chequered.
pub const WRONG_LABEL: Color32 = of(colour::WRONG_LABEL);

/// The colours above with their names.
pub const DOMAIN: [(&str, Color32); 7] = [
    ("the lesion patch", PATCH_LESION),
    ("the background patch", PATCH_BACKGROUND),
    ("the flipped patch", PATCH_FLIP),
    ("the true positive", TRUE_POSITIVE),
    ("the false positive", FALSE_POSITIVE),
    ("the false negative", FALSE_NEGATIVE),
    ("the wrong label", WRONG_LABEL),
];

/// Colours of labels 1 to 16, repeated for larger labels. Label 0, the background, is transparent.
pub const LABELS: [Color32; 16] = {
    let mut colours = [Color32::TRANSPARENT; 16];
    let mut at = 0;
    while at < colours.len() {
        colours[at] = of(colour::PALETTE[at]);
        at += 1;
    }
    colours
};

/// The colour of a label; label 0 is transparent.
#[must_use]
pub fn label(label: u32) -> Color32 {
    match label {
        0 => Color32::TRANSPARENT,
        label => LABELS[(label as usize - 1) % LABELS.len()],
    }
}

/// Distance of two opaque colours in OKLab: 0.02 is just noticeable, black to white is 1.
#[must_use]
pub fn distance(a: Color32, b: Color32) -> f32 {
    let (a, b) = (oklab(linear(a)), oklab(linear(b)));
    (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f32>().sqrt()
}

fn linear(color: Color32) -> [f32; 3] {
    let [r, g, b, _] = egui::Rgba::from(color).to_array();
    [r, g, b]
}

/// Linear sRGB to OKLab (Ottosson 2020).
fn oklab(rgb: [f32; 3]) -> [f32; 3] {
    const TO_CONES: [[f32; 3]; 3] = [
        [0.412_221_46, 0.536_332_55, 0.051_445_995],
        [0.211_903_5, 0.680_699_5, 0.107_396_96],
        [0.088_302_46, 0.281_718_85, 0.629_978_7],
    ];
    const TO_LAB: [[f32; 3]; 3] = [
        [0.210_454_26, 0.793_617_8, -0.004_072_047],
        [1.977_998_5, -2.428_592_2, 0.450_593_7],
        [0.025_904_037, 0.782_771_77, -0.808_675_77],
    ];
    multiply(&TO_LAB, multiply(&TO_CONES, rgb).map(f32::cbrt))
}

fn multiply(matrix: &[[f32; 3]; 3], v: [f32; 3]) -> [f32; 3] {
    matrix.map(|row| row[0] * v[0] + row[1] * v[1] + row[2] * v[2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::tokens::contrast;

    /// Machado, Oliveira and Fernandes 2009, severity 1, on linear sRGB.
    const VISIONS: [(&str, [[f32; 3]; 3]); 4] = [
        ("normal vision", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (
            "protanopia",
            [
                [0.152_286, 1.052_583, -0.204_868],
                [0.114_503, 0.786_281, 0.099_216],
                [-0.003_882, -0.048_116, 1.051_998],
            ],
        ),
        (
            "deuteranopia",
            [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_82, 0.042_94, 0.968_881]],
        ),
        (
            "tritanopia",
            [[1.255_528, -0.076_749, -0.178_779], [-0.078_411, 0.930_809, 0.147_602], [0.004_733, 0.691_367, 0.303_9]],
        ),
    ];

    fn seen_distance(a: Color32, b: Color32) -> (f32, &'static str) {
        let seen = |matrix, color| oklab(multiply(matrix, linear(color)).map(|channel| channel.clamp(0.0, 1.0)));
        let distances = VISIONS.iter().map(|(name, matrix)| {
            let (a, b) = (seen(matrix, a), seen(matrix, b));
            ((0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f32>().sqrt(), *name)
        });
        distances.min_by(|a, b| a.0.total_cmp(&b.0)).expect("four visions")
    }

    #[test]
    fn distance_of_known_colours() {
        assert!((distance(Color32::BLACK, Color32::WHITE) - 1.0).abs() < 1e-3);
        assert!(distance(LABELS[0], LABELS[0]) < 1e-6);
    }

    #[test]
    fn labels_differ_for_every_vision() {
        for (i, &a) in LABELS.iter().enumerate() {
            for (j, &b) in LABELS.iter().enumerate().take(i) {
                let (distance, vision) = seen_distance(a, b);
                let least = if i < 8 { 0.1 } else { 0.06 };
                assert!(distance > least, "labels {} and {}: {distance:.3} under {vision}", j + 1, i + 1);
            }
        }
    }

    #[test]
    fn comparison_colours_differ_for_every_vision() {
        let colors = [TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE, WRONG_LABEL];
        for (i, &a) in colors.iter().enumerate() {
            for &b in &colors[..i] {
                let (distance, vision) = seen_distance(a, b);
                assert!(distance > 0.08, "{a:?} and {b:?}: {distance:.3} under {vision}");
            }
        }
    }

    #[test]
    fn curves_differ_for_every_vision_and_show_on_both_themes() {
        for theme in crate::theme::Theme::ALL {
            let t = theme.tokens();
            for (i, &a) in t.chart.iter().enumerate() {
                for ground in [t.panel, t.window] {
                    assert!(contrast(a, ground) >= 2.8, "{theme}: {a:?} on {ground:?}");
                }
                for &b in &t.chart[..i] {
                    let (distance, vision) = seen_distance(a, b);
                    assert!(distance > 0.1, "{theme}: {a:?} and {b:?}: {distance:.3} under {vision}");
                }
            }
        }
    }

    #[test]
    fn everything_shows_on_black() {
        for color in LABELS.iter().copied().chain(DOMAIN.map(|(_, color)| color)) {
            assert!(contrast(color, Color32::BLACK) >= 3.0, "{color:?}");
        }
    }

    #[test]
    fn background_is_transparent_and_labels_wrap() {
        assert_eq!(label(0), Color32::TRANSPARENT);
        assert_eq!(label(1), LABELS[0]);
        assert_eq!(label(17), LABELS[0]);
        assert_eq!(Some(label(2).to_array()), colour::label(2).map(|[r, g, b]| [r, g, b, 255]));
    }
}
