//! The state that a restart restores, as one serialised value. Includes the settings, which persist between sessions.
//!
//! Scans and runs are named by their paths and read again, never copied.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine::event::Stage;
use engine::predict::Choice;
use engine::preprocess::LabelMap;
use engine::review::Verdict;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::edit::EditChoices;
use super::masking::MaskingSession;
use super::runs::RunTable;
use super::study::{StudyMasks, StudySession};
use super::timeline::TimelineSession;
use super::train::TrainSession;
use super::{Document, ImageLayer, MaskLayer, Measure, Mode, QueueOrder, Request, Settings, Source, State, View};
use crate::scene::{ScanInfo, WindowLevel};

/// Version of the serialised form. Version 1 had only the settings and no number.
const VERSION: u64 = 4;

/// The user's choices, and the open items ([`OpenItems`]).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// Preferences, kept between sessions.
    pub settings: Settings,
    /// The mode that was shown last.
    pub mode: Mode,
    /// View settings of the open case.
    pub view: View,
    /// Measurements, each case's under the file of its first image.
    pub measures: BTreeMap<PathBuf, Vec<Measure>>,
    /// Label, size and values of the edit tools.
    pub edit: EditChoices,
    /// Images of closed cases whose modality or unit the user has set, so that it is restored when they are opened again.
    pub user_modalities: Vec<OpenImage>,
    /// Window/level by modality, kept across cases.
    pub windows: BTreeMap<String, WindowLevel>,
    /// Device of the next segmentation: `auto`, `cpu`, `wgpu:0`, ...; `auto` if empty.
    pub device: String,
    /// Label map from the command line.
    pub label_map: Option<LabelMap>,
    /// The selected runs.
    pub runs: ChosenRuns,
    /// Choices of Masking mode.
    pub masking: MaskingSession,
    /// Choices of Train mode.
    pub train: TrainSession,
    /// Choices of the timeline.
    pub timeline: TimelineSession,
    /// Filter and order of the table of runs.
    pub run_table: RunTable,
    /// Choices of the Studies page.
    pub study: StudySession,
    /// What is open. Filled only in a saved session; in the running program, the state has it.
    pub open: OpenItems,
}

/// The runs selected for each purpose, except the watched ones and the start of the next fine-tuning run; see
/// [`State::run_for`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChosenRuns {
    /// Segments the open case; by default the sample study's model.
    pub segment: Option<PathBuf>,
    /// Reconstructs masked patches; by default the watched pre-training run.
    pub reconstruct: Option<PathBuf>,
    /// Shown on the Results page.
    pub results: Option<PathBuf>,
    /// Selected in the table of runs.
    pub selected: Option<PathBuf>,
    /// Ticked in the table of runs, to be compared.
    pub ticked: Vec<PathBuf>,
    /// The network of a run to segment with and evaluate: the last, or the best by validation.
    pub network: Choice,
}

/// Use of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunUse {
    /// Segments the open case.
    Segment,
    /// Reconstructs masked patches.
    Reconstruct,
    /// The next fine-tuning run starts from it.
    StartFrom,
    /// Shown on the timeline.
    Watch,
    /// Compared with the watched one.
    Compare,
    /// Shown on the Results page.
    Results,
    /// Selected in the table of runs.
    Select,
}

impl State {
    /// The run that is chosen for a use.
    pub fn run_for(&self, run_use: RunUse) -> Option<&Path> {
        let (chosen, timeline) = (&self.session.runs, &self.cache.timeline);
        match run_use {
            RunUse::Segment => chosen.segment.as_deref(),
            RunUse::Reconstruct => {
                let watched = timeline.pretrain.as_ref().map(|run| run.path.as_path());
                chosen.reconstruct.as_deref().or(watched)
            }
            RunUse::StartFrom => {
                let from = &self.session.train.form.finetune.labels.from;
                (!from.as_os_str().is_empty()).then_some(from)
            }
            RunUse::Watch => self.watched_run().map(|run| run.path.as_path()),
            RunUse::Compare => timeline.compare.as_ref()?.runs.first().map(|run| run.path.as_path()),
            RunUse::Results => chosen.results.as_deref(),
            RunUse::Select => chosen.selected.as_deref(),
        }
    }
}

/// What is open: files, folders and runs, and the user's position in them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpenItems {
    /// The files of the open case.
    pub case: Option<OpenCase>,
    /// The folder of cases.
    pub folder: Option<OpenFolder>,
    /// The DICOM folder or archive whose series are listed.
    pub series: Option<PathBuf>,
    /// The folder of the cohort to train on.
    pub cohort: Option<PathBuf>,
    /// The runs on the timeline.
    pub runs: Option<OpenRuns>,
}

/// A case by its files. Its view settings are in the session's view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenCase {
    /// Its name.
    pub title: String,
    /// Its images; masks are on the first one's grid.
    pub images: Vec<OpenImage>,
    /// The image in the panes.
    pub shown: usize,
    /// The file of the segmentation.
    pub segmentation: Option<PathBuf>,
    /// The files of the reference.
    pub reference: Vec<PathBuf>,
    /// The file of the probability map.
    pub probability: Option<PathBuf>,
    /// Its segmentations by the methods of a study.
    #[serde(default)]
    pub study: Option<StudyMasks>,
}

/// An image of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenImage {
    /// The file it is read from.
    pub source: Source,
    /// The name in the window.
    pub name: String,
    /// Modality and unit of its values.
    pub info: ScanInfo,
    /// Its default window/level.
    pub window: WindowLevel,
    /// The frame that is shown.
    pub frame: usize,
}

/// A folder of cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenFolder {
    /// The folder.
    pub root: PathBuf,
    /// The open case's name.
    pub open: Option<String>,
    /// Text that filters the list.
    pub filter: String,
    /// Only cases of this verdict are listed.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// The order of the cases.
    #[serde(default)]
    pub order: QueueOrder,
}

/// The runs on the timeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OpenRuns {
    /// On the pre-training track.
    pub pretrain: Option<OpenTrack>,
    /// On the fine-tuning track.
    pub finetune: Option<OpenTrack>,
    /// The comparison with the watched run: other runs (none: the same run), and the epoch.
    pub compare: Option<(Vec<PathBuf>, Option<usize>)>,
}

/// A run on a track.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenTrack {
    /// Its folder.
    pub path: PathBuf,
    /// The epoch at its cursor; `None` follows the newest.
    pub cursor: Option<usize>,
}

impl OpenItems {
    fn of(state: &State) -> Self {
        let (cases, timeline) = (&state.cases, &state.cache.timeline);
        let track = |stage| {
            let run = timeline.track(stage)?;
            Some(OpenTrack { path: run.path.clone(), cursor: run.cursor })
        };
        let compare = timeline.compare.as_ref();
        let runs = OpenRuns {
            pretrain: track(Stage::Pretrain),
            finetune: track(Stage::Finetune),
            compare: compare.map(|compare| (compare.runs.iter().map(|run| run.path.clone()).collect(), compare.epoch)),
        };
        Self {
            case: state.document.as_ref().map(OpenCase::of),
            folder: cases.root.clone().map(|root| OpenFolder {
                root,
                open: cases.open.and_then(|open| cases.get(open)).map(|case| case.name.clone()),
                filter: cases.filter.clone(),
                verdict: cases.review.filter,
                order: cases.review.order.clone(),
            }),
            series: state.series.as_ref().map(|list| list.source.clone()),
            cohort: state.cache.train.cohort.folder(),
            runs: (runs != OpenRuns::default()).then_some(runs),
        }
    }
}

impl OpenImage {
    fn of(layer: &ImageLayer) -> Self {
        Self {
            source: layer.source.clone(),
            name: layer.name.clone(),
            info: layer.info.clone(),
            window: layer.default_window,
            frame: layer.frame,
        }
    }
}

impl Session {
    /// Keeps the user's choices for the images of a closed case.
    pub(super) fn keep_user_modalities(&mut self, document: &Document) {
        self.user_modalities.retain(|kept| document.images.iter().all(|layer| layer.source != kept.source));
        self.user_modalities.extend(document.images.iter().filter(|layer| layer.info.is_stated()).map(OpenImage::of));
    }

    /// An image that was just read, with the user's earlier choices for it.
    pub(crate) fn with_user_modality(&self, image: ImageLayer) -> ImageLayer {
        match self.user_modalities.iter().find(|kept| kept.source == image.source) {
            Some(kept) => ImageLayer { info: kept.info.clone(), default_window: kept.window, ..image },
            None => image,
        }
    }
}

impl OpenCase {
    fn of(document: &Document) -> Self {
        Self {
            title: document.title.clone(),
            images: document.images.iter().map(OpenImage::of).collect(),
            shown: document.shown,
            segmentation: document.segmentation().and_then(|mask| mask.path.clone()),
            reference: document.reference().map(MaskLayer::files).unwrap_or_default(),
            probability: document.probability.as_ref().and_then(|probability| probability.path.clone()),
            study: document.study.clone(),
        }
    }

    /// The request that opens it again.
    pub fn request(&self) -> Request {
        let images = self.images.iter().map(|image| (Some(image.info.modality.key()), image.source.file()));
        Request {
            title: Some(self.title.clone()),
            images: images.collect(),
            segmentation: self.segmentation.clone(),
            reference: self.reference.clone(),
            probability: self.probability.clone(),
            study: self.study.clone(),
            ..Request::default()
        }
    }

    /// Whether an open case has the same images.
    pub fn is(&self, document: &Document) -> bool {
        self.images.iter().map(|image| &image.source).eq(document.images.iter().map(|layer| &layer.source))
    }
}

impl Session {
    /// The session of the running program, including open items.
    pub fn of(state: &State) -> Self {
        let mut session = Self { open: OpenItems::of(state), ..state.session.clone() };
        // A restart does not start an evaluation that has not finished.
        session.runs.results.take_if(|_| state.cache.results.evaluation.is_none());
        session
    }

    /// The whole session as JSON.
    ///
    /// # Errors
    /// A value that JSON cannot hold.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(&versioned(serde_json::to_value(self)?))
    }

    /// The persistent part as JSON: the settings, and nothing about patients except recent paths.
    ///
    /// # Errors
    /// A value that JSON cannot hold.
    pub fn settings_json(settings: &Settings) -> Result<String, serde_json::Error> {
        serde_json::to_string(&versioned(serde_json::json!({ "settings": settings })))
    }

    /// Reads either form. Missing fields get defaults.
    ///
    /// # Errors
    /// Text that is not a session of a supported version.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        match value.get("version") {
            None => {
                let settings = serde_json::from_value(value).map_err(|e| e.to_string())?;
                Ok(Self { settings, ..Self::default() })
            }
            Some(version) if version.as_u64() == Some(VERSION) => {
                serde_json::from_value(value).map_err(|e| e.to_string())
            }
            Some(version) => Err(format!("version = {version}: this program reads {VERSION}")),
        }
    }
}

fn versioned(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.insert("version".to_owned(), VERSION.into());
    }
    value
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::scene::Plane;
    use crate::state::view::Statistics;
    use crate::state::{MeasureKind, PaneId};
    use crate::theme::Theme;

    #[test]
    fn a_session_is_read_back_and_other_versions_are_refused() {
        let mut state = State::default();
        state.session.mode = Mode::Masking;
        state.session.view.maximised = Some(PaneId::Linked(1));
        state.session.timeline.options.camera.zoom = 1.0 / 3.0;
        state.session.runs.reconstruct = Some("/runs/a".into());
        let session = Session::of(&state);
        let text = session.to_json().unwrap();
        assert_eq!(Session::from_json(&text).unwrap(), session);
        let other = text.replace(&format!("\"version\": {VERSION}"), "\"version\": 9");
        assert!(Session::from_json(&other).is_err_and(|why| why.contains("version = 9")));
    }

    #[test]
    fn settings_of_version_1_are_still_read() {
        let settings = Settings { theme: Theme::Light, threads: 3, ..Settings::default() };
        let text = Session::settings_json(&settings).unwrap();
        assert_eq!(Session::from_json(&text).unwrap(), Session { settings: settings.clone(), ..Session::default() });
        let old = serde_json::to_string(&settings).unwrap();
        assert_eq!(Session::from_json(&old).unwrap().settings, settings);
        let unknown = r#"{"theme":"light","opacity":0.25,"no_such_field":1}"#;
        assert_eq!(Session::from_json(unknown).unwrap().settings.opacity, 0.25);
        assert!(Session::from_json(r#"{"opacity":"much"}"#).is_err());
    }

    #[test]
    fn a_non_finite_mean_does_not_make_the_session_unreadable() {
        let statistics = |mean| Some(Statistics { image: 0, frame: 0, voxels: 1, mean, sd: 0.0, area_mm2: 1.0 });
        let ends_mm = [glam::DVec3::ZERO; 2];
        let measure =
            |mean| Measure { kind: MeasureKind::Ellipse, plane: Plane::Axial, ends_mm, statistics: statistics(mean) };
        let measures = BTreeMap::from([(PathBuf::from("/a.nii.gz"), vec![measure(f64::NAN), measure(2.0)])]);
        let session = Session { measures, ..Session::default() };
        let read = Session::from_json(&session.to_json().unwrap()).unwrap();
        let read = &read.measures[Path::new("/a.nii.gz")];
        assert_eq!(read.len(), 2);
        assert!(read[0].statistics.is_none() && read[1].statistics.is_some());
    }
}
