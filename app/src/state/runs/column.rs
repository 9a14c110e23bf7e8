//! The columns of the table of runs.

use std::cmp::Ordering;

use engine::cohort::label_budget::LabelShare;
use engine::run::workspace::RunEntry;
use serde::{Deserialize, Serialize};

use super::Row;
use crate::widget::format;

/// The sortable columns of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Column {
    /// The folder's name.
    Name,
    /// Whether it trains, waits or has ended.
    Status,
    /// The preset it started from; `finetune` for every fine-tuning run.
    Preset,
    /// Cohort and modalities.
    Data,
    /// Finished epochs, of those planned.
    Epochs,
    /// Mean loss of the newest epoch.
    Loss,
    /// Best mean Dice of the validation patients, and its epoch.
    BestValidation,
    /// Last mean Dice of the validation patients.
    LastValidation,
    /// Mean Dice of the held-out patients by the last network.
    TestLast,
    /// Mean Dice of the held-out patients by the network of the best validation.
    TestBest,
    /// When it last changed.
    #[default]
    Date,
    /// The device that computed it.
    Device,
    /// A setting, by its name in `config.toml`.
    Setting(String),
    /// The user's notes.
    Notes,
}

impl Column {
    /// The columns of every table, from left to right. Settings are inserted before the notes.
    pub const FIXED: [Self; 13] = [
        Self::Name,
        Self::Status,
        Self::Preset,
        Self::Data,
        Self::Epochs,
        Self::Loss,
        Self::BestValidation,
        Self::LastValidation,
        Self::TestLast,
        Self::TestBest,
        Self::Date,
        Self::Device,
        Self::Notes,
    ];

    /// Heading of the column.
    pub fn head(&self) -> &str {
        match self {
            Self::Name => "Run",
            Self::Status => "Status",
            Self::Preset => "Preset",
            Self::Data => "Data",
            Self::Epochs => "Epochs",
            Self::Loss => "Loss",
            Self::BestValidation => "Best val (epoch)",
            Self::LastValidation => "Last val",
            Self::TestLast => "Test, last",
            Self::TestBest => "Test, best",
            Self::Date => "Changed (UTC)",
            Self::Device => "Device",
            Self::Setting(name) => name.rsplit('.').next().unwrap_or(name),
            Self::Notes => "Notes",
        }
    }

    /// The heading in a sentence, for buttons and the palette.
    pub fn meaning(&self) -> &str {
        if let Self::Setting(name) = self { name } else { self.head() }
    }

    /// Whether its values are numbers, which are right-aligned.
    pub fn is_number(&self) -> bool {
        self.is_dice() || matches!(self, Self::Epochs | Self::Loss)
    }

    /// Whether the column initially sorts in descending order.
    pub fn begins_falling(&self) -> bool {
        self.is_dice() || matches!(self, Self::Epochs | Self::Date)
    }

    fn is_dice(&self) -> bool {
        matches!(self, Self::BestValidation | Self::LastValidation | Self::TestLast | Self::TestBest)
    }

    /// The mean Dice of a run in this column.
    fn dice(&self, run: &RunEntry) -> Option<f64> {
        match self {
            Self::BestValidation => run.best_validation.map(|(_, dice)| dice),
            Self::LastValidation => run.last_validation.map(|(_, dice)| dice),
            Self::TestLast => run.evaluated_last,
            Self::TestBest => run.evaluated_best,
            _ => None,
        }
    }

    /// Description of a Dice column; `None` for others.
    pub fn explained(&self) -> Option<&'static str> {
        match self {
            Self::BestValidation => Some("Best mean Dice of the validation patients during training, and its epoch"),
            Self::LastValidation => Some("Mean Dice of the validation patients at the last validation"),
            Self::TestLast => Some("Mean Dice of the held-out patients by the last network, after an evaluation"),
            Self::TestBest => Some("Mean Dice of the held-out patients by the best network, after an evaluation"),
            _ => None,
        }
    }

    /// The text of a cell.
    pub fn text(&self, row: &Row<'_>) -> String {
        let run = row.run;
        match self {
            Self::Name => run.name.clone(),
            Self::Status => row.status.name().into(),
            Self::Preset => run.preset.clone(),
            Self::Data => data(run),
            Self::Epochs => format!("{} / {}", run.epochs_done, run.epochs),
            Self::Loss => run.loss.map_or_else(String::new, format::figures),
            Self::BestValidation => validation(run.best_validation).unwrap_or_default(),
            Self::LastValidation | Self::TestLast | Self::TestBest => {
                self.dice(run).map_or_else(String::new, |dice| format!("{dice:.3}"))
            }
            Self::Date => date(run.changed),
            Self::Device => run.device.clone(),
            Self::Setting(name) => run.settings.get(name).cloned().unwrap_or_default(),
            Self::Notes => run.notes.clone(),
        }
    }

    pub(super) fn order(&self, left: &Row<'_>, right: &Row<'_>) -> Ordering {
        let (a, b) = (left.run, right.run);
        match self {
            Self::Epochs => (a.epochs_done, a.epochs).cmp(&(b.epochs_done, b.epochs)),
            Self::Loss => known(a.loss, b.loss),
            dice if dice.is_dice() => known(self.dice(a), self.dice(b)),
            Self::Date => a.changed.total_cmp(&b.changed),
            Self::Setting(name) => by_number(a.settings.get(name), b.settings.get(name)),
            _ => self.text(left).to_lowercase().cmp(&self.text(right).to_lowercase()),
        }
    }

    /// Whether a run has no value; such runs come last in either sort order.
    pub(super) fn is_empty(&self, row: &Row<'_>) -> bool {
        self.text(row).is_empty()
    }
}

/// A validation: `0.551 (12)`, mean Dice and epoch.
fn validation(of: Option<(usize, f64)>) -> Option<String> {
    of.map(|(epoch, dice)| format!("{dice:.3} ({epoch})"))
}

fn known(a: Option<f64>, b: Option<f64>) -> Ordering {
    a.unwrap_or(f64::NAN).total_cmp(&b.unwrap_or(f64::NAN))
}

/// Numbers by their size, other text by the alphabet.
fn by_number(a: Option<&String>, b: Option<&String>) -> Ordering {
    let number = |text: Option<&String>| text.and_then(|text| text.parse::<f64>().ok());
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.cmp(&b),
    }
}

fn data(run: &RunEntry) -> String {
    let cohort = run.cohort.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let modality = run.modality.join("+");
    let labels = run.labels.as_deref().map(labelled);
    let parts = [cohort, modality].into_iter().chain(labels).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(", ")
}

/// How many patients a run's setting `labels` takes, without their names.
fn labelled(labels: &str) -> String {
    match labels.parse() {
        Ok(LabelShare::Percent(share)) => format!("{share} % labelled"),
        Ok(LabelShare::Patients(ids)) => format!("{} labelled", ids.len()),
        Ok(LabelShare::Count(_) | LabelShare::All) | Err(_) => format!("{labels} labelled"),
    }
}

/// A time since 1970 as date and minute, UTC; empty without one.
pub fn date(seconds: f64) -> String {
    if !seconds.is_finite() || seconds <= 0.0 {
        return String::new();
    }
    let minutes = (seconds / 60.0) as i64;
    let (days, minute) = (minutes.div_euclid(1440), minutes.rem_euclid(1440));
    // Years start on the first of March, so that a leap day is the last day of a year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let part = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * part + 2) / 5 + 1, if part < 10 { part + 3 } else { part - 9 });
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labelled_patients_are_counted_not_listed() {
        let said = ["5%", "3", "all", "patients:TCGA_CS_6668,TCGA_DU_5852"].map(labelled);
        assert_eq!(said, ["5 % labelled", "3 labelled", "all labelled", "2 labelled"]);
    }

    #[test]
    fn seconds_are_converted_to_calendar_dates() {
        let said = [0.0, 60.0, 951_782_400.0, 951_868_800.0, 1_764_032_460.0, f64::NAN].map(date);
        assert_eq!(said, ["", "1970-01-01 00:01", "2000-02-29 00:00", "2000-03-01 00:00", "2025-11-25 01:01", ""]);
    }
}
