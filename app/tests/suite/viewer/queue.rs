//! A folder as a review queue: verdicts by keys, comments, filter, order, the next case read ahead, exports.

use std::path::{Path, PathBuf};

use amlp_viewer::command::train::NO_RUN;
use amlp_viewer::command::{Command, FileCommand, LabelCommand, OverlayCommand, ReviewCommand};
use amlp_viewer::state::intent::ReviewFile;
use amlp_viewer::state::{Dialog, Intent, PathPurpose, QueueOrder, Settings};
use egui::{Event, Key, Modifiers};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use engine::edit::{Delta, EditLabels};
use engine::metrics::consensus::Method;
use engine::review::{Entry, FindingVerdict, Verdict};
use engine::run::review::{FILE, ReviewWriter, read};
use engine::volume::LabelVolume;

use crate::phantom::{STORED, prediction, straight, truth, write_cohort, write_mask};
use crate::window::*;

/// Three patients with references, the first two with a segmentation: one that is wrong in part, one that is right.
fn cohort(folder: &Path) -> PathBuf {
    let root = write_cohort(folder);
    write_mask(&root.join("patient_1/ct_pred.nii.gz"), &straight(), STORED, prediction);
    write_mask(&root.join("patient_2/ct_pred.nii.gz"), &straight(), STORED, truth);
    root
}

fn named() -> Settings {
    Settings { initials: "AB".into(), ..Settings::default() }
}

fn open_queue(root: &Path) -> Window {
    let mut window = start_with(&args(&[root]), named());
    settle(&mut window);
    window
}

fn title(window: &Window) -> &str {
    &document(window).title
}

fn verdicts(window: &Window) -> Vec<Verdict> {
    let cases = &state(window).cases;
    cases.cases.iter().map(|case| cases.review.verdict(&case.name)).collect()
}

fn listed(window: &Window) -> Vec<String> {
    state(window).cases.matching().iter().map(|case| case.name.clone()).collect()
}

#[test]
fn verdicts_are_given_by_keys_and_kept_after_a_restart() {
    use Verdict::{Accepted, Rejected, SecondLook, ToDo};
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let mut window = open_files(&[&root]);
    assert!(has(&window, "Verdict of patient_1: To do"));
    press(&mut window, Key::Enter);
    assert!(matches!(state(&window).dialog, Some(Dialog::Initials { .. })), "asked before the first verdict");
    window.get_by_label("Initials").type_text("AB");
    settle(&mut window);
    press(&mut window, Key::Enter);
    assert_eq!((title(&window), verdicts(&window)), ("patient_2", vec![Accepted, ToDo, ToDo]));
    press(&mut window, Key::X);
    assert_eq!((title(&window), verdicts(&window)), ("patient_3", vec![Accepted, Rejected, ToDo]));
    // Letters are typed into the comment instead of running commands.
    press(&mut window, Key::C);
    for (key, text) in [(Key::X, "x"), (Key::N, "n")] {
        window.key_down(key);
        window.event(Event::Text(text.into()));
        window.key_up(key);
    }
    settle(&mut window);
    press(&mut window, Key::Enter);
    assert_eq!((title(&window), verdicts(&window)[2]), ("patient_3", ToDo));
    assert_eq!(state(&window).cases.review.entry("patient_3").unwrap().comment, "xn");
    assert!(has(&window, "xn") && !has(&window, "Comment"), "shown, and its field is closed");
    click(&mut window, "Needs a second look");
    assert_eq!(verdicts(&window)[2], SecondLook);
    // Another verdict replaces it, without leaving the case.
    click(&mut window, "Case patient_2");
    send(&mut window, ReviewCommand::Step(amlp_viewer::state::ReviewStep::Decide { verdict: Accepted, next: false }));
    assert_eq!(title(&window), "patient_2");
    let expected = vec![Accepted, Accepted, SecondLook];
    assert_eq!((verdicts(&window), errors(&window)), (expected.clone(), vec![]));
    let log = read(&root).unwrap();
    assert_eq!(log.entries.len(), 5, "nothing is rewritten");
    assert!(log.entries.iter().all(|entry| entry.reviewer == "AB" && entry.time_ms > 1_700_000_000_000));
    let text = std::fs::read_to_string(root.join(FILE)).unwrap();
    assert!(!text.contains(folder.path().to_str().unwrap()), "no paths");
    drop(window);
    let window = open_queue(&root);
    assert_eq!(verdicts(&window), expected);
    assert!(state(&window).cases.progress().to_string().starts_with("2 of 3 done"));
    assert_eq!(state(&window).cases.review.entry("patient_3").unwrap().comment, "xn");
}

#[test]
fn the_time_before_the_deciding_key_press_counts() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let mut window = open_queue(&root);
    // Two seconds of frames without an input.
    window.run_steps(120);
    press(&mut window, Key::X);
    assert_eq!(verdicts(&window)[0], Verdict::Rejected);
    let seconds = state(&window).cases.review.entry("patient_1").unwrap().seconds;
    assert!(seconds >= 1.9, "{seconds}");
}

#[test]
fn escape_discards_a_comment_and_without_initials_there_is_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let mut window = open_files(&[&root]);
    press(&mut window, Key::C);
    assert!(has(&window, "Comment"));
    press(&mut window, Key::Escape);
    assert!(!has(&window, "Comment") && state(&window).cases.review.comment.is_none());
    press(&mut window, Key::X);
    press(&mut window, Key::Escape);
    assert_eq!(
        (state(&window).dialog.clone(), verdicts(&window)[0], title(&window)),
        (None, Verdict::ToDo, "patient_1")
    );
    assert!(!root.join(FILE).exists(), "looking at a folder writes nothing");
}

/// Gives the segmentation another label, as an edit does.
fn edit(window: &mut Window) {
    let (state, jobs) = window.state_mut().parts();
    let before = state.document.as_ref().unwrap().segmentation().unwrap().labels.clone();
    let labels: Vec<u16> = before.to_volume().iter().map(|label| label * 3).collect();
    let after = EditLabels::from_volume(&LabelVolume::new(before.grid().clone(), labels).unwrap());
    amlp_viewer::worker::edit::commit(state, jobs, "Another label", &Delta::between(&before, &after));
}

#[test]
fn accepting_an_edited_segmentation_saves_it_as_corrected() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let mut window = open_queue(&root);
    edit(&mut window);
    assert!(document(&window).is_unsaved());
    press(&mut window, Key::Enter);
    assert_eq!((title(&window), verdicts(&window)[0]), ("patient_2", Verdict::Corrected));
    let saved = LabelVolume::read(&root.join("patient_1/ct_pred.nii.gz")).unwrap();
    assert_eq!(saved.labels(), [3]);
    // An earlier manual save does not change the verdict: corrected.
    edit(&mut window);
    send(&mut window, FileCommand::Save);
    press(&mut window, Key::Enter);
    assert_eq!((title(&window), verdicts(&window)[1]), ("patient_3", Verdict::Corrected));
    assert_eq!(errors(&window), [""; 0]);
}

#[test]
fn accepting_a_segmentation_without_a_file_saves_it_beside_the_scan() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let beside = root.join("patient_3/ct_pred.nii.gz");
    let mut window = open_queue(&root);
    click(&mut window, "Case patient_3");
    send(&mut window, Intent::CorrectReference);
    assert!(document(&window).is_unsaved() && !beside.exists());
    // Another file of that name is replaced only if the user confirms.
    std::fs::write(&beside, b"of another program").unwrap();
    press(&mut window, Key::Enter);
    assert!(matches!(state(&window).dialog, Some(Dialog::Overwrite { .. })));
    assert_eq!((title(&window), verdicts(&window)[2]), ("patient_3", Verdict::ToDo));
    press(&mut window, Key::Escape);
    std::fs::remove_file(&beside).unwrap();
    press(&mut window, Key::Enter);
    assert_eq!((title(&window), state(&window).dialog.clone()), ("patient_1", None));
    assert_eq!(LabelVolume::read(&beside).unwrap().labels(), [1]);
    assert_ne!(verdicts(&window)[2], Verdict::ToDo);
}

#[test]
fn rejecting_a_case_with_unsaved_changes_asks_first() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let mut window = open_queue(&root);
    edit(&mut window);
    press(&mut window, Key::X);
    assert!(matches!(state(&window).dialog, Some(Dialog::Unsaved { next: Intent::OpenCase(_) })));
    assert_eq!((title(&window), verdicts(&window)[0]), ("patient_1", Verdict::Rejected));
    press(&mut window, Key::Escape);
    assert!(document(&window).is_unsaved());
}

#[test]
fn a_second_writer_learns_who_holds_the_lock_and_shows_no_lost_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let (mut other, _) = ReviewWriter::open(&root).unwrap();
    let mut window = open_queue(&root);
    other.append(&Entry { verdict: Verdict::Accepted, ..Entry::new("patient_3") }).unwrap();
    press(&mut window, Key::X);
    let message = errors(&window).join("\n");
    assert!(
        message.contains("The verdict was not saved") && message.contains("has been writing verdicts since"),
        "{message}"
    );
    assert_eq!(verdicts(&window)[0], Verdict::ToDo);
    drop(other);
    send(&mut window, Intent::StepCase(-1));
    press(&mut window, Key::X);
    assert_eq!(
        verdicts(&window),
        [Verdict::Rejected, Verdict::ToDo, Verdict::Accepted],
        "and what the other one wrote"
    );
    assert_eq!(read(&root).unwrap().entries.len(), 2);
}

#[test]
fn the_list_can_be_filtered_by_verdict_and_ordered() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let mut window = open_queue(&root);
    assert_eq!(listed(&window), ["patient_1", "patient_2", "patient_3"]);
    send(&mut window, ReviewCommand::SetOrder(QueueOrder::LowestDice));
    assert_eq!(listed(&window), ["patient_1", "patient_2", "patient_3"]);
    let scores = &state(&window).cases.review.scores;
    assert!(scores["patient_1"].score.unwrap() < 0.9 && scores["patient_2"].score == Some(1.0));
    assert_eq!(scores["patient_3"].why.as_deref(), Some("no segmentation"));
    let list = folder.path().join("list.csv");
    std::fs::write(&list, "case,score\npatient_2,1\npatient_3,7\n").unwrap();
    let order = |window: &mut Window, path: &Path| {
        let request = state(window).path_request(PathPurpose::Review(ReviewFile::Order));
        send(window, Intent::UsePaths(request, vec![path.to_path_buf()]));
    };
    order(&mut window, &list);
    assert_eq!(listed(&window), ["patient_3", "patient_2", "patient_1"]);
    press(&mut window, Key::Enter);
    assert_eq!(title(&window), "patient_3", "the next in this order, from the start again");
    click(&mut window, "List: all cases");
    window.get_by_label("Accepted").click();
    settle(&mut window);
    assert_eq!(listed(&window), ["patient_1"]);
    assert!(has(&window, "Case patient_1") && !has(&window, "Case patient_2"));
    send(&mut window, ReviewCommand::Filter(None));
    send(&mut window, ReviewCommand::SetOrder(QueueOrder::Listed));
    assert_eq!(listed(&window), ["patient_1", "patient_2", "patient_3"]);
    assert_eq!(errors(&window), [""; 0]);
    std::fs::write(&list, "name\npatient_2\n").unwrap();
    order(&mut window, &list);
    assert!(errors(&window)[0].contains("has no column case"), "{:?}", errors(&window));
    assert_eq!(state(&window).cases.review.order, QueueOrder::Listed);
}

#[test]
fn a_prefetched_case_is_used_only_if_its_files_are_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let mut window = open_queue(&root);
    let ahead = |window: &Window| {
        let id = state(window).cache.ahead?;
        state(window).cases.get(id).map(|case| case.name.clone())
    };
    assert_eq!(ahead(&window).as_deref(), Some("patient_2"));
    press(&mut window, Key::Enter);
    assert_eq!((title(&window), ahead(&window).as_deref()), ("patient_2", Some("patient_3")));
    assert!(document(&window).comparison.is_some() && document(&window).findings.is_some());
    // Another process segments the prefetched case.
    write_mask(&root.join("patient_3/seg.nii.gz"), &straight(), STORED, |at| at == [3, 4, 5]);
    press(&mut window, Key::Enter);
    assert_eq!(title(&window), "patient_3");
    assert_eq!(document(&window).reference().unwrap().labels.to_volume().labelled_voxels(), 1);
    assert_eq!(errors(&window), [""; 0]);
}

#[test]
fn findings_have_verdicts_and_all_reports_are_exported() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let mut window = open_queue(&root);
    send(&mut window, OverlayCommand::GoToFinding(0));
    let given = |window: &Window| state(window).finding_verdict(0);
    click(&mut window, "Accept finding 1");
    assert_eq!(given(&window), Some(FindingVerdict::Accepted));
    click(&mut window, "Accept finding 1");
    assert_eq!(given(&window), None, "pressing again clears it");
    let before = window.get_by_label("Finding 1").rect();
    click(&mut window, "Reject finding 1");
    assert_eq!(given(&window), Some(FindingVerdict::Rejected));
    assert_eq!(window.get_by_label("Finding 1").rect(), before, "a verdict moves nothing");
    let message = window.get_by_label("Finding 1").accesskit_node().description().unwrap_or_default();
    assert!(message.contains("rejected"), "{message}");
    let entry = state(&window).cases.review.entry("patient_1").unwrap().clone();
    assert_eq!((entry.findings.len(), entry.verdict), (1, Verdict::ToDo));
    press(&mut window, Key::Enter);
    let at = |name: &str| folder.path().join(name);
    let export = |window: &mut Window, file: ReviewFile, name: &str| {
        let request = state(window).path_request(PathPurpose::Review(file));
        send(window, Command::Intent(Intent::UsePaths(request, vec![at(name)])));
    };
    export(&mut window, ReviewFile::Cases, "cases");
    export(&mut window, ReviewFile::Findings, "findings.csv");
    export(&mut window, ReviewFile::CasePage, "page.html");
    export(&mut window, ReviewFile::Pages, "report");
    assert_eq!(errors(&window), [""; 0]);
    let text = |name: &str| std::fs::read_to_string(at(name)).unwrap();
    assert!(text("cases.csv").lines().nth(1).unwrap().starts_with("patient_1,patient_1,,accepted,,AB,"));
    assert!(text("findings.csv").lines().nth(1).unwrap().starts_with("patient_1,1,rejected,segmentation,"));
    assert!(text("page.html").contains("<h1>patient_2</h1>") && text("page.html").contains("data:image/png;base64,"));
    assert!(text("report/index.html").contains("patient_3.html") && at("report/patient_3.html").is_file());
    // Asked before it is replaced.
    export(&mut window, ReviewFile::Pages, "report");
    assert!(matches!(&state(&window).dialog, Some(Dialog::Overwrite { .. })), "{:?}", state(&window).dialog);
    click(&mut window, "Overwrite");
    assert_eq!((state(&window).dialog.clone(), errors(&window)), (None, vec![]));
}

/// The verdict on a finding of the reference was shown at the finding of the segmentation at the same place.
#[test]
fn a_verdict_on_a_finding_of_the_reference_stays_with_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let mut window = open_queue(&root);
    send(&mut window, Intent::StepCase(2));
    assert!(title(&window) == "patient_3" && document(&window).segmentation().is_none());
    send(&mut window, OverlayCommand::GoToFinding(0));
    click(&mut window, "Reject finding 1");
    assert_eq!(state(&window).finding_verdict(0), Some(FindingVerdict::Rejected));
    send(&mut window, Intent::CorrectReference);
    send(&mut window, OverlayCommand::GoToFinding(0));
    assert_eq!(state(&window).finding_verdict(0), None);
    click(&mut window, "Accept finding 1");
    assert_eq!(state(&window).finding_verdict(0), Some(FindingVerdict::Accepted));
    assert_eq!(state(&window).cases.review.entry("patient_3").unwrap().findings.len(), 2);
}

/// The buttons were grey without a reason.
#[test]
fn a_button_of_the_next_run_that_cannot_be_pressed_gives_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let mut window = open_queue(&root);
    send(&mut window, Intent::StepCase(2));
    for (button, reason) in [
        ("Continue fine-tuning", NO_RUN),
        ("Add to training", "This case has no segmentation. Press Segment now, or open one."),
    ] {
        assert!(window.get_by_label(button).accesskit_node().is_disabled(), "{button}");
        window.get_by_label(button).hover();
        window.run_steps(40);
        assert!(has(&window, reason), "{button}");
    }
}

/// The question for a name came first, and the refusal after it.
#[test]
fn no_name_is_asked_for_a_report_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let mut window = open_queue(&root);
    send(&mut window, Intent::Consensus(Method::Majority));
    assert!(document(&window).is_unsaved());
    send(&mut window, Intent::Ask(PathPurpose::Review(ReviewFile::CasePage)));
    assert_eq!(state(&window).dialog, None);
    assert!(errors(&window).iter().any(|error| error.contains("Save this case first")), "{:?}", errors(&window));
}

#[test]
fn a_consensus_keeps_the_names_of_the_labels() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let mut window = open_queue(&root);
    send(&mut window, LabelCommand::Rename(1, "Lesion".to_owned()));
    send(&mut window, Intent::Consensus(Method::Majority));
    click(&mut window, "Continue without saving");
    assert_eq!(document(&window).segmentation().unwrap().path, None, "the consensus is shown");
    assert_eq!(document(&window).label_name(1), "Lesion");
}

#[test]
fn the_consensus_of_two_masks_replaces_the_segmentation() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let mut window = open_queue(&root);
    let both = crate::phantom::count(|at| prediction(at) && truth(at));
    send(&mut window, Intent::Consensus(Method::Majority));
    let mask = document(&window).segmentation().unwrap();
    assert_eq!((mask.labels.to_volume().labelled_voxels(), mask.path.clone()), (both, None));
    assert!(document(&window).is_unsaved() && document(&window).is_corrected());
    send(&mut window, Intent::Consensus(Method::Staple));
    assert!(matches!(state(&window).dialog, Some(Dialog::Unsaved { next: Intent::Consensus(Method::Staple) })));
    click(&mut window, "Continue without saving");
    assert_eq!(errors(&window), [""; 0]);
    let saved = LabelVolume::read(&root.join("patient_1/ct_pred.nii.gz")).unwrap();
    assert_eq!(saved.labelled_voxels(), crate::phantom::count(prediction), "its file stays");
}

#[test]
fn verdicts_of_another_window_appear_with_the_next_case() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let mut window = open_queue(&root);
    let (mut other, _) = ReviewWriter::open(&root).unwrap();
    let time_ms = 1_767_225_600_000;
    other.append(&Entry { verdict: Verdict::SecondLook, time_ms, ..Entry::new("patient_1") }).unwrap();
    send(&mut window, Intent::StepCase(1));
    assert_eq!(verdicts(&window)[0], Verdict::SecondLook);
}

#[test]
fn maximise_and_cine_have_shortcuts_with_shift() {
    let folder = tempfile::tempdir().unwrap();
    let root = cohort(folder.path());
    let mut window = open_queue(&root);
    press_with(&mut window, Modifiers::SHIFT, Key::Enter);
    assert!(state(&window).session.view.maximised.is_some());
    press_with(&mut window, Modifiers::SHIFT, Key::C);
    assert!(state(&window).session.view.cine.is_some());
    assert_eq!((title(&window), verdicts(&window)[0]), ("patient_1", Verdict::ToDo));
    assert!(state(&window).cases.review.comment.is_none());
}
