//! Corrections of the segmentation. Every change of its labels, including undo and redo, goes through [`change`], which
//! redraws it, and on completion through [`record`], which stores it.

mod operation;
mod preview;
mod spill;
mod textures;

pub use operation::{start, start_removing};
pub use preview::{PREVIEW, find_lesion};
pub use textures::{UPLOADS, project, upload_changes, upload_whole};

use engine::edit::journal::Kind;
use engine::edit::{Delta, EditLabels, Op, Scene};
use engine::event::Control;
use engine::volume::Relation;
use engine::{Error, ErrorKind};

use super::{Failure, Jobs, analyse, layer, segment};
use crate::state::edit::{FollowState, UndoStep, UnrecordedChange};
use crate::state::{Document, ImageLayer, MaskLayer, MaskRole, Severity, Slot, State};
use crate::widget::format;

/// One whole-mask operation at a time.
pub const SLOT: Slot = Slot::exclusive("edit");
/// One projection of a mask at a time.
pub const PROJECT: Slot = Slot::exclusive("project masks");

/// Findings, measures and projection follow an edit after this many seconds without another edit.
const FOLLOW_DELAY: f64 = 0.04;

/// Why the masks of the open case cannot be changed now.
pub fn busy(state: &State, jobs: &Jobs) -> Option<&'static str> {
    let Some(document) = &state.document else { return Some("Open a scan first.") };
    let runs = |slots: &[Slot]| slots.iter().any(|slot| jobs.runs(*slot));
    if document.replaced.is_some() || runs(&[segment::SLOT]) {
        return Some("The network is segmenting this case. Let it finish, or cancel it.");
    }
    if runs(&[Slot::OPEN, layer::SLOT, layer::METHOD]) {
        return Some("Files are still being read. Try again in a moment.");
    }
    runs(&[SLOT]).then_some("Another correction is being computed. Let it finish, or cancel it.")
}

/// Says why the segmentation was not changed.
pub fn refuse(state: &mut State, why: impl Into<String>) {
    state.notice(Severity::Warning, "The segmentation was not changed", why);
}

/// The image whose values operations use: the displayed one.
///
/// # Errors
/// If its grid is not that of the masks, or for colours.
pub fn value_layer(document: &Document) -> Result<&ImageLayer, String> {
    let (shown, base) = (document.image(), document.base());
    if shown.volume.data.is_colour() {
        return Err(format!("{} is a colour image. This tool needs grey values.", shown.name));
    }
    match shown.volume.grid.relation(&base.volume.grid) {
        Relation::Same => Ok(shown),
        _ => Err(format!(
            "{} is on a different grid from the segmentation. Show {} to use this tool.",
            shown.name, base.name
        )),
    }
}

/// Plans an operation on the segmentation, or on an empty one if there is none.
///
/// # Errors
/// What is wrong with the operation here, as a sentence.
pub fn plan(state: &State, op: &Op) -> Result<Delta, String> {
    let Some(document) = &state.document else { return Err("Open a scan first.".to_owned()) };
    let image = value_layer(document).ok();
    let scene = Scene {
        image: image.map(|layer| &*layer.volume),
        frame: image.map_or(0, ImageLayer::held_frame),
        other: document.automatic.as_ref(),
        locked: &state.session.edit.locked,
    };
    let control = Control::default();
    let planned = match document.segmentation() {
        Some(mask) => engine::edit::plan(op, &mask.labels, &scene, &control),
        None => engine::edit::plan(op, &EditLabels::new(document.base().volume.grid.clone()), &scene, &control),
    };
    planned.map_err(|error| reason(&error))
}

/// Why an operation is impossible, as a sentence. The user did not type the field that an error names.
fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Config { why, .. } => format::sentence(why),
        _ => error.to_string(),
    }
}

/// The same for an operation in the background.
fn failure(error: &Error) -> Failure {
    match error.kind() {
        ErrorKind::Cancelled => Failure::Cancelled,
        _ => Failure::Error(reason(error)),
    }
}

/// Creates an empty segmentation if the case has none.
pub fn ensure_segmentation(state: &mut State, jobs: &mut Jobs) {
    let revision = jobs.unused_id();
    let Some(document) = state.document.as_mut().filter(|document| document.segmentation().is_none()) else { return };
    let labels = EditLabels::new(document.base().volume.grid.clone());
    let mask = MaskLayer::new(MaskRole::Segmentation, labels, revision);
    // An empty mask has nothing to save.
    document.set_mask(MaskLayer { saved_revision: Some(revision), ..mask });
    upload_whole(state, jobs, MaskRole::Segmentation);
}

/// Applies a change, or a part of one, to the segmentation's labels and sets their revision. Returns false and changes
/// nothing if it was planned for other labels.
#[must_use]
pub fn change(document: &mut Document, delta: &Delta, revision: u64) -> bool {
    let Some(mask) = document.mask_mut(MaskRole::Segmentation) else { return false };
    let fits = delta.apply(&mut mask.labels);
    if fits {
        changed(document, delta, revision);
    }
    fits
}

/// Updates what depends on the segmentation's labels after they changed.
pub fn changed(document: &mut Document, delta: &Delta, revision: u64) {
    if let Some(mask) = document.mask_mut(MaskRole::Segmentation) {
        mask.changed(delta.bounds(), revision);
        mask.table = MaskLayer::label_table(&mask.labels);
    }
    document.name_labels();
    document.edits.follow = FollowState::Changed;
    // The user has navigated to where the edit is.
    document.opened_at = None;
}

/// A complete change of the segmentation's labels that has been applied.
#[derive(Clone, Copy, Debug)]
pub struct LabelChange<'a> {
    /// An edit, an undo or a redo.
    pub kind: Kind,
    /// Name of the edit.
    pub name: &'a str,
    /// What changed. For an undo, the reverse of the edit.
    pub delta: &'a Delta,
    /// Revisions before and after.
    pub revisions: [u64; 2],
}

/// Records a change: edits in the undo list, every change for the journal. Each label change passes here once, in order.
pub fn record(state: &mut State, change: LabelChange<'_>) {
    let Some(document) = &mut state.document else { return };
    let LabelChange { kind, name, delta, revisions } = change;
    let frame = delta.frame().filter(|_| kind == Kind::Edit && delta.dims()[3] > 1);
    let name = frame.map_or_else(|| name.to_owned(), |frame| format!("{name}, frame {}", frame + 1));
    // The preview was computed for other labels.
    document.edits.preview = None;
    if kind == Kind::Edit {
        document.edits.list.push_labels(&name, delta, revisions);
    }
    document.edits.unrecorded.push(UnrecordedChange { kind, name, delta: delta.clone(), revisions });
}

/// Applies a planned change to the segmentation and records it.
pub fn commit(state: &mut State, jobs: &mut Jobs, name: &str, delta: &Delta) {
    ensure_segmentation(state, jobs);
    let after = jobs.unused_id();
    let Some(document) = &mut state.document else { return };
    let Some(before) = document.segmentation().map(|mask| mask.revision) else { return };
    if change(document, delta, after) {
        record(state, LabelChange { kind: Kind::Edit, name, delta, revisions: [before, after] });
        state.show_edited(None);
    }
}

/// Why an operation changes nothing.
fn unchanged(op: &Op, name: &str) -> String {
    let why = match op {
        Op::Interpolate { .. } => "no empty slice lies between two painted ones",
        Op::FillHoles { .. } => "it has no holes",
        Op::RemoveSmall { .. } => "no component is that small",
        Op::KeepLargest { .. } => "it has only one component",
        _ => return name.to_owned(),
    };
    format!("{name}: {why}.")
}

/// Plans and applies a quick operation.
pub fn apply(state: &mut State, jobs: &mut Jobs, op: &Op, name: &str) {
    match plan(state, op) {
        Ok(delta) if delta.is_empty() => state.notice(Severity::Info, "Nothing to change", unchanged(op, name)),
        Ok(delta) => commit(state, jobs, name, &delta),
        Err(why) => refuse(state, why),
    }
}

/// Replaces the segmentation by a copy of the reference, which can be corrected.
pub fn copy_reference(state: &mut State, jobs: &mut Jobs) {
    if let Some(why) = busy(state, jobs) {
        return refuse(state, why);
    }
    let revision = jobs.unused_id();
    let Some(document) = &mut state.document else { return };
    let Some(labels) = document.reference().map(|mask| mask.labels.clone()) else { return };
    let before = document.remove_mask(MaskRole::Segmentation).map(|mask| Box::new(mask.stored()));
    document.edits.list.push("Correct a copy of the reference", UndoStep::Mask(MaskRole::Segmentation, before));
    document.set_mask(MaskLayer::new(MaskRole::Segmentation, labels, revision));
    document.forget_results();
    state.session.view.finding = None;
    masks_replaced(state, jobs);
}

/// Splits a segmentation that applies to all frames of the first image into one per frame.
pub fn split_frames(state: &mut State, jobs: &mut Jobs) {
    if let Some(why) = busy(state, jobs) {
        return refuse(state, why);
    }
    let revision = jobs.unused_id();
    let Some(document) = state.document.as_mut().filter(|document| document.could_have_frames()) else { return };
    let (frames, frame) = (document.base().frames(), document.base().frame);
    let Some(before) = document.remove_mask(MaskRole::Segmentation) else { return };
    let mut labels = before.labels.repeated(frames);
    labels.show(frame);
    document.set_mask(MaskLayer { labels, revision, ..before.clone() });
    let step = UndoStep::Mask(MaskRole::Segmentation, Some(Box::new(before.stored())));
    document.edits.list.push("A mask for each frame", step);
}

/// Uploads replaced masks where needed and measures the case. Call it after masks were replaced.
pub fn masks_replaced(state: &mut State, jobs: &mut Jobs) {
    for role in MaskRole::ALL {
        let mask = state.document.as_ref().and_then(|document| document.mask(role));
        if mask.is_some_and(|mask| mask.texture.is_none()) {
            upload_whole(state, jobs, role);
        }
    }
    project(state, jobs);
    analyse::start(state, jobs);
}

/// Updates findings, measures and projection after a pause in editing; `now` in the window's seconds.
pub fn advance(state: &mut State, jobs: &mut Jobs, now: f64) {
    spill::start(state, jobs);
    let Some(document) = &mut state.document else { return };
    match document.edits.follow {
        FollowState::Settled => {}
        FollowState::Changed => document.edits.follow = FollowState::Due(now + FOLLOW_DELAY),
        FollowState::Due(due) if now < due => {}
        FollowState::Due(_) => {
            document.edits.follow = FollowState::Settled;
            analyse::follow_edit(state, jobs);
            project(state, jobs);
        }
    }
}

/// Seconds until [`advance`] has something to do.
pub fn wait(state: &State, now: f64) -> Option<f64> {
    match state.document.as_ref()?.edits.follow {
        FollowState::Settled => None,
        FollowState::Changed => Some(0.0),
        FollowState::Due(due) => Some(due - now),
    }
}
