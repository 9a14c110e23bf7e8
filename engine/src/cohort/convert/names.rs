//! File names of a converted cohort, and the words that must not appear in them.

use crate::cohort::listing::modality_name;

/// Minimum length in bytes of the words of a patient's name and id to search for: two Chinese characters can be a name.
const SHORTEST: usize = 3;

/// The stem of an image's file name. It is the modality name that discovery gives a DICOM folder.
pub(super) fn image_name(modality: &str, description: &str) -> String {
    let name: String = modality_name(modality, description).chars().filter(char::is_ascii_alphanumeric).collect();
    if name.is_empty() { "image".into() } else { name }
}

/// A name that no earlier file has: `ct`, `ct_2`, `ct_3`.
pub(super) fn unused_name(name: &str, used: &[String]) -> String {
    let numbered = (2..).map(|n| format!("{name}_{n}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !used.contains(name)).unwrap_or_default()
}

/// The words that identify a patient, in lower case.
#[derive(Clone, Debug, Default)]
pub(super) struct PatientWords(Vec<String>);

impl PatientWords {
    /// The words of a patient's name and id.
    pub fn of(texts: &[&str]) -> Self {
        let lower: Vec<String> = texts.iter().map(|text| text.trim().to_lowercase()).collect();
        let words = lower.iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric())).map(str::to_owned);
        let mut all: Vec<String> = words.chain(lower.iter().cloned()).collect();
        all.retain(|word| word.len() >= SHORTEST);
        all.sort_unstable();
        all.dedup();
        Self(all)
    }

    /// True if a text contains one of the words.
    pub fn appear_in(&self, text: &str) -> bool {
        let lower = text.to_lowercase();
        self.0.iter().any(|word| lower.contains(word))
    }
}

/// A patient's id as a folder name: characters that a file system may refuse become `_`.
pub(super) fn folder_name(id: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = id.trim().chars().map(safe).collect();
    // A leading dot hides a folder, and two lead out of it.
    let name = name.trim_start_matches('.').to_owned();
    if name.is_empty() { "unnamed".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_by_modality_and_contrast() {
        for (modality, description, name) in
            [("CT", "Thorax", "ct"), ("MR", "AX T2 FLAIR", "flair"), ("", "", "image"), ("../x", "", "x")]
        {
            assert_eq!(image_name(modality, description), name, "{modality} {description}");
        }
        let used = ["ct".to_owned(), "ct_2".to_owned()];
        assert_eq!((unused_name("ct", &used), unused_name("pt", &used)), ("ct_3".into(), "pt".into()));
    }

    #[test]
    fn words_of_the_patients_name_and_id_are_found_in_a_text() {
        let words = PatientWords::of(&["Mustermann^Max^^Dr.=山田", "QX-77 31"]);
        for text in ["GTV mustermann", "MAX", "山田", "lesion qx-77 31", "MUSTERMANN_01"] {
            assert!(words.appear_in(text), "{text}");
        }
        for text in ["GTV", "", "lesion 77"] {
            assert!(!words.appear_in(text), "{text}");
        }
    }

    #[test]
    fn ids_become_safe_folder_names() {
        for (id, name) in
            [("4711", "4711"), ("A/B\\C", "A_B_C"), ("../../x", "_.._x"), (" ", "unnamed"), ("..", "unnamed")]
        {
            assert_eq!(folder_name(id), name);
        }
    }
}
