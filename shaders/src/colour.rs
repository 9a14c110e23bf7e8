//! Colours that are passed to the shader, and its colour maps in Rust. The whole window uses these colours for labels and for
//! the comparison. The colours of patches are copies of those in the reports.

use glam::Vec3;

use crate::ColourMap;

/// Red, green, blue in gamma space.
pub type Rgb = [u8; 3];

/// True positive: in segmentation and reference, solid.
pub const TRUE_POSITIVE: Rgb = [0x56, 0xB4, 0xE9];
/// False positive: in the segmentation only, hatched.
pub const FALSE_POSITIVE: Rgb = [0xE6, 0x9F, 0x00];
/// False negative: in the reference only, a dashed outline.
pub const FALSE_NEGATIVE: Rgb = [0xCC, 0x79, 0xA7];
/// In both with different labels, chequered.
pub const WRONG_LABEL: Rgb = [0xF0, 0xE4, 0x42];

/// The classes of the comparison, in the order of the shader.
pub const COMPARISON: [Rgb; 4] = [TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE, WRONG_LABEL];

/// Foreground patches.
pub const PATCH_LESION: Rgb = [0x3F, 0xB9, 0x50];
/// Background patches.
pub const PATCH_BACKGROUND: Rgb = [0x89, 0x57, 0xE5];
/// Patches whose label the last label update changed.
pub const PATCH_FLIP: Rgb = [0xF2, 0xCC, 0x60];
/// Hatching of masked patches, pins, the frame of the grid.
pub const INK: Rgb = [0xE6, 0xE8, 0xEB];
/// Hatching outside the scan.
pub const PADDING: Rgb = [0x9A, 0xA1, 0xAB];
/// Highest opacity of a patch's fill, at which the image stays visible.
pub const PATCH_FILL: f32 = 0.20;

/// Colours of labels 1 to 16, repeated for larger labels. Label 0, the background, is transparent.
///
/// Each colour is as far as possible from those before it under normal vision and simulated protanopia, deuteranopia and
/// tritanopia, so that cases with few labels get the best-separated colours. No sixteen colours are all distinguishable,
/// so the label under the pointer is always named.
pub const PALETTE: [Rgb; 16] = [
    [0xF0, 0x63, 0x5A],
    [0x81, 0x6F, 0xFB],
    [0x80, 0xE5, 0xFD],
    [0xF0, 0xD5, 0x07],
    [0xA1, 0x4D, 0x92],
    [0xC1, 0x8C, 0xC4],
    [0xC4, 0x3B, 0x15],
    [0x98, 0xCB, 0x8D],
    [0xEF, 0xA3, 0x0F],
    [0x68, 0xAA, 0xFE],
    [0x84, 0x51, 0xC9],
    [0xC1, 0x68, 0x8D],
    [0xA3, 0x6F, 0xC8],
    [0xB2, 0xE6, 0x95],
    [0x48, 0xD3, 0xC5],
    [0xE9, 0x79, 0x96],
];

/// The colour of a label; `None` for background.
pub fn label(label: u16) -> Option<Rgb> {
    label.checked_sub(1).map(|l| PALETTE[usize::from(l) % PALETTE.len()])
}

/// Converts to the format of the uniforms: 0 to 1, opacity 1.
pub fn opaque([red, green, blue]: Rgb) -> [f32; 4] {
    [f32::from(red) / 255.0, f32::from(green) / 255.0, f32::from(blue) / 255.0, 1.0]
}

/// Position of a value in a window, 0 to 1. A window of width 0 is a step; NaN gives 0.
pub fn windowed(value: f32, [low, high]: [f32; 2]) -> f32 {
    // Halved so that the difference of two finite numbers does not overflow.
    let width = 0.5 * high - 0.5 * low;
    if width > 0.0 {
        let t = (0.5 * value - 0.5 * low) / width;
        // NaN falls through to 0.
        return if t >= 1.0 {
            1.0
        } else if t > 0.0 {
            t
        } else {
            0.0
        };
    }
    f32::from(u8::from(value >= low))
}

/// Colour of a windowed value from 0 to 1, in gamma space. Twin of the shader's colour maps, also used for colour bars.
pub fn map(map: ColourMap, t: f32) -> [f32; 3] {
    let rgb = match map {
        ColourMap::Grey => Vec3::splat(t),
        ColourMap::GreyInverted => Vec3::splat(1.0 - t),
        ColourMap::Hot => Vec3::new(t * 3.0, t * 3.0 - 1.0, t * 3.0 - 2.0),
        ColourMap::Viridis => viridis(t),
        ColourMap::Pet => pet(t),
    };
    rgb.clamp(Vec3::ZERO, Vec3::ONE).to_array()
}

fn viridis(t: f32) -> Vec3 {
    const COEFFICIENTS: [[f32; 3]; 10] = [
        [-1.04923, -0.21967, -0.29073],
        [0.43174, -0.07034, 0.64749],
        [2.84166, 0.55151, 0.98969],
        [-0.89916, 0.20647, -0.82302],
        [-2.92017, -0.45847, -0.61689],
        [0.33050, -0.25462, 0.22013],
        [1.61957, 0.11819, -0.06186],
        [0.64506, 0.00784, -0.35645],
        [-0.12870, 0.45908, -0.11295],
        [0.12523, 0.56499, 0.55170],
    ];
    let s = 2.0 * t - 1.0;
    COEFFICIENTS.into_iter().fold(Vec3::ZERO, |rgb, k| rgb * s + Vec3::from_array(k))
}

fn pet(t: f32) -> Vec3 {
    const STEPS: [[f32; 3]; 5] =
        [[0.08, 0.08, 0.47], [0.43, 0.00, 0.08], [0.39, 0.16, -0.31], [0.08, 0.51, -0.08], [0.02, 0.25, 0.84]];
    let s = 5.0 * t;
    let part = |k: usize| Vec3::from_array(STEPS[k]) * (s - k as f32).clamp(0.0, 1.0);
    (0..STEPS.len()).map(part).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(m: ColourMap, t: f32) -> [i32; 3] {
        map(m, t).map(|v| (v * 255.0).round() as i32)
    }

    fn luminance([r, g, b]: [f32; 3]) -> f32 {
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    #[test]
    fn maps_have_the_expected_colours_at_and_between_their_ends() {
        assert_eq!(bytes(ColourMap::Grey, 0.0), [0; 3]);
        assert_eq!(bytes(ColourMap::Grey, 0.6), [153; 3]);
        assert_eq!(bytes(ColourMap::GreyInverted, 0.2), [204; 3]);
        assert_eq!(bytes(ColourMap::Hot, 1.0 / 6.0), [128, 0, 0]);
        assert_eq!(bytes(ColourMap::Hot, 0.5), [255, 128, 0]);
        assert_eq!(bytes(ColourMap::Hot, 1.0), [255; 3]);
        assert_eq!(bytes(ColourMap::Pet, 0.2), [20, 20, 120]);
        assert_eq!(bytes(ColourMap::Pet, 0.0), [0; 3]);
        assert_eq!(bytes(ColourMap::Pet, 1.0), [255; 3]);
    }

    #[test]
    fn viridis_equals_its_published_colours() {
        let published = [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [253, 231, 37]];
        for (k, want) in published.into_iter().enumerate() {
            let got = bytes(ColourMap::Viridis, k as f32 / 5.0);
            for c in 0..3 {
                assert!((got[c] - want[c]).abs() <= 1, "{k}: {got:?} instead of {want:?}");
            }
        }
    }

    #[test]
    fn the_lightness_of_sequential_maps_rises_monotonically() {
        for m in [ColourMap::Grey, ColourMap::Hot, ColourMap::Viridis, ColourMap::Pet] {
            let light: Vec<f32> = (0..=100).map(|k| luminance(map(m, k as f32 / 100.0))).collect();
            assert!(light.windows(2).all(|w| w[1] > w[0]), "{m:?}");
        }
    }

    #[test]
    fn a_window_clamps_values_and_maps_nan_to_0() {
        assert_eq!(windowed(40.0, [0.0, 80.0]), 0.5);
        assert_eq!(windowed(-1000.0, [0.0, 80.0]), 0.0);
        assert_eq!(windowed(f32::INFINITY, [0.0, 80.0]), 1.0);
        assert_eq!(windowed(f32::NAN, [0.0, 80.0]), 0.0);
        assert_eq!([windowed(4.9, [5.0, 5.0]), windowed(5.0, [5.0, 5.0])], [0.0, 1.0]);
    }

    #[test]
    fn the_sixteen_label_colours_differ_and_then_repeat() {
        assert_eq!(label(0), None);
        assert_eq!(label(17), label(1));
        for (i, a) in PALETTE.iter().enumerate() {
            assert!(PALETTE[i + 1..].iter().all(|b| a != b), "{a:02X?} occurs twice");
        }
    }

    proptest! {
        #[test]
        fn every_value_and_window_gives_a_colour(bits in any::<u32>(), low in any::<u32>(), high in any::<u32>()) {
            let t = windowed(f32::from_bits(bits), [f32::from_bits(low), f32::from_bits(high)]);
            prop_assert!((0.0..=1.0).contains(&t));
            for m in ColourMap::ALL {
                prop_assert!(map(m, t).iter().all(|c| (0.0..=1.0).contains(c)));
            }
        }
    }
}
