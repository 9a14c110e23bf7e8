//! Event queue between a training thread and a listener that polls, such as a window.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Event;

/// A queue of events.
///
/// # Order
/// Events are drained in the order pushed, except that the queue holds at most one `Step`: a newer step is appended and
/// the older one removed. The listener always sees the newest step, and never a step after a later milestone. Milestones are
/// never dropped. The queue is unbounded, so that a listener that does not poll cannot hold up the training.
#[derive(Debug, Default)]
pub struct EventQueue(Mutex<QueueState>);

#[derive(Debug, Default)]
struct QueueState {
    events: Vec<Event>,
    /// Index of the `Step` in `events`.
    step: Option<usize>,
}

impl EventQueue {
    /// Adds an event.
    pub fn push(&self, event: &Event) {
        let mut pending = self.lock();
        if !event.is_milestone() {
            if let Some(older) = pending.step.take() {
                pending.events.remove(older);
            }
            pending.step = Some(pending.events.len());
        }
        pending.events.push(event.clone());
    }

    /// Removes and returns all events, in order.
    pub fn drain(&self) -> Vec<Event> {
        std::mem::take(&mut *self.lock()).events
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // The state is consistent at every point where a thread could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

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
        let queue = EventQueue::default();
        for event in [step(1), milestone(2), step(3), step(4), milestone(5)] {
            queue.push(&event);
        }
        assert_eq!(queue.drain(), [milestone(2), step(4), milestone(5)]);
        assert_eq!(queue.drain(), []);
        queue.push(&step(6));
        assert_eq!(queue.drain(), [step(6)], "a drained step is not removed again");
    }

    proptest! {
        /// 0 drains, 1 pushes a step, 2 a milestone.
        #[test]
        fn the_queue_matches_a_plain_list_without_older_steps(acts in prop::collection::vec(0u8..3, 0..200)) {
            let queue = EventQueue::default();
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

        /// With a thread on each side: nothing but steps lost, everything in order, the last event kept.
        #[test]
        fn no_milestone_is_lost_or_reordered_across_threads(kinds in prop::collection::vec(any::<bool>(), 1..300)) {
            let queue = Arc::new(EventQueue::default());
            let events: Vec<Event> =
                kinds.iter().enumerate().map(|(at, is_step)| if *is_step { step(at) } else { milestone(at) }).collect();
            let producer = std::thread::spawn({
                let (queue, events) = (Arc::clone(&queue), events.clone());
                move || events.iter().for_each(|event| queue.push(event))
            });
            let mut seen = Vec::new();
            while !producer.is_finished() {
                let some = queue.drain();
                prop_assert!(some.iter().filter(|event| !event.is_milestone()).count() <= 1);
                seen.extend(some);
            }
            producer.join().unwrap();
            seen.extend(queue.drain());
            let numbers: Vec<usize> = seen.iter().map(number).collect();
            prop_assert!(numbers.is_sorted_by(|a, b| a < b), "{:?}", numbers);
            prop_assert_eq!(numbers.last(), Some(&(events.len() - 1)));
            let milestones = |all: &[Event]| all.iter().filter(|e| e.is_milestone()).cloned().collect::<Vec<_>>();
            prop_assert_eq!(milestones(&seen), milestones(&events));
        }
    }
}
