//! Strokes inside and around a lesion, from which its outline is computed.

use glam::DVec3;

use crate::state::State;
use crate::state::edit::{Preview, SeedStroke};
use crate::worker::Jobs;
use crate::worker::edit;

/// Begins a stroke, in addition to those of the current preview.
pub fn begin(state: &mut State, jobs: &mut Jobs, outside: bool, at: DVec3) {
    super::end_drawing(state, jobs);
    let Some(document) = &state.document else { return };
    let refusal = edit::busy(state, jobs).map(str::to_owned);
    if let Some(why) = refusal.or_else(|| edit::value_layer(document).err()) {
        return edit::refuse(state, why);
    }
    let Some(document) = &mut state.document else { return };
    let waiting = document.edits.preview.take().filter(|preview| preview.least().is_none());
    let mut preview = waiting.unwrap_or_else(Preview::of_strokes);
    preview.drawing = true;
    if let Some(strokes) = preview.strokes_mut() {
        strokes.push(SeedStroke { outside, points: vec![at] });
    }
    document.edits.preview = Some(preview);
}

/// Extends the stroke to a position.
pub fn extend(state: &mut State, to: DVec3) {
    let preview = state.document.as_mut().and_then(|document| document.edits.preview.as_mut());
    let strokes = preview.filter(|preview| preview.drawing).and_then(Preview::strokes_mut);
    if let Some(stroke) = strokes.and_then(|strokes| strokes.last_mut())
        && stroke.points.last() != Some(&to)
    {
        stroke.points.push(to);
    }
}

/// Ends the stroke in progress, and computes the lesion.
pub fn end(state: &mut State, jobs: &mut Jobs) {
    let preview = state.document.as_mut().and_then(|document| document.edits.preview.as_mut());
    if preview.is_some_and(|preview| std::mem::take(&mut preview.drawing)) {
        edit::find_lesion(state, jobs);
    }
}

/// Cancels the stroke in progress, and recomputes the lesion from the others.
pub fn cancel(state: &mut State, jobs: &mut Jobs) {
    let preview = state.document.as_mut().and_then(|document| document.edits.preview.as_mut());
    let Some(preview) = preview.filter(|preview| preview.drawing) else { return };
    if let Some(strokes) = preview.strokes_mut() {
        strokes.pop();
    }
    if preview.strokes().is_empty()
        && let Some(document) = &mut state.document
    {
        document.edits.preview = None;
    }
    end(state, jobs);
}
