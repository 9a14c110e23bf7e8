//! The list of findings, one row each. Small ones are collapsed.

use egui::{Id, Rect, Response, Ui};
use engine::review::FindingVerdict;

use super::export;
use super::finding_row::{self, Columns, FindingRow, verdict_mark};
use crate::command::overlay::MAXIMUM_ML;
use crate::command::{EditCommand, OverlayCommand, ReviewCommand, Sender};
use crate::state::{CaseId, Document, FindingEntry, FindingList, MaskRole, PathPurpose, ReviewStep, State};
use crate::theme::{Icon, icon, space};
use crate::widget::{ButtonKind, IconButton, ListRow, NumberField, PushButton, Section};
use crate::widget::{format, list_area, text};

/// Rows shown before the list scrolls.
const ROWS: usize = 7;

pub(super) fn show(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let shown = state.shown_findings();
    let note = note(document, shown);
    let controls = |ui: &mut Ui| {
        // Laid out from the right.
        ui.add_enabled_ui(shown > 0, |ui| {
            let mut button = |icon: Icon, label: &str, key: &str, by: i64| {
                if ui.add(IconButton::new(icon, label).shortcut(key).small()).clicked() {
                    sender.send(OverlayCommand::StepFinding(by));
                }
            };
            button(icon::CHEVRON_RIGHT, "Next finding", "N", 1);
            button(icon::CHEVRON_LEFT, "Previous finding", "P", -1);
        });
        export::buttons(ui, state, PathPurpose::FindingsTable, sender);
    };
    Section::new("Findings").note(&note).show_with(ui, controls, |ui| {
        match (document.listed_mask(), &document.findings) {
            (None, _) => text::hint(ui, icon::FINDING, "No segmentation. Press Segment now, or open one."),
            (Some(_), None) => text::hint(ui, icon::BUSY, "Measuring\u{2026}"),
            (Some(_), Some(list)) if list.entries.is_empty() => {
                text::hint(ui, icon::DONE, "No findings. The mask is empty.");
            }
            (Some(_), Some(list)) => {
                if list.role == MaskRole::Reference {
                    text::note(ui, "Lesions of the reference.");
                }
                rows(ui, state, document, list, shown, sender);
                judge(ui, state, sender);
                correct(ui, state, list, sender);
                fold(ui, state, list, sender);
                inside(ui, state, document, list);
            }
        }
    });
}

/// Number of findings. After an edit they are those from before it, until they are measured again.
fn note(document: &Document, shown: usize) -> String {
    match &document.findings {
        Some(list) if !list.entries.is_empty() && document.has_old_findings() => format!("{shown}, updating"),
        Some(list) if !list.entries.is_empty() => shown.to_string(),
        _ => String::new(),
    }
}

fn rows(ui: &mut Ui, state: &State, document: &Document, list: &FindingList, shown: usize, sender: &Sender) {
    if shown == 0 {
        return;
    }
    ui.spacing_mut().item_spacing.y = 0.0;
    let columns = Columns::of(state, document, list.values_of.unwrap_or_else(|| document.value_source()));
    columns.head(ui);
    let seen = Id::unique("finding in sight");
    let before = ui.data(|data| data.get_temp::<(CaseId, Option<usize>)>(seen));
    let moved = before != Some((document.id, state.session.view.finding));
    let height = finding_row::HEIGHT * shown.min(ROWS) as f32;
    let area = list_area("findings", height);
    let drawn = area.show_rows(ui, finding_row::HEIGHT, shown, |ui, visible| {
        if let (true, Some(chosen)) = (moved && shown > ROWS, state.session.view.finding) {
            let top = ui.max_rect().top() + (chosen as f32 - visible.start as f32) * finding_row::HEIGHT;
            let row = Rect::from_x_y_ranges(ui.max_rect().x_range(), top..=top + finding_row::HEIGHT);
            ui.scroll_to_rect(row, None);
        }
        for at in visible {
            let verdict = state.finding_verdict(at);
            let row = FindingRow { at, entry: &list.entries[at], document, columns: &columns, verdict };
            if row.show(ui, state.session.view.finding == Some(at)).clicked() {
                sender.send(OverlayCommand::GoToFinding(at));
            }
        }
    });
    // In a low window the panel follows the steps through the list. Edits, which may move the selection, do not scroll.
    let stepped = moved && before.is_some_and(|(case, at)| case == document.id && at.is_some());
    if let Some(chosen) = state.session.view.finding.filter(|_| stepped && !state.session.view.tool.is_edit()) {
        let inner = drawn.inner_rect;
        // A longer list scrolls itself, and is shown as a whole.
        let (at, height) = if shown > ROWS { (0, inner.height()) } else { (chosen, finding_row::HEIGHT) };
        let top = inner.top() + at as f32 * finding_row::HEIGHT;
        ui.scroll_to_rect(Rect::from_x_y_ranges(inner.x_range(), top..=top + height), None);
    }
    ui.data_mut(|data| data.insert_temp(seen, (document.id, state.session.view.finding)));
}

/// Keeps only the selected finding of the segmentation, or removes it.
fn correct(ui: &mut Ui, state: &State, list: &FindingList, sender: &Sender) {
    let chosen = state.session.view.finding.and_then(|at| Some((at, list.entries.get(at)?)));
    let Some((at, _)) = chosen.filter(|(_, entry)| entry.role == MaskRole::Segmentation) else { return };
    let number = at + 1;
    let [kept, removed] =
        pair(ui, [PushButton::new("Keep only").icon(icon::FINDING), PushButton::new("Remove").icon(icon::TRASH)]);
    let kept = kept.accessible_name(format!("Keep only {number} in the segmentation"));
    if kept.on_hover_text("Removes all other findings from the segmentation").clicked() {
        sender.send(EditCommand::KeepFinding(at));
    }
    let removed = removed.accessible_name(format!("Remove {number} from the segmentation"));
    if removed.on_hover_text("Removes this finding from the segmentation").clicked() {
        sender.send(EditCommand::RemoveFinding(at));
    }
}

/// The verdict on the selected finding. Pressing the current one clears it.
fn judge(ui: &mut Ui, state: &State, sender: &Sender) {
    let Some(at) = state.session.view.finding.filter(|at| state.judges_finding(*at)) else { return };
    let given = state.finding_verdict(at);
    let ways = [
        (FindingVerdict::Accepted, "Accept", "It is a lesion"),
        (FindingVerdict::Rejected, "Reject", "It is not a lesion. The segmentation is not changed"),
    ];
    let buttons = ways
        .map(|(verdict, label, _)| PushButton::new(label).icon(verdict_mark(verdict)).selected(given == Some(verdict)));
    for (response, (verdict, label, hint)) in pair(ui, buttons).into_iter().zip(ways) {
        let response = response.accessible_name(format!("{label} finding {}", at + 1));
        if response.on_hover_text(hint).clicked() {
            let verdict = (given != Some(verdict)).then_some(verdict);
            sender.send(ReviewCommand::Step(ReviewStep::Finding(at, verdict)));
        }
    }
}

/// Two buttons of equal width.
fn pair(ui: &mut Ui, [left, right]: [PushButton<'_>; 2]) -> [Response; 2] {
    ui.add_space(space::XS);
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        ui.columns_const(|[first, second]| [first.add(left.fill_width()), second.add(right.fill_width())])
    })
    .inner
}

/// The minimum volume, and a button that shows or hides the findings below it.
fn fold(ui: &mut Ui, state: &State, list: &FindingList, sender: &Sender) {
    ui.add_space(space::XS);
    let mut minimum = state.session.settings.minimum_ml;
    let small = list.entries.iter().filter(|entry| entry.finding.volume_ml < minimum).count();
    let unfolded = state.session.view.small_findings;
    if small > 0 {
        let what = format!("{} below {minimum} ml", format::plural(small, "finding", "findings"));
        let label = if unfolded { format!("Hide {what}") } else { format!("Show {what}") };
        let icon = if unfolded { icon::CHEVRON_UP } else { icon::CHEVRON_DOWN };
        if ui.add(PushButton::new(&label).icon(icon).kind(ButtonKind::Quiet)).clicked() {
            sender.send(OverlayCommand::ShowSmallFindings(!unfolded));
        }
    }
    let field = NumberField::new(&mut minimum, "Minimum").range(0.0..=MAXIMUM_ML).decimals(3).step(0.01).unit("ml");
    if field.show(ui).accessible_name("Minimum volume").changed() {
        sender.send(OverlayCommand::SetMinimumVolume(minimum));
    }
}

/// The labels within the selected finding, if the mask has several.
fn inside(ui: &mut Ui, state: &State, document: &Document, list: &FindingList) {
    let Some(at) = state.session.view.finding else { return };
    let Some(entry) = list.entries.get(at).filter(|_| several_labels(list)) else { return };
    text::heading(ui, &format!("Labels in finding {}", at + 1));
    for part in &entry.finding.labels {
        let (name, volume) = (document.label_name(part.label), format::volume(part.volume_ml));
        ui.add(ListRow::new(&name).swatch(document.label_colour(part.label)).trailing(&volume));
    }
}

fn several_labels(list: &FindingList) -> bool {
    let mut labels = list.entries.iter().flat_map(|entry: &FindingEntry| &entry.finding.labels).map(|part| part.label);
    let first = labels.next();
    labels.any(|label| Some(label) != first)
}
