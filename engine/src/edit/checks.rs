//! Property tests of the operations: against naive implementations, and for consistency with each other.
#![allow(clippy::unwrap_used, reason = "tests")]

mod naive;
mod operations;
mod orientations;
mod sequences;
mod strategies;
mod watershed;

use std::io::Cursor;

use super::history::Spill;
use super::{EditLabels, History};
use crate::volume::{Grid, LabelVolume};

fn edited(grid: &Grid, labels: &[u16]) -> EditLabels {
    EditLabels::from_volume(&LabelVolume::new(grid.clone(), labels.to_vec()).unwrap())
}

fn values_of(labels: &EditLabels) -> Vec<u16> {
    labels.to_volume().iter().collect()
}

fn history(budget: usize) -> History {
    History::new(budget, Spill::new(Cursor::new(Vec::new()), "spill".into()))
}
