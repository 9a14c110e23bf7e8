//! What the shader is told: where each pixel of a pane lies in each image, and how values and labels are drawn.
//!
//! Everything up to the last cast is computed in double precision.

use glam::{DAffine3, DVec3};
use shaders::{Image, Interpolation, LabelMode, PatchShow, Patches, Slice};

use super::PaneMap;
use crate::state::{ColourMap, Settings, View, WindowLevel};

/// Width of label outlines in points.
const OUTLINE: f32 = 1.5;

/// Rows of the matrix from a pixel of a pane (x, y, 0, 1) to an image's canonical index. `map` counts in physical pixels,
/// `slice` is the display index across the slices.
pub fn rows(canonical_from_display: &DAffine3, map: &PaneMap, slice: f64) -> [[f32; 4]; 3] {
    let from_place = *canonical_from_display * map.display_from_place();
    let origin = from_place.transform_point3(DVec3::new(0.0, 0.0, slice));
    let m = from_place.matrix3;
    std::array::from_fn(|r| [m.x_axis[r] as f32, m.y_axis[r] as f32, 0.0, origin[r] as f32])
}

/// The patch layer of a pane: `patch_from_display` takes a display index to patch coordinates. `map` counts in physical
/// pixels, `slice` is the display index across the slices.
pub fn patches(patch_from_display: &DAffine3, map: &PaneMap, slice: f64, show: PatchShow) -> Patches {
    let rows = rows(patch_from_display, map, slice);
    // How far apart the lines of a grid are on the screen, however it lies there.
    let apart = |row: [f32; 4]| 1.0 / row[0].hypot(row[1]).max(f32::MIN_POSITIVE);
    Patches {
        rows: [rows[0], rows[1]],
        pixels: [apart(rows[0]), apart(rows[1])],
        show: show.bits(),
        ..Patches::default()
    }
}

/// The same for a projection, which has a single voxel along canonical axis `across`: every ray meets it.
pub fn projected(mut rows: [[f32; 4]; 3], across: usize) -> [[f32; 4]; 3] {
    rows[across] = [0.0; 4];
    rows
}

/// How one image is drawn; its texture fills in the rest.
pub fn image(rows: [[f32; 4]; 3], window: WindowLevel, map: ColourMap, interpolate: bool, opacity: f64) -> Image {
    let interpolation = if interpolate { Interpolation::Linear } else { Interpolation::Nearest };
    Image {
        rows,
        colour_map: colour_map(map) as u32,
        window: [window.low() as f32, window.high() as f32],
        interpolation: interpolation as u32,
        opacity: opacity as f32,
        ..Image::default()
    }
}

/// The shader's name of a colour map.
pub fn colour_map(map: ColourMap) -> shaders::ColourMap {
    match map {
        ColourMap::Grey => shaders::ColourMap::Grey,
        ColourMap::GreyInverted => shaders::ColourMap::GreyInverted,
        ColourMap::Hot => shaders::ColourMap::Hot,
        ColourMap::Viridis => shaders::ColourMap::Viridis,
        ColourMap::Pet => shaders::ColourMap::Pet,
    }
}

/// What is the same in all panes: opacities, outlines and which labels are shown. Colours are the shaders' own.
pub fn style(settings: &Settings, view: &View, pixels_per_point: f32) -> Slice {
    let mode = match (settings.fill, settings.outline) {
        _ if view.hide_overlay => LabelMode::Hidden,
        (true, true) => LabelMode::FillAndOutline,
        (true, false) => LabelMode::Fill,
        (false, true) => LabelMode::Outline,
        (false, false) => LabelMode::Hidden,
    };
    let hidden = &view.hidden_labels;
    let visible =
        if hidden.is_empty() {
            [[u32::MAX; 4]; 2]
        } else {
            // Labels above 255 share one switch.
            shaders::labels_shown(|label| {
                if label > 255 { hidden.range(256..).next().is_none() } else { !hidden.contains(&label) }
            })
        };
    let opacity = settings.opacity.clamp(0.0, 1.0);
    Slice {
        visible,
        label_mode: mode as u32,
        label_opacity: opacity,
        // Outlines must stay seen where areas are faint, and still go when the overlay is faded out.
        outline_opacity: (2.0 * opacity).min(1.0),
        outline_px: (OUTLINE * pixels_per_point).round().max(1.0),
        ..Slice::default()
    }
}

#[cfg(test)]
#[path = "uniforms_tests.rs"]
mod tests;
