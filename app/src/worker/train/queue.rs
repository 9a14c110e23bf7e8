//! The queue outlives the window: what waits lies beside the runs, written whenever it changes, and is offered at the
//! next start.

use std::path::{Path, PathBuf};

use engine::config::Config;
use engine::event::Stage;
use engine::run::atomic::write_atomic;
use serde::{Deserialize, Serialize};

use crate::state::train::Queued;
use crate::state::{Severity, Slot, State};
use crate::worker::{Failure, Jobs, Spec};

/// The queue is written once at a time.
pub const SLOT: Slot = Slot::exclusive("queue");

/// The file in the workspace.
const FILE: &str = ".queue.json";
/// Version of its format.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    jobs: Vec<StoredJob>,
}

#[derive(Serialize, Deserialize)]
struct StoredJob {
    name: String,
    stage: Stage,
    /// As in `config.toml`, which knows its own version.
    config: Option<String>,
    goes_on: Option<PathBuf>,
}

/// What waited when the program was closed last. The jobs have no number yet.
pub(super) fn read(workspace: &Path) -> Result<Vec<Queued>, String> {
    let path = workspace.join(FILE);
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let wrong = |why: String| format!("{}: {why}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|e| wrong(e.to_string()))?;
    let stored: Stored = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    if stored.version != VERSION {
        return Err(wrong(format!("version = {}: this program reads {VERSION}", stored.version)));
    }
    let queued = |StoredJob { name, stage, config, goes_on }| {
        let config = config.map(|text| Config::from_toml(&text, &path)).transpose().map_err(|e| e.to_string())?;
        Ok(Queued { id: 0, name, stage, config: config.map(Box::new), goes_on })
    };
    stored.jobs.into_iter().map(queued).collect()
}

/// Writes what waits; no file where nothing does.
fn write(workspace: &Path, waiting: &[Queued]) -> Result<(), Failure> {
    let path = workspace.join(FILE);
    if waiting.is_empty() {
        return match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::Error(format!("{}: cannot remove: {e}", path.display())))
            }
            _ => Ok(()),
        };
    }
    let stored = |job: &Queued| {
        let config = job.config.as_ref().map(|config| config.to_toml()).transpose()?;
        Ok(StoredJob { name: job.name.clone(), stage: job.stage, config, goes_on: job.goes_on.clone() })
    };
    let jobs = waiting.iter().map(stored).collect::<engine::Result<_>>()?;
    let text = serde_json::to_vec_pretty(&Stored { version: VERSION, jobs })
        .map_err(|e| Failure::Error(format!("{}: {e}", path.display())))?;
    std::fs::create_dir_all(workspace)
        .map_err(|e| Failure::Error(format!("{}: cannot create: {e}", workspace.display())))?;
    write_atomic(&path, &text)?;
    Ok(())
}

/// The workspace's file was read: what waited there is offered, and from now on the file follows the queue.
pub(super) fn found(state: &mut State, workspace: PathBuf, left: Result<Vec<Queued>, String>) {
    if workspace != state.settings.workspace() {
        return;
    }
    let train = &mut state.train;
    train.queue_of = Some(workspace);
    let left = left.unwrap_or_else(|why| {
        state.notice(Severity::Warning, "The jobs that waited cannot be read", why);
        Vec::new()
    });
    let train = &mut state.train;
    train.left = left;
    for job in &mut train.left {
        train.jobs += 1;
        job.id = train.jobs;
    }
    train.kept.clone_from(&train.left);
}

/// Writes what waits, if that is not what was written last. Called every frame.
pub fn follow(state: &mut State, jobs: &mut Jobs) {
    let train = &mut state.train;
    let same = train.left.iter().chain(&train.queue).eq(&train.kept);
    // One at a time: the file must be that of the newest.
    if same || jobs.at_work(SLOT) > 0 {
        return;
    }
    // Never before what is there was read: it would be lost.
    let Some(workspace) = train.queue_of.clone() else { return };
    train.kept = train.left.iter().chain(&train.queue).cloned().collect();
    keep(jobs, workspace, train.kept.clone());
}

fn keep(jobs: &mut Jobs, workspace: PathBuf, waiting: Vec<Queued>) {
    let spec = Spec::new(SLOT, "Saving the queue").quiet();
    // Not to be cancelled: it is short, and the program waits for it before it ends.
    jobs.start_with(
        spec,
        move |_| write(&workspace, &waiting),
        |result, spec, state, _| {
            if let Err(failure) = result {
                failure.report(&spec.title, state);
            }
        },
    );
}

/// Another workspace is chosen: the queue goes along, what was left stays.
pub fn leave(state: &mut State, jobs: &mut Jobs) {
    let train = &mut state.train;
    if let Some(workspace) = train.queue_of.take()
        && train.kept != train.left
    {
        keep(jobs, workspace, train.left.clone());
    }
    (train.left, train.kept) = Default::default();
}

/// Takes up a job that was left, or all of them.
pub fn take_up(state: &mut State, jobs: &mut Jobs, id: Option<u64>) {
    let train = &mut state.train;
    let (taken, left) = std::mem::take(&mut train.left).into_iter().partition(|job| id.is_none_or(|id| job.id == id));
    train.left = left;
    let taken: Vec<Queued> = taken;
    train.queue.extend(taken);
    // An estimate beside it would take its processor.
    jobs.cancel_slot(super::assess::SLOT);
    super::run::start_next(state, jobs);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path().join("runs");
        assert_eq!(read(&workspace).unwrap(), []);
        let config = engine::config::preset("background-first", &["flair".into()]).unwrap();
        let config = Some(Box::new(config));
        let first = Queued { id: 0, name: "a".into(), stage: Stage::Pretrain, config, goes_on: None };
        let goes_on = Some(workspace.join("b"));
        let second = Queued { id: 0, name: "b".into(), stage: Stage::Finetune, config: None, goes_on };
        let waiting = [first, second];
        write(&workspace, &waiting).unwrap();
        assert_eq!(read(&workspace).unwrap(), waiting);
        write(&workspace, &[]).unwrap();
        assert!(!workspace.join(FILE).exists());
        write(&workspace, &[]).unwrap();
    }

    #[test]
    fn what_is_no_queue_of_this_version_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        for (text, part) in [("{", "EOF"), (r#"{"version": 9, "jobs": []}"#, "version = 9")] {
            std::fs::write(&path, text).unwrap();
            let why = read(folder.path()).unwrap_err();
            assert!(why.contains(FILE) && why.contains(part), "{why}");
        }
        let job = r#"{"name": "a", "stage": "pretrain", "config": "seed = \"x\"", "goes_on": null}"#;
        std::fs::write(&path, format!(r#"{{"version": 1, "jobs": [{job}]}}"#)).unwrap();
        let why = read(folder.path()).unwrap_err();
        assert!(why.contains(FILE) && why.contains("absent"), "{why}");
    }
}
