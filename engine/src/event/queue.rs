//! Event queue between a training thread and a listener that polls, such as a window.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Event, EventSink};
use crate::Result;

/// A bounded queue of events.
///
/// # Order
/// Events are drained in the order pushed, except that the queue holds at most one `Step`: a newer step is appended and
/// the older one removed. The listener always sees the newest step, and never a step after a later milestone.
///
/// Milestones are never dropped. Pushing one to a full queue blocks until the queue is drained. A closed queue neither
/// blocks nor keeps events.
pub struct EventQueue {
    capacity: usize,
    pending: Mutex<QueueState>,
    drained: Condvar,
    wake: Option<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct QueueState {
    events: VecDeque<Event>,
    /// Index of the `Step` in `events`.
    step: Option<usize>,
    closed: bool,
}

impl QueueState {
    fn milestones(&self) -> usize {
        self.events.len() - usize::from(self.step.is_some())
    }
}

impl EventQueue {
    /// An empty queue for at most `capacity` milestones (at least one).
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), pending: Mutex::default(), drained: Condvar::new(), wake: None }
    }

    /// Calls `wake` after every event, on the thread that pushes it.
    #[must_use]
    pub fn with_wake(mut self, wake: impl Fn() + Send + Sync + 'static) -> Self {
        self.wake = Some(Box::new(wake));
        self
    }

    /// Adds an event. Blocks while it is a milestone and the queue is full.
    pub fn push(&self, event: &Event) {
        let mut pending = self.lock();
        if event.is_milestone() {
            while pending.milestones() >= self.capacity && !pending.closed {
                pending = self.drained.wait(pending).unwrap_or_else(PoisonError::into_inner);
            }
        } else if let Some(older) = pending.step.take() {
            pending.events.remove(older);
        }
        if pending.closed {
            return;
        }
        if !event.is_milestone() {
            pending.step = Some(pending.events.len());
        }
        pending.events.push_back(event.clone());
        drop(pending);
        if let Some(wake) = &self.wake {
            wake();
        }
    }

    /// Removes and returns all events, in order. Never blocks.
    pub fn drain(&self) -> Vec<Event> {
        let mut pending = self.lock();
        pending.step = None;
        let events = pending.events.drain(..).collect();
        drop(pending);
        self.drained.notify_all();
        events
    }

    /// Closes the queue: drops its events and all later ones. Called when the listener ends.
    pub fn close(&self) {
        let mut pending = self.lock();
        *pending = QueueState { closed: true, ..QueueState::default() };
        drop(pending);
        self.drained.notify_all();
    }

    /// True after [`EventQueue::close`].
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// A sink that a thread can own.
    pub fn sink(self: &Arc<Self>) -> impl EventSink + Send + 'static + use<> {
        let queue = Arc::clone(self);
        move |event: &Event| {
            queue.push(event);
            Ok(())
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // The state is consistent at every point where a thread could panic.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for EventQueue {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pending = self.lock();
        to.debug_struct("EventQueue")
            .field("capacity", &self.capacity)
            .field("pending", &pending.events.len())
            .field("closed", &pending.closed)
            .finish_non_exhaustive()
    }
}

impl EventSink for &EventQueue {
    fn event(&mut self, event: &Event) -> Result<()> {
        self.push(event);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;

    use super::*;
    use crate::event::Stage;

    fn step(step: usize) -> Event {
        Event::Step { stage: Stage::Pretrain, epoch: 1, step, loss: 0.5, learning_rate: 1e-3 }
    }

    fn milestone(step: usize) -> Event {
        Event::Checkpoint { epoch: 1, step }
    }

    fn number(event: &Event) -> usize {
        match event {
            Event::Step { step, .. } | Event::Checkpoint { step, .. } => *step,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_newest_step_is_kept_in_order() {
        let queue = EventQueue::new(8);
        for event in [step(1), milestone(2), step(3), step(4), milestone(5)] {
            queue.push(&event);
        }
        assert_eq!(queue.drain(), [milestone(2), step(4), milestone(5)]);
        assert_eq!(queue.drain(), []);
        queue.push(&step(6));
        assert_eq!(queue.drain(), [step(6)], "a drained step is not removed again");
    }

    #[test]
    fn a_full_queue_blocks_only_milestones_and_a_closed_one_nothing() {
        let queue = Arc::new(EventQueue::new(2));
        queue.push(&milestone(1));
        queue.push(&milestone(2));
        queue.push(&step(3));
        queue.push(&step(4));
        let waiting = std::thread::spawn({
            let mut sink = queue.sink();
            move || sink.event(&milestone(5))
        });
        queue.close();
        waiting.join().unwrap().unwrap();
        assert!(queue.is_closed());
        for _ in 0..9 {
            queue.push(&milestone(6));
        }
        assert_eq!(queue.drain(), []);
    }

    #[test]
    fn every_event_wakes_the_listener() {
        let woken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&woken);
        let queue = EventQueue::new(4).with_wake(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        (&queue).event(&step(1)).unwrap();
        queue.push(&milestone(2));
        assert_eq!(woken.load(Ordering::SeqCst), 2);
    }

    proptest! {
        /// 0 drains, 1 pushes a step, 2 a milestone.
        #[test]
        fn the_queue_matches_a_plain_list_without_older_steps(acts in prop::collection::vec(0u8..3, 0..200)) {
            let queue = EventQueue::new(1000);
            let mut model: Vec<Event> = Vec::new();
            for (at, act) in acts.into_iter().enumerate() {
                match act {
                    0 => prop_assert_eq!(queue.drain(), std::mem::take(&mut model)),
                    1 => {
                        model.retain(Event::is_milestone);
                        model.push(step(at));
                        queue.push(&step(at));
                    }
                    _ => {
                        model.push(milestone(at));
                        queue.push(&milestone(at));
                    }
                }
            }
            prop_assert_eq!(queue.drain(), model);
        }

        /// With a thread on each side: bounded, nothing but steps lost, everything in order, the last event kept.
        #[test]
        fn no_milestone_is_lost_or_reordered_across_threads(kinds in prop::collection::vec(any::<bool>(), 1..300), capacity in 1usize..6) {
            let queue = Arc::new(EventQueue::new(capacity));
            let events: Vec<Event> =
                kinds.iter().enumerate().map(|(at, is_step)| if *is_step { step(at) } else { milestone(at) }).collect();
            let producer = std::thread::spawn({
                let (mut sink, events) = (queue.sink(), events.clone());
                move || events.iter().try_for_each(|event| sink.event(event))
            });
            let mut seen = Vec::new();
            while !producer.is_finished() {
                let some = queue.drain();
                prop_assert!(some.iter().filter(|event| event.is_milestone()).count() <= capacity);
                prop_assert!(some.iter().filter(|event| !event.is_milestone()).count() <= 1);
                seen.extend(some);
            }
            producer.join().unwrap().unwrap();
            seen.extend(queue.drain());
            let numbers: Vec<usize> = seen.iter().map(number).collect();
            prop_assert!(numbers.is_sorted_by(|a, b| a < b), "{:?}", numbers);
            prop_assert_eq!(numbers.last(), Some(&(events.len() - 1)));
            let milestones = |all: &[Event]| all.iter().filter(|e| e.is_milestone()).cloned().collect::<Vec<_>>();
            prop_assert_eq!(milestones(&seen), milestones(&events));
        }
    }
}
