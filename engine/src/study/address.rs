//! Names of run folders. A name is a digest of the run's settings and split, so that equal runs are shared.

use std::path::PathBuf;

use crate::cohort::split::Split;
use crate::config::Config;
use crate::disk::atomic::sha256;
use crate::event::Stage;
use crate::run::diff_config;
use crate::{Error, Result};

/// Settings that do not affect the result: those of the machine, and the name of the preset.
const NO_IDENTITY: [&str; 5] = ["preset: ", "device: ", "threads: ", "data.cache: ", "data.memory_mib: "];

/// Name of the folder of a run: stage, seed, and a digest of the settings that differ from the stage's defaults and of the
/// split. Settings that later versions add do not change it as long as they keep their defaults.
///
/// # Errors
/// Settings or a split that cannot be serialised.
pub fn run_name(config: &Config, split: &Split) -> Result<String> {
    let (stage, defaults) = match config.stage {
        Stage::Pretrain => ("pretrain", Config::default()),
        Stage::Finetune => ("finetune", Config::finetune()),
    };
    let mut own = config.clone();
    // The name of the pre-training run identifies it; the study's location does not matter.
    own.labels.from = config.labels.from.file_name().map(PathBuf::from).unwrap_or_default();
    let value = |config: &Config| toml::Value::try_from(config).map_err(|e| Error::config("config", "", e.to_string()));
    let mut settings = diff_config(&value(&defaults)?, &value(&own)?);
    settings.retain(|line| !NO_IDENTITY.iter().any(|name| line.starts_with(name)));
    let digest = sha256(format!("{}\n{}", settings.join("\n"), split.to_json()?).as_bytes());
    Ok(format!("{stage}-seed{}-{}", config.seed, &digest[..12]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_name_depends_only_on_settings_that_affect_the_result() {
        let split = Split::draw(&[("A".into(), Some(1.0)), ("B".into(), Some(2.0)), ("C".into(), Some(3.0))], 1);
        let name = |config: &Config| run_name(config, &split).unwrap_or_default();
        let of = |preset: &str| crate::config::preset(preset, &["pet".into()]).unwrap_or_default();
        let base = name(&of("base"));
        assert!(base.starts_with("pretrain-seed0-"), "{base}");
        assert_eq!([name(&of("mae")), name(&of("l2"))], [base.clone(), base.clone()]);
        assert_ne!(name(&of("amlp")), base);
        let with = |change: &dyn Fn(&mut Config)| {
            let mut config = of("base");
            change(&mut config);
            name(&config)
        };
        assert_eq!(with(&|config| config.threads = 3), base);
        assert_eq!(with(&|config| config.data.cache = "elsewhere".into()), base);
        let changes: [&dyn Fn(&mut Config); 5] = [
            &|config| config.seed = 1,
            &|config| config.training.lr *= 2.0,
            &|config| config.training.micro_batch = 4,
            &|config| config.method.grid = 8,
            &|config| config.data.cohort = "other".into(),
        ];
        assert!(changes.iter().all(|change| with(change) != base));
        let other = Split { seed: 2, ..split.clone() };
        assert_ne!(run_name(&of("base"), &other).unwrap_or_default(), base);
        let moved = |folder: &str| {
            let mut config = Config::finetune();
            config.labels.from = folder.into();
            name(&config)
        };
        assert_eq!(moved("here/pretrain-seed0-1"), moved("there/pretrain-seed0-1"));
        assert_ne!(moved("here/pretrain-seed0-1"), moved("here/pretrain-seed0-2"));
    }
}
