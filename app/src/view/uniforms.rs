//! Uniforms of the slice shader: position of a pixel in each image, and how values and labels are drawn.
//!
//! Computed in double precision up to the final cast.

use egui::Color32;
use glam::{DAffine3, DVec3};
use shaders::{Image, Interpolation, LabelMode, PatchShow, Patches, Slice};

use crate::scene::{ColourMap, PaneMap, WindowLevel};
use crate::state::{Settings, View};

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
    // Distance of the grid lines on the screen, at any rotation.
    let apart = |row: [f32; 4]| 1.0 / row[0].hypot(row[1]).max(f32::MIN_POSITIVE);
    Patches {
        rows: [rows[0], rows[1]],
        pixels: [apart(rows[0]), apart(rows[1])],
        show: show.bits(),
        ..Patches::default()
    }
}

/// The rows for a projection, which has one voxel along canonical axis `across`.
pub fn projected(mut rows: [[f32; 4]; 3], across: usize) -> [[f32; 4]; 3] {
    rows[across] = [0.0; 4];
    rows
}

/// Uniforms of an image; its texture adds the rest.
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

/// The colour map of the shader.
pub fn colour_map(map: ColourMap) -> shaders::ColourMap {
    match map {
        ColourMap::Grey => shaders::ColourMap::Grey,
        ColourMap::GreyInverted => shaders::ColourMap::GreyInverted,
        ColourMap::Hot => shaders::ColourMap::Hot,
        ColourMap::Viridis => shaders::ColourMap::Viridis,
        ColourMap::Pet => shaders::ColourMap::Pet,
    }
}

/// Uniforms shared by all panes: opacities, outlines, visible labels.
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
            // Labels above 255 share one bit.
            shaders::labels_shown(|label| {
                if label > 255 { hidden.range(256..).next().is_none() } else { !hidden.contains(&label) }
            })
        };
    let opacity = settings.opacity.clamp(0.0, 1.0);
    Slice {
        visible,
        label_mode: mode as u32,
        label_opacity: opacity,
        // Outlines stay visible over faint fills, and vanish at opacity 0.
        outline_opacity: (2.0 * opacity).min(1.0),
        outline_px: (OUTLINE * pixels_per_point).round().max(1.0),
        ..Slice::default()
    }
}

/// Sets the colours of labels. The shader has sixteen slots; labels that share one get the colour of the lowest.
pub fn with_colours(mut style: Slice, labels: impl DoubleEndedIterator<Item = (u16, Color32)>) -> Slice {
    for (label, colour) in labels.rev().filter(|(label, _)| *label > 0) {
        let [red, green, blue, _] = colour.to_array();
        let place = usize::from(label - 1) % style.palette.len();
        style.palette[place] = shaders::colour::opaque([red, green, blue]);
    }
    style
}

#[cfg(test)]
#[path = "uniforms_tests.rs"]
mod tests;
