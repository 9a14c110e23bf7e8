//! Operations on whole labels and findings.

use engine::edit::Op;
use engine::edit::op::{Boolean, Mode, Operand, Place, Smoothing};

use super::EditCommand;
use crate::command::action::List;
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
    let place = Place { voxel: Some([run.i, run.j, run.k].map(|n| n as usize)), point_mm: None };
    let (op, what) = if keep {
        (Op::KeepComponent { place, label: None }, "Keeping only")
    } else {
        (Op::RemoveComponent { place, label: None }, "Removal of")
    };
    edit::start(state, jobs, op, format!("{what} finding {}", at + 1));
}

/// The operations on a whole label, with their names in the window.
pub fn operations(choices: &EditChoices, document: &Document) -> Vec<(String, Op)> {
    let EditChoices { label, distance_mm: mm, small_ml: ml, other_label: other, .. } = *choices;
    let axis = |plane: Plane| {
        let orientation = document.display(PlaneMode::Native).orientation;
        (0..3).find(|&axis| orientation.axis[axis] == plane.axis()).unwrap_or(plane.axis())
    };
    let overwrite = false;
    let mut found = vec![
        ("Fill holes".to_owned(), Op::FillHoles { label, mode: Mode::Volume, axis: None, overwrite }),
        ("Fill holes in slices".to_owned(), Op::FillHoles { label, mode: Mode::Slice, axis: None, overwrite }),
        (format!("Grow by {mm} mm"), Op::Grow { label, mm, overwrite }),
        (format!("Shrink by {mm} mm"), Op::Shrink { label, mm }),
        (format!("Smooth by {mm} mm"), Op::Smooth { label, method: Smoothing::Majority, mm, overwrite }),
    ];
    for plane in Plane::ALL.into_iter().rev() {
        let name = format!("Fill between {} slices", plane.name().to_lowercase());
        found.push((name, Op::Interpolate { label, axis: axis(plane), overwrite }));
    }
    found.push(("Keep the largest component".to_owned(), Op::KeepLargest { label: Some(label) }));
    found.push((format!("Remove components below {ml} ml"), Op::RemoveSmall { ml, label: Some(label) }));
    if other != label {
        let combine = |operation| Op::Boolean { operation, a: label, b: other, of: Operand::Own };
        found.push((format!("Relabel as {other}"), Op::Relabel { from: label, to: other, place: Place::default() }));
        found.push((format!("Merge with label {other}"), combine(Boolean::Union)));
    }
    found.push(("Erase the whole label".to_owned(), Op::Relabel { from: label, to: 0, place: Place::default() }));
    found
}

/// Adds the palette entries for the painted label and the selected finding.
pub(super) fn actions(list: &mut List, state: &State) {
    let group = "Edit";
    let Some(document) = &state.document else { return };
    let choices = &state.session.edit;
    let has = document.segmentation().is_some_and(|mask| mask.labels.voxel_counts().contains_key(&choices.label));
    for (name, op) in operations(choices, document) {
        let name = format!("Label {}: {}", choices.label, super::within_sentence(&name));
        list.add_if(has, group, name, "", EditCommand::Apply(Box::new(op)));
    }
    let chosen = document.findings.as_ref().zip(state.session.view.finding);
    let ours = chosen
        .filter(|(findings, at)| findings.entries.get(*at).is_some_and(|entry| entry.role == MaskRole::Segmentation));
    if let Some((_, at)) = ours {
        list.add(group, format!("Keep only finding {}", at + 1), "", EditCommand::KeepFinding(at));
        list.add(group, format!("Remove finding {}", at + 1), "", EditCommand::RemoveFinding(at));
    }
}
