//! The bar above the views: view, run, labels.

use egui::{Align, Layout, RichText, Ui};

use crate::command::{Command, Sender, TimelineCommand, timeline::stage_name};
use crate::state::timeline::{Labels, OpenRun, WatchView};
use crate::state::{Intent, PathPurpose, State};
use crate::theme::{self, font, icon, space};
use crate::widget::text;
use crate::widget::{Badge, IconButton, Segment, SegmentedControl, Tone};

pub(super) fn show(ui: &mut Ui, state: &State, run: &OpenRun, sender: &Sender) {
    let send = |command| sender.send(Command::Timeline(command));
    let options = &state.session.timeline.options;
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = space::S;
        let mut view = options.view;
        let views = WatchView::ALL.map(|view| Segment::text(view, view.name()));
        if SegmentedControl::new("Watch", &views).show(ui, &mut view).changed() {
            send(TimelineCommand::Show(view));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui.add(IconButton::new(icon::OPEN_FOLDER, "Open run\u{2026}").small()).clicked() {
                sender.send(Intent::Ask(PathPurpose::Run));
            }
            if !run.live && ui.add(IconButton::new(icon::RETRY, "Reload the run").small()).clicked() {
                send(TimelineCommand::Reload);
            }
            if run.has_labels() && options.view == WatchView::Probe {
                let mut labels = options.labels;
                let segments = Labels::ALL.map(|labels| Segment::text(labels, short(labels)));
                if SegmentedControl::new("Labels", &segments).show(ui, &mut labels).changed() {
                    send(TimelineCommand::ShowLabels(labels));
                }
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| name(ui, run));
        });
    });
}

fn short(labels: Labels) -> &'static str {
    match labels {
        Labels::Before => "Before",
        Labels::After => "After",
        Labels::Both => "Both",
    }
}

/// Name and stage of the run, and a badge with who trains it. The timeline says all of it, so that a narrow page keeps the
/// name only.
fn name(ui: &mut Ui, run: &OpenRun) {
    let t = theme::tokens(ui);
    let width = |text: &str, font| ui.painter().layout_no_wrap(text.to_owned(), font, t.text).size().x + space::S;
    let mut room = ui.available_width() - width(&run.name, font::strong());
    let stage = stage_name(run.stage());
    room -= width(stage, font::caption());
    let has_stage = room >= 0.0;
    let trainer = run.trainer().filter(|trainer| room >= width(trainer, font::caption()) + 2.0 * space::S);
    if let Some(trainer) = trainer {
        ui.add(Badge::new(trainer).tone(Tone::Ok));
    }
    if has_stage {
        ui.label(RichText::new(stage).font(font::caption()).color(t.text_dim));
    }
    let name = RichText::new(&run.name).font(font::strong()).color(t.text);
    text::line(ui, name).on_hover_text(run.path.display().to_string());
}
