//! A user-defined pre-training method: a denoising autoencoder, compared with the engine's methods in a study whose plan names
//! it: `[[methods]]`, `name = "denoise"`, `preset = "denoise"`.
//!
//! `cargo run --release -p engine --example own_method -- PLAN OUT`

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use engine::Result;
use engine::config::{Config, Family, Number, Preset, Pretext};
use engine::device::Compute;
use engine::event::{Control, Event};
use engine::model::{UNet, record::Transfer};
use engine::pretrain::task::{Picture, PretextTask, Sample, TaskSetup};
use engine::pretrain::{network_config, register};
use engine::seed::stream;
use engine::study::{Plan, Shard, StudyContext, run};
use engine::trainer::{Head, MicroBatch, MicroLoss, Objective, Position, StepOutput};
use rand_distr::{Distribution, StandardNormal};

/// The preset that registers the method: its name and description.
const DENOISE: Preset = Preset {
    name: "denoise",
    pretext: Pretext::Custom,
    family: Family::Related,
    what: "removes noise that was added to the slice",
    about: "A denoising autoencoder adds noise to a slice and learns to remove it. The noise is in units of the standardised intensities. \
            Encoder and decoder are transferred.",
    citation: "Vincent et al., Extracting and Composing Robust Features with Denoising Autoencoders, ICML 2008",
};

/// A parameter of the method: set it in `[method.numbers]` of `config.toml` or by `--number noise=0.3`.
const NOISE: Number =
    Number { name: "noise", default: 0.5, range: [0.0, 10.0], what: "standard deviation of the noise" };

struct Denoise(Config);

/// Pairs of a slice with noise and the clean slice, each `[C][S][S]`.
type Pairs = Vec<[Vec<f32>; 2]>;

impl Denoise {
    fn images(&self, pairs: &[[Vec<f32>; 2]], which: usize, device: &Device) -> Tensor<4> {
        let (channels, size) = (self.0.data.modality.len(), self.0.preprocess.size);
        let values: Vec<f32> = pairs.iter().flat_map(|pair| pair[which].iter().copied()).collect();
        Tensor::from_data(TensorData::new(values, [pairs.len(), channels, size, size]), device)
    }
}

impl Objective for Denoise {
    type Net = UNet;
    type Batch = Pairs;

    fn build(&self, seed: u64, device: &Device) -> UNet {
        network_config(&self.0).init(seed, device)
    }

    fn loss(&self, net: &UNet, batch: &Pairs, micro: &MicroBatch<'_>) -> Result<MicroLoss> {
        let pairs = &batch[micro.range.clone()];
        let [noisy, clean] = [0, 1].map(|which| self.images(pairs, which, micro.device));
        let output = net.forward_in(noisy, self.0.training.precision);
        let value = (output.clone() - clean.clone()).powi_scalar(2).mean();
        Ok(MicroLoss {
            objective: micro.weighted(value.clone()),
            parts: vec![("l2", value.clone())],
            diagnostics: vec![("bias", (output.clone() - clean).mean())],
            per_slice: None,
            value,
            output,
        })
    }
}

impl PretextTask for Denoise {
    const TRANSFER: Transfer = Transfer::EncoderDecoder;
    const NUMBERS: &'static [Number] = &[NOISE];

    fn head(_: &Config) -> Head {
        Head::default()
    }

    fn new(setup: &TaskSetup<'_>) -> Result<Self> {
        Ok(Self(setup.config.clone()))
    }

    fn collate(&self, samples: Vec<Sample>, position: Position) -> Result<Pairs> {
        let deviation = NOISE.of(&self.0) as f32;
        let pair = |sample: Sample| {
            let mut draw = stream(self.0.seed, "denoise", &sample.stream_key(position));
            let mut noise = || -> f32 { StandardNormal.sample(&mut draw) };
            let noisy = sample.data.pixels.iter().map(|pixel| pixel + deviation * noise()).collect();
            [noisy, sample.data.pixels]
        };
        Ok(samples.into_iter().map(pair).collect())
    }

    fn picture(&self, net: &UNet, sample: Sample, position: Position, device: &Device) -> Result<Picture> {
        let batch = self.collate(vec![sample], position)?;
        let micro = MicroBatch::whole(1, device);
        let output = StepOutput::of(self.loss(net, &batch, &micro)?, &micro)?;
        Ok(Picture::new(output.picture(0)?.unwrap_or_default()))
    }
}

/// Registers the method and runs a study, whose tables are written to `OUT/tables.md`.
pub fn compare(plan: &str, out: &Path) -> Result<()> {
    register::<Denoise>(DENOISE)?;
    let plan = Plan::from_toml(plan, Path::new("plan.toml"))?;
    let (compute, control, mut sink) = (Compute::cpu(), Control::default(), |_: &Event| Ok(()));
    run(&plan, StudyContext { out, compute: &compute, control: &control, sink: &mut sink }, Shard::WHOLE, &mut |_| {})?;
    Ok(())
}

#[allow(clippy::print_stdout, dead_code, reason = "an example; a test includes it")]
fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let [_, plan, out] = std::env::args().collect::<Vec<_>>().try_into().map_err(|_| "usage: own_method PLAN OUT")?;
    compare(&std::fs::read_to_string(plan)?, Path::new(&out))?;
    println!("{}", std::fs::read_to_string(Path::new(&out).join("tables.md"))?);
    Ok(())
}
