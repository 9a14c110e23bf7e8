//! Top bar, status line, toasts.

use amlp_viewer::command::{Command, FileCommand, ViewCommand, WindowCommand};
use amlp_viewer::scene::{Convention, Modality, PlaneMode};
use amlp_viewer::state::{CaseId, CaseList, ListedCase, MaskLayer, Mode, PaneId, Severity, State, ToolKind};
use amlp_viewer::theme::Theme;
use amlp_viewer::worker;
use egui::Role;
use egui_kittest::kittest::{NodeT as _, Queryable as _};

use super::bench::{self, Bench, click, clicked, window, window_of};

#[test]
fn modes_and_tools_are_selected_by_name() {
    let mut harness = window(Bench::new(bench::ct()));
    assert_eq!(clicked(&mut harness, "Masking"), Command::Window(WindowCommand::SetMode(Mode::Masking)));
    assert_eq!(harness.state().state.session.mode, Mode::Masking);
    click(&mut harness, "Review");
    for tool in ToolKind::ALL.into_iter().rev() {
        let name = format!("Tool: {}", tool.name());
        assert_eq!(clicked(&mut harness, &name), Command::View(ViewCommand::SetTool(tool)));
        let node = harness.get_by_label(&name);
        assert_eq!(node.accesskit_node().toggled(), Some(egui::accesskit::Toggled::True), "{name}");
    }
}

#[test]
fn tooltips_show_the_shortcuts() {
    let mut harness = window(Bench::new(bench::ct()));
    harness.get_by_label("Tool: Ruler").hover();
    harness.run_steps(8);
    assert!(harness.query_by_label("5").is_some());
    harness.get_by_label("Train").hover();
    harness.run_steps(8);
    assert!(harness.query_by_label("F3").is_some());
}

#[test]
fn view_controls_need_a_case() {
    let harness = window(Bench::new(State::default()));
    assert!(harness.get_by_label("Fit all views").accesskit_node().is_disabled());
    let harness = window(Bench::new(bench::ct()));
    assert!(harness.get_by_label("Images side by side").accesskit_node().is_disabled());
    let brush = harness.get_by_label("Tool: Brush").rect();

    let images = vec![bench::image("ct", Modality::Ct), bench::image("pet", Modality::Pet)];
    let state = State { document: Some(bench::document(images)), ..State::default() };
    let mut harness = window(Bench::new(state));
    assert_eq!(harness.get_by_label("Tool: Brush").rect(), brush, "the tools keep their place");
    assert_eq!(clicked(&mut harness, "Fit all views"), Command::View(ViewCommand::Fit));
    assert_eq!(clicked(&mut harness, "Images side by side"), Command::View(ViewCommand::ToggleLinked));
    assert_eq!(clicked(&mut harness, "Maximise Axial"), Command::View(ViewCommand::Maximise(Some(PaneId::Axial))));
    assert_eq!(clicked(&mut harness, "Show all views"), Command::View(ViewCommand::Maximise(None)));
}

#[test]
fn view_options_are_in_one_menu() {
    let mut harness = window(Bench::new(bench::ct()));
    assert!(harness.query_by_label("Along the patient").is_none());
    click(&mut harness, "View options");
    assert_eq!(clicked(&mut harness, "Along the patient"), Command::View(ViewCommand::SetPlanes(PlaneMode::World)));
    // The menu stays for the next switch.
    assert_eq!(clicked(&mut harness, "Right"), Command::View(ViewCommand::SetConvention(Convention::Neurological)));
    assert_eq!(clicked(&mut harness, "Bottom strip"), Command::Window(WindowCommand::ToggleStrip));
}

#[test]
fn panels_and_theme_have_buttons() {
    let mut harness = window(Bench::new(bench::ct()));
    assert_eq!(clicked(&mut harness, "Left panel"), Command::Window(WindowCommand::ToggleLeft));
    assert!(harness.query_by_label("Image ct").is_none());
    assert_eq!(clicked(&mut harness, "Right panel"), Command::Window(WindowCommand::ToggleRight));
    assert!(harness.query_by_label("Segment now").is_none());
    assert_eq!(clicked(&mut harness, "Light theme"), Command::Window(WindowCommand::SetTheme(Theme::Light)));
    assert!(harness.query_by_label("Dark theme").is_some());
}

#[test]
fn the_top_bar_shows_the_case_and_whether_it_is_unsaved() {
    let mut state = bench::ct();
    let harness = window(Bench::new(state.clone()));
    assert!(harness.query_by_label("STS_001").is_some());
    assert!(harness.query_by_label("unsaved").is_none());
    state.document.as_mut().unwrap().set_mask(MaskLayer { saved_revision: None, ..bench::segmentation() });
    let harness = window(Bench::new(state));
    assert!(harness.query_by_label("unsaved").is_some());
}

#[test]
fn the_top_bar_fits_a_narrow_window() {
    let harness = window_of([1024.0, 640.0], Bench::new(bench::ct()));
    let (ruler, train) = (harness.get_by_label("Tool: Crosshair").rect(), harness.get_by_label("Train").rect());
    assert!(train.right() < ruler.left(), "{train:?} {ruler:?}");
    assert!(harness.get_by_label("Right panel").rect().right() <= 1024.0);
}

#[test]
fn a_quiet_job_is_shown_after_a_second() {
    let jobs = vec![bench::job(7, worker::frame::PROJECT, "Projecting", true)];
    let state = State { adapter: "llvmpipe".into(), jobs, ..State::default() };
    let mut harness = window(Bench::new(state));
    assert!(harness.query_by_label("Job: Projecting").is_none());
    harness.run_steps(8);
    assert!(harness.query_by_label("Job: Projecting").is_some());
    assert_eq!(clicked(&mut harness, "Cancel job: Projecting"), Command::File(FileCommand::CancelJob(7)));
    assert!(harness.query_by_label("llvmpipe").is_some());
    assert!(harness.query_by_label("Research use only. Not a medical device.").is_some());
}

#[test]
fn other_jobs_are_shown_at_once_with_a_count() {
    let jobs = vec![
        bench::job(1, worker::segment::SLOT, "Segmenting", false),
        bench::job(2, worker::save::SLOT, "Saving", false),
    ];
    let state = State { jobs, ..State::default() };
    let harness = window(Bench::new(state));
    assert!(harness.query_by_label("Segmenting, slice 3 of 12 (+1)").is_some());
}

#[test]
fn information_is_dismissed_automatically_and_errors_stay() {
    let mut state = bench::with_messages(Severity::Info, 1);
    state.notice(Severity::Error, "Not saved", "disk full");
    let mut harness = window(Bench::new(state));
    assert!(harness.query_by_label("Message 1").is_some());
    harness.run_steps(60);
    assert!(harness.query_by_label("Message 1").is_none());
    assert!(harness.state().sent.contains(&Command::Window(WindowCommand::Dismiss(1))));
    assert!(harness.query_by_label("Not saved").is_some());
    click(&mut harness, "Dismiss: Not saved");
    assert!(harness.query_by_label("Not saved").is_none());
    assert!(harness.state().state.notices.iter().all(|notice| notice.dismissed));
}

#[test]
fn a_repeated_message_is_counted_and_its_timer_restarts() {
    let mut state = bench::with_messages(Severity::Info, 1);
    state.error("Not saved", "disk full");
    state.error("Not saved", "disk full");
    let mut harness = window(Bench::new(state));
    assert!(harness.query_by_label("Not saved \u{d7}2").is_some());
    assert_eq!(harness.query_all_by_label("Dismiss: Not saved").count(), 1);
    let again = bench::with_messages(Severity::Info, 1).notices.remove(0);
    for _ in 0..5 {
        harness.run_steps(15);
        harness.state_mut().state.notice(Severity::Info, again.title.clone(), again.detail.clone());
    }
    harness.run_steps(2);
    assert!(harness.query_by_label("Message 1 \u{d7}6").is_some(), "it was shown all the time");
    harness.run_steps(60);
    assert!(harness.query_by_label("Message 1 \u{d7}6").is_none());
}

#[test]
fn messages_stay_while_the_pointer_is_over_them() {
    let mut harness = window(Bench::new(bench::with_messages(Severity::Info, 1)));
    harness.get_by_label("Message 1").hover();
    harness.run_steps(60);
    assert!(harness.query_by_label("Message 1").is_some());
}

/// A message of one line had the height of the strip.
#[test]
fn a_message_is_as_high_as_its_text() {
    let height = |detail: &str| {
        let mut state = State::default();
        state.notice(Severity::Warning, "Not saved", detail);
        let harness = window(Bench::new(state));
        let card = harness.get_by_role(Role::Alert).rect();
        let strip = harness.state().state.session.settings.strip_height;
        assert!(card.height() < strip, "{card:?}");
        if !detail.is_empty() {
            assert!(card.contains_rect(harness.get_by_label(detail).rect()), "{detail}: {card:?}");
        }
        card.height()
    };
    let (title, one, two) = (height(""), height("disk full"), height("disk full ".repeat(9).trim_end()));
    assert!(title < 48.0 && title + 10.0 < one && one + 10.0 < two, "{title}, {one}, {two}");
}

/// The end was left out, so that two scans of one patient had the same title.
#[test]
fn a_title_without_enough_room_keeps_what_tells_cases_apart() {
    let name = "A cohort with quite a long name, patient TCGA_CS_4941 19960909";
    let start = name.find("TCGA").unwrap();
    let mut state = bench::ct();
    state.document.as_mut().unwrap().listed = Some(CaseId(1));
    state.document.as_mut().unwrap().title = name.into();
    let case = ListedCase { id: CaseId(1), name: name.into(), distinct: start..name.len(), ..ListedCase::default() };
    state.cases = CaseList { cases: vec![case], open: Some(CaseId(1)), ..CaseList::default() };
    let mut harness = window(Bench::new(state));
    let title = harness.get_by_label(name).rect();
    assert!(title.width() > 100.0 && title.right() < 580.0, "{title:?}");
    let texts = harness.output().shapes.iter().filter_map(|clipped| match &clipped.shape {
        egui::Shape::Text(text) if title.contains(text.pos) => Some(text.galley.text().to_owned()),
        _ => None,
    });
    let texts: Vec<String> = texts.collect();
    assert!(
        texts.iter().any(|text| text.starts_with("A c") && text.ends_with("\u{2026}TCGA_CS_4941 19960909")),
        "{texts:?}"
    );
    harness.get_by_label(name).hover();
    harness.run_steps(40);
    assert!(harness.query_by_label_contains(&format!("{name}\n")).is_some());
}

/// The fourth line was cut: the height of the strip limits that of a message, so a long one becomes wider.
#[test]
fn no_line_of_a_message_is_cut() {
    for lines in 1..7 {
        let detail = "The mask is on a different grid from the image. ".repeat(lines).trim_end().to_owned();
        for (strip, size) in [(true, [1280.0, 800.0]), (true, [900.0, 600.0]), (false, [1280.0, 800.0])] {
            let mut state = State::default();
            state.session.settings.strip = strip;
            state.notice(Severity::Error, "The segmentation of this case is not loaded", detail.clone());
            let harness = window_of(size, Bench::new(state));
            let card = harness.get_by_role(Role::Alert).rect();
            let text = harness.get_by_label(&detail).rect();
            assert!(card.contains_rect(text), "{lines} in {size:?}, strip {strip}: {text:?} in {card:?}");
            assert!(egui::Rect::from_min_size(egui::Pos2::ZERO, size.into()).contains_rect(card), "{card:?}");
        }
    }
}

#[test]
fn messages_that_do_not_fit_are_counted_and_in_the_log() {
    let mut harness = window(Bench::new(bench::with_messages(Severity::Error, 6)));
    // Four side by side, with the count of the older ones.
    assert!(harness.query_by_label("Message 2").is_none());
    assert!(harness.query_by_label("Message 3").is_some());
    click(&mut harness, "2 more");
    assert!(harness.query_by_label("Close dialog").is_some());
    click(&mut harness, "Close dialog");
    assert_eq!(clicked(&mut harness, "Dismiss all"), Command::Window(WindowCommand::DismissAll));
    assert!(harness.query_by_label("Message 6").is_none());
}
