//! Probes end to end: they record correctly, change nothing, and survive an interruption.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::common::{assert_same, cohort, finetune_config, fingerprint, pretrain_config};
use engine::cohort::split::Split;
use engine::config::{Config, MaskFill};
use engine::device::Compute;
use engine::event::{Control, Event, EventQueue, Signal, Stage};
use engine::jobs::{FinetuneJob, PretrainJob, Start};
use engine::masking::masked_count;
use engine::pretrain::amlp::mps::{Order, order};
use engine::pretrain::amlp::relabel::coins;
use engine::probe::{self, Pin, Pins, ProbeRecord};
use engine::run::history::RunState;
use engine::run::{History, RunFolder};
use glam::DVec3;

/// Patches of the small pre-training run.
const N: usize = 64;

/// Runs the configured job and collects its events. `act` is called with each event, the pins and the control.
fn job(
    config: &Config,
    out: &Path,
    resume: bool,
    mut act: impl FnMut(&Event, &Pins, &Control),
) -> engine::Result<Vec<Event>> {
    let control = Control::default();
    let start = Start { resume, ..Start::default() };
    let mut events = Vec::new();
    let mut hear = |event: &Event, pins: &Pins| {
        act(event, pins, &control);
        events.push(event.clone());
        Ok(())
    };
    let compute = Compute::cpu();
    if config.stage == Stage::Pretrain {
        let mut job = PretrainJob::prepare(config.clone(), out, start, &control, &mut |_, _| {})?;
        let pins = Arc::clone(&job.pins);
        job.train(&compute, &mut |event: &Event| hear(event, &pins), &control)?;
    } else {
        let mut job = FinetuneJob::prepare(config.clone(), out, start, &control, &mut |_, _| {})?;
        let pins = Arc::clone(&job.pins);
        job.train(&compute, &mut |event: &Event| hear(event, &pins), &control)?;
    }
    Ok(events)
}

fn plain(config: &Config, out: &Path) -> Vec<Event> {
    job(config, out, false, |_, _, _| {}).unwrap()
}

/// Stops a run after `stop` steps, then resumes it to its end.
fn interrupted(config: &Config, out: &Path, stop: usize) {
    let mut steps = 0;
    job(config, out, false, |event, _, control| {
        steps += usize::from(matches!(event, Event::Step { .. }));
        if steps == stop {
            control.set(Signal::Cancel);
        }
    })
    .unwrap_err();
    job(config, out, true, |_, _, _| {}).unwrap();
}

/// Which patients train and test in the runs of a cohort's configuration.
fn split(config: &Config, folder: &Path) -> Split {
    let mut short = config.clone();
    short.training.steps = 1;
    let out = folder.join("split");
    plain(&short, &out);
    RunFolder::open(&out).unwrap().read_split().unwrap()
}

/// Every file below `probes`, by its name.
fn files(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![run.join("probes")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(run).unwrap().display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn without_probes(events: Vec<Event>) -> Vec<Event> {
    events.into_iter().filter(|event| !matches!(event, Event::Probe(_) | Event::Estimate { .. })).collect()
}

fn records(run: &Path, pin: &Pin, stage: Stage) -> Vec<ProbeRecord> {
    let epochs = probe::epochs(run, pin, stage);
    epochs.into_iter().map(|epoch| probe::read(run, pin, stage, epoch).unwrap()).collect()
}

#[test]
fn pins_do_not_change_a_run() {
    let temp = tempfile::tempdir().unwrap();
    // All kinds of random draws, and epochs at which nothing else evaluates the network.
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    (config.method.fill, config.method.order) = (MaskFill::Noise, Order::Random);
    config.method.period = 2;
    config.training.checkpoint_every = 3;
    let mut fine = finetune_config(&config.data.cohort, None);
    fine.training.checkpoint_every = 3;
    let parts = split(&config, temp.path());
    for (name, config) in [("pretrain", config), ("finetune", fine)] {
        let (bare, pinned) = (temp.path().join(name), temp.path().join(format!("{name}-pinned")));
        plain(&config, &bare);
        assert!(!bare.join("probes").exists(), "nothing pinned, nothing made");
        let mut with = config.clone();
        with.method.probes = vec![format!("{}:3", parts.train[0]), format!("{}:2", parts.test[0])];
        plain(&with, &pinned);
        let ((events, weights), (probed, same)) = (fingerprint(&bare), fingerprint(&pinned));
        assert!(probed.iter().filter(|event| matches!(event, Event::Probe(_))).count() >= 6);
        assert_eq!(without_probes(events), without_probes(probed));
        assert!(weights == same, "{name}: other weights, labels or sums");
    }
}

#[test]
fn a_record_contains_the_masks_losses_and_labels_of_its_step() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    config.training.epochs = 4;
    let pin = Pin::new(split(&config, temp.path()).train[0].clone(), 3);
    config.method.probes = vec![pin.to_string()];
    let run = temp.path().join("run");
    let control = Control::default();
    let start = Start::default();
    let mut job = PretrainJob::prepare(config.clone(), &run, start, &control, &mut |_, _| {}).unwrap();
    let slice = job.slices.find(&pin).unwrap();
    let (clustering, shift) = (job.patches[slice].clustering.clone(), job.slices.shift(slice));
    let kmeans = clustering.labels;
    let pixels = job.slices.pixels(slice).unwrap();
    let mut events = Vec::new();
    let mut sink = |event: &Event| {
        if let Event::Probe(logged) = event {
            let record = probe::read(&run, &pin, Stage::Pretrain, logged.epoch);
            assert_eq!(record.unwrap().epoch, logged.epoch, "the record is there when its event is logged");
            events.push((**logged).clone());
        }
        Ok(())
    };
    job.train(&Compute::cpu(), &mut sink, &control).unwrap();

    let seen = probe::read_slice(&run, &pin, Stage::Pretrain).unwrap();
    assert_eq!((seen.trained, seen.size, seen.grid, seen.side, &seen.kmeans), (true, 32, 8, 32, &kmeans));
    assert!(seen.values().iter().zip(&pixels).all(|(a, b)| (a - b).abs() < 0.05));
    assert_ne!(shift, [0, 0], "this test is about a crop that is moved");
    let labels = std::fs::read(run.join("checkpoints/last/labels.bin")).unwrap();
    let records = records(&run, &pin, Stage::Pretrain);
    assert_eq!(records.iter().map(|r| r.epoch).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!((&records[0].before, records[3].after.as_slice()), (&kmeans, &labels[slice * N..][..N]));
    for (record, logged) in records.iter().zip(&events) {
        let sigma = config.method.ratio.sigma(record.epoch, 4);
        assert_eq!((record.sigma, record.order.len()), (Some(sigma), masked_count(N, sigma)));
        let key = [record.epoch as u64, slice as u64];
        let mut masked = order(config.method.order, &record.before, &clustering.logit, config.seed, &key);
        masked.truncate(record.order.len());
        assert!(record.order.iter().map(|patch| usize::from(*patch)).eq(masked), "another masking order");
        let thrown = coins(N, config.seed, record.epoch as u64, slice as u64);
        let relative: f32 = record.relative.iter().flatten().sum();
        assert!((relative / record.order.len() as f32 - 1.0).abs() < 1e-4, "{relative}");
        assert_eq!(record.mean_relative, record.relative, "the period is one epoch");
        for (i, &thrown) in thrown.iter().enumerate() {
            assert_eq!(record.masked[i], record.order.contains(&(i as u16)));
            assert_eq!(record.masked[i], record.losses[i].is_some() && record.relative[i].is_some());
            let coin = matches!(record.cases[i], 3 | 4).then_some(thrown);
            assert_eq!(record.coins[i], coin);
            let label = coin.unwrap_or(match record.cases[i] {
                1 => 1,
                2 => 0,
                _ => record.before[i],
            });
            assert_eq!(record.after[i], label);
            let digit = |text: &str| text.as_bytes()[i] - b'0';
            assert_eq!(
                [digit(&logged.before), digit(&logged.after), digit(&logged.cases)],
                [record.before[i], record.after[i], record.cases[i]]
            );
        }
        check_reconstruction(record, &pixels);
    }
    assert!(records.windows(2).all(|pair| pair[0].after == pair[1].before));
}

/// Checks that the recorded losses follow from the recorded picture.
fn check_reconstruction(record: &ProbeRecord, pixels: &[f32]) {
    let step = (record.range[1] - record.range[0]) / 255.0;
    let picture = record.values();
    for (patch, loss) in record.losses.iter().enumerate().filter_map(|(patch, loss)| Some((patch, (*loss)?))) {
        let (row, column) = (patch / 8 * 4, patch % 8 * 4);
        let pixels_of_patch = (row..row + 4).flat_map(|i| (column..column + 4).map(move |j| i * 32 + j));
        let error: f32 = pixels_of_patch.map(|at| (picture[at] - pixels[at]).powi(2)).sum::<f32>() / 16.0;
        // Half a step of rounding in every pixel.
        assert!((error - loss).abs() <= step * loss.sqrt() + step * step, "patch {patch}: {error} {loss}");
    }
}

#[test]
fn an_interrupted_run_leaves_the_same_records() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    config.method.period = 2;
    config.training.epochs = 4;
    let parts = split(&config, temp.path());
    config.method.probes = vec![format!("{}:3", parts.train[0]), format!("{}:2", parts.test[0])];
    let mut fine = Config { method: config.method.clone(), ..finetune_config(&config.data.cohort, None) };
    fine.training.batch = 2;
    for (name, config) in [("pretrain", config), ("finetune", fine)] {
        let whole = temp.path().join(name);
        let steps = plain(&config, &whole).iter().filter(|e| matches!(e, Event::Step { .. })).count();
        let per_epoch = steps / config.training.epochs;
        assert!(per_epoch >= 3, "an epoch is too short to be interrupted in its middle");
        let expected = files(&whole);
        assert_eq!(expected.len(), 1 + 2 * (1 + 4), "pins, two slices, four epochs of each: {:?}", expected.keys());
        // In the first epoch, in the middle of the second and the third, and at the last step of an epoch.
        for stop in [1, per_epoch + per_epoch / 2, 3 * per_epoch - 1, 2 * per_epoch] {
            let cut = temp.path().join(format!("{name}-{stop}"));
            interrupted(&config, &cut, stop);
            assert_same(&whole, &cut);
            let found = files(&cut);
            assert!(found.keys().eq(expected.keys()), "{name}, {stop}: {:?}", found.keys());
            for (file, bytes) in &expected {
                assert!(found[file] == *bytes, "{name}, stopped after {stop} steps: {file} differs");
            }
        }
    }
}

#[test]
fn records_after_the_checkpoint_are_removed_on_resume() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    (config.training.epochs, config.training.checkpoint_every) = (4, 2);
    let pin = Pin::new(split(&config, temp.path()).train[0].clone(), 3);
    config.method.probes = vec![pin.to_string()];
    let run = temp.path().join("run");
    let recorded = || probe::epochs(&run, &pin, Stage::Pretrain);
    let control = Control::default();
    let mut job = PretrainJob::prepare(config.clone(), &run, Start::default(), &control, &mut |_, _| {}).unwrap();
    let mut fails_late = |event: &Event| match event {
        Event::Step { epoch: 4, .. } => Err(engine::ErrorKind::Cancelled.into()),
        _ => Ok(()),
    };
    job.train(&Compute::cpu(), &mut fails_late, &control).unwrap_err();
    drop(job);
    assert_eq!(recorded(), [1, 2, 3]);
    let mut at_start = Vec::new();
    self::job(&config, &run, true, |event, _, _| {
        if matches!(event, Event::Started { .. }) {
            at_start = recorded();
        }
    })
    .unwrap();
    assert_eq!((at_start, recorded()), (vec![1, 2], vec![1, 2, 3, 4]));
}

#[test]
fn a_pinned_slice_outside_the_training_set_is_recorded() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    config.method.period = 2;
    config.training.epochs = 4;
    let pin = Pin::new(split(&config, temp.path()).test[0].clone(), 3);
    config.method.probes = vec![pin.to_string()];
    let run = temp.path().join("run");
    plain(&config, &run);
    let slice = probe::read_slice(&run, &pin, Stage::Pretrain).unwrap();
    assert!(!slice.trained && slice.lesion.is_some() && slice.lesion_pixels.is_some());
    let records = records(&run, &pin, Stage::Pretrain);
    assert_eq!(records.len(), 4);
    assert!(
        records.iter().all(|record| !record.trained && record.order.len() == record.losses.iter().flatten().count())
    );
    // An update every second epoch, by means over both.
    for pair in records.chunks(2) {
        let (first, second) = (&pair[0], &pair[1]);
        assert!(first.cases.is_empty() && first.coins.is_empty() && first.mean_relative.is_empty());
        assert_eq!((&first.after, second.cases.len()), (&first.before, N));
        for i in 0..N {
            let both: Vec<f32> = [first, second].iter().filter_map(|record| record.relative[i]).collect();
            let mean = (!both.is_empty()).then(|| both.iter().sum::<f32>() / both.len() as f32);
            let found = second.mean_relative[i];
            assert_eq!(found.is_some(), mean.is_some());
            assert!((found.unwrap_or(0.0) - mean.unwrap_or(0.0)).abs() < 1e-5);
        }
    }
    assert_eq!(records[1].after, records[2].before);
    assert_ne!(records[3].after, slice.kmeans, "some labels have flipped");
}

#[test]
fn pins_can_be_added_and_removed_during_training() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    config.training.epochs = 6;
    let parts = split(&config, temp.path());
    let (trained, other) = (Pin::new(parts.train[1].clone(), 3), Pin::new(parts.test[0].clone(), 3));
    let run = temp.path().join("run");
    job(&config, &run, false, |event, pins, _| match event {
        Event::Epoch(summary) if summary.epoch == 1 => assert!(pins.add(trained.clone())),
        Event::Step { epoch: 3, step: 2, .. } => assert!(pins.add(other.clone())),
        Event::Step { epoch: 4, step: 1, .. } => assert!(pins.remove(&trained)),
        Event::Epoch(summary) if summary.epoch == 5 => assert!(pins.add(trained.clone())),
        _ => {}
    })
    .unwrap();
    assert_eq!(probe::epochs(&run, &trained, Stage::Pretrain), [2, 3, 6]);
    assert_eq!(probe::epochs(&run, &other, Stage::Pretrain), [3, 4, 5, 6]);
    let mut both = vec![trained.clone(), other.clone()];
    both.sort();
    assert_eq!(probe::pins(&run).unwrap(), both);
    let history = History::read(&run).unwrap();
    assert_eq!((&history.probes[&trained], &history.probes[&other]), (&vec![2, 3, 6], &vec![3, 4, 5, 6]));
    // The run equals the one without pins.
    let bare = temp.path().join("bare");
    plain(&config, &bare);
    assert_eq!(without_probes(fingerprint(&bare).0), without_probes(fingerprint(&run).0));
    assert!(fingerprint(&bare).1 == fingerprint(&run).1);
}

#[test]
fn an_impossible_pin_is_reported_once_and_a_resumed_run_keeps_its_pins() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    let train = split(&config, temp.path()).train;
    config.method.probes = vec!["nobody:1".into(), format!("{}:99", train[0])];
    let run = temp.path().join("run");
    let pin = Pin::new(train[0].clone(), 2);
    let mut warnings = Vec::new();
    job(&config, &run, false, |event, pins, control| match event {
        Event::Warning { message } => warnings.push(message.clone()),
        Event::Step { epoch: 1, step: 2, .. } => {
            pins.add(pin.clone());
            pins.remove(&Pin::new("nobody", 1));
        }
        Event::Step { epoch: 2, step: 1, .. } => control.set(Signal::Cancel),
        _ => {}
    })
    .unwrap_err();
    let about = |who: &str| warnings.iter().filter(|message| message.contains(who)).count();
    assert_eq!((about("patient = nobody"), about("99")), (1, 1), "{warnings:?}");
    assert!(warnings.iter().any(|message| message.contains("7 prepared slices")), "{warnings:?}");
    job(&config, &run, true, |_, pins, _| assert_eq!(pins.list().len(), 2)).unwrap();
    assert!(probe::epochs(&run, &pin, Stage::Pretrain).ends_with(&[2, 3]));

    config.method.probes = vec!["no slice".into()];
    let error = job(&config, &temp.path().join("bad"), false, |_, _, _| {}).unwrap_err().to_string();
    assert!(error.contains("method.probes = no slice"), "{error}");
}

#[test]
fn different_seeds_flip_different_labels() {
    let temp = tempfile::tempdir().unwrap();
    let config = pretrain_config(&cohort(temp.path(), 8));
    let pin = Pin::new(split(&config, temp.path()).train[0].clone(), 3);
    let flips = |seed: u64| {
        let mut config = Config { seed, ..config.clone() };
        // The same patients train for any seed.
        config.method.probes = vec![pin.to_string()];
        let run = temp.path().join(format!("seed{seed}"));
        let path = temp.path().join("split/split.json");
        let start = Start { split: Some(&path), ..Start::default() };
        let control = Control::default();
        let mut job = PretrainJob::prepare(config, &run, start, &control, &mut |_, _| {}).unwrap();
        job.train(&Compute::cpu(), &mut |_: &Event| Ok(()), &control).unwrap();
        let records = records(&run, &pin, Stage::Pretrain);
        let coins: Vec<_> = records.iter().map(|record| record.coins.clone()).collect();
        let flips: Vec<_> =
            records.iter().map(|r| r.before.iter().zip(&r.after).map(|(b, a)| b != a).collect()).collect();
        (coins, flips)
    };
    let (first, second, again): ((_, Vec<Vec<bool>>), _, _) = (flips(1), flips(2), {
        std::fs::remove_dir_all(temp.path().join("seed1")).unwrap();
        flips(1)
    });
    assert_eq!(first, again);
    assert_ne!(first.0, second.0);
    assert_ne!(first.1, second.1);
}

#[test]
fn fine_tuning_records_the_probability() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let mut config = finetune_config(&root, None);
    config.training.epochs = 30;
    let parts = split(&pretrain_config(&root), temp.path());
    let labelled = &parts.train[..2];
    config.labels.labels = format!("patients:{}", labelled.join(","));
    let [seen, unseen] = [&labelled[0], &parts.test[0]].map(|case| Pin::new(case.clone(), 3));
    config.method.probes = vec![seen.to_string(), unseen.to_string()];
    let run = temp.path().join("run");
    let events = plain(&config, &run);
    let logged = events.iter().filter_map(|e| if let Event::Probe(p) = e { Some(p) } else { None });
    assert!(
        logged.clone().all(|p| p.stage == Stage::Finetune && p.before.is_empty() && p.trained == (p.case == seen.case))
    );
    assert_eq!(logged.count(), 60);
    for (pin, trained) in [(&seen, true), (&unseen, false)] {
        let slice = probe::read_slice(&run, pin, Stage::Finetune).unwrap();
        assert_eq!((slice.trained, slice.grid, slice.size, slice.kmeans.len()), (trained, 0, 32, 0));
        let lesion = slice.lesion_pixels.unwrap();
        check_place(&slice.world_from_crop, &lesion, pin);
        let records = records(&run, pin, Stage::Finetune);
        let contrast = |record: &ProbeRecord| {
            let mean = |inside: bool| {
                let values = record.values();
                let chosen: Vec<f32> =
                    values.iter().zip(&lesion).filter(|(_, l)| **l == inside).map(|(p, _)| *p).collect();
                chosen.iter().sum::<f32>() / chosen.len() as f32
            };
            mean(true) - mean(false)
        };
        assert_eq!((records.len(), records[0].side, records[0].range), (30, 32, [0.0, 1.0]));
        let (first, last) = (contrast(&records[0]), contrast(&records[29]));
        assert!(last > first + 0.1, "{pin}: {first} {last}");
    }
}

/// Checks that the recorded lesion has the same world position as in the patient's mask.
fn check_place(rows: &[f64; 16], lesion: &[bool], pin: &Pin) {
    let number = pin.case[1..].parse().unwrap();
    let (_, label) = crate::common::patient(number);
    let axis = |c: usize| DVec3::new(rows[c], rows[4 + c], rows[8 + c]);
    let mut pixels = 0;
    for at in (0..lesion.len()).filter(|at| lesion[*at]) {
        let world = axis(3) + axis(0) * (at / 32) as f64 + axis(1) * (at % 32) as f64 + axis(2) * f64::from(pin.slice);
        let voxel = label.grid.world_from_voxel.inverse().transform_point3(world).round();
        let [i, j, k] = voxel.to_array().map(|v| v as usize);
        assert_eq!(label.get(i + 36 * (j + 32 * k)), 1, "{pin}: {voxel}");
        pixels += 1;
    }
    assert!(pixels > 10);
}

#[test]
fn a_replay_shows_the_records_of_the_live_run() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    config.training.epochs = 5;
    config.method.probes = vec![format!("{}:3", split(&config, temp.path()).train[0])];
    let run = temp.path().join("run");
    let mut live = History::default();
    for resume in [false, true] {
        let queue = Arc::new(EventQueue::default());
        let thread = std::thread::spawn({
            let (config, run, queue) = (config.clone(), run.clone(), Arc::clone(&queue));
            let (control, mut steps) = (Control::default(), 0);
            move || {
                let start = Start { resume, ..Start::default() };
                let mut job = PretrainJob::prepare(config, &run, start, &control, &mut |_, _| {})?;
                let mut sink = |event: &Event| -> engine::Result<()> {
                    steps += usize::from(matches!(event, Event::Step { .. }));
                    if !resume && steps == 7 {
                        control.set(Signal::Cancel);
                    }
                    queue.push(event);
                    Ok(())
                };
                job.train(&Compute::cpu(), &mut sink, &control)
            }
        });
        while !thread.is_finished() {
            queue.drain().iter().for_each(|event| live.push(None, event));
            std::thread::yield_now();
        }
        queue.drain().iter().for_each(|event| live.push(None, event));
        assert_eq!(thread.join().unwrap().is_ok(), resume);
        let replayed = History::read(&run).unwrap();
        assert_eq!(live.view(), replayed.view());
        assert_eq!(live.state, if resume { RunState::Finished } else { RunState::Idle });
        assert_eq!(live.seconds.len(), replayed.seconds.len());
    }
    assert_eq!(live.probes.values().next().unwrap(), &[1, 2, 3, 4, 5]);
}
