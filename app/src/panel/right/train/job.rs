//! The current run and the queue: pause, resume, stop.

use egui::Ui;
use engine::event::Stage;

use crate::command::{Command, Sender, TrainCommand};
use crate::state::State;
use crate::state::train::{EndedJob, JobOutcome, Phase, RunningJob};
use crate::theme::{self, Icon, icon, space};
use crate::widget::{IconButton, ListRow, PropertyRow, PushButton, Section, progress_bar};
use crate::widget::{format, text};

/// Number of ended jobs listed.
const ENDED: usize = 4;

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    ui.spacing_mut().item_spacing.y = 0.0;
    Section::new("Job").show(ui, |ui| job(ui, state));
    queue(ui, state, sender);
    ended(ui, state, sender);
}

fn send(sender: &Sender, command: TrainCommand) {
    sender.send(Command::Train(command));
}

fn stage_icon(stage: Stage) -> Icon {
    if stage == Stage::Pretrain { icon::GRID } else { icon::BRAIN }
}

fn stage_name(stage: Stage) -> &'static str {
    if stage == Stage::Pretrain { "Pre-training" } else { "Fine-tuning" }
}

fn job(ui: &mut Ui, state: &State) {
    let running = state.training.running.as_ref();
    let (title, what) = match running {
        Some(job) => (job.name.clone(), format!("{}: {}", stage_name(job.stage), job.phase.name())),
        None => ("No active run".to_owned(), "Set one up, or resume one".to_owned()),
    };
    let mark = running.map_or(icon::PENDING, |job| stage_icon(job.stage));
    let row = ui.add(ListRow::new(&title).subtitle(&what).icon(mark).dim(running.is_none()));
    row.accessible_name(format!("Job {title}: {what}"));
    ui.add_space(space::XS);
    let preparing = state.preparing();
    let fraction = match running {
        Some(job) => job.fraction().or_else(|| preparing.as_ref().and_then(|preparing| preparing.fraction)),
        None => Some(0.0),
    };
    progress_bar(ui, "Training progress", fraction, ui.available_width());
    ui.add_space(space::S);
    match (running, preparing) {
        // No numbers before the first step.
        (Some(_), Some(preparing)) => {
            text::note(ui, &preparing.what);
        }
        (Some(job), None) => facts(ui, job),
        (None, _) => {}
    }
}

fn facts(ui: &mut Ui, job: &RunningJob) {
    let none = || format::NONE.to_owned();
    let of = |value: Option<f64>, say: &dyn Fn(f64) -> String| value.map_or_else(none, say);
    let started = Some(job).filter(|job| job.epochs > 0);
    let epoch = started.map_or_else(none, |job| format!("{} of {}", job.epoch, job.epochs));
    let step = started.map_or_else(none, |job| format!("{} of {}", job.step, job.steps_per_epoch));
    let left = started.and_then(RunningJob::seconds_left);
    ui.add(PropertyRow::new("Epoch", &epoch));
    ui.add(PropertyRow::new("Step", &step));
    ui.add(PropertyRow::new("Loss", &of(job.loss, &format::figures)));
    ui.add(PropertyRow::new("Learning rate", &of(job.learning_rate, &format::figures)));
    if job.stage == Stage::Finetune {
        ui.add(PropertyRow::new("Training Dice", &of(job.training_dice, &format::ratio)));
        let dice = of(job.last_validation.map(|(_, dice)| dice), &format::ratio);
        ui.add(PropertyRow::new("Validation Dice", &dice));
    } else if let Some(sigma) = job.sigma() {
        ui.add(PropertyRow::new("Sigma", &format::ratio(sigma)));
    }
    let speed = of(job.rate, &|rate| format!("{rate:.1}"));
    ui.add(PropertyRow::new("Speed", &speed).unit("slices/s"));
    ui.add(PropertyRow::new("Time left", &of(left, &format::duration)));
    let device = Some(job.device.as_str()).filter(|device| !device.is_empty());
    ui.add(PropertyRow::new("Device", device.unwrap_or(format::NONE)));
}

/// Pause or resume, and stop.
pub(super) fn buttons(ui: &mut Ui, state: &State, sender: &Sender) {
    let running = state.training.running.as_ref();
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = space::S;
        if running.is_some_and(RunningJob::can_resume) {
            if ui.add(PushButton::primary("Resume").icon(icon::PLAY).shortcut("F7")).clicked() {
                send(sender, TrainCommand::Unpause);
            }
        } else {
            let pause = PushButton::new("Pause").icon(icon::PAUSE).shortcut("F6");
            if ui.add_enabled(running.is_some_and(RunningJob::can_pause), pause).clicked() {
                send(sender, TrainCommand::Pause);
            }
        }
        let can_stop = running.is_some_and(|job| job.phase != Phase::Stopping);
        let stop = PushButton::new("Stop").icon(icon::STOP).shortcut("Shift+F5");
        let stop = ui.add_enabled(can_stop, stop);
        if stop.on_hover_text("Saves a checkpoint and stops. The run can be resumed.").clicked() {
            send(sender, TrainCommand::Stop);
        }
    });
}

fn queue(ui: &mut Ui, state: &State, sender: &Sender) {
    let waiting = &state.training.queue;
    if waiting.is_empty() {
        return;
    }
    let count = waiting.len().to_string();
    Section::new("Queue").note(&count).show(ui, |ui| {
        for (at, job) in waiting.iter().enumerate() {
            let what = stage_name(job.stage);
            let row = ListRow::new(&job.name).subtitle(what).icon(stage_icon(job.stage));
            let (response, ()) = row.show_with(ui, |ui| {
                let remove = format!("Remove {} from the queue", job.name);
                if ui.add(IconButton::new(icon::CLOSE, &remove).small()).clicked() {
                    send(sender, TrainCommand::Remove(job.id));
                }
                let sooner = format!("Start {} sooner", job.name);
                if ui.add_enabled(at > 0, IconButton::new(icon::CHEVRON_UP, &sooner).small()).clicked() {
                    send(sender, TrainCommand::MoveUp(job.id));
                }
            });
            response.accessible_name(format!("Waiting: {}", job.name));
        }
    });
}

/// Jobs that ended in this session.
fn ended(ui: &mut Ui, state: &State, sender: &Sender) {
    if state.training.ended.is_empty() {
        return;
    }
    Section::new("Ended").show(ui, |ui| {
        for job in state.training.ended.iter().take(ENDED) {
            ended_row(ui, state, job, sender);
        }
    });
}

fn ended_row(ui: &mut Ui, state: &State, job: &EndedJob, sender: &Sender) {
    let t = theme::tokens(ui);
    let (mark, color, what) = match &job.how {
        JobOutcome::Finished => (icon::DONE, t.ok, "Finished".to_owned()),
        JobOutcome::Stopped => (icon::STOP, t.text_dim, "Stopped".to_owned()),
        JobOutcome::Failed(why) => (icon::ERROR, t.error, why.clone()),
    };
    let row = ListRow::new(&job.name).subtitle(&what).icon_colored(mark, color);
    let (response, ()) = row.show_with(ui, |ui| {
        let Some(run) = &job.run else { return };
        let act = |ui: &mut Ui, icon: Icon, label: &str, command: TrainCommand| {
            let label = format!("{label} {}", job.name);
            if ui.add(IconButton::new(icon, &label).small()).clicked() {
                send(sender, command);
            }
        };
        match (&job.how, job.stage) {
            (JobOutcome::Finished, Stage::Pretrain) => {
                act(ui, icon::BRAIN, "Fine-tune from", TrainCommand::FinetuneFrom(Some(run.clone())));
            }
            (JobOutcome::Finished, Stage::Finetune) => {
                act(ui, icon::SEGMENT, "Segment with", TrainCommand::SegmentWith(run.clone()));
                act(ui, icon::BARS, "Results of", TrainCommand::ShowResults(run.clone()));
            }
            // A run without a checkpoint cannot be resumed.
            (JobOutcome::Stopped | JobOutcome::Failed(_), _) => {
                if state.cache.runs.unfinished().any(|entry| entry.path == *run) || can_be_resumed(state, job) {
                    act(ui, icon::PLAY, "Continue", TrainCommand::Resume(run.clone()));
                }
            }
        }
    });
    response.accessible_name(format!("{}: {what}", job.name));
}

/// A failed run has a checkpoint once an epoch is complete.
fn can_be_resumed(state: &State, job: &EndedJob) -> bool {
    let known = state.cache.runs.entries.iter().flatten();
    known.filter(|entry| Some(&entry.path) == job.run.as_ref()).any(|entry| entry.epochs_done > 0)
}
