//! The queue of runs. It is saved in the workspace whenever it changes and offered at the next start.

use std::path::{Path, PathBuf};

use engine::config::Config;
use engine::disk::atomic::write_atomic;
use engine::event::Stage;
use serde::{Deserialize, Serialize};

use super::{assess, run};
use crate::state::train::QueuedJob;
use crate::state::{Severity, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// Shared, so that a save is never cancelled by the next one, which waits for it.
pub const SLOT: Slot = Slot::shared("queue");

/// The file in the workspace.
const FILE: &str = ".queue.json";
/// Version of its format.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct QueueFile {
    version: u32,
    jobs: Vec<StoredJob>,
}

#[derive(Serialize, Deserialize)]
struct StoredJob {
    name: String,
    stage: Stage,
    /// As in `config.toml`, which has its own version.
    config: Option<String>,
    /// The name in version 1 of the file.
    #[serde(rename = "goes_on")]
    folder: Option<PathBuf>,
}

/// The jobs that were queued when the program was last closed. They have no number yet.
pub(in crate::worker) fn read(workspace: &Path) -> Result<Vec<QueuedJob>, String> {
    let path = workspace.join(FILE);
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let wrong = |why: String| format!("{}: {why}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|e| wrong(e.to_string()))?;
    let stored: QueueFile = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    if stored.version != VERSION {
        return Err(wrong(format!("version = {}: this program reads {VERSION}", stored.version)));
    }
    let queued = |StoredJob { name, stage, config, folder }| {
        let config = config.map(|text| Config::from_toml(&text, &path)).transpose().map_err(|e| e.to_string())?;
        Ok(QueuedJob { id: 0, name, stage, config: config.map(Box::new), folder })
    };
    stored.jobs.into_iter().map(queued).collect()
}

/// Writes the queue; removes the file if it is empty.
fn write(workspace: &Path, waiting: &[QueuedJob]) -> Result<(), Failure> {
    let path = workspace.join(FILE);
    if waiting.is_empty() {
        return match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::Error(format!("{}: cannot remove: {e}", path.display())))
            }
            _ => Ok(()),
        };
    }
    let stored = |job: &QueuedJob| {
        let config = job.config.as_ref().map(|config| config.to_toml()).transpose()?;
        Ok(StoredJob { name: job.name.clone(), stage: job.stage, config, folder: job.folder.clone() })
    };
    let jobs = waiting.iter().map(stored).collect::<engine::Result<_>>()?;
    let text = serde_json::to_vec_pretty(&QueueFile { version: VERSION, jobs })
        .map_err(|e| Failure::Error(format!("{}: {e}", path.display())))?;
    std::fs::create_dir_all(workspace)
        .map_err(|e| Failure::Error(format!("{}: cannot create: {e}", workspace.display())))?;
    write_atomic(&path, &text)?;
    Ok(())
}

/// Writes the queue's file.
struct SaveQueue {
    workspace: PathBuf,
    waiting: Vec<QueuedJob>,
}

impl Job for SaveQueue {
    type Output = ();

    fn spec(&self) -> Spec {
        Spec::new(SLOT, "Saving the queue").quiet()
    }

    fn run(&self, _: &JobHandle) -> Result<(), Failure> {
        // Never cancelled: it is short, and the program waits for it before quitting.
        write(&self.workspace, &self.waiting)
    }

    fn apply(self, result: Result<(), Failure>, state: &mut State, jobs: &mut Jobs) {
        if let Err(failure) = result {
            failure.report(&self.spec().title, state);
        }
        save(state, jobs);
        run::quit_if_closed(state, jobs);
    }
}

/// Saves the queue if it changed. Called after every change and every save, so that only one write is in progress.
pub fn save(state: &mut State, jobs: &mut Jobs) {
    let training = &mut state.training;
    let unchanged = training.left.iter().chain(&training.queue).eq(&training.saved);
    if unchanged || jobs.at_work(SLOT) > 0 {
        return;
    }
    // Not before the file has been read, or its jobs would be lost.
    let Some(workspace) = training.workspace.clone() else { return };
    training.saved = training.left.iter().chain(&training.queue).cloned().collect();
    jobs.start(SaveQueue { workspace, waiting: training.saved.clone() });
}

/// Offers the jobs read from the workspace's file. From then on, every change of the queue is saved there.
pub(in crate::worker) fn restored(
    state: &mut State,
    jobs: &mut Jobs,
    workspace: PathBuf,
    left: Result<Vec<QueuedJob>, String>,
) {
    let left = left.unwrap_or_else(|why| {
        state.notice(Severity::Warning, "The queue of the last session cannot be read", why);
        Vec::new()
    });
    let training = &mut state.training;
    training.workspace = Some(workspace);
    training.left = left.into_iter().map(|job| QueuedJob { id: training.new_id(), ..job }).collect();
    training.saved.clone_from(&training.left);
    save(state, jobs);
}

/// On a change of workspace, moves the queue; unanswered offers stay.
pub fn leave(state: &mut State, jobs: &mut Jobs) {
    let training = &mut state.training;
    if let Some(workspace) = training.workspace.take()
        && training.saved != training.left
    {
        jobs.start(SaveQueue { workspace, waiting: training.left.clone() });
    }
    (training.left, training.saved) = Default::default();
}

/// Queues one offered job, or all.
pub fn take_up(state: &mut State, jobs: &mut Jobs, id: Option<u64>) {
    let training = &mut state.training;
    let left = std::mem::take(&mut training.left);
    let (taken, left): (Vec<QueuedJob>, Vec<QueuedJob>) =
        left.into_iter().partition(|job| id.is_none_or(|id| job.id == id));
    training.left = left;
    training.queue.extend(taken);
    queue_changed(state, jobs);
}

/// Appends a job to the queue; it starts at once if no other is running.
pub fn add(state: &mut State, jobs: &mut Jobs, job: QueuedJob) {
    if job.folder.is_some() {
        // It is no longer an ended job.
        state.training.ended.retain(|ended| ended.run != job.folder);
    }
    state.training.queue.push(job);
    queue_changed(state, jobs);
}

/// Removes a waiting job.
pub fn remove(state: &mut State, jobs: &mut Jobs, id: u64) {
    state.training.queue.retain(|job| job.id != id);
    state.training.left.retain(|job| job.id != id);
    save(state, jobs);
}

/// Moves a queued job up by one.
pub fn move_up(state: &mut State, jobs: &mut Jobs, id: u64) {
    let queue = &mut state.training.queue;
    if let Some(at) = queue.iter().position(|job| job.id == id).filter(|at| *at > 0) {
        queue.swap(at, at - 1);
    }
    save(state, jobs);
}

fn queue_changed(state: &mut State, jobs: &mut Jobs) {
    // An estimate would compete with the run for the processor.
    jobs.cancel_slot(assess::SLOT);
    run::start_next(state, jobs);
    save(state, jobs);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_saved_queue_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path().join("runs");
        assert_eq!(read(&workspace).unwrap(), []);
        let config = engine::config::preset("background-first", &["flair".into()]).unwrap();
        let config = Some(Box::new(config));
        let first = QueuedJob { id: 0, name: "a".into(), stage: Stage::Pretrain, config, folder: None };
        let folder = Some(workspace.join("b"));
        let second = QueuedJob { id: 0, name: "b".into(), stage: Stage::Finetune, config: None, folder };
        let waiting = [first, second];
        write(&workspace, &waiting).unwrap();
        assert_eq!(read(&workspace).unwrap(), waiting);
        write(&workspace, &[]).unwrap();
        assert!(!workspace.join(FILE).exists());
        write(&workspace, &[]).unwrap();
    }

    #[test]
    fn an_unreadable_queue_file_is_named_in_the_error() {
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
