//! Derives modality, role and scan id from file names.

use unicode_normalization::UnicodeNormalization;

/// Role of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// An image of this modality, in lower case.
    Image(String),
    /// The reference mask.
    Mask,
    /// Named like a mask. Its values are checked.
    MaskByWord,
    /// A mask that the user named.
    ChosenMask,
    /// A mask of something other than lesions, such as the brain.
    OtherMask,
    /// A segmentation saved by this program next to the scan.
    Segmentation,
}

/// The challenge that uses a suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Brats,
    Hecktor,
    General,
}

/// Suffixes that identify the content of a file (`ID_t1ce`, `ID-t1c`, `ID_gtvt`); those of BraTS 2023 are mapped to the older
/// names.
const SUFFIXES: [(&str, &str, Family); 27] = [
    ("t1", "t1", Family::Brats),
    ("t1n", "t1", Family::Brats),
    ("t1w", "t1", Family::General),
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
    ("gtv", LABEL, Family::General),
    ("gtvs", LABEL, Family::General),
    ("adc", "adc", Family::General),
    ("dwi", "dwi", Family::General),
    ("swi", "swi", Family::General),
    ("pd", "pd", Family::General),
    ("mr", "mr", Family::General),
    ("mri", "mri", Family::General),
    ("suv", "suv", Family::General),
    ("image", "image", Family::General),
    ("img", "image", Family::General),
];

/// Marks a mask in [`SUFFIXES`].
const LABEL: &str = "";

/// Characters between the parts of a name.
pub(super) const SEPARATORS: [char; 4] = ['_', '-', '.', ' '];

/// Full names of a mask in a patient's folder, most likely first.
const LABEL_NAMES: [&str; 8] = ["seg", "mask", "label", "labels", "segmentation", "gtv", "gtvt", "lesion"];

/// Generic image names that contain no modality.
const IMAGE_NAMES: [&str; 5] = ["image", "imaging", "scan", "volume", "t1post"];

/// Words before the number of an image, beside masks with the same number.
const IMAGE_WORDS: [&str; 10] = ["image", "img", "imaging", "scan", "volume", "vol", "ct", "mr", "study", "data"];

/// Words that name a mask, with or without a number (`roi2`).
const MASK_WORDS: [&str; 36] = [
    "seg",
    "segm",
    "segs",
    "dseg",
    "segmentation",
    "segmentations",
    "mask",
    "masks",
    "msk",
    "label",
    "labels",
    "lbl",
    "roi",
    "rois",
    "gt",
    "gtv",
    "gtvt",
    "gtvn",
    "gtvs",
    "groundtruth",
    "truth",
    "reference",
    "lesion",
    "lesions",
    "tumor",
    "tumour",
    "tumors",
    "annotation",
    "annotations",
    "annot",
    "manual",
    "contour",
    "contours",
    "delineation",
    "delineations",
    "instances",
];

/// Words for masks of something other than the lesion.
const OTHER_WORDS: [&str; 9] = ["brain", "head", "body", "skull", "tissue", "air", "fov", "fg", "foreground"];

/// The words of a name, in lower case.
pub(super) fn words(name: &str) -> Vec<String> {
    name.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// True for a name that is a mask's word and nothing else.
pub(super) fn is_plain_mask_word(name: &str) -> bool {
    MASK_WORDS.contains(&name)
}

fn is_mask_word(word: &str) -> bool {
    let plain = word.trim_end_matches(|c: char| c.is_ascii_digit());
    MASK_WORDS.contains(&plain) || plain.starts_with("lesion") || plain.ends_with("mask")
}

/// The role of a name that marks a mask or a segmentation saved by this program; `None` for an image.
pub(super) fn mask_role(name: &str) -> Option<Role> {
    if segmented_image(name).is_some() {
        return Some(Role::Segmentation);
    }
    let words = words(name);
    if !words.iter().any(|word| is_mask_word(word)) {
        return None;
    }
    let is_other = |word: &String| OTHER_WORDS.contains(&word.strip_suffix("mask").unwrap_or(word));
    let other = words.iter().any(is_other);
    Some(if other { Role::OtherMask } else { Role::MaskByWord })
}

/// The image name of a segmentation saved by this program: `ct` for `ct_pred` and `ct_pred_2`.
pub(super) fn segmented_image(stem: &str) -> Option<&str> {
    let without_number = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let numbered = without_number.strip_suffix('_').unwrap_or(stem);
    [stem, numbered].into_iter().find_map(|name| name.strip_suffix("_pred")).filter(|image| !image.is_empty())
}

/// True for the name of a mask or of a segmentation saved by this program.
pub(crate) fn is_mask_or_output(stem: &str) -> bool {
    mask_role(stem).is_some()
}

/// Splits `ID_suffix`, `ID-suffix` or `ID.suffix` if the suffix is known.
pub(super) fn split_suffix(stem: &str) -> Option<(&str, Role, Family)> {
    let at = stem.rfind(['_', '-', '.']).filter(|&at| at > 0)?;
    let suffix = stem[at + 1..].to_lowercase();
    let (role, family) = match SUFFIXES.iter().find(|(known, ..)| *known == suffix) {
        Some((_, LABEL, family)) => (Role::Mask, *family),
        Some((_, name, family)) => (Role::Image((*name).into()), *family),
        None if is_mask_word(&suffix) => (mask_role(&suffix)?, Family::General),
        None => return None,
    };
    // HECKTOR 2022 has two underscores.
    let id = stem[..at].trim_end_matches('_');
    (!id.is_empty()).then_some((id, role, family))
}

/// The name in composed form (NFC): macOS stores `ü` as two characters, and other systems as one.
pub(super) fn composed(name: &str) -> String {
    name.nfc().collect()
}

/// True if a mask and an image differ only in the word before their number: `segmentation-0` and `volume-0`, `label0001` and
/// `img0001`.
pub(super) fn are_counterparts(mask: &str, image: &str) -> bool {
    fn split(stem: &str) -> (&str, &str) {
        stem.split_at(stem.find(|c: char| !c.is_alphabetic()).unwrap_or(stem.len()))
    }
    let ((mask, of_mask), (image, of_image)) = (split(mask), split(image));
    of_mask == of_image
        && of_mask.contains(|c: char| c.is_ascii_digit())
        && is_mask_word(&mask.to_lowercase())
        && IMAGE_WORDS.contains(&&*image.to_lowercase())
}

/// Role of a file in a patient's folder by its full name, ignoring the folder's name if it is part of it.
pub(super) fn whole_name(stem: &str, folder: &str) -> Role {
    let name = without_id(stem, folder).to_lowercase();
    if LABEL_NAMES.contains(&name.as_str()) {
        return Role::Mask;
    }
    mask_role(&name).unwrap_or(Role::Image(if name.is_empty() { "image".into() } else { name }))
}

/// A name without the id that it begins or ends with.
pub(super) fn without_id<'a>(stem: &'a str, id: &str) -> &'a str {
    let separated = |rest: &'a str, at_start: bool| {
        let joined = if at_start { rest.starts_with(SEPARATORS) } else { rest.ends_with(SEPARATORS) };
        (rest.is_empty() || joined).then(|| rest.trim_matches(SEPARATORS))
    };
    let start = stem.strip_prefix(id).and_then(|rest| separated(rest, true));
    start.or_else(|| stem.strip_suffix(id).and_then(|rest| separated(rest, false))).unwrap_or(stem)
}

/// Rank of a mask's full name in a patient's folder. The mask of the lowest rank is the reference: `segm` comes before
/// `automated_approx_segm`.
pub(super) fn mask_rank(stem: &str) -> usize {
    let name = stem.to_lowercase();
    let known = LABEL_NAMES.iter().position(|known| *known == name);
    known.unwrap_or(LABEL_NAMES.len() + words(&name).len())
}

/// True if a full name is a known mask or modality.
pub(super) fn is_known_name(stem: &str) -> bool {
    let name = stem.to_lowercase();
    let word = name.chars().all(char::is_alphanumeric) && is_mask_word(&name);
    LABEL_NAMES.contains(&name.as_str()) || word || is_known_modality(&name)
}

/// True for a known modality.
pub(super) fn is_known_modality(name: &str) -> bool {
    is_modality_suffix(name) || IMAGE_NAMES.contains(&name)
}

/// True for a modality in [`SUFFIXES`].
pub(super) fn is_modality_suffix(name: &str) -> bool {
    SUFFIXES.iter().any(|(known, to, _)| *known == name && *to != LABEL)
}

/// True for a name that is more specific than "image" or "MR".
pub(super) fn is_specific_modality(stem: &str) -> bool {
    let name = stem.to_lowercase();
    is_known_modality(&name)
        && !IMAGE_NAMES.contains(&name.as_str())
        && !["image", "mr", "mri"].contains(&name.as_str())
}

/// True for a known MR modality, or a name that begins with one: `t1ce`, `flair_bias`.
pub(super) fn is_mr(modality: &str) -> bool {
    let known = ["t1", "t1ce", "t2", "flair", "adc", "dwi", "swi", "pd", "mr", "mri"];
    words(modality).first().is_some_and(|word| known.contains(&canonical_modality(word).as_str()))
}

/// The modality that a file is named after, as in `P1_t1` or `flair`; `None` if its name says nothing.
pub(crate) fn modality_in_name(stem: &str) -> Option<String> {
    let suffix = match split_suffix(stem) {
        Some((_, Role::Image(modality), _)) => modality,
        _ => stem.to_owned(),
    };
    is_specific_modality(&suffix).then(|| canonical_modality(&suffix))
}

/// True for a modality as a word of a folder's name. `PT_01` and `PD_01` are patients.
pub(super) fn is_modality_word(word: &str) -> bool {
    !["pt", "pd"].contains(&word) && is_specific_modality(word)
}

/// The modality that is one of the words of a name: `flair` for `1_FLAIR_isovox`.
pub(super) fn modality_word(stem: &str) -> Option<String> {
    words(stem).into_iter().find(|word| is_specific_modality(word))
}

/// A name without the word for its modality: `1_isovox` for `1_FLAIR_isovox`.
pub(super) fn without_modality(stem: &str) -> String {
    without_word(stem, is_specific_modality)
}

/// A name without the word for a mask: `1_isovox` for `1_gt_isovox`.
pub(super) fn without_mask_word(stem: &str) -> String {
    without_word(stem, |word| is_mask_word(&word.to_lowercase()))
}

/// A name without the first of its words that is one of a kind, unless it has no other word.
fn without_word(stem: &str, is_of_kind: impl Fn(&str) -> bool) -> String {
    let mut parts: Vec<&str> = stem.split(['_', '-', ' ']).collect();
    match parts.iter().position(|part| is_of_kind(part)) {
        Some(at) if parts.len() > 1 => {
            parts.remove(at);
            parts.join("_")
        }
        _ => stem.to_owned(),
    }
}

pub(super) fn has_digit(name: &str) -> bool {
    name.chars().any(|c| c.is_ascii_digit())
}

/// True if a mask's name says that it combines the masks of several raters.
pub(super) fn is_consensus(stem: &str) -> bool {
    words(stem).iter().any(|word| ["consensus", "majority", "maj", "staple"].contains(&word.as_str()))
}

/// True if a mask's name says that it was corrected: `GlistrBoost_ManuallyCorrected` beside `GlistrBoost`.
pub(super) fn is_corrected(stem: &str) -> bool {
    stem.to_lowercase().contains("corrected")
}

/// True if a mask's name says that one of several raters drew it.
pub(super) fn is_of_rater(stem: &str) -> bool {
    let raters = ["expert", "rater", "reader", "observer", "annotator"];
    words(stem).iter().any(|word| raters.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit())))
}

/// The canonical name of a modality, in lower case: `pt` becomes `pet`, `t1n` and `t1w` become `t1`, `t1c` and `t1gd` become
/// `t1ce`, `t2w` becomes `t2`, `t2f` becomes `flair`. Other names are only lowered.
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

    fn image(name: &str) -> Role {
        Role::Image(name.into())
    }

    #[test]
    fn suffixes_of_every_challenge_year_are_known() {
        for (stem, id, role) in [
            ("Brats18_2013_2_1_t1ce", "Brats18_2013_2_1", image("t1ce")),
            ("BraTS20_Training_001_flair", "BraTS20_Training_001", image("flair")),
            ("BraTS2021_00000_seg", "BraTS2021_00000", Role::Mask),
            ("BraTS-GLI-00000-000-t1n", "BraTS-GLI-00000-000", image("t1")),
            ("BraTS-GLI-00000-000-t1c", "BraTS-GLI-00000-000", image("t1ce")),
            ("BraTS-GLI-00000-000-t2w", "BraTS-GLI-00000-000", image("t2")),
            ("BraTS-GLI-00000-000-t2f", "BraTS-GLI-00000-000", image("flair")),
            ("CHGJ007_pt", "CHGJ007", image("pt")),
            ("CHUM-001__CT", "CHUM-001", image("ct")),
            ("CHGJ007_gtvt", "CHGJ007", Role::Mask),
            ("1.img", "1", image("image")),
            ("p0_mask", "p0", Role::MaskByWord),
            ("p0-lesion", "p0", Role::MaskByWord),
            // The union with the brain mask was the reference of MSLUB.
            ("patient01_brainmask", "patient01", Role::OtherMask),
        ] {
            assert_eq!(split_suffix(stem).map(|(i, r, _)| (i, r)), Some((id, role)), "{stem}");
        }
        for stem in ["t1", "_t1", "__CT", "CHUM-001", "case_0000", "flair-new", "ct_masked"] {
            assert_eq!(split_suffix(stem), None, "{stem}");
        }
    }

    #[test]
    fn a_word_in_the_name_marks_a_mask() {
        for (stem, role) in [
            ("seg", Role::Mask),
            ("GT", Role::MaskByWord),
            ("ct_mask", Role::MaskByWord),
            ("P1-Finding1-t2_tse_tra_ROI", Role::MaskByWord),
            ("lesion2", Role::MaskByWord),
            ("P1_Lesion-Mask", Role::MaskByWord),
            ("brain_mask", Role::OtherMask),
            ("BrainMask", Role::OtherMask),
            ("flair_pred", Role::Segmentation),
            ("flair_pred_2", Role::Segmentation),
            ("P1", image("image")),
            ("P1_t1_post", image("t1_post")),
            ("ct_masked", image("ct_masked")),
            ("Flair", image("flair")),
        ] {
            assert_eq!(whole_name(stem, "P1"), role, "{stem}");
        }
        assert_eq!(segmented_image("a_pred_12"), Some("a"));
        assert_eq!(segmented_image("_pred"), None);
    }

    #[test]
    fn a_mask_and_its_image_may_differ_in_the_word_before_the_number() {
        for (mask, image) in [("segmentation-0", "volume-0"), ("label0001", "img0001"), ("mask_12", "Image_12")] {
            assert!(are_counterparts(mask, image), "{mask} {image}");
        }
        let others =
            [("segmentation-1", "volume-0"), ("volume-0", "volume-0"), ("seg", "scan"), ("mask_1", "patient_1")];
        for (mask, image) in others {
            assert!(!are_counterparts(mask, image), "{mask} {image}");
        }
    }

    #[test]
    fn synonyms_have_one_canonical_name() {
        assert_eq!(canonical_modality("PT"), "pet");
        assert_eq!(canonical_modality("T2F"), "flair");
        assert_eq!(canonical_modality("seg"), "seg");
        assert_eq!(canonical_modality("Dwi"), "dwi");
    }

    #[test]
    fn a_name_may_say_its_modality() {
        for (stem, modality) in [
            ("P1_t1", Some("t1")),
            ("BraTS-GLI-00000-000-t2f", Some("flair")),
            ("CHUM-001__PT", Some("pet")),
            ("flair", Some("flair")),
            ("P1", None),
            ("P1_image", None),
            ("P1_seg", None),
        ] {
            assert_eq!(modality_in_name(stem).as_deref(), modality, "{stem}");
        }
    }
}
