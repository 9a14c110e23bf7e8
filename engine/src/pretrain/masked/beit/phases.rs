//! The three phases of BEiT v2 within one run, with .4, .2 and .4 of its steps.

use crate::config::TrainingConfig;
use crate::trainer::{Length, Position};

/// The part of the method that a step trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The teacher reconstructs masked pixels.
    Teacher,
    /// The tokenizer learns codes for the teacher's features.
    Tokenizer,
    /// The student predicts the codes of masked cells.
    Student,
}

/// Boundaries of the phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phases {
    /// Step after the last of teacher, tokenizer and student.
    ends: [usize; 3],
    of_epoch: usize,
}

impl Phases {
    /// Every phase has at least one step if the run has three or more.
    pub fn new(length: &Length) -> Self {
        let (steps, share) = (length.steps, |share: f64| (share * length.steps as f64).round() as usize);
        let teacher = share(0.4).min(steps.saturating_sub(2)).max(1);
        let tokenizer = share(0.6).min(steps.saturating_sub(1)).max(teacher + 1);
        Self { ends: [teacher, tokenizer, steps.max(tokenizer + 1)], of_epoch: length.steps_per_epoch }
    }

    fn step(&self, position: Position) -> usize {
        (position.epoch - 1) * self.of_epoch + position.step
    }

    /// The phase of a step.
    pub fn of(&self, position: Position) -> Phase {
        match self.step(position) {
            step if step < self.ends[0] => Phase::Teacher,
            step if step < self.ends[1] => Phase::Tokenizer,
            _ => Phase::Student,
        }
    }

    /// The phase of the last step before an epoch boundary.
    pub fn before(&self, position: Position) -> Phase {
        match position.step {
            0 => self.of(position),
            step => self.of(Position { step: step - 1, ..position }),
        }
    }

    /// True for the last step of the teacher.
    pub fn ends_teacher(&self, position: Position) -> bool {
        self.step(position) + 1 == self.ends[0]
    }

    /// Epochs that end before the student's first full one.
    pub fn epochs_before_student(&self) -> usize {
        self.ends[1].div_ceil(self.of_epoch.max(1))
    }

    /// The learning rate. Each phase has a complete schedule, like a separate run.
    pub fn rate(&self, training: &TrainingConfig, position: Position) -> f64 {
        let (step, phase) = (self.step(position), self.of(position) as usize);
        let start = if phase == 0 { 0 } else { self.ends[phase - 1] };
        training.rate(step - start, self.ends[phase] - start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Schedule;

    fn phases(epochs: usize, of_epoch: usize) -> Phases {
        Phases::new(&Length { epochs, steps_per_epoch: of_epoch, steps: epochs * of_epoch })
    }

    fn at(epoch: usize, step: usize) -> Position {
        Position { epoch, epochs: 10, step }
    }

    #[test]
    fn phases_have_their_shares_and_at_least_one_step() {
        assert_eq!(phases(10, 7).ends, [28, 42, 70]);
        assert_eq!(phases(800, 31).ends, [9920, 14880, 24800]);
        assert_eq!(
            [1, 2, 3, 4, 5].map(|steps| phases(1, steps).ends),
            [[1, 2, 3], [1, 2, 3], [1, 2, 3], [2, 3, 4], [2, 3, 5]]
        );
        let phases = phases(5, 4);
        let all: Vec<Phase> = (1..=5).flat_map(|epoch| (0..4).map(move |step| phases.of(at(epoch, step)))).collect();
        let count = |phase| all.iter().filter(|p| **p == phase).count();
        assert_eq!([Phase::Teacher, Phase::Tokenizer, Phase::Student].map(count), [8, 4, 8]);
        assert!(phases.ends_teacher(at(2, 3)) && !phases.ends_teacher(at(2, 2)));
        assert_eq!((phases.before(at(2, 4)), phases.before(at(3, 4))), (Phase::Teacher, Phase::Tokenizer));
        assert_eq!(phases.epochs_before_student(), 3);
    }

    #[test]
    fn each_phase_has_a_complete_schedule() {
        let training = TrainingConfig { lr: 1.0, warmup: 0.1, schedule: Schedule::Cosine, ..TrainingConfig::default() };
        let phases = phases(5, 20);
        let rates: Vec<f64> = (0..100).map(|step| phases.rate(&training, at(1 + step / 20, step % 20))).collect();
        let of = |steps: usize| (0..steps).map(|step| training.rate(step, steps)).collect::<Vec<_>>();
        assert_eq!(rates, [of(40), of(20), of(40)].concat());
    }
}
