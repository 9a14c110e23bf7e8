//! The table of runs, over a workspace of small run folders.

use std::fs;
use std::path::Path;

use amlp_viewer::Args;
use amlp_viewer::command::{Command, RunsCommand, TimelineCommand, TrainCommand, WindowCommand, actions};
use amlp_viewer::state::runs::Column;
use amlp_viewer::state::session::RunUse;
use amlp_viewer::state::timeline::WatchView;
use amlp_viewer::state::train::{QueuedJob, TrainPage};
use amlp_viewer::state::{Dialog, Mode, State};
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use engine::config::Config;
use engine::event::{EpochSummary, Event, EventSink, Probe, Stage};
use engine::run::RunFolder;
use engine::run::log::EventLog;

use crate::window::*;

/// A run with `done` of five epochs logged. The run `pinned` recorded a slice.
pub(super) fn run(root: &Path, name: &str, stage: Stage, done: usize, dice: Option<f64>) {
    let mut config = if stage == Stage::Pretrain { Config::default() } else { Config::finetune() };
    config.data.modality = vec!["flair".into()];
    config.data.cohort = "some/cohort".into();
    config.training.epochs = 5;
    let run = RunFolder::create(&root.join(name), &config.to_toml().unwrap()).unwrap();
    let mut log = EventLog::create(&run.events_path()).unwrap();
    let mut tell = |event: &Event| log.event(event).unwrap();
    tell(&Event::Started {
        stage,
        epochs: 5,
        steps_per_epoch: 1,
        slices: 3,
        parameters: 7,
        device: "cpu".into(),
        first_epoch: 1,
    });
    for epoch in 1..=done {
        if name == "pinned" {
            tell(&Event::Probe(Box::new(Probe { stage, epoch, case: "patient".into(), ..Probe::default() })));
        }
        if let Some(dice) = dice {
            tell(&Event::Validation { epoch, dice, best: epoch == 1 });
        }
        tell(&Event::Epoch(Box::new(EpochSummary { epoch, loss: 1.0 / epoch as f64, ..EpochSummary::default() })));
    }
    if done == 5 {
        tell(&Event::Finished { stage, epochs: 5 });
    }
}

/// A window on the table of a workspace with three runs and a broken one.
pub(super) fn table(workspace: &Path) -> Window {
    run(workspace, "first", Stage::Pretrain, 5, None);
    run(workspace, "second", Stage::Finetune, 3, Some(0.5));
    run(workspace, "third", Stage::Finetune, 5, Some(0.75));
    fs::create_dir_all(workspace.join("broken")).unwrap();
    fs::write(workspace.join("broken/events.jsonl"), "").unwrap();
    let mut window = open_in(workspace);
    send(&mut window, WindowCommand::SetMode(Mode::Train));
    send(&mut window, Command::Train(TrainCommand::ShowPage(TrainPage::Runs)));
    window
}

fn names(window: &Window) -> Vec<String> {
    state(window).run_rows().into_iter().map(|row| row.run.name.clone()).collect()
}

#[test]
fn all_runs_of_the_workspace_are_listed_sorted_and_filtered() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = table(folder.path());
    let mut all = names(&window);
    all.sort_unstable();
    assert_eq!(all, ["broken", "first", "second", "third"]);
    assert!(has(&window, "Run first") && has(&window, "0.750 (1)") && has(&window, "3 / 5"));
    click(&mut window, "Sort by Best val (epoch)");
    assert_eq!(names(&window)[..2], ["third", "second"]);
    click(&mut window, "Sort by Best val (epoch)");
    assert_eq!(names(&window)[..2], ["second", "third"]);
    click(&mut window, "Sort by Run");
    assert_eq!(names(&window), ["broken", "first", "second", "third"]);
    window.get_by_label("Filter runs").focus();
    window.run();
    window.get_by_label("Filter runs").type_text("finetune");
    settle(&mut window);
    assert_eq!(names(&window), ["second", "third"]);
    send(&mut window, Command::Runs(RunsCommand::Filter("nothing like it".into())));
    assert!(has(&window, "No run matches the filter."));
    // A run added by another process is listed at the next poll, or on request.
    run(folder.path(), "fourth", Stage::Pretrain, 1, None);
    send(&mut window, Command::Runs(RunsCommand::Filter(String::new())));
    send(&mut window, Command::Runs(RunsCommand::Refresh));
    assert!(names(&window).contains(&"fourth".into()));
    assert!(errors(&window).is_empty());
}

#[test]
fn an_empty_or_unreadable_workspace_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("not there yet");
    let mut window = open_in(&absent);
    send(&mut window, WindowCommand::SetMode(Mode::Train));
    send(&mut window, Command::Train(TrainCommand::ShowPage(TrainPage::Runs)));
    assert!(names(&window).is_empty() && state(&window).cache.runs.failed.is_none());
    assert!(has(&window, "No runs yet. Start training to create one."));
    let file = folder.path().join("a file");
    fs::write(&file, "no folder").unwrap();
    let mut window = open_in(&file);
    send(&mut window, WindowCommand::SetMode(Mode::Train));
    send(&mut window, Command::Train(TrainCommand::ShowPage(TrainPage::Runs)));
    assert!(state(&window).cache.runs.failed.as_ref().is_some_and(|why| why.contains("a file")));
    assert!(has(&window, "Try again"));
}

#[test]
fn deleting_a_run_asks_and_moves_it_to_the_trash() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = table(folder.path());
    let path = folder.path().join("second");
    click(&mut window, "Run second");
    assert_eq!(state(&window).session.runs.selected.as_ref(), Some(&path));
    click(&mut window, "Delete\u{2026}");
    assert_eq!(state(&window).dialog, Some(Dialog::DeleteRun { path: path.clone() }));
    click(&mut window, "Keep run");
    assert!(path.exists() && names(&window).contains(&"second".into()));
    click(&mut window, "Delete\u{2026}");
    click(&mut window, "Move to trash");
    assert!(!path.exists() && folder.path().join(".trash/second-1").is_dir());
    assert!(!names(&window).contains(&"second".into()) && state(&window).session.runs.selected.is_none());
    // A run in use is not deleted.
    let held = RunFolder::create(&folder.path().join("held"), &Config::default().to_toml().unwrap()).unwrap();
    send(&mut window, Command::Runs(RunsCommand::Delete(held.root().to_path_buf())));
    assert!(folder.path().join("held").exists());
    assert_eq!(errors(&window).len(), 1);
    drop(held);
}

#[test]
fn notes_on_runs_are_saved() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = table(folder.path());
    click(&mut window, "Run first");
    click(&mut window, "Notes");
    assert!(state(&window).session.run_table.editing.is_some());
    window.run_steps(3);
    window.get_by_label("Notes of first").type_text("brighter cluster");
    window.run_steps(2);
    press(&mut window, Key::Enter);
    assert_eq!(fs::read_to_string(folder.path().join("first/notes.txt")).unwrap(), "brighter cluster");
    assert!(state(&window).session.run_table.editing.is_none());
    send(&mut window, Command::Runs(RunsCommand::Refresh));
    let noted = state(&window).cache.runs.run(&folder.path().join("first")).map(|run| run.notes.clone());
    assert_eq!(noted.as_deref(), Some("brighter cluster"));
    send(&mut window, Command::Runs(RunsCommand::Sort(Column::Notes)));
    assert_eq!(names(&window)[0], "first");
    let all = actions(state(&window));
    assert!(all.iter().any(|action| action.label == "Reload the list of runs"));
}

#[test]
fn a_run_is_opened_from_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = table(folder.path());
    click(&mut window, "Run third");
    click(&mut window, "Open");
    assert_eq!(state(&window).session.train.page, TrainPage::Watch);
}

/// Every shape of the frame.
fn shapes(window: &Window) -> Vec<egui::Shape> {
    fn flat(shape: &egui::Shape, to: &mut Vec<egui::Shape>) {
        match shape {
            egui::Shape::Vec(inner) => inner.iter().for_each(|shape| flat(shape, to)),
            other => to.push(other.clone()),
        }
    }
    let mut all = Vec::new();
    window.output().shapes.iter().for_each(|clipped| flat(&clipped.shape, &mut all));
    all
}

#[test]
fn names_of_runs_are_never_truncated() {
    let folder = tempfile::tempdir().unwrap();
    let long = "a-run-with-a-name-that-is-longer-than-most-but-says-it-all";
    for name in ["p1", long] {
        run(folder.path(), name, Stage::Finetune, 5, None);
    }
    let window = table(folder.path());
    for name in ["p1", long, "second"] {
        let whole = |shape: &egui::Shape| matches!(shape, egui::Shape::Text(text) if text.galley.text() == name && !text.galley.elided);
        assert!(shapes(&window).iter().any(whole), "{name}");
    }
}

#[test]
fn the_notes_field_is_always_visible() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = table(folder.path());
    click(&mut window, "Run third");
    click(&mut window, "Notes");
    window.run_steps(4);
    let field = window.get_by_label("Notes of third").rect();
    let page = window.ctx.content_rect();
    assert!(page.contains_rect(field) && field.width() >= 150.0, "{field} in {page}");
}

#[test]
fn settings_can_be_columns_and_differences_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = table(folder.path());
    send(&mut window, Command::Runs(RunsCommand::ToggleSetting("training.batch".into())));
    assert!(has(&window, "Sort by training.batch"));
    click(&mut window, "Sort by training.batch");
    assert_eq!(names(&window)[0], "first", "36 before 56");
    assert!(has(&window, "36") && has(&window, "56"));
    for name in ["first", "third"] {
        send(&mut window, Command::Runs(RunsCommand::Tick(folder.path().join(name))));
    }
    assert!(window.query_by_label_contains("settings differ between the ticked runs").is_some());
    assert!(has(&window, "stage") && !has(&window, "training.epochs"), "only what differs");
}

#[test]
fn the_form_can_be_set_up_like_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = table(folder.path());
    click(&mut window, "Run third");
    click(&mut window, "Set up like this");
    let form = &state(&window).session.train.form;
    assert_eq!((state(&window).session.train.page, form.stage), (TrainPage::Setup, Stage::Finetune));
    assert_eq!((form.finetune.training.epochs, &form.finetune.data.modality[..]), (5, &["flair".to_owned()][..]));
    assert!(errors(&window).iter().all(|message| message.contains("some/cohort")), "its cohort does not exist");
}

/// The page led from a run only to Watch. Fine-tuning it, or its results, had to be found on other pages.
#[test]
fn the_selected_run_leads_to_its_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = table(folder.path());
    click(&mut window, "Run third");
    click(&mut window, "Results of this run");
    assert_eq!(state(&window).session.train.page, TrainPage::Results);
    assert_eq!(state(&window).session.runs.results, Some(folder.path().join("third")));
    send(&mut window, Command::Train(TrainCommand::ShowPage(TrainPage::Runs)));
    click(&mut window, "Run first");
    click(&mut window, "Fine-tune this run");
    let (train, from) = (&state(&window).session.train, folder.path().join("first"));
    assert_eq!(
        (train.page, train.form.stage, &train.form.finetune.labels.from),
        (TrainPage::Setup, Stage::Finetune, &from)
    );
    assert_eq!(train.form.name, "finetune-first");
}

#[test]
fn a_form_that_is_set_up_like_a_run_is_shown_from_its_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = table(folder.path());
    window.set_size(egui::vec2(1280.0, 560.0));
    send(&mut window, Command::Train(TrainCommand::ShowPage(TrainPage::Setup)));
    window.get_by_label("Threads").scroll_to_me();
    window.run_steps(30);
    let visible = |window: &Window| {
        let page = window.get_by_label("Start pre-training").rect().top();
        (80.0..page).contains(&window.get_by_label("Run name").rect().center().y)
    };
    assert!(!visible(&window), "the machine is far below the name");
    send(&mut window, Command::Train(TrainCommand::SetUpLike(folder.path().join("first"))));
    assert!(visible(&window));
}

#[cfg(unix)]
/// A run that appears to be trained by another process: its lock is held and names that process.
fn held_by_another(root: &Path, name: &str) -> (RunFolder, EventLog) {
    run(root, name, Stage::Finetune, 2, Some(0.5));
    let held = RunFolder::resume(&root.join(name)).unwrap();
    fs::write(held.root().join("lock"), "4711\n").unwrap();
    let length = fs::metadata(held.events_path()).unwrap().len();
    let log = EventLog::resume(&held.events_path(), length).unwrap().0;
    (held, log)
}

#[cfg(unix)]
#[test]
fn a_run_that_another_process_trains_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (held, mut log) = held_by_another(folder.path(), "theirs");
    let mut window = open_in(folder.path());
    send(&mut window, Command::Timeline(TimelineCommand::Open(folder.path().join("theirs"))));
    assert!(has(&window, "trained by another process"));
    let mut tell = |event: &Event| log.event(event).unwrap();
    tell(&Event::Validation { epoch: 3, dice: 0.75, best: true });
    tell(&Event::Epoch(Box::new(EpochSummary { epoch: 3, loss: 0.25, ..EpochSummary::default() })));
    wait_for(&mut window, |app| app.state().watched_run().is_some_and(|run| run.epoch() == Some(3)));
    let entry = |state: &State| {
        let rows = state.run_rows();
        let row = rows.iter().find(|row| row.run.name == "theirs")?;
        Some((row.status.name().to_owned(), row.run.epochs_done))
    };
    wait_for(&mut window, |app| entry(app.state()) == Some(("trained by another process".into(), 3)));
    // A run added while the page is open is listed automatically.
    run(folder.path(), "new", Stage::Pretrain, 1, None);
    wait_for(&mut window, |app| app.state().cache.runs.all().iter().any(|run| run.name == "new"));
    drop(held);
    wait_for(&mut window, |app| entry(app.state()) == Some(("stopped".into(), 3)));
    wait_for(&mut window, |app| app.state().watched_run().is_some_and(|run| run.trainer().is_none()));
    assert!(errors(&window).is_empty(), "{:?}", errors(&window));
}

/// The toasts that can be undone.
fn undoable(window: &Window) -> Vec<&str> {
    let shown = state(window).notices.iter().filter(|notice| !notice.dismissed && notice.undo.is_some());
    shown.map(|notice| notice.title.as_str()).collect()
}

#[test]
fn a_deleted_run_is_removed_everywhere_and_can_be_restored() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = table(folder.path());
    let [first, second, third] = ["first", "second", "third"].map(|name| folder.path().join(name));
    assert_eq!((state(&window).cache.runs.pretrained().count(), state(&window).cache.runs.finetuned().count()), (1, 2));
    send(&mut window, Command::Timeline(TimelineCommand::Open(first.clone())));
    send(&mut window, Command::Timeline(TimelineCommand::Open(second.clone())));
    send(&mut window, Command::Timeline(TimelineCommand::Compare(vec![third.clone()])));
    let mut form = state(&window).session.train.form.clone();
    form.finetune.labels.from.clone_from(&first);
    send(&mut window, Command::Train(TrainCommand::Edit(Box::new(form))));
    let shown = window.state_mut().parts().0;
    (shown.session.runs.reconstruct, shown.session.runs.segment) = (Some(first.clone()), Some(third.clone()));
    shown.session.runs.results = Some(third.clone());

    send(&mut window, Command::Runs(RunsCommand::Delete(third.clone())));
    let now = state(&window);
    assert!(
        now.cache.timeline.compare.is_none()
            && now.session.runs.segment.is_none()
            && now.session.runs.results.is_none()
    );
    assert!(now.cache.runs.finetuned().all(|run| run.path != third));
    assert_eq!(now.watched_run().map(|run| run.path.clone()), Some(second.clone()), "others stay");
    send(&mut window, Command::Runs(RunsCommand::Delete(second.clone())));
    assert!(state(&window).cache.timeline.finetune.is_none());
    send(&mut window, Command::Timeline(TimelineCommand::Open(first.clone())));
    send(&mut window, WindowCommand::DismissAll);
    send(&mut window, Command::Runs(RunsCommand::Delete(first.clone())));
    let now = state(&window);
    assert!(now.watched_run().is_none() && now.run_for(RunUse::Reconstruct).is_none());
    assert!(
        now.session.train.form.finetune.labels.from.as_os_str().is_empty() && now.cache.runs.pretrained().count() == 0
    );
    assert_eq!((names(&window), errors(&window)), (vec!["broken".to_owned()], Vec::new()));

    assert_eq!(undoable(&window), ["first was moved to the trash"]);
    click(&mut window, "Undo");
    assert!(first.is_dir() && undoable(&window).is_empty() && state(&window).cache.runs.pretrained().count() == 1);
    // Runs whose messages were closed are in the palette.
    for name in ["second", "third"] {
        let label = format!("Undo: restore {name} from the trash");
        let action = actions(state(&window)).into_iter().find(|action| action.label == label).unwrap();
        send(&mut window, action.command);
    }
    send(&mut window, Command::Train(TrainCommand::ShowPage(TrainPage::Runs)));
    assert_eq!(names(&window).len(), 4);
    assert!(
        second.is_dir()
            && third.is_dir()
            && state(&window).session.run_table.trashed.is_empty()
            && errors(&window).is_empty()
    );
}

#[test]
fn a_run_needed_by_a_queued_job_is_not_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = table(folder.path());
    let run = folder.path().join("second");
    let folder = Some(run.clone());
    let job = QueuedJob { id: 1, name: "second".into(), stage: Stage::Finetune, config: None, folder };
    window.state_mut().parts().0.training.left.push(job);
    send(&mut window, Command::Runs(RunsCommand::Delete(run.clone())));
    assert!(run.is_dir() && errors(&window)[0].contains("waits in the queue"), "{:?}", errors(&window));
}

#[test]
fn every_page_leads_back_by_button_and_escape() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = table(folder.path());
    click(&mut window, "Run third");
    click(&mut window, "Open");
    send(&mut window, Command::Timeline(TimelineCommand::Show(WatchView::Compare)));
    let place = |window: &Window| (state(window).session.train.page, state(window).session.timeline.options.view);
    click(&mut window, "Back to Probe");
    assert_eq!(place(&window), (TrainPage::Watch, WatchView::Probe));
    send(&mut window, Command::Timeline(TimelineCommand::Show(WatchView::Compare)));
    for expected in [TrainPage::Watch, TrainPage::Runs, TrainPage::Setup, TrainPage::Setup] {
        press(&mut window, Key::Escape);
        assert_eq!(place(&window), (expected, WatchView::Probe));
    }
    // A run without a checkpoint has no measures: reported, with a remedy.
    send(&mut window, Command::Train(TrainCommand::ShowResults(folder.path().join("second"))));
    assert!(has(&window, "second has no results"));
    send(&mut window, WindowCommand::DismissAll);
    click(&mut window, "Choose another run");
    assert!(has(&window, "Results of third") && state(&window).session.runs.results.is_none());
    click(&mut window, "Back to Set up");
    assert_eq!(state(&window).session.train.page, TrainPage::Setup);
    // In a field Escape applies to the field.
    send(&mut window, Command::Train(TrainCommand::ShowPage(TrainPage::Runs)));
    click(&mut window, "Run third");
    click(&mut window, "Notes");
    window.run_steps(3);
    press(&mut window, Key::Escape);
    assert!(state(&window).session.run_table.editing.is_none() && state(&window).session.train.page == TrainPage::Runs);
}

/// A window with this workspace.
pub(super) fn open_in(workspace: &Path) -> Window {
    let mut window = open(&Args::default());
    send(&mut window, Command::Train(TrainCommand::SetWorkspace(workspace.to_path_buf())));
    window
}

#[test]
fn names_stay_fixed_while_the_other_columns_scroll() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..40 {
        run(folder.path(), &format!("run-{n:02}"), Stage::Pretrain, 1, None);
    }
    let args = Args { workspace: Some(folder.path().to_path_buf()), ..Args::default() };
    let mut window = start(&args, [900.0, 600.0], None);
    settle(&mut window);
    send(&mut window, WindowCommand::SetMode(Mode::Train));
    send(&mut window, Command::Train(TrainCommand::ShowPage(TrainPage::Runs)));
    click(&mut window, "Sort by Run");
    let at = |window: &Window, label: &str| window.get_by_label(label).rect();
    let (name, status) = (at(&window, "Run run-00"), at(&window, "Sort by Status"));
    window.get_by_label("Sort by Notes").scroll_to_me();
    window.run_steps(8);
    assert!(at(&window, "Sort by Status").left() < status.left() - 100.0, "the others moved");
    assert_eq!(at(&window, "Run run-00"), name);
    // Scrolling down moves both parts of a row together, wherever the pointer is.
    for over in ["Run run-05", "Notes of run-05"] {
        let top = at(&window, over).top();
        wheel(&mut window, over, -1.0, Modifiers::NONE);
        window.run_steps(20);
        assert!(at(&window, over).top() < top, "{over}");
        let (name, notes) = (at(&window, "Run run-07"), at(&window, "Notes of run-07"));
        assert!((name.center().y - notes.center().y).abs() < 1.0, "{over}: {name} {notes}");
    }
}
