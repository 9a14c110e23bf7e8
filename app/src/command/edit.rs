//! Commands about measurements.

use super::action::List;
use crate::state::{Measure, State};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum EditCommand {
    /// Keeps a measurement.
    AddMeasure(Box<Measure>),
    /// Removes the last measurement.
    RemoveMeasure,
    /// Removes all measurements.
    ClearMeasures,
}

/// Carries out a command.
pub fn dispatch(state: &mut State, command: EditCommand) {
    let Some(document) = &state.document else { return };
    let measures = state.session.measures.entry(document.base().path().to_path_buf()).or_default();
    match command {
        EditCommand::AddMeasure(measure) => measures.push(*measure),
        EditCommand::RemoveMeasure => drop(measures.pop()),
        EditCommand::ClearMeasures => measures.clear(),
    }
}

/// What the palette offers.
pub fn actions(list: &mut List, state: &State) {
    let measured = !state.measures().is_empty();
    let group = "Findings";
    list.add_if(measured, group, "Remove the last measurement", "Backspace", EditCommand::RemoveMeasure);
    list.add_if(measured, group, "Remove all measurements", "", EditCommand::ClearMeasures);
}
