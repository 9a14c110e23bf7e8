//! The runs of the workspace folder.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use engine::event::Stage;
use engine::run::workspace::{EntryState, RunEntry};

use super::train::TrainPage;
use super::{Mode, State};

/// The columns of the table, by which it can be sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Column {
    /// The folder's name.
    Name,
    /// Pre-training or fine-tuning.
    Stage,
    /// The preset it started from.
    Preset,
    /// Cohort and modalities.
    Data,
    /// Epochs that ended, of those planned.
    Epochs,
    /// Mean loss of the newest epoch.
    Loss,
    /// Mean Dice of the patients held out.
    Dice,
    /// When it last changed.
    #[default]
    Date,
    /// What computed.
    Device,
    /// The user's own words.
    Notes,
}

impl Column {
    /// All of them, from left to right.
    pub const ALL: [Self; 10] = [
        Self::Name,
        Self::Stage,
        Self::Preset,
        Self::Data,
        Self::Epochs,
        Self::Loss,
        Self::Dice,
        Self::Date,
        Self::Device,
        Self::Notes,
    ];

    /// What stands over it.
    pub fn head(self) -> &'static str {
        match self {
            Self::Name => "Run",
            Self::Stage => "Stage",
            Self::Preset => "Preset",
            Self::Data => "Data",
            Self::Epochs => "Epochs",
            Self::Loss => "Loss",
            Self::Dice => "Dice",
            Self::Date => "Changed (UTC)",
            Self::Device => "Device",
            Self::Notes => "Notes",
        }
    }

    /// Whether it holds numbers, which stand on the right.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Epochs | Self::Loss | Self::Dice)
    }

    /// Whether the largest comes first when the column is chosen.
    pub fn begins_falling(self) -> bool {
        matches!(self, Self::Epochs | Self::Dice | Self::Date)
    }

    /// What stands in it.
    pub fn text(self, run: &RunEntry) -> String {
        match self {
            Self::Name => run.name.clone(),
            Self::Stage => stage(run).into(),
            Self::Preset => run.preset.clone(),
            Self::Data => data(run),
            Self::Epochs => format!("{} / {}", run.epochs_done, run.epochs),
            Self::Loss => run.loss.map_or_else(String::new, |loss| format!("{loss:.4}")),
            Self::Dice => run.dice.map_or_else(String::new, |dice| format!("{dice:.3}")),
            Self::Date => date(run.changed),
            Self::Device => run.device.clone(),
            Self::Notes => run.notes.clone(),
        }
    }

    fn order(self, a: &RunEntry, b: &RunEntry) -> Ordering {
        match self {
            Self::Epochs => (a.epochs_done, a.epochs).cmp(&(b.epochs_done, b.epochs)),
            Self::Loss => known(a.loss, b.loss),
            Self::Dice => known(a.dice, b.dice),
            Self::Date => a.changed.total_cmp(&b.changed),
            _ => self.text(a).to_lowercase().cmp(&self.text(b).to_lowercase()),
        }
    }

    /// Whether a run has nothing in it: such runs come last, whichever way it is sorted.
    fn is_empty(self, run: &RunEntry) -> bool {
        match self {
            Self::Loss => run.loss.is_none(),
            Self::Dice => run.dice.is_none(),
            _ => self.text(run).is_empty(),
        }
    }
}

fn known(a: Option<f64>, b: Option<f64>) -> Ordering {
    a.unwrap_or(f64::NAN).total_cmp(&b.unwrap_or(f64::NAN))
}

fn stage(run: &RunEntry) -> &'static str {
    match (&run.state, run.stage) {
        (EntryState::Broken(_), _) if run.preset.is_empty() => "",
        (_, Stage::Pretrain) => "pre-train",
        (_, Stage::Finetune) => "fine-tune",
    }
}

fn data(run: &RunEntry) -> String {
    let cohort = run.cohort.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let modality = run.modality.join("+");
    let labels = run.labels.as_deref().map(|labels| format!("{labels} labelled"));
    let parts = [cohort, modality].into_iter().chain(labels).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(", ")
}

/// A time since 1970 as date and minute, UTC; empty without one.
pub fn date(seconds: f64) -> String {
    if !seconds.is_finite() || seconds <= 0.0 {
        return String::new();
    }
    let minutes = (seconds / 60.0) as i64;
    let (days, minute) = (minutes.div_euclid(1440), minutes.rem_euclid(1440));
    // Years are counted from the first of March, so that a leap day is a year's last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let part = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * part + 2) / 5 + 1, if part < 10 { part + 3 } else { part - 9 });
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}", minute / 60, minute % 60)
}

/// The table of runs.
#[derive(Clone, Debug, Default)]
pub struct RunsState {
    /// The runs, and the workspace that they were listed in.
    pub listed: Option<(PathBuf, Vec<RunEntry>)>,
    /// Why they could not be listed.
    pub failed: Option<String>,
    /// What the running or last list was asked for: the workspace, and how many jobs trained. None: it is to be listed.
    pub asked: Option<(PathBuf, usize)>,
    /// What the table is narrowed down to.
    pub filter: String,
    /// The column it is sorted by.
    pub column: Column,
    /// Smallest first.
    pub rising: bool,
    /// The chosen run.
    pub chosen: Option<PathBuf>,
    /// Notes that are being written: of which run, and what.
    pub editing: Option<(PathBuf, String)>,
}

impl RunsState {
    /// The runs that the filter lets through, sorted.
    pub fn rows(&self) -> Vec<&RunEntry> {
        let words: Vec<String> = self.filter.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let fits = |run: &&RunEntry| {
            let text = Column::ALL.map(|column| column.text(run)).join(" ").to_lowercase();
            let text = format!("{text} {}", state_name(&run.state));
            words.iter().all(|word| text.contains(word.as_str()))
        };
        let all = self.listed.as_ref().map_or(&[][..], |(_, runs)| runs);
        let mut rows: Vec<&RunEntry> = all.iter().filter(fits).collect();
        let column = self.column;
        rows.sort_by(|a, b| {
            let order = column.order(a, b);
            let order = if self.rising { order } else { order.reverse() };
            column.is_empty(a).cmp(&column.is_empty(b)).then(order).then_with(|| a.name.cmp(&b.name))
        });
        rows
    }

    /// A run of the list.
    pub fn run(&self, path: &Path) -> Option<&RunEntry> {
        self.listed.as_ref()?.1.iter().find(|run| run.path == path)
    }

    /// The chosen run, if it is in the list.
    pub fn chosen_run(&self) -> Option<&RunEntry> {
        self.run(self.chosen.as_deref()?)
    }
}

/// Where a run stands, in a word.
pub fn state_name(state: &EntryState) -> &'static str {
    match state {
        EntryState::Training { .. } => "training",
        EntryState::Finished => "finished",
        EntryState::Stopped => "stopped",
        EntryState::Failed(_) => "failed",
        EntryState::Broken(_) => "broken",
    }
}

impl State {
    /// Whether the table of runs is on the screen.
    pub fn shows_runs(&self) -> bool {
        self.mode == Mode::Train && self.train.page == TrainPage::Runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, dice: Option<f64>, changed: f64) -> RunEntry {
        let state = EntryState::Finished;
        RunEntry { path: name.into(), name: name.into(), dice, changed, state, ..RunEntry::default() }
    }

    fn names(state: &RunsState) -> Vec<&str> {
        state.rows().into_iter().map(|run| run.name.as_str()).collect()
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let said = [0.0, 60.0, 951_782_400.0, 951_868_800.0, 1_764_032_460.0, f64::NAN].map(date);
        assert_eq!(said, ["", "1970-01-01 00:01", "2000-02-29 00:00", "2000-03-01 00:00", "2025-11-25 01:01", ""]);
    }

    #[test]
    fn newest_first_and_runs_without_a_value_last() {
        let runs = vec![run("b", None, 30.0), run("a", Some(0.4), 10.0), run("c", Some(0.6), 20.0)];
        let mut state = RunsState { listed: Some(("w".into(), runs)), ..RunsState::default() };
        assert_eq!(names(&state), ["b", "c", "a"]);
        state.column = Column::Dice;
        assert_eq!(names(&state), ["c", "a", "b"]);
        state.rising = true;
        assert_eq!(names(&state), ["a", "c", "b"]);
        state.column = Column::Name;
        assert_eq!(names(&state), ["a", "b", "c"]);
    }

    #[test]
    fn the_filter_looks_at_everything_that_is_shown() {
        let mut runs = vec![run("one", Some(0.5), 10.0), run("two", None, 20.0)];
        (runs[0].notes, runs[1].modality) = ("with Brighter".into(), vec!["pet".into()]);
        let mut state = RunsState { listed: Some(("w".into(), runs)), ..RunsState::default() };
        for (filter, expected) in
            [("brighter one", vec!["one"]), ("PET", vec!["two"]), ("finished", vec!["two", "one"])]
        {
            state.filter = filter.into();
            assert_eq!(names(&state), expected, "{filter}");
        }
        state.filter = "no such".into();
        assert!(names(&state).is_empty());
    }
}
