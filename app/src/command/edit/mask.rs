//! Operations on whole labels and findings.

use engine::edit::Op;
use engine::edit::op::{self, Boolean, Mode, Operand, Seed, Smoothing};

use super::EditCommand;
use crate::command::action::ActionList;
use crate::scene::{Plane, PlaneMode};
use crate::state::edit::EditChoices;
use crate::state::{Document, MaskRole, State};
use crate::worker::Jobs;
use crate::worker::edit;

/// Keeps only a finding, or removes it.
pub fn finding(state: &mut State, jobs: &mut Jobs, at: usize, keep: bool) {
    super::end_drawing(state, jobs);
    let entries = state.document.as_ref().and_then(|document| document.findings.as_ref()).map(|list| &list.entries);
    let Some(entry) = entries.and_then(|entries| entries.get(at)) else { return };
    if entry.role == MaskRole::Reference {
        return edit::refuse(state, "This finding belongs to the reference, which cannot be edited.");
    }
    let Some(run) = entry.finding.runs.first() else { return };
    let seed = Seed { voxel: Some([run.i, run.j, run.k].map(|n| n as usize)), point_mm: None };
    let (op, what) = if keep {
        (Op::KeepComponent { seed, label: None }, "Keep only")
    } else {
        (Op::RemoveComponent { seed, label: None }, "Remove")
    };
    edit::start(state, jobs, op, format!("{what} finding {}", at + 1));
}

/// The operations on a whole label.
pub fn operations(choices: &EditChoices, document: &Document) -> Vec<Op> {
    let EditChoices { label, distance_mm: mm, small_ml: ml, other_label: other, .. } = *choices;
    let overwrite = false;
    let mut found = vec![
        Op::FillHoles { label, mode: Mode::Volume, axis: None, overwrite },
        Op::FillHoles { label, mode: Mode::Slice, axis: None, overwrite },
        Op::Grow { label, mm, overwrite },
        Op::Shrink { label, mm },
        Op::Smooth { label, method: Smoothing::Majority, mm, overwrite },
    ];
    for plane in Plane::ALL.into_iter().rev() {
        found.push(Op::Interpolate { label, axis: axis_across(document, plane), overwrite });
    }
    found.push(Op::KeepLargest { label: Some(label) });
    found.push(Op::RemoveSmall { ml, label: Some(label) });
    if other != label {
        found.push(Op::Relabel { from: label, to: other, seed: Seed::default() });
        found.push(Op::Boolean { operation: Boolean::Union, a: label, b: other, of: Operand::Own });
    }
    found.push(Op::Relabel { from: label, to: 0, seed: Seed::default() });
    found
}

/// The voxel axis across the slices of a plane.
fn axis_across(document: &Document, plane: Plane) -> usize {
    let orientation = document.display(PlaneMode::Native).orientation;
    (0..3).find(|&axis| orientation.axis[axis] == plane.axis()).unwrap_or(plane.axis())
}

/// The operation in the words of its button, without its label.
pub fn action(op: &Op, document: &Document) -> String {
    let Op::Interpolate { axis, .. } = op else { return op.action() };
    let plane = Plane::ALL.into_iter().find(|plane| axis_across(document, *plane) == *axis);
    plane.map_or_else(|| op.action(), |plane| format!("Fill between {} slices", plane.name().to_lowercase()))
}

/// The name of the operation in the list of steps and in the palette: its button and its label.
pub fn title(op: &Op, document: &Document) -> String {
    op::title(action(op, document), op.label())
}

/// Adds the palette entries for the painted label and the selected finding.
pub(super) fn actions(list: &mut ActionList, state: &State) {
    let group = "Edit";
    let Some(document) = &state.document else { return };
    let choices = &state.session.edit;
    let has = document.segmentation().is_some_and(|mask| mask.labels.voxel_counts().contains_key(&choices.label));
    for op in operations(choices, document) {
        list.add_if(has, group, title(&op, document), "", EditCommand::Apply(Box::new(op)));
    }
    let chosen = document.findings.as_ref().zip(state.session.view.finding);
    let ours = chosen
        .filter(|(findings, at)| findings.entries.get(*at).is_some_and(|entry| entry.role == MaskRole::Segmentation));
    if let Some((_, at)) = ours {
        list.add(group, format!("Keep only finding {}", at + 1), "", EditCommand::KeepFinding(at));
        list.add(group, format!("Remove finding {}", at + 1), "", EditCommand::RemoveFinding(at));
    }
}
