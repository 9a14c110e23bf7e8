//! Two epochs of a run, or two runs, on the same slice.

use egui::{Align, Layout, Rect, RichText, Ui, UiBuilder, vec2};
use engine::event::Stage;

use super::pane::{self, PaneContent};
use super::probe::{description, follow, title, with_note};
use super::sentence;
use super::{GAP, part};
use crate::command::{Command, Sender, TimelineCommand};
use crate::state::timeline::{Labels, OpenRun, Quantity};
use crate::state::{Intent, PathPurpose, State};
use crate::theme::{self, font, icon, space};
use crate::widget::text;
use crate::widget::{ButtonKind, IconButton, PushButton, Slider};

/// Height of the controls above each side.
const HEAD: f32 = 66.0;

pub(super) fn show(ui: &mut Ui, state: &State, run: &OpenRun, sender: &Sender) {
    let area = ui.max_rect();
    let (head, body) = area.split_top_bottom_at_y(area.top() + HEAD);
    ui.painter().rect_filled(head, 0.0, theme::tokens(ui).panel);
    ui.painter().rect_filled(body, 0.0, theme::tokens::DARK.line);
    let Some(epoch) = run.epoch() else { return };
    let sides = [Some((run, epoch)), state.compared_run()];
    for (n, side) in sides.into_iter().enumerate() {
        let (head, body) = (part(head, n, 2, true), part(body, n, 2, true));
        let mut top = column(ui, head.shrink2(vec2(space::M, space::XS)), if n == 0 { "A" } else { "B" });
        controls(&mut top, state, side, n == 1, sender);
        ui.painter().rect_filled(body, 0.0, theme::tokens(ui).image);
        if let Some((run, epoch)) = side {
            panes(ui, body, state, run, (epoch, n), sender);
        } else {
            sentence(ui, body, "No epoch to compare with.");
        }
    }
    let line = egui::Stroke::new(GAP, theme::tokens(ui).line);
    ui.painter().vline(area.center().x, head.y_range(), line);
}

fn column(ui: &mut Ui, rect: Rect, salt: &str) -> Ui {
    let builder = UiBuilder::new().max_rect(rect).layout(Layout::top_down(Align::Min)).id_salt(("side", salt));
    let mut column = ui.new_child(builder);
    column.spacing_mut().item_spacing.y = 0.0;
    column
}

/// Name, epoch and two key numbers of a side.
fn controls(ui: &mut Ui, state: &State, side: Option<(&OpenRun, usize)>, other: bool, sender: &Sender) {
    let send = |command| sender.send(Command::Timeline(command));
    let t = theme::tokens(ui);
    ui.allocate_ui_with_layout(vec2(ui.available_width(), 28.0), Layout::right_to_left(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        if other {
            if ui.add(IconButton::new(icon::CLOSE, "End the comparison").small()).clicked() {
                send(TimelineCommand::EndComparison);
            }
            let button = PushButton::new("Change run\u{2026}").kind(ButtonKind::Quiet).icon(icon::OPEN_FOLDER);
            if ui.add(button).clicked() {
                sender.send(Intent::Ask(PathPurpose::CompareRun));
            }
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let name = side.map_or("", |(run, _)| run.name.as_str());
            let letter = if other { "B" } else { "A" };
            ui.label(RichText::new(letter).font(font::strong()).color(t.accent_text));
            text::line(ui, RichText::new(name).font(font::strong()).color(t.text));
            let facts = side.map(|(run, epoch)| facts(run, epoch)).unwrap_or_default();
            text::line(ui, RichText::new(facts).font(font::number_small()).color(t.text_dim));
        });
    });
    let Some((run, epoch)) = side else { return };
    let mut chosen = epoch;
    let label = if other { "Epoch B" } else { "Epoch A" };
    if run.last() > 1 && Slider::new(&mut chosen, label, 1..=run.last()).show(ui).changed() {
        let stage = state.session.timeline.active;
        send(if other {
            TimelineCommand::CompareEpoch(chosen)
        } else {
            TimelineCommand::SetEpoch { stage, epoch: chosen }
        });
    }
}

/// Key numbers of an epoch.
fn facts(run: &OpenRun, epoch: usize) -> String {
    let wanted = match run.stage() {
        Stage::Pretrain if run.has_labels() => [Quantity::Pred, Quantity::Sigma],
        Stage::Pretrain => [Quantity::Loss, Quantity::Diagnostic("loss_ratio".into())],
        Stage::Finetune => [Quantity::Loss, Quantity::Dice],
    };
    let fact = |quantity: &Quantity| {
        let value = quantity.value(&run.history, epoch)?;
        // The Dice of an epoch is of the validation patients, never of the test patients.
        let name = if *quantity == Quantity::Dice { "Dice val" } else { quantity.name() };
        Some(format!("{name} {}", quantity.text(value)))
    };
    wanted.iter().filter_map(fact).collect::<Vec<_>>().join("   ")
}

/// The slice of one side, and below it input, output and loss.
fn panes(ui: &mut Ui, area: Rect, state: &State, run: &OpenRun, (epoch, n): (usize, usize), sender: &Sender) {
    let letter = if n == 0 { "A" } else { "B" };
    let ui = &mut super::child(ui, area, letter);
    let probed = match pane::probed(state, run, epoch) {
        Ok(probed) => probed,
        Err(why) => {
            theme::on_image(ui);
            return sentence(ui, area, &why);
        }
    };
    let camera = state.session.timeline.options.camera;
    let before = probed.labelled && state.session.timeline.options.labels == Labels::Before;
    let content = if before { PaneContent::Before } else { PaneContent::After };
    let (area, line) = with_note(area, run.stage() == Stage::Pretrain);
    let columns = pane::column(&probed);
    let small = ((area.height() - GAP) * 0.3).min(area.width() / 3.0).round();
    let (large, row) = area.split_top_bottom_at_y(area.bottom() - small - GAP);
    let row = Rect::from_min_max(egui::pos2(row.left(), row.top() + GAP), row.max);
    let name = format!("{letter}  {}", title(state, run, &probed, content));
    let response = pane::show(ui, large, state, &probed, content, &name, camera);
    description(ui, line, state, &probed, response.hovered);
    follow(&response, state, sender);
    let count = columns.len();
    for (m, (content, name)) in columns.into_iter().enumerate() {
        // Without the side's letter: beside a short name, A would read as an orientation letter.
        let response = pane::show(ui, part(row, m, count, true), state, &probed, content, name, camera);
        follow(&response, state, sender);
    }
}
