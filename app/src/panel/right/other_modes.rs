//! What the modes besides Review offer so far.

use egui::{Label, RichText, ScrollArea, Ui};

use super::super::text;
use crate::command::{Command, Sender};
use crate::state::Mode;
use crate::theme::{self, font, icon, space};
use crate::widget::{IconButton, PushButton, Section};

/// A command line and what it does.
type Example = (&'static str, &'static str);

const MASKING: [Example; 2] = [
    ("amlp mask SCAN --slice 20 --sigma 0.5 --out slice.png", "patches of one slice, clustered and masked"),
    ("amlp mask --help", "clusterings, orders, foreground rules"),
];
const TRAIN: [Example; 3] = [
    ("amlp pretrain COHORT --modality flair --out runs/pre", "pre-training without labels"),
    (
        "amlp finetune COHORT --modality flair --from runs/pre --labels 5% --out runs/fine",
        "fine-tuning with a few labels",
    ),
    ("amlp compare --help", "methods against each other"),
];

/// Draws it.
pub(super) fn show(ui: &mut Ui, mode: Mode, sender: &Sender) {
    let (what, examples): (&str, &[Example]) = match mode {
        Mode::Train => (
            "Training runs on the command line; there is no control for it in this window yet. \
             A fine-tuned run can be chosen in Review and used to segment.",
            &TRAIN,
        ),
        _ => (
            "Clustering and masking run on the command line; there is no control for them in this window yet.",
            &MASKING,
        ),
    };
    ScrollArea::vertical().id_salt("mode").auto_shrink(false).content_margin(space::M).show(ui, |ui| {
        text::sentence(ui, what);
        ui.add_space(space::S);
        Section::new("Command line").show(ui, |ui| {
            for &(line, meaning) in examples {
                example(ui, line, meaning);
            }
        });
        if ui.add(PushButton::new("Back to Review").icon(icon::REVIEW).shortcut("F1")).clicked() {
            sender.send(Command::SetMode(Mode::Review));
        }
    });
}

/// A line to be copied.
fn example(ui: &mut Ui, line: &str, meaning: &str) {
    let t = theme::tokens(ui);
    text::note(ui, meaning);
    let field = egui::Frame::new().fill(t.field).corner_radius(theme::radius::M).inner_margin(space::S);
    field.show(ui, |ui| {
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Min), |ui| {
            let name = format!("Copy: {line}");
            if ui.add(IconButton::new(icon::COPY, &name).small()).clicked() {
                ui.ctx().copy_text(line.to_owned());
            }
            ui.with_layout(egui::Layout::top_down(egui::Align::Min), |ui| {
                let text = RichText::new(line).font(font::mono()).color(t.text);
                ui.add(Label::new(text).wrap().selectable(true));
            });
        });
    });
    ui.add_space(space::XS);
}
