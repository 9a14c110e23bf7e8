//! Names of pinned slices. A pin counts prepared slices, which may be resampled. The window names the slice of the scan, as
//! every view does.

use std::path::{Path, PathBuf};

use engine::config::Config;
use engine::preprocess::Spacing;
use engine::probe::Pin;
use serde::{Deserialize, Serialize};

use super::super::State;
use super::OpenRun;

/// What determines the place of a pinned slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PinSettings {
    /// The cohort's folder.
    pub cohort: PathBuf,
    /// The first channel, whose grid is prepared.
    pub modality: Option<String>,
    /// The spacing that it is resampled to.
    pub spacing: Spacing,
    /// The run, if the cohort's path is relative to one of its parent folders.
    pub run: Option<PathBuf>,
}

impl PinSettings {
    /// The settings of a run, or of the next one.
    pub fn of(config: &Config, run: Option<&Path>) -> Self {
        let data = &config.data;
        Self {
            cohort: data.cohort.clone(),
            modality: data.modality.first().cloned(),
            spacing: config.preprocess.spacing,
            run: run.filter(|_| data.cohort.is_relative()).map(Path::to_path_buf),
        }
    }
}

/// A slice to pin in the next job, which may prepare its scan with other settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WantedPin {
    /// The prepared slice.
    pub pin: Pin,
    /// The settings that it was prepared with, if known.
    pub of: Option<PinSettings>,
}

/// A pinned slice in its scan.
#[derive(Clone, Debug, PartialEq)]
pub struct PinPlace {
    /// What determines it.
    pub of: PinSettings,
    /// The pinned slice.
    pub pin: Pin,
    /// The nearest slice of the scan, counted from the feet, from 0; `None` if the scan cannot be read.
    pub slice: Option<usize>,
}

impl State {
    /// The settings that a pinned slice was prepared with: those of the shown run if it has the slice, else of another open
    /// run, else those that it was pinned with.
    pub fn pin_settings(&self, pin: &Pin) -> Option<PinSettings> {
        let timeline = &self.cache.timeline;
        let mut runs = self.watched_run().into_iter().chain(timeline.runs());
        if let Some(run) = runs.find(|run| run.has_pin(pin)) {
            return Some(run.pin_settings());
        }
        self.session.timeline.wanted.iter().find(|wanted| wanted.pin == *pin)?.of.clone()
    }

    /// The place of a pinned slice that was prepared with the settings `of`, once it is known.
    pub fn pin_place(&self, of: &PinSettings, pin: &Pin) -> Option<&PinPlace> {
        self.cache.timeline.places.iter().find(|place| place.pin == *pin && place.of == *of)
    }

    /// The number of a pinned slice: "slice 9", as in the views. If its scan cannot be read, it has the number of the prepared
    /// slice and is called so. Empty until its scan has been read.
    pub fn pin_number(&self, pin: &Pin) -> String {
        self.pin_settings(pin).map_or_else(|| prepared_number(pin), |of| self.number_of(&of, pin))
    }

    fn number_of(&self, of: &PinSettings, pin: &Pin) -> String {
        match self.pin_place(of, pin).map(|place| place.slice) {
            Some(Some(slice)) => format!("slice {}", slice + 1),
            Some(None) => prepared_number(pin),
            None => String::new(),
        }
    }

    /// The name of a pinned slice: "P01 slice 9".
    pub fn pin_name(&self, pin: &Pin) -> String {
        name_of(pin, &self.pin_number(pin))
    }

    /// The name of a pinned slice in a run, which may have prepared another slice of the scan under this number.
    pub fn pin_name_in(&self, run: &OpenRun, pin: &Pin) -> String {
        if run.has_pin(pin) { name_of(pin, &self.number_of(&run.pin_settings(), pin)) } else { self.pin_name(pin) }
    }
}

fn prepared_number(pin: &Pin) -> String {
    format!("prepared slice {}", pin.slice + 1)
}

fn name_of(pin: &Pin, number: &str) -> String {
    format!("{} {number}", pin.case).trim_end().to_owned()
}
