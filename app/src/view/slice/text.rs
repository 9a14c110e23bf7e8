//! Text on panes.

use engine::volume::VoxelData;
use glam::DVec3;

use super::case_view::{CaseView, PaneMasks, PaneView};
use crate::scene::{DisplayGrid, PlaneMode, WindowLevel};
use crate::state::Document;
use crate::state::view::Statistics;
use crate::widget::format;

/// A short number: integers as such, else at least three significant digits.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "not a number".to_owned();
    }
    if size != 0.0 && !(1e-3..1e6).contains(&size) {
        return format!("{value:.2e}");
    }
    let decimals = match size {
        _ if value.fract() == 0.0 => 0,
        s if s >= 100.0 => 1,
        s if s >= 1.0 => 2,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    if text == "-0" { "0".to_owned() } else { text }
}

/// "Axial 78/155", or the name of a projection.
pub fn slice(view: &PaneView<'_>) -> String {
    if view.id.is_projection() {
        return view.id.name();
    }
    format!("{} {}/{}", view.id.plane().name(), view.slice + 1, view.grid.shape[view.plane.axis()])
}

/// "W 350 L 50", with the decimals of the panel's fields.
pub fn window(window: WindowLevel, range: Option<[f64; 2]>) -> String {
    let span = range.map_or(255.0, |[low, high]| high - low);
    format!("W {} L {}", format::in_span(window.width, span), format::in_span(window.level, span))
}

/// Rounded to four significant digits.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let step = 10f64.powf((value.abs().log10().floor() - 3.0).min(0.0));
    (value / step).round() * step
}

/// "R 17.6, P 35.3, S 12.1 mm", or plain coordinates without orientation.
pub fn world(world: DVec3, oriented: bool) -> String {
    let [x, y, z] = world.to_array();
    if !oriented {
        return format!("({x:.1}, {y:.1}, {z:.1}) mm");
    }
    let side = |v: f64, plus: char, minus: char| format!("{} {:.1}", if v < 0.0 { minus } else { plus }, v.abs());
    format!("{}, {}, {} mm", side(x, 'R', 'L'), side(y, 'A', 'P'), side(z, 'S', 'I'))
}

/// Value of an image at a world position, with its unit.
pub fn value(document: &Document, image: usize, world: DVec3) -> String {
    let Some(layer) = document.images.get(image) else { return String::new() };
    let Some(value) = document.value_at(image, world) else { return "outside the image".to_owned() };
    match &layer.volume.data {
        VoxelData::Rgb(_) | VoxelData::Rgba(_) => format!("luminance {}", number(value)),
        _ => format!("{} {}", number(value), layer.info.unit_symbol()).trim_end().to_owned(),
    }
}

/// Labels at a world position, of each mask.
pub fn labels(document: &Document, world: DVec3) -> Option<String> {
    let at = |mask: &crate::state::MaskLayer| document.label_at(&mask.labels, world);
    match (document.segmentation(), document.reference()) {
        (None, None) => None,
        (Some(mask), None) | (None, Some(mask)) => Some(document.label_text(at(mask))),
        (Some(segmentation), Some(reference)) => {
            Some(format!("segmentation {}, reference {}", at(segmentation), at(reference)))
        }
    }
}

/// Labels, stored voxel, world position and value at the crosshair, one line each.
pub fn readout(case: &CaseView<'_>, view: &PaneView<'_>) -> [String; 4] {
    let image = view.image;
    let (document, at) = (case.document, case.state.session.view.crosshair);
    let grid = &case.layer(image).volume.grid;
    let voxel = DisplayGrid::new(grid, PlaneMode::Native).voxel_at(at);
    let voxel = voxel.map_or_else(|| "outside".to_owned(), |[i, j, k]| format!("({i}, {j}, {k})"));
    let labels = labels(document, at).unwrap_or_default();
    // For a fusion, both values are shown, with names if units do not distinguish them.
    let fused =
        case.second(view.id).map(|second| format!(", {} {}", case.layer(second).name, value(document, second, at)));
    [labels, voxel, world(at, grid.oriented), value(document, image, at) + &fused.unwrap_or_default()]
}

/// Names of the image and of the fused one.
pub fn images(case: &CaseView<'_>, view: &PaneView<'_>) -> Option<String> {
    let name = &case.layer(view.image).name;
    match case.second(view.id) {
        Some(second) => {
            let percent = 100.0 * case.state.session.view.fused_opacity;
            Some(format!("{name} + {} {percent:.0} %", case.layer(second).name))
        }
        None => (case.document.images.len() > 1).then(|| name.clone()),
    }
}

/// How the slice is cut and interpolated: "patient axes, interpolated".
pub fn slicing(case: &CaseView<'_>, view: &PaneView<'_>) -> String {
    let planes = match (case.state.session.settings.planes, case.oblique) {
        _ if view.id.is_projection() => "from the front",
        (PlaneMode::World, _) => "patient axes",
        (PlaneMode::Native, true) => "oblique",
        (PlaneMode::Native, false) => "",
    };
    let smooth = if case.state.session.settings.interpolate { "interpolated" } else { "voxels" };
    let uneven = case.layer(view.image).dicom.as_ref().is_some_and(|dicom| dicom.uneven);
    let spacing = if uneven { "uneven slices" } else { "" };
    let parts: Vec<&str> = [spacing, planes, smooth].into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(", ")
}

/// Name of the drawn mask if there are two, or a note that they are hidden.
pub fn overlay(case: &CaseView<'_>) -> Option<&'static str> {
    if case.state.session.view.hide_overlay {
        return case.document.listed_mask().map(|_| "overlay hidden");
    }
    match case.masks {
        PaneMasks::One(mask) if case.document.has_both_masks() => Some(mask.role.word()),
        _ => None,
    }
}

/// Frame of a 4-D scan.
pub fn frame(case: &CaseView<'_>, view: &PaneView<'_>) -> Option<String> {
    let layer = case.layer(view.image);
    (layer.frames() > 1).then(|| format!("frame {}/{}", layer.frame + 1, layer.frames()))
}

/// "23.4 mm".
pub fn length(mm: f64) -> String {
    format!("{mm:.1} mm")
}

/// An area in mm² or cm².
pub fn area(mm2: f64) -> String {
    if mm2 < 100.0 { format!("{mm2:.1} mm²") } else { format!("{:.2} cm²", mm2 / 100.0) }
}

/// Statistics of an ellipse, one line each, preceded by image and frame if the pane shows others.
pub fn statistics(case: &CaseView<'_>, view: &PaneView<'_>, statistics: Option<&Statistics>) -> [String; 3] {
    let Some(s) = statistics else { return ["no values".to_owned(), String::new(), String::new()] };
    let layer = case.layer(s.image);
    let name = (s.image != view.image).then(|| layer.name.clone());
    let frame = (s.frame != layer.frame).then(|| format!("frame {}", s.frame + 1));
    let source = [name, frame].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let [mean, size] = numbers(s, layer.info.unit_symbol());
    [source, mean, size]
}

fn numbers(s: &Statistics, unit: &str) -> [String; 2] {
    let mean = format!("mean {} SD {} {unit}", number(rounded(s.mean)), number(rounded(s.sd)));
    [mean.trim_end().to_owned(), format!("{}, {}", area(s.area_mm2), format::plural(s.voxels, "voxel", "voxels"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_exact_and_others_have_three_digits() {
        let all = [82.0, -1024.0, 0.0, -0.0, 7.3, 523.44, 0.012_34, 1_234_567.0, 1e-5, f64::NAN];
        let words = ["82", "-1024", "0", "0", "7.30", "523.4", "0.0123", "1.23e6", "1.00e-5", "not a number"];
        assert_eq!(all.map(number), words.map(ToOwned::to_owned));
    }

    #[test]
    fn windows_have_no_trailing_zeros() {
        let text = |width, level, range| window(WindowLevel { width, level }, range);
        let ct = Some([-1024.0, 3071.0]);
        assert_eq!(text(350.0, 50.0, ct), "W 350 L 50");
        assert_eq!(text(1500.0, -600.0, ct), "W 1500 L \u{2212}600");
        // The decimals of the panel's fields, so that both show 2.315.
        assert_eq!(text(2.315, 1.157, Some([0.0, 9.5])), "W 2.315 L 1.157");
        assert_eq!(text(10.0, 5.0, Some([0.0, 9.5])), "W 10 L 5");
        assert_eq!(text(1e-6, 5e-7, Some([0.0, 1e-6])), "W 1.00e\u{2212}6 L 5.00e\u{2212}7");
    }

    #[test]
    fn positions_name_the_side_of_the_patient() {
        let at = DVec3::new(17.6, -35.3, 12.1);
        assert_eq!(world(at, true), "R 17.6, P 35.3, S 12.1 mm");
        assert_eq!(world(-at, true), "L 17.6, A 35.3, I 12.1 mm");
        assert_eq!(world(at, false), "(17.6, -35.3, 12.1) mm");
    }

    #[test]
    fn large_areas_are_in_square_centimetres() {
        assert_eq!(area(18.849_555_9), "18.8 mm²");
        assert_eq!(area(321.0), "3.21 cm²");
        let s = Statistics { image: 0, frame: 0, voxels: 5, mean: 122.0, sd: 6.356, area_mm2: 18.85 };
        assert_eq!(numbers(&s, "HU"), ["mean 122 SD 6.36 HU".to_owned(), "18.9 mm², 5 voxels".to_owned()]);
    }
}
