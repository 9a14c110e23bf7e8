//! Named settings: the comparisons of the paper (Tables 3 to 6), its related work, and the recipe `amlp-plus`.

use super::{Config, LabelConfig, MethodConfig, Number, Pretext, TrainingConfig};
use crate::cluster::{ForegroundRule, Method};
use crate::pretrain::amlp::amr::MaskRatio;
use crate::pretrain::amlp::arl::Attention;
use crate::pretrain::amlp::ccl::Consistency;
use crate::pretrain::amlp::choice::ForegroundChoice;
use crate::pretrain::amlp::mps::Order;
use crate::{Error, Result};

/// A named set of pre-training settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Name for `--preset`.
    pub name: &'static str,
    /// The method.
    pub pretext: Pretext,
    /// The group it is listed in.
    pub family: Family,
    /// Description in one line.
    pub what: &'static str,
    /// Method, adaptations to slices and the U-Net ("Here ..."), and what is transferred.
    pub about: &'static str,
    /// The paper that describes it.
    pub citation: &'static str,
}

/// A group of presets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The paper's method and its ablations.
    Amlp,
    /// Methods that compare views of slices.
    Contrastive,
    /// Methods that reconstruct masked slices.
    Masked,
    /// Masked methods that the paper names as related work.
    Related,
}

impl Family {
    /// All families in display order.
    pub const ALL: [Self; 4] = [Self::Contrastive, Self::Masked, Self::Amlp, Self::Related];

    /// Display name.
    pub fn title(self) -> &'static str {
        match self {
            Self::Amlp => "AMLP and ablations",
            Self::Contrastive => "Contrastive",
            Self::Masked => "Masked image",
            Self::Related => "Related work",
        }
    }

    /// The presets of this family.
    pub fn presets(self) -> impl Iterator<Item = &'static Preset> {
        PRESETS.iter().filter(move |preset| preset.family == self)
    }
}

impl Preset {
    /// The preset with this name, including registered methods.
    ///
    /// # Errors
    /// An unknown name.
    pub fn named(name: &str) -> Result<&'static Self> {
        let all = || PRESETS.iter().chain(crate::pretrain::registered());
        all().find(|preset| preset.name == name).ok_or_else(|| {
            let names: Vec<&str> = all().map(|preset| preset.name).collect();
            Error::config("preset", name, format!("use {}", names.join(", ")))
        })
    }
}

const fn amlp(name: &'static str, what: &'static str) -> Preset {
    Preset {
        name,
        pretext: Pretext::Amlp,
        family: Family::Amlp,
        what,
        about: "AMLP reconstructs masked patches: likely lesion patches are masked first (MPS), at a ratio that \
                grows with the epochs (AMR), with weights by relative loss (ARL) and labels that are corrected by \
                the loss (CCL). Its ablations omit parts of it, and where the paper is ambiguous, the manual names \
                the reading used and the option for the other one. Encoder and decoder are transferred.",
        citation: "Wang et al., AMLP: Adaptive Masking Lesion Patches for Self-supervised Medical Image Segmentation, 2023 \
                   (arXiv 2309.04312)",
    }
}

const fn mae() -> Preset {
    Preset {
        name: "mae",
        pretext: Pretext::Amlp,
        family: Family::Masked,
        what: "random masks at 75 %, reconstruction only; same as base",
        about: "MAE masks 75 % of the patches at random and minimises the mean squared error of the masked pixels. \
                Here masked patches are set to 0 under a U-Net, which processes every position, so the original's \
                speed-up from dropping masked tokens is lost. Encoder and decoder are transferred.",
        citation: "He et al., Masked Autoencoders Are Scalable Vision Learners, CVPR 2022",
    }
}

/// The pre-training presets, family by family.
pub const PRESETS: &[Preset] = &[
    amlp("amlp", "the paper's method: MPS, AMR, ARL and CCL"),
    amlp("amlp-plus", "larger patches, likely lesions preferred, at most 75 %, reconstruction only"),
    amlp("base", "random masks at 75 %, reconstruction only (Table 3; l2 in Table 5)"),
    amlp("l2", "same as base"),
    amlp("mps", "lesion patches first, at 75 %"),
    amlp("amr", "random masks, growing ratio"),
    amlp("crcl", "random masks at 75 %, attention loss"),
    amlp("crcl-kmeans-labels", "crcl with the consistency loss on k-means labels"),
    amlp("mps-amr", "lesion patches first, growing ratio"),
    amlp("mps-crcl", "lesion patches first at 75 %, attention and consistency losses"),
    amlp("amr-crcl", "random masks, growing ratio, attention loss"),
    amlp("l2+arl", "mps-amr with the attention loss (Table 5)"),
    amlp("l2+ccl", "mps-amr with the consistency loss (Table 5)"),
    amlp("random", "amlp with random masks (Table 4)"),
    amlp("lesion-first", "amlp (Table 4)"),
    amlp("background-first", "amlp with background patches first (Table 4)"),
    amlp("kmeans", "amlp (Table 6)"),
    amlp("agglomerative", "amlp with agglomerative clustering (Table 6)"),
    amlp("tsne", "amlp with t-SNE and k-means (Table 6)"),
    amlp("dbscan", "amlp with DBSCAN (Table 6)"),
    mae(),
    crate::pretrain::masked::simmim::PRESET,
    crate::pretrain::masked::maskfeat::PRESET,
    crate::pretrain::masked::conv_mae::PRESET,
    crate::pretrain::masked::um_mae::PRESET,
    crate::pretrain::masked::fre_mae::PRESET,
    crate::pretrain::masked::context_encoder::PRESET,
    crate::pretrain::masked::beit::PRESET,
    crate::pretrain::masked::bootmae::PRESET,
    crate::pretrain::masked::hpm::PRESET,
    crate::pretrain::masked::attmask::PRESET,
    crate::pretrain::views::simclr::PRESET,
    crate::pretrain::views::moco::PRESET,
    crate::pretrain::views::byol::PRESET,
    crate::pretrain::views::swav::PRESET,
];

/// Names and descriptions of the fine-tuning presets.
pub const FINETUNE_PRESETS: &[(&str, &str)] = &[
    ("finetune", "at least 400 steps at 1e-2, 30 % slices without lesion, augmentation"),
    ("paper", "as in the paper: 70 epochs at 1e-4, only slices with lesion, no augmentation"),
];

/// The fine-tuning settings of a preset.
///
/// # Errors
/// An unknown name.
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

/// The pre-training settings of a preset, for these modalities.
pub fn preset(name: &str, modalities: &[String]) -> Result<Config> {
    let Preset { pretext, .. } = *Preset::named(name)?;
    let method = if pretext == Pretext::Amlp {
        method(name)
    } else {
        let numbers = Number::defaults(crate::pretrain::numbers(pretext));
        MethodConfig { pretext, numbers, ..MethodConfig::default() }
    };
    let mut config = Config { preset: name.into(), method, ..Config::default() };
    config.data.modality = modalities.to_vec();
    Ok(config)
}

/// The settings of AMLP or an ablation.
fn method(name: &str) -> MethodConfig {
    let amlp = MethodConfig::default();
    let without_crcl =
        MethodConfig { attention: Attention::Off, consistency: Consistency::Off, relabel: false, ..amlp.clone() };
    let fixed = MaskRatio::fixed(0.75);
    let base = MethodConfig { order: Order::Random, ratio: fixed.clone(), ..without_crcl.clone() };
    match name {
        "amlp-plus" => plus(without_crcl),
        "base" | "mae" | "l2" => base,
        "mps" => MethodConfig { ratio: fixed, ..without_crcl },
        "amr" => MethodConfig { order: Order::Random, ..without_crcl },
        "mps-amr" => without_crcl,
        // Without MPS there are no categories, so there is no consistency loss (4.8.3).
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
        // amlp, lesion-first, kmeans.
        _ => amlp,
    }
}

/// The recipe `amlp-plus`; see "The recipe" in the manual. It needs no lesion labels.
fn plus(mut method: MethodConfig) -> MethodConfig {
    method.grid = 8;
    method.foreground_choice = ForegroundChoice::Variance;
    method.cluster.foreground = ForegroundRule::Brighter;
    method.cluster.tissue_only = true;
    method.ratio.sigma_max = 0.75;
    method.mask.temperature = 10.0;
    method.mask.hints = 0.2;
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
    fn every_preset_has_valid_settings() {
        for Preset { name, .. } in PRESETS {
            preset(name, &["flair".into()]).unwrap().validate().unwrap();
        }
        assert!(preset("simclr2", &[]).unwrap_err().to_string().contains("amlp-plus"));
    }

    /// A name that `method` does not match would silently train as amlp.
    #[test]
    fn every_ablation_differs_from_amlp() {
        let of = |name: &str| preset(name, &["t1".into()]).unwrap().method;
        let same = ["lesion-first", "kmeans"];
        for Preset { name, .. } in Family::Amlp.presets().filter(|preset| preset.name != "amlp") {
            assert_eq!(of(name) == of("amlp"), same.contains(name), "{name}");
        }
    }

    #[test]
    fn every_preset_says_in_three_sentences_what_it_is_what_is_adapted_and_what_is_transferred() {
        for preset in PRESETS {
            let adaptations = if preset.family == Family::Amlp { ". Its ablations" } else { ". Here " };
            assert_eq!(preset.about.matches(adaptations).count(), 1, "{}: {adaptations}", preset.name);
            let sentences = preset.about.matches(". ").count() + 1;
            assert_eq!(sentences, 3, "{}: {}", preset.name, preset.about);
            assert!(preset.about.ends_with(" transferred."), "{}", preset.name);
            assert!(preset.citation.contains("20") && !preset.what.ends_with('.'), "{}", preset.name);
        }
        let listed: usize = Family::ALL.into_iter().map(|family| family.presets().count()).sum();
        assert_eq!(listed, PRESETS.len());
    }

    /// Section 4.1 keeps slices with lesion only, and section 4.4 names no augmentation.
    #[test]
    fn the_paper_preset_has_no_negatives_and_no_augmentation() {
        let paper = finetune_preset("paper").unwrap();
        let LabelConfig { negative_slices, flip, rotate_deg, scale, intensity, .. } = paper.labels;
        assert_eq!((flip, [negative_slices, rotate_deg, scale, intensity]), (false, [0.0; 4]));
        let TrainingConfig { epochs, steps, min_steps, batch, lr, warmup, weight_decay, .. } = paper.training;
        assert_eq!((paper.preset.as_str(), epochs, steps, min_steps, batch), ("paper", 70, 0, 0, 56));
        assert_eq!(([lr, warmup, weight_decay], paper.training.schedule), ([1e-4, 0.0, 1e-4], Schedule::Cosine));
        assert!(finetune_preset("papers").unwrap_err().to_string().contains("finetune, paper"));
    }

    #[test]
    fn ablations_change_only_their_part_of_the_method() {
        let of = |name| preset(name, &["flair".into()]).unwrap().method;
        assert_eq!(of("base").order, Order::Random);
        assert_eq!(of("base").consistency, Consistency::Off);
        assert_eq!(of("mps-amr").ratio, of("amlp").ratio);
        assert_ne!(of("mps").ratio, of("amlp").ratio);
        assert_eq!(of("amlp-plus").foreground_choice, ForegroundChoice::Variance);
    }
}
