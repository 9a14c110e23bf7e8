//! Masking mode: the masking ratio over the epochs.

use egui::{Align, Layout, RichText, Ui, UiBuilder, vec2};

use super::SIDE;
use crate::command::{Command, MaskingCommand, Sender};
use crate::state::State;
use crate::state::masking::{Controls, RatioSource, RunSigma};
use crate::theme::{self, font, icon, size, space};
use crate::widget::text;
use crate::widget::{IconButton, Mark, StripChart, WorstEnd, format};

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let controls = &state.session.masking.controls;
    let whole = ui.available_rect_before_wrap();
    ui.advance_cursor_after_rect(whole);
    let (side, chart) = whole.split_left_right_at_x(whole.left() + SIDE);
    let side = ui.new_child(UiBuilder::new().max_rect(side.shrink2(vec2(space::M, space::S))));
    about(side, controls, sender);
    let mut ui = ui.new_child(UiBuilder::new().max_rect(chart));
    let sigma = |epoch: usize| Some(controls.ratio.sigma(epoch, controls.epochs) as f32);
    let values: Vec<Option<f32>> = (1..=controls.epochs).map(sigma).collect();
    let cursor = (controls.by == RatioSource::Epoch).then(|| controls.epoch - 1);
    let chart = StripChart::new("Sigma over the epochs (Eq. 9)", &values).curve().worst(WorstEnd::High);
    let marks = marks(state);
    let chart = chart.cursor(cursor).noun("Epoch").decimals(3).marks(&marks).height(whole.height());
    if let Some(chosen) = chart.show(&mut ui).chosen.filter(|&chosen| Some(chosen) != cursor) {
        sender.send(Command::Masking(MaskingCommand::SetEpoch(chosen + 1)));
    }
}

/// The current ratio, and those of runs at their current epochs.
fn marks(state: &State) -> Vec<Mark> {
    let controls = &state.session.masking.controls;
    let place = |epoch: usize| epoch.checked_sub(1).filter(|&index| index < controls.epochs);
    let (index, sigma) = match controls.by {
        RatioSource::Sigma => (None, controls.sigma),
        RatioSource::Epoch => (place(controls.epoch), controls.ratio.sigma(controls.epoch, controls.epochs)),
    };
    let own = Mark { name: "sigma".into(), index, value: sigma as f32, current: true };
    let of_run = |run: RunSigma| Mark {
        name: format!("{}, epoch {}", run.run, run.epoch),
        index: place(run.epoch),
        value: run.sigma as f32,
        current: false,
    };
    std::iter::once(own).chain(state.run_sigmas().into_iter().map(of_run)).collect()
}

/// Steps through the epochs, and the formula of the curve.
fn about(mut ui: Ui, controls: &Controls, sender: &Sender) {
    ui.spacing_mut().item_spacing.y = 2.0;
    ui.allocate_ui_with_layout(vec2(ui.available_width(), size::CONTROL), Layout::left_to_right(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        let mut step = |button: IconButton<'_>, command| {
            if ui.add(button.small()).clicked() {
                sender.send(Command::Masking(command));
            }
        };
        step(IconButton::new(icon::SKIP_BACK, "First epoch"), MaskingCommand::SetEpoch(1));
        step(IconButton::new(icon::CHEVRON_LEFT, "Previous epoch").shortcut("Left"), MaskingCommand::StepEpoch(-1));
        step(IconButton::new(icon::CHEVRON_RIGHT, "Next epoch").shortcut("Right"), MaskingCommand::StepEpoch(1));
        step(IconButton::new(icon::SKIP_FORWARD, "Last epoch"), MaskingCommand::SetEpoch(controls.epochs));
        let place = match controls.by {
            RatioSource::Epoch => format!("{} / {}", controls.epoch, controls.epochs),
            RatioSource::Sigma => format::plural(controls.epochs, "epoch", "epochs"),
        };
        let color = theme::tokens(ui).text_dim;
        ui.label(RichText::new(place).font(font::caption()).color(color));
    });
    let tau = controls.ratio.tau(controls.epochs);
    let curve = if tau.is_finite() {
        format!("sigma = {:.2} + ln(e) / {tau:.2}", controls.ratio.sigma_0)
    } else {
        format!("sigma = {:.2}", controls.ratio.sigma_0)
    };
    let now = match controls.by {
        RatioSource::Sigma => format!("{curve} (set to {:.3})", controls.sigma),
        RatioSource::Epoch => curve,
    };
    text::note(&mut ui, &now);
}
