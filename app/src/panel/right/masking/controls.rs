//! Controls of masking, clustering and display.

use egui::Ui;
use engine::cluster::Method;
use engine::config::MaskConfig;
use engine::preprocess::Spacing;
use engine::pretrain::amlp::mps::Order;

use super::super::super::chip::{Chip, chips};
use crate::command::masking::{METHODS, ORDERS, RULES};
use crate::command::{Command, MaskingCommand, Sender};
use crate::state::State;
use crate::state::masking::{Controls, DisplayOptions, MAX_EPOCHS, RatioSource, SIZES};
use crate::theme::{icon, space};
use crate::widget::{IconButton, NumberField, Section, Segment, SegmentedControl, Select, Slider, Toggle};
use crate::widget::{format, text};

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let mut controls = state.session.masking.controls.clone();
    let mut changed = false;
    let reset = |ui: &mut Ui| {
        if ui.add(IconButton::new(icon::RESET, "Default settings").small()).clicked() {
            sender.send(Command::Masking(MaskingCommand::Reset));
        }
    };
    Section::new("Ratio and order").show_with(ui, reset, |ui| changed |= masking(ui, &mut controls));
    let radius = state.cache.masking.found.as_ref().and_then(|found| found.clusters.dbscan_radius);
    Section::new("Clustering").show(ui, |ui| changed |= clustering(ui, &mut controls, radius));
    let note = if controls.mask == MaskConfig::default() { "all off" } else { "changed" };
    Section::new("Beyond the paper").note(note).closed().show(ui, |ui| changed |= draw(ui, &mut controls));
    if changed {
        sender.send(Command::Masking(MaskingCommand::Set(Box::new(controls))));
    }
    Section::new("Show").show(ui, |ui| shown(ui, state.session.masking.shown, sender));
}

fn masking(ui: &mut Ui, controls: &mut Controls) -> bool {
    let by = [Segment::text(RatioSource::Sigma, "Sigma"), Segment::text(RatioSource::Epoch, "Epoch")];
    let mut changed = SegmentedControl::new("Ratio by", &by).fill_width().show(ui, &mut controls.by).changed();
    ui.add_space(2.0);
    match controls.by {
        RatioSource::Sigma => {
            let slider = Slider::new(&mut controls.sigma, "Sigma", 0.0..=1.0).decimals(3).step(0.005);
            changed |= slider.show(ui).changed();
        }
        RatioSource::Epoch => {
            let slider = Slider::new(&mut controls.epoch, "Epoch", 1..=controls.epochs);
            changed |= slider.shortcut("Right").show(ui).changed();
            let field = NumberField::new(&mut controls.epochs, "Epochs").range(1..=MAX_EPOCHS);
            changed |= field.show(ui).changed();
        }
    }
    changed |= Select::new("Order", &ORDERS).show(ui, &mut controls.order).changed();
    changed |= NumberField::new(&mut controls.seed, "Seed").range(0..=u64::from(u32::MAX)).show(ui).changed();
    changed
}

/// Options for drawing masked patches that the paper does not have.
fn draw(ui: &mut Ui, controls: &mut Controls) -> bool {
    let mut changed = false;
    if controls.order != Order::Random {
        let field = NumberField::new(&mut controls.mask.temperature, "Temperature").range(0.0..=1e4).decimals(1);
        let why = "0: masked in order. Above 0: drawn in proportion to exp(logit / temperature)";
        changed |= field.show(ui).on_hover_text(why).changed();
    }
    let hints = Slider::new(&mut controls.mask.hints, "Hints", 0.0..=0.9).decimals(2).step(0.05);
    changed |= hints.show(ui).on_hover_text("Fraction of the foreground that stays visible").changed();
    let (side, units) = (controls.patch_px(), controls.units());
    let names: Vec<String> = units.iter().map(|unit| format!("{unit} \u{d7} {unit} patches")).collect();
    let mut choices: Vec<(usize, &str)> =
        units.iter().map(|unit| unit * side).zip(names.iter().map(String::as_str)).collect();
    if let Some(first) = choices.first_mut() {
        *first = (0, "1 patch");
    }
    if controls.mask.unit_px == side {
        controls.mask.unit_px = 0;
    }
    changed |= Select::new("Mask unit", &choices).show(ui, &mut controls.mask.unit_px).changed();
    changed |= ui.add(Toggle::new(&mut controls.mask.of_tissue, "Sigma within tissue")).changed();
    changed
}

/// `radius` is the one that DBSCAN used on the shown slice.
fn clustering(ui: &mut Ui, controls: &mut Controls, radius: Option<f64>) -> bool {
    let cluster = &mut controls.cluster;
    let mut changed = Select::new("Method", &METHODS).show(ui, &mut cluster.method).changed();
    changed |= Select::new("Foreground", &RULES).show(ui, &mut cluster.foreground).changed();
    changed |= ui.add(Toggle::new(&mut cluster.tissue_only, "Tissue only")).changed();
    match cluster.method {
        Method::Tsne => {
            let perplexity = NumberField::new(&mut cluster.tsne_perplexity, "Perplexity").range(1.0..=500.0);
            changed |= perplexity.decimals(1).show(ui).changed();
            let steps = NumberField::new(&mut cluster.tsne_iterations, "Iterations").range(1..=5000).step(50.0);
            changed |= steps.show(ui).changed();
        }
        Method::Dbscan => {
            let field = NumberField::new(&mut cluster.dbscan_eps, "Radius").range(0.0..=1e6).decimals(3).step(0.1);
            changed |= field.show(ui).on_hover_text("0: the knee of the k-distance curve of this slice").changed();
            if cluster.dbscan_eps == 0.0 {
                let used = radius.map_or_else(String::new, |radius| format!(", here {}", format::figures(radius)));
                text::note(ui, &format!("Radius 0: chosen from the slice{used}"));
            }
            let points = NumberField::new(&mut cluster.dbscan_min_points, "Minimum points").range(1..=1000);
            let why = "Patches within the radius of a core patch, itself included";
            changed |= points.show(ui).on_hover_text(why).changed();
        }
        // No settings.
        Method::Kmeans | Method::Agglomerative => {}
    }
    changed
}

fn shown(ui: &mut Ui, shown: DisplayOptions, sender: &Sender) {
    chips(ui, |ui| {
        for (name, switch) in DisplayOptions::ALL {
            let mut next = shown;
            let on = *switch(&mut next);
            *switch(&mut next) = !on;
            if ui.add(Chip::new(name, &format!("Show {}", name.to_lowercase())).selected(on)).clicked() {
                sender.send(Command::Masking(MaskingCommand::Show(next)));
            }
        }
    });
    ui.add_space(space::XS);
}

/// Patch grid, crop and spacing.
pub(super) fn slice(ui: &mut Ui, state: &State, sender: &Sender) {
    let mut controls = state.session.masking.controls.clone();
    let mut changed = false;
    let size = controls.preprocess.size;
    let note = format!("{0} \u{d7} {0} of {1} px", controls.grid, size / controls.grid.max(1));
    Section::new("Grid and crop").note(&note).show(ui, |ui| {
        let mut grids = controls.grids();
        if !grids.contains(&controls.grid) {
            grids.push(controls.grid);
        }
        let names: Vec<String> = grids.iter().map(|grid| format!("{grid} \u{d7} {grid}")).collect();
        let choices: Vec<(usize, &str)> = grids.into_iter().zip(names.iter().map(String::as_str)).collect();
        changed |= Select::new("Grid", &choices).show(ui, &mut controls.grid).changed();
        let field = NumberField::new(&mut controls.preprocess.size, "Crop").range(SIZES[0]..=SIZES[1]);
        changed |= field.step(16.0).unit("px").show(ui).changed();
        changed |= spacing(ui, &mut controls.preprocess.spacing);
    });
    if changed {
        sender.send(Command::Masking(MaskingCommand::Set(Box::new(controls))));
    }
}

fn spacing(ui: &mut Ui, spacing: &mut Spacing) -> bool {
    let offered = spacings(*spacing);
    let names: Vec<String> = offered.iter().map(|spacing| format::spacing(*spacing)).collect();
    let choices: Vec<(Spacing, &str)> = offered.into_iter().zip(names.iter().map(String::as_str)).collect();
    Select::new("Spacing", &choices).show(ui, spacing).changed()
}

/// The spacings to choose from. The current one replaces its equal.
fn spacings(current: Spacing) -> Vec<Spacing> {
    let mut offered = vec![Spacing::Iso, Spacing::Native];
    match offered.iter_mut().find(|spacing| spacing.millimetres() == current.millimetres()) {
        Some(same) => *same = current,
        None => offered.push(current),
    }
    offered
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A network trained with `spacing = [1, 1, 1]` led to two entries "1 x 1 x 1 mm".
    #[test]
    fn every_spacing_is_offered_once() {
        let [same, thick] = [[1.0; 3], [1.0, 1.0, 3.0]].map(Spacing::Millimetres);
        assert_eq!(spacings(Spacing::Native), [Spacing::Iso, Spacing::Native]);
        assert_eq!(spacings(same), [same, Spacing::Native]);
        assert_eq!(spacings(thick), [Spacing::Iso, Spacing::Native, thick]);
    }
}
