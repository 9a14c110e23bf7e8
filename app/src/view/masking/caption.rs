//! Text below the large pane: slice, masking ratio or hovered patch, legend.

use egui::{Color32, Rect, Ui, pos2, vec2};

use super::super::legend::{self, Sign};
use super::FrameContext;
use crate::scene::crop;
use crate::theme::{self, font, palette, space};
use crate::widget::ColourBar;

/// Size of a colour bar.
const BAR: egui::Vec2 = vec2(120.0, 26.0);
/// Minimum width of the text.
const WORDS: f32 = 160.0;

/// Draws the text on the left, and the legend on the right if both fit.
pub(super) fn show(ui: &mut Ui, shared: &FrameContext<'_>, foot: Rect, hovered: Option<usize>) {
    let area = foot.shrink2(vec2(space::S, space::XS));
    let right = legend(ui, shared, area);
    let painter = ui.painter().with_clip_rect(foot);
    let color = theme::tokens(ui).overlay_text;
    let galley = painter.layout(caption(shared, hovered), font::number_small(), color, (right - area.left()).max(1.0));
    painter.galley(area.min, galley, Color32::PLACEHOLDER);
}

/// The slice, and the masking ratio or the hovered patch.
fn caption(shared: &FrameContext<'_>, hovered: Option<usize>) -> String {
    let (found, report) = (shared.found, &shared.found.report);
    let stored = found.wanted.slice;
    // Counted from the feet, as in Review. The index is that of the file.
    let number = shared.state.cache.masking.prepared.as_ref().map(|prepared| {
        let plan = prepared.case.plan();
        format!("{} of {}", plan.from_feet(stored) + 1, plan.source_slices())
    });
    let slice = format!("Slice {} (index {stored})", number.unwrap_or_default());
    let Some(patch) = hovered.filter(|&patch| patch < report.labels.len()) else {
        let masked = found.masking.count();
        return format!("{slice}\nsigma {:.3}: {masked} of {} masked", report.sigma, report.labels.len());
    };
    let category = if report.labels[patch] == 1 { "foreground" } else { "background" };
    let place = crop::place_words(patch, found.slice.grid.grid(), shared.state.session.settings.convention);
    format!("{slice}\npatch {place}: {category}, p {:.3}, order {}", report.probability[patch], found.places[patch])
}

/// Draws legend and colour bar from the right, leaving space for the text; returns their left edge.
fn legend(ui: &mut Ui, shared: &FrameContext<'_>, area: Rect) -> f32 {
    let shown = shared.state.session.masking.shown;
    let mut right = area.right();
    let fits = |right: f32, width: f32| right - width - space::L - area.left() >= WORDS;
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
    if shown.heat && fits(right, BAR.x) {
        let bar = Rect::from_min_size(pos2(right - BAR.x, area.top() + (area.height() - BAR.y) / 2.0), BAR);
        let ends = ["0".to_owned(), "1".to_owned()];
        ColourBar::new("Foreground probability", &ends).mark(0.5, "probability").show(ui, bar);
        right -= BAR.x + space::L;
    }
    // Columns of as many lines as fit, last one first.
    let lines = ((area.height() / legend::LINE) as usize).max(1);
    for column in entries.chunks(lines).rev() {
        let painter = ui.painter().with_clip_rect(area);
        let size = legend::size(&painter, column);
        if !fits(right, size.x) {
            return right - space::L;
        }
        legend::show(&painter, pos2(right, area.top() + size.y), column);
        right -= size.x + space::L;
    }
    right
}
