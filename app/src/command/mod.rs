//! Everything the user can do, as values. Panels and keys send commands; [`dispatch()`] alone carries them out.

pub mod action;
pub mod back;
mod contrast;
pub mod dispatch;
pub mod keys;
pub mod look;
pub mod masking;
mod overlay;
pub mod runs;
pub mod timeline;
pub mod train;
pub mod unsaved;

use std::path::PathBuf;

use glam::{DVec2, DVec3};

use crate::scene::{ColourMap, Convention, Modality, PlaneMode};
use crate::state::view::{Measure, Overlay};
use crate::state::{Mode, PaneId, PathPurpose, ToolKind};
use crate::theme::Theme;
use crate::worker::open::Request;

pub use action::{Action, actions};
pub use dispatch::dispatch;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    // Opening and saving.
    /// Asks for paths with the system's dialog.
    Ask(PathPurpose),
    /// Opens a path field, where no dialog can.
    TypePath(PathPurpose),
    /// Uses paths for what they were asked for.
    UsePaths(PathPurpose, Vec<PathBuf>),
    /// Opens a case whose parts are known.
    OpenRequest(Box<Request>),
    /// Opens the sample study.
    OpenSample,
    /// Opens a patient of the results: the list of cases stays, and the way back is offered.
    Visit(Box<Request>),
    /// Opens a case of the list.
    OpenCase(usize),
    /// Opens the next (1) or previous (-1) case of the list.
    StepCase(i64),
    /// Narrows the list of cases down.
    FilterCases(String),
    /// Tries again what failed.
    Retry,
    /// Closes the case.
    CloseCase,
    /// Segments the open case.
    Segment,
    /// On which device to compute.
    SetDevice(String),
    /// Saves the segmentation under the name it has, or asks for one.
    Save,
    /// Writes over a file that is there.
    SaveOver(PathPurpose, PathBuf),
    /// Saves the segmentation, then goes on with something that would have lost it.
    SaveThen(Box<Command>),
    /// Gives the unsaved segmentation up and goes on with what the question was about.
    Discard,
    /// Takes the probability away.
    RemoveProbability,
    /// Segments with the sample study's model, whichever run was chosen.
    UseSampleModel,
    /// Takes the prediction or the truth away.
    RemoveMask {
        /// True for the reference.
        truth: bool,
    },
    /// Stops a job.
    CancelJob(u64),

    // Looking.
    /// Changes the mode.
    SetMode(Mode),
    /// Chooses what the left button does.
    SetTool(ToolKind),
    /// Moves the crosshair to a world position in mm.
    MoveCrosshair(DVec3),
    /// Steps through slices of a pane; positive towards head, front, right.
    StepSlice {
        /// The pane.
        pane: PaneId,
        /// How many.
        by: i64,
    },
    /// Shows one slice of a pane, 0-based along its display axis.
    GoToSlice {
        /// The pane.
        pane: PaneId,
        /// The slice.
        slice: usize,
    },
    /// Magnifies a pane around a place in it (same unit as `size`).
    Zoom {
        /// The pane.
        pane: PaneId,
        /// By how much.
        factor: f64,
        /// Stays where it is.
        anchor: DVec2,
        /// The pane's size.
        size: DVec2,
    },
    /// Moves a pane's picture by mm on the screen.
    Pan {
        /// The pane.
        pane: PaneId,
        /// To the right and down.
        by_mm: DVec2,
    },
    /// Fits all panes.
    Fit,
    /// Shows one pane alone, or all again.
    Maximise(Option<PaneId>),
    /// One axial slice of each image, side by side.
    ToggleLinked,
    /// Window and level by a difference in the image's unit.
    ChangeWindow {
        /// Added to the width.
        width: f64,
        /// Added to the level.
        level: f64,
    },
    /// Window and level.
    SetWindow {
        /// Width.
        width: f64,
        /// Level.
        level: f64,
    },
    /// A preset of the shown image's modality, by its place.
    UsePreset(usize),
    /// Contrast from the shown slice's values.
    AutoContrast,
    /// What made the shown image.
    SetModality(Modality),
    /// Which image the panes show.
    ShowImage(usize),
    /// Which frame of a 4-D scan.
    SetFrame(usize),
    /// A second image over the first, or none.
    Fuse(Option<usize>),
    /// How much it covers.
    SetFusedOpacity(f32),
    /// Its colours.
    SetFusedColours(ColourMap),
    /// The image's colours.
    SetColours(ColourMap),
    /// Linear interpolation or single voxels.
    SetInterpolation(bool),
    /// Which side is left.
    SetConvention(Convention),
    /// Along which axes panes cut.
    SetPlanes(PlaneMode),
    /// Starts or stops the film of the active pane.
    ToggleCine,
    /// Slices a second.
    SetCineRate(f32),
    /// Makes a pane the one that keys go to.
    Activate(PaneId),

    // Overlay, findings, measurements.
    /// Hides the overlay while true.
    HideOverlay(bool),
    /// Opacity of the overlay, 0 to 1.
    SetOpacity(f32),
    /// Changes it.
    ChangeOpacity(f32),
    /// Fill and outline of labels.
    SetLabelStyle {
        /// Fill.
        fill: bool,
        /// Outline.
        outline: bool,
    },
    /// Shows or hides one label.
    ShowLabel(u16, bool),
    /// What is drawn of prediction and truth.
    SetOverlay(Overlay),
    /// From prediction to truth, comparison and back.
    SwapTruth,
    /// The next (1) or previous (-1) finding.
    StepFinding(i64),
    /// One finding of the list.
    GoToFinding(usize),
    /// The slice that deserves a look most (0), second most (1), ...
    GoToWorst(usize),
    /// Keeps a measurement.
    AddMeasure(Box<Measure>),
    /// Takes the last measurement away.
    RemoveMeasure,
    /// Takes all measurements away.
    ClearMeasures,

    // The other modes.
    /// Masking mode.
    Masking(masking::MaskingCommand),
    /// Train mode.
    Train(train::TrainCommand),
    /// The timeline of the open runs.
    Timeline(timeline::TimelineCommand),
    /// The table of runs.
    Runs(runs::RunsCommand),

    // The window.
    /// Dark or light.
    SetTheme(Theme),
    /// Left panel.
    ToggleLeft,
    /// Right panel.
    ToggleRight,
    /// Bottom strip.
    ToggleStrip,
    /// Every action by name.
    OpenPalette,
    /// What was typed into the palette, and the chosen line.
    EditPalette(String, usize),
    /// What was typed into the path field.
    EditPath(String),
    /// Mouse and keys.
    OpenHelp,
    /// The manuals of window and engine.
    OpenManual,
    /// Everything that was said.
    OpenLog,
    /// Versions and licences.
    OpenAbout,
    /// Closes the dialog on top.
    CloseDialog,
    /// Closes a toast.
    Dismiss(u64),
    /// Closes all toasts.
    DismissAll,
    /// Ends the program; asks first if a job runs or something is not saved.
    Quit,
    /// The same, and starts it anew with the same view.
    Restart,
    /// Ends the program, and starts it anew if that was asked for.
    QuitNow,
}

/// Where panels put the commands they want carried out.
#[derive(Debug, Default)]
pub struct Sender(std::cell::RefCell<Vec<Command>>);

impl Sender {
    /// Wants a command carried out after this frame.
    pub fn send(&self, command: Command) {
        self.0.borrow_mut().push(command);
    }

    /// Takes what was wanted, in order.
    pub fn take(&self) -> Vec<Command> {
        self.0.take()
    }
}
