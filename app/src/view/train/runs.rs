//! All runs of the workspace: filter, table, and the settings that differ between ticked runs.

mod differences;
mod row;
mod table;

use std::path::Path;

use egui::{
    Align, Frame, Key, Layout, Margin, Popup, PopupCloseBehavior, RichText, ScrollArea, Sense, TextEdit, Ui, UiBuilder,
    vec2,
};
use engine::event::Stage;
use engine::run::workspace::RunEntry;

use crate::command::{Command, RunsCommand, Sender, TimelineCommand, TrainCommand};
use crate::state::State;
use crate::theme::{self, font, icon, size, space};
use crate::widget::{ButtonKind, EmptyState, ErrorState, IconButton, LoadingState, PushButton, SearchField, Toggle};
use crate::widget::{format, text};

/// Width of the filter field.
const FILTER: f32 = 160.0;
/// Width of the list of settings, and the height above which it scrolls.
const SETTINGS: [f32; 2] = [280.0, 360.0];

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let margin = Margin { left: space::L as i8, right: space::L as i8, top: space::S as i8, bottom: space::M as i8 };
    differences::show(ui, state);
    Frame::new().inner_margin(margin).show(ui, |ui| {
        head(ui, state, sender);
        ui.add_space(space::S);
        match (&state.cache.runs.entries, &state.cache.runs.failed) {
            (_, Some(why)) => {
                if ErrorState::new("Cannot list the runs", why).retry("Try again").show(ui) {
                    sender.send(Command::Runs(RunsCommand::Refresh));
                }
            }
            (None, None) => {
                LoadingState::new("Listing the runs of the workspace", None).show(ui);
            }
            (Some(runs), None) if runs.is_empty() => {
                EmptyState::new(icon::BRAIN, "No runs yet. Start training to create one.").show(ui);
            }
            (Some(_), None) => {
                table::show(ui, state, sender);
            }
        }
    });
}

/// Filter, workspace, and actions on the selected run.
fn head(ui: &mut Ui, state: &State, sender: &Sender) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), size::CONTROL), Sense::hover());
    let layout = Layout::right_to_left(Align::Center);
    let mut row = ui.new_child(UiBuilder::new().max_rect(rect).layout(layout));
    row.spacing_mut().item_spacing.x = space::S;
    actions(&mut row, state, sender);
    row.with_layout(Layout::left_to_right(Align::Center), |ui| {
        if let Some((run, typed)) = &state.session.run_table.editing {
            return notes_field(ui, run, typed, sender);
        }
        let mut filter = state.session.run_table.filter.clone();
        let size = vec2(FILTER.min(ui.available_width()), size::CONTROL);
        let changed = ui.allocate_ui(size, |ui| SearchField::new(&mut filter, "Filter runs").show(ui).changed()).inner;
        if changed {
            sender.send(Command::Runs(RunsCommand::Filter(filter)));
        }
        let workspace = state.session.settings.workspace();
        let color = theme::tokens(ui).text_dim;
        let place = RichText::new(workspace.display().to_string()).font(font::caption()).color(color);
        text::line(ui, place);
    });
}

/// Edits the notes of a run, outside the table, whose last column may be scrolled out of view.
fn notes_field(ui: &mut Ui, run: &Path, typed: &str, sender: &Sender) {
    let t = theme::tokens(ui);
    let name = format!("Notes of {}", format::file_name(run));
    let mut text = typed.to_owned();
    let field = TextEdit::singleline(&mut text).font(font::body()).text_color(t.text).hint_text(&name);
    let response = ui.add(field.desired_width(f32::INFINITY)).accessible_name(&name);
    if response.changed() {
        sender.send(Command::Runs(RunsCommand::EditNotes(run.to_owned(), text)));
    }
    if response.lost_focus() {
        let dropped = ui.input(|input| input.key_pressed(Key::Escape));
        sender.send(Command::Runs(if dropped { RunsCommand::DropNotes } else { RunsCommand::SaveNotes }));
    } else if !response.has_focus() {
        response.request_focus();
    }
}

/// Buttons from right to left.
fn actions(ui: &mut Ui, state: &State, sender: &Sender) {
    let chosen = state.selected_run();
    let delete = IconButton::new(icon::TRASH, "Delete\u{2026}");
    let send = |clicked: bool, command: &dyn Fn(&RunEntry) -> Command| {
        if let Some(run) = chosen.filter(|_| clicked) {
            sender.send(command(run));
        }
    };
    let on = chosen.is_some();
    send(ui.add_enabled(on, delete).clicked(), &|run| Command::Runs(RunsCommand::AskDelete(run.path.clone())));
    send(ui.add_enabled(on, IconButton::new(icon::EDIT, "Notes")).clicked(), &|run| {
        Command::Runs(RunsCommand::EditNotes(run.path.clone(), run.notes.clone()))
    });
    settings_menu(ui, state, sender);
    let like = PushButton::new("Set up like this").icon(icon::CONTROLS).kind(ButtonKind::Quiet);
    let response = ui.add_enabled(on, like).on_hover_text("Fills the form with the settings of the selected run");
    send(response.clicked(), &|run| Command::Train(TrainCommand::SetUpLike(run.path.clone())));
    let (drawing, next) = match chosen.map(|run| run.stage) {
        Some(Stage::Finetune) => (icon::BARS, "Results of this run"),
        Some(Stage::Pretrain) | None => (icon::BRAIN, "Fine-tune this run"),
    };
    let is_trained = chosen.is_some_and(|run| run.epochs_done > 0);
    send(ui.add_enabled(is_trained, IconButton::new(drawing, next)).clicked(), &|run| {
        Command::Train(match run.stage {
            Stage::Pretrain => TrainCommand::FinetuneFrom(Some(run.path.clone())),
            Stage::Finetune => TrainCommand::ShowResults(run.path.clone()),
        })
    });
    compare_button(ui, state, sender);
    send(ui.add_enabled(on, PushButton::primary("Open").icon(icon::CURVES)).clicked(), &|run| {
        Command::Timeline(TimelineCommand::Open(run.path.clone()))
    });
}

fn compare_button(ui: &mut Ui, state: &State, sender: &Sender) {
    let runs = state.runs_to_compare();
    let response = ui.add_enabled(runs.is_ok(), PushButton::new("Compare").icon(icon::SIDE_BY_SIDE));
    let response = match &runs {
        Ok(runs) => response.on_hover_text(format!("Compares {} runs", runs.len())),
        Err(why) => response.on_disabled_hover_text(why.as_str()),
    };
    if response.clicked() {
        sender.send(Command::Runs(RunsCommand::Compare));
    }
}

/// Settings that can have a column.
fn settings_menu(ui: &mut Ui, state: &State, sender: &Sender) {
    let response = ui.add(IconButton::new(icon::COLUMNS, "Settings as columns"));
    let popup = Popup::menu(&response).close_behavior(PopupCloseBehavior::CloseOnClickOutside).gap(space::XS);
    popup.show(|ui| {
        ui.set_width(SETTINGS[0]);
        text::heading(ui, "Settings as columns, differing ones first");
        ScrollArea::vertical().max_height(SETTINGS[1]).show(ui, |ui| {
            for name in state.settings_to_show() {
                let mut on = state.session.run_table.settings.contains(&name);
                if ui.add(Toggle::new(&mut on, &name)).changed() {
                    sender.send(Command::Runs(RunsCommand::ToggleSetting(name)));
                }
            }
        });
    });
}
