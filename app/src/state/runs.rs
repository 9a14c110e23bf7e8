//! The runs of the workspace: one list for every mode, and the table that shows it.

mod column;
mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine::event::Stage;
use engine::predict::Choice;
use engine::run::workspace::{EntryState, RunEntry, RunStamp};
use serde::{Deserialize, Serialize};

use super::train::{Phase, TrainPage};
use super::{Mode, State};

pub use column::{Column, date};
pub use settings::{SettingDifference, differences};

/// Status of a run, as known to this window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunStatus<'a> {
    /// Trained by this window.
    Now(Phase),
    /// Another process trains or evaluates it.
    Elsewhere,
    /// This window evaluates it.
    Evaluating,
    /// It waits in the queue to be resumed.
    Queued,
    /// Trained to the end.
    Finished,
    /// Stopped before the end.
    Stopped,
    /// Ended by this error.
    Failed(&'a str),
    /// Cannot be read, for this reason.
    Broken(&'a str),
}

impl RunStatus<'_> {
    /// In a word or two.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Now(Phase::Preparing) => "preparing",
            Self::Now(Phase::Training) => "running",
            Self::Now(Phase::Pausing) => "pausing",
            Self::Now(Phase::Paused) => "paused",
            Self::Now(Phase::Stopping) => "stopping",
            Self::Elsewhere => "trained by another process",
            Self::Evaluating => "being evaluated",
            Self::Queued => "queued",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Failed(_) => "failed",
            Self::Broken(_) => "broken",
        }
    }
}

/// A run of the table.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Contents of its folder.
    pub run: &'a RunEntry,
    /// Whether it trains, waits or has ended.
    pub status: RunStatus<'a>,
}

impl Row<'_> {
    /// Whether it was interrupted and has a checkpoint to resume from.
    pub fn can_resume(&self) -> bool {
        self.run.checkpoint && matches!(self.status, RunStatus::Stopped | RunStatus::Failed(_))
    }

    /// Its status in sentences, for a tooltip.
    pub fn explained(&self) -> String {
        let word = self.status.name();
        let resumable = if self.can_resume() { ". It can be resumed from its checkpoint." } else { "" };
        match &self.status {
            RunStatus::Failed(why) | RunStatus::Broken(why) => format!("{word}: {why}{resumable}"),
            RunStatus::Elsewhere => "Another process trains or evaluates this run.".to_owned(),
            _ => format!("{word}{resumable}"),
        }
    }
}

/// A run in the trash, and its original path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashedRun {
    /// Where it was.
    pub run: PathBuf,
    /// Where it is.
    pub now: PathBuf,
}

/// The runs of the workspace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunList {
    /// Newest first, once they were listed.
    pub entries: Option<Vec<RunEntry>>,
    /// Why they could not be listed.
    pub failed: Option<String>,
}

impl RunList {
    /// All runs; empty before they are listed.
    pub fn all(&self) -> &[RunEntry] {
        self.entries.as_deref().unwrap_or_default()
    }

    /// The run in a folder.
    pub fn run(&self, path: &Path) -> Option<&RunEntry> {
        self.all().iter().find(|run| run.path == path)
    }

    /// As [`RunList::run`], mutable.
    pub fn run_mut(&mut self, path: &Path) -> Option<&mut RunEntry> {
        self.entries.as_mut()?.iter_mut().find(|run| run.path == path)
    }

    /// The runs that were interrupted and can be resumed from a checkpoint.
    pub fn unfinished(&self) -> impl Iterator<Item = &RunEntry> {
        self.all().iter().filter(|run| run.state == EntryState::Stopped && run.checkpoint)
    }

    /// The pre-trained runs that a fine-tuning run can start from.
    pub fn pretrained(&self) -> impl Iterator<Item = &RunEntry> {
        self.trained(Stage::Pretrain)
    }

    /// The fine-tuned runs, which can segment and be evaluated.
    pub fn finetuned(&self) -> impl Iterator<Item = &RunEntry> {
        self.trained(Stage::Finetune)
    }

    fn trained(&self, stage: Stage) -> impl Iterator<Item = &RunEntry> {
        let usable = move |run: &&RunEntry| {
            run.stage == stage && run.epochs_done > 0 && !matches!(run.state, EntryState::Broken(_))
        };
        self.all().iter().filter(usable)
    }
}

/// The last known state of runs trained by other processes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FollowCache {
    /// Time of the next poll, in the window's seconds.
    pub due: f64,
    /// The runs of the workspace that this window does not train, as last listed.
    pub stamps: BTreeMap<PathBuf, RunStamp>,
}

/// Filter and order of the table of runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunTable {
    /// Only runs with these words are shown.
    pub filter: String,
    /// The column it is sorted by.
    pub column: Column,
    /// Smallest first.
    pub rising: bool,
    /// Settings that have a column, by their names in `config.toml`.
    pub settings: Vec<String>,
    /// Notes that are being written: of which run, and the text.
    #[serde(skip)]
    pub editing: Option<(PathBuf, String)>,
    /// Runs that were deleted in this session and can be restored, oldest first.
    #[serde(skip)]
    pub trashed: Vec<TrashedRun>,
}

impl State {
    /// Whether the table of runs is on the screen.
    pub fn shows_runs(&self) -> bool {
        self.session.mode == Mode::Train && self.session.train.page == TrainPage::Runs
    }

    /// The columns of the table, from left to right.
    pub fn run_columns(&self) -> Vec<Column> {
        let settings = self.session.run_table.settings.iter().cloned().map(Column::Setting);
        let (notes, others) = (Column::Notes, Column::FIXED.into_iter().filter(|column| *column != Column::Notes));
        others.chain(settings).chain([notes]).collect()
    }

    /// The runs that match the filter, sorted.
    pub fn run_rows(&self) -> Vec<Row<'_>> {
        let RunTable { filter, column, rising, .. } = &self.session.run_table;
        let columns = self.run_columns();
        let words: Vec<String> = filter.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let fits = |row: &Row<'_>| {
            let text = columns.iter().map(|column| column.text(row)).collect::<Vec<_>>().join(" ").to_lowercase();
            words.iter().all(|word| text.contains(word.as_str()))
        };
        let mut rows: Vec<Row<'_>> = self.cache.runs.all().iter().map(|run| self.run_row(run)).filter(fits).collect();
        rows.sort_by(|a, b| {
            let order = column.order(a, b);
            let order = if *rising { order } else { order.reverse() };
            column.is_empty(a).cmp(&column.is_empty(b)).then(order).then_with(|| a.run.name.cmp(&b.run.name))
        });
        rows
    }

    /// Whether a run has a network of its best validation. Only runs trained with validation have one. A run outside the
    /// workspace may have one.
    pub fn has_best(&self, run: &Path) -> bool {
        self.cache.runs.run(run).is_none_or(|run| run.best_validation.is_some())
    }

    /// The network of a run to segment with and evaluate: the chosen one, or the last if the run has no best one.
    pub fn network_of(&self, run: &Path) -> Choice {
        if self.has_best(run) { self.session.runs.network } else { Choice::Last }
    }

    /// The selected run, if it is in the list.
    pub fn selected_run(&self) -> Option<&RunEntry> {
        self.cache.runs.run(self.session.runs.selected.as_deref()?)
    }

    /// The runs to compare: the ticked ones. If at most one is ticked, also the selected run, and then the watched one.
    ///
    /// # Errors
    /// What is missing.
    pub fn runs_to_compare(&self) -> Result<Vec<PathBuf>, String> {
        let chosen = &self.session.runs;
        let few = self.ticked_runs().len() < 2;
        let selected = chosen.selected.iter().filter(|run| few && !chosen.ticked.contains(run));
        let runs = chosen.ticked.iter().chain(selected);
        let mut runs: Vec<&RunEntry> = runs.filter_map(|path| self.cache.runs.run(path)).collect();
        if let ([only], Some(watched)) = (&runs[..], self.watched_run())
            && watched.stage() == only.stage
            && watched.path != only.path
            && let Some(watched) = self.cache.runs.run(&watched.path)
        {
            runs.insert(0, watched);
        }
        match &runs[..] {
            [] | [_] => Err("Tick two or more runs of the same stage.".to_owned()),
            [first, others @ ..] if others.iter().any(|run| run.stage != first.stage) => {
                Err("The ticked runs are of different stages. Tick runs of the same stage.".to_owned())
            }
            runs => match runs.iter().find(|run| run.epochs_done == 0) {
                Some(empty) => Err(format!("{} has no finished epoch yet.", empty.name)),
                None => Ok(runs.iter().map(|run| run.path.clone()).collect()),
            },
        }
    }

    /// A run and its status.
    pub fn run_row<'a>(&self, run: &'a RunEntry) -> Row<'a> {
        let job = self.training.running.as_ref().filter(|job| job.run.as_ref() == Some(&run.path));
        let status = match (job, &run.state) {
            (Some(job), _) => RunStatus::Now(job.phase),
            _ if self.training.is_taken(&run.path) => RunStatus::Queued,
            (None, EntryState::Training { pid }) if *pid == std::process::id() => RunStatus::Evaluating,
            (None, EntryState::Training { .. }) => RunStatus::Elsewhere,
            (None, EntryState::Finished) => RunStatus::Finished,
            (None, EntryState::Stopped) => RunStatus::Stopped,
            (None, EntryState::Failed(why)) => RunStatus::Failed(why),
            (None, EntryState::Broken(why)) => RunStatus::Broken(why),
        };
        Row { run, status }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::train::RunningJob;

    fn run(name: &str, dice: Option<f64>, changed: f64) -> RunEntry {
        let state = EntryState::Finished;
        let best_validation = dice.map(|dice| (1, dice));
        RunEntry { path: name.into(), name: name.into(), best_validation, changed, state, ..RunEntry::default() }
    }

    fn state(runs: Vec<RunEntry>) -> State {
        let mut state = State::default();
        state.cache.runs.entries = Some(runs);
        state
    }

    fn names(state: &State) -> Vec<&str> {
        state.run_rows().into_iter().map(|row| row.run.name.as_str()).collect()
    }

    #[test]
    fn newest_first_and_runs_without_a_value_last() {
        let mut state = state(vec![run("b", None, 30.0), run("a", Some(0.4), 10.0), run("c", Some(0.6), 20.0)]);
        assert_eq!(names(&state), ["b", "c", "a"]);
        state.session.run_table.column = Column::BestValidation;
        assert_eq!(names(&state), ["c", "a", "b"]);
        state.session.run_table.rising = true;
        assert_eq!(names(&state), ["a", "c", "b"]);
        state.session.run_table.column = Column::Name;
        assert_eq!(names(&state), ["a", "b", "c"]);
    }

    #[test]
    fn the_selected_run_is_compared_only_if_fewer_than_two_are_ticked() {
        let mut runs = vec![run("a", None, 3.0), run("b", None, 2.0), run("c", None, 1.0)];
        runs.iter_mut().for_each(|run| run.epochs_done = 1);
        runs[2].stage = Stage::Finetune;
        let mut state = state(runs);
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        (state.session.runs.ticked, state.session.runs.selected) = (paths(&["a", "b"]), Some("c".into()));
        assert_eq!(state.runs_to_compare(), Ok(paths(&["a", "b"])));
        (state.session.runs.ticked, state.session.runs.selected) = (paths(&["a"]), Some("b".into()));
        assert_eq!(state.runs_to_compare(), Ok(paths(&["a", "b"])));
    }

    #[test]
    fn validation_and_test_dice_have_separate_columns() {
        let mut runs = vec![run("a", Some(0.9), 10.0), run("b", Some(0.5), 20.0)];
        (runs[0].last_validation, runs[0].evaluated_last) = (Some((9, 0.25)), Some(0.375));
        runs[1].evaluated_best = Some(0.625);
        let mut state = state(runs);
        let columns = [Column::BestValidation, Column::LastValidation, Column::TestLast, Column::TestBest];
        let texts = |row: &Row<'_>| columns.each_ref().map(|column| column.text(row));
        let rows = state.run_rows();
        assert_eq!(texts(&rows[1]), ["0.900 (1)", "0.250", "0.375", ""]);
        assert_eq!(texts(&rows[0]), ["0.500 (1)", "", "", "0.625"]);
        state.session.run_table.column = Column::TestBest;
        assert_eq!(names(&state), ["b", "a"], "runs without a value come last");
        state.session.run_table.rising = true;
        assert_eq!(names(&state), ["b", "a"]);
    }

    /// The best network was offered for every run, and evaluating a run without validation failed.
    #[test]
    fn a_run_without_validation_has_only_its_last_network() {
        let mut state = state(vec![run("validated", Some(0.4), 1.0), run("plain", None, 2.0)]);
        let networks = |state: &State| ["validated", "plain", "elsewhere"].map(|run| state.network_of(Path::new(run)));
        assert_eq!(networks(&state), [Choice::Last; 3]);
        state.session.runs.network = Choice::Best;
        assert_eq!(networks(&state), [Choice::Best, Choice::Last, Choice::Best]);
        assert!(!state.has_best(Path::new("plain")));
    }

    #[test]
    fn the_filter_searches_all_columns() {
        let mut runs = vec![run("one", Some(0.5), 10.0), run("two", None, 20.0)];
        (runs[0].notes, runs[1].modality) = ("with Brighter".into(), vec!["pet".into()]);
        let mut state = state(runs);
        for (filter, expected) in
            [("brighter one", vec!["one"]), ("PET", vec!["two"]), ("finished", vec!["two", "one"])]
        {
            state.session.run_table.filter = filter.into();
            assert_eq!(names(&state), expected, "{filter}");
        }
        state.session.run_table.filter = "no such".into();
        assert!(names(&state).is_empty());
    }

    #[test]
    fn the_status_of_a_run_follows_job_and_queue() {
        let mut runs = vec![run("a", None, 30.0), run("b", None, 20.0), run("c", None, 10.0)];
        for run in &mut runs {
            (run.state, run.checkpoint) = (EntryState::Stopped, run.name != "c");
        }
        let mut state = state(runs);
        let stand = |state: &State| -> Vec<_> {
            state.run_rows().iter().map(|row| (row.status.name(), row.can_resume())).collect()
        };
        assert_eq!(stand(&state), [("stopped", true), ("stopped", true), ("stopped", false)]);
        let job = RunningJob { run: Some("a".into()), phase: Phase::Paused, ..RunningJob::default() };
        state.training.running = Some(job);
        let waiting = crate::state::train::QueuedJob {
            id: 1,
            name: "b".into(),
            stage: engine::event::Stage::Pretrain,
            config: None,
            folder: Some("b".into()),
        };
        state.training.queue.push(waiting);
        assert_eq!(stand(&state), [("paused", false), ("queued", false), ("stopped", false)]);
    }
}
