//! Metrics of a fine-tuned run per patient.

mod change;

use std::path::Path;

use egui::scroll_area::ScrollBarVisibility;
use egui::{Align, Align2, Frame, Label, Layout, Margin, RichText, Role, ScrollArea, Sense, Ui, WidgetInfo, vec2};
use egui_extras::{Column as Width, TableBuilder, TableRow};
use engine::jobs::evaluation::{PatientRow, RunEvaluation};
use engine::predict::Choice;
use engine::run::workspace::DiceSource;

use crate::command::{Command, FileCommand, Sender, TrainCommand};
use crate::state::runs::Column as RunColumn;
use crate::state::train::{Column, Results, TrainExport};
use crate::state::{Intent, PathPurpose, State};
use crate::theme::{self, Icon, font, icon, size, space};
use crate::widget::format;
use crate::widget::text;
use crate::widget::{ButtonKind, EmptyState, ErrorState, IconButton, ListRow, LoadingState, PushButton};
use crate::widget::{Segment, SegmentedControl, TableOutput, TablePart, split_table};
use crate::worker;

/// Minimum width of the name column and of number columns.
const NAME: f32 = 112.0;
const NUMBER: f32 = 52.0;
/// Height of a line of a heading.
const LINE: f32 = 14.0;
/// Width of the column with the buttons that open a patient.
const OPEN: f32 = 30.0;

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let margin = Margin { left: space::L as i8, right: space::L as i8, top: 0, bottom: space::M as i8 };
    Frame::new().inner_margin(margin).show(ui, |ui| {
        let results = &state.cache.results;
        let job = state.jobs.iter().find(|job| job.slot == worker::train::evaluate::SLOT);
        let chosen = &state.session.runs.results;
        if let Some(run) = chosen {
            head(ui, state, run, job.is_none(), sender);
            ui.add_space(space::S);
        }
        match (chosen, &results.evaluation, job, &results.why) {
            (None, ..) => choose(ui, state, sender),
            (Some(_), _, Some(job), _) => {
                let text =
                    if job.detail.is_empty() { job.title.clone() } else { format!("{}: {}", job.title, job.detail) };
                if LoadingState::new(&text, job.progress).cancel().show(ui) {
                    sender.send(FileCommand::CancelJob(job.id));
                }
            }
            (Some(_), Some(evaluation), None, _) if evaluation.patients.is_empty() => {
                EmptyState::new(icon::PATIENT, "No held-out patients.").show(ui);
            }
            (Some(_), Some(_), None, _) => {
                notes(ui, results);
                if let Some(change) = &results.change {
                    change::show(ui, change);
                }
                tables(ui, results, sender);
            }
            (Some(run), None, None, why) => {
                let why = why.as_deref().unwrap_or("The run has not been evaluated yet.");
                let title = format!("{} has no results", format::file_name(run));
                if ErrorState::new(&title, why).retry("Evaluate").show(ui) {
                    sender.send(Command::Train(TrainCommand::Evaluate(run.clone())));
                }
            }
        }
    });
}

/// Shown without a run: those that can be evaluated.
fn choose(ui: &mut Ui, state: &State, sender: &Sender) {
    let runs: Vec<_> = state.cache.runs.finetuned().collect();
    if runs.is_empty() {
        let what = "Fine-tune a run to see its metrics on held-out patients.";
        EmptyState::new(icon::BARS, what).show(ui);
        return;
    }
    ui.add_space(space::S);
    text::heading(ui, "Fine-tuned runs of the workspace");
    ui.add_space(space::XS);
    ScrollArea::vertical().id_salt("measurable").show(ui, |ui| {
        for run in runs {
            let start = run.from.as_deref().map_or_else(|| "random weights".to_owned(), format::file_name);
            let epochs = format::done_of(run.epochs_done, run.epochs, "epoch", "epochs");
            let what = format!("{}, from {start}, {epochs}", RunColumn::Data.text(&state.run_row(run)));
            let tested = run.evaluated_last.filter(|_| run.dice_of == DiceSource::Test);
            let dice = match (tested, run.best_validation) {
                (Some(dice), _) => format!("test Dice {}", format::ratio(dice)),
                (None, Some((epoch, dice))) => format!("best validation {}, epoch {epoch}", format::ratio(dice)),
                (None, None) => String::new(),
            };
            let row = ui.add(ListRow::new(&run.name).subtitle(&what).icon(icon::BRAIN).trailing(&dice));
            if row.accessible_name(format!("Results of {}", run.name)).clicked() {
                sender.send(Command::Train(TrainCommand::ShowResults(run.path.clone())));
            }
        }
    });
}

/// Name of the run, and its buttons.
fn head(ui: &mut Ui, state: &State, run: &Path, idle: bool, sender: &Sender) {
    let results = &state.cache.results;
    let t = theme::tokens(ui);
    ui.add_space(space::XS);
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        let name = RichText::new(format::file_name(run)).font(font::heading()).color(t.text);
        ui.add(Label::new(name).truncate()).on_hover_text(run.display().to_string());
        let what = results.evaluation.as_deref().map_or_else(|| run.display().to_string(), evaluated_patients);
        ui.add(Label::new(RichText::new(what).font(font::caption()).color(t.text_dim)).truncate());
    });
    ui.add_space(space::XS);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(space::S, space::XS);
        buttons(ui, state, run, idle, sender);
    });
}

/// The buttons of the run, in the line below its name.
fn buttons(row: &mut Ui, state: &State, run: &Path, idle: bool, sender: &Sender) {
    let results = &state.cache.results;
    if row.add(PushButton::new("Choose another run").icon(icon::LIST)).clicked() {
        sender.send(Command::Train(TrainCommand::ChooseResults));
    }
    if state.has_best(run) {
        let networks = [Segment::text(Choice::Last, "Last"), Segment::text(Choice::Best, "Best")];
        let mut network = state.session.runs.network;
        let choice = SegmentedControl::new("Network", &networks).show(row, &mut network);
        if choice.on_hover_text("The last network, or the one with the best validation").changed() {
            sender.send(Command::Train(TrainCommand::ChooseNetwork(network)));
        }
    }
    if idle && results.evaluation.is_some() {
        if row.add(PushButton::new("Evaluate again").icon(icon::RETRY)).clicked() {
            sender.send(Command::Train(TrainCommand::Evaluate(run.to_path_buf())));
        }
        for (kind, label) in [(TrainExport::ResultsLatex, "LaTeX\u{2026}"), (TrainExport::ResultsTable, "CSV\u{2026}")]
        {
            let button = PushButton::new(label).icon(icon::DOWNLOAD).kind(ButtonKind::Quiet);
            if row.add(button).on_hover_text(kind.content()).accessible_name(kind.name()).clicked() {
                sender.send(Intent::Ask(PathPurpose::TrainExport(kind)));
            }
        }
        let continued = PushButton::new("Continue fine-tuning").icon(icon::TRAIN);
        let hint = "Set up a run that continues this one with the corrected masks of its cohort";
        if row.add(continued).on_hover_text(hint).clicked() {
            sender.send(Command::Train(TrainCommand::Retrain(Some(run.to_path_buf()))));
        }
        if row.add(PushButton::primary("Segment with this run").icon(icon::SEGMENT)).clicked() {
            sender.send(Command::Train(TrainCommand::SegmentWith(run.to_path_buf())));
        }
    }
}

/// Notes on the measures.
fn notes(ui: &mut Ui, results: &Results) {
    for (note, count) in results.notes() {
        text::note(ui, &format!("{}: {note}.", format::plural(count, "patient", "patients")));
    }
}

/// Which patients were evaluated, with which network and after which epoch.
fn evaluated_patients(evaluation: &RunEvaluation) -> String {
    let part = match evaluation.part.as_str() {
        "test" => ["test patient", "test patients"],
        "val" => ["validation patient", "validation patients"],
        other => [other; 2],
    };
    let patients = format::plural(evaluation.patients.len(), part[0], part[1]);
    let network = if evaluation.checkpoint == Choice::Best { "best network" } else { "last network" };
    format!("{patients}, {network}, after epoch {}", evaluation.epoch)
}

/// The width that the heading and cells of a column need. `mark` is the room for the arrow of a sorted column.
pub(super) fn width<'a>(ui: &Ui, column: Column, names: impl Iterator<Item = &'a str>, mark: f32) -> f32 {
    let measure =
        |text: &str, font| ui.painter().layout_no_wrap(text.to_owned(), font, theme::tokens(ui).text).size().x;
    let lines = column.head().map(|line| measure(line, font::caption()));
    let head = lines[0].max(lines[1]) + mark;
    if column == Column::Patient {
        // With the mark of a note.
        let names = names.map(|name| measure(name, font::body()));
        return (names.fold(head, f32::max) + size::ICON_SMALL + space::S).max(NAME).ceil();
    }
    head.max(NUMBER).ceil()
}

/// Patients and their measures. The patients stay visible while the measures scroll sideways.
fn tables(ui: &mut Ui, results: &Results, sender: &Sender) {
    ui.spacing_mut().item_spacing.x = space::XS;
    let names = || results.rows().map(|(_, row)| row.case.as_str());
    let widths = Column::ALL.map(|column| width(ui, column, names(), size::ICON_SMALL + space::XS));
    split_table(ui, "measures", OPEN + widths[0] + 2.0 * space::XS, |ui, part| {
        table(ui, results, part, &widths[1..], sender)
    });
}

fn table(ui: &mut Ui, results: &Results, part: TablePart, widths: &[f32], sender: &Sender) -> TableOutput {
    let top = ui.max_rect().top();
    let mut builder = TableBuilder::new(ui)
        .id_salt(if part.fixed { "patients" } else { "measures" })
        .striped(true)
        .cell_layout(Layout::right_to_left(Align::Center))
        .vertical_scroll_offset(part.offset);
    if part.fixed {
        builder = builder.scroll_bar_visibility(ScrollBarVisibility::AlwaysHidden);
        builder = builder.column(Width::exact(OPEN)).column(Width::remainder().clip(true));
    } else {
        for width in widths {
            builder = builder.column(Width::remainder().at_least(*width));
        }
    }
    let columns = if part.fixed { &Column::ALL[..1] } else { &Column::ALL[1..] };
    let table = builder.header(size::ROW_TALL, |mut row| {
        if part.fixed {
            row.col(|_| ());
        }
        for column in columns {
            row.col(|ui| head_cell(ui, results, *column, sender));
        }
    });
    let output = table.body(|mut body| {
        for (at, patient) in results.rows() {
            body.row(size::ROW, |mut row| {
                if part.fixed {
                    name_cells(&mut row, at, patient, sender);
                } else {
                    measure_cells(&mut row, patient);
                }
            });
        }
        body.row(size::ROW_TALL, |mut row| {
            if part.fixed {
                mean_cells(&mut row);
            } else {
                spread_cells(&mut row, results);
            }
        });
    });
    let height = output.inner_rect.bottom() - top;
    TableOutput { offset: output.state.clamped_offset().y, hovered: None, height }
}

/// A column heading that sorts, with an arrow for the direction.
fn head_cell(ui: &mut Ui, results: &Results, column: Column, sender: &Sender) {
    let t = theme::tokens(ui);
    let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::click());
    let sorted = results.column == column;
    let name = format!("Sort by {}", column.meaning());
    response.widget_info(|| WidgetInfo::selected(Role::ColumnHeader, ui.is_enabled(), sorted, &name));
    let color = if sorted || response.hovered() { t.text } else { t.text_dim };
    let painter = ui.painter();
    let mark = if sorted { size::ICON_SMALL } else { 0.0 };
    let left = column == Column::Patient;
    let (x, anchor) = if left { (rect.left(), Align2::LEFT_CENTER) } else { (rect.right(), Align2::RIGHT_CENTER) };
    let lines = column.head();
    let shift = if lines[1].is_empty() { 0.0 } else { LINE / 2.0 };
    let [first, second] = [(lines[0], -shift), (lines[1], shift)].map(|(line, shift)| {
        painter.text(egui::pos2(x, rect.center().y + shift), anchor, line, font::caption(), color)
    });
    // Beside the longer line; an empty line has no width.
    let beside = if left {
        first.right() + space::XS + mark / 2.0
    } else {
        first.left().min(second.left()) - space::XS - mark / 2.0
    };
    arrow(ui, sorted, results.falling, beside, rect.center().y);
    if response.has_focus() {
        let ring = egui::Stroke::new(size::FOCUS_RING, t.focus);
        painter.rect_stroke(rect, theme::radius::S, ring, egui::StrokeKind::Inside);
    }
    let says_more = column.meaning() != column.head().join(" ").trim();
    let response = if says_more { response.on_hover_text(column.meaning()) } else { response };
    if response.clicked() {
        sender.send(Command::Train(TrainCommand::SortResults(column)));
    }
}

fn arrow(ui: &Ui, sorted: bool, falling: bool, x: f32, y: f32) {
    if sorted {
        let drawing = if falling { icon::CHEVRON_DOWN } else { icon::CHEVRON_UP };
        let color = theme::tokens(ui).accent_text;
        let at = egui::pos2(x, y);
        ui.painter().text(at, Align2::CENTER_CENTER, drawing.char(), Icon::font(size::ICON_SMALL), color);
    }
}

/// The button that opens a patient, and its name.
fn name_cells(row: &mut TableRow<'_, '_>, at: usize, patient: &PatientRow, sender: &Sender) {
    row.col(|ui| {
        let slice = patient.worst_slice.map_or_else(String::new, |_| " at its worst slice".into());
        let label = format!("Open {}{slice}", patient.case);
        if ui.add(IconButton::new(icon::EXTERNAL, &label).small()).clicked() {
            sender.send(Command::Train(TrainCommand::OpenPatient(at)));
        }
    });
    row.col(|ui| {
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let name = RichText::new(&patient.case).font(font::body()).color(theme::tokens(ui).text);
            ui.add(Label::new(name).truncate());
            let notes = patient.measures.iter().flat_map(|m| &m.notes).cloned().collect::<Vec<_>>().join("\n");
            if !notes.is_empty() {
                let mark = RichText::new(icon::INFO.char().to_string()).font(Icon::font(size::ICON_SMALL));
                ui.label(mark.color(theme::tokens(ui).warn)).on_hover_text(notes);
            }
        });
    });
}

fn measure_cells(row: &mut TableRow<'_, '_>, patient: &PatientRow) {
    for column in &Column::ALL[1..] {
        row.col(|ui| {
            let value = patient.measures.as_ref().and_then(|m| column.value(m));
            number(ui, value, column.decimals());
        });
    }
}

fn mean_cells(row: &mut TableRow<'_, '_>) {
    row.col(|_| ());
    row.col(|ui| {
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            ui.label(RichText::new("Mean (SD)").font(font::strong()).color(theme::tokens(ui).text));
        });
    });
}

/// Means, and the standard deviations below them.
fn spread_cells(row: &mut TableRow<'_, '_>, results: &Results) {
    for column in &Column::ALL[1..] {
        row.col(|ui| {
            let spread = results.spread(*column);
            let decimals = column.decimals().max(1);
            ui.with_layout(Layout::top_down(Align::Max), |ui| {
                ui.spacing_mut().item_spacing.y = 0.0;
                ui.add_space(space::XS);
                number(ui, spread.map(|s| s.mean), decimals);
                let sd = spread.and_then(|s| s.sd).map_or_else(String::new, |sd| format!("({sd:.decimals$})"));
                ui.label(RichText::new(sd).font(font::number_small()).color(theme::tokens(ui).text_dim));
            });
        });
    }
}

/// A number, or a dash.
pub(super) fn number(ui: &mut Ui, value: Option<f64>, decimals: usize) {
    let t = theme::tokens(ui);
    let text = value.filter(|v| v.is_finite()).map_or_else(|| format::NONE.into(), |v| format!("{v:.decimals$}"));
    let color = if value.is_some() { t.text } else { t.text_dim };
    ui.label(RichText::new(text).font(font::number()).color(color));
}
