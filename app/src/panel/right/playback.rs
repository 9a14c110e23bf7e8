//! Frames of a 4-D scan, and cine playback of slices.

use egui::Ui;

use crate::command::{EditCommand, Sender, ViewCommand};
use crate::state::{Document, PaneId, State};
use crate::theme::icon;
use crate::widget::{IconButton, PushButton, Section, Slider, text};

pub(super) fn show(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let image = document.image();
    let frames = image.frames();
    if frames > 1 {
        // 1-based like slices.
        let mut frame = image.frame + 1;
        let note = format!("{frame} of {frames}");
        Section::new("Time").note(&note).show(ui, |ui| {
            if Slider::new(&mut frame, "Frame", 1..=frames).show(ui).changed() {
                sender.send(ViewCommand::SetFrame(frame - 1));
            }
            if document.could_have_frames() {
                text::note(ui, "The segmentation is one mask for all frames.");
                if ui.add(PushButton::new("A mask for each frame")).clicked() {
                    sender.send(EditCommand::SplitFrames);
                }
            } else if document.segmentation().is_some_and(|mask| mask.labels.frames() > 1) {
                text::note(ui, "Each frame has its own mask. Edits change the shown one.");
            }
        });
    }
    let playing = state.session.view.cine;
    let pane = playing.map(|cine| cine.pane).or(state.session.view.active).filter(|pane| !pane.is_projection());
    let note = pane.unwrap_or(PaneId::Axial).name();
    let play = |ui: &mut Ui| {
        let (drawing, label) = if playing.is_some() { (icon::PAUSE, "Stop cine") } else { (icon::PLAY, "Play cine") };
        let button = IconButton::new(drawing, label).shortcut("Shift+C").small().selected(playing.is_some());
        if ui.add(button).clicked() {
            sender.send(ViewCommand::ToggleCine);
        }
    };
    Section::new("Cine").note(&note).closed().show_with(ui, play, |ui| {
        let mut rate = state.session.settings.cine_rate;
        let slider = Slider::new(&mut rate, "Slices per second", 1.0..=60.0).decimals(0).step(1.0);
        if slider.show(ui).changed() {
            sender.send(ViewCommand::SetCineRate(rate));
        }
    });
}
