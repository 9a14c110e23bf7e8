//! The pinned slices of a fine-tuning: the probability that the network gives them after each epoch.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Tensor, TensorData};

use super::Labelled;
use crate::config::Config;
use crate::event::{Event, Stage};
use crate::model::UNet;
use crate::probe::{Pin, ProbeRecord, ProbeSlice, Recorder, load};
use crate::trainer::{Resumed, Session};
use crate::{Error, ErrorKind, Result};

/// The pinned slices.
pub(super) struct Probes<'a> {
    session: &'a Session<'a>,
    config: &'a Config,
    recorder: Recorder<'a>,
    pinned: BTreeMap<Pin, Pinned>,
}

/// A slice as the network sees it: the training crop, neither shifted nor augmented.
struct Pinned {
    pixels: Vec<f32>,
    /// True if its patient is labelled.
    trained: bool,
}

impl<'a> Probes<'a> {
    /// The run's pins.
    pub fn start(session: &'a Session<'a>, config: &'a Config, data: &Labelled, resumed: &Resumed) -> Result<Self> {
        let recorder = Recorder::new(session.run, session.pins, Stage::Finetune, resumed.epoch)?;
        let mut probes = Self { session, config, recorder, pinned: BTreeMap::new() };
        probes.look(data);
        Ok(probes)
    }

    /// Takes up new pins and lets go of those that were taken off; gives what is to be told.
    pub fn look(&mut self, data: &Labelled) -> Vec<Event> {
        if let Some(pins) = self.recorder.changed() {
            self.pinned.retain(|pin, _| pins.contains(pin));
            for pin in pins.into_iter().filter(|pin| !self.pinned.contains_key(pin)).collect::<Vec<_>>() {
                if let Err(error) = self.admit(data, &pin) {
                    self.recorder.refuse(&pin, &error);
                }
            }
        }
        self.recorder.events()
    }

    fn admit(&mut self, data: &Labelled, pin: &Pin) -> Result<()> {
        let store = &data.store;
        let case = store.cases().iter().position(|case| case.id == pin.case);
        let is_it = |i: &usize| Some(store.meta(*i).case as usize) == case && store.meta(*i).k == pin.slice;
        let stored = case.zip((0..store.len()).find(is_it));
        let (pixels, target, world_from_crop) = if let Some((case, slice)) = stored {
            let window = store.window(slice, [0, 0])?;
            (window.pixels, window.target, store.cases()[case].plan.crop_affine())
        } else {
            let source = load(self.session.cohort, self.config, pin, true)?;
            (source.pixels, source.target, source.world_from_crop)
        };
        let (size, trained) = (self.config.preprocess.size, case.is_some());
        let slice = ProbeSlice::new(pin.clone(), Stage::Finetune, trained, size, &pixels, target.as_deref());
        self.recorder.slice(&slice.at(world_from_crop));
        self.pinned.insert(pin.clone(), Pinned { pixels, trained });
        Ok(())
    }

    /// A record of each pinned slice after an epoch: the probability of the first region.
    pub fn views(&self, network: &UNet, epoch: usize) -> Result<Vec<ProbeRecord>> {
        if self.pinned.is_empty() {
            return Ok(Vec::new());
        }
        let network = network.valid();
        let view = |(pin, pinned): (&Pin, &Pinned)| {
            let mut record = ProbeRecord::empty(pin.clone(), Stage::Finetune, epoch, pinned.trained);
            let probability = self.probability(&network, &pinned.pixels)?;
            record.draw(&probability, self.config.preprocess.size, Some([0.0, 1.0]));
            Ok(record)
        };
        self.pinned.iter().map(view).collect()
    }

    /// Stores these records. Gives what is to be told.
    pub fn close(&mut self, views: &[ProbeRecord]) -> Vec<Event> {
        views.iter().for_each(|record| self.recorder.record(record));
        self.recorder.events()
    }

    /// Probability of the first region, `[S][S]`.
    fn probability(&self, network: &UNet, pixels: &[f32]) -> Result<Vec<f32>> {
        let size = self.config.preprocess.size;
        let shape = [1, pixels.len() / (size * size), size, size];
        let device = &self.session.compute.device;
        let input = Tensor::<4>::from_data(TensorData::new(pixels.to_vec(), shape), device);
        let output = network.forward(input).slice([0..1, 0..1, 0..size, 0..size]);
        let data = sigmoid(output).try_into_data().map_err(|e| {
            let step = "reading a probability".to_owned();
            Error::from(ErrorKind::Compute { step, why: e.to_string() })
        })?;
        Ok(data.iter::<f32>().collect())
    }
}
