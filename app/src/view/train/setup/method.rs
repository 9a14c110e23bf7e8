//! Method of pre-training: masking and losses of AMLP, the numbers of other methods.

use egui::Ui;
use engine::config::{MaskFill, MethodConfig, Pretext};
use engine::pretrain::amlp::amr::RatioMode;
use engine::pretrain::amlp::arl::Attention;
use engine::pretrain::amlp::ccl::Consistency;
use engine::pretrain::amlp::relabel::Anchor;

use super::field::{self, Number};
use crate::command::masking::{METHODS, ORDERS, RULES};
use crate::state::State;
use crate::state::train::Form;
use crate::widget::{NumberField, Section, Toggle, format, text};

pub(super) fn show(ui: &mut Ui, state: &State, form: &mut Form) {
    if form.pretrain.method.pretext != Pretext::Amlp {
        let name = form.pretrain.preset.clone();
        Section::new("Method").note(&name).show(ui, |ui| numbers(ui, state, form));
        return;
    }
    Section::new("Patches and masks").closed().show(ui, |ui| masking(ui, state, form));
    Section::new("Losses and labels").closed().show(ui, |ui| losses(ui, state, form));
}

/// The numbers that a method other than AMLP declares.
fn numbers(ui: &mut Ui, state: &State, form: &mut Form) {
    let config = &mut form.pretrain;
    let all = engine::pretrain::numbers(config.method.pretext);
    if all.is_empty() {
        text::note(ui, "This method has no parameters.");
    }
    for number in all {
        let label = sentence_case(number.name);
        let note = format!("default {}, {}", number.default, number.what);
        let mut value = number.of(config);
        let [least, most] = number.range;
        let step = match number.default {
            default if most > 1.0 && default.fract() == 0.0 => 1.0,
            _ if most < 0.5 => 0.001,
            _ => 0.01,
        };
        let key = format!("method.numbers.{}", number.name);
        let mut changed = false;
        field::row(ui, field::problem(state, &key), &note, |ui| {
            let field = NumberField::new(&mut value, &label).range(least..=most).at_most_decimals(6).step(step);
            changed = field.show(ui).changed();
        });
        if changed {
            config.method.numbers.insert(number.name.to_owned(), value);
        }
    }
    recall(ui, &mut config.method);
}

/// "hard_share" as "Hard share".
fn sentence_case(name: &str) -> String {
    format::capitalised(&name.replace('_', " "))
}

fn recall(ui: &mut Ui, method: &mut MethodConfig) {
    field::row(ui, None, "logs recall from the reference, which is never trained on", |ui| {
        ui.add(Toggle::new(&mut method.report_recall, "Report recall"));
    });
}

fn share<'a>(label: &'a str, note: &'a str) -> Number<'a> {
    Number { label, note, unit: "", most: 1.0, decimals: 3, step: 0.01 }
}

fn masking(ui: &mut Ui, state: &State, form: &mut Form) {
    let method = &mut form.pretrain.method;
    let grid = "patches per side; paper: 16 (N = 256)";
    field::whole(ui, state, "method.grid", "Grid", grid, &mut method.grid, 1..=256);
    field::choice(ui, "Clustering", "paper: k-means; the others in Table 6", &mut method.cluster.method, &METHODS);
    let rule = "cluster taken as lesion; paper: minority";
    field::choice(ui, "Foreground", rule, &mut method.cluster.foreground, &RULES);
    field::row(ui, None, "excludes air from clustering and foreground", |ui| {
        ui.add(Toggle::new(&mut method.cluster.tissue_only, "Tissue only"));
    });
    field::choice(ui, "Order", "paper: lesion first (MPS), Table 4", &mut method.order, &ORDERS);
    let modes = [(RatioMode::Adaptive, "Growing (AMR)"), (RatioMode::Fixed, "Fixed"), (RatioMode::Tau, "By tau")];
    field::choice(ui, "Ratio", "paper: growing with the epoch, Eq. 9", &mut method.ratio.mode, &modes);
    let fixed = method.ratio.mode == RatioMode::Fixed;
    let first = if fixed {
        share("Sigma", "fraction masked in every epoch")
    } else {
        share("Sigma first", "fraction masked in the first epoch")
    };
    field::number(ui, state, "method.ratio.sigma_0", &first, &mut method.ratio.sigma_0);
    ui.add_enabled_ui(!fixed, |ui| {
        let last = share("Sigma last", "fraction masked in the last epoch");
        field::number(ui, state, "method.ratio.sigma_max", &last, &mut method.ratio.sigma_max);
    });
    let fills = [(MaskFill::Zero, "Zero"), (MaskFill::Learned, "Mask token"), (MaskFill::Noise, "Noise")];
    field::choice(ui, "Fill", "replaces masked pixels", &mut method.fill, &fills);
}

fn losses(ui: &mut Ui, state: &State, form: &mut Form) {
    let method = &mut form.pretrain.method;
    let attentions = [
        (Attention::Weighted, "Weighted"),
        (Attention::Ratio, "Ratio"),
        (Attention::Literal, "As printed"),
        (Attention::Off, "Off"),
    ];
    field::choice(ui, "Attention", "ARL, Eq. 6; as printed it has no gradient", &mut method.attention, &attentions);
    let consistencies =
        [(Consistency::Logit, "Logit"), (Consistency::Literal, "As printed"), (Consistency::Off, "Off")];
    field::choice(ui, "Consistency", "CCL, Eq. 7", &mut method.consistency, &consistencies);
    let lambda =
        Number { label: "Lambda", note: "weight of CCL; paper: 1", unit: "", most: 1000.0, decimals: 3, step: 0.1 };
    ui.add_enabled_ui(method.consistency != Consistency::Off, |ui| {
        field::number(ui, state, "method.lambda", &lambda, &mut method.lambda);
    });
    field::row(ui, None, "random update of the patch labels (section 3.3)", |ui| {
        ui.add(Toggle::new(&mut method.relabel, "Relabel"));
    });
    let period = "epochs between updates; 0: a twentieth of all";
    ui.add_enabled_ui(method.relabel, |ui| {
        field::whole(ui, state, "method.period", "Period", period, &mut method.period, 0..=100_000);
        let anchors = [(Anchor::Kmeans, "Clustering"), (Anchor::Previous, "Last update")];
        field::choice(ui, "Anchor", "label that an update starts from", &mut method.anchor, &anchors);
    });
    recall(ui, method);
}
