//! Runs intents. Any that would discard unsaved work asks first.

use std::path::{Path, PathBuf};

use super::timeline::{self, TimelineCommand};
use super::train::{self, TrainCommand};
use super::{RunsCommand, StudyCommand, dispatch as carry_out, labels, masking, review, study, window};
use crate::state::edit::UndoStep;
use crate::state::intent::ReviewFile;
use crate::state::names::{is_mask_name, is_nifti_name, is_segmentation_name};
use crate::state::study::StudyMasks;
use crate::state::{Dialog, Document, Intent, MaskRole, PathPurpose, PathRequest, QueueOrder, Request, State};
use crate::worker::layer::{self, LayerKind};
use crate::worker::review::{export as export_review, join, set_order};
use crate::worker::study::patient::show_method;
use crate::worker::{Jobs, analyse, autosave, dialog, edit, export, open, save, segment, series};

/// Runs an intent, or asks first if it would discard an unsaved segmentation.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, intent: Intent) {
    if state.document.as_ref().is_some_and(Document::is_unsaved) && loses_segmentation(state, &intent) {
        state.dialog = Some(Dialog::Unsaved { next: intent });
    } else {
        without_asking(state, jobs, intent);
    }
}

/// Whether an intent discards the open case's segmentation and the user has not been asked.
fn loses_segmentation(state: &State, intent: &Intent) -> bool {
    match intent {
        Intent::Ask(purpose) => {
            matches!(purpose, PathPurpose::Files | PathPurpose::Folder | PathPurpose::Segmentation)
        }
        Intent::UsePaths(request, paths) => {
            let takes_its_place = match request.purpose {
                PathPurpose::Folder | PathPurpose::Segmentation => true,
                // If only masks are given, they are added to the open image, and only a segmentation replaces the
                // segmentation.
                PathPurpose::Files => !paths.iter().all(|path| is_reference(path)),
                _ => false,
            };
            // The user was asked before the dialog opened, and the segmentation has not changed.
            let asked = request.of.is_some() && request.of == state.case_revision();
            takes_its_place && !asked
        }
        Intent::Open(_)
        | Intent::Visit(_)
        | Intent::OpenSample
        | Intent::OpenCase(_)
        | Intent::OpenSeries(_)
        | Intent::StepCase(_)
        | Intent::CloseCase
        | Intent::Segment
        | Intent::RestoreEdits(_)
        | Intent::Consensus(_)
        | Intent::CorrectReference
        | Intent::RemoveSegmentation => true,
        Intent::ShowMethod(_) => {
            let study = state.document.as_ref().and_then(|document| document.study.as_ref());
            !study.is_some_and(StudyMasks::is_remade)
        }
        Intent::FuseSeries(pair) => !series::fuses_in_place(state, *pair),
        Intent::LoadMask(role) => *role == MaskRole::Segmentation,
        // Closing has its own dialog, and the next case of a review its own step.
        Intent::Review(_) | Intent::AddToLabels(_) | Intent::RestoreRun(_) | Intent::QuitNow => false,
    }
}

/// Whether undo brings the segmentation back that an intent replaces: the case stays open.
pub fn is_undoable(intent: &Intent) -> bool {
    match intent {
        Intent::Segment
        | Intent::Consensus(_)
        | Intent::CorrectReference
        | Intent::RemoveSegmentation
        | Intent::LoadMask(_)
        | Intent::Ask(PathPurpose::Segmentation) => true,
        Intent::UsePaths(request, paths) => match request.purpose {
            PathPurpose::Segmentation => true,
            PathPurpose::Files => only_masks(paths),
            _ => false,
        },
        _ => false,
    }
}

/// Whether opened paths are masks alone, which are added to the open image.
fn only_masks(paths: &[PathBuf]) -> bool {
    paths.iter().all(|path| is_nifti_name(path) && is_mask_name(path))
}

fn is_reference(path: &Path) -> bool {
    is_mask_name(path) && !is_segmentation_name(path)
}

/// Runs an intent without asking about an unsaved segmentation.
pub fn without_asking(state: &mut State, jobs: &mut Jobs, intent: Intent) {
    match intent {
        Intent::Ask(purpose) => {
            state.dialog = None;
            dialog::ask(state, jobs, purpose);
        }
        Intent::UsePaths(request, paths) => {
            state.dialog = None;
            use_paths(state, jobs, &request, paths);
        }
        Intent::Open(request) => {
            let again = Intent::Open(request.clone());
            open::start(state, jobs, *request, again);
        }
        Intent::Visit(request) => {
            state.cases.open = state.cases.with_images(&request.images);
            state.session.train.visiting = true;
            let again = Intent::Visit(request.clone());
            open::start(state, jobs, *request, again);
        }
        Intent::OpenSample => match crate::sample::folder() {
            Some(folder) => {
                let request = Request { paths: vec![folder], ..Request::default() };
                open::start(state, jobs, request, Intent::OpenSample);
            }
            None => state
                .error("No sample study", "assets/sample was not found beside the program or in the current folder."),
        },
        Intent::OpenCase(case) => open::open_case(state, jobs, case),
        Intent::OpenSeries(id) => series::start(state, jobs, id),
        Intent::FuseSeries(pair) => series::fuse(state, jobs, pair),
        Intent::StepCase(by) => {
            if let Some(case) = state.cases.neighbour(by) {
                open::open_case(state, jobs, case);
            }
        }
        Intent::CloseCase => {
            open::leave(jobs);
            let series = state.series.take().filter(|_| state.document.is_some());
            state.close_document();
            state.failed = None;
            open::leave_cases(state);
            // The series stay listed until their folder is closed as well.
            state.series = series;
        }
        Intent::Segment => segment::start(state, jobs),
        Intent::ShowMethod(at) => show_method(state, jobs, at),
        Intent::RemoveSegmentation => {
            if let Some(document) = &mut state.document {
                document.edits.stroke = None;
                // Discard the slices of a running segmentation.
                document.restore_stashed();
                let before = document.take_segmentation();
                if before.segmentation.is_some() {
                    let step = UndoStep::Segmentation(Box::new(before.stored()));
                    document.edits.list.push("Remove segmentation", step);
                }
                document.forget_results();
                state.session.view.finding = None;
            }
            analyse::start(state, jobs);
        }
        Intent::CorrectReference => edit::copy_reference(state, jobs),
        Intent::LoadMask(role) => layer::load_unfit(state, jobs, role),
        Intent::Consensus(method) => join(state, jobs, method),
        Intent::Review(step) => review::step(state, jobs, step),
        Intent::RestoreEdits(path) => autosave::restore(state, jobs, &path),
        Intent::AddToLabels(scope) => labels::add(state, jobs, scope),
        Intent::RestoreRun(trashed) => carry_out(state, jobs, RunsCommand::Restore(trashed)),
        Intent::QuitNow => {
            // The user was asked about unsaved edits.
            autosave::forget(jobs);
            window::quit_now(state, jobs);
        }
    }
}

/// Uses paths for their purpose. Refuses an answer for a case that is no longer open or a segmentation that has changed.
fn use_paths(state: &mut State, jobs: &mut Jobs, request: &PathRequest, paths: Vec<PathBuf>) {
    let Some(first) = paths.first().cloned() else { return };
    if let Some(why) = state.refusal(request) {
        state.after_saving = None;
        return state.error("The chosen file was not used", format!("{}: {why}", first.display()));
    }
    match request.purpose {
        PathPurpose::Files | PathPurpose::Folder => open_or_add(state, jobs, request.purpose, paths),
        PathPurpose::Segmentation => layer::start(state, jobs, LayerKind::Mask(MaskRole::Segmentation), vec![first]),
        PathPurpose::Reference => layer::start(state, jobs, LayerKind::Mask(MaskRole::Reference), vec![first]),
        PathPurpose::Probability => layer::start(state, jobs, LayerKind::Probability, vec![first]),
        PathPurpose::Model => segment::choose_model(state, &first),
        PathPurpose::Cohort => train::dispatch(state, jobs, TrainCommand::UseCohort(first)),
        PathPurpose::Pretrained => train::dispatch(state, jobs, TrainCommand::FinetuneFrom(Some(first))),
        PathPurpose::Workspace => train::dispatch(state, jobs, TrainCommand::SetWorkspace(first)),
        PathPurpose::Run => timeline::dispatch(state, jobs, TimelineCommand::Open(first)),
        PathPurpose::Study => study::dispatch(state, jobs, StudyCommand::Open(first)),
        PathPurpose::CompareRun => timeline::dispatch(state, jobs, TimelineCommand::Compare(vec![first])),
        PathPurpose::MaskingRun => masking::choose_run(state, &first),
        PathPurpose::Review(ReviewFile::Order) => set_order(state, jobs, QueueOrder::List(first)),
        PathPurpose::SaveSegmentation
        | PathPurpose::SaveReference
        | PathPurpose::MaskingPicture
        | PathPurpose::MaskingTable
        | PathPurpose::ViewPicture
        | PathPurpose::FindingsTable
        | PathPurpose::AgreementTable
        | PathPurpose::MeasurementsTable
        | PathPurpose::Review(_)
        | PathPurpose::TrainExport(_) => {
            write(state, jobs, request.purpose, &first, false);
        }
    }
}

/// Writes to a path. An existing file is replaced only if `overwrite`.
pub(super) fn write(state: &mut State, jobs: &mut Jobs, purpose: PathPurpose, path: &Path, overwrite: bool) {
    match purpose {
        PathPurpose::SaveSegmentation => save::to(state, jobs, MaskRole::Segmentation, path, overwrite),
        PathPurpose::SaveReference => save::to(state, jobs, MaskRole::Reference, path, overwrite),
        PathPurpose::Review(file) => export_review(state, jobs, file, path, overwrite),
        _ => export::to(state, jobs, purpose, path, overwrite),
    }
}

/// Paths that were opened, typed or dropped. If they are only masks, they are added to the open image.
fn open_or_add(state: &mut State, jobs: &mut Jobs, purpose: PathPurpose, paths: Vec<PathBuf>) {
    if state.document.is_some() && only_masks(&paths) {
        // Several references are merged; of several segmentations, the last one is kept.
        let (segmentations, regions): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| is_segmentation_name(path));
        for path in segmentations {
            layer::start(state, jobs, LayerKind::Mask(MaskRole::Segmentation), vec![path]);
        }
        layer::start(state, jobs, LayerKind::Mask(MaskRole::Reference), regions);
        return;
    }
    let again = Intent::UsePaths(purpose.into(), paths.clone());
    open::start(state, jobs, Request { paths, ..Request::default() }, again);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_replace_the_segmentation_need_a_question() {
        let state = State::default();
        let loses = |intent: &Intent| loses_segmentation(&state, intent);
        let files = |names: &[&str]| Intent::open_paths(names.iter().map(Into::into).collect());
        assert!(!loses(&files(&["case_seg.nii.gz"])));
        assert!(loses(&files(&["case_pred.nii.gz"])));
        assert!(loses(&files(&["case_seg.nii.gz", "other.nii.gz"])));
        assert!(loses(&Intent::StepCase(1)));
        assert!(loses(&Intent::RemoveSegmentation));
        assert!(!loses(&Intent::Ask(PathPurpose::Reference)));
        assert!(!loses(&Intent::QuitNow));
    }

    #[test]
    fn a_segmentation_that_is_replaced_in_the_open_case_can_be_brought_back() {
        let files = |names: &[&str]| Intent::open_paths(names.iter().map(Into::into).collect());
        for undoable in [Intent::Segment, Intent::RemoveSegmentation, files(&["case_pred.nii.gz"])] {
            assert!(is_undoable(&undoable), "{undoable:?}");
        }
        for lost in [Intent::StepCase(1), Intent::CloseCase, files(&["case_pred.nii.gz", "other.nii.gz"])] {
            assert!(!is_undoable(&lost), "{lost:?}");
        }
    }
}
