//! Tests of the three phases.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::pretrain::synthetic::synthetic_batch;
use crate::pretrain::testing::{
    check_gradient, check_gradient_of, check_micro_batches, check_micro_batches_of, config, task,
};

/// A step of each phase: 10 epochs of 10 steps.
const STEPS: [usize; 3] = [0, 45, 80];

/// A task with initialised codes.
fn tokenized(config: &Config) -> BeitV2 {
    let mut task = task::<BeitV2>(config);
    let net = task.build(3, &Device::flex());
    let batch = synthetic_batch(&task, config, 4, 0).unwrap();
    task.start_codes(&net, &batch).unwrap();
    task
}

#[test]
fn batches_are_masked_according_to_the_phase() {
    let task = tokenized(&config());
    let phases = STEPS.map(|step| synthetic_batch(&task, &config(), 2, step).unwrap().phase);
    assert_eq!(phases, [Phase::Teacher, Phase::Tokenizer, Phase::Student]);
    let masked = |step: usize| {
        let batch = synthetic_batch(&task, &config(), 2, step).unwrap();
        batch.masked.slices(0..2).iter().map(|s| s.mask.iter().filter(|m| **m > 0.0).count()).collect::<Vec<_>>()
    };
    // 192 of 256 patches of 2 x 2 px; nothing; 2 of 4 cells of 16 x 16 px.
    assert_eq!(STEPS.map(masked), [vec![768; 2], vec![0; 2], vec![512; 2]]);
}

#[test]
fn predicting_codes_before_they_exist_is_an_error() {
    let task = task::<BeitV2>(&config());
    let device = Device::flex();
    let net = task.build(1, &device);
    for step in &STEPS[1..] {
        let batch = synthetic_batch(&task, &config(), 1, *step).unwrap();
        let error = task.loss(&net, &batch, &MicroBatch::whole(1, &device)).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("codes"), "{error}");
    }
}

/// With uniform logits the cross-entropy is ln 256.
#[test]
fn the_loss_of_uniform_logits_is_the_logarithm_of_the_number_of_codes() {
    let task = tokenized(&config());
    let device = Device::flex();
    let net = task.build(1, &device);
    let silent = crate::model::record::to_bytes(&net).unwrap();
    let net = crate::model::record::from_bytes(net, &without(&silent, "classifier.")).unwrap();
    let batch = synthetic_batch(&task, &config(), 2, STEPS[2]).unwrap();
    let micro = MicroBatch::whole(2, &device);
    let output = StepOutput::of(task.loss(&net, &batch, &micro).unwrap(), &micro).unwrap();
    assert!((output.loss - 5.545_177).abs() < 1e-5, "{}", output.loss);
    assert_eq!(output.per_slice.len(), 2);
    // The codes of the 2 masked cells of 4, whose entropy the cross-entropy is compared with.
    assert!(output.per_slice.iter().all(|codes| codes.len() == 2));
    assert!(output.per_slice.iter().flatten().all(|code| (0.0..256.0).contains(code) && code.fract() == 0.0));
}

/// The file with the tensors of a name's beginning set to 0.
fn without(file: &[u8], prefix: &str) -> Vec<u8> {
    let tensors = safetensors::SafeTensors::deserialize(file).unwrap();
    let all: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, view)| {
            let data = if name.starts_with(prefix) { vec![0; view.data().len()] } else { view.data().to_vec() };
            (name.to_owned(), view.shape().to_vec(), data)
        })
        .collect();
    let views = all.iter().map(|(name, shape, data)| {
        (name.clone(), safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap())
    });
    safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap()
}

/// Each phase trains its own part only.
#[test]
fn phases_train_disjoint_parts() {
    let task = tokenized(&config());
    let device = Device::flex().autodiff();
    let net = task.build(3, &device);
    let trained = |step: usize| {
        let batch = synthetic_batch(&task, &config(), 4, step).unwrap();
        let loss = task.loss(&net, &batch, &MicroBatch::whole(4, &device)).unwrap();
        let gradients = burn::optim::GradientsParams::from_grads(loss.objective.backward(), &net);
        let moved = burn::optim::SgdConfig::new().init().step(0.1, net.clone(), gradients);
        let of = |net: &TokenNet| crate::model::record::to_bytes(net).unwrap();
        let (before, after) = (of(&net), of(&moved));
        let (before, after) = (
            safetensors::SafeTensors::deserialize(&before).unwrap(),
            safetensors::SafeTensors::deserialize(&after).unwrap(),
        );
        let moved = before.names().into_iter().filter(|name| !name.contains("running_"));
        let moved = moved.filter(|name| before.tensor(name).unwrap().data() != after.tensor(name).unwrap().data());
        let room = |name: &str| name.split('.').next().unwrap().to_owned();
        moved.map(room).collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(trained(STEPS[0]), "teacher");
    assert_eq!(trained(STEPS[1]), "decode_first decode_last encode_first encode_last");
    assert_eq!(trained(STEPS[2]), "classifier decoder encoder mask_token up");
}

#[test]
fn the_gradient_is_the_slope_of_the_loss_and_micro_batches_add_up() {
    check_gradient::<BeitV2>(&config());
    // The tokenizer's is straight through, so the loss has another slope.
    check_gradient_of(&tokenized(&config()), &config(), STEPS[2]);
    check_micro_batches::<BeitV2>(&config());
    let mut without_norm = config();
    without_norm.network.norm = crate::model::Norm::None;
    for step in &STEPS[1..] {
        check_micro_batches_of(&tokenized(&without_norm), &without_norm, *step);
    }
}

#[test]
fn an_epoch_of_two_phases_reports_the_means_of_both() {
    let mut beit = task::<BeitV2>(&config());
    beit.tokens.start(&[1.0, 0.0], 2, 256, 1);
    let position = Position { epoch: 5, epochs: 10, step: 10 };
    beit.means.add("mae", 2.0, 4.0);
    beit.means.add("ce", 5.0, 8.0);
    beit.means.add("code_accuracy", 0.25, 8.0);
    beit.tokens.count(&[vec![3.0, 3.0, 3.0, 4.0]]);
    let diluted = Some([("mae", 2.0 / 3.0), ("ce", 10.0 / 3.0)].into_iter().collect());
    let diagnostics = [("code_accuracy", 0.1)].into_iter().collect();
    let mut summary = EpochSummary { parts: diluted, diagnostics, ..EpochSummary::default() };
    beit.diagnose(position, &mut summary);
    let parts = summary.parts.unwrap();
    assert_eq!((parts.get("mae"), parts.get("ce")), (Some(2.0), Some(5.0)));
    assert_eq!(summary.diagnostics.get("code_accuracy"), Some(0.25));
    assert!(summary.diagnostics.get(PERPLEXITY).is_some_and(|p| p < 2.0));
    assert!(summary.warnings[0].contains("collapsed") && summary.warnings.len() == 1, "{:?}", summary.warnings);
    let mut last = EpochSummary::default();
    task::<BeitV2>(&config()).diagnose(Position { epoch: 10, epochs: 10, step: 10 }, &mut last);
    assert!(last.warnings.is_empty());
}

/// Constant logits reach the entropy of the codes. A student that learned no more than that was not flagged.
#[test]
fn a_student_that_ignores_its_input_is_flagged() {
    let mut beit = task::<BeitV2>(&config());
    beit.tokens.start(&[1.0, 0.0], 2, 256, 1);
    let mut epoch = |epoch: usize, parts: &[(&'static str, f64)]| {
        parts.iter().for_each(|(name, value)| beit.means.add(name, *value, 1.0));
        let uniform: Vec<f64> = (0..256).map(f64::from).collect();
        beit.tokens.count(&[uniform]);
        let parts = Some(parts.iter().copied().collect());
        let mut summary = EpochSummary { parts, ..EpochSummary::default() };
        beit.diagnose(Position { epoch, epochs: 10, step: 10 }, &mut summary);
        let ratio = summary.diagnostics.get(crate::pretrain::masked::LOSS_RATIO);
        (ratio.map(|ratio| (1e6 * ratio).round() / 1e6), summary.warnings.len())
    };
    let entropy = 256f64.ln();
    // The student's phase begins after epoch 6 of 10.
    assert_eq!(epoch(7, &[("ce", entropy)]), (Some(1.0), 0), "it is too early to tell");
    assert_eq!(epoch(8, &[("ce", entropy)]), (Some(1.0), 1));
    assert_eq!(epoch(9, &[("ce", 0.5 * entropy)]), (Some(0.5), 0));
    assert_eq!(epoch(6, &[("ce", entropy), ("cosine", 0.1), ("commitment", 0.1)]), (None, 0), "codes of two phases");
}

#[test]
fn the_estimated_memory_counts_the_weights_of_the_heads() {
    let task = task::<BeitV2>(&config());
    let (unet, net) = (network_config(&config()).init(0, &Device::flex()), task.build(0, &Device::flex()));
    let running = unet.num_params() - network_config(&config()).parameters();
    assert_eq!(
        net.num_params() - 2 * running - network_config(&config()).parameters(),
        BeitV2::head(&config()).weights
    );
}

#[test]
fn pictures_show_codes_once_they_exist() {
    let task = tokenized(&config());
    let device = Device::flex();
    let net = task.build(3, &device);
    for (epoch, shows_codes) in [(4, false), (6, true), (10, true)] {
        let data = crate::pretrain::synthetic_slice(&config(), 1);
        let sample = Sample { slice: 1, patient: 1, k: 0, data };
        let position = Position { epoch, epochs: 10, step: 10 };
        let picture = task.picture(&net, sample, position, &device).unwrap();
        assert_eq!((picture.pixels.len(), picture.masked.len()), (32 * 32, 4));
        assert_eq!(picture.kind == PictureKind::Codes, shows_codes, "{epoch}");
        assert_eq!(picture.pixels.iter().all(|v| v.fract() == 0.0 && *v < 256.0), shows_codes, "{epoch}");
        assert_eq!(picture.masked.iter().filter(|m| **m).count(), if epoch == 10 { 2 } else { 0 });
    }
}
