//! The steps of one epoch, whatever the stage. While the device works on a batch, the next one is made on the host; losses are
//! read together, in the order of the steps.
//!
//! Memory that ran out may be noticed no earlier than that. Nothing of the steps in question was told, recorded or stored by
//! then: they are taken again, in smaller portions, from the weights as they were when losses were last read.

use super::step::caught;
use super::{Parts, Stepper, Trainer};
use crate::event::{Event, Stage};
use crate::{ErrorKind, Result};

/// A stage's side of an epoch.
pub trait Steps: Sync {
    /// The stage.
    const STAGE: Stage;
    /// A batch on the host.
    type Batch: Send;
    /// What a step leaves to be read.
    type Taken;
    /// What was read of it.
    type Read;

    /// Number of steps.
    fn count(&self) -> usize;

    /// Learning rate of a step, from 0.
    fn rate(&self, index: usize) -> f64;

    /// The batch of a step.
    fn make(&self, index: usize) -> Result<Self::Batch>;

    /// Takes the step; does not wait for the device.
    fn step(&self, stepper: &mut Stepper, index: usize, batch: Self::Batch) -> Result<Self::Taken>;

    /// Reads what a step left. A step that is taken again is read again: what was read of it before does not count.
    fn read(&mut self, index: usize, taken: Self::Taken) -> Result<Self::Read>;

    /// The losses by name; the last is what the step minimised.
    fn losses(read: &Self::Read) -> Vec<(&'static str, f64)>;

    /// Names of a step's slices, for a message.
    fn names(&self, index: usize) -> String;

    /// Adds what was read to the epoch's numbers: once for each step.
    fn add(&mut self, index: usize, read: &Self::Read);

    /// What else is to be told after a step.
    fn events(&mut self) -> Vec<Event>;

    /// What a checkpoint stores.
    fn parts(&self) -> Result<Parts>;
}

/// How far an epoch is.
struct Progress<S: Steps> {
    /// Number of the epoch, from 1.
    epoch: usize,
    /// Steps that were told.
    done: usize,
    /// Those after them that were taken, and not read yet.
    waiting: Vec<S::Taken>,
    /// The batch of the step after these, if it was made already.
    next: Option<Result<S::Batch>>,
}

impl Trainer<'_> {
    /// Trains epoch `epoch` (from 1) from step `first` (from 0) to its end.
    pub fn train<S: Steps>(&mut self, epoch: usize, first: usize, steps: &mut S) -> Result<()> {
        // What was looked at since the last epoch may have failed unnoticed.
        while let Err(error) = self.stepper.trust() {
            self.stepper.fall_back(error)?;
            self.tell_notes()?;
        }
        let mut progress = Progress { epoch, done: first, waiting: Vec::new(), next: None };
        while progress.done < steps.count() {
            if let Err(error) = self.advance(steps, &mut progress) {
                self.stepper.fall_back(error)?;
                self.tell_notes()?;
                (progress.waiting, progress.next) = (Vec::new(), None);
            }
        }
        Ok(())
    }

    /// Takes a step, and reads and tells those that wait if it is time.
    fn advance<S: Steps>(&mut self, steps: &mut S, progress: &mut Progress<S>) -> Result<()> {
        let (index, count) = (progress.done + progress.waiting.len(), steps.count());
        let batch = progress.next.take().unwrap_or_else(|| steps.make(index))?;
        let (taking, stepper) = (&*steps, &mut self.stepper);
        let step = || taking.step(stepper, index, batch);
        let (taken, made) = beside(step, || (index + 1 < count).then(|| taking.make(index + 1)));
        progress.next = made.flatten();
        self.tell_notes()?;
        progress.waiting.push(taken?);
        if !self.reads(progress.waiting.len(), index + 1 == count) {
            return Ok(());
        }
        self.stepper.wait()?;
        let waiting = std::mem::take(&mut progress.waiting).into_iter().zip(progress.done..);
        let read = || waiting.map(|(taken, index)| steps.read(index, taken)).collect::<Result<Vec<_>>>();
        let read = caught("reading the losses", read)?;
        self.stepper.trust()?;
        for read in read {
            self.settle(steps, progress, &read)?;
        }
        self.heed(progress.epoch, progress.done, || steps.parts())
    }

    /// Adds a step to the epoch's numbers, and tells the listeners.
    fn settle<S: Steps>(&mut self, steps: &mut S, progress: &mut Progress<S>, read: &S::Read) -> Result<()> {
        let (epoch, index) = (progress.epoch, progress.done);
        let (mut loss, step) = (f64::NAN, index + 1);
        for (what, value) in S::losses(read) {
            if !value.is_finite() {
                let slices = steps.names(index);
                return Err(ErrorKind::NonFinite { what: what.into(), value, epoch, step, slices }.into());
            }
            loss = value;
        }
        steps.add(index, read);
        progress.done = step;
        self.emit(&Event::Step { stage: S::STAGE, epoch, step, loss, learning_rate: steps.rate(index) })?;
        self.emit_probes(&steps.events())
    }
}

/// Does `now` on this thread while another thread, if one is free, does `ahead`: what the next step needs of the host. Other
/// threads of the pool may take up any part of either; no result depends on which.
fn beside<R, T: Send>(now: impl FnOnce() -> R, ahead: impl FnOnce() -> T + Send) -> (R, Option<T>) {
    let mut made = None;
    let done = rayon::in_place_scope(|scope| {
        scope.spawn(|_| made = Some(ahead()));
        now()
    });
    (done, made)
}
