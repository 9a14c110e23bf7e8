//! Commands of the Studies page.

use std::path::PathBuf;

use engine::study::summary::Metric;

use super::Command;
use super::action::ActionList;
use crate::state::study::{StudyCell, StudyTab, column_of};
use crate::state::{Intent, PathPurpose, State};
use crate::worker::study::{close, open, open_patient, outlines, refresh};
use crate::worker::{Jobs, name_of};

/// A command of the Studies page.
#[derive(Clone, Debug, PartialEq)]
pub enum StudyCommand {
    /// Opens a study.
    Open(PathBuf),
    /// Returns to the list of studies.
    Close,
    /// Reads the studies again.
    Refresh,
    /// Shows a cohort of the study.
    ChooseCohort(String),
    /// Shows a table of the plan by its title, or all methods.
    ChooseTable(Option<String>),
    /// Shows a metric.
    ChooseMetric(Metric),
    /// Sets the reference method that the others are compared with.
    ChooseReference(String),
    /// Selects a cell of the table and lists its patients.
    ChooseCell(StudyCell),
    /// Shows a tab below the table.
    ShowTab(StudyTab),
    /// Opens a patient of a cell at its worst slice.
    OpenPatient(StudyCell, String),
    /// Shows the segmentations of all methods as outlines, or only the selected method's.
    ShowAll(bool),
}

/// Executes a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: StudyCommand) {
    use StudyCommand as Do;
    let session = &mut state.session.study;
    match command {
        Do::Open(folder) => open(state, jobs, &folder),
        Do::Close => close(state, jobs),
        Do::Refresh => refresh(state, jobs),
        Do::ChooseCohort(name) => session.cohort = Some(name),
        Do::ChooseTable(title) => session.table = title,
        Do::ChooseMetric(metric) => session.metric = metric,
        Do::ChooseReference(name) => session.reference = Some(name),
        Do::ChooseCell(cell) => (session.cell, session.tab) = (Some(cell), StudyTab::Patients),
        Do::ShowTab(tab) => session.tab = tab,
        Do::OpenPatient(cell, patient) => open_patient(state, jobs, &cell, &patient),
        Do::ShowAll(true) => outlines::show(state, jobs),
        Do::ShowAll(false) => outlines::hide(state, jobs),
    }
}

/// Adds this topic's palette entries.
pub fn actions(list: &mut ActionList, state: &State) {
    let group = "Studies";
    list.add(group, "Open study…", "", Command::Intent(Intent::Ask(PathPurpose::Study)));
    let masks = state.document.as_ref().and_then(|document| document.study.as_ref());
    for (at, mask) in masks.into_iter().flat_map(|study| study.masks.iter().enumerate()) {
        list.add(group, format!("Segmentation by {}", mask.method), "", Command::Intent(Intent::ShowMethod(at)));
    }
    if masks.is_some() {
        let shown = state.document.as_ref().is_some_and(|document| document.outlines.is_some());
        list.add(group, "All methods as outlines", "", Command::Study(StudyCommand::ShowAll(!shown)));
    }
    if !state.shows_studies() {
        return;
    }
    let add =
        |list: &mut ActionList, label: &str, command: StudyCommand| list.add(group, label, "", Command::Study(command));
    add(list, "Reload the studies", StudyCommand::Refresh);
    if state.study_folder().is_none() {
        for study in state.cache.study.listed.iter().flatten() {
            let label = format!("Open {} ({})", study.name(), name_of(&study.path));
            add(list, &label, StudyCommand::Open(study.path.clone()));
        }
        return;
    }
    add(list, "Choose another study", StudyCommand::Close);
    let session = &state.session.study;
    let tables = state.cache.study.open.iter().flat_map(|study| &study.plan.tables);
    for table in tables.filter(|table| Some(&table.title) != session.table.as_ref()) {
        add(list, &format!("Show {}", table.title), StudyCommand::ChooseTable(Some(table.title.clone())));
    }
    if state.study_table().is_some() {
        add(list, "Show all methods", StudyCommand::ChooseTable(None));
    }
    let metrics = state.cache.study.open.iter().flat_map(|study| &study.plan.metrics);
    for metric in metrics.copied().filter(|metric| *metric != state.study_metric()) {
        add(list, &format!("Show {}", column_of(metric).meaning()), StudyCommand::ChooseMetric(metric));
    }
    for tab in StudyTab::ALL.into_iter().filter(|tab| *tab != session.tab) {
        add(list, &format!("Show below the table: {}", tab.name()), StudyCommand::ShowTab(tab));
    }
}
