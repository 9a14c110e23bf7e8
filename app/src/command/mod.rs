//! Everything the user can do, as values. Panels and keys send commands; only [`dispatch()`] executes them.
//!
//! One module per topic: its enum, the implementation, and its palette entries with shortcuts. Steps that may have to
//! wait for a save or a dialog are [`Intent`]s, stored in the state.

pub mod action;
pub mod autosave;
pub mod back;
mod contrast;
pub mod edit;
pub mod file;
pub mod intent;
pub mod keys;
pub mod labels;
pub mod masking;
pub mod overlay;
pub mod review;
pub mod runs;
pub mod series;
pub mod study;
pub mod timeline;
pub mod train;
mod typed_ahead;
pub mod view;
pub mod window;

use crate::state::{Intent, State};
use crate::worker::{self, Jobs};

pub use action::{Action, actions};
pub use autosave::AutosaveCommand;
pub use edit::EditCommand;
pub use file::FileCommand;
pub use labels::LabelCommand;
pub use masking::MaskingCommand;
pub use overlay::OverlayCommand;
pub use review::ReviewCommand;
pub use runs::RunsCommand;
pub use series::SeriesCommand;
pub use study::StudyCommand;
pub use timeline::TimelineCommand;
pub use train::TrainCommand;
pub use view::ViewCommand;
pub use window::WindowCommand;

/// Declares [`Command`] with a conversion from each topic.
macro_rules! topics {
    ($($(#[$doc:meta])* $name:ident($topic:ty),)*) => {
        /// A command of any topic.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Command {
            $($(#[$doc])* $name($topic),)*
        }

        $(impl From<$topic> for Command {
            fn from(command: $topic) -> Self {
                Self::$name(command)
            }
        })*
    };
}

topics! {
    /// Opening another case, and other steps that may have to wait for an answer.
    Intent(Intent),
    /// Files, masks, the segmentation.
    File(FileCommand),
    /// Slices, cameras, images, contrast.
    View(ViewCommand),
    /// The overlay and the findings.
    Overlay(OverlayCommand),
    /// Verdicts, comments, the list of cases.
    Review(ReviewCommand),
    /// Corrections of the segmentation, measurements, undo.
    Edit(EditCommand),
    /// Unsaved edits of earlier sessions.
    Autosave(AutosaveCommand),
    /// The table of labels.
    Label(LabelCommand),
    /// Modes, panels, dialogs, messages, quit.
    Window(WindowCommand),
    /// Masking mode.
    Masking(MaskingCommand),
    /// Train mode.
    Train(TrainCommand),
    /// The timeline of the open runs.
    Timeline(TimelineCommand),
    /// The table of runs.
    Runs(RunsCommand),
    /// The Studies page.
    Study(StudyCommand),
    /// The series of a DICOM folder or archive.
    Series(SeriesCommand),
}

/// Executes a command, and starts follow-up jobs.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: impl Into<Command>) {
    carry_out(state, jobs, command.into());
    worker::update(state, jobs);
}

fn carry_out(state: &mut State, jobs: &mut Jobs, command: Command) {
    match command {
        Command::Intent(command) => intent::dispatch(state, jobs, command),
        Command::File(command) => file::dispatch(state, jobs, command),
        Command::View(command) => view::dispatch(state, jobs, command),
        Command::Overlay(command) => overlay::dispatch(state, command),
        Command::Review(command) => review::dispatch(state, jobs, command),
        Command::Edit(command) => edit::dispatch(state, jobs, command),
        Command::Autosave(command) => autosave::dispatch(state, jobs, command),
        Command::Label(command) => labels::dispatch(state, jobs, command),
        Command::Window(command) => window::dispatch(state, jobs, command),
        Command::Masking(command) => masking::dispatch(state, jobs, command),
        Command::Train(command) => train::dispatch(state, jobs, command),
        Command::Timeline(command) => timeline::dispatch(state, jobs, command),
        Command::Runs(command) => runs::dispatch(state, jobs, command),
        Command::Study(command) => study::dispatch(state, jobs, command),
        Command::Series(command) => series::dispatch(state, jobs, command),
    }
}

/// Executes the intents that finished jobs have queued.
pub fn dispatch_intents(state: &mut State, jobs: &mut Jobs) {
    for intent in std::mem::take(&mut state.intents) {
        dispatch(state, jobs, intent);
    }
}

/// Queue of commands from panels.
#[derive(Debug, Default)]
pub struct Sender(std::cell::RefCell<Vec<Command>>);

impl Sender {
    /// Queues a command for the end of this frame.
    pub fn send(&self, command: impl Into<Command>) {
        self.0.borrow_mut().push(command.into());
    }

    /// Takes the queued commands, in order.
    pub fn take(&self) -> Vec<Command> {
        self.0.take()
    }
}
