//! The system's file dialogs, on a separate thread. Without them, the user types a path.

use std::path::{Path, PathBuf};

use super::{Failure, Job, JobHandle, Jobs, Spec, export, review, save};
use crate::state::intent::ReviewFile;
use crate::state::names::{has_parent_components, is_dicom_name, unused_path};
use crate::state::{Dialog, Intent, MaskRole, PathPurpose, PathRequest, Slot, State};

/// One dialog is open at a time.
pub const SLOT: Slot = Slot::exclusive("dialog");

/// Asks the user for paths.
struct AskPath {
    request: PathRequest,
    proposed: PathBuf,
}

/// Resolves `..` in a typed path, which may be on a drive that does not respond.
struct ResolvePath {
    request: PathRequest,
    path: PathBuf,
}

/// A path that does not depend on the working folder, so that recent files and unsaved edits outlive it. One spelling for
/// each place: `..` is resolved if the path exists, on the disk.
#[must_use]
pub fn absolute_path(path: PathBuf) -> PathBuf {
    let resolved = has_parent_components(&path).then(|| path.canonicalize().ok()).flatten();
    resolved.or_else(|| std::path::absolute(&path).ok()).unwrap_or(path)
}

/// Uses a typed path once the `..` in it are resolved.
pub fn resolve(jobs: &mut Jobs, request: PathRequest, path: PathBuf) {
    jobs.start(ResolvePath { request, path });
}

impl Job for ResolvePath {
    type Output = PathBuf;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, "Choosing a file").hidden()
    }

    fn run(&self, _: &JobHandle) -> Result<PathBuf, Failure> {
        Ok(absolute_path(self.path.clone()))
    }

    fn apply(self, result: Result<PathBuf, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(path) => answered(state, self.request, Answer::Chosen(vec![path])),
            Err(failure) => failure.report("Choosing a file", state),
        }
    }
}

/// Result of a file dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The user chose these.
    Chosen(Vec<PathBuf>),
    /// The user closed the dialog.
    Cancelled,
    /// The system has no file dialog: a path is typed, starting from this one.
    NoDialog(PathBuf),
}

/// Asks for a path with the system's dialog. A second request replaces the first, whose answer is dropped.
pub fn ask(state: &mut State, jobs: &mut Jobs, purpose: PathPurpose) {
    // Nobody types a name for a file that cannot be written.
    if let PathPurpose::Review(file) = purpose
        && let Some(why) = review::refusal(state, file)
    {
        return state.error(review::NOTHING, why);
    }
    jobs.start(AskPath { request: state.path_request(purpose), proposed: proposed(state, purpose) });
}

impl Job for AskPath {
    type Output = Answer;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, "Choosing a file").hidden()
    }

    fn run(&self, _: &JobHandle) -> Result<Answer, Failure> {
        // A closed dialog and one that cannot open look the same, so check first.
        if !exists() {
            return Ok(Answer::NoDialog(self.free_path()));
        }
        Ok(self.show().map_or(Answer::Cancelled, Answer::Chosen))
    }

    fn apply(self, result: Result<Answer, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(answer) => answered(state, self.request, answer),
            Err(failure) => failure.report("Choosing a file", state),
        }
    }
}

impl AskPath {
    /// The proposed path: a file gets a free name, a folder is used as it is.
    fn free_path(&self) -> PathBuf {
        match self.request.purpose {
            PathPurpose::Workspace | PathPurpose::Study => self.proposed.clone(),
            _ => unused_path(&self.proposed, Path::exists),
        }
    }

    fn show(&self) -> Option<Vec<PathBuf>> {
        use PathPurpose as For;
        let dialog = rfd::FileDialog::new().set_title(title(self.request.purpose));
        let proposed = self.free_path();
        let scans = |dialog: rfd::FileDialog| dialog.add_filter("NIfTI", &["nii", "gz", "hdr", "img"]);
        // DICOM files may have any name; a DICOMDIR has no extension.
        let archives = |dialog: rfd::FileDialog| dialog.add_filter("DICOM", &["dcm", "zip"]).add_filter("All", &["*"]);
        let name = proposed.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let one = match self.request.purpose {
            For::Files => return archives(scans(dialog)).pick_files(),
            For::Segmentation | For::Reference => archives(scans(dialog)).pick_file(),
            For::Probability => scans(dialog).pick_file(),
            For::SaveSegmentation | For::SaveReference if is_dicom_name(&proposed) => {
                scans(dialog.add_filter("DICOM SEG", &["dcm"])).set_file_name(name).save_file()
            }
            For::SaveSegmentation | For::SaveReference => scans(dialog).set_file_name(name).save_file(),
            For::MaskingPicture | For::ViewPicture => {
                dialog.add_filter("PNG", &["png"]).set_file_name(name).save_file()
            }
            For::MaskingTable | For::FindingsTable | For::AgreementTable | For::MeasurementsTable => {
                dialog.add_filter("CSV", &["csv"]).set_file_name(name).save_file()
            }
            For::Folder
            | For::Model
            | For::Cohort
            | For::Pretrained
            | For::Workspace
            | For::Run
            | For::Study
            | For::CompareRun
            | For::MaskingRun
            | For::Review(ReviewFile::Pages) => dialog.pick_folder(),
            For::Review(ReviewFile::Order) => dialog.add_filter("CSV", &["csv"]).pick_file(),
            For::Review(file) => {
                let ending = file.extension();
                dialog.add_filter(ending.to_uppercase(), &[ending]).set_file_name(name).save_file()
            }
            For::TrainExport(kind) => {
                let ending = kind.extension();
                dialog.add_filter(ending.to_uppercase(), &[ending]).set_file_name(name).save_file()
            }
        };
        one.map(|path| vec![path])
    }
}

fn title(purpose: PathPurpose) -> &'static str {
    match purpose {
        PathPurpose::Files => "Open scans",
        PathPurpose::Folder => "Open a folder",
        PathPurpose::Segmentation => "Open a segmentation",
        PathPurpose::Reference => "Open a reference",
        PathPurpose::Probability => "Open a probability map",
        PathPurpose::Model => "Choose a fine-tuned run",
        PathPurpose::Cohort => "Choose a cohort",
        PathPurpose::Pretrained | PathPurpose::MaskingRun => "Choose a pre-trained run",
        PathPurpose::Workspace => "Choose a workspace",
        PathPurpose::Run => "Open a run",
        PathPurpose::Study => "Open a study",
        PathPurpose::CompareRun => "Compare with a run",
        PathPurpose::SaveSegmentation => "Save the segmentation",
        PathPurpose::SaveReference => "Save the reference",
        PathPurpose::MaskingPicture | PathPurpose::ViewPicture => "Export the view",
        PathPurpose::MaskingTable => "Export the numbers",
        PathPurpose::FindingsTable => "Export the findings",
        PathPurpose::AgreementTable => "Export the agreement",
        PathPurpose::MeasurementsTable => "Export the measurements",
        PathPurpose::TrainExport(kind) => kind.name(),
        PathPurpose::Review(file) => file.name(),
    }
}

/// Handles the answer. A closed dialog does nothing; if there are no dialogs, a path can be typed.
pub fn answered(state: &mut State, request: PathRequest, answer: Answer) {
    match answer {
        Answer::Chosen(paths) => state.intents.push(Intent::UsePaths(request, paths)),
        Answer::Cancelled => {
            if request.purpose == PathPurpose::SaveSegmentation {
                state.after_saving = None;
            }
        }
        Answer::NoDialog(path) => state.dialog = Some(Dialog::Path { request, text: path.display().to_string() }),
    }
}

/// Proposed path of a file to write; empty for files to open.
pub fn proposed(state: &State, purpose: PathPurpose) -> PathBuf {
    match purpose {
        PathPurpose::SaveSegmentation => save::proposed_path(state, MaskRole::Segmentation),
        PathPurpose::SaveReference => save::proposed_path(state, MaskRole::Reference),
        PathPurpose::MaskingPicture
        | PathPurpose::MaskingTable
        | PathPurpose::ViewPicture
        | PathPurpose::FindingsTable
        | PathPurpose::AgreementTable
        | PathPurpose::MeasurementsTable
        | PathPurpose::TrainExport(_) => export::proposed_path(state, purpose),
        PathPurpose::Review(file) => review::proposed_path(state, file),
        PathPurpose::Workspace | PathPurpose::Study => state.session.settings.workspace(),
        _ => PathBuf::new(),
    }
}

/// Whether the system can show a file dialog: through the desktop portal's file chooser, or `zenity` without a portal.
#[cfg(target_os = "linux")]
fn exists() -> bool {
    has_portal() || has_zenity()
}

/// Other systems always have dialogs.
#[cfg(not(target_os = "linux"))]
fn exists() -> bool {
    true
}

/// Asks the portal for the version of its file chooser, which starts the portal if need be. It has that property only if
/// a desktop serves the dialog.
#[cfg(target_os = "linux")]
fn has_portal() -> bool {
    let version = || {
        zbus::blocking::Connection::session()?.call_method(
            Some("org.freedesktop.portal.Desktop"),
            "/org/freedesktop/portal/desktop",
            Some("org.freedesktop.DBus.Properties"),
            "Get",
            &("org.freedesktop.portal.FileChooser", "version"),
        )
    };
    version().inspect_err(|error| tracing::info!("no desktop portal: {error}")).is_ok()
}

#[cfg(target_os = "linux")]
fn has_zenity() -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join("zenity").is_file())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Unsaved edits of `x/../cohort` were not found again in `cohort`.
    #[test]
    fn a_place_has_one_absolute_path() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("sub")).unwrap();
        assert_eq!(absolute_path(root.join("sub/..")), root);
        assert_eq!(absolute_path(PathBuf::from("a/./b")), std::env::current_dir().unwrap().join("a/b"));
        assert!(absolute_path(root.join("none/../x")).is_absolute(), "it does not exist");
    }

    #[test]
    fn a_folder_is_proposed_as_it_is_and_a_file_under_a_free_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ct_pred.nii.gz");
        std::fs::write(&file, b"a mask").unwrap();
        let free = |purpose: PathPurpose, proposed: &Path| {
            AskPath { request: purpose.into(), proposed: proposed.to_path_buf() }.free_path()
        };
        assert_eq!(free(PathPurpose::Study, folder.path()), folder.path());
        assert_eq!(free(PathPurpose::SaveSegmentation, &file), folder.path().join("ct_pred_2.nii.gz"));
    }
}
