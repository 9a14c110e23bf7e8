//! Dice of the held-out patients before and after a continued fine-tuning.

use egui::{Grid, RichText, Role, ScrollArea, Ui, WidgetInfo};
use engine::finetune::BeforeAfter;

use crate::theme::{self, font, space};
use crate::widget::{format, text};

/// Height above which the patients scroll.
const HEIGHT: f32 = 160.0;

/// Draws it: a patient a row, then the mean.
pub(super) fn show(ui: &mut Ui, change: &BeforeAfter) {
    text::heading(ui, &format!("Dice before ({}) and after", change.from));
    ui.add_space(space::XS);
    ScrollArea::vertical().id_salt("before and after").max_height(HEIGHT).auto_shrink([true, true]).show(ui, |ui| {
        Grid::new("before and after").num_columns(4).spacing([space::L, space::XS]).striped(true).show(ui, |ui| {
            for head in ["Patient", "Before", "After", "Change"] {
                ui.label(RichText::new(head).font(font::caption()).color(theme::tokens(ui).text_dim));
            }
            ui.end_row();
            for row in &change.patients {
                line(ui, &row.patient, row.before, row.after);
            }
            line(ui, "Mean", change.before, change.after);
        });
    });
    ui.add_space(space::S);
}

fn line(ui: &mut Ui, name: &str, before: Option<f64>, after: Option<f64>) {
    let t = theme::tokens(ui);
    let dice = |dice: Option<f64>| dice.map_or_else(|| format::NONE.to_owned(), |dice| format!("{dice:.3}"));
    let change = before.zip(after).map(|(before, after)| after - before);
    // Without colour: no test supports a statement.
    let (text, color) = match change {
        None => (format::NONE.to_owned(), t.text_dim),
        Some(change) if change >= 0.0 => (format!("+{change:.3}"), t.text),
        Some(change) => (format!("\u{2212}{:.3}", -change), t.text),
    };
    let label = ui.label(RichText::new(name).font(font::body()).color(t.text));
    let description = format!("Dice of {name}: {} before, {} after", dice(before), dice(after));
    label.widget_info(|| WidgetInfo::labeled(Role::Label, true, &description));
    for dice in [dice(before), dice(after)] {
        ui.label(RichText::new(dice).font(font::number()).color(t.text));
    }
    ui.label(RichText::new(text).font(font::number()).color(color));
    ui.end_row();
}
