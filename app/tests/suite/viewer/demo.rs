//! The demo, with very short runs.

use std::time::{Duration, Instant};

use amlp_viewer::Args;
use amlp_viewer::state::Mode;
use engine::event::Stage;
use engine::run::history::RunState;

use crate::window::*;

#[test]
fn the_demo_pretrains_relabels_finetunes_segments_and_compares() {
    let workspace = tempfile::tempdir().unwrap();
    let args =
        Args { demo: true, demo_steps: Some(40), workspace: Some(workspace.path().to_path_buf()), ..Args::default() };
    let mut window = start(&args, SIZE, None);
    let begin = Instant::now();
    let mut labels_seen = std::collections::BTreeSet::new();
    while !window.state().is_idle() {
        window.step();
        let now = state(&window);
        if let (Some(run), Some(pin)) = (&now.cache.timeline.pretrain, &now.session.timeline.pin) {
            labels_seen.extend(run.history.probes.get(pin).into_iter().flatten().copied());
        }
        assert_eq!(errors(&window), [""; 0]);
        assert!(begin.elapsed() < Duration::from_mins(5), "{:?}", state(&window).jobs);
        std::thread::sleep(Duration::from_millis(2));
    }
    let timeline = &state(&window).cache.timeline;
    for stage in [Stage::Pretrain, Stage::Finetune] {
        let run = timeline.track(stage).expect("both runs are on the timeline");
        assert_eq!(run.history.state, RunState::Finished, "{stage:?}");
        assert!(run.path.starts_with(workspace.path()));
    }
    let pretraining = &timeline.track(Stage::Pretrain).unwrap().history;
    assert!(!pretraining.relabels.is_empty(), "labels were updated");
    assert!(!labels_seen.is_empty(), "a slice was pinned and seen while it trained");
    assert!(
        !timeline.track(Stage::Finetune).unwrap().history.validations.is_empty(),
        "a Dice was seen while it trained"
    );
    assert!(
        timeline.track(Stage::Finetune).unwrap().pins.contains(state(&window).session.timeline.pin.as_ref().unwrap())
    );
    assert_eq!(state(&window).session.mode, Mode::Review);
    let document = document(&window);
    assert!(document.segmentation().is_some() && document.is_unsaved() && document.comparison.is_some());
    assert!(report(&window).metrics.is_some_and(|m| m.dsc > 0.0 && m.dsc <= 1.0));
}
