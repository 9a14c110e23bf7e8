//! Runs of one stage compared with each other, from the table of runs.

use std::fs;

use amlp_viewer::command::{Command, RunsCommand, TimelineCommand, TrainCommand};
use amlp_viewer::state::PathPurpose;
use amlp_viewer::state::timeline::WatchView;
use amlp_viewer::state::train::{TrainExport, TrainPage};
use engine::event::Stage;

use super::runs::{run, table};
use crate::window::*;

#[test]
fn two_ticked_runs_of_one_stage_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "other-pre", Stage::Pretrain, 2, None);
    let mut window = table(folder.path());
    assert!(state(&window).runs_to_compare().is_err_and(|why| why.contains("Tick two")));
    click(&mut window, "Tick third to compare it");
    click(&mut window, "Tick first to compare it");
    assert!(state(&window).runs_to_compare().is_err_and(|why| why.contains("same stage")));
    click(&mut window, "Tick first to compare it");
    click(&mut window, "Tick second to compare it");
    click(&mut window, "Compare");
    assert_eq!(state(&window).session.train.page, TrainPage::Watch);
    let view = |window: &Window| state(window).session.timeline.options.view;
    assert_eq!(view(&window), WatchView::Curves, "without a pinned slice, only curves can be compared");
    assert_eq!(state(&window).watched_run().map(|run| run.name.as_str()), Some("third"));
    assert_eq!(state(&window).compared_run().map(|(run, _)| run.name.as_str()), Some("second"));
    assert!(errors(&window).is_empty(), "{:?}", errors(&window));
    // A run that is opened next is not shown beside an empty side.
    send(&mut window, Command::Timeline(TimelineCommand::Show(WatchView::Compare)));
    send(&mut window, Command::Timeline(TimelineCommand::Open(folder.path().join("first"))));
    assert_eq!(view(&window), WatchView::Probe);
    send(&mut window, Command::Timeline(TimelineCommand::Open(folder.path().join("third"))));
    run(folder.path(), "pinned", Stage::Finetune, 5, None);
    send(&mut window, Command::Timeline(TimelineCommand::Compare(vec![folder.path().join("pinned")])));
    assert_eq!(view(&window), WatchView::Compare);
    send(&mut window, Command::Timeline(TimelineCommand::Compare(vec![folder.path().join("second")])));

    // The watched run serves as the second one.
    send(&mut window, Command::Timeline(TimelineCommand::EndComparison));
    send(&mut window, Command::Train(TrainCommand::ShowPage(TrainPage::Runs)));
    for name in ["second", "third"] {
        click(&mut window, &format!("Tick {name} to compare it"));
    }
    click(&mut window, "Run second");
    click(&mut window, "Compare");
    let shown = (state(&window).watched_run(), state(&window).compared_run());
    assert_eq!((shown.0.unwrap().name.as_str(), shown.1.unwrap().0.name.as_str()), ("third", "second"));

    // A run of another stage is refused with both names.
    let other = folder.path().join("first");
    send(&mut window, Command::Timeline(TimelineCommand::Compare(vec![other])));
    let message = errors(&window).join("\n");
    assert!(message.contains("first") && message.contains("third"), "{message}");
}

#[test]
fn curves_of_all_ticked_runs_are_overlaid_and_deleted_runs_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = table(folder.path());
    run(folder.path(), "fourth", Stage::Finetune, 4, Some(0.25));
    send(&mut window, Command::Runs(RunsCommand::Refresh));
    for name in ["second", "third", "fourth"] {
        send(&mut window, Command::Runs(RunsCommand::Tick(folder.path().join(name))));
    }
    send(&mut window, Command::Runs(RunsCommand::Compare));
    let overlaid =
        |window: &Window| state(window).overlaid_runs().iter().map(|run| run.name.clone()).collect::<Vec<_>>();
    assert_eq!(overlaid(&window), ["third", "fourth"]);
    let table = folder.path().join("curves.csv");
    type_path(&mut window, PathPurpose::TrainExport(TrainExport::CurvesTable), &table);
    let text = fs::read_to_string(&table).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("run,epoch,loss,learning_rate,validation_dice"));
    assert_eq!(lines.clone().count(), 3 + 5 + 4);
    assert_eq!(lines.next(), Some("second,1,1,0,0.5"));
    send(&mut window, Command::Runs(RunsCommand::Delete(folder.path().join("third"))));
    assert_eq!(overlaid(&window), ["fourth"]);
    assert_eq!(state(&window).session.runs.ticked.len(), 2);
    send(&mut window, Command::Runs(RunsCommand::Delete(folder.path().join("fourth"))));
    assert!(state(&window).cache.timeline.compare.is_none());
    assert!(errors(&window).is_empty(), "{:?}", errors(&window));
}
