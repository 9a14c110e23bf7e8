//! Fields of the window and level of an image.

use egui::Ui;

use crate::scene::WindowLevel;
use crate::state::{ImageLayer, State};
use crate::widget::NumberField;

/// Shows them with their accessible names; returns what the user changed them to.
pub(super) fn fields(ui: &mut Ui, state: &State, image: &ImageLayer, names: [&str; 2]) -> Option<WindowLevel> {
    let span = image.range.map_or(255.0, |[low, high]| high - low);
    let unit = image.info.unit_symbol();
    let WindowLevel { mut width, mut level } = state.window_of(image);
    let width_field = NumberField::new(&mut width, "Width").range(f64::MIN_POSITIVE..=f64::MAX);
    let level_field = NumberField::new(&mut level, "Level");
    let [width_field, level_field] = [width_field, level_field].map(|field| field.in_span(span).unit(unit).show(ui));
    let changed = width_field.accessible_name(names[0]).changed();
    (level_field.accessible_name(names[1]).changed() || changed).then_some(WindowLevel { width, level })
}
