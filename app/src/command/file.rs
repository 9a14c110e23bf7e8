//! Commands about files, masks and the segmentation.

use std::path::{Path, PathBuf};

use super::action::ActionList;
use super::intent;
use crate::state::document::Stash;
use crate::state::edit::UndoStep;
use crate::state::names::{has_parent_components, series_name};
use crate::state::{Dialog, Document, Intent, MaskRole, PathPurpose, PathRequest, Severity, State, table};
use crate::worker::{Jobs, analyse, dialog, edit, save, segment};

/// A command about files and masks.
#[derive(Clone, Debug, PartialEq)]
pub enum FileCommand {
    /// Opens the dialog in which a path is typed.
    TypePath(PathPurpose),
    /// Uses the path that was typed.
    UsePath(PathRequest, PathBuf),
    /// Filters the list of cases by name.
    FilterCases(String),
    /// Opens the case again after a failure.
    Retry,
    /// Saves the mask that has changes, else the segmentation, to its file; asks for one if it has none.
    Save,
    /// Asks for a file and saves a mask to it.
    SaveAs(MaskRole),
    /// Replaces an existing file.
    SaveOver(PathRequest, PathBuf),
    /// Saves the segmentation, then runs the intent that would have discarded it.
    SaveThen(Intent),
    /// Discards the unsaved segmentation and runs the pending intent.
    Discard,
    /// Removes the reference from the case. Its file stays.
    RemoveReference,
    /// Removes the probability map.
    RemoveProbability,
    /// Copies a table of the open case to the clipboard.
    Copy(PathPurpose),
    /// Selects the device for networks.
    SetDevice(String),
    /// Selects the sample model for Segment now.
    UseSampleModel,
    /// Cancels the job with this id.
    CancelJob(u64),
}

/// Executes a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: FileCommand) {
    match command {
        FileCommand::TypePath(purpose) => {
            // Here the question about unsaved work comes after the path is typed; a file dialog opens only after it.
            let request = if purpose == PathPurpose::Files { purpose.into() } else { state.path_request(purpose) };
            state.dialog = Some(Dialog::Path { request, text: String::new() });
        }
        FileCommand::UsePath(request, path) if has_parent_components(&path) => dialog::resolve(jobs, request, path),
        FileCommand::UsePath(request, path) => intent::dispatch(state, jobs, Intent::UsePaths(request, vec![path])),
        FileCommand::FilterCases(text) => state.cases.filter = text,
        FileCommand::Retry => {
            if let Some(failed) = state.failed.take() {
                intent::dispatch(state, jobs, failed.retry);
            }
        }
        FileCommand::Save => match state.document.as_ref().and_then(Document::mask_to_save).map(|mask| mask.role) {
            Some(role) => save(state, jobs, role),
            None => state.notice(Severity::Info, "Nothing to save", nothing_to_save(state)),
        },
        FileCommand::SaveAs(role) => dialog::ask(state, jobs, PathPurpose::save(role)),
        FileCommand::SaveOver(request, path) => {
            state.dialog = None;
            save_over(state, jobs, &request, &path);
        }
        FileCommand::SaveThen(next) => {
            (state.dialog, state.after_saving) = (None, Some(next));
            save(state, jobs, MaskRole::Segmentation);
        }
        FileCommand::Discard => {
            if let Some(Dialog::Unsaved { next }) = state.dialog.take() {
                intent::without_asking(state, jobs, next);
            }
        }
        FileCommand::RemoveReference => {
            if let Some(document) = &mut state.document {
                if let Some(before) = document.remove_mask(MaskRole::Reference) {
                    let step = UndoStep::Mask(MaskRole::Reference, Some(Box::new(before.stored())));
                    document.edits.list.push("Remove reference", step);
                }
                document.forget_results();
                state.session.view.finding = None;
            }
            analyse::start(state, jobs);
        }
        FileCommand::RemoveProbability => {
            if let Some(why) = edit::busy(state, jobs) {
                return edit::refuse(state, why);
            }
            let Some(document) = &mut state.document else { return };
            let Some(probability) = document.probability.take() else { return };
            document.entropy = None;
            let segmentation = document.segmentation().cloned();
            let before = Stash { segmentation, probability: Some(probability) }.stored();
            document.edits.list.push("Remove probability", UndoStep::Segmentation(Box::new(before)));
        }
        FileCommand::Copy(purpose) => copy(state, purpose),
        FileCommand::SetDevice(device) => state.session.device = device,
        FileCommand::UseSampleModel => state.session.runs.segment = None,
        FileCommand::CancelJob(id) => jobs.cancel(id),
    }
}

fn save(state: &mut State, jobs: &mut Jobs, role: MaskRole) {
    let file = state.document.as_ref().and_then(|document| document.mask(role)).and_then(|mask| mask.path.clone());
    match file {
        // A series of an archive is never overwritten: its correction is a new file.
        Some(file) if series_name(&file).is_none() => save::to(state, jobs, role, &file, true),
        _ => dialog::ask(state, jobs, PathPurpose::save(role)),
    }
}

/// Saves the segmentation to its own file, else beside the image under the suggested name, and continues with `next`.
/// Asks first if that file exists.
pub(super) fn save_and_continue(state: &mut State, jobs: &mut Jobs, next: Intent) {
    let role = MaskRole::Segmentation;
    let own = state.document.as_ref().and_then(Document::segmentation).and_then(|mask| mask.path.clone());
    state.after_saving = Some(next);
    match own.filter(|file| series_name(file).is_none()) {
        Some(file) => save::to(state, jobs, role, &file, true),
        None => save::to(state, jobs, role, &save::proposed_path(state, role), false),
    }
}

fn nothing_to_save(state: &State) -> &'static str {
    match &state.document {
        None => "No case is open.",
        Some(document) if document.reference().is_some() => "The reference has not changed.",
        Some(_) => "This case has no segmentation. Press Segment now, or open one.",
    }
}

fn copy(state: &mut State, purpose: PathPurpose) {
    match table::csv(state, purpose) {
        Ok(text) => {
            state.copied = Some(text);
            state.notice(Severity::Info, "Copied", format!("{}, as CSV", table::name(purpose)));
        }
        Err(why) => state.error("Nothing was copied", why),
    }
}

fn save_over(state: &mut State, jobs: &mut Jobs, request: &PathRequest, path: &Path) {
    match state.refusal(request) {
        Some(why) => {
            state.after_saving = None;
            state.error("The file was not replaced", format!("{}: {why}", path.display()));
        }
        None => intent::write(state, jobs, request.purpose, path, true),
    }
}

/// Adds this topic's palette entries.
pub fn actions(list: &mut ActionList, state: &State) {
    let group = "File";
    let document = state.document.as_ref();
    let open = document.is_some();
    let segmentation = document.is_some_and(|d| d.segmentation().is_some());
    let reference = document.is_some_and(|d| d.reference().is_some());
    let probability = document.is_some_and(|d| d.probability.is_some());
    let cases = !state.cases.cases.is_empty();
    list.add(group, "Open files…", "Ctrl+O", Intent::Ask(PathPurpose::Files));
    list.add(group, "Open folder…", "Ctrl+Shift+O", Intent::Ask(PathPurpose::Folder));
    list.add(group, "Open by path…", "Ctrl+L", FileCommand::TypePath(PathPurpose::Files));
    list.add(group, "Open sample study", "", Intent::OpenSample);
    list.add_if(open, group, "Open segmentation…", "", Intent::Ask(PathPurpose::Segmentation));
    list.add_if(open, group, "Open reference…", "", Intent::Ask(PathPurpose::Reference));
    list.add_if(open, group, "Open probability…", "", Intent::Ask(PathPurpose::Probability));
    list.add_if(segment::refusal(state).is_none(), group, "Segment now", "Ctrl+Enter", Intent::Segment);
    list.add(group, "Choose model…", "", Intent::Ask(PathPurpose::Model));
    list.add_if(state.session.runs.segment.is_some(), group, "Use the sample model", "", FileCommand::UseSampleModel);
    // Always enabled: a message says when there is nothing to save.
    list.add(group, "Save", "Ctrl+S", FileCommand::Save);
    let (role, other) = if segmentation || !reference {
        (MaskRole::Segmentation, MaskRole::Reference)
    } else {
        (MaskRole::Reference, MaskRole::Segmentation)
    };
    for (role, keys) in [(role, "Ctrl+Shift+S"), (other, "")] {
        let has = document.is_some_and(|document| document.mask(role).is_some());
        list.add_if(has, group, format!("Save {} as…", role.word()), keys, FileCommand::SaveAs(role));
    }
    list.add_if(segmentation, group, "Remove segmentation", "", Intent::RemoveSegmentation);
    list.add_if(reference, group, "Remove reference", "", FileCommand::RemoveReference);
    list.add_if(probability, group, "Remove probability", "", FileCommand::RemoveProbability);
    for job in &state.jobs {
        list.add(group, format!("Cancel: {}", job.title), "", FileCommand::CancelJob(job.id));
    }
    list.add_if(open, group, "Export the view as PNG…", "", Intent::Ask(PathPurpose::ViewPicture));
    for purpose in table::ALL {
        let (filled, name) = (table::is_filled(state, purpose), table::name(purpose).to_lowercase());
        list.add_if(filled, group, format!("Export {name} as CSV…"), "", Intent::Ask(purpose));
        list.add_if(filled, group, format!("Copy {name} as CSV"), "", FileCommand::Copy(purpose));
    }
    list.add_if(cases, group, "Next case", "Ctrl+Down", Intent::StepCase(1));
    list.add_if(cases, group, "Previous case", "Ctrl+Up", Intent::StepCase(-1));
    list.add_if(open, group, "Close case", "Ctrl+W", Intent::CloseCase);
}
