//! Jobs of Train mode as shown in the window.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use engine::config::Config;
use engine::event::{Event, Stage};
use engine::pretrain::amlp::amr::MaskRatio;

use crate::state::State;

/// A job in the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuedJob {
    /// Unique in this session.
    pub id: u64,
    /// The run's name.
    pub name: String,
    /// Pre-training or fine-tuning.
    pub stage: Stage,
    /// Its settings; `None` uses those stored in the resumed run.
    pub config: Option<Box<Config>>,
    /// The run folder to resume, or to create if it does not exist.
    pub folder: Option<PathBuf>,
}

/// Phase of the running job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Patients are read and prepared.
    #[default]
    Preparing,
    /// Training steps are computed.
    Training,
    /// Finishing the step before a pause.
    Pausing,
    /// Waiting, with its checkpoint saved.
    Paused,
    /// Finishing the step before a stop.
    Stopping,
}

impl Phase {
    /// The word in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::Preparing => "Preparing",
            Self::Training => "Training",
            Self::Pausing => "Pausing after this step",
            Self::Paused => "Paused",
            Self::Stopping => "Saving a checkpoint",
        }
    }
}

/// The running job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunningJob {
    /// Its number in the queue.
    pub id: u64,
    /// Its number among all jobs of the window.
    pub job: u64,
    /// The run's name.
    pub name: String,
    /// Pre-training or fine-tuning.
    pub stage: Stage,
    /// The run folder, once known.
    pub run: Option<PathBuf>,
    /// What it is doing.
    pub phase: Phase,
    /// The device it trains on.
    pub device: String,
    /// Epochs in all.
    pub epochs: usize,
    /// Steps of a whole epoch.
    pub steps_per_epoch: usize,
    /// Slices of an epoch.
    pub slices: usize,
    /// The current epoch, from 1.
    pub epoch: usize,
    /// Steps of that epoch that are done.
    pub step: usize,
    /// Finished epochs.
    pub epochs_done: usize,
    /// Mean loss of the newest finished epoch.
    pub epoch_loss: Option<f64>,
    /// The newest step's loss.
    pub loss: Option<f64>,
    /// The newest step's learning rate.
    pub learning_rate: Option<f64>,
    /// Schedule of the masking ratio (pre-training by AMLP).
    pub ratio: Option<MaskRatio>,
    /// Epoch and mean Dice of the newest validation.
    pub last_validation: Option<(usize, f64)>,
    /// Epoch and mean Dice of the best validation since the job began.
    pub best_validation: Option<(usize, f64)>,
    /// Training Dice of the newest epoch.
    pub training_dice: Option<f64>,
    /// Current rate in slices per second.
    pub rate: Option<f64>,
    /// When the rate was last measured, and the steps done by then.
    pub rate_mark: Option<(Instant, usize)>,
}

/// Minimum time over which the rate is measured.
const MEASURED: Duration = Duration::from_millis(500);
/// Weight of a new measurement of the rate.
const WEIGHT: f64 = 0.4;

impl RunningJob {
    /// Updates the current rate.
    pub fn measure_rate(&mut self, now: Instant) {
        let steps = self.steps_done();
        let Some((then, before)) = self.rate_mark.filter(|_| self.phase == Phase::Training) else {
            self.rate_mark = (self.phase == Phase::Training).then_some((now, steps));
            return;
        };
        if now - then < MEASURED || steps <= before {
            return;
        }
        let slices = self.slices as f64 / self.steps_per_epoch.max(1) as f64;
        let rate = (steps - before) as f64 * slices / (now - then).as_secs_f64();
        self.rate = Some(self.rate.map_or(rate, |old| old + WEIGHT * (rate - old)));
        self.rate_mark = Some((now, steps));
    }

    /// Applies an event of the run.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Started { epochs, steps_per_epoch, slices, device, first_epoch, .. } => {
                (self.epochs, self.steps_per_epoch, self.slices) = (*epochs, *steps_per_epoch, *slices);
                (self.epoch, self.step) = (*first_epoch, 0);
                self.epochs_done = first_epoch.saturating_sub(1);
                self.device.clone_from(device);
                if self.phase == Phase::Preparing {
                    self.phase = Phase::Training;
                }
            }
            Event::Step { epoch, step, loss, learning_rate, .. } => {
                (self.epoch, self.step) = (*epoch, *step);
                (self.loss, self.learning_rate) = (Some(*loss), Some(*learning_rate));
            }
            Event::Epoch(summary) => {
                (self.epoch, self.step) = (summary.epoch, self.steps_per_epoch);
                (self.epochs_done, self.epoch_loss) = (summary.epoch, Some(summary.loss));
                self.training_dice = summary.training_dice;
            }
            Event::Validation { epoch, dice, .. } => {
                self.last_validation = Some((*epoch, *dice));
                if self.best_validation.is_none_or(|(_, best)| *dice > best) {
                    self.best_validation = self.last_validation;
                }
            }
            // Within an epoch, only a pause or a stop saves a checkpoint.
            Event::Checkpoint { step, .. } if *step > 0 && self.phase == Phase::Pausing => self.phase = Phase::Paused,
            _ => {}
        }
    }

    /// Masking ratio of the current epoch.
    pub fn sigma(&self) -> Option<f64> {
        let ratio = self.ratio.as_ref().filter(|_| self.epoch > 0)?;
        Some(ratio.sigma(self.epoch, self.epochs))
    }

    /// Steps done, all epochs together.
    pub fn steps_done(&self) -> usize {
        self.epoch.saturating_sub(1) * self.steps_per_epoch + self.step
    }

    /// Progress, 0 to 1, once known.
    pub fn fraction(&self) -> Option<f32> {
        let all = self.epochs * self.steps_per_epoch;
        (all > 0).then(|| self.steps_done() as f32 / all as f32)
    }

    /// Seconds left at the current rate.
    pub fn seconds_left(&self) -> Option<f64> {
        let left = (self.epochs * self.steps_per_epoch).checked_sub(self.steps_done())?;
        let slices = left as f64 * self.slices as f64 / self.steps_per_epoch.max(1) as f64;
        self.rate.filter(|rate| *rate > 0.0).map(|rate| slices / rate)
    }

    /// Whether it can be paused.
    pub fn can_pause(&self) -> bool {
        self.phase == Phase::Training
    }

    /// Whether it is paused, or about to be.
    pub fn can_resume(&self) -> bool {
        matches!(self.phase, Phase::Paused | Phase::Pausing)
    }
}

/// What the running job does before its first step.
#[derive(Clone, Debug, PartialEq)]
pub struct Preparation<'a> {
    /// The running job.
    pub job: &'a RunningJob,
    /// Description of the current item.
    pub what: String,
    /// Its progress, 0 to 1, if known.
    pub fraction: Option<f32>,
}

impl Preparation<'_> {
    /// The preparation in a sentence.
    pub fn sentence(&self) -> String {
        format!("Preparing {}. {}", self.job.name, self.what)
    }
}

impl State {
    /// The running job, before its first step.
    pub fn preparing(&self) -> Option<Preparation<'_>> {
        let job = self.training.running.as_ref().filter(|job| job.phase == Phase::Preparing)?;
        let status = self.jobs.iter().find(|status| status.id == job.job);
        let detail = status.map(|status| status.detail.as_str()).filter(|detail| !detail.is_empty());
        let what = detail.unwrap_or("Finding the patients and their files").to_owned();
        Some(Preparation { job, what, fraction: status.and_then(|status| status.progress) })
    }
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobOutcome {
    /// Trained to the end.
    Finished,
    /// Stopped by the user.
    Stopped,
    /// Failed, for this reason.
    Failed(String),
}

/// A job that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedJob {
    /// Its number in the queue.
    pub id: u64,
    /// The run's name.
    pub name: String,
    /// Pre-training or fine-tuning.
    pub stage: Stage,
    /// The run folder, if it got one.
    pub run: Option<PathBuf>,
    /// How it ended.
    pub how: JobOutcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> RunningJob {
        let mut job = RunningJob { phase: Phase::Preparing, ..RunningJob::default() };
        job.apply(&Event::Started {
            stage: Stage::Pretrain,
            epochs: 4,
            steps_per_epoch: 5,
            slices: 50,
            parameters: 1,
            device: "cpu".into(),
            first_epoch: 1,
        });
        job
    }

    #[test]
    fn steps_become_progress_and_time_left() {
        let mut job = started();
        assert_eq!((job.phase, job.fraction(), job.seconds_left()), (Phase::Training, Some(0.0), None));
        job.apply(&Event::Step { stage: Stage::Pretrain, epoch: 2, step: 5, loss: 0.5, learning_rate: 1e-3 });
        job.rate = Some(20.0);
        assert_eq!((job.fraction(), job.seconds_left()), (Some(0.5), Some(5.0)));
    }

    #[test]
    fn the_masking_ratio_is_that_of_the_current_epoch() {
        let mut job = started();
        assert_eq!(job.sigma(), None);
        job.ratio = Some(MaskRatio::default());
        job.apply(&Event::Step { stage: Stage::Pretrain, epoch: 4, step: 1, loss: 0.5, learning_rate: 1e-3 });
        assert_eq!(job.sigma(), Some(MaskRatio::default().sigma(4, 4)));
    }

    #[test]
    fn the_rate_is_measured_over_half_a_second_and_not_across_a_pause() {
        let mut job = started();
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        job.measure_rate(begin);
        job.apply(&Event::Step { stage: Stage::Pretrain, epoch: 1, step: 2, loss: 0.5, learning_rate: 1e-3 });
        job.measure_rate(at(400));
        assert_eq!(job.rate, None);
        job.measure_rate(at(1000));
        assert_eq!(job.rate, Some(20.0), "2 steps of 10 slices in a second");
        job.phase = Phase::Paused;
        job.measure_rate(at(60_000));
        assert_eq!((job.rate, job.rate_mark), (Some(20.0), None));
    }

    #[test]
    fn a_job_is_paused_once_its_checkpoint_is_saved() {
        let mut job = started();
        job.phase = Phase::Pausing;
        job.apply(&Event::Checkpoint { epoch: 1, step: 0 });
        assert_eq!(job.phase, Phase::Pausing, "the checkpoint of an epoch does not end the pause");
        job.apply(&Event::Checkpoint { epoch: 2, step: 3 });
        assert_eq!(job.phase, Phase::Paused);
    }
}
