//! Train mode: the tracks of pre-training and fine-tuning.

mod track;

use egui::{Align, Layout, RichText, Ui, UiBuilder, vec2};
use engine::event::Stage;

use crate::command::{Command, Sender, TimelineCommand};
use crate::state::State;
use crate::theme::{self, font, icon, size, space};
use crate::widget::text;
use crate::widget::{IconButton, format};

/// Width of the column beside the tracks.
const SIDE: f32 = 204.0;
/// Playback rates in epochs per second.
const RATES: [f32; 4] = [1.0, 4.0, 12.0, 30.0];

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let whole = ui.available_rect_before_wrap();
    ui.advance_cursor_after_rect(whole);
    let (side, tracks) = whole.split_left_right_at_x(whole.left() + SIDE);
    controls(ui.new_child(UiBuilder::new().max_rect(side.shrink2(vec2(space::M, space::S)))), state, sender);
    let tracks = tracks.shrink2(vec2(0.0, space::XS));
    let (upper, lower) = tracks.split_top_bottom_at_y(tracks.center().y);
    for (rect, stage) in [(upper, Stage::Pretrain), (lower, Stage::Finetune)] {
        track::show(ui, rect, state, stage, sender);
    }
}

/// Step, play and follow buttons; below them the epoch and the playback rate.
fn controls(mut ui: Ui, state: &State, sender: &Sender) {
    let Some(run) = state.watched_run() else { return };
    let send = |command| sender.send(Command::Timeline(command));
    ui.spacing_mut().item_spacing.y = space::XS;
    let has_epochs = run.last() > 0;
    let line = vec2(ui.available_width(), size::CONTROL);
    ui.allocate_ui_with_layout(line, Layout::left_to_right(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let mut button = |button: IconButton<'_>, command| {
            if ui.add_enabled(has_epochs, button.small()).clicked() {
                send(command);
            }
        };
        let playing = state.session.timeline.playing.is_some();
        let (drawing, label) = if playing { (icon::PAUSE, "Pause playback") } else { (icon::PLAY, "Play") };
        button(IconButton::new(icon::SKIP_BACK, "First epoch").shortcut("Home"), TimelineCommand::FirstEpoch);
        button(IconButton::new(icon::STEP_BACK, "Previous epoch").shortcut("Left"), TimelineCommand::StepEpoch(-1));
        let play = IconButton::new(drawing, label).shortcut("Space").selected(playing);
        button(play, TimelineCommand::TogglePlay);
        button(IconButton::new(icon::STEP_FORWARD, "Next epoch").shortcut("Right"), TimelineCommand::StepEpoch(1));
        button(IconButton::new(icon::SKIP_FORWARD, "Last epoch").shortcut("End"), TimelineCommand::LastEpoch);
        let follows = run.cursor.is_none();
        let follow = IconButton::new(icon::TRAIN, "Follow the newest epoch").selected(follows);
        button(follow, TimelineCommand::Follow);
    });
    let line = vec2(ui.available_width(), size::CONTROL);
    ui.allocate_ui_with_layout(line, Layout::right_to_left(Align::Center), |ui| {
        rate(ui, state, sender);
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let position = run
                .epoch()
                .map_or_else(|| "No epoch yet".to_owned(), |epoch| format!("Epoch {epoch} of {}", run.epochs()));
            text::line(ui, RichText::new(position).font(font::number()).color(theme::tokens(ui).text));
        });
    });
}

/// Playback rate; a click selects the next one.
fn rate(ui: &mut Ui, state: &State, sender: &Sender) {
    let rate = state.session.settings.epoch_rate;
    let next = RATES.into_iter().find(|other| *other > rate + 0.01).unwrap_or(RATES[0]);
    let label = format!("{rate:.0}/s");
    let epochs = format::plural(rate.round() as usize, "epoch", "epochs");
    let name = format!("Playback rate: {epochs} per second");
    let chip = super::super::chip::Chip::new(&label, &name);
    let hint = format!("{epochs} per second. Click for {next:.0}.");
    if ui.add(chip).on_hover_text(hint).clicked() {
        sender.send(Command::Timeline(TimelineCommand::SetRate(next)));
    }
}
