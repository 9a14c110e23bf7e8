//! The cases of the open folder.

use egui::{Align2, Id, Rect, RichText, ScrollArea, Sense, Ui, vec2};
use engine::review::Verdict;

use super::super::verdict::{icon_of, tone_of};
use super::queue;
use super::thumbnails::Thumbnails;
use crate::command::{FileCommand, Sender, WindowCommand};
use crate::state::{CaseId, CaseList, CasePlace, Intent, ListedCase, PathPurpose, Review, State};
use crate::theme::{self, Icon, font, icon, size, space};
use crate::widget::text;
use crate::widget::{EmptyState, IconButton, LoadingState, SearchField, ThumbnailRow, Tone};

/// Height of a row of the list.
const ROW: f32 = size::THUMBNAIL + space::S;

/// Draws them in the remaining space.
pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let cases = &state.cases;
    header(ui, cases, sender);
    if cases.cases.is_empty() {
        if state.opening().is_some() && state.document.is_none() {
            LoadingState::new("Opening", None).show(ui);
        } else if state.browsed().is_some() {
            EmptyState::new(icon::COHORT, "Choose a series. The others are then listed here.").show(ui);
        } else {
            let empty = EmptyState::new(icon::COHORT, "Open a folder to list its patients.");
            if empty.action("Open folder…", Some("Ctrl+Shift+O")).show(ui) {
                sender.send(Intent::Ask(PathPurpose::Folder));
            }
        }
        return;
    }
    let mut filter = cases.filter.clone();
    if SearchField::new(&mut filter, "Filter cases").show(ui).changed() {
        sender.send(FileCommand::FilterCases(filter));
    }
    queue::show(ui, cases, sender);
    let matching = cases.matching();
    if matching.is_empty() {
        EmptyState::new(icon::FILTER, "No case matches.").show(ui);
        return;
    }
    list(ui, state, &matching, sender);
}

/// Folder name, number of cases, and warnings.
fn header(ui: &mut Ui, cases: &CaseList, sender: &Sender) {
    let t = theme::tokens(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), size::ROW + space::XS), Sense::hover());
    let layout = egui::Layout::right_to_left(egui::Align::Center);
    let mut row = ui.new_child(egui::UiBuilder::new().max_rect(rect).layout(layout));
    row.spacing_mut().item_spacing.x = space::XS;
    if !cases.problems.is_empty() && row.add(IconButton::new(icon::WARN, &cases.problem_title()).small()).clicked() {
        sender.send(WindowCommand::OpenLog);
    }
    if !cases.cases.is_empty() {
        let count = RichText::new(cases.cases.len().to_string()).font(font::number_small()).color(t.text_dim);
        row.label(count).on_hover_text("Cases in this folder");
    }
    row.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
        mark(ui, icon::COHORT);
        let name = cases.root.as_ref().and_then(|root| root.file_name()).map(|name| name.to_string_lossy());
        let name = RichText::new(name.as_deref().unwrap_or("Cases")).font(font::strong()).color(t.text);
        let shown = text::line(ui, name);
        if let Some(root) = &cases.root {
            shown.on_hover_text(root.display().to_string());
        }
    });
}

fn mark(ui: &mut Ui, icon: Icon) {
    let (rect, _) = ui.allocate_exact_size(vec2(size::ICON, size::ICON), Sense::hover());
    let color = theme::tokens(ui).text_dim;
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, icon.char(), Icon::font(size::ICON), color);
}

/// The visible rows. The list scrolls to the open case when it changes.
fn list(ui: &mut Ui, state: &State, matching: &[&ListedCase], sender: &Sender) {
    let cases = &state.cases;
    ui.spacing_mut().item_spacing.y = 2.0;
    let seen = Id::unique("case in sight");
    let moved = ui.data(|data| data.get_temp::<Option<CaseId>>(seen)) != Some(cases.open);
    let place = cases.open.and_then(|open| matching.iter().position(|case| case.id == open));
    let thumbnails = Thumbnails::of(ui);
    let area = ScrollArea::vertical().id_salt("cases").auto_shrink(false);
    area.show_rows(ui, ROW, matching.len(), |ui, rows| {
        if let (true, Some(place)) = (moved, place) {
            let step = ROW + ui.spacing().item_spacing.y;
            let top = ui.max_rect().top() + (place as f32 - rows.start as f32) * step;
            let row = Rect::from_x_y_ranges(ui.max_rect().x_range(), top..=top + ROW);
            ui.scroll_to_rect(row, None);
        }
        for case in &matching[rows] {
            let chosen = cases.open == Some(case.id);
            if row(ui, case, &cases.review, state.place_of(case.id), &thumbnails) && !chosen {
                sender.send(Intent::OpenCase(case.id));
            }
        }
    });
    ui.data_mut(|data| data.insert_temp(seen, cases.open));
}

/// A row; true if it was clicked.
fn row(ui: &mut Ui, case: &ListedCase, review: &Review, place: CasePlace, thumbnails: &Thumbnails) -> bool {
    let verdict = review.verdict(&case.name);
    let score = review.scores.get(&case.name);
    let scored = score.map(|scored| match (scored.score, &scored.why) {
        (Some(score), _) => review.order.score(score),
        (None, why) => why.clone().unwrap_or_default(),
    });
    let mut facts = Vec::from_iter(scored.as_deref());
    facts.extend(case.images.keys().map(String::as_str));
    if case.segmentation.is_some() {
        facts.push("segmentation");
    }
    if !case.masks.is_empty() {
        facts.push("reference");
    }
    let facts = facts.join(", ");
    let judged = format!("{}, {facts}", verdict.name());
    // The icon says that a case is to do: most are, and the row is narrow.
    let facts = if verdict == Verdict::ToDo { facts } else { judged.clone() };
    let comment = review.entry(&case.name).map(|entry| entry.comment.as_str()).filter(|comment| !comment.is_empty());
    let meaning = comment.map_or_else(|| judged.clone(), |comment| format!("{judged}\n{comment}"));
    let texture =
        case.thumbnail.as_ref().map(|thumbnail| thumbnails.texture(ui, Id::unique(("case", case.id)), thumbnail));
    let mut row = ThumbnailRow::new(&case.name, &facts)
        .distinct(&case.distinct)
        .texture(texture)
        .selected(place == CasePlace::Shown);
    if place == CasePlace::Opening {
        row = row.status(icon::BUSY, Tone::Accent, "opening");
    } else if let Some(error) = &case.error {
        row = row.status(icon::ERROR, Tone::Error, error);
    } else {
        row = row.status(icon_of(verdict), tone_of(verdict), &meaning);
    }
    ui.add(row).accessible_name(format!("Case {}", case.name)).clicked()
}
