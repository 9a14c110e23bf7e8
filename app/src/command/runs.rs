//! Commands of the table of runs.

use std::path::PathBuf;

use super::Command;
use super::action::List;
use super::timeline::TimelineCommand;
use super::train::TrainCommand;
use crate::state::runs::{Column, Trashed};
use crate::state::{Dialog, State};
use crate::worker::{Jobs, name_of, runs};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum RunsCommand {
    /// Lists the workspace again.
    Refresh,
    /// Sorts by a column; by the same one again, in the other direction.
    Sort(Column),
    /// Shows only the runs with these words.
    Filter(String),
    /// Selects a run.
    Choose(Option<PathBuf>),
    /// Asks before a run goes to the trash.
    AskDelete(PathBuf),
    /// Moves a run to the trash.
    Delete(PathBuf),
    /// Restores a run from the trash.
    Restore(Trashed),
    /// Starts editing the notes of a run, or changes them.
    EditNotes(PathBuf, String),
    /// Saves the notes that are being edited.
    SaveNotes,
    /// Drops the notes that are being edited.
    DropNotes,
}

/// Carries out a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: RunsCommand) {
    let table = &mut state.session.run_table;
    match command {
        RunsCommand::Refresh => runs::list(state, jobs),
        RunsCommand::Sort(column) if table.column == column => table.rising ^= true,
        RunsCommand::Sort(column) => (table.column, table.rising) = (column, !column.begins_falling()),
        RunsCommand::Filter(text) => table.filter = text,
        RunsCommand::Choose(run) => state.session.runs.selected = run,
        RunsCommand::AskDelete(path) => state.dialog = Some(Dialog::DeleteRun { path }),
        RunsCommand::Delete(path) => {
            state.dialog = None;
            runs::trash(state, jobs, path);
        }
        RunsCommand::Restore(trashed) => {
            jobs.start(runs::RestoreRun(trashed));
        }
        RunsCommand::EditNotes(run, text) => table.editing = Some((run, text)),
        RunsCommand::SaveNotes => {
            if let Some((run, text)) = table.editing.take() {
                runs::write_notes(state, jobs, run, text);
            }
        }
        RunsCommand::DropNotes => table.editing = None,
    }
}

/// What the palette offers.
pub fn actions(list: &mut List, state: &State) {
    let group = "Runs";
    for trashed in &state.session.run_table.trashed {
        let restore = RunsCommand::Restore(trashed.clone());
        list.add(group, format!("Undo: restore {} from the trash", name_of(&trashed.run)), "", Command::Runs(restore));
    }
    if !state.shows_runs() {
        return;
    }
    list.add(group, "List the runs again", "", Command::Runs(RunsCommand::Refresh));
    for column in Column::ALL {
        list.add(group, format!("Sort runs by {}", column.head()), "", Command::Runs(RunsCommand::Sort(column)));
    }
    let Some(run) = state.selected_run() else { return };
    let path = run.path.clone();
    list.add(group, "Open the selected run", "", Command::Timeline(TimelineCommand::Open(path.clone())));
    list.add(group, "Compare with the selected run", "", Command::Timeline(TimelineCommand::Compare(path.clone())));
    let goes_on = state.run_row(run).goes_on();
    let resume = Command::Train(TrainCommand::Resume(path.clone()));
    list.add_if(goes_on, group, "Resume the selected run", "", resume);
    let notes = RunsCommand::EditNotes(path.clone(), run.notes.clone());
    list.add(group, "Notes of the selected run", "", Command::Runs(notes));
    list.add(group, "Delete the selected run…", "", Command::Runs(RunsCommand::AskDelete(path)));
}
