//! Applies a predefined plan to a cohort, at the size of the paper or scaled down.

use std::path::Path;

use super::paper::is_of_hecktor;
use super::plan::{CohortPlan, Plan};
use super::ready::ready_plan;
use crate::{Error, Result};

/// Side of the paper's crop in mm. A smaller crop covers as much if its plan names no voxel size.
const FIELD_MM: f64 = 160.0;
/// Sides are multiples of this, as every method requires, and at least three times as large.
const MULTIPLE: f64 = 16.0;
/// Width of the paper's network, for plans that name none.
const PAPER_WIDTH: f64 = 64.0;
/// The paper's settings for HECKTOR where they differ from BraTS: side of the crop in pixels, slices per step of pre-training.
const HECKTOR: [i64; 2] = [144, 48];
/// The paper's slices per step of fine-tuning with 5 % and with 10 % of the labels.
const FINETUNING: [i64; 2] = [56, 70];
const HECKTOR_FINETUNING: [i64; 2] = [31, 90];
/// The narrowest network.
const MIN_WIDTH: f64 = 4.0;

/// The ready plan `name` on the scans of `path`, each modality separately. The paper's plans get its batches, and its crop for
/// HECKTOR if all modalities are CT or PET. A plan with several label budgets fine-tunes with the batch of 5 %. A scale below 1
/// shrinks the plan's crop side, its network width and the number of patients by this factor. The voxels grow, so that the crop
/// covers the same part of the body and a patient has fewer slices. Time falls about with the sixth power of the scale.
///
/// # Errors
/// A name that is no ready plan; a scale outside 0.1 to 1; no modality.
pub fn plan_on_cohort(name: &str, path: &Path, modalities: &[String], scale: f64) -> Result<Plan> {
    if !(0.1..=1.0).contains(&scale) {
        return Err(Error::config("scale", scale, "must be between 0.1 and 1"));
    }
    let mut plan = Plan::from_toml(&ready_plan(name)?, Path::new(name))?;
    if name.starts_with("paper") {
        let is_hecktor = modalities.iter().all(|modality| is_of_hecktor(modality));
        let [five, ten] = if is_hecktor { HECKTOR_FINETUNING } else { FINETUNING };
        let batch = if plan.labels.budgets == ["10%"] { ten } else { five };
        set(&mut plan.finetune.settings, "training", "batch", batch);
        if is_hecktor {
            let [side, batch] = HECKTOR;
            set(&mut plan.pretrain.settings, "training", "batch", batch);
            for stage in [&mut plan.pretrain, &mut plan.finetune] {
                set(&mut stage.settings, "preprocess", "size", side);
            }
        }
    }
    let own = plan.cohorts.first().zip(plan.methods.first());
    let own = own.map(|(cohort, method)| plan.finetune_config(cohort, method)).transpose()?.unwrap_or_default();
    let cohort = |modality: &String| CohortPlan {
        name: modality.clone(),
        path: path.to_path_buf(),
        modality: vec![modality.clone()],
        settings: toml::Table::new(),
    };
    plan.cohorts = modalities.iter().map(cohort).collect();
    let size = own.preprocess.size as f64;
    let side = ((size * scale / MULTIPLE).round() * MULTIPLE).max(3.0 * MULTIPLE);
    let has_width = plan.pretrain.settings.contains_key("network");
    let width = if has_width { own.network.width as f64 } else { PAPER_WIDTH };
    let width = (width * scale).round().max(MIN_WIDTH);
    let spacing = match own.preprocess.spacing.millimetres() {
        Some(mm) => (side < size).then(|| mm.map(|mm| mm * size / side)),
        None => (side < FIELD_MM).then_some([FIELD_MM / side; 3]),
    };
    for stage in [&mut plan.pretrain, &mut plan.finetune] {
        set(&mut stage.settings, "preprocess", "size", side as i64);
        set(&mut stage.settings, "network", "width", width as i64);
        if let Some(mm) = spacing {
            set(&mut stage.settings, "preprocess", "spacing", mm.to_vec());
        }
    }
    if scale < 1.0 {
        plan.split.patients = format!("{}%", 100.0 * scale);
        plan.name = format!("{} at scale {scale}", plan.name);
    }
    plan.check()?;
    Ok(plan)
}

/// Sets one setting and keeps the others.
fn set(settings: &mut toml::Table, section: &str, key: &str, value: impl Into<toml::Value>) {
    let section = settings.entry(section).or_insert_with(|| toml::Table::new().into());
    if let Some(section) = section.as_table_mut() {
        section.insert(key.to_owned(), value.into());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::preprocess::Spacing;

    fn plan(scale: f64) -> Result<Plan> {
        plan_on_cohort("paper", Path::new("brats"), &["flair".into(), "t1".into()], scale)
    }

    #[test]
    fn a_scale_shrinks_slices_width_and_patients_but_not_the_field_of_view() {
        for (scale, side, width, patients) in [(1.0, 160, 64, "100%"), (0.5, 80, 32, "50%"), (0.1, 48, 6, "10%")] {
            let plan = plan(scale).unwrap();
            assert_eq!(plan.split.patients, patients);
            let names: Vec<&str> = plan.cohorts.iter().map(|cohort| cohort.name.as_str()).collect();
            assert_eq!(names, ["flair", "t1"]);
            let method = plan.methods.iter().find(|method| method.preset.is_some()).unwrap();
            let pretrain = plan.pretrain_config(&plan.cohorts[1], method).unwrap().unwrap();
            for config in [pretrain, plan.finetune_config(&plan.cohorts[1], method).unwrap()] {
                assert_eq!((config.preprocess.size, config.network.width), (side, width), "{scale}");
                let mm = config.preprocess.spacing.millimetres().unwrap()[0];
                assert!((mm * side as f64 - 160.0).abs() < 1e-9, "{mm} mm");
                assert_eq!(config.preprocess.spacing == Spacing::Iso, scale >= 1.0);
                assert_eq!(config.data.modality, ["t1"]);
            }
        }
    }

    /// The crop was 160 pixels and the batches were those of BraTS.
    #[test]
    fn hecktor_gets_the_papers_crop_and_batches() {
        for (name, modalities, scale, expected) in [
            ("paper-table-1", &["ct", "pt"][..], 1.0, [144, 48, 31]),
            ("paper-table-1", &["pet"], 0.5, [80, 48, 31]),
            ("paper-table-1", &["ct", "flair"], 1.0, [160, 36, 56]),
            ("paper-table-1", &["t1ce"], 1.0, [160, 36, 56]),
            ("paper-table-4", &["ct"], 1.0, [144, 48, 90]),
            ("paper-table-4", &["flair"], 1.0, [160, 36, 70]),
        ] {
            let modalities: Vec<String> = modalities.iter().map(|name| (*name).to_owned()).collect();
            let plan = plan_on_cohort(name, Path::new("x"), &modalities, scale).unwrap();
            let method = plan.methods.iter().find(|method| method.preset.is_some()).unwrap();
            let pretrain = plan.pretrain_config(&plan.cohorts[0], method).unwrap().unwrap();
            let finetune = plan.finetune_config(&plan.cohorts[0], method).unwrap();
            let found = [pretrain.preprocess.size, pretrain.training.batch, finetune.training.batch];
            assert_eq!(found, expected, "{modalities:?} at {scale}");
            assert_eq!(finetune.preprocess.size, expected[0]);
            let mm = pretrain.preprocess.spacing.millimetres().unwrap()[0];
            let field = if expected[1] == 48 { 144.0 } else { 160.0 };
            assert!((mm * expected[0] as f64 - field).abs() < 1e-9, "{mm} mm");
        }
    }

    /// `quick` took 12 hours on a cohort, because it got the paper's crop and network instead of its own.
    #[test]
    fn a_plan_keeps_its_own_crop_and_network_on_a_cohort() {
        for (name, scale, side, width, spacing) in [
            ("quick", 1.0, 64, 4, Spacing::Millimetres([2.5; 3])),
            ("quick", 0.5, 48, 4, Spacing::Millimetres([160.0 / 48.0; 3])),
            ("evidence", 1.0, 160, 8, Spacing::Native),
            ("evidence", 0.5, 80, 4, Spacing::Millimetres([2.0; 3])),
            ("ablation", 0.5, 48, 4, Spacing::Millimetres([4.0; 3])),
            ("paper-table-6", 1.0, 160, 64, Spacing::Iso),
        ] {
            let plan = plan_on_cohort(name, Path::new("brats"), &["flair".into()], scale).unwrap();
            let method = plan.methods.iter().find(|method| method.preset.is_some()).unwrap();
            let pretrain = plan.pretrain_config(&plan.cohorts[0], method).unwrap().unwrap();
            let finetune = plan.finetune_config(&plan.cohorts[0], method).unwrap();
            for config in [&pretrain, &finetune] {
                let found = (config.preprocess.size, config.network.width, config.preprocess.spacing);
                assert_eq!(found, (side, width, spacing), "{name} at {scale}");
            }
            let every = match name {
                "quick" => 4,
                "ablation" => 2,
                _ => 1,
            };
            assert_eq!(pretrain.training.every_slice, every, "the other settings of the plan stay");
        }
    }

    #[test]
    fn a_scaled_plan_is_read_back_from_its_text() {
        let plan = plan(0.25).unwrap();
        assert_eq!(Plan::from_toml(&plan.to_toml().unwrap(), Path::new("plan.toml")).unwrap(), plan);
    }

    #[test]
    fn scales_out_of_range_and_unknown_plans_are_refused() {
        for scale in [0.0, 0.05, 1.5, f64::NAN] {
            assert!(plan(scale).unwrap_err().to_string().contains("between 0.1 and 1"), "{scale}");
        }
        assert!(plan_on_cohort("papers", Path::new("x"), &["t1".into()], 1.0).is_err());
        assert!(plan_on_cohort("paper", Path::new("x"), &[], 1.0).is_err());
    }
}
