//! Tests of the configuration and its file.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn config() -> Config {
    let mut config = Config::default();
    config.data.modality = vec!["flair".into()];
    config
}

#[test]
fn a_configuration_round_trips_through_its_file() {
    for config in [config(), Config { data: config().data, ..Config::finetune() }] {
        let text = config.to_toml().unwrap();
        assert_eq!(Config::from_toml(&text, Path::new("config.toml")).unwrap(), config);
    }
}

#[test]
fn a_portable_configuration_has_no_paths_devices_or_patients() {
    let mut local = config();
    local.data.cohort = "some/cohort".into();
    local.data.cache = "some/cache".into();
    local.labels.from = "some/run".into();
    local.method.probes = vec!["some patient:3".into()];
    (local.device, local.threads) = ("cuda:3,cuda:4".parse().unwrap(), 7);
    local.training.lr = 0.25;
    let text = local.portable().to_toml().unwrap();
    assert!(!text.contains("some") && !text.contains("cuda"), "{text}");
    let read = Config::from_toml(&text, Path::new("config.toml")).unwrap();
    assert_eq!(read, Config { training: local.training, ..config() });
}

#[test]
fn every_default_is_written_out() {
    let text = config().to_toml().unwrap();
    for key in ["sigma_0", "temperature", "weight_decay", "percentiles", "anchor", "n_init", "validate_every"] {
        assert!(text.contains(key), "{key} is absent from\n{text}");
    }
}

#[test]
fn a_truncated_file_is_an_error() {
    let text = config().to_toml().unwrap();
    let last = text.find("[labels]").unwrap();
    for end in (0..last).filter(|&end| text.is_char_boundary(end)) {
        let error = Config::from_toml(&text[..end], Path::new("config.toml")).unwrap_err().to_string();
        assert!(error.starts_with("config.toml: ") && !error.contains('\n'), "cut at {end}: {error}");
    }
    let wrong = text.replace("size = 160", "size = 150");
    let error = Config::from_toml(&wrong, Path::new("config.toml")).unwrap_err().to_string();
    assert!(error.starts_with("config.toml: preprocess.size = 150"), "{error}");
}

#[test]
fn an_overlay_changes_only_the_settings_it_names() {
    let path = Path::new("x.toml");
    let over = config().overlay("[training]\nlr = 0.003\n", path).unwrap();
    assert!((over.training.lr - 0.003).abs() < 1e-12);
    assert_eq!(Config { training: config().training, ..over }, config());
    assert!(config().overlay("[training]\nlearning = 1\n", path).unwrap_err().to_string().contains("learning"));
}

#[test]
fn a_syntax_error_names_its_line() {
    let error = Config::from_toml("x = 1\ny = [1,\nz 3", Path::new("config.toml")).unwrap_err().to_string();
    assert!(error.contains("line 3") && error.lines().count() == 1, "{error}");
}

/// The error was "invalid type: string, expected usize", without the setting.
#[test]
fn an_error_names_the_setting_and_what_is_expected() {
    for (text, expected) in [
        (
            "[training]\nepochs = \"three\"\n",
            "x.toml: training.epochs: invalid type: string \"three\", expected a whole number, 0 or more",
        ),
        ("[training]\nlr = true\n", "x.toml: training.lr: invalid type: boolean `true`, expected a number"),
        ("[training]\nepocs = 3\n", "x.toml: training: unknown key `epocs`, expected one of `epochs`"),
        ("[training]\nschedule = \"cosin\"\n", "x.toml: training.schedule: unknown value `cosin`, expected `constant`"),
        ("[method.mask]\nunits = 3\n", "x.toml: method.mask: unknown key `units`"),
        ("epochs = 3\n", "x.toml: unknown key `epochs`"),
        ("training = 3\n", "x.toml: training: invalid type: integer `3`, expected a group of keys"),
    ] {
        let error = config().overlay(text, Path::new("x.toml")).unwrap_err().to_string();
        assert!(error.starts_with(expected) && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn another_format_version_is_an_error() {
    let text = config().to_toml().unwrap().replace("version = 1", "version = 9");
    let error = Config::from_toml(&text, Path::new("config.toml")).unwrap_err().to_string();
    assert!(error.contains("version 9, but this program reads 1"), "{error}");
}

#[test]
fn validation_names_the_unusable_setting() {
    let mut wrong = config();
    wrong.preprocess.size = 150;
    assert!(wrong.validate().unwrap_err().to_string().starts_with("preprocess.size"));
    let mut wrong = config();
    wrong.training.lr = f64::NAN;
    assert!(wrong.validate().unwrap_err().to_string().starts_with("training.lr"));
}

#[test]
fn a_file_without_a_label_draw_means_stratified() {
    let text = config().to_toml().unwrap();
    let old = text.replace("draw = \"random\"\n", "");
    assert_ne!(old, text);
    assert_eq!(Config::from_toml(&old, Path::new("config.toml")).unwrap().labels.draw, LabelDraw::Stratified);
    assert_eq!(Config::from_toml(&text, Path::new("config.toml")).unwrap().labels.draw, LabelDraw::Random);
}

/// New settings default to the behaviour of earlier versions.
#[test]
fn a_file_without_the_newer_settings_is_read_with_their_defaults() {
    let mut changed = config();
    changed.method.mask.temperature = 3.0;
    changed.method.loss.normalised = true;
    changed.method.consistency = Consistency::Off;
    changed.method.augment.flip = true;
    (changed.method.validate_every, changed.training.ema_decay, changed.labels.norm_batches) = (3, 0.9, 2);
    let value = |config: &Config| toml::Value::try_from(config).unwrap();
    let differences = crate::run::diff_config(&value(&config()), &value(&changed)).join("\n");
    for name in
        ["method.mask.temperature: ", "method.loss.normalised: ", "method.augment.flip: ", "labels.norm_batches: "]
    {
        assert!(differences.contains(name), "{name} is not in\n{differences}");
    }
    let text = config().to_toml().unwrap();
    let new = ["[method.mask]", "[method.loss]", "[method.augment]"];
    let sections = text.split("\n[").map(str::to_owned);
    let old: Vec<String> =
        sections.filter(|s| !new.iter().any(|new| new[1..].starts_with(s.lines().next().unwrap_or("-")))).collect();
    let settings = [
        "clip_norm",
        "layer_decay",
        "ema_decay",
        "min_tissue",
        "encoder_only",
        "norm_batches",
        "validate_every = 0",
        "foreground_choice",
    ];
    let old = old.join("\n[");
    let old: Vec<&str> = old.lines().filter(|line| !settings.iter().any(|s| line.starts_with(s))).collect();
    let old = old.join("\n");
    assert!(!old.contains("unit_px") && !old.contains("clip_norm") && old.contains("[method.ratio]"), "{old}");
    assert_eq!(Config::from_toml(&old, Path::new("config.toml")).unwrap(), config());
}

/// Retired settings do not prevent reading old runs.
#[test]
fn retired_settings_are_ignored_in_stored_files_and_refused_in_overlays() {
    let text = config().to_toml().unwrap();
    let text = text.replace("[training]\n", "[training]\nread_every = 10\n");
    let text = text.replace("[network]\n", "[network]\nlearned_fill = true\n");
    assert_eq!(Config::from_toml(&text, Path::new("config.toml")).unwrap(), config());
    assert!(config().overlay("[training]\nread_every = 3\n", Path::new("x.toml")).is_err());
}
