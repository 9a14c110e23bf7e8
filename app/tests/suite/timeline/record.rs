//! The recorded runs beside these tests: a short pre-training run of the sample study and a fine-tuning run from it, each with two
//! pinned slices. They were made, and are made anew, by
//!
//! ```sh
//! RECORD_RUNS=1 cargo test -p app --test suite recorded
//! ```

use std::path::{Path, PathBuf};

use engine::config::{Config, preset};
use engine::device::Compute;
use engine::event::{Control, Event, Stage};
use engine::jobs::{FinetuneJob, PretrainJob, Start};
use engine::preprocess::Spacing;
use engine::probe;

/// Bytes of all recorded files at most.
const MOST: u64 = 2 << 20;

/// Where a recorded run lies: `pretrain` or `finetune`.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded").join(name)
}

/// A recorded run with its neighbours, where it may be changed.
pub fn copied(name: &str, to: &Path) -> PathBuf {
    copy(&folder(name), &to.join(name));
    to.join(name)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Settings of the recorded pre-training.
fn pretraining(cohort: &Path, probes: &[&str]) -> Config {
    let mut config = preset("amlp", &["pet".into()]).unwrap();
    config.data.cohort = cohort.to_path_buf();
    config.preprocess.spacing = Spacing::Native;
    config.preprocess.size = 96;
    config.network.width = 4;
    config.network.depth = 3;
    config.method.period = 2;
    config.method.probes = probes.iter().map(ToString::to_string).collect();
    config.training.epochs = 12;
    config.training.batch = 16;
    config.training.lr = 2e-3;
    config.training.every_slice = 4;
    config
}

/// Settings of the recorded fine-tuning.
fn finetuning(base: &Config, from: &Path) -> Config {
    let mut config = Config::finetune();
    config.data = base.data.clone();
    config.preprocess = base.preprocess.clone();
    config.network = base.network.clone();
    config.method.probes.clone_from(&base.method.probes);
    (config.training.epochs, config.training.min_steps) = (8, 0);
    config.training.batch = 8;
    config.training.lr = 1e-2;
    config.labels.labels = "3".into();
    config.labels.validate_every = 2;
    config.labels.from = from.to_path_buf();
    config
}

fn train(config: &Config, out: &Path) {
    let (control, start) = (Control::default(), Start::default());
    let mut sink = |_: &Event| Ok(());
    match config.stage {
        Stage::Pretrain => {
            let mut job = PretrainJob::prepare(config.clone(), out, start, &control, &mut |_, _| {}).unwrap();
            job.train(&Compute::cpu(), &mut sink, &control).unwrap();
        }
        Stage::Finetune => {
            let mut job = FinetuneJob::prepare(config.clone(), out, start, &control, &mut |_, _| {}).unwrap();
            job.train(&Compute::cpu(), &mut sink, &control).unwrap();
        }
    }
}

/// Keeps what the window reads of a run, with a configuration that names nothing of this machine.
fn keep(run: &Path, name: &str) {
    let to = folder(name);
    drop(std::fs::remove_dir_all(&to));
    std::fs::create_dir_all(&to).unwrap();
    for file in ["split.json", "events.jsonl"] {
        std::fs::copy(run.join(file), to.join(file)).unwrap();
    }
    copy(&run.join("probes"), &to.join("probes"));
    let text = std::fs::read_to_string(run.join("config.toml")).unwrap();
    let mut config = Config::from_toml(&text, run).unwrap();
    config.data.cohort = "assets/sample".into();
    if config.stage == Stage::Finetune {
        config.labels.from = "pretrain".into();
    }
    std::fs::write(to.join("config.toml"), config.to_toml().unwrap()).unwrap();
}

fn record() {
    let temp = tempfile::tempdir().unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/sample");
    let (pre, fine) = (temp.path().join("pretrain"), temp.path().join("finetune"));
    // Of this seed's split STS_001 is trained on; the other patient is not.
    let config = pretraining(&sample, &["STS_001:16", "STS_006:20"]);
    train(&config, &pre);
    train(&finetuning(&config, &pre), &fine);
    keep(&pre, "pretrain");
    keep(&fine, "finetune");
}

#[test]
fn the_recorded_runs_are_small_and_whole() {
    if std::env::var_os("RECORD_RUNS").is_some() {
        record();
    }
    let all = files(&folder("pretrain")).into_iter().chain(files(&folder("finetune")));
    let bytes: u64 = all.map(|path| std::fs::metadata(path).unwrap().len()).sum();
    assert!(bytes < MOST, "{bytes} bytes");
    for (name, stage, epochs) in [("pretrain", Stage::Pretrain, 12), ("finetune", Stage::Finetune, 8)] {
        for pin in probe::pins(&folder(name)).unwrap() {
            let recorded = probe::epochs(&folder(name), &pin, stage);
            assert_eq!(recorded, (1..=epochs).collect::<Vec<_>>(), "{name} {pin}");
            probe::read_slice(&folder(name), &pin, stage).unwrap();
        }
    }
}
