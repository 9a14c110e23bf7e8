//! Undo and redo of everything in the undo list.

use std::mem;

use engine::edit::Delta;
use engine::edit::journal::Kind;

use crate::state::document::Stash;
use crate::state::edit::UndoStep;
use crate::state::{MaskRole, State};
use crate::worker::edit::{self, LabelChange};
use crate::worker::{Jobs, frame};

/// Undoes the last step or, unless `back`, redoes the last undone one. False if there is none or it is refused.
pub fn step(state: &mut State, jobs: &mut Jobs, back: bool) -> bool {
    // A stroke in progress is the last step.
    super::end_drawing(state, jobs);
    let Some(entry) = state.document.as_ref().and_then(|document| document.edits.list.next(back)) else { return false };
    let of_masks = !matches!(entry.step, UndoStep::Measures(_));
    if let Some(why) = edit::busy(state, jobs).filter(|_| of_masks) {
        edit::refuse(state, why);
        return false;
    }
    if let UndoStep::Labels { before, after } = entry.step {
        let Some(delta) = labels(state, back, [before, after]) else { return false };
        swap_styles(state, back);
        // Show what changed.
        if let Some(frame) = delta.frame().filter(|_| delta.dims()[3] > 1) {
            frame::start(state, jobs, 0, frame);
        }
        return true;
    }
    exchange(state, jobs, back);
    swap_styles(state, back);
    true
}

/// Swaps the table entries of the step that was just undone (`back`) or redone.
fn swap_styles(state: &mut State, back: bool) {
    let Some(document) = &mut state.document else { return };
    let Some(entry) = document.edits.list.next_mut(!back) else { return };
    let mut styles = mem::take(&mut entry.styles);
    document.swap_styles(&mut styles);
    let listed = document.label_rows();
    let gone = styles.iter().map(|entry| entry.label).find(|label| listed.iter().all(|row| row.value != *label));
    document.edits.list.set_styles(!back, styles);
    if let Some(gone) = gone {
        state.paint_instead(gone, 0);
    }
}

/// Undoes or redoes until `applied` steps are in effect.
pub fn jump(state: &mut State, jobs: &mut Jobs, applied: usize) {
    super::end_drawing(state, jobs);
    let now = |state: &State| state.document.as_ref().map(|document| document.edits.list.applied());
    while let Some(at) = now(state).filter(|at| *at != applied) {
        if !step(state, jobs, at > applied) {
            return;
        }
    }
}

/// Undoes or redoes a label change, and returns what changed.
fn labels(state: &mut State, back: bool, [before, after]: [u64; 2]) -> Option<Delta> {
    let document = state.document.as_mut()?;
    let list = &document.edits.list;
    let entry = list.next(back)?;
    let name = entry.name.clone();
    let mask = document.masks.iter_mut().find(|mask| mask.role == MaskRole::Segmentation)?;
    let moved = if back { list.history().undo(&mut mask.labels) } else { list.history().redo(&mut mask.labels) };
    let delta = match moved {
        Ok(Some(delta)) => delta,
        Ok(None) => return None,
        Err(error) => {
            state.error(if back { "Nothing was undone" } else { "Nothing was redone" }, error);
            return None;
        }
    };
    document.edits.list.moved(back);
    let (kind, revisions) = if back { (Kind::Undo, [after, before]) } else { (Kind::Redo, [before, after]) };
    // The labels are at that revision again, so a file saved at it is up to date.
    edit::changed(document, &delta, revisions[1]);
    edit::record(state, LabelChange { kind, name: &name, delta: &delta, revisions });
    state.show_edited(None);
    Some(delta)
}

/// Swaps the content of a step with the state, so that the same step can be reversed again.
fn exchange(state: &mut State, jobs: &mut Jobs, back: bool) {
    let Some(document) = &mut state.document else { return };
    let Some(entry) = document.edits.list.next_mut(back) else { return };
    let held = mem::replace(&mut entry.step, UndoStep::Measures(Vec::new()));
    let mut of_masks = true;
    let step = match held {
        UndoStep::Labels { .. } => held,
        UndoStep::Styles => {
            of_masks = false;
            held
        }
        UndoStep::Measures(measures) => {
            of_masks = false;
            let path = document.base().path().to_path_buf();
            UndoStep::Measures(state.session.measures.insert(path, measures).unwrap_or_default())
        }
        UndoStep::Mask(role, mask) => {
            let now = document.remove_mask(role).map(|mask| Box::new(mask.stored()));
            mask.into_iter().for_each(|mask| document.set_mask(*mask));
            UndoStep::Mask(role, now)
        }
        UndoStep::Segmentation(stash) => {
            let now = document.take_segmentation().stored();
            let Stash { segmentation, probability } = *stash;
            segmentation.into_iter().for_each(|mask| document.set_mask(mask));
            document.probability = probability;
            UndoStep::Segmentation(Box::new(now))
        }
    };
    if let Some(entry) = document.edits.list.next_mut(back) {
        entry.step = step;
    }
    document.edits.list.moved(back);
    if of_masks {
        document.forget_results();
        state.session.view.finding = None;
        edit::masks_replaced(state, jobs);
    }
}
