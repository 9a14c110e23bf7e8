//! Modality, role and case id by file name.

/// Role of a file in its case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Image(String),
    Label,
}

/// Which challenge a suffix is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Brats,
    Hecktor,
}

/// Suffixes that say what a file is (`ID_t1ce`, `ID-t1c`, `ID_gtvt`); those of BraTS 2023 get their older names.
const SUFFIXES: [(&str, &str, Family); 17] = [
    ("t1", "t1", Family::Brats),
    ("t1n", "t1", Family::Brats),
    ("t1ce", "t1ce", Family::Brats),
    ("t1c", "t1ce", Family::Brats),
    ("t1gd", "t1ce", Family::Brats),
    ("t2", "t2", Family::Brats),
    ("t2w", "t2", Family::Brats),
    ("flair", "flair", Family::Brats),
    ("t2f", "flair", Family::Brats),
    ("seg", LABEL, Family::Brats),
    ("segm", LABEL, Family::Brats),
    ("ct", "ct", Family::Hecktor),
    ("pt", "pt", Family::Hecktor),
    ("pet", "pet", Family::Hecktor),
    ("gtvt", LABEL, Family::Hecktor),
    ("gtv", LABEL, Family::Hecktor),
    ("gtvs", LABEL, Family::Hecktor),
];

/// Stands for a mask in [`SUFFIXES`].
const LABEL: &str = "";

/// Whole names of a mask in a patient's own folder.
const LABEL_NAMES: [&str; 8] = ["seg", "mask", "label", "labels", "segmentation", "gtv", "gtvt", "lesion"];

/// Splits `ID_suffix` or `ID-suffix` where the suffix is known.
pub(super) fn split_suffix(stem: &str) -> Option<(&str, Role, Family)> {
    let at = stem.rfind(['_', '-']).filter(|&at| at > 0)?;
    let suffix = stem[at + 1..].to_lowercase();
    let (_, name, family) = SUFFIXES.iter().find(|(known, ..)| *known == suffix)?;
    let role = if *name == LABEL { Role::Label } else { Role::Image((*name).into()) };
    // HECKTOR 2022 has two underscores.
    let id = stem[..at].trim_end_matches('_');
    (!id.is_empty()).then_some((id, role, *family))
}

/// What a file in a patient's own folder is by its whole name.
pub(super) fn whole_name(stem: &str) -> Role {
    let name = stem.to_lowercase();
    if LABEL_NAMES.contains(&name.as_str()) { Role::Label } else { Role::Image(name) }
}

/// True if a whole name is that of a mask or of a modality known from somewhere.
pub(super) fn is_known_name(stem: &str) -> bool {
    let name = stem.to_lowercase();
    LABEL_NAMES.contains(&name.as_str())
        || SUFFIXES.iter().any(|(known, ..)| *known == name)
        || ["mr", "mri", "adc", "dwi", "t1w", "t1post", "swi", "pd", "suv", "image"].contains(&name.as_str())
}

/// One name for each modality that has several: `pt` is `pet`, `t1n` is `t1`, `t1c` and `t1gd` are `t1ce`, `t2w` is
/// `t2`, `t2f` is `flair`. Upper case is lowered; other names stay.
pub fn canonical_modality(name: &str) -> String {
    let name = name.to_lowercase();
    match name.as_str() {
        "pt" => "pet".into(),
        _ => match SUFFIXES.iter().find(|(known, to, _)| *known == name && *to != LABEL) {
            Some((_, to, _)) => (*to).into(),
            None => name,
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn suffixes_of_all_years() {
        let image = |name: &str| Role::Image(name.into());
        for (stem, id, role) in [
            ("Brats18_2013_2_1_t1ce", "Brats18_2013_2_1", image("t1ce")),
            ("BraTS20_Training_001_flair", "BraTS20_Training_001", image("flair")),
            ("BraTS2021_00000_seg", "BraTS2021_00000", Role::Label),
            ("BraTS-GLI-00000-000-t1n", "BraTS-GLI-00000-000", image("t1")),
            ("BraTS-GLI-00000-000-t1c", "BraTS-GLI-00000-000", image("t1ce")),
            ("BraTS-GLI-00000-000-t2w", "BraTS-GLI-00000-000", image("t2")),
            ("BraTS-GLI-00000-000-t2f", "BraTS-GLI-00000-000", image("flair")),
            ("CHGJ007_pt", "CHGJ007", image("pt")),
            ("CHUM-001__CT", "CHUM-001", image("ct")),
            ("CHGJ007_gtvt", "CHGJ007", Role::Label),
        ] {
            assert_eq!(split_suffix(stem).map(|(i, r, _)| (i, r)), Some((id, role)), "{stem}");
        }
        for stem in ["t1", "_t1", "__CT", "CHUM-001", "case_0000", "flair-new"] {
            assert_eq!(split_suffix(stem), None, "{stem}");
        }
    }

    #[test]
    fn other_names_of_a_modality() {
        assert_eq!(canonical_modality("PT"), "pet");
        assert_eq!(canonical_modality("T2F"), "flair");
        assert_eq!(canonical_modality("seg"), "seg");
        assert_eq!(canonical_modality("Dwi"), "dwi");
    }
}
