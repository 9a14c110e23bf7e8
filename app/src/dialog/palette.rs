//! The command palette: all available actions by name.

use egui::{Align2, Context, Id, Key, Modifiers, Rect, Response, Role, ScrollArea, Sense, Ui, WidgetInfo, pos2, vec2};

use super::sheet::Sheet;
use crate::command::action::matching;
use crate::command::{Action, Sender, WindowCommand, actions};
use crate::state::State;
use crate::theme::{self, font, radius, size, space};
use crate::widget::text;
use crate::widget::{SearchField, keycaps};

const WIDTH: f32 = 560.0;
/// Fixed height of the list, so that the field does not move while typing.
const LIST: f32 = 12.0 * size::ROW;

pub(super) fn show(ctx: &Context, state: &State, query: &str, chosen: usize, sender: &Sender) {
    let all = actions(state);
    // Consumed before the text field sees them.
    let (moved, run) = ctx.input_mut(|input| {
        let mut count = |key| input.count_and_consume_key(Modifiers::NONE, key) as i64;
        let moved = count(Key::ArrowDown) - count(Key::ArrowUp) + 8 * (count(Key::PageDown) - count(Key::PageUp));
        (moved, count(Key::Enter) > 0)
    });
    Sheet::new("Command palette", WIDTH).at_top().show(
        ctx,
        sender,
        |_| (),
        |ui| {
            let typed = field(ui, query);
            let found = matching(&all, &typed);
            // Includes text typed in this frame.
            let from = if typed == query { chosen } else { 0 };
            let last = found.len() as i64 - 1;
            let chosen = (from as i64).min(last) + moved;
            let chosen = chosen.clamp(0, last.max(0)) as usize;
            if let (true, Some(action)) = (run, found.get(chosen)) {
                return run_action(action, sender);
            }
            if moved != 0 || typed != query {
                sender.send(WindowCommand::EditPalette(typed, chosen));
            }
            ui.add_space(space::XS);
            if found.is_empty() {
                nothing(ui);
            } else {
                list(ui, &found, chosen, moved != 0, sender);
            }
        },
    );
}

/// Closes the palette, then runs the action, which may open another dialog.
fn run_action(action: &Action, sender: &Sender) {
    sender.send(WindowCommand::CloseDialog);
    sender.send(action.command.clone());
}

/// The text after this frame's keys.
fn field(ui: &mut Ui, query: &str) -> String {
    let id = Id::unique("palette query");
    let mut typed = query.to_owned();
    let response = SearchField::new(&mut typed, "Search actions").id(id).show(ui);
    if !response.has_focus() {
        response.request_focus();
    }
    typed
}

fn nothing(ui: &mut Ui) {
    ui.allocate_ui(vec2(ui.available_width(), LIST), |ui| {
        ui.set_min_height(LIST);
        ui.add_space(space::M);
        ui.vertical_centered(|ui| text::sentence(ui, "No action matches."));
    });
}

fn list(ui: &mut Ui, found: &[&Action], chosen: usize, moved: bool, sender: &Sender) {
    ui.spacing_mut().item_spacing.y = 0.0;
    let area = ScrollArea::vertical().id_salt("actions").max_height(LIST).min_scrolled_height(LIST).auto_shrink(false);
    area.show_rows(ui, size::ROW, found.len(), |ui, rows| {
        if moved {
            let top = ui.max_rect().top() + (chosen as f32 - rows.start as f32) * size::ROW;
            ui.scroll_to_rect(Rect::from_x_y_ranges(ui.max_rect().x_range(), top..=top + size::ROW), None);
        }
        for at in rows {
            if row(ui, found[at], at == chosen).clicked() {
                run_action(found[at], sender);
            }
        }
    });
}

fn row(ui: &mut Ui, action: &Action, chosen: bool) -> Response {
    let t = theme::tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), size::ROW), Sense::click());
    let name = format!("{}: {}", action.group, action.label);
    response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, true, chosen, &name));
    let fill = match (chosen, response.hovered()) {
        (true, _) => t.selection,
        (false, true) => t.raised_hover,
        (false, false) => egui::Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, radius::M, fill);
    if chosen {
        let bar = Rect::from_min_size(rect.min + vec2(0.0, space::S), vec2(2.0, rect.height() - 2.0 * space::S));
        ui.painter().rect_filled(bar, 1.0, t.accent);
    }
    let middle = rect.center().y;
    let put = |x: f32, text: &str, color| {
        ui.painter().text(pos2(x, middle), Align2::LEFT_CENTER, text, font::body(), color);
    };
    put(rect.left() + space::M, action.group, t.text_dim);
    put(rect.left() + space::M + size::LABEL, &action.label, t.text);
    if !action.shortcut.is_empty() {
        let right = rect.shrink2(vec2(space::M, 0.0));
        let layout = egui::Layout::right_to_left(egui::Align::Center);
        let mut child = ui.new_child(egui::UiBuilder::new().max_rect(right).layout(layout).id_salt(&name));
        keycaps(&mut child, action.shortcut);
    }
    response
}
