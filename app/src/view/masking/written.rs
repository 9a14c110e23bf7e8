//! What is written on the large pane besides the patches: which slice, how many are masked, what the colours mean.

use egui::{Align2, Color32, Rect, Stroke, StrokeKind, Ui, pos2, vec2};

use super::Shared;
use crate::theme::{self, font, palette, radius, space};
use crate::widget::{ColourBar, overlay_text};

/// Side of a swatch, and the distance of two lines.
const SWATCH: f32 = 11.0;
const LINE: f32 = 17.0;
/// Distance from the pane's edge.
const MARGIN: f32 = space::S;
/// A pane smaller than this has no room for a legend.
const ROOM: egui::Vec2 = vec2(380.0, 260.0);
/// Room for a colour bar.
const BAR: egui::Vec2 = vec2(120.0, 26.0);

/// Two lines in the lower left corner: the slice, and what is masked of it; or the patch under the pointer.
pub(super) fn about(ui: &Ui, shared: &Shared<'_>, rect: Rect, hovered: Option<usize>) {
    let painter = ui.painter().with_clip_rect(rect);
    let tokens = theme::tokens(ui);
    let (found, report) = (shared.found, &shared.found.report);
    let slices = shared.state.masking.prepared.as_ref().map_or(0, |prepared| prepared.case.file_slices());
    let slice = format!("Slice {} of {slices} (index {})", found.wanted.slice + 1, found.wanted.slice);
    let masked = found.masking.count();
    let sigma = format!("sigma {:.3}: {masked} of {} masked", report.sigma, report.labels.len());
    let patch = hovered.filter(|&patch| patch < report.labels.len()).map(|patch| {
        let category = if report.labels[patch] == 1 { "foreground" } else { "background" };
        format!("patch {patch}: {category}, p {:.3}, order {}", report.probability[patch], found.places[patch])
    });
    // In a narrow pane above the letter in the middle of the edge.
    let above = if rect.width() < ROOM.x { LINE } else { 0.0 };
    let lower = pos2(rect.left() + MARGIN, rect.bottom() - MARGIN - above);
    let color = tokens.overlay_text;
    let second = patch.unwrap_or(sigma);
    overlay_text(&painter, lower, Align2::LEFT_BOTTOM, &second, font::number_small(), color);
    overlay_text(&painter, lower - vec2(0.0, LINE), Align2::LEFT_BOTTOM, &slice, font::number_small(), color);
}

/// What the colours mean, in the lower right corner.
pub(super) fn legend(ui: &mut Ui, shared: &Shared<'_>, rect: Rect) {
    if rect.width() < ROOM.x || rect.height() < ROOM.y {
        return;
    }
    let shown = shared.state.masking.shown;
    let painter = ui.painter().with_clip_rect(rect);
    let tokens = theme::tokens(ui);
    let right = rect.right() - MARGIN;
    let mut bottom = rect.bottom() - MARGIN;
    if shown.heat {
        let bar = Rect::from_min_max(pos2(right - BAR.x, bottom - BAR.y), pos2(right, bottom));
        let ends = ["0".to_owned(), "1".to_owned()];
        ColourBar::new("Foreground probability", &ends).show(ui, bar);
        bottom -= BAR.y + LINE;
    }
    let mut line = |text: &str, color: Color32, hatched: bool| {
        let place = overlay_text(
            &painter,
            pos2(right, bottom),
            Align2::RIGHT_BOTTOM,
            text,
            font::number_small(),
            tokens.overlay_text,
        );
        let center = pos2(place.left() - space::S - SWATCH / 2.0, place.center().y);
        let swatch = Rect::from_center_size(center, egui::Vec2::splat(SWATCH));
        if hatched {
            painter.rect(swatch, radius::S, Color32::BLACK, Stroke::new(1.0, color), StrokeKind::Inside);
            for n in 1..4 {
                let by = SWATCH * n as f32 / 4.0;
                let (from, to) = (swatch.left_top() + vec2(0.0, by), swatch.left_top() + vec2(by, 0.0));
                painter.line_segment([from, to], Stroke::new(1.0, color));
            }
        } else {
            let fill = color.gamma_multiply(0.45);
            painter.rect(swatch, radius::S, Color32::BLACK, Stroke::NONE, StrokeKind::Inside);
            painter.rect(swatch, radius::S, fill, Stroke::new(1.0, color), StrokeKind::Inside);
        }
        bottom -= LINE;
    };
    if shown.masked {
        line("masked", tokens.overlay_text, true);
    }
    if shown.categories {
        line("0  background", palette::PATCH_BACKGROUND, false);
        line("1  foreground", palette::PATCH_LESION, false);
    }
}
