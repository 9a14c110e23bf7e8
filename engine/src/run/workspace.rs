//! A workspace: a folder of run folders, listed as a table.
//!
//! Listing changes nothing. The user's notes of a run (`notes.txt`) may be written even while it is training. Deleting a
//! run moves it to the workspace's trash.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::checkpoint::Slot;
use super::folder::list as entries_of;
use super::history::{History, RunState};
use super::text::read_limited;
use super::{RunFolder, checkpoint, evaluation, failure, flat_settings, lock};
use crate::config::Config;
use crate::disk::atomic::{rename, sync_folder, write_atomic};
use crate::disk::create_folder;
use crate::event::Stage;
use crate::{Error, ErrorKind, Result};

/// Trash folder of a workspace.
const TRASH: &str = ".trash";
/// File of the user's notes.
const NOTES: &str = "notes.txt";
/// Maximum length of the notes in bytes.
const MAX_NOTES: u64 = 64 << 10;

/// One run of a workspace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunEntry {
    /// Its folder.
    pub path: PathBuf,
    /// Path relative to the workspace, one or two levels deep.
    pub name: String,
    /// Training stage.
    pub stage: Stage,
    /// Name of the preset that it started from.
    pub preset: String,
    /// Folder of the cohort.
    pub cohort: PathBuf,
    /// Modalities of the channels.
    pub modality: Vec<String>,
    /// Labelled patients or their share (fine-tuning).
    pub labels: Option<String>,
    /// Pre-training run it starts from (fine-tuning); `None` for random weights.
    pub from: Option<PathBuf>,
    /// Seed of the split, the weights and the training.
    pub seed: u64,
    /// All settings of its configuration by their names in `config.toml`, such as `training.lr`.
    pub settings: BTreeMap<String, String>,
    /// Device that computed, or the requested one before the start.
    pub device: String,
    /// Completed epochs.
    pub epochs_done: usize,
    /// Planned epochs.
    pub epochs: usize,
    /// Whether it trains, has finished, or why it ended.
    pub state: EntryState,
    /// Time of the last change, in seconds since 1970.
    pub changed: f64,
    /// Mean loss of the last epoch.
    pub loss: Option<f64>,
    /// Mean Dice of the stored evaluation, else the best validation Dice.
    pub dice: Option<f64>,
    /// Patients of [`RunEntry::dice`].
    pub dice_of: DiceSource,
    /// Epoch and Dice of the best validation, whose network is the checkpoint `best`.
    pub best_validation: Option<(usize, f64)>,
    /// Epoch and Dice of the last validation.
    pub last_validation: Option<(usize, f64)>,
    /// Mean Dice of the stored evaluation of the last network.
    pub evaluated_last: Option<f64>,
    /// Mean Dice of the stored evaluation of the best network.
    pub evaluated_best: Option<f64>,
    /// Whether it has a checkpoint to resume from.
    pub checkpoint: bool,
    /// The user's notes.
    pub notes: String,
}

/// The patients that a Dice value was measured on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiceSource {
    /// Test patients, in the stored evaluation.
    Test,
    /// Validation patients, in the stored evaluation of a split without test patients.
    HeldOut,
    /// Validation patients: the best value during training.
    #[default]
    Validation,
}

/// State of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EntryState {
    /// A process holds its lock: it is being trained or evaluated.
    Training {
        /// Id of the process; 0 if the system does not report it.
        pid: u32,
    },
    /// Training is complete.
    Finished,
    /// Paused, cancelled or killed. Can be resumed if it has a checkpoint.
    #[default]
    Stopped,
    /// Ended by this error. Can be resumed if it has a checkpoint.
    Failed(String),
    /// Unreadable, for this reason.
    Broken(String),
}

/// Lists the run folders in `workspace` and one level deeper, newest first. Empty if `workspace` does not exist.
///
/// Unreadable runs are listed as [`EntryState::Broken`].
///
/// # Errors
/// If the folder cannot be listed.
pub fn list(workspace: &Path) -> Result<Vec<RunEntry>> {
    let mut runs: Vec<RunEntry> = run_folders(workspace)?.into_iter().map(|(path, name)| entry(&path, name)).collect();
    runs.sort_by(|a, b| b.changed.total_cmp(&a.changed).then_with(|| a.name.cmp(&b.name)));
    Ok(runs)
}

/// The run folders in `workspace` and one level deeper, with their names relative to it.
fn run_folders(workspace: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut runs = Vec::new();
    for (path, name) in folders(workspace)? {
        if looks_like_run(&path) {
            runs.push((path, name));
            continue;
        }
        // Folders that cannot be listed are skipped; they contain none of the user's runs.
        let inner = folders(&path).unwrap_or_default().into_iter();
        runs.extend(inner.filter(|(path, _)| looks_like_run(path)).map(|(path, its)| (path, format!("{name}/{its}"))));
    }
    Ok(runs)
}

/// Values that change whenever the run changes. They are cheaper to read than a [`RunEntry`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunStamp {
    /// Time of the last change, in seconds since 1970.
    pub changed: f64,
    /// Length of the event log in bytes.
    pub log_bytes: u64,
    /// Process that holds the lock; 0 if the system does not report its id.
    pub pid: Option<u32>,
}

impl RunStamp {
    /// Reads the stamp of a run folder, even while the run is training.
    pub fn of(run: &Path) -> Self {
        let log_bytes = fs::metadata(run.join("events.jsonl")).map_or(0, |log| log.len());
        Self { changed: changed(run), log_bytes, pid: lock::held_by(run) }
    }
}

/// The stamps of all runs that [`list`] lists, by folder.
///
/// # Errors
/// As [`list`].
pub fn stamps(workspace: &Path) -> Result<BTreeMap<PathBuf, RunStamp>> {
    let runs = run_folders(workspace)?.into_iter();
    Ok(runs.map(|(path, _)| (path.clone(), RunStamp::of(&path))).collect())
}

/// Stopped runs that can be resumed, newest first.
///
/// # Errors
/// As [`list`].
pub fn unfinished(workspace: &Path) -> Result<Vec<RunEntry>> {
    let mut runs = list(workspace)?;
    runs.retain(|run| run.state == EntryState::Stopped && run.checkpoint);
    Ok(runs)
}

/// Moves a run to `.trash/NAME-N` of its workspace and returns the new path.
///
/// # Errors
/// If a process has locked the run, or `run` is not a run folder in `workspace`.
pub fn trash(workspace: &Path, run: &Path) -> Result<PathBuf> {
    let real = |path: &Path| path.canonicalize().map_err(Error::io("find", path));
    let (home, place) = (real(workspace)?, real(run)?);
    let bin = home.join(TRASH);
    if place == home || !place.starts_with(&home) || place.starts_with(&bin) {
        return Err(Error::file(run, format!("is not in the workspace {}", workspace.display())));
    }
    if !looks_like_run(&place) {
        return Err(Error::file(run, "is not a run folder, so it is not deleted"));
    }
    if let Some(pid) = lock::held_by(&place) {
        return Err(ErrorKind::Locked { path: run.to_path_buf(), pid }.into());
    }
    let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    create_folder(&bin)?;
    let mut number = 1;
    let target = loop {
        let target = bin.join(format!("{name}-{number}"));
        if fs::symlink_metadata(&target).is_err() {
            break target;
        }
        number += 1;
    };
    relocate(&place, &target)?;
    Ok(target)
}

/// Moves a run from the trash back to `run`.
///
/// # Errors
/// If `trashed` is not a run in a trash folder, or `run` exists again.
pub fn restore(trashed: &Path, run: &Path) -> Result<()> {
    let in_trash = trashed.parent().and_then(Path::file_name).is_some_and(|folder| folder == TRASH);
    if !in_trash || !looks_like_run(trashed) {
        return Err(Error::file(trashed, "is not a run in the trash of a workspace"));
    }
    if fs::symlink_metadata(run).is_ok() {
        return Err(Error::file(run, format!("already exists, so the run stays in {}", trashed.display())));
    }
    relocate(trashed, run)
}

/// Moves a folder and flushes both parents to the disk.
fn relocate(from: &Path, to: &Path) -> Result<()> {
    rename(from, to).map_err(Error::io("move", from))?;
    for folder in [to.parent(), from.parent()].into_iter().flatten() {
        sync_folder(folder).map_err(Error::io("write", folder))?;
    }
    Ok(())
}

/// Replaces the user's notes of a run, even while it is training.
///
/// # Errors
/// If `run` is not a run folder, or the notes exceed 64 KiB.
pub fn set_notes(run: &Path, text: &str) -> Result<()> {
    if !looks_like_run(run) {
        return Err(Error::file(run, "is not a run folder, so it has no notes"));
    }
    if text.len() as u64 > MAX_NOTES {
        let why = format!("must be at most {MAX_NOTES} bytes");
        return Err(Error::config("notes", format!("{} bytes", text.len()), why));
    }
    write_atomic(&run.join(NOTES), text.as_bytes()).map(|_| ())
}

/// An unused path in the workspace: `stem`, or `stem-2`, `stem-3` and so on. Characters that are invalid in folder names
/// become `-`.
pub fn fresh(workspace: &Path, stem: &str) -> PathBuf {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+') { c } else { '-' };
    let stem: String = stem.trim().chars().take(100).map(plain).collect();
    let stem = stem.trim_matches(['.', '-']);
    let stem = if stem.is_empty() { "run" } else { stem };
    let mut name = stem.to_owned();
    let mut number = 1;
    while fs::symlink_metadata(workspace.join(&name)).is_ok() {
        number += 1;
        name = format!("{stem}-{number}");
    }
    workspace.join(name)
}

/// Subfolders with their names, without hidden ones.
fn folders(of: &Path) -> Result<Vec<(PathBuf, String)>> {
    let entries = entries_of(of)?.into_iter().map(|entry| (entry.path(), entry.file_name()));
    let named = entries.map(|(path, name)| (path, name.to_string_lossy().into_owned()));
    Ok(named.filter(|(path, name)| !name.starts_with('.') && path.is_dir()).collect())
}

/// True for a run, also one without its configuration.
fn looks_like_run(path: &Path) -> bool {
    RunFolder::is_run(path) || path.join("events.jsonl").is_file()
}

/// Summarises a run folder.
fn entry(path: &Path, name: String) -> RunEntry {
    let notes = read_limited(&path.join(NOTES), MAX_NOTES)
        .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
    let mut entry = RunEntry { path: path.to_path_buf(), name, notes, changed: changed(path), ..RunEntry::default() };
    if let Err(error) = fill(&mut entry) {
        let text = error.to_string();
        entry.state = EntryState::Broken(text);
    }
    entry
}

fn fill(entry: &mut RunEntry) -> Result<()> {
    let run = RunFolder::open(&entry.path)?;
    let config = Config::from_toml(&run.config_text()?, &run.config_path())?;
    entry.settings = settings(&config)?;
    entry.stage = config.stage;
    entry.preset = config.preset;
    entry.cohort = config.data.cohort;
    entry.modality = config.data.modality;
    (entry.seed, entry.device) = (config.seed, config.device.to_string());
    entry.epochs = config.training.epochs;
    if config.stage == Stage::Finetune {
        entry.labels = Some(config.labels.labels);
        entry.from = (!config.labels.from.as_os_str().is_empty()).then_some(config.labels.from);
    }
    // A run in progress is listed as such even if part of it cannot be read.
    let owner = lock::held_by(&entry.path);
    entry.state = owner.map_or_else(EntryState::default, |pid| EntryState::Training { pid });
    let history = History::read(&entry.path);
    let history = if owner.is_some() { history.unwrap_or_default() } else { history? };
    if history.epochs > 0 {
        entry.epochs = history.epochs;
    }
    if !history.device.is_empty() {
        entry.device.clone_from(&history.device);
    }
    entry.epochs_done = history.epochs_done();
    entry.loss = history.summaries.last().map(|row| row.loss);
    (entry.best_validation, entry.last_validation) = (history.best_validation(), history.last_validation());
    entry.checkpoint = checkpoint::has_checkpoint(&run);
    let [last, best] = [Slot::Last, Slot::Best].map(|slot| evaluation::mean_dice(&run, slot));
    entry.evaluated_best = best.map(|(dice, _)| dice);
    entry.evaluated_last = last.as_ref().map(|(dice, _)| *dice);
    (entry.dice, entry.dice_of) = match last {
        Some((dice, part)) => (Some(dice), if part == "test" { DiceSource::Test } else { DiceSource::HeldOut }),
        None => (entry.best_validation.map(|(_, dice)| dice), DiceSource::Validation),
    };
    if owner.is_none() {
        entry.state = if history.state == RunState::Finished {
            EntryState::Finished
        } else if let Some(why) = failure::read(&run) {
            EntryState::Failed(why)
        } else if history.stage.is_none() && checkpoint::has_checkpoint(&run) {
            // An exported model, without a log.
            entry.epochs_done = checkpoint::manifest(&run, Slot::Last)?.epoch;
            entry.epochs = entry.epochs_done;
            EntryState::Finished
        } else {
            EntryState::Stopped
        };
    }
    Ok(())
}

fn settings(config: &Config) -> Result<BTreeMap<String, String>> {
    let value = toml::Value::try_from(config).map_err(|e| Error::config("config", "", e.to_string()))?;
    let plain = |text: String| text.trim_matches('"').to_owned();
    Ok(flat_settings(&value).into_iter().map(|(name, text)| (name, plain(text))).collect())
}

/// Modification time of the newest file of a run, in seconds since 1970; 0 if unknown.
pub(super) fn changed(path: &Path) -> f64 {
    let files = [
        "events.jsonl",
        "report.json",
        "config.toml",
        "checkpoints",
        "evaluation/evaluation.json",
        "evaluation-best/evaluation.json",
    ];
    newest(path, &files)
}

/// Modification time of the newest of some files in a folder, in seconds since 1970; 0 if none exists.
pub(super) fn newest(path: &Path, files: &[&str]) -> f64 {
    let time = |file: &str| {
        let written = fs::metadata(path.join(file)).ok()?.modified().ok()?;
        written.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
    };
    files.iter().filter_map(|file| time(file)).fold(0.0, f64::max)
}

#[cfg(test)]
#[path = "workspace_tests.rs"]
mod tests;
