//! The label table, and adding reviewed segmentations to the labels of the next fine-tuning run.

use std::collections::BTreeSet;

use egui::Color32;
use engine::cohort::corrections::Verdict;
use engine::volume::LabelStyle;

use super::action::ActionList;
use super::{EditCommand, TrainCommand, edit, file};
use crate::state::edit::{StyleEntry, UndoStep};
use crate::state::intent::LabelScope;
use crate::state::{CaseList, Dialog, Document, Intent, State};
use crate::worker::add_labels::{self, ReviewedCase};
use crate::worker::{self, Jobs};

/// Maximum number of labels in the palette.
const MAX_LISTED: usize = 16;

/// A command about the labels of the open case.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelCommand {
    /// Names a label; an empty name removes the name.
    Rename(u16, String),
    /// Gives a label a colour.
    SetColour(u16, Color32),
    /// Locks a label, so that no edit changes its voxels, or unlocks it.
    Lock(u16, bool),
    /// Adds a label without voxels and selects it to paint with.
    Add,
    /// Removes a label and its voxels.
    Delete(u16),
    /// Merges a label into another.
    Merge {
        /// The label to remove.
        from: u16,
        /// The label that its voxels receive.
        into: u16,
    },
}

/// Executes a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: LabelCommand) {
    match command {
        LabelCommand::Rename(label, name) => restyle(state, label, "Name of", |style| style.name = name),
        LabelCommand::SetColour(label, colour) => {
            let [red, green, blue, _] = colour.to_array();
            restyle(state, label, "Colour of", |style| style.colour = Some([red, green, blue]));
        }
        LabelCommand::Lock(label, on) => {
            let locked = &mut state.session.edit.locked;
            locked.retain(|other| *other != label);
            if on {
                locked.push(label);
            }
        }
        LabelCommand::Add => {
            worker::edit::ensure_segmentation(state, jobs);
            let Some(document) = &state.document else { return };
            let taken: BTreeSet<u16> = document.label_rows().iter().map(|row| row.value).collect();
            let Some(label) = (1..=u16::MAX).find(|label| !taken.contains(label)) else { return };
            restyle(state, label, "Add", |_| {});
            state.session.edit.label = label;
        }
        LabelCommand::Delete(label) => remove(state, jobs, label, 0),
        LabelCommand::Merge { from, into } => remove(state, jobs, from, into),
    }
}

/// Changes the table entry of a label as a step of the undo list, which is named by `what` and the label.
fn restyle(state: &mut State, label: u16, what: &str, change: impl FnOnce(&mut LabelStyle)) {
    let Some(document) = &mut state.document else { return };
    let Some(mask) = document.masks.first() else { return };
    let before = mask.styles.labels.get(&label).cloned();
    let mut style = before.clone().unwrap_or_default();
    change(&mut style);
    if before.as_ref() != Some(&style) {
        let mut entry = StyleEntry { role: mask.role, label, style: Some(style) };
        document.swap_styles(std::slice::from_mut(&mut entry));
        document.edits.list.push_style(&format!("{what} label {label}"), entry);
    }
}

/// Why a locked label cannot be changed.
pub const LOCKED: &str = "It is locked. Unlock it first.";

/// Whether a label is locked.
pub fn is_locked(state: &State, label: u16) -> bool {
    state.session.edit.locked.contains(&label)
}

/// Why a label cannot be deleted or merged, if it cannot.
pub fn cannot_remove(state: &State, label: u16) -> Option<&'static str> {
    if is_locked(state, label) {
        return Some(LOCKED);
    }
    let document = state.document.as_ref()?;
    let of_reference = document.reference().is_some_and(|mask| mask.labels.voxel_counts().contains_key(&label));
    let of_segmentation = document.segmentation().is_some_and(|mask| mask.labels.voxel_counts().contains_key(&label));
    (of_reference && !of_segmentation)
        .then_some("Only the reference has this label, and the reference cannot be edited.")
}

/// Removes a label from the table and relabels its voxels as `to` (0 deletes them), as one undo step.
fn remove(state: &mut State, jobs: &mut Jobs, label: u16, to: u16) {
    let locked = is_locked(state, to).then_some(LOCKED);
    if let Some(why) = cannot_remove(state, label).or(locked).or_else(|| worker::edit::busy(state, jobs)) {
        return worker::edit::refuse(state, why);
    }
    let name = if to == 0 { format!("Delete label {label}") } else { format!("Merge label {label} into {to}") };
    let Some(document) = &mut state.document else { return };
    if document.segmentation().is_some_and(|mask| mask.labels.voxel_counts().contains_key(&label)) {
        edit::end_drawing(state, jobs);
        return worker::edit::start_removing(state, jobs, [label, to], name);
    }
    let styles = document.remove_styles(label);
    document.edits.list.push(name, UndoStep::Styles);
    document.edits.list.set_styles(true, styles);
    state.paint_instead(label, to);
}

/// Adds the segmentations of `scope` to the labels, once they are saved and the reviewer is known.
pub(super) fn add(state: &mut State, jobs: &mut Jobs, scope: LabelScope) {
    let title = "Nothing was added to training";
    let Some(root) = state.cases.root.clone() else {
        return state.error(title, "Open the folder of the cohort first.");
    };
    let initials = state.session.settings.initials.clone();
    if initials.is_empty() {
        state.dialog = Some(Dialog::Initials { text: String::new(), next: Some(Intent::AddToLabels(scope)) });
        return;
    }
    match scope {
        LabelScope::Reviewed => {
            let cases = reviewed(&state.cases, &initials);
            if cases.is_empty() {
                return state.error(title, "Accept or correct a case first.");
            }
            add_labels::start(state, jobs, root, cases, false);
        }
        LabelScope::OpenCase { replace } => {
            let Some((case, document)) = state.reviewed() else {
                return state.error(title, "Open a case of the folder first.");
            };
            if document.replaced.is_some() {
                return state.error(title, "The network is still segmenting. Let it finish, or cancel it.");
            }
            if document.is_unsaved() {
                // Added once it is saved.
                return file::save_and_continue(state, jobs, Intent::AddToLabels(scope));
            }
            let Some(mask) = document.segmentation().and_then(|mask| mask.path.clone()) else {
                return state.error(title, "This case has no segmentation. Press Segment now, or open one.");
            };
            let own = if document.is_corrected() { Verdict::Corrected } else { Verdict::Accepted };
            let verdict = verdict_of(&state.cases, &case.name).unwrap_or(own);
            let case = ReviewedCase { case: case.name.clone(), mask: Some(mask), verdict, reviewer: initials };
            add_labels::start(state, jobs, root, vec![case], replace);
        }
    }
}

/// The verdict of a case if it is accepted or corrected, so that it can be trained on.
fn verdict_of(cases: &CaseList, case: &str) -> Option<Verdict> {
    match cases.review.verdict(case) {
        engine::review::Verdict::Accepted => Some(Verdict::Accepted),
        engine::review::Verdict::Corrected => Some(Verdict::Corrected),
        engine::review::Verdict::ToDo | engine::review::Verdict::Rejected | engine::review::Verdict::SecondLook => None,
    }
}

/// The accepted and corrected cases, each with the reviewer who gave the verdict.
fn reviewed(cases: &CaseList, initials: &str) -> Vec<ReviewedCase> {
    let of = |case: &crate::state::ListedCase| {
        let verdict = verdict_of(cases, &case.name)?;
        let reviewer = cases.review.entry(&case.name).map(|entry| entry.reviewer.clone()).unwrap_or_default();
        let reviewer = if reviewer.is_empty() { initials.to_owned() } else { reviewer };
        Some(ReviewedCase { case: case.name.clone(), mask: None, verdict, reviewer })
    };
    cases.cases.iter().filter_map(of).collect()
}

/// Whether the open case can be added.
pub fn can_add(state: &State) -> bool {
    let usable = |document: &Document| document.replaced.is_none() && document.segmentation().is_some();
    state.reviewed().is_some_and(|(_, document)| usable(document))
}

/// How many cases are accepted or corrected.
pub fn reviewed_count(state: &State) -> usize {
    state.cases.cases.iter().filter(|case| verdict_of(&state.cases, &case.name).is_some()).count()
}

/// Adds this topic's palette entries.
pub fn actions(list: &mut ActionList, state: &State) {
    let group = "Review";
    let add = |scope| Intent::AddToLabels(scope);
    let open = can_add(state);
    list.add_if(open, group, "Add this case to training", "", add(LabelScope::OpenCase { replace: false }));
    let replace = "Add this case to training, replacing another reviewer's mask";
    list.add_if(open, group, replace, "", add(LabelScope::OpenCase { replace: true }));
    let all = "Add all accepted and corrected cases to training";
    list.add_if(reviewed_count(state) > 0, group, all, "", add(LabelScope::Reviewed));
    let group = "Labels";
    list.add_if(state.document.is_some(), group, "Add a label", "", LabelCommand::Add);
    for row in state.document.iter().flat_map(Document::label_rows).take(MAX_LISTED) {
        let (label, title) = (row.value, row.title());
        list.add(group, format!("Paint with {title}"), "", EditCommand::SetLabel(label));
        let locked = is_locked(state, label);
        let verb = if locked { "Unlock" } else { "Lock" };
        list.add(group, format!("{verb} {title}"), "", LabelCommand::Lock(label, !locked));
        let can = cannot_remove(state, label).is_none();
        list.add_if(can, group, format!("Delete {title}"), "", LabelCommand::Delete(label));
    }
    let group = "Review";
    let model = state.session.runs.segment.clone();
    list.add_if(model.is_some(), group, "Continue fine-tuning", "", TrainCommand::Retrain(model));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{CaseId, ListedCase};
    use engine::review::{Entry, Verdict as ReviewVerdict};

    #[test]
    fn accepted_and_corrected_cases_are_added_with_their_reviewers() {
        let case = |at: u64| ListedCase { id: CaseId(at), name: format!("p{at}"), ..ListedCase::default() };
        let mut cases = CaseList { cases: (0..5).map(case).collect(), ..CaseList::default() };
        for (at, (verdict, reviewer)) in [
            (ReviewVerdict::Accepted, "CD"),
            (ReviewVerdict::Corrected, ""),
            (ReviewVerdict::Rejected, "CD"),
            (ReviewVerdict::SecondLook, "CD"),
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("p{at}");
            let entry = Entry { verdict, reviewer: reviewer.into(), ..Entry::new(&name) };
            cases.review.written.insert(name, entry);
        }
        let found = reviewed(&cases, "AB");
        let found: Vec<_> =
            found.iter().map(|case| (case.case.as_str(), case.verdict, case.reviewer.as_str())).collect();
        assert_eq!(found, [("p0", Verdict::Accepted, "CD"), ("p1", Verdict::Corrected, "AB")]);
    }
}
