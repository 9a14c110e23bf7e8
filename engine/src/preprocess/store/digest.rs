//! A digest of a store's content, by which a checkpoint recognises its training data.
//!
//! The hashed fields are listed one by one below and have a version, so that adding a field to a struct does not invalidate
//! every checkpoint. Numbers are little-endian, floats by their bits, lists and texts after their length (u64).

use super::{CaseMeta, SliceMeta, SliceStore};
use crate::disk::atomic::sha256;
use crate::preprocess::{CasePlan, ChannelPlan, Kind};
use crate::volume::Interpolation;

/// Version of the hashed content. Increase it with every change to the functions below.
const VERSION: &str = "v1:";

/// Result of comparing a stored digest with the current data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestMatch {
    /// The same data.
    Same,
    /// Other scans, labels or preprocessing.
    Different,
    /// The digest has another version or none (checkpoints of early versions).
    Unknown,
}

impl DigestMatch {
    /// Compares a digest that a checkpoint stored with [`SliceStore::digest`].
    pub fn of(stored: &str, current: &str) -> Self {
        if stored == current {
            Self::Same
        } else if stored.starts_with(VERSION) {
            Self::Different
        } else {
            Self::Unknown
        }
    }
}

impl SliceStore {
    /// A digest of the data in the store: which patients and slices, how prepared, with how much tissue and lesion. Scans
    /// enter by their geometry and the percentiles, mean and spread of their intensities, not voxel by voxel.
    pub fn digest(&self) -> String {
        digest(&self.cases, &self.metas)
    }
}

fn digest(cases: &[CaseMeta], metas: &[SliceMeta]) -> String {
    let mut bytes = Bytes::default();
    bytes.count(cases.len());
    cases.iter().for_each(|case| bytes.case(case));
    bytes.count(metas.len());
    for SliceMeta { case, k, lesion_pixels, tissue_pixels, nonzero } in metas {
        for value in [*case, *k, *lesion_pixels, *tissue_pixels, u32::from(*nonzero)] {
            bytes.int(u64::from(value));
        }
    }
    format!("{VERSION}{}", sha256(&bytes.0))
}

/// Collects the bytes to hash.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn int(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    fn count(&mut self, value: usize) {
        self.int(value as u64);
    }

    fn counts(&mut self, values: &[usize]) {
        values.iter().for_each(|value| self.count(*value));
    }

    fn floats(&mut self, values: &[f64]) {
        values.iter().for_each(|value| self.int(value.to_bits()));
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend(text.as_bytes());
    }

    /// 0, or 1 and the value.
    fn option(&mut self, value: Option<u64>) {
        self.int(u64::from(value.is_some()));
        value.into_iter().for_each(|value| self.int(value));
    }

    fn case(&mut self, case: &CaseMeta) {
        self.text(&case.id);
        self.int(u64::from(case.labelled));
        self.plan(&case.plan);
        self.counts(&[case.first, case.slices, case.lesion_slices]);
        self.floats(&[case.mean_lesion_pixels]);
    }

    /// All fields of a plan except its version and its warnings, whose wording may change.
    fn plan(&mut self, plan: &CasePlan) {
        self.counts(&plan.source_shape);
        self.floats(&plan.source_affine);
        self.int(u64::from(plan.oriented));
        self.counts(&plan.axes);
        plan.flipped.iter().for_each(|flip| self.int(u64::from(*flip)));
        self.floats(&plan.start);
        self.floats(&plan.step);
        self.counts(&plan.prepared_shape);
        self.floats(&plan.prepared_affine);
        self.int(match plan.interpolation {
            Interpolation::Nearest => 0,
            Interpolation::Linear => 1,
        });
        self.count(plan.channels.len());
        plan.channels.iter().for_each(|channel| self.channel(channel));
        self.counts(plan.region_box.as_flattened());
        self.count(plan.crop_size);
        // Two's complement.
        plan.crop_origin.iter().for_each(|at| self.int(*at as u64));
        self.option(plan.lesion_voxels);
        self.option(plan.lesion_voxels_outside_crop);
    }

    fn channel(&mut self, channel: &ChannelPlan) {
        self.int(match channel.kind {
            Kind::Other => 0,
            Kind::Ct => 1,
        });
        self.floats(&[channel.clip[0], channel.clip[1], channel.mean, channel.std, f64::from(channel.fill)]);
        self.int(channel.region_voxels);
        self.int(channel.nonfinite);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<CaseMeta>, Vec<SliceMeta>) {
        let plan = CasePlan {
            version: 1,
            source_shape: [4, 5, 6],
            source_affine: std::array::from_fn(|i| i as f64 / 4.0),
            oriented: true,
            axes: [0, 1, 2],
            flipped: [true, false, false],
            start: [0.0, 0.5, 1.0],
            step: [1.0, 1.0, 2.0],
            prepared_shape: [4, 5, 3],
            prepared_affine: std::array::from_fn(|i| i as f64 / 2.0),
            interpolation: Interpolation::Linear,
            channels: vec![ChannelPlan {
                kind: Kind::Ct,
                clip: [-150.0, 150.0],
                mean: 12.5,
                std: 3.25,
                fill: -4.0,
                region_voxels: 40,
                nonfinite: 1,
            }],
            region_box: [[0, 4], [1, 5], [0, 3]],
            crop_size: 8,
            crop_origin: [-2, -1],
            lesion_voxels: Some(7),
            lesion_voxels_outside_crop: None,
            warnings: vec!["odd".into()],
        };
        let case = CaseMeta {
            id: "P\u{e4}".into(),
            labelled: true,
            plan,
            first: 0,
            slices: 1,
            lesion_slices: 1,
            mean_lesion_pixels: 3.5,
        };
        (vec![case], vec![SliceMeta { case: 0, k: 2, lesion_pixels: 3, tissue_pixels: 9, nonzero: true }])
    }

    /// The number comes from a script that packs the fields as documented at the top of this file.
    #[test]
    fn the_digest_has_the_documented_value() {
        let (cases, metas) = sample();
        assert_eq!(digest(&cases, &metas), "v1:e49f41792b6788d112c0edb0b46d3180c1394207c6a9d7e260cff26f1ae0a20f");
    }

    #[test]
    fn data_count_and_wording_does_not() {
        let (cases, metas) = sample();
        let whole = digest(&cases, &metas);
        let with = |change: &dyn Fn(&mut CaseMeta)| {
            let mut cases = cases.clone();
            change(&mut cases[0]);
            digest(&cases, &metas)
        };
        assert_eq!(with(&|case| case.plan.warnings.clear()), whole);
        let changes: [&dyn Fn(&mut CaseMeta); 6] = [
            &|case| case.id.push('2'),
            &|case| case.labelled = false,
            &|case| case.plan.source_affine[3] += 1e-9,
            &|case| case.plan.channels[0].mean = 12.6,
            &|case| case.plan.lesion_voxels_outside_crop = Some(0),
            &|case| case.plan.crop_origin[0] = 0,
        ];
        assert!(changes.iter().all(|change| with(change) != whole));
        assert_ne!(digest(&cases, &[]), whole);
    }

    #[test]
    fn digests_of_early_versions_are_recognised() {
        let (cases, metas) = sample();
        let now = digest(&cases, &metas);
        assert_eq!(DigestMatch::of(&now, &now), DigestMatch::Same);
        assert_eq!(DigestMatch::of(&digest(&cases, &[]), &now), DigestMatch::Different);
        assert_eq!(DigestMatch::of(&"ab".repeat(32), &now), DigestMatch::Unknown);
    }
}
