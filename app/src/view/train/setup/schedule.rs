//! Schedule, network and preprocessing of both stages.

use egui::Ui;
use engine::config::TrainingConfig;
use engine::event::Stage;
use engine::model::Norm;
use engine::preprocess::Spacing;

use super::field;
use crate::state::State;
use crate::state::train::Form;
use crate::widget::{NumberField, Section, format};

pub(super) fn show(ui: &mut Ui, state: &State, form: &mut Form) {
    Section::new("Schedule").show(ui, |ui| schedule(ui, state, form));
    let fixed = form.stage == Stage::Finetune && !form.finetune.labels.from.as_os_str().is_empty();
    let note = if fixed { "of the pre-trained run" } else { "" };
    Section::new("Network").note(note).closed().show(ui, |ui| {
        ui.add_enabled_ui(!fixed, |ui| network(ui, state, form));
    });
    Section::new("Preprocessing").note(note).closed().show(ui, |ui| {
        ui.add_enabled_ui(!fixed, |ui| preprocessing(ui, state, form));
    });
}

fn schedule(ui: &mut Ui, state: &State, form: &mut Form) {
    let pretrain = form.stage == Stage::Pretrain;
    let note = |pre: &'static str, fine: &'static str| if pretrain { pre } else { fine };
    let config = form.config_mut();
    let training = &mut config.training;
    length(ui, state, training, note("paper: 800", "paper: 70"));
    let batch = note(
        "slices per step; paper: 36 (BraTS), 48 (HECKTOR)",
        "slices per step; paper: BraTS 56 (5 %), 70 (10 %); HECKTOR 31, 90",
    );
    field::whole(ui, state, "training.batch", "Batch", batch, &mut training.batch, 1..=65_536);
    let lr = ("Learning rate", note("AdamW; paper: 1e-4, constant", "AdamW, cosine to 0; paper: 1e-4"));
    field::rate(ui, state, "training.lr", lr, 1e-5, &mut training.lr);
    let decay = ("Weight decay", note("0.01; not stated in the paper", "paper: 1e-4"));
    field::rate(ui, state, "training.weight_decay", decay, 1e-4, &mut training.weight_decay);
    let shift = "maximum random shift of the crop";
    field::row(ui, field::problem(state, "training.shift_px"), shift, |ui| {
        NumberField::new(&mut training.shift_px, "Shift").range(0..=512).unit("px").show(ui);
    });
    if pretrain {
        let every = "uses every n-th slice of a patient";
        field::whole(ui, state, "training.every_slice", "Every n-th slice", every, &mut training.every_slice, 1..=1000);
    }
    field::row(ui, None, "for all random numbers", |ui| {
        NumberField::new(&mut config.seed, "Seed").range(0..=u64::from(u32::MAX)).show(ui);
    });
}

/// The length in epochs, and in steps where those are set instead.
fn length(ui: &mut Ui, state: &State, training: &mut TrainingConfig, paper: &str) {
    let note = match (training.steps, training.min_steps) {
        (0, 0) => paper.to_owned(),
        (0, least) => format!("{paper}; more if that is below {}", format::plural(least, "step", "steps")),
        (steps, _) => {
            format!("unused: {} set. Enter epochs to replace them.", format::plural(steps, "step is", "steps are"))
        }
    };
    let epochs = training.epochs;
    field::whole(ui, state, "training.epochs", "Epochs", &note, &mut training.epochs, 1..=1_000_000);
    if training.epochs != epochs {
        // An entered length is exact.
        (training.steps, training.min_steps) = (0, 0);
    }
    if training.steps > 0 {
        let note = "total, instead of epochs; 0: use epochs";
        field::whole(ui, state, "training.steps", "Steps", note, &mut training.steps, 0..=100_000_000);
    }
}

fn network(ui: &mut Ui, state: &State, form: &mut Form) {
    let network = &mut form.config_mut().network;
    let width = "paper: presumably 64; 16 on a CPU";
    field::whole(ui, state, "network.width", "Width", width, &mut network.width, 1..=1024);
    field::whole(ui, state, "network.depth", "Depth", "paper: 4 pooling steps", &mut network.depth, 1..=6);
    let norms = [(Norm::Batch, "Batch"), (Norm::Instance, "Instance"), (Norm::None, "None")];
    field::choice(ui, "Norm", "not stated in the paper", &mut network.norm, &norms);
}

/// Initial custom spacing: in-plane as in the paper, with typical thick slices.
const CUSTOM_MM: [f64; 3] = [1.0, 1.0, 3.0];

/// The paper's, the native or a custom spacing.
fn spacing(ui: &mut Ui, state: &State, spacing: &mut Spacing) {
    let custom = if let Spacing::Millimetres(_) = spacing { *spacing } else { Spacing::Millimetres(CUSTOM_MM) };
    let names = [Spacing::Iso, Spacing::Native].map(format::spacing);
    let spacings = [(Spacing::Iso, names[0].as_str()), (Spacing::Native, names[1].as_str()), (custom, "Custom")];
    field::choice(ui, "Spacing", "paper: 1 mm along each axis", spacing, &spacings);
    let Spacing::Millimetres(mm) = spacing else { return };
    let problem = field::problem(state, "preprocess.spacing");
    for (axis, (mm, label)) in mm.iter_mut().zip(["Spacing R-L", "Spacing A-P", "Spacing S-I"]).enumerate() {
        // The problem is shown once.
        let (problem, note) = if axis == 0 { (problem, "0.01 to 1000 mm") } else { (None, "") };
        field::row(ui, problem, note, |ui| {
            NumberField::new(mm, label).range(0.01..=1000.0).decimals(3).step(0.1).unit("mm").show(ui);
        });
    }
}

fn preprocessing(ui: &mut Ui, state: &State, form: &mut Form) {
    let prepare = &mut form.config_mut().preprocess;
    field::row(ui, field::problem(state, "preprocess.size"), "paper: 160 (BraTS), 144 (HECKTOR)", |ui| {
        NumberField::new(&mut prepare.size, "Crop").range(0..=8192).unit("px").show(ui);
    });
    spacing(ui, state, &mut prepare.spacing);
}
