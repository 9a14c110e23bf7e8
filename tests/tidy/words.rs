//! Rules about names that may not appear in places. Each carries a sample that breaks it and one that does not.

use crate::source::{File, line_of, with_full_paths};

/// What of a file a rule reads.
#[derive(Clone, Copy)]
pub enum View {
    /// Code of tests included, comments and strings left out; each `use` written out in full.
    Code,
    /// The same without test-only items.
    Production,
    /// Everything, in every text file.
    Text,
}

/// Names that a place must not contain.
pub struct WordRule {
    pub name: &'static str,
    pub why: &'static str,
    /// Rooms (see [`File::is_in`]) that the rule watches; all when empty.
    pub within: &'static [&'static str],
    /// Excluded rooms.
    pub except: &'static [&'static str],
    pub view: View,
    pub words: &'static [&'static str],
    /// (path, text) of a file that breaks the rule, and of one that does not.
    pub bad: (&'static str, &'static str),
    pub good: (&'static str, &'static str),
}

impl WordRule {
    pub fn watches(&self, file: &File) -> bool {
        let within = self.within.is_empty() || self.within.iter().any(|room| file.is_in(room));
        within && !self.except.iter().any(|room| file.is_in(room))
    }

    /// Every place where the file breaks the rule, as `path:line: word (why)`.
    pub fn violations(&self, file: &File) -> Vec<String> {
        let rust_only = !matches!(self.view, View::Text);
        if !self.watches(file) || (rust_only && !file.is_rust()) {
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

/// Stand-ins for dependencies, which keep the names of what they replace.
const VENDOR: &str = "engine/vendor/";

pub const RULES: &[WordRule] = &[
    // Between the packages.
    WordRule {
        name: "engine stands alone",
        why: "app and shaders import engine, never the other way round",
        within: &["engine"],
        except: &[VENDOR],
        view: View::Code,
        words: &["app::", "amlp_viewer::", "shaders::", "tests::"],
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
        why: "what prepares, measures, edits and masks scans works on plain arrays",
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
        name: "progress bars stay in the command line",
        why: "everything else reports events",
        within: &["engine/src"],
        except: &["engine/src/cli"],
        view: View::Code,
        words: &["indicatif::"],
        bad: ("engine/src/evaluate.rs", "use indicatif::ProgressBar;"),
        good: ("engine/src/cli/evaluate.rs", "use indicatif::ProgressBar;"),
    },
    // What only some places may do.
    WordRule {
        name: "few rooms touch the disk",
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
        name: "device.rs alone knows backends",
        why: "which backends exist is decided in one place; compute writes the operations of one of them",
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
        name: "nothing left to do",
        why: "what is not done is not there",
        within: &[],
        except: &[VENDOR],
        view: View::Code,
        words: &["todo!", "unimplemented!", "dbg!", "#[ignore"],
        bad: ("engine/src/predict.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}"),
        good: ("engine/src/predict.rs", "let s = \"todo!\"; // todo!"),
    },
    WordRule {
        name: "no machine's own paths",
        why: "a tracked file that names a folder of one machine works on that machine only",
        within: &[],
        except: &[],
        view: View::Text,
        words: &[concat!("/wo", "rk/"), concat!("/tm", "p/"), concat!("/ro", "ot/"), concat!("/ho", "me/")],
        bad: ("README.md", concat!("cd /wo", "rk/main")),
        good: ("README.md", "ls networks/main target/tmp"),
    },
    WordRule {
        name: "counts by their helper",
        why: "\"1 problems\" is read where a plural is written behind a number: use engine::words::plural",
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
        why: "the window shows these messages too, and has no command line: name the setting or what it does",
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
