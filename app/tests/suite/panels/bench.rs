//! All panels around an empty centre, over a state that was built by hand.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use amlp_viewer::command::{Command, FileCommand, Sender, ViewCommand, dispatch, dispatch_intents};
use amlp_viewer::scene::{Modality, ScanInfo, Sidecar, Unit, WindowLevel};
use amlp_viewer::state::{CaseId, Document, ImageLayer, JobStatus, MaskLayer, MaskRole, Severity, Slot, Source, State};
use amlp_viewer::theme::{self, Theme};
use amlp_viewer::worker::{Jobs, analyse, deliver};
use amlp_viewer::{dialog, panel};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use engine::edit::EditLabels;
use engine::volume::{Grid, LabelVolume, Volume};
use glam::{DAffine3, DVec3};

/// Shape of the phantom.
pub const SHAPE: [usize; 3] = [20, 16, 12];

/// The state of the panels, and the commands they sent.
pub struct Bench {
    pub state: State,
    jobs: Jobs,
    sender: Sender,
    /// Every command that was sent, oldest first.
    pub sent: Vec<Command>,
}

impl Bench {
    pub fn new(state: State) -> Self {
        Self { state, jobs: Jobs::new(None, Arc::new(|| ())), sender: Sender::default(), sent: Vec::new() }
    }

    /// Computes findings, comparison and metrics of the open case with the engine.
    pub fn analysed(mut self) -> Self {
        analyse::start(&mut self.state, &mut self.jobs);
        self.settle();
        assert!(self.state.notices.is_empty(), "{:?}", self.state.notices);
        self
    }

    /// Executes a command and its follow-ups.
    pub fn carry_out(&mut self, command: impl Into<Command>) {
        dispatch(&mut self.state, &mut self.jobs, command);
        self.settle();
    }

    fn settle(&mut self) {
        let begin = Instant::now();
        while !self.jobs.idle() {
            deliver(&mut self.state, &mut self.jobs);
            dispatch_intents(&mut self.state, &mut self.jobs);
            std::thread::sleep(Duration::from_millis(1));
            assert!(begin.elapsed() < Duration::from_mins(1), "the jobs do not end");
        }
    }

    fn frame(&mut self, ui: &mut egui::Ui) {
        let (state, sender) = (&self.state, &self.sender);
        dialog::below(ui, state, |ui| {
            panel::top::show(ui, state, sender);
            panel::status::show(ui, state, sender);
            panel::strip::show(ui, state, sender);
            panel::left::show(ui, state, sender);
            panel::right::show(ui, state, sender);
            egui::CentralPanel::default().show(ui, |_| ());
            panel::toasts::show(ui.ctx(), state, sender);
        });
        dialog::show(ui.ctx(), state, sender);
        for command in self.sender.take() {
            if !starts_a_job(&command) {
                dispatch(&mut self.state, &mut self.jobs, command.clone());
            }
            self.sent.push(command);
            ui.ctx().request_repaint();
        }
    }
}

/// Commands that would read, write, compute, or ask with the system's dialog.
fn starts_a_job(command: &Command) -> bool {
    match command {
        Command::Intent(_) => true,
        Command::File(command) => matches!(
            command,
            FileCommand::UsePath(..)
                | FileCommand::Retry
                | FileCommand::Save
                | FileCommand::SaveAs(_)
                | FileCommand::SaveThen(_)
                | FileCommand::Discard
                | FileCommand::SaveOver(..)
                | FileCommand::RemoveReference
        ),
        Command::View(command) => matches!(command, ViewCommand::SetFrame(_)),
        _ => false,
    }
}

/// A window of panels.
pub fn window(bench: Bench) -> Harness<'static, Bench> {
    window_of([1280.0, 800.0], bench)
}

/// A window of panels of a size in points.
pub fn window_of(size: [f32; 2], bench: Bench) -> Harness<'static, Bench> {
    let mut harness = Harness::builder()
        .with_size(size)
        .with_max_steps(64)
        .with_context_setup(|ctx| theme::install(ctx, Theme::Dark))
        .build_ui_state(|ui, bench: &mut Bench| bench.frame(ui), bench);
    harness.run();
    harness
}

/// Clicks a control by its name and lets the window settle.
pub fn click(harness: &mut Harness<'_, Bench>, name: &str) {
    harness.get_by_label(name).click();
    harness.run();
}

/// The only command that clicking a control sends.
pub fn clicked(harness: &mut Harness<'_, Bench>, name: &str) -> Command {
    harness.state_mut().sent.clear();
    click(harness, name);
    let sent = std::mem::take(&mut harness.state_mut().sent);
    assert_eq!(sent.len(), 1, "{name}: {sent:?}");
    sent.into_iter().next().unwrap()
}

/// A grid of 2 by 2 by 3 mm whose axes run along R, A, S.
pub fn grid() -> Grid {
    let world_from_voxel = DAffine3::from_scale(DVec3::new(2.0, 2.0, 3.0));
    Grid::new(SHAPE, world_from_voxel)
}

/// An image whose value is 100 i + 10 j + k.
pub fn image(name: &str, modality: Modality) -> ImageLayer {
    let sidecar = Sidecar { unit: (modality == Modality::Pet).then_some(Unit::Suv), modality: None };
    let mut info = ScanInfo::new(Some(&modality.key()), name, &sidecar, None);
    info.modality = modality;
    let grid = grid();
    let [nx, ny, nz] = SHAPE;
    let value = |n: usize| (100 * (n % nx) + 10 * (n / nx % ny) + n / (nx * ny)) as f32;
    let volume = Volume::from_f32(grid, (0..nx * ny * nz).map(value).collect());
    ImageLayer {
        source: Source::File(PathBuf::from(format!("/data/{name}.nii.gz"))),
        name: name.to_owned(),
        info,
        dicom: None,
        volume: Arc::new(volume),
        frame: 0,
        texture: None,
        range: Some([0.0, 2061.0]),
        default_window: WindowLevel { width: 350.0, level: 50.0 },
        projection: None,
    }
}

/// A mask with boxes of voxels, each with its label.
pub fn mask(role: MaskRole, boxes: &[([usize; 3], [usize; 3], u8)]) -> MaskLayer {
    let grid = grid();
    let mut labels = vec![0_u8; grid.len()];
    for &(from, to, label) in boxes {
        for k in from[2]..to[2] {
            for j in from[1]..to[1] {
                (from[0]..to[0]).for_each(|i| labels[grid.index([i, j, k])] = label);
            }
        }
    }
    let labels = EditLabels::from_volume(&LabelVolume::new(grid, labels).unwrap());
    let path = Some(PathBuf::from("/data/mask.nii.gz"));
    MaskLayer { path, saved_revision: Some(1), ..MaskLayer::new(role, labels, 1) }
}

/// Two lesions of 4 x 4 x 4 and 2 x 2 x 2 voxels: 0.768 and 0.096 ml.
pub fn segmentation() -> MaskLayer {
    mask(MaskRole::Segmentation, &[([2, 2, 2], [6, 6, 6], 1), ([12, 10, 8], [14, 12, 10], 1)])
}

/// The first lesion of [`segmentation`] shifted by one slice, and one that the segmentation misses.
pub fn reference() -> MaskLayer {
    mask(MaskRole::Reference, &[([2, 2, 3], [6, 6, 7], 1), ([16, 2, 10], [18, 4, 12], 1)])
}

/// A case of these images.
pub fn document(images: Vec<ImageLayer>) -> Document {
    let mut images = images.into_iter();
    let mut document = Document::new(CaseId(1), None, "STS_001".into(), images.next().expect("a case has an image"));
    document.path = PathBuf::from("/data");
    document.images.extend(images);
    document
}

/// A CT without overlay.
pub fn ct() -> State {
    State { document: Some(document(vec![image("ct", Modality::Ct)])), ..State::default() }
}

/// A CT with segmentation and reference, measured.
pub fn compared() -> Bench {
    let mut state = ct();
    let document = state.document.as_mut().unwrap();
    document.set_mask(segmentation());
    document.set_mask(reference());
    Bench::new(state).analysed()
}

/// A running job.
pub fn job(id: u64, slot: Slot, title: &str, quiet: bool) -> JobStatus {
    JobStatus { id, slot, title: title.into(), progress: Some(0.25), detail: "slice 3 of 12".into(), quiet }
}

/// A state with messages of one severity.
pub fn with_messages(severity: Severity, count: usize) -> State {
    let mut state = State::default();
    (1..=count).for_each(|n| state.notice(severity, format!("Message {n}"), format!("detail {n}")));
    state
}
