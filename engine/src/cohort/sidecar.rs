//! The JSON sidecar of an image, with BIDS fields.

use std::io::ErrorKind as Io;
use std::path::Path;

use super::listing::stem;
use crate::{Error, Result};

/// Names of the standardised uptake value in `Units`.
const SUV: [&str; 4] = ["suv", "suvbw", "g/ml", "gml"];

/// True if the `Units` in an image's sidecar (`scan.json` for `scan.nii.gz`) say SUV. False without a sidecar.
///
/// # Errors
/// A file that cannot be read or is not JSON.
pub fn is_in_suv(image: &Path) -> Result<bool> {
    let Some(stem) = image.file_name().and_then(|name| name.to_str()).and_then(stem) else { return Ok(false) };
    let path = image.with_file_name(format!("{stem}.json"));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == Io::NotFound => return Ok(false),
        Err(error) => return Err(Error::io("read", &path)(error)),
    };
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|e| Error::file(&path, e.to_string()))?;
    let unit = json.get("Units").and_then(serde_json::Value::as_str).unwrap_or_default();
    Ok(SUV.contains(&unit.to_lowercase().replace([' ', '_', '-'], "").as_str()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_pet_is_in_suv_only_if_its_sidecar_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("pet.nii.gz");
        assert!(!is_in_suv(&image).unwrap());
        for (text, suv) in
            [(r#"{"Units": "SUV"}"#, true), (r#"{"Units": "g/mL"}"#, true), (r#"{"Units": "Bq/mL"}"#, false)]
        {
            std::fs::write(folder.path().join("pet.json"), text).unwrap();
            assert_eq!(is_in_suv(&image).unwrap(), suv, "{text}");
        }
        std::fs::write(folder.path().join("pet.json"), "{").unwrap();
        assert!(is_in_suv(&image).unwrap_err().to_string().contains("pet.json"));
    }
}
