//! `MODEL.md`, the model card of an exported network: its origin and intended use.

use std::fmt::Write;

use super::ExportedModel;
use crate::report::MethodScores;
use crate::trainer::WEIGHTS;
use crate::words::plural;

/// Contents of the card.
pub struct ModelCard<'a> {
    /// The network.
    pub exported: &'a ExportedModel,
    /// The command that made the network, if a single one did.
    pub command: Option<&'a str>,
    /// The device that it was trained on.
    pub device: Option<&'a str>,
    /// Patients of the pre-training; empty if the network started from random weights.
    pub pretrained: &'a [String],
    /// Patients with whose masks it was fine-tuned.
    pub labelled: &'a [String],
    /// Test patients of the split.
    pub test: &'a [String],
    /// Scores of the test patients.
    pub scores: Option<&'a MethodScores>,
    /// Origin and licence of the training data.
    pub attribution: Option<&'a str>,
}

impl ModelCard<'_> {
    /// The card in Markdown. It contains no paths and times, so that the same network has the same card.
    pub fn text(&self) -> String {
        let mut text = format!(
            "# Lesion segmentation model\n\n**Research use only**: not a medical device, not for clinical use. The network was \
             fine-tuned on {}: it misses lesions and reports false positives.\n\n| | |\n|---|---|\n",
            plural(self.labelled.len(), "patient", "patients")
        );
        let patients = |ids: &[String]| if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
        let exported = self.exported;
        let weights = format!(
            "`checkpoints/last/{WEIGHTS}`, {} bytes, after {}",
            exported.bytes,
            plural(exported.epoch, "epoch", "epochs")
        );
        let scores = self.scores.map(|scores| {
            let cases: Vec<String> = scores.cases.iter().map(|c| format!("{} {:.3}", c.case, c.dsc)).collect();
            format!("mean {:.3}, SD {:.3}: {}", scores.mean_dsc, scores.sd_dsc, cases.join(", "))
        });
        let rows = [
            ("made with", self.command.map(|command| format!("`{command}`"))),
            ("version", Some(format!("amlp {}", env!("CARGO_PKG_VERSION")))),
            ("device", self.device.map(str::to_owned)),
            ("weights", Some(weights)),
            ("SHA-256 of the weights", Some(format!("`{}`", exported.sha256))),
            ("pre-trained without masks on", Some(patients(self.pretrained))),
            ("fine-tuned with the masks of", Some(patients(self.labelled))),
            ("held-out patients", Some(patients(self.test))),
            ("DSC of the held-out patients", scores),
        ];
        for (name, value) in rows {
            if let Some(value) = value {
                let _ = writeln!(text, "| {name} | {} |", value.replace('|', "\\|"));
            }
        }
        text += "\nThe folder is a run folder with its settings, its split and the weights alone: `amlp segment --model model \
                 scan.nii.gz --out masks`. It cannot be trained further, since the optimiser's state is not included.\n\n\
                 ## The data it was trained on\n\n";
        text += match self.attribution {
            // Drop the heading of the attribution, which would be a second title.
            Some(own) => own.trim().trim_start_matches(['#', ' ']),
            None => "No attribution was given, so the origin and licence of the data are unknown.",
        };
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::CaseScore;

    #[test]
    fn the_card_names_patients_scores_and_attribution() {
        let score = CaseScore {
            case: "T1".into(),
            dsc: 0.75,
            sensitivity: 0.5,
            precision: 0.5,
            hd95_mm: 1.0,
            volume_ml: 1.0,
            truth_volume_ml: 1.0,
        };
        let ids = ["A", "B", "T1"].map(str::to_owned);
        let scores = MethodScores::new("model", vec![score]);
        let exported = ExportedModel { epoch: 2, bytes: 1234, sha256: "ab".repeat(32) };
        let card = |scores, pretrained, attribution| {
            let (labelled, test) = (&ids[1..2], &ids[2..]);
            let (command, device) = (Some("amlp demo --seed 3"), Some("cpu"));
            ModelCard { exported: &exported, command, device, pretrained, labelled, test, scores, attribution }.text()
        };
        let text = card(Some(&scores), &ids[..2], Some("# Where it comes from\n\nCC BY 3.0\n"));
        for part in [
            "| made with | `amlp demo --seed 3` |",
            concat!("| version | amlp ", env!("CARGO_PKG_VERSION"), " |"),
            "1234 bytes, after 2 epochs",
            &"ab".repeat(32),
            "| pre-trained without masks on | A, B |",
            "fine-tuned on 1 patient:",
            "| fine-tuned with the masks of | B |",
            "| held-out patients | T1 |",
            "mean 0.750, SD 0.000: T1 0.750",
            "Research use only",
            "\n\nWhere it comes from\n\nCC BY 3.0\n",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        let text = card(None, &[], None);
        assert!(
            text.contains("No attribution was given") && text.contains("| pre-trained without masks on | none |"),
            "{text}"
        );
        assert!(!text.contains("DSC"), "{text}");
    }
}
