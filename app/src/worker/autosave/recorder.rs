//! The thread that writes the journal of unsaved edits: the window never waits for a disk.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use engine::Error;
use engine::edit::EditLabels;
use engine::run::autosave::{Autosave, EditedCase};
use engine::volume::LabelTable;

use crate::state::CaseId;
use crate::state::edit::UnrecordedChange;
use crate::worker::Wake;

/// The current recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recording {
    pub case: CaseId,
    /// Revision of the mask that the journal begins with.
    pub base: u64,
    /// Revision after its last record.
    pub revision: u64,
}

enum RecorderCommand {
    /// Starts a journal for this mask and removes the previous one.
    Begin(Box<EditedCase>, EditLabels),
    /// Continues a journal of an earlier session.
    Adopt(Box<Autosave>),
    Append(Box<UnrecordedChange>),
    /// Replaces the description of the case.
    Describe(Box<EditedCase>),
    /// Removes the journal, since its edits are saved or discarded.
    Forget,
}

#[derive(Default)]
struct SharedState {
    /// Number of pending commands.
    waiting: AtomicUsize,
    failure: Mutex<Option<Error>>,
}

/// Records the edits of the open case in a folder.
pub struct Recorder {
    folder: PathBuf,
    orders: Option<Sender<RecorderCommand>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<SharedState>,
    pub(super) recording: Option<Recording>,
    /// Names and colours of labels as described last.
    pub(super) labels: LabelTable,
}

impl Recorder {
    /// A recorder for journals in `folder`, which is created with the first journal.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn new(folder: PathBuf, wake: Wake) -> std::io::Result<Self> {
        let (orders, received) = channel();
        let shared = Arc::new(SharedState::default());
        let (place, report) = (folder.clone(), Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("unsaved edits".to_owned())
            .spawn(move || carry_out(&received, &place, &report, &wake))?;
        let (orders, thread, labels) = (Some(orders), Some(thread), LabelTable::default());
        Ok(Self { folder, orders, thread, shared, recording: None, labels })
    }

    /// The folder of the journals.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Whether everything is written.
    pub fn is_idle(&self) -> bool {
        self.shared.waiting.load(Ordering::Acquire) == 0
    }

    /// The first error since the last call.
    pub(super) fn take_failure(&self) -> Option<Error> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn begin(&mut self, case: EditedCase, base: EditLabels, recording: Recording) {
        self.recording = Some(recording);
        self.labels.clone_from(&case.labels);
        self.order(RecorderCommand::Begin(Box::new(case), base));
    }

    pub(super) fn adopt(&mut self, autosave: Autosave, recording: Recording) {
        self.recording = Some(recording);
        self.order(RecorderCommand::Adopt(Box::new(autosave)));
    }

    pub(super) fn describe(&mut self, case: EditedCase) {
        self.labels.clone_from(&case.labels);
        self.order(RecorderCommand::Describe(Box::new(case)));
    }

    pub(super) fn append(&mut self, change: UnrecordedChange) {
        if let Some(recording) = &mut self.recording {
            recording.revision = change.revisions[1];
            self.order(RecorderCommand::Append(Box::new(change)));
        }
    }

    /// Removes the journal, since its edits are saved or discarded.
    pub fn forget(&mut self) {
        if self.recording.take().is_some() {
            self.order(RecorderCommand::Forget);
        }
    }

    fn order(&self, order: RecorderCommand) {
        self.shared.waiting.fetch_add(1, Ordering::AcqRel);
        // The thread ends only after the sender is dropped.
        if self.orders.as_ref().is_none_or(|orders| orders.send(order).is_err()) {
            self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Recorder {
    /// Waits until everything is written. The journal stays on disk and is offered at the next start.
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed.
            let _ = thread.join();
        }
    }
}

fn carry_out(orders: &Receiver<RecorderCommand>, folder: &std::path::Path, shared: &SharedState, wake: &Wake) {
    let mut open: Option<Autosave> = None;
    for order in orders {
        let done = match order {
            RecorderCommand::Begin(case, base) => {
                // Remove the previous journal last: until then it holds the only copy of the edits.
                Autosave::create(folder, &case, &base).map(|autosave| {
                    open.replace(autosave).into_iter().for_each(Autosave::remove);
                })
            }
            RecorderCommand::Adopt(autosave) => {
                open.replace(*autosave).into_iter().for_each(Autosave::remove);
                Ok(())
            }
            RecorderCommand::Append(change) => match &mut open {
                Some(autosave) => autosave.append(change.kind, &change.name, &change.delta),
                // The failure of its beginning was reported.
                None => Ok(()),
            },
            RecorderCommand::Describe(case) => open.as_ref().map_or(Ok(()), |autosave| autosave.describe(&case)),
            RecorderCommand::Forget => {
                open.take().into_iter().for_each(Autosave::remove);
                Ok(())
            }
        };
        if let Err(error) = done {
            // A journal with a gap cannot be replayed beyond it: keep this one, and start a new one with the next edit.
            open = None;
            *shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        shared.waiting.fetch_sub(1, Ordering::AcqRel);
        wake();
    }
}
