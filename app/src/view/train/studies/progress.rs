//! Failed, active and waiting runs of a study.

use egui::{Label, RichText, Ui};
use engine::study::{StudyRecord, StudyRun, StudyRunState};

use super::nothing;
use crate::theme::{self, font, icon, space};
use crate::widget::{ListRow, format, text};

/// At most this many waiting runs are listed.
const WAITING: usize = 20;

pub(super) fn show(ui: &mut Ui, study: &StudyRecord) {
    let runs = &study.status.runs;
    let of = |is: fn(&StudyRunState) -> bool| -> Vec<&StudyRun> { runs.iter().filter(|run| is(&run.state)).collect() };
    let failed = of(|state| matches!(state, StudyRunState::Failed(_)));
    let running = of(|state| *state == StudyRunState::Running);
    let waiting = of(|state| *state == StudyRunState::Waiting);
    if failed.is_empty() && running.is_empty() && waiting.is_empty() {
        return nothing(ui, icon::DONE, "All runs are done. None failed.");
    }
    let t = theme::tokens(ui);
    ui.spacing_mut().item_spacing.y = 2.0;
    for run in failed {
        let StudyRunState::Failed(why) = &run.state else { continue };
        let row = ui.add(ListRow::new(&run.label).icon_colored(icon::ERROR, t.error).trailing("failed"));
        row.on_hover_text(run.folder.display().to_string());
        ui.horizontal_top(|ui| {
            ui.add_space(space::XL + space::S);
            ui.add(Label::new(RichText::new(why).font(font::caption()).color(t.text_dim)).wrap());
        });
    }
    for run in running {
        let row = ui.add(ListRow::new(&run.label).icon_colored(icon::TRAIN, t.accent_text).trailing("running"));
        row.on_hover_text(run.folder.display().to_string());
    }
    for run in waiting.iter().take(WAITING) {
        ui.add(ListRow::new(&run.label).icon(icon::CLOCK).trailing("waiting").dim(true));
    }
    if waiting.len() > WAITING {
        text::note(ui, &format!("and {} more", format::plural(waiting.len() - WAITING, "run", "runs")));
    }
}
