//! A finding as a table row of two lines: its size and status, and the shown image inside.

use egui::{Align2, Color32, FontId, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};
use engine::review::FindingVerdict;

use crate::scene::Modality;
use crate::state::view::Overlay;
use crate::state::{Document, FindingEntry, State, Status, ValueSource};
use crate::theme::{self, Icon, Tokens, font, icon, palette, radius, size, space};
use crate::widget::{format, text};

/// Height of a row.
pub(super) const HEIGHT: f32 = 42.0;
/// Distance of the two lines from the middle of a row or heading.
const LINE: f32 = 8.5;
/// Width of the bar of colours.
const BAR: f32 = 6.0;
/// Width of the row number with its gap.
const PLACE: f32 = 26.0;

/// Colours of the findings in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colours {
    /// By label.
    Labels,
    /// By true positive, false positive, false negative.
    Comparison,
}

/// What all rows of the list share.
pub(super) struct Columns {
    colours: Colours,
    /// The measured image, and the unit of its values.
    image: String,
    unit: &'static str,
    /// The values are SUV, with the peak of 1 ml.
    suv: bool,
    /// Whether the case has a segmentation and a reference.
    compared: bool,
}

impl Columns {
    pub(super) fn of(state: &State, document: &Document, source: ValueSource) -> Self {
        let both = document.has_both_masks() && state.session.view.overlay == Overlay::Comparison;
        let layer = document.images.get(source.image).unwrap_or_else(|| document.base());
        let image = match &layer.info.modality {
            Modality::Mr(sequence) if sequence != "mr" && sequence != "mri" => sequence.to_uppercase(),
            Modality::Other => layer.name.clone(),
            modality => modality.name(),
        };
        Self {
            colours: if both { Colours::Comparison } else { Colours::Labels },
            image,
            unit: layer.info.unit_symbol(),
            suv: source.with_peak,
            compared: document.comparison.is_some(),
        }
    }

    /// Headings of the values: the first one names the image.
    fn values(&self) -> [String; 3] {
        if self.suv {
            return [format!("{} SUVmean", self.image), "SUVmax".to_owned(), "SUVpeak".to_owned()];
        }
        let mean = format!("{} mean {}", self.image, self.unit);
        [mean.trim_end().to_owned(), "max".to_owned(), String::new()]
    }

    /// Right edges of the three columns.
    fn rights(rect: Rect) -> [f32; 3] {
        let (left, right) = (rect.left() + PLACE + BAR + space::XS, rect.right() - space::S);
        let each = (right - left) / 3.0;
        [left + each, left + 2.0 * each, right]
    }

    /// Draws the headings.
    pub(super) fn head(&self, ui: &mut Ui) {
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 34.0), Sense::hover());
        let values = self.values();
        let label = format!("Findings: volume, longest axial diameter in mm, {}", values.join(", "));
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, label.trim_end_matches(", ")));
        let color = theme::tokens(ui).text_dim;
        let rights = Self::rights(rect);
        for (right, heading) in rights.into_iter().zip(["volume", "\u{d8} mm", ""]) {
            put(ui, pos2(right, rect.center().y - LINE), heading, font::caption(), color, right - rect.left());
        }
        for (at, (right, heading)) in rights.into_iter().zip(&values).enumerate() {
            // The first heading may reach the left edge.
            let width = if at == 0 { right - rect.left() } else { rights[at] - rights[at - 1] - space::XS };
            put(ui, pos2(right, rect.center().y + LINE), heading, font::caption(), color, width);
        }
    }
}

/// Draws right-aligned text that ends at `at`.
fn put(ui: &Ui, at: egui::Pos2, line: &str, font: FontId, color: Color32, width: f32) {
    let galley = text::one_line(ui, line, font, color, width);
    let place = Align2::RIGHT_CENTER.anchor_size(at, galley.size());
    ui.painter().galley(place.min, galley, color);
}

pub(super) struct FindingRow<'a> {
    pub at: usize,
    pub entry: &'a FindingEntry,
    pub document: &'a Document,
    pub columns: &'a Columns,
    /// The reviewer's verdict on the finding.
    pub verdict: Option<FindingVerdict>,
}

impl FindingRow<'_> {
    pub(super) fn show(&self, ui: &mut Ui, selected: bool) -> Response {
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::click());
        let name = format!("Finding {}", self.at + 1);
        response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, ui.is_enabled(), selected, &name));
        ui.accesskit_node_builder(response.id, |node| node.set_description(self.description()));
        if ui.is_rect_visible(rect) {
            self.paint(ui, rect, &response, selected);
        }
        response.on_hover_text(self.description())
    }

    /// Mean, maximum and peak as text; empty if missing.
    fn values(&self) -> [String; 3] {
        let number = format::figures;
        match self.entry.values {
            Some(values) => [number(values.mean), number(values.max), values.peak.map(number).unwrap_or_default()],
            None => [format::NONE, format::NONE, ""].map(str::to_owned),
        }
    }

    /// The row for screen readers and the tooltip.
    fn description(&self) -> String {
        let finding = &self.entry.finding;
        let mut facts = vec![format::volume(finding.volume_ml), format!("{} mm", format::mm(finding.diameter.mm))];
        for (heading, value) in self.columns.values().iter().zip(self.values()).filter(|(_, value)| !value.is_empty()) {
            facts.push(format!("{heading} {value}"));
        }
        let status = self.entry.status.name();
        facts.extend((!status.is_empty()).then(|| status.to_owned()));
        facts.extend(self.verdict.map(|verdict| verdict.key().to_owned()));
        for part in &finding.labels {
            facts.push(format!("{} {}", self.document.label_name(part.label), format::volume(part.volume_ml)));
        }
        facts.join(", ")
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
        let (upper, lower) = (rect.center().y - LINE, rect.center().y + LINE);
        let number = (self.at + 1).to_string();
        put(ui, pos2(rect.left() + PLACE - space::XS, upper), &number, font::number_small(), t.text_dim, PLACE);
        if let Some(verdict) = self.verdict {
            let color = if verdict == FindingVerdict::Accepted { t.ok } else { t.error };
            let at = pos2(rect.left() + PLACE - space::XS, lower);
            let mark = verdict_mark(verdict).char();
            painter.text(at, Align2::RIGHT_CENTER, mark, Icon::font(size::ICON_SMALL), color);
        }
        self.paint_labels(ui, rect, t);
        let rights = Columns::rights(rect);
        let width = rights[1] - rights[0] - space::XS;
        let finding = &self.entry.finding;
        put(ui, pos2(rights[0], upper), &format::volume(finding.volume_ml), font::number(), t.text, width + space::XS);
        put(ui, pos2(rights[1], upper), &format::mm(finding.diameter.mm), font::number(), t.text, width);
        for (right, value) in rights.into_iter().zip(self.values()) {
            put(ui, pos2(right, lower), &value, font::number_small(), t.text_dim, width);
        }
        if let (true, Some((icon, color))) = (self.columns.compared, mark(self.entry.status, t)) {
            let word = text::one_line(ui, self.entry.status.name(), font::caption(), t.text, width);
            let left = rights[2] - word.size().x;
            painter.galley(pos2(left, upper - word.size().y / 2.0), word, t.text);
            let at = pos2(left - 3.0, upper);
            painter.text(at, Align2::RIGHT_CENTER, icon.char().to_string(), Icon::font(size::ICON_SMALL), color);
        }
        if response.has_focus() {
            let ring = Stroke::new(size::FOCUS_RING, t.focus);
            painter.rect_stroke(rect, radius::M, ring, StrokeKind::Inside);
        }
    }

    /// A bar in the colours of the finding's labels, each as high as its share. In a comparison, the colour of the
    /// status.
    fn paint_labels(&self, ui: &Ui, rect: Rect, t: &Tokens) {
        let bar = Rect::from_min_size(rect.min + vec2(PLACE, space::XS), vec2(BAR, rect.height() - 2.0 * space::XS));
        let finding = &self.entry.finding;
        let by_status = match (self.columns.colours, self.entry.status) {
            (Colours::Comparison, Status::Hit) => Some(palette::TRUE_POSITIVE),
            (Colours::Comparison, Status::Extra) => Some(palette::FALSE_POSITIVE),
            (Colours::Comparison, Status::Missed) => Some(palette::FALSE_NEGATIVE),
            _ => None,
        };
        let painter = ui.painter();
        let mut top = bar.top();
        for part in &finding.labels {
            let height = bar.height() * (part.voxels as f64 / finding.voxels as f64) as f32;
            let color = by_status.unwrap_or_else(|| self.document.label_colour(part.label));
            painter.rect_filled(Rect::from_x_y_ranges(bar.x_range(), top..=top + height), 0.0, color);
            top += height;
        }
        painter.rect_stroke(bar, radius::S, Stroke::new(1.0, t.line_strong), StrokeKind::Outside);
    }
}

/// The icon of a verdict on a finding.
pub(super) fn verdict_mark(verdict: FindingVerdict) -> Icon {
    match verdict {
        FindingVerdict::Accepted => icon::CHECK,
        FindingVerdict::Rejected => icon::CLOSE,
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
