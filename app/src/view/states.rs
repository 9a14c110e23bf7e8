//! The centre without a case: loading, failed, drop target.

use egui::{Align, Label, Layout, Rect, RichText, ScrollArea, Stroke, StrokeKind, Ui, UiBuilder, pos2, vec2};
use std::path::Path;

use crate::command::{FileCommand, Sender};
use crate::state::names::file_name;
use crate::state::{Document, Intent, JobStatus, PathPurpose, State};
use crate::theme::{self, Icon, font, icon, radius, size, space};
use crate::widget::{ButtonKind, LoadingState, PushButton, overlay_text};

/// Width of the column.
pub(super) const WIDTH: f32 = 460.0;
/// Opacity of the cover over the open case while another one loads.
const DIMMED: f32 = 0.72;
/// Height of the card.
pub(super) const NOTICE: f32 = 150.0;
/// Height above which the error scrolls.
const DETAIL: f32 = 160.0;

/// Shown while the first case loads.
pub fn loading(ui: &mut Ui, job: &JobStatus, sender: &Sender) {
    let text = if job.detail.is_empty() { job.title.clone() } else { format!("{}: {}", job.title, job.detail) };
    if LoadingState::new(&text, job.progress).cancel().show(ui) {
        sender.send(FileCommand::CancelJob(job.id));
    }
}

/// Dims the views of the open case while another one loads, and names both, so that they are not confused.
pub fn loading_overlay(ui: &mut Ui, area: Rect, document: &Document, job: &JobStatus, sender: &Sender) {
    // Takes all pointer events from the views below.
    ui.interact(area, egui::Id::unique("another case loads"), egui::Sense::click_and_drag());
    ui.painter().rect_filled(area, 0.0, theme::tokens::DARK.image.gamma_multiply(DIMMED));
    let size = vec2(WIDTH.min(area.width()), NOTICE);
    let card = Rect::from_center_size(area.center(), size).intersect(area);
    let t = theme::tokens(ui);
    ui.painter().rect(card, radius::L, t.raised, Stroke::new(1.0, t.line_strong), StrokeKind::Inside);
    let mut inner = ui.new_child(UiBuilder::new().max_rect(card.shrink(space::M)));
    let text = format!("{}. Still shown: {}.", job.title, document.title);
    if LoadingState::new(&text, job.progress).cancel().show(&mut inner) {
        sender.send(FileCommand::CancelJob(job.id));
    }
}

/// Shown when a case cannot be opened.
pub fn failed(ui: &mut Ui, path: &Path, why: &str, sender: &Sender) {
    let t = theme::tokens(ui);
    let mut column = column(ui, 0.26);
    let (at, _) = column.allocate_exact_size(vec2(32.0, 32.0), egui::Sense::hover());
    column.painter().text(at.center(), egui::Align2::CENTER_CENTER, icon::ERROR.char(), Icon::font(30.0), t.error);
    column.add_space(space::M);
    let name = file_name(path);
    column.add(Label::new(RichText::new(format!("Cannot open {name}")).font(font::heading()).color(t.text)).wrap());
    column.add_space(space::S);
    ScrollArea::vertical().id_salt("why it failed").max_height(DETAIL).show(&mut column, |ui| {
        ui.add(Label::new(RichText::new(why).font(font::body()).color(t.text_dim)).wrap().selectable(true));
    });
    column.add_space(space::L);
    // As wide as its content, to centre it; in a narrow window it wraps.
    let width = 390.0_f32.min(column.available_width());
    let layout = Layout::left_to_right(Align::Center).with_main_wrap(true);
    column.allocate_ui_with_layout(vec2(width, size::CONTROL), layout, |ui| {
        ui.spacing_mut().item_spacing = vec2(space::S, space::XS);
        if ui.add(PushButton::primary("Try again").icon(icon::RETRY)).clicked() {
            sender.send(FileCommand::Retry);
        }
        if ui.add(PushButton::new("Open another file").icon(icon::OPEN)).clicked() {
            sender.send(Intent::Ask(PathPurpose::Files));
        }
        if ui.add(PushButton::new("Copy details").icon(icon::COPY).kind(ButtonKind::Quiet)).clicked() {
            ui.copy_text(format!("{}\n{why}", path.display()));
        }
    });
}

/// A centred column with a fixed top at a fraction of the height.
pub fn column(ui: &mut Ui, from: f32) -> Ui {
    let area = ui.max_rect();
    let width = WIDTH.min(area.width() - 2.0 * space::XL).max(120.0);
    let top = (area.top() + (area.height() * from).max(space::XL)).round();
    let rect = Rect::from_min_max(
        pos2((area.center().x - width / 2.0).round(), top),
        pos2((area.center().x + width / 2.0).round(), (area.bottom() - space::L).max(top)),
    );
    let mut column = ui.new_child(UiBuilder::new().max_rect(rect).layout(Layout::top_down(Align::Center)));
    column.spacing_mut().item_spacing.y = 0.0;
    column
}

/// Shown while files are dragged over the window.
pub fn drop_target(ui: &Ui, area: Rect, state: &State) {
    if ui.input(|i| i.raw.hovered_files.is_empty()) {
        return;
    }
    let t = theme::tokens(ui);
    let painter = ui.ctx().layer_painter(egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop target")));
    let rect = area.shrink(space::M);
    painter.rect(rect, radius::L, t.backdrop, Stroke::new(2.0, t.accent), StrokeKind::Inside);
    let (title, detail) = match state.document {
        Some(_) => ("Drop to open", "A mask is added to the open image. Other files replace it."),
        None => ("Drop to open", "Scans with masks, a folder of cases, or DICOM."),
    };
    let center = rect.center();
    overlay_text(&painter, center, egui::Align2::CENTER_BOTTOM, title, font::title(), t.overlay_text);
    let below = center + vec2(0.0, space::S);
    overlay_text(&painter, below, egui::Align2::CENTER_TOP, detail, font::body(), t.overlay_text);
}
