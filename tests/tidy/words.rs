//! Rules about words that must not appear in certain folders. Each has a sample that breaks it and one that does not.

use crate::source::{File, line_of, with_full_paths};

/// The part of a file that a rule checks.
#[derive(Clone, Copy)]
pub enum View {
    /// Code with tests, without comments and strings, and with every `use` expanded.
    Code,
    /// The same without test-only items.
    Production,
    /// Everything, in every text file.
    Text,
}

/// Words that a folder must not contain.
pub struct WordRule {
    pub name: &'static str,
    pub why: &'static str,
    /// Folders or files (see [`File::is_in`]) that the rule applies to; empty: all.
    pub within: &'static [&'static str],
    /// Excluded folders and files.
    pub except: &'static [&'static str],
    pub view: View,
    pub words: &'static [&'static str],
    /// (path, text) of a file that breaks the rule, and of one that does not.
    pub bad: (&'static str, &'static str),
    pub good: (&'static str, &'static str),
}

impl WordRule {
    pub fn applies_to(&self, file: &File) -> bool {
        let within = self.within.is_empty() || self.within.iter().any(|folder| file.is_in(folder));
        within && !self.except.iter().any(|folder| file.is_in(folder))
    }

    /// Every violation in the file, as `path:line: word: rule: why`.
    pub fn violations(&self, file: &File) -> Vec<String> {
        let rust_only = !matches!(self.view, View::Text);
        if !self.applies_to(file) || (rust_only && !file.is_rust()) {
            return Vec::new();
        }
        let text = match self.view {
            View::Code => with_full_paths(&file.code(), &file.module()),
            View::Production => with_full_paths(&file.production_code(), &file.module()),
            View::Text => file.text.clone(),
        };
        let hits = self.words.iter().filter_map(|word| line_of(&text, word).map(|line| (line, word)));
        hits.map(|(line, word)| format!("{}:{line}: `{word}`: {}: {}", file.path, self.name, self.why)).collect()
    }
}

/// Replacements of dependencies, which keep their names.
const VENDOR: &str = "engine/vendor/";

pub const RULES: &[WordRule] = &[
    // Between the packages.
    WordRule {
        name: "engine is independent",
        why: "app and shaders import engine, never the other way round",
        within: &["engine"],
        except: &[VENDOR],
        view: View::Code,
        words: &["app::", "amlp_viewer::", "shaders::"],
        bad: ("engine/src/event.rs", "use shaders::Slice;"),
        good: ("engine/src/event.rs", "// shaders::Slice has the twin\nuse crate::volume::Volume;"),
    },
    WordRule {
        name: "tensors stay in engine",
        why: "burn is named only in engine",
        within: &["app", "shaders", "tests"],
        except: &[],
        view: View::Code,
        words: &["burn::", "burn_flex::", "burn_wgpu::", "burn_cuda::", "cubecl::"],
        bad: ("app/src/worker/job.rs", "fn f(t: burn::Tensor<4>) {}"),
        good: ("app/src/worker/job.rs", "fn f(sunburn: engine::Report) {}"),
    },
    WordRule {
        name: "windows stay in app",
        why: "egui, eframe and rfd are named only in app",
        within: &["engine", "shaders"],
        except: &[VENDOR],
        view: View::Code,
        words: &["egui::", "eframe::", "rfd::", "winit::"],
        bad: ("engine/src/event.rs", "pub struct Wake(egui::Context);"),
        good: ("engine/src/event.rs", "/// Wakes egui.\npub struct Wake(Box<dyn Fn()>);"),
    },
    WordRule {
        name: "wgpu stays in app/src/gpu",
        why: "only app's gpu folder and the tests name wgpu",
        within: &["engine", "shaders", "app"],
        except: &[VENDOR, "app/src/gpu", "app/tests", "engine/src/device"],
        view: View::Code,
        words: &["wgpu::", "egui_wgpu::"],
        bad: ("app/src/view/slice.rs", "let t: wgpu::Texture;"),
        good: ("app/src/gpu/slice.rs", "let t: wgpu::Texture;"),
    },
    // Inside engine, besides the layers.
    WordRule {
        name: "arrays before tensors",
        why: "preprocessing, metrics, editing and masking work on plain arrays",
        within: &[
            "engine/src/volume",
            "engine/src/findings",
            "engine/src/metrics",
            "engine/src/edit",
            "engine/src/cohort",
            "engine/src/preprocess",
            "engine/src/patch",
            "engine/src/masking",
            "engine/src/cluster",
        ],
        except: &[],
        view: View::Code,
        words: &["burn::"],
        bad: ("engine/src/masking/relabel.rs", "use burn::tensor::Tensor;"),
        good: ("engine/src/masking/relabel.rs", "use crate::cluster::Clustering;"),
    },
    WordRule {
        name: "model and loss know tensors only",
        why: "no path, event, run or volume reaches the network",
        within: &["engine/src/model", "engine/src/loss"],
        except: &[],
        view: View::Production,
        words: &[
            "std::fs",
            "std::path",
            "std::io",
            "crate::event",
            "crate::cohort",
            "crate::volume",
            "crate::preprocess",
        ],
        bad: ("engine/src/model/unet.rs", "fn save(&self, path: &std::path::Path) {}"),
        good: ("engine/src/model/unet.rs", "fn forward(&self, x: Tensor<4>) -> Tensor<4> { x }"),
    },
    WordRule {
        name: "library messages name no option",
        why: "the window shows the same messages; the command line adds options to them (see REMEDIES)",
        within: &["engine/src"],
        except: &[
            "engine/src/cli",
            "engine/src/predict/model_card.rs",
            "engine/src/report/page/tests.rs",
            "engine/src/study/plans",
        ],
        view: View::Text,
        words: &["--out", "--split", "--modality", "--cohort", "--scale", "--size", "--spacing", "--strict"],
        bad: ("engine/src/study/rates.rs", "let why = \"Choose another --out\";"),
        good: ("engine/src/cli/mod.rs", "const REMEDY: &str = \"--out\";"),
    },
    WordRule {
        name: "progress bars stay in the command line",
        why: "everything else reports events",
        within: &["engine/src"],
        except: &["engine/src/cli"],
        view: View::Code,
        words: &["indicatif::"],
        bad: ("engine/src/evaluate.rs", "use indicatif::ProgressBar;"),
        good: ("engine/src/cli/evaluate.rs", "use indicatif::ProgressBar;"),
    },
    // What only some folders may do.
    WordRule {
        name: "few folders access the disk",
        why: "only disk, run, volume, cohort, preprocess/store, cli and the binaries do",
        within: &["engine/src"],
        except: &[
            "engine/src/disk",
            "engine/src/run",
            "engine/src/volume",
            "engine/src/cohort",
            "engine/src/preprocess/store",
            "engine/src/cli",
            "engine/src/bin",
            "engine/src/main.rs",
        ],
        view: View::Production,
        words: &[
            "std::fs",
            "fs::",
            "File::open",
            "File::create",
            "OpenOptions",
            ".exists()",
            ".try_exists()",
            ".is_file()",
            ".is_dir()",
            ".read_dir()",
            ".canonicalize()",
            "from_path",
            "tempfile::",
        ],
        bad: ("engine/src/predict.rs", "use std::{fs::File, path::Path};"),
        good: ("engine/src/predict.rs", "use std::path::Path;\n#[cfg(test)]\nmod tests { use std::fs; }"),
    },
    WordRule {
        name: "the window never waits for a disk",
        why: "a drive that does not respond would freeze it: access files in a job",
        within: &[
            "app/src/scene",
            "app/src/state",
            "app/src/command",
            "app/src/panel",
            "app/src/dialog",
            "app/src/view",
            "app/src/app.rs",
        ],
        // The process's own memory is not a file on a disk.
        except: &["app/src/panel/memory.rs"],
        view: View::Production,
        words: &[
            "std::fs",
            "fs::",
            "File::open",
            ".exists()",
            "Path::exists",
            ".try_exists()",
            ".is_file()",
            ".is_dir()",
            ".read_dir()",
            ".metadata()",
            ".canonicalize()",
        ],
        bad: ("app/src/command/file.rs", "fn f(p: &Path) -> bool { p.exists() }"),
        good: ("app/src/worker/save.rs", "fn f(p: &Path) -> bool { p.exists() }"),
    },
    WordRule {
        name: "only device.rs knows backends",
        why: "only device.rs knows which backends exist; compute implements operations of one of them",
        within: &["engine/src"],
        except: &["engine/src/device", "engine/src/compute"],
        view: View::Production,
        words: &[
            "burn::backend",
            "burn_flex",
            "burn_wgpu",
            "burn_cuda",
            "cubecl",
            "Device::flex",
            "Device::wgpu",
            "Device::cuda",
            "Device::vulkan",
            "Device::enumerate",
            "Device::default",
            "DeviceType",
        ],
        bad: ("engine/src/predict.rs", "let d = burn::tensor::Device::flex();"),
        good: ("engine/src/device.rs", "let d = burn::tensor::Device::flex();"),
    },
    WordRule {
        name: "no unfinished code",
        why: "unfinished code is not committed",
        within: &[],
        except: &[VENDOR],
        view: View::Code,
        words: &["todo!", "unimplemented!", "dbg!", "#[ignore"],
        bad: ("engine/src/predict.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}"),
        good: ("engine/src/predict.rs", "let s = \"todo!\"; // todo!"),
    },
    WordRule {
        name: "no paths of one machine",
        why: "a tracked file with a path of one machine works only on that machine",
        within: &[],
        except: &[],
        view: View::Text,
        words: &[concat!("/wo", "rk/"), concat!("/tm", "p/"), concat!("/ro", "ot/"), concat!("/ho", "me/")],
        bad: ("README.md", concat!("cd /wo", "rk/main")),
        good: ("README.md", "ls networks/main target/tmp"),
    },
    WordRule {
        name: "plurals by their helper",
        why: "a fixed plural after a number gives \"1 problems\": use engine::words::plural",
        within: &["app/src", "engine/src"],
        except: &[],
        view: View::Text,
        words: &[
            "} problems",
            "} findings",
            "} edits",
            "} flips",
            "} scans",
            "} masks",
            "} frames",
            "== 1 { \"\" } else { \"s\" }",
        ],
        bad: ("app/src/state/cases.rs", "format!(\"{count} problems in this folder\")"),
        good: ("app/src/state/cases.rs", "plural(count, \"problem\", \"problems\")"),
    },
    WordRule {
        name: "no options in messages",
        why: "the window shows these messages too: name the setting instead of the option",
        within: &[
            "engine/src/volume",
            "engine/src/cohort",
            "engine/src/preprocess",
            "engine/src/trainer",
            "engine/src/error.rs",
        ],
        except: &[],
        view: View::Text,
        words: &[
            "--threshold",
            "--frame",
            "--label-map",
            "--label-name",
            "--labels-any",
            "--ct-offset",
            "--batch",
            "--resume",
            "--targets",
        ],
        bad: ("engine/src/volume/rounding.rs", "give a threshold (--threshold 0.5)"),
        good: ("engine/src/cli/evaluate.rs", "give a threshold (--threshold 0.5)"),
    },
];
