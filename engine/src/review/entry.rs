//! Verdicts on cases and their findings.

use std::collections::BTreeMap;
use std::fmt;

use glam::DVec3;
use serde::{Deserialize, Serialize};

use crate::findings::Finding;
use crate::volume::Grid;

/// A reviewer's verdict on a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not reviewed yet.
    #[default]
    ToDo,
    /// The segmentation is correct.
    Accepted,
    /// The segmentation was corrected and is now accepted.
    Corrected,
    /// The segmentation is not usable.
    Rejected,
    /// A second reader must review it.
    SecondLook,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Self; 5] = [Self::ToDo, Self::Accepted, Self::Corrected, Self::Rejected, Self::SecondLook];

    /// Display name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ToDo => "To do",
            Self::Accepted => "Accepted",
            Self::Corrected => "Corrected",
            Self::Rejected => "Rejected",
            Self::SecondLook => "Second look",
        }
    }

    /// The name in files.
    pub fn key(self) -> &'static str {
        match self {
            Self::ToDo => "to_do",
            Self::Accepted => "accepted",
            Self::Corrected => "corrected",
            Self::Rejected => "rejected",
            Self::SecondLook => "second_look",
        }
    }

    /// True if the review of the case is finished.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Accepted | Self::Corrected | Self::Rejected)
    }
}

/// A reviewer's verdict on a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingVerdict {
    /// It is a lesion.
    Accepted,
    /// It is not a lesion.
    Rejected,
}

impl FindingVerdict {
    /// The name in files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }
}

/// The mask that a finding belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewedMask {
    /// The segmentation under review.
    #[default]
    Segmentation,
    /// The reference, reviewed while there is no segmentation.
    Reference,
}

impl ReviewedMask {
    /// The name in files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Segmentation => "segmentation",
            Self::Reference => "reference",
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_segmentation(&self) -> bool {
        *self == Self::Segmentation
    }
}

/// A verdict on a finding. It stays with the finding of that mask that contains the point, even if the mask changes elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindingMark {
    /// The mask of the finding.
    #[serde(default, skip_serializing_if = "ReviewedMask::is_segmentation")]
    pub mask: ReviewedMask,
    /// The centre of a voxel of the finding ([`anchor_mm`]), world millimetres (RAS+).
    pub at_mm: [f64; 3],
    /// What the reviewer decided about the finding.
    pub verdict: FindingVerdict,
}

impl FindingMark {
    /// True if the point lies in `finding` of `mask`, which was measured on `grid`.
    pub fn is_on(&self, finding: &Finding, mask: ReviewedMask, grid: &Grid) -> bool {
        if self.mask != mask {
            return false;
        }
        let voxel = grid.voxel_from_world().transform_point3(DVec3::from(self.at_mm)).round();
        let [i, j, k] = voxel.to_array();
        finding.runs.iter().any(|run| {
            let (from, to) = (f64::from(run.i), f64::from(run.i + run.len));
            (from..to).contains(&i) && j == f64::from(run.j) && k == f64::from(run.k)
        })
    }
}

/// The centre of the finding's voxel nearest to its centre of mass, which itself may lie outside the finding. World
/// millimetres.
pub fn anchor_mm(finding: &Finding, grid: &Grid) -> [f64; 3] {
    let centre = DVec3::from(finding.centroid_voxel);
    let nearest = |run: &crate::findings::Run| {
        let i = centre.x.round().clamp(f64::from(run.i), f64::from(run.i + run.len - 1));
        DVec3::new(i, f64::from(run.j), f64::from(run.k))
    };
    let distance = |voxel: &DVec3| grid.world_from_voxel.transform_vector3(*voxel - centre).length_squared();
    let voxels = finding.runs.iter().map(nearest);
    let voxel = voxels.min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(centre);
    grid.world_from_voxel.transform_point3(voxel).to_array()
}

/// The version of [`Entry`] that this program writes.
pub(crate) const VERSION: u32 = 1;

/// A verdict on a case: one line of `review.jsonl`. The last one of a case is valid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of the record.
    pub version: u32,
    /// The case's id in its cohort, never a path.
    pub case: String,
    /// What the reviewer decided about the segmentation.
    pub verdict: Verdict,
    /// The reviewer's comment; may be empty.
    #[serde(default)]
    pub comment: String,
    /// The reviewer's initials.
    #[serde(default)]
    pub reviewer: String,
    /// Time of the verdict, milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// Time spent on the case so far, in seconds.
    #[serde(default)]
    pub seconds: f64,
    /// Verdicts on findings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingMark>,
}

impl Entry {
    /// A case that has not been reviewed.
    pub fn new(case: &str) -> Self {
        Self {
            version: VERSION,
            case: case.to_owned(),
            verdict: Verdict::ToDo,
            comment: String::new(),
            reviewer: String::new(),
            time_ms: 0,
            seconds: 0.0,
            findings: Vec::new(),
        }
    }

    /// The verdict on a finding that was measured on `grid`; the newest of several.
    pub fn on_finding(&self, finding: &Finding, mask: ReviewedMask, grid: &Grid) -> Option<FindingVerdict> {
        self.findings.iter().rev().find(|mark| mark.is_on(finding, mask, grid)).map(|mark| mark.verdict)
    }

    /// Sets or, with `None`, removes the verdict on a finding.
    pub fn mark(&mut self, finding: &Finding, mask: ReviewedMask, grid: &Grid, verdict: Option<FindingVerdict>) {
        self.findings.retain(|mark| !mark.is_on(finding, mask, grid));
        let at_mm = anchor_mm(finding, grid);
        self.findings.extend(verdict.map(|verdict| FindingMark { mask, at_mm, verdict }));
    }
}

/// The last entry of each reviewed case.
pub type LatestEntries = BTreeMap<String, Entry>;

/// The last entry of every case.
pub fn latest(entries: &[Entry]) -> LatestEntries {
    entries.iter().map(|entry| (entry.case.clone(), entry.clone())).collect()
}

/// Progress of a review.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    /// Cases with a final verdict.
    pub decided: usize,
    /// All cases.
    pub cases: usize,
    /// Mean time spent on a case with a final verdict; none before the first.
    pub seconds_per_case: Option<f64>,
    /// Number of cases by verdict.
    pub verdicts: BTreeMap<Verdict, usize>,
}

impl Progress {
    /// The progress over these cases.
    pub fn of<'a>(cases: impl Iterator<Item = &'a str>, latest: &LatestEntries) -> Self {
        let mut progress = Self { verdicts: Verdict::ALL.map(|verdict| (verdict, 0)).into(), ..Self::default() };
        let mut seconds = 0.0;
        for case in cases {
            let entry = latest.get(case);
            let verdict = entry.map_or(Verdict::ToDo, |entry| entry.verdict);
            progress.cases += 1;
            *progress.verdicts.entry(verdict).or_default() += 1;
            if verdict.is_final() {
                progress.decided += 1;
                seconds += entry.map_or(0.0, |entry| entry.seconds);
            }
        }
        progress.seconds_per_case = (progress.decided > 0).then(|| seconds / progress.decided as f64);
        progress
    }
}

impl fmt::Display for Progress {
    /// "12 of 80 done, 48 s each"; from two minutes up "12 of 80 done, 7.9 min each".
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} of {} done", self.decided, self.cases)?;
        match self.seconds_per_case {
            Some(seconds) if seconds >= 120.0 => write!(to, ", {:.1} min each", seconds / 60.0),
            Some(seconds) if seconds >= 0.5 => write!(to, ", {seconds:.0} s each"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::findings::findings;
    use crate::volume::LabelVolume;
    use glam::DAffine3;

    fn entry(case: &str, verdict: Verdict, seconds: f64) -> Entry {
        Entry { verdict, seconds, ..Entry::new(case) }
    }

    #[test]
    fn the_last_entry_is_valid_and_only_final_verdicts_count_as_progress() {
        let entries = [
            entry("a", Verdict::Rejected, 10.0),
            entry("b", Verdict::SecondLook, 90.0),
            entry("c", Verdict::Corrected, 66.0),
            entry("a", Verdict::Accepted, 30.0),
        ];
        let latest = latest(&entries);
        assert_eq!((latest.len(), latest["a"].verdict), (3, Verdict::Accepted));
        let progress = Progress::of(["a", "b", "c", "d"].into_iter(), &latest);
        assert_eq!(progress.to_string(), "2 of 4 done, 48 s each");
        let slow = Progress { seconds_per_case: Some(474.3), ..progress.clone() };
        assert_eq!(slow.to_string(), "2 of 4 done, 7.9 min each");
        let counts: Vec<usize> = Verdict::ALL.iter().map(|verdict| progress.verdicts[verdict]).collect();
        assert_eq!(counts, [1, 1, 1, 0, 1]);
        assert_eq!(Progress::of(["d"].into_iter(), &latest).to_string(), "0 of 1 done");
    }

    #[test]
    fn the_key_of_a_verdict_is_its_name_in_files() {
        for verdict in Verdict::ALL {
            assert_eq!(serde_json::to_string(&verdict).unwrap(), format!("\"{}\"", verdict.key()));
        }
        for verdict in [FindingVerdict::Accepted, FindingVerdict::Rejected] {
            assert_eq!(serde_json::to_string(&verdict).unwrap(), format!("\"{}\"", verdict.key()));
        }
    }

    /// A ring around a hole, and a dot.
    fn ring(extra: Option<usize>) -> LabelVolume {
        let grid = Grid::new([7, 5, 1], DAffine3::from_scale(DVec3::new(2.0, 3.0, 4.0)));
        let mut labels = vec![0_u8; 35];
        for j in 0..5 {
            for i in 0..5 {
                labels[i + 7 * j] = u8::from(i == 0 || i == 4 || j == 0 || j == 4);
            }
        }
        extra.into_iter().for_each(|index| labels[index] = 1);
        labels[6 + 7 * 2] = 1;
        LabelVolume::new(grid, labels).unwrap()
    }

    #[test]
    fn a_verdict_stays_with_its_finding_when_the_mask_changes() {
        let before = ring(None);
        let result = findings(&before);
        assert_eq!(result.len(), 2);
        let mut entry = Entry::new("a");
        // The centre of a ring is outside it.
        let mask = ReviewedMask::Segmentation;
        entry.mark(&result[0], mask, &before.grid, Some(FindingVerdict::Accepted));
        entry.mark(&result[1], mask, &before.grid, Some(FindingVerdict::Accepted));
        entry.mark(&result[1], mask, &before.grid, Some(FindingVerdict::Rejected));
        assert_eq!(entry.findings.len(), 2);
        assert_eq!(anchor_mm(&result[1], &before.grid), [12.0, 6.0, 0.0]);
        // The ring grows inwards, and is found again.
        let after = ring(Some(1 + 7));
        let again = findings(&after);
        let verdicts: Vec<_> = again.iter().map(|finding| entry.on_finding(finding, mask, &after.grid)).collect();
        assert_eq!(verdicts, [Some(FindingVerdict::Accepted), Some(FindingVerdict::Rejected)]);
        entry.mark(&again[1], mask, &after.grid, None);
        assert_eq!(entry.on_finding(&again[1], mask, &after.grid), None);
    }

    /// A verdict on a finding of the reference appeared at the finding of a later segmentation at the same place.
    #[test]
    fn a_verdict_on_the_reference_does_not_apply_to_the_segmentation() {
        let masks = [ReviewedMask::Segmentation, ReviewedMask::Reference];
        let (mask, mut entry) = (ring(None), Entry::new("a"));
        let finding = &findings(&mask)[0];
        let verdicts = |entry: &Entry| masks.map(|of| entry.on_finding(finding, of, &mask.grid));
        entry.mark(finding, ReviewedMask::Reference, &mask.grid, Some(FindingVerdict::Rejected));
        assert_eq!(verdicts(&entry), [None, Some(FindingVerdict::Rejected)]);
        entry.mark(finding, ReviewedMask::Segmentation, &mask.grid, Some(FindingVerdict::Accepted));
        assert_eq!(verdicts(&entry), [Some(FindingVerdict::Accepted), Some(FindingVerdict::Rejected)]);
        let json = serde_json::to_string(&entry).unwrap();
        assert_eq!(json.matches("\"mask\":\"reference\"").count(), 1, "{json}");
        assert!(!json.contains("\"mask\":\"segmentation\""), "older programs read it: {json}");
        assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), entry);
    }
}
