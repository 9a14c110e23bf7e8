//! The program `amlp` from pre-training to an evaluated segmentation, as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::{self, assert_same, cohort, finetune_config, pretrain_config};
use serde_json::Value;

const SMALL: &[&str] = &[
    "--modality",
    "pet",
    "--spacing",
    "native",
    "--size",
    "32",
    "--width",
    "4",
    "--depth",
    "2",
    "--batch",
    "8",
    "--lr",
    "0.003",
    "--device",
    "cpu",
];

fn amlp() -> Command {
    Command::new(env!("CARGO_BIN_EXE_amlp"))
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn json(command: &mut Command) -> Value {
    serde_json::from_slice(&run(command).stdout).unwrap()
}

fn pretrain(root: &Path, out: &Path) -> Command {
    pretrain_for(root, out, "3")
}

fn pretrain_for(root: &Path, out: &Path, epochs: &str) -> Command {
    let mut command = amlp();
    command.args(["pretrain", "--epochs", epochs]);
    command.arg(root).args(SMALL).args(["--grid", "8", "--period", "1"]).arg("--out").arg(out);
    command
}

#[test]
fn from_scans_to_an_evaluated_segmentation() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 10);
    let (pre, fine, masks) = (temp.path().join("pre"), temp.path().join("fine"), temp.path().join("masks"));
    let report = json(pretrain(&root, &pre).arg("--json"));
    assert_eq!(report["epochs"], 3);
    let fine_args = ["--labels", "3", "--epochs", "120", "--lr", "0.01"];
    let mut finetune = amlp();
    finetune.args(["finetune", "--modality", "pet", "--batch", "8", "--device", "cpu", "--json"]).args(fine_args);
    let report = json(finetune.arg(&root).arg("--from").arg(&pre).arg("--out").arg(&fine));
    assert_eq!(report["labelled"].as_array().unwrap().len(), 3);

    let done = json(
        amlp().args(["segment", "--json", "--probabilities", "--model"]).arg(&fine).arg(&root).arg("--out").arg(&masks),
    );
    let split: Value = serde_json::from_slice(&std::fs::read(fine.join("split.json")).unwrap()).unwrap();
    let test = split["test"].as_array().unwrap();
    assert_eq!(done["cases"].as_array().unwrap().len(), test.len(), "the default subset is test");
    for case in test {
        let case = case.as_str().unwrap();
        let source = json(amlp().args(["info", "--json"]).arg(root.join(case).join("pet.nii.gz")));
        for name in [format!("{case}.nii.gz"), format!("{case}_prob.nii.gz")] {
            let made = json(amlp().args(["info", "--json"]).arg(masks.join(name)));
            assert_eq!(made["affine"], source["affine"]);
            assert_eq!(made["shape"], source["shape"]);
        }
    }
    let report = json(
        amlp()
            .args(["evaluate", "--json", "--prediction"])
            .arg(&masks)
            .arg("--truth")
            .arg(&root)
            .args(["--subset", "test", "--split"])
            .arg(fine.join("split.json")),
    );
    let dsc = report["mean"]["1"]["dsc"].as_f64().unwrap();
    assert!(dsc > 0.6, "a bright ball on grey tissue is found: {dsc}");
}

/// `--resume` needs the run folder only: modality, cohort, settings and stage are stored in it.
#[test]
fn an_interrupted_training_is_resumed_by_its_folder_alone() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let at = |name: &str| temp.path().join(name);
    let resume = |run: &Path, more: &[&str]| {
        let output = self::run(amlp().args(["resume", "--json", "--device", "cpu"]).args(more).arg(run));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (report, String::from_utf8(output.stderr).unwrap())
    };
    let pre = pretrain_config(&root);
    common::pretrain(&pre, &at("pre"), false, 0).unwrap();
    common::pretrain(&pre, &at("pre-cut"), false, 2).unwrap_err();
    let (report, _) = resume(&at("pre-cut"), &["--tensorboard"]);
    assert_eq!((&report["stage"], &report["epochs"]), (&"pretrain".into(), &3.into()));
    assert_same(&at("pre"), &at("pre-cut"));
    assert_eq!(std::fs::read_dir(at("pre-cut/tensorboard")).unwrap().count(), 1);

    let fine = finetune_config(&root, Some(&at("pre")));
    common::finetune(&fine, &at("fine"), false, 0).unwrap();
    common::finetune(&fine, &at("fine-cut"), false, 2).unwrap_err();
    std::fs::remove_dir_all(at("pre")).unwrap();
    let (report, _) = resume(&at("fine-cut"), &[]);
    assert_eq!((&report["stage"], &report["epochs"]), (&"finetune".into(), &4.into()));
    assert_same(&at("fine"), &at("fine-cut"));
    assert!(!at("fine-cut/tensorboard").exists());

    let (again, stderr) = resume(&at("fine-cut"), &[]);
    assert!(again == report && stderr.contains("nothing to resume"), "{stderr}");
    let output = amlp().arg("resume").arg(&root).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("is not a run folder"));
}

#[test]
fn errors_are_one_line_and_usage_errors_have_their_own_exit_code() {
    let output = amlp().args(["info", "no-such-file.nii"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    assert!(text.contains("no-such-file.nii"));
    assert!(output.stdout.is_empty());
    assert_eq!(amlp().args(["info"]).output().unwrap().status.code(), Some(2));
    assert_eq!(amlp().args(["pretrain", "x", "--epochs", "many"]).output().unwrap().status.code(), Some(2));
}

/// The error was that a file `quick` cannot be read.
#[test]
fn a_built_in_plan_without_a_cohort_says_what_it_needs() {
    let temp = tempfile::tempdir().unwrap();
    for name in ["quick", "paper-table-1"] {
        let output = amlp().args(["study", name, "--out", "out"]).current_dir(temp.path()).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("needs --cohort DIR") && text.contains(&format!("--print-plan {name}")), "{text}");
    }
    for (plan, why) in
        [("absent.toml", "absent.toml: cannot read"), ("quik", "plan = quik: choose one of quick, evidence")]
    {
        let output = amlp().args(["study", plan, "--out", "out"]).current_dir(temp.path()).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(why), "{text}");
    }
}

/// The error named only settings of a plan file, which a built-in plan does not have.
#[test]
fn a_built_in_plan_on_a_modality_of_few_patients_names_the_option_that_leaves_it_out() {
    let temp = tempfile::tempdir().unwrap();
    // The plan tests 4 patients, validates on 2 and labels 2.
    for (patients, why) in [(5, "the 5 patients with a mask"), (7, "only 1 training patient has a lesion")] {
        let root = cohort(&temp.path().join(patients.to_string()), patients);
        let mut command = amlp();
        command.args(["study", "quick", "--dry-run", "--cohort"]).arg(&root).arg("--out").arg(temp.path().join("out"));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        for part in ["cohorts.pet", why, "other modalities", "(option --modality, if the study has --cohort)"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

/// The system kills a process that writes beyond its file-size limit, unless the process handles the signal.
#[cfg(unix)]
#[test]
fn output_beyond_the_file_size_limit_is_an_error_and_does_not_kill_the_process() {
    let temp = tempfile::tempdir().unwrap();
    let scan = cohort(temp.path(), 1).join("P00/pet.nii.gz");
    let shell = "ulimit -f 0; exec \"$0\" info --json \"$1\" > \"$2\"";
    let mut command = Command::new("sh");
    command.args(["-c", shell, env!("CARGO_BIN_EXE_amlp")]).arg(&scan).arg(temp.path().join("info.json"));
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{:?} {text}", output.status);
    assert!(text.contains("cannot write to standard output"), "{text}");
}

#[test]
fn a_dry_run_estimates_the_cost_and_leaves_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let out = temp.path().join("run");
    let output = run(pretrain(&root, &out).arg("--dry-run"));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("steps") && text.contains("MiB"), "{text}");
    assert!(!out.exists());
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_exits_with_130_and_resumes_to_the_same_end() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let (whole, cut) = (temp.path().join("whole"), temp.path().join("cut"));
    run(&mut pretrain_for(&root, &whole, "12"));
    let mut child = pretrain_for(&root, &cut, "12").stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("epoch 1/"))).unwrap().unwrap();
    let pid = child.id().to_string();
    run(Command::new("kill").args(["-INT", &pid]));
    // The rest of its messages must be read, or it would wait for us.
    for _ in lines {}
    assert_eq!(child.wait().unwrap().code(), Some(130));
    run(pretrain_for(&root, &cut, "12").arg("--resume"));
    assert_same(&whole, &cut);
}

/// Kills at ten points, chosen from all points of a save by a fixed rule. After each kill, the resumed run ends exactly like
/// one that was never killed.
#[cfg(debug_assertions)]
#[test]
fn a_run_killed_while_saving_resumes_to_the_same_end() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let whole = temp.path().join("whole");
    run(&mut pretrain(&root, &whole));
    let points = [
        "write-before:14",
        "write-middle:15",
        "write-after:22",
        "fsync-before:17",
        "fsync-after:24",
        "rename-before:9",
        "rename-after:10",
        "checkpoint-staged:2",
        "checkpoint-demoted:2",
        "checkpoint-promoted:1",
    ];
    for point in points {
        let cut = temp.path().join(point.replace(':', "-"));
        let output = pretrain(&root, &cut).env("AMLP_FAULT", point).output().unwrap();
        assert!(!output.status.success(), "{point} was never passed");
        assert!(!cut.join("report.json").exists(), "{point} came too late to test anything");
        run(pretrain(&root, &cut).arg("--resume"));
        assert_same(&whole, &cut);
        let leftovers = std::fs::read_dir(cut.join("checkpoints")).unwrap();
        let tmp = leftovers.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp")).count();
        assert_eq!(tmp, 0, "{point} left temporary files");
    }
}
