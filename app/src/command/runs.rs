//! Commands of the table of runs.

use std::path::PathBuf;

use super::Command;
use super::action::ActionList;
use super::timeline::{self, TimelineCommand};
use super::train::TrainCommand;
use crate::state::runs::{Column, TrashedRun};
use crate::state::{Dialog, State};
use crate::worker::{Jobs, name_of, runs};

/// A command of the table of runs.
#[derive(Clone, Debug, PartialEq)]
pub enum RunsCommand {
    /// Reads the workspace again.
    Refresh,
    /// Sorts by a column, or reverses the order if it is sorted by it already.
    Sort(Column),
    /// Shows or hides the column of a setting, by its name in `config.toml`.
    ToggleSetting(String),
    /// Shows only the runs that match this text.
    Filter(String),
    /// Selects a run.
    Choose(Option<PathBuf>),
    /// Ticks a run for a comparison, or unticks it.
    Tick(PathBuf),
    /// Compares the ticked runs with the selected one.
    Compare,
    /// Asks before moving a run to the trash.
    AskDelete(PathBuf),
    /// Moves a run to the trash.
    Delete(PathBuf),
    /// Restores a run from the trash.
    Restore(TrashedRun),
    /// Starts editing the notes of a run, or changes them.
    EditNotes(PathBuf, String),
    /// Saves the notes that are being edited.
    SaveNotes,
    /// Discards changes to the notes that are being edited.
    DropNotes,
}

/// Executes a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: RunsCommand) {
    let table = &mut state.session.run_table;
    match command {
        RunsCommand::Refresh => runs::list(state, jobs),
        RunsCommand::Sort(column) if table.column == column => table.rising ^= true,
        RunsCommand::Sort(column) => {
            table.rising = !column.begins_falling();
            table.column = column;
        }
        RunsCommand::ToggleSetting(name) => toggle(&mut table.settings, name),
        RunsCommand::Filter(text) => table.filter = text,
        RunsCommand::Choose(run) => state.session.runs.selected = run,
        RunsCommand::Tick(run) => toggle(&mut state.session.runs.ticked, run),
        RunsCommand::Compare => match state.runs_to_compare() {
            Ok(runs) => timeline::dispatch(state, jobs, TimelineCommand::Compare(runs)),
            Err(why) => state.error("Nothing to compare", why),
        },
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

/// Removes an item from a list, or adds it.
fn toggle<T: PartialEq>(items: &mut Vec<T>, item: T) {
    let count = items.len();
    items.retain(|other| *other != item);
    if items.len() == count {
        items.push(item);
    }
}

/// Adds this topic's palette entries.
pub fn actions(list: &mut ActionList, state: &State) {
    let group = "Runs";
    for trashed in &state.session.run_table.trashed {
        let restore = RunsCommand::Restore(trashed.clone());
        list.add(group, format!("Undo: restore {} from the trash", name_of(&trashed.run)), "", Command::Runs(restore));
    }
    if !state.shows_runs() {
        return;
    }
    list.add(group, "Reload the list of runs", "", Command::Runs(RunsCommand::Refresh));
    for column in state.run_columns() {
        list.add(group, format!("Sort runs by {}", column.meaning()), "", Command::Runs(RunsCommand::Sort(column)));
    }
    let compare = state.runs_to_compare().is_ok();
    list.add_if(compare, group, "Compare the ticked runs", "", Command::Runs(RunsCommand::Compare));
    let Some(run) = state.selected_run() else { return };
    let path = run.path.clone();
    list.add(group, "Open the selected run", "", Command::Timeline(TimelineCommand::Open(path.clone())));
    let resumable = state.run_row(run).can_resume();
    let resume = Command::Train(TrainCommand::Resume(path.clone()));
    list.add_if(resumable, group, "Resume the selected run", "", resume);
    let notes = RunsCommand::EditNotes(path.clone(), run.notes.clone());
    list.add(group, "Notes of the selected run", "", Command::Runs(notes));
    list.add(group, "Delete the selected run…", "", Command::Runs(RunsCommand::AskDelete(path)));
}
