//! Opening a case: its first image is shown as soon as it and the masks are read, the rest follows.
//!
//! The job `Open` finds out what a path names, and reads the base image and its masks: a case is never shown without the masks
//! that it was opened with. `show` puts them into the window and starts the jobs that bring the rest: [`OpenRest`], the projection
//! and the analysis.

mod read;
mod rest;

use std::path::{Path, PathBuf};

use engine::cohort::Cohort;
use engine::volume::{LabelVolume, Relation};

pub use read::{front_axis, layer_of, mask_layer, read_image, read_mask, read_probability};
pub use rest::{OpenRest, REST};

use super::{Failure, Job, JobHandle, Jobs, Spec, analyse, frame, layer, restore, segment, thumbnails};
use crate::gpu::Gpu;
use crate::state::names::{file_stem, is_mask_name, is_segmentation_name, title_of};
use crate::state::{
    CaseId, CaseList, CaseRevision, Dialog, Document, FailedOpen, ImageLayer, Intent, ListedCase, MaskLayer, PaneId,
    Request, Severity, Slot, State, View,
};

/// One case is opened at a time.
pub const SLOT: Slot = Slot::exclusive("open");

/// Opens a case, or lists the cases of a folder.
struct Open {
    id: CaseId,
    request: Request,
    /// What opens the same again: after a failure, or once an unsaved segmentation is dealt with.
    again: Intent,
    /// The case of the list that this is.
    listed: Option<CaseId>,
    /// What was open at the start. The user has been asked about it if it was unsaved.
    replaces: Option<CaseRevision>,
    gpu: Option<Gpu>,
}

/// The base image of a case with its masks, and what is still to be read.
struct Base {
    image: ImageLayer,
    segmentation: Option<MaskLayer>,
    reference: Option<MaskLayer>,
    request: Request,
    /// Images that were read on the way to the base image.
    others: Vec<ImageLayer>,
    warnings: Vec<String>,
}

enum Opened {
    Case(Box<Base>),
    Cases(CaseList),
}

/// Starts to open a case; it replaces the open one once its first image is read.
pub fn start(state: &mut State, jobs: &mut Jobs, request: Request, again: Intent) {
    if request.paths.is_empty() && request.images.is_empty() {
        return;
    }
    leave(jobs);
    state.failed = None;
    let (id, gpu) = (CaseId(jobs.unused_id()), jobs.gpu().cloned());
    let listed = if let Intent::OpenCase(listed) = &again { Some(*listed) } else { None };
    jobs.start(Open { id, request, again, listed, replaces: state.case_revision(), gpu });
}

/// Opens a case of the list.
pub fn open_case(state: &mut State, jobs: &mut Jobs, id: CaseId) {
    let Some(case) = state.cases.get(id) else { return };
    let request = case.request();
    state.cases.open = Some(id);
    start(state, jobs, request, Intent::OpenCase(id));
}

/// Cancels what is computed for the open case: it is about to be closed.
pub fn leave(jobs: &mut Jobs) {
    let of_case = [SLOT, REST, layer::SLOT, analyse::SLOT, frame::PROJECT, frame::FRAME, segment::SLOT];
    of_case.into_iter().for_each(|slot| jobs.cancel_slot(slot));
}

impl Job for Open {
    type Output = Opened;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, format!("Opening {}", self.request.first_path().display()))
    }

    fn run(&self, handle: &JobHandle) -> Result<Opened, Failure> {
        let request = match self.request.folder() {
            Some(folder) => match look_through(folder, &self.request)? {
                Found::Case(request) => *request,
                Found::Cases(list) => return Ok(Opened::Cases(list)),
            },
            None => sorted(&self.request),
        };
        handle.check()?;
        Ok(Opened::Case(Box::new(read_base(request, self.gpu.as_ref(), handle)?)))
    }

    fn apply(self, result: Result<Opened, Failure>, state: &mut State, jobs: &mut Jobs) {
        match result {
            Ok(Opened::Cases(list)) => show_cases(state, jobs, list),
            Ok(Opened::Case(base)) => {
                if !self.held_back(state) {
                    show(state, jobs, self.id, self.listed, *base);
                }
            }
            Err(failure) => {
                self.failed(&failure, state);
                restore::opening_failed(state, jobs);
            }
        }
    }
}

impl Open {
    /// Never takes the place of a segmentation that became unsaved while the case was read: asks first.
    fn held_back(&self, state: &mut State) -> bool {
        let now = state.case_revision();
        let held = state.document.as_ref().is_some_and(Document::is_unsaved) && now != self.replaces;
        if held {
            state.cases.open = state.document.as_ref().and_then(|document| document.listed);
            state.dialog = Some(Dialog::Unsaved { next: self.again.clone() });
        }
        held
    }

    fn failed(self, failure: &Failure, state: &mut State) {
        let path = self.request.first_path().to_path_buf();
        if state.document.is_some() || *failure == Failure::Cancelled {
            failure.report(&self.spec().title, state);
        } else {
            // Nothing else is shown: the centre says it, with a way to try again.
            state.failed = Some(FailedOpen { path, why: failure.reason(), retry: self.again });
        }
    }
}

/// The files that the user pointed at, by role. Masks are told by name unless roles are given; nothing but masks: the
/// first is looked at as an image.
fn sorted(request: &Request) -> Request {
    if request.paths.is_empty() {
        return request.clone();
    }
    let all = || request.paths.iter().cloned();
    let mut masks: Vec<PathBuf> = Vec::new();
    let mut images: Vec<PathBuf> = Vec::new();
    if request.names_something() {
        images.extend(all());
    } else {
        (masks, images) = all().partition(|path| is_mask_name(path));
        if images.is_empty() {
            images.push(masks.remove(0));
        }
    }
    let segmentation = |path: &&PathBuf| is_segmentation_name(path);
    let found = Request {
        title: request.title.clone(),
        images: images.into_iter().map(|path| (None, path)).collect(),
        mask: masks.iter().find(segmentation).cloned(),
        truth: masks.iter().find(|path| !is_segmentation_name(path)).cloned(),
        ..Request::default()
    };
    request.over(found)
}

enum Found {
    Case(Box<Request>),
    Cases(CaseList),
}

/// One patient's files are opened, more patients become the list of cases. What `named` names beside the folder
/// belongs to one patient.
fn look_through(folder: &Path, named: &Request) -> Result<Found, Failure> {
    match Cohort::discover(folder) {
        Ok(cohort) if !named.names_something() => Ok(Found::Cases(case_list(cohort))),
        Ok(cohort) => match &case_list(cohort).cases[..] {
            [case] => Ok(Found::Case(Box::new(named.over(case.request())))),
            cases => Err(Failure::Error(format!(
                "{} has {} patients: --mask, --truth, --probability and --slice go with the scans of one",
                folder.display(),
                cases.len()
            ))),
        },
        Err(no_cohort) => {
            let (masks, images): (Vec<PathBuf>, Vec<PathBuf>) =
                scans_in(folder).into_iter().partition(|path| is_mask_name(path));
            if images.is_empty() {
                return Err(no_cohort.into());
            }
            let request = Request {
                title: folder.file_name().map(|n| n.to_string_lossy().into_owned()),
                images: images.into_iter().map(|p| (None, p)).collect(),
                truth: masks.into_iter().next(),
                ..Request::default()
            };
            Ok(Found::Case(Box::new(named.over(request))))
        }
    }
}

fn scans_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let is_scan = |p: &PathBuf| {
        let name = p.to_string_lossy().to_lowercase();
        p.is_file() && [".nii", ".nii.gz", ".hdr"].iter().any(|ending| name.ends_with(ending))
    };
    let mut files: Vec<PathBuf> = entries.filter(is_scan).collect();
    files.sort();
    files
}

fn case_list(cohort: Cohort) -> CaseList {
    let problems = cohort.problems.iter().map(|p| {
        let place = p.file.clone().or_else(|| p.case.clone()).unwrap_or_default();
        format!("{place}: {}", p.what)
    });
    let left_out = cohort.left_out_summary();
    let problems = left_out.into_iter().chain(problems).collect();
    let cases = cohort.cases.into_iter().map(|case| ListedCase {
        images: case.image_paths(),
        label: case.masks.first().cloned(),
        name: case.id,
        ..ListedCase::default()
    });
    CaseList { cases: cases.collect(), root: Some(cohort.root), problems, ..CaseList::default() }
}

/// Reads the image that everything lies on: the first, or the first that the mask fits. None fits: the first; the mask's
/// own reading names both geometries.
fn read_base(mut request: Request, gpu: Option<&Gpu>, handle: &JobHandle) -> Result<Base, Failure> {
    let mut warnings = Vec::new();
    let several = request.images.len() > 1;
    let mask = request.mask.as_ref().or(request.truth.as_ref()).filter(|_| several);
    let grid = mask.map(|mask| LabelVolume::read(mask)).transpose()?.map(|labels| labels.grid);
    let fits =
        |image: &ImageLayer| grid.as_ref().is_none_or(|grid| grid.relation(&image.volume.grid) != Relation::Different);
    let mut images = Vec::new();
    for (modality, path) in &request.images {
        handle.progress(None, file_stem(path));
        handle.check()?;
        images.push(read_image(path, modality.as_deref(), several, gpu, &mut warnings)?);
        if images.last().is_some_and(fits) {
            break;
        }
    }
    let base = if images.last().is_some_and(fits) { images.len() - 1 } else { 0 };
    let first = request.images.remove(base);
    request.images.insert(0, first);
    let image = images.remove(base);
    let mut mask = |path: &Option<PathBuf>| {
        path.as_ref().map(|path| read_mask(path, &image.volume, gpu, &mut warnings)).transpose()
    };
    let (segmentation, reference) = (mask(&request.mask)?, mask(&request.truth)?);
    Ok(Base { image, segmentation, reference, request, others: images, warnings })
}

/// Shows a case whose first image was read. Layout, tools and window/level stay.
fn show(state: &mut State, jobs: &mut Jobs, id: CaseId, listed: Option<CaseId>, base: Base) {
    let Base { image, segmentation, reference, request, others, warnings } = base;
    for warning in warnings {
        state.notice(Severity::Warning, "About this file", warning);
    }
    let title = request.title.clone().unwrap_or_else(|| title_of(image.path()));
    let mut document = Document::new(id, listed, title, image);
    document.prediction = segmentation.map(|mask| mask.as_read(jobs.unused_id()));
    document.truth = reference.map(|mask| mask.as_read(jobs.unused_id()));
    state.session.view = kept_view(&state.session.view, request.images.len());
    state.session.view.crosshair = document.display(state.session.settings.planes).middle();
    let path = state.cases.root.clone().filter(|_| state.cases.open.is_some()).unwrap_or_else(|| document.path.clone());
    state.session.settings.remember(&path);
    state.document = Some(document);
    state.failed = None;
    if let Some(k) = request.slice {
        go_to_slice(state, k);
    } else if let Some(document) = &mut state.document {
        document.opened_at = Some(state.session.view.crosshair);
    }
    frame::project_missing(state, jobs);
    OpenRest::start(state, jobs, request, &others);
}

/// What stays of how the last case was looked at.
fn kept_view(view: &View, images: usize) -> View {
    let still_there = |pane: &PaneId| !matches!(pane, PaneId::Linked(image) if *image >= images);
    View {
        tool: view.tool,
        maximised: view.maximised.filter(still_there),
        linked: view.linked && images > 1,
        overlay: view.overlay,
        colour_map: view.colour_map,
        fused_colour_map: view.fused_colour_map,
        fused_opacity: if view.fused_opacity > 0.0 { view.fused_opacity } else { 0.5 },
        ..View::default()
    }
}

/// Shows a slice of the file, 0-based along its axis nearest to S-I.
fn go_to_slice(state: &mut State, k: usize) {
    let Some(document) = &state.document else { return };
    let grid = &document.base().volume.grid;
    let axis = engine::findings::axial_axis(grid);
    if k < grid.shape[axis] {
        let display = document.display(crate::scene::PlaneMode::Native);
        let mut voxel = display.voxel_at(state.session.view.crosshair).unwrap_or_default();
        voxel[axis] = k;
        state.session.view.crosshair = grid.world(voxel);
    } else {
        let (slices, last) = (grid.shape[axis], grid.shape[axis] - 1);
        let why = format!("--slice {k}: {} has {slices} slices, 0 to {last}", document.title);
        state.error("No such slice", why);
    }
}

fn show_cases(state: &mut State, jobs: &mut Jobs, mut list: CaseList) {
    if !list.problems.is_empty() {
        // One message for all: a folder of hundreds may have hundreds.
        let title = format!("{} notes about this folder", list.problems.len());
        state.notice(Severity::Info, title, list.problems.join("\n"));
    }
    for case in &mut list.cases {
        case.id = CaseId(jobs.unused_id());
    }
    let first = list.cases.first().map(|case| case.id);
    state.cases = list;
    thumbnails::start(state, jobs);
    if restore::folder_listed(state, jobs) {
        return;
    }
    if let (None, Some(first)) = (state.cases.open, first) {
        open_case(state, jobs, first);
    }
}
