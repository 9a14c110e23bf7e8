//! Standardised uptake values: conversion of stored PET units to SUVbw, in g/ml.
//!
//! SUVbw = activity concentration * body weight / injected activity, both at the same time. The rules for units and decay
//! correction follow the SUV computation of the QIBA digital reference objects; a missing attribute leaves the stored unit.

use super::{DataSet, Tag};

/// Attributes of the images that an enhanced one was converted from, equal in all of them (PS3.3 A.71).
const CONVERTED: Tag = Tag(0x0020, 0x9170);
/// FrameAcquisitionDateTime and FrameAcquisitionDuration, in ms.
const FRAME_TIME: Tag = Tag(0x0018, 0x9074);
const FRAME_DURATION: Tag = Tag(0x0018, 0x9220);
const DAY: f64 = 86_400.0;
/// A dynamic scan starts at most this long before the administration, in seconds.
const MAX_LEAD_SECONDS: f64 = 600.0;
/// Most half-lives between administration and scan. More is an error of a date or time.
const MAX_HALF_LIVES: f64 = 10.0;

/// The attributes of a PET header that determine its unit, extracted so that headers need not stay in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PetHeader {
    units: String,
    suv_type: Option<String>,
    corrections: Vec<String>,
    decay: String,
    /// Body weight in kg.
    weight: Option<f64>,
    /// Body height in m.
    height: Option<f64>,
    sex: Option<String>,
    /// Injected activity in Bq.
    dose: Option<f64>,
    half_life: Option<f64>,
    /// Seconds, on an arbitrary common scale.
    administered: Option<f64>,
    administered_has_date: bool,
    series: Option<f64>,
    series_day: Option<f64>,
    pub acquisition: Option<f64>,
    ge_reference: Option<f64>,
    frame_reference_ms: Option<f64>,
    frame_duration_ms: Option<f64>,
    philips_suv: Option<f64>,
    philips_bqml: Option<f64>,
}

/// Factor for rescaled values, and the resulting unit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SuvFactor {
    pub factor: f64,
    pub unit: &'static str,
    pub evidence: String,
}

impl SuvFactor {
    /// Of slices that do not share a unit: they stay as stored.
    pub fn of_mixed_units() -> Self {
        Self { factor: 1.0, unit: "unknown", evidence: "no SUV: the slices have different units".to_owned() }
    }

    /// Why values are not in SUV; `None` if they are.
    pub fn warning(&self) -> Option<String> {
        (self.unit != "SUVbw").then(|| format!("{}. The unit is {}", self.evidence, self.unit))
    }
}

impl PetHeader {
    pub fn of(data: &DataSet) -> Self {
        let shared = data.item(Tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let Some(converted) = shared.and_then(|groups| groups.item(CONVERTED)) else { return Self::of_image(data) };
        let mut header = converted.clone();
        let of_file = [Tag::PATIENT_WEIGHT, Tag::PATIENT_SIZE, Tag::PATIENT_SEX, Tag::SERIES_DATE, Tag::SERIES_TIME];
        of_file.into_iter().for_each(|tag| header.copy(data, tag));
        let frames = data.items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        let contents = || frames.iter().filter_map(|groups| groups.item(Tag::FRAME_CONTENT_SEQUENCE));
        let mut times: Vec<String> = contents().filter_map(|content| content.text(FRAME_TIME)).collect();
        times.sort();
        times.dedup();
        let mut header = Self::of_image(&header);
        // Without decay correction, one factor holds only for frames of one time.
        let first = times.first().filter(|_| times.len() == 1 || header.decay != "NONE");
        header.acquisition = first.and_then(|time| whole_date_time(time));
        header.frame_duration_ms = contents().find_map(|content| content.number(FRAME_DURATION)).filter(|ms| *ms > 0.0);
        header
    }

    fn of_image(data: &DataSet) -> Self {
        let text = |tag| data.text(tag);
        let at = |date: Tag, time: Tag| date_time(text(date)?.as_str(), text(time)?.as_str());
        let pharmaceutical = data.item(Tag::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE);
        let number = |tag| pharmaceutical.and_then(|item| item.number(tag));
        let start = pharmaceutical.and_then(|item| item.text(Tag::RADIOPHARMACEUTICAL_START_DATE_TIME));
        let start = start.as_deref().and_then(whole_date_time);
        let start_time = pharmaceutical.and_then(|item| item.text(Tag::RADIOPHARMACEUTICAL_START_TIME));
        let series_day = text(Tag::SERIES_DATE).as_deref().and_then(day);
        let on_series_day = || Some(series_day? + seconds(&start_time?)?);
        let private = |group, creator: &str, element| {
            let tag = data.private_tag(group, creator, element)?;
            data.number(tag)
                .or_else(|| std::str::from_utf8(data.bytes(tag)?).ok()?.trim_matches(['\0', ' ']).parse().ok())
        };
        let ge = data.private_tag(0x0009, "GEMS_PETD_01", 0x0d).and_then(|tag| data.text(tag));
        let weight = data.number(Tag::PATIENT_WEIGHT).filter(|kg| *kg > 0.0);
        let dose = number(Tag::RADIONUCLIDE_TOTAL_DOSE).filter(|dose| *dose > 0.0);
        Self {
            units: text(Tag::UNITS).unwrap_or_default(),
            suv_type: text(Tag::SUV_TYPE),
            corrections: data.texts(Tag::CORRECTED_IMAGE),
            decay: text(Tag::DECAY_CORRECTION).unwrap_or_default(),
            // Some scanners write grams and MBq.
            weight: weight.map(|kg| if kg > 1000.0 { kg / 1000.0 } else { kg }),
            height: data.number(Tag::PATIENT_SIZE).filter(|m| *m > 0.0),
            sex: text(Tag::PATIENT_SEX),
            dose: dose.map(|dose| if dose < 1e4 { dose * 1e6 } else { dose }),
            half_life: number(Tag::RADIONUCLIDE_HALF_LIFE).filter(|s| *s > 0.0),
            administered: start.or_else(on_series_day),
            administered_has_date: start.is_some(),
            series: at(Tag::SERIES_DATE, Tag::SERIES_TIME),
            series_day,
            acquisition: at(Tag::ACQUISITION_DATE, Tag::ACQUISITION_TIME),
            ge_reference: ge.as_deref().and_then(whole_date_time),
            frame_reference_ms: data.number(Tag::FRAME_REFERENCE_TIME),
            frame_duration_ms: data.number(Tag::ACTUAL_FRAME_DURATION).filter(|ms| *ms > 0.0),
            philips_suv: private(0x7053, "Philips PET Private Group", 0x00).filter(|v| *v != 0.0),
            philips_bqml: private(0x7053, "Philips PET Private Group", 0x09).filter(|v| *v != 0.0),
        }
    }

    /// The factor to SUVbw. If the values cannot be converted, the factor to the best known unit, with the reason as evidence.
    /// `first_acquisition` is the earliest of the series, in seconds.
    pub fn factor(&self, first_acquisition: Option<f64>) -> SuvFactor {
        match self.suv(first_acquisition) {
            Ok((factor, evidence)) => SuvFactor { factor, unit: "SUVbw", evidence },
            Err((factor, unit, why)) => SuvFactor { factor, unit, evidence: format!("no SUV: {why}") },
        }
    }

    fn suv(&self, first: Option<f64>) -> Result<(f64, String), (f64, &'static str, String)> {
        match &*self.units {
            "GML" => self.by_suv_type(),
            "CM2ML" => {
                let area = self.body_surface_cm2().ok_or((1.0, "cm2/ml", "weight or height is missing".to_owned()))?;
                let weight = self.weight.unwrap_or_default();
                Ok((weight * 1000.0 / area, "Units CM2ML, converted by body surface (Du Bois)".to_owned()))
            }
            "CNTS" => match (self.philips_suv, self.philips_bqml) {
                (Some(factor), _) => Ok((factor, "counts with the Philips SUV factor (7053,xx00)".to_owned())),
                (None, Some(factor)) => {
                    let suv = self.by_activity(first).map_err(|why| (factor, "Bq/ml", why))?;
                    Ok((factor * suv.0, format!("counts with the Philips activity factor (7053,xx09), {}", suv.1)))
                }
                _ => Err((1.0, "counts", "counts without a Philips factor".to_owned())),
            },
            "BQML" => self.by_activity(first).map_err(|why| (1.0, "Bq/ml", why)),
            "" => Err((1.0, "unknown", "Units (0054,1001) is missing".to_owned())),
            _ => Err((1.0, "unknown", "Units (0054,1001) names another unit".to_owned())),
        }
    }

    /// Values that are SUV already, normalised by a mass other than the body weight.
    fn by_suv_type(&self) -> Result<(f64, String), (f64, &'static str, String)> {
        let Some(kind) = self.suv_type.as_deref().filter(|kind| *kind != "BW") else {
            return Ok((1.0, "Units GML, SUV by body weight".to_owned()));
        };
        let mass = self.mass(kind).zip(self.weight);
        let (mass, weight) = mass.ok_or((1.0, "g/ml", format!("SUVType {kind} needs weight, height and sex")))?;
        Ok((weight / mass, format!("Units GML, SUVType {kind} converted to body weight")))
    }

    /// The mass in kg that an SUVType normalises by. For sex O it is the mean of both formulas.
    fn mass(&self, kind: &str) -> Option<f64> {
        let (kg, cm) = (self.weight?, self.height? * 100.0);
        let bmi = kg / (cm / 100.0).powi(2);
        let formula = |male: bool| {
            Some(match (kind, male) {
                // James 1976.
                ("LBM" | "LBMJAMES128", true) => 1.10 * kg - 128.0 * (kg / cm).powi(2),
                ("LBM" | "LBMJAMES128", false) => 1.07 * kg - 148.0 * (kg / cm).powi(2),
                // Janmahasatian 2005.
                ("LBMJANMA", true) => 9270.0 * kg / (6680.0 + 216.0 * bmi),
                ("LBMJANMA", false) => 9270.0 * kg / (8780.0 + 244.0 * bmi),
                // Ideal body weight: Devine in metric units.
                ("IBW", true) => 48.0 + 1.06 * (cm - 152.0),
                ("IBW", false) => 45.5 + 0.91 * (cm - 152.0),
                _ => return None,
            })
        };
        match self.sex.as_deref()? {
            "M" => formula(true),
            "F" => formula(false),
            "O" => Some(f64::midpoint(formula(true)?, formula(false)?)),
            _ => None,
        }
        .filter(|mass| *mass > 0.0)
    }

    fn body_surface_cm2(&self) -> Option<f64> {
        Some(0.007_184 * self.weight?.powf(0.425) * (self.height? * 100.0).powf(0.725) * 1e4)
    }

    /// The factor of Bq/ml.
    fn by_activity(&self, first: Option<f64>) -> Result<(f64, String), String> {
        let need = |value: Option<f64>, what: &str| value.ok_or_else(|| format!("{what} is missing or invalid"));
        if !self.corrections.iter().any(|correction| correction == "ATTN") {
            return Err("the image is not corrected for attenuation (0028,0051)".to_owned());
        }
        let weight = need(self.weight, "the weight (0010,1030)")? * 1000.0;
        let dose = need(self.dose, "the dose (0018,1074)")?;
        if self.decay == "ADMIN" {
            return Ok((weight / dose, "Bq/ml corrected to the administration".to_owned()));
        }
        let half_life = need(self.half_life, "the half-life (0018,1075)")?;
        let lambda = std::f64::consts::LN_2 / half_life;
        let administered = need(self.administered, "the time of administration (0018,1078)")?;
        // Without a date it is the series' day, or the day before if that would be after the scan.
        let since = |reference: f64| {
            let is_late = !self.administered_has_date && administered > reference;
            let seconds = reference - administered + if is_late { DAY } else { 0.0 };
            let fits = (-MAX_LEAD_SECONDS..=MAX_HALF_LIVES * half_life).contains(&seconds);
            fits.then_some(seconds).ok_or("the time of administration (0018,1078) does not fit the time of the scan")
        };
        let frame = || Some(self.acquisition? + self.mean_activity_time(lambda)? - self.frame_reference_ms? / 1000.0);
        match &*self.decay {
            "START" => {
                let by_series = self.series.filter(|series| first.is_none_or(|first| *series <= first));
                let (reference, evidence) = if let Some(series) = by_series {
                    (series, "the series time")
                } else if let Some(ge) = self.ge_reference {
                    (ge, "the scan time (0009,xx0D) of GE")
                } else {
                    (need(frame(), "a time to which decay is corrected")?, "the frame reference time")
                };
                let decayed = dose * (-lambda * since(reference)?).exp();
                Ok((weight / decayed, format!("Bq/ml corrected to {evidence}")))
            }
            "NONE" => {
                let acquisition = need(self.acquisition, "the acquisition time (0008,0032)")?;
                let duration = need(self.frame_duration_ms, "the frame duration (0018,1242)")? / 1000.0;
                let within = lambda * duration / (1.0 - (-lambda * duration).exp());
                let decayed = dose * (-lambda * since(acquisition)?).exp();
                Ok((weight / decayed * within, "Bq/ml without decay correction".to_owned()))
            }
            _ => Err("DecayCorrection (0054,1102) is missing".to_owned()),
        }
    }

    /// Seconds from the start of a frame at which its activity is the mean of the frame.
    fn mean_activity_time(&self, lambda: f64) -> Option<f64> {
        let decays = lambda * self.frame_duration_ms? / 1000.0;
        Some((decays / (1.0 - (-decays).exp())).ln() / lambda)
    }
}

/// Seconds of a DA and a TM value.
pub(super) fn date_time(date: &str, time: &str) -> Option<f64> {
    Some(day(date)? + seconds(time)?)
}

/// Seconds of a DT value; its offset from UTC, which all times of a file share, does not count.
pub(super) fn whole_date_time(text: &str) -> Option<f64> {
    let end = text.find(['+', '-']).unwrap_or(text.len());
    let text = text.get(..end)?;
    date_time(text.get(..8)?, text.get(8..)?)
}

/// Seconds from a fixed day to the day of a DA value (YYYYMMDD, or with dots).
fn day(text: &str) -> Option<f64> {
    let digits: String = text.chars().filter(|c| *c != '.').collect();
    let part = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days of the civil calendar, counted from March so that the leap day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day;
    Some(days as f64 * DAY)
}

/// Seconds of a TM value: HHMMSS.FFFFFF, shorter, or with colons.
fn seconds(text: &str) -> Option<f64> {
    let digits: String = text.trim().chars().filter(|c| *c != ':').collect();
    let part = |range: std::ops::Range<usize>| digits.get(range).map_or(Some(0.0), |part| part.parse::<f64>().ok());
    let rest = digits.get(4..).filter(|rest| !rest.is_empty()).map_or(Some(0.0), |rest| rest.parse::<f64>().ok());
    digits.get(0..2)?;
    let (hours, minutes, seconds) = (part(0..2)?, part(2..4)?, rest?);
    // 60 is a leap second.
    let is_time = hours < 24.0 && minutes < 60.0 && seconds <= 60.0;
    is_time.then_some(hours * 3600.0 + minutes * 60.0 + seconds)
}

#[cfg(test)]
#[path = "suv_tests.rs"]
mod tests;
