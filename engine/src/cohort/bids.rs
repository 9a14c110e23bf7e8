//! File names of the Brain Imaging Data Structure: `sub-01_ses-1_T1w`, `sub-01_ses-1_T1w_label-lesion_roi`.

use super::names::{Role, canonical_modality, mask_role};

/// The parts of a BIDS name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BidsName {
    /// `sub-01`.
    pub patient: String,
    /// `ses-1`, if present.
    pub session: Option<String>,
    pub role: Role,
}

/// Parses a BIDS name; `None` if it is not one.
pub(super) fn parse(stem: &str) -> Option<BidsName> {
    let mut patient = None;
    let mut session = None;
    let mut enhanced = false;
    for part in stem.split('_') {
        match part.split_once('-') {
            Some(("sub", id)) if !id.is_empty() => patient = Some(part.to_owned()),
            Some(("ses", id)) if !id.is_empty() => session = Some(part.to_owned()),
            Some(("ce", _)) => enhanced = true,
            _ => {}
        }
    }
    let patient = patient.filter(|patient| stem.starts_with(patient.as_str()))?;
    let suffix = stem.rsplit('_').next().filter(|suffix| !suffix.contains('-'));
    let entities = stem.split('_').skip(1).filter(|part| !part.starts_with("ses-")).collect::<Vec<_>>().join("_");
    let role = mask_role(&entities).unwrap_or_else(|| {
        let modality = canonical_modality(suffix.unwrap_or("image"));
        Role::Image(if enhanced && modality == "t1" { "t1ce".into() } else { modality })
    });
    Some(BidsName { patient, session, role })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bids_names_give_patient_session_and_role() {
        let image = |name: &str| Role::Image(name.into());
        for (stem, patient, session, role) in [
            ("sub-L000_ses-1_T1w", "sub-L000", Some("ses-1"), image("t1")),
            ("sub-L000_ses-1_T1w_label-lesion_roi", "sub-L000", Some("ses-1"), Role::MaskByWord),
            ("sub-01_FLAIR", "sub-01", None, image("flair")),
            ("sub-01_ce-gd_T1w", "sub-01", None, image("t1ce")),
            ("sub-01_space-T1w_desc-brain_mask", "sub-01", None, Role::OtherMask),
            ("sub-01_dseg", "sub-01", None, Role::MaskByWord),
            ("sub-01", "sub-01", None, image("image")),
        ] {
            let (patient, session) = (patient.to_owned(), session.map(str::to_owned));
            assert_eq!(parse(stem), Some(BidsName { patient, session, role }), "{stem}");
        }
        assert_eq!(parse("subject_t1"), None);
    }
}
