//! The large pane: the slice with its patches and their layers.

use egui::{Rect, Ui};
use engine::volume::{Relation, Volume};
use shaders::PatchShow;

use super::super::patch_pane::{NativeSlice, PatchPane};
use super::FrameContext;
use crate::command::Sender;
use crate::gpu::Texture;
use crate::scene::{ColourMap, DisplayGrid, PlaneMode};
use crate::state::MaskLayer;
use crate::state::masking::DisplayOptions;

/// Above this fraction of air, the foreground is unlikely to be lesion.
const MAX_AIR_SHARE: f64 = 0.5;

/// Draws the pane and returns the patch under the pointer.
pub(super) fn show(ui: &mut Ui, shared: &FrameContext<'_>, rect: Rect, sender: &Sender) -> Option<usize> {
    let shown = shared.state.session.masking.shown;
    let pictures = &shared.found.pictures;
    let crop = PatchPane {
        picture: pictures.slice.as_ref(),
        cells: pictures.cells.as_ref(),
        show: parts(shown),
        digits: shown.digits,
        numbers: shown.numbers.then_some(shared.found.places.as_slice()),
        title: "Patches",
        badge: badge(shared),
        ..shared.pane()
    };
    let pane = if shown.native { native(shared, &crop) } else { crop };
    let answer = pane.show(ui, rect);
    shared.answer(&answer, shown.native, sender);
    answer.hovered
}

/// The scan on its native grid, with the patches aligned by world position.
fn native<'a>(shared: &FrameContext<'a>, crop: &PatchPane<'a>) -> PatchPane<'a> {
    let (state, document) = (shared.state, shared.document);
    let layer = document.image();
    let volume: &'a Volume = &layer.volume;
    let slice = DisplayGrid::new(&volume.grid, PlaneMode::Native).index_at(state.session.view.crosshair)[2];
    let window = state.window_of(layer);
    let on_it = |mask: &&MaskLayer| mask.labels.grid().relation(&volume.grid) == Relation::Same;
    let lesion: Option<&'a Texture> = document.reference().filter(on_it).and_then(|mask| mask.texture.as_ref());
    PatchPane {
        picture: layer.texture.as_ref(),
        lesion: lesion.filter(|_| state.session.masking.shown.lesion),
        native: Some(NativeSlice { grid: &volume.grid, slice }),
        window: [window.low() as f32, window.high() as f32],
        colour_map: if volume.data.is_colour() {
            ColourMap::Grey
        } else {
            layer.colours(state.session.view.colour_map, false)
        },
        camera: state.session.masking.camera(true),
        ..*crop
    }
}

fn parts(shown: DisplayOptions) -> PatchShow {
    (PatchShow::FRAME | PatchShow::PADDING)
        .with(PatchShow::GRID, shown.grid)
        .with(PatchShow::CATEGORIES, shown.categories)
        .with(PatchShow::MASKED, shown.masked)
        .with(PatchShow::HEAT, shown.heat)
}

/// Warning about the foreground.
fn badge(shared: &FrameContext<'_>) -> Option<&'static str> {
    let clusters = &shared.found.clusters;
    if !clusters.has_foreground() {
        return Some("no foreground");
    }
    clusters.air_share().is_some_and(|share| share > MAX_AIR_SHARE).then_some("foreground is mostly air")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_switch_shows_its_layer() {
        let all = DisplayOptions { heat: true, masked: true, ..DisplayOptions::default() };
        assert!(parts(all).shows(PatchShow::HEAT | PatchShow::MASKED | PatchShow::CATEGORIES | PatchShow::GRID));
        let none = DisplayOptions { categories: false, grid: false, masked: false, ..DisplayOptions::default() };
        assert_eq!(parts(none), PatchShow::FRAME | PatchShow::PADDING);
    }
}
