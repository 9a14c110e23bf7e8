//! Commands that correct the segmentation, commands about measurements, and undo.

mod click;
mod lasso;
pub mod mask;
mod seeds;
mod stroke;
mod undo;

use engine::edit::Op;
use engine::edit::op::{LassoAction, Mode};
use glam::DVec3;

use super::action::ActionList;
use crate::state::edit::{EditChoices, UndoStep};
use crate::state::{Document, Intent, Measure, MeasureKind, PaneId, State, ToolKind};
use crate::worker::{Jobs, edit};

/// A command that edits, measures or undoes.
#[derive(Clone, Debug, PartialEq)]
pub enum EditCommand {
    /// Adds a measurement.
    AddMeasure(Box<Measure>),
    /// Removes the last measurement.
    RemoveMeasure,
    /// Removes all measurements.
    ClearMeasures,
    /// Begins a brush stroke with a dab.
    BeginStroke(StrokeStart),
    /// Paints from one world position (mm) to another.
    ExtendStroke([DVec3; 2]),
    /// Begins a lasso at the pointer.
    BeginLasso {
        /// The pane in which it is drawn.
        pane: PaneId,
        /// Erases, whatever the lasso's setting.
        erases: bool,
        /// World position in mm.
        at: DVec3,
    },
    /// Extends the lasso to a world position (mm).
    ExtendLasso(DVec3),
    /// Ends the stroke or lasso, which becomes one entry of the undo list.
    EndStroke,
    /// Cancels the stroke or lasso.
    CancelStroke,
    /// Fills the area of one label at a world position (mm), or erases it.
    Fill {
        /// The pane whose slice contains the area.
        pane: PaneId,
        /// Erases it.
        erases: bool,
        /// World position in mm.
        at: DVec3,
    },
    /// Grows a region of similar values from a world position (mm), in the background.
    Grow(DVec3),
    /// Previews the lesion of the probability map at a world position (mm).
    Preview(DVec3),
    /// Begins a stroke inside a lesion, or around it, at a world position (mm).
    BeginSeeds {
        /// Around the lesion.
        outside: bool,
        /// World position in mm.
        at: DVec3,
    },
    /// Extends the stroke to a world position (mm).
    ExtendSeeds(DVec3),
    /// Raises (positive) or lowers the threshold of the previewed lesion by steps.
    StepPreview(i64),
    /// Adds the previewed lesion.
    AcceptPreview,
    /// Discards the previewed lesion.
    DropPreview,
    /// Keeps one finding of the list and removes all others.
    KeepFinding(usize),
    /// Removes one finding of the list.
    RemoveFinding(usize),
    /// Applies an operation to the segmentation, in the background.
    Apply(Box<Op>),
    /// Splits the segmentation of all frames into one per frame.
    SplitFrames,
    /// Undoes the last step.
    Undo,
    /// Redoes the step that was undone last.
    Redo,
    /// Undoes or redoes until this many steps are in effect.
    JumpTo(usize),
    /// Selects the label at a world position (mm) to paint with.
    PickLabel(DVec3),
    /// Selects the label to paint with.
    SetLabel(u16),
    /// Sets the radius of the brushes in mm.
    SetRadius(f64),
    /// Makes the brushes larger (positive) or smaller by steps.
    Resize(i64),
    /// Selects a disc or a ball as the brush.
    SetMode(Mode),
    /// Sets the range brush's limits; `None` uses the display window.
    SetRange(Option<[f64; 2]>),
    /// Sets the adaptive brush's tolerance; `None` derives it from the image.
    SetTolerance(Option<f64>),
    /// Replaces all choices of the edit tools.
    Choose(Box<EditChoices>),
}

/// Where and how a brush stroke begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StrokeStart {
    /// Brush, range brush, adaptive brush or eraser.
    pub tool: ToolKind,
    /// Erases, whatever the brush.
    pub erases: bool,
    /// The pane in which it is painted.
    pub pane: PaneId,
    /// World position in mm.
    pub at: DVec3,
}

/// Executes a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: EditCommand) {
    use EditCommand as Do;
    match command {
        Do::AddMeasure(measure) => {
            let name = if measure.kind == MeasureKind::Ruler { "Ruler" } else { "Ellipse" };
            measures(state, jobs, name, |measures| measures.push(*measure));
        }
        Do::RemoveMeasure => measures(state, jobs, "Remove the last measurement", |measures| {
            measures.pop();
        }),
        Do::ClearMeasures => measures(state, jobs, "Remove all measurements", Vec::clear),
        Do::BeginStroke(start) => stroke::begin(state, jobs, start),
        Do::ExtendStroke(segment) => stroke::extend(state, jobs, segment),
        Do::BeginLasso { pane, erases, at } => lasso::begin(state, jobs, pane, erases, at),
        Do::ExtendLasso(to) => lasso::extend(state, to),
        Do::EndStroke => end_drawing(state, jobs),
        Do::CancelStroke => {
            stroke::cancel(state);
            lasso::cancel(state);
            seeds::cancel(state, jobs);
        }
        Do::Fill { pane, erases, at } => click::fill(state, jobs, pane, erases, at),
        Do::Grow(at) => click::grow(state, jobs, at),
        Do::Preview(at) => click::preview(state, jobs, at),
        Do::BeginSeeds { outside, at } => seeds::begin(state, jobs, outside, at),
        Do::ExtendSeeds(to) => seeds::extend(state, to),
        Do::StepPreview(steps) => click::step_preview(state, jobs, steps),
        Do::AcceptPreview => click::accept_preview(state, jobs),
        Do::DropPreview => click::drop_preview(state, jobs),
        Do::KeepFinding(at) => mask::finding(state, jobs, at, true),
        Do::RemoveFinding(at) => mask::finding(state, jobs, at, false),
        Do::Apply(op) => {
            end_drawing(state, jobs);
            let name = state.document.as_ref().map_or_else(|| op.title(), |document| mask::title(&op, document));
            edit::start(state, jobs, *op, name);
        }
        Do::SplitFrames => {
            end_drawing(state, jobs);
            edit::split_frames(state, jobs);
        }
        Do::Undo => drop(undo::step(state, jobs, true)),
        Do::Redo => drop(undo::step(state, jobs, false)),
        Do::JumpTo(applied) => undo::jump(state, jobs, applied),
        Do::PickLabel(at) => pick(state, at),
        Do::SetLabel(label) => state.session.edit.label = label.max(1),
        Do::SetRadius(mm) => state.session.edit.set_radius(mm),
        Do::Resize(steps) => state.session.edit.resize(steps),
        Do::SetMode(mode) => state.session.edit.mode = mode,
        Do::SetRange(range) => state.session.edit.range = range.map(|[a, b]| [a.min(b), a.max(b)]),
        Do::SetTolerance(tolerance) => state.session.edit.tolerance = tolerance.map(|tolerance| tolerance.max(0.0)),
        Do::Choose(choices) => state.session.edit = *choices,
    }
}

/// Ends the stroke or lasso in progress.
pub(super) fn end_drawing(state: &mut State, jobs: &mut Jobs) {
    stroke::end(state);
    lasso::end(state, jobs);
    seeds::end(state, jobs);
}

/// Changes the measurements of the open case as a step of the undo list.
fn measures(state: &mut State, jobs: &mut Jobs, name: &str, change: impl FnOnce(&mut Vec<Measure>)) {
    end_drawing(state, jobs);
    let Some(document) = &mut state.document else { return };
    let measures = state.session.measures.entry(document.base().path().to_path_buf()).or_default();
    let before = measures.clone();
    change(measures);
    if *measures != before {
        document.edits.list.push(name, UndoStep::Measures(before));
    }
}

/// Picks the label of the segmentation, or else of the reference. Ignores background.
fn pick(state: &mut State, at: DVec3) {
    let Some(document) = &state.document else { return };
    let labels = document.masks.iter().map(|mask| document.label_at(&mask.labels, at));
    if let Some(label) = labels.into_iter().find(|label| *label != 0) {
        state.session.edit.label = label;
    }
}

/// A step's name in the middle of a sentence: its first letter in lower case.
fn within_sentence(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().collect::<String>() + letters.as_str())
}

/// Adds this topic's palette entries.
pub fn actions(list: &mut ActionList, state: &State) {
    let measured = !state.measures().is_empty();
    let group = "Findings";
    list.add_if(measured, group, "Remove the last measurement", "Backspace", EditCommand::RemoveMeasure);
    list.add_if(measured, group, "Remove all measurements", "", EditCommand::ClearMeasures);
    let group = "Edit";
    let document = state.document.as_ref();
    let name = |verb: &str, step: Option<&str>| match step {
        Some(step) => (true, format!("{verb} {}", within_sentence(step))),
        None => (false, verb.to_owned()),
    };
    let (can_undo, undo) = name("Undo", document.and_then(|document| document.edits.list.undo_name()));
    let (can_redo, redo) = name("Redo", document.and_then(|document| document.edits.list.redo_name()));
    list.add_if(can_undo, group, undo, "Ctrl+Z", EditCommand::Undo);
    list.add_if(can_redo, group, redo, "Ctrl+Shift+Z", EditCommand::Redo);
    let open = document.is_some();
    for tool in ToolKind::EDIT {
        list.add(group, format!("Tool: {}", tool.name()), tool.key(), super::ViewCommand::SetTool(tool));
    }
    list.add(group, "Larger brush", "]", EditCommand::Resize(1));
    list.add(group, "Smaller brush", "[", EditCommand::Resize(-1));
    let (mode, name) = match state.session.edit.mode {
        Mode::Slice => (Mode::Volume, "Brush: 3-D ball"),
        Mode::Volume => (Mode::Slice, "Brush: 2-D disc"),
    };
    list.add(group, name, "", EditCommand::SetMode(mode));
    for (action, name) in
        [(LassoAction::Fill, "fills"), (LassoAction::Erase, "erases"), (LassoAction::Restore, "restores")]
    {
        let choices = EditChoices { lasso: action, ..state.session.edit.clone() };
        let other = state.session.edit.lasso != action;
        list.add_if(other, group, format!("Lasso {name}"), "", EditCommand::Choose(Box::new(choices)));
    }
    let probability = document.is_some_and(|document| document.probability.is_some());
    let by_strokes = !state.session.edit.by_strokes;
    let name = if by_strokes { "One click: by strokes" } else { "One click: by the network" };
    let choices = EditChoices { by_strokes, ..state.session.edit.clone() };
    list.add_if(probability, group, name, "", EditCommand::Choose(Box::new(choices)));
    let splits = document.is_some_and(Document::could_have_frames);
    list.add_if(splits, group, "A mask for each frame", "", EditCommand::SplitFrames);
    mask::actions(list, state);
    let reference = document.is_some_and(|document: &Document| document.reference().is_some());
    list.add_if(open && reference, group, "Correct a copy of the reference", "", Intent::CorrectReference);
}
