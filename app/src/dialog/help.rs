//! Mouse gestures and keyboard shortcuts.

use crate::command::{Action, Sender, WindowCommand, action::GESTURES, actions};
use egui::{Context, Label, Layout, RichText, ScrollArea, Ui, vec2};

use super::sheet::Sheet;
use crate::state::State;
use crate::theme::{self, font, icon, size, space};
use crate::widget::{ButtonKind, PushButton, keycaps, text};

const WIDTH: f32 = 1080.0;
const COLUMNS: usize = 3;

struct Group<'a> {
    title: &'a str,
    lines: Vec<(&'a str, &'a str)>,
}

pub(super) fn show(ctx: &Context, state: &State, sender: &Sender) {
    let all = actions(state);
    let columns = columns(groups(&all));
    let height = (ctx.content_rect().height() - 120.0).max(160.0);
    let manual = |ui: &mut Ui| {
        if ui.add(PushButton::new("Manual").icon(icon::HELP).kind(ButtonKind::Quiet)).clicked() {
            sender.send(WindowCommand::OpenManual);
        }
    };
    Sheet::new("Mouse and keys", WIDTH).show(ctx, sender, manual, |ui| {
        ScrollArea::vertical().max_height(height).min_scrolled_height(height).auto_shrink([false, true]).show(
            ui,
            |ui| {
                ui.spacing_mut().item_spacing.x = 2.0 * space::L;
                ui.columns(COLUMNS, |uis| {
                    uis.iter_mut().zip(&columns).for_each(|(ui, groups)| column(ui, groups));
                });
                ui.add_space(space::S);
                text::note(
                    ui,
                    "Letter keys are inactive while you type in a field. The command palette lists all actions.",
                );
            },
        );
    });
}

/// Mouse gestures, then actions with shortcuts by group.
fn groups(all: &[Action]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = vec![Group { title: "Mouse", lines: GESTURES.to_vec() }];
    for action in all.iter().filter(|action| !action.shortcut.is_empty()) {
        let line = (action.shortcut, action.label.as_str());
        match groups.iter_mut().find(|group| group.title == action.group) {
            Some(group) => group.lines.push(line),
            None => groups.push(Group { title: action.group, lines: vec![line] }),
        }
    }
    groups
}

/// Places each group in the shortest column.
fn columns(groups: Vec<Group<'_>>) -> [Vec<Group<'_>>; COLUMNS] {
    let mut columns: [Vec<Group<'_>>; COLUMNS] = std::array::from_fn(|_| Vec::new());
    let height = |column: &Vec<Group<'_>>| column.iter().map(|group| group.lines.len() + 2).sum::<usize>();
    for group in groups {
        // Gestures take two lines each, so the mouse has its own column.
        let places = if group.title == "Mouse" { 0..1 } else { 1..COLUMNS };
        if let Some(place) = places.min_by_key(|&place| height(&columns[place])) {
            columns[place].push(group);
        }
    }
    columns
}

/// Draws the groups of a column, aligned to the left: the column's own layout would justify the text.
fn column(ui: &mut Ui, groups: &[Group<'_>]) {
    ui.vertical(|ui| groups.iter().for_each(|group| draw(ui, group)));
}

fn draw(ui: &mut Ui, group: &Group<'_>) {
    let t = theme::tokens(ui);
    ui.spacing_mut().item_spacing.y = 2.0;
    ui.add(Label::new(RichText::new(group.title).font(font::strong()).color(t.accent_text)));
    ui.add_space(space::XS);
    for &(keys, meaning) in &group.lines {
        if group.title == "Mouse" {
            ui.add(Label::new(RichText::new(keys).font(font::body()).color(t.text)).wrap());
            text::note(ui, meaning);
            ui.add_space(space::XS);
        } else {
            line(ui, keys, meaning);
        }
    }
    ui.add_space(space::M);
}

fn line(ui: &mut Ui, keys: &str, meaning: &str) {
    let color = theme::tokens(ui).text;
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), size::ROW_DENSE),
        Layout::right_to_left(egui::Align::Center),
        |ui| {
            keycaps(ui, keys);
            ui.with_layout(Layout::left_to_right(egui::Align::Center), |ui| {
                text::line(ui, RichText::new(meaning).font(font::body()).color(color));
            });
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Justified text would spread the words of a gesture over the width of its column.
    #[test]
    fn gestures_are_not_justified() {
        let ctx = Context::default();
        theme::install(&ctx, theme::Theme::Dark);
        let size = egui::Rect::from_min_size(egui::Pos2::ZERO, vec2(600.0, 900.0));
        let input = egui::RawInput { screen_rect: Some(size), ..egui::RawInput::default() };
        let output = ctx.run_ui(input, |ui| {
            let groups = [Group { title: "Mouse", lines: GESTURES.to_vec() }];
            ui.columns(2, |uis| column(&mut uis[0], &groups));
        });
        let stretched = |shape: &egui::epaint::ClippedShape| match &shape.shape {
            egui::Shape::Text(text) => Some(text.galley.job.justify),
            _ => None,
        };
        let lines: Vec<bool> = output.shapes.iter().filter_map(stretched).collect();
        output.drop_without_applying_deltas();
        assert!(lines.len() > GESTURES.len() && !lines.contains(&true), "{lines:?}");
    }
}
