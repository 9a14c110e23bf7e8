//! Background jobs as shown in the window.

/// Determines which jobs exclude each other. A new job in an exclusive slot cancels the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    name: &'static str,
    shared: bool,
}

impl Slot {
    /// One case or folder is opened at a time.
    pub const OPEN: Self = Self::exclusive("open");

    /// At most one job at a time: a new one replaces the previous one.
    #[must_use]
    pub const fn exclusive(name: &'static str) -> Self {
        Self { name, shared: false }
    }

    /// Any number of jobs in parallel.
    #[must_use]
    pub const fn shared(name: &'static str) -> Self {
        Self { name, shared: true }
    }

    /// Names the worker thread.
    pub(crate) fn name(self) -> &'static str {
        self.name
    }

    pub(crate) fn is_shared(self) -> bool {
        self.shared
    }
}

/// A running job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobStatus {
    /// Identifies the job in the command that cancels it.
    pub id: u64,
    /// Its slot, by which panels find their job.
    pub slot: Slot,
    /// What the job does, in a few words.
    pub title: String,
    /// 0 to 1, if known.
    pub progress: Option<f32>,
    /// The current step, such as "slice 3 of 12".
    pub detail: String,
    /// Shown only if it lasts.
    pub quiet: bool,
}
