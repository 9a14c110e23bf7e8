//! A finding as a table row.

use egui::{
    Align2, Color32, FontId, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, pos2, vec2,
};

use crate::state::view::Overlay;
use crate::state::{Document, Listed, State, Status};
use crate::theme::{self, Icon, Tokens, font, icon, palette, radius, size, space};
use crate::widget::format;

/// Height of a row.
pub(super) const HEIGHT: f32 = 26.0;
const SWATCH: f32 = 10.0;
/// Width of the row number with its gap.
const PLACE: f32 = 26.0;
/// Width of the status icon and word.
const STATUS: f32 = 62.0;

/// Colours of the findings in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    /// By label.
    Labels,
    /// By true positive, false positive, false negative.
    Comparison,
}

impl Colours {
    pub(super) fn of(state: &State, document: &Document) -> Self {
        let both = document.prediction.is_some() && document.truth.is_some();
        if both && state.session.view.overlay == Overlay::Comparison { Self::Comparison } else { Self::Labels }
    }

    fn of_finding(self, listed: &Listed) -> Color32 {
        match (self, listed.status) {
            (Self::Comparison, Status::Hit) => palette::TRUE_POSITIVE,
            (Self::Comparison, Status::Extra) => palette::FALSE_POSITIVE,
            (Self::Comparison, Status::Missed) => palette::FALSE_NEGATIVE,
            _ => palette::label(u32::from(listed.label)),
        }
    }
}

/// Right edges of the columns volume, diameter and mean; the status follows.
struct Columns {
    volume: f32,
    diameter: f32,
    mean: f32,
}

impl Columns {
    fn new(rect: Rect, compared: bool) -> Self {
        let right = rect.right() - if compared { STATUS } else { space::S };
        let left = rect.left() + PLACE + SWATCH;
        // The heading of the mean is the longest.
        let each = (right - left) / 3.2;
        Self { volume: left + each, diameter: left + 2.0 * each, mean: right }
    }
}

/// Column headings.
pub(super) fn head(ui: &mut Ui, unit: &str, compared: bool) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 18.0), Sense::hover());
    let columns = Columns::new(rect, compared);
    let color = theme::tokens(ui).text_dim;
    let mean = if unit.is_empty() { "mean".to_owned() } else { format!("mean {unit}") };
    let heads = [(columns.volume, "ml"), (columns.diameter, "\u{d8} mm"), (columns.mean, mean.as_str())];
    for (right, text) in heads {
        ui.painter().text(pos2(right, rect.center().y), Align2::RIGHT_CENTER, text, font::caption(), color);
    }
}

pub(super) struct FindingRow<'a> {
    pub at: usize,
    pub listed: &'a Listed,
    /// Of the mean.
    pub unit: &'a str,
    /// Of the mean, the same in all rows.
    pub decimals: usize,
    /// Whether the case has a segmentation and a reference.
    pub compared: bool,
    pub colours: Colours,
}

impl FindingRow<'_> {
    /// Draws it.
    pub(super) fn show(&self, ui: &mut Ui, selected: bool) -> Response {
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::click());
        let name = format!("Finding {}", self.at + 1);
        response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, ui.is_enabled(), selected, &name));
        ui.accesskit_node_builder(response.id, |node| node.set_description(self.description()));
        if ui.is_rect_visible(rect) {
            self.paint(ui, rect, &response, selected);
        }
        response
    }

    fn mean(&self) -> String {
        format::fixed(self.listed.finding.mean.unwrap_or(f64::NAN), self.decimals)
    }

    /// The row for screen readers.
    fn description(&self) -> String {
        let finding = &self.listed.finding;
        let (volume, diameter) = (format::ml(finding.volume_ml), format::mm(finding.diameter.mm));
        let mean = format::with_unit(&self.mean(), self.unit);
        let status = self.listed.status.name();
        let status = if status.is_empty() { String::new() } else { format!(", {status}") };
        format!("label {}, {volume} ml, {diameter} mm, mean {mean}{status}", self.listed.label)
    }

    fn paint(&self, ui: &Ui, rect: Rect, response: &Response, selected: bool) {
        let t = theme::tokens(ui);
        let fill = match (selected, response.hovered()) {
            (true, true) => t.selection_hover,
            (true, false) => t.selection,
            (false, true) => t.raised_hover,
            (false, false) => Color32::TRANSPARENT,
        };
        let painter = ui.painter();
        painter.rect_filled(rect, radius::M, fill);
        if selected {
            let bar = Rect::from_min_size(rect.min + vec2(0.0, space::XS), vec2(2.0, rect.height() - 2.0 * space::XS));
            painter.rect_filled(bar, 1.0, t.accent);
        }
        let middle = rect.center().y;
        let put = |x: f32, anchor: Align2, text: &str, font: FontId, color: Color32| {
            painter.text(pos2(x, middle), anchor, text, font, color);
        };
        put(
            rect.left() + PLACE - space::S,
            Align2::RIGHT_CENTER,
            &(self.at + 1).to_string(),
            font::number_small(),
            t.text_dim,
        );
        let swatch = Rect::from_center_size(pos2(rect.left() + PLACE + SWATCH / 2.0, middle), Vec2::splat(SWATCH));
        let edge = Stroke::new(1.0, t.line_strong);
        painter.rect(swatch, radius::S, self.colours.of_finding(self.listed), edge, StrokeKind::Inside);
        let columns = Columns::new(rect, self.compared);
        let finding = &self.listed.finding;
        put(columns.volume, Align2::RIGHT_CENTER, &format::ml(finding.volume_ml), font::number(), t.text);
        put(columns.diameter, Align2::RIGHT_CENTER, &format::mm(finding.diameter.mm), font::number(), t.text);
        put(columns.mean, Align2::RIGHT_CENTER, &self.mean(), font::number(), t.text);
        if let (true, Some((icon, color))) = (self.compared, mark(self.listed.status, t)) {
            let left = columns.mean + space::S - 1.0;
            put(left, Align2::LEFT_CENTER, &icon.char().to_string(), Icon::font(size::ICON_SMALL), color);
            put(left + size::ICON_SMALL + 3.0, Align2::LEFT_CENTER, self.listed.status.name(), font::caption(), t.text);
        }
        if response.has_focus() {
            let ring = Stroke::new(size::FOCUS_RING, t.focus);
            painter.rect_stroke(rect, radius::M, ring, StrokeKind::Inside);
        }
    }
}

/// Icon and colour of a status.
fn mark(status: Status, t: &Tokens) -> Option<(Icon, Color32)> {
    match status {
        Status::Unknown => None,
        Status::Hit => Some((icon::DONE, t.ok)),
        Status::Extra => Some((icon::ADD, t.warn)),
        Status::Missed => Some((icon::REJECTED, t.error)),
    }
}
