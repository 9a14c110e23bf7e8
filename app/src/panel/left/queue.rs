//! Progress of the review, and which cases are listed in which order.

use egui::{Align, Layout, Popup, PopupCloseBehavior, RichText, Ui};
use engine::review::Verdict;

use super::super::verdict::icon_of;
use crate::command::{ReviewCommand, Sender};
use crate::state::intent::ReviewFile;
use crate::state::{CaseList, Intent, PathPurpose, QueueOrder};
use crate::theme::{self, font, icon, size, space};
use crate::widget::{IconButton, ListRow, text};

/// Width of the two lists.
const WIDTH: f32 = 240.0;

/// Draws one row: the progress, then the buttons for order and filter.
pub(super) fn show(ui: &mut Ui, cases: &CaseList, sender: &Sender) {
    ui.allocate_ui_with_layout(
        egui::vec2(ui.available_width(), size::ROW),
        Layout::right_to_left(Align::Center),
        |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            filter(ui, cases, sender);
            order(ui, cases, sender);
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let progress = cases.progress().to_string();
                let shown = RichText::new(&progress).font(font::number_small()).color(theme::tokens(ui).text_dim);
                text::line(ui, shown).on_hover_text("Cases with a final verdict, and the mean time per case");
            });
        },
    );
}

fn filter(ui: &mut Ui, cases: &CaseList, sender: &Sender) {
    let chosen = cases.review.filter;
    let label =
        chosen.map_or("List: all cases".to_owned(), |verdict| format!("List: {}", verdict.name().to_lowercase()));
    let button = ui.add(IconButton::new(icon::FILTER, &label).small().selected(chosen.is_some()));
    let counts = cases.progress().verdicts;
    menu(&button, "Cases to list", |ui| {
        let all = cases.cases.len().to_string();
        let row = ListRow::new("All cases").icon(icon::LIST).trailing(&all).selected(chosen.is_none());
        if ui.add(row).clicked() {
            sender.send(ReviewCommand::Filter(None));
        }
        for verdict in Verdict::ALL {
            let count = counts.get(&verdict).copied().unwrap_or_default().to_string();
            let row = ListRow::new(verdict.name()).icon(icon_of(verdict)).trailing(&count);
            if ui.add(row.selected(chosen == Some(verdict))).clicked() {
                sender.send(ReviewCommand::Filter(Some(verdict)));
            }
        }
    });
}

fn order(ui: &mut Ui, cases: &CaseList, sender: &Sender) {
    let chosen = &cases.review.order;
    let label = format!("Order: {}", chosen.name().to_lowercase());
    let button = ui.add(IconButton::new(icon::SORT, &label).small().selected(*chosen != QueueOrder::Listed));
    menu(&button, "Order of the cases", |ui| {
        for order in QueueOrder::BUILT_IN {
            if ui.add(ListRow::new(order.name()).selected(*chosen == order)).clicked() {
                sender.send(ReviewCommand::SetOrder(order));
            }
        }
        let from_list = ListRow::new("By my list…").selected(matches!(chosen, QueueOrder::List(_)));
        if ui.add(from_list).clicked() {
            sender.send(Intent::Ask(PathPurpose::Review(ReviewFile::Order)));
        }
        text::note(
            ui,
            "A CSV file with a column \"case\". Cases are listed in row order or, with a column \"score\", from the highest \
             score.",
        );
    });
}

fn menu(button: &egui::Response, name: &str, content: impl FnOnce(&mut Ui)) {
    let popup = Popup::menu(button).close_behavior(PopupCloseBehavior::CloseOnClick).gap(space::XS);
    popup.width(WIDTH).accessible_name(name).show(|ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        content(ui);
    });
}
