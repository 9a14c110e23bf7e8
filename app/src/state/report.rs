//! The displayed state as JSON, for `--state`.

mod run;

use engine::findings::LabelPart;
use engine::inspect::MaskReport;
use engine::metrics::Measures;
use serde::Serialize;

pub use run::{ProbeReport, RunReport};

use super::{Document, FindingEntry, Mode, RegionScore, Severity, State};
use crate::scene::{Convention, Letters, PlaneMode};

/// The root object. Its keys are a public contract, described in MANUAL.md.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The mode of the window.
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
    /// Segmentation against reference.
    pub metrics: Option<Measures>,
    /// Agreement by label and region; empty unless both masks have several labels.
    pub regions: Vec<RegionReport>,
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
    /// The name in the window.
    pub name: String,
    /// The number of the slice as shown, from 1, along R, A or S; null for a projection.
    pub slice: Option<usize>,
    /// Sagittal, coronal or axial.
    pub plane: crate::scene::Plane,
    /// Along the stored grid or the patient's axes.
    pub planes: PlaneMode,
    /// Patient directions at the edges; null without orientation.
    pub letters: Option<Letters>,
}

/// The crosshair.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CrosshairReport {
    /// Voxel index of the image as stored, 0-based; null outside.
    pub voxel: Option<[usize; 3]>,
    /// World position, mm, RAS+.
    pub world_mm: [f64; 3],
    /// Value of the image; null outside or if it is not finite.
    pub value: Option<f64>,
    /// Label of the segmentation, or else of the reference; null without a mask.
    pub label: Option<u16>,
}

/// Agreement of a label or region.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegionReport {
    /// The name in the window.
    pub name: String,
    /// Values of the labels that count as the region.
    pub labels: Vec<u16>,
    /// Dice; null where neither mask has it.
    pub dice: Option<f64>,
    /// 95th percentile of the surface distances, mm; null unless both masks have it.
    pub hd95_mm: Option<f64>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindingReport {
    /// The label of most of its voxels.
    pub label: u16,
    /// All labels inside.
    pub labels: Vec<LabelPart>,
    /// Volume of all its labels, in ml.
    pub volume_ml: f64,
    /// Whether it is below the minimum volume, so that the list collapses it.
    pub folded: bool,
    /// Longest diameter in one axial slice, mm.
    pub diameter_mm: f64,
    /// The image whose values are given.
    pub image: Option<String>,
    /// Its mean inside.
    pub mean: Option<f64>,
    /// Its maximum inside.
    pub max: Option<f64>,
    /// Highest mean of a 1 ml sphere, for PET in SUV.
    pub peak: Option<f64>,
    /// The number of the axial slice of its longest diameter, as shown, from 1.
    pub slice: usize,
    /// `hit`, `extra`, `missed`, or empty without a reference.
    pub status: &'static str,
}

impl Report {
    /// The report of `state`.
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
            findings: document.map(|d| findings(state, d)).unwrap_or_default(),
            slice_dice: document.and_then(|d| d.comparison.as_ref()).map(|c| c.slice_dice()),
            metrics: document.and_then(|d| d.metrics.clone()),
            regions: document.map(regions).unwrap_or_default(),
            masking: state.mask_report(),
            run: RunReport::of(state),
            errors: errors.chain(state.failed.iter().map(|failed| failed.why.clone())).collect(),
        }
    }

    /// The report as JSON text.
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
        label: document.listed_mask().map(|mask| document.label_at(&mask.labels, world)),
    }
}

fn regions(document: &Document) -> Vec<RegionReport> {
    let report = |score: &RegionScore| RegionReport {
        name: score.name.clone(),
        labels: score.labels.clone(),
        dice: score.dice,
        hd95_mm: score.hd95_mm,
    };
    document.region_scores.iter().map(report).collect()
}

fn findings(state: &State, document: &Document) -> Vec<FindingReport> {
    let Some(list) = &document.findings else { return Vec::new() };
    let grid = &document.base().volume.grid;
    let image = list.values_of.and_then(|source| document.images.get(source.image));
    let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
    let report = |(at, entry): (usize, &FindingEntry)| FindingReport {
        label: entry.finding.main_label(),
        labels: entry.finding.labels.clone(),
        volume_ml: entry.finding.volume_ml,
        folded: at >= state.shown_findings(),
        diameter_mm: entry.finding.diameter.mm,
        image: image.map(|image| image.name.clone()),
        mean: finite(entry.values.map(|values| values.mean)),
        max: finite(entry.values.map(|values| values.max)),
        peak: finite(entry.values.and_then(|values| values.peak)),
        slice: entry.finding.axial_slice(grid) + 1,
        status: entry.status.name(),
    };
    list.entries.iter().enumerate().map(report).collect()
}
