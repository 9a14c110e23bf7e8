//! Runs of methods other than AMLP on the Watch page: their losses, diagnostics and pictures.

use std::path::{Path, PathBuf};

use amlp_viewer::command::{Command, TimelineCommand};
use amlp_viewer::state::State;
use amlp_viewer::state::timeline::{Layer, WatchView};
use amlp_viewer::state::train::export::curves_csv;
use egui_kittest::kittest::Queryable as _;
use engine::config::preset;
use engine::device::Compute;
use engine::event::{Control, Event, Stage};
use engine::jobs::{PretrainJob, Start};
use engine::preprocess::Spacing;
use engine::probe::{PictureKind, Pin};
use tempfile::TempDir;

use super::replay::args_of;
use crate::window::*;

const PIN: &str = "STS_001:16";

/// A run of two epochs on the sample study with a pinned slice.
fn run_of(name: &str, folder: &TempDir) -> PathBuf {
    let mut config = preset(name, &["pet".into()]).unwrap();
    config.data.cohort = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/sample");
    (config.preprocess.spacing, config.preprocess.size) = (Spacing::Native, 32);
    config.network.width = 4;
    (config.training.epochs, config.training.batch, config.training.every_slice) = (2, 16, 4);
    config.method.probes = vec![PIN.into()];
    let run = folder.path().join(name);
    let control = Control::default();
    let mut job = PretrainJob::prepare(config, &run, Start::default(), &control, &mut |_, _| {}).unwrap();
    job.train(&Compute::cpu(), &mut |_: &Event| Ok(()), &control).unwrap();
    run
}

fn kind(state: &State) -> PictureKind {
    let run = state.watched_run().unwrap();
    let key = state.record_key(run, run.last()).unwrap();
    state.cache.timeline.probes.record(&key).unwrap().as_ref().unwrap().record.kind
}

#[test]
fn every_kind_of_method_shows_its_losses_diagnostics_and_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let diagnostics = ["Loss ratio", "Accuracy", "Embedding SD", "Effective rank"];
    let of = [
        ("simclr", "Views", PictureKind::Views, &diagnostics[..], "L_pred", false),
        ("maskfeat", "Oriented gradients", PictureKind::Gradients, &diagnostics[..1], "L_hog", true),
        ("beit-v2", "Codes", PictureKind::Codes, &["Loss ratio", "Code perplexity", "Code accuracy"], "L_ce", true),
    ];
    for (name, title, shown, diagnostics, part, has_patches) in of {
        let run = run_of(name, &folder);
        let mut window = open(&args_of(&run, None));
        assert_eq!(errors(&window), Vec::<String>::new(), "{name}");
        assert_eq!(state(&window).session.timeline.pin, Some(PIN.parse::<Pin>().unwrap()));
        assert_eq!(kind(state(&window)), shown, "{name}");
        assert!(has(&window, title), "{name} has no picture {title}");
        assert_eq!(has(&window, "Input"), has_patches, "{name}");
        assert_eq!(has(&window, "Show masked"), has_patches, "{name}: a layer without patches");
        for other in ["Reconstruction", "Relative loss", "Label update", "Entropy", "Before", "Show digits"] {
            assert!(!has(&window, other), "{name} shows {other}");
        }
        assert_eq!(window.query_by_label_contains(part).is_some(), part != "L_pred", "{name}: {part}");
        assert!(has(&window, "Losses over the epochs") && has(&window, "Loss ratio over the epochs"), "{name}");
        let open_run = state(&window).watched_run().unwrap();
        for layer in [Layer::Labels, Layer::Digits, Layer::Flips, Layer::Coins] {
            assert!(!layer.belongs_to(open_run), "{name}");
        }
        let csv = curves_csv(&[open_run]);
        let head = csv.lines().next().unwrap().to_owned();
        send(&mut window, Command::Timeline(TimelineCommand::Show(WatchView::Curves)));
        for diagnostic in diagnostics {
            assert!(has(&window, &format!("{diagnostic} over the epochs")), "{name}: no chart of {diagnostic}");
            let labels = window.query_all_by_label_contains(&format!("{diagnostic} ")).count();
            assert_eq!(labels, 2, "{name}: a chart and a number of {diagnostic}");
        }
        assert!(
            head.contains("loss_ratio") && head.contains(&part.replace("L_", "loss_")) == (part != "L_pred"),
            "{head}"
        );
        assert!(!has(&window, "Masking ratio over the epochs"));
        // Its pages have no other problem.
        for view in WatchView::ALL {
            send(&mut window, Command::Timeline(TimelineCommand::Show(view)));
            let set = TimelineCommand::SetEpoch { stage: Stage::Pretrain, epoch: 1 };
            send(&mut window, Command::Timeline(set));
            assert_eq!(errors(&window), Vec::<String>::new(), "{name} {}", view.name());
        }
    }
}
