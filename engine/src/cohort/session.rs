//! Derives patients and sessions from names, to find the scans that belong to one patient.
//!
//! A session is a visit, a time point or a date. It is named by a folder (`ses-1`, `baseline`, `2019-03-04`) or by the end of
//! a scan's name (`BraTS-GLI-00002-101`, `P07_2020`, `P07_tp2`).

use std::collections::{BTreeMap, BTreeSet};

use super::names::{SEPARATORS, has_digit};

/// Words for a session, with or without a number: `ses-1`, `visit2`, `followup`.
const WORDS: [&str; 12] =
    ["ses", "sess", "session", "visit", "tp", "timepoint", "baseline", "bl", "followup", "fu", "preop", "postop"];

/// Words that name a session only after a patient's number: `P07_scan2`.
const GENERAL_WORDS: [&str; 13] =
    ["scan", "exam", "study", "time", "pre", "post", "week", "month", "day", "year", "prior", "frame", "phase"];

/// Words of [`GENERAL_WORDS`] that also begin the names of patients: `study_0001`.
const PATIENT_WORDS: [&str; 3] = ["scan", "exam", "study"];

/// Short words that name a session only with a number: `m12`, `w04`, `v2`, `MR1`.
const SHORT: [&str; 6] = ["m", "w", "v", "d", "y", "mr"];

/// More scans than this are of several patients, if neither a folder nor their names say that they are of one.
pub(super) const MAX_SCANS: usize = 12;

/// Words for scans of one session.
const SERIES_WORDS: [&str; 7] = ["series", "echo", "run", "acq", "rep", "stack", "slab"];

/// Certainty that the end of a name is a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    /// Only sessions are named like this.
    Certain,
    /// Patients may be named like this too. It depends on the other names.
    Possible,
}

/// True if a folder's name denotes a session of its `parent` folder.
pub(super) fn is_session_folder(name: &str, parent: &str) -> bool {
    is_date(name)
        || begins_with_date(name)
        || is_word(name, &WORDS)
        || (has_digit(parent) && (is_short(name) || is_word(name, &GENERAL_WORDS)))
}

/// True if a folder of patients' folders denotes a session, whatever the name above it: `baseline`, `2019`, `pre`, `week12`.
pub(super) fn is_session_of_patients(name: &str) -> bool {
    is_session_folder(name, "") || (names_session(name) && is_word(name, &GENERAL_WORDS))
}

/// Patient and session by scan id. A scan without a session in its name is its own patient.
pub(super) fn patients<'a>(ids: impl Iterator<Item = &'a str>) -> BTreeMap<String, (String, Option<String>)> {
    let ids: BTreeSet<&str> = ids.collect();
    let endings: Vec<_> = ids.iter().filter_map(|id| ending(id)).collect();
    let mut possible: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (base, end, _) in endings.iter().filter(|(.., certainty)| *certainty == Certainty::Possible) {
        possible.entry(*base).or_default().insert(*end);
    }
    let ends: BTreeSet<&str> = possible.values().flatten().copied().collect();
    let repeats: Vec<_> = possible.iter().filter(|(_, ends)| ends.len() > 1).collect();
    // Patients' numbers are many for each prefix (`site1_001` to `site1_050`), time points are few for each patient. One patient
    // with too many does not make patients of the others' scans.
    let are_few = ends.len() <= possible.len();
    let are_counted = |base: &str, ends: &BTreeSet<&str>| count_scans(base, ends, possible.len());
    let any_counted = repeats.iter().any(|(base, ends)| are_counted(base, ends));
    let are_scans = |base: &str| {
        let is_counted = any_counted && possible.get(base).is_some_and(|ends| are_counted(base, ends));
        !repeats.is_empty() && (are_few || is_counted)
    };
    let of = |id: &&str| {
        let named = ending(id).filter(|(base, _, certainty)| *certainty == Certainty::Certain || are_scans(base));
        let patient = named.map_or(*id, |(base, ..)| base).to_owned();
        ((*id).to_owned(), (patient, named.map(|(_, end, _)| end.to_owned())))
    };
    ids.iter().map(of).collect()
}

/// True if endings count the scans of one of so many patients: few, each a short word (`P01_m12`), a shorter number than the
/// patient's (`P01_1`), or the year of one of several patients (`Smith_2019`).
fn count_scans(patient: &str, ends: &BTreeSet<&str>, patients: usize) -> bool {
    let digits = patient.len() - patient.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let is_number = |end: &str| end.len() < digits && end.chars().all(|c| c.is_ascii_digit());
    let is_year = |end: &str| patients > 1 && end.len() == "2019".len() && is_date(end);
    let is_scan = |end: &&str| is_short(end) || is_number(end) || is_year(end);
    // Monthly scans are a baseline and twelve months.
    let limit = if ends.iter().all(|end| is_short(end)) { MAX_SCANS + 1 } else { MAX_SCANS };
    ends.len() <= limit && ends.iter().all(is_scan)
}

/// The session at the end of a scan's name, if the rest is the name of a folder: `01` of `training01_01` in `training01`.
pub(super) fn session_after<'a>(id: &'a str, folder: &str) -> Option<&'a str> {
    let end = id.strip_prefix(folder)?.strip_prefix(SEPARATORS)?;
    (has_digit(folder) && certainty(folder, end).is_some()).then_some(end)
}

/// True if a name contains a date or a word for a session or a series, so that its number counts the scans of a patient:
/// `flair_time01`, `2019-03-04`, `echo2`.
pub(super) fn names_session(stem: &str) -> bool {
    let words = || stem.split(|c: char| !c.is_alphabetic()).map(str::to_lowercase);
    let is_session = |word: String| {
        let word = word.as_str();
        WORDS.contains(&word)
            || SERIES_WORDS.contains(&word)
            || (GENERAL_WORDS.contains(&word) && !PATIENT_WORDS.contains(&word))
    };
    let mut ends = stem.match_indices(SEPARATORS).map(|(at, _)| &stem[at + 1..]);
    let is_dated = begins_with_date(stem) || is_date(stem) || ends.any(is_full_date);
    is_dated || words().any(is_session)
}

/// True if a name ends with what may be a year: `scan_2019`.
pub(super) fn names_year(stem: &str) -> bool {
    stem.rsplit(SEPARATORS).next().is_some_and(is_date)
}

/// Splits the session off the end of a scan's name.
fn ending(id: &str) -> Option<(&str, &str, Certainty)> {
    // `100101A` and `100101B` are two scans of one patient.
    if let Some((base, end)) = id.split_at_checked(id.len().saturating_sub(1))
        && base.len() >= 3
        && base.chars().all(|c| c.is_ascii_digit())
        && end.chars().all(|c| c.is_ascii_uppercase())
    {
        return Some((base, end, Certainty::Certain));
    }
    let separators = id.match_indices(SEPARATORS).map(|(at, _)| at);
    // The longest ending first: `P1_2019-03-04` has a date, not the day 04.
    separators.filter(|at| *at > 0).find_map(|at| {
        let (base, end) = (&id[..at], &id[at + 1..]);
        let base = base.trim_end_matches(SEPARATORS);
        certainty(base, end).filter(|_| !base.is_empty()).map(|certainty| (base, end, certainty))
    })
}

fn certainty(base: &str, end: &str) -> Option<Certainty> {
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let numbered = has_digit(base);
    let is_dated = begins_with_date(end) || is_full_date(end) || (is_date(end) && numbered);
    if is_word(end, &WORDS) || is_dated || (numbered && is_word(end, &GENERAL_WORDS)) {
        return Some(Certainty::Certain);
    }
    // `BraTS-GLI-00002-101`: the last number is the time point.
    if base.to_ascii_lowercase().starts_with("brats-") && digits(end) && end.len() == 3 {
        let last = base.rsplit('-').next().unwrap_or_default();
        return (digits(last) && last.len() >= 4).then_some(Certainty::Certain);
    }
    // A year after a name without a number may be the patient's number: `MS_2001`. So may a short number after another:
    // `UPENN-GBM-00001_11` is a time point, `ISLES22_001` is not.
    let after_number = base.ends_with(|c: char| c.is_ascii_digit()) && digits(end) && end.len() <= 3;
    (is_date(end) || (is_short(end) && numbered) || after_number).then_some(Certainty::Possible)
}

/// `2019`, `20190304`, `2019-03-04` or `2019_03`.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['-', '_', '.']).collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let [year, rest @ ..] = &*parts else { return false };
    let (year, rest) = if lengths == [8] && year.is_ascii() {
        (&year[..4], vec![&year[4..6], &year[6..]])
    } else {
        (*year, rest.to_vec())
    };
    let lengths: Vec<usize> = rest.iter().map(|part| part.len()).collect();
    let within = |text: &str, range: std::ops::Range<u32>| text.parse().is_ok_and(|value| range.contains(&value));
    year.len() == 4
        && within(year, 1980..2100)
        && matches!(lengths[..], [] | [2] | [2, 2])
        && rest.iter().zip([1..13, 1..32]).all(|(part, range)| within(part, range))
}

/// A date with its day: `2019-03-04`, but not `2015_01`, which may be a year and a patient.
fn is_full_date(text: &str) -> bool {
    is_date(text) && text.chars().filter(char::is_ascii_digit).count() == "20190304".len()
}

/// The folder of a study in an archive: `08-29-2002-NA-PET-CT-21150` or `2002-08-29_PET`.
fn begins_with_date(name: &str) -> bool {
    let Some((date, rest)) = name.split_at_checked("MM-DD-YYYY".len()) else { return false };
    let is_end = rest.is_empty() || rest.starts_with(SEPARATORS);
    let parts: Vec<&str> = date.split('-').collect();
    is_end && matches!(parts[..], [a, b, c] if is_date(date) || is_date(&format!("{c}-{a}-{b}")))
}

/// One of `words`, with or without a number and its unit, or `ses-` and a label: `ses-pre`, `follow-up`, `visit02`, `FU003d`.
fn is_word(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    if let Some(label) = text.strip_prefix("ses-") {
        return !label.is_empty() && label.chars().all(char::is_alphanumeric);
    }
    let plain: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
    let is_digit = |c: char| c.is_ascii_digit();
    let number = plain.strip_suffix(['d', 'w', 'm', 'y']).filter(|number| number.ends_with(is_digit));
    words.contains(&number.unwrap_or(&plain).trim_end_matches(is_digit))
}

fn is_short(text: &str) -> bool {
    let text = text.to_lowercase();
    let word = text.trim_end_matches(|c: char| c.is_ascii_digit());
    word.len() < text.len() && text.len() - word.len() <= 4 && SHORT.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Patient by scan.
    fn of(ids: &[&str]) -> Vec<String> {
        let found = patients(ids.iter().copied());
        ids.iter().map(|id| found[*id].0.clone()).collect()
    }

    #[test]
    fn time_points_belong_to_one_patient() {
        for (ids, expected) in [
            (&["BraTS-GLI-00002-100", "BraTS-GLI-00002-101"][..], &["BraTS-GLI-00002"; 2][..]),
            (&["BraTS-MET-00012-000", "BraTS-MET-00013-000"], &["BraTS-MET-00012", "BraTS-MET-00013"]),
            (&["P07_2019", "P07_2020"], &["P07"; 2]),
            (&["ID_2019", "ID_2020", "JD_2019", "JD_2020"], &["ID", "ID", "JD", "JD"]),
            (&["P07_2019-03-04", "P07_20200101"], &["P07"; 2]),
            (&["Smith_2019-03-04", "Smith_20200101"], &["Smith"; 2]),
            (&["Smith_2018", "Smith_2019", "Smith_2020", "Jones_2017"], &["Smith", "Smith", "Smith", "Jones"]),
            (&["P07_tp1", "P07_tp2", "P08_baseline", "P08-followup"], &["P07", "P07", "P08", "P08"]),
            (&["sub-1_ses-pre", "sub-1_ses-02"], &["sub-1"; 2]),
            (
                &["UPENN-GBM-00001_11", "UPENN-GBM-00001_21", "UPENN-GBM-00002_11"],
                &["UPENN-GBM-00001", "UPENN-GBM-00001", "UPENN-GBM-00002"],
            ),
            (&["P01_m00", "P01_m12", "P02_m00"], &["P01", "P01", "P02"]),
            // Numbers of another base do not matter.
            (
                &["P01_m00", "P01_m06", "site2_001", "site2_002", "site2_003"],
                &["P01", "P01", "site2_001", "site2_002", "site2_003"],
            ),
            // More scans a patient than patients.
            (&["P01_m00", "P01_m06", "P01_m12", "P02_m00"], &["P01", "P01", "P01", "P02"]),
            (&["OAS1_0061_MR1", "OAS1_0061_MR2", "OAS1_0062_MR1"], &["OAS1_0061", "OAS1_0061", "OAS1_0062"]),
            (&["OAS30001_MR_d0129", "OAS30001_MR_d0757"], &["OAS30001_MR"; 2]),
            (&["P01_1", "P01_2", "P01_3", "P02_1"], &["P01", "P01", "P01", "P02"]),
            // The scans of a patient in AutoPET, UCSF-PDGM, UCSF-BMSR and ACDC were several patients.
            (&["fdg_0b5_05-02-2002-NA-PET-CT Ganz-4", "fdg_0b5_11-13-2004-NA-PET-CT Ganz-1"], &["fdg_0b5"; 2]),
            (&["UCSF-PDGM-0429", "UCSF-PDGM-0429_FU003d"], &["UCSF-PDGM-0429"; 2]),
            (&["100101A", "100101B", "100102A"], &["100101", "100101", "100102"]),
            (&["patient001_frame01", "patient001_frame12"], &["patient001"; 2]),
        ] {
            assert_eq!(of(ids), expected, "{ids:?}");
        }
    }

    #[test]
    fn many_scans_of_a_patient_do_not_separate_those_of_others() {
        for count in [13, 14] {
            let many: Vec<String> = (0..count).map(|month| format!("P03_m{month:02}")).collect();
            let others = ["P01_m00", "P01_m06", "P02_m00", "P02_m06"];
            let ids: Vec<&str> = others.into_iter().chain(many.iter().map(String::as_str)).collect();
            let found = of(&ids);
            assert_eq!(found[..4], ["P01", "P01", "P02", "P02"], "{count}");
            assert_eq!(found[4..].iter().all(|patient| patient == "P03"), count == 13, "a baseline and twelve months");
        }
    }

    #[test]
    fn patient_numbers_are_not_time_points() {
        for ids in [
            &["ISLES22_001", "ISLES22_002", "ISLES22_003"][..],
            &["site1_001", "site1_002", "site2_003", "site2_004"],
            &["MS_2001", "MS_2002", "MS_2003"],
            &["ISLES_2015_01", "ISLES_2015_02", "ISLES_2015_13"],
            &["BraTS2021_00000", "BraTS2021_00002"],
            &["BraTS20_Training_001", "BraTS20_Training_002"],
            &["case_00000", "case_00001"],
            &["TCGA-02-0006", "TCGA-02-0009"],
            &["P00", "P01"],
        ] {
            assert_eq!(of(ids), ids, "{ids:?}");
        }
    }

    #[test]
    fn a_number_may_count_scans_or_patients() {
        for scan in
            ["flair_time01", "visit-2", "2019-03-04", "08-29-2002-NA", "P1_20190304", "week-012", "frame1", "echo2"]
        {
            assert!(names_session(scan), "{scan}");
        }
        for patient in ["study_0001", "scan1", "volume-0", "coronacases_001", "radiopaedia_10_85902_1", "case_2001"] {
            assert!(!names_session(patient), "{patient}");
        }
        assert!(names_year("scan_2019") && !names_year("study_0255"));
        for (id, folder, session) in [
            ("training01_01", "training01", Some("01")),
            ("RHUH-0001_0", "RHUH-0001", Some("0")),
            ("BraTS2021_00000", "BraTS2021", None),
            ("site_001", "site", None),
            ("training011_01", "training01", None),
        ] {
            assert_eq!(session_after(id, folder), session, "{id}");
        }
    }

    #[test]
    fn session_folders_are_recognised_by_name() {
        let under = |parent: &'static str| move |name: &&str| is_session_folder(name, parent);
        let sessions = [
            "ses-1",
            "ses-pre",
            "session_2",
            "visit02",
            "Baseline",
            "follow-up",
            "2019",
            "2019-03-04",
            "20190304",
            "TP1",
            "08-29-2002-NA-PET-CT Ganzkoerper primaer mit KM-21150",
            "2002-08-29_PET",
        ];
        assert!(sessions.iter().all(under("cohort")));
        let patients = [
            "P01",
            "HGG",
            "sub-01",
            "t1",
            "001",
            "20191399",
            "13-29-2002-NA",
            "TCGA-02-0006",
            "anat",
            "scan1",
            "m12",
            "BraTS-GLI-00002-100",
            "case_00001",
        ];
        assert!(!patients.iter().any(under("cohort")));
        assert!(["scan1", "m12", "pre"].iter().all(under("P01")));
        assert!(["baseline", "2019", "pre", "week12", "time1"].iter().all(|name| is_session_of_patients(name)));
        assert!(
            !["P01_20190304", "P01_baseline", "scan1", "m12", "MR0001"].iter().any(|name| is_session_of_patients(name))
        );
    }
}
