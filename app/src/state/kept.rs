//! What is looked at, as it is handed to a new start of the program: everything that brings the same view back. Data
//! and runs are named by their paths, never copied.

use std::collections::BTreeMap;
use std::path::PathBuf;

use engine::event::Stage;
use engine::probe::Pin;
use glam::DVec2;
use serde::{Deserialize, Serialize};

use super::masking::{Controls, Shown};
use super::timeline::{Compare, Look, OpenRun};
use super::train::{Form, TrainPage};
use super::{Document, Mode, Settings, State, View};
use crate::scene::{Camera, Modality, WindowLevel};
use crate::worker::open::Request;

/// Version of the file's format.
const VERSION: u32 = 1;

/// Everything that brings the same view back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptView {
    version: u32,
    /// The user's choices, the layout of the window among them.
    pub settings: Settings,
    /// The mode.
    pub mode: Mode,
    /// The open case.
    pub case: Option<KeptCase>,
    /// The open folder.
    pub list: Option<KeptList>,
    /// Window/level by modality.
    pub windows: BTreeMap<String, WindowLevel>,
    /// The model and the device of the next segmentation.
    pub segment: (Option<PathBuf>, String),
    /// The run given on the command line.
    pub run: Option<PathBuf>,
    /// Masking mode.
    pub masking: KeptMasking,
    /// Train mode.
    pub train: KeptTrain,
    /// The open runs.
    pub runs: KeptRuns,
}

/// A case and how it is looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptCase {
    /// Its name.
    pub title: String,
    /// Its images, the one first that everything lies on.
    pub images: Vec<KeptImage>,
    /// The image in the panes.
    pub shown: usize,
    /// The file of the segmentation.
    pub mask: Option<PathBuf>,
    /// The file of the reference.
    pub truth: Option<PathBuf>,
    /// The file of the probability.
    pub probability: Option<PathBuf>,
    /// How it is looked at.
    pub view: View,
    /// The patch that is pinned in Masking mode.
    pub patch: Option<usize>,
    /// Zoom and pan there.
    pub cameras: [Camera; 2],
}

/// An image of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptImage {
    /// The file.
    pub path: PathBuf,
    /// The name in the window.
    pub name: String,
    /// What made it, as the user sees it.
    pub modality: Modality,
    /// Its window/level unless one was chosen.
    pub window: WindowLevel,
    /// The frame that is shown.
    pub frame: usize,
}

/// The cases of a folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptList {
    /// The folder.
    pub root: PathBuf,
    /// The open case's name.
    pub open: Option<String>,
    /// What the list is narrowed down to.
    pub filter: String,
}

/// What was chosen in Masking mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptMasking {
    /// What is masked and how.
    pub controls: Controls,
    /// What is drawn.
    pub shown: Shown,
    /// The contrast.
    pub contrast: Option<DVec2>,
    /// The run that fills in.
    pub run: Option<PathBuf>,
}

/// What was chosen in Train mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptTrain {
    /// The page in the centre.
    pub page: TrainPage,
    /// The cohort's folder.
    pub cohort: Option<PathBuf>,
    /// The form of the next job.
    pub form: Box<Form>,
    /// The run whose measures are shown.
    pub results: Option<PathBuf>,
}

/// The open runs and their cursors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptRuns {
    /// The upper track.
    pub pretrain: Option<KeptRun>,
    /// The lower track.
    pub finetune: Option<KeptRun>,
    /// The track that is looked at.
    pub active: Stage,
    /// What it is compared with: another run (the same without one) at an epoch.
    pub compare: Option<(Option<PathBuf>, Option<usize>)>,
    /// The slice that is looked at.
    pub pin: Option<Pin>,
    /// Slices to pin in the next job.
    pub wanted: Vec<Pin>,
    /// How all of this is looked at.
    pub look: Look,
}

/// A run on a track.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptRun {
    /// Its folder.
    pub path: PathBuf,
    /// The epoch at its cursor; none follows the newest.
    pub cursor: Option<usize>,
}

/// What a new start is still to bring back, part by part.
#[derive(Clone, Debug, Default)]
pub struct Returning {
    /// Files and folders opened before: those of the restart itself are no news.
    pub recent: Vec<PathBuf>,
    /// The case.
    pub case: Option<Box<KeptCase>>,
    /// The folder.
    pub list: Option<KeptList>,
    /// The runs.
    pub runs: Option<Box<KeptRuns>>,
}

impl KeptView {
    /// What `state` shows now.
    pub fn of(state: &State) -> Self {
        let cases = &state.cases;
        Self {
            version: VERSION,
            settings: state.settings.clone(),
            mode: state.mode,
            case: state.document.as_ref().map(|document| KeptCase::of(state, document)),
            list: cases.root.clone().map(|root| KeptList {
                root,
                open: cases.open.and_then(|open| cases.cases.get(open)).map(|case| case.id.clone()),
                filter: cases.filter.clone(),
            }),
            windows: state.windows.clone(),
            segment: (state.segment.model.clone(), state.segment.device.clone()),
            run: state.run.clone(),
            masking: KeptMasking {
                controls: state.masking.controls.clone(),
                shown: state.masking.shown,
                contrast: state.masking.contrast,
                run: state.masking.run.clone(),
            },
            train: KeptTrain {
                page: state.train.page,
                cohort: state.train.cohort.folder(),
                form: Box::new(state.train.form.clone()),
                // Measures that were not made yet are not made by a restart either.
                results: state.train.results.evaluation.as_ref().and(state.train.results.run.clone()),
            },
            runs: KeptRuns::of(state),
        }
    }

    /// From its text.
    ///
    /// # Errors
    /// What is not such a view of this version of the program.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let kept: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if kept.version == VERSION {
            Ok(kept)
        } else {
            Err(format!("version = {}: this program reads {VERSION}", kept.version))
        }
    }

    /// As text.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

impl KeptCase {
    fn of(state: &State, document: &Document) -> Self {
        let image = |layer: &super::ImageLayer| KeptImage {
            path: layer.path.clone(),
            name: layer.name.clone(),
            modality: layer.modality.clone(),
            window: layer.default_window,
            frame: layer.frame,
        };
        Self {
            title: document.title.clone(),
            images: document.images.iter().map(image).collect(),
            shown: document.shown,
            mask: document.prediction.as_ref().and_then(|mask| mask.path.clone()),
            truth: document.truth.as_ref().and_then(|mask| mask.path.clone()),
            probability: document.probability.as_ref().and_then(|probability| probability.path.clone()),
            view: readable(state.view.clone()),
            patch: state.masking.pinned,
            cameras: state.masking.cameras,
        }
    }

    /// How to open it.
    pub fn request(&self) -> Request {
        let images = self.images.iter().map(|image| (Some(image.modality.key()), image.path.clone()));
        Request {
            title: Some(self.title.clone()),
            images: images.collect(),
            mask: self.mask.clone(),
            truth: self.truth.clone(),
            probability: self.probability.clone(),
            ..Request::default()
        }
    }

    /// Whether these are the images of a case that was opened.
    pub fn is(&self, document: &Document) -> bool {
        self.images.iter().map(|image| &image.path).eq(document.images.iter().map(|layer| &layer.path))
    }
}

/// JSON has no word for what is no number: values of a measurement that are none are not kept, its drawing is.
fn readable(mut view: View) -> View {
    for measure in &mut view.measures {
        measure.statistics = measure.statistics.filter(|s| s.mean.is_finite() && s.sd.is_finite());
    }
    view
}

impl KeptRuns {
    fn of(state: &State) -> Self {
        let timeline = &state.timeline;
        let kept = |run: &OpenRun| KeptRun { path: run.path.clone(), cursor: run.cursor };
        let compared = |compare: &Compare| (compare.run.as_ref().map(|run| run.path.clone()), compare.epoch);
        Self {
            pretrain: timeline.pretrain.as_ref().map(kept),
            finetune: timeline.finetune.as_ref().map(kept),
            active: timeline.active,
            compare: timeline.compare.as_ref().map(compared),
            pin: timeline.pin.clone(),
            wanted: timeline.wanted.clone(),
            look: timeline.look.clone(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::scene::Plane;
    use crate::state::view::{Measure, Statistics};
    use crate::state::{MeasureKind, PaneId};

    #[test]
    fn a_view_is_read_as_it_was_written_and_only_by_its_own_version() {
        let mut state = State { mode: Mode::Masking, ..State::default() };
        state.view.maximised = Some(PaneId::Linked(1));
        state.timeline.look.camera.zoom = 1.0 / 3.0;
        let kept = KeptView::of(&state);
        assert_eq!(KeptView::from_json(&kept.to_json().unwrap()).unwrap(), kept);
        let other = KeptView { version: 2, ..kept };
        assert!(KeptView::from_json(&other.to_json().unwrap()).is_err_and(|why| why.contains("version = 2")));
    }

    #[test]
    fn values_that_are_no_numbers_do_not_spoil_the_file() {
        let statistics = |mean| Some(Statistics { image: 0, frame: 0, voxels: 1, mean, sd: 0.0, area_mm2: 1.0 });
        let ends_mm = [glam::DVec3::ZERO; 2];
        let measure =
            |mean| Measure { kind: MeasureKind::Ellipse, plane: Plane::Axial, ends_mm, statistics: statistics(mean) };
        let view = View { measures: vec![measure(f64::NAN), measure(2.0)], ..View::default() };
        let mut case = KeptCase {
            title: String::new(),
            images: Vec::new(),
            shown: 0,
            mask: None,
            truth: None,
            probability: None,
            view,
            patch: None,
            cameras: Default::default(),
        };
        assert!(serde_json::from_str::<KeptCase>(&serde_json::to_string(&case).unwrap()).is_err());
        case.view = readable(case.view);
        let read: KeptCase = serde_json::from_str(&serde_json::to_string(&case).unwrap()).unwrap();
        assert_eq!(read.view.measures.len(), 2);
        assert!(read.view.measures[0].statistics.is_none() && read.view.measures[1].statistics.is_some());
    }
}
