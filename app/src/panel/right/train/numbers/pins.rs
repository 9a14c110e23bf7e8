//! Pinned slices: list, select, pin and unpin, also during training.

use egui::Ui;
use engine::probe::Pin;

use crate::command::{Command, Sender, TimelineCommand};
use crate::state::State;
use crate::state::timeline::{OpenRun, SliceKey};
use crate::state::train::CohortState;
use crate::theme::icon;
use crate::widget::text;
use crate::widget::{IconButton, ListRow, PushButton, Section};
use crate::worker::replay;

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let pins = state.pins();
    let send = |command| sender.send(Command::Timeline(command));
    let note = if pins.is_empty() { String::new() } else { pins.len().to_string() };
    Section::new("Pinned slices").note(&note).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        if pins.is_empty() {
            text::note(ui, "No pinned slices. Pin a slice to record it at every epoch.");
        }
        for pin in &pins {
            row(ui, state, pin, sender);
        }
        ui.add_space(crate::theme::space::XS);
        let obstacle = match (&state.document, state.pin_config()) {
            (None, _) => Some("Open a case first. Its axial slice at the crosshair is pinned."),
            (_, None) if matches!(state.cache.train.cohort, CohortState::Reading(_)) => {
                Some("The cohort is still being read. The slice is prepared with its settings.")
            }
            (_, None) => Some(replay::NOTHING_TO_PIN_FOR),
            _ => None,
        };
        let button = PushButton::new("Pin this slice").icon(icon::PIN).fill_width();
        let hint = if state.training.pins.is_some() {
            "The current run records it from the next step on"
        } else {
            "The next run records it"
        };
        if ui.add_enabled(obstacle.is_none(), button).on_hover_text(hint).clicked() {
            send(TimelineCommand::Pin);
        }
        if let Some(why) = obstacle {
            text::note(ui, why);
        }
    });
}

fn row(ui: &mut Ui, state: &State, pin: &Pin, sender: &Sender) {
    let send = |command| sender.send(Command::Timeline(command));
    let title = state.pin_name(pin);
    let facts = state.watched_run().map_or_else(|| "for the next run".to_owned(), |run| facts(state, run, pin));
    // The number comes first in the second line, because a long name of a patient is cut.
    let facts =
        [state.pin_number(pin), facts].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    let pinned = state.is_pinned(pin);
    let chosen = state.session.timeline.pin.as_ref() == Some(pin);
    let row = ListRow::new(&pin.case).subtitle(&facts).icon(icon::PIN).selected(chosen);
    let (response, ()) = row.show_with(ui, |ui| {
        if pinned {
            let name = format!("Unpin {title}");
            if ui.add(IconButton::new(icon::CLOSE, &name).small()).clicked() {
                send(TimelineCommand::Unpin(pin.clone()));
            }
        } else {
            let name = format!("Pin {title}");
            if ui.add(IconButton::new(icon::ADD, &name).small()).clicked() {
                send(TimelineCommand::AddPin(pin.clone()));
            }
        }
    });
    if response.accessible_name(&title).clicked() {
        send(TimelineCommand::ChoosePin(pin.clone()));
    }
}

/// Recorded epochs, and whether the slice is trained on.
fn facts(state: &State, run: &OpenRun, pin: &Pin) -> String {
    let recorded = match run.recorded(pin) {
        [] if state.session.timeline.wants(pin) => return "for the next run".to_owned(),
        [] if run.is_growing() => return "nothing recorded yet".to_owned(),
        [] => return "not recorded by this run".to_owned(),
        [only] => format!("epoch {only}"),
        [first, .., last] => format!("epochs {first} to {last}"),
    };
    let key = SliceKey { run: run.id, stage: run.stage(), pin: pin.clone() };
    let slice = state.cache.timeline.probes.slice(&key).and_then(|seen| seen.as_ref().ok());
    match slice {
        Some(seen) if !seen.slice.trained => format!("not trained on, {recorded}"),
        _ => recorded,
    }
}
