//! The trainings of a study that failed, run or wait.

use egui::{Label, RichText, Ui};
use engine::study::{StudyRecord, Training, TrainingState};

use super::nothing;
use crate::theme::{self, font, icon, space};
use crate::widget::{ListRow, format, text};

/// At most this many waiting trainings are listed.
const WAITING: usize = 20;

/// Draws them.
pub(super) fn show(ui: &mut Ui, study: &StudyRecord) {
    let trainings = &study.status.trainings;
    let of = |is: fn(&TrainingState) -> bool| -> Vec<&Training> {
        trainings.iter().filter(|training| is(&training.state)).collect()
    };
    let failed = of(|state| matches!(state, TrainingState::Failed(_)));
    let running = of(|state| *state == TrainingState::Running);
    let waiting = of(|state| *state == TrainingState::Waiting);
    if failed.is_empty() && running.is_empty() && waiting.is_empty() {
        return nothing(ui, icon::DONE, "All trainings are done. None failed.");
    }
    let t = theme::tokens(ui);
    ui.spacing_mut().item_spacing.y = 2.0;
    for training in failed {
        let TrainingState::Failed(why) = &training.state else { continue };
        let row = ui.add(ListRow::new(&training.label).icon_colored(icon::ERROR, t.error).trailing("failed"));
        row.on_hover_text(training.run.display().to_string());
        ui.horizontal_top(|ui| {
            ui.add_space(space::XL + space::S);
            ui.add(Label::new(RichText::new(why).font(font::caption()).color(t.text_dim)).wrap());
        });
    }
    for training in running {
        let row = ui.add(ListRow::new(&training.label).icon_colored(icon::TRAIN, t.accent_text).trailing("running"));
        row.on_hover_text(training.run.display().to_string());
    }
    for training in waiting.iter().take(WAITING) {
        ui.add(ListRow::new(&training.label).icon(icon::CLOCK).trailing("waiting").dim(true));
    }
    if waiting.len() > WAITING {
        text::note(ui, &format!("and {} more", format::plural(waiting.len() - WAITING, "training", "trainings")));
    }
}
