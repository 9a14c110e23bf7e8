//! Layers drawn on the probe, their legend, and the numbers of the selected patch.

use egui::{RichText, Sense, Stroke, StrokeKind, Ui, vec2};
use engine::event::Stage;

use super::super::super::super::chip::{Chip, chips};
use crate::command::{Command, Sender, TimelineCommand};
use crate::scene::crop;
use crate::state::State;
use crate::state::timeline::{Layer, OpenRun};
use crate::theme::{self, font, palette, radius, space};
use crate::widget::{PropertyRow, Section};
use crate::widget::{format, text};

pub(super) fn show(ui: &mut Ui, state: &State, run: &OpenRun, sender: &Sender) {
    Section::new("On the probe").show(ui, |ui| {
        let grid = grid(state, run);
        // Some methods mask no patches.
        let is_drawn = |layer: &Layer| layer.belongs_to(run) && (*layer != Layer::Masked || grid != Some(0));
        chips(ui, |ui| {
            for layer in Layer::ALL.into_iter().filter(is_drawn) {
                let on = state.session.timeline.options.shows(layer);
                let name = format!("Show {}", layer.name().to_lowercase());
                if ui.add(Chip::new(layer.name(), &name).selected(on)).on_hover_text(meaning(layer)).clicked() {
                    sender.send(Command::Timeline(TimelineCommand::ShowLayer(layer, !on)));
                }
            }
        });
        if run.stage() == Stage::Pretrain {
            ui.add_space(space::XS);
            if run.has_labels() {
                legend(ui);
            }
            patch(ui, state, run);
        }
    });
}

fn meaning(layer: Layer) -> &'static str {
    match layer {
        Layer::Labels => "Green: label 1, foreground. Purple: label 0, background",
        Layer::Digits => "Patch labels as digits, where patches are large enough",
        Layer::Masked => "Hatched: masked patches",
        Layer::Flips => "Yellow outline: label changed in the last update",
        Layer::Coins => "Disc: label drawn at random in the last update, full for 1, hollow for 0",
        Layer::Lesion => "Outline of the reference",
        Layer::Heat => "Recorded probability after this epoch",
        Layer::Edge => "Outline at probability 0.5, instead of the reference",
    }
}

fn legend(ui: &mut Ui) {
    let t = theme::tokens(ui);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        ui.spacing_mut().interact_size.y = 16.0;
        let entries = [
            ("1 foreground", palette::PATCH_LESION, true),
            ("0 background", palette::PATCH_BACKGROUND, true),
            ("flipped", palette::PATCH_FLIP, false),
        ];
        for (word, color, filled) in entries {
            let (rect, _) = ui.allocate_exact_size(vec2(11.0, 11.0), Sense::hover());
            let fill = if filled { color.gamma_multiply(0.35) } else { egui::Color32::TRANSPARENT };
            ui.painter().rect(rect, radius::S - 1, fill, Stroke::new(1.5, color), StrokeKind::Inside);
            ui.label(RichText::new(word).font(font::caption()).color(t.text_dim));
            ui.add_space(space::XS);
        }
    });
}

/// Patches per side of the shown slice, once it is read; 0 if the method has none.
fn grid(state: &State, run: &OpenRun) -> Option<usize> {
    let key = state.record_key(run, run.epoch()?)?;
    let slice = state.cache.timeline.probes.slice(&key.slice)?.as_ref().ok()?;
    Some(slice.slice.grid)
}

/// Numbers of the selected patch at this epoch.
fn patch(ui: &mut Ui, state: &State, run: &OpenRun) {
    let key = run.epoch().and_then(|epoch| state.record_key(run, epoch));
    let probes = &state.cache.timeline.probes;
    let Some(grid) = grid(state, run).filter(|grid| *grid > 0) else { return };
    let Some(patch) = state.session.timeline.options.patch.filter(|patch| *patch < grid * grid) else {
        text::note(ui, "Click a patch to see its numbers over the epochs.");
        return;
    };
    let seen = key.and_then(|key| probes.record(&key)?.as_ref().ok());
    ui.spacing_mut().item_spacing.y = 0.0;
    let place = crop::place_words(patch, grid, state.session.settings.convention);
    ui.add(PropertyRow::new("Patch", &place).hint("Counted from 1, from the left and from the top of the view"));
    let Some(seen) = seen else { return };
    let record = &seen.record;
    let masked = if record.masked.get(patch) == Some(&true) { "yes" } else { "no" };
    if !run.has_labels() {
        ui.add(PropertyRow::new("Masked", masked));
        return;
    }
    let label = record.after.get(patch).map_or_else(|| format::NONE.to_owned(), ToString::to_string);
    ui.add(PropertyRow::new("Label", &label).hint("After this epoch"));
    let update = seen.update.as_ref();
    let case = update.and_then(|update| update.cases.get(patch)).map(|case| match case {
        0 => "never masked".to_owned(),
        case => case.to_string(),
    });
    let coin = update.and_then(|update| update.coins.get(patch).copied().flatten());
    let case = case.map(|case| coin.map_or_else(|| case.clone(), |coin| format!("{case}, coin {coin}")));
    ui.add(PropertyRow::new("Case", case.as_deref().unwrap_or(format::NONE)).hint("In the last update"));
    ui.add(PropertyRow::new("Masked", masked));
    let number = |values: &[Option<f32>]| {
        let value = values.get(patch).copied().flatten();
        value.map_or_else(|| format::NONE.to_owned(), |v| format::figures(f64::from(v)))
    };
    ui.add(PropertyRow::new("Loss", &number(&record.losses)).hint("Mean squared error of the patch"));
    ui.add(PropertyRow::new("Relative loss", &number(&record.relative)).hint("1 is the mean of the slice"));
}
