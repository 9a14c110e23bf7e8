//! The pre-training methods; [`of`] looks one up.

use std::marker::PhantomData;
use std::sync::OnceLock;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::amlp::mps::PatchState;
use super::amlp::{Amlp, AmlpObjective, SyntheticSlices};
use super::masked::MaskedMethod;
use super::masked::attmask::AttMask;
use super::masked::beit::BeitV2;
use super::masked::bootmae::BootMae;
use super::masked::context_encoder::ContextEncoder;
use super::masked::conv_mae::ConvMae;
use super::masked::fre_mae::FreMae;
use super::masked::hpm::Hpm;
use super::masked::maskfeat::MaskFeat;
use super::masked::simmim::SimMim;
use super::masked::um_mae::UmMae;
use super::synthetic::{synthetic_batch, synthetic_samples};
use super::task::{PretextTask, Reconstruct, new_task};
use super::training::Pretraining;
use super::views::Views;
use super::views::byol::Byol;
use super::views::moco::Moco;
use super::views::simclr::SimClr;
use super::views::swav::Swav;
use super::{Slices, Validation};
use crate::cluster::ClusterConfig;
use crate::config::{Config, Number, PRESETS, Preset, Pretext};
use crate::device::Compute;
use crate::event::{Control, EventSink};
use crate::model::record::{Transfer, from_bytes};
use crate::model::{MaskedUNet, Precision};
use crate::trainer::{
    GradientEngine, Head, Method, Objective, Position, Session, TrainOutput, measure_step, optimizer, train,
};
use crate::{Error, Result};

/// The method registered by the calling program, if any.
static REGISTERED: OnceLock<(Preset, &'static dyn MethodEntry)> = OnceLock::new();

/// Registers a user-defined method as a preset, so that configurations and study plans can name it. Its runs have
/// `method.pretext = "own"`, and only a program that registers the method can read them.
///
/// # Errors
/// If the name is already used or a method is already registered.
pub fn register<T: PretextTask>(preset: Preset) -> Result<()> {
    if PRESETS.iter().any(|other| other.name == preset.name) {
        return Err(Error::config(
            "preset",
            preset.name,
            "the engine already has a preset of this name. Choose another",
        ));
    }
    let name = preset.name;
    let method =
        (Preset { pretext: Pretext::Custom, ..preset }, &TaskEntry::<T>(PhantomData) as &'static dyn MethodEntry);
    let already_registered = |_| Error::config("preset", name, "a program can register only one method, once");
    REGISTERED.set(method).map_err(already_registered)
}

/// The preset of the registered method.
pub(crate) fn registered() -> Option<&'static Preset> {
    REGISTERED.get().map(|(preset, _)| preset)
}

/// The method of a pretext.
pub(crate) fn of(pretext: Pretext) -> &'static dyn MethodEntry {
    match pretext {
        Pretext::Amlp => &AmlpEntry,
        // Without a registered method the settings are refused before this is reached.
        Pretext::Custom => REGISTERED.get().map_or(&AmlpEntry as &dyn MethodEntry, |(_, entry)| *entry),
        Pretext::AttMask => &TaskEntry::<AttMask>(PhantomData),
        Pretext::BeitV2 => &TaskEntry::<BeitV2>(PhantomData),
        Pretext::BootMae => &TaskEntry::<BootMae>(PhantomData),
        Pretext::Hpm => &TaskEntry::<Hpm>(PhantomData),
        Pretext::SimMim => &TaskEntry::<MaskedMethod<SimMim>>(PhantomData),
        Pretext::MaskFeat => &TaskEntry::<MaskedMethod<MaskFeat>>(PhantomData),
        Pretext::ConvMae => &TaskEntry::<MaskedMethod<ConvMae>>(PhantomData),
        Pretext::UmMae => &TaskEntry::<MaskedMethod<UmMae>>(PhantomData),
        Pretext::FreMae => &TaskEntry::<MaskedMethod<FreMae>>(PhantomData),
        Pretext::ContextEncoder => &TaskEntry::<MaskedMethod<ContextEncoder>>(PhantomData),
        Pretext::SimClr => &TaskEntry::<Views<SimClr>>(PhantomData),
        Pretext::Moco => &TaskEntry::<Views<Moco>>(PhantomData),
        Pretext::Byol => &TaskEntry::<Views<Byol>>(PhantomData),
        Pretext::Swav => &TaskEntry::<Views<Swav>>(PhantomData),
    }
}

/// The data of a pre-training run.
pub(crate) struct Data<'a> {
    pub slices: &'a Slices,
    /// The clustered patches of every slice for AMLP, empty for other methods.
    pub patches: &'a mut [PatchState],
    pub validation: Option<&'a Validation>,
}

/// Runs a training step, numbered from 0.
pub(crate) type Stepper = Box<dyn FnMut(usize) -> Result<()>>;

/// Functions of a method.
pub(crate) trait MethodEntry: Sync {
    /// Its parameters in `[method.numbers]`.
    fn numbers(&self) -> &'static [Number];

    /// What fine-tuning transfers.
    fn transfer(&self) -> Transfer;

    /// Errors of invalid settings, besides those common to all methods.
    fn errors(&self, config: &Config) -> Vec<Error>;

    /// What it adds to the U-Net.
    fn head(&self, config: &Config) -> Head;

    /// Trains; a dry run gives `None`.
    fn train(
        &self,
        config: &Config,
        data: Data<'_>,
        session: &Session<'_>,
        sink: &mut dyn EventSink,
    ) -> Result<Option<TrainOutput>>;

    /// The clustered patches of every slice, if it has any.
    fn patches(&self, config: &Config, slices: &Slices, control: &Control) -> Result<Vec<PatchState>>;

    /// Seconds of a step on a batch of `slices` synthetic slices.
    fn synthetic_step(&self, config: &Config, slices: usize, compute: &Compute, control: &Control) -> Result<f64>;

    /// Returns a closure that runs one full step on synthetic slices, numbered from 0: batch, forward and backward pass,
    /// optimiser and the method's own update.
    fn stepper(&self, config: &Config, compute: &Compute) -> Result<Stepper>;

    /// The network of a run, for inference.
    fn reconstructor(&self, config: &Config, weights: &[u8], device: &Device) -> Result<Box<dyn Reconstruct>>;
}

struct TaskEntry<T>(PhantomData<fn() -> T>);

impl<T: PretextTask> MethodEntry for TaskEntry<T> {
    fn numbers(&self) -> &'static [Number] {
        T::NUMBERS
    }

    fn transfer(&self) -> Transfer {
        T::TRANSFER
    }

    fn errors(&self, config: &Config) -> Vec<Error> {
        let mut errors = T::errors(config);
        if let Some(why) = T::WHOLE_BATCH {
            let micro = config.training.micro_batch;
            if micro > 0 && micro < config.training.batch {
                errors.push(Error::config("training.micro_batch", micro, format!("{why}; use 0")));
            }
            if config.device.all().len() > 1 {
                errors.push(Error::config("device", &config.device, format!("{why}; use one device")));
            }
        }
        errors
    }

    fn head(&self, config: &Config) -> Head {
        T::head(config)
    }

    fn train(
        &self,
        config: &Config,
        data: Data<'_>,
        session: &Session<'_>,
        sink: &mut dyn EventSink,
    ) -> Result<Option<TrainOutput>> {
        train(&mut Pretraining::<T>::new(config, session, data.slices)?, config, session, sink)
    }

    fn patches(&self, _: &Config, _: &Slices, _: &Control) -> Result<Vec<PatchState>> {
        Ok(Vec::new())
    }

    fn synthetic_step(&self, config: &Config, slices: usize, compute: &Compute, control: &Control) -> Result<f64> {
        let task: T = new_task(config, slices, &compute.device)?;
        let batch = synthetic_batch(&task, config, slices, 0)?;
        measure_step(&task, &batch, slices, config, compute, control)
    }

    fn stepper(&self, config: &Config, compute: &Compute) -> Result<Stepper> {
        let (config, size) = (config.clone(), config.training.batch);
        let mut task: T = new_task(&config, size, &compute.device)?;
        let engine = GradientEngine::new(compute, config.training.micro_batch);
        let mut net = task.build(0, engine.device());
        let mut optimizer = optimizer(&config.training);
        let samples = synthetic_samples(&config, size);
        Ok(Box::new(move |step| {
            let position = Position { epoch: 1, epochs: config.training.epochs, step };
            let batch = task.collate(samples.clone(), position)?;
            let (gradients, output) = engine.gradients(&task, &net, &batch, size)?;
            net = optimizer.step(config.training.lr, net.clone(), gradients);
            task.after_step(&mut net, &batch, &output, position)?;
            engine.sync()
        }))
    }

    fn reconstructor(&self, config: &Config, weights: &[u8], device: &Device) -> Result<Box<dyn Reconstruct>> {
        T::reconstructor(config, weights, device)
    }
}

struct AmlpEntry;

/// Fraction of the patches that is masked in a timed step.
pub(crate) const TIMED_SIGMA: f64 = 0.75;

impl MethodEntry for AmlpEntry {
    fn numbers(&self) -> &'static [Number] {
        &[]
    }

    fn transfer(&self) -> Transfer {
        Amlp::TRANSFER
    }

    fn errors(&self, _: &Config) -> Vec<Error> {
        Vec::new()
    }

    fn head(&self, config: &Config) -> Head {
        Head { weights: usize::from(config.method.mask_input().token), activations: 0 }
    }

    fn train(
        &self,
        config: &Config,
        data: Data<'_>,
        session: &Session<'_>,
        sink: &mut dyn EventSink,
    ) -> Result<Option<TrainOutput>> {
        let mut method = Amlp::new(config, session, data.slices, data.patches, data.validation)?;
        train(&mut method, config, session, sink)
    }

    fn patches(&self, config: &Config, slices: &Slices, control: &Control) -> Result<Vec<PatchState>> {
        PatchState::cluster_all(config, slices, control)
    }

    /// Slices are clustered before a run starts, so step time does not depend on the clustering.
    fn synthetic_step(&self, config: &Config, slices: usize, compute: &Compute, control: &Control) -> Result<f64> {
        let mut config = config.clone();
        config.method.cluster = ClusterConfig::default();
        let trial = SyntheticSlices::new(&config, slices)?;
        let batch = trial.masked(config.method.ratio.sigma(1, config.training.epochs), 1);
        measure_step(&trial.objective(), &batch, slices, &config, compute, control)
    }

    fn stepper(&self, config: &Config, compute: &Compute) -> Result<Stepper> {
        let (size, lr) = (config.training.batch, config.training.lr);
        let trial = SyntheticSlices::new(config, size)?;
        let engine = GradientEngine::new(compute, config.training.micro_batch);
        let mut net = trial.objective().build(0, engine.device());
        let mut optimizer = optimizer(&config.training);
        Ok(Box::new(move |step| {
            let masked = trial.masked(TIMED_SIGMA, step as u64);
            let (gradients, _) = engine.gradients(&trial.objective(), &net, &masked, size)?;
            net = optimizer.step(lr, net.clone(), gradients);
            engine.sync()
        }))
    }

    fn reconstructor(&self, config: &Config, weights: &[u8], device: &Device) -> Result<Box<dyn Reconstruct>> {
        let net = AmlpObjective(config).build(0, device);
        Ok(Box::new(from_bytes(net, weights)?.valid()))
    }
}

impl Reconstruct for MaskedUNet {
    fn reconstruct(&self, image: Tensor<4>, pixel_mask: Tensor<4>, noise: Option<Tensor<4>>) -> [Tensor<4>; 2] {
        let input = self.mask(image, pixel_mask.clone(), noise);
        [input.clone(), self.forward(input, pixel_mask, Precision::F32)]
    }
}
