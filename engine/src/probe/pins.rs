//! The pinned slices of a run.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::config::Pin;

/// The pinned slices, shared between the training loop and the user interface.
///
/// The loop checks the pins at every step. A slice pinned before its batch is recorded from this epoch on, otherwise from the
/// next.
#[derive(Debug, Default)]
pub struct Pins {
    pins: Mutex<BTreeSet<Pin>>,
    /// Counts changes, so that the loop can detect one without taking the lock.
    changes: AtomicU64,
}

impl Pins {
    /// Starts with these pins.
    pub fn new(pins: Vec<Pin>) -> Self {
        Self { pins: Mutex::new(pins.into_iter().collect()), changes: AtomicU64::new(0) }
    }

    /// Pins a slice; false if it was already pinned.
    pub fn add(&self, pin: Pin) -> bool {
        self.change(|pins| pins.insert(pin))
    }

    /// Unpins a slice; false if it was not pinned. Its records are kept.
    pub fn remove(&self, pin: &Pin) -> bool {
        self.change(|pins| pins.remove(pin))
    }

    /// The pinned slices, in order.
    pub fn list(&self) -> Vec<Pin> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// A counter that grows with every change.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    fn change(&self, act: impl FnOnce(&mut BTreeSet<Pin>) -> bool) -> bool {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = act(&mut pins);
        if changed {
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_actual_changes_are_counted() {
        let (a, b) = (Pin::new("A", 2), Pin::new("A", 10));
        let pins = Pins::new(vec![b.clone(), b.clone()]);
        let start = pins.changes();
        assert!(pins.add(a.clone()) && !pins.add(a.clone()) && !pins.remove(&Pin::new("B", 0)));
        assert_eq!((pins.list(), pins.changes() - start), (vec![a.clone(), b.clone()], 1));
        assert!(pins.remove(&a) && !pins.remove(&a));
        assert_eq!((pins.list(), pins.changes() - start), (vec![b], 2));
    }
}
