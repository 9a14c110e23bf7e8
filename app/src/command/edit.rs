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
    let measures = &mut state.session.view.measures;
    match command {
        EditCommand::AddMeasure(measure) => measures.push(*measure),
        EditCommand::RemoveMeasure => drop(measures.pop()),
        EditCommand::ClearMeasures => measures.clear(),
    }
}

/// What the palette offers.
pub fn actions(list: &mut List, state: &State) {
    let measured = !state.session.view.measures.is_empty();
    let group = "Findings";
    list.add_if(measured, group, "Remove the last measurement", "Backspace", EditCommand::RemoveMeasure);
    list.add_if(measured, group, "Remove all measurements", "", EditCommand::ClearMeasures);
}
