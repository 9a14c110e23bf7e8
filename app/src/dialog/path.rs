//! Path entry where the system has no file dialog.

use std::path::PathBuf;

use egui::text::CCursorRange;
use egui::{Context, Id, Margin, TextEdit};

use crate::command::{FileCommand, Sender, WindowCommand};
use crate::state::intent::ReviewFile;
use crate::state::{PathPurpose, PathRequest};
use crate::theme::{self, font};
use crate::widget::text as panel_text;
use crate::widget::{Dialog, DialogResult};

/// Hint for saving a mask.
const MASK: &str = "NIfTI (.nii.gz or .nii) on the grid of the image, or DICOM SEG (.dcm) of a DICOM image. Existing files are only \
     overwritten after confirmation.";
/// Hint for exporting a table.
const TABLE: &str = "CSV, with headings. Existing files are only overwritten after confirmation.";

/// Title, default action, explanation.
fn texts(purpose: PathPurpose) -> (&'static str, &'static str, &'static str) {
    match purpose {
        PathPurpose::Files => ("Open a scan or folder", "Open", "A file (NIfTI or DICOM), a zip archive or a folder."),
        PathPurpose::Folder => ("Open a folder", "Open", "The folder of a patient, of a cohort or of DICOM studies."),
        PathPurpose::Segmentation => {
            ("Open a segmentation", "Open", "A mask (NIfTI, SEG or RTSTRUCT) of the open image.")
        }
        PathPurpose::Reference => ("Open a reference", "Open", "A mask (NIfTI, SEG or RTSTRUCT) of the open image."),
        PathPurpose::Probability => {
            ("Open a probability map", "Open", "Values from 0 to 1 on the grid of the open image.")
        }
        PathPurpose::Model => ("Choose a model", "Choose", "The folder of a fine-tuned run."),
        PathPurpose::Cohort => ("Choose a cohort", "Choose", "A folder with one subfolder or file per patient."),
        PathPurpose::Pretrained => ("Choose a pre-trained run", "Choose", "The folder of a pre-trained run."),
        PathPurpose::Workspace => ("Choose a workspace", "Choose", "The folder in which runs are kept."),
        PathPurpose::Study => ("Open a study", "Open", "The folder that amlp study was started with (--out)."),
        PathPurpose::Run => ("Open a run", "Open", "The folder of a pre-training or fine-tuning run."),
        PathPurpose::CompareRun => ("Compare with a run", "Open", "The folder of a run that recorded this slice."),
        PathPurpose::MaskingRun => ("Choose a pre-trained run", "Choose", "The folder of a pre-training run."),
        PathPurpose::MaskingPicture | PathPurpose::ViewPicture => {
            ("Export the view", "Export", "A PNG image. Existing files are only overwritten after confirmation.")
        }
        PathPurpose::MaskingTable => (
            "Export the numbers",
            "Export",
            "CSV, one row per patch. Existing files are only overwritten after confirmation.",
        ),
        PathPurpose::FindingsTable => ("Export the findings", "Export", TABLE),
        PathPurpose::AgreementTable => ("Export the agreement", "Export", TABLE),
        PathPurpose::MeasurementsTable => ("Export the measurements", "Export", TABLE),
        PathPurpose::TrainExport(kind) => (kind.name(), "Export", kind.content()),
        PathPurpose::Review(file) => {
            (file.name(), if file == ReviewFile::Order { "Use" } else { "Export" }, file.content())
        }
        PathPurpose::SaveSegmentation => ("Save the segmentation", "Save", MASK),
        PathPurpose::SaveReference => ("Save the reference", "Save", MASK),
    }
}

/// Example of a path.
fn example(purpose: PathPurpose) -> &'static str {
    match purpose {
        PathPurpose::Folder
        | PathPurpose::Model
        | PathPurpose::Cohort
        | PathPurpose::Pretrained
        | PathPurpose::Workspace
        | PathPurpose::Run
        | PathPurpose::CompareRun
        | PathPurpose::MaskingRun
        | PathPurpose::Review(ReviewFile::Pages)
        | PathPurpose::Study => "/path/to/folder",
        PathPurpose::Files => "/path/to/file or /path/to/folder",
        PathPurpose::Segmentation
        | PathPurpose::Reference
        | PathPurpose::Probability
        | PathPurpose::MaskingPicture
        | PathPurpose::ViewPicture
        | PathPurpose::MaskingTable
        | PathPurpose::FindingsTable
        | PathPurpose::AgreementTable
        | PathPurpose::MeasurementsTable
        | PathPurpose::TrainExport(_)
        | PathPurpose::Review(_)
        | PathPurpose::SaveSegmentation
        | PathPurpose::SaveReference => "/path/to/file",
    }
}

pub(super) fn show(ctx: &Context, request: &PathRequest, text: &str, sender: &Sender) {
    let (title, action, explanation) = texts(request.purpose);
    let mut typed = text.to_owned();
    let proposes_file = matches!(action, "Save" | "Export");
    let dialog = Dialog::new(title, action).width(560.0);
    let answer = dialog.show_checked(ctx, |ui| {
        let t = theme::tokens(ui);
        let id = Id::unique("typed path");
        let field = TextEdit::singleline(&mut typed)
            .id(id)
            .font(font::mono())
            .text_color(t.text)
            .hint_text(example(request.purpose))
            .margin(Margin::symmetric(8, 7))
            .cursor_at_end(true)
            .desired_width(f32::INFINITY);
        let mut output = field.show(ui);
        let response = output.response.response.clone().accessible_name("Path");
        if ui.memory(|memory| memory.focused().is_none()) {
            response.request_focus();
            // Not where the caret was in an earlier dialog: a proposed file is completed, a proposed folder replaced.
            let whole = CCursorRange::select_all(&output.galley);
            let range = if proposes_file { CCursorRange::one(whole.primary) } else { whole };
            output.state.cursor.set_char_range(Some(range));
            output.state.store(ui, id);
        }
        if response.changed() {
            sender.send(WindowCommand::EditPath(typed.clone()));
        }
        panel_text::note(ui, explanation);
        !typed.trim().is_empty()
    });
    match answer {
        Some(DialogResult::Confirmed) => sender.send(FileCommand::UsePath(request.clone(), path(&typed))),
        Some(_) => sender.send(WindowCommand::CloseDialog),
        None => {}
    }
}

/// The typed path as an absolute one, without the quotes and spaces of a pasted one; `~` is the home folder. It does not
/// access the disk.
fn path(text: &str) -> PathBuf {
    let text = text.trim();
    let quoted = ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    let text = quoted.unwrap_or(text);
    let below_home = if text == "~" { Some("") } else { text.strip_prefix("~/") };
    let path = match (below_home, std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    };
    std::path::absolute(&path).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_paths_lose_their_quotes() {
        assert_eq!(path("  /data/a scan.nii.gz\n"), PathBuf::from("/data/a scan.nii.gz"));
        assert_eq!(path("\"/data/a.nii\""), PathBuf::from("/data/a.nii"));
        assert_eq!(path("'it"), std::env::current_dir().expect("a working folder").join("'it"));
    }

    #[test]
    fn a_tilde_is_the_home_folder() {
        let home = std::env::home_dir().expect("a home folder");
        assert_eq!(path("~/scans/a.nii"), home.join("scans/a.nii"));
        assert_eq!(path("~"), home.join(""));
        assert_eq!(path("~other/a.nii"), std::env::current_dir().expect("a working folder").join("~other/a.nii"));
    }
}
