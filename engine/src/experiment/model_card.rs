//! `MODEL.md`: origin and intended use of the demo's network.

use std::fmt::Write;

use super::demo::DemoReport;
use crate::predict::ExportedModel;
use crate::trainer::WEIGHTS;
use crate::words::plural;

/// Contents of the card.
pub struct ModelCard<'a> {
    /// The demo that made the network.
    pub report: &'a DemoReport,
    /// The network.
    pub exported: &'a ExportedModel,
    /// The command that made it.
    pub command: &'a str,
    /// `ATTRIBUTION.md` of the study, if it has one.
    pub attribution: Option<&'a str>,
}

impl ModelCard<'_> {
    /// The card in Markdown. Without folders and times, so that the same network has the same card.
    pub fn text(&self) -> String {
        let (report, exported) = (self.report, self.exported);
        let mut text = String::from("# Sample model\n\n");
        text += "A small network for trying out the program. **Research use only**: not a medical device, not for clinical \
                 use. It was trained on a handful of patients: it misses lesions and reports false positives.\n\n";
        let rows = [
            ("made with", format!("`{}`", self.command)),
            ("version", format!("amlp {}", env!("CARGO_PKG_VERSION"))),
            ("device", report.device.clone()),
            (
                "weights",
                format!(
                    "`checkpoints/last/{WEIGHTS}`, {} bytes, after {}",
                    exported.bytes,
                    plural(exported.epoch, "epoch", "epochs")
                ),
            ),
            ("SHA-256 of the weights", format!("`{}`", exported.sha256)),
            ("pre-trained without masks on", report.train.join(", ")),
            ("fine-tuned with the masks of", report.labelled.join(", ")),
            ("held-out patients", report.test.join(", ")),
        ];
        text += "| | |\n|---|---|\n";
        for (name, value) in rows {
            let _ = writeln!(text, "| {name} | {} |", value.replace('|', "\\|"));
        }
        if let Some(scores) = report.methods.first() {
            let _ = writeln!(
                text,
                "| DSC of the held-out patients | mean {:.3}, SD {:.3}: {} |",
                scores.mean_dsc,
                scores.sd_dsc,
                scores.cases.iter().map(|c| format!("{} {:.3}", c.case, c.dsc)).collect::<Vec<_>>().join(", ")
            );
        }
        text += "\nThe folder is a run folder with its settings, its split and the weights alone: `amlp segment --model model \
                 scan.nii.gz --out masks`. It cannot be trained further, since the optimiser's state is not included.\n\n\
                 ## The data it was trained on\n\n";
        text += match self.attribution {
            // Skips its heading, which would be a second title.
            Some(own) => own.trim().trim_start_matches(['#', ' ']),
            None => "The study's folder has no ATTRIBUTION.md, so the origin and licence of the data are unknown.",
        };
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{CaseScore, MethodScores};

    #[test]
    fn the_card_tells_what_made_the_network() {
        let score = CaseScore {
            case: "T1".into(),
            dsc: 0.75,
            sensitivity: 0.5,
            precision: 0.5,
            hd95_mm: 1.0,
            volume_ml: 1.0,
            truth_volume_ml: 1.0,
        };
        let report = DemoReport {
            notice: String::new(),
            seed: 3,
            device: "cpu".into(),
            train: vec!["A".into(), "B".into()],
            labelled: vec!["B".into()],
            test: vec!["T1".into()],
            steps: 5,
            fine_steps: 6,
            convergence: Vec::new(),
            threshold_suv: 1.0,
            methods: vec![MethodScores::new("model", vec![score])],
            verdict: Vec::new(),
            seconds: Vec::new(),
        };
        let exported = ExportedModel { epoch: 2, bytes: 1234, sha256: "ab".repeat(32) };
        let card = |attribution| {
            ModelCard { report: &report, exported: &exported, command: "amlp demo --seed 3", attribution }.text()
        };
        let text = card(Some("# Where it comes from\n\nCC BY 3.0\n"));
        for part in [
            "| made with | `amlp demo --seed 3` |",
            concat!("| version | amlp ", env!("CARGO_PKG_VERSION"), " |"),
            "1234 bytes, after 2 epochs",
            &"ab".repeat(32),
            "| pre-trained without masks on | A, B |",
            "| fine-tuned with the masks of | B |",
            "| held-out patients | T1 |",
            "mean 0.750, SD 0.000: T1 0.750",
            "Research use only",
            "\n\nWhere it comes from\n\nCC BY 3.0\n",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(card(None).contains("no ATTRIBUTION.md"));
    }
}
