//! Studies page: the list of studies, or one of them as a table, plots, patients and runs.

mod curves;
mod list;
mod patients;
mod plots;
mod progress;
mod table;

use egui::{Align, Frame, Label, Layout, Margin, RichText, ScrollArea, Sense, Ui, UiBuilder, vec2};
use engine::study::summary::Metric;
use engine::study::{StudyRecord, StudyStatus};

use crate::command::{Command, Sender, StudyCommand};
use crate::state::State;
use crate::state::study::{StudyTab, column_of};
use crate::theme::{self, font, icon, size, space};
use crate::widget::{EmptyState, ErrorState, LoadingState, PushButton, Segment, SegmentedControl, Select};
use crate::widget::{format, progress_bar};
use crate::worker;

/// Margin around the page.
const ROOM: Margin =
    Margin { left: space::L as i8, right: space::L as i8, top: space::S as i8, bottom: space::M as i8 };

/// Width of the choice of a table.
const TABLE: f32 = 420.0;

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let Some(folder) = state.study_folder() else {
        Frame::new().inner_margin(ROOM).show(ui, |ui| list::show(ui, state, sender));
        return;
    };
    let name = format::file_name(folder);
    match (&state.cache.study.open, &state.cache.study.failed) {
        (_, Some(why)) => {
            Frame::new().inner_margin(ROOM).show(ui, |ui| {
                another(ui, sender);
                if ErrorState::new(&format!("{name} cannot be read"), why).retry("Try again").show(ui) {
                    sender.send(Command::Study(StudyCommand::Refresh));
                }
            });
        }
        (None, None) => {
            let job = state.jobs.iter().find(|job| job.slot == worker::study::SLOT);
            let title = format!("Reading {name}");
            if LoadingState::new(&title, job.and_then(|job| job.progress)).cancel().show(ui) {
                sender.send(Command::Study(StudyCommand::Close));
            }
        }
        (Some(study), None) => {
            ScrollArea::vertical().id_salt("study").auto_shrink(false).content_margin(ROOM).show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 0.0;
                page(ui, state, study, sender);
            });
        }
    }
}

fn page(ui: &mut Ui, state: &State, study: &StudyRecord, sender: &Sender) {
    // The plots fill the rest of the page, independent of scrolling.
    let bottom = ui.cursor().top() + ui.clip_rect().height() - f32::from(ROOM.top + ROOM.bottom);
    head(ui, state, study, sender);
    if !study.status.is_complete() {
        ui.add_space(space::XS);
        let share = (study.status.done() + study.status.failed()) as f32 / study.status.runs.len().max(1) as f32;
        progress_bar(ui, "Progress of the study", Some(share), ui.available_width());
    }
    ui.add_space(space::S);
    if !study.status.frozen {
        let what = "The learning rates are being chosen on validation patients. Results follow.";
        crate::widget::text::sentence(ui, what);
        ui.add_space(space::M);
        progress::show(ui, study);
        return;
    }
    choices(ui, state, study, sender);
    ui.add_space(space::S);
    table::show(ui, state, sender);
    ui.add_space(space::M);
    tabs(ui, state, study, sender);
    ui.add_space(space::S);
    match state.session.study.tab {
        StudyTab::Plots => plots::show(ui, state, bottom, sender),
        StudyTab::Patients => patients::show(ui, state, sender),
        StudyTab::Progress => progress::show(ui, study),
    }
}

/// A row of controls from the right, with `left` in the remaining space.
fn row(ui: &mut Ui, height: f32, right: impl FnOnce(&mut Ui), left: impl FnOnce(&mut Ui)) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    let layout = Layout::right_to_left(Align::Center);
    let mut row = ui.new_child(UiBuilder::new().max_rect(rect).layout(layout));
    row.spacing_mut().item_spacing.x = space::S;
    right(&mut row);
    row.with_layout(Layout::left_to_right(Align::Center), left);
}

fn another(ui: &mut Ui, sender: &Sender) {
    if ui.add(PushButton::new("Choose another study").icon(icon::LIST)).clicked() {
        sender.send(Command::Study(StudyCommand::Close));
    }
}

/// Name and progress of the study.
fn head(ui: &mut Ui, state: &State, study: &StudyRecord, sender: &Sender) {
    let t = theme::tokens(ui);
    row(
        ui,
        size::ROW_TALL,
        |ui| another(ui, sender),
        |ui| {
            ui.with_layout(Layout::top_down(Align::Min), |ui| {
                ui.spacing_mut().item_spacing.y = 2.0;
                ui.add_space(space::XS);
                let name = RichText::new(&study.plan.name).font(font::heading()).color(t.text);
                let folder = state.study_folder().map(|folder| folder.display().to_string()).unwrap_or_default();
                ui.add(Label::new(name).truncate()).on_hover_text(folder);
                let comparing = if state.cache.study.comparing { ", comparing the methods" } else { "" };
                let what = progress(&study.status) + comparing;
                let what = RichText::new(what).font(font::caption()).color(t.text_dim);
                ui.add(Label::new(what).truncate());
            });
        },
    );
}

/// The progress of a study in words.
fn progress(status: &StudyStatus) -> String {
    let mut parts = vec![format!("{} done", format::done_of(status.done(), status.runs.len(), "run", "runs"))];
    let mut add = |count: usize, word: &str| {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    };
    add(status.failed(), "failed");
    add(status.running(), "running");
    add(status.waiting(), "waiting");
    if !status.is_complete() {
        match status.seconds_left {
            Some(seconds) if status.processes > 0 => parts.push(format!("about {} left", format::duration(seconds))),
            Some(seconds) => parts.push(format!("stopped, about {} left for one process", format::duration(seconds))),
            None if status.processes == 0 => parts.push("stopped".into()),
            None => {}
        }
    }
    parts.join(", ")
}

/// Table, cohort, metric and the method to compare with.
fn choices(ui: &mut Ui, state: &State, study: &StudyRecord, sender: &Sender) {
    let send = |command: StudyCommand| sender.send(Command::Study(command));
    let references = state.study_references();
    row(
        ui,
        size::CONTROL,
        |ui| {
            if references.len() > 1 {
                let segments: Vec<_> = references.iter().map(|name| Segment::text(*name, name)).collect();
                let mut chosen = state.study_reference().unwrap_or_default();
                if SegmentedControl::new("Compare with", &segments).show(ui, &mut chosen).changed() {
                    send(StudyCommand::ChooseReference(chosen.to_owned()));
                }
                let color = theme::tokens(ui).text_dim;
                ui.label(RichText::new("compared with").font(font::body()).color(color));
            }
        },
        |ui| {
            let name = |metric: &Metric| Segment::text(*metric, column_of(*metric).head()[0]);
            let metrics: Vec<_> = study.plan.metrics.iter().map(name).collect();
            let mut metric = state.study_metric();
            if SegmentedControl::new("Metric", &metrics).show(ui, &mut metric).changed() {
                send(StudyCommand::ChooseMetric(metric));
            }
        },
    );
    if !study.plan.tables.is_empty() {
        ui.add_space(space::S);
        let titles = study.plan.tables.iter().map(|table| (Some(table.title.clone()), table.title.as_str()));
        let tables: Vec<_> = std::iter::once((None, "All methods")).chain(titles).collect();
        let mut table = state.study_table().map(|table| table.title.clone());
        ui.allocate_ui(vec2(TABLE.min(ui.available_width()), size::FORM_ROW), |ui| {
            if Select::new("Table", &tables).show(ui, &mut table).changed() {
                send(StudyCommand::ChooseTable(table));
            }
        });
    }
    if study.plan.cohorts.len() > 1 {
        ui.add_space(space::S);
        let names: Vec<&str> = study.plan.cohorts.iter().map(|cohort| cohort.name.as_str()).collect();
        let segments: Vec<_> = names.iter().map(|name| Segment::text(*name, name)).collect();
        let mut chosen = state.study_cohort().unwrap_or_default();
        if SegmentedControl::new("Cohort", &segments).show(ui, &mut chosen).changed() {
            send(StudyCommand::ChooseCohort(chosen.to_owned()));
        }
    }
}

/// The tabs below the table.
fn tabs(ui: &mut Ui, state: &State, study: &StudyRecord, sender: &Sender) {
    let failed = study.status.failed();
    let progress = if failed > 0 { format!("Progress ({failed} failed)") } else { StudyTab::Progress.name().into() };
    let label = |tab: StudyTab| if tab == StudyTab::Progress { progress.as_str() } else { tab.name() };
    let segments = StudyTab::ALL.map(|tab| Segment::text(tab, label(tab)));
    let mut tab = state.session.study.tab;
    if SegmentedControl::new("Below the table", &segments).show(ui, &mut tab).changed() {
        sender.send(Command::Study(StudyCommand::ShowTab(tab)));
    }
}

/// Empty state below the table, with the reason.
fn nothing(ui: &mut Ui, drawing: crate::theme::Icon, what: &str) {
    ui.allocate_ui(vec2(ui.available_width(), 140.0), |ui| {
        EmptyState::new(drawing, what).show(ui);
    });
}
