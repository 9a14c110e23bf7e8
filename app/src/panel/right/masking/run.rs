//! The run whose network reconstructs the masked patches.

use egui::Ui;

use crate::command::{Command, MaskingCommand, Sender};
use crate::state::session::RunUse;
use crate::state::{Intent, PathPurpose, State};
use crate::theme::{icon, space};
use crate::widget::{IconButton, ListRow, PushButton, Section};
use crate::widget::{format, text};

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    Section::new("Network").show(ui, |ui| {
        let run = state.run_for(RunUse::Reconstruct);
        let name = run.map_or_else(|| "No run".to_owned(), format::file_name);
        let network = state.cache.masking.network.as_ref().filter(|network| Some(network.run.as_path()) == run);
        let about = match (network, run) {
            (Some(network), _) => {
                format!("{}, epoch {} of {}", network.config.preset, network.epoch, network.epochs)
            }
            (None, Some(run)) => run.display().to_string(),
            (None, None) => "Reconstructs the masked patches".to_owned(),
        };
        let row = ListRow::new(&name).subtitle(&about).icon(icon::BRAIN);
        let (response, ()) = row.show_with(ui, |ui| {
            let forget = IconButton::new(icon::CLOSE, "Close the pre-trained run").small();
            if state.session.runs.reconstruct.is_some() && ui.add(forget).clicked() {
                sender.send(Command::Masking(MaskingCommand::ForgetRun));
            }
        });
        if response.accessible_name(format!("Pre-trained run {name}")).clicked() {
            sender.send(Intent::Ask(PathPurpose::MaskingRun));
        }
        let Some(network) = network else { return };
        if let Some(mismatch) = state.session.masking.controls.mismatch(&network.config) {
            ui.add_space(space::XS);
            text::note(ui, &mismatch.sentence());
            if ui.add(PushButton::new("Use the run's settings").icon(icon::CONTROLS).fill_width()).clicked() {
                sender.send(Command::Masking(MaskingCommand::TakeSettings));
            }
        }
    });
}
