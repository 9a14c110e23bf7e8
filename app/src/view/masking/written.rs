//! Text on the large pane: slice, masking ratio, hovered patch, legend.

use egui::{Rect, Ui, pos2, vec2};

use super::super::legend::{self, LINE, Sign};
use super::Shared;
use crate::scene::crop;
use crate::theme::{font, palette, space};
use crate::widget::ColourBar;

/// Distance from the pane's edge.
const MARGIN: f32 = space::S;
/// Smaller panes have no legend.
const ROOM: egui::Vec2 = vec2(380.0, 260.0);
/// Size of a colour bar.
const BAR: egui::Vec2 = vec2(120.0, 26.0);

/// Two lines in the lower left corner: the slice, and the masking ratio or the hovered patch.
pub(super) fn about(ui: &Ui, shared: &Shared<'_>, rect: Rect, hovered: Option<usize>) {
    let painter = ui.painter().with_clip_rect(rect);
    let (found, report) = (shared.found, &shared.found.report);
    let slices = shared.state.cache.masking.prepared.as_ref().map_or(0, |prepared| prepared.case.file_slices());
    let slice = format!("Slice {} of {slices} (index {})", found.wanted.slice + 1, found.wanted.slice);
    let masked = found.masking.count();
    let sigma = format!("sigma {:.3}: {masked} of {} masked", report.sigma, report.labels.len());
    let patch = hovered.filter(|&patch| patch < report.labels.len()).map(|patch| {
        let category = if report.labels[patch] == 1 { "foreground" } else { "background" };
        let place = crop::place_words(patch, found.slice.grid.grid(), shared.state.session.settings.convention);
        format!("patch {place}: {category}, p {:.3}, order {}", report.probability[patch], found.places[patch])
    });
    legend::note(&painter, rect, &format!("{slice}\n{}", patch.unwrap_or(sigma)), font::number_small());
}

/// Legend in the lower right corner.
pub(super) fn legend(ui: &mut Ui, shared: &Shared<'_>, rect: Rect) {
    if rect.width() < ROOM.x || rect.height() < ROOM.y {
        return;
    }
    let shown = shared.state.session.masking.shown;
    let painter = ui.painter().with_clip_rect(rect);
    let right = rect.right() - MARGIN;
    let mut bottom = rect.bottom() - MARGIN;
    if shown.heat {
        let bar = Rect::from_min_max(pos2(right - BAR.x, bottom - BAR.y), pos2(right, bottom));
        let ends = ["0".to_owned(), "1".to_owned()];
        ColourBar::new("Foreground probability", &ends).mark(0.5, "probability").show(ui, bar);
        bottom -= BAR.y + LINE;
    }
    let mut entries = Vec::new();
    if shown.categories {
        entries.push(("1  foreground", Sign::Fill(palette::PATCH_LESION)));
        entries.push(("0  background", Sign::Fill(palette::PATCH_BACKGROUND)));
    }
    if shown.masked {
        entries.push(("masked", Sign::Hatched { falling: false }));
    }
    if shared.found.pictures.padded {
        entries.push(("outside the scan", Sign::Hatched { falling: true }));
    }
    legend::show(&painter, pos2(right, bottom), &entries);
}
