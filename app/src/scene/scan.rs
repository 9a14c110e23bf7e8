//! Modality and unit of an image, with their sources.

use serde::{Deserialize, Serialize};

use super::Modality;

/// Modality and unit of an image, with their sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanInfo {
    /// CT, PET or another modality.
    pub modality: Modality,
    /// Source of the modality.
    pub modality_from: Evidence,
    /// The unit of the values. `None` without evidence: names and values cannot distinguish SUV from Bq/ml.
    pub unit: Option<Unit>,
    /// Source of the unit.
    pub unit_from: Option<Evidence>,
}

/// Source of a property of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// Guessed from the values.
    Values,
    /// The file's name, or the cohort's name for it.
    Name,
    /// Follows from the modality: CT values are Hounsfield units.
    Modality,
    /// The JSON file beside the image.
    Sidecar,
    /// The header of a DICOM series.
    Dicom,
    /// Set by the user.
    User,
}

impl Evidence {
    /// In words, after "from".
    pub fn name(self) -> &'static str {
        match self {
            Self::Values => "the values",
            Self::Name => "the file name",
            Self::Modality => "the modality",
            Self::Sidecar => "the sidecar file",
            Self::Dicom => "the DICOM header",
            Self::User => "your choice",
        }
    }
}

/// The unit of an image's values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Hounsfield units.
    Hounsfield,
    /// Standardised uptake value, g/ml.
    Suv,
    /// Activity concentration.
    BqPerMl,
    /// Detector counts.
    Counts,
}

impl Unit {
    /// Units that the values of a PET scan may have.
    pub const PET: [Self; 3] = [Self::Suv, Self::BqPerMl, Self::Counts];

    /// As written after a value.
    pub fn symbol(&self) -> &'static str {
        match self {
            Self::Hounsfield => "HU",
            Self::Suv => "SUV",
            Self::BqPerMl => "Bq/ml",
            Self::Counts => "counts",
        }
    }

    /// From the `Units` of a sidecar, in the words of BIDS or DICOM.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_lowercase().replace([' ', '_', '-'], "").as_str() {
            "hu" | "hounsfield" | "hounsfieldunits" => Some(Self::Hounsfield),
            "suv" | "suvbw" | "g/ml" | "gml" => Some(Self::Suv),
            "bq/ml" | "bqml" => Some(Self::BqPerMl),
            "counts" | "cnts" | "propcnts" => Some(Self::Counts),
            _ => None,
        }
    }
}

impl ScanInfo {
    /// From the cohort's name for its modality, the file name, the sidecar and the lowest value.
    pub fn new(named: Option<&str>, stem: &str, sidecar: &Sidecar, lowest: Option<f64>) -> Self {
        let by_name = named.and_then(Modality::named).or_else(|| Modality::named(stem));
        let (modality, modality_from) = match (by_name, &sidecar.modality) {
            (Some(modality), _) => (modality, Evidence::Name),
            (None, Some(modality)) => (modality.clone(), Evidence::Sidecar),
            (None, None) => (Modality::of(stem, lowest), Evidence::Values),
        };
        let unit = sidecar.unit.clone().map(|unit| (unit, Evidence::Sidecar));
        Self::with_unit(modality, modality_from, unit)
    }

    /// From the header of a DICOM series. Values without a unit in the header have none: not every CT is in Hounsfield
    /// units.
    pub fn of_dicom(modality: Modality, unit: Option<Unit>) -> Self {
        let unit_from = unit.as_ref().map(|_| Evidence::Dicom);
        Self { modality, modality_from: Evidence::Dicom, unit, unit_from }
    }

    fn with_unit(modality: Modality, modality_from: Evidence, unit: Option<(Unit, Evidence)>) -> Self {
        let implied = (modality == Modality::Ct).then_some((Unit::Hounsfield, Evidence::Modality));
        let (unit, unit_from) = unit.or(implied).unzip();
        Self { modality, modality_from, unit, unit_from }
    }

    /// Sets the modality by the user. Keeps a unit from a file or the user.
    pub fn set_modality(&mut self, modality: Modality) {
        let evidence = self.unit_from.filter(|from| *from != Evidence::Modality);
        let unit = self.unit.take().zip(evidence);
        *self = Self::with_unit(modality, Evidence::User, unit);
    }

    /// Sets the unit by the user.
    pub fn set_unit(&mut self, unit: Option<Unit>) {
        self.unit_from = unit.as_ref().map(|_| Evidence::User);
        self.unit = unit;
    }

    /// Whether the user set modality or unit.
    pub fn is_stated(&self) -> bool {
        self.modality_from == Evidence::User || self.unit_from == Some(Evidence::User)
    }

    /// The unit as written after a value; empty without one.
    pub fn unit_symbol(&self) -> &'static str {
        self.unit.as_ref().map_or("", Unit::symbol)
    }

    /// Key of window/level across cases: the modality, and the unit if it may differ.
    pub fn window_key(&self) -> String {
        match (&self.modality, &self.unit) {
            (Modality::Pet, Some(unit)) => format!("pet {}", unit.symbol()),
            (modality, _) => modality.key(),
        }
    }

    /// Whether values of two scans can be compared: then a projection shares the window of the slices.
    pub fn is_absolute(&self) -> bool {
        matches!(self.unit, Some(Unit::Hounsfield | Unit::Suv))
    }
}

/// The JSON sidecar of an image, as written by BIDS tools and dcm2niix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sidecar {
    /// From `Modality`.
    pub modality: Option<Modality>,
    /// From `Units`.
    pub unit: Option<Unit>,
}

impl Sidecar {
    /// From its text.
    ///
    /// # Errors
    /// Text that is not JSON; an invalid `Units`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let json: serde_json::Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let field = |name: &str| json.get(name).and_then(serde_json::Value::as_str);
        let unit = match field("Units") {
            Some(text) => Some(
                Unit::parse(text)
                    .ok_or_else(|| format!("Units = {text:?} is not known. Known: SUV, g/ml, Bq/ml, counts, HU"))?,
            ),
            None => None,
        };
        let modality = match field("Modality") {
            Some("MR") => Some(Modality::Mr("mr".into())),
            Some("PT") => Some(Modality::Pet),
            Some(other) => Modality::named(other),
            None => None,
        };
        Ok(Self { modality, unit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_of_pet_needs_evidence() {
        let info = |sidecar: &Sidecar| ScanInfo::new(None, "patient_pet", sidecar, Some(0.0));
        let without = info(&Sidecar::default());
        assert_eq!((without.modality.clone(), without.unit.clone(), without.unit_symbol()), (Modality::Pet, None, ""));
        for (text, unit) in
            [("Bq/mL", Unit::BqPerMl), ("BQML", Unit::BqPerMl), ("g/ml", Unit::Suv), ("CNTS", Unit::Counts)]
        {
            let sidecar = Sidecar::parse(&format!(r#"{{"Units": "{text}"}}"#));
            let known = sidecar.map(|sidecar| info(&sidecar));
            let known = known.map(|known| (known.unit, known.unit_from));
            assert_eq!(known, Ok((Some(unit), Some(Evidence::Sidecar))), "{text}");
        }
        let mut chosen = without;
        chosen.set_unit(Some(Unit::Suv));
        assert_eq!((chosen.unit_symbol(), chosen.unit_from), ("SUV", Some(Evidence::User)));
    }

    #[test]
    fn an_invalid_sidecar_is_an_error() {
        assert!(Sidecar::parse("{").is_err());
        assert!(Sidecar::parse(r#"{"Units": "furlongs"}"#).is_err_and(|why| why.contains("furlongs")));
        assert_eq!(Sidecar::parse("{}"), Ok(Sidecar::default()));
        let pet =
            Sidecar::parse(r#"{"Modality": "PT", "Units": "SUV"}"#).map(|s| ScanInfo::new(None, "scan", &s, None));
        assert_eq!(pet.map(|info| (info.modality, info.modality_from)), Ok((Modality::Pet, Evidence::Sidecar)));
    }

    #[test]
    fn the_unit_follows_the_modality_unless_it_was_stated() {
        let mut info = ScanInfo::new(None, "scan_ct", &Sidecar::default(), Some(-1000.0));
        assert_eq!(info.unit_symbol(), "HU");
        info.set_modality(Modality::Pet);
        assert_eq!(info.unit_symbol(), "");
        info.set_unit(Some(Unit::BqPerMl));
        info.set_modality(Modality::Other);
        assert_eq!(info.unit_symbol(), "Bq/ml");
    }
}
