//! Applies a predefined plan to a cohort, at the size of the paper or scaled down.

use std::path::Path;

use super::plan::{CohortPlan, Plan};
use super::ready::ready_plan;
use crate::{Error, Result};

/// Side of the paper's crop in pixels and width of its network.
const SIDE: f64 = 160.0;
const WIDTH: f64 = 64.0;
/// Sides are multiples of this, as every method requires, and at least three times as large.
const MULTIPLE: f64 = 16.0;
/// The narrowest network.
const MIN_WIDTH: f64 = 4.0;

/// The ready plan `name` on the scans of `path`, each modality separately. A scale below 1 shrinks the crop side, the slices
/// per patient, the network width and the number of patients by this factor, and enlarges the voxels by its inverse, so that
/// the crop covers the same part of the body. Time falls about with its sixth power.
///
/// # Errors
/// A name that is no ready plan; a scale outside 0.1 to 1; no modality.
pub fn plan_on_cohort(name: &str, path: &Path, modalities: &[String], scale: f64) -> Result<Plan> {
    if !(0.1..=1.0).contains(&scale) {
        return Err(Error::config("scale", scale, "must be between 0.1 and 1"));
    }
    let mut plan = Plan::from_toml(&ready_plan(name)?, Path::new(name))?;
    let cohort = |modality: &String| CohortPlan {
        name: modality.clone(),
        path: path.to_path_buf(),
        modality: vec![modality.clone()],
        settings: toml::Table::new(),
    };
    plan.cohorts = modalities.iter().map(cohort).collect();
    let side = ((SIDE * scale / MULTIPLE).round() * MULTIPLE).max(3.0 * MULTIPLE) as usize;
    let width = (WIDTH * scale).round().max(MIN_WIDTH) as usize;
    let spacing = if scale < 1.0 { format!("[{0:?}, {0:?}, {0:?}]", SIDE / side as f64) } else { "\"iso\"".into() };
    let settings = format!("preprocess = {{ size = {side}, spacing = {spacing} }}\nnetwork = {{ width = {width} }}\n");
    let settings: toml::Table =
        settings.parse().map_err(|e: toml::de::Error| Error::config("scale", scale, e.to_string()))?;
    for stage in [&mut plan.pretrain, &mut plan.finetune] {
        stage.settings.extend(settings.clone());
    }
    if scale < 1.0 {
        plan.split.patients = format!("{}%", 100.0 * scale);
        plan.name = format!("{} at scale {scale}", plan.name);
    }
    plan.check()?;
    Ok(plan)
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
