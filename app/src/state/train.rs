//! Train mode: the form of the next job, the queue, and the job under way.

/// What the centre shows in Train mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrainPage {
    /// The cohort and the form of the next job.
    #[default]
    Setup,
    /// Probe and curves at the timeline's cursor.
    Watch,
    /// All runs of the workspace.
    Runs,
    /// Measures of a fine-tuned run, patient by patient.
    Results,
}

impl TrainPage {
    /// All of them, in the order of their tabs.
    pub const ALL: [Self; 4] = [Self::Setup, Self::Watch, Self::Runs, Self::Results];

    /// The name in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::Setup => "Set up",
            Self::Watch => "Watch",
            Self::Runs => "Runs",
            Self::Results => "Results",
        }
    }
}

/// Everything that Train mode shows besides the timeline and the list of runs.
#[derive(Clone, Debug, Default)]
pub struct TrainState {
    /// The page in the centre.
    pub page: TrainPage,
}
