//! Dialogs of the system, on a thread of their own; a path to type where none can open.

use std::path::{Path, PathBuf};

use super::{Failure, Jobs, Kind, Outcome, Spec, masking, open, save, segment};
use crate::command::timeline::{self, TimelineCommand};
use crate::command::train::{self, TrainCommand};
use crate::state::{Dialog, PathPurpose, State};

/// Asks for a path by the system's dialog.
pub fn ask(state: &State, jobs: &mut Jobs, purpose: PathPurpose) {
    let name = proposed(state, purpose).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let spec = Spec { kind: Kind::Dialog, document: None, title: "Choosing a file".into(), quiet: true };
    jobs.start(spec, move |_| {
        let dialog = rfd::FileDialog::new();
        let scans = dialog.clone().add_filter("NIfTI", &["nii", "gz", "hdr", "img"]);
        let paths = match purpose {
            PathPurpose::Files => scans.set_title("Open scans").pick_files(),
            PathPurpose::Folder => dialog.set_title("Open a folder").pick_folder().map(|p| vec![p]),
            PathPurpose::Model => dialog.set_title("Choose a fine-tuned run").pick_folder().map(|p| vec![p]),
            PathPurpose::Cohort => dialog.set_title("Choose a cohort").pick_folder().map(|p| vec![p]),
            PathPurpose::Pretrained => dialog.set_title("Choose a pre-trained run").pick_folder().map(|p| vec![p]),
            PathPurpose::Workspace => dialog.set_title("Choose a workspace").pick_folder().map(|p| vec![p]),
            PathPurpose::Run => dialog.set_title("Open a run").pick_folder().map(|p| vec![p]),
            PathPurpose::CompareRun => dialog.set_title("Compare with a run").pick_folder().map(|p| vec![p]),
            PathPurpose::Mask => scans.set_title("Open a segmentation").pick_file().map(|p| vec![p]),
            PathPurpose::Truth => scans.set_title("Open a reference").pick_file().map(|p| vec![p]),
            PathPurpose::Probability => scans.set_title("Open a probability").pick_file().map(|p| vec![p]),
            PathPurpose::MaskingRun => dialog.set_title("Choose a pre-trained run").pick_folder().map(|p| vec![p]),
            PathPurpose::MaskingPicture => {
                let pictures = dialog.add_filter("PNG", &["png"]).set_title("Export the view");
                pictures.set_file_name(name).save_file().map(|p| vec![p])
            }
            PathPurpose::MaskingTable => {
                let tables = dialog.add_filter("CSV", &["csv"]).set_title("Export the numbers");
                tables.set_file_name(name).save_file().map(|p| vec![p])
            }
            PathPurpose::SaveMask => {
                scans.set_title("Save the segmentation").set_file_name(name).save_file().map(|p| vec![p])
            }
        };
        Ok::<_, Failure>(Outcome::Picked { purpose, paths })
    });
}

/// Goes on with what the user chose. Without a portal the system's dialog ends at once without a choice, just as if it
/// were closed: then a path can be typed.
pub fn picked(state: &mut State, jobs: &mut Jobs, purpose: PathPurpose, paths: Option<Vec<PathBuf>>) {
    if let Some(paths) = paths {
        return go_on(state, jobs, purpose, &paths);
    }
    let text = proposed(state, purpose).display().to_string();
    state.dialog = Some(Dialog::Path { purpose, text });
}

/// What is proposed for a file that is written; empty for what is opened.
fn proposed(state: &State, purpose: PathPurpose) -> PathBuf {
    match purpose {
        PathPurpose::SaveMask => save::proposed_path(state),
        PathPurpose::MaskingPicture | PathPurpose::MaskingTable => masking::export::proposed_path(state, purpose),
        PathPurpose::Workspace => state.session.settings.workspace(),
        _ => PathBuf::new(),
    }
}

/// Uses paths for what they were asked for.
pub fn go_on(state: &mut State, jobs: &mut Jobs, purpose: PathPurpose, paths: &[PathBuf]) {
    let Some(first) = paths.first() else { return };
    match purpose {
        PathPurpose::Files | PathPurpose::Folder => open::open_paths(state, jobs, paths),
        PathPurpose::Mask => super::layer::start(state, jobs, super::layer::Role::Prediction, first),
        PathPurpose::Truth => super::layer::start(state, jobs, super::layer::Role::Truth, first),
        PathPurpose::Probability => super::layer::start(state, jobs, super::layer::Role::Probability, first),
        PathPurpose::Model => segment::choose_model(state, first),
        PathPurpose::Cohort => train::dispatch(state, jobs, TrainCommand::UseCohort(first.clone())),
        PathPurpose::Pretrained => train::dispatch(state, jobs, TrainCommand::FinetuneFrom(Some(first.clone()))),
        PathPurpose::Workspace => train::dispatch(state, jobs, TrainCommand::SetWorkspace(first.clone())),
        PathPurpose::Run => timeline::dispatch(state, jobs, TimelineCommand::Open(first.clone())),
        PathPurpose::CompareRun => timeline::dispatch(state, jobs, TimelineCommand::Compare(first.clone())),
        PathPurpose::MaskingRun => crate::command::masking::choose_run(state, first),
        PathPurpose::SaveMask | PathPurpose::MaskingPicture | PathPurpose::MaskingTable => {
            write(state, jobs, purpose, first, false);
        }
    }
}

/// Writes what a path was asked for. A file that is there already is only written over if the user said so.
pub fn write(state: &mut State, jobs: &mut Jobs, purpose: PathPurpose, path: &Path, overwrite: bool) {
    match purpose {
        PathPurpose::SaveMask => save::to(state, jobs, path, overwrite),
        PathPurpose::MaskingPicture | PathPurpose::MaskingTable => {
            masking::export::to(state, jobs, purpose, path, overwrite);
        }
        _ => {}
    }
}
