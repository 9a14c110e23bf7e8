//! Progress of jobs.

use std::time::Duration;

use egui::{Align2, Rect, Response, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::{IconButton, paint};
use crate::theme::{self, font, icon, size, space};

const BAR: f32 = 3.0;
const HEIGHT: f32 = 40.0;
/// Interval between repaints of an indeterminate bar.
const TICK: Duration = Duration::from_millis(50);

/// A progress bar filled to `fraction` (0 to 1), or indeterminate.
pub fn progress_bar(ui: &mut Ui, label: &str, fraction: Option<f32>, width: f32) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(width, BAR), Sense::hover());
    name_bar(ui, &response, label, fraction);
    paint_bar(ui, rect, fraction);
    response
}

fn name_bar(ui: &Ui, response: &Response, label: &str, fraction: Option<f32>) {
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ProgressIndicator, ui.is_enabled(), label);
        info.value = fraction.map(|fraction| f64::from(fraction.clamp(0.0, 1.0)) * 100.0);
        info
    });
}

fn paint_bar(ui: &Ui, rect: Rect, fraction: Option<f32>) {
    if !ui.is_rect_visible(rect) {
        return;
    }
    let t = theme::tokens(ui);
    ui.painter().rect_filled(rect, BAR / 2.0, t.raised_active);
    let (from, to) = if let Some(fraction) = fraction {
        (0.0, fraction.clamp(0.0, 1.0))
    } else {
        ui.ctx().request_repaint_after(TICK);
        // A third of the bar, from left to right and out, every 1.6 s.
        let phase = (ui.input(|input| input.time) / 1.6).fract() as f32 * 1.35 - 0.35;
        (phase.max(0.0), (phase + 0.35).min(1.0))
    };
    let filled =
        Rect::from_x_y_ranges(rect.left() + from * rect.width()..=rect.left() + to * rect.width(), rect.y_range());
    if filled.width() > 0.0 {
        ui.painter().rect_filled(filled, BAR / 2.0, t.accent);
    }
}

/// A row of fixed height with a job's name, progress and cancel button.
#[must_use = "call show"]
pub struct ProgressRow<'a> {
    label: &'a str,
    fraction: Option<f32>,
    detail: &'a str,
    cancel: bool,
}

impl<'a> ProgressRow<'a> {
    /// A job with its progress, 0 to 1 if known.
    pub fn new(label: &'a str, fraction: Option<f32>) -> Self {
        Self { label, fraction, detail: "", cancel: true }
    }

    /// Text on the right, for example "120 / 300".
    pub fn detail(mut self, detail: &'a str) -> Self {
        self.detail = detail;
        self
    }

    /// Whether it can be cancelled. The space for the button is kept.
    pub fn cancel(mut self, cancel: bool) -> Self {
        self.cancel = cancel;
        self
    }

    /// Shows it; true if it was cancelled.
    pub fn show(self, ui: &mut Ui) -> bool {
        let t = theme::tokens(ui);
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::hover());
        name_bar(ui, &response, self.label, self.fraction);
        let side = size::ROW_DENSE;
        let middle = rect.top() + 15.0;
        if ui.is_rect_visible(rect) {
            let mut right = rect.right() - side - space::XS;
            let detail = paint::line(ui, self.detail, font::number_small(), t.text_dim, (right - rect.left()) * 0.5);
            right = paint::put(ui.painter(), pos2(right, middle), Align2::RIGHT_CENTER, detail).left() - space::S;
            let label = paint::line(ui, self.label, font::body(), t.text, right - rect.left());
            paint::put(ui.painter(), pos2(rect.left(), middle), Align2::LEFT_CENTER, label);
        }
        let bar = Rect::from_min_max(
            pos2(rect.left(), rect.bottom() - space::S - BAR),
            pos2(rect.right(), rect.bottom() - space::S),
        );
        paint_bar(ui, bar, self.fraction);
        if !self.cancel {
            return false;
        }
        let button = Rect::from_center_size(pos2(rect.right() - side / 2.0, middle), vec2(side, side));
        let name = format!("Cancel: {}", self.label);
        ui.place(button, IconButton::new(icon::CLOSE, &name).small()).clicked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;
    use egui_kittest::kittest::{NodeT as _, Queryable as _};

    #[test]
    fn a_job_shows_its_progress_and_can_be_cancelled() {
        let mut harness = harness(
            |ui, cancelled: &mut bool| {
                *cancelled |= ProgressRow::new("Segmenting", Some(0.25)).detail("75 / 300").show(ui);
                ProgressRow::new("Connecting", None).cancel(false).show(ui);
            },
            false,
        );
        harness.run();
        let known = harness.get_by_label("Segmenting");
        assert_eq!(known.accesskit_node().data().numeric_value(), Some(25.0));
        let unknown = harness.get_by_label("Connecting");
        assert_eq!(unknown.accesskit_node().data().numeric_value(), None);
        assert_eq!(known.rect().height(), unknown.rect().height());
        assert!(harness.query_by_label("Cancel: Connecting").is_none());
        harness.get_by_label("Cancel: Segmenting").click();
        harness.run();
        assert!(*harness.state());
    }
}
