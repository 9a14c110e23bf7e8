//! A small synthetic cohort, and settings that train on it within a second or two.

use std::path::{Path, PathBuf};

use engine::config::{Config, preset};
use engine::event::{Control, Event, EventSink};
use engine::jobs::{FinetuneJob, PretrainJob, Start};
use engine::preprocess::Spacing;
use engine::run::log::read_events;
use engine::study::Plan;
use engine::volume::nifti::{write_label, write_volume};
use engine::volume::{Grid, LabelVolume, Volume};
use glam::{DAffine3, DMat3, DVec3};

/// A grid of `shape` with voxels of 2 x 2 x 4 mm, stored left to right or, where `mirrored`, right to left.
pub fn grid(shape: [usize; 3], mirrored: bool) -> Grid {
    let x = if mirrored { -2.0 } else { 2.0 };
    let scale = DMat3::from_diagonal(DVec3::new(x, 2.0, 4.0));
    Grid::new(shape, DAffine3::from_mat3_translation(scale, DVec3::new(10.0, -20.0, 30.0)))
}

/// A patient: a disc of tissue that contains a brighter ball. The position of the ball depends on the patient.
pub fn patient(number: usize) -> (Volume, LabelVolume) {
    let shape = [36, 32, 7];
    let grid = grid(shape, number % 2 == 1);
    let centre = [12.0 + (number * 5 % 11) as f64, 13.0 + (number * 3 % 7) as f64, 3.0];
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for k in 0..shape[2] {
        for j in 0..shape[1] {
            for i in 0..shape[0] {
                let body = ((i as f64 - 17.5) / 16.0).powi(2) + ((j as f64 - 15.5) / 14.0).powi(2) <= 1.0;
                let d = (i as f64 - centre[0]).powi(2) + (j as f64 - centre[1]).powi(2);
                let lesion = d + 9.0 * (k as f64 - centre[2]).powi(2) <= (20 + number) as f64;
                let texture = ((i * 7 + j * 13 + k * 5 + number * 31) % 17) as f32 / 17.0;
                values.push(if body { 10.0 + texture + if lesion { 8.0 } else { 0.0 } } else { 0.0 });
                labels.push(u8::from(lesion && body));
            }
        }
    }
    (Volume::from_f32(grid.clone(), values), LabelVolume::new(grid, labels).unwrap())
}

/// Writes `patients` patients, each to its own folder.
pub fn cohort(folder: &Path, patients: usize) -> PathBuf {
    let root = folder.join("cohort");
    for number in 0..patients {
        let folder = root.join(format!("P{number:02}"));
        std::fs::create_dir_all(&folder).unwrap();
        let (image, label) = patient(number);
        write_volume(&folder.join("pet.nii.gz"), &image).unwrap();
        write_label(&folder.join("seg.nii.gz"), &label, &image).unwrap();
    }
    root
}

/// Settings of a small pre-training run.
pub fn pretrain_config(cohort: &Path) -> Config {
    let mut config = preset("amlp", &["pet".into()]).unwrap();
    config.data.cohort = cohort.to_path_buf();
    config.preprocess.spacing = Spacing::Native;
    config.preprocess.size = 32;
    config.method.grid = 8;
    config.method.period = 1;
    config.network.width = 2;
    config.network.depth = 2;
    config.training.epochs = 3;
    config.training.batch = 8;
    config.training.lr = 3e-3;
    config.training.shift_px = 2;
    config
}

/// Settings of a small fine-tuning run.
pub fn finetune_config(cohort: &Path, from: Option<&Path>) -> Config {
    let pretrain = pretrain_config(cohort);
    let mut config = Config::finetune();
    config.data = pretrain.data;
    config.preprocess = pretrain.preprocess;
    config.network = pretrain.network;
    config.training.epochs = 4;
    config.training.min_steps = 0;
    config.training.batch = 4;
    config.training.lr = 1e-2;
    config.training.shift_px = 2;
    config.labels.labels = "2".into();
    config.labels.from = from.map(Path::to_path_buf).unwrap_or_default();
    config
}

/// A study of very short runs on `cohort`. `study` is the TOML of its name, labels, split and methods; `width` is the width of
/// the network; `steps` and `rates` are those of the fine-tuning runs.
pub fn small_study(study: &str, cohort: &Path, width: usize, (steps, rates): (usize, &str)) -> Plan {
    let text = format!(
        r#"{study}
        cohorts = [{{ name = "balls", path = "{}", modality = ["pet"] }}]
        [pretrain]
        slices = 24
        rates = [3e-3]
        [finetune]
        steps = {steps}
        rates = {rates}
        [pretrain.settings]
        preprocess = {{ size = 32, spacing = "native" }}
        network = {{ width = {width}, depth = 2 }}
        training = {{ batch = 8 }}
        method = {{ grid = 8 }}
        [finetune.settings]
        preprocess = {{ size = 32, spacing = "native" }}
        network = {{ width = {width}, depth = 2 }}
        training = {{ batch = 4 }}
    "#,
        cohort.display()
    );
    Plan::from_toml(&text, Path::new("plan.toml")).unwrap()
}

/// Collects events, and cancels the run after a number of steps.
pub struct Watcher<'a> {
    pub control: &'a Control,
    pub cancel_after: usize,
    pub events: Vec<Event>,
    steps: usize,
}

impl<'a> Watcher<'a> {
    pub fn new(control: &'a Control, cancel_after: usize) -> Self {
        Self { control, cancel_after, events: Vec::new(), steps: 0 }
    }
}

impl EventSink for Watcher<'_> {
    fn event(&mut self, event: &Event) -> engine::Result<()> {
        if matches!(event, Event::Step { .. }) {
            self.steps += 1;
            if self.steps == self.cancel_after {
                self.control.set(engine::event::Signal::Cancel);
            }
        }
        self.events.push(event.clone());
        Ok(())
    }
}

/// Pre-trains in the run folder `out`, or resumes the run there. Cancels it after `cancel_after` steps of this call.
pub fn pretrain(config: &Config, out: &Path, resume: bool, cancel_after: usize) -> engine::Result<Vec<Event>> {
    let control = Control::default();
    let start = Start { resume, ..Start::default() };
    let mut watcher = Watcher::new(&control, cancel_after);
    let mut job = PretrainJob::prepare(config.clone(), out, start, &control, &mut |_, _| {})?;
    job.train(&engine::device::Compute::cpu(), &mut watcher, &control)?;
    Ok(watcher.events)
}

/// Fine-tunes, like [`pretrain`].
pub fn finetune(config: &Config, out: &Path, resume: bool, cancel_after: usize) -> engine::Result<Vec<Event>> {
    let control = Control::default();
    let start = Start { resume, ..Start::default() };
    let mut watcher = Watcher::new(&control, cancel_after);
    let mut job = FinetuneJob::prepare(config.clone(), out, start, &control, &mut |_, _| {})?;
    job.train(&engine::device::Compute::cpu(), &mut watcher, &control)?;
    Ok(watcher.events)
}

/// What must be equal in two equal runs: the logged events, and the bytes of the weights and of the method's state.
pub fn fingerprint(run: &Path) -> (Vec<Event>, Vec<(String, Vec<u8>)>) {
    let events = read_events(&run.join("events.jsonl")).unwrap().into_iter().map(|(_, event)| event).collect();
    let parts = [
        "model.safetensors",
        "labels.bin",
        "relevance.bin",
        "amlp.json",
        "teacher.safetensors",
        "means.json",
        "codes.bin",
        "code_uses.bin",
    ];
    let read = |name: &&str| {
        let bytes = std::fs::read(run.join("checkpoints/last").join(name)).ok()?;
        Some(((*name).to_string(), bytes))
    };
    (events, parts.iter().filter_map(read).collect())
}

/// Fails if two runs differ. Names the differing part without printing its bytes.
pub fn assert_same(a: &Path, b: &Path) {
    let ((events_a, parts_a), (events_b, parts_b)) = (fingerprint(a), fingerprint(b));
    for (at, (x, y)) in events_a.iter().zip(&events_b).enumerate() {
        assert_eq!(x, y, "event {at}");
    }
    assert_eq!(events_a.len(), events_b.len());
    assert_eq!(parts_a.len(), parts_b.len());
    for ((name, x), (_, y)) in parts_a.iter().zip(&parts_b) {
        assert!(x == y, "{name} differs");
    }
}
