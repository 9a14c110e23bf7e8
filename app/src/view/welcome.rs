//! The start page.

use std::path::Path;

use egui::{Align, Label, RichText, ScrollArea, Ui};

use super::states;
use crate::command::{Command, Sender, TrainCommand, WindowCommand};
use crate::state::{Intent, Mode, PathPurpose, State};
use crate::theme::{self, font, icon, space};
use crate::widget::{CardButton, ListRow, PushButton, format};

/// Number of recent files listed.
const RECENT: usize = 5;
/// Fraction of the height above the title.
const FROM: f32 = 0.1;

/// Draws the welcome screen.
pub fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let t = theme::tokens(ui);
    let mut column = states::column(ui, FROM);
    ScrollArea::vertical().id_salt("welcome").show(&mut column, |ui| {
        ui.with_layout(egui::Layout::top_down(Align::Min), |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            ui.add(Label::new(RichText::new("AMLP").font(font::title()).color(t.text)));
            ui.add_space(space::XS);
            let what = "Review automatic lesion segmentations, finding by finding.";
            ui.add(Label::new(RichText::new(what).font(font::body()).color(t.text_dim)).wrap());
            ui.add_space(space::XL);
            cards(ui, sender);
            ui.add_space(space::M);
            let hint = "Or drop files and folders anywhere in this window.";
            ui.add(Label::new(RichText::new(hint).font(font::caption()).color(t.text_dim)).wrap());
            unfinished(ui, state, sender);
            recent(ui, state, sender);
            ui.add_space(space::XL);
            let notice = "Research use only. Not a medical device.";
            ui.add(Label::new(RichText::new(notice).font(font::caption()).color(t.text_dim)).wrap());
        });
    });
}

fn cards(ui: &mut Ui, sender: &Sender) {
    let sample = CardButton::new(icon::SAMPLE, "Open sample study", "A small case with its reference").primary();
    if ui.add(sample).clicked() {
        sender.send(Intent::OpenSample);
    }
    ui.add_space(space::S);
    let files = CardButton::new(icon::OPEN, "Open files…", "NIfTI or DICOM, with or without masks");
    if ui.add(files.shortcut("Ctrl+O")).clicked() {
        sender.send(Intent::Ask(PathPurpose::Files));
    }
    ui.add_space(space::S);
    let folder = CardButton::new(icon::OPEN_FOLDER, "Open folder…", "A patient, a cohort, or DICOM");
    if ui.add(folder.shortcut("Ctrl+Shift+O")).clicked() {
        sender.send(Intent::Ask(PathPurpose::Folder));
    }
}

/// An interrupted run of this or an earlier session.
fn unfinished(ui: &mut Ui, state: &State, sender: &Sender) {
    let Some(run) = state.resumable_runs().next() else { return };
    let t = theme::tokens(ui);
    ui.add_space(space::XL);
    ui.add(Label::new(RichText::new("Unfinished run").font(font::strong()).color(t.text)));
    ui.add_space(space::XS);
    let so_far = format::done_of(run.epochs_done, run.epochs, "epoch", "epochs");
    let row = ListRow::new(&run.name).subtitle(&so_far).icon(icon::TRAIN);
    let resume = |sender: &Sender| {
        sender.send(WindowCommand::SetMode(Mode::Train));
        sender.send(Command::Train(TrainCommand::Resume(run.path.clone())));
    };
    let (_, ()) = row.show_with(ui, |ui| {
        let name = format!("Resume {}", run.name);
        if ui.add(PushButton::new("Resume").icon(icon::PLAY)).accessible_name(name).clicked() {
            resume(sender);
        }
    });
}

fn recent(ui: &mut Ui, state: &State, sender: &Sender) {
    if state.session.settings.recent.is_empty() {
        return;
    }
    let t = theme::tokens(ui);
    ui.add_space(space::XL);
    ui.add(Label::new(RichText::new("Recent").font(font::strong()).color(t.text)));
    ui.add_space(space::XS);
    for path in state.session.settings.recent.iter().take(RECENT) {
        let name = short(path);
        let mark = if is_scan(path) { icon::FILE } else { icon::FOLDER };
        let row = ui.add(ListRow::new(&name).icon(mark));
        if row.on_hover_text(path.display().to_string()).clicked() {
            sender.send(Intent::open_paths(vec![path.clone()]));
        }
    }
}

/// The last two components of a path, since file names are often the same.
fn short(path: &Path) -> String {
    let mut parts: Vec<_> = path.components().rev().take(2).map(|c| c.as_os_str().to_string_lossy()).collect();
    parts.reverse();
    parts.join(std::path::MAIN_SEPARATOR_STR)
}

/// Judged by name, since drawing must not touch the disk.
fn is_scan(path: &Path) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    [".dcm", ".zip", ".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_paths_are_short_but_not_all_the_same() {
        let path: std::path::PathBuf = ["data", "patient7", "flair.nii.gz"].iter().collect();
        assert_eq!(short(&path), format!("patient7{}flair.nii.gz", std::path::MAIN_SEPARATOR));
        assert_eq!(short(Path::new("scan.nii")), "scan.nii");
        assert!(is_scan(&path) && !is_scan(Path::new("cohort")));
    }
}
