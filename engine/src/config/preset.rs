//! Named settings: the comparisons that the paper makes (its Tables 3 to 6) and this project's own.

use super::{Config, LabelConfig, MethodConfig, Pretext, TrainingConfig};
use crate::cluster::{ForegroundRule, Method};
use crate::pretrain::amlp::amr::MaskRatio;
use crate::pretrain::amlp::arl::Attention;
use crate::pretrain::amlp::ccl::Consistency;
use crate::pretrain::amlp::mps::Order;
use crate::{Error, Result};

/// Names and descriptions of the pre-training presets.
pub const PRESETS: &[(&str, &str)] = &[
    ("amlp", "the paper's method: MPS, AMR, ARL and CCL"),
    ("amlp-plus", "amlp with the foreground rule chosen per modality on labelled training cohorts"),
    ("base", "random masks at 75 %, reconstruction only (Table 3; l2 in Table 5)"),
    ("mae", "the same as base"),
    ("l2", "the same as base"),
    ("mps", "lesion patches first, at 75 %"),
    ("amr", "random masks, growing ratio"),
    ("crcl", "random masks at 75 %, attention loss"),
    ("crcl-kmeans-labels", "crcl with the consistency loss on k-means labels"),
    ("mps-amr", "lesion patches first, growing ratio"),
    ("mps-crcl", "lesion patches first at 75 %, attention and consistency losses"),
    ("amr-crcl", "random masks, growing ratio, attention loss"),
    ("l2+arl", "mps-amr with the attention loss (Table 5)"),
    ("l2+ccl", "mps-amr with the consistency loss (Table 5)"),
    ("random", "amlp with random masks (Table 4)"),
    ("lesion-first", "amlp (Table 4)"),
    ("background-first", "amlp with background patches first (Table 4)"),
    ("kmeans", "amlp (Table 6)"),
    ("agglomerative", "amlp with agglomerative clustering (Table 6)"),
    ("tsne", "amlp with t-SNE and k-means (Table 6)"),
    ("dbscan", "amlp with DBSCAN (Table 6)"),
    ("simmim", "SimMIM: mask token on 60 % of 32 px units, pixel head on the encoder (Table 1)"),
];

/// Names of the fine-tuning presets and what each is.
pub const FINETUNE_PRESETS: &[(&str, &str)] = &[
    ("finetune", "at least 400 steps at 1e-2, 30 % slices without lesion, flips, rotation, scaling, intensity"),
    ("paper", "the paper's: 70 epochs at 1e-4, slices with lesion only, no augmentation"),
];

/// The fine-tuning of a preset's name.
///
/// # Errors
/// A name that is no preset.
pub fn finetune_preset(name: &str) -> Result<Config> {
    let fresh = Config::finetune();
    let labels = match name {
        "finetune" => return Ok(fresh),
        "paper" => LabelConfig {
            negative_slices: 0.0,
            flip: false,
            rotate_deg: 0.0,
            scale: 0.0,
            intensity: 0.0,
            ..fresh.labels
        },
        _ => {
            let names: Vec<&str> = FINETUNE_PRESETS.iter().map(|(name, _)| *name).collect();
            return Err(Error::config("preset", name, format!("choose one of {}", names.join(", "))));
        }
    };
    Ok(Config { preset: name.into(), training: TrainingConfig::paper_finetuning(), labels, ..fresh })
}

/// Modalities in which the brighter cluster without air holds most lesion patches, as measured on labelled training
/// cohorts (gliomas, sarcomas): there `amlp-plus` leaves the paper's rule.
const BRIGHT_LESIONS: &[&str] = &["flair", "t2", "pet", "pt"];

/// The pre-training settings of a preset; `modalities` matter to `amlp-plus` only.
pub fn preset(name: &str, modalities: &[String]) -> Result<Config> {
    let method = method(name, modalities).ok_or_else(|| {
        let names: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
        Error::config("preset", name, format!("use {}", names.join(", ")))
    })?;
    let mut config = Config { preset: name.into(), method, ..Config::default() };
    config.data.modality = modalities.to_vec();
    Ok(config)
}

fn method(name: &str, modalities: &[String]) -> Option<MethodConfig> {
    let amlp = MethodConfig::default();
    let without_crcl =
        MethodConfig { attention: Attention::Off, consistency: Consistency::Off, relabel: false, ..amlp.clone() };
    let fixed = MaskRatio::fixed(0.75);
    let base = MethodConfig { order: Order::Random, ratio: fixed.clone(), ..without_crcl.clone() };
    Some(match name {
        "amlp" | "lesion-first" | "kmeans" => amlp,
        "amlp-plus" => plus(amlp, modalities),
        "base" | "mae" | "l2" => base,
        "mps" => MethodConfig { ratio: fixed, ..without_crcl },
        "amr" => MethodConfig { order: Order::Random, ..without_crcl },
        "mps-amr" => without_crcl,
        // Without MPS there are no categories: the consistency loss is left out (4.8.3).
        "crcl" => MethodConfig { attention: Attention::Weighted, ..base },
        "crcl-kmeans-labels" => {
            MethodConfig { attention: Attention::Weighted, consistency: Consistency::Logit, relabel: true, ..base }
        }
        "amr-crcl" => MethodConfig { order: Order::Random, attention: Attention::Weighted, ..without_crcl },
        "mps-crcl" => MethodConfig { ratio: fixed, ..amlp },
        "l2+arl" => MethodConfig { attention: Attention::Weighted, ..without_crcl },
        "l2+ccl" => MethodConfig { attention: Attention::Off, ..amlp },
        "random" => MethodConfig { order: Order::Random, ..amlp },
        "background-first" => MethodConfig { order: Order::BackgroundFirst, ..amlp },
        "agglomerative" => clustered(amlp, Method::Agglomerative),
        "tsne" => clustered(amlp, Method::Tsne),
        "dbscan" => clustered(amlp, Method::Dbscan),
        "simmim" => MethodConfig { pretext: Pretext::SimMim, ..amlp },
        _ => return None,
    })
}

fn plus(mut method: MethodConfig, modalities: &[String]) -> MethodConfig {
    if modalities.first().is_some_and(|m| BRIGHT_LESIONS.contains(&m.as_str())) {
        method.cluster.foreground = ForegroundRule::Brighter;
        method.cluster.tissue_only = true;
    }
    method
}

fn clustered(mut method: MethodConfig, by: Method) -> MethodConfig {
    method.cluster.method = by;
    method
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::config::Schedule;

    #[test]
    fn every_named_preset_exists_and_can_be_trained_with() {
        for (name, _) in PRESETS {
            preset(name, &["flair".into()]).unwrap().validate().unwrap();
        }
        assert!(preset("simclr2", &[]).unwrap_err().to_string().contains("amlp-plus"));
    }

    /// Section 4.1 keeps slices with lesion only, and section 4.4 names no augmentation.
    #[test]
    fn the_papers_fine_tuning_has_its_schedule_and_neither_negatives_nor_augmentation() {
        let paper = finetune_preset("paper").unwrap();
        let LabelConfig { negative_slices, flip, rotate_deg, scale, intensity, .. } = paper.labels;
        assert_eq!((flip, [negative_slices, rotate_deg, scale, intensity]), (false, [0.0; 4]));
        let TrainingConfig { epochs, steps, min_steps, batch, lr, warmup, weight_decay, .. } = paper.training;
        assert_eq!((paper.preset.as_str(), epochs, steps, min_steps, batch), ("paper", 70, 0, 0, 56));
        assert_eq!(([lr, warmup, weight_decay], paper.training.schedule), ([1e-4, 0.0, 1e-4], Schedule::Cosine));
        assert!(finetune_preset("papers").unwrap_err().to_string().contains("finetune, paper"));
    }

    #[test]
    fn presets_differ_where_their_names_say() {
        let of = |name| preset(name, &["flair".into()]).unwrap().method;
        assert_eq!(of("base").order, Order::Random);
        assert_eq!(of("base").consistency, Consistency::Off);
        assert_eq!(of("mps-amr").ratio, of("amlp").ratio);
        assert_ne!(of("mps").ratio, of("amlp").ratio);
        assert_eq!(of("amlp-plus").cluster.foreground, ForegroundRule::Brighter);
        let t1 = preset("amlp-plus", &["t1".into()]).unwrap().method;
        assert_eq!(t1.cluster.foreground, ForegroundRule::Minority);
    }
}
