//! Opens a case. Its first image is shown as soon as it and the masks are read; the rest follows.
//!
//! The job `Open` finds out what a path names, and reads the base image and its masks. A case is shown together with
//! its masks; a mask that cannot be read never hides it. `show` displays them and starts the jobs for the rest:
//! [`OpenOtherFiles`], the projection and the analysis.

mod base;
mod dicom;
mod folder;
mod read;
mod rest;
mod series;
mod slice_preview;

pub use read::{
    MaskProjection, MaskTarget, ReadMask, Reading, front_axis, layer_of, mask_layer, mask_projection, mask_textures,
    read_image, read_mask, read_probability,
};
pub use rest::{OpenOtherFiles, REST};

pub(super) use base::{Base, read_base};
use folder::{FolderContents, by_role, inspect};
pub(super) use series::listed;
use series::{RequestContent, content_of, holds_dicom};

use std::path::PathBuf;
use std::sync::Arc;

use engine::preprocess::LabelMap;
use engine::run::review::{ReviewLog, read};
use engine::words::plural;

use super::layer::LayerKind;
use super::review::{self, PrefetchSlot, PrefetchedCase};
use super::{
    Failure, Job, JobHandle, Jobs, Spec, analyse, autosave, edit, frame, layer, restore, segment, study, thumbnails,
    values,
};
use crate::gpu::Gpu;
use crate::scene::{Modality, PlaneMode};
use crate::state::names::file_name;
use crate::state::names::title_of;
use crate::state::{
    CaseId, CaseList, CaseRevision, Dialog, Document, FailedOpen, FindingList, Intent, MaskRole, PaneId, Request,
    SeriesList, Severity, Slot, State, View,
};

/// One case is opened at a time.
pub const SLOT: Slot = Slot::OPEN;

/// Opens a case, or lists the cases of a folder.
struct OpenJob {
    id: CaseId,
    request: Request,
    /// Repeats the opening after a failure, or after the question about an unsaved segmentation.
    again: Intent,
    /// Its entry in the list of cases, if it has one.
    listed: Option<CaseId>,
    /// What was open at the start. If it was unsaved, the user has been asked about it.
    replaces: Option<CaseRevision>,
    /// The modality to display first.
    modality: Option<Modality>,
    /// Meaning of the labels, as set by the user.
    label_map: Option<LabelMap>,
    gpu: Option<Gpu>,
    /// Where the case may be already, if it was prefetched.
    ahead: PrefetchSlot,
    /// The folder of the case, if it is in the list.
    root: Option<PathBuf>,
}

enum Opening {
    /// With the current verdicts of the folder, which another window may write.
    Case(Box<Base>, Option<Result<ReviewLog, String>>),
    Cases(Box<CaseList>),
    /// The series of a DICOM folder or archive.
    Series(Box<SeriesList>),
    /// A SEG or RTSTRUCT for the open images.
    Overlay(PathBuf),
}

/// Starts to open a case; it replaces the open one once its first image is read.
pub fn start(state: &mut State, jobs: &mut Jobs, request: Request, again: Intent) {
    if request.paths.is_empty() && request.images.is_empty() {
        return;
    }
    (state.failed, state.cache.partial_series) = (None, None);
    let (id, gpu) = (CaseId(jobs.unused_id()), jobs.gpu().cloned());
    let listed = match &again {
        Intent::OpenCase(listed) => Some(*listed),
        Intent::Visit(request) => state.cases.with_images(&request.images),
        Intent::Open(request) if request.restore.is_some() => state.cases.with_images(&request.images),
        _ => None,
    };
    if listed.is_some() {
        state.cases.open = listed;
    }
    let modality = state.session.view.modality.clone();
    let label_map = state.session.label_map.clone();
    // Prefetching ends: what is still being read would compete with this case for the disk.
    jobs.cancel_slot(review::PREFETCH);
    state.cache.ahead = None;
    let (replaces, ahead) = (state.case_revision(), Arc::clone(&jobs.ahead));
    let root = state.cases.root.clone().filter(|_| listed.is_some());
    jobs.start(OpenJob { id, request, again, listed, replaces, modality, label_map, gpu, ahead, root });
    // From the next frame on, the previous case is dimmed.
    state.jobs = jobs.statuses();
}

/// Opens a case of the list.
pub fn open_case(state: &mut State, jobs: &mut Jobs, id: CaseId) {
    let Some(case) = state.cases.get(id) else { return };
    let request = case.request();
    state.cases.open = Some(id);
    start(state, jobs, request, Intent::OpenCase(id));
}

/// Cancels the jobs of the open case when it is closed. Not called earlier, since it stays open if the next one fails.
pub fn leave(jobs: &mut Jobs) {
    let of_case = [
        SLOT,
        REST,
        layer::SLOT,
        layer::METHOD,
        analyse::SLOT,
        review::CONSENSUS,
        values::SLOT,
        frame::PROJECT,
        frame::FRAME,
        segment::SLOT,
        edit::SLOT,
        edit::PROJECT,
        edit::PREVIEW,
        edit::UPLOADS[0],
        edit::UPLOADS[1],
    ];
    of_case.into_iter().for_each(|slot| jobs.cancel_slot(slot));
}

impl Job for OpenJob {
    type Output = Opening;

    fn spec(&self) -> Spec {
        let name = self.request.title.clone().unwrap_or_else(|| file_name(self.request.first_path()));
        Spec::new(SLOT, format!("Opening {name}"))
    }

    fn run(&self, handle: &JobHandle) -> Result<Opening, Failure> {
        let mut request = self.request.clone();
        // Several folders of DICOM files, such as a CT and a PET, are images of one patient.
        let of_nifti = |path: &&PathBuf| path.is_dir() && !holds_dicom(path);
        if let (Some(folder), [_, _, ..]) = (request.paths.iter().find(of_nifti), &request.paths[..]) {
            let advice = "A folder opens alone. Open the folder that contains all patients, or the scans of one.";
            return Err(Failure::Error(format!("{}: {advice}", folder.display())));
        }
        match content_of(&request, self.id.0, handle)? {
            RequestContent::Other => {}
            RequestContent::Image(image) => request = *image,
            RequestContent::List(list) => return Ok(Opening::Series(list)),
            RequestContent::Overlay(path) => return Ok(Opening::Overlay(path)),
        }
        let request = match &request.paths[..] {
            [folder] if folder.is_dir() => match inspect(folder, &request)? {
                FolderContents::Patient(request) => request,
                FolderContents::Cohort(list) => return Ok(Opening::Cases(Box::new(list))),
            },
            _ => by_role(&request),
        };
        handle.check()?;
        let (modality, given) = (self.modality.as_ref(), self.label_map.as_ref());
        let base = if let Some(base) = PrefetchedCase::take(&self.ahead, &request, modality, given) {
            base
        } else {
            let stacks = request.stacks.clone();
            let reading = Reading { stacks, shows_slices: true, ..Reading::new(self.gpu.as_ref(), handle) };
            read_base(request, modality, given, &reading)?
        };
        let verdicts = self.root.as_ref().map(|root| read(root).map_err(|error| error.to_string()));
        Ok(Opening::Case(Box::new(base), verdicts))
    }

    fn apply(self, result: Result<Opening, Failure>, state: &mut State, jobs: &mut Jobs) {
        state.cache.partial_series = None;
        match result {
            Ok(Opening::Cases(list)) => {
                state.series = None;
                show_cases(state, jobs, *list);
            }
            Ok(Opening::Series(list)) => {
                if !self.held_back(state) {
                    show_series(state, jobs, *list);
                }
            }
            Ok(Opening::Overlay(path)) => {
                layer::start(state, jobs, LayerKind::Mask(MaskRole::Segmentation), vec![path]);
            }
            Ok(Opening::Case(base, verdicts)) => {
                match verdicts {
                    Some(Ok(log)) => state.cases.review.merge(&log.entries),
                    Some(Err(why)) => state.notice(Severity::Warning, "Note on the verdicts", why),
                    None => {}
                }
                if !self.held_back(state) {
                    if !self.is_of_list() {
                        leave_cases(state);
                    }
                    show(state, jobs, self.id, self.listed, *base);
                }
            }
            Err(failure) => {
                if failure != Failure::Cancelled && self.shows_other_list(state) {
                    leave(jobs);
                    state.close_document();
                }
                self.failed(&failure, state);
                restore::opening_failed(state, jobs);
            }
        }
    }
}

/// Closes the list of cases or of DICOM series.
pub fn leave_cases(state: &mut State) {
    state.cases = CaseList::default();
    state.series = None;
    state.session.train.visiting = false;
}

impl OpenJob {
    /// Whether the user must be asked first, because the segmentation became unsaved while the next case was read.
    fn held_back(&self, state: &mut State) -> bool {
        let now = state.case_revision();
        let held = state.document.as_ref().is_some_and(Document::is_unsaved) && now != self.replaces;
        if held {
            stay(state);
            state.dialog = Some(Dialog::Unsaved { next: self.again.clone() });
        }
        held
    }

    /// Whether the list of cases or series stays, because the case is in it or is a patient of a run's results.
    fn is_of_list(&self) -> bool {
        let kept = matches!(
            self.again,
            Intent::OpenCase(_) | Intent::Visit(_) | Intent::OpenSeries(_) | Intent::FuseSeries(_)
        );
        kept || self.listed.is_some()
    }

    /// Whether this case is of a list to which the shown one does not belong: a folder was opened, and its first case
    /// cannot be. The patient of another folder must not stay beside its list.
    fn shows_other_list(&self, state: &State) -> bool {
        let Some(document) = state.document.as_ref().filter(|document| !document.is_unsaved()) else { return false };
        let is_listed = |id| state.cases.cases.iter().any(|case| case.id == id);
        matches!(self.again, Intent::OpenCase(_)) && !document.listed.is_some_and(is_listed)
    }

    fn failed(self, failure: &Failure, state: &mut State) {
        let path = self.request.first_path().to_path_buf();
        if state.document.is_some() || *failure == Failure::Cancelled {
            stay(state);
            failure.report_unopened(&path, state);
        } else {
            // Without a case, the centre shows the error and a button to try again.
            state.failed = Some(FailedOpen { path, why: failure.reason(), retry: self.again });
        }
    }
}

/// Keeps the open case selected in the list.
fn stay(state: &mut State) {
    if let Some(document) = &state.document {
        state.cases.open = document.listed;
    }
}

/// Shows a case whose first image was read. Layout, tools and window/level stay.
fn show(state: &mut State, jobs: &mut Jobs, id: CaseId, listed: Option<CaseId>, base: Base) {
    let Base { image, masks, findings, comparison, unloaded, request, others, warnings, label_map } = base;
    leave(jobs);
    state.close_document();
    let image = state.session.with_user_modality(image);
    let before = state.last_notice();
    for warning in warnings {
        state.notice(Severity::Warning, "Note on this file", warning);
    }
    let restore = request.restore.clone();
    let title = request.title.clone().unwrap_or_else(|| title_of(image.path()));
    let mut document = Document { label_map, ..Document::new(id, listed, title, image) };
    document.study.clone_from(&request.study);
    for mask in masks {
        document.set_mask(mask.with_saved_revision(jobs.unused_id()));
    }
    document.mark_unedited();
    document.findings = findings.map(|list| FindingList { revisions: document.mask_revisions(), ..list });
    document.comparison = comparison;
    state.session.view = kept_view(&state.session.view, request.images.len());
    state.session.view.crosshair = document.display(state.session.settings.planes).middle();
    let listed = state.cases.root.clone().filter(|_| state.cases.open.is_some());
    let source = state.series.as_mut().map(|list| {
        list.browsing = false;
        list.source.clone()
    });
    state.session.settings.remember(&listed.or(source).unwrap_or_else(|| document.path.clone()));
    state.document = Some(document);
    state.failed = None;
    // Locked labels belong to a case.
    state.session.edit.locked.clear();
    state.take_over_styles();
    for mask in unloaded {
        if mask.remedy.is_none() {
            state.error(format!("Cannot open {}", file_name(mask.path())), &mask.details);
        }
        state.add_unloaded(mask, false);
    }
    for image in others {
        rest::add_image(state, &request, image);
    }
    if let Some(k) = request.slice {
        go_to_slice(state, k);
    } else if let Some(document) = &mut state.document {
        document.opened_at = Some(state.session.view.crosshair);
        state.look_at_first_finding();
    }
    state.assign_notices(before, id);
    frame::project_missing(state, jobs);
    OpenOtherFiles::start(state, jobs, request);
    study::patient::case_opened(state, jobs);
    match (restore, &mut state.document) {
        (Some(path), Some(document)) => document.once_opened = Some(Intent::RestoreEdits(path)),
        _ => autosave::case_opened(state, jobs),
    }
}

/// View settings that carry over from the last case.
fn kept_view(view: &View, images: usize) -> View {
    let still_there = |pane: &PaneId| !matches!(pane, PaneId::Linked(image) if *image >= images);
    View {
        tool: view.tool,
        maximised: view.maximised.filter(still_there),
        linked: view.linked && images > 1,
        overlay: view.overlay,
        colour_map: view.colour_map,
        modality: view.modality.clone(),
        fused_modality: view.fused_modality.clone(),
        fused_colour_map: view.fused_colour_map,
        fused_opacity: view.fused_opacity,
        small_findings: view.small_findings,
        ..View::default()
    }
}

/// Shows a slice of the file, 0-based along its axis nearest to S-I, at what the masks mark there.
fn go_to_slice(state: &mut State, k: usize) {
    let Some(document) = &state.document else { return };
    let grid = &document.base().volume.grid;
    let axis = engine::findings::axial_axis(grid);
    if k < grid.shape[axis] {
        let mut voxel = [0; 3];
        voxel[axis] = k;
        let slice = document.display(PlaneMode::Native).index_at(grid.world(voxel))[2];
        state.look_at_axial(slice);
    } else {
        let (slices, last) = (grid.shape[axis], grid.shape[axis] - 1);
        let why = format!("--slice {k}: {} has {}, 0 to {last}", document.title, plural(slices, "slice", "slices"));
        state.error("No such slice", why);
    }
}

/// Lists the series of a DICOM folder or archive and closes the open case, so that nothing on the screen seems to
/// belong to the new patient.
fn show_series(state: &mut State, jobs: &mut Jobs, list: SeriesList) {
    state.dismiss_failed_opens();
    leave(jobs);
    state.close_document();
    leave_cases(state);
    state.failed = None;
    state.session.settings.remember(&list.source);
    state.series = Some(list);
    super::series::thumbnails::start(state, jobs);
}

fn show_cases(state: &mut State, jobs: &mut Jobs, mut list: CaseList) {
    state.dismiss_failed_opens();
    if !list.problems.is_empty() {
        // One message for all problems: a large folder may have hundreds.
        let title = list.problem_title();
        state.notice(Severity::Info, title, list.problems.join("\n"));
    }
    for case in &mut list.cases {
        case.id = CaseId(jobs.unused_id());
    }
    let first = list.first_to_review();
    for warning in &list.review.warnings {
        state.notice(Severity::Warning, "Note on the verdicts", warning);
    }
    state.cases = list;
    state.session.train.visiting = false;
    thumbnails::start(state, jobs);
    if restore::folder_listed(state, jobs) {
        return;
    }
    // Choices made in another cohort do not apply here.
    (state.session.view.modality, state.session.view.fused_modality) = (None, None);
    if let (None, Some(first)) = (state.cases.open, first) {
        open_case(state, jobs, first);
    }
}
