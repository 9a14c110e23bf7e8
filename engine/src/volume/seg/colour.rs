//! Colours of segments: sRGB, and CIELab as `RecommendedDisplayCIELabValue` holds it (PS3.3, C.10.7.1.1).

/// Linear sRGB to XYZ under D50, the white of ICC profiles (Bradford adaptation).
const XYZ_FROM_RGB: [[f64; 3]; 3] = [
    [0.436_074_7, 0.385_064_9, 0.143_080_4],
    [0.222_504_5, 0.716_878_6, 0.060_616_9],
    [0.013_932_2, 0.097_104_5, 0.714_173_3],
];
const RGB_FROM_XYZ: [[f64; 3]; 3] = [
    [3.133_856_1, -1.616_866_7, -0.490_614_6],
    [-0.978_768_4, 1.916_141_5, 0.033_454_0],
    [0.071_945_3, -0.228_991_4, 1.405_242_7],
];
/// The white point D50.
const WHITE: [f64; 3] = [0.964_22, 1.0, 0.825_21];
/// Below this value CIELab replaces the cube root by a line: (6/29)^3.
const LINEAR_BELOW: f64 = 216.0 / 24389.0;
/// Slope of that line: (29/3)^3.
const KAPPA: f64 = 24389.0 / 27.0;

/// Colours for labels without one (Okabe and Ito).
const DEFAULT: [[u8; 3]; 7] =
    [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167]];

/// Default colour of a label.
pub(super) fn default_colour(label: u16) -> [u8; 3] {
    DEFAULT[usize::from(label.saturating_sub(1)) % DEFAULT.len()]
}

/// L*, a*, b* as 16-bit numbers: 0 to 65535 for 0 to 100, -128 to 127.
pub(super) fn cielab_from_rgb(rgb: [u8; 3]) -> [u16; 3] {
    let linear = rgb.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    let xyz = times(&XYZ_FROM_RGB, linear);
    let f = |axis: usize| {
        let t = xyz[axis] / WHITE[axis];
        if t > LINEAR_BELOW { t.cbrt() } else { (KAPPA * t + 16.0) / 116.0 }
    };
    let [x, y, z] = [f(0), f(1), f(2)];
    let (l, a, b) = (116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z));
    [l / 100.0 * 65535.0, (a + 128.0) * 257.0, (b + 128.0) * 257.0].map(|value| value.round() as u16)
}

/// The colour of a CIELab value; outside the range of sRGB, the nearest value of each channel.
pub(super) fn rgb_from_cielab(lab: [u16; 3]) -> [u8; 3] {
    let l = f64::from(lab[0]) / 65535.0 * 100.0;
    let [a, b] = [lab[1], lab[2]].map(|value| f64::from(value) / 257.0 - 128.0);
    let y = (l + 16.0) / 116.0;
    let f = [y + a / 500.0, y, y - b / 200.0];
    let xyz: [f64; 3] = std::array::from_fn(|axis| {
        let cube = f[axis].powi(3);
        WHITE[axis] * if cube > LINEAR_BELOW { cube } else { (116.0 * f[axis] - 16.0) / KAPPA }
    });
    times(&RGB_FROM_XYZ, xyz).map(|value| {
        let value = if value <= 0.003_130_8 { value * 12.92 } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 };
        (value * 255.0).round() as u8
    })
}

fn times(matrix: &[[f64; 3]; 3], vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row.iter().zip(vector).map(|(m, v)| m * v).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_colours_have_the_values_of_an_icc_profile() {
        // L*, a*, b* under D50: red 54.3, 80.8, 69.9; white 100, 0, 0.
        let lab = |rgb| {
            let [l, a, b] = cielab_from_rgb(rgb).map(f64::from);
            [l / 655.35, a / 257.0 - 128.0, b / 257.0 - 128.0]
        };
        for (rgb, expected) in [
            ([255, 0, 0], [54.29, 80.81, 69.89]),
            ([0, 255, 0], [87.82, -79.29, 80.99]),
            ([0, 0, 255], [29.57, 68.30, -112.03]),
            ([255; 3], [100.0, 0.0, 0.0]),
        ] {
            let actual = lab(rgb);
            assert!(actual.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.05), "{rgb:?} is {actual:?}");
        }
    }

    #[test]
    fn every_colour_survives_the_conversion_to_cielab() {
        for rgb in (0..=255_u8).step_by(17).flat_map(|r| (0..=255).step_by(15).map(move |g| [r, g, r ^ g])) {
            assert_eq!(rgb_from_cielab(cielab_from_rgb(rgb)), rgb);
        }
    }
}
