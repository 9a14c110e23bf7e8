//! What the window shows, in numbers: the JSON of `--state`.

mod run;

use engine::inspect::MaskReport;
use engine::metrics::Measures;
use serde::Serialize;

pub use run::{ProbeReport, RunReport};

use super::{Document, Mode, Severity, State};
use crate::scene::{Convention, Letters, PlaneMode};

/// The whole of it. Keys are a contract, described in MANUAL.md.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The mode.
    pub mode: Mode,
    /// The file of the image in the panes.
    pub file: Option<String>,
    /// Which side of the patient is on the left.
    pub convention: Convention,
    /// The panes in reading order.
    pub panes: Vec<PaneReport>,
    /// Where the crosshair is.
    pub crosshair: Option<CrosshairReport>,
    /// Window width, in the image's unit.
    pub window: Option<f64>,
    /// Window level, in the image's unit.
    pub level: Option<f64>,
    /// The list of findings.
    pub findings: Vec<FindingReport>,
    /// Dice of each axial slice, feet to head; null where both masks are empty.
    pub slice_dice: Option<Vec<Option<f64>>>,
    /// Prediction against truth.
    pub metrics: Option<Measures>,
    /// The masking of the shown slice.
    pub masking: Option<MaskReport>,
    /// The run on the timeline, at its cursor.
    pub run: Option<RunReport>,
    /// Every error that was shown, oldest first.
    pub errors: Vec<String>,
}

/// One pane.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PaneReport {
    /// Its name.
    pub name: String,
    /// The number of the slice as shown, from 1, along R, A or S; null for a projection.
    pub slice: Option<usize>,
    /// The plane.
    pub plane: crate::scene::Plane,
    /// Along the stored grid or the patient's axes.
    pub planes: PlaneMode,
    /// Patient directions at the edges; null without orientation.
    pub letters: Option<Letters>,
}

/// The crosshair.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CrosshairReport {
    /// Voxel index of the image as stored, 0-based; null outside of it.
    pub voxel: Option<[usize; 3]>,
    /// World position, mm, RAS+.
    pub world_mm: [f64; 3],
    /// Value of the image; null outside of it or if it is not finite.
    pub value: Option<f64>,
    /// Label of the prediction, of the truth without one; null without a mask.
    pub label: Option<u16>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindingReport {
    /// Its label.
    pub label: u16,
    /// Volume in ml.
    pub volume_ml: f64,
    /// Longest diameter in one axial slice, mm.
    pub diameter_mm: f64,
    /// Mean of the image inside.
    pub mean: Option<f64>,
    /// The number of the axial slice of its longest diameter, as shown, from 1.
    pub slice: usize,
    /// `hit`, `extra`, `missed`, or empty without a truth.
    pub status: &'static str,
}

impl Report {
    /// What `state` shows now.
    pub fn of(state: &State) -> Self {
        let document = state.document.as_ref();
        let window = document.map(|d| state.window_of(d.image()));
        let errors = state.notices.iter().filter(|n| n.severity == Severity::Error);
        let errors = errors.flat_map(|n| std::iter::repeat_n(n.detail.clone(), n.count));
        Self {
            mode: state.session.mode,
            file: document
                .map(|d| d.image().path().display().to_string())
                .or_else(|| state.failed.as_ref().map(|failed| failed.path.display().to_string())),
            convention: state.session.settings.convention,
            panes: document.map(|d| panes(state, d)).unwrap_or_default(),
            crosshair: document.map(|d| crosshair(state, d)),
            window: window.map(|w| w.width),
            level: window.map(|w| w.level),
            findings: document.map(findings).unwrap_or_default(),
            slice_dice: document.and_then(|d| d.comparison.as_ref()).map(|c| c.slice_dice()),
            metrics: document.and_then(|d| d.metrics.clone()),
            masking: state.mask_report(),
            run: RunReport::of(state),
            errors: errors.chain(state.failed.iter().map(|failed| failed.why.clone())).collect(),
        }
    }

    /// As text.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

fn panes(state: &State, document: &Document) -> Vec<PaneReport> {
    let pane = |id: super::PaneId| {
        let display = document.display_of(id, state.session.settings.planes);
        PaneReport {
            name: id.name(),
            slice: (!id.is_projection()).then(|| state.slice_of(&display, id.plane()) + 1),
            plane: id.plane(),
            planes: display.mode,
            letters: display.letters(id.plane(), state.session.settings.convention),
        }
    };
    state.shown_panes().into_iter().map(pane).collect()
}

fn crosshair(state: &State, document: &Document) -> CrosshairReport {
    let world = state.session.view.crosshair;
    let native = crate::scene::DisplayGrid::new(&document.image().volume.grid, PlaneMode::Native);
    CrosshairReport {
        voxel: native.voxel_at(world),
        world_mm: world.to_array(),
        value: document.value_at(document.shown, world).filter(|v| v.is_finite()),
        label: document.mask().map(|mask| document.label_at(&mask.labels, world)),
    }
}

fn findings(document: &Document) -> Vec<FindingReport> {
    let grid = &document.base().volume.grid;
    let list = document.findings.iter().flat_map(|f| &f.list);
    list.map(|listed| FindingReport {
        label: listed.label,
        volume_ml: listed.finding.volume_ml,
        diameter_mm: listed.finding.diameter.mm,
        mean: listed.finding.mean.filter(|m| m.is_finite()),
        slice: listed.finding.axial_slice(grid) + 1,
        status: listed.status.name(),
    })
    .collect()
}
