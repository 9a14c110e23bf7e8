//! Commands of the table of runs.

use std::path::PathBuf;

use super::Command;
use super::action::List;
use super::timeline::TimelineCommand;
use super::train::TrainCommand;
use crate::state::runs::{Column, Trashed};
use crate::state::{Dialog, State};
use crate::worker::{Jobs, runs};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum RunsCommand {
    /// Lists the workspace again.
    Refresh,
    /// Sorts by a column; by the same one again: the other way round.
    Sort(Column),
    /// Narrows the table down.
    Filter(String),
    /// Chooses a run.
    Choose(Option<PathBuf>),
    /// Asks before a run goes to the trash.
    AskDelete(PathBuf),
    /// Moves a run to the trash.
    Delete(PathBuf),
    /// Brings a run back from the trash.
    Restore(Trashed),
    /// Begins to write notes of a run, or changes them.
    EditNotes(PathBuf, String),
    /// Keeps the notes that are being written.
    KeepNotes,
    /// Drops the notes that are being written.
    DropNotes,
}

/// Carries out a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: RunsCommand) {
    let table = &mut state.session.run_table;
    match command {
        RunsCommand::Refresh => table.asked = None,
        RunsCommand::Sort(column) if table.column == column => table.rising ^= true,
        RunsCommand::Sort(column) => (table.column, table.rising) = (column, !column.begins_falling()),
        RunsCommand::Filter(text) => table.filter = text,
        RunsCommand::Choose(run) => state.session.runs.selected = run,
        RunsCommand::AskDelete(path) => state.dialog = Some(Dialog::DeleteRun { path }),
        RunsCommand::Delete(path) => {
            state.dialog = None;
            runs::trash(state, jobs, path);
        }
        RunsCommand::Restore(trashed) => runs::restore(jobs, trashed),
        RunsCommand::EditNotes(run, text) => table.editing = Some((run, text)),
        RunsCommand::KeepNotes => {
            if let Some((run, text)) = table.editing.take() {
                runs::note(state, jobs, run, text);
            }
        }
        RunsCommand::DropNotes => table.editing = None,
    }
}

/// What the palette offers.
pub fn actions(list: &mut List, state: &State) {
    let group = "Runs";
    for trashed in &state.session.run_table.trashed {
        let name = trashed.run.file_name().unwrap_or_default().to_string_lossy();
        let restore = RunsCommand::Restore(trashed.clone());
        list.add(group, format!("Undo: bring {name} back from the trash"), "", Command::Runs(restore));
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
    list.add(group, "Open the chosen run", "", Command::Timeline(TimelineCommand::Open(path.clone())));
    list.add(group, "Compare with the chosen run", "", Command::Timeline(TimelineCommand::Compare(path.clone())));
    let goes_on = state.run_row(run).goes_on();
    let resume = Command::Train(TrainCommand::Resume(path.clone()));
    list.add_if(goes_on, group, "Go on with the chosen run", "", resume);
    let notes = RunsCommand::EditNotes(path.clone(), run.notes.clone());
    list.add(group, "Notes of the chosen run", "", Command::Runs(notes));
    list.add(group, "Delete the chosen run…", "", Command::Runs(RunsCommand::AskDelete(path)));
}
