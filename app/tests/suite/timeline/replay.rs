//! Recorded runs: scrubbing, playing, comparing, the command line, and damaged folders.

use std::path::Path;

use amlp_viewer::Args;
use amlp_viewer::args::ModeArg;
use amlp_viewer::command::{Command, TimelineCommand};
use amlp_viewer::state::timeline::{Layer, OpenRun, WatchView};
use egui::Key;
use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use engine::event::Stage;
use engine::probe;
use engine::volume::{Grid, Volume, nifti};
use serde_json::Value;

use super::record::{copied, folder};
use crate::window::*;

/// A command line that opens a run in Train mode.
pub fn args_of(run: &Path, epoch: Option<usize>) -> Args {
    Args { run: Some(run.to_path_buf()), mode: ModeArg::Train, epoch, ..Args::default() }
}

/// The log lines of one kind and epoch, without fields that are not shown.
fn logged(run: &Path, kind: &str, epoch: usize) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let wanted = lines.filter(|line| line["event"] == kind && line["epoch"] == epoch);
    wanted
        .map(|mut line| {
            let fields = line.as_object_mut().unwrap();
            fields.retain(|key, _| key != "event" && key != "t" && key != "seq");
            line
        })
        .collect()
}

fn epoch(window: &Window) -> usize {
    state(window).watched_run().unwrap().epoch().unwrap()
}

#[test]
fn an_epoch_opened_from_the_command_line_matches_the_log() {
    for (name, stage, epochs) in [("pretrain", Stage::Pretrain, [1, 6, 12]), ("finetune", Stage::Finetune, [1, 2, 8])] {
        let run = folder(name);
        for epoch in epochs {
            let window = open(&args_of(&run, Some(epoch)));
            assert!(errors(&window).is_empty(), "{:?}", errors(&window));
            let shown = serde_json::to_value(report(&window).run.unwrap()).unwrap();
            assert_eq!(shown["folder"], run.display().to_string());
            assert_eq!((&shown["stage"], &shown["epoch"]), (&Value::from(name), &Value::from(epoch)));
            assert_eq!((&shown["epochs"], &shown["finished"]), (&shown["epochs_done"], &Value::Bool(true)));
            for (key, kind) in [("summary", "epoch"), ("relabel", "relabel"), ("validation", "validation")] {
                let expected = logged(&run, kind, epoch).pop().unwrap_or(Value::Null);
                assert_eq!(shown[key], expected, "{name} {epoch} {kind}");
            }
            let pin = state(&window).session.timeline.pin.clone().unwrap();
            let line = logged(&run, "probe", epoch).into_iter().find(|line| line["case"] == pin.case).unwrap();
            let record = probe::read(&run, &pin, stage, epoch).unwrap();
            let probe = &shown["probe"];
            for key in ["case", "slice", "trained", "before", "after", "cases"] {
                assert_eq!(probe[key], line[key], "{name} {epoch} {key}");
            }
            assert_eq!(probe["masked"], serde_json::to_value(&record.masked).unwrap());
            assert_eq!(probe["coins"], serde_json::to_value(&record.coins).unwrap());
            assert_eq!(probe["losses"], serde_json::to_value(&record.losses).unwrap());
            assert_eq!(probe["relative"], serde_json::to_value(&record.relative).unwrap());
        }
    }
}

#[test]
fn the_line_about_a_patch_covers_no_patch() {
    let mut window = start(&args_of(&folder("pretrain"), Some(12)), [1280.0, 800.0], None);
    settle(&mut window);
    for view in [WatchView::Probe, WatchView::Compare, WatchView::Sheet] {
        send(&mut window, Command::Timeline(TimelineCommand::Show(view)));
        let panes = window.query_all_by_role(Role::Canvas);
        let named = panes.filter(|node| node.accesskit_node().label().is_some_and(|label| label.contains("epoch")));
        let panes: Vec<egui::Rect> = named.map(|node| node.rect()).collect();
        assert!(!panes.is_empty(), "{view:?}");
        for pane in panes {
            // Above the lower edge of the picture, for any margin.
            let side = pane.width().min(pane.height());
            window.hover_at(pane.center() + egui::vec2(0.0, side / 2.0 - 0.1 * side - 2.0));
            window.run_steps(2);
            let note = window.get_by_label_contains("Patch R-L").rect();
            assert!(note.top() >= pane.bottom() - 0.5, "{view:?}: {note} over {pane}");
        }
        window.hover_at(egui::pos2(1.0, 1.0));
        window.run_steps(2);
    }
}

#[test]
fn a_run_on_the_command_line_is_used_for_segmentation_and_timeline() {
    let run = folder("finetune");
    let window = open(&Args { run: Some(run.clone()), ..Args::default() });
    assert_eq!(state(&window).session.runs.segment, Some(run.clone()));
    assert_eq!(state(&window).cache.timeline.finetune.as_ref().map(OpenRun::last), Some(8));
    let base = state(&window).cache.timeline.pretrain.as_ref().map(|open| open.path.clone());
    assert_eq!(base, Some(folder("pretrain")), "found beside it");
    assert_eq!(report(&window).run.unwrap().stage, Some(Stage::Finetune));
}

#[test]
fn an_epoch_outside_the_run_is_an_error() {
    for bad in [0, 13] {
        let window = open(&args_of(&folder("pretrain"), Some(bad)));
        let errors = errors(&window).join("\n");
        assert!(errors.contains(&format!("epoch = {bad}")) && errors.contains("1 to 12"), "{errors}");
    }
}

#[test]
fn keys_and_buttons_move_the_cursor() {
    let mut window = open(&args_of(&folder("pretrain"), Some(5)));
    press(&mut window, Key::ArrowRight);
    assert_eq!(epoch(&window), 6);
    press(&mut window, Key::ArrowLeft);
    press(&mut window, Key::ArrowLeft);
    assert_eq!(epoch(&window), 4);
    press(&mut window, Key::End);
    assert_eq!(epoch(&window), 12);
    press(&mut window, Key::ArrowRight);
    assert_eq!(epoch(&window), 12, "there is no more");
    press(&mut window, Key::Home);
    assert_eq!(epoch(&window), 1);
    click(&mut window, "Next epoch");
    assert_eq!(epoch(&window), 2);
    click(&mut window, "Follow the newest epoch");
    assert_eq!((epoch(&window), state(&window).watched_run().unwrap().cursor), (12, None));
    assert_eq!(report(&window).run.unwrap().probe.unwrap().after.len(), 256, "the probe moves along");
}

#[test]
fn dragging_on_a_track_moves_its_cursor() {
    let mut window = open(&args_of(&folder("finetune"), None));
    for (name, stage, count) in [("Pre-training epoch", Stage::Pretrain, 12), ("Fine-tuning epoch", Stage::Finetune, 8)]
    {
        for wanted in [2, count, 1] {
            let track = window.get_by_role_and_label(Role::Slider, name).rect();
            let (left, right) = (track.left() + 8.0, track.right());
            let at = egui::pos2(left + (right - left) * (wanted as f32 - 0.5) / count as f32, track.center().y);
            window.hover_at(at);
            window.drag_at(at);
            window.drop_at(at);
            settle(&mut window);
            assert_eq!((state(&window).session.timeline.active, epoch(&window)), (stage, wanted), "{name}");
            let shown = report(&window).run.unwrap();
            assert_eq!(shown.probe.unwrap().after.is_empty(), stage == Stage::Finetune);
        }
        let value = window.get_by_role_and_label(Role::Slider, name).accesskit_node().numeric_value();
        assert_eq!(value, Some(1.0));
    }
}

#[test]
fn a_click_on_a_curve_moves_the_cursor() {
    let mut window = open(&args_of(&folder("pretrain"), Some(12)));
    for view in [WatchView::Probe, WatchView::Curves] {
        send(&mut window, Command::Timeline(TimelineCommand::Show(view)));
        send(&mut window, Command::Timeline(TimelineCommand::LastEpoch));
        let at = window.get_by_label("Losses over the epochs").rect().center();
        window.hover_at(at);
        window.drag_at(at);
        window.drop_at(at);
        settle(&mut window);
        assert!((5..=8).contains(&epoch(&window)), "{view:?}: {}", epoch(&window));
    }
}

#[test]
fn the_timeline_plays_and_stops() {
    let mut window = open(&args_of(&folder("pretrain"), Some(1)));
    send(&mut window, Command::Timeline(TimelineCommand::SetRate(30.0)));
    click(&mut window, "Play");
    window.run_steps(80);
    settle(&mut window);
    assert_eq!((epoch(&window), state(&window).session.timeline.playing), (12, None));
}

fn plays(window: &Window) -> bool {
    state(window).session.timeline.playing.is_some()
}

#[test]
fn a_press_of_the_space_bar_toggles_playback_once_and_not_while_panning() {
    let mut window = open(&args_of(&folder("pretrain"), Some(1)));
    send(&mut window, Command::Timeline(TimelineCommand::SetRate(0.5)));
    press(&mut window, Key::Space);
    assert!(plays(&window));
    press(&mut window, Key::Space);
    assert!(!plays(&window));
    // Held, a keyboard repeats the press.
    for _ in 0..5 {
        window.key_down(Key::Space);
        window.run_steps(2);
    }
    window.key_up(Key::Space);
    window.run_steps(2);
    assert!(plays(&window), "once");
    press(&mut window, Key::Space);
    assert!(!plays(&window));

    let camera = |window: &Window| state(window).session.timeline.options.camera;
    let before = camera(&window);
    let at = window.get_by_role_and_label(Role::Canvas, "Input").rect().center();
    window.key_down(Key::Space);
    window.run_steps(2);
    drag(&mut window, at, at + egui::vec2(30.0, 12.0), egui::PointerButton::Primary, egui::Modifiers::NONE);
    window.key_up(Key::Space);
    window.run_steps(2);
    assert_ne!(camera(&window), before, "the picture was moved");
    assert!(!plays(&window) && epoch(&window) == 1);
    // Without a drag it is a press like any other.
    let moved = camera(&window);
    press(&mut window, Key::Space);
    assert!(plays(&window) && camera(&window) == moved);
}

#[test]
fn a_clicked_probe_takes_the_keyboard_focus() {
    let mut window = open(&args_of(&folder("pretrain"), Some(6)));
    let patch = |window: &Window| state(window).session.timeline.options.patch;
    let large = |window: &Window| window.get_by_label_contains("after the update").rect().center();
    let at = large(&window) + egui::vec2(5.0, 5.0);
    window.hover_at(at);
    window.drag_at(at);
    window.drop_at(at);
    settle(&mut window);
    let first = patch(&window).expect("a patch is chosen");
    assert!(window.get_by_label_contains("after the update").is_focused());
    press(&mut window, Key::ArrowLeft);
    assert_eq!((patch(&window), epoch(&window)), (Some(first + 16), 6), "to the patient's right, not to another epoch");
    press(&mut window, Key::Space);
    assert_eq!((patch(&window), plays(&window)), (None, false));
    press(&mut window, Key::Space);
    assert_eq!((patch(&window), plays(&window)), (Some(first + 16), false));
    // Another epoch has another title and the same pane.
    send(&mut window, Command::Timeline(TimelineCommand::SetEpoch { stage: Stage::Pretrain, epoch: 8 }));
    assert!(window.get_by_label_contains("epoch 8, after the update").is_focused());
    press(&mut window, Key::Escape);
    press(&mut window, Key::Space);
    assert!(plays(&window), "nothing has the focus");
}

/// Whether the chosen slice of the shown run has letters.
fn is_oriented(run: &Path) -> bool {
    let window = open(&args_of(run, Some(3)));
    let now = state(&window);
    let key = now.record_key(now.watched_run().unwrap(), 3).unwrap();
    let oriented = now.cache.timeline.probes.slice(&key.slice).unwrap().as_ref().unwrap().oriented;
    assert!(errors(&window).is_empty(), "{:?}", errors(&window));
    oriented
}

#[test]
fn a_probe_has_letters_only_if_its_scan_has_an_orientation() {
    assert!(is_oriented(&folder("pretrain")) && is_oriented(&folder("finetune")), "the sample study lies above them");
    let temp = tempfile::tempdir().unwrap();
    let run = copied("pretrain", temp.path());
    assert!(!is_oriented(&run), "without its cohort the orientation is unknown");
    let patient = temp.path().join("assets/sample/STS_001");
    std::fs::create_dir_all(&patient).unwrap();
    let (scan, grid) = (patient.join("pet.nii"), Grid::new([4, 4, 4], glam::DAffine3::IDENTITY));
    nifti::write_volume(&scan, &Volume::from_f32(grid, (0..64).map(|n| n as f32).collect())).unwrap();
    assert!(is_oriented(&run));
    // Both codes of the header are 0: the patient's axes are unknown.
    let mut bytes = std::fs::read(&scan).unwrap();
    bytes[252..256].fill(0);
    std::fs::write(&scan, bytes).unwrap();
    assert!(!is_oriented(&run));
}

#[test]
fn every_view_of_the_watch_page_names_its_panes() {
    let mut window = open(&args_of(&folder("pretrain"), None));
    assert!(has(&window, "Input") && has(&window, "Reconstruction") && has(&window, "Relative loss"));
    click(&mut window, "Before");
    assert!(window.query_by_label_contains("before the update").is_some());
    click(&mut window, "Both");
    assert!(window.query_by_label_contains("after the update").is_some());
    click(&mut window, "Fig. 4");
    let updates: Vec<usize> = (1..=12).filter(|n| has(&window, &format!("Before update, epoch {n}"))).collect();
    assert!(updates.len() > 1 && updates.contains(&12), "{updates:?}");
    click(&mut window, &format!("Epoch {}", updates[0]));
    assert_eq!(epoch(&window), updates[0]);
    click(&mut window, "Curves");
    click(&mut window, "Log");
    assert!(state(&window).session.timeline.options.log && has(&window, "Entropy over the epochs"));
    click(&mut window, "Show coins");
    assert!(!state(&window).session.timeline.options.shows(Layer::Coins));
}

#[test]
fn two_epochs_or_two_runs_can_be_compared() {
    let temp = tempfile::tempdir().unwrap();
    let other = copied("pretrain", temp.path());
    let mut window = open(&args_of(&folder("pretrain"), Some(12)));
    click(&mut window, "Compare");
    assert!(window.query_by_label_contains("A  STS").is_some() && window.query_by_label_contains("B  STS").is_some());
    // "A  Input  A" has the letter of the side beside that of anterior.
    assert!(window.query_all_by_label_contains("Input").count() >= 2 && !has(&window, "A  Input"));
    send(&mut window, Command::Timeline(TimelineCommand::CompareEpoch(4)));
    assert_eq!(state(&window).compared_run().map(|(_, epoch)| epoch), Some(4));
    send(&mut window, Command::Timeline(TimelineCommand::Compare(vec![other.clone()])));
    let compared = state(&window).compared_run().map(|(run, epoch)| (run.path.clone(), epoch));
    assert_eq!(compared, Some((other, 12)));
    click(&mut window, "End the comparison");
    assert!(state(&window).cache.timeline.compare.is_none());
    assert!(errors(&window).is_empty(), "{:?}", errors(&window));
}

#[test]
fn damaged_run_folders_are_reported_by_file() {
    let temp = tempfile::tempdir().unwrap();
    let broken = |name: &str, damage: &dyn Fn(&Path)| {
        let folder = temp.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let run = copied("pretrain", &folder);
        damage(&run);
        let window = open(&args_of(&run, None));
        (run, window)
    };
    for (name, file) in [("config", "config.toml"), ("log", "events.jsonl"), ("pins", "probes/pins.json")] {
        let (run, window) =
            broken(name, &|run| std::fs::write(run.join(file), "{ not this }\n{ nor this }\n").unwrap());
        let errors = errors(&window).join("\n");
        assert!(errors.contains(&run.join(file).display().to_string()), "{name}: {errors}");
        assert!(state(&window).watched_run().is_none() && has(&window, "Try again"));
        assert_eq!(report(&window).run.unwrap().epoch, None);
    }
    let window = open(&args_of(&temp.path().join("nothing"), None));
    assert!(errors(&window).join("\n").contains("no such folder"));
    // Only one record: everything else is shown.
    let (_, window) = broken("record", &|run| {
        let pin = &probe::pins(run).unwrap()[0];
        let file = std::fs::read_dir(run.join("probes")).unwrap().map(|entry| entry.unwrap().path());
        let own = file
            .filter(|path| path.is_dir())
            .find(|path| path.file_name().unwrap().to_string_lossy().starts_with(&pin.case));
        std::fs::write(own.unwrap().join("pretrain-000012.safetensors"), b"nothing").unwrap();
    });
    assert!(errors(&window).is_empty());
    let shown = report(&window).run.unwrap();
    assert!(shown.summary.is_some() && shown.probe.is_none());
}
