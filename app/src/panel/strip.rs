//! The bottom strip. In Review a value per axial slice: agreement with the reference, else the entropy of the network.

mod sigma;
mod timeline;

use egui::{Align, Frame, Layout, Panel, RichText, Sense, Ui, UiBuilder, vec2};

use crate::command::{Command, OverlayCommand, Sender, ViewCommand, WindowCommand};
use crate::scene::PlaneMode;
use crate::state::review::Strip;
use crate::state::{Document, Mode, PaneId, State};
use crate::theme::{self, font, icon, size, space};
use crate::widget::{IconButton, StripChart, WorstEnd};
use crate::widget::{format, text};

/// Width of the column beside the bars.
const SIDE: f32 = 184.0;
/// Heights that the strip can be dragged to.
const HEIGHTS: std::ops::RangeInclusive<f32> = 92.0..=320.0;

/// Draws the strip of the current mode.
pub fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    if !state.shows_strip() {
        return;
    }
    let frame = Frame::new().fill(theme::tokens(ui).panel);
    let height = state.session.settings.strip_height;
    let panel = Panel::bottom("strip").default_size(height).size_range(HEIGHTS).resizable(true).frame(frame);
    let shown = panel.show(ui, |ui| match state.session.mode {
        Mode::Masking => sigma::show(ui, state, sender),
        Mode::Train => timeline::show(ui, state, sender),
        Mode::Review => match state.document.as_ref().and_then(|d| Some((d, d.strip()?))) {
            Some((document, strip)) => chart(ui, state, document, &strip, sender),
            None => nothing(ui, state),
        },
    });
    if super::is_resized(shown.response.rect.height(), height) {
        sender.send(WindowCommand::SetStripHeight(shown.response.rect.height()));
    }
}

/// Hint on how to fill this strip.
fn nothing(ui: &mut Ui, state: &State) {
    let text = match &state.document {
        None => "Open a case to see the agreement or the uncertainty of every slice.",
        Some(d) => missing(d),
    };
    let (rect, _) = ui.allocate_exact_size(ui.available_size(), Sense::hover());
    let layout = Layout::centered_and_justified(egui::Direction::LeftToRight);
    let mut child = ui.new_child(UiBuilder::new().max_rect(rect.shrink(space::M)).layout(layout));
    text::sentence(&mut child, text);
}

fn missing(document: &Document) -> &'static str {
    match (document.segmentation(), document.reference()) {
        (Some(_), Some(_)) => "Computing the agreement of every slice\u{2026}",
        (Some(_), None) => {
            "Open a reference to see the agreement of every slice, or a probability map to see its uncertainty."
        }
        (None, Some(_)) => "Segment this case, or open a segmentation, to see the agreement of every slice.",
        (None, None) => {
            "Segment this case, or open a segmentation, to see the agreement or the uncertainty of every slice."
        }
    }
}

fn chart(ui: &mut Ui, state: &State, document: &Document, strip: &Strip, sender: &Sender) {
    let native = document.display(PlaneMode::Native);
    let index = native.index_at(state.session.view.crosshair);
    let slice = index[PaneId::Axial.plane().axis()];
    let whole = ui.available_rect_before_wrap();
    ui.advance_cursor_after_rect(whole);
    let (side, bars) = whole.split_left_right_at_x(whole.left() + SIDE);
    let side = ui.new_child(UiBuilder::new().max_rect(side.shrink2(vec2(space::M, space::S))));
    about(side, strip, slice, sender);
    let mut ui = ui.new_child(UiBuilder::new().max_rect(bars));
    let values: Vec<Option<f32>> = strip.values.iter().map(|value| value.map(|v| v as f32)).collect();
    // Low Dice is bad, high entropy is bad.
    let worst = if document.comparison.is_some() { WorstEnd::Low } else { WorstEnd::High };
    let chart = StripChart::new(strip.title, &values).range(0.0..=strip.top as f32).cursor(Some(slice)).worst(worst);
    let chart = chart.height(whole.height());
    let Some(chosen) = chart.show(&mut ui).chosen.filter(|&chosen| chosen != slice) else { return };
    sender.send(match state.session.settings.planes {
        PlaneMode::Native => Command::View(ViewCommand::GoToSlice { pane: PaneId::Axial, slice: chosen }),
        // The strip counts stored slices; the panes cut along the patient's axes.
        PlaneMode::World => {
            let mut at = native.display_from_world.transform_point3(state.session.view.crosshair);
            at.z = chosen as f64;
            Command::View(ViewCommand::MoveCrosshair(native.world_from_display.transform_point3(at)))
        }
    });
}

/// Buttons to step through the slices from the worst, and a description of the values.
fn about(mut ui: Ui, strip: &Strip, slice: usize, sender: &Sender) {
    ui.spacing_mut().item_spacing.y = 2.0;
    let count = strip.worst_first.len();
    let rank = strip.worst_first.iter().position(|&worst| worst == slice);
    ui.allocate_ui_with_layout(vec2(ui.available_width(), size::CONTROL), Layout::left_to_right(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        let worse = rank.and_then(|rank| rank.checked_sub(1));
        // Starts at the worst slice.
        let better = rank.map_or(0, |rank| rank + 1);
        let mut step = |button: IconButton<'_>, to: Option<usize>| {
            let to = to.filter(|&to| to < count);
            let clicked = ui.add_enabled(to.is_some(), button.small()).clicked();
            if let (true, Some(to)) = (clicked, to) {
                sender.send(OverlayCommand::GoToWorst(to));
            }
        };
        step(IconButton::new(icon::SKIP_BACK, "Worst slice").shortcut("W"), Some(0));
        step(IconButton::new(icon::CHEVRON_LEFT, "Next worse slice"), worse);
        step(IconButton::new(icon::CHEVRON_RIGHT, "Next better slice"), Some(better));
        let place =
            rank.map_or_else(|| format::plural(count, "slice", "slices"), |rank| format!("{} of {count}", rank + 1));
        let color = theme::tokens(ui).text_dim;
        let place = ui.label(RichText::new(place).font(font::number_small()).color(color));
        place.on_hover_text(format!("Position of the displayed slice. {}", strip.order));
    });
    text::note(&mut ui, strip.order);
    text::note(&mut ui, strip.note);
}
