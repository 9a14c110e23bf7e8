//! The runs of the workspace: one list for every mode, and the table that shows it.

mod column;

use std::path::{Path, PathBuf};

use engine::event::Stage;
use engine::run::workspace::{EntryState, RunEntry};
use serde::{Deserialize, Serialize};

use super::train::{Phase, TrainPage};
use super::{Mode, State};

pub use column::{Column, date, dice, dice_meaning};

/// Status of a run, as far as this window knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It is the job under way.
    Now(Phase),
    /// Another process trains or evaluates it.
    Elsewhere,
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

impl Standing<'_> {
    /// In a word or two.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Now(Phase::Preparing) => "preparing",
            Self::Now(Phase::Training) => "running",
            Self::Now(Phase::Pausing) => "pausing",
            Self::Now(Phase::Paused) => "paused",
            Self::Now(Phase::Stopping) => "stopping",
            Self::Elsewhere => "trained by another process",
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
    /// What is in its folder.
    pub run: &'a RunEntry,
    /// Its status.
    pub standing: Standing<'a>,
}

impl Row<'_> {
    /// Whether it was interrupted and has a checkpoint to resume from.
    pub fn goes_on(&self) -> bool {
        self.run.checkpoint && matches!(self.standing, Standing::Stopped | Standing::Failed(_))
    }

    /// Its status in a sentence.
    pub fn explained(&self) -> String {
        let word = self.standing.name();
        let resumable = if self.goes_on() { ". It can be resumed from its checkpoint." } else { "" };
        match &self.standing {
            Standing::Failed(why) | Standing::Broken(why) => format!("{word}: {why}{resumable}"),
            Standing::Elsewhere => "Another process trains or evaluates this run.".to_owned(),
            _ => format!("{word}{resumable}"),
        }
    }
}

/// A run that lies in the trash, and where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trashed {
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
    /// All of them; none before they were listed.
    pub fn all(&self) -> &[RunEntry] {
        self.entries.as_deref().unwrap_or_default()
    }

    /// The run in a folder.
    pub fn run(&self, path: &Path) -> Option<&RunEntry> {
        self.all().iter().find(|run| run.path == path)
    }

    /// The same, to be changed.
    pub fn run_mut(&mut self, path: &Path) -> Option<&mut RunEntry> {
        self.entries.as_mut()?.iter_mut().find(|run| run.path == path)
    }

    /// The runs that were interrupted and can be resumed from a checkpoint.
    pub fn unfinished(&self) -> impl Iterator<Item = &RunEntry> {
        self.all().iter().filter(|run| run.state == EntryState::Stopped && run.checkpoint)
    }

    /// The pre-trained runs that a fine-tuning can start from.
    pub fn pretrained(&self) -> impl Iterator<Item = &RunEntry> {
        self.trained(Stage::Pretrain)
    }

    /// The fine-tuned runs that can segment and be measured.
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
    /// Notes that are being written: of which run, and the text.
    #[serde(skip)]
    pub editing: Option<(PathBuf, String)>,
    /// Runs that were deleted in this session and can be restored, oldest first.
    #[serde(skip)]
    pub trashed: Vec<Trashed>,
}

impl State {
    /// Whether the table of runs is on the screen.
    pub fn shows_runs(&self) -> bool {
        self.session.mode == Mode::Train && self.session.train.page == TrainPage::Runs
    }

    /// The runs that the filter lets through, sorted.
    pub fn run_rows(&self) -> Vec<Row<'_>> {
        let RunTable { filter, column, rising, .. } = &self.session.run_table;
        let words: Vec<String> = filter.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let fits = |row: &Row<'_>| {
            let text = Column::ALL.map(|column| column.text(row)).join(" ").to_lowercase();
            words.iter().all(|word| text.contains(word.as_str()))
        };
        let mut rows: Vec<Row<'_>> = self.cache.runs.all().iter().map(|run| self.run_row(run)).filter(fits).collect();
        rows.sort_by(|a, b| {
            let order = column.order(a, b);
            let order = if *rising { order } else { order.reverse() };
            column.group(a).cmp(&column.group(b)).then(order).then_with(|| a.run.name.cmp(&b.run.name))
        });
        rows
    }

    /// The selected run, if it is in the list.
    pub fn selected_run(&self) -> Option<&RunEntry> {
        self.cache.runs.run(self.session.runs.selected.as_deref()?)
    }

    /// A run and its status.
    pub fn run_row<'a>(&self, run: &'a RunEntry) -> Row<'a> {
        let job = self.training.running.as_ref().filter(|job| job.run.as_ref() == Some(&run.path));
        let standing = match (job, &run.state) {
            (Some(job), _) => Standing::Now(job.phase),
            _ if self.training.is_taken(&run.path) => Standing::Queued,
            (None, EntryState::Training { .. }) => Standing::Elsewhere,
            (None, EntryState::Finished) => Standing::Finished,
            (None, EntryState::Stopped) => Standing::Stopped,
            (None, EntryState::Failed(why)) => Standing::Failed(why),
            (None, EntryState::Broken(why)) => Standing::Broken(why),
        };
        Row { run, standing }
    }
}

#[cfg(test)]
mod tests {
    use engine::run::workspace::DiceOf;

    use super::*;
    use crate::state::train::Running;

    fn run(name: &str, dice: Option<f64>, changed: f64) -> RunEntry {
        let state = EntryState::Finished;
        RunEntry { path: name.into(), name: name.into(), dice, changed, state, ..RunEntry::default() }
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
        state.session.run_table.column = Column::Dice;
        assert_eq!(names(&state), ["c", "a", "b"]);
        state.session.run_table.rising = true;
        assert_eq!(names(&state), ["a", "c", "b"]);
        state.session.run_table.column = Column::Name;
        assert_eq!(names(&state), ["a", "b", "c"]);
    }

    #[test]
    fn a_dice_says_whose_it_is_and_tested_runs_stand_together() {
        let mut runs = vec![run("a", Some(0.9), 10.0), run("b", Some(0.5), 20.0), run("c", Some(0.6), 30.0)];
        (runs[1].dice_of, runs[2].dice_of) = (DiceOf::Test, DiceOf::Test);
        let said: Vec<_> = runs.iter().filter_map(dice).collect();
        assert_eq!(said, ["0.900 val", "0.500 test", "0.600 test"]);
        let mut state = state(runs);
        state.session.run_table.column = Column::Dice;
        assert_eq!(names(&state), ["c", "b", "a"]);
        state.session.run_table.rising = true;
        assert_eq!(names(&state), ["b", "c", "a"]);
    }

    #[test]
    fn the_filter_looks_at_everything_that_is_shown() {
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
    fn where_a_run_stands_follows_job_and_queue() {
        let mut runs = vec![run("a", None, 30.0), run("b", None, 20.0), run("c", None, 10.0)];
        for run in &mut runs {
            (run.state, run.checkpoint) = (EntryState::Stopped, run.name != "c");
        }
        let mut state = state(runs);
        let stand = |state: &State| -> Vec<_> {
            state.run_rows().iter().map(|row| (row.standing.name(), row.goes_on())).collect()
        };
        assert_eq!(stand(&state), [("stopped", true), ("stopped", true), ("stopped", false)]);
        let job = Running { run: Some("a".into()), phase: Phase::Paused, ..Running::default() };
        state.training.running = Some(job);
        let waiting = crate::state::train::Queued {
            id: 1,
            name: "b".into(),
            stage: engine::event::Stage::Pretrain,
            config: None,
            goes_on: Some("b".into()),
        };
        state.training.queue.push(waiting);
        assert_eq!(stand(&state), [("paused", false), ("queued", false), ("stopped", false)]);
    }
}
