//! Run folders under kill -9, full disks, file-size limits and a second process, each in a child process.
//!
//! The child is this test program itself: the test `child` trains a mock model in the run folder given by the environment.
//! `AMLP_FAULT` (see `engine::disk::fault`) kills it at a given point; only debug builds support it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use engine::event::{EpochSummary, Event, EventSink, Stage};
use engine::run::checkpoint::{self, CheckpointData, Slot};
use engine::run::log::{EventLog, read_events};
use engine::run::{RunFolder, lock};
use engine::{ErrorKind, Result};
use rand::RngExt;

const EPOCHS: usize = 6;
const STEPS: usize = 5;
/// The child's folder; without it the test `child` does nothing.
const FOLDER: &str = "AMLP_TEST_FOLDER";
/// Task of the child: `train`, `large` (the weights exceed a size limit in epoch 4), `talk` (the log exceeds it), or `hold`
/// (keeps the lock).
const MODE: &str = "AMLP_TEST_MODE";

/// The weights after `epoch` epochs.
fn weights(epoch: usize, mode: &str) -> Vec<u8> {
    let length = if mode == "large" && epoch > 3 { 300_000 } else { 10_000 };
    (0..length).map(|i: usize| (i * 31 + epoch * 7) as u8).collect()
}

fn state(position: u64) -> (String, Vec<u8>) {
    ("state.json".into(), position.to_string().into_bytes())
}

/// A training loop without a model. It starts or resumes, logs, saves `last` after every epoch and `best` after odd ones.
fn train(root: &Path, mode: &str) -> Result<()> {
    let run =
        if RunFolder::is_run(root) { RunFolder::resume(root)? } else { RunFolder::create(root, "version = 1\n")? };
    for warning in run.warnings() {
        println!("warning {warning}");
    }
    let (done, mut log) = if checkpoint::has_checkpoint(&run) {
        let (data, warnings) = checkpoint::load(&run)?;
        for warning in warnings {
            println!("warning {warning}");
        }
        (data.epoch, EventLog::resume(&run.events_path(), position_in(&data))?.0)
    } else {
        (0, EventLog::create(&run.events_path())?)
    };
    for epoch in done + 1..=EPOCHS {
        for step in 1..=STEPS * if mode == "talk" { 10_000 } else { 1 } {
            let loss = 1.0 / (epoch + step) as f64;
            log.event(&Event::Step { stage: Stage::Pretrain, epoch, step, loss, learning_rate: 1e-4 })?;
        }
        log.event(&Event::Epoch(Box::new(EpochSummary { epoch, ..EpochSummary::default() })))?;
        let parts = vec![("model.safetensors".into(), weights(epoch, mode)), state(log.position()?)];
        let data = CheckpointData { epoch, step: 0, parts };
        if epoch % 2 == 1 {
            save(&run, Slot::Best, &data, mode)?;
        }
        if save(&run, Slot::Last, &data, mode)? {
            println!("done {epoch}");
        }
    }
    Ok(())
}

/// Saves a checkpoint. A full disk is reported and training continues, unless `mode` says that the limit ends the run.
fn save(run: &RunFolder, slot: Slot, data: &CheckpointData, mode: &str) -> Result<bool> {
    match checkpoint::save(run, slot, data) {
        Err(error) if mode == "train" => {
            println!("full {error}");
            Ok(false)
        }
        other => other.map(|()| true),
    }
}

fn position_in(data: &CheckpointData) -> u64 {
    let (_, bytes) = data.parts.iter().find(|(name, _)| name == "state.json").unwrap();
    std::str::from_utf8(bytes).unwrap().parse().unwrap()
}

#[test]
fn child() {
    let Ok(root) = std::env::var(FOLDER) else { return };
    let root = PathBuf::from(root);
    let mode = std::env::var(MODE).unwrap();
    if mode == "hold" {
        let _run = RunFolder::create(&root, "version = 1\n").unwrap();
        println!("held");
        std::thread::sleep(std::time::Duration::from_mins(1));
        return;
    }
    if let Err(error) = train(&root, &mode) {
        println!("failed {error}");
        std::io::stdout().flush().unwrap();
        std::process::exit(3);
    }
}

fn command(root: &Path, mode: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    // The module's path without the name of the program, which is how the test is called.
    let (_, module) = module_path!().split_once("::").unwrap();
    command.args(["--exact", &format!("{module}::child"), "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, root).env(MODE, mode);
    command.env_remove("AMLP_FAULT");
    command
}

fn run_child(root: &Path, fault: Option<&str>) -> Output {
    let mut command = command(root, "train");
    if let Some(fault) = fault {
        command.env("AMLP_FAULT", fault);
    }
    command.output().unwrap()
}

/// The child's lines that start with `word`, without it.
fn reported(output: &Output, word: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The first line follows the test's name on the same line.
    let lines = text.lines().map(|line| line.rsplit(" ... ").next().unwrap_or(line));
    lines.filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ')).map(str::to_owned).collect()
}

/// Epochs that the child reported as saved.
fn last_done(output: &Output) -> usize {
    reported(output, "done").last().map_or(0, |epoch| epoch.parse().unwrap())
}

fn events(root: &Path) -> Vec<(u64, Event)> {
    let path = root.join("events.jsonl");
    read_events(&path).unwrap().into_iter().map(|(meta, event)| (meta.seq, event)).collect()
}

/// The run's checkpoints are complete and correct, and at most one epoch after `done` was lost. Returns the newest epoch on
/// disk.
fn check_after_kill(root: &Path, done: usize, why: &str) -> usize {
    let Ok(run) = RunFolder::open(root) else {
        assert_eq!(done, 0, "{why}: the run is gone");
        return 0;
    };
    if !checkpoint::has_checkpoint(&run) || (done == 0 && checkpoint::load(&run).is_err()) {
        assert_eq!(done, 0, "{why}: the checkpoints are gone");
        return 0;
    }
    let (data, warnings) = checkpoint::load(&run).unwrap_or_else(|error| panic!("{why}: {error}"));
    assert!(warnings.is_empty(), "{why}: {warnings:?}");
    assert!((done..=done + 1).contains(&data.epoch), "{why}: epoch {} after {done} were done", data.epoch);
    for slot in [Slot::Last, Slot::Previous, Slot::Best] {
        if let Ok((epoch, content)) = first_part(&run, slot) {
            assert_eq!(content, weights(epoch, "train"), "{why}: {slot:?}");
        }
    }
    data.epoch
}

/// Epoch and first part of a checkpoint.
fn first_part(run: &RunFolder, slot: Slot) -> engine::Result<(usize, Vec<u8>)> {
    let manifest = checkpoint::manifest(run, slot)?;
    Ok((manifest.epoch, checkpoint::load_part(run, &[slot], &manifest.parts[0].name)?.content))
}

/// The finished run equals the uninterrupted one, without leftover files.
fn check_finished(root: &Path, reference: &Path, why: &str) {
    let [run, whole] = [root, reference].map(|root| RunFolder::open(root).unwrap());
    for slot in [Slot::Last, Slot::Previous, Slot::Best] {
        let [found, expected] = [&run, &whole].map(|run| first_part(run, slot).unwrap());
        assert_eq!(found, expected, "{why}: {slot:?}");
    }
    assert_eq!(events(root), events(reference), "{why}");
    let names = |folder: PathBuf| {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    for inner in ["", "checkpoints"] {
        assert_eq!(names(root.join(inner)), names(reference.join(inner)), "{why}: leftovers in {inner:?}");
    }
}

fn reference(folder: &Path) -> PathBuf {
    let root = folder.join("reference");
    let output = run_child(&root, None);
    assert!(output.status.success() && last_done(&output) == EPOCHS, "{output:?}");
    root
}

fn hooks_are_off() -> bool {
    if !cfg!(debug_assertions) {
        println!("skipped: kill points exist in debug builds only");
    }
    !cfg!(debug_assertions)
}

/// Every kill point, with the least number of times that the child passes it.
const POINTS: [(&str, u64); 14] = [
    ("write-before", 28),
    ("write-middle", 28),
    ("write-after", 28),
    ("fsync-before", 28),
    ("fsync-after", 28),
    ("rename-before", 20),
    ("rename-after", 20),
    ("folder-before", 25),
    ("folder-after", 25),
    ("checkpoint-staged", 9),
    ("checkpoint-aside", 7),
    ("checkpoint-demoted", 7),
    ("checkpoint-promoted", 9),
    // Again, in case the kill is the first one: the first passage is in `create`.
    ("rename-before", 1),
];

/// Kills the run at each point, at moments drawn from a seed, twice in a row. It then finishes like an uninterrupted run.
#[test]
fn a_run_killed_at_any_point_finishes_like_an_uninterrupted_one() {
    if hooks_are_off() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let reference = reference(folder.path());
    let mut stream = engine::seed::stream(20, "kill points", &[]);
    for (number, (point, passages)) in POINTS.into_iter().enumerate() {
        let root = folder.path().join(format!("killed-{number}"));
        let mut done = 0;
        for round in 0..2 {
            // The second kill comes early, so that it hits a run with work left, or repairs in progress.
            let limit = if round == 0 { passages } else { passages.min(4) };
            let fault = format!("{point}:{}", stream.random_range(1..=limit));
            let why = format!("{fault} in round {round}, seed 20");
            let output = run_child(&root, Some(&fault));
            if round == 0 {
                assert_eq!(output.status.code(), None, "{why}: the child was not killed: {output:?}");
            }
            done = check_after_kill(&root, done.max(last_done(&output)), &why);
        }
        let output = run_child(&root, None);
        assert!(output.status.success(), "{point}: {output:?}");
        check_finished(&root, &reference, point);
    }
}

/// A save on a full disk is reported, keeps the earlier checkpoints, and training continues.
#[test]
fn a_full_disk_while_saving_is_reported_and_training_continues() {
    if hooks_are_off() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let reference = reference(folder.path());
    // The first files are the probes and the configuration; the fourth and later ones belong to checkpoints.
    for fault in ["write-middle:14:full", "fsync-before:9:full", "rename-before:8:full", "checkpoint-demoted:3:full"] {
        let root = folder.path().join(fault.replace(':', "-"));
        let output = run_child(&root, Some(fault));
        assert!(output.status.success(), "{fault}: {output:?}");
        let full = reported(&output, "full");
        assert!(full.len() == 1 && full[0].contains("no storage space"), "{fault}: {output:?}");
        check_after_kill(&root, EPOCHS, fault);
        assert_eq!(events(&root), events(&reference), "{fault}");
    }
}

/// Runs the child under a file-size limit of `blocks` blocks, which are 512 bytes in most shells and 1024 in some.
#[cfg(unix)]
fn limited(root: &Path, mode: &str, blocks: u32) -> Output {
    let child = command(root, mode);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -f {blocks} && exec \"$0\" \"$@\"")).arg(child.get_program());
    shell.args(child.get_args()).env(FOLDER, root).env(MODE, mode).env_remove("AMLP_FAULT");
    shell.output().unwrap()
}

/// The error names the file, no signal kills the process, and the earlier checkpoints stay.
#[cfg(unix)]
#[test]
fn a_checkpoint_beyond_the_file_size_limit_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let output = limited(&root, "large", 100);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let failed = reported(&output, "failed").pop().unwrap();
    assert!(failed.contains("model.safetensors: cannot write: File too large"), "{failed}");
    assert_eq!(check_after_kill(&root, 3, "file-size limit"), 3);
    assert_eq!(fs::read_dir(root.join("checkpoints")).unwrap().count(), 3, "last, previous and best, no leftovers");
    let output = command(&root, "large").output().unwrap();
    assert!(output.status.success() && last_done(&output) == EPOCHS, "{output:?}");
}

/// The log still ends with a whole line.
#[cfg(unix)]
#[test]
fn a_log_beyond_the_file_size_limit_ends_training_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let output = limited(&root, "talk", 600);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let failed = reported(&output, "failed").pop().unwrap();
    assert!(failed.contains("events.jsonl: cannot write: File too large"), "{failed}");
    let text = fs::read(root.join("events.jsonl")).unwrap();
    assert_eq!(text.last(), Some(&b'\n'));
    assert!(events(&root).len() > 100);
}

/// After kill -9 of the first process the lock is free, and the next one reports the death.
#[test]
fn a_second_process_on_a_run_is_refused_until_the_first_ends() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let mut holder = command(&root, "hold").stdout(Stdio::piped()).spawn().unwrap();
    let mut reader = std::io::BufReader::new(holder.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("held") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut reader, &mut line).unwrap() > 0, "the child ended early");
    }
    let error = RunFolder::resume(&root).unwrap_err();
    let ErrorKind::Locked { pid, .. } = error.kind() else { panic!("{error}") };
    if cfg!(unix) {
        assert_eq!(*pid, holder.id());
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(root.join(lock::NAME).exists());
    let run = RunFolder::resume(&root).unwrap();
    let warning = format!("process {} ended without releasing", holder.id());
    assert!(run.warnings()[0].contains(&warning), "{:?}", run.warnings());
}
