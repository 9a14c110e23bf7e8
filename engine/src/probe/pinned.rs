//! Pinned slices of a run without patch labels. After every epoch, a picture of each is recorded, and its mask if that consists
//! of patches.

use std::collections::BTreeMap;

use super::source::load;
use super::{PictureKind, Pin, Pins, ProbeRecord, ProbeSlice, Recorder};
use crate::Result;
use crate::cohort::Cohort;
use crate::config::Config;
use crate::event::{Event, Stage};
use crate::patch::PatchGrid;
use crate::preprocess::SliceData;
use crate::run::RunFolder;

/// The pinned slices as input of the network: the training crop without augmentation.
pub(crate) struct PinnedPictures<'a> {
    config: &'a Config,
    cohort: &'a Cohort,
    stage: Stage,
    recorder: Recorder<'a>,
    pinned: BTreeMap<Pin, TrackedPin>,
    /// Patches per side of the masks that are recorded; 0 for none.
    grid: usize,
}

struct TrackedPin {
    data: SliceData,
    trained: bool,
}

/// A pinned slice, searched among the slices of a run.
pub(crate) struct TrainingSlice {
    /// True if it is trained on.
    pub trained: bool,
    /// Its crop and the crop's transform (voxel to world mm, row by row), if the run has the slice.
    pub stored: Option<(SliceData, [f64; 16])>,
}

impl<'a> PinnedPictures<'a> {
    pub fn new(config: &'a Config, cohort: &'a Cohort, run: &'a RunFolder, pins: &'a Pins, stage: Stage) -> Self {
        let recorder = Recorder::new(run, pins, stage);
        Self { config, cohort, stage, recorder, pinned: BTreeMap::new(), grid: 0 }
    }

    /// Records masks of `grid` patches per side with the pictures; 0: none.
    #[must_use]
    pub fn with_grid(self, grid: usize) -> Self {
        Self { grid, ..self }
    }

    /// Starts with `epoch`, and removes its record and later ones, which will be repeated.
    ///
    /// # Errors
    /// Records that cannot be removed.
    pub fn start(&mut self, epoch: usize, find: &dyn Fn(&Pin) -> Result<TrainingSlice>) -> Result<()> {
        self.recorder.forget_from(epoch)?;
        self.admit_new(find);
        Ok(())
    }

    /// Admits new pins and drops removed ones. `find` searches the slices of the run.
    pub fn admit_new(&mut self, find: &dyn Fn(&Pin) -> Result<TrainingSlice>) {
        let Some(pins) = self.recorder.changed() else { return };
        self.pinned.retain(|pin, _| pins.contains(pin));
        for pin in pins.into_iter().filter(|pin| !self.pinned.contains_key(pin)).collect::<Vec<_>>() {
            if let Err(error) = find(&pin).and_then(|found| self.admit(&pin, found)) {
                self.recorder.refuse(&pin, &error);
            }
        }
    }

    fn admit(&mut self, pin: &Pin, TrainingSlice { trained, stored }: TrainingSlice) -> Result<()> {
        let (data, world_from_crop) = if let Some(stored) = stored {
            stored
        } else {
            // Pre-training may read masks only if its log reports recall.
            let with_label = self.stage == Stage::Finetune || self.config.method.report_recall;
            load(self.cohort, self.config, pin, with_label)?
        };
        let size = self.config.preprocess.size;
        let mut slice = ProbeSlice::new(pin.clone(), self.stage, trained, size, &data.pixels, data.target.as_deref());
        if self.grid > 0 {
            let grid = PatchGrid::new(size, self.grid)?;
            let lesion = data.target.as_ref().map(|target| grid.lesion_patches(target));
            slice = slice.with_unclustered(&grid, grid.air_of_tissue(&data.tissue), lesion);
        }
        self.recorder.slice(&slice.at(world_from_crop));
        self.pinned.insert(pin.clone(), TrackedPin { data, trained });
        Ok(())
    }

    /// Records the result of `picture` for each slice after an epoch: a picture `[S][S]`, its kind, and the masked patches, if
    /// there is a grid. `range` is the value range from black to white; by default the picture's.
    ///
    /// # Errors
    /// Errors of `picture`.
    pub fn record(
        &mut self,
        epoch: usize,
        range: Option<[f32; 2]>,
        picture: impl Fn(&Pin, &SliceData) -> Result<(Vec<f32>, PictureKind, Vec<bool>)>,
    ) -> Result<()> {
        for (pin, pinned) in &self.pinned {
            let mut record = ProbeRecord::empty(pin.clone(), self.stage, epoch, pinned.trained);
            let (pixels, kind, masked) = picture(pin, &pinned.data)?;
            record.mask(masked);
            record.kind = kind;
            record.draw(&pixels, self.config.preprocess.size, range);
            self.recorder.record(&record);
        }
        Ok(())
    }

    /// Probes and warnings since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        self.recorder.events()
    }
}
