//! What jobs bring, and how it changes the state.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::device::DeviceInfo;
use engine::volume::LabelVolume;

use super::analyse::Analysis;
use super::open::Opened;
use super::{Arrival, Failure, Jobs, Kind};
use crate::state::layer::Projection;
use crate::state::{
    CaseList, Document, ImageLayer, MaskLayer, PathPurpose, ProbabilityLayer, Severity, State, Thumbnail,
};

/// What a job brings.
pub enum Outcome {
    /// Nothing more to say.
    Nothing,
    /// A case to show.
    Opened(Box<Opened>),
    /// The cases of a folder.
    Cases(Box<CaseList>),
    /// A mask of the open case.
    Mask {
        /// True for the reference.
        truth: bool,
        /// The mask.
        layer: Box<MaskLayer>,
        /// Oddities of the file.
        warnings: Vec<String>,
    },
    /// The network's probability for the open case.
    Probability(Box<ProbabilityLayer>),
    /// Findings, comparison and measures of the masks of these revisions.
    Analysed(Box<Analysis>),
    /// An image seen through from the front.
    Projected {
        /// The image's place in the case.
        image: usize,
        /// The projection.
        projection: Projection,
    },
    /// Another frame.
    Frame {
        /// The image's place in the case.
        image: usize,
        /// The image with that frame.
        layer: Box<ImageLayer>,
    },
    /// A picture of a case, or why there is none.
    Thumbnail {
        /// The case's place in the list.
        case: usize,
        /// The picture.
        picture: Result<Arc<Thumbnail>, String>,
    },
    /// The segmentation so far.
    SegmentedSlices {
        /// Labels on the image's grid.
        labels: Arc<LabelVolume>,
        /// The same on the graphics card.
        texture: Option<crate::gpu::Texture>,
    },
    /// The finished segmentation.
    Segmented {
        /// The mask.
        layer: Box<MaskLayer>,
        /// The probability of its first region.
        probability: Box<ProbabilityLayer>,
        /// How long it took, in words.
        note: String,
    },
    /// A file was written.
    Saved {
        /// The file.
        path: PathBuf,
    },
    /// What the user chose in a dialog of the system; none if it was closed.
    Picked {
        /// What for.
        purpose: PathPurpose,
        /// The paths.
        paths: Option<Vec<PathBuf>>,
    },
    /// A picture or a table was written.
    Exported {
        /// The file.
        path: PathBuf,
    },
    /// Devices that can compute.
    Devices(Vec<DeviceInfo>),
    /// For Masking mode.
    Masking(Box<super::masking::Found>),
    /// For Train mode.
    Train(Box<super::train::Told>),
    /// For the timeline.
    Replay(Box<super::replay::Read>),
    /// For the table of runs.
    Runs(Box<super::runs::Listed>),
}

/// Looks at the jobs and lets what arrived change the state.
pub fn apply_arrivals(state: &mut State, jobs: &mut Jobs) {
    for arrival in jobs.poll() {
        apply(state, jobs, arrival);
    }
    state.jobs = jobs.statuses();
    state.cases.loading = jobs.runs(Kind::Open);
}

/// True if the result is for a case that is no longer open.
fn is_stale(state: &State, arrival: &Arrival) -> bool {
    arrival.spec.document.is_some() && arrival.spec.document != state.document.as_ref().map(|d| d.id)
}

fn apply(state: &mut State, jobs: &mut Jobs, arrival: Arrival) {
    if is_stale(state, &arrival) {
        late(state, &arrival);
        return;
    }
    if let Err(failure) = &arrival.result {
        super::train::failed(state, jobs, &arrival.spec, failure);
    }
    match arrival.result {
        Ok(outcome) => match outcome {
            Outcome::Nothing => {}
            Outcome::Opened(opened) => super::open::show(state, jobs, *opened),
            Outcome::Cases(list) => show_cases(state, jobs, *list),
            Outcome::Picked { purpose, paths } => super::dialog::picked(state, jobs, purpose, paths),
            Outcome::Devices(devices) => state.cache.devices = devices,
            Outcome::Masking(found) => super::masking::apply(state, jobs, *found),
            Outcome::Train(told) => super::train::apply(state, jobs, *told),
            Outcome::Replay(read) => super::replay::apply(state, jobs, *read),
            Outcome::Runs(listed) => super::runs::apply(state, jobs, *listed),
            Outcome::Thumbnail { case, picture } => {
                if let Some(case) = state.cases.cases.get_mut(case) {
                    match picture {
                        Ok(picture) => case.thumbnail = Some(picture),
                        Err(why) => case.error = Some(why),
                    }
                }
            }
            Outcome::Saved { path } => saved(state, jobs, &path),
            Outcome::Exported { path } => state.notice(Severity::Info, "Written", path.display().to_string()),
            other => change_document(state, jobs, other),
        },
        Err(failure) => ended_early(state, jobs, &arrival.spec, failure),
    }
}

/// A job that did not end well. A segmentation that ended halfway leaves what was there before.
fn ended_early(state: &mut State, jobs: &mut Jobs, spec: &super::Spec, failure: Failure) {
    let put_back = spec.kind == Kind::Segment && state.document.as_mut().is_some_and(Document::put_back);
    if put_back {
        super::analyse::start(state, jobs);
    }
    match failure {
        Failure::Cancelled => cancelled(state, spec),
        Failure::Error(why) => failed(state, spec, &why),
        Failure::Panic(what) => {
            let why = format!("a defect in the program stopped this job; everything else goes on. {what}");
            failed(state, spec, &why);
        }
    }
    if spec.kind == Kind::Open {
        super::restore::opening_failed(state, jobs);
    }
}

/// A result for a case that is no longer open. It changes nothing, but whether a file was written must be known.
fn late(state: &mut State, arrival: &Arrival) {
    if arrival.spec.kind != Kind::Save {
        return;
    }
    match &arrival.result {
        Ok(Outcome::Saved { path }) => {
            state.notice(Severity::Info, "Segmentation saved", path.display().to_string());
        }
        Err(Failure::Error(why) | Failure::Panic(why)) => failed(state, &arrival.spec, why),
        Ok(_) | Err(Failure::Cancelled) => {}
    }
}

fn show_cases(state: &mut State, jobs: &mut Jobs, list: CaseList) {
    if !list.problems.is_empty() {
        // One message for all: a folder of hundreds may have hundreds.
        let title = format!("{} notes about this folder", list.problems.len());
        state.notice(Severity::Info, title, list.problems.join("\n"));
    }
    state.cases = list;
    super::thumbnails::start(state, jobs);
    if super::restore::list_arrived(state, jobs) {
        return;
    }
    if state.cases.open.is_none() {
        super::open::open_case(state, jobs, 0);
    }
}

fn saved(state: &mut State, jobs: &mut Jobs, path: &Path) {
    if let Some(document) = &mut state.document {
        document.unsaved = false;
        if let Some(prediction) = &mut document.prediction {
            prediction.path = Some(path.to_path_buf());
        }
    }
    state.notice(Severity::Info, "Segmentation saved", path.display().to_string());
    crate::command::unsaved::saved(state, jobs);
}

/// Results that change the open case.
fn change_document(state: &mut State, jobs: &mut Jobs, outcome: Outcome) {
    let Some(document) = &mut state.document else { return };
    match outcome {
        Outcome::Mask { truth, layer, warnings } => {
            let slot = if truth { &mut document.truth } else { &mut document.prediction };
            *slot = Some(*layer);
            if !truth {
                (document.unsaved, document.replaced) = (false, None);
            }
            for warning in warnings {
                state.notice(Severity::Warning, "About the mask", warning);
            }
            super::analyse::start(state, jobs);
        }
        Outcome::Probability(layer) => {
            document.probability = Some(*layer);
            super::analyse::start(state, jobs);
        }
        Outcome::Analysed(analysis) => analysis.enter(document),
        Outcome::Projected { image, projection } => {
            if let Some(layer) = document.images.get_mut(image) {
                layer.projection = Some(projection);
            }
        }
        Outcome::Frame { image, layer } => {
            if let Some(slot) = document.images.get_mut(image) {
                *slot = *layer;
            }
            super::frame::project(state, jobs, image);
        }
        Outcome::SegmentedSlices { labels, texture } => {
            document.put_aside();
            let revision = document.prediction.as_ref().map_or(0, |m| m.revision) + 1;
            document.prediction =
                Some(MaskLayer { path: None, labels, present: Vec::new(), texture, projection: None, revision });
            document.forget_results();
        }
        Outcome::Segmented { layer, probability, note } => {
            let revision = document.prediction.as_ref().map_or(0, |m| m.revision) + 1;
            document.prediction = Some(MaskLayer { revision, ..*layer });
            document.probability = Some(*probability);
            (document.unsaved, document.replaced) = (true, None);
            state.notice(Severity::Info, "Segmentation finished", note);
            super::analyse::start(state, jobs);
        }
        _ => {}
    }
}

/// What waited for a segmentation to be saved would lose one that could not be.
fn forget_what_waits(state: &mut State, spec: &super::Spec) {
    if spec.kind == Kind::Save {
        state.after_saving = None;
    }
}

fn cancelled(state: &mut State, spec: &super::Spec) {
    forget_what_waits(state, spec);
    super::masking::ended(state, spec, "It was cancelled.");
    if !matches!(spec.kind, Kind::Dialog | Kind::Train) {
        state.notice(Severity::Info, "Cancelled", spec.title.clone());
    }
}

fn failed(state: &mut State, spec: &super::Spec, why: &str) {
    forget_what_waits(state, spec);
    if super::masking::ended(state, spec, why) {
        return;
    }
    if spec.kind == Kind::Open && state.document.is_none() {
        // Nothing else is shown: the views' place says it, with a way to try again.
        let path = PathBuf::from(spec.title.trim_start_matches("Opening "));
        state.failed = Some((path, why.to_owned()));
        return;
    }
    state.error(format!("{} failed", spec.title), why);
}
