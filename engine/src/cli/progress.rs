//! Progress on stderr: a bar in a terminal, otherwise plain lines.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::Result;
use crate::event::{EpochSummary, Event, EventSink};
use crate::words::plural;

/// Prints the events of a run.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// Steps of the whole run. A length in steps may end within an epoch.
    steps: usize,
    steps_per_epoch: usize,
    epochs: usize,
    last_line: Option<Instant>,
}

impl Progress {
    /// Shows a bar if stderr is a terminal, otherwise plain lines.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} {msg}, {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, steps: 0, steps_per_epoch: 1, epochs: 1, last_line: None }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) if !bar.is_finished() => bar.println(line),
            _ => eprintln!("{line}"),
        }
    }

    /// True at most every two seconds, so that plain lines do not flood a log.
    fn due(&mut self) -> bool {
        let due = self.last_line.is_none_or(|at| at.elapsed() > Duration::from_secs(2));
        if due {
            self.last_line = Some(Instant::now());
        }
        due
    }
}

impl EventSink for Progress {
    fn event(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Estimate { steps, seconds_per_step, seconds, memory_mib } => {
                self.steps = *steps;
                if let Some(bar) = &self.bar {
                    bar.set_length(*steps as u64);
                }
                self.say(&format!(
                    "{} of {}: about {}, {memory_mib} MiB besides the slices",
                    plural(*steps, "step", "steps"),
                    step_time(*seconds_per_step),
                    duration(*seconds)
                ));
            }
            Event::Started { epochs, steps_per_epoch, slices, parameters, device, first_epoch, .. } => {
                (self.epochs, self.steps_per_epoch) = (*epochs, *steps_per_epoch);
                let from = if *first_epoch > 1 { format!(", resuming at epoch {first_epoch}") } else { String::new() };
                let millions = *parameters as f64 / 1e6;
                self.say(&format!(
                    "{}, {} in {}, {millions:.2} M weights, on {device}{from}",
                    plural(*slices, "slice", "slices"),
                    plural(self.steps, "step", "steps"),
                    plural(*epochs, "epoch", "epochs")
                ));
            }
            Event::Step { epoch, step, loss, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_position(((epoch - 1) * self.steps_per_epoch + step) as u64);
                    bar.set_message(format!("epoch {epoch}, loss {loss:.4}"));
                }
            }
            Event::Epoch(summary) => {
                if summary.epoch == self.epochs || self.due() {
                    self.say(&epoch_line(summary, self.epochs));
                }
            }
            Event::Relabel { epoch, cases, flips, agreement, .. } => {
                if self.bar.is_some() {
                    self.say(&format!(
                        "epoch {epoch}: relabelled, {}; cases {} / {} / {} / {}, agreement {agreement:.3}",
                        plural(*flips as usize, "flip", "flips"),
                        cases.kept_foreground,
                        cases.kept_background,
                        cases.doubted_foreground,
                        cases.doubted_background
                    ));
                }
            }
            Event::Validation { epoch, dice, best } => {
                let best = if *best { ", the best so far" } else { "" };
                self.say(&format!("epoch {epoch}: validation Dice {dice:.4}{best}"));
            }
            Event::Warning { message } => self.say(&format!("warning: {message}")),
            Event::Finished { .. } | Event::Failed { .. } => {
                if let Some(bar) = &self.bar {
                    bar.finish_and_clear();
                }
            }
            Event::Checkpoint { .. } | Event::Probe(_) => {}
        }
        Ok(())
    }
}

fn epoch_line(s: &EpochSummary, epochs: usize) -> String {
    let mut line = format!("epoch {}/{epochs}: loss {:.4}", s.epoch, s.loss);
    if let Some(parts) = s.parts.as_ref().filter(|parts| !parts.is_empty()) {
        let parts: Vec<String> = parts.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
        line += &format!(" ({})", parts.join(", "));
    }
    let mut add = |name: &str, value: Option<f64>| {
        if let Some(value) = value {
            line += &format!(", {name} {value:.3}");
        }
    };
    add("training Dice", s.training_dice);
    add("validation loss", s.validation_loss);
    add("sigma", s.sigma);
    add("agreement", s.agreement);
    add("air in foreground", s.air_share);
    add("lesion recall", s.lesion_recall_foreground);
    add("of masked", s.lesion_recall_masked);
    s.diagnostics.iter().for_each(|(name, value)| add(&name.replace('_', " "), Some(value)));
    line
}

/// Formats the time of a step in ms or s.
fn step_time(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}

/// Formats a duration in s, min or h.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// Progress of the preprocessing, in cases.
pub fn cases() -> impl FnMut(usize, usize) {
    counter("preprocessing")
}

/// Progress of a task over scans, called with the number done and the total.
pub fn counter(what: &'static str) -> impl FnMut(usize, usize) {
    let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(0).with_message(what));
    let started = Instant::now();
    move |done, all| match &bar {
        Some(bar) => {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
            if done == all {
                bar.finish_and_clear();
            }
        }
        None if done == all => {
            let scans = plural(all, "scan", "scans");
            eprintln!("{what} of {scans} took {:.1} s", started.elapsed().as_secs_f64());
        }
        None => {}
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::event::{Losses, Stage};

    /// The loss of SimCLR and SwAV has no parts.
    #[test]
    fn a_loss_without_parts_has_no_brackets() {
        let mut summary =
            EpochSummary { epoch: 1, loss: 2.0, parts: Some(Losses::default()), ..EpochSummary::default() };
        summary.diagnostics.set("loss_ratio", 0.5);
        assert_eq!(epoch_line(&summary, 2), "epoch 1/2: loss 2.0000, loss ratio 0.500");
        summary.parts = Some([("pred", 2.0)].into_iter().collect());
        assert_eq!(epoch_line(&summary, 2), "epoch 1/2: loss 2.0000 (pred 2.0000), loss ratio 0.500");
    }

    /// The bar of a run of 2 steps ended at 2 of 945.
    #[test]
    fn the_bar_of_a_length_in_steps_ends_within_the_epoch() {
        let mut progress = Progress { bar: Some(ProgressBar::hidden()), ..Progress::new() };
        let estimate = Event::Estimate { steps: 2, seconds_per_step: 0.5, seconds: 1.0, memory_mib: 4 };
        let started = Event::Started {
            stage: Stage::Pretrain,
            epochs: 1,
            steps_per_epoch: 945,
            slices: 1890,
            parameters: 5,
            device: "cpu".into(),
            first_epoch: 1,
        };
        progress.event(&estimate).unwrap();
        progress.event(&started).unwrap();
        assert_eq!(progress.bar.unwrap().length(), Some(2));
    }
}
